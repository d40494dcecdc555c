"""Words to windows of the user's own layer that look like them.

Two ways: index rules where near infrared is there, the GSD is coarse, or a rule
beats the network; else small linear heads on network features of 38 m windows.
The best window must agree by a margin, or the answer is "not found".
"""

from __future__ import annotations

import base64
import functools
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import rasterio
from affine import Affine
from PIL import Image
from rasterio.features import rasterize
from scipy import ndimage
from shapely.geometry.base import BaseGeometry

from ..ground.errors import BadRequest
from ..models import scene_words
from ..models.scene_words import GSD_M, WINDOW_PX
from ..raster.bands import Layer, Roles, data_bands
from ..raster.raster import Box, validity

MARGIN = 2.5
"""Least scene agreement of the best window; below it the word is not found."""
FINEST_NETWORK_GSD_M = 1.0
STRIDE_PX = 32
LARGEST_SIDE_PX = 3072
"""At most so many pixels a side are searched, at the working GSD; more of the layer is not looked
at."""
ELSEWHERE = "Draw an exemplar, here or in another layer."
NETWORK = "scene agreement"
RULE_WINDOW_PX = 48
RULE_SHARE = 0.9
MOST_SOURCES = 8
LEAST_VALID = 0.97
"""A window may hold a few nodata pixels: saturated white is often marked so."""

SYNONYMS = {
    "water": ("lake", "pond", "river", "reservoir"),
    "forest": ("trees", "wood", "woods", "woodland"),
    "residential": ("housing", "houses"),
    "parking": ("car park", "parking lot"),
    "farmland": ("crop", "cropland", "field"),
    "road": ("street", "highway"),
    "industrial": ("commercial", "warehouse"),
    "grass": ("lawn", "meadow"),
    "bare": ("bare soil", "soil", "sand", "gravel"),
    "asphalt": (),
    "beach": (),
    "shrub": ("scrub",),
}


@dataclass(frozen=True)
class Hit:
    """A window of the layer in native pixels, and how well it agrees."""

    box: Box
    agreement: float


@dataclass(frozen=True)
class Search:
    """What was searched for, by which rule, and what was found, best first."""

    word: str
    rule: str
    hits: tuple[Hit, ...]
    reason: str = ""


def knows(word: str) -> bool:
    """Whether a head or rule has the word; what else is asked for takes an image-text model."""
    text = word.strip().lower()
    return any(text == name or text in others for name, others in SYNONYMS.items())


def canonical(word: str) -> str:
    """The word that a head or rule knows; raises BadRequest with the known ones."""
    text = word.strip().lower()
    for name, others in SYNONYMS.items():
        if text == name or text in others:
            return name
    raise BadRequest(
        f"'{word[:60]}' is not a word that can be looked for; known: {', '.join(SYNONYMS)}. Draw "
        "an exemplar instead."
    )


def search(layer: Layer, word: str, area: Box, avoid: Sequence[BaseGeometry] = ()) -> Search:
    """Windows inside `area` that look like `word` and do not touch the shapes to `avoid` (in pixels
    of the layer).

    Of a large area only the middle is searched, so that time and memory do not follow the layer's
    size.
    """
    name = canonical(word)
    profile = layer.profile
    roles = layer.roles
    view, blocked, area = view_of(layer, area, avoid)
    rule = _rule_for(name, roles, profile.gsd_m)
    if rule is not None:
        return _by_rule(name, rule, view, blocked, area)
    if profile.gsd_m > FINEST_NETWORK_GSD_M:
        return Search(
            name,
            "none",
            (),
            f"At {profile.gsd_m:.2g} m a pixel '{name}' cannot be told apart"
            + ("" if roles.index("nir") is not None else " without a near-infrared band")
            + f". {ELSEWHERE}",
        )
    if name not in scene_words.words():
        return Search(
            name, "none", (), f"There is no detector for '{name}' on this layer. {ELSEWHERE}"
        )
    return _by_network(name, view, blocked, area)


def view_of(layer: Layer, area: Box, avoid: Sequence[BaseGeometry]) -> tuple[View, np.ndarray, Box]:
    """The middle of the area at its working GSD, the pixels of it to avoid, and the box that it
    shows."""
    area = _middle(area, reach_px(layer))
    view = _read_view(layer, area)
    return view, _blocked(avoid, area, view), area


