"""A window of the raster on the grid a pretrained model draws on, and the way back.

No published editor knows a ground size: pictures are squashed to a square. Here the aspect is kept
on the ground (pixels that are not square are made so), the ground size of a pixel is one the model
was trained on, what is larger than the model's native size is drawn in tiles and what is smaller is
enlarged to it. On the way back the source's own detail is kept where the model changed little, so
that an edit at half a metre does not blur a raster of ten centimetres.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..ground.errors import CannotEdit
from ..ground.optional import functional, torch

KEPT_BELOW = 0.06
"""Mean change (of 1) at which half of the source's own detail is kept."""
SMALLEST_GSD_M = 1e-6
LARGEST_PX = 48_000_000
"""Of the model's grid: a picture of it is 0.6 GB, and some are held at once."""
REACH = 2
"""Pixels around one whose change counts as its own."""
STRIP = 256
SQUARE = "square"
WIDTH = "width"
FIT = "fit"
GIVEN = "given"
CANVASES = (SQUARE, WIDTH, FIT, GIVEN)
"""How papers' own code brings a picture to a model: squashed to a square; to the native width;
made smaller where its longer side is beyond the native one; or as it is."""


@dataclass(frozen=True)
class Frame:
    """`source`: the window's (height, width) in pixels of the raster; `inner`: the same ground on
    the model's grid; `outer`: with what is mirrored around it up to whole cells; `gsd_m`: ground
    size of the model's pixel."""

    source: tuple[int, int]
    inner: tuple[int, int]
    outer: tuple[int, int]
    gsd_m: float

    @classmethod
    def of(cls, shape: tuple[int, int], gsd_m: float, aspect: float, grid: Grid) -> Frame:
        """`gsd_m` of a pixel of the raster, `aspect` its height by its width on the ground."""
        height = shape[0] * math.sqrt(aspect)
        width = shape[1] / math.sqrt(aspect)
        gsd_m = max(gsd_m, SMALLEST_GSD_M)
        scale = gsd_m / grid.working_gsd(gsd_m)
        if not grid.asked_gsd_m:
            # A small window is enlarged to the native size, not beyond what the model was trained
            # on; the rest is mirrored.
            most = max(gsd_m / grid.gsd_m[0], scale) if grid.gsd_m[0] else math.inf
            scale = max(scale, min(grid.native_px / max(height, width), most))
        if height * width * scale**2 > LARGEST_PX:
            raise CannotEdit(
                f"At {gsd_m / scale:.3g} m a pixel the window has {height * width * scale**2:.2g} "
                f"pixels; at most {LARGEST_PX:,} can be drawn. Choose a larger 'Ground size it "
                "works at', or smaller polygons."
            )
        inner = max(1, round(height * scale)), max(1, round(width * scale))
        least = grid.native_px if grid.square else grid.native_px // 2
        outer = tuple(max(least, math.ceil(side / grid.cell_px) * grid.cell_px) for side in inner)
        return cls(shape, inner, (outer[0], outer[1]), gsd_m / scale)

    @classmethod
    def published(cls, shape: tuple[int, int], gsd_m: float, grid: Grid, canvas: str) -> Frame:
        """The canvas that a paper's own code draws on: all of the picture on it, one tile.

        `canvas`: of CANVASES. Nothing is enlarged for a model of a larger native side.
        """
        height, width = shape
        if canvas == SQUARE:
            # RSEdit: pictures of any shape are squashed to squares.
            side = max(min(height, width), grid.native_px)
            wanted = (side, side)
        elif canvas == WIDTH:
            # ICEdit: the width it was trained on, the height in proportion.
            wanted = (round(height * grid.native_px / width), grid.native_px)
        else:
            scale = 1.0 if canvas == GIVEN else min(1.0, grid.native_px / max(height, width))
            wanted = (round(height * scale), round(width * scale))
        sides = tuple(max(round(side / grid.cell_px), 1) * grid.cell_px for side in wanted)
        worked_at = gsd_m * math.sqrt(height * width / (sides[0] * sides[1]))
        return cls(shape, (sides[0], sides[1]), (sides[0], sides[1]), worked_at)

    def shown(self, image: np.ndarray) -> torch.Tensor:
        """An image (3, H, W) in [0, 1] as the model sees it: (1, 3, h, w) in [-1, 1]."""
        seen = _resized(
            torch.from_numpy(np.clip(image, 0, 1).astype(np.float32, copy=False))[None], self.inner
        )
        return self._mirrored(seen.clamp_(0, 1).mul_(2).sub_(1))

    def place(self, origin: tuple[int, int], pixels: int) -> tuple[int, int]:
        """Where the window's corner (row, column of the raster) lies in latents of so many pixels:
        its noise starts there."""
        return (
            round(origin[0] * self.inner[0] / self.source[0] / pixels),
            round(origin[1] * self.inner[1] / self.source[1] / pixels),
        )

    def mask(self, mask: np.ndarray) -> torch.Tensor:
        """A mask (H, W) as (1, 1, h, w) of 0 and 1: 1 where any of what a pixel covers is."""
        share = torch.from_numpy(mask.astype(np.float32))[None, None]
        small = functional.adaptive_max_pool2d(share, self.inner)
        padded = torch.zeros(1, 1, *self.outer)
        padded[..., : self.inner[0], : self.inner[1]] = small
        return padded

    def back(self, made: torch.Tensor, seen: torch.Tensor | None, image: np.ndarray) -> np.ndarray:
        """What was made (1, 3, h, w in [-1, 1]) on the raster's grid, (3, H, W) in [0, 1].

        `seen`: the source after the same way through the model's autoencoder; where it is given and
        what was made is close to it, the image keeps its own detail and takes on the difference
        alone.
        """
        made = self._cropped(made)
        seen = None if seen is None else self._cropped(seen)
        if seen is None:
            return np.asarray(_resized(made / 2 + 0.5, self.source)[0].numpy(), np.float32)
        if self.inner != self.source:
            return _laid(made, seen, image, self.source)
        out = np.empty(image.shape, np.float32)
        for top in range(0, self.inner[0], STRIP):
            # In strips, since a dozen pictures of a large extent would otherwise be held at once.
            first = max(top - REACH, 0)
            last = min(top + STRIP + REACH, self.inner[0])
            part = _laid(
                made[:, :, first:last],
                seen[:, :, first:last],
                image[:, first:last],
                (last - first, self.inner[1]),
            )
            out[:, top : top + STRIP] = part[:, top - first : top - first + STRIP]
        return out

    def _cropped(self, made: torch.Tensor) -> torch.Tensor:
        return made[..., : self.inner[0], : self.inner[1]]

    def _mirrored(self, seen: torch.Tensor) -> torch.Tensor:
        down = self.outer[0] - self.inner[0]
        across = self.outer[1] - self.inner[1]
        if not down and not across:
            return seen
        return torch.from_numpy(
            np.pad(seen.numpy(), ((0, 0), (0, 0), (0, down), (0, across)), mode="symmetric")
        )


