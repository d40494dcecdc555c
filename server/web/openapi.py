"""The OpenAPI 3.0 page and the OGC process descriptions, both made from the contract's
dataclasses."""

from __future__ import annotations

from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Union, get_args, get_origin, get_type_hints

from ..contract import words as api_words
from ..contract.comparison import Comparison, ComparisonRequest
from ..contract.editors import AUTO, EditorInfo, Option
from ..contract.jobs import RESULT_FILE, RESULT_FILES, JobInfo, Problem
from ..contract.message import Message
from ..contract.models import Model
from ..contract.requests import API_VERSION, EditRequest
from ..contract.routes import route
from ..editors.registry import EDITORS, described

_SCALARS = {str: "string", int: "integer", float: "number", bool: "boolean"}
AUTO_INFO = EditorInfo(
    id=AUTO,
    title="Say what should be there",
    description="Understands the prompt, chooses the editor and its options, and finds exemplars "
    "in the layer.",
    engine="chosen from the words",
    needs=("prompt",),
)
CONFORMANCE = tuple(
    f"http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf/{name}"
    for name in ("core", "ogc-process-description", "json", "oas30", "job-list", "dismiss")
)


def schema_of(hint: Any, rules: Any = None) -> dict[str, Any]:
    """JSON schema of a type of the contract, with the rules of its field."""
    rules = rules or {}
    origin = get_origin(hint)
    inner = get_args(hint)
    if origin is Union:
        return {**schema_of(next(a for a in inner if a is not type(None)), rules), "nullable": True}
    if origin is tuple:
        return {"type": "array", "items": schema_of(inner[0], rules)}
    if is_dataclass(hint):
        return message_schema(hint)  # type: ignore[arg-type]
    if origin is dict or hint is dict:
        schema: dict[str, Any] = {"type": "object"}
        if rules.get("keys"):
            schema["properties"] = {
                k: schema_of(inner[1], {**rules, "keys": None}) for k in rules["keys"]
            }
            schema["additionalProperties"] = False
        return schema
    if hint is Any:
        return {}
    schema = {"type": _SCALARS[hint]}
    for ours, theirs in (("minimum", "minimum"), ("maximum", "maximum"), ("longest", "maxLength")):
        if rules.get(ours) is not None:
            schema[theirs] = rules[ours]
    if "choices" in rules:
        schema["enum"] = list(rules["choices"])
    return schema


def message_schema(cls: type[Message]) -> dict[str, Any]:
    """JSON schema of a message."""
    hints = get_type_hints(cls)
    properties = {}
    required = []
    for spec in fields(cls):  # type: ignore[arg-type]
        schema = schema_of(hints[spec.name], spec.metadata)
        if "help" in spec.metadata:
            schema["description"] = spec.metadata["help"]
        if spec.name == "geometry":
            schema = {
                "type": "object",
                "description": spec.metadata["help"],
                "required": ["type", "coordinates"],
                "properties": {
                    "type": {"type": "string", "enum": ["Polygon", "MultiPolygon"]},
                    "coordinates": {"type": "array", "items": {}},
                },
                "additionalProperties": False,
            }
        properties[spec.name] = schema
        if spec.default is MISSING and spec.default_factory is MISSING:
            required.append(spec.name)
    schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**schema, "required": required} if required else schema


def _option_schema(option: Option) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": option.type, "title": option.title, "default": option.default}
    for name in ("minimum", "maximum"):
        if getattr(option, name) is not None:
            schema[name] = getattr(option, name)
    if option.choices:
        schema["enum"] = list(option.choices)
    text = " ".join(
        part for part in (option.help, f"In {option.unit}." if option.unit else "") if part
    )
    return {**schema, "description": text} if text else schema


def inputs_schema(info: EditorInfo) -> dict[str, Any]:
    """Schema of an execution's inputs, with the editor's own options in place."""
    schema = message_schema(EditRequest)
    if info.options:
        schema["properties"]["options"] = {
            "type": "object",
            "additionalProperties": False,
            "properties": {o.name: _option_schema(o) for o in info.options},
        }
    return schema


def process_summary(info: EditorInfo, base: str) -> dict[str, Any]:
    """The process in the list (OGC processSummary)."""
    return {
        "id": info.id,
        "title": info.title,
        "description": info.description,
        "version": API_VERSION,
        "jobControlOptions": ["async-execute", "dismiss"],
        "outputTransmission": ["reference"],
        "links": [
            {
                "rel": "self",
                "type": "application/json",
                "href": f"{base}{route('process', process_id=info.id)}",
            }
        ],
    }


def _file(kind: str) -> dict[str, str]:
    return {"type": "string", "contentEncoding": "binary", "contentMediaType": kind}


def process_description(info: EditorInfo, base: str) -> dict[str, Any]:
    """The process in full (OGC process), with our EditorInfo beside it."""
    inputs = {}
    schema = inputs_schema(info)
    for name, part in schema["properties"].items():
        needed = name in schema["required"]
        inputs[name] = {
            "title": name,
            "description": part.get("description", name),
            "schema": part,
            "minOccurs": 1 if needed else 0,
            "maxOccurs": 1,
        }
    outputs = {
        "result": {
            "title": "GeoTIFF on the source's grid",
            "schema": _file(RESULT_FILES[RESULT_FILE]),
        },
        "manifest": {
            "title": "What made it",
            "schema": {"type": "object", "contentMediaType": "application/json"},
        },
        "preview": {"title": "Preview", "schema": _file("image/png")},
    }
    execute = {
        "rel": "http://www.opengis.net/def/rel/ogc/1.0/execute",
        "type": "application/json",
        "href": f"{base}{route('execution', process_id=info.id)}",
    }
    summary = process_summary(info, base)
    return {
        **summary,
        "links": [*summary["links"], execute],
        "inputs": inputs,
        "outputs": outputs,
        "landbrush": info.to_json(),
    }


