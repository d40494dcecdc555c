"""The HTTP face: OGC API - Processes, and uploads, interpretations and searches beside it.

Views translate between HTTP and the contract, and do nothing else.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, current_app, jsonify, request, send_file

from ..contract.comparison import ComparisonRequest
from ..contract.editors import AUTO
from ..contract.jobs import (
    DISMISSED,
    ENDED,
    FAILED,
    MANIFEST_FILE,
    PREVIEW_FILE,
    RESULT_FILE,
    RESULT_FILES,
    RUNNING,
    SUCCESSFUL,
    JobInfo,
)
from ..contract.models import Model
from ..contract.requests import API_VERSION, EditRequest
from ..contract.routes import ROUTES, route
from ..contract.words import Ensemble, Found, InterpretationRequest, SearchRequest, SearchResult
from ..editors import registry
from ..experiments import compare
from ..ground.errors import BadRequest, CannotEdit, ResultNotReady, UnknownJob
from ..ground.settings import LOOPBACK
from ..models import image_text, weights
from ..raster import bands, masks, provenance
from ..raster.raster import opened
from ..search import image_text as text_retrieval
from ..search import retrieval
from ..words import interpreter, prompts
from . import openapi
from .health import health
from .services import Services

blueprint = Blueprint("landbrush", __name__)
LONGEST_WAIT_S = 30.0


def _services() -> Services:
    return current_app.extensions["landbrush"]


def _base() -> str:
    return request.host_url.rstrip("/")


def _link(rel: str, path: str, kind: str = "application/json") -> dict[str, str]:
    return {"rel": rel, "type": kind, "href": f"{_base()}{path}"}


def _body() -> Any:
    try:
        data = request.get_json(silent=True)
    except RecursionError:
        data = None
    if data is None:
        raise BadRequest("The body is not JSON, or its Content-Type is not application/json.")
    return data


@blueprint.get(ROUTES["landing"])
def landing() -> Response:
    """Landing page; with the token also the state of the machine."""
    content: dict[str, Any] = {
        "title": "Landbrush model server",
        "description": "Edits rasters by polygon and words, on their own pixel grid.",
        "api_version": API_VERSION,
        "links": [
            _link("self", "/"),
            _link("service-desc", "/api", "application/vnd.oai.openapi+json;version=3.0"),
            _link("http://www.opengis.net/def/rel/ogc/1.0/conformance", "/conformance"),
            _link("http://www.opengis.net/def/rel/ogc/1.0/processes", "/processes"),
            _link("http://www.opengis.net/def/rel/ogc/1.0/job-list", "/jobs"),
        ],
    }
    if _services().knows(request.headers.get("Authorization", "")):
        content["health"] = health(_services())
    return jsonify(content)


@blueprint.get(ROUTES["conformance"])
def conformance() -> Response:
    """Conformance classes; each has a test."""
    return jsonify({"conformsTo": list(openapi.CONFORMANCE)})


@blueprint.get(ROUTES["api"])
def api_document() -> Response:
    """OpenAPI 3.0."""
    response = jsonify(openapi.document(_base(), provenance.version()))
    response.headers["Content-Type"] = "application/vnd.oai.openapi+json;version=3.0"
    return response


@blueprint.get(ROUTES["processes"])
def processes() -> Response:
    """The editors."""
    found = [openapi.process_summary(info, _base()) for info in openapi.infos()]
    return jsonify({"processes": found, "links": [_link("self", "/processes")]})


@blueprint.get(ROUTES["process"].replace("{process_id}", "<process_id>"))
def process(process_id: str) -> Response:
    """One editor."""
    info = openapi.AUTO_INFO if process_id == AUTO else registry.described(process_id)
    return jsonify(openapi.process_description(info, _base()))


@blueprint.post(ROUTES["execution"].replace("{process_id}", "<process_id>"))
def execution(process_id: str) -> tuple[Response, int]:
    """Accept a job. Everything that can be known to be wrong is refused here, before the queue."""
    if process_id != AUTO:
        registry.editor(process_id)
    body = _body()
    unknown = (
        set(body) - {"inputs", "outputs", "response", "subscriber"}
        if isinstance(body, dict)
        else {"-"}
    )
    if unknown:
        raise BadRequest(
            "The body needs the key 'inputs' (and may have 'outputs', 'response'), not "
            f"{sorted(unknown)}."
        )
    edit_request = EditRequest.from_json(body.get("inputs"), "inputs")
    key = request.headers.get("Idempotency-Key", "")
    if len(key) > 200:
        raise BadRequest(f"The Idempotency-Key has {len(key)} characters; at most 200 are taken.")
    info, new = _services().accept(process_id, edit_request, key)
    response = jsonify(_job_json(info))
    response.headers["Location"] = f"{_base()}{route('job', job_id=info.jobID)}"
    response.headers["Preference-Applied"] = "respond-async"
    return response, 201 if new else 200


def _job_json(info: JobInfo) -> dict[str, Any]:
    path = route("job", job_id=info.jobID)
    links = [_link("self", path)]
    if info.status == RUNNING and (_services().store.folder(info.jobID) / PREVIEW_FILE).exists():
        links.append(_link("preview", f"{path}/results/{PREVIEW_FILE}", "image/png"))
    if info.status == SUCCESSFUL:
        links.append(_link("http://www.opengis.net/def/rel/ogc/1.0/results", f"{path}/results"))
    return {**info.to_json(), "type": "process", "links": links}


@blueprint.get(ROUTES["jobs"])
def jobs() -> Response:
    """All jobs, newest first."""
    found = [_job_json(info) for info in _services().store.every()]
    return jsonify({"jobs": found, "links": [_link("self", "/jobs")]})


@blueprint.get(ROUTES["job"].replace("{job_id}", "<job_id>"))
def job(job_id: str) -> Response:
    """Status; with ?wait=s the answer comes when something changes, or after that time."""
    info = _services().store.info(job_id)
    until = time.monotonic() + _wait()
    first = (info.status, info.stage, info.step)
    while (
        time.monotonic() < until
        and info.status not in ENDED
        and (info.status, info.stage, info.step) == first
    ):
        time.sleep(0.1)
        info = _services().store.info(job_id)
    return jsonify(_job_json(info))


def _wait() -> float:
    text = request.args.get("wait", "0")
    try:
        wait = float(text)
    except ValueError:
        wait = -1.0
    if not 0 <= wait <= LONGEST_WAIT_S:
        raise BadRequest(
            f"wait: '{text[:40]}' is not a number of seconds from 0 to {LONGEST_WAIT_S:g}."
        )
    return wait


@blueprint.delete(ROUTES["job"].replace("{job_id}", "<job_id>"))
def dismiss(job_id: str) -> Response:
    """Stop a job within one step, or drop what an ended one left."""
    return jsonify(_job_json(_services().store.dismiss(job_id)))


@blueprint.get(ROUTES["results"].replace("{job_id}", "<job_id>"))
def results(job_id: str) -> Response:
    """Links to the result files."""
    _finished(job_id)
    path = route("results", job_id=job_id)
    names = {"result": RESULT_FILE, "manifest": MANIFEST_FILE, "preview": PREVIEW_FILE}
    return jsonify(
        {
            key: {"href": f"{_base()}{path}/{name}", "type": RESULT_FILES[name]}
            for key, name in names.items()
        }
    )


def _finished(job_id: str) -> None:
    info = _services().store.info(job_id)
    if info.status == FAILED:
        raise CannotEdit(f"The job failed: {info.message}")
    if info.status == DISMISSED:
        raise UnknownJob("The job was dismissed; it has no results.")
    if info.status != SUCCESSFUL:
        raise ResultNotReady(
            f"The job is {info.status}; its result is there once it is successful."
        )


@blueprint.get(ROUTES["result_file"].replace("{job_id}", "<job_id>").replace("{name}", "<name>"))
def result_file(job_id: str, name: str) -> Response:
    """A result file, with ETag and Range."""
    if name not in RESULT_FILES:
        raise UnknownJob(f"A job has no file '{name[:60]}'; it has {', '.join(RESULT_FILES)}.")
    path = _services().store.folder(job_id) / name
    if not (
        name == PREVIEW_FILE and path.exists() and _services().store.info(job_id).status == RUNNING
    ):
        _finished(job_id)
    return send_file(
        path.resolve(),
        mimetype=RESULT_FILES[name].split(";")[0],
        conditional=True,
        etag=True,
        download_name=name,
    )


@blueprint.post(ROUTES["rasters"])
def upload() -> tuple[Response, int]:
    """Store a raster under the hash of its content."""
    raster_id = _services().receive(request.stream, request.content_length)
    return jsonify({"upload": raster_id}), 201


@blueprint.post(ROUTES["interpretations"])
def interpretation() -> Response:
    """What the words are understood to ask for; nothing is run."""
    body = _body()
    if isinstance(body, dict) and isinstance(body.get("prompt"), str):
        # Typed text may end in half a character, and is understood without it.
        body = {**body, "prompt": body["prompt"].encode("utf8", "replace").decode()}
    wanted = InterpretationRequest.from_json(body, "interpretation")
    return jsonify(
        interpreter.interpret(wanted.prompt, wanted.operation, wanted.exemplar).to_json()
    )


@blueprint.post(ROUTES["ensembles"])
def ensemble() -> Response:
    """Sentences that say the same as a prompt, to look at and change before they are used."""
    wanted = Ensemble.from_json(_body(), "ensemble")
    return jsonify(prompts.ensemble(wanted.prompt, wanted.source, wanted.count).to_json())


@blueprint.get(ROUTES["models"])
def models() -> Response:
    """The pretrained models, and which of them are here."""
    return jsonify({"models": [model.to_json() for model in _services().models.every()]})


@blueprint.get(ROUTES["model"].replace("{model_id}", "<model_id>"))
def model(model_id: str) -> Response:
    """One model, and how far what was asked of it has come."""
    return jsonify(_services().models.state(model_id).to_json())


@blueprint.post(ROUTES["model"].replace("{model_id}", "<model_id>"))
def model_action(model_id: str) -> tuple[Response, int]:
    """Import, download, verify, remove, unload or stop."""
    body = _body()
    wanted = Model.from_json({"id": model_id, **body} if isinstance(body, dict) else body, "model")
    if wanted.id != model_id:
        raise BadRequest(f"id: '{wanted.id[:80]}' is not the model of the path, '{model_id[:80]}'.")
    settings = _services().settings
    near = settings.host in LOOPBACK and not settings.extra_hosts
    state = _services().models.act(wanted, None if near else settings.roots)
    return jsonify(state.to_json()), 202 if state.state == "busy" else 200


@blueprint.post(ROUTES["searches"])
def search() -> Response:
    """Windows of a raster that look like a word, with thumbnails to tick."""
    wanted = SearchRequest.from_json(_body(), "search")
    path = _services().path_of(wanted.raster)
    with opened(path, _services().roots_of(path)) as dataset:
        layer = bands.Layer.of(dataset, wanted.band_roles)
        area = masks.extent_box(wanted.extent, layer.profile)
        named = weights.chosen("image-text")
        if named and not retrieval.knows(wanted.word):
            result = text_retrieval.search(
                layer, image_text.load(Path(named)), prompts.ensemble(wanted.word).texts, area
            )
        else:
            result = retrieval.search(layer, wanted.word, area)
        found = tuple(
            Found(
                masks.as_polygons(hit.box, layer.profile),
                round(hit.agreement, 2),
                retrieval.thumbnail(layer, hit.box),
            )
            for hit in result.hits[: wanted.most]
        )
    return jsonify(SearchResult(result.word, result.rule, found, result.reason).to_json())


@blueprint.post(ROUTES["comparisons"])
def comparison() -> Response:
    """What changed between two rasters of one ground, inside and outside polygons."""
    wanted = ComparisonRequest.from_json(_body(), "comparison")
    for name, ref in (("before", wanted.before), ("after", wanted.after)):
        if ref.extent is not None:
            raise BadRequest(
                f"{name}.extent: rasters are compared that are there; name a path or an upload."
            )
    before, after = (_services().path_of(ref) for ref in (wanted.before, wanted.after))
    roots = (*_services().roots_of(before), *_services().roots_of(after))
    return jsonify(compare.compared(before, after, wanted.polygons, roots).to_json())
