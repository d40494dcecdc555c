"""Laying an edit over its source: feathered inside the rim, matched to the ring, exact outside."""

from __future__ import annotations

import numpy as np
from scipy import ndimage


def feather(mask: np.ndarray, feather_px: int) -> np.ndarray:
    """Opacity (H, W) in [0, 1]: 0 outside the mask, rising to 1 over `feather_px` pixels inside it.

    The mask itself where nothing is soft. A part too small for the whole feather gets one that
    fits, so that its middle is always fully edited.
    """
    if feather_px <= 0 or mask.all() or not mask.any():
        return mask
    depth = ndimage.distance_transform_edt(mask)
    parts, _ = ndimage.label(mask, np.ones((3, 3)))
    deepest = ndimage.maximum(depth, parts, np.arange(parts.max() + 1))
    width = np.minimum(feather_px + 1, np.maximum(deepest[parts] / 2, 1))
    return np.where(mask, np.minimum(depth / width, 1), 0).astype(np.float32)


def match_ring(
    edited: np.ndarray, source: np.ndarray, mask: np.ndarray, valid: np.ndarray, ring_px: int = 8
) -> np.ndarray:
    """Shift each band so that the ring outside the mask agrees with the source.

    Editors that redraw the whole window drift in tone; the drift is measured
    where both show the same ground, `ring_px` around the mask, as the median of
    source minus edited. Editors that keep the surroundings are left as they are.
    """
    ring = (ndimage.distance_transform_edt(~mask) <= ring_px) & ~mask & valid
    if not ring.any():
        return edited
    drift = np.median((source - edited)[:, ring], axis=1)
    return edited + drift[:, None, None].astype(edited.dtype)


def composite(
    source: np.ndarray, edited: np.ndarray, opacity: np.ndarray, mask: np.ndarray
) -> np.ndarray:
    """Mix native values by `opacity`; outside `mask` the source's own bits, inside in its type.

    `edited` is overwritten and returned: of a large window another copy costs more than the mixing.
    """
    if opacity.dtype != bool:
        soft = mask & (opacity < 1)
        weight = opacity[soft].astype(np.float64)
        mixed = edited[:, soft] * weight + source[:, soft] * (1 - weight)
        if source.dtype.kind in "iu":
            mixed = np.rint(mixed)
        edited[:, soft] = mixed.astype(source.dtype)
    np.copyto(edited, source, where=~mask)
    return edited
