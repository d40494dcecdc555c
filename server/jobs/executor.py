"""Running jobs: the seam to compute is a concurrent.futures.Executor.

By default one worker thread a device in this process. What is submitted is a
module-level function with a path, and state never comes from the future. Workers
in other processes have a lock of their own over a job's folder (folder.StatusLock).
"""

from __future__ import annotations

import contextlib
import logging
import time
import traceback
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ..contract.jobs import DISMISSED, FAILED, PREVIEW_FILE, RUNNING, SUCCESSFUL, JobInfo, Problem
from ..editing.path import Job as EditJob
from ..editing.path import edit
from ..editors.registry import Editors
from ..ground.errors import CannotEdit, Dismissed, ServerError
from ..ground.settings import Settings
from ..raster.display import write_picture
from .folder import (
    StatusLock,
    allowed_for,
    is_dismissed,
    load_job,
    load_status,
    now,
    save_status,
    started,
)
from .store import JobStore

log = logging.getLogger(__name__)
SHARES = {
    "understanding": (0, 2),
    "reading": (2, 5),
    "searching": (5, 12),
    "editing": (12, 92),
    "writing": (92, 96),
    "checking": (96, 99),
}
"""Where each stage lies on the way from 0 to 100 %."""
WRITE_EVERY_S = 0.2
PREVIEW_EVERY_S = 2.0
MOST_STARTS = 3


@dataclass(frozen=True)
class Worker:
    """What running jobs takes; it may go to another process, which makes its own.

    `editors`: with the models of a home. `settings`: the server's, whose roots a job's files must
    still lie below; None: anywhere. `lock`: held while a state is written.
    """

    editors: Editors
    settings: Settings | None = None
    lock: StatusLock = field(default_factory=StatusLock)


class Runner:
    """Feeds jobs to an executor, in the order they were accepted."""

    def __init__(self, store: JobStore, worker: Worker, executor: Executor | None = None) -> None:
        self.store = store
        self.worker = worker
        workers = worker.settings.workers if worker.settings else 1
        self.executor = executor or ThreadPoolExecutor(
            workers, thread_name_prefix="landbrush-device"
        )

    def submit(self, folder: Path) -> None:
        """Queue the job of a folder."""
        self.executor.submit(run_job, str(folder), self.worker)

    def recover(self) -> int:
        """Queue what a former process left unfinished; returns how many."""
        folders = self.store.unfinished()
        for folder in folders:
            self.submit(folder)
        return len(folders)

    def close(self) -> None:
        """Drop the queue; what runs is not waited for. Unfinished jobs go on at the next start."""
        self.executor.shutdown(wait=False, cancel_futures=True)


class _Progress:
    """Writes a job's progress into its folder and stops it where it was dismissed."""

    def __init__(self, folder: Path, info: JobInfo, lock: StatusLock) -> None:
        self.lock = lock
        self.folder = folder
        self.info = info
        self.started = time.monotonic()
        self.written = 0.0
        self.editing_since = 0.0
        self.shown = -PREVIEW_EVERY_S

    def __call__(
        self, stage: str, step: int, steps: int, picture: np.ndarray | None = None, note: str = ""
    ) -> None:
        """Keep how far the job has come; this is where a dismissed one stops."""
        if is_dismissed(self.folder):
            raise Dismissed
        if picture is not None and time.monotonic() - self.shown > PREVIEW_EVERY_S:
            self.shown = time.monotonic()
            with contextlib.suppress(
                OSError
            ):  # a full disk ends the edit where it writes, not here
                write_picture(picture, self.folder / PREVIEW_FILE)
        new_stage = stage != self.info.stage
        if stage == "editing" and new_stage:
            self.editing_since = time.monotonic()
        low, high = SHARES[stage]
        share = min(step / max(steps, 1), 1.0)
        progress = round(low + (high - low) * share)
        eta = None
        if stage == "editing" and step > 0:
            spent = time.monotonic() - self.editing_since
            eta = round(spent / step * max(steps - step, 0), 1)
        self.info = replace(
            self.info,
            stage=stage,
            step=step,
            steps=steps,
            progress=progress,
            eta_s=eta,
            message=note if stage == "editing" else "",
        )
        if new_stage or time.monotonic() - self.written > WRITE_EVERY_S:
            self.written = time.monotonic()
            _save_unless_dismissed(self.folder, self.info, self.lock)


def _save_unless_dismissed(folder: Path, info: JobInfo, lock: StatusLock) -> None:
    with lock:
        if is_dismissed(folder):
            return
        try:
            save_status(folder, info)
            lock.notify_all()
        except OSError as error:
            log.warning("status of job %s could not be written: %s", folder.name, error)


def run_job(path: str, worker: Worker) -> None:
    """Run the job of a folder to its end; whatever happens is in its status."""
    settings = worker.settings
    folder = Path(path)
    if not folder.is_dir() or is_dismissed(folder):
        return
    info = replace(load_status(folder), status=RUNNING, started=now(), message="", step=0, steps=0)
    _save_unless_dismissed(folder, info, worker.lock)
    progress = _Progress(folder, info, worker.lock)
    try:
        if started(folder) > MOST_STARTS:
            raise CannotEdit(
                f"The server ended {MOST_STARTS} times while this job ran, so it is not begun "
                "again: most likely it needs more memory than there is. Choose a smaller polygon."
            )
        job = load_job(folder)
        files = (
            job.files
            if settings is None
            else replace(job.files, roots=allowed_for(job.files, settings))
        )
        asked = EditJob(job.request, job.process_id, files)
        manifest = edit(asked, worker.editors, folder, progress)
        ended = replace(
            progress.info,
            status=SUCCESSFUL,
            progress=100,
            stage="done",
            message="",
            report=manifest.report(),
        )
    except Dismissed:
        ended = replace(progress.info, status=DISMISSED, message="dismissed")
    except ServerError as error:
        ended = replace(progress.info, status=FAILED, message=str(error), problem=error.problem())
    except MemoryError:
        problem = Problem(
            "Out of memory", 507, "Not enough memory for this edit. Choose a smaller polygon."
        )
        ended = replace(progress.info, status=FAILED, message=problem.detail, problem=problem)
    except Exception as error:
        log.exception("job %s failed unexpectedly", folder.name)
        problem = Problem(
            "The server failed",
            500,
            f"{type(error).__name__}: {error}. This is a fault of Landbrush; please report it "
            "with the job's error.log.",
        )
        ended = replace(progress.info, status=FAILED, message=problem.detail, problem=problem)
        _log_error(folder)
    _finish(folder, replace(ended, finished=now(), eta_s=None), worker.lock)


def _log_error(folder: Path) -> None:
    try:
        (folder / "error.log").write_text(traceback.format_exc(), "utf8")
    except OSError:
        log.warning("error.log of job %s could not be written", folder.name)


def _finish(folder: Path, info: JobInfo, lock: StatusLock) -> None:
    """The last word; on a full disk it is tried for a while, since space may come back."""
    for pause in (0.0, 0.5, 2.0, 10.0):
        time.sleep(pause)
        with lock:
            if is_dismissed(folder):
                return
            try:
                save_status(folder, info)
                lock.notify_all()
                return
            except OSError as error:
                log.warning("status of job %s could not be written: %s", folder.name, error)
