"""Text edit by single-image diffusion: words choose the content, and, where an image-text model is
there, guide each step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from ..contract.editors import EditorInfo, option
from ..ground.errors import BadRequest, CannotEdit, ModelNotNamed
from ..ground.optional import best_device, needed
from ..models.guidance import TextGuide
from ..models.image_text import WHERE
from ..models.noise import AnchoredNoise
from ..models.patch_modes import layout_kept, restyled
from ..models.patch_sampler import Draw, Schedule, Source, sample
from ..synthesis.fill import FillSettings, Prepared, fill, laid_into_hole, prepared
from ..synthesis.pyramid import Level
from ..synthesis.scaling import Scaling
from ..words.land_cover import SEARCHABLE
from .base import AUTOMATIC, Editor, Given, OnStep, Patch, Scene, thick_enough
from .candidates import APART
from .guided import Guidance, GuidedOptions, sentences_of, shown_of, steering_of, with_paraphrases
from .learned import FINEST, Learned, LearnedVariationOptions
from .learned import NEW as WHOLE
from .ranking import has_judge, ranked

NEW = "new content"
LAYOUT = "same layout"
STYLE = "style"
EXEMPLARS = "exemplars"
CLOSED = "closed form"
LEARNED = "learned"
DIFFUSION = "patch diffusion"
FEWEST_PIXELS = 600
"""Between the seeds of candidates."""


@dataclass(frozen=True)
class _OwnOptions:
    """What the words change, and by which content."""

    mode: str = option(
        "What to do",
        NEW,
        choices=(NEW, LAYOUT, STYLE),
        help=(
            "New content in the polygon; or the same layout in another look (the whole picture: "
            "draw a polygon around it); or another style. The last two need an image-text model."
        ),
    )
    content: str = option(
        "New content by",
        EXEMPLARS,
        choices=(EXEMPLARS, DIFFUSION),
        help=(
            "Exemplars are copied coherently and stay sharp; patch diffusion draws a new sample "
            "of them, which the words can guide, and is smoother."
        ),
    )
    word: str = option(
        "Find in the layer",
        "",
        choices=("", *SEARCHABLE),
        help=(
            "The land cover to look for where no exemplar is drawn and no image-text model is "
            "named; empty: as the prompt says."
        ),
    )
    change: float = option(
        "How much is drawn anew",
        0.5,
        minimum=0.05,
        maximum=0.95,
        help=(
            "With the same layout and for a style: the noise level that the picture is taken back "
            "to."
        ),
    )
    share: float = option(
        "Share that may change",
        0.5,
        minimum=0.02,
        maximum=1.0,
        help=(
            "With the same layout and for a style: of the polygon, where the words have most say."
        ),
    )
    candidates: int = option(
        "Candidates",
        1,
        minimum=1,
        maximum=8,
        help=(
            "So many are drawn; the one that fits the words best is kept: by the second "
            "image-text model, else the first, else by scene agreement."
        ),
    )
    keep_objects: bool = option("Keep objects whole", False, help="For buildings, cars and rows.")
    outline_px: float = option(
        "Natural outline",
        4.0,
        unit="px",
        minimum=0.0,
        maximum=64.0,
        help=(
            "How far the new content may stay inside the polygon, so that its shape does not show."
        ),
    )
    engine: str = option(
        "Drawn by",
        AUTOMATIC,
        choices=(AUTOMATIC, CLOSED, LEARNED),
        help=(
            "Closed form: the denoiser of the picture's own patches, in seconds. Learned: SinDDM, "
            "a network trained on the window first (minutes to hours, by its fast recipe); the "
            "words guide it, and of these options those of guidance count. 'Variation, learned' "
            "has all of its options. Automatic: as 'models set text-engine' says, else the closed "
            "form."
        ),
    )
    resampling: int = option(
        "Turns a step",
        1,
        minimum=1,
        maximum=8,
        help=(
            "Patch diffusion takes each step so often, with fresh noise in between (RePaint): "
            "slower, smoother."
        ),
    )


@dataclass(frozen=True)
class TextOptions(GuidedOptions, _OwnOptions):
    """Its own options, which come first in a form, and those of words that guide."""


class TextEdit(Editor[TextOptions]):
    """Han et al.'s editing with the closed-form denoiser in SinDDM's place."""

    Options = TextOptions

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
    )

    def tiled_by(self, options: TextOptions) -> int:
        """What is copied coherently has no seams of its own, so that it gets none of tiles
        either."""
        return 0 if options.mode == NEW and options.content == EXEMPLARS else self.tile_px

    def feathers(self, options: TextOptions) -> bool:
        """New content makes its own rim; in the other modes nothing moves, and a soft edge does no
        harm."""
        return options.mode != NEW

    def searches(self, options: TextOptions) -> bool:
        """Whether windows that fit the words are looked for: for new content alone, which is not
        what a network of the window draws."""
        return options.mode == NEW and self._engine(options) != LEARNED

    def _engine(self, options: TextOptions) -> str:
        """What draws, by the option or by the setting; raises BadRequest for one there is not."""
        if options.engine != AUTOMATIC:
            return options.engine
        engine = self.models.chosen("text-engine") or CLOSED
        if engine not in (CLOSED, LEARNED):
            raise BadRequest(
                f"models set text-engine: '{engine[:40]}' is neither '{CLOSED}' nor '{LEARNED}'."
            )
        return engine

    def with_word(self, options: TextOptions, word: str, objects: bool | None) -> TextOptions:
        """The land cover that is looked for, and whether its objects are kept whole."""
        keep = options.keep_objects if objects is None else objects
        return replace(options, word=word, keep_objects=keep)

    def resolve(self, options: TextOptions, given: Given) -> TextOptions:
        """With the sentences that guide, and what draws."""
        engine = self._engine(options)
        if engine == LEARNED:
            needed("torch")
        return with_paraphrases(self.models, replace(options, engine=engine), given.prompt)

    def context_px(self, side_px: int) -> int:
        """Enough to find transitions like the one the rim needs."""
        return 64

    def edit(
        self, scene: Scene, prompt: str, options: TextOptions, seed: int, on_step: OnStep
    ) -> np.ndarray:
        """Draw the candidates and return the best."""
        if self._engine(options) == LEARNED:
            return self._learned(scene, prompt, options, seed, on_step)
        sentences = sentences_of(prompt, options)
        mode = options.mode
        # More than one only where they differ and something can tell which is best.
        drawn_anew = mode == NEW
        judged = drawn_anew and has_judge(self.models, scene, options.word)
        count = options.candidates if judged else 1
        exemplars = thick_enough(scene.exemplars)
        self._check(exemplars, scene, options)
        guidance = Guidance(self.models.image_text() if options.guidance > 0 else None, options)
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

            work = _Candidate(scene, sentences, guidance, seed + APART * number, step)
            picture, guide = work.new(exemplars) if mode == NEW else work.redrawn()
            drawn.append(picture)
            about.append(guidance.record(guide))
        scores = [0.0]
        judge = ""
        if count > 1:
            scores, judge = ranked(self.models, scene, drawn, sentences, options.word)
        best = int(np.argmax(scores))
        facts = {**about[best], "sentences": sentences}
        if judge:
            facts |= {"candidates": [round(score, 4) for score in scores], "ranked_by": judge}
        on_step(1, 1, drawn[best], "", facts)
        return drawn[best]

    def _learned(
        self, scene: Scene, prompt: str, options: TextOptions, seed: int, on_step: OnStep
    ) -> np.ndarray:
        """By SinDDM itself, guided by the same words."""
        shared = {one.name: getattr(options, one.name) for one in fields(GuidedOptions)}
        mode = FINEST if options.mode == STYLE else WHOLE
        learned = LearnedVariationOptions(**shared, mode=mode, share=options.share)
        return Learned(self.models, self.info.title).edit(scene, prompt, learned, seed, on_step)

    def _check(self, exemplars: Sequence[Patch], scene: Scene, options: TextOptions) -> None:
        """Raise where there is too little ground, or nothing that guides a mode that needs it."""
        mode = options.mode
        if mode == NEW:
            if sum(int(p.usable.sum()) for p in exemplars) < FEWEST_PIXELS:
                raise CannotEdit(
                    f"New content needs an exemplar of at least {FEWEST_PIXELS} usable pixels. "
                    "Draw a larger area, or name a land cover that the layer shows."
                )
            return
        named = self.models.chosen("image-text")
        if not (named and options.guidance > 0):
            why = "guidance is 0" if named else "none is named"
            raise ModelNotNamed(
                f"The mode '{mode}' is guided by an image-text model, and {why}. {WHERE}"
            )
        if scene.valid.sum() < FEWEST_PIXELS:
            raise CannotEdit(
                f"The window holds {int(scene.valid.sum())} valid pixels; {FEWEST_PIXELS} are "
                "needed."
            )


class _Candidate:
    """One candidate being drawn: the scene, the sentences, what guides, and its seed."""

    def __init__(
        self,
        scene: Scene,
        sentences: Sequence[str],
        guidance: Guidance[TextOptions],
        seed: int,
        on_step: Callable[[int, int], None],
    ) -> None:
        self.scene = scene
        self.sentences = sentences
        self.guidance = guidance
        self.seed = seed
        self.on_step = on_step
        self.window = Level(scene.image, scene.mask, scene.valid)

    def new(self, exemplars: Sequence[Patch]) -> tuple[np.ndarray, TextGuide | None]:
        """New content: copied coherently, or sampled with the exemplars' patches weighted by how
        well they fit."""
        options = self.guidance.options
        usable = [(p.image, p.usable) for p in exemplars]
        if options.content == EXEMPLARS:
            settings = FillSettings(options.keep_objects, options.outline_px)
            return fill(self.window, usable, self.seed, settings, self.on_step).image, None
        ready = prepared(self.window, usable)
        shown = shown_of(self.scene, ready.scaling)
        guide = self.guidance.guide(shown, self.sentences, steering_of(options), self.seed)
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
            blank, 1.0, draw, Schedule(turns=options.resampling), _source(ready, exemplars)
        )
        out = laid_into_hole(
            self.window, ready, synthetic, options.outline_px, np.random.default_rng(self.seed)
        )
        return out, guide

    def redrawn(self) -> tuple[np.ndarray, TextGuide | None]:
        """The same layout, or another style, from the picture's own patches."""
        options = self.guidance.options
        scene = self.scene
        scaling = Scaling.of(scene.image, scene.valid)
        style = options.mode == STYLE
        strength = options.change * (0.6 if style else 1.0)
        # A style is pulled three times as hard, as published, and its strength falls with the
        # noise.
        how = steering_of(
            options,
            strength=options.guidance * (3 if style else 1),
            share=options.share,
            patience=0,
            fade_from=strength if style else 0.0,
        )
        sentences = (
            [f"{sentence} Style" for sentence in self.sentences] if style else self.sentences
        )
        guide = self.guidance.guide(shown_of(scene, scaling), sentences, how, self.seed)
        draw = Draw(AnchoredNoise(self.seed, scene.origin), best_device(), self.on_step, guide)
        window = Level(scaling.scaled(scene.image), scene.mask, scene.valid)
        drawn = restyled(window, strength, draw) if style else layout_kept(window, strength, draw)
        return np.where(scene.mask, scaling.restored(drawn), scene.image).astype(np.float32), guide


def _source(ready: Prepared, exemplars: Sequence[Patch]) -> Source:
    prior = np.array([p.log_weight for p in exemplars], np.float32)[ready.owner]
    return Source(ready.bank.image, ready.bank.usable, prior if prior.any() else None)
