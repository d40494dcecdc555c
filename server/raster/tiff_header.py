"""What a TIFF's directories ask for, read before GDAL does: bands, metadata, names of other files.

GDAL takes time that grows with the square of the number of metadata items, and opens what it is
told is an overview.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from ..ground.errors import RasterUnreadable

PLAIN_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
MOST_BANDS = 4096
MOST_ITEMS = 10_000
"""Metadata of a file: GDAL takes half a second at twice as many."""
LARGEST_TEXT = 20_000_000
"""Bytes of metadata, or of another text that describes a raster, that are read."""
SAMPLES = 277
GDAL_METADATA = 42112
MOST_TAGS = 4096
MOST_DIRECTORIES = 1000
_WHOLE = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
"""Types of a tag that hold a count."""


def check_tiff(path: Path) -> None:
    """Refuse, from its directories alone, a TIFF of too many bands or items, or that names a file
    for its overviews."""
    try:
        with path.open("rb") as stream:
            for tags in _directories(stream, path):
                _check_tags(tags, stream, path)
    except (struct.error, ValueError, OverflowError, OSError) as error:
        raise RasterUnreadable(f"{path.name} is no TIFF that can be read: {error}.") from error


def _check_tags(tags: dict[int, tuple[int, int]], stream: IO[bytes], path: Path) -> None:
    bands = tags.get(SAMPLES, (0, 0))[0]
    if bands > MOST_BANDS:
        raise RasterUnreadable(
            f"{path.name} has {bands:,} bands; at most {MOST_BANDS:,} are read. Export those that "
            "are wanted."
        )
    size, offset = tags.get(GDAL_METADATA, (0, 0))
    if size > LARGEST_TEXT:
        raise RasterUnreadable(
            f"{path.name} holds {size:,} bytes of metadata; at most {LARGEST_TEXT:,} are read."
        )
    if not size:
        return
    stream.seek(offset)
    check_items(stream.read(size), path)


def check_items(text: bytes, path: Path) -> None:
    """Refuse metadata of too many items; `text`: GDAL's XML of a TIFF or of a file beside a
    raster."""
    lower = text.lower()
    items = lower.count(b"<item") + lower.count(b"<mdi")
    if items > MOST_ITEMS:
        raise RasterUnreadable(
            f"{path.name} holds {items:,} items of metadata; at most {MOST_ITEMS:,} are read. "
            "Export it without them."
        )


def _directories(stream: IO[bytes], path: Path) -> Iterator[dict[int, tuple[int, int]]]:
    """Of each directory the tags: number -> (count of values, or the value of SAMPLES; offset of
    what it holds)."""
    mark = stream.read(4)
    order = "<" if mark[:2] == b"II" else ">"
    big = mark[2:].strip(b"\0") == b"+"
    offset_at, pointer, count_form, entry = (8, "Q", "Q", 20) if big else (4, "I", "H", 12)
    seen: set[int] = set()
    stream.seek(offset_at)
    offset = struct.unpack(order + pointer, stream.read(struct.calcsize(pointer)))[0]
    while offset and offset not in seen and len(seen) < MOST_DIRECTORIES:
        seen.add(offset)
        stream.seek(offset)
        count = struct.unpack(order + count_form, stream.read(struct.calcsize(count_form)))[0]
        if count > MOST_TAGS:
            raise RasterUnreadable(
                f"{path.name} is no TIFF that is read: a directory with {count:,} tags."
            )
        block = stream.read(count * entry)
        tags: dict[int, tuple[int, int]] = {}
        for at in range(0, len(block) - entry + 1, entry):
            tag, value = _entry(block[at : at + entry], order, big)
            tags.setdefault(tag, value)  # of two the first counts, as for GDAL
        yield tags
        stream.seek(
            offset + struct.calcsize(count_form) + count * entry
        )  # whoever got the tags has read elsewhere
        offset = struct.unpack(order + pointer, stream.read(struct.calcsize(pointer)))[0]


def _entry(data: bytes, order: str, big: bool) -> tuple[int, tuple[int, int]]:
    tag, kind = struct.unpack_from(order + "HH", data)
    count, where = struct.unpack_from(order + ("QQ" if big else "II"), data, 4)
    if tag == SAMPLES and kind in _WHOLE:
        count = struct.unpack_from(order + _WHOLE[kind], data, 12 if big else 8)[0]
    return tag, (int(count), int(where))
