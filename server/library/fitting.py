"""An exemplar of another sensor, brought to the ground size, light, tone, sharpness and grain of a
scene.

Tone follows ground that both show: a line for each band through the median colours of the classes
that both hold (low vegetation to low vegetation, asphalt to asphalt), held near the line through
their dark and bright ends. Sharpness is the ratio of two octaves at the strongest edges, which does
not depend on contrast.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from scipy import ndimage

WEIGHTS = {"paved": 1.0, "tree": 0.8, "low": 0.8, "shadow": 0.8, "bare": 0.6, "roof": 0.3}
"""How alike a class looks in one place and another."""
HELD = 0.08
"""Weight of the line through the ends beside that of the classes."""
GAINS = (0.5, 2.0)
ENDS = (2.0, 98.0)
"""Per cent of a picture's brightness that are taken for its dark and bright end."""
WIDE = 0.35
"""Between both ends from which on they tell of the sensor, not of a field that is all alike."""
STRONG = 92.0
"""Percentile of the gradient from which on it is an edge."""
VIVID = 97.0
VIVID_OVER = 1.35
"""Percentile of the strength of colours; and how much stronger an exemplar's may be."""
SOFTEST_PX = 1.6
HARDEST = 1.2
"""Blur and sharpening by which an exemplar is fitted at most."""
STRAIGHT = 30.0
"""Degrees by which shadows may differ in their direction without anybody minding."""
SAMPLES = 6000
NEIGHBOURS = 3
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True)
class Surroundings:
    """The scene that is copied into. `image` (C, H, W): as seen, about [0, 1]. `valid` (H, W).
    `roles`: of its bands. `gsd_m`: ground size of a pixel. `sun`: where it stands, degrees
    clockwise from up, None where nobody knows. `tones`: share and median colour by class."""

    image: np.ndarray
    valid: np.ndarray
    roles: tuple[str, ...]
    gsd_m: float
    sun: float | None
    tones: Mapping[str, tuple[float, ...]]

    @property
    def rgb(self) -> np.ndarray:
        """Its colours (3, H, W); the first band three times where it has none."""
        if not all(role in self.roles for role in ("red", "green", "blue")):
            return np.repeat(self.image[:1], 3, axis=0)
        return np.stack([self.image[self.roles.index(role)] for role in ("red", "green", "blue")])


@dataclass(frozen=True)
class Exemplar:
    """What is brought there. `bands`: by role, each (h, w) as seen, about [0, 1]. `usable` (h, w):
    what may be copied. `gsd_m`, `sun`, `tones`: as of the scene."""

    bands: Mapping[str, np.ndarray]
    usable: np.ndarray
    gsd_m: float
    sun: float | None
    tones: Mapping[str, tuple[float, ...]]


