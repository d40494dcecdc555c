"""Jobs as folders: request.json, status.json, dismissed, result.tif, manifest.json, preview.png.

The folder is the truth, and survives a restart of either side. Only the server writes states; what
a full disk does not take is kept in memory and tried again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import re
import shutil
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ..contract.jobs import (
    ACCEPTED,
    DISMISSED,
    ENDED,
    FAILED,
    RESULT_FILES,
    RUNNING,
    JobInfo,
    Problem,
)
from ..contract.message import ContractError
from ..contract.requests import EditRequest
from ..ground.errors import Conflict, NoSpace, ServerError, UnknownJob
from ..ground.files import folder_on_disk, write_json
from ..raster.rasters import Rasters
from .folder import (
    DISMISSAL,
    REQUEST,
    STARTS,
    STATUS,
    as_dismissed,
    changed_at,
    count_of,
    drop,
    is_dismissed,
    load_job,
    load_status,
    now,
    read_marker,
    save_status,
)
from .waiters import Waiters

log = logging.getLogger(__name__)
_ID = re.compile(r"^[0-9a-f]{32}$")
MOST_RUNNING = 64
"""Jobs at the front of the queue that are looked at for a list: more than any machine runs at a
time."""
SUSPECT = 2
"""Times that a job was begun when a server ended, from which on it waits behind all others."""


class JobStore:
    """All jobs below one folder.

    An index of them in memory, made at the start, tells states without reading every folder. Jobs
    run in the order in which they were accepted, so that of the unfinished ones only the first are
    looked at again.

    `lock`: held by whoever looks at a job's state and then changes it. `damaged`: folders that
    cannot be read, each with why; they are left as they are.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.lock = threading.RLock()
        self._waiters = Waiters(self.lock)
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._known: dict[str, tuple[tuple[int, int], JobInfo]] = {}
        self._unfinished: list[str] = []
        self._unwritten: dict[str, JobInfo] = {}
        self._dismissed: set[str] = set()
        self._unmarked: set[str] = set()
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
            if info.status not in ENDED:
                load_job(folder)
        except ContractError as error:
            self._cannot_go_on(info, str(error))
            return
        except Exception as error:  # whatever a damaged file holds, the others are served
            self._known.pop(folder.name, None)
            self.damaged[folder.name] = f"{type(error).__name__}: {error}"[:300]
            log.warning(
                "the job folder %s is damaged and left as it is (%s)",
                folder,
                self.damaged[folder.name],
            )
            return
        if info.status == DISMISSED:
            self.clear(folder.name)
        if info.status not in ENDED:
            self._unfinished.append(folder.name)

    def _cannot_go_on(self, info: JobInfo, why: str) -> None:
        """End a job that another version of the program accepted and this one does not
        understand."""
        said = f"This job is of another version of Landbrush ({why[:300]}). Ask for it again."
        problem = Problem("The job is of another version", 422, said)
        self.put(replace(info, status=FAILED, message=said, problem=problem, finished=now()))

    def _look(self, folder: Path) -> JobInfo:
        """The job's state as its folder has it now; read again only where its file is another
        one."""
        with self.lock:
            if folder.name in self._unwritten:
                return self._unwritten[folder.name]
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

    def put(self, info: JobInfo) -> None:
        """Keep a job's state, and tell whoever waits for it; of a dismissed one no other state is
        kept. Where the disk takes it not, it is held in memory and written later."""
        with self.lock:
            if self.is_dismissed(info.jobID) and info.status != DISMISSED:
                return
            self._write(info)
            self._waiters.tell(info.jobID)

    def put_last(self, info: JobInfo) -> None:
        """Keep the state of a job that waits again, behind all others."""
        with self.lock:
            self.put(info)
            if info.jobID in self._unfinished:
                self._unfinished.remove(info.jobID)
                self._unfinished.append(info.jobID)

    def _write(self, info: JobInfo) -> None:
        try:
            folder = self.root / info.jobID
            kept = save_status(folder, info)
            stat = (folder / STATUS).stat()
            self._known[info.jobID] = (stat.st_mtime_ns, stat.st_ino), kept
            self._unwritten.pop(info.jobID, None)
        except OSError as error:
            if info.jobID not in self._unwritten:
                log.warning("status of job %s could not be written: %s", info.jobID, error)
            if (self.root / info.jobID).is_dir():
                self._unwritten[info.jobID] = replace(info, updated=now())

    def write_what_waits(self) -> int:
        """Try again what the disk did not take; returns how many states are still held in memory
        alone."""
        with self.lock:
            for info in list(self._unwritten.values()):
                self._write(info)
            unmarked, self._unmarked = self._unmarked, set()
            for job_id in unmarked:
                self._mark_dismissed(self.root / job_id)
            return len(self._unwritten)

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
            "files": files.to_json(),
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
                folder.mkdir(mode=0o700)
                write_json(folder / REQUEST, body)
                if marker is not None:
                    write_json(marker, {"job": job_id, "request": body_digest})
                # Last, since a folder is a job once it has a status.
                save_status(folder, info)
                folder_on_disk(self.root)
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
            found = [self._unwritten.get(job_id, info) for job_id, (_, info) in self._known.items()]
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

        def look() -> tuple[JobInfo, bool]:
            info = self.info(job_id)
            return info, info.status in ENDED or _seen(info) != _seen(first)

        return self._waiters.wait(job_id, wait_s, look)

    def is_dismissed(self, job_id: str) -> bool:
        """Whether the job was dismissed."""
        return job_id in self._dismissed or is_dismissed(self.root / job_id)

    def _mark_dismissed(self, folder: Path) -> None:
        """For a worker of the job, and for the next start."""
        try:
            if folder.is_dir():
                (folder / DISMISSAL).touch()
        except OSError:
            self._unmarked.add(folder.name)

    def dismiss(self, job_id: str) -> JobInfo:
        """Stop a queued or running job, or drop what an ended one left; twice is as good as once.
        The mark is seen between steps (`workers/tasks`); who does not see it is ended
        (`workers/process`)."""
        with self.lock:
            folder = self.folder(job_id)
            info = self._look(folder)
            if info.status == DISMISSED:
                return info
            self._dismissed.add(job_id)
            for name in RESULT_FILES:  # first, since a full disk takes nothing before
                drop(folder / name)
            self._mark_dismissed(folder)
            ended = as_dismissed(info)
            self._write(ended)
            if job_id in self._unfinished:
                self._unfinished.remove(job_id)
            if info.status != RUNNING:
                self.clear(job_id)
            self._waiters.tell(job_id)
            return ended

    def clear(self, job_id: str) -> None:
        """Delete all that a dismissed job has left but its state."""
        folder = self.root / job_id
        with contextlib.suppress(OSError):
            for path in list(folder.iterdir()):
                if path.name not in (STATUS, DISMISSAL):
                    drop(path)

    def unfinished(self) -> list[str]:
        """Ids of jobs to run again after a restart: the interrupted first, then the queue in its
        order, and last those that were running whenever a server ended."""
        left = [i for i in self.list_all() if i.status in (ACCEPTED, RUNNING)]
        for info in [i for i in left if is_dismissed(self.root / i.jobID)]:
            # A former process ended between the mark and the status.
            left.remove(info)
            self._unfinished.remove(info.jobID)
            self.put(as_dismissed(info))
            self.clear(info.jobID)

        def place(info: JobInfo) -> tuple[bool, bool, str]:
            begun = count_of(self.root / info.jobID, STARTS)
            return begun >= SUSPECT, info.status != RUNNING, info.created

        left.sort(key=place)
        with self.lock:
            self._unfinished = [info.jobID for info in left]
        return list(self._unfinished)

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
