"""resources/library: the exemplar library that is shipped, from open imagery.

usage: python scripts/make_library.py FOLDER   (FOLDER: where the sources of SETS lie)

Each chip is a WebP of at most 384 pixels a side; library.json says of each what is seen, its
ground size, where its sun stands, the tone of its ground by class, and whose it is.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from landbrush.server.library.chips import SIDES, tones_of
from landbrush.server.operators.ground import Ground
from landbrush.server.scene.network import SceneNetwork
from landbrush.server.scene.parse import understood
from PIL import Image

HERE = Path(__file__).resolve().parents[1] / "resources" / "library"
QUALITY = 82
LONGEST_PX = 384
CREDITS = {
    "usgs": {
        "credit": "U.S. Geological Survey, National Map (UC Merced land use)",
        "licence": "public domain",
        "source": "https://weegee.vision.ucmerced.edu/datasets/landuse.html",
    },
    "naip": {
        "credit": "USDA NAIP; Ventura et al. 2024 (selection)",
        "licence": "CC BY 4.0",
        "source": "https://github.com/jonathanventura/urban-tree-detection-data",
    },
    "gsi": {
        "credit": "Geospatial Information Authority of Japan, training image data for solar "
        "facilities, H1-No.20 (edited)",
        "licence": "Public Data License 1.0",
        "source": "https://www.gsi.go.jp/",
    },
    "noaa": {
        "credit": "NOAA, emergency response imagery, Joplin 2011",
        "licence": "public domain",
        "source": "https://storms.ngs.noaa.gov/",
    },
    "sichuan": {
        "credit": "Zeng Chao et al. 2021, Science Data Bank, doi:10.11922/sciencedb.j00001.00222",
        "licence": "CC BY 4.0",
        "source": "https://doi.org/10.11922/sciencedb.j00001.00222",
    },
}


@dataclass(frozen=True)
class Set:
    """Chips of one kind. `words`: what they show, the first one as its name. `files`: in the
    folder; each may have a crop behind a colon (left, top, side, in pixels). `gsd_m`: ground size
    of a pixel. `credit`: whose."""

    words: tuple[str, ...]
    folder: str
    files: tuple[str, ...]
    gsd_m: float
    credit: str


def usgs(kind: str, numbers: str, *words: str) -> Set:
    """Some chips of a class of UC Merced's training half."""
    files = tuple(f"{kind}{number}.jpg" for number in numbers.split())
    return Set(words, f"ucmerced_jpg/train/{kind}", files, 0.3048, "usgs")


SETS = (
    usgs("agricultural", "04 21 22 23", "orchard", "farmland"),
    usgs("agricultural", "00 02 05 09 15 18 27 30 32 34 36 39 41 42", "farmland"),
    usgs("agricultural", "10 12 16 17 19 26", "vineyard", "farmland"),
    usgs("airplane", "00 03 05 07 09 12 19 25 27 33 37 39 40", "aircraft"),
    usgs("baseballdiamond", "01 03 06 15 16 18 22 24 31 32 33 39", "baseball field",
         "sports pitch"),
    usgs("beach", "00 02 07 09 14 16 25 26 32 39 42 44", "beach"),
    usgs("buildings", "02 06 24 26 27 28 29 30 31 32 34 39", "commercial buildings",
         "industrial"),
    usgs("chaparral", "00 02 05 09 10 13 14 19 23 24 33 41", "shrub", "desert"),
    usgs("denseresidential", "02 03 06 14 15 18 22 26 28 32 33 37 39 40", "dense housing",
         "residential"),
    usgs("forest", "03 09 11 15 16 17 18 22 23 34 35 36 38 40", "forest"),
    usgs("forest", "06 08 12 25 26", "leafless forest", "forest"),
    usgs("freeway", "00 05 13 14 20 21 24 27 28 31 33 37", "freeway", "road"),
    usgs("golfcourse", "03 05 10 12 19 20 24 26 32 34 35 37 41", "golf course", "grass"),
    usgs("harbor", "00 01 04 08 11 13 19 21 28 31 33 35 38 40", "marina", "boats"),
    usgs("intersection", "06 08 18 20 22 26 30 36 40 42", "road crossing", "road"),
    usgs("mediumresidential", "00 02 05 06 08 11 12 15 17 21 24 28 30 32 36 40", "houses",
         "residential"),
    usgs("mobilehomepark", "02 05 06 07 12 14 17 18 20 27 31 35 39", "mobile homes", "residential"),
    usgs("overpass", "03 05 07 11 14 21 30 34 43 46", "overpass", "road"),
    usgs("parkinglot", "03 08 10 13 16 17 21 25 26 28 30 34 36 39 41", "parking"),
    usgs("river", "05 07 10 12 13 15 17 20 24 26 30 37 40", "river", "water"),
    usgs("runway", "00 05 13 20 21 24 26 27 30 33 34 36", "runway", "road"),
    usgs("sparseresidential", "01 02 05 07 11 13 14 16 18 21 26 32 36", "scattered houses",
         "residential"),
    usgs("storagetanks", "01 02 03 05 07 12 22 25 28 31 32 36 41 42", "storage tanks",
         "industrial"),
    usgs("tenniscourt", "01 06 07 08 10 13 16 18 23 25 30 34 37 42", "tennis court",
         "sports pitch"),
    Set(("solar farm", "solar"), "exemplar_sources/gsi_japan_solar",
        ("417.png", "432.png", "hflipped_131.png", "hflipped_136.png", "hflipped_343.png",
         "hflipped_76.png", "hflipped_80.png", "rotated_90_188.png"), 0.2, "gsi"),
    Set(("solar roof",), "exemplar_sources/gsi_japan_solar",
        ("hflipped_384.png", "rotated_90_141.png", "rotated_90_211.png", "hflipped_425.png"),
        0.2, "gsi"),
    Set(("rubble",), "joplin_tornado_geotiff/output/chips/post",
        ("1_post.tif:440,120,200", "1_post.tif:195,10,150", "1_post.tif:800,10,200",
         "1_post.tif:800,200,200", "1_post.tif:600,150,180", "3_post.tif:10,110,180",
         "3_post.tif:590,150,200", "3_post.tif:740,180,180", "3_post.tif:280,10,160",
         "3_post.tif:500,70,180", "3_post.tif:880,170,85"), 0.0, "noaa"),
    Set(("landslide", "bare"), "exemplar_sources/sichuan_landslides",
        ("Landslide009.png", "Landslide021.png"), 0.35, "sichuan"),
)  # fmt: skip
NAIP_WORDS = {
    "parking_lot_cars": ("parking",),
    "warehouse": ("warehouse", "industrial"),
    "construction_bare_earth": ("construction site", "bare"),
    "sports_pitch": ("sports pitch",),
    "residential": ("houses", "residential"),
    "freeway": ("freeway", "road"),
    "new_estate": ("housing estate", "residential"),
    "mobile_home_park": ("mobile homes", "residential"),
    "forest_dense": ("forest",),
    "desert_scrub": ("desert", "shrub"),
    "canal_drain": ("canal",),
    "tree_row_orchard": ("orchard", "farmland"),
    "pool": ("swimming pool",),
    "cemetery_park": ("park",),
}
HELD_BACK = ("palm_springs", "santa_monica")
"""Places that are not shipped: benchmarks edit them."""


