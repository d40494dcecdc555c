"""Tags of a TIFF's first directory, read and set in the file as it lies there.

rasterio writes neither XMP (tag 700) nor the epoch of coordinates (a key of the GeoTIFF directory).
The directory is written anew at the end of the file, as libtiff itself does when one grows; pixels
stay where they are. Layout: TIFF 6.0 (1992), section 2; BigTIFF as libtiff defines it; keys:
OGC 19-008r4, 7.1.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

XMP = 700
GEO_KEYS = 34735
GEO_DOUBLES = 34736
EPOCH_KEY = 5120
"""CoordinateEpochGeoKey: the decimal year of a dynamic CRS's coordinates."""
BYTE, SHORT, DOUBLE = 1, 3, 12
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
SIZES |= {16: 8, 17: 8, 18: 8}


@dataclass(frozen=True)
class Layout:
    """How the numbers of a file are written. `order`: '<' or '>', as in struct. `big`: BigTIFF."""

    order: str
    big: bool

    @property
    def pointer(self) -> str:
        """struct's form of an offset."""
        return self.order + ("Q" if self.big else "I")

    @property
    def entry(self) -> str:
        """struct's form of a directory entry: tag, type, count, value or offset."""
        return self.order + ("HHQ8s" if self.big else "HHI4s")

    @property
    def counter(self) -> str:
        """struct's form of the number of entries."""
        return self.order + ("Q" if self.big else "H")


Entries = dict[int, tuple[int, int, bytes]]
"""Type, count, and the field that holds the value or its offset, by tag."""


def set_tags(path: Path, wanted: Mapping[int, tuple[int, bytes]]) -> None:
    """Set tags of the first directory: (type, values in the file's byte order) by tag. Raises
    OSError, ValueError for what is no TIFF."""
    with path.open("r+b") as stream:
        layout, entries, following = _first_directory(stream)
        pointer = struct.calcsize(layout.pointer)
        for tag, (kind, data) in wanted.items():
            held = data
            if len(data) > pointer:
                held = struct.pack(layout.pointer, _append(stream, data))
            entries[tag] = (kind, len(data) // SIZES[kind], held.ljust(pointer, b"\0"))
        body = struct.pack(layout.counter, len(entries))
        for tag, (kind, count, held) in sorted(entries.items()):
            body += struct.pack(layout.entry, tag, kind, count, held)
        body += struct.pack(layout.pointer, following)
        place = _append(stream, body)
        if not layout.big and place + len(body) >= 2**32:
            raise OSError(f"{path.name} is too large for a TIFF of 32-bit offsets.")
        stream.seek(8 if layout.big else 4)
        stream.write(struct.pack(layout.pointer, place))


def set_xmp(path: Path, packet: bytes) -> None:
    """Put an XMP packet into a TIFF, byte by byte as it is."""
    set_tags(path, {XMP: (BYTE, packet)})


def set_epoch(path: Path, year: float) -> None:
    """State the epoch of a GeoTIFF's coordinates. Raises ValueError where it has no CRS."""
    with path.open("rb") as stream:
        layout, entries, _ = _first_directory(stream)
        keys = _values(stream, layout, entries.get(GEO_KEYS), "H")
        doubles = _values(stream, layout, entries.get(GEO_DOUBLES), "d")
    if len(keys) < 4:
        raise ValueError(f"{path.name} has no CRS whose coordinates could have an epoch.")
    known = {keys[at]: keys[at : at + 4] for at in range(4, len(keys) - 3, 4)}
    known[EPOCH_KEY] = (EPOCH_KEY, GEO_DOUBLES, 1, len(doubles))
    # The revision that knows the key is 1.1.
    head = (keys[0], 1, 1, len(known))
    numbers = [*head, *(number for key in sorted(known) for number in known[key])]
    data = struct.pack(f"{layout.order}{len(numbers)}H", *numbers)
    values = struct.pack(f"{layout.order}{len(doubles) + 1}d", *doubles, year)
    set_tags(path, {GEO_KEYS: (SHORT, data), GEO_DOUBLES: (DOUBLE, values)})


def states_epoch(path: Path) -> bool:
    """Whether the coordinates of a GeoTIFF have an epoch. Raises OSError, ValueError."""
    with path.open("rb") as stream:
        layout, entries, _ = _first_directory(stream)
        return EPOCH_KEY in _values(stream, layout, entries.get(GEO_KEYS), "H")[4::4]


def _first_directory(stream: IO[bytes]) -> tuple[Layout, Entries, int]:
    """Layout, entries, and the offset of the next directory."""
    mark = stream.read(4)
    if mark not in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        raise ValueError("This is no TIFF.")
    layout = Layout("<" if mark[:2] == b"II" else ">", b"+" in mark)
    stream.seek(8 if layout.big else 4)
    stream.seek(_number(stream, layout.pointer))
    entries: Entries = {}
    for _ in range(_number(stream, layout.counter)):
        piece = stream.read(struct.calcsize(layout.entry))
        tag, kind, count, held = struct.unpack(layout.entry, piece)
        entries[tag] = (kind, count, held)
    return layout, entries, _number(stream, layout.pointer)


def _number(stream: IO[bytes], form: str) -> int:
    return int(struct.unpack(form, stream.read(struct.calcsize(form)))[0])


def _values(
    stream: IO[bytes], layout: Layout, entry: tuple[int, int, bytes] | None, form: str
) -> tuple[int, ...]:
    """The numbers of a tag; none where it is not there."""
    if entry is None:
        return ()
    _, count, held = entry
    size = count * struct.calcsize(form)
    if size <= len(held):
        data = held[:size]
    else:
        stream.seek(struct.unpack(layout.pointer, held)[0])
        data = stream.read(size)
    return struct.unpack(f"{layout.order}{count}{form}", data)


def _append(stream: IO[bytes], data: bytes) -> int:
    """Write at the end of the file, at an even place; returns where."""
    place = stream.seek(0, 2)
    if place % 2:
        stream.write(b"\0")
        place += 1
    stream.write(data)
    return place
