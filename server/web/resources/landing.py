"""Landing page, conformance classes, the OpenAPI document."""

from __future__ import annotations

from typing import Any

from flask import Response, current_app, jsonify, request

from ...contract.editors import PROCESSES
from ...contract.jobs import JOBS
from ...contract.landing import API, CONFORMANCE, LANDING, OPENAPI
from ...contract.requests import API_VERSION
from ...raster import provenance
from .. import openapi
from ..health import health
from ..processes import CONFORMANCE as CONFORMANCE_CLASSES
from .declared import Resource, base_url, link, services

resource = Resource("landing")
OGC = "http://www.opengis.net/def/rel/ogc/1.0"


@resource.serves(LANDING)
def landing() -> dict[str, Any]:
    """Landing page; with the token also the state of the machine."""
    content: dict[str, Any] = {
        "title": "Landbrush model server",
        "description": "Edits rasters by polygon and words, on their own pixel grid.",
        "api_version": API_VERSION,
        "links": [
            link("self", LANDING.url()),
            link("service-desc", API.url(), OPENAPI),
            link(f"{OGC}/conformance", CONFORMANCE.url()),
            link(f"{OGC}/processes", PROCESSES.url()),
            link(f"{OGC}/job-list", JOBS.url()),
        ],
    }
    if services().knows(request.headers.get("Authorization", "")):
        content["health"] = health(services())
    return content


@resource.serves(CONFORMANCE)
def conformance() -> dict[str, Any]:
    """Conformance classes; each has a test."""
    return {"conformsTo": list(CONFORMANCE_CLASSES)}


@resource.serves(API)
def api_document() -> Response:
    """The interface as an OpenAPI 3.0 document, made from the declared routes."""
    routes = current_app.extensions["landbrush-routes"]
    version = provenance.version()
    return jsonify(openapi.document(base_url(), version, routes, services().editors.described()))
