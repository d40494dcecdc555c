"""What each system makes of a case, kept in a folder under the hash of all that it depends on."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from ...contract.requests import EditRequest, Exemplar, Output, RasterRef
from ...editing.path import Job, edit
from ...editors.registry import Editors
from ...ground.errors import BadRequest, ServerError
from ...ground.files import write_json
from ...raster import bands
from ...raster.bands import Layer, Stretch
from ...raster.geotiff import Mosaic, Patch, WriteOptions, write_geotiff
from ...raster.grid import Box, Grid, onto
from ...raster.raster import Block, opened, read_window
from ...raster.rasters import Rasters
from . import own_canvas
from .asked import Asked, editor_of, key_of
from .protocol import Case, Protocol
from .seen import Drawn, Place, Seen, asked_polygons, polygons_of
from .systems import IDENTITY, PUBLISHED, REFERENCE, REFERENCES


def draw_case(
    editors: Editors, protocol: Protocol, case: Case, asked: Asked, folder: Path
) -> Drawn:
    """What a system makes of a case, from the folder where it lies there."""
    key = key_of(editors, protocol, case, asked)
    published = protocol.way(asked.system) == PUBLISHED
    path = folder / f"{key}.{'png' if published else 'tif'}"
    about = folder / f"{key}.json"
    if not (path.is_file() and about.is_file()):
        folder.mkdir(parents=True, exist_ok=True)
        began = time.perf_counter()
        if asked.system in REFERENCES:
            report = _pasted(protocol, case, asked, path)
        elif published:
            report = own_canvas.draw(editors, protocol, case, asked, path)
        else:
            report = _edited(editors, protocol, case, asked, path)
        write_json(about, {"seconds": round(time.perf_counter() - began, 3), "report": report})
    found = json.loads(about.read_text("utf8"))
    return Drawn(path, Box(*found["report"]["window"]), found["seconds"], found["report"])


def _edited(
    editors: Editors, protocol: Protocol, case: Case, asked: Asked, path: Path
) -> dict[str, Any]:
    """By an editor, through the main path."""
    editor, options = editor_of(protocol, case, asked)
    editors = protocol.named[asked.system].editors(editors)
    with opened(case.image) as dataset:
        layer = Layer.of(dataset, {})
        polygons = asked_polygons(case, layer)
        exemplar = (
            Exemplar(polygons_of(case.exemplar, dataset.transform)) if case.exemplar else None
        )
    area = "layer" if case.polygon is None else "window"
    request = EditRequest(
        RasterRef(path=str(case.image)),
        polygons,
        prompt=case.prompt,
        options=options,
        seed=asked.seed,
        exemplar=exemplar,
        output=Output(area),
    )
    with tempfile.TemporaryDirectory(prefix=".job-", dir=path.parent) as job:
        wanted = Job(request, editor, Rasters(case.image))
        manifest = edit(wanted, editors, Path(job), lambda *_: None)
        (Path(job) / "result.tif").replace(path)
    return manifest.to_json()


def _pasted(protocol: Protocol, case: Case, asked: Asked, path: Path) -> dict[str, Any]:
    """The reference's pixels in the polygon, random ones, or none."""
    with opened(case.image) as dataset:
        layer = Layer.of(dataset, {})
        place = Place.of(case, layer)
        block = read_window(dataset, place.box)
        mask = place.mask & block.valid
        values = block.values.copy()
        if asked.system == REFERENCE:
            there, valid = _referred(case, layer, place.box)
            values[:, mask & valid] = there[:, mask & valid]
        elif asked.system != IDENTITY:
            values[:, mask] = _noise(layer, block, mask, asked.seed)
        write_geotiff(dataset, Mosaic(place.box, [Patch(place.box, values)]), path, WriteOptions())
    box = place.box
    return {
        "editor": asked.system,
        "engine": asked.system,
        "notes": [],
        "window": [box.col, box.row, box.width, box.height],
    }


def _referred(case: Case, layer: Layer, box: Box) -> tuple[np.ndarray, np.ndarray]:
    """The reference's pixels on the image's grid, band by band as the image has them; where they
    are valid."""
    assert case.reference is not None
    with opened(case.reference) as second, onto(second, Grid.of(layer.dataset)) as brought:
        block = read_window(brought, box)
        count = layer.profile.count
        if len(block.values) < count or brought.dtypes[0] != layer.profile.dtype:
            raise BadRequest(
                f"case {case.name}: {case.reference.name} has {second.count} bands of "
                f"{second.dtypes[0]}; {case.image.name} has {count} of {layer.profile.dtype}."
            )
        return block.values[:count], block.valid


def _noise(layer: Layer, block: Block, mask: np.ndarray, seed: int) -> np.ndarray:
    """Even random numbers (bands, n) over the range that is seen."""
    rng = np.random.default_rng((seed, 7))
    stretch = bands.stretch_of(layer.profile, layer.roles, block)
    values = block.values[:, mask].copy()
    made = rng.random((len(bands.data_bands(layer.profile)), 1, int(mask.sum())), np.float32)
    native = stretch.denormalise(made, layer.profile)[:, 0]
    for index, band in enumerate(bands.data_bands(layer.profile)):
        values[band] = native[index]
    return values


def read_beside(case: Case, made: Drawn) -> Seen:
    """Read a case beside a result."""
    if made.path.suffix == ".png":
        return own_canvas.beside(case, made)
    with opened(case.image) as dataset:
        layer = Layer.of(dataset, {})
        place = Place.of(case, layer)
        stretch = bands.stretch_of(layer.profile, layer.roles, bands.overview(layer))
        block = read_window(dataset, place.box)
        after = _laid(block, made, place)
        valid = block.valid
        reference = None
        found = _reference_beside(case, layer, place.box)
        if found is not None:
            there, also = found
            valid = valid & (also | ~place.mask)
            # A perfect edit leaves the rest as it was, whatever else the two dates differ in.
            reference = _shown(stretch, np.where(place.mask & valid, there, block.values))
        if not (place.mask & valid).any():
            raise BadRequest(
                f"case {case.name}: inside its polygon {case.image.name}"
                + (f" or {case.reference.name}" if case.reference else "")
                + " has no valid pixel."
            )
        size = dataset.width, dataset.height
    return Seen(
        place,
        size,
        _shown(stretch, block.values),
        _shown(stretch, after),
        reference,
        place.mask & valid,
        valid,
        layer.roles,
    )


def _reference_beside(case: Case, layer: Layer, box: Box) -> tuple[np.ndarray, np.ndarray] | None:
    """As `_referred`; None where there is none, or one that cannot be laid beside: only the system
    `reference` fails then."""
    try:
        return None if case.reference is None else _referred(case, layer, box)
    except ServerError:
        return None


def _shown(stretch: Stretch, values: np.ndarray) -> np.ndarray:
    return np.clip(np.nan_to_num(stretch.normalise(values)), 0, 1)


def _laid(block: Block, made: Drawn, place: Place) -> np.ndarray:
    """The window of the place with the result laid over it."""
    values = block.values.copy()
    with opened(made.path) as dataset:
        if dataset.count != len(values) or dataset.dtypes[0] != str(values.dtype):
            raise BadRequest(
                f"{made.report['editor']} gives a layer of another kind ({dataset.count} bands of "
                f"{dataset.dtypes[0]}), which is not compared with its source."
            )
        both = made.box.clipped(place.box)
        rows, cols = both.relative_to(place.box).slices
        values[:, rows, cols] = dataset.read(window=both.relative_to(made.box).window)
    return values
