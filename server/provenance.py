"""What made the pixels: the manifest beside a result, and the tags that disclose it inside the file."""

from __future__ import annotations

import functools
import json
import platform
import uuid
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from PIL import Image

from .api import EditRequest
from .raster import Box

DISCLAIMER = "Synthetic imagery: the pixels inside the polygons were made by a program. Not survey data."
_PACKAGES = ("landbrush", "numpy", "scipy", "torch", "rasterio", "faiss-cpu")


@functools.cache
def version() -> str:
    """The version in metadata.txt, the one place that holds it."""
    text = (Path(__file__).resolve().parents[1] / "metadata.txt").read_text("utf8")
    return next(line.partition("=")[2].strip() for line in text.splitlines() if line.startswith("version="))


def versions() -> dict[str, str]:
    """Versions of what took part."""
    return dict(_versions())


@functools.cache
def _versions() -> tuple[tuple[str, str], ...]:
    found = {"landbrush": version(), "python": platform.python_version(), "gdal": rasterio.__gdal_version__}
    for package in _PACKAGES[1:]:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return tuple(found.items())


def tags(request: EditRequest, engine: str, editor_id: str, mask_wkb: str, model: str = "") -> tuple[tuple[str, str], ...]:
    """GeoTIFF tags: disclosure, and what is needed to make the same edit again; `model`: the pretrained one it was drawn with."""
    replay = json.dumps(request.to_json(), separators=(",", ":"), sort_keys=True)
    return (
        ("AI_GENERATED", "TRUE"),
        ("LANDBRUSH_SYNTHETIC", DISCLAIMER),
        ("LANDBRUSH_EDITOR", editor_id),
        ("LANDBRUSH_ENGINE", engine),
        ("LANDBRUSH_PROMPT", request.prompt),
        ("LANDBRUSH_SEED", str(request.seed)),
        ("LANDBRUSH_VERSION", version()),
        ("LANDBRUSH_REQUEST", replay),
        ("LANDBRUSH_MASK_WKB", mask_wkb),
        *((("LANDBRUSH_MODEL", model),) if model else ()),
    )


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file that appears only when complete; writers at the same time do not meet."""
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        draft.write_text(json.dumps(content, indent=1, ensure_ascii=False, default=_plain), "utf8")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    return str(value)


def write_preview(result: Path, box: Box, rgb: list[int], path: Path, side: int = 512) -> None:
    """A PNG of the result for the eye: bands `rgb` (from 1), at most `side` pixels, stretched if not bytes."""
    scale = min(1.0, side / max(box.width, box.height))
    shape = (3, max(1, round(box.height * scale)), max(1, round(box.width * scale)))
    with rasterio.open(result) as dataset:
        data = dataset.read(rgb, out_shape=shape, resampling=rasterio.enums.Resampling.average).astype(np.float32)
        is_byte = dataset.dtypes[0] == "uint8"
    finite = np.isfinite(data)
    low, high = (0.0, 255.0) if is_byte or not finite.any() else np.percentile(data[finite], (1, 99))
    shown = np.clip((np.nan_to_num(data) - low) / max(high - low, 1e-9) * 255, 0, 255).astype(np.uint8)
    write_picture(shown.transpose(1, 2, 0), path)


def write_picture(picture: np.ndarray, path: Path) -> None:
    """Bytes (H, W, 3) as a PNG, whole or not at all."""
    draft = path.with_name(f".{path.name}.part")
    Image.fromarray(picture).save(draft, "PNG", compress_level=1)
    draft.replace(path)
