"""The server's side of one worker: started, asked, watched, and ended when it costs too much."""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.util
import os
import shutil
import signal
import socket
import struct
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil

from ..ground.errors import Dismissed, NoSpace
from ..jobs.workplace import Lost, NotStarted, Stop, Told
from . import child, messages
from .child import Start

LOOK_EVERY_S = 0.25
"""How often a worker is looked at while it works."""
COSTS_EVERY_S = 1.0
GRACE_S = {"editing": 10.0}
"""Seconds that a dismissed task has to stop by itself, by its stage: a network loses what it has
loaded when its worker is ended ..."""
SHORT_GRACE_S = 2.0
"""... and in the other stages there is nothing to lose."""
WITHOUT_PROGRESS_S = 900.0
"""Processor time that a task may take from one step to the next, but for the steps of an editor."""
SILENT_S = 3600.0
"""Time without a step, of a task that waits for something else than the processor."""
START_S = 300.0
"""Within which a worker is to be there."""
HALF_S = 60
"""Seconds within which the rest of a message is to come."""
ORPHANED = 255
"""Told of a worker whose end nobody saw, since the process it was forked from has ended too."""
FULL = 0.85
"""Of the memory that is allowed: a worker that was ended there needed more."""
_FOLDER = threading.Lock()
_COUNTERS = ("/proc/vmstat", "/sys/fs/cgroup/memory.events")


LONGEST_ADDRESS = 100
"""Bytes of a socket's path; systems take 103 or 107."""
SOCKET_BELOW = len("/pymp-12345678/listener-12345678")
"""What Python adds to the folder for temporary files."""
SHORT_FOLDERS = ("/tmp", "/var/tmp", "/dev/shm")  # nosec B108: a folder is made in one


def _context() -> Any:
    """Workers are forked from a process that has everything imported, where that is possible."""
    # Sums in one order give the same bytes on any number of cores, and edits side by side do not
    # wait for each other's cores; networks of the user's have threads of their own.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    methods = multiprocessing.get_all_start_methods()
    context: Any = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
    if "forkserver" in methods:
        _have_short_addresses()
        context.set_forkserver_preload([child.TASKS])
    return context


def _have_short_addresses() -> None:
    """The process that workers are forked from is spoken to by a socket among the temporary files;
    where their folder has a path that is too long for one, it lies in another."""
    usual = tempfile.gettempdir()
    if len(os.fsencode(usual)) + SOCKET_BELOW <= LONGEST_ADDRESS:
        return
    short = next((one for one in SHORT_FOLDERS if os.access(one, os.W_OK | os.X_OK)), None)
    if short is None:
        raise NoSpace(
            f"Workers cannot be started: the path of the folder for temporary files, {usual}, is "
            f"too long (at most {LONGEST_ADDRESS - SOCKET_BELOW} bytes); set TMPDIR to a shorter "
            "one."
        )
    with _FOLDER:
        tempfile.tempdir = short
        try:
            multiprocessing.util.get_temp_dir()  # made once a process, and removed at its end
        finally:
            tempfile.tempdir = usual


