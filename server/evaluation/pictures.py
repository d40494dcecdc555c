"""Pictures as a judge is sent them."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

LONGEST_PX = 768
QUALITY = 90


def jpeg(picture: np.ndarray) -> bytes:
    """Bytes of a JPEG of a picture (H, W, 3); the longer side at most 768."""
    shown = Image.fromarray(picture)
    shown.thumbnail((LONGEST_PX, LONGEST_PX), Image.Resampling.BICUBIC)
    out = io.BytesIO()
    shown.save(out, "JPEG", quality=QUALITY)
    return out.getvalue()


def part(content: bytes) -> dict[str, object]:
    """A picture as a part of a message."""
    return {
        "type": "image_url",
        "image_url": {"url": "data:image/jpeg;base64," + base64.b64encode(content).decode()},
    }