def fitted(exemplar: Exemplar, scene: Surroundings, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The exemplar's bands (C, h, w) as the scene's sensor would show them, and what of them may be
    copied (h, w)."""
    turned = _turned(exemplar, scene.sun)
    bands = {role: _scaled(band, turned, scene.gsd_m) for role, band in turned.bands.items()}
    usable = _scaled(turned.usable.astype(np.float32), turned, scene.gsd_m) > 0.99
    rgb = np.stack(
        [bands.get(role, next(iter(bands.values()))) for role in ("red", "green", "blue")]
    )
    rgb = toned(rgb, turned.tones, scene)
    rgb = _grained(_sharpened(rgb, scene), scene, seed)
    known = dict(zip(("red", "green", "blue"), rgb, strict=True))
    known["pan"] = np.tensordot(LUMA, rgb, 1)
    return _in_bands(known, scene), usable


def _turned(exemplar: Exemplar, sun: float | None) -> Exemplar:
    """Turned by quarters, or mirrored, so that its shadows lie as those of the scene do; as it is
    where they nearly do, or nobody knows."""
    if sun is None or exemplar.sun is None or _between(exemplar.sun, sun) <= STRAIGHT:
        return exemplar
    best = (STRAIGHT * 6, 0, False)
    for mirrored in (False, True):
        for quarters in range(4):
            azimuth = (-exemplar.sun if mirrored else exemplar.sun) - 90 * quarters
            apart = _between(azimuth, sun) + 5.0 * mirrored
            best = min(best, (apart, quarters, mirrored))
    _, quarters, mirrored = best

    def turn(band: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(np.rot90(band[:, ::-1] if mirrored else band, quarters))

    bands = {role: turn(band) for role, band in exemplar.bands.items()}
    return Exemplar(bands, turn(exemplar.usable), exemplar.gsd_m, sun, exemplar.tones)


def _between(one: float, other: float) -> float:
    """Degrees between two directions."""
    return abs((one - other + 180.0) % 360.0 - 180.0)


def _scaled(band: np.ndarray, exemplar: Exemplar, gsd_m: float) -> np.ndarray:
    """A band (h, w) at another ground size."""
    scale = exemplar.gsd_m / gsd_m
    if abs(scale - 1) < 0.02:
        return band.astype(np.float32)
    if scale < 1:
        band = ndimage.gaussian_filter(band, 0.42 * (1 / scale - 0.6), mode="nearest")
    size = [max(1, round(side * scale)) for side in band.shape]
    factors = [new / old for new, old in zip(size, band.shape, strict=True)]
    order = 1 if scale < 1 else 3
    found = ndimage.zoom(band, factors, order=order, mode="nearest", grid_mode=True)
    return np.asarray(found, np.float32)


def toned(rgb: np.ndarray, tones: Mapping[str, Sequence[float]], scene: Surroundings) -> np.ndarray:
    """Colours (3, h, w) in the scene's tone."""
    there = scene.rgb[:, scene.valid] if scene.valid.any() else scene.rgb.reshape(3, -1)
    (dark, bright), (black, white) = (
        np.percentile(np.tensordot(LUMA, part.reshape(3, -1), 1), ENDS) for part in (rgb, there)
    )
    gain, offset = 1.0, 0.0
    if bright - dark >= WIDE:
        gain = float(np.clip((white - black) / (bright - dark), 0.7, 1.4))
        offset = float(np.clip(black - gain * dark, -0.2, 0.25))
    ends = (dark, bright) if bright - dark >= WIDE else (0.1, 0.7)
    shared = [name for name in WEIGHTS if name in tones and name in scene.tones]
    out = np.empty_like(rgb)
    for band in range(3):
        rows = [
            (WEIGHTS[name] * (tones[name][0] * scene.tones[name][0]) ** 0.25,
             tones[name][band + 1], scene.tones[name][band + 1])
            for name in shared
        ]  # fmt: skip
        # Two points of the line through the ends keep it from tilting where classes are few.
        rows += [(HELD, value, gain * value + offset) for value in ends]
        weight, mine, theirs = np.array(rows).T
        slope, level = _line(mine, theirs, weight, gain)
        out[band] = rgb[band] * slope + level
    return np.clip(_as_colourful(out, there), 0, None)


def _as_colourful(rgb: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Colours (3, h, w) that are no stronger than the strongest of the scene (3, N), but for what
    it hardly shows."""
    mine, theirs = (
        np.percentile(part.max(axis=0) - part.min(axis=0), VIVID)
        for part in (rgb.reshape(3, -1), there)
    )
    share = float(np.clip(VIVID_OVER * theirs / max(mine, 1e-3), 0.45, 1.0))
    grey = np.tensordot(LUMA, rgb, 1)
    return grey + (rgb - grey) * share


def _line(
    mine: np.ndarray, theirs: np.ndarray, weight: np.ndarray, usual: float
) -> tuple[float, float]:
    """Slope and level of the line through points by weight, its slope within bounds and near a
    usual one."""
    x, y = np.average(mine, weights=weight), np.average(theirs, weights=weight)
    ridge = 0.004 * weight.sum()
    slope = (np.sum(weight * (mine - x) * (theirs - y)) + ridge * usual) / (
        np.sum(weight * (mine - x) ** 2) + ridge
    )
    slope = float(np.clip(slope, *GAINS))
    return slope, float(y - slope * x)


def edge_ratio(image: np.ndarray) -> float:
    """How sharp a picture (3, H, W) is: its finest octave by the next one, at its strongest
    edges."""
    grey = np.tensordot(LUMA, image, 1)
    one, two = (ndimage.gaussian_filter(grey, sigma) for sigma in (0.8, 1.6))
    rows, cols = np.gradient(one)
    steep = np.hypot(rows, cols)
    edges = steep >= np.percentile(steep, STRONG)
    return float(np.abs(grey - one)[edges].mean() / max(np.abs(one - two)[edges].mean(), 1e-6))


def _sharpened(rgb: np.ndarray, scene: Surroundings) -> np.ndarray:
    """As sharp as the scene: blurred, or its finest octave raised."""
    wanted, have = edge_ratio(scene.rgb), edge_ratio(rgb)
    if have > 1.08 * wanted:
        least, most = 0.0, SOFTEST_PX
        for _ in range(6):
            sigma = (least + most) / 2
            softer = ndimage.gaussian_filter(rgb, (0, sigma, sigma))
            least, most = (sigma, most) if edge_ratio(softer) > wanted else (least, sigma)
        return np.asarray(ndimage.gaussian_filter(rgb, (0, least, least)), np.float32)
    if have < 0.92 * wanted:
        raise_by = min(wanted / max(have, 1e-3) - 1, HARDEST)
        fine = rgb - ndimage.gaussian_filter(rgb, (0, 0.8, 0.8))
        return np.clip(rgb + raise_by * fine, 0, None)
    return rgb


def calm(image: np.ndarray) -> float:
    """Grain of a picture (3, H, W): how rough its calmest ground is."""
    grey = np.tensordot(LUMA, image, 1)
    cross = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], np.float32) / 4
    apart = grey - ndimage.convolve(grey, cross, mode="nearest")
    rough = np.sqrt(np.maximum(ndimage.uniform_filter(apart * apart, 7, mode="nearest"), 0))
    rough = rough[rough > 1e-7]
    return float(np.percentile(rough, 5)) if rough.size else 0.0


def _grained(rgb: np.ndarray, scene: Surroundings, seed: int) -> np.ndarray:
    """With as much grain as the scene has."""
    lacking = np.sqrt(max(min(calm(scene.rgb), 0.02) ** 2 - calm(rgb) ** 2, 0.0))
    if lacking < 5e-4:
        return rgb
    noise = np.random.default_rng(seed).standard_normal(rgb.shape[1:])
    noise = ndimage.gaussian_filter(noise, 0.5)
    return np.clip(rgb + (0.9 * lacking / noise.std()) * noise, 0, None).astype(np.float32)


def _in_bands(known: Mapping[str, np.ndarray], scene: Surroundings) -> np.ndarray:
    """All bands of the scene (C, h, w): those that are known, and for others what the scene's own
    pixels of the same colours have."""
    lacking = [number for number, role in enumerate(scene.roles) if role not in known]
    some = next(iter(known.values()))
    out = np.empty((len(scene.roles), *some.shape), np.float32)
    for number, role in enumerate(scene.roles):
        if role in known:
            out[number] = known[role]
    if lacking:
        there = np.flatnonzero(
            scene.valid.ravel() if scene.valid.any() else scene.valid.ravel() | 1
        )
        step = max(1, len(there) // SAMPLES)
        there = there[::step]
        flat = scene.rgb.reshape(3, -1)[:, there].T
        wanted = np.stack([known[role] for role in ("red", "green", "blue")]).reshape(3, -1).T
        _, near = scipy.spatial.cKDTree(flat).query(wanted, k=min(NEIGHBOURS, len(there)))
        near = near.reshape(len(wanted), -1)
        for number in lacking:
            own = scene.image[number].ravel()[there]
            out[number] = own[near].mean(axis=1).reshape(some.shape)
    return out
