"""A label whose text wraps in any width. Knows Qt alone."""

from qgis.PyQt.QtWidgets import QLabel

BREAK = "\u200b"
"""A place of no width at which a line may break."""
NARROWEST_PX = 60


class Wrapped(QLabel):
    """Text that wraps, also within long paths and addresses, and is as high as it needs to be at
    its width, which a scroll area's content is not asked for by Qt. `lines`: at most so many are
    shown (0: all), all of them when pointed at."""

    def __init__(self, text: str = "", lines: int = 0, parent=None) -> None:
        super().__init__(parent)
        self.lines = lines
        self.setWordWrap(True)
        self.setMinimumWidth(NARROWEST_PX)
        if lines:
            self.setMaximumHeight(self._highest())
        self.setText(text)

    def setText(self, text) -> None:
        """Show a text; it may break after a slash."""
        super().setText(text.replace("/", "/" + BREAK))
        if self.lines:
            self.setToolTip(text)
        self._fit()

    def text(self):
        """The text as it was given."""
        return super().text().replace(BREAK, "")

    def resizeEvent(self, event) -> None:
        """Fit the height to the width that Qt has just given."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        height = self.heightForWidth(self.width()) if super().text() else 0
        if self.lines:
            height = min(height, self._highest())
        if height != self.minimumHeight():
            self.setMinimumHeight(max(height, 0))

    def _highest(self):
        return self.lines * self.fontMetrics().lineSpacing() + 2
