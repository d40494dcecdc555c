"""The paths of the server's resources."""

from __future__ import annotations

DEFAULT_PORT = 8765

ROUTES = {
    **{
        name: f"/{name}"
        for name in ("conformance", "api", "rasters", "processes", "jobs", "models", "comparisons")
    },
    **{name: f"/{name}" for name in ("interpretations", "searches", "ensembles")},
    "landing": "/",
    "model": "/models/{model_id}",
    "process": "/processes/{process_id}",
    "execution": "/processes/{process_id}/execution",
    "job": "/jobs/{job_id}",
    "results": "/jobs/{job_id}/results",
    "result_file": "/jobs/{job_id}/results/{name}",
}


def route(key: str, /, **parts: str) -> str:
    """The path of a route, its parts filled in."""
    return ROUTES[key].format(**parts)
