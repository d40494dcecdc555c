"""Radar backscatter as a picture: decibels, speckle, and the colours that ground of such
backscatter usually has."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..scene.rules import smoothstep

FLOOR_DB = -35.0
TOP_DB = 5.0
"""Backscatter that is shown as 0 and as 1."""
GREY_DB = (-25.0, 0.0)
"""Of VV in the grey pictures that networks for radar are trained on."""
DEEP_WATER = (0.05, 0.11, 0.16)
OPEN_GROUND = (0.56, 0.49, 0.37)
PLANTS = (0.20, 0.29, 0.14)
BUILT = (0.60, 0.57, 0.54)
FIELD_PX = 13
"""Side of the square over which plants are told from bare ground."""


@dataclass(frozen=True)
class Unit:
    """What a layer's numbers are: dB = factor * log10(value) + shift, or, with factor 0, value *
    slope + shift. `said`: a sentence on which was assumed. `factor`: 10 for power, 20 for
    amplitudes, 0 for what is linear in dB. `slope`: dB a unit of the stored value. `shift`: what is
    added, in dB."""

    said: str
    factor: float = 0.0
    slope: float = 1.0
    shift: float = 0.0

    @classmethod
    def of(cls, values: np.ndarray) -> Unit:
        """Told from a layer's valid pixels (C, n), once for all of it: a few odd pixels must not
        turn the meaning of the rest.

        Numbers of which a hundredth is negative are dB (whole ones: hundredths of it), other
        floating ones linear power, bytes a grey picture of `GREY_DB`, other whole numbers
        amplitudes without calibration, whose median is taken for -11 dB.
        """
        low, high = GREY_DB
        if values.dtype == np.uint8:
            return cls(
                f"The radar's bytes were taken for a grey picture of {low:g} to {high:g} dB.",
                slope=(high - low) / 255,
                shift=low,
            )
        negative = values.size > 0 and float((values < 0).mean()) > 0.01
        if values.dtype.kind == "f":
            if negative:
                return cls("The radar's values were taken for dB.")
            return cls(
                "The radar's values were taken for linear power (hardly any is negative).",
                factor=10,
            )
        if negative:
            return cls("The radar's whole numbers were taken for hundredths of a dB.", slope=0.01)
        middle = float(np.median(values[0])) if values.size else 1.0
        return cls(
            "The radar's whole numbers were taken for amplitudes without calibration.",
            factor=20,
            shift=-11 - 20 * float(np.log10(max(middle, 1e-6))),
        )

    def decibels(self, values: np.ndarray) -> np.ndarray:
        """Stored values, any shape, as backscatter in dB (float32)."""
        found = values.astype(np.float32)
        if self.factor:
            return np.asarray(
                self.factor * np.log10(np.maximum(found, 1e-6)) + self.shift, np.float32
            )
        return np.asarray(found * self.slope + self.shift, np.float32)


def grey(seen: np.ndarray) -> np.ndarray:
    """Backscatter as shown (0 ... 1 from `FLOOR_DB` to `TOP_DB`) as a grey picture of `GREY_DB`, 0
    ... 1."""
    db = seen * (TOP_DB - FLOOR_DB) + FLOOR_DB
    return np.asarray(np.clip((db - GREY_DB[0]) / (GREY_DB[1] - GREY_DB[0]), 0, 1), np.float32)


def of_grey(picture: np.ndarray) -> np.ndarray:
    """A grey picture's backscatter in dB."""
    return GREY_DB[0] + picture * (GREY_DB[1] - GREY_DB[0])


def without_speckle(db: np.ndarray, side: int = 7, looks: float = 4.4) -> np.ndarray:
    """Lee's filter (1980) on power: the mean where the ground is even, the pixel where it varies
    more than speckle does.

    `looks`: of the product; 4.4 is Sentinel-1's in ground range, high resolution.
    """
    power = 10 ** (db / 10)
    mean = ndimage.uniform_filter(power, side, mode="reflect")
    variance = np.maximum(ndimage.uniform_filter(power**2, side, mode="reflect") - mean**2, 0)
    speckle = mean**2 / looks
    weight = np.clip((variance - speckle) / (variance * (1 + 1 / looks) + 1e-12), 0, 1)
    return np.asarray(10 * np.log10(np.maximum(mean + weight * (power - mean), 1e-6)))


def _mean_db(db: np.ndarray, side: int) -> np.ndarray:
    """Mean of the power around a pixel: what a ratio of two polarisations needs, which speckle
    would tear."""
    return np.asarray(
        10
        * np.log10(np.maximum(ndimage.uniform_filter(10 ** (db / 10), side, mode="reflect"), 1e-6))
    )


@dataclass(frozen=True)
class Reading:
    """`water_db`: of VV, below which smooth ground is water; `built_db`: above which it is walls
    and metal."""

    water_db: float = -14.0
    built_db: float = -3.0


def colours(vv: np.ndarray, vh: np.ndarray | None, how: Reading) -> np.ndarray:
    """(3, H, W) in 0 ... 1 from backscatter in dB (H, W): what is dark in radar as water, volume
    scatter as plants, strong echoes as buildings, the rest as open ground; light and shade from the
    backscatter itself.

    Volume scatter is told by the radar vegetation index of two polarisations, 4 VH / (VV + VH) in
    power (Kim and van Zyl 2009; for two, Nasirzadehdizaji et al. 2019); without VH by the
    brightness of VV alone, which is worse.
    """
    smooth = without_speckle(vv)
    water = smoothstep((how.water_db + 1.5 - smooth) / 3.0)
    built = smoothstep((_mean_db(vv, 5) - how.built_db + 2.5) / 5.0)
    if vh is None:
        plants = smoothstep((_mean_db(vv, FIELD_PX) + 14) / 6.0) * 0.7
    else:
        both = [10 ** (_mean_db(band, FIELD_PX) / 10) for band in (vv, vh)]
        plants = smoothstep((4 * both[1] / (both[0] + both[1] + 1e-9) - 0.3) / 0.7)
    shade = np.clip(
        1 + 0.05 * (without_speckle(vv, 5) - ndimage.uniform_filter(smooth, 31, mode="reflect")),
        0.6,
        1.5,
    )
    parts = [
        np.array(c, np.float32)[:, None, None] for c in (OPEN_GROUND, PLANTS, BUILT, DEEP_WATER)
    ]
    ground = parts[0] + (parts[1] - parts[0]) * plants
    ground = ground + (parts[2] - ground) * built * (1 - water)
    return np.clip(ground * shade * (1 - water) + parts[3] * water, 0, 1).astype(np.float32)
