"""Text edit by single-image diffusion: words choose the content, and, where an image-text model is
there, guide each step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from ..contract.editors import EditorInfo, Option
from ..ground.errors import CannotEdit, ModelNotNamed
from ..models import scene_words, weights
from ..models.guidance import TextGuide
from ..models.image_text import WHERE
from ..models.noise import AnchoredNoise
from ..models.patch_denoiser import best_device
from ..models.patch_modes import layout_kept, restyled
from ..models.patch_sampler import Draw, Schedule, Source, sample
from ..synthesis.fill import FillSettings, Prepared, fill, prepared, settled
from ..synthesis.pyramid import Level
from ..synthesis.scaling import Scaling
from .base import LAND_COVERS, Editor, OnStep, Patch, Scene, thick_enough
from .guided import (
    OPTIONS,
    guide_of,
    model_of,
    record_of,
    sentences_of,
    shown_of,
    similarity,
    steering_of,
)

NEW = "new content"
LAYOUT = "same layout"
STYLE = "style"
EXEMPLARS = "exemplars"
DIFFUSION = "patch diffusion"
FEWEST_PIXELS = 600
APART = 7919
"""Between the seeds of candidates."""


class TextEdit(Editor):
    """Han et al.'s editing with the closed-form denoiser in SinDDM's place."""

    tile_px = 1024
    bytes_a_pixel = 1000
    reads_text = True
    info = EditorInfo(
        id="text",
        title="Text edit",
        description="Puts into the polygon what the words say: from windows of the layer that "
        "look like them, or from an "
        "exemplar; with CLIP or RemoteCLIP on this machine the words guide every step, also in "
        "the layout that is there.",
        engine="exemplar-based synthesis, or single-image diffusion in closed form",
        needs=("prompt", "exemplar?"),
        options=(
            Option(
                "mode",
                "string",
                NEW,
                "What to do",
                choices=(NEW, LAYOUT, STYLE),
                help="New content in the polygon; or the same layout in another look (the whole "
                "picture: draw a polygon "
                "around it); or another style. The last two need an image-text model.",
            ),
            Option(
                "content",
                "string",
                EXEMPLARS,
                "New content by",
                choices=(EXEMPLARS, DIFFUSION),
                help="Exemplars are copied coherently and stay sharp; patch diffusion draws a "
                "new sample of them, which "
                "the words can guide, and is smoother.",
            ),
            Option(
                "word",
                "string",
                "",
                "Find in the layer",
                choices=("", *LAND_COVERS),
                help="The land cover to look for where no exemplar is drawn and no image-text "
                "model is named; empty: as "
                "the prompt says.",
            ),
            Option(
                "change",
                "number",
                0.5,
                "How much is drawn anew",
                minimum=0.05,
                maximum=0.95,
                help="With the same layout and for a style: the noise level that the picture is "
                "taken back to.",
            ),
            Option(
                "share",
                "number",
                0.5,
                "Share that may change",
                minimum=0.02,
                maximum=1.0,
                help="With the same layout and for a style: of the polygon, where the words have "
                "most say.",
            ),
            Option(
                "candidates",
                "integer",
                1,
                "Candidates",
                minimum=1,
                maximum=8,
                help="So many are drawn; the one that fits the words best is kept: by the second "
                "image-text model, else "
                "the first, else by scene agreement.",
            ),
            Option(
                "keep_objects",
                "boolean",
                False,
                "Keep objects whole",
                help="For buildings, cars and rows.",
            ),
            Option(
                "outline_px",
                "number",
                4.0,
                "Natural outline",
                minimum=0.0,
                maximum=64.0,
                unit="px",
                help="How far the new content may stay inside the polygon, so that its shape "
                "does not show.",
            ),
            Option(
                "resampling",
                "integer",
                1,
                "Turns a step",
                minimum=1,
                maximum=8,
                help="Patch diffusion takes each step so often, with fresh noise in between "
                "(RePaint): slower, smoother.",
            ),
            *OPTIONS,
        ),
    )

    def tiled_by(self, options: Mapping[str, Any]) -> int:
        """What is copied coherently has no seams of its own, so that it gets none of tiles
        either."""
        return 0 if options["mode"] == NEW and options["content"] == EXEMPLARS else self.tile_px

    def feathers(self, options: Mapping[str, Any]) -> bool:
        """New content makes its own rim; in the other modes nothing moves, and a soft edge does no
        harm."""
        return options["mode"] != NEW

    def searches(self, options: Mapping[str, Any]) -> bool:
        """For new content."""
        return options["mode"] == NEW

    def context_px(self, side_px: int) -> int:
        """Enough to find transitions like the one the rim needs."""
        return 64

    def edit(
        self, scene: Scene, prompt: str, options: Mapping[str, Any], seed: int, on_step: OnStep
    ) -> np.ndarray:
        """Draw the candidates and return the best."""
        sentences = sentences_of(prompt, options)
        mode = options["mode"]
        # More than one only where they differ and something can tell which is best.
        drawn_anew = mode == NEW
        count = options["candidates"] if drawn_anew and _has_judge(scene, options["word"]) else 1
        exemplars = thick_enough(scene.exemplars)
        _check(mode, exemplars, scene, options)
        drawn: list[np.ndarray] = []
        about: list[dict[str, Any]] = []
        for number in range(count):

            def step(done: int, total: int, number: int = number) -> None:
                on_step(
                    number * total + done,
                    count * total,
                    None,
                    f"candidate {number + 1} of {count}" if count > 1 else "",
                )

            work = _Work(scene, sentences, options, seed + APART * number, step)
            picture, guide = work.new(exemplars) if mode == NEW else work.redrawn()
            drawn.append(picture)
            about.append(record_of(guide))
        scores, judge = (
            _scores(scene, drawn, sentences, options["word"]) if count > 1 else ([0.0], "")
        )
        best = int(np.argmax(scores))
        facts = {**about[best], "sentences": sentences}
        if judge:
            facts |= {"candidates": [round(score, 4) for score in scores], "ranked_by": judge}
        on_step(1, 1, drawn[best], "", facts)
        return drawn[best]


def _check(mode: str, exemplars: Sequence[Patch], scene: Scene, options: Mapping[str, Any]) -> None:
    guided = options["guidance"] > 0 and weights.chosen("image-text")
    if mode == NEW and sum(int(p.usable.sum()) for p in exemplars) < FEWEST_PIXELS:
        raise CannotEdit(
            f"New content needs an exemplar of at least {FEWEST_PIXELS} usable pixels. Draw a "
            "larger area, or name "
            "a land cover that the layer shows."
        )
    if mode != NEW and not guided:
        why = "guidance is 0" if weights.chosen("image-text") else "none is named"
        raise ModelNotNamed(
            f"The mode '{mode}' is guided by an image-text model, and {why}. {WHERE}"
        )
    if mode != NEW and scene.valid.sum() < FEWEST_PIXELS:
        raise CannotEdit(
            f"The window holds {int(scene.valid.sum())} valid pixels; {FEWEST_PIXELS} are needed."
        )


class _Work:
    """One candidate."""

    def __init__(
        self,
        scene: Scene,
        sentences: Sequence[str],
        options: Mapping[str, Any],
        seed: int,
        on_step: Callable[[int, int], None],
    ) -> None:
        self.scene = scene
        self.sentences = sentences
        self.options = options
        self.seed = seed
        self.on_step = on_step
        self.window = Level(scene.image, scene.mask, scene.valid)

    def new(self, exemplars: Sequence[Patch]) -> tuple[np.ndarray, TextGuide | None]:
        """New content: copied coherently, or sampled with the exemplars' patches weighted by how
        well they fit."""
        options = self.options
        usable = [(p.image, p.usable) for p in exemplars]
        if options["content"] == EXEMPLARS:
            settings = FillSettings(options["keep_objects"], options["outline_px"])
            return fill(self.window, usable, self.seed, settings, self.on_step), None
        ready = prepared(self.window, usable)
        guide = guide_of(
            shown_of(self.scene, ready.scaling),
            self.sentences,
            options,
            steering_of(options),
            self.seed,
        )
        shape = self.scene.mask[ready.box].shape
        blank = Level(
            np.zeros((len(self.scene.image), *shape), np.float32),
            np.ones(shape, bool),
            np.zeros(shape, bool),
        )
        top = self.scene.origin[0] + ready.box[0].start
        left = self.scene.origin[1] + ready.box[1].start
        draw = Draw(AnchoredNoise(self.seed, (top, left)), best_device(), self.on_step, guide)
        synthetic = sample(
            blank, 1.0, draw, Schedule(turns=options["resampling"]), _source(ready, exemplars)
        )
        out = settled(
            self.window, ready, synthetic, options["outline_px"], np.random.default_rng(self.seed)
        )
        return out, guide

    def redrawn(self) -> tuple[np.ndarray, TextGuide | None]:
        """The same layout, or another style, from the picture's own patches."""
        options = self.options
        scene = self.scene
        scaling = Scaling.of(scene.image, scene.valid)
        style = options["mode"] == STYLE
        strength = options["change"] * (0.6 if style else 1.0)
        # A style is pulled three times as hard, as published, and its strength falls with the
        # noise.
        how = steering_of(
            options,
            strength=options["guidance"] * (3 if style else 1),
            share=options["share"],
            patience=0,
            momentum=options["momentum"] * (0.25 if style else 1),
            fade_from=strength if style else 0.0,
        )
        sentences = (
            [f"{sentence} Style" for sentence in self.sentences] if style else self.sentences
        )
        guide = guide_of(shown_of(scene, scaling), sentences, options, how, self.seed)
        draw = Draw(AnchoredNoise(self.seed, scene.origin), best_device(), self.on_step, guide)
        window = Level(scaling.scaled(scene.image), scene.mask, scene.valid)
        drawn = restyled(window, strength, draw) if style else layout_kept(window, strength, draw)
        return np.where(scene.mask, scaling.restored(drawn), scene.image).astype(np.float32), guide


