"""The editors, and running one."""

from __future__ import annotations

from typing import Any

from flask import request

from ...contract.editors import AUTO, PROCESS, PROCESSES
from ...contract.jobs import EXECUTION, JOB
from ...contract.requests import EditRequest
from ...ground.errors import BadRequest
from ..processes import AUTO_INFO, OUTPUTS, process_description, process_summary
from .declared import Answer, Resource, base_url, json_body, link, services
from .jobs import described

resource = Resource("processes")
LONGEST_KEY = 200
TAKEN = {"inputs", "outputs", "response", "subscriber"}
"""Keys of an execution (OGC 18-062r2)."""


@resource.serves(PROCESSES)
def processes() -> dict[str, Any]:
    """The list of editors as OGC processes."""
    infos = (AUTO_INFO, *services().editors.described())
    found = [process_summary(info, base_url()) for info in infos]
    return {"processes": found, "links": [link("self", PROCESSES.url())]}


@resource.serves(PROCESS)
def process(process_id: str) -> dict[str, Any]:
    """One editor in full: its options with bounds, inputs and outputs."""
    if process_id == AUTO:
        return process_description(AUTO_INFO, base_url())
    info = services().editors.get(process_id).described()
    return process_description(info, base_url())


@resource.serves(EXECUTION)
def execution(process_id: str) -> Answer:
    """Accept a job. Everything that can be known to be wrong is refused here, before the queue."""
    if process_id != AUTO:
        process_id = services().editors.get(process_id).info.id
    wanted = EditRequest.from_json(_inputs(json_body()), "inputs")
    key = request.headers.get("Idempotency-Key", "")
    if len(key) > LONGEST_KEY:
        raise BadRequest(
            f"The Idempotency-Key has {len(key)} characters; at most {LONGEST_KEY} are taken."
        )
    info, new = services().accept(process_id, wanted, key)
    response = described(info)
    response.headers["Location"] = f"{base_url()}{JOB.url(job_id=info.jobID)}"
    response.headers["Preference-Applied"] = "respond-async"
    response.status_code = 201 if new else 200
    return response


def _inputs(body: Any) -> Any:
    """The inputs of an execution; raises BadRequest for what is asked beside them and not done."""
    unknown = set(body) - TAKEN if isinstance(body, dict) else {"-"}
    if unknown:
        raise BadRequest(
            "The body needs the key 'inputs' (and may have 'outputs', 'response'), not "
            f"{sorted(unknown)}."
        )
    if body.get("response", "document") != "document":
        raise BadRequest(
            f"response: '{str(body['response'])[:40]}' is not done; results are linked from a "
            "document."
        )
    if body.get("subscriber"):
        raise BadRequest("subscriber: nobody is called back; ask GET /jobs/{job_id}?wait=30.")
    outputs = body.get("outputs") or {}
    known = set(OUTPUTS)
    if not isinstance(outputs, dict) or set(outputs) - known:
        raise BadRequest(f"outputs: an object with keys of {', '.join(sorted(known))} is needed.")
    modes = {
        str(part.get("transmissionMode", "reference"))
        for part in outputs.values()
        if isinstance(part, dict)
    }
    if modes - {"reference"}:
        raise BadRequest("outputs: results are handed over as references alone.")
    return _unwrapped(body.get("inputs"))


QUALIFIED = {"value", "mediaType", "encoding", "schema"}


def _unwrapped(inputs: Any) -> Any:
    """Inputs without the form in which a value may say what it is (OGC 18-062r2, 7.11.2.2:
    qualifiedInputValue)."""
    if not isinstance(inputs, dict):
        return inputs
    return {
        name: given["value"]
        if isinstance(given, dict) and "value" in given and set(given) <= QUALIFIED
        else given
        for name, given in inputs.items()
    }
