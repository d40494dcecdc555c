"""Building a text-to-image dataset from rasters and picture folders, as MMM-RS standardises its own (Algorithm 1).

Every sample is 512 x 512 pixels. What is larger is cut into squares that do not overlap, what is smaller is cropped to a
square and enlarged, and the ground size of a pixel follows: L / 512 of the source's. Nested crops show one place in several
ground sizes. A sample knows its file, the source's sha256, the pixels it was taken from, CRS and affine where there are
any, and its prompt in parts; `metadata.jsonl` is what `train lora` reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from PIL import Image
from rasterio.enums import Resampling
from rasterio.errors import RasterioError

from .. import bands, provenance
from ..bands import Layer
from ..editors.text_to_image import composed
from ..errors import BadRequest, NoSpace, ServerError
from ..raster import Block, Box, opened, read_window, validity
from ..store.shelf import sha256
from . import files
from .files import LEDGER, LISTED

SIDE = 512
RASTERS = (".tif", ".tiff", ".jp2", ".img", ".vrt")
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
PARTS = ("modality", "gsd_level", "weather", "category", "satellite", "dataset")


@dataclass(frozen=True)
class Wish:
    """`gsd_m` of sources that do not tell theirs (0: unknown); `nested`: crops in several ground sizes beside the tiles;
    `most_nodata`: share of a sample that may be nodata; `parts` of the prompt; `licence` of the sources."""

    gsd_m: float = 0.0
    nested: bool = False
    most_nodata: float = 0.1
    licence: str = ""
    parts: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Source:
    """A file, its name below the folder, the sha256 of its content."""

    path: Path
    name: str
    sha256: str


@dataclass(frozen=True)
class Cut:
    """A square of a source: its window, and whether it is one of the nested crops."""

    box: Box
    nested: bool = False

    @property
    def scale(self) -> float:
        """What the ground size of a pixel is multiplied by."""
        return self.box.width / SIDE


def tiles(width: int, height: int) -> list[Cut]:
    """Algorithm 1: all squares of 512 that do not overlap, or, where a side is shorter, the largest square in the middle."""
    if min(width, height) >= SIDE:
        return [Cut(Box(col, row, SIDE, SIDE)) for row in range(0, height - SIDE + 1, SIDE)
                for col in range(0, width - SIDE + 1, SIDE)]
    least = min(width, height)
    return [Cut(Box((width - least) // 2, (height - least) // 2, least, least))]


def nested(width: int, height: int) -> list[Cut]:
    """Squares around the middle, each half as wide as the one before, down to 512: one place in several ground sizes."""
    found, side = [], SIDE
    while side <= min(width, height):
        found.append(Cut(Box((width - side) // 2, (height - side) // 2, side, side), True))
        side *= 2
    return found[::-1] if len(found) > 1 else []


def sources(folder: Path) -> list[Path]:
    """Rasters and pictures below a folder; raises BadRequest where there are none."""
    if not folder.is_dir():
        raise BadRequest(f"{folder} is no folder.")
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in (*RASTERS, *PICTURES) and p.is_file())
    if not found:
        raise BadRequest(f"{folder} holds neither rasters ({', '.join(RASTERS)}) nor pictures ({', '.join(PICTURES)}).")
    return found


@dataclass
class Counts:
    """What became of the sources."""

    sources: int = 0
    samples: int = 0
    empty: int = 0
    refused: int = 0
    before: int = 0


def build(folder: Path, output: Path, wish: Wish, say: Callable[[str], None] = lambda text: None) -> Counts:
    """Add the samples of every source that is not in `output` yet; a build that was stopped goes on. Raises NoSpace."""
    counts = Counts()
    try:
        (output / "images").mkdir(parents=True, exist_ok=True)
        done = _ledger(output, wish)
        for path in sources(folder):
            if output.resolve() in path.resolve().parents:
                continue
            source = Source(path, path.relative_to(folder).as_posix(), sha256(path))
            counts.sources += 1
            if source.sha256 in done:
                counts.before += done[source.sha256]
                continue
            try:
                made = list(_samples(source, output, wish, counts))
            except (ServerError, RasterioError, UnicodeDecodeError) as error:
                counts.refused += 1
                say(f"{source.name}: left out. {error}")
                continue
            counts.samples += len(made)
            files.append(output / LISTED, made)
            files.append(output / LEDGER, [
                {"source": source.name, "sha256": source.sha256, "samples": len(made), "wish": _of(wish)}])
            done[source.sha256] = len(made)
            say(f"{source.name}: {len(made)} samples")
    except OSError as error:
        raise NoSpace(f"{output} cannot be written: {error}.") from error
    return counts


def _of(wish: Wish) -> dict[str, Any]:
    return {**asdict(wish), "parts": dict(wish.parts or {})}


def _ledger(output: Path, wish: Wish) -> dict[str, int]:
    """Sources that are built, by sha256; what a stopped build left half-done of the list is dropped."""
    path = output / LEDGER
    ledger = files.lines(path)
    other = next((line for line in ledger if line["wish"] != _of(wish)), None)
    if other:
        raise BadRequest(f"{output} was built with other settings ({other['wish']}). Choose another folder, or the same ones.")
    listed = files.lines(output / LISTED)
    gone = {line["source_sha256"] for line in listed if not (output / line["file_name"]).is_file()}
    done = {line["sha256"]: int(line["samples"]) for line in ledger if line["sha256"] not in gone}
    files.replaced(path, [line for line in ledger if line["sha256"] in done])
    files.replaced(output / LISTED, [line for line in listed if line["source_sha256"] in done])
    return done


def _samples(source: Source, output: Path, wish: Wish, counts: Counts) -> Iterator[dict[str, Any]]:
    with opened(source.path) as dataset:
        layer = Layer.of(dataset, {})
        gsd_m = layer.profile.gsd_m if layer.profile.crs is not None else wish.gsd_m
        caption = _caption(source.path)
        cuts = tiles(dataset.width, dataset.height) + (nested(dataset.width, dataset.height) if wish.nested else [])
        overall = bands.stretch_of(layer.profile, layer.roles, overview(layer))
        for number, cut in enumerate(cuts):
            pixels, share = _pixels(layer, cut, overall)
            if 1 - share > wish.most_nodata:
                counts.empty += 1
                continue
            file = f"images/{source.sha256[:16]}-{number:05d}.png"
            files.written(squared(pixels), output / file)
            parts = {part: (wish.parts or {}).get(part, "") for part in PARTS}
            level = {"gsd_level": parts["gsd_level"] or ("automatic" if gsd_m else "none")}
            georeferenced = layer.profile.crs is not None
            affine = layer.profile.transform_of(cut.box) @ Affine.scale(cut.scale) if georeferenced else None
            yield {
                "file_name": file, "text": composed(caption, {**parts, **level}, gsd_m * cut.scale or 1.0),
                "caption": caption, "parts": parts, "gsd_m": gsd_m * cut.scale or None,
                "source": source.name, "source_sha256": source.sha256,
                "window": [cut.box.col, cut.box.row, cut.box.width, cut.box.height], "nested": cut.nested,
                "crs": layer.profile.crs.to_string() if layer.profile.crs else None,
                "transform": list(affine)[:6] if affine is not None else None, "valid": round(share, 4),
                "enlarged_by": "bicubic" if cut.scale < 1 else "", "licence": wish.licence, "landbrush": provenance.version(),
            }


def overview(layer: Layer) -> Block:
    """All of a raster, thinned: what one stretch for all its tiles is taken from, so that they keep their tone."""
    dataset = layer.dataset
    scale = min(1.0, 1024 / max(dataset.width, dataset.height))
    shape = (max(1, round(dataset.height * scale)), max(1, round(dataset.width * scale)))
    values = dataset.read(out_shape=(dataset.count, *shape), resampling=Resampling.nearest)
    valid = validity(dataset, shape=shape)
    if values.dtype.kind == "f":
        valid &= np.isfinite(values).all(axis=0)
    return Block(Box(0, 0, shape[1], shape[0]), values, valid)


def _pixels(layer: Layer, cut: Cut, stretch: bands.Stretch) -> tuple[np.ndarray, float]:
    """A square (L, L, 3) as bytes, and the share of it that is no nodata."""
    block = read_window(layer.dataset, cut.box)
    shown = bands.picture(stretch.seen(np.nan_to_num(block.values)), layer.roles)
    shown[~block.valid] = 0
    return shown, float(block.valid.mean())


def squared(pixels: np.ndarray) -> np.ndarray:
    """A square of any side as 512 x 512, by bicubic interpolation."""
    if len(pixels) == SIDE:
        return pixels
    return np.asarray(Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def _caption(path: Path) -> str:
    beside = path.with_suffix(".txt")
    return beside.read_text("utf8").strip() if beside.is_file() else ""
