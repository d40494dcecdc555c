"""Twenty edits of real imagery, and the figures that judge them.

The images are read from a data folder (environment variable LANDBRUSH_DATA,
default ../shared/data beside the checkout); they are not part of the repository.
Cases marked `held_out` were not looked at while the method was tuned.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from landbrush.server.editors.models import Models
from landbrush.server.editors.registry import Editors
from rasterio.features import rasterize
from scipy import ndimage

DATA = Path(
    os.environ.get("LANDBRUSH_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")
)
JOPLIN = "joplin_tornado_geotiff/output/chips/pre/{}_pre.tif"
NAIP = "naip_landsat_timeseries/naip/m_4709963_se_14_1_20200831.tif"
NEON = "small_geotiffs/OSBS_029.tif"
UCM = "ucmerced_jpg/test/{0}/{0}{1}.jpg"

EDITORS = Editors(Models(Path(__file__).resolve().parents[1] / ".cache"))
"""Those that come with the program: no model of the user's takes part."""
Ring = list[tuple[int, int]]


@dataclass(frozen=True)
class Case:
    """An edit in pixel coordinates; `exemplar` for fills."""

    name: str
    path: str
    target: Ring
    exemplar: Ring | None = None
    held_out: bool = False


def _box(x0: int, y0: int, x1: int, y1: int) -> Ring:
    return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]


REMOVE = (
    Case(
        "house in trees",
        JOPLIN.format(2),
        [(386, 488), (420, 486), (442, 550), (420, 562), (398, 540)],
    ),
    Case(
        "lake in field",
        NAIP,
        [(342, 500), (398, 500), (400, 560), (396, 602), (350, 604), (340, 560)],
    ),
    Case(
        "tree group",
        NEON,
        [(130, 90), (180, 80), (240, 85), (262, 110), (240, 140), (180, 150), (140, 135)],
    ),
    Case(
        "tank",
        UCM.format("storagetanks", 14),
        [
            (18, 150),
            (25, 118),
            (50, 105),
            (60, 72),
            (92, 60),
            (122, 78),
            (124, 110),
            (102, 130),
            (99, 165),
            (75, 190),
            (40, 190),
            (22, 172),
        ],
    ),
    Case(
        "house in wood",
        UCM.format("sparseresidential", "06"),
        [
            (35, 110),
            (75, 62),
            (110, 56),
            (142, 100),
            (138, 150),
            (152, 195),
            (125, 217),
            (60, 182),
            (33, 150),
        ],
    ),
    Case(
        "park pond",
        JOPLIN.format(0),
        [(190, 475), (215, 462), (250, 478), (252, 505), (225, 522), (195, 514)],
        held_out=True,
    ),
    Case("shop", JOPLIN.format(0), _box(466, 870, 542, 914), held_out=True),
    Case("white house", JOPLIN.format(2), _box(490, 518, 532, 564), held_out=True),
    Case(
        "dark pond",
        NAIP,
        [(486, 238), (577, 230), (580, 272), (540, 307), (488, 297)],
        held_out=True,
    ),
    Case(
        "bunker",
        UCM.format("golfcourse", "04"),
        [(0, 188), (40, 178), (97, 174), (104, 215), (60, 253), (0, 253)],
        held_out=True,
    ),
    Case(
        "house and pool",
        UCM.format("sparseresidential", 19),
        [(75, 85), (140, 58), (168, 95), (200, 140), (195, 182), (160, 213), (105, 182), (80, 140)],
        held_out=True,
    ),
)

