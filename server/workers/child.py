"""A worker's own side: it confines itself, then does one task after the other until the server
ends."""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import logging
import os
import re
import tempfile
import threading
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from ..ground.optional import as_not_installed
from . import messages
from .confine import Confinement, confine

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Numbers by which mallopt(3) calls its settings."""
KEPT_BYTES = 256 << 20
LARGEST_KEPT = 32 << 20
"""The most that GNU's C library takes."""
SECRET = re.compile("KEY|TOKEN|SECRET|PASSW|CREDENTIAL|PROXY")
"""In names of variables of the environment that a worker does not keep."""
TASKS = f"{__package__}.tasks"
"""The module of tasks; by name, since the server itself must not import what reads rasters."""


@dataclass(frozen=True)
class Start:
    """What a worker is started with.

    `home`: of its models. `given`: models that the command line names. `roots`: folders whose
    rasters it may read; None: as the confinement has it. `scratch`: where it keeps drafts.
    `confinement`: what the system leaves it. `environment`: the product's settings, which may have
    changed since the first worker.
    """

    home: str
    given: tuple[tuple[str, str], ...]
    roots: tuple[str, ...] | None
    scratch: str
    confinement: Confinement
    environment: tuple[tuple[str, str], ...]


def serve(start: Start, line: Connection, alive: Connection) -> None:
    """Entry point of a worker's process. `line`: tasks come, answers go. `alive`: ends with the
    server."""
    with contextlib.suppress(OSError, ValueError):
        import signal

        # The server ends its workers; a Ctrl+C in its terminal reaches them too.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for name in [one for one in os.environ if SECRET.search(one.upper())]:
        del os.environ[name]
    os.environ.update(start.environment)
    os.environ.update(TMPDIR=start.scratch, TMP=start.scratch, TEMP=start.scratch)
    tempfile.tempdir = start.scratch
    _quiet()
    _keep_memory()
    held = confine(start.confinement)
    threading.Thread(target=_end_with, args=(alive,), daemon=True).start()
    tasks = importlib.import_module(TASKS)
    desk = tasks.desk_of(start, line)
    # Only now: what cannot even be loaded is no fault of a file.
    messages.send(line, {"held": list(held), "process": os.getpid()})
    while True:
        try:
            asked = messages.receive(line)
        except (EOFError, OSError):
            return
        messages.send(line, _answer(tasks, desk, asked))


def _answer(tasks: Any, desk: Any, asked: dict[str, Any]) -> dict[str, Any]:
    try:
        made = tasks.TASKS[asked["task"]](desk, asked["given"])
        return {"done": made, "warm": desk.warm()}
    except Exception as error:  # whatever a file did, the server is told
        lacking = as_not_installed(error) if isinstance(error, ImportError) else None
        if lacking is not None:
            return messages.as_message(lacking, "")
        return messages.as_message(error, traceback.format_exc())


def _end_with(alive: Connection) -> None:
    with contextlib.suppress(EOFError, OSError):
        alive.recv_bytes()
    os._exit(0)


def _keep_memory() -> None:
    """What an edit frees is kept for the next, instead of given back and asked for anew page by
    page; where the C library is GNU's."""
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(MMAP_THRESHOLD, LARGEST_KEPT)
        library.mallopt(TRIM_THRESHOLD, KEPT_BYTES)


def _quiet() -> None:
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    # Their sentences come with the errors raised.
    logging.getLogger("rasterio").setLevel(logging.CRITICAL)
    for name in ("pyogrio", "faiss"):
        logging.getLogger(name).setLevel(logging.WARNING)
