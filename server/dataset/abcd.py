"""Patches of ABCD, before and after a tsunami in the six bands of one file, as pairs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..ground.errors import BadRequest, NoSpace
from ..raster import provenance
from ..raster.raster import opened
from . import files
from .bitemporal import LISTED, PARTS

ABCD_BANDS = 6


def patches(
    folder: Path, output: Path, say: Callable[[str], None] = lambda text: None
) -> dict[str, int]:
    """The patch pairs of ABCD (six bands a file, 5fold-list/cv1-train.csv and cv1-test.csv) as
    pairs of pictures."""
    made: list[dict[str, Any]] = []
    try:
        there = {line["after"]: line for line in files.lines(output / LISTED)}
        for part in ("train", "test"):
            listed = folder / "5fold-list" / f"cv1-{part}.csv"
            if not listed.is_file():
                raise BadRequest(f"{listed} is missing: it names ABCD's pairs and their classes.")
            for row in filter(
                None, (line.strip() for line in listed.read_text("utf8").splitlines())
            ):
                name, _, label = row.partition(",")
                made.append(
                    _patch(folder / "patch-pairs" / name.strip(), label.strip(), part, output)
                )
            say(f"{part}: {sum(line['part'] == part for line in made)} pairs")
        there.update({line["after"]: line for line in made})
        files.replaced(output / LISTED, list(there.values()))
    except OSError as error:
        raise NoSpace(f"{output} cannot be written: {error}.") from error
    return {part: sum(line["part"] == part for line in there.values()) for part in PARTS}


def _patch(path: Path, label: str, part: str, output: Path) -> dict[str, Any]:
    with opened(path) as dataset:
        if dataset.count != ABCD_BANDS or dataset.dtypes[0] != "uint8":
            raise BadRequest(
                f"{path} has {dataset.count} bands of {dataset.dtypes[0]}; a pair has six of "
                "bytes: red, green, blue before and after."
            )
        values = dataset.read().transpose(1, 2, 0)
    name = f"{path.stem}.png"
    for which, pixels in (("before", values[..., :3]), ("after", values[..., 3:])):
        (output / which).mkdir(parents=True, exist_ok=True)
        files.written(np.ascontiguousarray(pixels), output / which / name)
    caption = (
        "the tsunami washed the building away"
        if label == "1"
        else "the tsunami left the building standing"
    )
    return {
        "before": f"before/{name}",
        "after": f"after/{name}",
        "caption": caption,
        "part": part,
        "sources": [path.name],
        "landbrush": provenance.version(),
    }
