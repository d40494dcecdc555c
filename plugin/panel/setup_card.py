"""The card above the panel until the server is set up on this computer."""

from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import (
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QMenu,
    QProgressBar,
    QPushButton,
    QToolButton,
    QVBoxLayout,
)

from .. import settings
from ..local.setup import NEEDED_MB
from ..translated import tr
from .wrapped import Wrapped

DOWNLOAD_MB = 150
DISK_MB = 500
STEPS = 1000
"""Steps of the bar: it counts no further than whole numbers of 31 bits, bytes may."""


class SetupCard(QFrame):
    """What there is to do once, and how far it is. `wanted`: the user says to begin; `stopped`: to
    end; `office_wanted`: another computer serves."""

    wanted = pyqtSignal()
    stopped = pyqtSignal()
    office_wanted = pyqtSignal()

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self.setFrameShape(QFrame.Shape.StyledPanel)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 6, 8, 6)
        self.said = Wrapped()
        self.bar = QProgressBar()
        self.bar.setMaximumHeight(14)
        self.button = QPushButton(tr("Set up"))
        self.button.setDefault(True)
        self.more = QToolButton()
        self.more.setText("…")
        self.more.setToolTip(tr("Other ways to set it up"))
        self.more.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(self)
        self.from_index = menu.addAction(tr("From the internet (PyPI)"))
        self.from_folder = menu.addAction(tr("From a folder of wheels …"))
        self.from_zip = menu.addAction(tr("From a zip of wheels …"))
        self.office = menu.addAction(tr("Use an office server …"))
        self.more.setMenu(menu)
        row = QHBoxLayout()
        row.addWidget(self.button, 1)
        row.addWidget(self.more)
        for widget in (self.said, self.bar):
            column.addWidget(widget)
        column.addLayout(row)
        self.button.clicked.connect(self._pressed)
        self.from_index.triggered.connect(self._take_index)
        self.from_folder.triggered.connect(self._take_folder)
        self.from_zip.triggered.connect(self._take_zip)
        self.office.triggered.connect(self.office_wanted)
        self.going = False
        self.rest()

    def rest(self, error: str = "") -> None:
        """Nothing is set up yet, nothing goes on. `error`: why the last try ended."""
        self.going = False
        self.bar.hide()
        self.more.show()
        self.button.setText(tr("Set up"))
        text = error or tr(
            "Landbrush works on this computer. One-time setup: about {download} MB to fetch, "
            "{disk} MB on the disk.",
            download=DOWNLOAD_MB,
            disk=DISK_MB,
        )
        given = settings.get("server/wheels")
        if given and not error:
            text += " " + tr("From {path}.", path=given)
        self.from_index.setVisible(bool(given))
        self.said.setText(text)
        self.button.setToolTip(
            tr("Needs {needed} MB of free space while it is set up", needed=NEEDED_MB)
        )

    def go_on(self, text: str) -> None:
        """It is being set up."""
        if not self.going:
            self.going = True
            self.bar.setRange(0, 0)
            self.bar.show()
            self.more.hide()
            self.button.setText(tr("Stop"))
        self.said.setText(text)

    def show_progress(self, here: float, whole: float) -> None:
        """Bytes that are here, of all; 0 of 0: nobody knows."""
        self.bar.setRange(0, STEPS if whole else 0)
        if whole:
            self.bar.setValue(int(STEPS * here / whole))
            self.bar.setFormat(f"{here / 1e6:.0f} / {whole / 1e6:.0f} MB")

    def _pressed(self) -> None:
        (self.stopped if self.going else self.wanted).emit()

    def _take_index(self) -> None:
        settings.put("server/wheels", "")
        self.wanted.emit()

    def _take_folder(self) -> None:
        self._take(QFileDialog.getExistingDirectory(self, tr("Folder of wheels")))

    def _take_zip(self) -> None:
        self._take(QFileDialog.getOpenFileName(self, tr("Zip of wheels"), "", "*.zip")[0])

    def _take(self, path: str) -> None:
        if path:
            settings.put("server/wheels", path)
            self.wanted.emit()
