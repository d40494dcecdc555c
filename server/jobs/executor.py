"""Running jobs: a thread a device hands one job after the other to a worker and keeps its state.

The seam to compute is a workplace (workplace.py): processes of their own in a server. What a job's
folder says is the truth; a worker writes the result there, this thread alone the status.
"""

from __future__ import annotations

import logging
import time
import traceback
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..contract.jobs import ACCEPTED, DISMISSED, FAILED, RUNNING, SUCCESSFUL, JobInfo, Problem
from ..contract.manifest import EditReport
from ..contract.message import ContractError
from ..editors.models import Models
from ..ground.errors import BadRequest, Dismissed, ServerError, as_no_space
from .asked import answer
from .folder import BROKEN, LOST, STARTS, UNSTARTED, counted, now
from .store import JobStore
from .upkeep import Upkeep
from .workplace import Fault, Lost, NotStarted, Workplace

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
MOST_BROKEN = 2
"""Workers that a job may break before it is given up."""
PAUSE_S, MOST_PAUSES = 0.1, 30
"""Between two tries, for each that was lost before."""
MOST_UNSTARTED = 10
"""Times that no worker could be started for a job."""
MOST_LOST = 100
"""Workers that may be ended from outside while a job runs before it is given up after all."""


class Runner:
    """Feeds jobs to a workplace, in the order they were accepted.

    `store`: of the jobs. `place`: where they are done. `models`: of the home, for what a worker may
    not ask itself. `upkeep`: what ends with it. `executor`: of the threads that wait
    for workers; none: as many as `workers`.
    """

    def __init__(
        self,
        store: JobStore,
        place: Workplace,
        models: Models,
        workers: int = 1,
        executor: Executor | None = None,
    ) -> None:
        self.store = store
        self.place = place
        self.models = models
        self.executor = executor or ThreadPoolExecutor(
            workers, thread_name_prefix="landbrush-device"
        )
        self.upkeep: Upkeep | None = None
        self._closed = False

    def submit(self, job_id: str) -> None:
        """Queue a job behind those that wait; a closed runner leaves it for the next start."""
        try:
            self.executor.submit(self.run, job_id)
        except RuntimeError:  # the server is ending; the job goes on at the next start
            if not self._closed:
                raise

    def recover(self) -> int:
        """Queue what a former process left unfinished; returns how many."""
        found = self.store.unfinished()
        for job_id in found:
            self.submit(job_id)
        return len(found)

    def close(self) -> None:
        """Drop the queue and end what runs. Unfinished jobs go on at the next start."""
        self._closed = True
        if self.upkeep is not None:
            self.upkeep.end()
        self.executor.shutdown(wait=False, cancel_futures=True)
        self.place.close()

    def run(self, job_id: str) -> None:
        """Run a job to its end; whatever happens is in its status."""
        try:
            info = self.store.info(job_id)
            folder = self.store.folder(job_id)
        except ServerError:
            return  # it was forgotten
        if info.status == DISMISSED or self.store.is_dismissed(job_id):
            return
        counted(folder, STARTS)
        info = replace(info, status=RUNNING, started=now(), message="", step=0, steps=0, position=0)
        self.store.put(info)
        progress = _JobProgress(self.store, info)
        ended = self._outcome(folder, progress)
        if self._closed and ended.status != SUCCESSFUL:
            return  # its worker was ended with the server
        ended = replace(ended, eta_s=None)
        if ended.status == ACCEPTED and not progress.is_dismissed():
            self.store.put_last(ended)
            self.submit(job_id)
            return
        self.store.put(replace(ended, finished=now()))
        if progress.is_dismissed():  # perhaps while the worker wrote its last
            self.store.clear(job_id)

    def _outcome(self, folder: Path, progress: _JobProgress) -> JobInfo:
        """What became of an edit: the state to keep."""

        def hear(told: dict[str, Any]) -> None:
            if "ask" in told:
                told["reply"].update(answer(self.models, told))
            else:
                progress.heard(told)

        try:
            made = self.place.edit({"folder": str(folder)}, hear, progress.is_dismissed)
            report = EditReport.from_json(made, "report")
            return replace(
                progress.info,
                status=SUCCESSFUL,
                progress=100,
                stage="done",
                message="",
                report=report,
            )
        except Dismissed:
            return replace(progress.info, status=DISMISSED, message="dismissed")
        except Lost as error:
            if self._closed:
                return progress.info
            return _after_loss(folder, progress.info, error)
        except (ServerError, ContractError) as error:
            problem = (
                error.problem()
                if isinstance(error, ServerError)
                else BadRequest(str(error)).problem()
            )
            return _failed(progress.info, problem)
        except MemoryError:
            return _failed(
                progress.info,
                Problem(
                    "Out of memory",
                    507,
                    "Not enough memory for this edit. Choose a smaller polygon.",
                ),
            )
        except Exception as error:
            full = as_no_space(error)
            if full is not None:
                return _failed(progress.info, full.problem())
            said = str(error) if isinstance(error, Fault) else f"{type(error).__name__}: {error}"
            trace = error.trace if isinstance(error, Fault) else traceback.format_exc()
            log.error("job %s failed unexpectedly: %s\n%s", folder.name, said, trace)
            _log_error(folder, trace)
            return _failed(
                progress.info,
                Problem(
                    "The server failed",
                    500,
                    f"{said}. This is a fault of Landbrush; please report it with the job's "
                    "error.log.",
                ),
            )


