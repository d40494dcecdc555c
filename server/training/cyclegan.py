"""Unpaired translation between two heaps of pictures: CycleGAN (Zhu et al. 2017), MMM-RS's way from
clear to snow.

Published settings: least-squares loss, cycle 10, identity half of it, Adam at 2e-4 with beta 0.5,
batch 1, a pool of 50 earlier drawings for the judges, the rate constant for one half and falling to
0 over the other, squares of 256 from pictures of 286.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional

from ..ground.errors import BadRequest
from ..models import weights
from ..models.translation import Discriminator, Generator, Shape
from .captioned import PICTURES, check, opened
from .kept import KeptTraining

THERE = "forward.safetensors"
BACK = "backward.safetensors"
NETS = ("there", "back", "judge_there", "judge_back")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How two generators and the two that judge them are trained."""

    steps: int = 100_000
    """Changes of the weights, each by one picture of each heap."""
    rate: float = 2e-4
    """Adam's rate; it falls to 0 over the second half of the steps."""
    width: int = 64
    """Channels of the first layer, of generators and judges."""
    blocks: int = 9
    """Residual blocks of a generator."""
    side_px: int = 256
    """Side of the squares that are cut from a picture."""
    load_px: int = 286
    """What a picture's shorter side is scaled to before a square is cut."""
    cycle: float = 10.0
    """Weight of the loss of going there and back, lambda."""
    identity: float = 0.5
    """Weight of the loss of what should stay as it is, as a share of `cycle`."""
    pool: int = 50
    """Earlier drawings kept for each judge; 0: it sees new ones alone."""
    save_every: int = 500
    """Steps after which the state is kept."""
    seed: int = 0
    """The same begins with the same weights and draws the same squares."""


def pictures(folder: Path) -> list[Path]:
    """The pictures below a folder; raises BadRequest where there is none."""
    found = (
        sorted(p for p in folder.rglob("*") if p.suffix.lower() in PICTURES)
        if folder.is_dir()
        else []
    )
    if not found:
        raise BadRequest(f"{folder} holds no pictures ({', '.join(PICTURES)}).")
    for path in found:
        check(path)
    return found


