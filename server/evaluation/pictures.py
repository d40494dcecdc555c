"""Pictures as a judge is sent them, and as pages hold them."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
from PIL import Image

from ..ground.errors import BadRequest

LONGEST_PX = 768
QUALITY = 90


def jpeg(picture: np.ndarray, longest_px: int = LONGEST_PX, quality: int = QUALITY) -> bytes:
    """Bytes of a JPEG of a picture (H, W, 3), and of its pixels alone; the longer side at most
    `longest_px`."""
    shown = Image.fromarray(picture)
    shown.thumbnail((longest_px, longest_px), Image.Resampling.BICUBIC)
    out = io.BytesIO()
    shown.save(out, "JPEG", quality=quality)
    return out.getvalue()


def small(path: Path, longest_px: int, quality: int = 85) -> bytes:
    """A file of a picture as a small JPEG, without what its tags say. Raises BadRequest."""
    try:
        with Image.open(path) as picture:
            return jpeg(np.asarray(picture.convert("RGB")), longest_px, quality)
    except OSError as error:
        raise BadRequest(f"{path} cannot be read as a picture: {error}") from error


def coded(content: bytes) -> str:
    """A JPEG as text, for a page that holds its pictures."""
    return base64.b64encode(content).decode()


def part(content: bytes) -> dict[str, object]:
    """A picture as a part of a message."""
    return {
        "type": "image_url",
        "image_url": {"url": "data:image/jpeg;base64," + coded(content)},
    }
