"""The damage of buildings as a dataset labels it, on the pixels of a case."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import shapely
from PIL import Image, UnidentifiedImageError

from ...ground.errors import BadRequest
from ...raster import masks
from ...raster.grid import Box
from ...training.data.rscc import part_of

DAMAGES = {"no-damage": 1, "minor-damage": 2, "major-damage": 3, "destroyed": 4}
UNKNOWN = 255
LARGEST = 4


def labelled(labels: Path, picture: str, size: tuple[int, int], box: Box) -> np.ndarray:
    """Damage classes (h, w) of a box of a picture: 0 no building, 1 ... 4, 255 not classified.

    `labels`: a mask of these values, or xBD's JSON. `picture`: the name of the labelled picture
    without its ending, which says what part of xBD's it is. `size`: its width and height. Raises
    BadRequest for labels of another form or size.
    """
    if labels.suffix.lower() == ".json":
        return _of_outlines(labels, picture, size, box)
    return _of_mask(labels, size)[box.row : box.row + box.height, box.col : box.col + box.width]


def _of_mask(path: Path, size: tuple[int, int]) -> np.ndarray:
    try:
        with Image.open(path) as image:
            values = np.asarray(image)
    except (OSError, UnidentifiedImageError) as error:
        raise BadRequest(f"{path} is no mask of damage that can be read: {error}") from error
    if values.shape != (size[1], size[0]):
        raise BadRequest(
            f"{path} has the shape {values.shape}; the picture it belongs to is {size[0]} x "
            f"{size[1]} pixels."
        )
    wrong = sorted(set(np.unique(values).tolist()) - {*range(LARGEST + 1), UNKNOWN})
    if wrong:
        raise BadRequest(
            f"{path} holds the value {wrong[0]}; a mask of damage has 0 to {LARGEST}, and "
            f"{UNKNOWN} for what is not classified."
        )
    return values.astype(np.uint8)


def _of_outlines(path: Path, picture: str, size: tuple[int, int], box: Box) -> np.ndarray:
    try:
        data = json.loads(path.read_text("utf8"))
        about = data.get("metadata", {})
        outlines = [
            (
                shapely.from_wkt(one["wkt"]),
                DAMAGES.get(one["properties"].get("subtype", ""), UNKNOWN),
            )
            for one in data["features"]["xy"]
        ]
    except (OSError, ValueError, LookupError, TypeError, shapely.errors.ShapelyError) as error:
        raise BadRequest(
            f"{path} is not in xBD's form (features.xy[].wkt, properties.subtype): {error}"
        ) from error
    whole = [float(about.get(name) or side) for name, side in zip(
        ("width", "height"), size, strict=True)]  # fmt: skip
    scale, moved = _placed(part_of(picture) if part_of(path.stem) is None else None, size, whole)
    found = np.zeros((box.height, box.width), np.uint8)
    for outline, number in outlines:
        here = shapely.transform(outline, lambda xy: xy * scale - moved)
        found[masks.draw_mask([here], box)] = number
    return found


def _placed(
    part: int | None, size: tuple[int, int], whole: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """What xBD's pixels are to be multiplied by, and what then to be taken off, to be those of a
    picture: a part is cut out of the whole, anything else is the whole, made smaller."""
    if part is None:
        return np.array(size) / np.array(whole), np.zeros(2)
    scale = 2 * np.array(size) / np.array(whole)
    return scale, np.array([part % 2, part // 2]) * np.array(size)
