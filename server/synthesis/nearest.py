"""What is not known of a picture, taken from what lies nearest to it."""

from __future__ import annotations

import numpy as np
from scipy import ndimage


def filled(image: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """An image (C, H, W) in which what is not `valid` (H, W) is the nearest valid pixel, so that no
    hole is taken for black ground; as it is where nothing is valid, or all."""
    if valid.all() or not valid.any():
        return image
    near = ndimage.distance_transform_edt(~valid, return_distances=False, return_indices=True)
    return image[:, near[0], near[1]]
