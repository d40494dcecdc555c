"""Jobs: their state, their result files, and problem documents (OGC API - Processes 1.0, RFC
9457)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Tuple

from .bundle import AREAS_END
from .manifest import EditReport
from .message import Message, declare
from .routes import Query, Route

STATUS_WORDS = (
    "accepted",
    "running",
    "successful",
    "failed",
    "dismissed",
)  # of a job (OGC 18-062r2, statusCode)
ACCEPTED, RUNNING, SUCCESSFUL, FAILED, DISMISSED = STATUS_WORDS
ENDED = frozenset((SUCCESSFUL, FAILED, DISMISSED))
# Results, below /jobs/{id}/results/:
RESULT_FILE = "result.tif"
MANIFEST_FILE = "manifest.json"
PREVIEW_FILE = "preview.png"
SIDECAR_FILE = RESULT_FILE + ".aux.xml"
"""Names of classes and attribute tables, where there are any; GDAL reads it beside the result."""
AREAS_FILE = RESULT_FILE + AREAS_END
"""Edited areas with what made each, FlatGeobuf; where they are too many for the result's tags."""
BESIDE = {"sidecar": SIDECAR_FILE, "areas": AREAS_FILE}
"""What may lie beside a result, by its key among the links to results."""
RESULT_FILES = {
    RESULT_FILE: "image/tiff; application=geotiff",
    MANIFEST_FILE: "application/json",
    PREVIEW_FILE: "image/png",
    SIDECAR_FILE: "application/xml",
    AREAS_FILE: "application/octet-stream",
}


@dataclass(frozen=True)
class Problem(Message):
    """A problem document (RFC 9457). `title`: the kind of problem. `status`: of HTTP. `detail`:
    what is wrong here, which value, what to do. `type`: address of the kind. `instance`: path of
    the request."""

    title: str
    status: int
    detail: str = ""
    type: str = "about:blank"
    instance: str = ""


@dataclass(frozen=True)
class JobInfo(Message):
    """The state of a job: OGC statusInfo, and how far it has come.

    `jobID`, `processID`, `status`, `type`, `message`, `created`, `started`, `finished`, `updated`,
    `progress` (in per cent), `links`: as OGC 18-062r2 has them. `stage`: what goes on. `step` of
    `steps`: of the stage. `eta_s`: seconds to the end of the stage, about. `position`: jobs ahead
    in the queue. `problem`: why it failed.
    """

    jobID: str
    processID: str
    status: str = declare("OGC status word", choices=STATUS_WORDS)
    type: str = "process"
    message: str = ""
    created: str = ""
    started: str = ""
    finished: str = ""
    updated: str = ""
    progress: int = 0
    stage: str = ""
    step: int = 0
    steps: int = 0
    eta_s: Optional[float] = None
    position: int = 0
    problem: Optional[Problem] = None
    report: Optional[EditReport] = declare("what the edit did, in short", None)
    links: Tuple[dict, ...] = ()


@dataclass(frozen=True)
class JobList(Message):
    """A page of jobs (OGC 18-062r2, requirement /req/job-list). `jobs`: newest first. `links`: to
    itself and, where there are more, `next`."""

    jobs: Tuple[JobInfo, ...]
    links: Tuple[dict, ...] = ()


LARGEST_PAGE = 1000
LONGEST_WAIT_S = 30
EXECUTION = Route(
    "POST",
    "/processes/{process_id}/execution",
    "run an editor; every process describes its own inputs",
    answer=JobInfo,
    status=201,
    others=((200, "the job this Idempotency-Key made before"),),
)
JOBS = Route(
    "GET",
    "/jobs",
    "jobs, newest first, a page at a time",
    answer=JobList,
    query=(
        Query("limit", "how many at most", "integer", 1, LARGEST_PAGE),
        Query("status", "those in that state alone", choices=STATUS_WORDS),
        Query("after", "the jobs behind that one, as a link 'next' has it"),
    ),
)
JOB = Route(
    "GET",
    "/jobs/{job_id}",
    "status of a job",
    answer=JobInfo,
    query=(Query("wait", "seconds to wait for a change", "number", 0, LONGEST_WAIT_S),),
)
DISMISS = Route("DELETE", "/jobs/{job_id}", "dismiss a job", answer=JobInfo)
RESULTS = Route("GET", "/jobs/{job_id}/results", "links to the results")
RESULT = Route(
    "GET",
    "/jobs/{job_id}/results/{name}",
    "a result file; ETag and Range are understood",
    others=((206, "a part"),),
    kind="application/octet-stream",
)
