"""Learning SinDDM from one image, in far fewer pixels than its reference.

The reference trains 32 copies of the whole image a step, every noise level at every scale, for
120,000 steps. Here a scale above the coarsest trains only the levels that sampling uses (t < T[s]),
each step takes about the same number of pixels whatever the scale, large scales are cut into crops,
whose rim within the network's reach does not count, and the rate goes up and down once. L1 loss on
the noise; an exponential mean of the weights is what samples.
"""

from __future__ import annotations

import copy
import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..ground.errors import WeightsMissing
from ..models import weights
from ..models.sinddm import REACH, STEPS, Diffusion, Pyramid
from ..models.sinddm_network import SinDDMNet

OnStep = Callable[[int, int, float], None]
"""Called as on_step(step, steps, loss); may raise to stop, after which the work so far is kept."""
CROP_PX = 112
SAVE_EVERY = 200
LOSS_MEMORY = 0.98


@dataclass(frozen=True)
class Recipe:
    """`steps` of training, `width` of the network, `rate`: the highest learning rate, `decay` of
    the mean of weights, `seed`: the same learns the same from an image. `published`: as SinDDM's
    released code trains, see PUBLISHED."""

    steps: int = 1000
    width: int = 64
    rate: float = 2e-3
    decay: float = 0.995
    seed: int = 0
    published: bool = False

    def told(self) -> dict[str, Any]:
        """For records, by which a training is known again; as before there were published ones."""
        found = asdict(self)
        if not self.published:
            del found["published"]
        return found


PUBLISHED = Recipe(120_000, 160, 1e-3, 0.995, published=True)
"""SinDDM's: each step 32 copies of the whole image at one scale, every one of the 100 noise levels
at every scale; the rate halves at MILESTONES; the mean of weights follows every tenth step, and is
a copy before step MEAN_FROM."""
COPIES = 32
MILESTONES = (20_000, 40_000, 70_000, 80_000, 90_000, 110_000)
MEAN_EVERY = 10
MEAN_FROM = 2000
PRESETS = {"published": PUBLISHED, "fast": Recipe(30_000)}


def one_cycle(step: int, steps: int, highest: float) -> float:
    """The learning rate: from 1/25 of the highest up to it over a fifth of the steps, then down to
    nothing, as cosines (Smith and Topin, 2018)."""
    rise = max(0.2 * steps, 1)
    if step < rise:
        return highest * (0.04 + 0.96 * (1 - math.cos(math.pi * step / rise)) / 2)
    return highest * (1 + math.cos(math.pi * (step - rise) / max(steps - rise, 1))) / 2


