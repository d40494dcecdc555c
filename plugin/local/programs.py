"""Programs that run one after the other as child processes, and what they say."""

from typing import Any, List

from qgis.PyQt.QtCore import QObject, QProcess, pyqtSignal

from .. import settings
from ..translated import tr
from . import installer

LAST_LINES = 3
LONGEST_SAID = 60
KILLED_MS = 2000
"""Within which a program that was killed is gone."""
TOLD = ("Collecting", "Downloading", "Installing", "Successfully")
"""Beginnings of what pip says that are shown."""


class Programs(QObject):
    """Steps of an installation. `told(str)`: what is done now. `noted(str)`: all that is said, for
    a log. `failed(str)`: a step that is needed failed, and why."""

    told = pyqtSignal(str)
    noted = pyqtSignal(str)
    failed = pyqtSignal(str)

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self.steps: List[installer.Step] = []
        self.process: QProcess = None  # until one is started
        self.output = self.errors = ""
        self._then: Any = None
        self._stopped = False

    def run(self, steps, then) -> None:
        """Run them, then call `then`."""
        self.steps = list(steps)
        self._then = then
        self._next()

    def stop(self) -> None:
        """End what runs, and begin nothing more."""
        self._stopped = True
        if self.process is not None and self.process.state() != QProcess.ProcessState.NotRunning:
            self.process.finished.disconnect()
            self.process.errorOccurred.disconnect()
            self.process.kill()
            self.process.waitForFinished(KILLED_MS)

    def _next(self) -> None:
        if self._stopped:
            return
        if not self.steps:
            self._then()
            return
        step = self.steps[0]
        self.told.emit(tr("Installing {title} …", title=step.title))
        self.output = self.errors = ""
        self.process = process = QProcess(self)
        process.setProcessEnvironment(installer.setup_environment())
        process.setWorkingDirectory(str(settings.home()))
        process.readyReadStandardOutput.connect(self._heard)
        process.readyReadStandardError.connect(self._heard_errors)
        process.finished.connect(self._ended)
        process.errorOccurred.connect(self._not_started)
        process.start(step.command[0], step.command[1:])

    def _heard(self) -> None:
        text = bytes(self.process.readAllStandardOutput()).decode("utf8", "replace")
        self.output += text
        self.noted.emit(text)
        lines = [line.strip() for line in text.splitlines() if line.startswith(TOLD)]
        if lines and self.steps:
            title = tr("Installing {title} …", title=self.steps[0].title)
            self.told.emit(f"{title} {lines[-1][:LONGEST_SAID]}")

    def _heard_errors(self) -> None:
        text = bytes(self.process.readAllStandardError()).decode("utf8", "replace")
        self.errors = (self.errors + text)[-20_000:]
        self.noted.emit(text)

    def _not_started(self, error) -> None:
        if error == QProcess.ProcessError.FailedToStart:
            self.failed.emit(
                tr(
                    "{program} could not be started: {errorString}",
                    program=self.process.program(),
                    errorString=self.process.errorString(),
                )
            )

    def _ended(self, code, *_) -> None:
        if self._stopped or not self.steps:
            return
        step = self.steps.pop(0)
        if code != 0 and step.needed:
            said = [line for line in self.errors.strip().splitlines() if line.strip()]
            self.failed.emit(tr("Installing failed: ") + " / ".join(said[-LAST_LINES:]))
            return
        self._next()
