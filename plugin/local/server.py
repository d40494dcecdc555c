"""The server on this machine: found, installed, started and stopped as a child process.

It runs in its own Python environment, never in QGIS's. LocalServer, which the
panel uses, is all signals and waits only when QGIS closes; BlockingServer is for
scripts and Processing's threads.
"""

import contextlib
import json
import os
from pathlib import Path
from typing import NamedTuple, Optional

from qgis.PyQt.QtCore import QObject, QProcess, QTimer, pyqtSignal

from ...server.contract.routes import USERS
from .. import settings
from ..errors import PluginError
from ..translated import tr
from . import installer
from .setup import SMALL, Setup

STOPPED = "stopped"
INSTALLING = "installing"
STARTING = "starting"
RUNNING = "running"
FAILED = "failed"
INSTALLED = "Installed"
START_TIMEOUT_MS = 120_000
STOP_TIMEOUT_MS = 3000


def serving_environment():
    """The same, with whose server it is, and the key of the endpoint that writes paraphrases, which
    nothing but the server gets."""
    found = installer.child_environment()
    found.insert("LANDBRUSH_OWNER", str(os.getpid()))
    if settings.get("models/endpoint-authcfg"):
        found.insert("LANDBRUSH_ENDPOINT_KEY", settings.endpoint_key())
    return found


def serve_arguments():
    """Arguments of the server: any free port, this user's files readable by path."""
    models = [
        part for kind, value in settings.models().items() for part in ("--model", f"{kind}={value}")
    ]
    return [
        "-m",
        "landbrush.server",
        "serve",
        "--port",
        "0",
        "--home",
        str(settings.home()),
        "--root",
        installer.ROOT.anchor,
        *models,
    ]


class Address(NamedTuple):
    """Where a server answers. `owner`: id of the process that started it for itself; 0: none did,
    it runs until somebody ends it."""

    url: str
    token: str
    owner: int


def read_address(text) -> Optional[Address]:
    """The address from what the server prints when it is ready; None before."""
    for line in text.splitlines():
        try:
            data = json.loads(line)
            token = Path(data["token_file"]).read_text("ascii").strip()
            return Address(data["url"], token, int(data.get("owner") or 0))
        except (ValueError, KeyError, TypeError, OSError):
            continue
    return None


