"""Sampling with the closed-form denoiser: coarse to fine, inside a mask, the known pixels
re-noised.

Ten steps from noise at the coarsest level, then four steps a level from the
upsampled result at noise level 0.45; deterministic steps
x' = a' xhat + s' eps with eps = (x - a xhat) / s.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import ndimage

from ..synthesis import poisson, pyramid, seams
from ..synthesis.features import PatchBasis, centres
from ..synthesis.field import Bank, Field, Search, Targets
from ..synthesis.pyramid import Level
from .noise import AnchoredNoise
from .patch_denoiser import PatchDenoiser

OnStep = Callable[[int, int], None]
CONTENT_SHARE = 0.8
"""Han et al.'s eta of eq. 15: how much of an estimate is of the content that is copied."""
APART = 3
"""Copies at the coarsest copied level come from at least this far, so that they are not the
original again."""


class Guide(Protocol):
    """What steers the estimate at each step, for instance towards words."""

    def steer(
        self, clean: np.ndarray, hole: np.ndarray, noise: float, scale: int | None = None
    ) -> np.ndarray:
        """The estimate (C, H, W) moved inside the hole (H, W); `noise`: the noise level of this
        step; `scale`: its number from the coarsest, where the guide has not seen them all."""
        ...


@dataclass(frozen=True)
class Schedule:
    """How a sample is drawn, coarse to fine. `coarse_steps`: at the coarsest level. `fine_steps`:
    at each finer one. `start`: noise level (0 to 1) that the finer ones start from. `levels`: of
    the pyramid, at most. `coarsest_px`: the shorter side of the coarsest, at least.

    The posterior mean is smooth, so the `copied_levels` finest levels are not denoised but copied
    coherently from the image along the sample. `turns` above 1 takes each step so often, with fresh
    noise in between, so that what is drawn and what is known settle on one another (RePaint,
    Lugmayr et al., 2022).
    """

    coarse_steps: int = 10
    fine_steps: int = 4
    start: float = 0.45
    levels: int = 4
    coarsest_px: int = 24
    copied_levels: int = 1
    turns: int = 1


@dataclass(frozen=True)
class Source:
    """Where patches come from, if not from the window itself. `image` (C, h, w): scaled as the
    window's. `usable` (h, w): pixels that a patch may hold. `log_prior` (h, w): how likely the
    patch around each pixel is, as in PatchDenoiser; None: all alike."""

    image: np.ndarray
    usable: np.ndarray
    log_prior: np.ndarray | None = None

    def levels(self, count: int) -> list[Source]:
        """From fine to coarse, each half as large as the one before."""
        level = pyramid.padded(
            Level(self.image, np.zeros_like(self.usable), self.usable), 2 ** (count - 1)
        )
        prior = self.log_prior
        if prior is not None:
            extra = (level.usable.shape[0] - prior.shape[0], level.usable.shape[1] - prior.shape[1])
            prior = np.pad(prior, ((0, extra[0]), (0, extra[1])))
        return [
            Source(one.image, one.usable, None if prior is None else prior[:: 2**n, :: 2**n])
            for n, one in enumerate(pyramid.build(level, count))
        ]

    def denoiser(self, device: str, **how: int) -> PatchDenoiser:
        """Of this level's patches."""
        return PatchDenoiser(self.image, self.usable, device, log_prior=self.log_prior, **how)


def noise_levels(start: float, count: int) -> np.ndarray:
    """Noise levels from `start` (at most 1 - 1e-4) down to 0 in equal steps."""
    return np.linspace(min(start, 1 - 1e-4), 0, count + 1)


@dataclass(frozen=True)
class Draw:
    """What a sample is drawn with. `noise`: by seed and place. `device`: by torch's name.
    `on_step`: hears steps done and all steps; may raise to stop. `guide`: steers each estimate;
    None: nothing does."""

    noise: AnchoredNoise
    device: str = "cpu"
    on_step: OnStep = lambda step, total: None
    guide: Guide | None = None


def sample(
    window: Level,
    strength: float,
    draw: Draw,
    how: Schedule = Schedule(),
    source: Source | None = None,
) -> np.ndarray:
    """A random sample of the image's patch world inside the window's hole; outside it the image.

    `strength` 1 starts from pure noise at the coarsest level: a new picture of
    the same ground. Less keeps what is coarser than the levels it reaches.
    `source`: patches from elsewhere instead of the window's own.
    """
    height, width = window.hole.shape
    side = min(height, width, *(source.usable.shape if source else ()))
    count = pyramid.count_levels(side, how.coarsest_px, how.levels)
    levels, sources = matched_levels(window, source, count)
    count = len(levels)
    depth = max(0, round(strength * count) - 1)
    rng = np.random.default_rng(draw.noise.seed)
    result = levels[depth].image
    copied = min(how.copied_levels, depth)
    total = how.coarse_steps + (depth - copied) * how.fine_steps + copied
    done = 0
    for number in range(depth, copied - 1, -1):
        here = levels[number]
        coarsest = number == depth
        base = here.image if coarsest else np.where(here.hole, pyramid.doubled(result), here.image)
        first = (1.0 if strength >= 1 else 0.75) if coarsest else how.start
        steps = noise_levels(first, how.coarse_steps if coarsest else how.fine_steps)
        start = Start(base, steps, draw.noise.normal(base.shape, number), how.turns, number)

        def tell(step: int, _: int, before: int = done) -> None:
            draw.on_step(before + step, total)

        told = Draw(draw.noise, draw.device, tell, draw.guide)
        result = np.where(
            here.hole,
            denoised(sources[number].denoiser(draw.device), here, start, told),
            here.image,
        )
        done += len(steps) - 1
    if copied:
        draw.on_step(done, total)
        own = 0 if source else APART
        result = copied_along(levels[: copied + 1], sources, result, rng, own)
    return np.where(window.hole, result[:, :height, :width], window.image)


