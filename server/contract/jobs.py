"""Jobs: their state, their result files, and problem documents (OGC API - Processes 1.0, RFC
9457)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Tuple

from .message import Message, declare

STATUS_WORDS = (
    "accepted",
    "running",
    "successful",
    "failed",
    "dismissed",
)  # of a job (OGC 18-062r2, statusCode)
ACCEPTED, RUNNING, SUCCESSFUL, FAILED, DISMISSED = STATUS_WORDS
ENDED = frozenset((SUCCESSFUL, FAILED, DISMISSED))  # results, below /jobs/{id}/results/:
RESULT_FILE = "result.tif"
MANIFEST_FILE = "manifest.json"
PREVIEW_FILE = "preview.png"
RESULT_FILES = {
    RESULT_FILE: "image/tiff; application=geotiff",
    MANIFEST_FILE: "application/json",
    PREVIEW_FILE: "image/png",
}


@dataclass(frozen=True)
class Problem(Message):
    """A problem document (RFC 9457)."""

    title: str
    status: int
    detail: str = ""
    type: str = "about:blank"
    instance: str = ""


@dataclass(frozen=True)
class JobInfo(Message):
    """The state of a job: OGC statusInfo with stage, step, place in the queue and ETA."""

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
    report: dict = declare("what the gate found", dict)
    links: Tuple[dict, ...] = ()
