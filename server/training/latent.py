"""What every training in the latent space of Stable Diffusion shares: steps, their randomness, the
state that is kept.

The autoencoder, the text encoder and the U-Net's own weights stay as they are; a picture's latent
is the mean of its distribution. Every step draws its pictures, noise and levels from a generator of
its own, so that a training that was stopped goes on as if it had not been.
"""

from __future__ import annotations

import hashlib
import json
import sys
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch
import torch.nn.functional as functional

from ..diffusion import schedules, text
from ..diffusion.codec import Codec
from ..diffusion.components import Model
from ..ground.errors import BadRequest
from .captioned import Captioned
from .kept import KeptTraining
from .process_group import ProcessGroup

MOST_SAID = 4096
"""Captions of which the words' states are kept: some 0.2 MB each."""
Kind = TypeVar("Kind", bound=Captioned)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How it is learned. `steps`: changes of the weights. `rate`: the learning rate. `batch`
    pictures are drawn `accumulate` times a step, each a square of `side_px` pixels. `dropped`:
    share of captions left out, for guidance without words. `save_every`: steps after which the
    state is kept. `seed`: the same draws the same pictures, noise and levels."""

    steps: int = 1000
    rate: float = 1e-4
    batch: int = 1
    accumulate: int = 4
    side_px: int = 512
    dropped: float = 0.1
    save_every: int = 200
    seed: int = 0


class LatentTrainer(KeptTraining, Generic[Kind]):
    """Steps, latents and state. Subclasses say what is learned and what is lost."""

    free = ("steps", "save_every")
    network = "unet"

    def __init__(
        self, model: Model, pictures: Sequence[Kind], recipe: Recipe, folder: Path
    ) -> None:
        super().__init__()
        torch.manual_seed(recipe.seed)
        self.model = model
        self.pictures = list(pictures)
        self.recipe = recipe
        self.folder = folder
        self.device = torch.device(model.placement.device)
        self.spread = ProcessGroup(model.placement.device)
        self.net = model.part(self.network).to(self.device)
        self.learned = self.learnable()
        for value in self.learned.values():
            value.data = value.data.float()
        self.optimisers = [self.make_optimiser(self.learned.values())]

    @abstractmethod
    def learnable(self) -> dict[str, torch.nn.Parameter]:
        """The weights to learn, by name."""

    @abstractmethod
    def make_optimiser(self, values: Any) -> torch.optim.Optimizer:
        """The optimiser of these parameters."""

    @abstractmethod
    def loss(self, rng: np.random.Generator) -> torch.Tensor:
        """Of one batch, drawn by that generator."""

    def tensors(self) -> dict[str, torch.Tensor]:
        """What was learned, by name."""
        return {name: value.detach() for name, value in self.learned.items()}

    def load_state(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Into the weights that are learned."""
        with torch.no_grad():
            for name, value in self.tensors().items():
                value.copy_(tensors[name])

    def identity(self) -> dict[str, str]:
        """The base, and the pictures with their captions."""
        listed = json.dumps(
            [(f"{one.path.parent.name}/{one.path.name}", one.caption) for one in self.pictures]
        )
        return {"base": self.model.entry.id, "data": hashlib.sha256(listed.encode()).hexdigest()}

    def train_step(self) -> float:
        """The mean loss of the batches, of all processes; each batch draws from a generator of its
        own, whoever computes it."""
        self.optimisers[0].zero_grad(set_to_none=True)
        self.net.to(self.device)  # drawing samples may have put it aside
        total = 0.0
        for number in range(self.recipe.accumulate):
            rng = np.random.default_rng(
                (self.recipe.seed, self.step, number * self.spread.count + self.spread.rank)
            )
            loss = self.loss(rng) / self.recipe.accumulate
            loss.backward()
            total += float(loss.detach())
        total = self.spread.mean(total)
        self.spread.averaged(self.learned.values())
        if not np.isfinite(total):
            raise BadRequest(
                f"The loss of step {self.step} is {total}. What was learned before is kept; train "
                "anew in another folder with a lower learning rate."
            )
        self.limit_gradients()
        self.moves()
        self.optimisers[0].step()
        return total

    def limit_gradients(self) -> None:
        """What is done to the gradients before the step."""

    def save(self) -> None:
        """By the first process; the others wait, but not where one of them has failed."""
        if self.spread.first:
            super().save()
        if sys.exc_info()[0] is None:
            self.spread.wait()

    def latent(self, picture: torch.Tensor, scaled: bool = True) -> torch.Tensor:
        """The mean of a picture's distribution, with the autoencoder's factor or without."""
        with torch.no_grad(), self.model.using("vae") as net:
            codec = Codec(net, self.recipe.side_px)
            found = codec.encoded_whole(picture)
            return (codec.scaled(found) if scaled else found).to(self.device)


