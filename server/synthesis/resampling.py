"""Images on other grids of the same ground, by Pillow, band by band in single precision."""

from __future__ import annotations

import numpy as np
from PIL import Image

BICUBIC = Image.Resampling.BICUBIC
BILINEAR = Image.Resampling.BILINEAR
BOX = Image.Resampling.BOX
LANCZOS = Image.Resampling.LANCZOS


def resized(image: np.ndarray, size: tuple[int, ...], method: Image.Resampling) -> np.ndarray:
    """An image (C, H, W) with sides `size` (h, w): interpolated where it grows, averaged with the
    same kernel widened where it shrinks, so that nothing aliases."""
    if image.shape[1:] == tuple(size):
        return image
    across = (int(size[1]), int(size[0]))
    return np.stack(
        [
            np.asarray(Image.fromarray(band).resize(across, method))
            for band in np.ascontiguousarray(image, np.float32)
        ]
    )
