"""docs/ground.jpg: floods, snow, fires, fog, dusk, night, damage and seasons on places that the
scene parser was not trained on, before and after.

usage: python benchmarks/ground_sheet.py [FOLDER]   (FOLDER: each pair as a PNG of its own, too)
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cases
import numpy as np
import rasterio
from contact_sheet import save_pair, tile
from landbrush.server.contract.requests import EditRequest
from landbrush.server.editing.path import Job, edit
from landbrush.server.raster.display import picture
from landbrush.server.raster.rasters import Rasters
from PIL import Image

SIDE = 250
UCM = "ucmerced_jpg/test/{0}/{0}{1}.jpg"
NAIP = "exemplar_sources/naip_california_rgbn/{}.tif"
VIRAC = "labels/oam_buildings/virac_philippines/{}.png"
NOTO = "exemplar_sources/gsi_noto_2024_pairs/{}.png"
SPAIN = "sen1floods11_sample/S2/Spain_7370579_S2Hand.tif"
LAKES = "naip_landsat_timeseries/naip/m_4709963_se_14_1_20200831.tif"
JOPLIN = cases.JOPLIN


@dataclass(frozen=True)
class View:
    """A part of an image. `image`: its path. `box`: columns and rows of it that are shown.
    `polygon`: where is edited, in shares of the box."""

    image: str
    box: tuple[int, int, int, int]
    polygon: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Shot:
    """One edit. `title`: below the picture. `view`: where. `editor`, `options`: what."""

    title: str
    view: View
    editor: str
    options: dict[str, Any] = field(default_factory=dict)


BLOB = ((0.12, 0.3), (0.3, 0.1), (0.62, 0.08), (0.88, 0.25), (0.93, 0.6), (0.72, 0.9), (0.4, 0.93),
        (0.14, 0.72))  # fmt: skip
BAND = ((0.0, 0.35), (0.35, 0.2), (0.7, 0.28), (1.0, 0.15), (1.0, 0.75), (0.6, 0.85), (0.25, 0.8),
        (0.0, 0.9))  # fmt: skip
ALL = ((-0.1, -0.1), (1.1, -0.1), (1.1, 1.1), (-0.1, 1.1))
WHOLE = (0, 0, 256, 256)


def whole(view: View) -> View:
    """The same, edited everywhere: weather and light know no polygon."""
    return replace(view, polygon=ALL)


STREET = View(JOPLIN.format(0), (560, 60, 860, 360), BLOB)
PARK = View(JOPLIN.format(0), (100, 640, 400, 940), BAND)
VILLAGE = View(JOPLIN.format(2), (480, 420, 800, 740), BLOB)
FREEWAY = View(NAIP.format("santa_monica_2020_40"), WHOLE, BLOB)
MONICA = View(NAIP.format("santa_monica_2020_0"), WHOLE, BAND)
SPRINGS = View(NAIP.format("palm_springs_2020_45"), WHOLE, BLOB)
DESERT = View(NAIP.format("palm_springs_2020_78"), WHOLE, BLOB)
GOLF = View(NAIP.format("palm_springs_2020_75"), WHOLE, BAND)
DENSE = View(UCM.format("denseresidential", "17"), WHOLE, BLOB)
MOBILE = View(UCM.format("mobilehomepark", "08"), WHOLE, BAND)
HARBOUR = View(UCM.format("harbor", "14"), WHOLE, ALL)
BEACH = View(UCM.format("beach", "12"), WHOLE, ALL)
TANKS = View(UCM.format("storagetanks", "26"), WHOLE, BLOB)
FOREST = View(UCM.format("forest", "10"), WHOLE, BLOB)
FIELDS = View(UCM.format("sparseresidential", "06"), WHOLE, BLOB)
VIRAC_A = View(VIRAC.format("OAM-443116-241595-19"), WHOLE, BLOB)
WAJIMA = View(NOTO.format("post_18_230756_101672"), WHOLE, BLOB)
PRAIRIE = View(LAKES, (300, 200, 700, 600), BLOB)
EBRO = View(SPAIN, (60, 60, 460, 460), BLOB)

SHOTS = (
    Shot("flood, knee-deep", STREET, "flood", {"level_m": 0.5}),
    Shot("flood, roof-deep", STREET, "flood", {"level_m": 3.6}),
    Shot("snow", whole(STREET), "snow"),
    Shot("thin snow", STREET, "snow", {"cover": 0.4, "depth_cm": 3.0}),
    Shot("burnt", STREET, "burn"),
    Shot("dusk", whole(STREET), "low-light"),
    Shot("flood in the park", PARK, "flood", {"level_m": 0.8}),
    Shot("burnt park", PARK, "burn", {"severity": 0.9}),
    Shot("flood", VILLAGE, "flood", {"level_m": 0.8}),
    Shot("snow", whole(VILLAGE), "snow"),
    Shot("fog", VILLAGE, "fog"),
    Shot("flood", FREEWAY, "flood", {"level_m": 1.0}),
    Shot("night", whole(FREEWAY), "low-light", {"light": 0.03}),
    Shot("snow, roads cleared", whole(MONICA), "snow", {"roads": "cleared"}),
    Shot("flood", MONICA, "flood", {"level_m": 1.5}),
    Shot("flood", SPRINGS, "flood", {"level_m": 0.8}),
    Shot("dusk", whole(SPRINGS), "low-light"),
    Shot("snow in the desert", whole(DESERT), "snow"),
    Shot("flash flood", DESERT, "flood", {"level_m": 0.6}),
    Shot("flood on the golf course", GOLF, "flood", {"level_m": 0.8}),
    Shot("burnt grass", GOLF, "burn", {"severity": 0.6}),
    Shot("flood", DENSE, "flood", {"level_m": 1.0}),
    Shot("snow", whole(DENSE), "snow"),
    Shot("flood", MOBILE, "flood", {"level_m": 0.8}),
    Shot("night", whole(MOBILE), "low-light", {"light": 0.03}),
    Shot("fog in the harbour", HARBOUR, "fog"),
    Shot("snow on the beach", BEACH, "snow"),
    Shot("flood", TANKS, "flood", {"level_m": 1.0}),
    Shot("snow", whole(TANKS), "snow"),
    Shot("forest fire", FOREST, "burn", {"severity": 0.9, "patch_m": 22.0}),
    Shot("snow", whole(FOREST), "snow"),
    Shot("wildfire at the edge of town", FIELDS, "burn", {"severity": 0.8}),
    Shot("flood", VIRAC_A, "flood", {"level_m": 0.8}),
    Shot("snow", whole(WAJIMA), "snow"),
    Shot("flood, 5 m", PRAIRIE, "flood", {"level_m": 1.5}),
    Shot("snow, 5 m", whole(PRAIRIE), "snow"),
    Shot("burnt, 10 m", EBRO, "burn"),
    Shot("flood, 10 m", EBRO, "flood", {"level_m": 1.5}),
    Shot("after a tornado", VILLAGE, "damage", {"severity": 0.8}),
    Shot("after an earthquake", MONICA, "damage", {"cause": "earthquake", "severity": 0.6}),
    Shot("after a hurricane", SPRINGS, "damage",
         {"cause": "hurricane", "severity": 0.4, "tarpaulins": 0.6}),
    Shot("after a tsunami", WAJIMA, "damage", {"cause": "tsunami", "severity": 0.8}),
    Shot("after an explosion", FREEWAY, "damage", {"cause": "explosion", "severity": 0.7}),
    Shot("tsunami", VIRAC_A, "flood", {"level_m": 1.2, "mud": 0.95, "debris": 0.5}),
    Shot("autumn", FIELDS, "season"),
    Shot("drought", GOLF, "season", {"season": "drought"}),
)  # fmt: skip


def ring(shot: Shot) -> list[tuple[float, float]]:
    """The polygon in pixels of the image."""
    left, top, right, bottom = shot.view.box
    return [(left + x * (right - left), top + y * (bottom - top)) for x, y in shot.view.polygon]


def shown(dataset: rasterio.DatasetReader, like: np.ndarray | None = None) -> np.ndarray:
    """Bytes (3, H, W) for the eye, stretched as `like` was."""
    if dataset.dtypes[0] == "uint8":
        return dataset.read([1, 2, 3])
    bands = [4, 3, 2] if dataset.count > 4 else [1, 2, 3]
    values = dataset.read(bands).astype(np.float32)
    low, high = np.percentile(values if like is None else like, (1, 99.5))
    seen = np.clip((values - low) / (high - low), 0, 1)
    return picture(seen, ("red", "green", "blue")).transpose(2, 0, 1)


def made(shot: Shot, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Before and after (3, H, W), through the whole of the editing path."""
    path = cases.DATA / shot.view.image
    with rasterio.open(path) as dataset:
        corners = [list(dataset.transform @ at) for at in [*ring(shot), ring(shot)[0]]]
    if path.suffix != ".tif":
        corners = [list(at) for at in [*ring(shot), ring(shot)[0]]]
    body = {
        "raster": {"path": str(path)},
        "polygons": {
            "geometry": {"type": "Polygon", "coordinates": [corners]},
            "crs": "" if path.suffix == ".tif" else "pixels",
        },
        "seed": 1,
        "options": shot.options,
        "output": {"area": "layer"},
    }
    if path.name == Path(SPAIN).name:
        body["band_roles"] = {"blue": 2, "green": 3, "red": 4, "nir": 8, "swir1": 12, "swir2": 13}
    job = Job(EditRequest.from_json(body), shot.editor, Rasters(path))
    manifest = edit(job, cases.EDITORS, folder, lambda *a: None)
    assert manifest.gate.pixels_outside_different == 0
    print(f"{shot.title:30} {path.stem:26} {manifest.seconds['edit']:.2f} s", flush=True)
    with rasterio.open(path) as before, rasterio.open(folder / "result.tif") as after:
        bands = [4, 3, 2] if before.count > 4 else [1, 2, 3]
        like = None if before.dtypes[0] == "uint8" else before.read(bands).astype(np.float32)
        return shown(before, like), shown(after, like)


def main() -> None:
    """The sheet, and where a folder is named the pairs."""
    warnings.filterwarnings("ignore", category=rasterio.errors.NotGeoreferencedWarning)
    pairs = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    sheet = Image.new("RGB", (SIDE * 8, SIDE * ((len(SHOTS) + 3) // 4)), "white")
    with tempfile.TemporaryDirectory() as folder:
        for number, shot in enumerate(SHOTS):
            before, after = made(shot, Path(folder))
            row, col = number // 4, 2 * (number % 4)
            marked = ring(shot)
            sheet.paste(tile(before, shot.view.box, "before", marked), (col * SIDE, row * SIDE))
            sheet.paste(tile(after, shot.view.box, shot.title), ((col + 1) * SIDE, row * SIDE))
            if pairs:
                save_pair((before, after), shot.view.box, pairs / f"{number + 1:02}.png")
    target = Path(__file__).resolve().parents[1] / "docs" / "ground.jpg"
    sheet.save(target, quality=85)
    print(target.name, target.stat().st_size)


if __name__ == "__main__":
    main()
