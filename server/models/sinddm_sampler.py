"""Sampling with a learned SinDDM: ancestral at the coarsest scale, deterministic above, the known
pixels re-noised."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from .noise import AnchoredNoise
from .patch_sampler import CONTENT_SHARE, Guide
from .sinddm import GAMMA_MOST, STEPS, Diffusion, Pyramid
from .sinddm_network import SinDDMNet, enlarged

OnStep = Callable[[int, int], None]


@dataclass(frozen=True)
class Known:
    """What is there already. `pyramid`: the image at each scale. `holes`: for each scale the pixels
    (H, W) to draw. `guide`: steers the estimates above the coarsest scale; None: nothing does.

    `content`: pictures at each scale whose holes are to be settled (Han et al., eq. 15): at every
    step of every scale but the finest the estimate there becomes `eta` of it and the rest of
    itself; empty: none. `first`: the scale that is begun with, from the image at the one before; 0:
    from noise.
    """

    pyramid: Pyramid
    holes: tuple[np.ndarray, ...]
    guide: Guide | None = None
    content: tuple[np.ndarray, ...] = ()
    first: int = 0
    eta: float = CONTENT_SHARE


def count_steps(pyramid: Pyramid) -> int:
    """Network calls of one sample."""
    return sum(pyramid.first_levels(Diffusion.cosine()))


def sample(
    net: SinDDMNet,
    known: Known,
    noise: AnchoredNoise,
    on_step: OnStep = lambda step, total: None,
    scales: int = 0,
) -> np.ndarray:
    """A sample (C, H, W) of the image's world inside the holes; outside them the image itself.

    `scales`: end after so many, at the size of the last (0: all).

    The known pixels are brought to each step's noise level and put back, so that what is drawn goes
    with them.
    """
    with torch.no_grad():
        return _sampled(net.eval(), known, noise, on_step, scales or len(known.pyramid))


def _sampled(
    net: SinDDMNet, known: Known, noise: AnchoredNoise, on_step: OnStep, scales: int
) -> np.ndarray:
    device = next(net.parameters()).device
    pyramid = known.pyramid
    diffusion = Diffusion.cosine()
    starts = pyramid.first_levels(diffusion)[:scales]
    total = sum(starts)
    generator = torch.Generator().manual_seed(noise.seed)
    image = torch.empty(0)
    done = 0
    for scale, start in enumerate(starts):
        if scale < known.first:
            image = torch.from_numpy(np.array(pyramid.images[scale]))[None].to(device)
            done = done + start
            continue
        here = _Scale.of(known, scale, noise, device)
        up = enlarged(image, here.image.shape[2:]) if scale else None
        gamma = (
            np.minimum(diffusion.gammas(pyramid.blurs[scale]), GAMMA_MOST)
            if scale
            else np.zeros(STEPS)
        )
        x = here.eps if up is None else _noised(up, here.eps, diffusion, start)
        for level in range(start - 1, -1, -1):
            on_step(done, total)
            x = here.with_known(x, diffusion, level, float(gamma[level]))
            asked = torch.full((1,), level, device=device), torch.full((1,), scale, device=device)
            eps = net(x, *asked)
            # Guided, the blurred share is left out and every scale takes ancestral steps, as the
            # reference does; the
            # coarsest scale is never guided.
            guide = known.guide if up is not None else None
            settle = here.settle if known.content and scale < len(pyramid) - 1 else _as_it_is
            if up is None or guide is not None:
                clean = settle(_clean(x, eps, diffusion, level))
                if guide is not None:
                    clean = _steered(clean, guide, here.hole, diffusion, (level, scale))
                x = _ancestral(x, clean, diffusion, level, generator)
            else:
                x = _deterministic(x, _Step(eps, up, level, gamma), diffusion, settle)
            done += 1
        image = torch.where(here.hole, x.clamp(-1.5, 1.5), here.image)
    return image[0].cpu().numpy()


@dataclass(frozen=True)
class _Scale:
    """One scale as tensors: image, its blurred twin, hole and noise, each (1, C or 1, H, W)."""

    image: torch.Tensor
    blurred: torch.Tensor
    hole: torch.Tensor
    eps: torch.Tensor
    content: torch.Tensor
    eta: float

    @classmethod
    def of(cls, known: Known, scale: int, noise: AnchoredNoise, device: torch.device) -> _Scale:
        """`noise` is anchored to the pixels of the finest scale; each scale has its own."""
        image = known.pyramid.images[scale]
        eps = AnchoredNoise(noise.seed + 7919 * scale, noise.origin).normal(image.shape)
        content = known.content[scale] if known.content else image
        parts = (image, known.pyramid.blurred[scale], known.holes[scale][None], eps, content)
        tensors = [torch.from_numpy(np.array(part))[None].to(device) for part in parts]
        return cls(tensors[0], tensors[1], tensors[2], tensors[3], tensors[4], known.eta)

    def settle(self, clean: torch.Tensor) -> torch.Tensor:
        """The estimate drawn to the content inside the hole."""
        return torch.where(self.hole, self.eta * self.content + (1 - self.eta) * clean, clean)

    def with_known(
        self, x: torch.Tensor, diffusion: Diffusion, level: int, gamma: float
    ) -> torch.Tensor:
        """x with the known pixels as they are at that noise level."""
        mixed = gamma * self.blurred + (1 - gamma) * self.image
        return torch.where(self.hole, x, _noised(mixed, self.eps, diffusion, level))


def _noised(
    image: torch.Tensor, eps: torch.Tensor, diffusion: Diffusion, level: int
) -> torch.Tensor:
    bar = float(diffusion.alphas_bar[min(level, STEPS - 1)])
    return bar**0.5 * image + (1 - bar) ** 0.5 * eps


def _clean(x: torch.Tensor, eps: torch.Tensor, diffusion: Diffusion, level: int) -> torch.Tensor:
    bar = float(diffusion.alphas_bar[level])
    return ((x - (1 - bar) ** 0.5 * eps) / bar**0.5).clamp(-1, 1)


def _as_it_is(clean: torch.Tensor) -> torch.Tensor:
    return clean


def _steered(
    clean: torch.Tensor, guide: Guide, hole: torch.Tensor, diffusion: Diffusion, at: tuple[int, int]
) -> torch.Tensor:
    level, scale = at
    sigma = float(diffusion.sigmas[level])
    with torch.enable_grad():
        out = guide.steer(
            clean[0].cpu().numpy(), hole[0, 0].cpu().numpy(), sigma / (1 + sigma), scale
        )
    return torch.from_numpy(out)[None].to(clean)


def _ancestral(
    x: torch.Tensor,
    clean: torch.Tensor,
    diffusion: Diffusion,
    level: int,
    generator: torch.Generator,
) -> torch.Tensor:
    """One step of the posterior q(x_{t-1} | x_t, x_0) (Ho et al., 2020, eq. 6 and 7)."""
    bar = float(diffusion.alphas_bar[level])
    before = float(diffusion.alphas_bar[level - 1]) if level else 1.0
    beta = 1 - bar / before
    mean = (
        before**0.5 * beta / (1 - bar) * clean
        + (bar / before) ** 0.5 * (1 - before) / (1 - bar) * x
    )
    if level == 0:
        return mean
    fresh = torch.randn(x.shape, generator=generator).to(x.device)
    return mean + (beta * (1 - before) / (1 - bar)) ** 0.5 * fresh


@dataclass(frozen=True)
class _Step:
    """The noise found, the coarser sample enlarged, the noise level, and gamma of every level."""

    eps: torch.Tensor
    up: torch.Tensor
    level: int
    gamma: np.ndarray


def _deterministic(
    x: torch.Tensor,
    step: _Step,
    diffusion: Diffusion,
    settle: Callable[[torch.Tensor], torch.Tensor] = _as_it_is,
) -> torch.Tensor:
    """One step above the coarsest scale: the blurred share taken out of the signal, less of it put
    back (omega = 0)."""
    eps = step.eps
    up = step.up
    level = step.level
    gamma = step.gamma
    bar = float(diffusion.alphas_bar[level])
    mixed = ((x - (1 - bar) ** 0.5 * eps) / bar**0.5).clamp(-1, 1)
    clean = settle((mixed - float(gamma[level]) * up) / (1 - float(gamma[level])))
    if level == 0:
        return clean
    before = float(diffusion.alphas_bar[level - 1])
    share = float(gamma[level - 1])
    less = (share * up + (1 - share) * clean).clamp(-1, 1)
    return before**0.5 * less + (1 - before) ** 0.5 * (x - bar**0.5 * mixed) / (1 - bar) ** 0.5
