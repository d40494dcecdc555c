"""Drawing by a network that learns the window itself: SinDDM, the reference under Han et al.'s
editing; what the editors that use it share."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ..contract.editors import option
from ..ground.errors import CannotEdit
from ..ground.optional import best_device
from ..models.noise import AnchoredNoise
from ..models.sinddm import LARGEST_PX, Pyramid, working_size
from ..synthesis.copying import Source, copy
from ..synthesis.pyramid import Level
from ..synthesis.resampling import BILINEAR, BOX, LANCZOS, resized
from ..synthesis.scaling import Scaling
from .base import OnStep, Scene, thick_enough
from .guided import Guidance, GuidedOptions, sentences_of, shown_of, steering_of
from .models import Models
from .placing import PlacedOptions, set_out

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
FAST = "fast"
PUBLISHED = "published"


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
    recipe: str = option(
        "Recipe",
        FAST,
        choices=(FAST, PUBLISHED),
        help=(
            "Fast: crops, few levels, a rate that goes up and down once. Published: as SinDDM was "
            "trained, whole pictures 32 times a step (days without a GPU); 120,000 steps at width "
            "160 are its own."
        ),
    )
    eta: float = option(
        "Hold of copied content",
        0.8,
        minimum=0.0,
        maximum=1.0,
        help="Eta: how much of the estimate becomes the copied content at each step (equation 15).",
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
class LearnedVariationOptions(GuidedOptions, PlacedOptions, _OwnOptions):
    """Its own options, which come first in a form, those of what is copied, and of words that
    guide."""


class Learned:
    """Trains on the window once, keeps what it learned, samples inside the polygon. `models`: keep
    it; `title`: of the editor, for its errors."""

    def __init__(self, models: Models, title: str) -> None:
        self.models = models
        self.title = title

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
                f"{self.title} learns from a whole window of at least {SMALLEST_SIDE_PX} "
                f"pixels a side without large gaps; this one has {width} x {height}, "
                f"{scene.valid.mean():.0%} of it valid."
            )
        if height * width > LARGEST_PX * 4:
            raise CannotEdit(
                f"{width} x {height} pixels are more than {self.title} learns from (at most "
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
            laid, holes = _pasted(scene, options, seed, on_step)
            content = Pyramid.of(np.clip(scaling.scaled(laid), -1, 1), options.as_released).images
        known = Known(
            pyramid,
            tuple(_holes(holes, pyramid)),
            guide,
            content,
            len(pyramid) - 1 if mode == FINEST else 0,
            options.eta,
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
        from ..training.sinddm import PRESETS, Trainer

        recipe = replace(PRESETS[options.recipe], steps=options.steps, width=int(options.width))
        trainer = Trainer(pyramid, recipe, best_device())
        image = pyramid.images[-1]
        how = json.dumps([image.shape, options.as_released, recipe.told()])
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


def shrunk(scene: Scene) -> Scene:
    """A scene at the size that is learned; exemplars stay as they are."""
    shape = scene.mask.shape
    size = working_size(*shape)
    if size == shape:
        return scene
    share = resized(np.stack([scene.valid, scene.mask]).astype(np.float32), size, BOX)
    return replace(
        scene,
        image=resized(scene.filled(), size, LANCZOS),
        valid=share[0] > 0.5,
        mask=share[1] > 0.01,
        gsd_m=scene.gsd_m * (shape[0] * shape[1] / (size[0] * size[1])) ** 0.5,
    )


def _laid(scene: Scene, scaling: Scaling, drawn: np.ndarray) -> np.ndarray:
    return np.where(scene.mask, scaling.restored(drawn), scene.image).astype(np.float32)


def _pasted(
    scene: Scene, options: LearnedVariationOptions, seed: int, on_step: OnStep
) -> tuple[np.ndarray, np.ndarray]:
    """The image with an exemplar's content in the mask, and where it lies."""
    exemplars = thick_enough(scene.exemplars)
    if not exemplars:
        raise CannotEdit("This mode needs a source: draw the object to copy as the exemplar.")
    chosen = exemplars[seed % len(exemplars)]
    source = Source(chosen.image, chosen.usable).turned(options.turn_degrees, options.scale)
    window = Level(scene.image, scene.mask, scene.valid)
    return copy(set_out(window, source, options.count, on_step), source)


def _holes(mask: np.ndarray, pyramid: Pyramid) -> list[np.ndarray]:
    """The mask at each scale: a pixel is drawn where any of what it covers is."""
    share = mask[None].astype(np.float32)
    return [resized(share, level.shape[1:], BOX)[0] > 0.01 for level in pyramid.images]
