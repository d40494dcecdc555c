"""How much memory edits may take here, and the sentence for one that would take more."""

from __future__ import annotations

import os
from pathlib import Path

import psutil

from .errors import BadRequest, CannotEdit
from .settings import ENVIRONMENT_PREFIX

LIMIT = f"{ENVIRONMENT_PREFIX}MEMORY_LIMIT_MB"
SHARE = 0.6
"""Of this machine's memory that an edit may take where no limit is set."""
HARD_SHARE = 0.9
"""Of this machine's memory that a worker may take at all."""
WORKER_BYTES = 1_500_000_000
"""What a worker takes before any edit: libraries, and the stacks of its threads."""
GB = 1e9
BASE_BYTES = 300_000_000
"""What any edit takes beside its pixels: libraries, networks that find examples, squares of a file
while it is written."""
_CONTAINER = Path("/sys/fs/cgroup/memory.max")


def limit_bytes() -> int:
    """Bytes that one edit may take: LANDBRUSH_MEMORY_LIMIT_MB, else a share of what this machine or
    its container has."""
    given = os.environ.get(LIMIT, "")
    if given:
        if not given.isdigit() or not int(given):
            raise BadRequest(f"{LIMIT}: '{given[:40]}' is not a number of megabytes.")
        return int(given) * 1_000_000
    total = psutil.virtual_memory().total
    try:
        total = min(total, int(_CONTAINER.read_text("ascii")))
    except (OSError, ValueError):
        pass  # no container, or one without a limit
    return int(SHARE * total)


def hard_limit_bytes() -> int:
    """Bytes above which a worker is ended, whatever was estimated: what an edit may take and what a
    worker takes for itself; where no limit is set, nearly all there is, since a pretrained network
    takes what its placement found free."""
    if os.environ.get(LIMIT, ""):
        return limit_bytes() + WORKER_BYTES
    return int(limit_bytes() / SHARE * HARD_SHARE)


def fits(needed: int) -> bool:
    """Whether an edit may take so many bytes beside what any edit takes."""
    return needed + BASE_BYTES <= limit_bytes()


def check(needed: int, what: str) -> None:
    """Raise CannotEdit where `what` (a sentence's beginning) needs more than is allowed."""
    limit = limit_bytes()
    if needed + BASE_BYTES > limit:
        raise CannotEdit(
            f"{what} needs about {(needed + BASE_BYTES) / GB:.1f} GB of memory; an edit may take "
            f"{limit / GB:.1f} GB here ({LIMIT}). Divide the polygon, or take a smaller one."
        )
