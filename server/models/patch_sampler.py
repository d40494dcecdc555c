"""Sampling with the closed-form denoiser: coarse to fine, inside a mask, the known pixels re-noised.

Ten steps from noise at the coarsest level, then four steps a level from the
upsampled result at noise level 0.45; deterministic steps
x' = a' xhat + s' eps with eps = (x - a xhat) / s.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as functional
from scipy import ndimage

from ..synthesis import poisson, pyramid, seams
from ..synthesis.features import PatchBasis, centres
from ..synthesis.field import Bank, Field, Search, Targets
from ..synthesis.pyramid import Level
from .noise import AnchoredNoise
from .patch_denoiser import PatchDenoiser

OnStep = Callable[[int, int], None]
APART = 3
"""Copies at the coarsest copied level come from at least this far, so that they are not the original again."""


@dataclass(frozen=True)
class Schedule:
    """Steps at the coarsest and at finer levels, and the noise level the finer ones start from.

    The posterior mean is smooth, so the `copied_levels` finest levels are not
    denoised but copied coherently from the image along the sample.
    """

    coarse_steps: int = 10
    fine_steps: int = 4
    start: float = 0.45
    levels: int = 4
    coarsest_px: int = 24
    copied_levels: int = 1


def doubled(image: np.ndarray) -> np.ndarray:
    """Twice the size, bicubic."""
    tensor = torch.from_numpy(np.ascontiguousarray(image))[None]
    return functional.interpolate(tensor, scale_factor=2, mode="bicubic", align_corners=False)[0].numpy()


def _steps(start: float, count: int) -> np.ndarray:
    """Noise levels from `start` (at most 1 - 1e-4) down to 0 in equal steps."""
    return np.linspace(min(start, 1 - 1e-4), 0, count + 1)


@dataclass(frozen=True)
class Draw:
    """What a sample is drawn with: its noise, the device, and whom to tell of each step (which may raise)."""

    noise: AnchoredNoise
    device: str = "cpu"
    on_step: OnStep = lambda step, total: None


def sample(window: Level, strength: float, draw: Draw, how: Schedule = Schedule()) -> np.ndarray:
    """A random sample of the image's patch world inside the window's hole; outside it the image.

    `strength` 1 starts from pure noise at the coarsest level: a new picture of
    the same ground. Less keeps what is coarser than the levels it reaches.
    """
    height, width = window.hole.shape
    count = pyramid.count_levels(min(height, width), how.coarsest_px, how.levels)
    levels = pyramid.build(pyramid.padded(window, 2 ** (count - 1)), count)
    depth = max(0, round(strength * count) - 1)
    rng = np.random.default_rng(draw.noise.seed)
    result = levels[depth].image
    copied = min(how.copied_levels, depth)
    total = how.coarse_steps + (depth - copied) * how.fine_steps + copied
    done = 0
    for number in range(depth, copied - 1, -1):
        here = levels[number]
        coarsest = number == depth
        base = here.image if coarsest else np.where(here.hole, doubled(result), here.image)
        start = (1.0 if strength >= 1 else 0.75) if coarsest else how.start
        noise_levels = _steps(start, how.coarse_steps if coarsest else how.fine_steps)
        denoiser = PatchDenoiser(here.image, here.usable, draw.device)
        start_from = _Start(base, noise_levels, draw.noise.normal(base.shape, number))

        def tell(step: int, _: int, before: int = done) -> None:
            draw.on_step(before + step, total)

        result = np.where(here.hole, _denoised(denoiser, here, start_from, tell), here.image)
        done += len(noise_levels) - 1
    if copied:
        draw.on_step(done, total)
        result = _copied_along(levels[: copied + 1], result, rng)
    return np.where(window.hole, result[:, :height, :width], window.image)


def _copied_along(levels: list[Level], drawn: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Coherent copies from the image that look like the sample `drawn` of the coarsest of `levels`."""
    field: Field | None = None
    for number in range(len(levels) - 1, -1, -1):
        here = levels[number]
        ok, patch = centres(here.usable, 7, 200)
        basis = PatchBasis.fit(here.image, ok, patch, rng)
        bank = Bank(here.image, ok, basis.project(here.image))
        targets = Targets(ndimage.binary_dilation(here.hole, iterations=2))
        if field is None:
            picture = drawn
            start = rng.integers(0, len(bank.rows), len(targets))
            field = Field(targets, bank, bank.rows[start], bank.cols[start], APART)
            field.look(basis.project(picture))
            field.settle(rng)
        else:
            field = field.upsampled(targets, bank)
            field.cost[:] = 0
            picture = field.vote(here.image, here.hole, 1)
            field.look(basis.project(picture))
            field.sweep(Search(occurrence=0.5, reach=16), rng)
        picture = field.vote(here.image, here.hole, 1)
        field.look(basis.project(picture))
    assert field is not None
    fine = levels[0]
    seams.assign(field, fine.image, fine.hole)
    return poisson.blended(field, fine.image, fine.hole, 0.05, fine.usable & ~fine.hole)


