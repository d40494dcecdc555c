"""Things set out in rows: trees along a street, orchards, solar panels, copies of an object.

Rows run along the longest side of the polygon, or along its middle where it follows a street; what
is set there stands on the ground as it is, lit by the scene's sun, with a shadow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from scipy import ndimage

from ..contract.editors import option
from ..scene.evidence import cast
from ..scene.rules import smoothstep
from .cast_shadow import DARKNESS, USUAL_SLOPE, Light
from .crowns import TALL, crown_of, crowns_of
from .ground import Ground
from .light import aired, exposure, grain
from .things import Thing, covered, lay, raise_to, resized

TREES, PANELS, OBJECT = "trees", "solar panels", "the exemplar"
ROWS, MIDDLE, SCATTERED = "rows", "along the middle", "scattered"
BY_KIND = 0.0
SPACING_M = {TREES: 8.0, PANELS: 0.0, OBJECT: 10.0}
ROW_M = {TREES: 8.0, PANELS: 7.0, OBJECT: 10.0}
"""From one to the next in a row, and from row to row, by kind, where the user does not say."""
MOST = 20_000
"""Things in one window, at most."""
PANEL_M = 3.6
MODULE_M = 1.1
TABLE_M = 22.0
LEAST_TABLE_M2 = 12.0
PANEL_HEIGHT_M = 1.8
FRAMES_M = 0.22
"""Depth of a row of panels seen from above; width of a module; length of a table; height of its
upper edge; and the pixel from which on frames no longer show."""
KEEP_OFF = ("roof", "water")
STREETS = ("paved", "vehicle")
A_YARD = 0.6
"""Share of paved ground in a polygon from which on it is a yard that things are to stand on."""
A_STREET, VERGE_M = 0.5, 2.0
"""Share of the middle of a polygon that is paved from which on it is a street, and how far from its
edge trees stand beside it."""
OFF = 0.5
PANEL = {"red": 0.15, "green": 0.18, "blue": 0.27, "nir": 0.16, "swir1": 0.12, "swir2": 0.11}
FRAME = {"red": 0.52, "green": 0.53, "blue": 0.54, "nir": 0.5, "swir1": 0.4, "swir2": 0.35}
"""Reflectance about as bright as aerial pictures show it."""


@dataclass(frozen=True)
class Rows:
    """What is set out, and how."""

    thing: str = option(
        "Set out",
        TREES,
        choices=(TREES, PANELS, OBJECT),
        help="Trees are crowns of the layer's own where it shows single ones; the exemplar is an "
        "object that you draw, cut out of its ground.",
    )
    layout: str = option(
        "Layout",
        ROWS,
        choices=(ROWS, MIDDLE, SCATTERED),
        help="In rows along the polygon's longest side; in one row along its middle, or on both "
        "sides of a street that runs there; or scattered. Panels stand in rows.",
    )
    spacing_m: float = option(
        "In a row every",
        BY_KIND,
        unit="m",
        minimum=0.0,
        maximum=500.0,
        help="From middle to middle. 0: by kind (trees 8 m, objects 10 m).",
    )
    row_m: float = option(
        "Rows every",
        BY_KIND,
        unit="m",
        minimum=0.0,
        maximum=500.0,
        help="From row to row. 0: by kind (trees 8 m, solar panels 7 m, objects 10 m).",
    )
    irregular: float = option(
        "Irregular",
        0.15,
        minimum=0.0,
        maximum=1.0,
        help="How far things stand off their places, and differ in size; 0: as on a drawing.",
    )


@dataclass(frozen=True)
class SetOut:
    """What came of it. `image` (C, H, W). `count`: how many were set down, tables of panels too.
    `own`: whether trees are the layer's own."""

    image: np.ndarray
    count: int
    own: bool = False


def set_out(ground: Ground, how: Rows, seed: int, objects: Sequence[Thing] = ()) -> SetOut:
    """The image (C, H, W) with things in rows; `objects`: what the exemplars show."""
    light = Light.of(ground) or Light(
        225.0, USUAL_SLOPE, np.full(len(ground.image), DARKNESS, np.float32)
    )
    if how.thing == PANELS:
        return _panels(ground, how, light, seed)
    own = list(objects) if how.thing == OBJECT else crowns_of(ground)
    rng = np.random.default_rng(seed)
    places = _places(ground, how, rng)
    picture = ground.image.copy()
    tall = np.zeros(ground.mask.shape, np.float32)
    shown = np.zeros(ground.mask.shape, np.float32)
    layers = picture.copy()
    for row, col in places:
        grow = 1 + 0.5 * how.irregular * rng.uniform(-1, 1)
        thing = own[rng.integers(len(own))] if own else crown_of(ground, light, grow, rng)
        if own and how.thing == TREES:
            # Its light falls as before: crowns are not turned.
            thing = resized(thing, grow)
        lay(layers, shown, thing, (row, col), ground.mask)
        width = 2 * np.sqrt(thing.alpha.sum() / np.pi) * ground.gsd_m
        height = TALL * width if how.thing == TREES else min(width / 2, 6.0)
        raise_to(tall, thing.alpha, (row, col), height)
    shade = cast(tall, light.azimuth, light.slope, ground.gsd_m) * (tall == 0)
    shade = ndimage.gaussian_filter(shade, 0.6) * (1 - ground.cover.sure("shadow")) * ground.mask
    picture *= 1 - (1 - light.darkness)[:, None, None] * shade
    picture += (layers - picture) * shown
    return SetOut(np.clip(picture, 0, None).astype(np.float32), len(places), bool(own))


