"""Jobs as folders: request.json, status.json, dismissed, result.tif, manifest.json, preview.png.

The folder is the truth. It survives a restart of either side, and state and
dismissal are read from it, never from a future of the executor.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import re
import shutil
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ..contract.jobs import ACCEPTED, DISMISSED, ENDED, RESULT_FILES, RUNNING, JobInfo
from ..contract.requests import EditRequest
from ..ground.errors import Conflict, NoSpace, ServerError, UnknownJob
from ..ground.files import write_json
from ..raster.rasters import Rasters
from .folder import (
    DISMISSAL,
    FILES,
    REQUEST,
    STATUS,
    StatusLock,
    as_dismissed,
    changed_at,
    drop,
    is_dismissed,
    load_job,
    load_status,
    now,
    read_marker,
    save_status,
)

log = logging.getLogger(__name__)
_ID = re.compile(r"^[0-9a-f]{32}$")
MOST_RUNNING = 64
"""Jobs at the front of the queue that are looked at for a list: more than any machine runs at a
time."""
LOOK_AGAIN_S = 1.0


class JobStore:
    """All jobs below one folder.

    The folders are the truth; an index of them in memory, made at the start, tells states without
    reading every folder. Jobs run in the order in which they were accepted, so that of the
    unfinished ones only the first are looked at again.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.lock = StatusLock()
        root.mkdir(parents=True, exist_ok=True)
        self._known: dict[str, tuple[tuple[int, int], JobInfo]] = {}
        self._unfinished: list[str] = []
        self.damaged: dict[str, str] = {}
        for folder in sorted(root.iterdir()):
            if _ID.match(folder.name) and not folder.is_symlink():
                self._take_up(folder)
        self._unfinished.sort(key=lambda job_id: self._known[job_id][1].created)

    def _take_up(self, folder: Path) -> None:
        """Put a folder that was there before into the index; one that cannot be read is left alone
        and told of."""
        try:
            if not folder.is_dir() or not (folder / STATUS).exists():
                return  # accepted half when a former process ended
            info = self._look(folder)
            load_job(folder)
        except Exception as error:  # whatever a damaged file holds, the others are served
            self._known.pop(folder.name, None)
            self.damaged[folder.name] = f"{type(error).__name__}: {error}"[:300]
            log.warning(
                "the job folder %s is damaged and left as it is (%s)",
                folder,
                self.damaged[folder.name],
            )
            return
        if info.status not in ENDED:
            self._unfinished.append(folder.name)

    def _look(self, folder: Path) -> JobInfo:
        """The job's state as its folder has it now; read again only where its file is another
        one."""
        try:
            stat = (folder / STATUS).stat()
        except OSError as error:
            raise UnknownJob(f"There is no job '{folder.name[:64]}'.") from error
        state_of_file = stat.st_mtime_ns, stat.st_ino
        held = self._known.get(folder.name)
        if held is not None and held[0] == state_of_file:
            return held[1]
        info = load_status(folder)
        if info.jobID != folder.name:
            raise UnknownJob(
                f"The folder of job '{folder.name[:64]}' holds the state of another one."
            )
        with self.lock:
            self._known[folder.name] = state_of_file, info
        return info

    def folder(self, job_id: str) -> Path:
        """The folder of a job id; raises UnknownJob for what is no id."""
        folder = self.root / job_id
        if not _ID.match(job_id) or job_id in self.damaged or not folder.is_dir():
            raise UnknownJob(f"There is no job '{job_id[:64]}'.")
        return folder

    def create(
        self, process_id: str, request: EditRequest, files: Rasters, key: str = ""
    ) -> tuple[JobInfo, bool]:
        """Accept a job; with a key that was used before, the job it made. True: it is new."""
        body = {
            "process": process_id,
            "request": request.to_json(),
            "files": {name: str(getattr(files, name) or "") for name in FILES},
        }
        body_digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
        with self.lock:
            marker = self.root / f"key-{hashlib.sha256(key.encode()).hexdigest()}" if key else None
            known = read_marker(marker) if marker is not None else None
            if known is not None and (self.root / known["job"] / STATUS).exists():
                return self._same(known, body_digest), False
            job_id = uuid.uuid4().hex
            folder = self.root / job_id
            info = JobInfo(
                jobID=job_id, processID=process_id, status=ACCEPTED, created=now(), stage="waiting"
            )
            try:
                folder.mkdir()
                write_json(folder / REQUEST, body)
                if marker is not None:
                    write_json(marker, {"job": job_id, "request": body_digest})
                # Last, since a folder is a job once it has a status.
                save_status(folder, info)
            except OSError as error:
                shutil.rmtree(folder, ignore_errors=True)
                raise NoSpace(f"The job could not be stored in {self.root}: {error}.") from error
            except Exception:
                shutil.rmtree(folder, ignore_errors=True)
                raise
            info = self._look(folder)
            self._unfinished.append(job_id)
            return info, True

    def _same(self, known: dict[str, str], body_digest: str) -> JobInfo:
        if known["request"] != body_digest:
            raise Conflict("This Idempotency-Key was used for another request; take a new one.")
        return self.info(known["job"])

    def info(self, job_id: str) -> JobInfo:
        """Status with the place in the queue."""
        info = self._look(self.folder(job_id))
        if info.status != ACCEPTED:
            return info
        with self.lock:
            self._pass_over_ended()
            ahead = self._unfinished.index(job_id) if job_id in self._unfinished else 0
        return replace(info, position=ahead)

    def _pass_over_ended(self) -> None:
        """Take ended jobs off the front of the queue; behind the first that waits none has
        begun."""
        for job_id in list(self._unfinished):
            try:
                status = self._look(self.root / job_id).status
            except ServerError:
                status = DISMISSED
            if status in ENDED:
                self._unfinished.remove(job_id)
            elif status == ACCEPTED:
                return

    def list_all(self) -> Iterator[JobInfo]:
        """All jobs, newest first. Those that ended are not looked at again."""
        with self.lock:
            self._pass_over_ended()
            for job_id in self._unfinished[:MOST_RUNNING]:
                with contextlib.suppress(ServerError):
                    self._look(self.root / job_id)
            found = [info for _, info in self._known.values()]
        yield from sorted(found, key=lambda info: info.created, reverse=True)

    def page(self, most: int, status: str = "", after: str = "") -> tuple[list[JobInfo], bool]:
        """At most so many jobs, newest first, and whether there are more; `status`: those in that
        state alone; `after`: those behind the job of that id. Raises UnknownJob."""
        found = list(self.list_all())
        if after:
            ids = [info.jobID for info in found]
            if after not in ids:
                raise UnknownJob(f"There is no job '{after[:64]}' to go on after.")
            found = found[ids.index(after) + 1 :]
        if status:
            found = [info for info in found if info.status == status]
        return found[:most], len(found) > most

    def changed(self, job_id: str, wait_s: float) -> JobInfo:
        """The job's state, at once where it has ended, else when it changes or after that time."""
        first = self.info(job_id)
        until = time.monotonic() + wait_s
        info = first
        with self.lock:
            while info.status not in ENDED and _seen(info) == _seen(first):
                left = until - time.monotonic()
                if left <= 0:
                    break
                # Workers in other processes cannot tell, so that their files are looked at.
                self.lock.wait(min(left, LOOK_AGAIN_S))
                info = self.info(job_id)
        return info

    def dismiss(self, job_id: str) -> JobInfo:
        """Stop a queued or running job, or drop the result of an ended one; twice is as good as
        once."""
        with self.lock:
            folder = self.folder(job_id)
            info = load_status(folder)
            if info.status == DISMISSED:
                return info
            (folder / DISMISSAL).touch()
            for name in RESULT_FILES:
                (folder / name).unlink(missing_ok=True)
            save_status(folder, as_dismissed(info))
            if job_id in self._unfinished:
                self._unfinished.remove(job_id)
            self.lock.notify_all()
            return self._look(folder)

    def unfinished(self) -> list[Path]:
        """Folders of jobs to run again after a restart: the interrupted first, then the queue in
        its order."""
        left = [i for i in self.list_all() if i.status in (ACCEPTED, RUNNING)]
        for info in [i for i in left if is_dismissed(self.root / i.jobID)]:
            # A former process ended between the mark and the status.
            left.remove(info)
            with contextlib.suppress(
                OSError, ServerError
            ):  # a folder that cannot be written stays as it is
                save_status(self.root / info.jobID, as_dismissed(info))
                self._look(self.root / info.jobID)
        left.sort(key=lambda info: (info.status != RUNNING, info.created))
        return [self.root / info.jobID for info in left]

    def forget_older_than(self, days: float) -> int:
        """Delete jobs that ended longer ago than that; returns how many. What cannot be read or
        deleted is left."""
        count = 0
        limit = time.time() - days * 86400
        with self.lock:
            for folder in [
                one
                for one in self.root.iterdir()
                if _ID.match(one.name) and one.name not in self.damaged
            ]:
                if (
                    folder.is_dir()
                    and not folder.is_symlink()
                    and not os.path.lexists(folder / STATUS)
                ):
                    shutil.rmtree(
                        folder, ignore_errors=True
                    )  # accepted half when a former process ended
            for job_id in list(self._known):
                folder = self.root / job_id
                with contextlib.suppress(ServerError):
                    ended = self._look(folder).status in ENDED
                    if ended and changed_at(folder / STATUS) < limit:
                        shutil.rmtree(folder, ignore_errors=True)
                        if not folder.exists():
                            del self._known[job_id]
                            count += 1
            for marker in self.root.glob("key-*"):
                known = read_marker(marker)
                if known is None or not (self.root / known["job"]).is_dir():
                    drop(marker)
        return count


def _seen(info: JobInfo) -> tuple[str, str, int]:
    """What of a state counts as a change."""
    return info.status, info.stage, info.step
