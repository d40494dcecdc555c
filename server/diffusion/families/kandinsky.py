"""Kandinsky 2.2: a U-Net that reads image embeddings, which a prior makes of the words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...ground.optional import torch
from ...models import lazy
from .. import schedules
from ..branches import Branch, Guided, Words, stacked
from ..drawing import Drawing
from ..guidance import FULL, NONE, FreeGuidance
from ..text import Reader
from ..tiles import Tile
from .family import Family, Pictures, Recipe, pictures_of

TOKENS = 77


class KandinskyDenoiser(Guided):
    """Kandinsky 2.2's decoder: `words.pooled` are image embeddings of its prior; shown are masked
    latent and mask.

    Its output holds a variance behind the noise; `keeps_variance` where the schedule takes it
    (DDPM, learned range), of the worded branch.
    """

    def __init__(
        self,
        net: Any,
        branches: Sequence[Branch],
        guidance: FreeGuidance,
        keeps_variance: bool,
        batched_guidance: bool = True,
    ) -> None:
        super().__init__(net, branches, guidance, batched_guidance)
        self.keeps_variance = keeps_variance

    def _predicted(
        self, batch: Sequence[Branch], noisy: torch.Tensor, t: torch.Tensor, tile: Tile
    ) -> torch.Tensor:
        inputs = torch.cat([branch.with_condition(noisy, tile) for branch in batch])
        states, told = self._told(batch, inputs)
        return self.net(
            sample=inputs,
            timestep=t.to(inputs.device),
            encoder_hidden_states=states,
            added_cond_kwargs=told,
            return_dict=False,
        )[0]

    def _told(
        self, batch: Sequence[Branch], like: torch.Tensor
    ) -> tuple[torch.Tensor | None, dict[str, Any]]:
        """What the network reads of the words: states of tokens, and vectors for all of them."""
        return None, {"image_embeds": stacked([branch.words.pooled for branch in batch], like)}

    def _combined(self, made: torch.Tensor) -> torch.Tensor:
        noise, variance = made.chunk(2, dim=1)
        noise = super()._combined(noise)
        return torch.cat([noise, variance[:1]], 1) if self.keeps_variance else noise


def inpainted(drawing: Drawing) -> Pictures:
    """Kandinsky 2.2: its prior makes an image embedding of the words; known ground, and which it is
    (1), behind the noise."""
    return filled(drawing, embeddings(drawing, "KandinskyV22PriorPipeline"), KandinskyDenoiser)


def filled(
    drawing: Drawing, words: Mapping[str, Words], denoiser: type[KandinskyDenoiser]
) -> Pictures:
    """The masked ground drawn with a decoder that reads the words so."""
    source = drawing.encoded(name="movq")
    cells = drawing.drawn if drawing.drawn is not None else torch.ones_like(source[:, :1])
    known = 1 - cells.to(source)
    shown = torch.cat([source * known, known], 1)
    scheduler = drawing.model.scheduler(drawing.settings.scheduler)
    learned = str(scheduler.config.get("variance_type", "")).startswith("learned")
    with drawing.model.using("unet") as net:
        branches = drawing.branches(words, dict.fromkeys((FULL, NONE), shown))
        made = drawing.sampled(
            denoiser(net, branches, drawing.settings.guidance, learned, drawing.batched_guidance),
            scheduler,
        )
    return pictures_of(drawing, made, name="movq")


def embeddings(drawing: Drawing, prior_class: str) -> dict[str, Words]:
    """Image embeddings of the words, by diffusers' pipeline of Kandinsky's prior (its class by
    name), whose parts lie together."""
    pipeline, schedule = lazy.parts("diffusers", prior_class, "UnCLIPScheduler")
    processor = lazy.parts("transformers", "CLIPImageProcessor")
    lazy.quiet_transformers()
    model = drawing.model
    how = drawing.settings
    tokens = model.tokens("tokenizer", TOKENS, "prior")
    drawing.told_of_cut(Reader(None, tokens, TOKENS))
    with (
        model.using("prior") as prior,
        model.using("image_encoder") as inputs,
        model.using("text_encoder", "prior") as read,
    ):
        pipe = pipeline(
            prior=prior,
            image_encoder=inputs,
            text_encoder=read,
            tokenizer=tokens,
            scheduler=schedule.from_pretrained(
                str(model.folder("scheduler", "prior")), local_files_only=True
            ),
            image_processor=processor.from_pretrained(
                str(model.folder("image_processor")), local_files_only=True
            ),
        )
        pipe.set_progress_bar_config(disable=True)
        made = pipe(
            drawing.prompt,
            negative_prompt=how.negative or None,
            num_inference_steps=min(25, max(how.steps, 2)),
            generator=torch.Generator().manual_seed(how.seed),
        )
    return {
        FULL: Words(made.image_embeds, None, made.image_embeds),
        NONE: Words(made.negative_image_embeds, None, made.negative_image_embeds),
    }


CLASSES = {
    "UNet2DConditionModel": "diffusers",
    "VQModel": "diffusers",
    "PriorTransformer": "diffusers",
    "CLIPTextModelWithProjection": "transformers",
    "CLIPVisionModelWithProjection": "transformers",
}
FAMILY = Family(
    id="kandinsky",
    classes=CLASSES,
    recipes={"inpaint": Recipe(inpainted, ("negative_prompt",), puts_back=True)},
    solvers=schedules.DIFFUSION,
    codec="movq",
)
