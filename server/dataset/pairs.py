"""Pairs of one ground in two modalities, as a ControlNet is trained on: what it is shown, and what
it is to draw.

Both pictures are made as the editors make them, so that a network sees in use what it saw in
training: colours and near infrared in proportion to light, radar as a grey picture of
`radar.GREY_DB`.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
from affine import Affine
from rasterio.enums import ColorInterp
from rasterio.errors import RasterioError

from ..contract.editors import EditorInfo
from ..editing.views import WANTED, OneBand
from ..editors.base import AUTOMATIC
from ..editors.prompt_parts import MODALITIES, PARTS, composed
from ..ground.errors import BadRequest, NoSpace
from ..operators import radar
from ..raster import bands, provenance
from ..raster.bands import Layer, Stretch
from ..raster.display import picture
from ..raster.grid import Box, Grid, onto
from ..raster.raster import opened
from ..store.installed import sha256
from . import cuts, files

MOST_NODATA = 0.02


@dataclass(frozen=True)
class Side:
    """A raster, and as what it is shown. `path`: its file. `kind`: what is shown of it, a key of
    MODALITIES (rgb, nir, radar). `roles`: numbers of its bands by role, from 1, where it does not
    name them; empty: told from the file."""

    path: Path
    kind: str
    roles: dict[str, int]


@dataclass(frozen=True)
class View:
    """A raster as a picture of some kind. `layer`: the open raster with its bands' roles.
    `stretch`: of the whole raster, to show colours in [0, 1]. `alone`: how radar or near infrared
    is shown; None: it is colours."""

    layer: Layer
    stretch: Stretch
    alone: OneBand | None

    def picture(self, box: Box) -> tuple[np.ndarray, np.ndarray]:
        """Bytes (H, W, 3), and where they are valid."""
        block = cuts.block_of(self.layer, box)
        if self.alone is None:
            seen = self.stretch.normalise(np.nan_to_num(block.values))
            shown = picture(seen, self.layer.roles.names)
        else:
            image = self.alone.shown(block)[0]
            grey = radar.grey(image) if self.alone.unit is not None else image
            shown = (
                (np.clip(np.nan_to_num(grey), 0, 1) * 255).astype(np.uint8)[..., None].repeat(3, 2)
            )
        shown[~block.valid] = 0
        return shown, block.valid


def pairs(
    control: Side,
    target: Side,
    output: Path,
    caption: str = "",
    say: Callable[[str], None] = lambda text: None,
) -> int:
    """Write the pairs of two rasters, on the grid of the control; how many. Added to what the
    folder holds already.

    Raises BadRequest where there is none, or the folder holds pairs of another kind.
    """
    digests = "-".join(sha256(side.path)[:12] for side in (target, control))
    made = []
    try:
        there = {line["file_name"]: line for line in files.lines(output / files.LISTED)}
        kinds = control.kind, target.kind
        other = next(
            (line for line in there.values() if (line.get("control"), line.get("target")) != kinds),
            None,
        )
        if other:
            raise BadRequest(
                f"{output} holds samples of another kind ({other['file_name']}). Choose another "
                "folder."
            )
        with _seen(control) as first, _seen(target, first.layer.dataset) as second:
            for number, cut in enumerate(cuts.tiles(*reversed(first.layer.dataset.shape))):
                (shown, valid) = first.picture(cut.box)
                (drawn, also) = second.picture(cut.box)
                if 1 - (valid & also).mean() > MOST_NODATA:
                    continue
                name = f"{digests}-{number:05d}.png"
                for folder, pixels in (("control", shown), ("images", drawn)):
                    (output / folder).mkdir(parents=True, exist_ok=True)
                    files.written(cuts.squared(pixels), output / folder / name)
                made.append(_line(first, cut, name, caption, (control, target)))
        if not made:
            raise BadRequest(
                f"{control.path.name} and {target.path.name} share no square of {cuts.SIDE} "
                f"pixels with at most {MOST_NODATA:.0%} nodata. Do they overlap?"
            )
        there.update({line["file_name"]: line for line in made})
        files.replaced(output / files.LISTED, list(there.values()))
    except RasterioError as error:
        raise BadRequest(
            f"{control.path.name} and {target.path.name} cannot be brought onto one grid: {error}"
        ) from error
    except OSError as error:
        raise NoSpace(f"{output} cannot be written: {error}.") from error
    say(f"{control.path.name}, {target.path.name}: {len(made)} pairs")
    return len(made)


def _line(
    view: View, cut: cuts.Cut, name: str, caption: str, sides: tuple[Side, Side]
) -> dict[str, Any]:
    profile = view.layer.profile
    gsd_m = profile.gsd_m * cut.scale
    parts = {
        **dict.fromkeys(PARTS, ""),
        "modality": MODALITIES[sides[1].kind],
        "gsd_level": AUTOMATIC,
    }
    return {
        "file_name": f"images/{name}",
        "conditioning_image": f"control/{name}",
        "text": composed(caption, parts, gsd_m),
        "gsd_m": gsd_m,
        "control": sides[0].kind,
        "target": sides[1].kind,
        "sources": [side.path.name for side in sides],
        "window": [cut.box.col, cut.box.row, cut.box.width, cut.box.height],
        "crs": profile.crs.to_string() if profile.crs else None,
        "transform": list(profile.transform_of(cut.box) @ Affine.scale(cut.scale))[:6],
        "landbrush": provenance.version(),
    }


@contextmanager
def as_data(
    dataset: rasterio.DatasetReader, roles: Mapping[str, int]
) -> Iterator[rasterio.DatasetReader]:
    """A raster whose bands of those roles are data: GDAL takes the fourth of four bands of bytes
    for opacity, where WHU-OPT-SAR and GID have near infrared in it."""
    shown = dataset.colorinterp
    wrong = [n for n in roles.values() if n <= len(shown) and shown[n - 1] == ColorInterp.alpha]
    if not wrong:
        yield dataset
        return
    path = f"/vsimem/{uuid.uuid4().hex}.vrt"
    rasterio.shutil.copy(dataset, path, driver="VRT")
    try:
        with rasterio.open(path, "r+") as draft:
            draft.colorinterp = [
                ColorInterp.undefined if number in wrong else one
                for number, one in enumerate(shown, 1)
            ]
        with rasterio.open(path) as found:
            yield found
    finally:
        rasterio.shutil.delete(path)


@contextmanager
def beside_views(side: Side, other: rasterio.DatasetReader) -> Iterator[View]:
    """The picture of another raster of the same ground, on this one's grid."""
    with _seen(side, other) as view:
        yield view


@contextmanager
def _seen(side: Side, other: rasterio.DatasetReader | None = None) -> Iterator[View]:
    """A raster as a picture, on another's grid where one is given."""
    with (
        opened(side.path) as source,
        as_data(source, side.roles) as dataset,
        onto(dataset, Grid.of(dataset if other is None else other)) as brought,
    ):
        yield view_of(brought, side)


def view_of(dataset: Any, side: Side) -> View:
    """An open raster as a picture; raises BadRequest, CannotEdit where it has no such bands."""
    layer = Layer.of(dataset, side.roles)
    whole = bands.overview(layer)
    if (
        side.kind == "rgb"
        and None in [layer.roles.index(role) for role in bands.COLOURS]
        and len(layer.roles.names) > 1
    ):
        raise BadRequest(
            f"{side.path.name} names no red, green and blue; state them (--control-band, "
            "--target-band red=1 ...)."
        )
    info = EditorInfo("pairs", f"A picture of {side.kind}", "", "", bands=side.kind)
    alone = OneBand.of(layer, info, whole) if side.kind in WANTED else None
    return View(layer, bands.stretch_from_dark(layer.profile, layer.roles, whole), alone)