@dataclass(frozen=True)
class View:
    """The searched area at its working GSD: bands by role (H, W) in [0, 255], validity, scale to
    native."""

    bands: dict[str, np.ndarray]
    valid: np.ndarray
    native_per_px: float
    gsd_m: float
    first: np.ndarray

    @property
    def rgb(self) -> np.ndarray:
        """(H, W, 3); grey where there are no colours."""
        seen = [self.bands.get(role) for role in ("red", "green", "blue")]
        if any(band is None for band in seen):
            seen = [self.first] * 3
        return np.stack(seen, axis=-1)  # type: ignore[arg-type]


def _read_view(layer: Layer, area: Box) -> View:
    """Read at 0.6 m (finer layers are averaged down), or natively where the layer is coarser or too
    small."""
    dataset = layer.dataset
    profile = layer.profile
    roles = layer.roles
    factor = max(1.0, GSD_M / profile.gsd_m)
    # A layer of only a few windows is searched at its own detail.
    factor = min(factor, max(1.0, min(area.width, area.height) / (3 * WINDOW_PX)))
    factor = max(factor, max(area.width, area.height) / LARGEST_SIDE_PX)
    shape = (max(1, round(area.height / factor)), max(1, round(area.width / factor)))
    bands = data_bands(profile)
    data = dataset.read(
        [b + 1 for b in bands],
        window=area.window,
        out_shape=(len(bands), *shape),
        resampling=rasterio.enums.Resampling.average,
    ).astype(np.float32)
    valid = validity(dataset, area.window, shape)
    valid &= np.isfinite(data).all(axis=0)
    low, high = _display_range(data, valid, roles, profile.dtype)
    shown = {
        role: np.clip((np.nan_to_num(data[i]) - low) / (high - low), 0, 1) * 255
        for i, role in enumerate(roles.names)
        if role
    }
    first = np.clip((np.nan_to_num(data[0]) - low) / (high - low), 0, 1) * 255
    return View(shown, valid, factor, profile.gsd_m * factor, first)


def _display_range(
    data: np.ndarray, valid: np.ndarray, roles: Roles, dtype: str
) -> tuple[float, float]:
    if dtype == "uint8" or not valid.any():
        return 0.0, 255.0
    seen = [i for i, n in enumerate(roles.names) if n in ("red", "green", "blue", "pan")] or [0]
    low, high = np.percentile(data[seen][:, valid], (1, 99))
    return float(low), float(high if high > low else low + 1)


def reach_px(layer: Layer) -> int:
    """Largest side that is searched, in pixels of the layer."""
    return round(LARGEST_SIDE_PX * max(1.0, GSD_M / layer.profile.gsd_m))


def _middle(area: Box, side: int) -> Box:
    width = min(area.width, side)
    height = min(area.height, side)
    return Box(
        area.col + (area.width - width) // 2, area.row + (area.height - height) // 2, width, height
    )


def _blocked(shapes: Sequence[BaseGeometry], area: Box, view: View) -> np.ndarray:
    """Pixels of the view that a shape touches."""
    height, width = view.valid.shape
    if not shapes:
        return np.zeros((height, width), bool)
    scale = Affine.translation(area.col, area.row) @ Affine.scale(
        area.width / width, area.height / height
    )
    return (
        rasterize(
            [(shape, 1) for shape in shapes],
            out_shape=(height, width),
            transform=scale,
            all_touched=True,
        )
        > 0
    )


Rule = Callable[[View], np.ndarray]


def _rule_for(name: str, roles: Roles, gsd_m: float) -> Rule | None:
    nir = roles.index("nir") is not None and roles.index("red") is not None
    if (
        nir
        and name in _NIR_RULES
        and (gsd_m > FINEST_NETWORK_GSD_M or name in ("water", "bare", "grass"))
    ):
        return _NIR_RULES[name]
    if name in ("bare", "asphalt", "grass") and roles.index("red") is not None and gsd_m <= 10:
        return _RGB_RULES[name]
    return None


