"""Native bands to what an editor sees, and back.

Editors see float32 bands that are about [0, 1]; the way back is the exact
inverse for integers whose range spans less than 2^23 steps, so a value that an
editor copies comes back as the same integer (wider ranges are rounded). Which
band is what (its role) is taken from the file, then from well-known layouts, and
can be overruled by the request.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import rasterio
from rasterio.enums import ColorInterp, Resampling
from scipy import ndimage

from ..contract.requests import BAND_ROLES
from ..ground.errors import BadRequest
from .grid import Box
from .palette import refuse_palette
from .raster import Block, Profile, profile_of, validity

COLOURS = ("red", "green", "blue")
LARGEST_SPECK_PX = 24
NIR_WHITE = 1.5
"""How much brighter than white colours near infrared is taken to get, in layers of more than
bytes."""
OVERVIEW_PX = 1024
"""Of the longer side."""
LAYOUTS = {
    1: ("pan",),
    2: ("vv", "vh"),
    3: ("red", "green", "blue"),
    4: ("red", "green", "blue", "nir"),
    6: ("blue", "green", "red", "nir", "swir1", "swir2"),
    12: ("", "blue", "green", "red", "", "", "", "nir", "", "", "swir1", "swir2"),
    13: ("", "blue", "green", "red", "", "", "", "nir", "", "", "", "swir1", "swir2"),
}
"""Layouts assumed where a file names no band: NAIP, HLS, Sentinel-2 L2A and L1C."""

_WORDS = {
    "red": ("red", "b4", "b04"),
    "green": ("green", "b3", "b03"),
    "blue": ("blue", "b2", "b02"),
    "nir": ("nir", "near infrared", "near-infrared", "b8", "b08"),
    "swir1": ("swir1", "swir 1", "b11"),
    "swir2": ("swir2", "swir 2", "b12"),
    "pan": ("pan", "panchromatic"),
    "vv": ("vv",),
    "vh": ("vh",),
}


@dataclass(frozen=True)
class Roles:
    """What each data band is.

    `names`: a role a data band ('red', 'nir', 'vv' ...), '' where it is not known. `source`: how
    they were found, in words: given, the file's own descriptions or colours, or assumed.
    `assumed`: that the file says nothing of them.
    """

    names: tuple[str, ...]
    source: str
    assumed: bool = False

    def index(self, role: str) -> int | None:
        """Index of the band with that role among the data bands."""
        return self.names.index(role) if role in self.names else None


def data_bands(profile: Profile) -> list[int]:
    """Indices (from 0) of the bands that hold a picture: all but alpha."""
    return [i for i in range(profile.count) if profile.colorinterp[i] != ColorInterp.alpha]


def _given_roles(bands: Sequence[int], given: Mapping[str, int]) -> tuple[str, ...]:
    names = [""] * len(bands)
    for role, number in given.items():
        if number - 1 not in bands:
            raise BadRequest(
                f"band_roles.{role}: band {number} is not among the raster's {len(bands)} bands."
            )
        names[bands.index(number - 1)] = role
    return tuple(names)


def _described_role(description: str) -> str:
    text = description.strip().lower().removesuffix(" (synthetic)")
    return next((role for role, words in _WORDS.items() if text in words), "")


def _role_or_none(colour: str) -> str:
    return colour if colour in BAND_ROLES else ""


def roles_of(profile: Profile, given: Mapping[str, int]) -> Roles:
    """Roles of the data bands: as given, else as the file says, else by layout."""
    bands = data_bands(profile)
    if given:
        return Roles(_given_roles(bands, given), "given")
    described = [_described_role(profile.descriptions[band] or "") for band in bands]
    colours = [_role_or_none(profile.colorinterp[band].name) for band in bands]
    if {"red", "nir", "vv", "vh"} & set(described):
        names = [
            name or (colour if colour not in described else "")
            for name, colour in zip(described, colours, strict=True)
        ]
        return Roles(tuple(names), "band descriptions")
    if {"red", "green", "blue"} <= set(colours):
        if len(colours) == 4 and colours[3] == "":
            colours[3] = "nir"
        return Roles(tuple(colours), "colour interpretation")
    return Roles(
        LAYOUTS.get(len(bands), ("",) * len(bands)),
        "assumed from the number of bands",
        assumed=True,
    )


@dataclass(frozen=True)
class Layer:
    """A raster, open. `dataset`: its file. `profile`: what it is, apart from its pixels. `roles`:
    what its data bands are."""

    dataset: rasterio.DatasetReader
    profile: Profile
    roles: Roles

    @classmethod
    def of(
        cls, dataset: rasterio.DatasetReader, given: Mapping[str, int], classes: bool = False
    ) -> Layer:
        """Describe an open raster; `given`: 1-based bands of roles that the user states. Raises
        RasterUnreadable for one whose values are classes of a palette, unless `classes` may be."""
        profile = profile_of(dataset)
        if not classes:
            refuse_palette(dataset)
        return cls(dataset, profile, roles_of(profile, given))


def overview(layer: Layer) -> Block:
    """All of a raster, thinned: what is decided once for a layer is taken from it, so that its
    windows agree."""
    height, width = layer.dataset.shape
    scale = min(1.0, OVERVIEW_PX / max(height, width))
    return thinned(
        layer,
        layer.profile.box,
        (max(1, round(height * scale)), max(1, round(width * scale))),
        Resampling.nearest,
    )


def thinned(layer: Layer, box: Box, shape: tuple[int, int], how: Resampling) -> Block:
    """A window at another size (height, width); the block's box counts from its own corner."""
    dataset = layer.dataset
    values = dataset.read(window=box.window, out_shape=(dataset.count, *shape), resampling=how)
    valid = validity(dataset, box.window, shape)
    if values.dtype.kind == "f":
        valid &= np.isfinite(values).all(axis=0)
    return Block(Box(0, 0, shape[1], shape[0]), values, valid)


