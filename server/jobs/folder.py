"""One job as a folder: request, status, mark of dismissal, and what is written there."""

from __future__ import annotations

import json
import logging
import math
import shutil
import threading
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ..contract.jobs import ACCEPTED, DISMISSED, ENDED, JobInfo
from ..contract.requests import EditRequest
from ..ground.errors import UnknownJob
from ..ground.files import write_json
from ..ground.settings import Settings
from ..raster.rasters import Rasters

log = logging.getLogger(__name__)
FILES = ("raster", "exemplar", "elevation")


REQUEST = "request.json"


STATUS = "status.json"


DISMISSAL = "dismissed"


STARTS = "starts"


class StatusLock(threading.Condition):
    """Held by whoever looks at a job's state and then changes it: views that dismiss, workers that
    report. Who waits for a change is told of each.

    It holds within one process; in a worker's own it is a lock of its own, which tells nobody.
    """

    def __init__(self) -> None:
        super().__init__(threading.RLock())

    def __reduce__(self) -> tuple[Any, ...]:
        return StatusLock, ()


def now() -> str:
    """This moment, RFC 3339 with microseconds."""
    return datetime.now(timezone.utc).isoformat(timespec="microseconds")


@dataclass(frozen=True)
class Job:
    """What was asked for: stored once, when the job is accepted. `folder`: of the job.
    `process_id`: the editor, or 'auto'. `request`: as it was parsed. `files`: the rasters it names.
    """

    folder: Path
    process_id: str
    request: EditRequest
    files: Rasters


def load_job(folder: Path) -> Job:
    """Read the request of a job folder."""
    data = json.loads((folder / REQUEST).read_text("utf8"))
    paths = {name: Path(data["files"][name]) if data["files"].get(name) else None for name in FILES}
    raster = paths.pop("raster")
    assert raster is not None
    files = Rasters(raster, paths["exemplar"], paths["elevation"])
    return Job(folder, data["process"], EditRequest.from_json(data["request"]), files)


def allowed_for(files: Rasters, settings: Settings) -> tuple[Path, ...]:
    """Where the files of a job may lie, with all they refer to: the roots, and uploads, each for
    itself."""
    named = [path for path in (files.raster, files.exemplar, files.elevation) if path is not None]
    return (*settings.roots, *(path for path in named if path.parent == settings.uploads))


def load_status(folder: Path) -> JobInfo:
    """Read the status of a job folder; raises UnknownJob where there is none."""
    try:
        return JobInfo.from_json(json.loads((folder / STATUS).read_text("utf8")))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise UnknownJob(f"There is no job '{folder.name[:64]}'.") from error


def save_status(folder: Path, info: JobInfo) -> None:
    """Write the status of a job folder, whole or not at all."""
    ended = info.status in ENDED or info.status == ACCEPTED
    content = replace(info, updated=now(), position=0).to_json()
    write_json(folder / STATUS, content, lasting=ended)


def is_dismissed(folder: Path) -> bool:
    """Whether the job was dismissed; a running job looks at every step."""
    return (folder / DISMISSAL).exists()


def read_marker(marker: Path) -> dict[str, str] | None:
    """Job and request of an idempotency key; None where it was not used, or its file is no good."""
    try:
        known = json.loads(marker.read_text("utf8"))
        return {"job": str(known["job"]), "request": str(known["request"])}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def as_dismissed(info: JobInfo) -> JobInfo:
    """The state of a job that was stopped, or whose results were dropped."""
    return replace(
        info, status=DISMISSED, finished=now(), message="dismissed", eta_s=None, report=None
    )


def started(folder: Path) -> int:
    """Note that the job is begun, and tell how often it has been: a job that ends the server is not
    begun for ever."""
    with open(folder / STARTS, "a", encoding="ascii") as stream:
        stream.write("x")
    return (folder / STARTS).stat().st_size


def changed_at(path: Path) -> float:
    """When a file was written last, in seconds since 1970; of one that cannot be looked at: never
    to be forgotten."""
    try:
        return path.stat().st_mtime
    except OSError:
        return math.inf


def drop(path: Path) -> None:
    """Delete a file, or a folder that stands in its place; what cannot be deleted is told of and
    left."""
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        log.warning("%s could not be deleted (%s)", path, error)
