"""Radar backscatter as a picture: decibels, speckle, and the colours that ground of such backscatter usually has."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from .ground import smoothstep

FLOOR_DB, TOP_DB = -35.0, 5.0
"""Backscatter that is shown as 0 and as 1."""
GREY_DB = (-25.0, 0.0)
"""Of VV in the grey pictures that networks for radar are trained on."""
DEEP_WATER, OPEN_GROUND = (0.05, 0.11, 0.16), (0.56, 0.49, 0.37)
PLANTS, BUILT = (0.20, 0.29, 0.14), (0.60, 0.57, 0.54)
FIELD_PX = 13
"""Side of the square over which plants are told from bare ground."""


def decibels(values: np.ndarray, valid: np.ndarray) -> tuple[np.ndarray, str]:
    """Backscatter in dB of pixels (C, H, W) in dB, linear power or digital numbers, and a sentence that says which was assumed.

    Floating numbers with negative ones among them are dB, without them power; bytes are a grey picture of `GREY_DB`; other whole
    numbers are amplitudes without calibration, of which the median is taken for -11 dB.
    """
    if values.dtype == np.uint8:
        low, high = GREY_DB
        return low + values.astype(np.float32) / 255 * (high - low), (
            f"The radar's bytes were taken for a grey picture of {low:g} to {high:g} dB.")
    if values.dtype.kind == "f":
        if not valid.any() or float(np.nanmin(values[:, valid])) < 0:
            return values.astype(np.float32), ""
        return _log(values.astype(np.float32), 10), "The radar's values were taken for linear power (none is negative)."
    found = _log(values.astype(np.float32), 20)
    middle = float(np.median(found[0][valid])) if valid.any() else 0.0
    return found - (middle + 11), "The radar's whole numbers were taken for amplitudes without calibration."


def grey(seen: np.ndarray) -> np.ndarray:
    """Backscatter as shown (0 ... 1 from `FLOOR_DB` to `TOP_DB`) as a grey picture of `GREY_DB`, 0 ... 1."""
    db = seen * (TOP_DB - FLOOR_DB) + FLOOR_DB
    return np.asarray(np.clip((db - GREY_DB[0]) / (GREY_DB[1] - GREY_DB[0]), 0, 1), np.float32)


def of_grey(picture: np.ndarray) -> np.ndarray:
    """A grey picture's backscatter in dB."""
    return GREY_DB[0] + picture * (GREY_DB[1] - GREY_DB[0])


def _log(power: np.ndarray, factor: float) -> np.ndarray:
    return factor * np.log10(np.maximum(power, 1e-6))


def without_speckle(db: np.ndarray, side: int = 7, looks: float = 4.4) -> np.ndarray:
    """Lee's filter (1980) on power: the mean where the ground is even, the pixel where it varies more than speckle does.

    `looks`: of the product; 4.4 is Sentinel-1's in ground range, high resolution.
    """
    power = 10 ** (db / 10)
    mean = ndimage.uniform_filter(power, side, mode="reflect")
    variance = np.maximum(ndimage.uniform_filter(power**2, side, mode="reflect") - mean**2, 0)
    speckle = mean**2 / looks
    weight = np.clip((variance - speckle) / (variance * (1 + 1 / looks) + 1e-12), 0, 1)
    return np.asarray(10 * np.log10(np.maximum(mean + weight * (power - mean), 1e-6)))


def _mean_db(db: np.ndarray, side: int) -> np.ndarray:
    """Mean of the power around a pixel: what a ratio of two polarisations needs, which speckle would tear."""
    return np.asarray(10 * np.log10(np.maximum(ndimage.uniform_filter(10 ** (db / 10), side, mode="reflect"), 1e-6)))


@dataclass(frozen=True)
class Reading:
    """`water_db`: of VV, below which smooth ground is water; `built_db`: above which it is walls and metal."""

    water_db: float = -14.0
    built_db: float = -3.0


def colours(vv: np.ndarray, vh: np.ndarray | None, how: Reading) -> np.ndarray:
    """(3, H, W) in 0 ... 1 from backscatter in dB (H, W): what is dark in radar as water, volume scatter as plants, strong
    echoes as buildings, the rest as open ground; light and shade from the backscatter itself.

    Volume scatter is told by the radar vegetation index of two polarisations, 4 VH / (VV + VH) in power (Kim and van Zyl
    2009; for two, Nasirzadehdizaji et al. 2019); without VH by the brightness of VV alone, which is worse.
    """
    smooth = without_speckle(vv)
    water = smoothstep((how.water_db + 1.5 - smooth) / 3.0)
    built = smoothstep((_mean_db(vv, 5) - how.built_db + 2.5) / 5.0)
    if vh is None:
        plants = smoothstep((_mean_db(vv, FIELD_PX) + 14) / 6.0) * 0.7
    else:
        both = [10 ** (_mean_db(band, FIELD_PX) / 10) for band in (vv, vh)]
        plants = smoothstep((4 * both[1] / (both[0] + both[1] + 1e-9) - 0.3) / 0.7)
    shade = np.clip(1 + 0.05 * (without_speckle(vv, 5) - ndimage.uniform_filter(smooth, 31, mode="reflect")), 0.6, 1.5)
    parts = [np.array(c, np.float32)[:, None, None] for c in (OPEN_GROUND, PLANTS, BUILT, DEEP_WATER)]
    ground = parts[0] + (parts[1] - parts[0]) * plants
    ground = ground + (parts[2] - ground) * built * (1 - water)
    return np.clip(ground * shade * (1 - water) + parts[3] * water, 0, 1).astype(np.float32)
