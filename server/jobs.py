"""Jobs as folders: request.json, status.json, dismissed, result.tif, manifest.json, preview.png.

The folder is the truth. It survives a restart of either side, and state and
dismissal are read from it, never from a future of the executor.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import shutil
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .api import ACCEPTED, DISMISSED, ENDED, RESULT_FILES, RUNNING, EditRequest, JobInfo
from .edit import Files
from .errors import Conflict, NoSpace, ServerError, UnknownJob
from .provenance import write_json

log = logging.getLogger(__name__)
_ID = re.compile(r"^[0-9a-f]{32}$")
state = threading.RLock()
"""Held by whoever looks at a job's state and then changes it: views that dismiss, workers that report."""
REQUEST, STATUS, DISMISSAL, STARTS = "request.json", "status.json", "dismissed", "starts"


def now() -> str:
    """This moment, RFC 3339 with microseconds."""
    return datetime.now(timezone.utc).isoformat(timespec="microseconds")


@dataclass(frozen=True)
class Job:
    """What was asked for: stored once, when the job is accepted."""

    folder: Path
    process_id: str
    request: EditRequest
    files: Files


def load_job(folder: Path) -> Job:
    """Read the request of a job folder."""
    data = json.loads((folder / REQUEST).read_text("utf8"))
    paths = {k: Path(v) if v else None for k, v in data["files"].items()}
    raster = paths.pop("raster")
    assert raster is not None
    return Job(folder, data["process"], EditRequest.from_json(data["request"]), Files(raster, **paths))


def load_status(folder: Path) -> JobInfo:
    """Read the status of a job folder; raises UnknownJob where there is none."""
    try:
        return JobInfo.from_json(json.loads((folder / STATUS).read_text("utf8")))
    except (OSError, ValueError) as error:
        raise UnknownJob(f"There is no job '{folder.name[:64]}'.") from error


def save_status(folder: Path, info: JobInfo) -> None:
    """Write the status of a job folder, whole or not at all."""
    write_json(folder / STATUS, replace(info, updated=now(), position=0).to_json())


def is_dismissed(folder: Path) -> bool:
    """Whether the job was dismissed; a running job looks at every step."""
    return (folder / DISMISSAL).exists()


def _marked(marker: Path) -> dict[str, str] | None:
    """Job and request of an idempotency key; None where it was not used, or its file is no good."""
    try:
        known = json.loads(marker.read_text("utf8"))
        return {"job": str(known["job"]), "request": str(known["request"])}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _as_dismissed(info: JobInfo) -> JobInfo:
    return replace(info, status=DISMISSED, finished=now(), message="dismissed", eta_s=None, report={})


def started(folder: Path) -> int:
    """Note that the job is begun, and tell how often it has been: a job that ends the server is not begun for ever."""
    with open(folder / STARTS, "a", encoding="ascii") as stream:
        stream.write("x")
    return (folder / STARTS).stat().st_size


class JobStore:
    """All jobs below one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)

    def folder(self, job_id: str) -> Path:
        """The folder of a job id; raises UnknownJob for what is no id."""
        folder = self.root / job_id
        if not _ID.match(job_id) or not folder.is_dir():
            raise UnknownJob(f"There is no job '{job_id[:64]}'.")
        return folder

    def create(self, process_id: str, request: EditRequest, files: Files, key: str = "") -> tuple[JobInfo, bool]:
        """Accept a job; with a key that was used before, the job it made. True: it is new."""
        body = {"process": process_id, "request": request.to_json(),
                "files": {k: str(v) if v else "" for k, v in vars(files).items()}}
        print_of_body = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
        with state:
            marker = self.root / f"key-{hashlib.sha256(key.encode()).hexdigest()}" if key else None
            known = _marked(marker) if marker is not None else None
            if known is not None and (self.root / known["job"] / STATUS).exists():
                return self._same(known, print_of_body), False
            job_id = uuid.uuid4().hex
            folder = self.root / job_id
            info = JobInfo(jobID=job_id, processID=process_id, status=ACCEPTED, created=now(), stage="waiting")
            try:
                folder.mkdir()
                write_json(folder / REQUEST, body)
                if marker is not None:
                    write_json(marker, {"job": job_id, "request": print_of_body})
                # Last, since a folder is a job once it has a status.
                save_status(folder, info)
            except OSError as error:
                shutil.rmtree(folder, ignore_errors=True)
                raise NoSpace(f"The job could not be stored in {self.root}: {error}.") from error
            except Exception:
                shutil.rmtree(folder, ignore_errors=True)
                raise
            return info, True

    def _same(self, known: dict[str, str], print_of_body: str) -> JobInfo:
        if known["request"] != print_of_body:
            raise Conflict("This Idempotency-Key was used for another request; take a new one.")
        return self.info(known["job"])

    def info(self, job_id: str) -> JobInfo:
        """Status with the place in the queue."""
        info = load_status(self.folder(job_id))
        if info.status != ACCEPTED:
            return info
        ahead = sum(1 for other in self.every() if other.status in (ACCEPTED, RUNNING) and other.created < info.created)
        return replace(info, position=ahead)

    def every(self) -> Iterator[JobInfo]:
        """All jobs, newest first."""
        found = []
        for folder in self.root.iterdir():
            if folder.is_dir() and _ID.match(folder.name):
                try:
                    found.append(load_status(folder))
                except ServerError:
                    continue
        yield from sorted(found, key=lambda info: info.created, reverse=True)

    def dismiss(self, job_id: str) -> JobInfo:
        """Stop a queued or running job, or drop the result of an ended one; twice is as good as once."""
        with state:
            folder = self.folder(job_id)
            info = load_status(folder)
            if info.status == DISMISSED:
                return info
            (folder / DISMISSAL).touch()
            for name in RESULT_FILES:
                (folder / name).unlink(missing_ok=True)
            info = _as_dismissed(info)
            save_status(folder, info)
            return info

    def unfinished(self) -> list[Path]:
        """Folders of jobs to run again after a restart: the interrupted first, then the queue in its order."""
        left = [i for i in self.every() if i.status in (ACCEPTED, RUNNING)]
        for info in [i for i in left if is_dismissed(self.root / i.jobID)]:
            # A former process ended between the mark and the status.
            save_status(self.root / info.jobID, _as_dismissed(info))
            left.remove(info)
        left.sort(key=lambda info: (info.status != RUNNING, info.created))
        return [self.root / info.jobID for info in left]

    def forget_older_than(self, days: float) -> int:
        """Delete jobs that ended longer ago than that; returns how many."""
        count, limit = 0, time.time() - days * 86400
        for folder in list(self.root.iterdir()):
            if _ID.match(folder.name) and not (folder / STATUS).exists():
                shutil.rmtree(folder, ignore_errors=True)  # accepted half when a former process ended
        for info in list(self.every()):
            folder = self.root / info.jobID
            if info.status in ENDED and (folder / STATUS).stat().st_mtime < limit:
                shutil.rmtree(folder, ignore_errors=True)
                count += 1
        for marker in self.root.glob("key-*"):
            known = _marked(marker)
            if known is None or not (self.root / known["job"]).is_dir():
                marker.unlink(missing_ok=True)
        return count


def summary(report: dict[str, Any]) -> dict[str, Any]:
    """What of an edit's report belongs into the job's status."""
    kept = ("editor", "engine", "operation",
            "understood", "search", "gate", "pixels_left_nodata", "notes", "seconds", "window", "crs", "seed")
    return {k: report[k] for k in kept if report.get(k) is not None}
