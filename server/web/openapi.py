"""The OpenAPI 3.0 document: every declared route, and an execution for every editor."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..contract.editors import EditorInfo
from ..contract.jobs import EXECUTION, Problem
from ..contract.routes import Query, Route
from .processes import AUTO_INFO, OUTPUTS
from .schemas import inputs_schema, message_schema


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


def _operation(route: Route) -> dict[str, Any]:
    """One call as OpenAPI has it, from its declaration."""
    parameters = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "minLength": 1},
        }
        for name in route.parts
    ]
    parameters += [_query(one) for one in route.query]
    answer = message_schema(route.answer) if route.answer else None
    good = _answer(route.summary, answer, route.kind)
    found: dict[str, Any] = {"summary": route.summary, "parameters": parameters}
    if route.request:
        found["requestBody"] = _json_body(message_schema(route.request))
    if route.body:
        raw = {"schema": {"type": "string", "format": "binary"}}
        found["requestBody"] = {"required": True, "content": {route.body: raw}}
    others = {str(status): _answer(text, answer, route.kind) for status, text in route.others}
    return {**found, "responses": {str(route.status): good, **others, **_wrong()}}


def _query(one: Query) -> dict[str, Any]:
    """A parameter behind the path."""
    schema: dict[str, Any] = {"type": one.kind}
    if one.least is not None:
        schema["minimum"] = one.least
    if one.most is not None:
        schema["maximum"] = one.most
    if one.choices:
        schema["enum"] = list(one.choices)
    return {"name": one.name, "in": "query", "schema": schema, "description": one.help}


def _execution(info: EditorInfo) -> dict[str, Any]:
    """Running one editor, with its own options in the inputs."""
    key = {
        "name": "Idempotency-Key",
        "in": "header",
        "schema": {"type": "string", "maxLength": 200},
        "description": "repeat it to get the same job",
    }
    schema = {
        "type": "object",
        "required": ["inputs"],
        "additionalProperties": False,
        "properties": {
            "inputs": inputs_schema(info),
            "outputs": {
                "type": "object",
                "additionalProperties": False,
                "properties": dict.fromkeys(OUTPUTS, _REFERENCE),
            },
            "response": {"type": "string", "enum": ["document"]},
        },
    }
    found = _operation(EXECUTION)
    found.pop("parameters")
    return {
        **found,
        "summary": info.title,
        "description": info.description,
        "parameters": [key],
        "requestBody": _json_body(schema),
    }


_REFERENCE = {
    "type": "object",
    "properties": {"transmissionMode": {"type": "string", "enum": ["reference"]}},
}


def document(
    base: str, version: str, routes: Iterable[Route], infos: Iterable[EditorInfo]
) -> dict[str, Any]:
    """The whole OpenAPI document, of the routes that are served and the editors there are."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        if route is not EXECUTION:
            paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    for info in (AUTO_INFO, *infos):
        paths[EXECUTION.url(process_id=info.id)] = {"post": _execution(info)}
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
