"""The workers of one server or one command: as many for edits as it has devices, two for what is
read beside them, one for words; started when they are needed and kept warm."""

from __future__ import annotations

import contextlib
import functools
import itertools
import logging
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..contract.message import ContractError
from ..ground import memory
from ..ground.errors import Busy, RasterUnreadable, ServerError
from ..ground.settings import ENVIRONMENT_PREFIX, Settings
from ..jobs.workplace import Fault, Lost, Stop, Told
from ..models.weights import PATHS, ModelFolder
from .child import SECRET, Start
from .confine import Confinement
from .process import Process, scratch_in

READERS = 2
WORDS = ("interpret", "paraphrase")
"""Tasks that read no raster: a worker of their own does them, so that they wait for no file."""
READ_S = 120.0
"""Processor time that a task beside the edits may take."""
WAIT_S = 60.0
"""How long a request waits for a reader that is free."""
MOST_WAITING = 6
"""Requests that wait for each kind; more are told to come again, so that there is always one who
answers."""
SCRATCH = "scratch"


def never() -> bool:
    """A task that is wanted to its end."""
    return False


@dataclass(frozen=True)
class Place:
    """Where workers work. `home`: of their models. `given`: models named for this time. `reads`,
    `writes`: beside what the program itself needs; `roots`: folders whose rasters are read, as the
    tasks look at them (None: as the confinement alone has it). `reader_writes`: what workers write
    that do not edit."""

    home: Path
    given: Mapping[str, str] = field(default_factory=dict)
    reads: tuple[Path, ...] = ()
    writes: tuple[Path, ...] = ()
    roots: tuple[Path, ...] | None = None
    reader_writes: tuple[Path, ...] = ()


class Children:
    """A workplace of processes (jobs.workplace.Workplace).

    `edits`: at a time. `scratch`: folder for drafts of workers; none: one of its own.
    """

    def __init__(self, place: Place, edits: int = 1, scratch: Path | None = None) -> None:
        self.place = place
        self.scratch = scratch or Path(tempfile.mkdtemp(prefix="landbrush-"))
        self._numbers = itertools.count(1)
        self._editors = _Pool(functools.partial(self._plan, place.writes), self._started, edits)
        self._readers = _Pool(
            functools.partial(self._plan, place.reader_writes), self._started, READERS
        )
        self._words = _Pool(functools.partial(self._plan, ()), self._started, 1)

    @classmethod
    def of(cls, settings: Settings, models: ModelFolder) -> Children:
        """Those of a server: they read its roots, and write what jobs and uploads consist of."""
        shutil.rmtree(settings.home / SCRATCH, ignore_errors=True)
        for folder in (settings.jobs, settings.uploads):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        learned = models.make_learned()
        reads = (*settings.roots, settings.jobs, settings.uploads)
        place = Place(
            settings.home,
            models.given,
            reads,
            (settings.jobs, learned),
            settings.roots,
            (settings.uploads,),
        )
        return cls(place, settings.workers, settings.home / SCRATCH)

    def edit(self, given: dict[str, Any], told: Told, stop: Stop) -> dict[str, Any]:
        """A job's edit by a worker of its own; waits for one that is free."""
        made: dict[str, Any] = self.edit_by("edit", given, told, stop)
        return made

    def edit_by(self, task: str, given: dict[str, Any], told: Told, stop: Stop = never) -> Any:
        """The same by a task of another name."""
        with self._editors.taken(None) as worker:
            made = worker.ask(task, given, told, stop)
            self._unload_from(worker)
            return made

    def read(self, task: str, given: dict[str, Any]) -> Any:
        """A short task by a reader; once more where its worker was ended from outside. Raises
        Busy where all are at work, RasterUnreadable where the file has ended the worker."""
        pool = self._words if task in WORDS else self._readers
        for last in (False, True):
            try:
                with pool.taken(WAIT_S) as worker:
                    return worker.ask(task, given, _nobody, never, READ_S)
            except Lost as error:
                if error.caused:
                    raise RasterUnreadable(str(error)) from error
                if last:
                    raise Busy(f"{error} Ask again.") from error
            except MemoryError:
                raise RasterUnreadable(
                    "Reading this needs more memory than there is for it."
                ) from None
        raise AssertionError("unreachable")

    def prepare(self) -> None:
        """Start one of each kind now, with what nearly every edit uses, so that nobody waits for
        them later."""
        for pool in (self._readers, self._editors, self._words):
            try:
                with pool.taken(None) as worker:
                    worker.ask("warm up", {"edits": pool is self._editors}, _nobody, never)
            except (Lost, Fault, ServerError, ContractError, OSError, MemoryError) as error:
                # What is wrong is told to whoever asks for something.
                logging.getLogger(__name__).warning("a worker could not be prepared: %s", error)

    def unload(self, model_id: str) -> None:
        """Let idle workers drop a model now, and busy ones when their edit has ended."""
        for worker in self._editors.all():
            worker.unwanted.add(model_id)
        for worker in self._editors.idle():
            try:
                self._unload_from(worker)
            finally:
                self._editors.back(worker)

    def _unload_from(self, worker: Process) -> None:
        while worker.unwanted:
            name = worker.unwanted.pop()
            if name in worker.warm:
                with contextlib.suppress(Lost):
                    worker.ask("unload", {"model": name}, _nobody, never)

    def warm(self) -> tuple[str, ...]:
        """Models that any worker for edits holds."""
        return tuple(name for worker in self._editors.all() for name in worker.warm)

    def editing(self) -> tuple[Process, ...]:
        """The workers for edits."""
        return tuple(self._editors.all())

    def held(self) -> tuple[str, ...]:
        """What the system takes from the workers; empty while none has been started."""
        return next((w.held for pool in (self._readers, self._editors) for w in pool.all()), ())

    def close(self) -> None:
        """End all workers, in the midst of what they do, and delete their drafts."""
        self._editors.close()
        self._readers.close()
        self._words.close()
        shutil.rmtree(self.scratch, ignore_errors=True)

    def _started(self, start: Start) -> Process:
        """A new worker, with a scratch folder of its own."""
        scratch = scratch_in(self.scratch, next(self._numbers))
        confinement = replace(
            start.confinement, writes=(*start.confinement.writes, os.path.abspath(scratch))
        )
        return Process(replace(start, scratch=scratch, confinement=confinement), start)

    def _plan(self, may_write: Sequence[Path]) -> Start:
        place = self.place
        folder = ModelFolder(place.home / "models", place.given)
        named = (folder.chosen(kind) for kind in PATHS if not kind.endswith("-key-file"))
        reads = (*map(str, place.reads), *_kept_at(place.home), *filter(None, named))
        writes = tuple(map(str, may_write))
        own = sorted(
            (name, value)
            for name, value in os.environ.items()
            if name.startswith(ENVIRONMENT_PREFIX) and not SECRET.search(name)
        )
        roots = None if place.roots is None else tuple(map(str, place.roots))
        confinement = Confinement(_absolute(reads), _absolute(writes), memory.hard_limit_bytes())
        given = tuple(sorted(place.given.items()))
        return Start(str(place.home), given, roots, "", confinement, tuple(own))