def naip(folder: Path) -> Iterator[Set]:
    """Chips of California by what their list says they show."""
    place = "exemplar_sources/naip_california_rgbn"
    with (folder / place / "words.csv").open() as lines:
        for line in csv.DictReader(lines):
            words = NAIP_WORDS.get(line["word"])
            there = (folder / place / line["file"]).is_file()
            if words and there and not line["file"].startswith(HELD_BACK):
                yield Set(words, place, (line["file"],), 0.6, "naip")


def picture(path: Path, crop: str) -> tuple[np.ndarray, float]:
    """Bytes (3, H, W) of a file, or a part of it, and its ground size where it says so, in
    metres."""
    with rasterio.open(path) as source:
        image = source.read([1, 2, 3])
        gsd_m = abs(source.transform.a) if source.crs is not None else 0.0
    if crop:
        left, top, side = map(int, crop.split(","))
        image = image[:, top : top + side, left : left + side]
    return image, gsd_m


def entry(one: Set, name: str, folder: Path, network: SceneNetwork) -> dict[str, Any] | None:
    """Write a chip, and tell what it is; None for one that holds no data."""
    file, _, crop = name.partition(":")
    image, stated = picture(folder / one.folder / file, crop)
    if (image.sum(axis=0) == 0).mean() > 0.01:
        return None
    gsd_m = one.gsd_m or stated
    shown = Image.fromarray(image.transpose(1, 2, 0))
    longest = max(shown.size)
    if longest > LONGEST_PX:
        # What is finer than most layers is brought to a ground size at which more of it fits.
        shrink = min(longest / LONGEST_PX, max(0.3 / gsd_m, 1.0))
        shown = shown.resize(
            tuple(round(side / shrink) for side in shown.size), Image.Resampling.LANCZOS
        )
        gsd_m *= shrink
        side = min(*shown.size, LONGEST_PX)
        left, top = ((length - side) // 2 for length in shown.size)
        shown = shown.crop((left, top, left + side, top + side))
    key = f"{one.words[0].replace(' ', '-')}-{one.credit}-{Path(file).stem}{crop.replace(',', '-')}"
    shown.save(HERE / "chips" / f"{key}.webp", quality=QUALITY, method=6)
    seen = np.asarray(shown, np.float32).transpose(2, 0, 1) / 255
    ground = Ground(seen, np.ones(seen.shape[1:], bool), ("red", "green", "blue"), gsd_m)
    parse = understood(ground, network)
    return {
        "id": key,
        "words": list(one.words),
        "gsd_m": round(gsd_m, 4),
        "sun": None if parse.sun is None else round(parse.sun),
        "tones": {
            name: [round(value, 4) for value in tone]
            for name, tone in tones_of(parse, seen).items()
        },
        "credit": one.credit,
    }


def main() -> None:
    """Write all chips and the list."""
    folder = Path(sys.argv[1])
    (HERE / "chips").mkdir(parents=True, exist_ok=True)
    for old in (HERE / "chips").glob("*.webp"):
        old.unlink()
    network = SceneNetwork()
    found = [
        told
        for one in (*SETS, *naip(folder))
        for name in one.files
        if (told := entry(one, name, folder, network)) is not None
    ]
    assert len({one["id"] for one in found}) == len(found)
    assert SIDES == ("red", "green", "blue")
    text = json.dumps({"credits": CREDITS, "chips": found}, indent=0, sort_keys=True)
    (HERE / "library.json").write_text(text + "\n", encoding="utf8")
    size = sum(path.stat().st_size for path in (HERE / "chips").glob("*.webp"))
    print(f"{len(found)} chips, {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