def infos() -> list[EditorInfo]:
    """Every process: the interpreter's first, then one for each editor."""
    return [AUTO_INFO, *(described(name) for name in EDITORS)]


def _answer(
    text: str, schema: dict[str, Any] | None = None, kind: str = "application/json"
) -> dict[str, Any]:
    return {"description": text, "content": {kind: {"schema": schema or {"type": "object"}}}}


def _json_body(schema: dict[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _wrong() -> dict[str, Any]:
    problem = _answer(
        "a problem document (RFC 9457)", message_schema(Problem), "application/problem+json"
    )
    return dict.fromkeys(
        ("400", "401", "403", "404", "409", "413", "415", "422", "502", "503", "507"), problem
    )


def _fixed_paths() -> dict[str, Any]:
    """Every path but the executions, which differ by editor."""
    wrong = _wrong()
    job = message_schema(JobInfo)

    def get(
        text: str, schema: dict[str, Any] | None = None, parameters: list | None = None
    ) -> dict[str, Any]:
        return {
            "summary": text,
            "parameters": parameters or [],
            "responses": {"200": _answer(text, schema), **wrong},
        }

    def path(name: str) -> dict[str, Any]:
        return {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "minLength": 1},
        }

    wait = {
        "name": "wait",
        "in": "query",
        "schema": {"type": "number", "minimum": 0, "maximum": 30},
        "description": "seconds to wait for a change",
    }
    return {
        "/": {"get": get("landing page and health")},
        "/conformance": {"get": get("conformance classes")},
        "/api": {"get": get("this document")},
        "/processes": {"get": get("the editors")},
        "/processes/{process_id}": {"get": get("one editor", parameters=[path("process_id")])},
        "/jobs": {"get": get("all jobs, newest first")},
        "/jobs/{job_id}": {
            "get": get("status of a job", job, [path("job_id"), wait]),
            "delete": get("dismiss a job", job, [path("job_id")]),
        },
        "/jobs/{job_id}/results": {"get": get("links to the results", parameters=[path("job_id")])},
        "/jobs/{job_id}/results/{name}": {
            "get": {
                "summary": "a result file; ETag and Range are understood",
                "parameters": [path("job_id"), path("name")],
                "responses": {
                    "200": {"description": "the file"},
                    "206": {"description": "a part"},
                    **wrong,
                },
            }
        },
        "/rasters": {
            "post": {
                "summary": "upload a raster; the id is its content's",
                "requestBody": {
                    "required": True,
                    "content": {"image/tiff": {"schema": {"type": "string", "format": "binary"}}},
                },
                "responses": {"201": _answer("uploaded"), **wrong},
            }
        },
        "/interpretations": {
            "post": {
                "summary": "what a prompt is understood to ask for",
                "requestBody": _json_body(message_schema(api_words.InterpretationRequest)),
                "responses": {
                    "200": _answer("understood", message_schema(api_words.Interpretation)),
                    **wrong,
                },
            }
        },
        "/ensembles": {
            "post": {
                "summary": "sentences that say the same as a prompt",
                "requestBody": _json_body(message_schema(api_words.Ensemble)),
                "responses": {
                    "200": _answer("sentences", message_schema(api_words.Ensemble)),
                    **wrong,
                },
            }
        },
        "/models": {
            "get": get("pretrained models: which there are, and which are on this machine")
        },
        "/models/{model_id}": {
            "get": get("one model", message_schema(Model), [path("model_id")]),
            "post": {
                "summary": "bring, check or remove a model; watch it with GET",
                "parameters": [path("model_id")],
                "requestBody": _json_body(message_schema(Model)),
                "responses": {
                    "202": _answer("begun", message_schema(Model)),
                    "200": _answer("done", message_schema(Model)),
                    **wrong,
                },
            },
        },
        "/searches": {
            "post": {
                "summary": "windows of a raster that look like a word",
                "requestBody": _json_body(message_schema(api_words.SearchRequest)),
                "responses": {
                    "200": _answer("found", message_schema(api_words.SearchResult)),
                    **wrong,
                },
            }
        },
        "/comparisons": {
            "post": {
                "summary": "what changed between two rasters of one ground",
                "requestBody": _json_body(message_schema(ComparisonRequest)),
                "responses": {"200": _answer("compared", message_schema(Comparison)), **wrong},
            }
        },
    }


def document(base: str, version: str) -> dict[str, Any]:
    """The whole OpenAPI document."""
    wrong = _wrong()
    job = message_schema(JobInfo)
    paths = _fixed_paths()
    key = {
        "name": "Idempotency-Key",
        "in": "header",
        "schema": {"type": "string", "maxLength": 200},
        "description": "repeat it to get the same job",
    }
    for info in infos():
        schema = {
            "type": "object",
            "required": ["inputs"],
            "additionalProperties": False,
            "properties": {
                "inputs": inputs_schema(info),
                "outputs": {"type": "object"},
                "response": {"type": "string", "enum": ["document"]},
            },
        }
        paths[f"/processes/{info.id}/execution"] = {
            "post": {
                "summary": info.title,
                "description": info.description,
                "parameters": [key],
                "requestBody": _json_body(schema),
                "responses": {
                    "201": _answer("accepted; Location names the job", job),
                    "200": _answer("the job this Idempotency-Key made before", job),
                    **wrong,
                },
            }
        }
    return {
        "openapi": "3.0.3",
        "info": {
            "title": "Landbrush model server",
            "version": version,
            "license": {"name": "GPL-2.0-or-later"},
        },
        "servers": [{"url": base}],
        "security": [{"token": []}],
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "paths": paths,
    }
