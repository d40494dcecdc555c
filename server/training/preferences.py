"""Preference tuning of an editor by instruction (Diffusion-DPO, Wallace et al. 2023): of two edits
of one picture by one instruction, the one that people liked better becomes the likelier.

The loss of a pair at one level with one noise is -log sigmoid(-beta / 2 (gap of the learned network
- gap of the network as it was)), where a gap is the noise's squared error on the preferred edit
less that on the other (equation 14; its time's weight is constant, the number of steps is in beta,
and the half is its authors' code's). They trained with thousands of pairs a step at a rate far
lower; rate and batch here are this project's, for some hundred preferences.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as functional

from ..diffusion.components import Model
from ..ground.errors import BadRequest
from .captioned import opened
from .data.pairs import PARTS, TRAIN, EditPair, whole
from .rsedit import Recipe as EditorRecipe
from .rsedit import UNetTrainer

LIST = "preferences.jsonl"


@dataclass(frozen=True)
class Preference(EditPair):
    """`control`: the picture before; `caption`: the instruction; `path`: the edit that was liked
    better; `worse`: the other."""

    worse: Path = Path()

    def triple(self, side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Better, worse, before, each (3, side, side) in [-1, 1]."""
        better, worse, before = (
            whole(opened(path), side) for path in (self.path, self.worse, self.control)
        )
        return better, worse, before


@dataclass(frozen=True, kw_only=True)
class Recipe(EditorRecipe):
    """With the paper's beta for Stable Diffusion 1.5. `steps`: changes of the weights. `batch`
    preferences are drawn `accumulate` times a step. `beta`: how strictly it stays near the network
    as it was; `rate`: of AdamW."""

    steps: int = 2000
    rate: float = 1e-6
    batch: int = 4
    accumulate: int = 4
    beta: float = 2000.0


def read(folder: Path) -> list[Preference]:
    """The preferences listed in a folder (preferences.jsonl: before, better, worse, caption, part),
    as 'evaluate questionnaire preferences' writes them. Raises BadRequest."""
    path = folder / LIST
    found = []
    try:
        lines = path.read_text("utf8").splitlines()
        for line in filter(str.strip, lines):
            one = json.loads(line)
            part = one.get("part", TRAIN)
            if part not in PARTS:
                raise ValueError(f"part '{part}'")
            files = [folder / str(one[name]) for name in ("better", "before", "worse")]
            gone = next((file for file in files if not file.is_file()), None)
            if gone is not None:
                raise ValueError(f"{gone} is not there")
            found.append(
                Preference(files[0], str(one["caption"]), files[1], part=part, worse=files[2])
            )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadRequest(f"{path} is no list of preferences: {error}.") from error
    if not found:
        raise BadRequest(f"{path} lists nothing.")
    return found


class PreferenceTrainer(UNetTrainer):
    """Learns a U-Net editor's weights; a frozen copy is what they are compared with."""

    recipe: Recipe

    def __init__(
        self,
        model: Model,
        pairs: Sequence[Preference],
        recipe: Recipe,
        folder: Path,
        held: Sequence[Preference] = (),
    ) -> None:
        super().__init__(model, pairs, recipe, folder, held)
        if self.net.conv_in.in_channels != 2 * self.latent_channels:
            raise BadRequest(
                f"{model.entry.title} is no editor by instruction; name one as --base."
            )
        self.before = copy.deepcopy(self.net).eval().requires_grad_(False)

    @property
    def latent_channels(self) -> int:
        """Channels of the autoencoder's latents, half of what an editor by instruction is shown."""
        return int(self.model.part("vae").config.latent_channels)

    def _fit(self) -> None:
        """Nothing is widened: what is compared must be an editor already."""

    def make_optimiser(self, values: Any) -> torch.optim.Optimizer:
        """AdamW, at the rate that the recipe has, in place of RSEdit's Prodigy."""
        return torch.optim.AdamW(values, lr=self.recipe.rate, weight_decay=self.recipe.decay)

    def loss(self, rng: np.random.Generator) -> torch.Tensor:
        """The mean over a batch of preferences."""
        chosen = [
            self.pictures[int(n)] for n in rng.integers(0, len(self.pictures), self.recipe.batch)
        ]
        return torch.stack([self.of_pair(one, rng) for one in chosen]).mean()

    def of_pair(self, pair: EditPair, rng: np.random.Generator) -> torch.Tensor:
        """The loss of one preference at a random level; both edits get the same noise."""
        assert isinstance(pair, Preference)
        better, worse, before = (
            torch.from_numpy(part)[None] for part in pair.triple(self.recipe.side_px)
        )
        words = self.words(pair.caption)
        source = self.latent(before, self.scaled)
        noise = torch.from_numpy(
            rng.standard_normal((1, self.latent_channels, *source.shape[2:]), np.float32)
        ).to(self.device)
        level = torch.tensor(
            [int(rng.integers(0, self.schedule.config.num_train_timesteps))], device=self.device
        )
        gaps = [
            self._error(net, self.latent(better), (words, source, noise, level))
            - self._error(net, self.latent(worse), (words, source, noise, level))
            for net in (self.net, self.before)
        ]
        return -functional.logsigmoid(-self.recipe.beta / 2 * (gaps[0] - gaps[1].detach()))

    def _error(self, net: Any, latent: torch.Tensor, given: tuple[torch.Tensor, ...]) -> Any:
        words, source, noise, level = given
        noisy = self.schedule.add_noise(latent, noise, level)
        velocity = self.schedule.config.prediction_type == "v_prediction"
        wanted = self.schedule.get_velocity(latent, noise, level) if velocity else noise
        seen = torch.cat([noisy, source.to(noisy)], 1).to(net.dtype)
        made = net(seen, level, encoder_hidden_states=words.to(net.dtype), return_dict=False)[0]
        return functional.mse_loss(made.float(), wanted.float())

    def validated(self) -> float | None:
        """Share of held preferences whose better edit the average prefers more than the network did
        at first, negated, so that lower is better; None without."""
        if not self.held:
            return None
        right = 0
        with self.averaged(), torch.no_grad():
            for number, pair in enumerate(self.held):
                loss = self.of_pair(pair, np.random.default_rng((20_240, number)))
                right += float(loss) < float(np.log(2))
        return -right / len(self.held)