class _Pool:
    """Workers of one kind, at most so many."""

    def __init__(
        self, plan: Callable[[], Start], start: Callable[[Start], Process], most: int
    ) -> None:
        self._plan = plan
        self._start = start
        self._most = most
        self._free = threading.Semaphore(most)
        self._places = threading.Semaphore(most + MOST_WAITING)
        self._lock = threading.Lock()
        self._idle: list[Process] = []
        self._busy: list[Process] = []
        self._closed = False

    @contextlib.contextmanager
    def taken(self, wait_s: float | None) -> Iterator[Process]:
        """One for this thread alone; raises Busy where none is free in that time, or too many wait
        already. `wait_s`: None: however long it takes."""
        if wait_s is not None and not self._places.acquire(blocking=False):
            raise Busy(_busy())
        try:
            if not self._free.acquire(timeout=wait_s):
                raise Busy(_busy())
            try:
                worker = self._worker()
                try:
                    yield worker
                finally:
                    self.back(worker)
            finally:
                self._free.release()
        finally:
            if wait_s is not None:
                self._places.release()

    def _worker(self) -> Process:
        wanted = self._plan()
        with self._lock:
            if self._closed:
                raise Busy("The server is ending.")
            worker = self._idle.pop() if self._idle else None
        if worker is not None and not (worker.living and worker.plan == wanted):
            worker.end()  # it has ended, or what there is to read has changed
            worker = None
        worker = worker or self._start(wanted)
        with self._lock:
            self._busy.append(worker)
            closed = self._closed
        if closed:
            worker.end()
        return worker

    def back(self, worker: Process) -> None:
        """Keep it for the next, if it lives."""
        with self._lock:
            if worker in self._busy:
                self._busy.remove(worker)
            room = len(self._idle) + len(self._busy) < self._most
            if worker.living and room and not self._closed:
                self._idle.append(worker)
                return
        worker.end()

    def idle(self) -> Sequence[Process]:
        """Takes those that do nothing; they are to be given back."""
        with self._lock:
            found, self._idle = self._idle, []
            self._busy.extend(found)
            return found

    def all(self) -> Sequence[Process]:
        """Those that work and those that wait for work."""
        with self._lock:
            return [*self._idle, *self._busy]

    def close(self) -> None:
        """End all, and keep none that is given back later."""
        with self._lock:
            self._closed = True
            found = [*self._idle, *self._busy]
            self._idle.clear()
        for worker in found:
            worker.end()


def _kept_at(home: Path) -> list[str]:
    """The folders of models and of exemplars, and where their owner keeps parts of them by links,
    as on another disk."""
    models, exemplars = home / "models", home / "library"
    with contextlib.suppress(OSError):  # what is not there when a worker starts it cannot read
        exemplars.mkdir(parents=True, exist_ok=True)
    found = [models, exemplars]
    for folder in (models, models / "pretrained"):
        with contextlib.suppress(OSError):
            found += [path.resolve() for path in folder.iterdir() if path.is_symlink()]
    return [str(path) for path in found]


def _absolute(paths: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(os.path.abspath(path) for path in paths))


def _busy() -> str:
    return "The server reads files for others just now. Ask again in some seconds."


def _nobody(_: dict[str, Any]) -> None:
    """Of tasks that tell nothing on their way."""
