"""The environment that the server runs in: where it is, and the commands that make it."""

import hashlib
import json
import os
import shutil
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import List
from urllib.parse import quote

from qgis.core import QgsNetworkAccessManager
from qgis.PyQt.QtCore import QProcess, QProcessEnvironment
from qgis.PyQt.QtNetwork import QNetworkProxy

from .. import settings
from ..errors import PluginError
from ..translated import tr

INCOMPLETE = "incomplete"
ROOT = Path(__file__).resolve().parents[2]


PYTHONS = ((3, 10), (3, 13))


def environment_folder():
    """Where the plugin makes the server's environment."""
    return settings.home() / "environment"


def sweep():
    """Delete half-made environments that were put away and could not be deleted in time."""
    folder = environment_folder()
    for old in folder.parent.glob(f"{folder.name}.*.old"):
        threading.Thread(target=shutil.rmtree, args=(old, True), daemon=True).start()


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


def base_python(home=None):
    """A plain Python to make the environment with; one that was fetched into a home counts too."""
    names = ("python3.12", "python3.11", "python3.13", "python3.10", "python3", "python")
    found = [shutil.which(name) for name in names]
    found.append(sys.executable if "python" in Path(sys.executable).name else None)
    if home is not None:
        found.append(python_in(home / "python"))
    return next((f for f in found if f and _fits(f)), None)


def python_in(folder):
    """The program of a standalone build of Python below a folder; None where there is none."""
    name = "python.exe" if os.name == "nt" else "bin/python3"
    found = sorted(folder.glob(f"cpython-*/{name}"))
    return str(found[0]) if found else None


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
            tr(
                "{path} is not the server that was packed with this plugin. Install the "
                "plugin again.",
                path=path,
            ),
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
        return package
    if (ROOT / "pyproject.toml").exists():
        return str(ROOT)
    shipped = shipped_wheel()
    return shipped and f"landbrush @ {shipped[0].as_uri()}#sha256={shipped[1]}"


LOOPBACK = ("localhost", "127.0.0.1")


@dataclass
class Step:
    """One command of an installation. `title`: for the user. `command`: program and arguments.
    `needed`: whether the installation ends where this one fails."""

    title: str
    command: List[str]
    needed: bool = True


def lock():
    """The locked list of what the server needs that came with this plugin; None where another
    package is named, or in a checkout."""
    path = ROOT / "resources" / "server" / "requirements-core.lock"
    ours = shipped_wheel() is not None and not Path(settings.get("server/package") or "?").exists()
    return path if ours and path.is_file() else None


def _pip(*arguments):
    python = str(python_of(environment_folder()))
    return [python, "-m", "pip", "--disable-pip-version-check", *arguments]


def package_step(package):
    """The step that installs a package of the server with what it needs, as pip finds it."""
    return Step(tr("the server and its libraries"), _pip("install", package))


def locked_steps(path, package):
    """Steps that have pip fetch what a locked list names, then install the server."""
    listed = ("--require-hashes", "--no-deps", "--no-compile", "-r", str(path))
    return [
        Step(tr("the libraries"), _pip("install", *listed)),
        Step(tr("the server"), _pip("install", "--no-deps", package)),
        tidy_step(),
    ]


TIDY = (
    "import pathlib, shutil, sysconfig; "
    "scipy = pathlib.Path(sysconfig.get_path('purelib'), 'scipy'); "
    "[shutil.rmtree(tests) for tests in list(scipy.rglob('tests'))]"
)
"""Deletes a library's own tests, which nothing here runs: they are a twentieth of the whole."""


def tidy_step():
    """The step that deletes what is never used."""
    return Step(tr("tidying up"), [str(python_of(environment_folder())), "-c", TIDY], needed=False)


def fetched_steps(listed, package):
    """Steps that install the files of a list, and the server, without any network."""
    files = ("--no-index", "--require-hashes", "--no-deps", "--no-compile", "-r", str(listed))
    return [
        Step(tr("the libraries"), _pip("install", *files)),
        Step(tr("the server"), _pip("install", "--no-index", "--no-deps", package)),
        tidy_step(),
    ]


def proxy():
    """The proxy that QGIS is told to use, as an address; empty where there is none."""
    found = QgsNetworkAccessManager.instance().fallbackProxy()
    if found.type() != QNetworkProxy.ProxyType.HttpProxy or not found.hostName():
        return ""  # pip knows no other kind
    user = f"{quote(found.user(), '')}:{quote(found.password(), '')}@" if found.user() else ""
    return f"http://{user}{found.hostName()}:{found.port()}"


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
        # Where pip of another environment puts things; its index and proxy stay.
        "PIP_USER",
        "PIP_TARGET",
        "PIP_PREFIX",
        "PIP_ROOT",
        "PIP_REQUIRE_VIRTUALENV",
    ):
        found.remove(name)
    found.insert("HF_HUB_OFFLINE", "1")
    found.insert("PYTHONUNBUFFERED", "1")
    found.insert("PYTHONSAFEPATH", "1")  # nothing of the folder it is started in
    return found


def setup_environment():
    """The same for what fetches libraries: with the proxy that QGIS uses."""
    found = child_environment()
    through = proxy()
    if through:
        manager = QgsNetworkAccessManager.instance()
        direct = ",".join([*manager.excludeList(), *manager.noProxyList(), *LOOPBACK])
        for name, value in (
            ("HTTP_PROXY", through),
            ("HTTPS_PROXY", through),
            ("NO_PROXY", direct),
        ):
            found.insert(name, value)
            found.insert(name.lower(), value)
    return found
