"""FLUX.1's transformer as a denoiser: Fill (ICEdit's diptych among its uses) and Kontext. Guidance
is an input, distilled.

Latents are packed: each token holds 2 x 2 of them. Fill is shown the masked source's latent and the
mask at full resolution, Kontext the source's tokens behind its own, told apart by the first of
three position ids.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...ground.optional import functional, torch
from .. import schedules
from ..branches import Words
from ..drawing import Drawing
from ..text import T5_TOKENS, Reader
from ..tiles import Tile
from .family import Family, Pictures, Recipe, pictures_of

DIPTYCH = (
    "A diptych with two side-by-side images of the same scene. On the right, the scene is exactly "
    "the same as on the left but {}"
)
"""The sentence ICEdit's adapter was trained with."""
GRID = (
    "A grid of {} rows, each with two side-by-side images of the same scene. On the right of every "
    "row the scene is exactly the same as on the left, but for the same kind of change: {}"
)
"""The same for examples above it: ours, since the report that names them prints no sentence."""


def packed(latent: torch.Tensor) -> torch.Tensor:
    """(B, C, h, w) to tokens (B, h/2 * w/2, 4 C)."""
    count, channels, height, width = latent.shape
    split = latent.reshape(count, channels, height // 2, 2, width // 2, 2).permute(0, 2, 4, 1, 3, 5)
    return split.reshape(count, height // 2 * (width // 2), 4 * channels)


def unpacked(tokens: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """The inverse: (B, C, height, width)."""
    count, _, deep = tokens.shape
    split = tokens.reshape(count, height // 2, width // 2, deep // 4, 2, 2).permute(
        0, 3, 1, 4, 2, 5
    )
    return split.reshape(count, deep // 4, height, width)


def packed_mask(mask: torch.Tensor, pixels: int) -> torch.Tensor:
    """A mask (1, 1, H, W) at the picture's resolution to tokens (1, n, 4 pixels^2): no pixel of it
    is lost."""
    height = mask.shape[2] // pixels
    width = mask.shape[3] // pixels
    cells = (
        mask[:, 0]
        .reshape(1, height, pixels, width, pixels)
        .permute(0, 2, 4, 1, 3)
        .reshape(1, pixels * pixels, height, width)
    )
    return packed(cells)


def position_ids(height: int, width: int, first: int = 0) -> torch.Tensor:
    """(height/2 * width/2, 3): which picture, row, column of each token."""
    rows, cols = torch.meshgrid(torch.arange(height // 2), torch.arange(width // 2), indexing="ij")
    return torch.stack([torch.full_like(rows, first), rows, cols], -1).reshape(-1, 3)


class _Flux:
    """What Fill and Kontext share: words, the guidance input, the call."""

    def __init__(self, net: Any, words: Words, guidance: float) -> None:
        self.net = net
        self.words = words
        self.guidance = guidance

    def _predicted(self, tokens: torch.Tensor, ids: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        kind = self.net.dtype
        device = self.net.device
        states = self.words.states.to(device, kind)
        pooled = self.words.pooled
        assert pooled is not None
        guidance = (
            torch.full([1], self.guidance, device=device)
            if self.net.config.guidance_embeds
            else None
        )
        return self.net(
            hidden_states=tokens.to(device, kind),
            timestep=t.reshape(1).to(device, kind) / 1000,
            guidance=guidance,
            pooled_projections=pooled.to(device, kind),
            encoder_hidden_states=states,
            txt_ids=torch.zeros(states.shape[1], 3, device=device, dtype=kind),
            img_ids=ids.to(device, kind),
            return_dict=False,
        )[0].float()


class FillDenoiser(_Flux):
    """FLUX.1 Fill. `shown`: for each tile the tokens of masked source and mask.

    `rows`: of pairs on the canvas, whose panels the model sees as one picture: examples before and
    after, then source and drawing (ICEdit's diptych: 1). The panels lie one after the other in the
    channels of what is drawn. 0: the canvas is one picture.
    """

    def __init__(
        self,
        net: Any,
        words: Words,
        guidance: float,
        shown: Mapping[Tile, torch.Tensor],
        rows: int = 0,
    ) -> None:
        super().__init__(net, words, guidance)
        self.shown = shown
        self.rows = rows

    def __call__(self, noisy: torch.Tensor, t: torch.Tensor, tile: Tile) -> torch.Tensor:
        """The velocity for one tile."""
        whole = laid_out(noisy.chunk(2 * self.rows, 1)) if self.rows else noisy
        height, width = whole.shape[2:]
        tokens = packed(whole)
        tokens = torch.cat([tokens, self.shown[tile].to(tokens)], 2)
        made = unpacked(self._predicted(tokens, position_ids(height, width), t), height, width)
        if not self.rows:
            return made
        panels = [panel for row in made.chunk(self.rows, 2) for panel in row.chunk(2, 3)]
        return torch.cat(panels, 1)


def laid_out(panels: Sequence[torch.Tensor]) -> torch.Tensor:
    """Panels of one size (1, C, h, w), left and right of each row in turn, as one picture."""
    rows = [torch.cat(list(panels[at : at + 2]), 3) for at in range(0, len(panels), 2)]
    return torch.cat(rows, 2)


class KontextDenoiser(_Flux):
    """FLUX.1 Kontext. `source`: the source's scaled latent, a canvas."""

    def __init__(self, net: Any, words: Words, guidance: float, source: torch.Tensor) -> None:
        super().__init__(net, words, guidance)
        self.source = source

    def __call__(self, noisy: torch.Tensor, t: torch.Tensor, tile: Tile) -> torch.Tensor:
        """The velocity for one tile."""
        height, width = noisy.shape[2:]
        tokens = packed(noisy)
        source = packed(tile.of(self.source))
        ids = torch.cat([position_ids(height, width), position_ids(height, width, first=1)])
        made = self._predicted(torch.cat([tokens, source.to(tokens)], 1), ids, t)
        return unpacked(made[:, : tokens.shape[1]], height, width)


def diptych(drawing: Drawing) -> Pictures:
    """ICEdit: FLUX Fill sees source and drawing as one picture twice as wide, its right half
    masked; above them, a row each, edits before and after that it is to go by."""
    rows = len(drawing.examples) + 1
    words = words_of(drawing, sentence(drawing.prompt, rows))
    drawing.encoded()
    with drawing.coder() as codec:
        pixels = codec.pixels

        def shown(tile: Tile) -> torch.Tensor:
            left = tile.of(drawing.picture, pixels)
            size = (left.shape[2], left.shape[3])
            panels = [fitted(part, size) for pair in drawing.examples for part in pair]
            panels += [left, torch.zeros_like(left)]
            empty = torch.zeros_like(left[:, :1])
            mask = laid_out([*[empty] * (len(panels) - 1), torch.ones_like(empty)])
            masked = codec.scaled(codec.encoded_whole(laid_out(panels)))
            return torch.cat([packed(masked), packed_mask(mask, pixels).to(masked)], 2)

        tiles = {tile: shown(tile) for tile in drawing.tiling().tiles}
    with drawing.model.using("transformer") as net:
        denoise = FillDenoiser(net, words, drawing.settings.guidance.text, tiles, rows)
        made = drawing.sampled(
            denoise,
            drawing.model.scheduler(drawing.settings.scheduler),
            drawing.tile_tokens(2 * rows),
            copies=2 * rows,
        )
    return pictures_of(drawing, made)


def sentence(prompt: str, rows: int) -> str:
    """What ICEdit is told, of one pair or of several."""
    return DIPTYCH.format(prompt) if rows == 1 else GRID.format(rows, prompt)


def fitted(picture: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """All of a picture (1, 3, h, w) at a panel's size, whatever its aspect."""
    if tuple(picture.shape[2:]) == size:
        return picture
    found = functional.interpolate(
        picture, size, mode="bicubic", antialias=True, align_corners=False
    )
    return found.clamp(-1, 1)


def kontext(drawing: Drawing) -> Pictures:
    """FLUX Kontext: the source's tokens stand behind those that are drawn."""
    words = words_of(drawing, drawing.prompt)
    drawing.encoded()
    assert drawing.latent is not None
    with drawing.model.using("transformer") as net:
        denoise = KontextDenoiser(net, words, drawing.settings.guidance.text, drawing.latent)
        made = drawing.sampled(
            denoise, drawing.model.scheduler(drawing.settings.scheduler), drawing.tile_tokens()
        )
    return pictures_of(drawing, made)


def words_of(drawing: Drawing, prompt: str) -> Words:
    """The prompt as the model's own readers read it."""
    model = drawing.model
    with (
        model.reader("text_encoder", "tokenizer", 77) as clip,
        model.reader("text_encoder_2", "tokenizer_2", T5_TOKENS["flux"]) as t5,
    ):
        drawing.told_of_cut(t5, prompt)
        return flux_words(clip, t5, prompt)


def flux_words(clip: Reader, t5: Reader, text: str) -> Words:
    """As FLUX reads: T5's states, CLIP's pooled vector."""
    pooled = clip.net(clip.ids(text)[0]).pooler_output
    return Words(t5.net(t5.ids(text)[0])[0], None, pooled)


FAMILY = Family(
    id="flux",
    classes={
        "FluxTransformer2DModel": "diffusers",
        "AutoencoderKL": "diffusers",
        "CLIPTextModel": "transformers",
        "T5EncoderModel": "transformers",
    },
    recipes={
        "diptych": Recipe(diptych, instructs=True, cell_px=16, by_example=True),
        "kontext": Recipe(kontext, instructs=True, cell_px=16),
    },
    solvers=schedules.FLOW,
)