def _failed(info: JobInfo, problem: Problem) -> JobInfo:
    return replace(info, status=FAILED, message=problem.detail, problem=problem)


def _after_loss(folder: Path, info: JobInfo, loss: Lost) -> JobInfo:
    """A job whose worker has ended in the midst of it: once more, behind all others, or given up
    where it broke the worker itself again."""
    kind, most = LOST, MOST_LOST
    if loss.caused:
        kind, most = BROKEN, 1 if loss.final else MOST_BROKEN
    elif isinstance(loss, NotStarted):
        kind, most = UNSTARTED, MOST_UNSTARTED
    often = counted(folder, kind)
    log.warning("job %s lost its worker: %s", folder.name, loss)
    if not loss.caused:
        time.sleep(min(often, MOST_PAUSES) * PAUSE_S)  # whatever ends workers may go on doing so
    if often >= most:
        return _failed(info, Problem("The edit was ended", 507 if loss.caused else 503, str(loss)))
    return replace(
        info,
        status=ACCEPTED,
        stage="waiting",
        step=0,
        steps=0,
        progress=0,
        message="It is begun again, since its worker was ended.",
    )


class _JobProgress:
    """Keeps a job's progress in its status."""

    def __init__(self, store: JobStore, info: JobInfo) -> None:
        self.store = store
        self.info = info
        self.written = 0.0
        self.editing_since = 0.0

    def is_dismissed(self) -> bool:
        """Whether the job is no longer wanted."""
        return self.store.is_dismissed(self.info.jobID)

    def heard(self, told: dict[str, Any]) -> None:
        """Keep how far the job has come."""
        stage = str(told.get("stage", ""))
        if stage not in SHARES:
            return
        step, steps = int(told.get("step", 0)), int(told.get("steps", 0))
        new_stage = stage != self.info.stage
        if stage == "editing" and new_stage:
            self.editing_since = time.monotonic()
        low, high = SHARES[stage]
        share = min(max(step, 0) / max(steps, 1), 1.0)
        eta = None
        if stage == "editing" and step > 0:
            spent = time.monotonic() - self.editing_since
            eta = round(spent / step * max(steps - step, 0), 1)
        self.info = replace(
            self.info,
            stage=stage,
            step=step,
            steps=steps,
            progress=round(low + (high - low) * share),
            eta_s=eta,
            message=str(told.get("note", ""))[:1000] if stage == "editing" else "",
        )
        if new_stage or time.monotonic() - self.written > WRITE_EVERY_S:
            self.written = time.monotonic()
            self.store.put(self.info)


def _log_error(folder: Path, trace: str) -> None:
    try:
        (folder / "error.log").write_text(trace, "utf8")
    except OSError:
        log.warning("error.log of job %s could not be written", folder.name)
