"""Pairs of pictures before and after a disaster, from folders in the layout of ABCD or of xBD.

ABCD (Fujita et al., 2017): patch-pairs/*.tif with six bands, 5fold-list/cv1-train.csv and
cv1-test.csv with a file name and 1 for washed away. xBD (Gupta et al., 2019):
images/X_pre_disaster.* and X_post_disaster.*, labels/ X_post_disaster.json with outlines in pixels;
major damage and worse count as damaged.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from PIL import Image
from shapely.errors import ShapelyError

from ..ground.errors import BadRequest
from ..raster.grid import Box
from ..raster.raster import opened, read_window
from ..training.damage import Pair

CONTEXT = 3.0
"""A building's picture is so many times as large as the building, as ABCD's resized set."""
SMALLEST_PX = 24
DAMAGED = ("major-damage", "destroyed")
INTACT = ("no-damage", "minor-damage")
TEST_SHARE = 0.5


def read(folder: Path, side: int) -> tuple[list[Pair], list[Pair]]:
    """Pairs to train on and to test on, pictures of `side` pixels; raises BadRequest where the
    layout is neither."""
    if (folder / "patch-pairs").is_dir():
        found = _abcd(folder, side)
    elif (folder / "images").is_dir() and (folder / "labels").is_dir():
        found = _xbd(folder, side)
    else:
        raise BadRequest(
            f"{folder} is laid out neither as ABCD (patch-pairs/, 5fold-list/) nor as xBD "
            "(images/, labels/)."
        )
    for name, pairs in zip(("train", "test"), found, strict=True):
        kinds = {pair.damaged for pair in pairs}
        if kinds != {True, False}:
            raise BadRequest(
                f"{folder} gives {len(pairs)} pairs to {name} on; damaged and intact ones are "
                "needed."
            )
    return found


def _abcd(folder: Path, side: int) -> tuple[list[Pair], list[Pair]]:
    lists = [folder / "5fold-list" / f"cv1-{part}.csv" for part in ("train", "test")]
    out = []
    for path in lists:
        if not path.is_file():
            raise BadRequest(f"{path} is missing: it names the pairs and their classes.")
        with open(path, newline="", encoding="utf8") as stream:
            rows = [(row[0].strip(), row[1].strip()) for row in csv.reader(stream) if len(row) >= 2]
        out.append(
            [_abcd_pair(folder / "patch-pairs" / name, label == "1", side) for name, label in rows]
        )
    return out[0], out[1]


def _abcd_pair(path: Path, damaged: bool, side: int) -> Pair:
    with opened(path) as dataset:
        if dataset.count != 6:
            raise BadRequest(
                f"{path} has {dataset.count} bands; a pair has six, red, green, blue before and "
                "after."
            )
        values = dataset.read().transpose(1, 2, 0).astype(np.uint8)
    return Pair(_sized(values[..., :3], side), _sized(values[..., 3:], side), damaged)


def _sized(picture: np.ndarray, side: int) -> np.ndarray:
    return np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.BILINEAR))


def _xbd(folder: Path, side: int) -> tuple[list[Pair], list[Pair]]:
    """Split by scene, so that no building's neighbour is tested on; of a single scene, by its
    halves."""
    scenes = sorted((folder / "labels").glob("*_post_disaster.json"))
    if not scenes:
        raise BadRequest(f"{folder / 'labels'} holds no *_post_disaster.json.")
    test_from = len(scenes) - max(1, round(TEST_SHARE * len(scenes))) if len(scenes) > 1 else 0
    train: list[Pair] = []
    test: list[Pair] = []
    for number, path in enumerate(scenes):
        pairs = list(_buildings(folder, path, side))
        if len(scenes) == 1:
            half = len(pairs) // 2
            return pairs[:half], pairs[half:]
        (test if number >= test_from else train).extend(pairs)
    return train, test


def _buildings(folder: Path, labels: Path, side: int) -> Iterator[Pair]:
    name = labels.name.removesuffix("_post_disaster.json")
    before, after = (_image(folder, f"{name}_{when}_disaster") for when in ("pre", "post"))
    try:
        features = json.loads(labels.read_text("utf8"))["features"]["xy"]
        outlines = [
            (shapely.from_wkt(f["wkt"]), f["properties"].get("subtype", "")) for f in features
        ]
    except (OSError, ValueError, LookupError, TypeError, ShapelyError) as error:
        raise BadRequest(
            f"{labels} is not in xBD's form (features.xy[].wkt, properties.subtype): {error}"
        ) from error
    with opened(before) as first, opened(after) as second:
        for outline, kind in sorted(
            outlines, key=lambda one: (one[0].centroid.x, one[0].centroid.y)
        ):
            if kind not in DAMAGED + INTACT:
                continue
            xmin, ymin, xmax, ymax = outline.bounds
            half = round(max(SMALLEST_PX, CONTEXT * max(xmax - xmin, ymax - ymin)) / 2)
            box = Box(
                round((xmin + xmax) / 2) - half, round((ymin + ymax) / 2) - half, 2 * half, 2 * half
            )
            here = _cut(first, box)
            then = _cut(second, box)
            if here is not None and then is not None:
                yield Pair(_sized(here, side), _sized(then, side), kind in DAMAGED)


def _image(folder: Path, stem: str) -> Path:
    found = sorted((folder / "images").glob(f"{stem}.*"))
    if not found:
        raise BadRequest(f"{folder / 'images'} holds no {stem}.png or .tif.")
    return found[0]


def _cut(dataset: Any, box: Box) -> np.ndarray | None:
    """Red, green, blue of a box as bytes; None where it leaves the picture or is empty."""
    whole = Box(0, 0, dataset.width, dataset.height)
    if box.clipped(whole) != box:
        return None
    values = read_window(dataset, box).values[:3]
    if values.dtype != np.uint8 or len(values) < 3:
        raise BadRequest(f"{dataset.name}: pairs are cut from pictures of three bands of bytes.")
    return values.transpose(1, 2, 0) if (values.sum(axis=0) > 0).mean() > 0.95 else None
