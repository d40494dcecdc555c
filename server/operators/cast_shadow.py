"""Shadows of what is put into a picture, as its own sun throws them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..scene.evidence import cast, shadow_length_m
from ..scene.parse import HEIGHT_M, Parse
from .ground import Ground

USUAL_SLOPE = 1.0
"""Fall of the sun's rays, metres a metre, where no shadow tells its own."""
DARKNESS = 0.45
"""Brightness of shaded by that of lit ground, where the picture does not tell."""
STANDS = ("roof", "tree", "vehicle")
SURE = 0.55
OWN = 0.3
AGREES = 0.4
"""Area of a shadow that something brings, by that of the one it would throw, from which on it is
one; and share of it that lies where the sun of the scene would throw it, from which on both agree.
"""


@dataclass(frozen=True)
class Light:
    """How the sun lights a scene. `azimuth`: in degrees clockwise from the picture's up. `slope`:
    fall of its rays, metres a metre. `darkness` (C,): brightness of shaded by that of lit
    ground."""

    azimuth: float
    slope: float
    darkness: np.ndarray

    @classmethod
    def of(cls, ground: Ground) -> Light | None:
        """As the shadows of a picture tell; None where they do not."""
        parse = ground.cover
        if parse.sun is None:
            return None
        tall, shade = parse.share("roof") > SURE, parse.share("shadow") > SURE
        length = shadow_length_m(tall, shade, parse.sun, ground.gsd_m)
        slope = USUAL_SLOPE if length is None else HEIGHT_M["roof"] / max(length, 1.0)
        lit = parse.share("low", "paved", "bare") > SURE
        dark = np.full(len(ground.image), DARKNESS, np.float32)
        if min(int(lit.sum()), int(shade.sum())) >= 30:
            of_lit, of_shade = (np.median(ground.image[:, at], axis=1) for at in (lit, shade))
            dark = np.clip(of_shade / np.maximum(of_lit, 1e-3), 0.3, 0.75).astype(np.float32)
        return cls(parse.sun, float(np.clip(slope, 0.4, 2.5)), dark)

    @property
    def away(self) -> str:
        """Where shadows lie, as a direction in the picture."""
        names = ("up", "upper right", "right", "lower right", "down", "lower left", "left",
                 "upper left")  # fmt: skip
        return names[round(((self.azimuth + 180) % 360) / 45) % 8]


def heights(parse: Parse, where: np.ndarray, height_m: float = 0.0) -> np.ndarray:
    """How high what stands there (`where`: H, W, bool) is, in metres (H, W): `height_m`, or by its
    kind where that is 0."""
    found = np.zeros(where.shape, np.float32)
    for name in STANDS:
        here = (parse.sure(name) > 0.5) & where
        found[here] = height_m or HEIGHT_M[name]
    if height_m and not found.any():
        found[where] = height_m  # whoever states a height says that something stands there
    return found


@dataclass(frozen=True)
class Shaded:
    """`image` (C, H, W): with shadows. `tall`: whether anything stands up. `outside`: share of its
    shadow for which there was no room. `other`: whether it brought a shadow that points another
    way, so that none was added."""

    image: np.ndarray
    tall: bool
    outside: float
    other: bool = False


def with_shadow(laid: Ground, light: Light, placed: np.ndarray, height_m: float = 0.0) -> Shaded:
    """An image into which something was put (`placed`: H, W, bool), with the shadow that it throws
    within the mask; where it has its own already it gets no second one, wherever that points.

    `height_m`: how high it is, 0: by its kind.
    """
    parse = laid.cover
    tall = heights(parse, placed, height_m)
    if not tall.any():
        return Shaded(laid.image, False, 0.0)
    dark = cast(tall, light.azimuth, light.slope, laid.gsd_m) * (tall == 0)
    already = parse.sure("shadow")
    brought = already * placed * (tall == 0)
    if brought.sum() >= OWN * dark.sum() and (brought * dark).sum() < AGREES * brought.sum():
        return Shaded(laid.image, True, 0.0, True)
    out = laid.image
    wanted = ndimage.gaussian_filter(dark, 0.6) * (1 - already) * (tall == 0)
    shade = wanted * laid.mask
    lost = float(1 - (dark * laid.mask).sum() / max(float(dark.sum()), 1e-6))
    out = out * (1 - (1 - light.darkness)[:, None, None] * shade)
    return Shaded(out.astype(np.float32), True, lost)


LEFT = 0.3
LEFT_M2 = 8.0
"""Share and area of a shadow outside of a polygon from which on it is told."""


def left_shadow(ground: Ground, where: np.ndarray | None = None) -> str:
    """Where, as a direction in the picture, a shadow of what stands in the mask, or at a place in
    it (`where`: H, W, bool), lies outside of it; empty where none does, or nobody can tell."""
    light = Light.of(ground)
    if light is None:
        return ""
    tall = heights(ground.cover, ground.mask if where is None else where)
    if not tall.any():
        return ""
    dark = (cast(tall, light.azimuth, light.slope, ground.gsd_m) > 0.5) & (tall == 0)
    seen = dark & ~ground.mask & (ground.cover.share("shadow") > SURE)
    area = float(seen.sum()) * ground.gsd_m**2 * ground.aspect
    return light.away if area >= LEFT_M2 and seen.sum() > LEFT * dark.sum() else ""
