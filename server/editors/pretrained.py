"""What the editors with pretrained networks share: options, the way to the model's grid and back,
the run, the record."""

from __future__ import annotations

import functools
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as functional

from ..contract.editors import EditorInfo, Option
from ..diffusion import schedules, warm
from ..diffusion.components import release
from ..diffusion.drawing import Drawing, Settings
from ..diffusion.guidance import FreeGuidance
from ..diffusion.placement import PRECISIONS
from ..ground.errors import BadRequest, CannotEdit, ModelNotNamed, UnknownModel
from ..store import catalogue, shelf
from ..store.catalogue import Entry
from ..synthesis.spectral import FROM_IMAGE, KEPT
from . import scenario_prompts
from .base import Editor, OnStep, Scene
from .frame import Frame, Grid, widened
from .scenario_prompts import SCENARIOS, SEVERITIES

PAPER = "paper"
FAST = "fast"
AS_PUBLISHED = "as the preset"
FEWEST_PX = 16
bringable = functools.partial(
    EditorInfo, bands="rgb", needs=("prompt?",), licence="of the model, see Models"
)
"""What an editor is whose model the user brings."""


def options_for(
    image_guidance: bool = False, strength: bool = False, flow: bool = False, negative: bool = True
) -> tuple[Option, ...]:
    """The options of an editor with a pretrained network."""
    solvers = schedules.FLOW if flow else schedules.DIFFUSION
    found = [
        Option(
            "model",
            "string",
            "",
            "Model",
            help="Name of an installed model; empty: the first that is installed.",
        ),
        Option(
            "preset",
            "string",
            PAPER,
            "Preset",
            choices=(PAPER, FAST),
            help="Paper: solver, steps and guidance as published. Fast: a solver that needs few "
            "steps.",
        ),
        Option(
            "scenario",
            "string",
            scenario_prompts.NONE,
            "Scenario",
            choices=(scenario_prompts.NONE, *SCENARIOS),
            help="Words for the model, in the style of damage reports; a prompt of yours is "
            "added to them.",
        ),
        Option(
            "severity", "string", "major", "Severity", choices=SEVERITIES, help="Of the scenario."
        ),
        Option("steps", "integer", 0, "Steps", minimum=0, maximum=1000, help="0: the preset's."),
        Option(
            "scheduler",
            "string",
            AS_PUBLISHED,
            "Solver",
            choices=(AS_PUBLISHED, *solvers),
            help="Of the noise schedule.",
        ),
        Option(
            "guidance_scale",
            "number",
            0.0,
            "Guidance by words",
            minimum=0,
            maximum=100,
            help="How strictly the words are followed; 0: as published, 1: not reinforced.",
        ),
    ]
    if image_guidance:
        found.append(
            Option(
                "image_guidance_scale",
                "number",
                0.0,
                "Guidance by the picture",
                minimum=0,
                maximum=20,
                help="How strictly the picture is kept: lower changes more; 0: as published.",
            )
        )
    if strength:
        found.append(
            Option(
                "strength",
                "number",
                0.0,
                "Strength",
                minimum=0,
                maximum=1,
                help="How much noise the picture gets before it is redrawn; 0: as published, 1: "
                "all new.",
            )
        )
    if negative:
        found.append(
            Option("negative_prompt", "string", "", "Not wanted", help="What should not be there.")
        )
    return (
        *found,
        Option(
            "gsd_m",
            "number",
            0.0,
            "Ground size it works at",
            minimum=0,
            maximum=10_000,
            unit="m",
            help="Of a pixel; 0: the raster's own, or the finest the model was trained on where "
            "the raster is finer.",
        ),
        Option(
            "keep_detail",
            "boolean",
            True,
            "Keep the raster's own detail",
            help="Where the model changes little, the raster's pixels take on the change alone.",
        ),
        Option(
            "other_bands",
            "string",
            KEPT,
            "Bands beside red, green and blue",
            choices=(KEPT, FROM_IMAGE),
            help="Keep them, or find them for the new colours among the window's own pixels.",
        ),
        Option(
            "precision",
            "string",
            "automatic",
            "Precision",
            choices=PRECISIONS,
            help="Of the weights.",
        ),
        Option(
            "compile",
            "boolean",
            False,
            "Compile the network",
            help="Faster after some dozen steps on a GPU; the first takes minutes.",
        ),
    )


