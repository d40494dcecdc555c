"""One job as a folder: request, status, mark of dismissal, and what is written there."""

from __future__ import annotations

import json
import logging
import math
import shutil
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from ..contract.jobs import ACCEPTED, DISMISSED, ENDED, JobInfo
from ..contract.requests import EditRequest
from ..ground.errors import UnknownJob
from ..ground.files import write_json
from ..raster.rasters import Rasters

log = logging.getLogger(__name__)
REQUEST = "request.json"


STATUS = "status.json"


DISMISSAL = "dismissed"


STARTS, BROKEN, LOST, UNSTARTED = "starts", "broken", "lost", "unstarted"
"""How often a job was begun, broke its worker, lost it to something else, got none: a letter
each."""


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
    files = Rasters.of(data["files"])
    return Job(folder, data["process"], EditRequest.from_json(data["request"]), files)


def load_status(folder: Path) -> JobInfo:
    """Read the status of a job folder; raises UnknownJob where there is none."""
    try:
        return JobInfo.from_json(json.loads((folder / STATUS).read_text("utf8")))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise UnknownJob(f"There is no job '{folder.name[:64]}'.") from error


def save_status(folder: Path, info: JobInfo) -> JobInfo:
    """Write the status of a job folder, whole or not at all; returns what stands there then."""
    lasting = info.status in ENDED or info.status == ACCEPTED
    kept = replace(info, updated=now(), position=0)
    write_json(folder / STATUS, kept.to_json(), lasting)
    return kept


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


def counted(folder: Path, what: str) -> int:
    """Note that something has happened to a job once more, and tell how often it has."""
    try:
        with open(folder / what, "a", encoding="ascii") as stream:
            stream.write("x")
    except OSError as error:  # a full disk; the count is of use, not needed
        log.warning("%s of job %s could not be counted: %s", what, folder.name, error)
    return count_of(folder, what)


def count_of(folder: Path, what: str) -> int:
    """How often something has happened to a job."""
    try:
        return (folder / what).stat().st_size
    except OSError:
        return 0


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
