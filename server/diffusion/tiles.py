"""A canvas of latents larger than a model's native size, seen in overlapping tiles.

At every step all tiles are predicted from one shared canvas and averaged before the step is taken
(MultiDiffusion, Bar-Tal et al. 2023), so that neighbours agree from the first step on and no seam
can grow between them. Memory grows with the tile, not with the canvas.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..ground.optional import torch
from ..synthesis.windows import ramp, starts

SHARE = 0.9
"""Of the overlap that is blended: predictions that are averaged at every step do not soften, as
pictures would."""


@dataclass(frozen=True)
class Tile:
    """A rectangle of the canvas. `top`, `left`: its first row and column. `height`, `width`: its
    rows and columns. All in latents."""

    top: int
    left: int
    height: int
    width: int

    def of(self, canvas: torch.Tensor, scale: int = 1) -> torch.Tensor:
        """What lies in it of (..., H, W), where the canvas has `scale` pixels to one."""
        rows = slice(self.top * scale, (self.top + self.height) * scale)
        return canvas[..., rows, self.left * scale : (self.left + self.width) * scale]


@dataclass(frozen=True)
class Tiling:
    """All tiles of a canvas. `height`, `width`: of the canvas. `overlap`: the least that neighbours
    share. These in latents. `tiles`: those in which something is drawn, row by row."""

    height: int
    width: int
    overlap: int
    tiles: tuple[Tile, ...]

    @classmethod
    def of(
        cls, height: int, width: int, side: int, overlap: int, wanted: torch.Tensor | None = None
    ) -> Tiling:
        """Tiles of at most `side` a side; where `wanted` (H, W) is given, those alone that hold
        some of it."""
        high = min(side, height)
        wide = min(side, width)
        tiles = [
            Tile(top, left, high, wide)
            for top in starts(height, high, overlap, 2)
            for left in starts(width, wide, overlap, 2)
        ]
        if wanted is not None and len(tiles) > 1:
            tiles = [tile for tile in tiles if bool(tile.of(wanted).any())] or tiles[:1]
        return cls(height, width, overlap, tuple(tiles))

    def blended(
        self, each: Callable[[Tile], torch.Tensor], scale: int = 1, share: float = SHARE
    ) -> torch.Tensor:
        """What `each` gives for the tiles (B, C, h * scale, w * scale), averaged where they
        overlap; 0 where none is."""
        if len(self.tiles) == 1 and (self.tiles[0].height, self.tiles[0].width) == (
            self.height,
            self.width,
        ):
            return each(self.tiles[0])
        total: torch.Tensor | None = None
        for tile in self.tiles:
            made = each(tile)
            weight = self._weight(tile, scale, share).to(made)
            if total is None:
                total = made.new_zeros((*made.shape[:2], self.height * scale, self.width * scale))
                weights = made.new_zeros((self.height * scale, self.width * scale))
            tile.of(total, scale).addcmul_(made, weight.expand_as(made))
            tile.of(weights, scale).add_(weight)
        assert total is not None
        return total.div_(weights.clamp_(min=1e-8))

    def _weight(self, tile: Tile, scale: int, share: float) -> torch.Tensor:
        """Weights (h, w) of a tile, falling where it meets another."""
        over = self.overlap * scale
        down = ramp(
            tile.height * scale, tile.top > 0, tile.top + tile.height < self.height, over, share
        )
        across = ramp(
            tile.width * scale, tile.left > 0, tile.left + tile.width < self.width, over, share
        )
        return torch.outer(torch.from_numpy(down), torch.from_numpy(across)).float()
