"""Rasters that are sent."""

from __future__ import annotations

from flask import request

from ...contract.requests import RASTERS, Upload
from .declared import Resource, services

resource = Resource("rasters")


@resource.serves(RASTERS)
def upload() -> Upload:
    """Store a raster under the hash of its content."""
    return Upload(services().receive(request.stream, request.content_length))
