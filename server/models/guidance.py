"""Guidance of a sample's estimate by an image-text model, at every denoising step.

After SinDDM and Han et al., eq. 11 to 13, with the signs mended: the estimate of the clean image is
moved along the gradient of its similarity to the words, inside a mask, by a share of its own norm,
and drawn to the estimate before:

    x <- (1 - m) x + m ((1 - lambda) x_before + lambda x) + eta (|m x| / |m g|) m g,   g = - grad
    loss

The move goes through the denoiser at the next step, so that what is not made of the image's patches
does not last.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from ..ground.optional import functional, torch
from .image_text import ImageText
from .views import views

Loss: TypeAlias = "Callable[[torch.Tensor, np.random.Generator], torch.Tensor]"
"""Of an estimate (C, H, W, scaled to about [-1, 1]); a scalar that falls as the words fit
better."""


MOST_NOISE = 0.95
"""Above this noise level the estimate is hardly more than the mean patch, and its gradient says
nothing."""


@dataclass(frozen=True)
class Steering:
    """How an estimate is moved. `strength` eta, `momentum` lambda; `share` of the hole that may
    change, found from the gradient at the first guided step (1: all of the hole); `least_noise`:
    below this noise level nothing is moved, so that the last steps clean up; `patience`: guided
    steps without a better loss after which guidance ends (0: never); `fade_from`: noise level from
    which the strength falls with the noise (0: constant), and the mask is found anew at each step,
    as for a style; `scales`: factors of the strength from the coarsest scale on, the last for all
    finer ones (the reference's are 0, 1: nothing at the coarsest)."""

    strength: float = 0.3
    momentum: float = 0.05
    share: float = 1.0
    least_noise: float = 0.1
    patience: int = 6
    fade_from: float = 0.0
    scales: tuple[float, ...] = (1.0,)


def moved(
    clean: np.ndarray, before: np.ndarray, gradient: np.ndarray, mask: np.ndarray, how: Steering
) -> np.ndarray:
    """The update above for arrays (C, H, W), mask (H, W) in [0, 1]; `gradient`: of the similarity
    (minus the loss's)."""
    out = (1 - mask) * clean + mask * ((1 - how.momentum) * before + how.momentum * clean)
    size = np.linalg.norm(out * mask)
    slope = np.linalg.norm(gradient * mask)
    if slope > 0:
        out = out + how.strength * size / slope * mask * gradient
    return np.where(mask > 0, np.clip(out, -1, 1), clean).astype(np.float32)


def energetic(
    gradient: np.ndarray, hole: np.ndarray, share: float
) -> tuple[np.ndarray, np.ndarray]:
    """The pixels (H, W) of the hole with the most gradient, `share` of them, and the gradient less
    the threshold there.

    The soft threshold keeps a pixel's direction and takes the threshold off its length.
    """
    energy = np.linalg.norm(gradient, axis=0)
    limit = float(np.quantile(energy[hole], 1 - share)) if share < 1 else 0.0
    mask = (hole & (energy > limit)) if share < 1 else hole
    shrunk = gradient * (np.maximum(energy - limit, 0) / np.maximum(energy, 1e-12))
    return mask.astype(np.float32), shrunk.astype(np.float32)


@dataclass
class TextGuide:
    """The guide of one sample: asks for a gradient at each step and moves the estimate.

    `loss`: of an estimate, lower where it fits the words better. `how`: how far and where it is
    moved. `seed`: the same gives the same random views. `mask` (H, W): what may be moved, as last
    found from a gradient; None before the first guided step. `before` (C, H, W): the estimate that
    the last one left; None likewise. `losses`: what was reached, one a guided step. `sizes`: shapes
    of the estimates seen, in order, which number the scales. Where a step is at another size than
    the one before (the next scale), mask and estimate are enlarged to it.
    """

    loss: Loss
    how: Steering
    seed: int = 0
    mask: np.ndarray | None = None
    before: np.ndarray | None = None
    losses: list[float] = field(default_factory=list)
    sizes: list[tuple[int, ...]] = field(default_factory=list)

    def steer(
        self, clean: np.ndarray, hole: np.ndarray, noise: float, scale: int | None = None
    ) -> np.ndarray:
        """See Guide; the gradient is of the loss at `clean`."""
        factor = self._factor(clean.shape, scale)
        if (
            factor == 0
            or noise < self.how.least_noise
            or noise > MOST_NOISE
            or not hole.any()
            or self._done()
        ):
            return clean
        gradient = self._gradient(clean, hole)
        mask = self._masked(gradient, hole)
        first = self.before is None
        fading = self.how.fade_from > 0
        if first or fading:
            mask, gradient = energetic(gradient, hole, self.how.share)
            self.mask = mask
        before = clean if self.before is None else _enlarged(self.before, clean.shape[1:])
        strength = (
            factor * self.how.strength * (min(1.0, noise / self.how.fade_from) if fading else 1.0)
        )
        out = moved(clean, before, gradient, mask, Steering(strength, self.how.momentum))
        self.before = out
        return out

    def _factor(self, shape: tuple[int, ...], scale: int | None) -> float:
        """Of this scale: its number, or how many sizes came before it."""
        if shape not in self.sizes:
            self.sizes.append(shape)
        number = self.sizes.index(shape) if scale is None else scale
        return self.how.scales[min(number, len(self.how.scales) - 1)]

    def _masked(self, gradient: np.ndarray, hole: np.ndarray) -> np.ndarray:
        if self.mask is None:
            return hole.astype(np.float32)
        return _enlarged(self.mask[None], hole.shape)[0] * hole

    def _gradient(self, clean: np.ndarray, hole: np.ndarray) -> np.ndarray:
        """Of the similarity, which is asked for the hole and a little around it: the words are
        about that."""
        rng = np.random.default_rng((self.seed, len(self.losses)))
        box = around(hole)
        x = torch.from_numpy(
            np.ascontiguousarray(clean[:, box[0], box[1]], np.float32)
        ).requires_grad_(True)
        loss = self.loss(x, rng)
        loss.backward()
        self.losses.append(float(loss.detach()))
        assert x.grad is not None
        out = np.zeros_like(clean, np.float32)
        out[:, box[0], box[1]] = -x.grad.numpy()
        return out

    def _done(self) -> bool:
        """Whether the loss, as a mean of three steps since views differ, has stopped falling."""
        wait = self.how.patience
        if not wait or len(self.losses) < wait + 3:
            return False
        smooth = np.convolve(self.losses, np.ones(3) / 3, "valid")
        return bool(smooth[-wait:].min() >= smooth[:-wait].min())


def around(hole: np.ndarray, more: float = 0.15) -> tuple[slice, slice]:
    """The hole's bounding box, wider by that share of its sides."""
    slices = []
    for axis in (1, 0):
        found = np.nonzero(hole.any(axis=axis))[0]
        margin = int(more * (found[-1] + 1 - found[0]))
        slices.append(slice(max(0, int(found[0]) - margin), int(found[-1]) + 1 + margin))
    return slices[0], slices[1]


def _enlarged(image: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    if image.shape[1:] == tuple(shape):
        return image
    tensor = torch.from_numpy(np.ascontiguousarray(image, np.float32))[None]
    return functional.interpolate(tensor, tuple(shape), mode="bilinear", align_corners=False)[
        0
    ].numpy()


@dataclass(frozen=True)
class Shown:
    """How an estimate is shown to an image-text model. `bands`: indices of red, green and blue,
    from 0. `centre`, `half` (C,): the middle and half the range of each band, by which it was
    scaled."""

    bands: tuple[int, int, int]
    centre: np.ndarray
    half: np.ndarray

    def picture(self, scaled: torch.Tensor) -> torch.Tensor:
        """(C, H, W) scaled to (3, H, W) in [0, 1]."""
        chosen = list(self.bands)
        half, centre = (
            torch.from_numpy(np.asarray(v, np.float32)[chosen])[:, None, None]
            for v in (self.half, self.centre)
        )
        return (scaled[chosen] * half + centre).clamp(0, 1)


def similarity_loss(
    model: ImageText, sentences: Sequence[str], shown: Shown, count: int, subset: bool = False
) -> Loss:
    """1 - the mean cosine of `count` random views and what the sentences say.

    Several are averaged and brought to length one, as Han et al. say; with `subset` a random number
    of them is drawn with replacement at each step and their losses are averaged, as SinDDM's code
    does with its templates.
    """
    words = model.text(sentences)
    mean = model.mean_text(sentences)[None]

    def loss(estimate: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
        asked = mean
        if subset:
            asked = words[
                torch.from_numpy(rng.integers(0, len(words), int(rng.integers(1, len(words) + 1))))
            ]
        seen = model.image(views(shown.picture(estimate), count, model.size, rng))
        return 1 - (seen @ asked.to(seen).T).mean()

    return loss
