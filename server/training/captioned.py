"""Folders of pictures with their captions: a text file beside each, or one metadata.jsonl for all."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ..errors import BadRequest

PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp")
LISTED = "metadata.jsonl"


@dataclass(frozen=True)
class Captioned:
    """A picture's file and what it shows."""

    path: Path
    caption: str

    def pixels(self, side: int, rng: np.random.Generator) -> np.ndarray:
        """A square (3, side, side) in [-1, 1]: a random one of the picture, shrunk or enlarged to it, turned or mirrored."""
        try:
            with Image.open(self.path) as picture:
                whole = picture.convert("RGB")
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            raise BadRequest(f"{self.path} cannot be read as a picture: {error}") from error
        least = min(whole.size)
        left, top = (int(rng.integers(0, length - least + 1)) for length in whole.size)
        square = whole.crop((left, top, left + least, top + least)).resize((side, side), Image.Resampling.BICUBIC)
        pixels = np.rot90(np.asarray(square, np.float32) / 127.5 - 1, int(rng.integers(4)))
        if rng.integers(2):
            pixels = pixels[:, ::-1]
        return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def read(folder: Path) -> list[Captioned]:
    """The pictures of a folder that have a caption, by name; raises BadRequest where there is none."""
    if not folder.is_dir():
        raise BadRequest(f"{folder} is no folder.")
    listed = _listed(folder / LISTED)
    found, bare = [], 0
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in PICTURES):
        beside = path.with_suffix(".txt")
        try:
            caption = listed.get(path.relative_to(folder).as_posix()) or (
                beside.read_text("utf8").strip() if beside.is_file() else "")
        except UnicodeDecodeError as error:
            raise BadRequest(f"{beside} is not UTF-8 ({error}).") from error
        if caption:
            _check(path)
            found.append(Captioned(path, caption))
        else:
            bare += 1
    if not found:
        raise BadRequest(f"{folder} holds no picture with a caption ({bare} without): put NAME.txt beside NAME.png, or a "
                         f"{LISTED} with lines like {{\"file_name\": \"a.png\", \"text\": \"...\"}}.")
    return found


def _check(path: Path) -> None:
    """Raise BadRequest for a file that would end a training when its turn comes."""
    try:
        with Image.open(path) as picture:
            mode = picture.mode
            picture.verify()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise BadRequest(f"{path} cannot be read as a picture: {error}") from error
    if mode.startswith(("I", "F")):
        raise BadRequest(f"{path} has more than 8 bits a band; make bytes of it first, for instance by 'dataset build'.")


def _listed(path: Path) -> dict[str, str]:
    """Captions by file name."""
    found = {}
    for number, line in enumerate(path.read_text("utf8").splitlines() if path.is_file() else (), 1):
        try:
            data = json.loads(line)
            found[str(data["file_name"])] = str(data["text"])
        except (ValueError, KeyError, TypeError) as error:
            raise BadRequest(f"{path}, line {number}: a JSON object with file_name and text is needed ({error}).") from error
    return found