def axis_of(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The middle (row, col) of a mask and the direction (row, col) of its longest side."""
    rows, cols = np.nonzero(mask)
    frame = shapely.minimum_rotated_rectangle(shapely.multipoints(np.column_stack([cols, rows])))
    middle = np.array([rows.mean(), cols.mean()])
    if frame.geom_type != "Polygon":
        return middle, np.array([0.0, 1.0])
    corners = np.asarray(frame.exterior.coords)[:3, ::-1]
    sides = np.diff(corners, axis=0)
    longest = sides[np.argmax(np.hypot(*sides.T))]
    return middle, longest / max(float(np.hypot(*longest)), 1e-6)


def _kept_off(ground: Ground, how: Rows) -> np.ndarray:
    """Where nothing is set (H, W, bool): on roofs and water, and on streets, unless what was drawn
    is a street or a yard itself."""
    off = ground.cover.share(*KEEP_OFF) > OFF
    streets = ground.cover.share(*STREETS) > OFF
    paved = bool(ground.mask.any()) and float(streets[ground.mask].mean()) > A_YARD
    return off if paved or how.layout == MIDDLE else off | streets


def _spaces(how: Rows) -> tuple[float, float]:
    """From thing to thing, and from row to row, in metres."""
    return how.spacing_m or SPACING_M[how.thing], how.row_m or ROW_M[how.thing]


def wanted(ground: Ground, how: Rows) -> int:
    """About how many things a mask would take."""
    if how.thing == PANELS:
        return 0
    spacing, row_m = _spaces(how)
    area = float(ground.mask.sum()) * ground.gsd_m**2 * ground.aspect
    return int(area / max(spacing * (spacing if how.layout == MIDDLE else row_m), 1e-9))


def _places(ground: Ground, how: Rows, rng: np.random.Generator) -> list[tuple[float, float]]:
    """Where things stand (row, col), each with its middle in the mask and off what stands there."""
    spacing, row_m = (value / ground.gsd_m for value in _spaces(how))
    parts, _ = ndimage.label(ground.mask)
    found = []
    off = _kept_off(ground, how)
    streets = ground.cover.share(*STREETS) > OFF
    loose = how.irregular if how.layout != SCATTERED else max(how.irregular, 0.9)
    for number, box in enumerate(ndimage.find_objects(parts), 1):
        own = parts[box] == number
        if how.layout == MIDDLE:
            places, line = _along_middle(own, streets[box], (spacing, ground.gsd_m))
            off[box] |= own & ~line
        else:
            places = _grid(own, spacing, row_m)
        for row, col in places:
            row += box[0].start
            col += box[1].start
            row += loose * 0.45 * min(spacing, row_m) * rng.uniform(-1, 1)
            col += loose * 0.45 * min(spacing, row_m) * rng.uniform(-1, 1)
            at = round(row), round(col)
            inside = 0 <= at[0] < parts.shape[0] and 0 <= at[1] < parts.shape[1]
            if inside and parts[at] == number and not off[at]:
                found.append((row, col))
    return found


def _grid(part: np.ndarray, spacing: float, row_m: float) -> list[tuple[float, float]]:
    """Places in rows along the longest side of a mask, half a space off its ends."""
    middle, along = axis_of(part)
    across = np.array([-along[1], along[0]])
    rows, cols = np.nonzero(part)
    offset = np.column_stack([rows, cols]) - middle
    u, v = offset @ along, offset @ across
    steps = [
        low + 0.5 * (high - low - space * max(int((high - low) // space), 0)) + space * np.arange(
            int((high - low) // space) + 1
        )
        for low, high, space in ((u.min(), u.max(), spacing), (v.min(), v.max(), row_m))
    ]  # fmt: skip
    places = middle + steps[0][:, None, None] * along + steps[1][None, :, None] * across
    return [(float(row), float(col)) for row, col in places.reshape(-1, 2)]


def _along_middle(
    part: np.ndarray, streets: np.ndarray, steps: tuple[float, float]
) -> tuple[list[tuple[float, float]], np.ndarray]:
    """Places along the ridge of a mask, as far from its sides as it goes there, evenly spaced; and
    where such things may stand (H, W, bool). Along a street that runs there they stand beside it,
    on both sides, where the mask is wider. `steps`: pixels from one to the next, and the ground
    size of a pixel in metres."""
    spacing, gsd_m = steps
    depth = ndimage.distance_transform_edt(np.pad(part, 1))[1:-1, 1:-1]
    ridge = part & (depth >= ndimage.maximum_filter(depth, 5) - 0.6)
    _, along = axis_of(part)
    here = streets & part
    ways = ndimage.binary_opening(here, iterations=max(1, round(1.0 / gsd_m)))
    ways = ndimage.binary_propagation(ways, mask=here)
    if ridge.any() and ways[ridge].mean() > A_STREET:
        off_way = ndimage.distance_transform_edt(~ways) * gsd_m
        verge = part & ~ways & (np.abs(off_way - VERGE_M) <= max(0.5, 0.75 * gsd_m))
        if verge.any():
            return _spaced(verge, along, spacing), ~ways
    return _spaced(ridge, along, spacing), np.ones_like(part)


def _spaced(line: np.ndarray, along: np.ndarray, spacing: float) -> list[tuple[float, float]]:
    """Places on lines (H, W, bool), evenly spaced from one end; `along`: direction (row, col)."""
    rows, cols = np.nonzero(line)
    left = np.column_stack([rows, cols]).astype(float)
    left = left[np.argsort(left @ along, kind="stable")]
    places: list[np.ndarray] = []
    while len(left):
        places.append(left[0])
        left = left[np.hypot(*(left - left[0]).T) >= spacing]
        if len(left):
            nearest = np.argsort(np.hypot(*(left - places[-1]).T), kind="stable")
            left = left[nearest]
    return [(float(row), float(col)) for row, col in places]


def _panels(ground: Ground, how: Rows, light: Light, seed: int) -> SetOut:
    """Rows of solar panels; half pixels at their edges are mixed."""
    pitch = max(_spaces(how)[1], PANEL_M + 0.5)
    inside = ground.depth() * ground.gsd_m
    cover = np.zeros(ground.mask.shape, np.float32)
    frames = np.zeros(ground.mask.shape, np.float32)
    count = 0
    parts, _ = ndimage.label(ground.mask)
    free = ~_kept_off(ground, how)
    fine = float(np.clip((FRAMES_M - ground.gsd_m) / 0.1, 0, 1))
    for number, box in enumerate(ndimage.find_objects(parts), 1):
        own = parts[box] == number
        middle, along = axis_of(own)
        rows, cols = np.indices(own.shape)
        u = ((rows - middle[0]) * along[0] + (cols - middle[1]) * along[1]) * ground.gsd_m
        v = ((rows - middle[0]) * -along[1] + (cols - middle[1]) * along[0]) * ground.gsd_m
        table = np.floor(u / (TABLE_M + 1.0)).astype(int)
        row = np.floor(v / pitch).astype(int)
        # A table stands whole or not at all.
        names = (row - row.min()) * (np.ptp(table) + 1) + table - table.min()
        off_u = np.abs(u - (table + 0.5) * (TABLE_M + 1.0)) - TABLE_M / 2
        off_v = np.abs(v - (row + 0.5) * pitch) - PANEL_M / 2
        body = covered(off_u, ground.gsd_m) * covered(off_v, ground.gsd_m)
        body = body * smoothstep((inside[box] - 0.8) / 0.4) * own
        have = np.bincount(names[body > 0.5], minlength=int(names.max()) + 1)
        keep = have * ground.gsd_m**2 > LEAST_TABLE_M2
        body = body * keep[names] * free[box]
        count += int(keep.sum())
        cover[box] = np.maximum(cover[box], body)
        if fine:
            joint = np.abs((u / MODULE_M) % 1 - 0.5) > 0.5 - 0.04
            half = np.abs(off_v + PANEL_M / 2) < 0.06
            frames[box] = np.maximum(frames[box], fine * body * (joint | half))
    tall = PANEL_HEIGHT_M * (cover > 0.5)
    shade = cast(tall.astype(np.float32), light.azimuth, light.slope, ground.gsd_m) * (tall == 0)
    shade = ndimage.gaussian_filter(shade, 0.5) * ground.mask
    out = ground.image * (1 - (1 - light.darkness)[:, None, None] * shade)
    sky = 1 + 0.10 * (ground.noise(40.0, seed, 2) - 0.5)
    specks = grain(ground, seed + 9)
    bright = exposure(ground)
    for band, role in enumerate(ground.roles):
        dark = aired(ground, band, PANEL.get(role, 0.2) * bright) * sky
        rim = aired(ground, band, FRAME.get(role, 0.5) * bright)
        tone = dark + (rim - dark) * 0.6 * frames + 0.5 * specks[band]
        out[band] += (tone - out[band]) * cover
    return SetOut(np.clip(out, 0, None).astype(np.float32), count)
