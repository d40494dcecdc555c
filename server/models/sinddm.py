"""SinDDM, the learned single-image diffusion model under Han et al.'s editing: its schedule and
pyramid.

After Kulikov, Yadin, Kleiner, Michaeli, SinDDM: A Single Image Denoising Diffusion Model, 2023,
arXiv:2211.16582. The network is in sinddm_network. Any number of bands.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..synthesis.resampling import BILINEAR, LANCZOS, resized

STEPS = 100
"""Noise levels t of the schedule."""
GAMMA_MOST = 0.55
"""At sampling gamma stays below this, so that 1 - gamma never vanishes."""
LARGEST_PX = 50_000
WRAPPED_RMS = 145.0
"""The reference measures the error of blurring on unsigned bytes, where -1 becomes 255; what comes
out hardly depends on the image and is about this many grey levels, whatever is drawn (seen: 125 to
165)."""
REACH = 16
"""How far the network sees to each side."""


@dataclass(frozen=True)
class Diffusion:
    """The cosine schedule (Nichol and Dhariwal, 2021), and what follows from it. `alphas_bar`
    (STEPS,): the cumulated alphas, by noise level t, from about 1 to 0."""

    alphas_bar: np.ndarray

    @classmethod
    def cosine(cls) -> Diffusion:
        """100 levels, offset 0.008, betas at most 0.999."""
        at = (np.arange(STEPS + 1) / STEPS + 0.008) / 1.008 * np.pi / 2
        level = np.cos(at) ** 2
        betas = np.clip(1 - level[1:] / level[:-1], 0, 0.999)
        return cls(np.cumprod(1 - betas))

    @property
    def sigmas(self) -> np.ndarray:
        """Noise over signal of each level."""
        return np.sqrt(1 - self.alphas_bar) / np.sqrt(self.alphas_bar)

    def first_level(self, blur: float) -> int:
        """T[s]: the first level whose noise hides an error of blurring of that size."""
        above = np.nonzero(self.sigmas > blur)[0]
        return int(above[0]) if len(above) else STEPS - 1

    def gammas(self, blur: float) -> np.ndarray:
        """Share of the upsampled coarser image in the signal of each level."""
        return np.clip(self.sigmas / max(blur, 1e-9), 0, 1)


def working_size(height: int, width: int, largest_px: int = LARGEST_PX) -> tuple[int, int]:
    """The size that is learned: at most so many pixels."""
    if height * width <= largest_px:
        return height, width
    scale = math.sqrt(largest_px / (height * width))
    return int(height * scale), int(width * scale)


def scale_sizes(height: int, width: int) -> list[tuple[int, int]]:
    """Height and width of each scale, coarse to fine; the coarsest is 42 to 55 pixels on its short
    side."""
    short = min(height, width)
    long = max(height, width)
    coarsest = min(max(round(math.sqrt(3110 * short / long)), 42), 55)
    if short <= coarsest:
        return [(height, width)]
    count = max(2, round(math.log(short / coarsest) / math.log(1.411)) + 1)
    factor = (short / coarsest) ** (1 / (count - 1))
    return [(round(height / factor**k), round(width / factor**k)) for k in range(count - 1, -1, -1)]


@dataclass(frozen=True)
class Pyramid:
    """The image at each scale, coarse to fine. `images`: (C, H, W) in [-1, 1]. `blurred`: of the
    same sizes, the next coarser one enlarged, which is the blurred twin; at the coarsest the image
    itself. `blurs`: the blurring error in units of sigma, which decides where a scale begins; 0 at
    the coarsest."""

    images: tuple[np.ndarray, ...]
    blurred: tuple[np.ndarray, ...]
    blurs: tuple[float, ...]

    @classmethod
    def of(cls, image: np.ndarray, as_released: bool = False) -> Pyramid:
        """Every scale from the image itself by LANCZOS; enlarged bilinearly.

        `as_released`: measure the blurring error as the reference does, on unsigned bytes that wrap
        around.
        """
        sizes = scale_sizes(*image.shape[1:])
        images = tuple(resized(image, size, LANCZOS) for size in sizes)
        blurred = [images[0]]
        blurs = [0.0]
        for coarse, fine in zip(images[:-1], images[1:], strict=True):
            blurred.append(resized(coarse, fine.shape[1:], BILINEAR))
            pixels = fine.shape[1] * fine.shape[2]
            blurs.append(
                wrapped_error(fine, blurred[-1])
                if as_released
                else WRAPPED_RMS / math.sqrt(3 * pixels)
            )
        return cls(images, tuple(blurred), tuple(blurs))

    def __len__(self) -> int:
        return len(self.images)

    def first_levels(self, diffusion: Diffusion) -> list[int]:
        """T[s] of each scale; all levels at the coarsest."""
        return [STEPS, *(diffusion.first_level(blur) for blur in self.blurs[1:])]


def wrapped_error(fine: np.ndarray, blurred: np.ndarray) -> float:
    """|fine - blurred| / N with both as unsigned bytes, whose difference wraps around: the released
    code's measure."""
    first, second = (
        np.clip((image + 1) * 127.5, 0, 255).astype(np.uint8) for image in (fine, blurred)
    )
    return float(np.linalg.norm((first - second).astype(np.float64)) / first.size)
