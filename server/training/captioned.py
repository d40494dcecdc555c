"""Folders of pictures with their captions: a text file beside each, or one metadata.jsonl for
all."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ..ground.errors import BadRequest

PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp")
LISTED = "metadata.jsonl"


@dataclass(frozen=True)
class Captioned:
    """A picture with words to learn. `path`: its file. `caption`: what it shows."""

    path: Path
    caption: str

    def pixels(self, side: int, rng: np.random.Generator) -> np.ndarray:
        """A square (3, side, side) in [-1, 1]: a random one of the picture, shrunk or enlarged to
        it, turned or mirrored."""
        return _squared([opened(self.path)], side, rng)[0]


@dataclass(frozen=True)
class Paired(Captioned):
    """A picture and the one of the same ground that it is to be made from. `control`: that one's
    file. `way`: from what to what, as the editors name it (sar-rgb); empty: not told."""

    control: Path
    way: str = ""

    def both(self, side: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """The same square of both."""
        target = opened(self.path)
        control = opened(self.control)
        if target.size != control.size:
            raise BadRequest(
                f"{self.path} has {target.size} pixels, {self.control} {control.size}; a pair "
                "shows one ground."
            )
        first, second = _squared([target, control], side, rng)
        return first, second


def opened(path: Path) -> Image.Image:
    """A picture's colours; raises BadRequest."""
    try:
        with Image.open(path) as picture:
            return picture.convert("RGB")
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise BadRequest(f"{path} cannot be read as a picture: {error}") from error


def _squared(pictures: list[Image.Image], side: int, rng: np.random.Generator) -> list[np.ndarray]:
    """One square of all pictures, which have one size."""
    size = pictures[0].size
    least = min(size)
    left, top = (int(rng.integers(0, length - least + 1)) for length in size)
    turns = int(rng.integers(4))
    mirrored = bool(rng.integers(2))
    found = []
    for whole in pictures:
        square = whole.crop((left, top, left + least, top + least)).resize(
            (side, side), Image.Resampling.BICUBIC
        )
        pixels = np.rot90(np.asarray(square, np.float32) / 127.5 - 1, turns)
        found.append(
            np.ascontiguousarray((pixels[:, ::-1] if mirrored else pixels).transpose(2, 0, 1))
        )
    return found


def read_pairs(folder: Path, way: str = "") -> list[Paired]:
    """The pairs of a folder, by its list, that go one way (sar-rgb; empty: there is but one).
    Raises BadRequest where there is none, or several ways and none is named."""
    found = []
    ways: dict[str, int] = {}
    for data in _lines(
        folder / LISTED, ("file_name", "text"), ("conditioning_image", "control", "target")
    ):
        if not data["conditioning_image"]:
            continue  # a sample of which the other modality is not there
        mine = f"{data['control']}-{data['target']}".replace("radar", "sar").strip("-")
        ways[mine] = ways.get(mine, 0) + 1
        if way and mine != way:
            continue
        pair = Paired(
            folder / data["file_name"], data["text"], folder / data["conditioning_image"], mine
        )
        for path in (pair.path, pair.control):
            check(path)
        found.append(pair)
    if not way and len(ways) > 1:
        told = ", ".join(f"{name} ({count})" for name, count in ways.items())
        raise BadRequest(f"{folder} holds pairs of several ways: {told}. Name one (--way).")
    if way and not found and ways:
        raise BadRequest(f"{folder} holds no pairs {way}; there are {', '.join(ways)}.")
    if not found:
        raise BadRequest(
            f'{folder} holds no pairs: a {LISTED} with lines like {{"file_name": "images/a.png", '
            '"conditioning_image": "control/a.png", "text": "..."}} is needed (\'dataset pairs\' '
            "makes one)."
        )
    return found


def read(folder: Path) -> list[Captioned]:
    """The pictures of a folder that have a caption, by name; raises BadRequest where there is
    none."""
    if not folder.is_dir():
        raise BadRequest(f"{folder} is no folder.")
    listed = {
        one["file_name"]: one["text"] for one in _lines(folder / LISTED, ("file_name", "text"))
    }
    found = []
    bare = 0
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in PICTURES):
        beside = path.with_suffix(".txt")
        try:
            caption = listed.get(path.relative_to(folder).as_posix()) or (
                beside.read_text("utf8").strip() if beside.is_file() else ""
            )
        except UnicodeDecodeError as error:
            raise BadRequest(f"{beside} is not UTF-8 ({error}).") from error
        if caption:
            check(path)
            found.append(Captioned(path, caption))
        else:
            bare += 1
    if not found:
        raise BadRequest(
            f"{folder} holds no picture with a caption ({bare} without): put NAME.txt beside "
            "NAME.png, or a "
            f'{LISTED} with lines like {{"file_name": "a.png", "text": "..."}}.'
        )
    return found


def check(path: Path) -> None:
    """Raise BadRequest for a file that would end a training when its turn comes."""
    try:
        with Image.open(path) as picture:
            mode = picture.mode
            picture.verify()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise BadRequest(f"{path} cannot be read as a picture: {error}") from error
    if mode.startswith(("I", "F")):
        raise BadRequest(
            f"{path} has more than 8 bits a band; make bytes of it first, for instance by "
            "'dataset build'."
        )


def _lines(path: Path, keys: tuple[str, ...], more: tuple[str, ...] = ()) -> list[dict[str, str]]:
    """What is listed, with those keys as text; `more`: those that may be missing, then empty."""
    found = []
    for number, line in enumerate(path.read_text("utf8").splitlines() if path.is_file() else (), 1):
        try:
            data = json.loads(line)
            found.append(
                {
                    **{key: str(data[key]) for key in keys},
                    **{key: str(data.get(key, "")) for key in more},
                }
            )
        except (ValueError, KeyError, TypeError) as error:
            raise BadRequest(
                f"{path}, line {number}: a JSON object with {' and '.join(keys)} is needed "
                f"({error})."
            ) from error
    return found
