"""The source datasets of MMM-RS, and the others of its Table 1, as their authors lay them out:
which files are pictures, and what is known of each.

Ground sizes, satellites and folders are those of the datasets' own papers and descriptions; no
archive is at hand to check them against, so a user's --gsd, --satellite and so on go before what
stands here.
"""

from __future__ import annotations

import csv
import functools
import json
import math
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..ground.errors import BadRequest

FOUR_BANDS = {"red": 1, "green": 2, "blue": 3, "nir": 4}
INFRARED_FIRST = {"nir": 1, "red": 2, "green": 3, "blue": 4}
"""Bands as WHU-OPT-SAR and GID hold them."""
PLAIN = "plain"
AUTOMATIC = "automatic"


@dataclass(frozen=True)
class Known:
    """What is told of one picture. `gsd_m`: ground size of a pixel in metres; 0: unknown. `parts`:
    those parts of the prompt that are known, by name. `pair`: path of the radar picture of the same
    ground; empty: there is none. `infrared`: path of one with near infrared, with its bands by role
    in `roles`; empty: there is none, unless the picture itself has that band. `caption`: what its
    authors say of it; empty: nothing."""

    gsd_m: float = 0.0
    parts: Mapping[str, str] = field(default_factory=dict)
    pair: str = ""
    infrared: str = ""
    roles: Mapping[str, int] = field(default_factory=dict)
    caption: str = ""


@dataclass(frozen=True)
class Layout:
    """`files`: patterns of the pictures below the dataset's folder; `marks`: one of these paths is
    there; `known`: of a file; `gsd_m` and `parts` of all."""

    files: tuple[str, ...]
    marks: tuple[str, ...]
    gsd_m: float = 0.0
    parts: Mapping[str, str] = field(default_factory=dict)
    known: Callable[[Path], Known] = lambda path: Known()

    def of(self, path: Path) -> Known:
        """What is known of a picture; its own before what is true of all."""
        own = self.known(path)
        return replace(own, gsd_m=own.gsd_m or self.gsd_m, parts={**self.parts, **own.parts})


def _class_folder(path: Path) -> Known:
    """The category is the folder's name."""
    return Known(parts={"category": _words(path.parent.name)})


def _words(name: str) -> str:
    return name.replace("_", " ").replace("-", " ").strip().lower()


def _hrsc(path: Path) -> Known:
    """HRSC2016 (Liu et al. 2017): an XML file beside the pictures' folder states the resolution."""
    tree = _xml(path.parent.parent / "Annotations" / f"{path.stem}.xml")
    try:
        return Known(
            _metres(tree.findtext(".//Img_Resolution", "0") or 0) if tree is not None else 0.0
        )
    except ValueError as error:
        raise BadRequest(f"{path.stem}.xml: Img_Resolution is no number ({error}).") from error


def _hrrsd(path: Path) -> Known:
    """TGRS-HRRSD (Zhang et al. 2019): objects in the form of PASCAL VOC."""
    tree = _xml(path.parent.parent / "Annotations" / f"{path.stem}.xml")
    names = [] if tree is None else [_words(one.text or "") for one in tree.iterfind("object/name")]
    return Known(parts={"category": ", ".join(dict.fromkeys(names))})


def _fmow(path: Path) -> Known:
    """fMoW-rgb (Christie et al. 2018): a JSON file of the same name with the ground size; the
    category is the folder's name."""
    beside = path.with_suffix(".json")
    gsd_m = 0.0
    if beside.is_file():
        try:
            gsd_m = _metres(json.loads(beside.read_text("utf8")).get("gsd") or 0)
        except (OSError, ValueError, AttributeError, TypeError) as error:
            raise BadRequest(f"{beside} cannot be read ({error}).") from error
    return Known(gsd_m, {"category": _words(path.parent.parent.name)})


def _sen12(path: Path) -> Known:
    """SEN1-2 (Schmitt et al. 2018): s2_N of Sentinel-2 beside s1_N of Sentinel-1, by season."""
    name = path.name.replace("_s2_", "_s1_")
    folder = path.parent.name.replace("s2_", "s1_")
    pair = path.parent.parent / folder / name
    return Known(pair=str(pair) if pair.is_file() else "")


