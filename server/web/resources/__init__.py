"""The server's resources, one module a subject."""

from __future__ import annotations

from . import (
    comparisons,
    heights,
    inspections,
    jobs,
    landing,
    library,
    models,
    outlines,
    processes,
    rasters,
    words,
)
from .declared import Resource

RESOURCES: tuple[Resource, ...] = (
    landing.resource,
    processes.resource,
    jobs.resource,
    rasters.resource,
    words.resource,
    outlines.resource,
    heights.resource,
    models.resource,
    library.resource,
    comparisons.resource,
    inspections.resource,
)

__all__ = ["RESOURCES", "Resource"]