FILL = (
    Case("trees on lawn", JOPLIN.format(2), _box(672, 826, 752, 930), _box(396, 786, 518, 894)),
    Case(
        "lake in field",
        NAIP,
        [(182, 395), (300, 392), (304, 455), (250, 462), (188, 450)],
        [(400, 400), (530, 420), (530, 500), (440, 508)],
    ),
    Case(
        "parked cars",
        UCM.format("parkinglot", 18),
        [(60, 40), (150, 30), (162, 110), (40, 122)],
        _box(20, 150, 252, 252),
    ),
    Case("houses on field", JOPLIN.format(0), _box(966, 712, 1020, 862), _box(428, 420, 566, 606)),
    Case(
        "crowns on ground",
        NEON,
        [(180, 140), (240, 138), (270, 200), (190, 204)],
        [(120, 90), (250, 88), (254, 140), (130, 152)],
    ),
    Case(
        "trees by ditch",
        JOPLIN.format(0),
        [(424, 650), (474, 650), (474, 770), (440, 770)],
        _box(668, 488, 764, 614),
        held_out=True,
    ),
    Case(
        "fallow on crop",
        NAIP,
        _box(62, 488, 140, 604),
        [(670, 420), (740, 410), (762, 470), (680, 482)],
        held_out=True,
    ),
    Case(
        "parking on lawn",
        JOPLIN.format(0),
        _box(923, 208, 968, 292),
        [(872, 34), (1014, 50), (1014, 88), (872, 90)],
        held_out=True,
    ),
    Case(
        "wood on fairway",
        UCM.format("golfcourse", 11),
        [(30, 40), (150, 30), (172, 110), (40, 122)],
        [(10, 156), (242, 162), (242, 236), (10, 232)],
        held_out=True,
    ),
    Case(
        "grass on house",
        JOPLIN.format(2),
        _box(880, 190, 946, 270),
        [(730, 300), (840, 300), (846, 424), (760, 404)],
        held_out=True,
    ),
)


def picture(case: Case) -> np.ndarray:
    """The image (C, H, W) as float32 in [0, 1]."""
    with rasterio.open(DATA / case.path) as dataset:
        return dataset.read().astype(np.float32) / 255


def mask_of(ring: Ring, shape: tuple[int, int]) -> np.ndarray:
    geometry = {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}
    return rasterize([(geometry, 1)], out_shape=shape) > 0


def window_of(mask: np.ndarray, margin: int) -> tuple[slice, slice]:
    rows, cols = np.nonzero(mask)
    return (
        slice(max(0, rows.min() - margin), rows.max() + margin + 1),
        slice(max(0, cols.min() - margin), cols.max() + margin + 1),
    )


def _steps(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.abs(np.diff(image, axis=2)).mean(axis=0), np.abs(np.diff(image, axis=1)).mean(axis=0)


def sharpness(
    image: np.ndarray, inside: np.ndarray, reference: np.ndarray, of: np.ndarray | None = None
) -> float:
    """Mean gradient inside over mean gradient of the reference area (of another image, if
    given)."""
    return _mean_step(image, inside) / _mean_step(image if of is None else of, reference)


def _mean_step(image: np.ndarray, where: np.ndarray) -> float:
    across, down = _steps(image)
    pairs = [across[where[:, 1:] & where[:, :-1]], down[where[1:] & where[:-1]]]
    return float(np.concatenate(pairs).mean())


def rim(image: np.ndarray, mask: np.ndarray, width: int = 8) -> float:
    """Mean jump across the mask's edge over the mean jump within `width` pixels either side of
    it."""
    near = ((ndimage.distance_transform_edt(mask) <= width) & mask) | (
        (ndimage.distance_transform_edt(~mask) <= width) & ~mask
    )
    across, down = _steps(image)
    edge = []
    beside = []
    for steps, a, b, na, nb in (
        (across, mask[:, 1:], mask[:, :-1], near[:, 1:], near[:, :-1]),
        (down, mask[1:], mask[:-1], near[1:], near[:-1]),
    ):
        edge.append(steps[a != b])
        beside.append(steps[(a == b) & na & nb])
    return float(np.concatenate(edge).mean() / np.concatenate(beside).mean())


def ring_around(mask: np.ndarray, width: int = 40) -> np.ndarray:
    return (ndimage.distance_transform_edt(~mask) <= width) & ~mask
