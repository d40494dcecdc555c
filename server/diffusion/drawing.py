"""One drawing with one model: its words, its source as latents, its settings; what the editors'
recipes are written in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..ground.optional import torch
from ..models.noise import AnchoredNoise
from . import schedules, text
from .branches import Branch, Words
from .codec import Codec
from .components import Model
from .guidance import FULL, NONE, FreeGuidance
from .sampler import Denoise, Known, Run, noised, sample
from .tiles import Tiling

OVERLAP = 3 / 8
"""Of a tile's side, shared with its neighbour."""
MOST_CUT = 300
"""Characters of what was left out of a prompt that are shown."""
Shown = Callable[[int, int, "np.ndarray | None"], None]


@dataclass(frozen=True)
class Settings:
    """How to draw.

    `scheduler`: name of a solver (schedules.CLASSES). `steps`: of the whole schedule. `guidance`:
    by words, and by the picture. `seed`: same seed, same noise. `strength`: 0 to 1, how much noise
    the source gets before it is redrawn; 1: all new. `negative`: words for what should not be
    there. `gsd_m`: ground size of a pixel that is drawn, in metres. `text_mask`: whether the text's
    padding is hidden from the network. `control`: a ControlNet's hold, 1 as trained.
    """

    scheduler: str
    steps: int
    guidance: FreeGuidance
    seed: int
    strength: float = 1.0
    negative: str = ""
    gsd_m: float = 1.0
    text_mask: bool = True
    control: float = 1.0


