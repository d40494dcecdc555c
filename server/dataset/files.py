"""The files of a dataset: lists in JSON lines, pictures; each appears whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..ground.errors import BadRequest
from ..ground.files import whole_file, write_text

LISTED = "metadata.jsonl"
LEDGER = "built.jsonl"


def lines(path: Path) -> list[dict[str, Any]]:
    """JSON lines; the last one is left out where a build ended while it was written."""
    found: list[dict[str, Any]] = []
    texts = path.read_text("utf8").splitlines() if path.is_file() else []
    for number, line in enumerate(texts, 1):
        try:
            found.append(json.loads(line))
        except ValueError as error:
            if number < len(texts):
                raise BadRequest(
                    f"{path}, line {number} is no JSON ({error}). Mend it, or build into another "
                    "folder."
                ) from error
    return found


def written(pixels: np.ndarray, path: Path) -> None:
    """A picture (H, W, 3) of bytes as PNG."""
    with whole_file(path, lasting=False) as draft:
        Image.fromarray(pixels).save(draft, "PNG")


def append(path: Path, added: list[dict[str, Any]]) -> None:
    """Add lines to a list."""
    with path.open("a", encoding="utf8") as out:
        out.write(_text(added))


def replaced(path: Path, found: list[dict[str, Any]]) -> None:
    """Write a list anew."""
    write_text(path, _text(found))


def _text(found: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(line) + "\n" for line in found)
