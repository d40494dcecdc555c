"""Variation, and text edit, by a network that learns the window: SinDDM, the reference under Han et
al.'s editing."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..contract.editors import EditorInfo, option
from ..ground.errors import CannotEdit
from ..ground.optional import best_device, installed, needed, without
from ..models.noise import AnchoredNoise
from ..models.sinddm import LARGEST_PX, Pyramid
from ..synthesis.copying import Source, copy
from ..synthesis.pyramid import Level
from ..synthesis.resampling import BILINEAR, BOX, resized
from ..synthesis.scaling import Scaling
from .base import Editor, Given, OnStep, Scene, thick_enough
from .guided import Guidance, GuidedOptions, sentences_of, shown_of, steering_of, with_paraphrases

if TYPE_CHECKING:
    from ..models.sinddm_network import SinDDMNet

NEW = "new content"
CONTENT = "copied content"
FINEST = "finest scale"
SMALLEST_SIDE_PX = 64
PREVIEW_EVERY = 100
"""Training steps between two samples of the coarsest scale, which cost some seconds."""
FIRST_PREVIEW = 10
"""The step of the first one at the latest; a short training shows it within its first percent."""


@dataclass(frozen=True)
class _OwnOptions:
    """How the network is trained and what it draws."""

    mode: str = option(
        "What to do",
        NEW,
        choices=(NEW, CONTENT, FINEST),
        help=(
            "Draw the polygon anew; settle an exemplar's content in it (as Copy does); or draw "
            "the finest scale only: without words it harmonises, with them it restyles."
        ),
    )
    share: float = option(
        "Share that may change",
        1.0,
        minimum=0.02,
        maximum=1.0,
        help="With words: of the polygon, where they have most say.",
    )
    steps: int = option(
        "Training steps",
        30_000,
        minimum=1,
        maximum=200_000,
        help=(
            "A fifth of a second each at width 64 on one processor core; the reference takes "
            "120,000. Stopped, it goes on."
        ),
    )
    width: str = option(
        "Width of the network",
        "64",
        choices=("32", "64", "96", "160"),
        help="160 is the reference's 1.1 million parameters.",
    )
    as_released: bool = option(
        "Scales begin as in the released code",
        False,
        help=(
            "Which measures the blurring of each scale on bytes that wrap around, instead of by a "
            "constant."
        ),
    )
    checkpoint: str = option(
        "Trained network",
        "",
        help=(
            "Name of a file in the folder models/sinddm of the server's home, ours or the "
            "reference's model-*.pt; empty: train on this window."
        ),
    )


@dataclass(frozen=True)
class LearnedVariationOptions(GuidedOptions, _OwnOptions):
    """Its own options, which come first in a form, and those of words that guide."""


class LearnedVariation(Editor[LearnedVariationOptions]):
    """Trains on the window once, keeps what it learned, samples inside the polygon."""

    Options = LearnedVariationOptions

    info = EditorInfo(
        id="sinddm",
        title="Variation, learned",
        description="Redraws the polygon with a network that is trained on the window first: "
        "minutes to hours without a GPU, "
        "kept for the next time. The published reference: few steps give coloured blobs, "
        "Variation does better in "
        "seconds. With a prompt and an image-text model the words guide it.",
        engine="SinDDM (single-image denoising diffusion, trained on this window)",
        needs=("prompt?", "exemplar?"),
    )

    def missing(self) -> str:
        """What to do where networks cannot be trained."""
        return "" if installed("torch") else without("torch")

    def check(self, prompt: str, options: LearnedVariationOptions) -> None:
        """Raise NotInstalled where networks cannot be trained."""
        needed("torch")

    def resolve(self, options: LearnedVariationOptions, given: Given) -> LearnedVariationOptions:
        """With the sentences that guide."""
        return with_paraphrases(self.models, options, given.prompt)

    def context_px(self, side_px: int) -> int:
        """The window is all it learns from."""
        return max(64, side_px // 2)

    def edit(
        self,
        scene: Scene,
        prompt: str,
        options: LearnedVariationOptions,
        seed: int,
        on_step: OnStep,
    ) -> np.ndarray:
        """Train or go on training, then sample inside the mask."""
        height, width = scene.mask.shape
        if min(height, width) < SMALLEST_SIDE_PX or scene.valid.mean() < 0.9:
            raise CannotEdit(
                f"{self.info.title} learns from a whole window of at least {SMALLEST_SIDE_PX} "
                f"pixels a side without large gaps; this one has {width} x {height}, "
                f"{scene.valid.mean():.0%} of it valid."
            )
        if height * width > LARGEST_PX * 4:
            raise CannotEdit(
                f"{width} x {height} pixels are more than {self.info.title} learns from (at most "
                f"{LARGEST_PX * 4:,}). Choose a smaller polygon, or Variation."
            )
        scaling = Scaling.of(scene.image, scene.valid)
        image = np.clip(scaling.scaled(scene.filled()), -1, 1)
        pyramid = Pyramid.of(image, options.as_released)
        guidance = Guidance(self.models.image_text() if options.guidance > 0 else None, options)
        guide = None
        if prompt.strip():
            how = steering_of(options, share=options.share)
            sentences = sentences_of(prompt, options)
            guide = guidance.guide(shown_of(scene, scaling), sentences, how, seed)
        from ..models.sinddm_sampler import Known, sample  # PyTorch's, which not everyone has

        mode = options.mode
        holes = scene.mask
        content: tuple[np.ndarray, ...] = ()
        if mode == CONTENT:
            laid, holes = _pasted(scene, seed)
            content = Pyramid.of(np.clip(scaling.scaled(laid), -1, 1), options.as_released).images
        known = Known(
            pyramid,
            tuple(_holes(holes, pyramid)),
            guide,
            content,
            len(pyramid) - 1 if mode == FINEST else 0,
        )
        noise = AnchoredNoise(seed, scene.origin)
        if options.checkpoint:
            net = self._named(options.checkpoint, image.shape[0])
            before = 0
        else:
            net = self._trained(scene, scaling, pyramid, options, on_step)
            before = options.steps

        def step(done: int, total: int) -> None:
            on_step(before + done, before + total)

        drawn = sample(net, known, noise, step)
        on_step(1, 1, None, "", guidance.record(guide))
        return np.where(holes, _laid(scene, scaling, drawn), scene.image).astype(np.float32)

    def _named(self, name: str, bands: int) -> SinDDMNet:
        """A trained network of the folder for them; raises WeightsMissing."""
        from ..training.sinddm import network_of

        net = network_of(self.models.folder.named("sinddm", name)).to(best_device())
        if net.final_conv[0].out_channels != bands:
            raise CannotEdit(
                f"checkpoint: {name[:80]} was trained on {net.final_conv[0].out_channels} bands, "
                f"the layer has {bands}."
            )
        return net

    def _trained(
        self,
        scene: Scene,
        scaling: Scaling,
        pyramid: Pyramid,
        options: LearnedVariationOptions,
        on_step: OnStep,
    ) -> SinDDMNet:
        """The network of this window: learned so far, and on to the last step."""
        from ..models.sinddm_sampler import Known, count_steps, sample
        from ..training.sinddm import Recipe, Trainer

        recipe = Recipe(steps=options.steps, width=int(options.width))
        trainer = Trainer(pyramid, recipe, best_device())
        image = pyramid.images[-1]
        how = json.dumps([image.shape, options.as_released, asdict(recipe)])
        path = self.models.folder.cached("sinddm", image.tobytes(), how.encode())
        trainer.resume(path)
        whole = Known(pyramid, tuple(np.ones(level.shape[1:], bool) for level in pyramid.images))
        total = recipe.steps + count_steps(pyramid)
        first = trainer.step + max(1, min(FIRST_PREVIEW, recipe.steps // 100))

        def told(step: int, _: int, loss: float) -> None:
            shown = None
            if step == first or (step > first and step % PREVIEW_EVERY == 0):
                coarse = sample(trainer.mean, whole, AnchoredNoise(0, scene.origin), scales=1)
                shown = _laid(scene, scaling, resized(coarse, scene.mask.shape, BILINEAR))
            on_step(step, total, shown, f"training, loss {loss:.3f}")

        return trainer.run(path, told)


def _laid(scene: Scene, scaling: Scaling, drawn: np.ndarray) -> np.ndarray:
    return np.where(scene.mask, scaling.restored(drawn), scene.image).astype(np.float32)


def _pasted(scene: Scene, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The image with an exemplar's content in the mask, and where it lies."""
    exemplars = thick_enough(scene.exemplars)
    if not exemplars:
        raise CannotEdit("This mode needs a source: draw the object to copy as the exemplar.")
    source = exemplars[seed % len(exemplars)]
    window = Level(scene.image, scene.mask, scene.valid)
    return copy(window, Source(source.image, source.usable))


def _holes(mask: np.ndarray, pyramid: Pyramid) -> list[np.ndarray]:
    """The mask at each scale: a pixel is drawn where any of what it covers is."""
    share = mask[None].astype(np.float32)
    return [resized(share, level.shape[1:], BOX)[0] > 0.01 for level in pyramid.images]
