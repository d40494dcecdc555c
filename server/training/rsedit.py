"""RSEdit: a text-to-image model becomes an editor of satellite images (its sections 3.2 and 3.3,
Table 4).

The U-Net is shown the source in four further input channels, whose weights begin at zero; the
transformer sees the source's latent to the left of the noisy one and is judged on the right half
alone. All weights are learned, by Prodigy (Mishchenko and Defazio 2024), and their moving average
is what edits. Of the pairs 5 % lose their words, 5 % their source, 5 % both, so that both can
guide.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..diffusion import text
from ..diffusion.codec import Codec
from ..diffusion.components import Model
from ..diffusion.text import T5_TOKENS
from ..ground.errors import BadRequest
from ..models import weights
from ..store.importing import TAKEN
from ..store.installed import config_of
from .data.pairs import EditPair
from .judging import held_loss
from .latent import Compared, NoisedTrainer
from .latent import Recipe as LatentRecipe
from .other_words import WithWords
from .perceptual import Perceptual, Weights
from .prodigy import prodigy

WEIGHTS = "diffusion_pytorch_model.safetensors"
AVERAGE = "average|"


@dataclass(frozen=True, kw_only=True)
class Recipe(LatentRecipe):
    """Table 4. `steps`: changes of the weights. `rate`: multiple of the step size that Prodigy
    finds. `batch` pairs are drawn `accumulate` times a step. `dropped`: the share of each of the
    three kinds of leaving out; `save_every`: steps after which the state is kept; `decay` of the
    weights; `average`: most that the moving average keeps of itself; `longest`: norm to which all
    gradients together are cut; `slip`: as the released code began, with a fresh random bias in the
    U-Net's first layer instead of the base's; `augmented`: random squares, turned and mirrored,
    instead of the whole picture; `saving`: recompute instead of keeping; `beside`: losses by CLIP
    and DINO beside the noise's."""

    steps: int = 30_000
    rate: float = 1.0
    batch: int = 32
    accumulate: int = 1
    dropped: float = 0.05
    save_every: int = 1000
    decay: float = 0.01
    average: float = 0.9999
    longest: float = 1.0
    slip: bool = False
    augmented: bool = False
    saving: bool = False
    beside: Weights = Weights()