class Pretrained(Editor):
    """An editor whose network the user brings. `cell_px`: what the sides of its pictures are
    multiples of; `square`: whether tiles must have the native shape; `instructs`: whether it reads
    what to change, or what to show; `redraws_all`: whether the source is no part of what is drawn,
    so that nothing of it is kept around the polygons."""

    cell_px = 64
    square = False
    instructs = True
    redraws_all = False
    soft_edge = True
    redraws_surroundings = True
    tile_px = 6144
    overlap_px = 512

    @abstractmethod
    def draw(
        self, drawing: Drawing, options: Mapping[str, Any]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The drawn picture and the source as the autoencoder gives it back, both (1, 3, H, W) in
        [-1, 1]."""

    def context_wanted(self, side_px: int, gsd_m: float, options: Mapping[str, Any]) -> int:
        """Surroundings that fill the model's native size, and a quarter of the polygon where that
        is larger."""
        try:
            entry = self.entry(options)
        except (ModelNotNamed, UnknownModel, BadRequest):
            return 64
        grid = self.grid(entry, options)
        native = round(entry.native_px * grid.working_gsd(gsd_m) / max(gsd_m, 1e-9))
        return min(max(side_px // 4, (native - side_px + 1) // 2, 64), 2048)

    def entry(self, options: Mapping[str, Any]) -> Entry:
        """The model to use; raises ModelNotNamed with the ways to get one."""
        name = options.get("model", "")
        if name:
            found = shelf.entry(name)
            if self.info.id not in found.editors:
                raise BadRequest(
                    f"options.model: {found.title} is not for {self.info.title}; "
                    f"{', '.join(e.id for e in catalogue.serving(shelf.folder(), self.info.id))} "
                    "are."
                )
            why = shelf.why_not(found)
            if why:
                raise ModelNotNamed(why)
            return found
        there = shelf.installed(self.info.id)
        if not there:
            raise ModelNotNamed(
                f"{self.info.title} has no model on this machine. "
                + shelf.why_not(catalogue.serving(shelf.folder(), self.info.id)[0])
            )
        return there[0]

    def check(self, prompt: str, options: Mapping[str, Any]) -> None:
        """Raise where there is no model, or no word."""
        self.worded(prompt, options)
        self.entry(options)

    def settled(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The options with the model's name in them, by which the edit can be made again."""
        return {**options, "model": self.entry(options).id}

    def grid(self, entry: Entry, options: Mapping[str, Any]) -> Grid:
        """What the model wants of the raster's grid."""
        low, high = entry.gsd_m
        return Grid(
            entry.native_px, self.cell_px, (low, high), self.square, options.get("gsd_m", 0.0)
        )

    def edit(
        self, scene: Scene, prompt: str, options: Mapping[str, Any], seed: int, on_step: OnStep
    ) -> np.ndarray:
        """Draw the window on the model's grid, and bring it back."""
        if min(scene.mask.shape) < FEWEST_PX:
            raise CannotEdit(
                f"The window has {scene.mask.shape[1]} x {scene.mask.shape[0]} pixels; "
                f"{self.info.title} needs "
                f"{FEWEST_PX} a side."
            )
        entry = self.entry(options)
        words = self.worded(prompt, options)
        settings = self.settings(entry, options, seed)
        grid = self.grid(entry, options)
        frame = Frame.of(scene.mask.shape, scene.gsd_m, scene.aspect, grid)
        words = self.composed(words, options, scene.gsd_m)
        notes = [note for note in (grid.note(scene.gsd_m, frame.gsd_m),) if note]
        model = warm.held(
            entry, options["precision"], lambda note: on_step(0, settings.steps, None, note)
        )
        seen_as = self.pictured(scene)
        picture = frame.shown(seen_as)
        with model.lock, torch.inference_mode():
            pixels = self.pixels_a_latent(model)
            drawn = None if self.redraws_all else widened(frame.mask(scene.mask), pixels)
            drawing = Drawing(
                model,
                words,
                picture,
                drawn,
                settings,
                entry.native_px // pixels,
                _shown(scene.mask, seen_as, frame, on_step),
                notes,
                origin=frame.place(scene.origin, pixels),
            )
            if options["compile"] and model.placement.device != "cpu":
                model.compiled(entry.parts[0] if entry.parts[0] != "lora" else entry.lora)
            made, seen = self._drawn(drawing, self.told(options, frame))
        warm.ease()
        about = {"prompt_used": words, **_record(settings, model, frame, scene), "notes": notes}
        on_step(1, 1, None, "", about)
        return self.returned(
            frame.back(made, seen if options.get("keep_detail") else None, scene.image), scene
        )

    def _drawn(
        self, drawing: Drawing, options: Mapping[str, Any]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """What the recipe draws; raises CannotEdit where memory runs out, or numbers overflow."""
        try:
            made, seen = self.draw(drawing, options)
        except RuntimeError as error:
            if isinstance(error, torch.OutOfMemoryError) or "allocate memory" in str(error):
                release()
                raise CannotEdit(
                    f"{drawing.model.entry.title} ran out of memory. Close other programs, "
                    "choose half precision, a "
                    "larger ground size to work at, or a smaller model."
                ) from error
            raise
        if not bool(torch.isfinite(made).all() and torch.isfinite(seen).all()):
            raise CannotEdit(
                f"{drawing.model.entry.title} gave no numbers, which happens where half "
                "precision overflows. Choose "
                "bfloat16 or float32 as 'Precision'."
            )
        return made, seen

    def pictured(self, scene: Scene) -> np.ndarray:
        """The window as a picture (3, H, W) in [0, 1]."""
        return scene.filled()

    def returned(self, made: np.ndarray, scene: Scene) -> np.ndarray:
        """The bands that the editor gives, of the picture (3, H, W) that was drawn."""
        return made

    def told(self, options: Mapping[str, Any], frame: Frame) -> dict[str, Any]:
        """The options for the recipe, with the ground size that the model's pixel really has."""
        return {**options, "worked_at_m": frame.gsd_m}

    def worded(self, prompt: str, options: Mapping[str, Any]) -> str:
        """The scenario's words and the user's; raises BadRequest where there are none."""
        ready = scenario_prompts.words_for(options["scenario"], options["severity"], self.instructs)
        words = " ".join(part for part in (ready, prompt.strip()) if part)
        if not words:
            raise BadRequest(f"prompt: empty. {self.info.title} needs words, or a scenario.")
        return words

    def composed(self, words: str, options: Mapping[str, Any], gsd_m: float) -> str:
        """The words as the model was trained to read them; `gsd_m` of a pixel of the raster."""
        return words

    def published(self, entry: Entry) -> Mapping[str, Any]:
        """The settings of the preset *paper*."""
        return entry.paper

    def settings(self, entry: Entry, options: Mapping[str, Any], seed: int) -> Settings:
        """As the preset says, unless the user does."""
        how = {**self.published(entry), **(entry.fast if options["preset"] == FAST else {})}
        text = options["guidance_scale"] or float(how.get("guidance_scale", 7.5))
        image = options.get("image_guidance_scale") or how.get("image_guidance_scale")
        if image == 0:  # as RSEdit-DiT's paper: one scale for both
            image = text
        solver = (
            options["scheduler"]
            if options["scheduler"] != AS_PUBLISHED
            else str(how.get("scheduler", "Euler"))
        )
        return Settings(
            solver,
            options["steps"] or int(how.get("steps", 50)),
            FreeGuidance(text, image),
            seed,
            options.get("strength") or float(how.get("strength", 1.0)),
            options.get("negative_prompt", ""),
        )

    def pixels_a_latent(self, model: Any) -> int:
        """Of the model's autoencoder, along a side."""
        config = shelf.config_of(shelf.part(model.entry, "movq" if model.has("movq") else "vae"))
        return int(2 ** (len(config["block_out_channels"]) - 1))


def _record(settings: Settings, model: Any, frame: Frame, scene: Scene) -> dict[str, Any]:
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
