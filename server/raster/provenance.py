"""What made a result, in words that may be handed on: versions, and names without folders."""

from __future__ import annotations

import functools
import json
import platform
import re
from importlib import metadata
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import rasterio

DISCLAIMER = (
    "Synthetic imagery: the pixels inside the polygons were made by a program. Not survey data."
)
_PACKAGES = ("landbrush", "numpy", "scipy", "torch", "rasterio", "faiss-cpu")


@functools.cache
def version() -> str:
    """The version in metadata.txt, the one place that holds it."""
    text = (Path(__file__).resolve().parents[2] / "metadata.txt").read_text("utf8")
    return next(
        line.partition("=")[2].strip() for line in text.splitlines() if line.startswith("version=")
    )


def versions() -> dict[str, str]:
    """Versions of what took part."""
    return dict(_versions())


@functools.cache
def _versions() -> tuple[tuple[str, str], ...]:
    found = {
        "landbrush": version(),
        "python": platform.python_version(),
        "gdal": rasterio.__gdal_version__,
    }
    for package in _PACKAGES[1:]:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return tuple(found.items())


def without_folders(value: Any) -> Any:
    """JSON with every absolute path in it cut to its last part, so that nothing tells of folders
    and their owners."""
    if isinstance(value, dict):
        return {key: without_folders(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_folders(inner) for inner in value]
    return without_folders_in(value) if isinstance(value, str) else value


def without_folders_in(text: str) -> str:
    """A sentence, or JSON as text, with every absolute path in it cut to its last part."""
    try:
        inner = json.loads(text)  # a request in a record of an earlier edit
    except ValueError:
        inner = None
    if isinstance(inner, (dict, list)):
        return json.dumps(without_folders(inner), separators=(",", ":"), sort_keys=True)
    return _PATH.sub(
        lambda found: found.group(1) if "." in found.group(1) else "(a folder)", file_name(text)
    )


_PATH = re.compile(
    r"(?<![\w.:/\\])(?:file:/*|[A-Za-z]:[\\/]|\\\\|/)(?:[^\s\"'\\/]+[\\/])+([^\s\"'\\/]*)"
)
"""An absolute path within a sentence, and its last part, which is kept where it is a file's
name."""


def file_name(text: str) -> str:
    """The last part of an absolute path or of a path on another machine; any other text as it
    is."""
    if (
        text.startswith("file:")
        or PurePosixPath(text).is_absolute()
        or PureWindowsPath(text).is_absolute()
    ):
        return PureWindowsPath(text).name
    return text