def _deviation(view: View) -> np.ndarray:
    grey = view.rgb.mean(axis=-1)
    mean = ndimage.uniform_filter(grey, 7)
    return np.sqrt(np.maximum(ndimage.uniform_filter(grey**2, 7) - mean**2, 0))


def _ndvi(view: View) -> np.ndarray:
    nir = view.bands["nir"]
    red = view.bands["red"]
    return (nir - red) / np.maximum(nir + red, 1)


def _is_water(view: View) -> np.ndarray:
    green = view.bands["green"]
    nir = view.bands["nir"]
    ndwi = (green - nir) / np.maximum(green + nir, 1)
    return ndwi > np.clip(_otsu(ndwi[view.valid]), -0.05, 0.3)


def _otsu(values: np.ndarray) -> float:
    """The threshold that best parts two groups (Otsu 1979)."""
    counts, edges = np.histogram(values, 256)
    middle = (edges[1:] + edges[:-1]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    first = np.cumsum(counts * middle) / np.maximum(below, 1)
    second = (np.sum(counts * middle) - np.cumsum(counts * middle)) / np.maximum(above, 1)
    return float(middle[np.argmax(below * above * (first - second) ** 2)])


def _brighter_than(view: View, share: float) -> np.ndarray:
    grey = view.rgb.mean(axis=-1)
    return grey > np.percentile(grey[view.valid], share)


def _farmland(view: View) -> np.ndarray:
    deviation = _deviation(view)
    return (
        (_ndvi(view) > 0.3)
        & ~_is_water(view)
        & (deviation < 0.7 * np.median(deviation[view.valid]))
    )


def _bare_rgb(view: View) -> np.ndarray:
    red = view.bands["red"]
    green = view.bands["green"]
    blue = view.bands["blue"]
    return (
        (red > 1.03 * green)
        & (green > 1.08 * blue)
        & _brighter_than(view, 70)
        & (_deviation(view) < 14)
    )


def _asphalt(view: View) -> np.ndarray:
    top = view.rgb.max(axis=-1)
    low = view.rgb.min(axis=-1)
    return (
        ((top - low) / np.maximum(top, 1) < 0.09)
        & (_deviation(view) < 7)
        & ~_brighter_than(view, 60)
    )


def _grass_rgb(view: View) -> np.ndarray:
    red = view.bands["red"]
    green = view.bands["green"]
    blue = view.bands["blue"]
    excess = (2 * green - red - blue) / np.maximum(red + green + blue, 1)
    return (excess > 0.05) & (_deviation(view) < 7)


_NIR_RULES: dict[str, Rule] = {
    "water": _is_water,
    "bare": lambda v: (_ndvi(v) < 0.2) & ~_is_water(v) & _brighter_than(v, 60),
    "farmland": _farmland,
    "grass": lambda v: (_ndvi(v) > 0.3) & ~_is_water(v),
}
_RGB_RULES: dict[str, Rule] = {"bare": _bare_rgb, "asphalt": _asphalt, "grass": _grass_rgb}


def _by_rule(name: str, rule: Rule, view: View, blocked: np.ndarray, area: Box) -> Search:
    if not view.valid.any():
        return Search(name, "index rule", (), "The layer holds no valid pixel here.")
    mask = ndimage.binary_opening(rule(view) & view.valid) & ~blocked
    side = min(RULE_WINDOW_PX, *view.valid.shape)
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    share = ndimage.uniform_filter(mask.astype(np.float32), side, mode="constant")
    score = share + 0.01 * ndimage.maximum_filter(depth, side // 2) / side
    half = side // 2
    score[:half] = 0
    score[-half:] = 0
    score[:, :half] = 0
    score[:, -half:] = 0
    hits: list[Hit] = []
    while len(hits) < MOST_SOURCES:
        row, col = np.unravel_index(np.argmax(score), score.shape)
        if share[row, col] < RULE_SHARE or score[row, col] <= 0:
            break
        hits.append(
            Hit(
                native_box(Box(int(col) - half, int(row) - half, side, side), view, area),
                float(share[row, col]),
            )
        )
        score[max(0, row - side) : row + side, max(0, col - side) : col + side] = 0
    reason = (
        ""
        if hits
        else f"No window of this layer is {RULE_SHARE:.0%} {name} by its index rule. {ELSEWHERE}"
    )
    return Search(name, "index rule", tuple(hits), reason)


def _by_network(name: str, view: View, blocked: np.ndarray, area: Box) -> Search:
    rgb = view.rgb.round().astype(np.uint8)
    height, width = view.valid.shape
    if min(height, width) < WINDOW_PX:
        return Search(
            name,
            NETWORK,
            (),
            f"The layer is too small: {width} x {height} pixels at {view.gsd_m:.2g} m, one "
            f"window needs {WINDOW_PX}.",
        )
    corners = [
        (r, c)
        for r in range(0, height - WINDOW_PX + 1, STRIDE_PX)
        for c in range(0, width - WINDOW_PX + 1, STRIDE_PX)
        if view.valid[r : r + WINDOW_PX, c : c + WINDOW_PX].mean() > LEAST_VALID
    ]
    if not corners:
        return Search(name, NETWORK, (), "No window of this layer is free of nodata.")
    windows = np.stack([rgb[r : r + WINDOW_PX, c : c + WINDOW_PX] for r, c in corners])
    scores = _agreement(windows.tobytes(), len(windows))[:, scene_words.words().index(name)].copy()
    for index, (r, c) in enumerate(corners):
        if blocked[r : r + WINDOW_PX, c : c + WINDOW_PX].mean() > 0.1:
            scores[index] = -np.inf
    hits: list[Hit] = []
    places = np.array(corners)
    while len(hits) < MOST_SOURCES and np.isfinite(scores.max()):
        best = int(np.argmax(scores))
        if scores[best] < MARGIN:
            break
        r, c = corners[best]
        hits.append(
            Hit(native_box(Box(c, r, WINDOW_PX, WINDOW_PX), view, area), float(scores[best]))
        )
        scores[(np.abs(places - places[best]) < WINDOW_PX).all(axis=1)] = -np.inf
    reason = "" if hits else f"Nothing in this layer looks enough like {name}. {ELSEWHERE}"
    return Search(name, NETWORK, tuple(hits), reason)


@functools.lru_cache(maxsize=1)
def _agreement(windows: bytes, count: int) -> np.ndarray:
    """Cached by content, so that another word on the same layer costs nothing."""
    array = np.frombuffer(windows, np.uint8).reshape(count, WINDOW_PX, WINDOW_PX, 3).copy()
    return scene_words.agreement(scene_words.features(array))


def native_box(box: Box, view: View, area: Box) -> Box:
    """A box of the view in pixels of the layer."""
    f = view.native_per_px
    return Box(
        area.col + round(box.col * f),
        area.row + round(box.row * f),
        max(1, round(box.width * f)),
        max(1, round(box.height * f)),
    ).clipped(area)


def sources(found: Search) -> tuple[Hit, ...]:
    """The windows worth copying from: not far behind the best."""
    if not found.hits:
        return ()
    if found.rule == "index rule":
        return found.hits[:4]
    if found.rule != NETWORK:
        return tuple(h for h in found.hits if h.agreement >= found.hits[0].agreement - 3)
    least = max(MARGIN, found.hits[0].agreement - 1.5)
    return tuple(h for h in found.hits if h.agreement >= least)


def thumbnail(layer: Layer, box: Box, side: int = 96) -> str:
    """A PNG of the window for the eye, base64."""
    bands = data_bands(layer.profile)
    seen = [layer.roles.index(r) for r in ("red", "green", "blue")]
    chosen = [bands[i] for i in seen if i is not None] if None not in seen else [bands[0]] * 3
    data = layer.dataset.read(
        [b + 1 for b in chosen], window=box.window, out_shape=(3, side, side)
    ).astype(np.float32)
    low, high = (0.0, 255.0) if layer.profile.dtype == "uint8" else np.nanpercentile(data, (1, 99))
    shown = np.clip((np.nan_to_num(data) - low) / max(high - low, 1e-9) * 255, 0, 255).astype(
        np.uint8
    )
    stream = io.BytesIO()
    Image.fromarray(shown.transpose(1, 2, 0)).save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode("ascii")
