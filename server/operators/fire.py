"""The scar of a fire: what burned, how far, and what it left."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..contract.editors import option
from ..scene.rules import sealed, smoothstep, vegetation, water
from .ground import Ground, hashed
from .light import aired, grain, smooth
from .smoke import with_smoke

# Tone of char and ash in display brightness.
CHAR = {
    "red": 0.13,
    "green": 0.115,
    "blue": 0.11,
    "pan": 0.12,
    "nir": 0.16,
    "swir1": 0.3,
    "swir2": 0.36,
}
ASH = {
    "red": 0.42,
    "green": 0.4,
    "blue": 0.39,
    "pan": 0.4,
    "nir": 0.32,
    "swir1": 0.42,
    "swir2": 0.44,
}


@dataclass(frozen=True)
class Burn:
    """`severity` 0 ... 1; `patch_m`: size of unburned patches; `ash` 0 ... 1: pale share of what
    burned; `smoke` 0 ... 1: how much of it still burns."""

    severity: float = option(
        "Severity", 0.7, "0 singed, 1 burnt to the ground.", minimum=0.0, maximum=1.0
    )
    patch_m: float = option(
        "Size of patches",
        40.0,
        "Width on the ground of what burnt alike.",
        unit="m",
        minimum=0.5,
        maximum=5000.0,
    )
    ash: float = option(
        "Ash", 0.25, "Share of the burnt ground that is pale with ash.", minimum=0.0, maximum=1.0
    )
    smoke: float = option(
        "Smoke",
        0.0,
        "0: the fire is out; more: it still burns in spots, and smoke drifts from them.",
        minimum=0.0,
        maximum=1.0,
    )


SCORCHED = {"red": 0.25, "green": 0.205, "blue": 0.165, "pan": 0.21, "nir": 0.25, "swir1": 0.4}
"""Crowns that the heat has killed and the flames have not reached."""
FUEL = {
    "low": 1.0,
    "tree": 0.95,
    "bare": 0.4,
    "shadow": 0.7,
    "paved": 0.05,
    "roof": 0.04,
    "vehicle": 0.08,
    "water": 0.0,
}
"""How well each class burns; what is unknown burns as grass on bare soil does."""
UNKNOWN_FUEL = 0.55
RELIEF = 0.22
"""Contrast of burnt ground: standard deviation of the logarithm of its brightness."""
HOUSES_BURN = 0.8
"""Severity from which houses burn too, more of them the higher it is."""
FINGERS_M = 9.0
"""How far fire runs out and leaves ground at its edge."""
LOBES_M, LOBES = 28.0, 0.4
"""How far its front advances and lags behind between one wind and the next, at most this share of
the way to the middle."""
SPARED = 0.3
"""How much less fierce it is at its edge, for a severity of 1."""
SINGED = 0.55
"""Where the flames did not come, heat has killed so much of the leaves and grass next to them."""


def burn(ground: Ground, how: Burn, seed: int) -> np.ndarray:
    """The image (C, H, W) burnt: grass black, crowns scorched or gone, houses spared until the fire
    is severe, with unburned islands, fingers at the edge, ash, and char without colour."""
    front = _front(ground, seed)
    inside = smoothstep(front.depth_px / np.maximum(0.45 * front.run_px, 2.0)) * ground.mask
    patches = 0.6 * ground.noise(
        max(how.patch_m, 10 * ground.gsd_m), seed + 1
    ) + 0.4 * ground.noise(max(how.patch_m / 5, 5 * ground.gsd_m), seed + 2)
    # At its edge it runs low, and leaves more.
    low = SPARED * how.severity * (1 - smoothstep(front.depth_px / (2.5 * front.run_px)))
    burned = smoothstep((how.severity * 1.6 - 0.35 - low + 1.3 * (patches - 0.5)) / 0.35)
    fuel = _fuel(ground, how, seed)
    # Fire leaves what is thin: islands follow the fuel's own edges.
    amount = np.clip(burned * fuel * inside * (0.55 + 0.45 * how.severity), 0, 0.96)
    beside = smoothstep(1 + front.depth_px / (1.2 * front.run_px)) * (1 - inside)
    # To the polygon's own edge it fades.
    beside = beside * smoothstep(ground.depth() / np.maximum(0.5 * front.run_px, 2.0))
    singed = SINGED * how.severity * beside * np.clip(1.2 * fuel, 0, 1) * ground.mask
    out = _charred(ground, how, amount, seed, singed)
    return with_smoke(ground, out, amount, how.smoke, seed) if how.smoke else out


@dataclass(frozen=True)
class _Front:
    """Where fire came to. `depth_px` (H, W): pixels from its front, inwards. `run_px` (H, W): how
    far it runs out there, less in small polygons."""

    depth_px: np.ndarray
    run_px: np.ndarray


def _front(ground: Ground, seed: int) -> _Front:
    """The front in lobes, fingers and tufts, each polygon by its own size; where all is burnt there
    is none."""
    metre = 1 / max(ground.gsd_m, 0.05)
    plain = ground.depth()
    run_px = np.full(plain.shape, np.clip(FINGERS_M * metre, 4.0, 60.0), np.float32)
    lobes_px = np.zeros(plain.shape, np.float32)
    if not ground.mask.all():
        deepest = ground.deepest()
        run_px = np.minimum(run_px, np.maximum(0.2 * deepest, 1.0))
        lobes_px = np.minimum(min(LOBES_M * metre, 160.0), LOBES * deepest)
    depth = plain - 0.7 * run_px * ground.noise(2.2 * FINGERS_M, seed, 3)
    if lobes_px.any():
        lag = np.clip(1.6 * ground.noise(1.1 * LOBES_M, seed + 11, 3) - 0.5, 0, 1)
        depth = depth - lobes_px * lag
    depth = depth + (ground.noise(2.0, seed + 8, 2) - 0.5) * 0.5 * run_px
    return _Front(np.asarray(depth, np.float32), run_px)


def _fuel(ground: Ground, how: Burn, seed: int) -> np.ndarray:
    """How well each pixel (H, W) burns, 0 ... 1."""
    if ground.parse is None:
        return np.asarray(np.clip(1 - 0.85 * sealed(ground), 0.12, 1) * (1 - water(ground)))
    cover = ground.cover
    fuel = np.sum([cover.share(name) * value for name, value in FUEL.items()], axis=0)
    fuel += UNKNOWN_FUEL * np.clip(1 - cover.shares.sum(axis=0), 0, 1)
    roofs = cover.pieces("roof", 14.0, ground.gsd_m)
    fuel *= 1 - roofs
    if how.severity > HOUSES_BURN:
        fuel = np.maximum(fuel, 0.9 * roofs * _chosen(ground, roofs, how.severity, seed))
    return np.asarray(np.clip(fuel, 0, 1), np.float32)


def _chosen(ground: Ground, roofs: np.ndarray, severity: float, seed: int) -> np.ndarray:
    """Which houses burn (H, W, bool): each as a whole, more of them the severer the fire."""
    parts, count = ndimage.label(roofs > 0.5)
    if not count:
        return np.zeros(roofs.shape, bool)
    middles = np.array(ndimage.center_of_mass(parts > 0, parts, np.arange(1, count + 1)))
    places = (middles + np.array(ground.origin)).astype(int)
    draws = np.array([hashed(row[None], col[None], seed + 77)[0, 0] for row, col in places])
    share = (severity - HOUSES_BURN) / (1 - HOUSES_BURN)
    burns = np.concatenate([[False], draws < 0.85 * share])
    return np.asarray(ndimage.binary_dilation(burns[parts], iterations=1))


def _charred(
    ground: Ground, how: Burn, amount: np.ndarray, seed: int, singed: np.ndarray
) -> np.ndarray:
    """The image with so much (H, W) of it burnt, and so much `singed` (H, W) where it is not."""
    metre = 1 / max(ground.gsd_m, 0.05)
    near = float(np.exp(-ground.gsd_m / 3.0))
    fine = 0.5 + near * (ground.noise(max(2.5 * ground.gsd_m, 1.2), seed + 3, 2) - 0.5)
    pale = smoothstep(
        (
            ground.noise(max(how.patch_m / 3, 8 * ground.gsd_m), seed + 4)
            + 0.25 * (fine - 0.5)
            - (1 - how.ash)
        )
        / 0.4
    )
    pale = pale * (0.45 + 0.55 * how.severity)
    crowns = ground.cover.sure("tree") if ground.parse is not None else 0 * amount
    roofs = ground.cover.sure("roof") if ground.parse is not None else 0 * amount
    # The severer, the fewer crowns keep dead leaves.
    leaves = crowns * smoothstep(
        (0.95 - how.severity + 0.6 * (ground.noise(9.0, seed + 6) - 0.5)) / 0.4
    )
    light = ground.luminance
    base = smooth(light, max(2, round(3 * metre)), 0.2)
    relief = np.clip(light / np.maximum(base, 0.03), 0.45, 1.8)
    seen = relief[ground.mask] if ground.mask.any() else relief
    # In a dull picture char still shows the trunks and the ground between them.
    power = float(np.clip(near * RELIEF / max(float(np.log(seen).std()), 1e-3), 0.6, 1.6))
    relief = np.clip(relief ** (power + 0.5 * crowns), 0.4, 2.0)
    relief = relief * (1 + 0.25 * (fine - 0.5)) * (1 - 0.25 * ground.cover.sure("shadow"))
    brown = 0.05 * (1 - how.severity) * vegetation(ground)
    specks = grain(ground, seed + 9)
    out = ground.image.copy()
    green = np.maximum(vegetation(ground), 0.7 * crowns) * singed
    for band, role in enumerate(ground.roles):
        dead = aired(ground, band, ground.in_band(band, SCORCHED.get(role, 0.25) * relief))
        out[band] += (dead - out[band]) * green
        ground_tone = CHAR.get(role, 0.12) * (1 - pale) + ASH.get(role, 0.36) * pale
        rubble = 0.5 * CHAR.get(role, 0.12) + 0.5 * ASH.get(role, 0.36) * (0.6 + 0.8 * fine)
        tone = ground_tone * (1 - roofs) + rubble * roofs
        tone = tone * (1 - leaves) + SCORCHED.get(role, 0.25) * leaves
        if role in ("red", "green"):
            tone = tone + brown * (0.5 if role == "green" else 1.0)
        char = aired(ground, band, ground.in_band(band, tone * relief))
        burnt = np.clip(char, 0.01, None) + specks[band]
        out[band] = out[band] * (1 - amount) + burnt * amount
    return np.clip(out, 0, None)
