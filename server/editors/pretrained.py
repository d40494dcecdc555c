"""Editors with pretrained networks that the user brings: options, the way to the model's grid and
back, the run, the record. Which there are is in the catalogue; how each draws, in its family."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..contract.editors import EditorInfo, options_of
from ..diffusion.components import Model, release
from ..diffusion.drawing import Drawing, Settings
from ..diffusion.families import Recipe, family
from ..diffusion.guidance import FreeGuidance
from ..ground.errors import BadRequest, CannotEdit, ModelNotNamed, ServerError, UnknownModel
from ..ground.optional import functional, installed, torch, without
from ..store.catalogue import EditorEntry, Entry
from ..store.installed import config_of
from . import scenario_prompts
from .base import Drawn, Editor, Facts, Given, OnStep, Scene
from .candidates import best_of
from .frame import FIT, Frame, Grid, widened
from .models import Models
from .pretrained_options import AS_PUBLISHED, FAST, NOT_FOR_ALL, P, PretrainedOptions
from .ranking import check_judge, judged

FEWEST_PX = 16
FINER_STRENGTH = 0.6
"""How much ground that is made finer may change, 0 to 1: what is coarser stays, detail comes."""


@dataclass(frozen=True)
class Sheet:
    """What is drawn on. `scene`: the window. `frame`: its way to the model's grid. `words`: the
    prompt and the scenario's. `seed`: same seed, same noise. `lays_over`: whether the source is
    kept around the polygons, as the product does; else as papers' code."""

    scene: Scene
    frame: Frame
    words: str
    seed: int
    lays_over: bool


