"""What an edit is written on: the layer itself, the layer with further bands, or a layer of its own
on the same grid. Its bands' stretch is chosen here, and undone (`lay_back`)."""

from __future__ import annotations

import contextlib
import functools
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio

from ..evaluation.indices import Change, changes
from ..ground.errors import CannotEdit
from ..raster import bands
from ..raster.bands import Layer, Stretch
from ..raster.classes import Classes, Planes
from ..raster.grid import Box
from ..raster.metadata import Metadata, metadata_of, names_alone
from ..raster.raster import Block, read_window
from ..synthesis.spectral import Where
from . import blend
from .made_bands import with_made_bands
from .plan import Plan
from .quality import RegionQuality, measured
from .source import Source
from .views import OnProgress, Shown, View


@dataclass(frozen=True)
class Drawn:
    """What an editor made of one region.

    `box`: its window. `block`: the native pixels before. `mask` (H, W): what is edited; `reach`:
    what was drawn, which may go beyond it. `shown`: as the editor saw it; `image` (C, H, W): what
    it gave back, of the bands it sees or makes; None before.
    """

    box: Box
    block: Block
    mask: np.ndarray
    reach: np.ndarray
    shown: Shown
    image: np.ndarray | None = None

    @property
    def made(self) -> np.ndarray:
        """What the editor gave back."""
        assert self.image is not None, "nothing has been drawn yet"
        return self.image


@dataclass(frozen=True)
class Repainted:
    """One region, edited.

    `box`: its window. `pixels` (bands, H, W): native, of the target. `left`: pixels of the mask
    that are nodata and stay so. `changed`: indices of bands that changed. `facts`: what the editor
    said of its work. `notes`: sentences for the user. `quality`: how the edge shows, None where it
    was not measured. `only` (H, W): pixels that are laid over the layer; None: all. `indices`: how
    NDVI and NDWI changed, where the bands are there.
    """

    box: Box
    pixels: np.ndarray
    left: int = 0
    changed: frozenset[int] = frozenset()
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    quality: RegionQuality | None = None
    only: np.ndarray | None = None
    indices: Mapping[str, Change] = field(default_factory=dict)


class Output(ABC):
    """What is written on. `target`: the layer that the result is compared with."""

    target: Layer

    @property
    def dataset(self) -> rasterio.DatasetReader:
        """The open dataset whose profile the result gets."""
        return self.target.dataset

    @property
    def preview_layer(self) -> Layer:
        """Whose colours the preview shows."""
        return self.target

    @property
    def kept_of(self) -> rasterio.DatasetReader | None:
        """The dataset whose metadata the result keeps; None: it is a new picture."""
        return self.target.dataset

    @functools.cached_property
    def metadata(self) -> Metadata:
        """What the result says of itself beside pixels, grid and default tags."""
        return Metadata() if self.kept_of is None else metadata_of(self.kept_of)

    def prepare(self, block: Block, mask: np.ndarray) -> Block:
        """The pixels of a region as they are edited."""
        return block

    @property
    def count_made(self) -> int:
        """Bands of the result that the layer has not."""
        return 0

    @abstractmethod
    def stretch_for(self, block: Block) -> Stretch:
        """How native values of a region become what an editor sees."""

    @abstractmethod
    def untouched(self, block: Block, box: Box) -> np.ndarray:
        """Native pixels of a region in which nothing is edited."""

    @abstractmethod
    def lay_back(self, drawn: Drawn, plan: Plan, view: View, told: OnProgress) -> Repainted:
        """The edit in native pixels, nothing changed outside the mask."""


class InPlace(Output):
    """The layer's own bands change."""

    def __init__(self, source: Source) -> None:
        self.target = source.layer

    def prepare(self, block: Block, mask: np.ndarray) -> Block:
        """Nodata specks inside the polygons count as ground."""
        return bands.without_specks(block, mask, self.target.profile)

    def stretch_for(self, block: Block) -> Stretch:
        """By the region's own range."""
        return bands.stretch_of(self.target.profile, self.target.roles, block)

    def untouched(self, block: Block, box: Box) -> np.ndarray:
        """As they were read."""
        return block.values

    def lay_back(self, drawn: Drawn, plan: Plan, view: View, told: OnProgress) -> Repainted:
        """Matched to the ring, mixed at the rim, and away from nodata."""
        editor = plan.editor
        profile = self.target.profile
        block = drawn.block
        mask = drawn.mask
        image = drawn.made
        if plan.blend.radiometric_match and editor.redraws_surroundings:
            image = blend.match_ring(image, drawn.shown.image, drawn.reach, block.valid)
        image = view.back(drawn.shown, image, Where(drawn.reach, block.valid), told)
        native = bands.write_back(image, drawn.shown.stretch, block, profile)
        soft = plan.blend.feather_px if editor.feathers(plan.options) else 0
        mixed = blend.composite(block.values, native, blend.feather(mask, soft), mask)
        changed = [
            band
            for band, (old, new) in enumerate(zip(block.values, mixed, strict=True))
            if (old != new)[mask].any()
        ]
        found = measured(drawn.shown.whole, mixed, (mask, block.valid), drawn.shown.stretch)
        pixels = bands.away_from_nodata(mixed, mask, profile)
        data = bands.data_bands(profile)
        indices = changes(block.values[data], pixels[data], mask, self.target.roles.names)
        return Repainted(
            drawn.box, pixels, changed=frozenset(changed), quality=found, indices=indices
        )


