"""Who uses the server of a home: programs of this computer that started it or found it running.
When none of them is left, it ends by itself, so that a program that crashed leaves none behind."""

from __future__ import annotations

import contextlib
from pathlib import Path

import psutil

from ..contract.routes import USERS

APART_S = 60.0
"""A clock that is set moves the time at which a process was started by less; another process of the
same id was started later, as a rule by more."""
MOST = 2**31


def add_user(home: Path, process: int) -> bool:
    """From now on a program uses the server of this home, until it ends or takes its file away;
    False where there is no such program."""
    if not 0 < process < MOST:
        return False
    with contextlib.suppress(psutil.Error, OSError):
        started = psutil.Process(process).create_time()
        folder = home / USERS
        folder.mkdir(exist_ok=True, mode=0o700)
        (folder / str(process)).write_text(f"{started:.3f}", "ascii")
        return True
    return False


def has_users(home: Path) -> bool:
    """Whether any of them is left; the files of those that are not go."""
    found = False
    for path in (home / USERS).glob("*"):
        if _is_there(path):
            found = True
        else:
            with contextlib.suppress(OSError):
                path.unlink()
    return found


def _is_there(path: Path) -> bool:
    try:
        process, started = int(path.name), float(path.read_text("ascii"))
        return abs(psutil.Process(process).create_time() - started) < APART_S
    except psutil.AccessDenied:
        return True
    except (psutil.Error, OSError, ValueError, OverflowError):
        return False
