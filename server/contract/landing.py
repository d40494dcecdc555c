"""Where a client begins: landing page, conformance classes, the OpenAPI document."""

from __future__ import annotations

from .routes import Route

OPENAPI = "application/vnd.oai.openapi+json;version=3.0"
LANDING = Route("GET", "/", "landing page, and the state of the machine", open=True)
CONFORMANCE = Route("GET", "/conformance", "conformance classes", open=True)
API = Route("GET", "/api", "this document", kind=OPENAPI, open=True)
