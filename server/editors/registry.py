"""The editors of this server: one line each."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..contract.editors import EditorInfo, Option
from ..ground.errors import BadRequest, ServerError, UnknownProcess
from ..store import shelf
from .base import Editor
from .controlnet import ColoursOfInfrared, ColoursOfRadar, InfraredOfColours, RadarOfColours
from .copy import Copy
from .cross_modal import ColoursFromInfrared, ColoursFromRadar, NearInfrared
from .fill import Fill
from .flux_kontext import FluxKontext
from .icedit import ICEdit
from .inpaint import Inpaint
from .instruct_pix2pix import InstructPix2Pix
from .learned_weather import LearnedWeather
from .operators import BurnEditor, FloodEditor, FogEditor, LowLightEditor, SnowEditor
from .patch_diffusion import Harmonise, Variation
from .pretrained import Pretrained
from .remove import Remove
from .rsedit_dit import RSEditDiT
from .rsedit_unet import RSEditUNet
from .sdedit import SDEdit
from .sinddm import LearnedVariation
from .text import TextEdit
from .text_to_image import Generate
from .ultraedit import UltraEdit

EDITORS: dict[str, Editor] = {
    editor.info.id: editor
    for editor in (
        Remove(),
        Fill(),
        Copy(),
        TextEdit(),
        Variation(),
        Harmonise(),
        LearnedVariation(),
        FogEditor(),
        SnowEditor(),
        LowLightEditor(),
        LearnedWeather(),
        FloodEditor(),
        BurnEditor(),
        RSEditUNet(),
        RSEditDiT(),
        ICEdit(),
        FluxKontext(),
        UltraEdit(),
        InstructPix2Pix(),
        SDEdit(),
        Inpaint(),
        NearInfrared(),
        ColoursFromInfrared(),
        ColoursFromRadar(),
        InfraredOfColours(),
        ColoursOfInfrared(),
        ColoursOfRadar(),
        RadarOfColours(),
        Generate(),
    )
}


def editor(editor_id: str) -> Editor:
    """The editor of that id; raises UnknownProcess."""
    if editor_id not in EDITORS:
        raise UnknownProcess(
            f"There is no editor '{editor_id[:80]}'; there are {', '.join(EDITORS)}."
        )
    return EDITORS[editor_id]


def described(editor_id: str) -> EditorInfo:
    """An editor as it is now: which models it can choose from, and what is missing where it has
    none."""
    found = editor(editor_id)
    if not isinstance(found, Pretrained):
        return replace(found.info, missing=found.missing())
    try:
        there = shelf.installed(editor_id)
    except (
        ServerError
    ) as error:  # a store that cannot be read must not take the other editors with it
        return replace(found.info, missing=str(error))
    options = tuple(
        replace(o, choices=("", *(e.id for e in there))) if o.name == "model" else o
        for o in found.info.options
    )
    missing = (
        ""
        if there
        else f"No model of it is on the server's machine ({', '.join(found.info.weights)}). See "
        "Models."
    )
    return replace(found.info, options=options, missing=missing)


def ready_to_instruct() -> str:
    """The first editor that takes any instruction and has a model; empty where there is none."""
    try:
        return next(
            (
                name
                for name, one in EDITORS.items()
                if isinstance(one, Pretrained) and one.instructs and shelf.installed(name)
            ),
            "",
        )
    except ServerError:
        return ""


def options_of(info: EditorInfo, given: Mapping[str, Any]) -> dict[str, Any]:
    """The editor's options with defaults filled in; raises BadRequest for what it does not know or
    take."""
    known = {option.name: option for option in info.options}
    for name in given:
        if name not in known:
            raise BadRequest(
                f"options.{str(name)[:60]}: '{info.id}' has no such option; it has "
                f"{', '.join(known) or 'none'}."
            )
    return {
        name: _checked(option, given.get(name, option.default)) for name, option in known.items()
    }


def _checked(option: Option, value: Any) -> Any:
    where = f"options.{option.name}"
    if option.type == "boolean":
        if not isinstance(value, bool):
            raise BadRequest(f"{where}: true or false is needed, not {value!r:.60}.")
        return value
    if option.type == "string":
        if not isinstance(value, str) or (option.choices and value not in option.choices):
            raise BadRequest(f"{where}: {value!r:.60} is none of {', '.join(option.choices)}.")
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise BadRequest(f"{where}: a number is needed, not {value!r:.60}.")
    if option.type == "integer" and value != int(value):
        raise BadRequest(f"{where}: a whole number is needed, not {value}.")
    low = option.minimum
    high = option.maximum
    if (low is not None and value < low) or (high is not None and value > high):
        raise BadRequest(
            f"{where}: {value} is outside {low:g} ... {high:g} {option.unit}".rstrip() + "."
        )
    return int(value) if option.type == "integer" else float(value)