def matched_levels(
    window: Level, source: Source | None, count: int
) -> tuple[list[Level], list[Source]]:
    """At most `count` levels of the window and of where its patches come from: as many as have
    ground for whole patches."""
    levels = pyramid.build(pyramid.padded(window, 2 ** (count - 1)), count)
    sources = (source or Source(levels[0].image, levels[0].usable)).levels(count)
    held = pyramid.with_ground([Level(one.image, one.usable, one.usable) for one in sources])
    return levels[:held], sources[:held]


def copied_along(
    levels: list[Level],
    sources: list[Source],
    drawn: np.ndarray,
    rng: np.random.Generator,
    apart: int,
) -> np.ndarray:
    """Coherent copies from the sources that look like the sample `drawn` of the coarsest of
    `levels`."""
    field: Field | None = None
    for number in range(len(levels) - 1, -1, -1):
        here = levels[number]
        there = sources[number]
        ok, patch = centres(there.usable, 7, 200)
        basis = PatchBasis.fit(there.image, ok, patch, rng)
        bank = Bank(there.image, ok, basis.project(there.image))
        targets = Targets(ndimage.binary_dilation(here.hole, iterations=2))
        if field is None:
            picture = drawn
            start = rng.integers(0, len(bank.rows), len(targets))
            field = Field(targets, bank, bank.rows[start], bank.cols[start], apart)
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
    known = fine.usable & ~fine.hole
    seams.assign(field, fine.image, fine.hole, rim=bool(known.any()))
    return poisson.blended(
        field, fine.image, fine.hole, poisson.Lean(0.05), known if known.any() else None
    )


@dataclass(frozen=True)
class Start:
    """What denoising begins with. `image` (C, H, W): noised to the first level. `levels` (n + 1,):
    noise levels to take, down to 0. `eps` (C, H, W): the noise. `turns`: how often each step is
    taken. `number`: the pyramid level, 0 the finest. `inverted`: the image is a noisy one already,
    at the first level (see patch_modes.inverted). `everywhere`: what is known is denoised and
    returned too, not the hole alone."""

    image: np.ndarray
    levels: np.ndarray
    eps: np.ndarray
    turns: int = 1
    number: int = 0
    inverted: bool = False
    everywhere: bool = False


def denoised(
    denoiser: PatchDenoiser,
    here: Level,
    start: Start,
    draw: Draw,
    content: float | np.ndarray = 0.0,
) -> np.ndarray:
    """Deterministic steps down the noise levels; known pixels are re-noised at each. Only the hole
    is drawn, unless `start.everywhere`: then known pixels are returned denoised too.

    `content`: share of what the level shows already that each estimate is drawn to, one for all or
    by pixel (H, W).
    """
    levels = start.levels
    eps = start.eps
    x = start.image if start.inverted else (1 - levels[0]) * start.image + levels[0] * eps
    for step, (now, then) in enumerate(zip(levels[:-1], levels[1:], strict=True)):
        draw.on_step(step, len(levels) - 1)
        for turn in range(start.turns if then > 0 else 1):
            if turn:
                fresh = AnchoredNoise(
                    draw.noise.seed + 7919 * (100 * step + turn), draw.noise.origin
                )
                x = noisier(x, then, now, fresh.normal(x.shape, start.number))
            known = (1 - now) * here.image + now * eps
            x = np.where(here.hole, x, known)
            clean = denoiser.denoise(
                x.astype(np.float32), 1 - now, now, None if start.everywhere else here.hole
            )
            if not start.everywhere:
                clean = np.where(here.hole, clean, here.image)
            noise = (x - (1 - now) * clean) / now
            if np.any(content):
                clean = content * here.image + (1 - content) * clean
            if draw.guide is not None:
                clean = draw.guide.steer(clean, here.hole, float(now))
            x = (1 - then) * clean + then * noise
    return x.astype(np.float32)


def noisier(x: np.ndarray, now: float, then: float, eps: np.ndarray) -> np.ndarray:
    """An image at noise level `now` taken up to level `then`: scaled to the smaller signal, the
    missing variance added."""
    ratio = (1 - then) / (1 - now)
    return ratio * x + np.sqrt(max(then**2 - (ratio * now) ** 2, 0.0)) * eps
