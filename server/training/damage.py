"""Training and testing of the Siamese network on pairs of pictures before and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as functional

from ..models.siamese import SiameseResNet18

BATCH = 16
TEST_BATCH = 64


@dataclass(frozen=True)
class Pair:
    """One place at two dates. `before`, `after`: pictures (S, S, 3) of bytes. `damaged`: the label.
    `made`: by an edit."""

    before: np.ndarray
    after: np.ndarray
    damaged: bool
    made: bool = False


def trained(pairs: Sequence[Pair], steps: int, width: int, seed: int) -> SiameseResNet18:
    """From random weights in so many steps of 16 pairs, with flips and quarter turns of both
    pictures alike.

    AdamW, its rate going up and down once.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    net = SiameseResNet18(width).train()
    before, after, labels = tensors(pairs)
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1e-3, total_steps=steps + 1)
    for _ in range(steps):
        chosen = rng.choice(len(pairs), BATCH, replace=len(pairs) < BATCH)
        first, second = _turned(before[chosen], after[chosen], rng)
        loss = functional.cross_entropy(net(first, second), labels[chosen])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
    return net.eval()


@dataclass(frozen=True)
class Accuracy:
    """Per cent of pairs that are named rightly. `plain`: of all of them. `balanced`: the mean over
    both classes."""

    plain: float
    balanced: float


def accuracy(net: SiameseResNet18, pairs: Sequence[Pair]) -> Accuracy:
    """Of a network on pairs."""
    before, after, labels = tensors(pairs)
    with torch.inference_mode():
        named = torch.cat(
            [
                net(before[n : n + TEST_BATCH], after[n : n + TEST_BATCH]).argmax(1)
                for n in range(0, len(pairs), TEST_BATCH)
            ]
        )
    right = [
        float((named[labels == label] == label).float().mean())
        for label in (0, 1)
        if (labels == label).any()
    ]
    return Accuracy(100 * float((named == labels).float().mean()), 100 * float(np.mean(right)))


def tensors(pairs: Sequence[Pair]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Both pictures (N, 3, S, S) in [-1, 1], and labels (N,)."""

    def stacked(pictures: list[np.ndarray]) -> torch.Tensor:
        return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1

    labels = torch.tensor([int(pair.damaged) for pair in pairs])
    return stacked([p.before for p in pairs]), stacked([p.after for p in pairs]), labels


def _turned(
    first: torch.Tensor, second: torch.Tensor, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    turns = int(rng.integers(4))
    flip = bool(rng.integers(2))
    both = [torch.rot90(part, turns, (2, 3)) for part in (first, second)]
    return (both[0].flip(3), both[1].flip(3)) if flip else (both[0], both[1])
