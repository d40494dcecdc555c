"""The level of a flood, chosen on the map."""

from typing import Any

from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QPushButton, QSizePolicy, QSlider, QVBoxLayout, QWidget

from ...server.contract.editors import LEVEL, LEVEL_FROM, LOWEST_GROUND
from ..map.flooded import STEPS, FloodPreview, Heights
from ..tasks.task import BackgroundTask
from ..translated import localised, tr
from .wrapped import Wrapped


def has_level(info) -> bool:
    """Whether an editor (EditorInfo) takes a level of water over an elevation model."""
    named = {one.name for one in info.options} if info is not None else set()
    return info is not None and info.takes("elevation") and {LEVEL, LEVEL_FROM} <= named


class HeightsTask(BackgroundTask):
    """Reads Heights. Signal `ended(task)`; then `basins` holds what was found, or `error` is
    set."""

    def __init__(self, heights: Heights) -> None:
        super().__init__(tr("Landbrush: looking at heights"))
        self.heights = heights
        self.basins = None

    def work(self) -> None:
        """Called in a worker thread."""
        self.basins = self.heights.read(self.feedback)


class LevelSlider(QWidget):
    """A slider whose water is shown on the map. Signals: `wanted()`: heights are to be read;
    `chosen(options)`: what an edit is to be asked for."""

    wanted = pyqtSignal()
    chosen = pyqtSignal(object)

    def __init__(self, canvas, parent=None) -> None:
        super().__init__(parent)
        self.preview = FloodPreview(canvas)
        self.basins: Any = None  # Basins
        self.button = QPushButton(tr("Level on the map"))
        self.button.setCheckable(True)
        self.button.setMinimumWidth(40)
        self.button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.button.setToolTip(
            tr("Drag the water to where it shall stand; the map shows what lies under it")
        )
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, STEPS)
        self.slider.setAccessibleName(tr("Water level"))
        self.told = Wrapped()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        for part in (self.button, self.slider, self.told):
            column.addWidget(part)
        self.button.toggled.connect(self._toggled)
        self.slider.valueChanged.connect(self._moved)
        self.slider.hide()
        self.told.hide()

    def _toggled(self, on) -> None:
        if on:
            self.wanted.emit()
        else:
            self.forget()

    def show_basins(self, basins, level_m) -> None:
        """Heights were read: the water stands at a level over the lowest ground, and stays what was
        asked for until the slider is moved."""
        self.basins = basins
        step = max(0, min(STEPS, round(level_m / basins.step_m)))
        self.slider.blockSignals(True)
        self.slider.setValue(step)
        self.slider.blockSignals(False)
        self.slider.show()
        self.told.show()
        self._show(step, level_m)

    def _show(self, step, level) -> None:
        self.preview.show_level(self.basins, step)
        wet = self.basins.wet_m2(step)
        size = f" · {localised(wet)} m²" if wet else ""
        self.told.setText(
            tr(
                "{level} m over the lowest ground{size}",
                level=localised(round(level, 3)),
                size=size,
            )
        )

    def _moved(self, step) -> None:
        if self.basins is not None:
            level = round(self.basins.level_m(step), 2)
            self._show(step, level)
            self.chosen.emit({LEVEL: level, LEVEL_FROM: LOWEST_GROUND})

    def forget(self) -> None:
        """Its ground is another, or the edit runs: the water goes from the map, the level stays."""
        self.basins = None
        self.preview.forget()
        self.slider.hide()
        self.told.hide()
        if self.button.isChecked():
            self.button.setChecked(False)
