"""Setting up the server on this computer: a state machine that goes on where it was stopped.

Small: what every editor without weights needs, in tested versions, each file checked by its hash.
Large: in addition what networks of the user's need. Nothing here waits: programs run as child
processes, files come over QGIS's network manager.
"""

import json
import shutil
import sys
import threading
import uuid
from dataclasses import replace
from pathlib import Path
from typing import List, Optional

from qgis.PyQt.QtCore import QLockFile, QObject, pyqtSignal

from .. import settings
from ..errors import PluginError
from ..translated import tr
from . import installer, pretrained
from .aside import Aside
from .fetching import Answer, Download
from .programs import Programs
from .python import OwnPython
from .wheels import Wanted, Wheel, of_folder, of_index, unpacked

SMALL, LARGE = "small", "large"
NEEDED_MB = 900
"""Free space on the disk below which a small setup is not begun."""
CHOOSING = Path(__file__).with_name("choosing.py")
LOG = "setup.log"
FETCHED = "wheels"
LOADED = "landbrush.server.workers.tasks"
"""The module that loads all of the server that an edit uses."""


class Setup(QObject):
    """One setup.

    `own_python`: whether the user agrees that a Python is fetched where this computer has none;
    `lacks_python`: whether it ended for that. Signals: `told(str)`: what is done now.
    `progressed(float, float)`: bytes that are here, and all; all 0: nobody knows. `ended(str)`:
    empty, or why it did not succeed.
    """

    told = pyqtSignal(str)
    progressed = pyqtSignal(float, float)
    ended = pyqtSignal(str)

    def __init__(self, size: str = SMALL, own_python: bool = False, parent=None) -> None:
        super().__init__(parent)
        self.size = size
        self.own_python = own_python
        self.lacks_python = False
        self.home = settings.home()
        self.folder = installer.environment_folder()
        self.package = ""
        self.lock: Optional[Path] = None
        self.programs = Programs(self)
        self.programs.told.connect(self._tell)
        self.programs.noted.connect(self._note)
        self.programs.failed.connect(self._failed)
        self.wanted: List[Wanted] = []
        self.chosen: List[Wheel] = []
        self.tags: List[str] = []
        self.download: Optional[Download] = None
        self.own: Optional[OwnPython] = None
        self.beside: Optional[Path] = None
        """The folder into which libraries are added; None: not begun."""
        self._unreached = ""  # why the index did not answer
        self.id = uuid.uuid4().hex
        self.alone = QLockFile(str(self.home / "setup.lock"))
        self.alone.setStaleLockTime(0)  # by its process alone
        self._over = False

    @property
    def marker(self) -> Path:
        """There while an environment is half made."""
        return self.folder.with_suffix(f".{installer.INCOMPLETE}")

    @property
    def log(self) -> Path:
        """What was done, and what programs said."""
        return self.home / LOG

    # ---- what the panel calls

    def start(self) -> None:
        """Begin, or go on."""
        try:
            self.home.mkdir(parents=True, exist_ok=True)
            if not self.alone.tryLock(0):
                self._over = True  # nothing of the other's is touched
                self.ended.emit(
                    tr("The server is being set up in another QGIS. Wait until that has ended.")
                )
                return
            installer.sweep()
            self.log.write_text(f"{sys.version}\n{sys.platform}\n", "utf8")
            free = shutil.disk_usage(self.home).free // 1_000_000
        except OSError as error:
            self._end(
                tr("{home} cannot be used: {error}", home=self.home, error=error.strerror or error)
            )
            return
        needed = NEEDED_MB if self.size == SMALL else pretrained.needed_mb()
        if free < needed:
            self._end(
                tr(
                    "The disk of {home} has {free} MB free; {needed} MB are needed. Make room, or "
                    "choose another folder in the settings (Landbrush > Server's folder).",
                    home=self.home,
                    free=free,
                    needed=needed,
                )
            )
            return
        if self.size == LARGE:
            self._add_pretrained()
            return
        try:
            self.package = installer.requirement()
            self.lock = installer.lock()
        except PluginError as error:
            self._end(error.message)
            return
        if not self.package:
            self._end(
                tr(
                    "This copy of the plugin holds no server. Install it from its zip, or name the "
                    "server's package in the settings (Landbrush > Server package)."
                )
            )
            return
        self._tell(tr("Looking for a Python …"))
        Aside(lambda: installer.base_python(self.home), self._base_found, self)

    def _base_found(self, base, error) -> None:
        if self._over:
            return
        if error is not None:
            self._end(str(error))
        elif base is not None:
            self._environment(base)
        elif self.own_python:
            self._fetch_python()
        else:
            self.lacks_python = True
            self._end(
                tr(
                    "No Python 3.10 to 3.13 with its module venv was found on this computer. "
                    "Landbrush can fetch one of its own (some 60 MB, by the program uv): press "
                    "the button again. Or install Python (on Debian and Ubuntu: python3-venv)."
                )
            )

    def _add_pretrained(self) -> None:
        python = installer.find_python()
        ours = (self.folder, installer.ROOT / ".venv")
        if python is None:
            self._end(tr("Set the server up first."))
        elif not any(folder in python.parents for folder in ours):
            self._end(
                tr(
                    "The server runs in a Python of yours, {python}. Install there what is needed: "
                    "pip install 'landbrush[pretrained]'.",
                    python=python,
                )
            )
        else:
            self.beside = python.parent.parent / f"{pretrained.FOLDER}{self.id[:8]}"
            self.programs.run(pretrained.steps(python, self.beside), self._tested)

    def stop(self) -> None:
        """Stop. What was fetched stays, a half-made environment goes."""
        if self._over:
            return
        self._over = True
        if self.own is not None:
            self.own.stop()
        if self.download is not None:
            self.download.stop()
        self.programs.stop()
        self._undo()
        self.alone.unlock()

    def _undo(self) -> None:
        """Put a half-made environment away; where it cannot be, it stays marked as half made. What
        another run has begun meanwhile is left alone. Libraries that were being added to a good one
        do not count yet, and go."""
        try:
            if self.beside is not None and not pretrained.counts(self.beside):
                threading.Thread(
                    target=shutil.rmtree, args=(self.beside, True), daemon=True
                ).start()
            if self.size != SMALL or self.marker.read_text("ascii") != self.id:
                return
            if self.folder.exists():
                away = self.folder.with_name(f"{self.folder.name}.{self.id[:8]}.old")
                self.folder.rename(away)
                # Deleting hundreds of megabytes takes a while.
                threading.Thread(target=shutil.rmtree, args=(away, True), daemon=True).start()
            self.marker.unlink()
        except OSError as error:
            self._note(f"{error}\n")

    @staticmethod
    def _is_users(folder: Path) -> bool:
        """Whether a folder is the one that the user keeps wheels in."""
        given = settings.get("server/wheels")
        return bool(given) and Path(given).expanduser().absolute() == folder.absolute()

    # ---- steps

    def _fetch_python(self) -> None:
        self.own = OwnPython(self.home, self)
        self.own.told.connect(self._tell)
        self.own.progressed.connect(self.progressed)
        self.own.ended.connect(self._python_came)
        self.own.start()

    def _python_came(self, python: str, error: str) -> None:
        if error:
            self._end(error)
        else:
            self._environment(python)

    def _environment(self, base: str) -> None:
        try:
            self.marker.write_text(self.id, "ascii")
        except OSError as error:
            self._end(str(error))
            return
        make = installer.Step(
            tr("a Python environment"), [base, "-m", "venv", "--clear", str(self.folder)]
        )
        self.programs.run([make], self._choose)

    def _choose(self) -> None:
        if self.lock is None:  # a package of the user's, or a checkout: pip finds what it needs
            self.programs.run([installer.package_step(self.package)], self._tested)
            return
        look = [str(installer.python_of(self.folder)), str(CHOOSING), str(self.lock)]
        self.programs.run([installer.Step(tr("what is needed"), look)], self._look_up)

    def _look_up(self) -> None:
        """Which files are to come; from a folder of wheels where one is named."""
        try:
            found = json.loads(self.programs.output.strip().splitlines()[-1])
            self.wanted = [Wanted(**one) for one in found["wanted"]]
            self.tags = found["tags"]
        except (ValueError, LookupError, TypeError):
            self._end(tr("Installing failed: ") + self.programs.output.strip()[-200:])
            return
        self.chosen = []
        given = settings.get("server/wheels")
        if not given:
            self._tell(tr("Looking up {n} files …", n=len(self.wanted)))
            self._ask_next()
            return
        self._tell(tr("Looking through the wheels …"))
        Aside(lambda: self._from_wheels(given), self._taken_from_wheels, self)

    def _from_wheels(self, given: str) -> List[Wheel]:
        """The files of a folder or zip, unpacked and summed; raises PluginError, OSError."""
        folder = self.home / Path(given).expanduser()  # as it is, where it is absolute
        if folder.is_file():
            folder = unpacked(folder, self.home / FETCHED)
        if not folder.is_dir():
            raise PluginError(tr("There is no folder or zip of wheels at {path}.", path=given))
        return [of_folder(one, folder, self.tags) for one in self.wanted]

    def _taken_from_wheels(self, chosen, error) -> None:
        if self._over:
            return
        if error is not None:
            said = error.message if isinstance(error, PluginError) else str(error)
            self._end(f"{said} ({settings.get('server/wheels')})")
            return
        self.chosen = chosen
        self._install()

    def _ask_next(self) -> None:
        if self._over:
            return
        if len(self.chosen) == len(self.wanted):
            self._fetch_next()
            return
        wanted = self.wanted[len(self.chosen)]
        answer = Answer(wanted.address, self)
        answer.came.connect(self._answered)

    def _answered(self, answer, error: str) -> None:
        if self._over:
            return
        if answer is None:
            # Another index may be what this computer has: pip's own settings know of it.
            self._note(error)
            self._unreached = error
            self.programs.run(installer.locked_steps(self.lock, self.package), self._tested)
            return
        try:
            self.chosen.append(of_index(self.wanted[len(self.chosen)], answer, self.tags))
        except PluginError as problem:
            self._end(problem.message)
            return
        except (LookupError, AttributeError, TypeError):
            self._end(tr("The index answered what is none."))
            return
        self._ask_next()

    def _fetch_next(self, error: str = "") -> None:
        if self._over:
            return
        if error:
            self._end(tr("A file did not come: {error} What came is kept.", error=error))
            return
        folder = self.home / FETCHED
        try:
            folder.mkdir(parents=True, exist_ok=True)
            left = [at for at, one in enumerate(self.chosen) if one.path is None]
            if not left:
                self._install()
                return
            wheel = self.chosen[left[0]]
            self.chosen[left[0]] = replace(wheel, path=folder / wheel.name)
            before = sum(one.size for one in self.chosen[: left[0]])
            total = sum(one.size for one in self.chosen)
            self._tell(tr("Fetching {name} …", name=wheel.package))
            self.download = Download(wheel, folder, self)
            self.download.progressed.connect(
                lambda here: self.progressed.emit(before + here, float(total))
            )
            self.download.ended.connect(self._fetch_next)
            self.download.start()
        except OSError as problem:
            self._end(str(problem))

    def _install(self) -> None:
        self.progressed.emit(0.0, 0.0)
        listed = self.home / "chosen.txt"
        try:
            lines = [one.requirement for one in self.chosen]
            listed.write_text("\n".join(lines) + "\n", "utf8")
        except (OSError, ValueError) as error:
            self._end(str(error))
            return
        self.programs.run(installer.fetched_steps(listed, self.package), self._tested)

    def _tested(self) -> None:
        """All of it can be loaded; then it counts."""
        self._unreached = ""  # what was needed came
        if self.size == LARGE:
            python = installer.find_python()
            self.programs.run(pretrained.last_steps(python, self.beside, LOADED), self._done)
            return
        test = [str(installer.python_of(self.folder)), "-c", f"import {LOADED}"]
        self.programs.run([installer.Step(tr("a first start"), test)], self._done)

    def _done(self) -> None:
        if self.size == SMALL:
            try:
                self.marker.unlink()
            except OSError as error:
                self._end(str(error))
                return
            fetched = self.home / FETCHED
            if self._is_users(fetched):
                self._end("")
                return
            threading.Thread(target=shutil.rmtree, args=(fetched, True), daemon=True).start()
        self._end("")

    # ---- what is told

    def _failed(self, why: str) -> None:
        """A program did not do what it should."""
        if self._unreached:
            why = tr(
                "PyPI could not be reached ({why}). Without a network, set it up from a zip of "
                "wheels (the button “…”).",
                why=self._unreached,
            )
        self._end(why)

    def _tell(self, text: str) -> None:
        self._note(text + "\n")
        self.told.emit(text)

    def _note(self, text: str) -> None:
        try:
            with open(self.log, "a", encoding="utf8") as stream:
                stream.write(text)
        except OSError:
            return  # it goes on without a log

    def _end(self, error: str) -> None:
        if self._over:
            return
        self._over = True
        if error:
            self._note(error + "\n")
            self._undo()
        self.alone.unlock()
        self.ended.emit(error)
