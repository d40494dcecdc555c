"""Building a text-to-image dataset from rasters and picture folders, as MMM-RS standardises its own
(Algorithm 1).

Every sample is 512 x 512 pixels. What is larger is cut into squares that do not overlap, what is
smaller is cropped to a square and enlarged, and the ground size of a pixel follows: L / 512 of the
source's. Nested crops show one place in several ground sizes. A sample knows its file, the source's
sha256, the pixels it was taken from, CRS and affine where there are any, and its prompt in parts;
`metadata.jsonl` is what `train lora` reads.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import rasterio
from rasterio.errors import RasterioError

from ..editors.prompt_parts import MODALITIES
from ..ground.errors import BadRequest, NoSpace, ServerError
from ..raster import bands, provenance, sensor
from ..raster.bands import Layer
from ..raster.raster import opened
from ..store.installed import sha256
from . import captions, cuts, enlarge, files, layouts, pairs
from .files import LEDGER, LISTED
from .layouts import Known
from .samples import NIR, OTHERS, SAR, DatasetConfig, Making, Sample, kept, lines
from .sources import Source, sources

Say = Callable[[str], None]
"""Tells the user a line."""


def quietly(line: str) -> None:
    """A Say that tells nobody."""


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
    config = replace(config, enlarged=enlarge.resolved(config.enlarged))
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
                made = list(_samples(source, Making(output, config, captioner), counts))
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


def _of(config: DatasetConfig) -> dict[str, Any]:
    return {
        **asdict(config),
        "parts": dict(config.parts or {}),
        "scenes": list(config.scenes),
        "scenes_by": dict(config.scenes_by),
        "pairs": list(config.pairs),
    }


def _ledger(output: Path, config: DatasetConfig) -> dict[str, int]:
    """Sources that are built, by sha256; what a stopped build left half-done of the list is
    dropped."""
    path = output / LEDGER
    ledger = files.lines(path)
    # Version 0.1 called the settings a wish.
    built_with = (line.get("config", line.get("wish")) for line in ledger)
    # A setting that there was not yet when the build began was as it is by default.
    before = _of(DatasetConfig())
    other = next(
        (
            settings
            for settings in built_with
            if {**before, **(settings or {})} != {**before, **_of(config)}
        ),
        None,
    )
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


def _samples(source: Source, making: Making, counts: Counts) -> Iterator[dict[str, Any]]:
    config = making.config
    known = source.known
    with opened(source.path) as file, contextlib.ExitStack() as stack:
        own = known.infrared == str(source.path) and file.count >= len(known.roles)
        roles = dict(known.roles) if own else {}
        dataset = stack.enter_context(pairs.as_data(file, roles))
        others = stack.enter_context(_beside(source, dataset, config))
        layer = Layer.of(dataset, roles)
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
            caption, said_by = making.captioned(source, sample)
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
            one = Sample(making, sample, stem, about, known)
            yield from lines(
                one,
                {kind: cuts.squared(seen.picture(cut.box)[0]) for kind, seen in others.items()},
            )
            for scene in config.scenes if gsd_m and not radar else ():
                changed, by = making.scene(sample, gsd_m * cut.scale, scene, stem)
                told = {**about, "synthetic": f"{scene}, by {by}"}
                yield kept(Sample(making, changed, f"{stem}-{scene}", told, known), scene)


@contextlib.contextmanager
def _beside(
    source: Source, dataset: rasterio.DatasetReader, config: DatasetConfig
) -> Iterator[dict[str, pairs.View]]:
    """The pictures of the same ground in the modalities that are wanted and there."""
    known = source.known
    with contextlib.ExitStack() as stack:
        found = {}
        for kind in config.pairs:
            path = known.pair if kind == SAR else known.infrared
            if not path:
                continue
            side = pairs.Side(Path(path), OTHERS[kind], dict(known.roles) if kind == NIR else {})
            if kind == NIR and Path(path) == source.path and dataset.count < len(known.roles):
                continue  # a picture of three bands where the dataset has four
            view = stack.enter_context(pairs.beside_views(side, dataset))
            found[kind] = view
        yield found
