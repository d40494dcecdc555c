"""The editors as OGC processes, described from the contract."""

from __future__ import annotations

from typing import Any

from ..contract.editors import AUTO, PROCESS, EditorInfo
from ..contract.jobs import EXECUTION, RESULT_FILE, RESULT_FILES
from ..contract.requests import API_VERSION
from .schemas import inputs_schema

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


def _file(kind: str) -> dict[str, str]:
    return {"type": "string", "contentEncoding": "binary", "contentMediaType": kind}


OUTPUTS: dict[str, dict[str, Any]] = {
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
"""What a job hands over, by reference."""


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
                "href": f"{base}{PROCESS.url(process_id=info.id)}",
            }
        ],
    }


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
    execute = {
        "rel": "http://www.opengis.net/def/rel/ogc/1.0/execute",
        "type": "application/json",
        "href": f"{base}{EXECUTION.url(process_id=info.id)}",
    }
    summary = process_summary(info, base)
    return {
        **summary,
        "links": [*summary["links"], execute],
        "inputs": inputs,
        "outputs": OUTPUTS,
        "landbrush": info.to_json(),
    }
