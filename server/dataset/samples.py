"""What a dataset is built with, and its samples: written as pictures, told as lines of its list."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..editors.base import AUTOMATIC
from ..editors.prompt_parts import MODALITIES, NONE, PARTS, composed, level_of
from . import captions, cuts, enlarge, files, layouts, scenes
from .cuts import SIDE
from .layouts import Known
from .sources import Source

SAR = "sar"
NIR = "nir"
OTHERS = {SAR: "radar", NIR: "nir"}
"""Modalities beside colours, by the names that users give them, as `pairs` and MODALITIES call
them."""


@dataclass(frozen=True)
class DatasetConfig:
    """`gsd_m` of sources that do not tell theirs (0: unknown); `nested`: crops in several ground
    sizes beside the tiles; `most_nodata`: share of a sample that may be nodata; `parts` of the
    prompt; `licence` of the sources; `layout` of a known dataset; `enlarged`: how what is small is
    doubled; `scenes` made of each sample beside it, by the generators of `scenes_by` (paths by
    scene), else by the operators; `captioner`: folder of a model that says what a picture shows
    where no text lies beside it. `pairs`: other modalities of the same ground (sar, nir) that are
    written where they are there; `both_ways`: also as what is drawn."""

    gsd_m: float = 0.0
    nested: bool = False
    most_nodata: float = 0.1
    licence: str = ""
    parts: Mapping[str, str] | None = None
    layout: str = layouts.PLAIN
    enlarged: str = enlarge.BICUBIC
    scenes: tuple[str, ...] = ()
    captioner: str = ""
    scenes_by: Mapping[str, str] = field(default_factory=dict)
    pairs: tuple[str, ...] = (SAR,)
    both_ways: bool = False


@dataclass(frozen=True)
class Making:
    """What the samples of all sources share. `output`: folder of the dataset. `config`: how it is
    built. `captioner`: says what a picture shows; None: nobody does."""

    output: Path
    config: DatasetConfig
    captioner: captions.Captioner | None

    def sized(self, pixels: np.ndarray) -> tuple[np.ndarray, str]:
        """A square as 512 x 512, and how it was enlarged: doubled first where that is wished
        (Algorithm 1)."""
        if len(pixels) >= SIDE:
            return cuts.squared(pixels), ""
        if self.config.enlarged == enlarge.LEARNED:
            return cuts.squared(enlarge.doubled(pixels)), f"{enlarge.MODEL}, halved, then bicubic"
        return cuts.squared(pixels), "bicubic"

    def captioned(self, source: Source, pixels: np.ndarray) -> tuple[str, str]:
        """What a picture shows, and who says so."""
        if source.known.caption:
            return source.known.caption, "its dataset"
        beside = source.path.with_suffix(".txt")
        if beside.is_file():
            return beside.read_text("utf8").strip(), "text beside the source"
        return (
            (self.captioner.of(pixels), Path(self.config.captioner).name)
            if self.captioner
            else ("", "")
        )

    def scene(
        self, pixels: np.ndarray, gsd_m: float, name: str, stem: str
    ) -> tuple[np.ndarray, str]:
        """A sample in a scene, and who made it."""
        generator = self.config.scenes_by.get(name)
        if generator:
            return scenes.translated(pixels, Path(generator)), Path(generator).name
        seed = zlib.crc32(f"{stem}-{name}".encode()) % 2**31
        return scenes.render_scene(pixels, gsd_m, name, seed), "an operator"


@dataclass(frozen=True)
class Sample:
    """One picture of the dataset. `making`: what it is built with. `pixels` (512, 512, 3): bytes.
    `stem`: of its file's name. `about`: what its line tells beside the prompt. `known`: of its
    source."""

    making: Making
    pixels: np.ndarray
    stem: str
    about: dict[str, Any]
    known: Known


def kept(sample: Sample, weather: str = "") -> dict[str, Any]:
    """Write a sample; its line in the list, with a prompt of the user's parts before the source's
    own."""
    making, about = sample.making, sample.about
    file = f"images/{sample.stem}.png"
    files.written(sample.pixels, making.output / file)
    wished = making.config.parts or {}
    parts = {part: wished.get(part) or sample.known.parts.get(part, "") for part in PARTS}
    if parts["modality"] == AUTOMATIC:
        parts["modality"] = sample.known.parts.get("modality", MODALITIES["rgb"])
    if weather:
        parts["weather"] = weather
    if not parts["gsd_level"] and about["gsd_m"]:
        parts["gsd_level"] = level_of(about["gsd_m"])
    text = composed(
        about["caption"], {**parts, "gsd_level": parts["gsd_level"] or NONE}, about["gsd_m"] or 1.0
    )
    return {"file_name": file, "text": text, "parts": parts, **about}


def lines(sample: Sample, others: Mapping[str, np.ndarray]) -> Iterator[dict[str, Any]]:
    """The lines of a colour sample and of its ground in other modalities (pictures by SAR, NIR):
    from each of them to colours, and, both ways, from colours to each."""
    colours = kept(sample)
    making = sample.making
    first = True
    for kind, picture in others.items():
        name = _control(making, f"{sample.stem}-{kind}", picture)
        way = {"conditioning_image": name, "control": OTHERS[kind], "target": "rgb"}
        yield {**colours, **way}
        first = False
        if making.config.both_ways:
            parts = {**sample.known.parts, "modality": MODALITIES[OTHERS[kind]]}
            drawn = replace(
                sample,
                pixels=picture,
                stem=f"{sample.stem}-{kind}",
                known=replace(sample.known, parts=parts),
            )
            back = {
                "conditioning_image": colours["file_name"],
                "control": "rgb",
                "target": OTHERS[kind],
            }
            yield {**kept(drawn), **back}
    if first:
        yield colours


def _control(making: Making, stem: str, picture: np.ndarray) -> str:
    name = f"control/{stem}.png"
    (making.output / "control").mkdir(exist_ok=True)
    files.written(picture, making.output / name)
    return name
