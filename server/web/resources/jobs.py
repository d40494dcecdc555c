"""Jobs: their state, their list, their end, their files."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flask import Response, jsonify, send_file

from ...contract.jobs import (
    BESIDE,
    DISMISS,
    DISMISSED,
    FAILED,
    JOB,
    JOBS,
    MANIFEST_FILE,
    PREVIEW_FILE,
    RESULT,
    RESULT_FILE,
    RESULT_FILES,
    RESULTS,
    RUNNING,
    SUCCESSFUL,
    JobInfo,
    JobList,
)
from ...ground.errors import CannotEdit, ResultNotReady, UnknownJob
from .declared import Resource, base_url, link, query_value, services

resource = Resource("jobs")
PAGE = 100
"""Jobs of a list where no limit is asked for."""
LIMIT, STATUS, AFTER = JOBS.query
(WAIT,) = JOB.query
NAMES = {
    "result": RESULT_FILE,
    "manifest": MANIFEST_FILE,
    "preview": PREVIEW_FILE,
    **BESIDE,
}


def with_links(info: JobInfo) -> JobInfo:
    """A job's state with links to what there is of it."""
    links = [link("self", JOB.url(job_id=info.jobID))]
    preview = services().store.folder(info.jobID) / PREVIEW_FILE
    if info.status == RUNNING and preview.exists():
        path = RESULT.url(job_id=info.jobID, name=PREVIEW_FILE)
        links.append(link("preview", path, "image/png"))
    if info.status == SUCCESSFUL:
        rel = "http://www.opengis.net/def/rel/ogc/1.0/results"
        links.append(link(rel, RESULTS.url(job_id=info.jobID)))
    return replace(info, links=tuple(links))


def described(info: JobInfo) -> Response:
    """A job's state as JSON, with the type that OGC asks for."""
    return jsonify({**with_links(info).to_json(), "type": "process"})


@resource.serves(JOBS)
def jobs() -> dict[str, Any]:
    """A page of jobs, newest first."""
    limit = int(query_value(LIMIT, PAGE))
    status = query_value(STATUS, "")
    after = query_value(AFTER, "")
    found, more = services().store.page(limit, status, after)
    links = [link("self", JOBS.url(limit=limit, status=status, after=after))]
    if more:
        following = JOBS.url(limit=limit, status=status, after=found[-1].jobID)
        links.append(link("next", following))
    listed = JobList(tuple(with_links(info) for info in found), tuple(links)).to_json()
    entries = [{**entry, "type": "process"} for entry in listed.get("jobs", ())]
    return {"jobs": entries, "links": links}


@resource.serves(JOB)
def job(job_id: str) -> Response:
    """Status; with ?wait=s the answer comes when something changes, or after that time."""
    return described(services().store.changed(job_id, float(query_value(WAIT, 0))))


@resource.serves(DISMISS)
def dismiss(job_id: str) -> Response:
    """Stop a job, within one step or by ending its worker, or drop what an ended one left."""
    return described(services().store.dismiss(job_id))


@resource.serves(RESULTS)
def results(job_id: str) -> dict[str, Any]:
    """Links to the result files; to what lies beside only where it does."""
    _finished(job_id)
    folder = services().store.folder(job_id)
    return {
        key: {
            "href": f"{base_url()}{RESULT.url(job_id=job_id, name=name)}",
            "type": RESULT_FILES[name],
        }
        for key, name in NAMES.items()
        if key not in BESIDE or (folder / name).is_file()
    }


@resource.serves(RESULT)
def result_file(job_id: str, name: str) -> Response:
    """A result file, with ETag and Range."""
    if name not in RESULT_FILES:
        raise UnknownJob(f"A job has no file '{name[:60]}'; it has {', '.join(RESULT_FILES)}.")
    store = services().store
    path = store.folder(job_id) / name
    early = name == PREVIEW_FILE and path.exists() and store.info(job_id).status == RUNNING
    if not early:
        _finished(job_id)
    if path.is_symlink() or not path.is_file():
        raise UnknownJob(f"This job has no '{name}'.")
    kind = RESULT_FILES[name].split(";")[0]
    return send_file(path.resolve(), mimetype=kind, conditional=True, etag=True, download_name=name)


def _finished(job_id: str) -> None:
    """Raise what is to be said where a job has no results."""
    info = services().store.info(job_id)
    if info.status == FAILED:
        raise CannotEdit(f"The job failed: {info.message}")
    if info.status == DISMISSED:
        raise UnknownJob("The job was dismissed; it has no results.")
    if info.status != SUCCESSFUL:
        raise ResultNotReady(
            f"The job is {info.status}; its result is there once it is successful."
        )
