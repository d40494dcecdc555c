"""Cutting a scene into overlapping tiles and blending the edited tiles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..editors.base import Scene
from ..synthesis.windows import ramp, starts


@dataclass(frozen=True)
class Tile:
    """One tile of a scene. `rows`, `cols`: half-open slices of its pixels."""

    rows: slice
    cols: slice


def cut(scene: Scene, tile: int, overlap: int) -> list[Tile]:
    """Tiles of at most `tile` pixels a side that hold a pixel to edit; one for all when `tile` is
    0."""
    height, width = scene.mask.shape
    if tile <= 0 or max(height, width) <= tile:
        return [Tile(slice(0, height), slice(0, width))]
    tiles = [
        Tile(slice(r, r + min(tile, height)), slice(c, c + min(tile, width)))
        for r in starts(height, tile, overlap)
        for c in starts(width, tile, overlap)
    ]
    return [t for t in tiles if scene.mask[t.rows, t.cols].any()]


def merge(
    scene: Scene, tiles: list[Tile], overlap: int, edit_tile: Callable[[int, Scene], np.ndarray]
) -> np.ndarray:
    """Edit each tile and average them with weights that fall to nothing at inner borders."""
    if len(tiles) == 1 and scene.part(tiles[0].rows, tiles[0].cols).mask.shape == scene.mask.shape:
        return edit_tile(0, scene)
    height, width = scene.mask.shape
    total = np.zeros(scene.image.shape, np.float32)
    weights = np.zeros((height, width), np.float32)
    for index, tile in enumerate(tiles):
        edited = edit_tile(index, scene.part(tile.rows, tile.cols))
        weight = np.outer(
            ramp(
                tile.rows.stop - tile.rows.start,
                tile.rows.start > 0,
                tile.rows.stop < height,
                overlap,
            ),
            ramp(
                tile.cols.stop - tile.cols.start,
                tile.cols.start > 0,
                tile.cols.stop < width,
                overlap,
            ),
        ).astype(np.float32)
        total[:, tile.rows, tile.cols] += edited * weight
        weights[tile.rows, tile.cols] += weight
    covered = weights > 0
    return np.where(covered, total / np.where(covered, weights, 1), scene.image)
