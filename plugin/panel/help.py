"""The guide and the tutorial, read without a network, and the sample that the tutorial goes by."""

from pathlib import Path

from qgis.core import QgsProject, QgsRasterLayer
from qgis.PyQt.QtCore import QUrl
from qgis.PyQt.QtGui import QDesktopServices, QImage, QTextDocument
from qgis.PyQt.QtWidgets import QDialog, QDialogButtonBox, QTextBrowser, QVBoxLayout

from .. import settings
from ..local.command import run_command
from ..local.installer import ROOT
from ..tasks.task import BackgroundTask
from ..translated import tr

DOCS = ROOT / "docs"
TUTORIAL, GUIDE = "tutorial.md", "guide.md"
ONLINE = "https://github.com/landbrush/landbrush/blob/main/docs/"
SAMPLE = "landbrush-sample.tif"
WIDEST_PX = 620
_IMAGE = QTextDocument.ResourceType.ImageResource
IMAGE = int(getattr(_IMAGE, "value", _IMAGE))
"""An int on Qt 5, an enum whose value counts on Qt 6."""


class Page(QTextBrowser):
    """A page of the guide; pictures as wide as the window at most."""

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self.setOpenLinks(False)
        self.anchorClicked.connect(self._follow)
        self.shown = ""

    def show_page(self, name: str) -> None:
        """Show a file of the folder docs."""
        self.shown = name
        self.document().setBaseUrl(QUrl.fromLocalFile(f"{DOCS}/"))
        self.setMarkdown((DOCS / name).read_text("utf8"))

    def loadResource(self, kind, url):
        """Called by Qt for each picture."""
        path = DOCS / Path(url.path()).name
        if int(kind) != IMAGE or not path.is_file():
            return super().loadResource(kind, url)
        image = QImage(str(path))
        return image if image.width() <= WIDEST_PX else image.scaledToWidth(WIDEST_PX)

    def _follow(self, url) -> None:
        name = Path(url.path()).name
        if url.scheme() in ("http", "https"):
            QDesktopServices.openUrl(url)
        elif (DOCS / name).is_file() and name.endswith(".md"):
            self.show_page(name)
        else:
            QDesktopServices.openUrl(QUrl(ONLINE + name))


class SampleTask(BackgroundTask):
    """Writes the sample. Signal `ended(task)`; then `error` may be set."""

    def __init__(self, target: Path) -> None:
        super().__init__(tr("Landbrush: sample"))
        self.target = target

    def work(self) -> None:
        """Write it where it is not there yet."""
        if not self.target.is_file():
            self.target.parent.mkdir(parents=True, exist_ok=True)
            run_command(["library", "sample", str(self.target)], self.feedback)


class Help(QDialog):
    """The window of the guide. `iface`: of QGIS. `run(task, then)`: runs a task, says what went
    wrong, and calls `then(whether it did)`."""

    def __init__(self, iface, run, parent=None) -> None:
        super().__init__(parent)
        self.iface = iface
        self.run = run
        self.setWindowTitle(tr("Landbrush: help"))
        self.resize(720, 640)
        self.page = Page(self)
        self.page.setAccessibleName(tr("Guide"))
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close, self)
        role = QDialogButtonBox.ButtonRole.ActionRole
        self.sample = buttons.addButton(tr("Add the sample"), role)
        self.tutorial = buttons.addButton(tr("Tutorial"), role)
        self.guide = buttons.addButton(tr("Guide"), role)
        buttons.rejected.connect(self.close)
        self.sample.clicked.connect(self.add_sample)
        self.tutorial.clicked.connect(lambda: self.page.show_page(TUTORIAL))
        self.guide.clicked.connect(lambda: self.page.show_page(GUIDE))
        layout = QVBoxLayout(self)
        layout.addWidget(self.page)
        layout.addWidget(buttons)
        self.page.show_page(TUTORIAL)

    def add_sample(self) -> None:
        """Write the sample in the background, and add it as a layer that the panel edits."""
        task = SampleTask(settings.output_folder() / SAMPLE)
        self.sample.setEnabled(False)
        self.run(task, lambda well: self._written(task.target, well))

    def _written(self, target, well) -> None:
        self.sample.setEnabled(True)
        if well:
            layer = QgsRasterLayer(str(target), tr("Sample of Landbrush"))
            QgsProject.instance().addMapLayer(layer)
            self.iface.setActiveLayer(layer)
            self.iface.zoomToActiveLayer()
