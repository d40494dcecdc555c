"""A command of the server's program, run to its end: what needs no server."""

from pathlib import Path

from qgis.PyQt.QtCore import QProcess

from ..errors import Cancelled, PluginError
from ..translated import tr
from . import installer

POLL_MS = 200
USAGE = 2
"""Exit status of a command that is not understood."""
SAYS = "landbrush-server: "
"""Before the sentence with which a command fails."""


def run_command(arguments, feedback):
    """What `landbrush-server ARGUMENTS` prints; in a worker thread, in a process of its own that
    ends when `feedback` is cancelled. Raises PluginError with its sentence, Cancelled."""
    python = installer.find_python()
    if python is None:
        raise PluginError(
            tr(
                "This is done on this computer: press 'Set up' in the panel first, or name a "
                "Python that has the server in the settings."
            )
        )
    running = QProcess()
    environment = installer.child_environment()
    environment.insert("PYTHONUTF8", "1")
    running.setProcessEnvironment(environment)
    running.setWorkingDirectory(str(Path.home()))
    running.start(str(python), ["-m", "landbrush.server", *arguments])
    if not running.waitForStarted(-1):
        raise PluginError(
            tr(
                "{program} could not be started: {errorString}",
                program=python,
                errorString=running.errorString(),
            )
        )
    while not running.waitForFinished(POLL_MS):
        if running.state() == QProcess.ProcessState.NotRunning:
            break
        if feedback.isCanceled():
            running.terminate()
            if not running.waitForFinished(10 * POLL_MS):
                running.kill()
                running.waitForFinished(-1)
            raise Cancelled
    errors = bytes(running.readAllStandardError()).decode("utf8", "replace")
    if running.exitStatus() != QProcess.ExitStatus.NormalExit or running.exitCode():
        if running.exitCode() == USAGE:  # an older one does not know the command
            said = tr("The server on this computer is older than the plugin: press 'Set up' again.")
        else:
            lines = errors.rpartition(SAYS)[2].strip().splitlines()
            said = lines[-1] if lines else running.errorString()
        raise PluginError(said, errors)
    return bytes(running.readAllStandardOutput()).decode("utf8", "replace")
