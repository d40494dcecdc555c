"""Kandinsky 2.1: as 2.2 (kandinsky.py), but that its decoder reads the words beside the prior's
image embedding, by a multilingual text encoder of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...ground.optional import torch
from .. import schedules
from ..branches import Branch, Words, stacked
from ..drawing import Drawing
from ..text import Reader
from .family import Family, Pictures, Recipe
from .kandinsky import CLASSES, TOKENS, KandinskyDenoiser, embeddings, filled


@dataclass(frozen=True)
class Worded(Words):
    """A text as Kandinsky 2.1 reads it: `states` and `pooled` of its own text encoder, and `image`
    (1, P), what the prior made of it."""

    image: torch.Tensor | None = None


class WordedDenoiser(KandinskyDenoiser):
    """Kandinsky 2.1's decoder, told words (`Worded`) and image embedding."""

    def _told(
        self, batch: Sequence[Branch], like: torch.Tensor
    ) -> tuple[torch.Tensor | None, dict[str, Any]]:
        words = [branch.words for branch in batch]
        return stacked([one.states for one in words], like), {
            "text_embeds": stacked([one.pooled for one in words], like),
            "image_embeds": stacked(
                [one.image if isinstance(one, Worded) else None for one in words], like
            ),
        }


def inpainted(drawing: Drawing) -> Pictures:
    """The prior makes an image embedding of the words, the decoder reads both; known ground, and
    which it is (1), behind the noise."""
    images = embeddings(drawing, "KandinskyPriorPipeline")
    with drawing.model.reader("text_encoder", "tokenizer", TOKENS) as reader:
        drawing.told_of_cut(reader)
        words = drawing.words(lambda text: worded(reader, text))
    both: dict[str, Words] = {
        name: Worded(one.states, one.mask, one.pooled, images[name].pooled)
        for name, one in words.items()
    }
    return filled(drawing, both, WordedDenoiser)


def worded(reader: Reader, text: str) -> Words:
    """A text as Kandinsky 2.1's multilingual encoder reads it: the mean of its states, brought to
    the space of CLIP, and the states."""
    ids, mask = reader.ids(text)
    pooled, states = reader.net(input_ids=ids, attention_mask=mask)
    return Words(states, None, pooled)


FAMILY = Family(
    id="kandinsky21",
    classes={
        **CLASSES,
        "MultilingualCLIP": "diffusers.pipelines.kandinsky.text_encoder",
    },
    recipes={"inpaint": Recipe(inpainted, ("negative_prompt",))},
    solvers=schedules.DIFFUSION,
    codec="movq",
)