def _whu(path: Path) -> Known:
    """WHU-OPT-SAR (Li et al. 2022): optical and sar, by the same names."""
    pair = path.parent.parent / "sar" / path.name
    return Known(pair=str(pair) if pair.is_file() else "", infrared=str(path), roles=FOUR_BANDS)


def _gid(path: Path) -> Known:
    """GID (Tong et al. 2020): image_RGB, and image_NirRGB with near infrared first."""
    beside = path.parent.parent / "image_NirRGB" / path.name
    return Known(infrared=str(beside) if beside.is_file() else "", roles=INFRARED_FIRST)


def _metres(value: Any) -> float:
    found = float(value)
    if not 0 <= found < math.inf:
        raise ValueError(f"{found} is no ground size")
    return found


def _xml(path: Path) -> Any:
    if not path.is_file():
        return None
    try:
        text = path.read_text("utf8")
        if "<!DOCTYPE" in text or "<!ENTITY" in text:
            raise BadRequest(f"{path.name} defines entities; it is not read.")
        return ET.fromstring(text)
    except (OSError, ValueError, ET.ParseError) as error:
        raise BadRequest(f"{path} cannot be read ({error}).") from error


def _listed(name: str) -> Callable[[Path], Known]:
    """Captions of a list in Karpathy's form (images[].filename, sentences[].raw), which lies at
    most two folders above the pictures: the first of each picture's."""

    def known(path: Path) -> Known:
        for folder in list(path.parents)[:3]:
            if (folder / name).is_file():
                found = _captions(folder / name, (folder / name).stat().st_mtime_ns)
                return Known(caption=found.get(path.name, ""))
        return Known()

    return known


@functools.lru_cache(maxsize=8)  # of a file's content alone
def _captions(path: Path, changed: int) -> Mapping[str, str]:
    """The first sentence of each picture, by its file's name."""
    try:
        if path.suffix == ".csv":
            with path.open(newline="", encoding="utf8") as stream:
                return {Path(row["filepath"]).name: row["title"] for row in csv.DictReader(stream)}
        data = json.loads(path.read_text("utf8"))
        if "images" in data:
            return {
                str(one["filename"]): str(one["sentences"][0]["raw"]).strip()
                for one in data["images"]
                if one["sentences"]
            }
        # NWPU-Captions: a list a class, the sentences under raw, raw_1 ...
        return {
            str(one["filename"]): str(one["raw"]).strip() for rows in data.values() for one in rows
        }
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise BadRequest(
            f"{path} is no list of captions ({type(error).__name__} {error})."
        ) from error


def _nwpu(path: Path) -> Known:
    """NWPU-Captions (Cheng et al. 2022): a folder a class of NWPU-RESISC45, dataset_nwpu.json."""
    found = _listed("dataset_nwpu.json")(path)
    return replace(found, parts={"category": _words(path.parent.name)})


def _skyscript(path: Path) -> Known:
    """SkyScript (Wang et al. 2024): images of folders images2 ... images7; CSV files with filepath
    and title."""
    for folder in list(path.parents)[:3]:
        for listed in sorted(folder.glob("SkyScript*.csv")):
            caption = _captions(listed, listed.stat().st_mtime_ns).get(path.name, "")
            if caption:
                return Known(caption=caption)
    return Known()


def _rs5m(path: Path) -> Known:
    """RS5M (Zhang et al. 2024), its shards unpacked: NAME.json with caption beside NAME.jpg."""
    beside = path.with_suffix(".json")
    if not beside.is_file():
        return Known()
    try:
        return Known(caption=str(json.loads(beside.read_text("utf8")).get("caption") or ""))
    except (OSError, ValueError, AttributeError) as error:
        raise BadRequest(f"{beside} cannot be read ({error}).") from error


