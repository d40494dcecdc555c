"""The Models page: which pretrained models the server has, and the ways to get one; a window of the
dock."""

from qgis.PyQt.QtCore import Qt, QTimer, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QFileDialog,
    QHBoxLayout,
    QInputDialog,
    QLabel,
    QLineEdit,
    QMessageBox,
    QProgressBar,
    QPushButton,
    QTextBrowser,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
)

from ...server.contract.models import MODEL_STATES, Model
from .. import settings
from ..told import told
from ..translated import tr

MISSING, INSTALLED, IN_USE, BUSY, FAILED = MODEL_STATES
STATES = {
    MISSING: tr("missing"),
    INSTALLED: tr("installed"),
    IN_USE: tr("in use"),
    FAILED: tr("failed"),
}
LOOK_EVERY_MS = 700
ROWS = (
    ("good_for", tr("Good for")),
    ("licence", tr("Licence")),
    ("restrictions", tr("Conditions")),
    ("source", tr("Published at")),
    ("base", tr("Built on")),
    ("memory", tr("Memory")),
    ("brought", tr("Brought")),
    ("missing", tr("Missing")),
)


class ModelsPage(QDialog):
    """A list of models, what is known of the chosen one, and buttons. `ask(title, call, on_answer,
    on_error)` talks to the server.

    Signals `changed()`: a model came or went, so that editors may have gained or lost one;
    `libraries_wanted()`: what such editors are computed with is to be installed.
    """

    changed = pyqtSignal()
    libraries_wanted = pyqtSignal()

    def __init__(self, ask, parent=None) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Landbrush: models"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, False)
        self.resize(760, 620)
        self.ask = ask
        self.models: dict[str, Model] = {}
        self.busy: set[str] = set()  # ids of models that something is done with
        column = QVBoxLayout(self)
        about = QLabel(
            tr(
                "Editors with a pretrained network need its files. Nothing is fetched by itself: "
                "import them from a folder or a zip, without any network, or download them. Only "
                "tensors (.safetensors) are read."
            )
        )
        about.setWordWrap(True)
        self.libraries = QPushButton(tr("Install what pretrained models need"))
        self.libraries.setToolTip(
            tr("PyTorch and its companions, 1 to 4 GB; editors without weights do without them")
        )
        self.libraries.hide()
        self.libraries.clicked.connect(self.libraries_wanted)
        self.tree = QTreeWidget()
        self.tree.setHeaderLabels([tr("Model"), tr("Editor"), tr("State")])
        self.tree.setRootIsDecorated(False)
        self.tree.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.tree.setColumnWidth(0, 300)
        self.tree.setColumnWidth(1, 180)
        self.details = QTextBrowser()
        self.details.setOpenExternalLinks(True)
        self.bar = QProgressBar()
        self.bar.hide()
        self.message = QLabel()
        self.message.setWordWrap(True)
        for widget, stretch in (
            (about, 0),
            (self.libraries, 0),
            (self.tree, 3),
            (self.details, 2),
            (self.bar, 0),
            (self.message, 0),
        ):
            column.addWidget(widget, stretch)
        column.addLayout(self._buttons())
        self.timer = QTimer(self)
        self.timer.setInterval(LOOK_EVERY_MS)
        self.timer.setSingleShot(True)  # asked again once the last answer is here
        self.timer.timeout.connect(self.look)
        self.tree.currentItemChanged.connect(self._show_details)
        self._show_details()

    def _buttons(self):
        row = QHBoxLayout()
        self.import_folder = QPushButton(tr("Import folder …"))
        self.import_zip = QPushButton(tr("Import zip …"))
        self.download = QPushButton(tr("Download …"))
        self.verify = QPushButton(tr("Verify"))
        self.remove = QPushButton(tr("Remove"))
        self.stop = QPushButton(tr("Stop"))
        for button, act in (
            (self.import_folder, self._import_folder),
            (self.import_zip, self._import_zip),
            (self.download, self._download),
            (self.verify, lambda: self._act("verify")),
            (self.remove, self._remove),
            (self.stop, lambda: self._act("stop")),
        ):
            button.clicked.connect(act)
            row.addWidget(button)
        return row

    # ---- what is shown

    def _show_libraries(self, told) -> None:
        versions = (told.get("health") or {}).get("versions") or {}
        self.libraries.setVisible(versions.get("torch") == "not installed")

    def look(self) -> None:
        """Ask the server how its models are, and whether it has what computes them."""
        if settings.get("server/local"):
            self.ask("Landbrush: libraries", lambda client: client.health(), self._show_libraries)
        self.ask(
            "Landbrush: models", lambda client: client.models(), self.show_models, self._no_answer
        )

    def _no_answer(self, error) -> None:
        self.timer.stop()
        self.message.setText(error.message)

    def show_models(self, models) -> None:
        """Fill the list; goes on looking while something is under way."""
        chosen = self.chosen().id if self.chosen() else ""
        was_busy = self.busy
        self.models = {model.id: model for model in models}
        self.busy = {model.id for model in models if model.state == BUSY}
        self.tree.blockSignals(True)
        self.tree.clear()
        for model in models:
            item = QTreeWidgetItem([model.title, _used_for(model), self._state(model)])
            item.setData(0, Qt.ItemDataRole.UserRole, model.id)
            font = item.font(0)
            font.setBold(model.state in (INSTALLED, IN_USE))
            item.setFont(0, font)
            self.tree.addTopLevelItem(item)
            if model.id == chosen:
                self.tree.setCurrentItem(item)
        self.tree.blockSignals(False)
        self._show_details()
        if self.busy:
            self.timer.start()
        else:
            self.timer.stop()
        if was_busy - self.busy:
            self.changed.emit()

    def _state(self, model):
        return (
            f"{model.progress} %" if model.state == BUSY else STATES.get(model.state, model.state)
        )

    def chosen(self):
        """The model of the chosen row."""
        item = self.tree.currentItem()
        return self.models.get(item.data(0, Qt.ItemDataRole.UserRole)) if item is not None else None

    def choose(self, model_id) -> None:
        """Choose a row by the model's name."""
        for row in range(self.tree.topLevelItemCount()):
            if self.tree.topLevelItem(row).data(0, Qt.ItemDataRole.UserRole) == model_id:
                self.tree.setCurrentItem(self.tree.topLevelItem(row))

    def _show_details(self, *_) -> None:
        model = self.chosen()
        there = bool(model and model.state in (INSTALLED, IN_USE, FAILED))
        busy = bool(model and model.state == BUSY)
        for button in (self.import_folder, self.import_zip, self.download):
            button.setEnabled(bool(model) and not busy)
        self.verify.setEnabled(there)
        self.remove.setEnabled(there)
        self.stop.setEnabled(busy)
        self.bar.setVisible(busy)
        self.bar.setValue(model.progress if model else 0)
        self.message.setText(told(model.message) if model else tr("Choose a model."))
        self.details.setHtml(
            "".join(
                f"<p><b>{title}:</b> {_plain(told(model.about[key]))}</p>"
                for key, title in ROWS
                if model and model.about.get(key)
            )
        )

    # ---- what is done

    def _import_folder(self) -> None:
        self.bring(
            "import",
            QFileDialog.getExistingDirectory(self, tr("Folder with the model's files"))
            if settings.get("server/local")
            else self._path_there(),
        )

    def _import_zip(self) -> None:
        self.bring(
            "import",
            QFileDialog.getOpenFileName(
                self, tr("Zip or adapter file"), "", tr("Models (*.zip *.safetensors)")
            )[0]
            if settings.get("server/local")
            else self._path_there(),
        )

    def _path_there(self):
        """A path on the machine of a server elsewhere, which no file dialog here can see."""
        path, given = QInputDialog.getText(
            self,
            tr("Path"),
            tr("Folder or zip on the server's machine, below a folder it may read:"),
        )
        return path.strip() if given else ""

    def _download(self) -> None:
        model = self.chosen()
        revision = ""
        given = True
        if model and len(model.about.get("source", "").split()) < 2:
            revision, given = QInputDialog.getText(
                self,
                tr("Which commit?"),
                tr(
                    "This model is not pinned to a revision. Look at its page, and name the commit "
                    "that you trust (40 digits); leave it empty to be told the newest:"
                ),
                QLineEdit.EchoMode.Normal,
            )
        if given:
            self.bring("download", revision=revision.strip())

    def bring(self, action, path: str = "", revision: str = "") -> None:
        """Import or download the chosen model, once its licence is accepted."""
        model = self.chosen()
        if model is None or (action == "import" and not path):
            return
        if model.about.get("asks") and not self.accepts(model):
            self.message.setText(tr("The licence was not accepted; nothing was fetched."))
            return
        self._act(action, path=path, revision=revision, accept_licence=True)

    def accepts(self, model):
        """Ask the user for the licence."""
        text = tr(
            "{title} is under: {licence}.\n\n{conditions}\n\nRead it at its source ({source}). "
            "Do you accept it?",
            title=model.title,
            licence=model.about.get("licence"),
            conditions=model.about.get("restrictions", ""),
            source=model.about.get("source", ""),
        )
        answer = QMessageBox.question(self, tr("Licence"), text)
        return answer == QMessageBox.StandardButton.Yes

    def _remove(self) -> None:
        model = self.chosen()
        question = tr("Delete the files of {title} from the server's machine?", title=model.title)
        if QMessageBox.question(self, tr("Remove"), question) == QMessageBox.StandardButton.Yes:
            self._act("remove")

    def _act(self, action, **more) -> None:
        model = self.chosen()
        if model is not None:
            wanted = Model(model.id, action=action, **more)
            self.busy = self.busy | {model.id}
            self.ask(
                f"Landbrush: {action} {model.title}",
                lambda client: client.model_action(wanted),
                lambda _: self.look(),
                self._no_answer,
            )


def _used_for(model):
    if model.outlines:
        return tr("outlines what is clicked")
    return ", ".join(model.editors) or tr("base of others")


def _plain(text):
    """Text for HTML, its addresses as links."""
    text = str(text).replace("&", "&amp;").replace("<", "&lt;")
    name = text.split()[0] if text.count("/") == 1 and " " not in text.split("/")[0] else ""
    return f'<a href="https://huggingface.co/{name}">{text}</a>' if name else text
