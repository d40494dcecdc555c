"""From one kind of picture to another by a ControlNet on Stable Diffusion 1.5 (MMM-RS, section
4.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from ..contract.editors import EditorInfo, Option
from ..diffusion import recipes
from ..diffusion.drawing import Drawing
from ..operators import radar
from ..store.catalogue import Entry
from .base import AUTOMATIC, Scene
from .pretrained import Pretrained, options_for
from .prompt_parts import MODALITIES, PARTS, composed

KEPT = (
    "model",
    "preset",
    "steps",
    "scheduler",
    "guidance_scale",
    "negative_prompt",
    "gsd_m",
    "precision",
    "compile",
)
COLOURS = ("red", "green", "blue")


def _about(
    source: str, target: str, title: str, description: str, makes: tuple[str, ...]
) -> EditorInfo:
    kinds = {"sar": "radar"}
    return EditorInfo(
        id=f"controlnet-{source}-{target}",
        title=f"{title} (ControlNet)",
        description=description,
        engine="ControlNet on latent diffusion",
        bands=kinds.get(source, source),
        makes=makes,
        apart=makes != ("nir",),
        needs=("prompt?",),
        licence="of the model, see Models",
        native_size_px=512,
        weights=(f"controlnet-{source}-{target}",),
        options=(
            *(option for option in options_for() if option.name in KEPT),
            Option(
                "control",
                "number",
                1.0,
                "Hold on the layout",
                minimum=0.0,
                maximum=2.0,
                help="How strictly the source's layout is followed; 1: as trained.",
            ),
            Option(
                "modality",
                "string",
                MODALITIES[kinds.get(target, target)],
                "Modality",
                help="First part of the prompt; empty: left out.",
            ),
        ),
    )


class Translation(Pretrained):
    """Draws all of the window anew, steered by what is there. Subclasses say which way."""

    instructs = False
    redraws_all = True

    def worded(self, prompt: str, options: Mapping[str, Any]) -> str:
        """The caption, which may be empty."""
        return prompt.strip()

    def composed(self, words: str, options: Mapping[str, Any], gsd_m: float) -> str:
        """As the pairs are captioned: modality and ground size before it."""
        return composed(
            words,
            {**dict.fromkeys(PARTS, ""), "modality": options["modality"], "gsd_level": AUTOMATIC},
            gsd_m,
        )

    def published(self, entry: Entry) -> Mapping[str, Any]:
        """From noise alone."""
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

    def draw(
        self, drawing: Drawing, options: Mapping[str, Any]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """See recipes.controlled."""
        return recipes.controlled(drawing, options["control"])


class InfraredOfColours(Translation):
    """RGB to NIR."""

    info = _about(
        "rgb",
        "nir",
        "Near infrared from colours",
        "Appends a near-infrared band drawn by a ControlNet that you bring or train; the bands "
        "there are stay bit for "
        "bit.",
        ("nir",),
    )


class ColoursOfInfrared(Translation):
    """NIR to RGB."""

    info = _about(
        "nir",
        "rgb",
        "Colours from near infrared",
        "Makes a layer of red, green and blue from near infrared on the same grid, drawn by a "
        "ControlNet that you "
        "bring or train.",
        COLOURS,
    )


class ColoursOfRadar(Translation):
    """SAR to RGB."""

    info = _about(
        "sar",
        "rgb",
        "Colours from radar",
        "Makes a layer of red, green and blue from radar (VV as a grey picture) on the same "
        "grid, drawn by a "
        "ControlNet that you bring or train.",
        COLOURS,
    )


class RadarOfColours(Translation):
    """RGB to SAR."""

    info = _about(
        "rgb",
        "sar",
        "Radar from colours",
        "Makes a layer of radar backscatter (VV, in dB) from colours on the same grid, drawn by "
        "a ControlNet that you "
        "bring or train. Nothing of it was measured.",
        ("vv",),
    )
