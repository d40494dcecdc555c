"""Pictures to click for what is asked for most, below the prompt."""

from pathlib import Path

from qgis.PyQt.QtCore import QSize, pyqtSignal
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import QHBoxLayout, QToolButton, QWidget

from ..translated import tr

ICONS = Path(__file__).resolve().parents[2] / "resources" / "icons"
CHIPS = (
    ("remove", tr("Remove what is there"), tr("remove this")),
    ("fill_like", tr("Fill like a marked area"), tr("like there")),
    ("forest", tr("Forest"), tr("forest")),
    ("water", tr("Water body"), tr("a lake")),
    ("parking", tr("Parking"), tr("parking lot")),
    ("solar", tr("Solar panels"), tr("solar panels")),
    ("flood", tr("Flood"), tr("flooded")),
    ("snow", tr("Snow"), tr("snow")),
    ("burn", tr("Burn scar"), tr("burnt down")),
    ("damage", tr("Damage"), tr("destroyed buildings")),
)
"""Operations by name, what they are called, and the words that ask for them."""
SIDE_PX = 20


class ChipRow(QWidget):
    """`picked(operation, words)`: one was clicked."""

    picked = pyqtSignal(str, str)

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        self.buttons = {}
        self.setAccessibleName(tr("What is asked for most"))
        for name, title, words in CHIPS:
            button = QToolButton()
            button.setCheckable(True)
            button.setIcon(QIcon(str(ICONS / f"op_{name}.svg")))
            button.setIconSize(QSize(SIDE_PX, SIDE_PX))
            button.setAutoRaise(True)
            button.setToolTip(title)
            button.setAccessibleName(title)
            button.setMinimumWidth(1)
            button.clicked.connect(lambda _=False, n=name, w=words: self.picked.emit(n, w))
            row.addWidget(button)
            self.buttons[name] = button
        row.addStretch(1)

    def mark(self, operation) -> None:
        """Show which one is asked for; none where it is another operation."""
        for name, button in self.buttons.items():
            button.setChecked(name == operation)