@dataclass(frozen=True)
class Stretch:
    """The linear map of each data band to about [0, 1]: (value - low) / (high - low).

    `bands`: indices of the data bands in the file, from 0. `low`, `high`: a native value a band
    that becomes 0, and 1.
    """

    bands: tuple[int, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    def normalise(self, values: np.ndarray) -> np.ndarray:
        """Native values (bands, H, W) to what an editor sees; invalid values are not repaired."""
        low, span = self._low_and_span(values.dtype)
        out = np.empty((len(self.bands), *values.shape[1:]), np.float32)
        whole = self.bands == tuple(range(len(values)))
        scale = 1 / span
        for rows in _strips(values.shape[1]):
            part = values[:, rows] if whole else values[list(self.bands), rows]
            np.multiply(
                part if not low.any() else part - low, scale, out=out[:, rows], casting="same_kind"
            )
        return out

    def of(self, chosen: Sequence[int]) -> Stretch:
        """That of some bands (indices in the file), as if there were no others."""
        at = [self.bands.index(band) for band in chosen]
        return Stretch(
            tuple(range(len(at))), tuple(self.low[i] for i in at), tuple(self.high[i] for i in at)
        )

    def including(self, more: Sequence[np.ndarray]) -> Stretch:
        """The same for what is copied from too: values (data bands, N), in the raster's own units.
        A linear map takes any."""
        return self

    def normalise_data(self, values: np.ndarray) -> np.ndarray:
        """The same for values (data bands, H, W) of any type, in the raster's own units."""
        low, high = (np.array(part, np.float64)[:, None, None] for part in (self.low, self.high))
        return ((values - low) / (high - low)).astype(np.float32)

    def denormalise(self, seen: np.ndarray, profile: Profile) -> np.ndarray:
        """The inverse, rounded and clipped to the raster's type."""
        kind = np.dtype(profile.dtype)
        low, span = self._low_and_span(kind)
        out = np.empty(seen.shape, kind)
        for rows in _strips(seen.shape[1]):
            part = seen[:, rows] * span
            part += low
            if kind.kind in "iu":
                info = np.iinfo(kind)
                np.rint(part, out=part)
                np.clip(
                    part,
                    info.min,
                    2 ** int(profile.bits) - 1 if profile.bits else info.max,
                    out=part,
                )
            out[:, rows] = part
        return out

    def _low_and_span(self, kind: np.dtype) -> tuple[np.ndarray, np.ndarray]:
        """Low and span of each band; single precision holds integers of up to 16 bits exactly."""
        wide = kind.itemsize > 2 and kind != np.float32
        low = np.array(self.low)[:, None, None]
        return low.astype(np.float64 if wide else np.float32), (
            np.array(self.high)[:, None, None] - low
        ).astype(np.float64 if wide else np.float32)


def _strips(height: int, rows: int = 32) -> Iterator[slice]:
    """Strips of rows small enough for the processor's cache: several times faster than whole
    arrays."""
    return (slice(start, min(start + rows, height)) for start in range(0, height, rows))


def stretch_of(profile: Profile, roles: Roles, block: Block) -> Stretch:
    """Bytes by 0 ... 255; other types by a robust range, one for red, green and blue together."""
    bands = data_bands(profile)
    if profile.dtype == "uint8":
        return Stretch(tuple(bands), (0.0,) * len(bands), (255.0,) * len(bands))
    lows = np.zeros(len(bands))
    highs = np.ones(len(bands))
    together = [i for i, name in enumerate(roles.names) if name in COLOURS]
    for group in [together] + [[i] for i in range(len(bands)) if i not in together]:
        values = block.values[[bands[i] for i in group]][:, block.valid] if group else np.zeros(0)
        if not values.size:
            continue
        low, high = np.percentile(values[:, :: max(1, values.shape[1] // 200_000)], (0.5, 99.5))
        if not high > low:
            high = low + max(abs(low) * 0.01, 1.0)
        margin = 0.05 * (high - low)
        lows[group] = low - margin
        highs[group] = high + margin
    return Stretch(tuple(bands), tuple(lows.tolist()), tuple(highs.tolist()))


def stretch_from_dark(profile: Profile, roles: Roles, block: Block) -> Stretch:
    """The stretch in which 0 is the raster's own 0, one for all bands, white being that of the
    colours: what makes bands must know what is dark."""
    data = tuple(data_bands(profile))
    shown = [data[i] for i in (roles.index(role) for role in COLOURS) if i is not None] or list(
        data
    )
    low, high = _from_dark(profile, block.values[shown][:, block.valid])
    return Stretch(data, (low,) * len(data), (high,) * len(data))


def stretch_of_infrared(profile: Profile, band: int, block: Block) -> Stretch:
    """The same of a near-infrared band (its index in the file) alone, which may be far brighter
    than the colours."""
    low, high = _from_dark(profile, block.values[[band]][:, block.valid])
    return Stretch((band,), (low,), (high,))


def _from_dark(profile: Profile, values: np.ndarray) -> tuple[float, float]:
    if profile.dtype == "uint8":
        return 0.0, 255.0
    # The number that stands for no light at all; Sentinel-2 of today has one beside 0.
    dark = -profile.offsets[0] / profile.scales[0] if profile.scales[0] else 0.0
    high = (
        float(np.percentile(values[:, :: max(1, values.shape[1] // 200_000)], 99.5))
        if values.size
        else 1.0
    )
    return dark, dark + max(high - dark, 1e-9) * 1.05


def without_specks(block: Block, mask: np.ndarray, profile: Profile) -> Block:
    """Nodata specks inside the polygons count as ground: saturated white or deep black that equals
    the nodata value.

    They would poke through the edit. Larger holes, masks and alpha stay what they are.
    """
    gone = mask & ~block.valid
    if (
        profile.nodata is None
        or profile.alpha is not None
        or profile.dtype.startswith("float")
        or not gone.any()
    ):
        return block
    parts, _ = ndimage.label(~block.valid)
    sizes = np.bincount(parts.ravel())
    sizes[0] = LARGEST_SPECK_PX + 1
    return Block(block.box, block.values, block.valid | (gone & (sizes[parts] <= LARGEST_SPECK_PX)))


def write_back(image: np.ndarray, stretch: Stretch, block: Block, profile: Profile) -> np.ndarray:
    """The edited image in native type, all bands; what an editor does not see is kept."""
    native = stretch.denormalise(image, profile)
    if stretch.bands == tuple(range(len(block.values))):
        return native
    values = block.values.copy()
    values[list(stretch.bands)] = native
    return values


def away_from_nodata(values: np.ndarray, mask: np.ndarray, profile: Profile) -> np.ndarray:
    """A pixel of the mask that would read as nodata is moved by the smallest step, so that no
    edited pixel disappears."""
    nodata = profile.nodata
    if nodata is None or np.isnan(nodata):
        return values
    kind = values.dtype
    bands = data_bands(profile)
    if kind.kind in "iu" and not np.iinfo(kind).min <= nodata <= np.iinfo(kind).max:
        return values
    value = kind.type(nodata)
    gone = mask & (values[bands] == value).all(axis=0)
    if gone.any():
        values[bands[0]][gone] = nearest_other_value(value)
    return values


def nearest_other_value(value: Any) -> Any:
    """The value of the same type that is nearest to it."""
    kind = value.dtype
    if kind.kind == "f":
        return np.nextafter(value, kind.type(0) if value else kind.type(1))
    return kind.type(int(value) - 1 if value == np.iinfo(kind).max else int(value) + 1)
