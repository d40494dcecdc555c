"""Cutting a scene into overlapping tiles and blending the edited tiles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .editors.base import Scene


@dataclass(frozen=True)
class Tile:
    """Rows and columns of one tile of a scene."""

    rows: slice
    cols: slice


def starts(length: int, tile: int, overlap: int) -> list[int]:
    """First pixels of tiles that cover `length`, evenly spread, overlapping by at least `overlap`."""
    if length <= tile:
        return [0]
    count = int(np.ceil((length - overlap) / (tile - overlap)))
    return [round(i * (length - tile) / (count - 1)) for i in range(count)]


def cut(scene: Scene, tile: int, overlap: int) -> list[Tile]:
    """Tiles of at most `tile` pixels a side that hold a pixel to edit; one for all when `tile` is 0."""
    height, width = scene.mask.shape
    if tile <= 0 or max(height, width) <= tile:
        return [Tile(slice(0, height), slice(0, width))]
    tiles = [
        Tile(slice(r, r + min(tile, height)), slice(c, c + min(tile, width)))
        for r in starts(height, tile, overlap)
        for c in starts(width, tile, overlap)
    ]
    return [t for t in tiles if scene.mask[t.rows, t.cols].any()]


def _ramp(length: int, at_start: bool, at_end: bool, overlap: int) -> np.ndarray:
    """Raised-cosine weight along one side: 1 inside, falling towards the sides that have a neighbour.

    It falls in the middle third of the overlap. The outer third, where a tile
    knows least of its surroundings, counts for nothing, and the strip where two
    textures are averaged, and so softened, stays narrow.
    """
    position = np.arange(length) + 0.5
    rise = np.ones(length)
    for near, wanted in ((position, at_start), (length - position, at_end)):
        if wanted:
            rise *= 0.5 - 0.5 * np.cos(np.pi * np.clip(3 * near / max(overlap, 1) - 1, 0, 1))
    return np.maximum(rise, 1e-4)


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
            _ramp(tile.rows.stop - tile.rows.start, tile.rows.start > 0, tile.rows.stop < height, overlap),
            _ramp(tile.cols.stop - tile.cols.start, tile.cols.start > 0, tile.cols.stop < width, overlap),
        ).astype(np.float32)
        total[:, tile.rows, tile.cols] += edited * weight
        weights[tile.rows, tile.cols] += weight
    covered = weights > 0
    return np.where(covered, total / np.where(covered, weights, 1), scene.image)