def _source(ready: Prepared, exemplars: Sequence[Patch]) -> Source:
    prior = np.array([p.log_weight for p in exemplars], np.float32)[ready.owner]
    return Source(ready.bank.image, ready.bank.usable, prior if prior.any() else None)


def _has_judge(scene: Scene, word: str) -> bool:
    """Whether anything can tell which of several candidates fits best."""
    if model_of("second-image-text") is not None or model_of() is not None:
        return True
    return (
        word in scene_words.words()
        and scene.gsd_m <= 1.0
        and {"red", "green", "blue"} <= set(scene.roles)
    )


def _scores(
    scene: Scene, drawn: Sequence[np.ndarray], sentences: Sequence[str], word: str
) -> tuple[list[float], str]:
    """How well each candidate fits the words, by the most independent judge there is, and that
    judge's name."""
    model = model_of("second-image-text") or model_of()
    if model is not None:
        return [similarity(model, scene, picture, sentences) for picture in drawn], model.name
    if not _has_judge(scene, word):
        return [0.0] * len(drawn), ""
    windows = np.stack([_window(scene, picture) for picture in drawn])
    scores = scene_words.agreement(scene_words.features(windows))[
        :, scene_words.words().index(word)
    ]
    return [
        float(score) for score in scores
    ], "scene agreement (the network that found the exemplars)"


def _window(scene: Scene, picture: np.ndarray) -> np.ndarray:
    """The middle of the edited area as the scene network sees it: 38 m in 64 pixels."""
    rows, cols = np.nonzero(scene.mask)
    half = max(8, round(scene_words.WINDOW_PX * scene_words.GSD_M / scene.gsd_m / 2))
    row = int(rows.mean())
    col = int(cols.mean())
    cut = picture[
        [scene.roles.index(r) for r in ("red", "green", "blue")],
        max(0, row - half) : row + half,
        max(0, col - half) : col + half,
    ]
    side = (scene_words.WINDOW_PX,) * 2
    seen = functional.interpolate(
        torch.from_numpy(np.ascontiguousarray(cut))[None], side, mode="bilinear", antialias=True
    )
    return (seen[0].clamp(0, 1) * 255).permute(1, 2, 0).numpy().astype(np.uint8)