class InPlaceClasses(InPlace):
    """A layer whose values are classes: pixels change from one class to another, and nothing is
    mixed."""

    def __init__(self, source: Source, classes: Classes) -> None:
        super().__init__(source)
        self.classes = classes

    def stretch_for(self, block: Block) -> Stretch:
        """A plane for each class of the region."""
        values = block.values[self.classes.band][block.valid]
        nodata = self.target.profile.nodata
        return Planes.among(
            self.classes.band, values if nodata is None else values[values != nodata]
        )

    def lay_back(self, drawn: Drawn, plan: Plan, view: View, told: OnProgress) -> Repainted:
        """The strongest class, with a hard edge."""
        hard = replace(plan.blend, feather_px=0, radiometric_match=False)
        # How an edge shows is measured in brightness, which there is none of here.
        laid = super().lay_back(drawn, replace(plan, blend=hard), view, told)
        return replace(laid, quality=None, indices={})


class MadeBands(Output):
    """Bands that are filled: behind those of the layer, or in a layer of their own."""

    def __init__(self, source: Source, target: Layer, made: tuple[int, ...], alone: bool) -> None:
        self.source = source
        self.target = target
        self.made = made
        self.alone = alone

    @property
    def preview_layer(self) -> Layer:
        """The new layer, or the one that was there."""
        return self.target if self.alone else self.source.layer

    @property
    def kept_of(self) -> rasterio.DatasetReader | None:
        """The layer that the bands are appended to."""
        return None if self.alone else self.source.layer.dataset

    @functools.cached_property
    def metadata(self) -> Metadata:
        """That of the layer; of a layer of classes their names."""
        if self.alone and self.target.profile.palette is not None:
            return names_alone(metadata_of(self.target.dataset))
        return super().metadata

    @functools.cached_property
    def stretch(self) -> Stretch:
        """One for all regions, in which 0 is dark."""
        layer = self.source.layer
        return bands.stretch_from_dark(layer.profile, layer.roles, self.source.overview)

    def stretch_for(self, block: Block) -> Stretch:
        """The same for all regions."""
        return self.stretch

    def untouched(self, block: Block, box: Box) -> np.ndarray:
        """As the target has them."""
        return self._there(box)

    def _there(self, box: Box) -> np.ndarray:
        return read_window(self.target.dataset, box).values

    @property
    def count_made(self) -> int:
        """All that are filled."""
        return len(self.made)

    def lay_back(self, drawn: Drawn, plan: Plan, view: View, told: OnProgress) -> Repainted:
        """What was made inside the mask, empty elsewhere."""
        values = self._there(drawn.box)
        profile = self.target.profile
        count = len(self.made)
        low = self.stretch.low[0]
        high = self.stretch.high[0]
        if self.alone:
            low = 0.0
            high = 255.0 if profile.dtype == "uint8" else 1.0
        stretch = Stretch(self.made, (low,) * count, (high,) * count)
        native = stretch.denormalise(drawn.made, profile)
        kind = native.dtype.type
        nodata = profile.nodata
        for index, band in enumerate(self.made):
            if nodata is not None and np.isfinite(nodata) and kind(nodata) == nodata:
                native[index][native[index] == nodata] = bands.nearest_other_value(kind(nodata))
            values[band][drawn.mask] = native[index][drawn.mask]
        return Repainted(drawn.box, values)


def checked_classes(classes: Classes, plan: Plan) -> Classes:
    """The classes of a layer, for an editor that keeps to them; raises CannotEdit for others, and
    where words would be looked for in them."""
    title = plan.editor.info.title
    if not plan.editor.keeps_classes:
        raise CannotEdit(
            f"The layer's values are classes ({classes.stated_by}), and {title} would mix them "
            "into values that stand for nothing. On classes work Remove, Fill like there and Copy, "
            "which take whole pixels from elsewhere. If the values are brightness after all, state "
            "the band (--band pan=1, Bands in the panel)."
        )
    if plan.word or plan.sentences:
        raise CannotEdit(
            f"The layer's values are classes ({classes.stated_by}), in which words are not found. "
            "Draw the place to copy from as the exemplar."
        )
    return classes


def check_light(source: Source, plan: Plan) -> None:
    """Raise CannotEdit where an editor needs a picture and the layer has one band of numbers."""
    roles = source.layer.roles
    numbers = source.profile.dtype.startswith("float") and len(roles.names) == 1 and roles.assumed
    if numbers and plan.editor.reads_light and source.classes is None:
        raise CannotEdit(
            f"The layer has one band of {source.profile.dtype} numbers, which may be heights or "
            f"temperatures; {plan.editor.info.title} changes how things look in light. If the "
            "values are brightness, state the band (--band pan=1, Bands in the panel); to flood by "
            "heights, edit a picture of the place and give this layer as the elevation model."
        )


@contextlib.contextmanager
def output_for(plan: Plan, source: Source, folder: Path) -> Iterator[Output]:
    """What to write on for a plan; raises CannotEdit where the layer has the bands already that
    would be appended."""
    info = plan.editor.info
    check_light(source, plan)
    if source.classes is not None:
        yield InPlaceClasses(source, checked_classes(source.classes, plan))
        return
    if not info.makes:
        yield InPlace(source)
        return
    with with_made_bands(source.layer, info, folder) as (target, made):
        yield MadeBands(source, target, made, info.new_layer)
