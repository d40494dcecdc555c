"""Building a text-to-image dataset from rasters and picture folders, as MMM-RS standardises its own
(Algorithm 1).

Every sample is 512 x 512 pixels. What is larger is cut into squares that do not overlap, what is
smaller is cropped to a square and enlarged, and the ground size of a pixel follows: L / 512 of the
source's. Nested crops show one place in several ground sizes. A sample knows its file, the source's
sha256, the pixels it was taken from, CRS and affine where there are any, and its prompt in parts;
`metadata.jsonl` is what `train lora` reads.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rasterio.errors import RasterioError

from ..editors.base import AUTOMATIC
from ..editors.prompt_parts import MODALITIES, NONE, PARTS, composed, level_of
from ..ground.errors import BadRequest, NoSpace, ServerError
from ..raster import bands, provenance, sensor
from ..raster.bands import Layer
from ..raster.raster import opened
from ..store.installed import sha256
from . import captions, cuts, enlarge, files, layouts, pairs, scenes
from .cuts import SIDE
from .files import LEDGER, LISTED
from .layouts import Known
from .sources import Source, sources

Say = Callable[[str], None]
"""Tells the user a line."""


def quietly(line: str) -> None:
    """A Say that tells nobody."""


@dataclass(frozen=True)
class DatasetConfig:
    """`gsd_m` of sources that do not tell theirs (0: unknown); `nested`: crops in several ground
    sizes beside the tiles; `most_nodata`: share of a sample that may be nodata; `parts` of the
    prompt; `licence` of the sources; `layout` of a known dataset; `enlarged`: how what is small is
    doubled; `scenes` made of each sample beside it; `captioner`: folder of a model that says what a
    picture shows where no text lies beside it."""

    gsd_m: float = 0.0
    nested: bool = False
    most_nodata: float = 0.1
    licence: str = ""
    parts: Mapping[str, str] | None = None
    layout: str = layouts.PLAIN
    enlarged: str = enlarge.BICUBIC
    scenes: tuple[str, ...] = ()
    captioner: str = ""


@dataclass
class Counts:
    """What became of the sources. `sources`: files looked at. `samples`: made by this build.
    `empty`: squares left out, since too much of them is nodata. `refused`: sources that could not
    be read or cut. `before`: samples that earlier builds made of these sources. `twins`: sources
    left out for being another one's copy."""

    sources: int = 0
    samples: int = 0
    empty: int = 0
    refused: int = 0
    before: int = 0
    twins: int = 0


def build(folder: Path, output: Path, config: DatasetConfig, say: Say = quietly) -> Counts:
    """Add the samples of every source that is not in `output` yet; a build that was stopped goes
    on. Raises NoSpace."""
    counts = Counts()
    layout = layouts.named(config.layout, folder)
    if config.layout == layouts.AUTOMATIC:
        found = (name for name, one in layouts.LAYOUTS.items() if one is layout)
        say(f"layout: {next(found, layouts.PLAIN)}")
    enlarge.check(config.enlarged)
    captioner = captions.Captioner(Path(config.captioner)) if config.captioner else None
    try:
        (output / "images").mkdir(parents=True, exist_ok=True)
        done = _ledger(output, config)
        new = dict[str, str]()
        for path in sources(folder, layout):
            if output.resolve() in path.resolve().parents:
                continue
            counts.sources += 1
            name = path.relative_to(folder).as_posix()
            try:
                source = Source(path, name, sha256(path), layout.of(path) if layout else Known())
            except (OSError, ServerError) as error:
                counts.refused += 1
                say(f"{name}: left out. {error}")
                continue
            if source.sha256 in done:
                if source.sha256 in new:
                    counts.twins += 1
                    say(f"{name}: left out, its content is that of {new[source.sha256]}.")
                else:
                    counts.before += done[source.sha256]
                continue
            try:
                made = list(_samples(source, _Making(output, config, captioner), counts))
            except (ServerError, RasterioError, UnicodeDecodeError) as error:
                counts.refused += 1
                say(f"{name}: left out. {error}")
                continue
            counts.samples += len(made)
            files.append(output / LISTED, made)
            files.append(
                output / LEDGER,
                [
                    {
                        "source": source.name,
                        "sha256": source.sha256,
                        "samples": len(made),
                        "config": _of(config),
                    }
                ],
            )
            done[source.sha256] = len(made)
            new[source.sha256] = name
            say(f"{name}: {len(made)} samples")
        _recounted(output, counts)
    except OSError as error:
        raise NoSpace(f"{output} cannot be written: {error}.") from error
    return counts


def _recounted(output: Path, counts: Counts) -> None:
    """Count again what lies there; raises ServerError where list, ledger, pictures and what was
    counted disagree."""
    listed = files.lines(output / LISTED)
    there = {
        "listed": len(listed),
        "in the ledger": sum(int(line["samples"]) for line in files.lines(output / LEDGER)),
        "pictures": sum((output / line["file_name"]).is_file() for line in listed),
    }
    made = counts.samples + counts.before
    if len({*there.values()}) > 1 or there["listed"] < made:
        raise ServerError(
            f"{output}: {made} samples were made or found, and there are "
            + ", ".join(f"{number} {name}" for name, number in there.items())
            + ". Does another build write there? Run this one again, or build into another folder."
        )


