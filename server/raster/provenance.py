"""What made the pixels: the manifest beside a result, and the tags that disclose it inside the
file."""

from __future__ import annotations

import functools
import json
import platform
import re
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import rasterio
import shapely

from ..contract.editors import EditorInfo
from ..contract.requests import EditRequest
from .grid import Box

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


KEPT_ELSEWHERE = "not in this file; the manifest beside it has it"
"""Value of the tags for prompt and request where the user did not ask for them in the file."""
MASK = "LANDBRUSH_MASK_WKB"
HISTORY = "LANDBRUSH_HISTORY"
PROMPT = "LANDBRUSH_PROMPT"
REQUEST = "LANDBRUSH_REQUEST"
_TOLD = ("EDITOR", "ENGINE", "SEED", "VERSION", "MODEL", "PROMPT", "REQUEST")


@dataclass(frozen=True)
class Disclosed:
    """What a raster already says of edits made to it. `mask`: where, in its CRS; None: nowhere,
    or not told. `history`: one record an edit, the first one first."""

    mask: shapely.Geometry | None = None
    history: tuple[dict[str, str], ...] = ()


def disclosed(dataset: rasterio.DatasetReader, box: Box) -> Disclosed:
    """The edits that a raster's tags tell of, their area inside the window `box`."""
    tags = dataset.tags()
    if "LANDBRUSH_EDITOR" not in tags:
        return Disclosed()
    try:
        earlier = json.loads(tags.get(HISTORY, "[]"))
        history = tuple({str(k): str(v) for k, v in record.items()} for record in earlier)
    except (ValueError, AttributeError, TypeError):
        history = ()
    last = {
        name.lower(): tags[f"LANDBRUSH_{name}"]
        for name in _TOLD
        if tags.get(f"LANDBRUSH_{name}", KEPT_ELSEWHERE) != KEPT_ELSEWHERE
    }
    try:
        mask = shapely.make_valid(shapely.from_wkb(tags[MASK]))
    except (KeyError, shapely.errors.ShapelyError):
        return Disclosed(None, (*history, last))
    corners = [
        (box.col, box.row),
        (box.col + box.width, box.row),
        (box.col + box.width, box.row + box.height),
        (box.col, box.row + box.height),
    ]
    frame = shapely.Polygon([dataset.transform @ corner for corner in corners])
    here = shapely.intersection(mask, frame)
    return Disclosed() if here.is_empty else Disclosed(here, (*history, last))


def tags(
    request: EditRequest, info: EditorInfo, mask: shapely.Geometry, model: str, before: Disclosed
) -> tuple[tuple[str, str], ...]:
    """GeoTIFF tags: the disclosure of this edit and of those before it.

    `mask`: where was edited, in the raster's CRS; `model`: the pretrained one it was drawn with.
    Prompt and request stand in the file only where the user asked for that, and then without
    folders of this machine; the manifest always has them.
    """
    kept = request.output.keep_request
    replay = json.dumps(without_folders(request.to_json()), separators=(",", ":"), sort_keys=True)
    whole = mask if before.mask is None else shapely.union_all([mask, before.mask])
    found = [
        ("AI_GENERATED", "TRUE"),
        ("LANDBRUSH_SYNTHETIC", DISCLAIMER),
        ("LANDBRUSH_EDITOR", info.id),
        ("LANDBRUSH_ENGINE", info.engine),
        (PROMPT, _without_folders_in(request.prompt) if kept else KEPT_ELSEWHERE),
        ("LANDBRUSH_SEED", str(request.seed)),
        ("LANDBRUSH_VERSION", version()),
        (REQUEST, replay if kept else KEPT_ELSEWHERE),
        (MASK, shapely.to_wkb(whole, hex=True)),
        ("LANDBRUSH_MODEL", file_name(model)),
    ]
    history = [
        record if kept else {k: v for k, v in record.items() if k not in ("prompt", "request")}
        for record in before.history
    ]
    found.append(
        (HISTORY, json.dumps(without_folders(history), separators=(",", ":")) if history else "")
    )
    return tuple((name, value) for name, value in found if value)


def without_folders(value: Any) -> Any:
    """JSON with every absolute path in it cut to its last part, so that nothing tells of folders
    and their owners."""
    if isinstance(value, dict):
        return {key: without_folders(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_folders(inner) for inner in value]
    return _without_folders_in(value) if isinstance(value, str) else value


def _without_folders_in(text: str) -> str:
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
