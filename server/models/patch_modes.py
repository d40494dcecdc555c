"""What else the closed-form denoiser is used for: harmonise, copy content, edit in the layout that
is there, restyle."""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy import ndimage

from ..synthesis import pyramid
from ..synthesis.pyramid import Level
from .patch_denoiser import PatchDenoiser
from .patch_sampler import (
    CONTENT_SHARE,
    Draw,
    Start,
    denoised,
    matched_levels,
    noise_levels,
)

RIM_PX = 3
STYLE_PATCH = 7
STYLE_STEPS = 12
INVERSION_STEPS = 6
LARGEST_NOISE = 4.0
FRAME_PX = 16


def harmonised(window: Level, strength: float, draw: Draw) -> np.ndarray:
    """Redraw the hole lightly with the usable patches: `strength` is the noise level it starts
    from.

    What surrounds the hole is returned as the denoiser sees it, by which its drift in tone can be
    measured.
    """
    start = Start(
        window.image,
        noise_levels(strength, 4),
        draw.noise.normal(window.image.shape),
        everywhere=True,
    )
    return denoised(PatchDenoiser(window.image, window.usable, draw.device), window, start, draw)


def content_copied(window: Level, draw: Draw, start: float = 0.6) -> np.ndarray:
    """Settle content that was pasted into the window's hole among the window's own patches.

    At every step of every scale but the finest the estimate inside the hole becomes 0.8 of the
    pasted content and 0.2 of itself (Han et al., eq. 15); the finest scale is left free to make the
    rim. Starts from the pasted picture at noise level `start`, so that everything else stays where
    it is; what is outside the hole is the image.
    """
    height, width = window.hole.shape
    count = pyramid.count_levels(min(height, width), 24, 3)
    levels, _ = matched_levels(window, None, count)
    count = len(levels)
    result = levels[-1].image
    total = 4 * count
    for number in range(count - 1, -1, -1):
        here = levels[number]
        base = (
            here.image
            if number == count - 1
            else np.where(here.hole, pyramid.doubled(result), here.image)
        )
        begin = Start(
            base, noise_levels(start if number else 0.3, 4), draw.noise.normal(base.shape, number)
        )

        def tell(step: int, _: int, before: int = 4 * (count - 1 - number)) -> None:
            draw.on_step(before + step, total)

        # No patch across the outline of what was pasted, else the outline would be drawn again; and
        # near it the
        # content has no say, so that there is room for a transition.
        inner = ndimage.binary_erosion(here.hole, iterations=RIM_PX, border_value=1)
        outline = here.hole & ~ndimage.binary_erosion(here.hole, border_value=1)
        denoiser = PatchDenoiser(here.image, (here.usable | here.hole) & ~outline, draw.device)
        told = Draw(draw.noise, draw.device, tell)
        drawn = denoised(denoiser, here, begin, told, CONTENT_SHARE * inner if number else 0.0)
        result = np.where(here.hole, drawn, here.image)
    return np.where(window.hole, result[:, :height, :width], window.image)


def inverted(
    denoiser: PatchDenoiser,
    image: np.ndarray,
    hole: np.ndarray,
    start: float,
    steps: int = INVERSION_STEPS,
) -> np.ndarray:
    """Inside the hole the noisy image at level `start` from which deterministic steps lead back to
    `image`: DDIM run backwards.

    After Song, Meng, Ermon, Denoising Diffusion Implicit Models, 2021, section 4.3, with a = 1 - s.
    An image that is made of the denoiser's own patches comes back as it is; what guides the way
    back then changes it in place.
    """
    levels = noise_levels(start, steps)[::-1].copy()
    levels[0] = start / (2 * steps)
    x = (1 - levels[0]) * image
    for now, then in zip(levels[:-1], levels[1:], strict=True):
        clean = denoiser.denoise(x.astype(np.float32), 1 - now, now, hole)
        noisy = (1 - then) * clean + then * np.clip(
            (x - (1 - now) * clean) / now, -LARGEST_NOISE, LARGEST_NOISE
        )
        x = np.where(hole, noisy, (1 - then) * image)
    return x.astype(np.float32)


def _framed(window: Level) -> Level:
    """The window with a mirrored frame, so that its own border is made of whole patches too."""
    widths = ((FRAME_PX, FRAME_PX), (FRAME_PX, FRAME_PX))
    how: Literal["reflect", "edge"] = "reflect" if min(window.hole.shape) > FRAME_PX else "edge"
    return Level(
        np.pad(window.image, ((0, 0), *widths), mode=how),
        np.pad(window.hole, widths, mode="edge"),
        np.pad(window.usable, widths, mode=how),
    )


def layout_kept(window: Level, strength: float, draw: Draw) -> np.ndarray:
    """Redraw the hole from its inversion to noise level `strength`, coarse to fine: what guides it
    decides what changes.

    A finer level starts from the drawn coarser one with the original's own detail laid on it.
    """
    framed = _framed(window)
    height, width = framed.hole.shape
    count = pyramid.count_levels(min(window.hole.shape), 32, 3)
    levels, sources = matched_levels(framed, None, count)
    count = len(levels)
    result = levels[-1].image
    total = 6 * count
    for number in range(count - 1, -1, -1):
        here = levels[number]
        denoiser = sources[number].denoiser(draw.device)
        base = here.image
        if number < count - 1:
            base = np.where(
                here.hole,
                here.image + pyramid.doubled(result - levels[number + 1].image),
                here.image,
            )
        start = strength if number == count - 1 else 0.5 * strength

        def tell(step: int, _: int, before: int = 6 * (count - 1 - number)) -> None:
            draw.on_step(before + step, total)

        told = Draw(draw.noise, draw.device, tell, draw.guide)
        noisy = inverted(denoiser, base, here.hole, start)
        begin = Start(
            noisy, noise_levels(start, 6), np.zeros_like(base), number=number, inverted=True
        )
        result = np.where(here.hole, denoised(denoiser, here, begin, told), here.image)
    return np.where(
        window.hole,
        result[:, FRAME_PX : height - FRAME_PX, FRAME_PX : width - FRAME_PX],
        window.image,
    )


def restyled(window: Level, strength: float, draw: Draw) -> np.ndarray:
    """The hole in another style: small patches at one scale, from its inversion to noise level
    `strength` (published: 0.3).

    After Qiu, Kutulakos, Lindell, 2026: 7 x 7 patches keep every shape in place, and what guides
    changes their looks.
    """
    here = _framed(window)
    denoiser = PatchDenoiser(here.image, here.usable, draw.device, patch=STYLE_PATCH)
    begin = Start(
        inverted(denoiser, here.image, here.hole, strength),
        noise_levels(strength, STYLE_STEPS),
        np.zeros_like(here.image),
        inverted=True,
    )
    drawn = denoised(denoiser, here, begin, draw)[:, FRAME_PX:-FRAME_PX, FRAME_PX:-FRAME_PX]
    return np.where(window.hole, drawn, window.image)
