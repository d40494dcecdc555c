"""Heights of an elevation model in metres, on the grid of what is edited.

The unit is what the file says: of the band (`units`), else of the vertical part of its CRS. Models
in feet are common (USGS 3DEP has thousands of tiles in feet and in US survey feet).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyproj
import rasterio
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.warp import reproject

from ..ground.errors import CannotEdit
from .grid import Box
from .raster import Profile

FOOT_M = 0.3048
SURVEY_FOOT_M = 1200 / 3937
"""The US survey foot, as the National Geodetic Survey defines it."""
METRES = {
    1.0: ("m", "metre", "metres", "meter", "meters"),
    FOOT_M: ("ft", "foot", "feet", "international foot", "ft (international)", "ftint"),
    SURVEY_FOOT_M: (
        "us survey foot",
        "us survey feet",
        "us-ft",
        "usft",
        "ftus",
        "us_ft",
        "us foot",
        "us feet",
        "ft (us)",
        "foot_us",
        "survey foot",
        "survey feet",
        "sft",
    ),
    0.01: ("cm", "centimetre", "centimetres", "centimeter", "centimeters"),
    0.1: ("dm", "decimetre", "decimetres", "decimeter", "decimeters"),
    0.001: ("mm", "millimetre", "millimetres", "millimeter", "millimeters"),
    1000.0: ("km", "kilometre", "kilometres", "kilometer", "kilometers"),
}
"""Names of units of height, and how many metres each is."""
UNITS = {name: metres for metres, names in METRES.items() for name in names}
NAMES = {1.0: "metres", FOOT_M: "feet", SURVEY_FOOT_M: "US survey feet"}


@dataclass(frozen=True)
class HeightUnit:
    """`metres`: what one of it is, below 0 where depths are counted. `stated_by`: what of the file
    says so; empty: it says nothing, and metres are assumed."""

    metres: float
    stated_by: str = ""

    @property
    def note(self) -> str:
        """A sentence for the user; empty where heights are in metres and the file says it."""
        if not self.stated_by:
            return "The elevation model does not say its unit; metres were assumed."
        if self.metres == 1:
            return ""
        if self.metres < 0:
            return f"The elevation model counts downwards ({self.stated_by}); turned into heights."
        name = NAMES.get(self.metres, f"units of {self.metres:g} m")
        return f"The elevation model is in {name} ({self.stated_by}); turned into metres."


def unit_of(model: rasterio.DatasetReader) -> HeightUnit:
    """The unit of a model's first band; raises CannotEdit for one that is no known length."""
    stated = (model.units[0] or "").strip()
    if stated:
        found = UNITS.get(" ".join(stated.lower().replace("_", " ").split())) or UNITS.get(
            stated.lower()
        )
        if found is None:
            raise CannotEdit(
                f"The elevation model says that its heights are in '{stated[:40]}', which is no "
                "unit of length known here. Give a model in metres or feet, or correct the band's "
                "unit."
            )
        counts_down = of_crs(model.crs).metres < 0
        return HeightUnit(-found if counts_down else found, f"its band says '{stated}'")
    return of_crs(model.crs)


def of_crs(crs: CRS | None) -> HeightUnit:
    """The unit of the vertical axis of a compound or three-dimensional CRS."""
    if crs is None:
        return HeightUnit(1.0)
    whole = pyproj.CRS.from_wkt(crs.to_wkt(version="WKT2_2019"))
    for part in (*whole.sub_crs_list, whole):
        for axis in part.axis_info:
            if axis.direction in ("up", "down") and axis.unit_conversion_factor:
                factor = float(axis.unit_conversion_factor)
                known = min(NAMES, key=lambda metres: abs(metres - factor))
                metres = known if abs(known - factor) < 1e-9 else factor
                sign = -1.0 if axis.direction == "down" else 1.0
                return HeightUnit(sign * metres, f"its CRS says {axis.unit_name}")
    return HeightUnit(1.0)


def heights_on(model: rasterio.DatasetReader, profile: Profile, box: Box) -> np.ndarray:
    """Heights (H, W), float32, in metres on the grid of a window of a raster, NaN where there are
    none. Raises CannotEdit where the model holds none here, or the two cannot be laid over one
    another."""
    if (model.crs is None) != (profile.crs is None):
        raise CannotEdit(
            "One of layer and elevation model has no CRS; assign one, so that they can be "
            "laid over one another."
        )
    metres = unit_of(model).metres
    found = np.full((box.height, box.width), np.nan, np.float32)
    reproject(
        rasterio.band(model, 1),
        found,
        src_crs=_flat(model.crs),
        dst_transform=profile.transform_of(box),
        dst_crs=_flat(profile.crs or model.crs),
        dst_nodata=np.nan,
        resampling=Resampling.bilinear,
    )
    if not np.isfinite(found).any():
        raise CannotEdit(
            "The elevation model holds no height where the polygons are. Does it cover them?"
        )
    stored = found * np.float32(model.scales[0]) + np.float32(model.offsets[0])
    return stored * np.float32(metres)


def _flat(crs: CRS | None) -> CRS | None:
    """The horizontal part: with a vertical one the warper would turn heights too, as it thinks
    right."""
    if crs is None:
        return None
    flat = pyproj.CRS.from_wkt(crs.to_wkt(version="WKT2_2019")).to_2d()
    parts = [part for part in flat.sub_crs_list if not part.is_vertical]
    return CRS.from_wkt((parts[0] if parts else flat).to_wkt())