class CycleTrainer(KeptTraining):
    """One training between two heaps of pictures, `first` and `second`."""

    def __init__(
        self,
        first: Sequence[Path],
        second: Sequence[Path],
        recipe: Recipe,
        folder: Path,
        device: str = "cpu",
    ) -> None:
        super().__init__()
        self.heaps = (list(first), list(second))
        self.recipe = recipe
        self.folder = folder
        self.device = torch.device(device)
        torch.manual_seed(recipe.seed)
        shape = Shape(recipe.width, recipe.blocks)
        self.nets: dict[str, nn.Module] = {
            "there": Generator(shape),
            "back": Generator(shape),
            "judge_there": Discriminator(recipe.width),
            "judge_back": Discriminator(recipe.width),
        }
        for net in self.nets.values():
            net.to(self.device).apply(_begun)
        both = [
            itertools.chain(*(self.nets[name].parameters() for name in names))
            for names in (NETS[:2], NETS[2:])
        ]
        self.optimisers = [
            torch.optim.Adam(values, lr=recipe.rate, betas=(0.5, 0.999)) for values in both
        ]
        self.pools: dict[str, list[torch.Tensor]] = {"there": [], "back": []}

    @property
    def exported(self) -> Path:
        """The generator from first to second; BACK lies beside it."""
        return self.folder / THERE

    def export(self, about: dict[str, str]) -> None:
        """Write both generators as safetensors."""
        for name, file in (("there", THERE), ("back", BACK)):
            weights.save(self.folder / file, dict(self.nets[name].state_dict()), about)

    def identity(self) -> dict[str, str]:
        """The pictures of both heaps, with their folders: two heaps may have the same names."""
        listed = json.dumps(
            [[f"{path.parent.name}/{path.name}" for path in heap] for heap in self.heaps]
        )
        return {"data": hashlib.sha256(listed.encode()).hexdigest()}

    def tensors(self) -> dict[str, torch.Tensor]:
        """All four networks, and the pools."""
        found = {
            f"{name}|{key}": value
            for name, net in self.nets.items()
            for key, value in net.state_dict().items()
        }
        return {
            **found,
            **{
                f"pool|{name}|{number:03d}": one
                for name, pool in self.pools.items()
                for number, one in enumerate(pool)
            },
        }

    def load_state(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Put saved tensors back into networks and pools of past pictures."""
        for name, net in self.nets.items():
            net.load_state_dict(
                {
                    key.split("|", 1)[1]: value
                    for key, value in tensors.items()
                    if key.startswith(f"{name}|")
                }
            )
        for name in self.pools:
            self.pools[name] = [
                tensors[key].to(self.device)
                for key in sorted(tensors)
                if key.startswith(f"pool|{name}|")
            ]

    def reported_loss(self, losses: Any) -> float:
        """The cycle-consistency loss: the generators' whole loss holds the judges' opinion too."""
        return float(losses[1])

    def train_step(self) -> tuple[float, float, float]:
        """The generators' whole loss, the cycle's share of it, the judges' loss."""
        how = self.recipe
        rng = np.random.default_rng((self.recipe.seed, self.step))
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = how.rate * min(1.0, 2 * (1 - self.step / how.steps))
        real = [self._square(heap[int(rng.integers(len(heap)))], rng) for heap in self.heaps]
        there = self.nets["there"]
        back = self.nets["back"]
        judges = (self.nets["judge_there"], self.nets["judge_back"])
        self.optimisers[0].zero_grad(set_to_none=True)
        for judge in judges:
            judge.requires_grad_(False)
        made = [there(real[0]), back(real[1])]
        fooled = sum(_judged(judge(one), 1.0) for judge, one in zip(judges, made, strict=True))
        cycle = functional.l1_loss(back(made[0]), real[0]) + functional.l1_loss(
            there(made[1]), real[1]
        )
        same = functional.l1_loss(there(real[1]), real[1]) + functional.l1_loss(
            back(real[0]), real[0]
        )
        loss = fooled + how.cycle * (cycle + how.identity * same)
        if not bool(torch.isfinite(loss)):
            raise BadRequest(
                f"The loss of step {self.step} is {float(loss)}. What was saved before is kept; "
                "train anew in another folder with a lower learning rate."
            )
        loss.backward()
        self.moves()
        self.optimisers[0].step()
        self.optimisers[1].zero_grad(set_to_none=True)
        total = torch.zeros((), device=self.device)
        for judge, one, other, pool in zip(
            judges, made, reversed(real), self.pools.values(), strict=True
        ):
            judge.requires_grad_(True)
            total = (
                total
                + (
                    _judged(judge(other), 1.0)
                    + _judged(judge(self._pooled(pool, one.detach(), rng)), 0.0)
                )
                / 2
            )
        if not bool(torch.isfinite(total)):
            raise BadRequest(
                f"The judges' loss of step {self.step} is {float(total)}. What was saved before "
                "is kept; train anew in another folder with a lower learning rate."
            )
        total.backward()
        self.optimisers[1].step()
        return float(loss.detach()), float(cycle.detach()), float(total.detach())

    def _pooled(
        self, pool: list[torch.Tensor], made: torch.Tensor, rng: np.random.Generator
    ) -> torch.Tensor:
        """What a judge is shown: what was made now, or half of the time an earlier one in its place
        (Shrivastava et al. 2017)."""
        if not self.recipe.pool:
            return made
        if len(pool) < self.recipe.pool:
            pool.append(made)
            return made
        if rng.random() < 0.5:
            return made
        at = int(rng.integers(len(pool)))
        made, pool[at] = pool[at], made
        return made

    def _square(self, path: Path, rng: np.random.Generator) -> torch.Tensor:
        """A random square (1, 3, S, S) in [-1, 1] of a picture, mirrored half of the time."""
        how = self.recipe
        whole = opened(path)
        scale = how.load_px / min(whole.size)
        width, height = (max(how.side_px, round(side * scale)) for side in whole.size)
        whole = whole.resize((width, height), Image.Resampling.BICUBIC)
        left, top = (int(rng.integers(side - how.side_px + 1)) for side in (width, height))
        pixels = (
            np.asarray(whole.crop((left, top, left + how.side_px, top + how.side_px)), np.float32)
            / 127.5
            - 1
        )
        pixels = pixels[:, ::-1] if rng.integers(2) else pixels
        return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))[None].to(
            self.device
        )


def _judged(answer: torch.Tensor, wanted: float) -> torch.Tensor:
    """Least squares (Mao et al. 2017)."""
    return functional.mse_loss(answer, torch.full_like(answer, wanted))


def _begun(layer: nn.Module) -> None:
    """Weights from a normal distribution of 0.02, as published."""
    if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(layer.weight, 0.0, 0.02)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