@dataclass(frozen=True)
class _Making:
    """What the samples of all sources share."""

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

    def captioned(self, path: Path, pixels: np.ndarray) -> tuple[str, str]:
        """What a picture shows, and who says so."""
        beside = path.with_suffix(".txt")
        if beside.is_file():
            return beside.read_text("utf8").strip(), "text beside the source"
        return (
            (self.captioner.of(pixels), Path(self.config.captioner).name)
            if self.captioner
            else ("", "")
        )


def _of(config: DatasetConfig) -> dict[str, Any]:
    return {**asdict(config), "parts": dict(config.parts or {}), "scenes": list(config.scenes)}


def _ledger(output: Path, config: DatasetConfig) -> dict[str, int]:
    """Sources that are built, by sha256; what a stopped build left half-done of the list is
    dropped."""
    path = output / LEDGER
    ledger = files.lines(path)
    # Version 0.1 called the settings a wish.
    built_with = (line.get("config", line.get("wish")) for line in ledger)
    other = next((settings for settings in built_with if settings != _of(config)), None)
    if other:
        raise BadRequest(
            f"{output} was built with other settings ({other}). Choose another folder, or the same "
            "ones."
        )
    listed = files.lines(output / LISTED)
    foreign = next((line for line in listed if "source_sha256" not in line), None)
    if foreign:
        raise BadRequest(
            f"{output} holds samples that 'dataset build' did not make ({foreign['file_name']}). "
            "Choose another folder."
        )
    gone = {
        line["source_sha256"]
        for line in listed
        if not all(
            (output / line[key]).is_file()
            for key in ("file_name", "conditioning_image")
            if key in line
        )
    }
    done = {line["sha256"]: int(line["samples"]) for line in ledger if line["sha256"] not in gone}
    files.replaced(path, [line for line in ledger if line["sha256"] in done])
    files.replaced(output / LISTED, [line for line in listed if line["source_sha256"] in done])
    return done


def _samples(source: Source, making: _Making, counts: Counts) -> Iterator[dict[str, Any]]:
    config = making.config
    known = source.known
    with (
        opened(source.path) as dataset,
        pairs.radar_views(pairs.Side(Path(known.pair), "radar", {}), dataset, known.pair) as other,
    ):
        layer = Layer.of(dataset, {})
        if not known.parts.get("satellite"):
            satellite = sensor.satellite_of(layer.profile, source.name)
            known = replace(known, parts={**known.parts, "satellite": satellite})
        gsd_m = (
            layer.profile.gsd_m if layer.profile.crs is not None else config.gsd_m or known.gsd_m
        )
        squares = cuts.tiles(dataset.width, dataset.height)
        squares += cuts.nested(dataset.width, dataset.height) if config.nested else []
        radar = bool({"vv", "vh"} & set(layer.roles.names))
        if radar:
            view = pairs.view_of(dataset, pairs.Side(source.path, "radar", {}))
            known = replace(known, parts={**known.parts, "modality": MODALITIES["radar"]})
        else:
            stretch = bands.stretch_of(layer.profile, layer.roles, bands.overview(layer))
            view = pairs.View(layer, stretch, None)
        for number, cut in enumerate(squares):
            pixels, valid = view.picture(cut.box)
            share = float(valid.mean())
            if 1 - share > config.most_nodata:
                counts.empty += 1
                continue
            sample, enlarged_by = making.sized(pixels)
            caption, said_by = making.captioned(source.path, sample)
            about = {
                **cuts.placed(layer, cut, gsd_m),
                "source": source.name,
                "source_sha256": source.sha256,
                "caption": caption,
                "caption_by": said_by,
                "valid": round(share, 4),
                "enlarged_by": enlarged_by,
                "licence": config.licence,
                "landbrush": provenance.version(),
            }
            stem = f"{source.sha256[:16]}-{number:05d}"
            if other is not None:
                name = _control(making, stem, cuts.squared(other.picture(cut.box)[0]))
                about["conditioning_image"] = name
            yield _kept(making, sample, stem, about, known)
            for scene in config.scenes if gsd_m and not radar else ():
                changed = scenes.render_scene(
                    sample, gsd_m * cut.scale, scene, zlib.crc32(f"{stem}-{scene}".encode()) % 2**31
                )
                yield _kept(
                    making,
                    changed,
                    f"{stem}-{scene}",
                    {**about, "synthetic": f"{scene}, by an operator"},
                    known,
                    scene,
                )


def _control(making: _Making, stem: str, picture: np.ndarray) -> str:
    name = f"control/{stem}.png"
    (making.output / "control").mkdir(exist_ok=True)
    files.written(picture, making.output / name)
    return name


def _kept(
    making: _Making,
    pixels: np.ndarray,
    stem: str,
    about: dict[str, Any],
    known: Known,
    *weather: str,
) -> dict[str, Any]:
    """Write a sample; its line in the list, with a prompt of the user's parts before the source's
    own."""
    file = f"images/{stem}.png"
    files.written(pixels, making.output / file)
    wished = making.config.parts or {}
    parts = {part: wished.get(part) or known.parts.get(part, "") for part in PARTS}
    if parts["modality"] == AUTOMATIC:
        parts["modality"] = known.parts.get("modality", MODALITIES["rgb"])
    if weather:
        parts["weather"] = weather[0]
    if not parts["gsd_level"] and about["gsd_m"]:
        parts["gsd_level"] = level_of(about["gsd_m"])
    text = composed(
        about["caption"], {**parts, "gsd_level": parts["gsd_level"] or NONE}, about["gsd_m"] or 1.0
    )
    return {"file_name": file, "text": text, "parts": parts, **about}