@dataclass(frozen=True)
class Compared:
    """One prediction, all (B, C, h, w) but `levels` (B,). `output`: of the network. `wanted`: what
    it is to predict. `noisy`: what it saw. `levels`: of noise."""

    output: torch.Tensor
    wanted: torch.Tensor
    noisy: torch.Tensor
    levels: torch.Tensor


class NoisedTrainer(LatentTrainer[Kind]):
    """What a network predicts of pictures that were noised by the base's schedule. Subclasses say
    what it is shown."""

    def __init__(
        self, model: Model, pictures: Sequence[Kind], recipe: Recipe, folder: Path
    ) -> None:
        super().__init__(model, pictures, recipe, folder)
        self.schedule = schedules.make_scheduler(
            "DDPM", schedules.config_of(model.folder("scheduler"))
        )
        self._said: dict[str, torch.Tensor] = {}

    @abstractmethod
    def pixels(
        self, chosen: Sequence[Kind], rng: np.random.Generator
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Pictures (B, 3, S, S) in [-1, 1], and what is shown beside the noise."""

    @abstractmethod
    def predicted(
        self,
        noisy: torch.Tensor,
        levels: torch.Tensor,
        words: torch.Tensor,
        shown: torch.Tensor | None,
    ) -> torch.Tensor:
        """The network's output for noisy latents."""

    def conditions(
        self, chosen: Sequence[Kind], shown: torch.Tensor | None, rng: np.random.Generator
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The captions as the network reads them, some left out, and what is shown."""
        words = [
            self.words("" if rng.random() < self.recipe.dropped else one.caption) for one in chosen
        ]
        return torch.cat(words), None if shown is None else shown.to(self.device)

    def read(self, caption: str) -> torch.Tensor:
        """What the text encoder makes of a caption."""
        with self.model.reader("text_encoder", "tokenizer") as reader:
            return text.clip_words(reader, caption).states

    def words(self, caption: str) -> torch.Tensor:
        """What the text encoder makes of a caption; kept, since captions come again."""
        if len(self._said) >= MOST_SAID:
            self._said.clear()
        if caption not in self._said:
            with torch.no_grad():
                self._said[caption] = self.read(caption).to(self.device)
        return self._said[caption]

    def loss(self, rng: np.random.Generator) -> torch.Tensor:
        """Mean squared error of what the network is to predict (the noise, or the velocity) at
        random levels."""
        chosen = [
            self.pictures[int(n)] for n in rng.integers(0, len(self.pictures), self.recipe.batch)
        ]
        pictures, shown = self.pixels(chosen, rng)
        latents = torch.cat([self.latent(one[None]) for one in pictures])
        words, shown = self.conditions(chosen, shown, rng)
        made = self.compared(latents, words, shown, rng)
        return functional.mse_loss(made.output, made.wanted) + self.beside(made, chosen, pictures)

    def beside(
        self, made: Compared, chosen: Sequence[Kind], pictures: torch.Tensor
    ) -> torch.Tensor | float:
        """Further losses of a prediction, of what was chosen and its pictures (B, 3, S, S); 0 where
        there are none."""
        return 0.0

    def judged(
        self,
        latents: torch.Tensor,
        words: torch.Tensor,
        shown: torch.Tensor | None,
        rng: np.random.Generator,
    ) -> torch.Tensor:
        """The loss at random levels with random noise."""
        made = self.compared(latents, words, shown, rng)
        return functional.mse_loss(made.output, made.wanted)

    def compared(
        self,
        latents: torch.Tensor,
        words: torch.Tensor,
        shown: torch.Tensor | None,
        rng: np.random.Generator,
    ) -> Compared:
        """What the network gives at random levels with random noise, and what it should."""
        noise = torch.from_numpy(rng.standard_normal(latents.shape, np.float32)).to(self.device)
        levels = torch.from_numpy(
            rng.integers(0, self.schedule.config.num_train_timesteps, len(latents))
        ).to(self.device)
        noisy = self.schedule.add_noise(latents, noise, levels)
        velocity = self.schedule.config.prediction_type == "v_prediction"
        wanted = self.schedule.get_velocity(latents, noise, levels) if velocity else noise
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            made = self.predicted(noisy.to(self.net.dtype), levels, words.to(self.net.dtype), shown)
        return Compared(made.float(), wanted.float(), noisy.float(), levels)
