"""A Python of the server's own, where this computer has none that fits: uv fetches one of the
standalone builds (python-build-standalone), where the user has agreed."""

import os
import platform
import stat
import sys
import zipfile
from pathlib import Path
from typing import Any

from qgis.PyQt.QtCore import QObject, QProcess, pyqtSignal

from ..translated import tr
from . import installer
from .fetching import Answer, Download
from .wheels import INDEX, Wheel

UV = "0.13.9"
VERSION = "3.12"
FOLDER = "python"
SYSTEMS = {"linux": "manylinux", "darwin": "macosx", "win32": "win"}
MACHINES = {
    "x86_64": ("x86_64", "amd64"),
    "amd64": ("x86_64", "amd64"),
    "arm64": ("arm64", "aarch64"),
    "aarch64": ("arm64", "aarch64"),
}


def fits(file: str, system: str, machine: str) -> bool:
    """Whether uv's wheel of that name is for a system (sys.platform) and a processor."""
    name = file.lower()
    kinds = MACHINES.get(machine.lower(), ())
    return SYSTEMS.get(system, "?") in name and any(f"_{one}." in name for one in kinds)


class OwnPython(QObject):
    """Fetches it. `told(str)`: what is done now. `progressed(float, float)`: bytes here, and all.
    `ended(str, str)`: the program, or why there is none."""

    told = pyqtSignal(str)
    progressed = pyqtSignal(float, float)
    ended = pyqtSignal(str, str)

    def __init__(self, home: Path, parent=None) -> None:
        super().__init__(parent)
        self.home = home
        self.folder = home / FOLDER
        self.download: Any = None  # a Download, once one has begun
        self.process: QProcess = None  # until it is started
        self._stopped = False

    def start(self) -> None:
        """Ask the index for uv, which then fetches the Python; `ended` tells of the end."""
        self.told.emit(tr("Fetching a Python for the server …"))
        self.answer = Answer(f"{INDEX}/uv/{UV}/json", self)
        self.answer.came.connect(self._answered)

    def stop(self) -> None:
        """Stop; what is here stays."""
        self._stopped = True
        if self.download is not None:
            self.download.stop()
        if self.process is not None:
            self.process.kill()

    def _answered(self, answer, error: str) -> None:
        if self._stopped:
            return
        files = (answer or {}).get("urls", ())
        fitting = [one for one in files if fits(one["filename"], sys.platform, platform.machine())]
        if not fitting:
            self._fail(error or tr("there is none for this computer"))
            return
        one = fitting[0]
        wheel = Wheel(
            "uv", one["filename"], one["digests"]["sha256"], one["url"], one.get("size", 0)
        )
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.download = Download(wheel, self.folder, self)
            self.download.progressed.connect(
                lambda here: self.progressed.emit(here, float(wheel.size))
            )
            self.download.ended.connect(self._came)
            self.download.start()
        except OSError as problem:
            self._fail(str(problem))

    def _came(self, error: str) -> None:
        if self._stopped:
            return
        if error:
            self._fail(error)
            return
        program = self.folder / ("uv.exe" if os.name == "nt" else "uv")
        try:
            with zipfile.ZipFile(self.download.target) as wheel:
                name = next(n for n in wheel.namelist() if n.endswith(f"/scripts/{program.name}"))
                program.write_bytes(wheel.read(name))
            program.chmod(program.stat().st_mode | stat.S_IXUSR)
        except (OSError, StopIteration, zipfile.BadZipFile) as problem:
            self._fail(str(problem))
            return
        self.process = process = QProcess(self)
        environment = installer.setup_environment()
        environment.insert("UV_PYTHON_INSTALL_DIR", str(self.folder))
        process.setProcessEnvironment(environment)
        process.finished.connect(self._installed)
        process.errorOccurred.connect(self._not_started)
        self.progressed.emit(0.0, 0.0)
        process.start(str(program), ["python", "install", "--no-bin", VERSION])

    def _not_started(self, error) -> None:
        if error == QProcess.ProcessError.FailedToStart:
            self._fail(self.process.errorString())

    def _installed(self, code, *_) -> None:
        if self._stopped:
            return
        said = bytes(self.process.readAllStandardError()).decode("utf8", "replace")
        python = installer.python_in(self.folder)
        if code != 0 or python is None:
            self._fail(" ".join(said.split()[-30:]))
        else:
            self.ended.emit(python, "")

    def _fail(self, why: str) -> None:
        self.ended.emit(
            "",
            tr(
                "No Python 3.10 to 3.13 with its module venv was found, and none could be fetched "
                "({why}). Install Python (on Debian and Ubuntu also python3-venv), then press Set "
                "up again.",
                why=why,
            ),
        )
