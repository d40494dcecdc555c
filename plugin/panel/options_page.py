"""The plugin's page in QGIS's options."""

from qgis.gui import (
    QgsAuthConfigSelect,
    QgsFileWidget,
    QgsOptionsPageWidget,
    QgsOptionsWidgetFactory,
)
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMenu,
    QToolButton,
    QWidget,
)

from .. import servers, settings
from ..processing.provider import ICON
from ..translated import tr

MODEL_TITLES = {
    "image-text": tr("CLIP or RemoteCLIP (folder or file)"),
    "second-image-text": tr("Another one, to rank candidates"),
    "language": tr("Language model for paraphrases (folder)"),
    "endpoint": tr("or an OpenAI-compatible service (URL)"),
    "endpoint-model": tr("Model of the service"),
}


WORDS = ("endpoint", "endpoint-model")
"""Models that are no path."""
MODEL_FILES = "Models (*.safetensors *.pt *.pth *.bin)"


class PathField(QWidget):
    """A path to a file or to a folder: "…" offers both."""

    def __init__(self, files, parent=None) -> None:
        super().__init__(parent)
        self.files = files
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        self.line = QLineEdit()
        self.button = QToolButton()
        self.button.setText("…")
        self.button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(self.button)
        self.pick_file = menu.addAction(tr("File …"))
        self.pick_folder = menu.addAction(tr("Folder …"))
        self.pick_file.triggered.connect(self._file)
        self.pick_folder.triggered.connect(self._folder)
        self.button.setMenu(menu)
        row.addWidget(self.line, 1)
        row.addWidget(self.button)

    def text(self):
        """The path; empty for none."""
        return self.line.text()

    def setText(self, path) -> None:
        """Show this path in the line; an empty one clears it."""
        self.line.setText(path)

    def _file(self) -> None:
        found, _ = QFileDialog.getOpenFileName(self, tr("Choose a file"), self.text(), self.files)
        if found:
            self.setText(found)

    def _folder(self) -> None:
        found = QFileDialog.getExistingDirectory(self, tr("Choose a folder"), self.text())
        if found:
            self.setText(found)


PAGE = "LandbrushOptions"
"""The name by which QGIS finds the page."""


class LandbrushOptionsFactory(QgsOptionsWidgetFactory):
    """Makes the page under QGIS's *Settings > Options*."""

    def __init__(self) -> None:
        super().__init__("Landbrush", QIcon(ICON))

    def createWidget(self, parent):
        """A new page; QGIS owns it."""
        return LandbrushOptionsPage(parent)


class LandbrushOptionsPage(QgsOptionsPageWidget):
    """Server, folders and defaults."""

    applied = 0
    """How often a page was accepted."""

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self.setObjectName(PAGE)
        form = QFormLayout(self)
        self.local = QCheckBox(tr("Run the server on this machine"))
        self.local.setChecked(settings.get("server/local"))
        self.python = QgsFileWidget()
        self.python.setFilePath(settings.get("server/python"))
        self.package = PathField("Wheels (*.whl)")
        self.package.setText(settings.get("server/package"))
        self.wheels = PathField("*.zip")
        self.wheels.setText(settings.get("server/wheels"))
        self.home = QgsFileWidget()
        self.home.setStorageMode(QgsFileWidget.StorageMode.GetDirectory)
        self.home.setFilePath(settings.get("server/home"))
        named = self._names()
        self.url = QLineEdit(settings.get("server/url"))
        self.auth = QgsAuthConfigSelect()
        self.auth.setConfigId(settings.get("server/authcfg"))
        self.token = QLineEdit(settings.get("server/token"))
        self.token.setEchoMode(QLineEdit.EchoMode.Password)
        self.models = {}
        for kind in settings.MODELS:
            field = QLineEdit() if kind in WORDS else PathField(MODEL_FILES)
            field.setText(settings.get(f"models/{kind}"))
            self.models[kind] = field
        self.key = QgsAuthConfigSelect()
        self.key.setConfigId(settings.get("models/endpoint-authcfg"))
        self.output = QgsFileWidget()
        self.output.setStorageMode(QgsFileWidget.StorageMode.GetDirectory)
        self.output.setFilePath(settings.get("output/folder"))
        self.match = QCheckBox(tr("Match the edit's tone to its surroundings"))
        self.match.setChecked(settings.get("blend/radiometric_match"))
        form.addRow(self.local)
        form.addRow(tr("Python with the server (empty: found or installed)"), self.python)
        form.addRow(tr("Server package to install (empty: the plugin's own)"), self.package)
        form.addRow(tr("Wheels to set up from, folder or zip (empty: from PyPI)"), self.wheels)
        form.addRow(tr("Server's folder (empty: in the QGIS profile)"), self.home)
        form.addRow(QLabel(tr("Servers of the office, chosen in the panel by their names:")))
        form.addRow(tr("Name"), named)
        form.addRow(tr("Address"), self.url)
        form.addRow(tr("Token, kept by QGIS's authentication"), self.auth)
        form.addRow(tr("or plainly"), self.token)
        form.addRow(
            QLabel(
                tr("Models of yours, used from the server's next start (nothing is downloaded):")
            )
        )
        for kind, title in MODEL_TITLES.items():
            form.addRow(title, self.models[kind])
        form.addRow(tr("Key of the service"), self.key)
        form.addRow(tr("Results go to (empty: beside the project)"), self.output)
        form.addRow(self.match)

    def _names(self):
        """The row of the servers' names."""
        self.name = QComboBox()
        self.name.setEditable(True)
        self.name.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self.known = {profile.name: profile for profile in servers.profiles()}
        self.name.addItems(list(self.known))
        self.name.setCurrentText(settings.get("server/name"))
        self.name.editTextChanged.connect(self._show_profile)
        self.forget = QToolButton()
        self.forget.setText(tr("Remove"))
        self.forget.clicked.connect(self._forget_profile)
        named = QHBoxLayout()
        named.addWidget(self.name, 1)
        named.addWidget(self.forget)
        return named

    def _profile(self):
        """The server that the fields describe now, kept or not."""
        name, url = self.name.currentText().strip(), self.url.text().strip()
        return servers.Profile(name, url, self.auth.configId(), self.token.text().strip())

    def _show_profile(self, _) -> None:
        profile = self.known.get(self.name.currentText())
        if profile is not None:
            self.url.setText(profile.url)
            self.auth.setConfigId(profile.authcfg)
            self.token.setText(profile.token)

    def _forget_profile(self) -> None:
        """Take the one that is shown away, and show the next one or none."""
        name = self.name.currentText()
        self.known.pop(name, None)
        self.name.removeItem(max(self.name.findText(name), -1))
        left = next(iter(self.known), "")
        for field in (self.url, self.token):
            field.clear()
        self.auth.setConfigId("")
        self.name.setEditText(left)
        self._show_profile(left)

    def apply(self) -> None:
        """Called by QGIS when the user accepts."""
        LandbrushOptionsPage.applied += 1
        profile = self._profile()
        servers.use(profile)
        settings.put("server/local", self.local.isChecked())
        servers.keep([*self.known.values(), profile])
        settings.put("server/python", self.python.filePath())
        settings.put("server/package", self.package.text().strip())
        settings.put("server/wheels", self.wheels.text().strip())
        settings.put("server/home", self.home.filePath())
        for kind, field in self.models.items():
            settings.put(f"models/{kind}", field.text().strip())
        settings.put("models/endpoint-authcfg", self.key.configId())
        settings.put("output/folder", self.output.filePath())
        settings.put("blend/radiometric_match", self.match.isChecked())