def harmonised(window: Level, strength: float, draw: Draw) -> np.ndarray:
    """Redraw the hole lightly with the usable patches: `strength` is the noise level it starts from.

    What surrounds the hole is returned as the denoiser sees it, by which its drift in tone can be measured.
    """
    start = _Start(window.image, _steps(strength, 4), draw.noise.normal(window.image.shape))
    return _denoised(PatchDenoiser(window.image, window.usable, draw.device), window, start, draw.on_step)


CONTENT_SHARE = 0.8
"""Han et al.'s eta of eq. 15."""
RIM_PX = 3


def content_copied(window: Level, draw: Draw, start: float = 0.6) -> np.ndarray:
    """Settle content that was pasted into the window's hole among the window's own patches.

    At every step of every scale but the finest the estimate inside the hole becomes 0.8 of the pasted content and 0.2
    of itself (Han et al., eq. 15); the finest scale is left free to make the rim. Starts from the pasted picture at
    noise level `start`, so that everything else stays where it is; what is outside the hole is the image.
    """
    height, width = window.hole.shape
    count = pyramid.count_levels(min(height, width), 24, 3)
    levels = pyramid.build(pyramid.padded(window, 2 ** (count - 1)), count)
    result, total = levels[-1].image, 4 * count
    for number in range(count - 1, -1, -1):
        here = levels[number]
        base = here.image if number == count - 1 else np.where(here.hole, doubled(result), here.image)
        begin = _Start(base, _steps(start if number else 0.3, 4), draw.noise.normal(base.shape, number))

        def tell(step: int, _: int, before: int = 4 * (count - 1 - number)) -> None:
            draw.on_step(before + step, total)

        # No patch across the outline of what was pasted, else the outline would be drawn again; and near it the
        # content has no say, so that there is room for a transition.
        inner = ndimage.binary_erosion(here.hole, iterations=RIM_PX, border_value=1)
        outline = here.hole & ~ndimage.binary_erosion(here.hole, border_value=1)
        denoiser = PatchDenoiser(here.image, (here.usable | here.hole) & ~outline, draw.device)
        drawn = _denoised(denoiser, here, begin, tell, CONTENT_SHARE * inner if number else 0.0)
        result = np.where(here.hole, drawn, here.image)
    return np.where(window.hole, result[:, :height, :width], window.image)


@dataclass(frozen=True)
class _Start:
    """What denoising begins with: an image, the noise levels to take, and the noise."""

    image: np.ndarray
    levels: np.ndarray
    eps: np.ndarray


def _denoised(
    denoiser: PatchDenoiser, here: Level, start: _Start, on_step: OnStep, content: float | np.ndarray = 0.0
) -> np.ndarray:
    """Deterministic steps down the noise levels; known pixels are re-noised at each, and returned denoised too.

    `content`: share of what the level shows already that each estimate is drawn to, one for all or by pixel (H, W).
    """
    levels, eps = start.levels, start.eps
    x = (1 - levels[0]) * start.image + levels[0] * eps
    for step, (now, then) in enumerate(zip(levels[:-1], levels[1:], strict=True)):
        on_step(step, len(levels) - 1)
        known = (1 - now) * here.image + now * eps
        x = np.where(here.hole, x, known)
        clean = denoiser.denoise(x.astype(np.float32), 1 - now, now)
        noise = (x - (1 - now) * clean) / now
        if np.any(content):
            clean = content * here.image + (1 - content) * clean
        x = (1 - then) * clean + then * noise
    return x.astype(np.float32)