@dataclass(frozen=True)
class Grid:
    """What a model wants. `native_px`: side of the pictures it was trained on. `cell_px`: sides are
    multiples of it. `gsd_m`: smallest and largest ground size it was trained on, in metres; (0, 0):
    any. `square`: whether tiles must be whole squares. `asked_gsd_m`: the user's; 0: automatic."""

    native_px: int
    cell_px: int
    gsd_m: tuple[float, float] = (0.0, 0.0)
    square: bool = False
    asked_gsd_m: float = 0.0

    def working_gsd(self, gsd_m: float) -> float:
        """The ground size to work at: as asked, else the raster's own, or the finest trained on
        where the raster is finer."""
        return self.asked_gsd_m or max(gsd_m, self.gsd_m[0])

    def note(self, gsd_m: float, worked_at: float) -> str:
        """What to tell the user; empty where the raster fits the model."""
        low, high = self.gsd_m
        at = f"Drawn at {worked_at:.3g} m a pixel, the raster has {gsd_m:.3g} m"
        if worked_at > gsd_m * 1.05:
            if self.asked_gsd_m:
                return f"{at}."
            return (
                f"{at}, since the model was trained at {low:g} to {high:g} m; 'Ground size it "
                "works at' (gsd_m) changes that."
            )
        if high and gsd_m > high * 1.05:
            return (
                f"The raster has {gsd_m:.3g} m a pixel; the model was trained at {low:g} to "
                f"{high:g} m and may draw the wrong things."
            )
        return ""


def _laid(
    made: torch.Tensor, seen: torch.Tensor, image: np.ndarray, shape: tuple[int, int]
) -> np.ndarray:
    """The image with the change between two pictures on it where that is small, else what was
    made."""
    change = (made - seen) / 2
    size = functional.avg_pool2d(
        change.abs().mean(1, keepdim=True), 2 * REACH + 1, 1, REACH, count_include_pad=False
    )
    keep = _resized(torch.exp2(-((size / KEPT_BELOW) ** 2)), shape)[0].clamp(0, 1).numpy()
    change_here, made_here = (_resized(part, shape)[0].numpy() for part in (change, made / 2 + 0.5))
    return np.asarray(keep * (image + change_here) + (1 - keep) * made_here, np.float32)


def _resized(image: torch.Tensor, shape: tuple[int, int]) -> torch.Tensor:
    """(1, C, H, W) to another shape, without aliases."""
    if tuple(image.shape[2:]) == shape:
        return image
    return functional.interpolate(image, shape, mode="bicubic", antialias=True, align_corners=False)


def widened(mask: torch.Tensor, pixels: int, by: int = 1) -> torch.Tensor:
    """A mask of pixels (1, 1, H, W) as one of latents (1, 1, h, w): 1 where any pixel is, and `by`
    cells around."""
    cells = functional.max_pool2d(mask, pixels)[0, 0].numpy() > 0
    grown = (
        ndimage.binary_dilation(cells, np.ones((3, 3)), iterations=by)
        if by and cells.any()
        else cells
    )
    return torch.from_numpy(grown.astype(np.float32))[None, None]
