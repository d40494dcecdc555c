"""What somebody who helps needs to know, in one text without names and folders of the user's."""

import getpass
import platform
import re
import sys
from pathlib import Path

from qgis.core import Qgis
from qgis.PyQt.QtCore import QT_VERSION_STR
from qgis.PyQt.QtWidgets import (
    QApplication,
    QDialog,
    QDialogButtonBox,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
)

from .. import settings
from ..local import installer
from ..local.setup import LOG
from ..translated import tr
from .wrapped import Wrapped

LAST_LINES = 40
ABOUT = Path(__file__).resolve().parents[2] / "metadata.txt"
FOLDERS = re.compile(
    r"(?<![\w:/.…])(?:file:/+)?(?:~|[A-Za-z]:)?[\\/]{1,2}(?:[^\\/:*?\"'<>|\n]+[\\/])*"
    r"(?P<name>[^\\/\s:\"'<>|,;)]+)"
)
"""An absolute path, and what it ends with."""
TECHNICAL = (".py", ".whl", ".so", ".pyd", ".dll", ".lock", ".log", ".txt", ".json")
CREDENTIALS = re.compile(r"//[^/@\s]+@")
SECRET = re.compile(r"(?i)((?:token|key|password|authorization)\W{1,3}(?:bearer\s+)?)\S+")


def anonymous(text: str) -> str:
    """A text without the user's folder, name and secrets."""
    text = CREDENTIALS.sub("//…@", text.replace(str(Path.home()), "~"))
    text = FOLDERS.sub(_last_part, text)
    try:
        name = getpass.getuser()
    except (OSError, KeyError, ImportError):
        name = ""
    if len(name) > 2:
        text = re.sub(rf"\b{re.escape(name)}\b", "USER", text)
    return SECRET.sub(r"\1…", text)


def _last_part(found) -> str:
    """A path's end: a name where it is one of a program's, else its kind alone."""
    name = found["name"].rstrip(".")
    end = found["name"][len(name) :]
    _, dot, kind = name.rpartition(".")
    if not dot or name.endswith(TECHNICAL) or name.startswith("python"):
        return f"…/{name}{end}"
    return f"…/FILE.{kind}{end}"


def version() -> str:
    """The plugin's version, as its metadata have it."""
    lines = ABOUT.read_text("utf8").splitlines()
    return next((line[8:] for line in lines if line.startswith("version=")), "?")


def last_lines(path: Path) -> str:
    """The end of a log; empty where there is none."""
    try:
        return "\n".join(path.read_text("utf8", "replace").splitlines()[-LAST_LINES:])
    except OSError:
        return ""


def report(server, health) -> str:
    """All that is told. `server`: a LocalServer. `health`: what the server says of itself; None:
    nothing."""
    local = settings.get("server/local")
    parts = [
        f"Landbrush {version()}",
        f"QGIS {Qgis.QGIS_VERSION}, Qt {QT_VERSION_STR}, Python {sys.version.split()[0]}",
        f"{platform.system()} {platform.release()} {platform.machine()}",
        f"server: {'on this computer, ' + server.state if local else 'an office server'}",
        f"environment: {installer.find_python() or 'none'}",
    ]
    for name, value in (health or {}).items():
        if name != "roots":  # folders of the user's
            parts.append(f"{name}: {value}")
    for title, text in (
        ("the server's last words", "\n".join(server.errors.splitlines()[-LAST_LINES:])),
        (LOG, last_lines(settings.home() / LOG)),
    ):
        if text.strip():
            parts += ["", f"--- {title}", text]
    return anonymous("\n".join(parts))


class Diagnostics(QDialog):
    """The text, to copy into a report."""

    def __init__(self, text, parent=None) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Landbrush: diagnostics"))
        self.resize(640, 480)
        column = QVBoxLayout(self)
        about = tr("For a report of a fault. It holds no name, folder, prompt or image of yours.")
        column.addWidget(Wrapped(about))
        self.text = QPlainTextEdit(text)
        self.text.setReadOnly(True)
        column.addWidget(self.text)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        self.copy = QPushButton(tr("Copy"))
        buttons.addButton(self.copy, QDialogButtonBox.ButtonRole.ActionRole)
        self.copy.clicked.connect(lambda: QApplication.clipboard().setText(self.text.toPlainText()))
        buttons.rejected.connect(self.reject)
        column.addWidget(buttons)