class Process:
    """One worker. Used by one thread at a time.

    `start`: how it was started. `plan`: the same without what is its own alone. `held`: what the
    system took from it (confine.confine). `warm`: pretrained models that it holds. `unwanted`:
    those that it is to let go.
    """

    def __init__(self, start: Start, plan: Start | None = None) -> None:
        self.start = start
        self.plan = plan or start
        self.warm: tuple[str, ...] = ()
        self.unwanted: set[str] = set()
        context = _context()
        try:
            Path(start.scratch).mkdir(parents=True, mode=0o700)
        except OSError as error:
            raise NoSpace(
                f"A worker's folder could not be made at {start.scratch}: {error.strerror}."
            ) from error
        self._line, theirs = context.Pipe()
        listened, self._alive = context.Pipe(duplex=False)
        self._process = context.Process(
            target=child.serve, args=(start, theirs, listened), daemon=True
        )
        self._process.start()
        theirs.close()
        listened.close()
        _bound(self._line)
        self._kills_before = _kills()
        self._most_seen = 0
        try:
            if not self._line.poll(START_S):
                raise EOFError
            told = messages.receive(self._line)
        except (EOFError, OSError, ValueError) as error:
            self.end()
            raise NotStarted(f"A worker could not be started ({type(error).__name__}).") from error
        self.held = tuple(str(name) for name in told.get("held", ()))
        self._pid = int(told["process"])

    @property
    def living(self) -> bool:
        """Whether it can be asked."""
        return bool(self._process.is_alive())

    def ask(
        self,
        task: str,
        given: dict[str, Any],
        told: Told,
        stop: Stop,
        most_s: float | None = None,
    ) -> Any:
        """Have a task done; returns what it makes. `most_s`: processor time from step to
        step, where it is not WITHOUT_PROGRESS_S.
        Raises its errors, Dismissed, Lost; after Lost, and after what was raised here, the worker
        is gone."""
        self._kills_before = _kills()
        answered = False
        try:
            try:
                messages.send(self._line, {"task": task, "given": given})
            except OSError as error:
                raise self._lost() from error
            made = self._heard(_Watch(self._pid, most_s or WITHOUT_PROGRESS_S), told, stop)
            answered = True
        except _Reported as report:
            answered = True
            raise report.error from None
        finally:
            if not answered:  # whatever it still says would be taken for the next task's
                self.end()
        return made

    def _heard(self, watch: _Watch, told: Told, stop: Stop) -> Any:
        """What the worker makes, once it says so; _Reported: the error that it tells of."""
        while True:
            message = self._next(watch, stop)
            failed = messages.as_error(message)
            if failed is not None:
                raise _Reported(failed)
            if "done" in message:
                self.warm = tuple(str(name) for name in message.get("warm", ()))
                return message["done"]
            if "ask" in message:
                self._answer(message, told)
                continue
            watch.stepped(str(message.get("stage", "")))
            told(message)

    def _answer(self, message: dict[str, Any], told: Told) -> None:
        """Something that a task may not do itself is done for it by who hears."""
        reply: dict[str, Any] = {}
        told({**message, "reply": reply})
        with contextlib.suppress(OSError):  # its end is seen when it is waited for
            messages.send(self._line, reply)

    def _next(self, watch: _Watch, stop: Stop) -> dict[str, Any]:
        while True:
            try:
                if self._line.poll(LOOK_EVERY_S):
                    return messages.receive(self._line)
            except (EOFError, OSError) as error:
                raise self._lost() from error
            except (ValueError, RecursionError) as error:
                self.end()
                raise Lost("A worker answered what is no answer.", True) from error
            if stop() and watch.stopping():
                self.end()
                raise Dismissed
            why = watch.too_much(self.start.confinement.memory_bytes)
            self._most_seen = max(self._most_seen, watch.most_bytes)
            if why:
                self.end()
                raise Lost(why, True, final=True)

    def _lost(self) -> Lost:
        """Why the worker has ended."""
        self._process.join(5)
        code = self._process.exitcode
        limit = self.start.confinement.memory_bytes
        full = limit and self._most_seen > FULL * limit
        killed = code in (-signal.SIGTERM, -getattr(signal, "SIGKILL", 9), ORPHANED, None)
        starved = killed and (full or _kills() > self._kills_before)
        self.end()
        if starved:
            return Lost(_memory(limit), True)
        if killed or code == 0:
            return Lost("The worker was ended from outside.", False)
        name = f"signal {-code}" if code < 0 else f"code {code}"
        return Lost(
            f"The process that read and edited this broke ({name}). Most likely the file is "
            "damaged: export it again as a GeoTIFF. Landbrush itself goes on.",
            True,
        )

    def end(self) -> None:
        """End it at once; what it had begun and not finished stays under names of drafts."""
        with contextlib.suppress(OSError, ValueError):
            self._process.kill()
        with contextlib.suppress(OSError):
            self._line.close()
        with contextlib.suppress(OSError):
            self._alive.close()
        self._process.join(5)
        shutil.rmtree(self.start.scratch, ignore_errors=True)


class _Reported(Exception):
    """An error that a worker tells of; it goes on."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


def _bound(line: Any) -> None:
    """Let nobody wait for ever for the second half of a message."""
    with (
        contextlib.suppress(OSError, AttributeError, ValueError),  # Windows has pipes
        socket.socket(fileno=os.dup(line.fileno())) as same,
    ):
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            same.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", HALF_S, 0))


class _Watch:
    """What a task has cost since its last step."""

    def __init__(self, pid: int, most_s: float) -> None:
        self.pid = pid
        self.most_s = most_s
        self.most_bytes = 0
        self.stage = ""
        self.asked_to_stop = 0.0
        self.looked = 0.0
        self.since = time.monotonic()
        self.spent_before = self._spent()[0]

    def stepped(self, stage: str) -> None:
        """The task has come further."""
        self.stage = stage
        self.since = time.monotonic()
        self.spent_before = self._spent()[0]

    def stopping(self) -> bool:
        """Whether a task that is to stop has had its time."""
        now = time.monotonic()
        self.asked_to_stop = self.asked_to_stop or now
        return now - self.asked_to_stop > GRACE_S.get(self.stage, SHORT_GRACE_S)

    def too_much(self, memory_bytes: int) -> str:
        """Why a task is to be ended; empty: it may go on."""
        now = time.monotonic()
        if now - self.looked < COSTS_EVERY_S:
            return ""
        self.looked = now
        spent, resident = self._spent()
        self.most_bytes = max(self.most_bytes, resident)
        if memory_bytes and resident > memory_bytes:
            return _memory(memory_bytes)
        if self.stage == "editing":
            return ""
        if spent - self.spent_before > self.most_s or now - self.since > SILENT_S:
            return (
                "This was ended, since it went on without coming any further "
                f"({spent - self.spent_before:.0f} s of processor time). Choose fewer or simpler "
                "polygons, or export the raster again as a tiled GeoTIFF."
            )
        return ""

    def _spent(self) -> tuple[float, int]:
        """Seconds of processor time, and bytes in memory."""
        try:
            process = psutil.Process(self.pid)
            times = process.cpu_times()
            return times.user + times.system, process.memory_info().rss
        except (psutil.Error, OSError):
            return 0.0, 0


def _memory(limit: int) -> str:
    amount = f" ({limit / 1e9:.1f} GB)" if limit else ""
    return (
        f"This needs more memory than there is for it{amount}. Choose a smaller polygon, or set "
        "LANDBRUSH_MEMORY_LIMIT_MB where the machine has more."
    )


def _kills() -> int:
    """How many processes the system has ended for memory, where it tells."""
    count = 0
    for name in _COUNTERS:
        with contextlib.suppress(OSError, ValueError), open(name, encoding="ascii") as stream:
            for row in stream:
                if row.startswith("oom_kill "):
                    count += int(row.split()[1])
    return count


def scratch_in(folder: Path, number: int) -> str:
    """A folder of its own for a worker's drafts."""
    return str(folder / f"worker-{os.getpid()}-{number}")