LAYOUTS: Mapping[str, Layout] = {
    "mrssc2": Layout(
        ("MRSSC2.0/*/*.*", "*/*.tif"),
        ("MRSSC2.0",),
        100.0,
        {"satellite": "Tiangong-2", "dataset": "MRSSC2.0"},
        _class_folder,
    ),
    "inria": Layout(
        ("**/train/images/*.tif", "**/test/images/*.tif"),
        ("AerialImageDataset", "train/images"),
        0.3,
        {"satellite": "aerial", "dataset": "Inria"},
    ),
    "nasc-tg2": Layout(
        ("**/*RGB*/*/*.*", "NaSC-TG2/*/*.*"),
        ("NaSC-TG2", "NaSC_TG2"),
        100.0,
        {"satellite": "Tiangong-2", "dataset": "NaSC-TG2"},
        _class_folder,
    ),
    "gid": Layout(
        ("**/image_RGB/*.tif", "**/image_RGB/*.jpg"),
        ("image_RGB", "*/image_RGB"),
        4.0,
        {"satellite": "GF2", "dataset": "GID"},
        _gid,
    ),
    "whu-opt-sar": Layout(
        ("**/optical/*.tif",),
        ("optical", "*/optical"),
        5.0,
        {"satellite": "GF1", "dataset": "WHU-OPT-SAR"},
        _whu,
    ),
    "hrsc2016": Layout(
        ("**/AllImages/*.bmp",),
        ("FullDataSet", "*/FullDataSet", "AllImages"),
        0.0,
        {"satellite": "Google Earth", "dataset": "HRSC2016", "category": "ship"},
        _hrsc,
    ),
    "tgrs-hrrsd": Layout(
        ("**/JPEGImages/*.jpg",),
        ("OPT2017", "JPEGImages", "*/JPEGImages"),
        0.0,
        {"satellite": "Google Earth", "dataset": "TGRS-HRRSD"},
        _hrrsd,
    ),
    "fmow": Layout(
        ("**/*_rgb.jpg",),
        ("train/airport", "train/*/*/*_rgb.jpg", "*/*/*_rgb.jpg"),
        0.0,
        {"satellite": "WorldView", "dataset": "fMoW"},
        _fmow,
    ),
    "samrs": Layout(
        ("**/SOTA/images/*.*", "**/SIOR/images/*.*", "**/FAST/images/*.*"),
        ("SOTA/images", "SIOR/images", "FAST/images", "SAMRS/*/images"),
        0.0,
        {"dataset": "SAMRS"},
    ),
    "rsicd": Layout(
        ("**/RSICD_images/*.jpg",),
        ("RSICD_images", "*/RSICD_images", "dataset_rsicd.json"),
        0.0,
        {"satellite": "Google Earth", "dataset": "RSICD"},
        _listed("dataset_rsicd.json"),
    ),
    "ucm-captions": Layout(
        ("**/UCM_captions/imgs/*.tif", "imgs/*.tif"),
        ("UCM_captions", "imgs"),
        0.3,
        {"satellite": "aerial", "dataset": "UCM-Captions"},
        _listed("dataset.json"),
    ),
    "nwpu-captions": Layout(
        ("**/NWPU_images/*/*.jpg",),
        ("NWPU_images", "*/NWPU_images", "dataset_nwpu.json"),
        0.0,
        {"satellite": "Google Earth", "dataset": "NWPU-Captions"},
        _nwpu,
    ),
    "rs5m": Layout(
        ("**/*.jpg",),
        ("RS5M", "pub11*", "rs3*"),
        0.0,
        {"dataset": "RS5M"},
        _rs5m,
    ),
    "skyscript": Layout(
        ("**/images[2-7]/*.jpg",),
        ("SkyScript*.csv", "images2"),
        0.0,
        {"dataset": "SkyScript"},
        _skyscript,
    ),
    "sen1-2": Layout(
        ("ROIs*/s2_*/*.png", "*/ROIs*/s2_*/*.png"),
        ("ROIs*/s2_*", "*/ROIs*/s2_*"),
        10.0,
        {"satellite": "Sentinel-2", "dataset": "SEN1-2"},
        _sen12,
    ),
}
"""By the names that `--layout` takes."""


def named(name: str, folder: Path) -> Layout | None:
    """The layout of that name, or the one whose marks the folder bears; None for a plain folder of
    pictures."""
    if name == PLAIN:
        return None
    if name != AUTOMATIC:
        if name not in LAYOUTS:
            raise BadRequest(
                f"There is no layout '{name[:40]}'; there are "
                f"{', '.join((AUTOMATIC, PLAIN, *LAYOUTS))}."
            )
        return LAYOUTS[name]
    return next(
        (
            layout
            for layout in LAYOUTS.values()
            if any(next(folder.glob(mark), None) for mark in layout.marks)
        ),
        None,
    )
