"""Rasters with bytes changed, cut off and made up: each ends in a sentence or an edit, and the
server goes on."""

from __future__ import annotations

import random
import struct
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import rasterio
import rasterio.shutil

from .escapes import SIDE, polygons, written
from .serving import Prober, Serving

FORMATS = {
    "plain.tif": {"driver": "GTiff"},
    "tiled.tif": {
        "driver": "GTiff",
        "tiled": True,
        "blockxsize": 16,
        "blockysize": 16,
        "compress": "deflate",
    },
    "lzw.tif": {"driver": "GTiff", "compress": "lzw", "predictor": 2, "interleave": "band"},
    "zstd.tif": {"driver": "GTiff", "compress": "zstd"},
    "jpeg.tif": {"driver": "GTiff", "compress": "jpeg", "photometric": "YCBCR"},
    "lerc.tif": {"driver": "GTiff", "compress": "lerc"},
    "webp.tif": {"driver": "GTiff", "compress": "webp"},
    "big.tif": {"driver": "GTiff", "bigtiff": "YES"},
    "a.png": {"driver": "PNG"},
    "a.jpg": {"driver": "JPEG"},
    "a.jp2": {"driver": "JP2OpenJPEG"},
    "a.img": {"driver": "HFA", "compressed": "YES"},
    "a.pix": {"driver": "PCIDSK"},
    "a.ntf": {"driver": "NITF"},
    "a.gif": {"driver": "GIF"},
    "a.webp": {"driver": "WEBP"},
    "a.bmp": {"driver": "BMP"},
    "a.gpkg": {"driver": "GPKG"},
    "a.rst": {"driver": "RST"},
    "a.ers": {"driver": "ERS"},
}
TAGS = (256, 257, 258, 259, 273, 277, 278, 279, 284, 317, 322, 323, 324, 325, 330, 33550, 33922)
HUGE = (0, 1, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 1 << 20)


def seeds(folder: Path) -> list[Path]:
    """A good raster of each kind that can be written here."""
    dice = np.random.default_rng(0)
    made = []
    for name, how in FORMATS.items():
        count = 1 if how["driver"] in ("GIF", "RST") else 3
        values = dice.integers(0, 255, (count, SIDE, SIDE)).astype(np.uint8)
        path = folder / name
        try:
            if how["driver"] in ("PNG", "JPEG", "JP2OpenJPEG", "GIF", "WEBP", "GPKG"):
                rasterio.shutil.copy(written(folder / "draft.tif", values), path, **how)
            else:
                written(path, values, **how)
        except Exception as error:  # a driver that this GDAL cannot write
            print("no seed", name, error)
            continue
        made.append(path)
    return made


def mutated(data: bytes, dice: random.Random) -> bytes:
    """Bytes of a raster, changed."""
    found = bytearray(data)
    how = dice.random()
    if how < 0.15:
        return bytes(found[: dice.randrange(1, len(found))])
    if how < 0.45 and data[:2] in (b"II", b"MM"):
        return _other_tags(found, dice)
    if how < 0.55:
        at = dice.randrange(len(found))
        return bytes(found[:at] + dice.randbytes(dice.randrange(1, 400)) + found[at:])
    header = min(len(found), 600) if how < 0.85 else len(found)
    for _ in range(dice.choice((1, 2, 5, 20))):
        found[dice.randrange(header)] = dice.randrange(256)
    return bytes(found)


def _other_tags(found: bytearray, dice: random.Random) -> bytes:
    """A TIFF with a tag of another type, count or value."""
    order = "<" if found[:2] == b"II" else ">"
    if found[2:4] != struct.pack(order + "H", 42):
        found[dice.randrange(len(found))] = dice.randrange(256)
        return bytes(found)
    at = struct.unpack_from(order + "I", found, 4)[0]
    if at + 2 > len(found):
        return bytes(found)
    count = struct.unpack_from(order + "H", found, at)[0]
    entries = [at + 2 + 12 * i for i in range(count) if at + 14 + 12 * i <= len(found)]
    known = [e for e in entries if struct.unpack_from(order + "H", found, e)[0] in TAGS] or entries
    for entry in dice.sample(known, min(len(known), dice.choice((1, 1, 2)))):
        field = dice.choice((2, 4, 8))
        if field == 2:
            struct.pack_into(order + "H", found, entry + 2, dice.choice((1, 2, 3, 4, 12, 16, 99)))
        else:
            struct.pack_into(order + "I", found, entry + field, dice.choice((*HUGE, at, 8)))
    return bytes(found)


def cases(folder: Path, count: int, first: int) -> Iterator[tuple[int, Path]]:
    """So many changed rasters, each a file of its own."""
    made = seeds(folder)
    for number in range(first, first + count):
        dice = random.Random(number)
        seed = dice.choice(made)
        path = folder / f"m{number}{seed.suffix}"
        path.write_bytes(mutated(seed.read_bytes(), dice))
        if seed.suffix == ".ers":
            path.with_suffix("").write_bytes(seed.with_suffix("").read_bytes())
        yield number, path


def one(server: Serving, number: int, path: Path) -> tuple[str, str]:
    """Everything that is asked of one: how it ended."""
    ref = {"path": str(path)}
    if number % 3 == 0:
        sent = server.call("POST", "/rasters", body=path.read_bytes())
        if sent.status != 201:
            return _kind(sent.status), f"{path} upload {sent.body[:300]!r}"
        ref = {"upload": sent.json()["upload"]}
    for call, body in (
        ("/inspections", {"raster": ref}),
        ("/searches", {"raster": ref, "word": "water"}),
    ):
        asked = server.call("POST", call, body)
        if _kind(asked.status) == "fault":
            return "fault", f"{path} {call} {asked.body[:300]!r}"
    wanted = {"inputs": {"raster": ref, "polygons": polygons()}}
    made = server.call("POST", "/processes/snow/execution", wanted)
    if made.status != 201:
        return _kind(made.status), f"{path} {made.body[:300]!r}"
    info = server.ended(made.json()["jobID"])
    problem = info.get("problem") or {}
    bad = info.get("status") != "successful" and problem.get("status", 500) in (0, 500)
    return ("fault" if bad else str(info.get("status"))), f"{path} {info.get('message')}"


def _kind(status: int) -> str:
    return "refused" if 400 <= status < 500 or status in (200, 503, 507) else "fault"


def run(folder: Path, count: int, first: int = 0) -> dict[str, float]:
    """So many changed rasters; returns what came of them."""
    root = folder / "root"
    root.mkdir()
    server = Serving(folder / "home", root)
    idle_mb = server.resident_mb()
    ways: Counter[str] = Counter()
    bad = []
    with Prober(server) as prober, ThreadPoolExecutor(3) as pool:
        for way, what in pool.map(lambda case: one(server, *case), list(cases(root, count, first))):
            ways[way] += 1
            if way == "fault":
                bad.append(what)
    for what in bad[:20]:
        print("fault", what)
    server.stop()
    print("rasters", dict(ways))
    return {
        "rasters": count,
        "http_500": len(bad),
        "deaths": server.deaths,
        "slow_answers": prober.slow,
        "slowest_answer_s": prober.slowest_s,
        "grown_mb": prober.most_mb - idle_mb,
    }