class Pretrained(Editor[P]):
    """An editor whose network the user brings.

    `entry`: what the catalogue says of it. `recipe`: how it draws. `redraws_all`: whether the
    source is no part of what is drawn, so that nothing of it is kept around the polygons. `hides`:
    options that make no sense for it.
    """

    Options: type = PretrainedOptions
    redraws_all = False
    hides: tuple[str, ...] = ()
    soft_edge = True
    redraws_surroundings = True
    tile_px = 6144
    overlap_px = 512

    def __init__(self, models: Models, entry: EditorEntry) -> None:
        super().__init__(models)
        self.entry = entry
        self.recipe: Recipe = family(entry.family).recipes[entry.recipe]
        self.instructs = self.recipe.instructs
        self.info = self.about(entry)

    def about(self, entry: EditorEntry) -> EditorInfo:
        """What users are told of it."""
        hidden = {name for name in NOT_FOR_ALL if name not in self.recipe.takes} | {*self.hides}
        solvers = (AS_PUBLISHED, *family(entry.family).solvers)
        shown = [one for one in options_of(self.Options) if one.name not in hidden]
        return EditorInfo(
            id=entry.id,
            title=entry.title,
            description=entry.description,
            engine=entry.engine,
            bands="rgb",
            needs=("prompt?", "examples?") if self.recipe.by_example else ("prompt?",),
            licence=entry.licence,
            native_size_px=entry.native_size_px,
            weights=entry.weights,
            options=tuple(
                replace(one, choices=solvers) if one.name == "scheduler" else one for one in shown
            ),
        )

    def described(self) -> EditorInfo:
        """With the models that it can choose from."""
        try:
            there = self.models.store.installed(self.info.id)
        except ServerError as error:  # a store that cannot be read must not take the other editors
            return replace(self.info, missing=str(error))
        names = ("", *(entry.id for entry in there))
        return replace(
            self.info,
            options=tuple(
                replace(one, choices=names) if one.name == "model" else one
                for one in self.info.options
            ),
            missing=self.missing(),
        )

    def missing(self) -> str:
        """What to do where it has no model, or nothing to compute one with."""
        if not installed("torch"):
            return without("torch")
        return "" if self.models.store.installed(self.info.id) else self._nothing_here()

    def _nothing_here(self) -> str:
        names = ", ".join(self.info.weights)
        return f"No model of it is on the server's machine ({names}). See Models."

    def ready(self) -> bool:
        """Whether it has a model; not where the store cannot be read."""
        try:
            return not self.missing()
        except ServerError:
            return False

    def other_bands(self, options: P) -> str:
        """As the user says."""
        return options.other_bands

    def context_wanted(self, side_px: int, gsd_m: float, options: P) -> int:
        """Surroundings that fill the model's native size, and a quarter of the polygon where that
        is larger."""
        try:
            model = self.model_of(options)
        except (ModelNotNamed, UnknownModel, BadRequest):
            return 64
        grid = self.grid(model, options)
        native = round(model.native_px * grid.working_gsd(gsd_m) / max(gsd_m, 1e-9))
        return min(max(side_px // 4, (native - side_px + 1) // 2, 64), 2048)

    def model_of(self, options: P) -> Entry:
        """The model to use; raises ModelNotNamed with the ways to get one."""
        store = self.models.store
        serving = store.serving(self.info.id)
        if not options.model:
            there = store.installed(self.info.id)
            if not there:
                raise ModelNotNamed(
                    f"{self.info.title} has no model on this machine. "
                    f"{store.missing_reason(serving[0])}"
                )
            return there[0]
        found = store.entry(options.model)
        if self.info.id not in found.editors:
            names = ", ".join(entry.id for entry in serving)
            raise BadRequest(
                f"options.model: {found.title} is not for {self.info.title}; {names} are."
            )
        why = store.missing_reason(found)
        if why:
            raise ModelNotNamed(why)
        return found

    def check(self, prompt: str, options: P) -> None:
        """Raise where there is no model, or no word."""
        self.worded(prompt, options)
        self.model_of(options)
        if options.candidates > 1:
            check_judge(self.models, options.ranked_by)

    def resolve(self, options: P, given: Given) -> P:
        """With the model's name, by which the edit can be made again; ground that is made finer
        keeps what is coarser."""
        chosen = replace(options, model=self.model_of(options).id)
        if given.finer and "strength" in self.recipe.takes and not options.strength:
            chosen = replace(chosen, strength=FINER_STRENGTH)
        return chosen

    def grid(self, model: Entry, options: P) -> Grid:
        """What the model wants of the raster's grid."""
        low, high = model.gsd_m
        recipe = self._recipe_of(model)
        return Grid(model.native_px, recipe.cell_px, (low, high), recipe.square, options.gsd_m)

    def _recipe_of(self, model: Entry) -> Recipe:
        return family(model.family).recipes[self.entry.recipe]

    def edit(self, scene: Scene, prompt: str, options: P, seed: int, on_step: OnStep) -> np.ndarray:
        """Draw the window on the model's grid, and bring it back."""
        if min(scene.mask.shape) < FEWEST_PX:
            raise CannotEdit(
                f"The window has {scene.mask.shape[1]} x {scene.mask.shape[0]} pixels; "
                f"{self.info.title} needs {FEWEST_PX} a side."
            )
        entry = self.model_of(options)
        grid = self.grid(entry, options)
        frame = Frame.of(scene.mask.shape, scene.gsd_m, scene.aspect, grid)
        sheet = Sheet(scene, frame, self.worded(prompt, options), seed, True)
        made, seen = self._best(sheet, entry, options, on_step)
        detail = seen if options.keep_detail and "keep_detail" not in self.hides else None
        return self.returned(frame.back(made, detail, scene.image), scene)

    def _best(
        self, sheet: Sheet, entry: Entry, options: P, on_step: OnStep
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """What is drawn; of several candidates the best, by the named judge, who sees them as the
        model drew them."""
        if options.candidates == 1:
            return self._on(sheet, entry, options, on_step)
        mask = sheet.frame.mask(sheet.scene.mask)[0, 0].numpy() > 0

        def draw(seed: int, told: OnStep) -> tuple[torch.Tensor, torch.Tensor]:
            return self._on(replace(sheet, seed=seed), entry, options, told)

        def scored(drawn: tuple[torch.Tensor, torch.Tensor]) -> tuple[float | None, str]:
            after, before = ((part / 2 + 0.5).clamp(0, 1)[0].numpy() for part in drawn)
            return judged(self.models, options.ranked_by, (before, after, mask), sheet.words)

        return best_of(draw, scored, (sheet.seed, options.candidates), on_step)

    def own_picture(
        self, scene: Scene, prompt: str, options: P, seed: int, canvas: str = ""
    ) -> Drawn:
        """On the canvas of its paper's code (frame.CANVASES), all of it drawn; the mask is shown to
        networks that take one, and nothing of the source is laid over what they draw."""
        entry = self.model_of(options)
        canvas = canvas or str(entry.paper.get("canvas", FIT))
        frame = Frame.published(scene.mask.shape, scene.gsd_m, self.grid(entry, options), canvas)
        facts: dict[str, Any] = {"canvas": list(frame.outer)}

        sheet = Sheet(scene, frame, self.worded(prompt, options), seed, False)
        made, _ = self._best(sheet, entry, options, Facts(facts))
        return Drawn(np.asarray((made / 2 + 0.5).clamp(0, 1)[0].numpy(), np.float32), facts)

    def _on(
        self, sheet: Sheet, entry: Entry, options: P, on_step: OnStep
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw on a frame, and say how: what was drawn, and the source after the same way through
        the autoencoder (1, 3, h, w), both in [-1, 1]."""
        scene, frame = sheet.scene, sheet.frame
        settings = replace(self.settings(entry, options, sheet.seed), gsd_m=frame.gsd_m)
        words = self.composed(sheet.words, options, scene.gsd_m)
        found = self.grid(entry, options).note(scene.gsd_m, frame.gsd_m) if sheet.lays_over else ""
        notes = [found] if found else []
        model = self.models.warm.acquire(
            entry, options.precision, lambda note: on_step(0, settings.steps, None, note)
        )
        seen_as = self.pictured(scene)
        recipe = self._recipe_of(entry)
        with model.lock, torch.inference_mode():
            pixels = vae_scale_factor(model)
            around = 1 if sheet.lays_over else 0
            native = entry.native_px if sheet.lays_over else max(frame.outer)
            drawing = Drawing(
                model,
                words,
                frame.shown(seen_as),
                None if self.redraws_all else widened(frame.mask(scene.mask), pixels, around),
                settings,
                native // pixels,
                _shown(scene.mask, seen_as, frame, on_step),
                notes,
                keeps=sheet.lays_over or recipe.puts_back,
                examples=_as_canvases(scene.examples),
                origin=frame.place(scene.origin, pixels),
            )
            if options.compile and model.placement.device != "cpu":
                model.compiled(entry.lora if entry.parts[0] == "lora" else entry.parts[0])
            made, seen = self._drawn(drawing)
        self.models.warm.evict_idle()
        facts = {"prompt_used": words, **_record(settings, model, frame, scene), "notes": notes}
        on_step(1, 1, None, "", facts)
        return made, seen

    def _drawn(self, drawing: Drawing) -> tuple[torch.Tensor, torch.Tensor]:
        """What the recipe draws; raises CannotEdit where memory runs out, or numbers overflow."""
        title = drawing.model.entry.title
        try:
            made, seen = self._recipe_of(drawing.model.entry).draw(drawing)
        except RuntimeError as error:
            if isinstance(error, torch.OutOfMemoryError) or "allocate memory" in str(error):
                release()
                raise CannotEdit(
                    f"{title} ran out of memory. Close other programs, choose half precision, a "
                    "larger ground size to work at, or a smaller model."
                ) from error
            raise
        if not bool(torch.isfinite(made).all() and torch.isfinite(seen).all()):
            raise CannotEdit(
                f"{title} gave no numbers, which happens where half precision overflows. Choose "
                "bfloat16 or float32 as 'Precision'."
            )
        return made, seen

    def pictured(self, scene: Scene) -> np.ndarray:
        """The window as a picture (3, H, W) in [0, 1]."""
        return scene.filled()

    def returned(self, made: np.ndarray, scene: Scene) -> np.ndarray:
        """The bands that the editor gives, of the picture (3, H, W) that was drawn."""
        return made

    def worded(self, prompt: str, options: P) -> str:
        """The scenario's words and the user's; raises BadRequest where there are none."""
        ready = scenario_prompts.words_for(options.scenario, options.grade, self.instructs)
        words = " ".join(part for part in (ready, prompt.strip()) if part)
        if not words:
            raise BadRequest(f"prompt: empty. {self.info.title} needs words, or a scenario.")
        return words

    def composed(self, words: str, options: P, gsd_m: float) -> str:
        """The words as the model was trained to read them; `gsd_m` of a pixel of the raster."""
        return words

    def published(self, entry: Entry) -> Mapping[str, Any]:
        """The settings of the preset *paper*."""
        return entry.paper

    def settings(self, entry: Entry, options: P, seed: int) -> Settings:
        """As the preset says, unless the user does."""
        how = {**self.published(entry), **(entry.fast if options.preset == FAST else {})}
        text = options.guidance_scale or float(how.get("guidance_scale", 7.5))
        image = options.image_guidance_scale or how.get("image_guidance_scale")
        if image == 0:  # as RSEdit-DiT's paper: one scale for both
            image = text
        solver = options.scheduler
        if solver == AS_PUBLISHED:
            solver = str(how.get("scheduler", "Euler"))
        return Settings(
            solver,
            options.steps or int(how.get("steps", 50)),
            FreeGuidance(text, image),
            seed,
            options.strength or float(how.get("strength", 1.0)),
            options.negative_prompt,
            text_mask=options.text_mask,
        )


def _as_canvases(
    examples: Sequence[tuple[np.ndarray, np.ndarray]],
) -> tuple[tuple[torch.Tensor, torch.Tensor], ...]:
    """Pictures (3, h, w) in [0, 1] as (1, 3, h, w) in [-1, 1]."""

    def seen(picture: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(picture, np.float32))[None] * 2 - 1

    return tuple((seen(before), seen(after)) for before, after in examples)


def vae_scale_factor(model: Model) -> int:
    """Pixels along a side of a latent of the model."""
    return model.family.codec_class.side_of(config_of(model.folder(model.family.codec)))


def _record(settings: Settings, model: Model, frame: Frame, scene: Scene) -> dict[str, Any]:
    """How it was drawn, for the manifest."""
    return {
        **model.about(),
        "scheduler": settings.scheduler,
        "steps": settings.steps,
        "guidance_scale": settings.guidance.text,
        "image_guidance_scale": settings.guidance.image,
        "strength": settings.strength,
        "worked_at_m": round(frame.gsd_m, 6),
        "raster_gsd_m": round(scene.gsd_m, 6),
        "model_grid": list(frame.outer),
    }


def _shown(
    mask: np.ndarray, source: np.ndarray, frame: Frame, on_step: OnStep
) -> Callable[[int, int, np.ndarray | None], None]:
    """Progress with an unfinished picture, on the raster's grid."""

    def shown(done: int, total: int, look: np.ndarray | None) -> None:
        picture = None
        if look is not None:
            whole = functional.interpolate(
                torch.from_numpy(look)[None], frame.outer, mode="nearest"
            )
            part = functional.interpolate(
                whole[..., : frame.inner[0], : frame.inner[1]], frame.source, mode="nearest"
            )
            picture = np.where(mask, part[0].numpy(), source)
        on_step(done, total, picture)

    return shown
