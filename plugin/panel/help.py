"""The guide and the tutorial, read without a network, and the sample that the tutorial goes by."""

from pathlib import Path

from qgis.core import QgsProject, QgsRasterLayer
from qgis.PyQt.QtCore import QSize, QUrl
from qgis.PyQt.QtGui import QDesktopServices, QImageReader, QTextDocument
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
        text = (DOCS / name).read_text("utf8")
        if hasattr(self, "setMarkdown"):
            self.setMarkdown(text)
        else:  # before Qt 5.14
            self.setPlainText(text)

    def loadResource(self, kind, url):
        """Called by Qt for each picture."""
        path = DOCS / Path(url.path()).name
        if int(kind) != IMAGE or not path.is_file():
            return super().loadResource(kind, url)
        reader = QImageReader(str(path))
        size = reader.size()
        if size.width() > WIDEST_PX:
            reader.setScaledSize(QSize(WIDEST_PX, size.height() * WIDEST_PX // size.width()))
        return reader.read()

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

    def __init__(self) -> None:
        super().__init__(tr("Landbrush: sample"))
        self.target = Path()  # until it is known where results go

    def work(self) -> None:
        """Write it where results go, unless it is there."""
        self.target = settings.output_folder() / SAMPLE
        if not self.target.is_file():
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
        task = SampleTask()
        self.sample.setEnabled(False)
        self.run(task, lambda well: self._written(task.target, well))

    def _written(self, target, well) -> None:
        self.sample.setEnabled(True)
        if not well:
            return
        project = QgsProject.instance()
        here = [one for one in project.mapLayers().values() if one.source() == str(target)]
        layer = here[0] if here else QgsRasterLayer(str(target), tr("Sample of Landbrush"))
        if layer.isValid():
            if not here:
                project.addMapLayer(layer)
            self.iface.setActiveLayer(layer)
            self.iface.zoomToActiveLayer()
