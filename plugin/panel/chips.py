"""Pictures to click for what is asked for most, below the prompt."""

from pathlib import Path

from qgis.PyQt.QtCore import QSize, pyqtSignal
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import QHBoxLayout, QToolButton, QWidget

from ..translated import tr

ICONS = Path(__file__).resolve().parents[2] / "resources" / "icons"
CHIPS = (
    ("remove", tr("Remove what is there")),
    ("fill_like", tr("Fill like a marked area")),
    ("forest", tr("Forest")),
    ("water", tr("Water body")),
    ("parking", tr("Parking")),
    ("solar", tr("Solar panels")),
    ("flood", tr("Flood")),
    ("snow", tr("Snow")),
    ("burn", tr("Burn scar")),
    ("damage", tr("Damage")),
)
"""Operations by name, and what they are called."""
SIDE_PX = 20


class ChipRow(QWidget):
    """`picked(operation, title)`: one was clicked."""

    picked = pyqtSignal(str, str)

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        self.buttons = {}
        for name, title in CHIPS:
            button = QToolButton()
            button.setIcon(QIcon(str(ICONS / f"op_{name}.svg")))
            button.setIconSize(QSize(SIDE_PX, SIDE_PX))
            button.setAutoRaise(True)
            button.setToolTip(title)
            button.setAccessibleName(title)
            button.setMinimumWidth(1)
            button.clicked.connect(lambda _=False, n=name, t=title: self.picked.emit(n, t))
            row.addWidget(button)
            self.buttons[name] = button
        row.addStretch(1)