class LocalServer(QObject):
    """State machine of the child process: `changed(state, text)` tells each step;
    `progressed(here, all)` bytes, while it is set up."""

    changed = pyqtSignal(str, str)
    progressed = pyqtSignal(float, float)

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self.state = STOPPED
        self.url = ""
        self.token: Optional[str] = None  # until the server tells it
        self.process: QProcess = None  # until one is started
        self.address: Optional[Address] = None  # once a server answers
        self.output = ""
        self.errors = ""
        self.setup: Optional[Setup] = None  # while the server is set up
        self.lacks_python = False  # the last setup ended for that
        self.had_one = False  # a server ran before the setup

    def _set(self, state, text: str = "") -> None:
        self.state = state
        self.changed.emit(state, text)

    def start(self) -> None:
        """Start the server; if its environment is missing, say so."""
        if self.state in (STARTING, RUNNING, INSTALLING):
            return
        python = installer.find_python()
        if python is None:
            self._set(
                FAILED,
                tr(
                    "The server is not installed yet. Press 'Set up', or name a Python "
                    "that has it in the settings."
                ),
            )
            return
        self.output = self.errors = ""
        self._set(STARTING, tr("Starting the server ..."))
        self._launch(str(python), serve_arguments(), self._server_ended, serving_environment())

    def _launch(self, program, arguments, on_end, environment=None) -> None:
        process = QProcess(self)
        process.setProcessEnvironment(environment or installer.child_environment())
        process.setWorkingDirectory(str(Path.home()))
        process.readyReadStandardOutput.connect(self._read_output)
        process.readyReadStandardError.connect(self._read_errors)
        process.finished.connect(on_end)
        process.errorOccurred.connect(self._could_not_start)
        self.process = process
        process.start(program, arguments)

    def _read_output(self) -> None:
        self.output += bytes(self.process.readAllStandardOutput()).decode("utf8", "replace")
        if self.state == STARTING:
            address = read_address(self.output)
            if address:
                self.address = address
                self.url, self.token = address.url, address.token
                self._set(RUNNING, tr("Server at {url}", url=self.url))

    def _read_errors(self) -> None:
        self.errors = (
            self.errors + bytes(self.process.readAllStandardError()).decode("utf8", "replace")
        )[-20_000:]

    def _could_not_start(self, error) -> None:
        if error == QProcess.ProcessError.FailedToStart:
            self._set(
                FAILED,
                tr(
                    "{program} could not be started: {errorString}",
                    program=self.process.program(),
                    errorString=self.process.errorString(),
                ),
            )

    def _server_ended(self, *_) -> None:
        if self.state == RUNNING and "is in use by a running server" in self.errors:
            return  # another QGIS runs it; its address was read
        if self.state in (STARTING, RUNNING):
            last = [line for line in self.errors.strip().splitlines() if line.strip()][-3:]
            self._set(FAILED, tr("The server stopped: ") + (" / ".join(last) or tr("no message")))

    def lost(self) -> None:
        """The server did not answer although it should run: another QGIS that owned it may have
        closed it."""
        if self.is_adopted:
            self._set(FAILED, tr("The server is gone. Start it again."))

    @property
    def is_adopted(self) -> bool:
        """Whether the server that is used was started by somebody else."""
        if self.state != RUNNING or self.address is None:
            return False
        runs = self.process and self.process.state() != QProcess.ProcessState.NotRunning
        return self.address.owner != os.getpid() or not runs

    def stop(self, closing: bool = False) -> None:
        """Ask the child to end, and end it if it does not. `closing`: at once, since nobody will be
        there to look. A server that somebody else started is left: it ends by itself when nobody
        uses it any more."""
        said = self._leave() if self.is_adopted else tr("Server stopped")
        process = self.process
        self.process = self.address = None
        if self.setup is not None:
            self.setup.stop()
            self.setup = None
        self.state = STOPPED
        if process is not None and process.state() != QProcess.ProcessState.NotRunning:
            process.readyReadStandardOutput.disconnect()
            process.readyReadStandardError.disconnect()
            process.finished.disconnect()
            process.errorOccurred.disconnect()
            if closing:
                # Jobs are durable, so that nothing is lost by it.
                process.kill()
                process.waitForFinished(1000)
            else:
                process.finished.connect(process.deleteLater)
                process.terminate()
                timer = QTimer(
                    process
                )  # goes with the process, so that it never kills what has ended
                timer.setSingleShot(True)
                timer.timeout.connect(process.kill)
                timer.start(STOP_TIMEOUT_MS)
        self._set(STOPPED, said)

    def _leave(self) -> str:
        """Use a server that somebody else started no more; says what becomes of it."""
        if self.address is not None and self.address.owner == 0:
            return tr("Left; the server goes on until somebody ends it.")
        if self.address is not None and self.address.owner != os.getpid():  # not Processing's
            with contextlib.suppress(OSError):
                (settings.home() / USERS / str(os.getpid())).unlink()
        return tr("Left; the server ends when no QGIS uses it any more.")

    def install(self, size: str = SMALL, own_python: bool = False) -> None:
        """Set the server up on this computer (see setup.Setup), then start it."""
        if self.state == INSTALLING:
            return
        if self.is_adopted:
            self._set(RUNNING, tr("The server belongs to another QGIS. Set it up there."))
            return
        self.had_one = self.state in (STARTING, RUNNING)
        if self.had_one:
            self.stop()  # its libraries are about to change
        self.setup = setup = Setup(size, own_python, self)
        setup.told.connect(lambda text: self._set(INSTALLING, text))
        setup.progressed.connect(self.progressed)
        setup.ended.connect(self._set_up)
        setup.start()

    def _set_up(self, error: str) -> None:
        self.lacks_python = self.setup is not None and self.setup.lacks_python
        self.setup = None
        if error:
            self._set(FAILED, error)
            if self.had_one:
                self.start()  # as it was
            return
        self._set(STOPPED, INSTALLED)
        self.start()


class BlockingServer:
    """The local server for a script or Processing: started on entry if none runs, stopped on
    exit."""

    def __init__(self, is_cancelled=lambda: False) -> None:
        self.is_cancelled = is_cancelled
        self.process: Optional[QProcess] = None

    def __enter__(self):
        """Start a server and wait until it listens; returns its (url, token), raises
        PluginError."""
        python = installer.find_python()
        if python is None:
            raise PluginError(
                tr(
                    "The Landbrush server is not installed. Open the Landbrush panel and press "
                    "'Set up'."
                )
            )
        self.process = process = QProcess()
        environment = serving_environment()
        # What would be made ready for a second edit only keeps the one edit waiting.
        environment.insert("LANDBRUSH_COLD", "1")
        process.setProcessEnvironment(environment)
        process.setStandardErrorFile(QProcess.nullDevice())
        process.start(str(python), serve_arguments())
        text = ""
        waited = 0
        while waited < START_TIMEOUT_MS and not self.is_cancelled():
            process.waitForReadyRead(250)
            waited += 250
            text += bytes(process.readAllStandardOutput()).decode("utf8", "replace")
            address = read_address(text)
            if address:
                return address.url, address.token
            if process.state() == QProcess.ProcessState.NotRunning:
                break
        self.__exit__()
        raise PluginError(tr("The Landbrush server did not start."), text[-500:])

    def __exit__(self, *_) -> None:
        """Stop what was started here."""
        if self.process is not None and self.process.state() != QProcess.ProcessState.NotRunning:
            self.process.terminate()
            if not self.process.waitForFinished(2000):
                self.process.kill()
                self.process.waitForFinished(2000)