class Trainer:
    """One image's training; `state` and `resume` make it go on after a stop as if there had been
    none."""

    def __init__(self, pyramid: Pyramid, recipe: Recipe, device: str = "cpu") -> None:
        torch.manual_seed(recipe.seed)
        self.pyramid = pyramid
        self.recipe = recipe
        self.device = torch.device(device)
        self.diffusion = Diffusion.cosine()
        self.levels = pyramid.first_levels(self.diffusion)
        self.net = SinDDMNet(pyramid.images[0].shape[0], recipe.width).to(self.device)
        self.mean = copy.deepcopy(self.net).eval().requires_grad_(False)
        self.on_gpu = self.device.type == "cuda"
        # Bytes of bfloat16 and a compiled graph pay on a GPU only; on a CPU both are slower.
        self.predict = torch.compile(self.net, dynamic=True) if self.on_gpu else self.net
        self.optimiser = torch.optim.Adam(self.net.parameters(), lr=recipe.rate)
        digest = hashlib.sha256(json.dumps([list(pyramid.blurs)]).encode())
        digest.update(np.ascontiguousarray(pyramid.images[-1], np.float32).tobytes())
        self.picture = digest.hexdigest()
        self.step = 0
        self.pixels = 0
        self.loss = 1.0

    def run(
        self, path: Path | None = None, on_step: OnStep = lambda step, steps, loss: None
    ) -> SinDDMNet:
        """Train to the recipe's last step, keeping the state at `path`; returns the mean
        network."""
        try:
            while self.step < self.recipe.steps:
                on_step(self.step, self.recipe.steps, self.loss)
                self._one()
                if path is not None and self.step % SAVE_EVERY == 0:
                    self.save(path)
        finally:
            if path is not None:
                self.save(path)
        return self.mean

    def _one(self) -> None:
        # A generator a step, so that a training that was stopped draws what it would have drawn.
        rng = np.random.default_rng((self.recipe.seed, self.step))
        scale = int(rng.integers(len(self.pyramid)))
        batch = self.batch(scale, rng)
        x, eps, t, counts = (torch.from_numpy(part).to(self.device) for part in batch)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.on_gpu):
            predicted = self._predicted(x, t, torch.full_like(t, scale))
        error = (predicted.float() - eps).abs() * counts
        loss = error.sum() / (counts.sum() * eps.shape[1])
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate()
        self.optimiser.step()
        self.step += 1
        self.pixels += x.shape[0] * x.shape[2] * x.shape[3]
        self.loss = LOSS_MEMORY * self.loss + (1 - LOSS_MEMORY) * float(loss.detach())
        self._averaged()

    def _averaged(self) -> None:
        """The mean of weights after a step."""
        decay = min(self.recipe.decay, (1 + self.step) / (10 + self.step))
        if self.recipe.published:
            if self.step % MEAN_EVERY and self.step < self.recipe.steps:
                return
            decay = self.recipe.decay if self.step >= MEAN_FROM else 0.0
        for kept, new in zip(self.mean.parameters(), self.net.parameters(), strict=True):
            kept.lerp_(new.detach(), 1 - decay)

    def _predicted(self, *given: torch.Tensor) -> torch.Tensor:
        """The network's answer; as written where it cannot be compiled here (no C compiler, no
        Triton)."""
        if self.predict is self.net:
            return self.net(*given)
        try:
            return self.predict(*given)
        except Exception:
            self.predict = self.net
            return self.net(*given)

    def rate(self) -> float:
        """The learning rate of this step."""
        if self.recipe.published:
            halved = sum(self.step >= milestone for milestone in MILESTONES)
            return self.recipe.rate * 0.5**halved
        return one_cycle(self.step, self.recipe.steps, self.recipe.rate)

    def batch(
        self, scale: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Noisy crops (B, C, h, w), their noise, their levels (B,), and which pixels count (B, 1,
        h, w)."""
        height, width = self.pyramid.images[scale].shape[1:]
        size = (min(height, CROP_PX), min(width, CROP_PX))
        count = max(1, CROP_PX * CROP_PX // (size[0] * size[1]))
        most = max(self.levels[scale], 1)
        if self.recipe.published:
            size, count, most = (height, width), COPIES, STEPS
        levels = rng.integers(0, most, count)
        noisy = []
        noises = []
        counted = []
        for level in levels:
            rows, cols = (
                self._cut(length, side, rng)
                for length, side in zip((height, width), size, strict=True)
            )
            eps = rng.standard_normal((self.pyramid.images[scale].shape[0], *size), np.float32)
            noisy.append(noised(self.pyramid, scale, int(level), eps, (rows, cols)))
            noises.append(eps)
            counted.append(_countable(rows, cols, (height, width))[None])
        return (
            np.stack(noisy).astype(np.float32),
            np.stack(noises),
            levels.astype(np.int64),
            np.stack(counted).astype(np.float32),
        )

    @staticmethod
    def _cut(length: int, side: int, rng: np.random.Generator) -> slice:
        start = int(rng.integers(length - side + 1))
        return slice(start, start + side)

    def save(self, path: Path) -> None:
        """Weights, their mean, the optimiser's moments and the step."""
        tensors = {f"model.denoise_fn.{k}": v for k, v in self.net.state_dict().items()}
        tensors |= {f"ema.denoise_fn.{k}": v for k, v in self.mean.state_dict().items()}
        for number, moments in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{number}.{k}": torch.as_tensor(v) for k, v in moments.items()}
        about = {
            "recipe": json.dumps(self.recipe.told()),
            "picture": self.picture,
            "step": str(self.step),
            "pixels": str(self.pixels),
            "loss": f"{self.loss:.6f}",
        }
        weights.save(path, tensors, about)

    def resume(self, path: Path) -> bool:
        """Go on from a state that `save` kept of the same recipe; False where there is none."""
        if not path.is_file():
            return False
        tensors, about = weights.load(path)
        if about.get("recipe") != json.dumps(self.recipe.told()):
            return False
        if about.get("picture", self.picture) != self.picture:
            return False
        for name, net in (("model", self.net), ("ema", self.mean)):
            net.load_state_dict(_below(tensors, f"{name}.denoise_fn."))
        state = self.optimiser.state_dict()
        for key, value in _below(tensors, "optimiser.").items():
            number, _, moment = key.partition(".")
            state["state"].setdefault(int(number), {})[moment] = value
        self.optimiser.load_state_dict(state)
        self.step = int(about["step"])
        self.pixels = int(about["pixels"])
        self.loss = float(about["loss"])
        return True


WHOLE = (slice(None), slice(None))


def noised(
    pyramid: Pyramid, scale: int, level: int, eps: np.ndarray, cut: tuple[slice, slice] = WHOLE
) -> np.ndarray:
    """What the network is shown: sqrt(abar) (gamma blurred + (1 - gamma) image) + sqrt(1 - abar)
    eps, at a scale and level."""
    diffusion = Diffusion.cosine()
    gamma = diffusion.gammas(pyramid.blurs[scale])[level] if scale else 0.0
    bar = diffusion.alphas_bar[level]
    image, blurred = (
        kind[scale][(slice(None), *cut)] for kind in (pyramid.images, pyramid.blurred)
    )
    return (np.sqrt(bar) * (gamma * blurred + (1 - gamma) * image) + np.sqrt(1 - bar) * eps).astype(
        np.float32
    )


def mean_loss(net: SinDDMNet, pyramid: Pyramid, draws: int = 4) -> float:
    """Mean absolute error of the noise over the levels that sampling uses, every scale alike, on
    noise not trained on."""
    rng = np.random.default_rng(2**31)
    device = next(net.parameters()).device
    errors = []
    for scale, most in enumerate(pyramid.first_levels(Diffusion.cosine())):
        for level in np.linspace(0, max(most - 1, 0), draws).round().astype(int):
            eps = rng.standard_normal(pyramid.images[scale].shape, np.float32)
            x = torch.from_numpy(noised(pyramid, scale, int(level), eps))[None].to(device)
            with torch.no_grad():
                found = net(
                    x, *(torch.full((1,), number, device=device) for number in (int(level), scale))
                )
            errors.append(float((found[0].cpu() - torch.from_numpy(eps)).abs().mean()))
    return float(np.mean(errors))


def _countable(rows: slice, cols: slice, whole: tuple[int, int]) -> np.ndarray:
    """Pixels of a crop whose whole surroundings within the network's reach are in it, or that lie
    at the image's edge."""
    keep = np.ones((rows.stop - rows.start, cols.stop - cols.start), bool)
    if rows.start > 0:
        keep[:REACH] = False
    if rows.stop < whole[0]:
        keep[-REACH:] = False
    if cols.start > 0:
        keep[:, :REACH] = False
    if cols.stop < whole[1]:
        keep[:, -REACH:] = False
    return keep


def _below(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {
        key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)
    }


def network_of(path: Path) -> SinDDMNet:
    """A trained network: a file of ours, or a checkpoint of the reference (its mean weights under
    `ema`)."""
    tensors, _ = weights.load(path)
    if isinstance(tensors.get("ema"), dict):
        found = _below(tensors["ema"], "denoise_fn.")
    else:
        found = _below(tensors, "ema.denoise_fn.") or _below(tensors, "denoise_fn.") or tensors
    try:
        bands, half = found["final_conv.0.weight"].shape[:2]
        net = SinDDMNet(bands, 2 * half)
        net.load_state_dict(found)
    except (KeyError, RuntimeError, AttributeError) as error:
        raise WeightsMissing(f"{path} holds no SinDDM network: {error}") from error
    return net.eval().requires_grad_(False)