class RSEditTrainer(NoisedTrainer[EditPair]):
    """What both networks share. `held`: pairs that are not trained on, by which it is judged."""

    recipe: Recipe
    scaled = True

    def __init__(
        self,
        model: Model,
        pairs: Sequence[EditPair],
        recipe: Recipe,
        folder: Path,
        held: Sequence[EditPair] = (),
    ) -> None:
        super().__init__(model, pairs, recipe, folder)
        self.held = list(held)
        self.average = {name: value.detach().clone() for name, value in self.learned.items()}
        if recipe.saving:
            self.net.enable_gradient_checkpointing()
        beside = recipe.beside
        self.perceptual = Perceptual(beside, self.device) if beside.clip or beside.dino else None

    def beside(
        self, made: Compared, chosen: Sequence[EditPair], pictures: torch.Tensor
    ) -> torch.Tensor | float:
        """Those by CLIP and DINO, where the recipe has them."""
        if self.perceptual is None:
            return 0.0
        told = [one.caption for one in chosen], pictures.to(self.device)
        share = self.schedule.alphas_cumprod.to(self.device)[made.levels]
        with self.model.using("vae") as net:
            net.requires_grad_(False)
            codec = Codec(net, self.recipe.side_px)
            return self.perceptual.loss(codec, self._clean(made, share), share, told)

    def _clean(self, made: Compared, share: torch.Tensor) -> torch.Tensor:
        """The clean latents that a prediction leads to (equation 15 of DDPM, or of a velocity)."""
        signal, noise = (part.sqrt()[:, None, None, None] for part in (share, 1 - share))
        if self.schedule.config.prediction_type == "v_prediction":
            return signal * made.noisy - noise * made.output
        return (made.noisy - noise * made.output) / signal

    def learnable(self) -> dict[str, torch.nn.Parameter]:
        """All of the network."""
        self._fit()
        self.net.train().requires_grad_(True)
        return dict(self.net.named_parameters())

    def _fit(self) -> None:
        """Make room for the source."""

    def make_optimiser(self, values: Any) -> torch.optim.Optimizer:
        """Prodigy as Table 4 and the released scripts set it."""
        return prodigy(values, self.recipe.rate, self.recipe.decay)

    def pixels(
        self, chosen: Sequence[EditPair], rng: np.random.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """What came, and what was before."""
        side = self.recipe.side_px
        both = [
            one.both(side, rng) if self.recipe.augmented else one.squares(side) for one in chosen
        ]
        after, before = (torch.from_numpy(np.stack(part)) for part in zip(*both, strict=True))
        return after, before

    def conditions(
        self, chosen: Sequence[EditPair], shown: torch.Tensor | None, rng: np.random.Generator
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Words and sources; one number a pair says what of them is left out."""
        assert shown is not None
        words = []
        sources = []
        share = self.recipe.dropped
        for pair, picture in zip(chosen, shown, strict=True):
            drawn = rng.random()
            words.append(self.words("" if drawn < 2 * share else pair.caption))
            source = self.latent(picture[None], self.scaled)
            sources.append(torch.zeros_like(source) if share <= drawn < 3 * share else source)
        return torch.cat(words), torch.cat(sources)

    def train_step(self) -> float:
        """A step, then the moving average, which follows quickly at first."""
        found = super().train_step()
        kept = min(self.recipe.average, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for name, value in self.learned.items():
                self.average[name].lerp_(value.detach(), 1 - kept)
        return found

    def limit_gradients(self) -> None:
        """Gradients together no longer than the recipe says."""
        torch.nn.utils.clip_grad_norm_(list(self.learned.values()), self.recipe.longest)

    def tensors(self) -> dict[str, torch.Tensor]:
        """The weights, and their average."""
        return {
            **super().tensors(),
            **{AVERAGE + name: value for name, value in self.average.items()},
        }

    def load_state(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Put saved weights and their running average back."""
        with torch.no_grad():
            for name, value in self.learned.items():
                value.copy_(tensors[name])
                self.average[name].copy_(tensors[AVERAGE + name])

    @contextlib.contextmanager
    def averaged(self) -> Iterator[None]:
        """With the average in the network's place."""
        own = {name: value.detach().clone() for name, value in self.learned.items()}
        try:
            with torch.no_grad():
                for name, value in self.learned.items():
                    value.copy_(self.average[name])
            self.net.eval()
            yield
        finally:
            with torch.no_grad():
                for name, value in self.learned.items():
                    value.copy_(own[name])
            self.net.train()

    def validated(self) -> float | None:
        """Mean loss of the average on the held pairs, always of the same noise and levels, nothing
        left out; None without."""

        def loss(pair: EditPair, rng: np.random.Generator) -> torch.Tensor:
            after, before = (
                torch.from_numpy(part)[None] for part in pair.squares(self.recipe.side_px)
            )
            return self.judged(
                self.latent(after), self.words(pair.caption), self.latent(before, self.scaled), rng
            )

        with self.averaged():
            return held_loss(self.held, loss)

    @property
    def exported(self) -> Path:
        """The folder of a whole pipeline, as RSEdit's is published."""
        return self.folder / "model"

    def export(self, about: dict[str, str]) -> None:
        """The averaged network, and the parts that were not learned beside it."""
        own = self.net.state_dict()
        found = {name: self.average.get(name, value) for name, value in own.items()}
        weights.save(self.exported / self.network / WEIGHTS, found, about)
        config = self.exported / self.network / ".config.json"
        known = {
            key: value for key, value in dict(self.net.config).items() if not key.startswith("_")
        }
        config.write_text(
            json.dumps({"_class_name": type(self.net).__name__, **known}, indent=1, default=str),
            "utf8",
        )
        config.replace(self.exported / self.network / "config.json")
        for name in ("vae", "text_encoder", "tokenizer", "scheduler"):
            _copied(self.model.folder(name), self.exported / name)

    def identity(self) -> dict[str, str]:
        """Also by whose words it reads."""
        words = self.model.other.entry.id if isinstance(self.model, WithWords) else ""
        return {**super().identity(), "words": words}


def _copied(source: Path, target: Path) -> None:
    """A part's files, once."""
    if target.is_dir():
        return
    draft = target.with_name(f".{target.name}")
    shutil.rmtree(draft, ignore_errors=True)
    shutil.copytree(
        source,
        draft,
        ignore=lambda folder, names: [
            name
            for name in names
            if (Path(folder) / name).is_file() and Path(name).suffix not in TAKEN
        ],
    )
    draft.replace(target)


class UNetTrainer(RSEditTrainer):
    """RSEdit-UNet, and InstructPix2Pix alike: the source's unscaled latent in four further
    channels."""

    scaled = False

    def _fit(self) -> None:
        """Widen the first layer; its new weights are zero, so that the network begins as it was."""
        old = self.net.conv_in
        added = int(config_of(self.model.folder("vae"))["latent_channels"])
        wide = int(config_of(self.model.folder("text_encoder"))["hidden_size"])
        needed = int(self.net.config.cross_attention_dim)
        if wide != needed:
            raise BadRequest(
                f"The text encoder gives {wide} numbers a word, the U-Net takes {needed}: choose "
                "a base and a text encoder that fit (Stable Diffusion 1.5: 768, 2.1: 1024)."
            )
        if old.in_channels == 2 * added:
            return  # an editor already: it is trained on
        if old.in_channels != added:
            raise BadRequest(
                f"The base's U-Net takes {old.in_channels} channels; {added} (Stable Diffusion) "
                f"or {2 * added} (an editor by instruction) are needed."
            )
        new = torch.nn.Conv2d(
            2 * added, old.out_channels, old.kernel_size, old.stride, old.padding
        ).to(old.weight)
        with torch.no_grad():
            new.weight.zero_()
            new.weight[:, :added] = old.weight
            if not self.recipe.slip:
                new.bias.copy_(old.bias)
        self.net.conv_in = new
        self.net.register_to_config(in_channels=2 * added)

    def predicted(
        self,
        noisy: torch.Tensor,
        levels: torch.Tensor,
        words: torch.Tensor,
        shown: torch.Tensor | None,
    ) -> torch.Tensor:
        """The source behind the noise."""
        assert shown is not None
        seen = torch.cat([noisy, shown.to(noisy)], 1)
        return self.net(seen, levels, encoder_hidden_states=words, return_dict=False)[0]


class DiTTrainer(RSEditTrainer):
    """RSEdit-DiT on PixArt-alpha: the source's scaled latent to the left; T5's words without a
    mask, as it was trained."""

    network = "transformer"

    def read(self, caption: str) -> torch.Tensor:
        """120 tokens of T5."""
        with self.model.reader("text_encoder", "tokenizer", T5_TOKENS["pixart"]) as reader:
            return text.t5_words(reader, caption, masked=False).states

    def predicted(
        self,
        noisy: torch.Tensor,
        levels: torch.Tensor,
        words: torch.Tensor,
        shown: torch.Tensor | None,
    ) -> torch.Tensor:
        """The right half's noise; the learned variance is dropped."""
        assert shown is not None
        seen = torch.cat([shown.to(noisy), noisy], 3)
        made = self.net(
            seen,
            timestep=levels,
            encoder_hidden_states=words,
            encoder_attention_mask=None,
            added_cond_kwargs={"resolution": None, "aspect_ratio": None},
            return_dict=False,
        )[0]
        return made[:, : noisy.shape[1], :, -noisy.shape[3] :]
