"""What an edit reads: the layer, and beside it another raster to copy from and heights."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio

from ..contract.requests import EditRequest
from ..raster import bands, sensor
from ..raster.bands import Layer
from ..raster.classes import Classes, classes_of
from ..raster.grid import Box
from ..raster.heights import heights_on, unit_of
from ..raster.raster import Block, Profile, opened, read_window
from ..raster.rasters import Rasters
from ..synthesis.nearest import filled
from . import examples


@dataclass(frozen=True)
class Source:
    """Open rasters.

    `layer`: what is edited. `path`: its file. `classes`: that its values are names; None: they
    are quantities. `exemplar`: another raster to copy from.
    `elevation`: heights in its first band. `stated_m`: ground size of a pixel of a picture without
    a place as the user states it; 0: unknown. `examples`: edits to go by, as pictures.
    """

    layer: Layer
    path: Path
    classes: Classes | None = None
    exemplar: rasterio.DatasetReader | None = None
    elevation: rasterio.DatasetReader | None = None
    stated_m: float = 0.0
    examples: tuple[examples.Pictures, ...] = ()

    @property
    def profile(self) -> Profile:
        """What the layer is, apart from its pixels."""
        return self.layer.profile

    @functools.cached_property
    def overview(self) -> Block:
        """All of the layer, thinned."""
        return bands.overview(self.layer)

    @property
    def satellite(self) -> str:
        """Which satellite made the layer, as its tags or file name tell; empty: unknown."""
        return sensor.satellite_of(self.profile, self.path.name)

    def read(self, box: Box) -> Block:
        """Native pixels of a window."""
        return read_window(self.layer.dataset, box)

    def heights(self, box: Box) -> np.ndarray | None:
        """Heights (H, W) in metres on a window's own grid, NaN where there are none; None without
        an elevation model. Raises CannotEdit where it holds nothing here."""
        return None if self.elevation is None else heights_on(self.elevation, self.profile, box)

    def even(self, block: Block, roles: tuple[str, ...]) -> np.ndarray | None:
        """All data bands of a block (C, H, W) on one scale from no light on, where near infrared is
        among what an editor sees and its bands are stretched each by itself; None where they are
        not. Ratios of bands mean something on it."""
        if self.profile.dtype == "uint8" or "nir" not in roles:
            return None
        if len(roles) != len(bands.data_bands(self.profile)):
            return None
        stretch = bands.stretch_from_dark(self.profile, self.layer.roles, self.overview)
        return filled(stretch.normalise(block.values), block.valid)

    @property
    def heights_note(self) -> str:
        """What was taken for the unit of the heights, for the user; empty: nothing to say."""
        return "" if self.elevation is None else unit_of(self.elevation).note


@contextlib.contextmanager
def opened_source(request: EditRequest, rasters: Rasters) -> Iterator[Source]:
    """Open the rasters of a request; raises RasterUnreadable, Forbidden."""
    # Bands of new ground are red, green and blue, whatever those of a raster were it was made of.
    given = {} if request.raster.extent is not None else request.band_roles
    with contextlib.ExitStack() as stack:

        def reader(path: Path | None) -> rasterio.DatasetReader | None:
            return None if path is None else stack.enter_context(opened(path, rasters.roots))

        dataset = stack.enter_context(opened(rasters.raster, rasters.roots))
        layer = Layer.of(dataset, given, classes=True)
        # Who says what a band shows knows better; but no palette is brightness.
        stated = given and layer.profile.palette is None
        classes = None if stated else classes_of(dataset, layer.profile)
        other, heights = reader(rasters.exemplar), reader(rasters.elevation)
        shown = examples.read(request.examples, rasters.examples, rasters.roots)
        yield Source(layer, rasters.raster, classes, other, heights, request.pixel_m, shown)
