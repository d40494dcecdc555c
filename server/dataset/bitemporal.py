"""Tiles of one ground at two dates, co-registered, with a caption and a part (train, val, test) by
place: what editors learn.

The later raster is read on the earlier one's grid, moved by the shift that brings the two best
together: found to a twentieth of a pixel by phase correlation (Guizar-Sicairos et al. 2008) of how
steep the ground's brightness is, and taken only where it makes them more alike. Tiles do not
overlap, and the parts are neighbouring strips of the raster's longer side: a network that is tested
has not seen the ground next door under another number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rasterio
from affine import Affine
from rasterio.errors import RasterioError

from ..ground.errors import BadRequest, NoSpace
from ..raster import bands, provenance
from ..raster.bands import Layer
from ..raster.grid import Box, Grid
from ..raster.raster import opened
from ..store.installed import sha256
from . import files
from .pairs import View
from .registration import (
    Shift,
    moved_back,
    registered,
)

PARTS = ("train", "val", "test")
LISTED = "pairs.jsonl"
MOST_NODATA = 0.05


@dataclass(frozen=True)
class PairConfig:
    """`side` of a tile in pixels of the earlier raster; `caption` of what changed; `shares` of val
    and test; `register`: look for a shift; `licence` of the sources; `roles`: bands of a role, from
    1, where the rasters do not name them."""

    side: int = 512
    caption: str = ""
    shares: tuple[float, float] = (0.15, 0.15)
    register: bool = True
    licence: str = ""
    roles: tuple[tuple[str, int], ...] = ()


def tiles(
    before: Path,
    after: Path,
    output: Path,
    config: PairConfig,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, int]:
    """Write the tiles of two rasters; how many of each part lie in the folder. Added to what it
    holds; the same pair is not made twice. Raises BadRequest where there is none."""
    for path in (before, after):
        if not path.is_file():
            raise BadRequest(f"There is no raster {path}.")
    digests = {"before": sha256(before), "after": sha256(after)}
    try:
        with opened(before) as first, opened(after) as second:
            old = _view(first, config)
            shift = (
                registered(old, second, lambda later: _view(later, config))
                if config.register
                else Shift()
            )
            say(_said(shift, before, after))
            there = _there(output, config)
            made = 0
            seen = 0
            told = _Dates(config, shift, digests)
            with moved_back(second, Grid.of(first), shift) as brought:
                for line in _tiles(old, _view(brought, config), output, told):
                    seen += 1
                    if _apart(line, there):
                        line["sources"] = [before.name, after.name]
                        there[line["after"]] = line
                        made += 1
                        files.append(
                            output / LISTED, [line]
                        )  # at once: a build that is stopped goes on from there
        if seen and not made:
            say(
                "Nothing was added: these tiles are there already, or share ground with tiles of "
                "another part."
            )
        if not seen:
            raise BadRequest(
                f"{before.name} and {after.name} share no square of {config.side} pixels with at "
                f"most {MOST_NODATA:.0%} nodata. Do they overlap? Is --side too large?"
            )
        files.replaced(output / LISTED, list(there.values()))
    except RasterioError as error:
        raise BadRequest(
            f"{before.name} and {after.name} cannot be brought onto one grid: {error}"
        ) from error
    except OSError as error:
        raise NoSpace(f"{output} cannot be written: {error}.") from error
    return {part: sum(line["part"] == part for line in there.values()) for part in PARTS}


def _there(output: Path, config: PairConfig) -> dict[str, dict[str, Any]]:
    """The tiles of the folder whose pictures are whole; raises BadRequest where they are of another
    size."""
    found = {}
    for line in files.lines(output / LISTED):
        if "window" in line and line["window"][2] != config.side:
            raise BadRequest(
                f"{output} holds tiles of {line['window'][2]} pixels; choose another folder, or "
                f"--side {line['window'][2]}."
            )
        if all((output / line[part]).is_file() for part in ("before", "after")):
            found[line["after"]] = line
    return found


def _apart(line: dict[str, Any], there: dict[str, dict[str, Any]]) -> bool:
    """Whether a tile shares no ground with one of another part, and is not there yet: else what is
    tested on was trained on."""
    if line["after"] in there:
        return False
    mine = _footprint(line)
    for other in there.values():
        if (
            other.get("part") != line["part"]
            and other.get("crs") == line["crs"]
            and "window" in other
        ):
            theirs = _footprint(other)
            if (
                mine[0] < theirs[2]
                and theirs[0] < mine[2]
                and mine[1] < theirs[3]
                and theirs[1] < mine[3]
            ):
                return False
    return True


def _footprint(line: dict[str, Any]) -> tuple[float, float, float, float]:
    """Left, bottom, right, top, a little less than it is: neighbours that touch do not overlap."""
    corners = [
        Affine(*line["transform"]) @ (col, row)
        for col in (0.01, line["window"][2] - 0.01)
        for row in (0.01, line["window"][3] - 0.01)
    ]
    xs, ys = zip(*corners, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def _said(shift: Shift, before: Path, after: Path) -> str:
    if shift.before is None:
        return f"{after.name} was not moved against {before.name}."
    if not (shift.down or shift.across):
        return f"{after.name} lies on {before.name} as it is (correlation {shift.before:.2f})."
    down = -shift.down
    across = -shift.across
    return (
        f"{after.name} was moved by {abs(down):.2f} pixels {'down' if down > 0 else 'up'} and "
        f"{abs(across):.2f} to the {'right' if across > 0 else 'left'} (correlation "
        f"{shift.before:.3f} before, {shift.after:.3f} after)."
    )


def _view(dataset: rasterio.DatasetReader, config: PairConfig) -> View:
    """As a picture by its own stretch, so that two dates of other exposure are alike in it."""
    layer = Layer.of(dataset, dict(config.roles))
    if None in [layer.roles.index(role) for role in bands.COLOURS] and len(layer.roles.names) > 1:
        raise BadRequest(
            f"{Path(dataset.name).name} names no red, green and blue; state them (--band red=1 "
            "...)."
        )
    return View(layer, bands.stretch_of(layer.profile, layer.roles, bands.overview(layer)), None)


@dataclass(frozen=True)
class _Dates:
    """What every tile is told with. `shift`: of the later date. `digests`: sha256 of both files."""

    config: PairConfig
    shift: Shift
    digests: dict[str, str]


def _tiles(old: View, new: View, output: Path, dates: _Dates) -> Iterator[dict[str, Any]]:
    config = dates.config
    profile = old.layer.profile
    for box in boxes(profile.width, profile.height, config.side):
        (shown, valid) = old.picture(box)
        (drawn, also) = new.picture(box)
        # Many a mosaic is black where it ends, and does not say so.
        if 1 - (valid & also & shown.any(axis=2) & drawn.any(axis=2)).mean() > MOST_NODATA:
            continue
        stamp = f"{dates.digests['before'][:12]}-{dates.digests['after'][:12]}"
        name = f"{stamp}-{box.col:06d}-{box.row:06d}-{box.width}.png"
        sums = {}
        for part, pixels in (("before", shown), ("after", drawn)):
            (output / part).mkdir(parents=True, exist_ok=True)
            files.written(pixels, output / part / name)
            sums[part] = sha256(output / part / name)
        yield {
            "before": f"before/{name}",
            "after": f"after/{name}",
            "caption": config.caption,
            "part": part_of(box, profile.box, config.shares),
            "window": [box.col, box.row, box.width, box.height],
            "gsd_m": profile.gsd_m,
            "crs": profile.crs.to_string() if profile.crs else None,
            "transform": list(profile.transform_of(box))[:6],
            "shift_px": [dates.shift.down, dates.shift.across],
            "sha256": dates.digests,
            "tile_sha256": sums,
            "licence": config.licence,
            "landbrush": provenance.version(),
        }


def boxes(width: int, height: int, side: int) -> list[Box]:
    """All squares that do not overlap, from the first corner."""
    return [
        Box(col, row, side, side)
        for row in range(0, height - side + 1, side)
        for col in range(0, width - side + 1, side)
    ]


def part_of(box: Box, whole: Box, shares: Sequence[float]) -> str:
    """By where the tile's middle lies on the longer side: train, then val, then test."""
    along = (
        (box.col + box.width / 2) / whole.width
        if whole.width >= whole.height
        else (box.row + box.height / 2) / whole.height
    )
    if along > 1 - shares[1]:
        return "test"
    return "val" if along > 1 - shares[0] - shares[1] else "train"
