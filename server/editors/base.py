"""The interface of an editor: a scene of arrays in, an image of the same shape out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import ndimage

from ..contract.editors import EditorInfo
from ..ground.errors import CannotEdit

OnStep = Callable[..., None]
"""Called as on_step(step, total, preview=None, note="", about=None) once a step, with an unfinished
image (C, H, W) where there is one, what to tell the user, and facts to record with the result;
raises Dismissed when the job was dismissed."""


LAND_COVERS = (
    "forest",
    "shrub",
    "grass",
    "farmland",
    "bare",
    "beach",
    "water",
    "residential",
    "industrial",
    "parking",
    "asphalt",
    "road",
)
"""What can be looked for in a layer by word where no exemplar is drawn."""


THINNEST_PX = 8
BYTES_A_PIXEL = 20
BYTES_A_VALUE = 16
"""Memory of a window while it is edited, whatever the editor does: masks and opacities; the band
before, as seen, and after."""
AUTOMATIC = "automatic"
"""The value of an option that is filled in from the raster."""


@dataclass(frozen=True)
class Patch:
    """Pixels to copy from: image (C, h, w) as seen, and which of them may be used (h, w).

    `log_weight`: by how much better it fits the words than another, as a log-odds; 0 for the best
    or a drawn one.
    """

    image: np.ndarray
    usable: np.ndarray
    log_weight: float = 0.0


@dataclass(frozen=True)
class Scene:
    """One window as an editor sees it.

    `image` (C, H, W) float32, about [0, 1]; `valid` and `mask` (H, W) bool, the
    mask holding the pixels to edit; `roles` names the bands; `gsd_m` is the
    ground size of a pixel in metres, `aspect` its
    height by its width there; `origin` is (row, column) of the first
    pixel in the raster, so that noise can be anchored to the raster instead of
    the window; `elevation` (H, W) in metres where a model was given; `nir_white`
    is how bright near infrared may be, where colours end at 1; `parts` (H, W)
    numbers the polygon a pixel lies in from 1, 0 outside, where heights are given.
    """

    image: np.ndarray
    valid: np.ndarray
    mask: np.ndarray
    roles: tuple[str, ...]
    gsd_m: float
    origin: tuple[int, int] = (0, 0)
    exemplars: tuple[Patch, ...] = ()
    elevation: np.ndarray | None = None
    aspect: float = 1.0
    nir_white: float = 1.0
    parts: np.ndarray | None = None

    def filled(self) -> np.ndarray:
        """The image with what is nodata taken from the nearest valid pixel, so that no hole is
        taken for black ground."""
        if self.valid.all() or not self.valid.any():
            return self.image
        near = ndimage.distance_transform_edt(
            ~self.valid, return_distances=False, return_indices=True
        )
        return self.image[:, near[0], near[1]]

    def part(self, rows: slice, cols: slice) -> Scene:
        """A smaller window of the same scene."""
        return replace(
            self,
            image=self.image[:, rows, cols],
            valid=self.valid[rows, cols],
            mask=self.mask[rows, cols],
            origin=(self.origin[0] + (rows.start or 0), self.origin[1] + (cols.start or 0)),
            elevation=None if self.elevation is None else self.elevation[rows, cols],
            parts=None if self.parts is None else self.parts[rows, cols],
        )

    def band(self, role: str) -> np.ndarray | None:
        """The band with that role, where there is one."""
        return self.image[self.roles.index(role)] if role in self.roles else None


def thick_enough(patches: Sequence[Patch], least_px: int = THINNEST_PX) -> list[Patch]:
    """The patches that hold a square of that side; raises CannotEdit where there are patches and
    none does."""
    found = [
        p
        for p in patches
        if min(p.usable.shape) >= least_px
        and (ndimage.minimum_filter(p.usable.astype(np.uint8), least_px, mode="constant") > 0).any()
    ]
    if not found and patches:
        raise CannotEdit(
            f"The exemplar is too thin to copy from: nowhere is it {least_px} pixels wide, less "
            "what is nodata or "
            "lies inside the edited polygons. Draw a larger area."
        )
    return found


class Editor(ABC):
    """What edits a scene. Subclasses fill in `info` and `edit`.

    `tile_px` is the largest side edited at once (0: no limit), `bytes_a_pixel` the memory that a
    pixel takes then, `overlap_px` how far tiles overlap, `soft_edge` whether the rim may be
    feathered: editors that make their own rim say no. `redraws_surroundings`: outside the mask too
    it gives what it drew, by which its drift in tone is measured and taken out.
    `matches_exemplars`: whether exemplars of another raster take on this one's tone. `spares`: what
    it leaves as it is inside the polygons, in words. `reads_text`: an image-text model, where there
    is one, finds its exemplars.
    """

    info: EditorInfo
    tile_px = 0
    bytes_a_pixel = 60
    overlap_px = 64
    soft_edge = True
    redraws_surroundings = False
    reads_text = False
    matches_exemplars = True
    spares = ""

    def tiled_by(self, options: Mapping[str, Any]) -> int:
        """The largest side edited at once with these options; 0: no limit."""
        return self.tile_px

    def memory_bytes(self, pixels: int, bands: int, options: Mapping[str, Any]) -> int:
        """About how much memory editing a window of so many pixels takes, as measured; networks not
        counted."""
        side = self.tiled_by(options)
        at_once = min(pixels, side * side) if side else pixels
        return pixels * (BYTES_A_PIXEL + BYTES_A_VALUE * bands) + at_once * self.bytes_a_pixel

    def feathers(self, options: Mapping[str, Any]) -> bool:
        """Whether the rim may be feathered with these options."""
        return self.soft_edge

    def searches(self, options: Mapping[str, Any]) -> bool:
        """Whether exemplars are looked for in the layer where none is drawn."""
        return False

    def context_px(self, side_px: int) -> int:
        """Surroundings wanted around a mask whose longer side is `side_px`."""
        return 16

    def context_wanted(self, side_px: int, gsd_m: float, options: Mapping[str, Any]) -> int:
        """The same where it depends on the ground size of a pixel or on options."""
        return self.context_px(side_px)

    def missing(self) -> str:
        """What it needs to run and does not find; empty where nothing is missing."""
        return ""

    def check(self, prompt: str, options: Mapping[str, Any]) -> None:
        """Raise, before the job is queued, for what can be known to be wrong without pixels."""
        return

    def settled(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The options with what was chosen for the user in them, so that the same edit can be asked
        for again."""
        return dict(options)

    @abstractmethod
    def edit(
        self, scene: Scene, prompt: str, options: Mapping[str, Any], seed: int, on_step: OnStep
    ) -> np.ndarray:
        """Return the image (C, H, W) with the mask edited; outside it, what should be unchanged."""
