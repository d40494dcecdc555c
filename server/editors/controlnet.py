"""From one kind of picture to another by a ControlNet on Stable Diffusion 1.5 (MMM-RS, section
4.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..contract.editors import EditorInfo, option
from ..diffusion.drawing import Settings
from ..operators import radar
from ..store.catalogue import EditorEntry, Entry
from .base import AUTOMATIC, Given, Scene
from .models import Models
from .pretrained import Pretrained
from .pretrained_options import PretrainedOptions
from .prompt_parts import MODALITIES, PARTS, composed

COLOURS = ("red", "green", "blue")
BANDS = {"sar": "radar"}
"""What the contract calls a kind of picture, where it is not by the name used here."""


@dataclass(frozen=True)
class TranslationOptions(PretrainedOptions):
    """The layout's hold, and the first part of the prompt."""

    control: float = option(
        "Hold on the layout",
        1.0,
        "How strictly the source's layout is followed; 1: as trained.",
        minimum=0.0,
        maximum=2.0,
    )
    modality: str = option(
        "Modality", AUTOMATIC, "First part of the prompt; empty: left out; automatic: of its kind."
    )


class Translation(Pretrained[TranslationOptions]):
    """Draws all of the window anew, steered by what is there.

    Subclasses say which way: `source` and `target` kinds of picture (rgb, nir, sar), the roles of
    the bands it `makes`, and what users read.
    """

    Options = TranslationOptions
    redraws_all = True
    hides = ("scenario", "grade", "keep_detail", "other_bands")
    source: str
    target: str
    makes: tuple[str, ...]
    title: str
    description: str

    def __init__(self, models: Models) -> None:
        name = f"controlnet-{self.source}-{self.target}"
        super().__init__(
            models,
            EditorEntry(
                id=name,
                family="sd",
                recipe="control",
                title=f"{self.title} (ControlNet)",
                description=self.description,
                engine="ControlNet on latent diffusion",
                native_size_px=512,
                weights=(name,),
            ),
        )

    def about(self, entry: EditorEntry) -> EditorInfo:
        """With the bands it takes and makes."""
        return replace(
            super().about(entry),
            bands=BANDS.get(self.source, self.source),
            makes=self.makes,
            new_layer=self.makes != ("nir",),
        )

    def resolve(self, options: TranslationOptions, given: Given) -> TranslationOptions:
        """With the words for the kind of picture."""
        chosen = super().resolve(options, given)
        if chosen.modality == AUTOMATIC:
            kind = BANDS.get(self.target, self.target)
            chosen = replace(chosen, modality=MODALITIES[kind])
        return chosen

    def settings(self, entry: Entry, options: TranslationOptions, seed: int) -> Settings:
        """With the layout's hold."""
        return replace(super().settings(entry, options, seed), control=options.control)

    def worded(self, prompt: str, options: TranslationOptions) -> str:
        """The caption, which may be empty."""
        return prompt.strip()

    def composed(self, words: str, options: TranslationOptions, gsd_m: float) -> str:
        """As the pairs are captioned: modality and ground size before it."""
        return composed(
            words,
            {**dict.fromkeys(PARTS, ""), "modality": options.modality, "gsd_level": AUTOMATIC},
            gsd_m,
        )

    def published(self, entry: Entry) -> Mapping[str, Any]:
        """The paper's settings; drawing begins from noise alone (strength 1)."""
        return {**entry.paper, "strength": 1.0}

    def pictured(self, scene: Scene) -> np.ndarray:
        """Radar and near infrared as grey pictures."""
        image = scene.filled()
        if len(image) == len(COLOURS):
            return image
        return np.repeat(
            radar.grey(image[:1]) if self.info.bands == "radar" else image[:1], 3, axis=0
        )

    def returned(self, made: np.ndarray, scene: Scene) -> np.ndarray:
        """The bands that are made: a grey picture's brightness, as backscatter in dB where they are
        radar."""
        if self.info.makes == COLOURS:
            return np.clip(made, 0, 1)
        grey = made.mean(axis=0, keepdims=True).clip(0, 1)
        return (
            radar.of_grey(grey) if "vv" in self.info.makes else grey * np.float32(scene.nir_white)
        )


class InfraredOfColours(Translation):
    """A near-infrared band from red, green and blue."""

    source = "rgb"
    target = "nir"
    makes = ("nir",)
    title = "Near infrared from colours"
    description = (
        "Appends a near-infrared band drawn by a ControlNet that you bring or train; "
        "the bands there are stay bit for bit."
    )


class ColoursOfInfrared(Translation):
    """Red, green and blue from near infrared."""

    source = "nir"
    target = "rgb"
    makes = COLOURS
    title = "Colours from near infrared"
    description = (
        "Makes a layer of red, green and blue from near infrared on the same grid, "
        "drawn by a ControlNet that you bring or train."
    )


class ColoursOfRadar(Translation):
    """Red, green and blue from radar backscatter."""

    source = "sar"
    target = "rgb"
    makes = COLOURS
    title = "Colours from radar"
    description = (
        "Makes a layer of red, green and blue from radar (VV as a grey picture) on the "
        "same grid, drawn by a ControlNet that you bring or train."
    )


class RadarOfColours(Translation):
    """Radar backscatter (VV, in dB) from red, green and blue."""

    source = "rgb"
    target = "sar"
    makes = ("vv",)
    title = "Radar from colours"
    description = (
        "Makes a layer of radar backscatter (VV, in dB) from colours on the same grid, "
        "drawn by a ControlNet that you bring or train. Nothing of it was measured."
    )