@dataclass
class Drawing:
    """A source, where to draw on it, and how."""

    model: Model
    """Its networks, loaded when they are used."""
    prompt: str
    """What the model is told, with all parts that it was trained to read."""
    picture: torch.Tensor
    """The source (1, 3, H, W) in [-1, 1], as large as the canvas."""
    drawn: torch.Tensor | None
    """(1, 1, h, w) on the latents' grid, 1 where to draw; None: everywhere."""
    settings: Settings
    """Solver, steps, guidance, seed and the like."""
    tile: int
    """The model's native side, in latents."""
    shown: Shown | None = None
    """Hears steps done, all steps, now and then a picture (3, h, w) in [0, 1]; None: nobody."""
    notes: list[str] = field(default_factory=list)
    """Collects what the user should know."""
    latent: torch.Tensor | None = None
    """The source's scaled latent (1, C, h, w); None until `encoded` has run."""
    keeps: bool = True
    """Whether the source is put back at every step where nothing is drawn; False: as code that
    leaves that to a network which is told the mask."""
    examples: tuple[tuple[torch.Tensor, torch.Tensor], ...] = ()
    """Edits to go by, pictures before and after (1, 3, h, w) in [-1, 1] of any size."""
    origin: tuple[int, int] = (0, 0)
    """(row, column) of the canvas's corner in the raster's latents, to which noise is fixed."""

    @property
    def device(self) -> str:
        """Where the canvas lies."""
        return self.model.placement.device

    @property
    def batched_guidance(self) -> bool:
        """Whether all predictions of a step go in one batch."""
        return self.model.placement.batched_guidance

    @contextmanager
    def coder(self, name: str = "vae", shifted: bool = True) -> Iterator[Codec]:
        """The autoencoder on its device."""
        with self.model.using(name) as net:
            yield self.model.family.codec_class(net, self.tile, shifted)

    def encoded(
        self, picture: torch.Tensor | None = None, name: str = "vae", shifted: bool = True
    ) -> torch.Tensor:
        """The unscaled latent of the source, or of another picture."""
        with self.coder(name, shifted) as codec:
            made = codec.encoded(self.picture if picture is None else picture)
            if picture is None:
                self.latent = codec.scaled(made)
            return made

    def words(self, read: Callable[[str], Words]) -> dict[str, Words]:
        """The prompt and, where it is needed, the negative one, as the model reads them."""
        found = {FULL: read(self.prompt)}
        if len(self.settings.guidance.branches) > 1:
            found[NONE] = read(self.settings.negative)
        return found

    def clip_words(self) -> dict[str, Words]:
        """As Stable Diffusion reads."""
        with self.model.reader("text_encoder", "tokenizer") as reader:
            self.told_of_cut(reader)
            return self.words(lambda words: text.clip_words(reader, words))

    def told_of_cut(self, reader: text.Reader, words: str = "") -> None:
        """Note what of the prompt, or of the sentence made of it, does not fit."""
        cut = reader.cut(words or self.prompt)
        if cut:
            shown = cut if len(cut) <= MOST_CUT else f"{cut[:MOST_CUT].rsplit(' ', 1)[0]} ..."
            self.notes.append(
                f"The prompt is longer than {self.model.entry.title} reads ({reader.limit} "
                f"tokens); left out: '{shown}'."
            )

    def branches(
        self,
        words: Mapping[str, Words],
        shown: Mapping[str, torch.Tensor] | None = None,
        label: int | None = None,
    ) -> list[Branch]:
        """The predictions guidance asks for: the picture's branch reads the negative words; the
        null one has label 0."""
        return [
            Branch(
                words[FULL if name == FULL else NONE],
                shown[name] if shown else None,
                label if name == FULL else 0,
            )
            for name in self.settings.guidance.branches
        ]

    def tiling(self) -> Tiling:
        """The tiles of the canvas in which something is drawn."""
        assert self.latent is not None
        height, width = self.latent.shape[2:]
        wanted = None if self.drawn is None else self.drawn[0, 0] > 0
        return Tiling.of(height, width, self.tile, round(self.tile * OVERLAP), wanted)

    def tile_tokens(self, pictures: int = 1) -> int:
        """How many tokens of 2 x 2 latents a flow transformer sees at once."""
        tile = self.tiling().tiles[0]
        return (tile.height // 2) * (tile.width // 2) * pictures

    def sampled(
        self,
        denoise: Denoise,
        scheduler: Any,
        tokens: int = 0,
        copies: int = 1,
        mu: float | None = None,
    ) -> torch.Tensor:
        """Draw from noise, or from the noised source where the strength is below 1; scaled latents.

        `tokens`, `mu`: by which a flow's schedule shifts. `copies`: pictures side by side in the
        canvas's channels, of which the last is the drawn one (ICEdit).
        """
        assert self.latent is not None
        how = self.settings
        source = torch.cat([self.latent] * copies, 1).to(self.device)
        channels, height, width = source.shape[1:]
        noise = torch.from_numpy(
            AnchoredNoise(how.seed, self.origin).normal((channels, height, width))
        )[None].to(self.device)
        timesteps = schedules.timesteps_of(
            scheduler, how.steps, how.strength, schedules.Shift(tokens, mu)
        ).to(self.device)
        if how.strength < 1:
            start = noised(scheduler, source, noise, timesteps[:1])
        else:
            start = noise * getattr(scheduler, "init_noise_sigma", 1.0)
        drawn = (
            None
            if not self.keeps or self.drawn is None or bool((self.drawn > 0).all())
            else self.drawn.to(self.device)
        )
        known = None
        if drawn is not None:
            free = drawn.new_ones(1, channels - channels // copies, height, width)
            last = drawn.expand(-1, channels // copies, -1, -1)
            known = Known(source, noise, torch.cat([free, last], 1) if copies > 1 else drawn)
        run = Run(
            scheduler,
            timesteps,
            start,
            self.tiling(),
            known,
            torch.Generator().manual_seed(how.seed),
        )
        return sample(denoise, run, self._told())[:, -channels // copies :]

    def decoded(
        self, latent: torch.Tensor, name: str = "vae", shifted: bool = True
    ) -> torch.Tensor:
        """The picture of scaled latents, in [-1, 1]."""
        with self.coder(name, shifted) as codec:
            return codec.decoded(codec.unscaled(latent)).clamp_(-1, 1)

    def _told(self) -> Callable[[int, int, torch.Tensor], None] | None:
        if self.shown is None:
            return None
        shown = self.shown
        colours = self._colours()
        last = [-1]

        def told(done: int, total: int, canvas: torch.Tensor) -> None:
            # Called for every tile, so that a job can be stopped within a step; looked at once a
            # step.
            shown(done, total, colours(canvas) if done != last[0] else None)
            last[0] = done

        return told

    def _colours(self) -> Callable[[torch.Tensor], np.ndarray]:
        """A quick look at a canvas: colours as a linear map of latents, fitted to the source, whose
        both are known."""
        assert self.latent is not None
        channels = self.latent.shape[1]
        small = (
            torch.nn.functional.adaptive_avg_pool2d(self.picture.float(), self.latent.shape[2:])[0]
            .flatten(1)
            .T
        )
        known = self.latent[0].flatten(1).T.float().cpu()
        known = torch.cat([known, torch.ones(len(known), 1)], 1)
        fit = torch.linalg.lstsq(known.double(), small.cpu().double()).solution.float()

        def look(canvas: torch.Tensor) -> np.ndarray:
            last = canvas[0, -channels:].float().cpu()
            flat = torch.cat([last.flatten(1).T, torch.ones(last[0].numel(), 1)], 1) @ fit
            return np.clip(flat.T.reshape(3, *last.shape[1:]).numpy() / 2 + 0.5, 0, 1)

        return look
