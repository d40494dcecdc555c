"""docs/edits.jpg: sixty edits made as a person makes them, before and after: removals, fills from a
place that is drawn, fills by words, copies.

usage: python benchmarks/edits_sheet.py [FOLDER]   (FOLDER: each pair as a PNG of its own, too)

The places are those of the other benchmarks; cases that methods were tuned on are left out where
there are others. What the product refuses is shown as it was, and said.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cases
import numpy as np
import rasterio
import removals
import words
from cases import NAIP, UCM, Ring
from contact_sheet import save_pair, tile
from landbrush.server.contract.requests import EditRequest
from landbrush.server.editing.path import Job
from landbrush.server.editing.tries import edit_well
from landbrush.server.ground.errors import ServerError
from landbrush.server.raster.rasters import Rasters
from PIL import Image

SIDE = 250
CALIFORNIA = removals.CALIFORNIA
REMOVED = 24
JOPLIN = cases.JOPLIN
VIRAC = "labels/oam_buildings/virac_philippines/OAM-443116-241595-19.png"
MASS = "exemplar_sources/massgis_leafoff/23279035_15.png"


@dataclass(frozen=True)
class Edit:
    """One edit. `title`: what was asked. `image`: its path. `ring`: where, in pixels. `prompt`,
    `editor`: how it was said. `exemplar`: where what is copied lies, if it was drawn."""

    title: str
    image: str
    ring: Ring
    prompt: str
    editor: str = "auto"
    exemplar: Ring | None = None


def _box(left: int, top: int, right: int, bottom: int) -> Ring:
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def removed() -> list[Edit]:
    """Removals: no case that was looked at while the method was tuned."""
    seen = [case for case in cases.REMOVE if not case.held_out]
    rest = [case for case in removals.CASES if case not in seen]
    return [
        Edit(f"remove: {case.name}", case.path, case.target, "remove this", "remove")
        for case in rest[:REMOVED]
    ]


def filled() -> list[Edit]:
    """Fills from a place that is drawn."""
    return [
        Edit(
            f"like there: {case.name}", case.path, case.target, "like there", "fill", case.exemplar
        )
        for case in cases.FILL
    ]


WORDS = (
    (words.NAIP.format("palm_springs_2020_78"), "solar farm"),
    (words.NAIP.format("palm_springs_2020_78"), "car park"),
    (words.NAIP.format("palm_springs_2020_75"), "forest"),
    (words.NAIP.format("palm_springs_2020_45"), "meadow"),
    (words.NAIP.format("santa_monica_2020_0"), "forest"),
    (words.NAIP.format("santa_monica_2020_40"), "car park"),
    (UCM.format("sparseresidential", "06"), "farmland"),
    (UCM.format("agricultural", "08"), "scrub"),
    (UCM.format("agricultural", "08"), "houses"),
    (UCM.format("forest", "10"), "lake"),
    (UCM.format("chaparral", "06"), "vineyard"),
    (VIRAC, "forest"),
    (JOPLIN.format(0), "houses"),
    (JOPLIN.format(2), "forest"),
    (JOPLIN.format(2), "lake"),
    (MASS, "meadow"),
)


def said() -> list[Edit]:
    """Fills by words, in the middle of a layer."""
    found = []
    for image, word in WORDS:
        place = words.place_of(image, words.SCENES[image])
        ring = [(round(x), round(y)) for x, y in place.ring]
        found.append(Edit(f"'{word}'", image, ring, word))
    return found


COPIES = (
    Edit("copy: plane", UCM.format("airplane", "34"), _box(20, 20, 90, 86), "copy", "copy",
         [(96, 106), (112, 104), (162, 138), (158, 166), (106, 168)]),
    Edit("copy: tank", UCM.format("storagetanks", "34"), _box(60, 20, 150, 112), "copy", "copy",
         _box(42, 152, 112, 228)),
    Edit("copy: boat", UCM.format("harbor", "60"), _box(4, 58, 58, 86), "copy", "copy",
         _box(40, 164, 94, 192)),
    Edit("copy: tree", UCM.format("golfcourse", "46"), _box(150, 40, 194, 94), "copy", "copy",
         _box(98, 154, 142, 208)),
    Edit("copy: house", JOPLIN.format(2), _box(660, 760, 706, 810), "copy", "copy",
         _box(488, 516, 534, 566)),
    Edit("copy: mobile home", UCM.format("mobilehomepark", "08"), _box(126, 226, 176, 256), "copy",
         "copy", [(142, 168), (186, 154), (192, 172), (148, 188)]),
    Edit("copy: second tank", UCM.format("storagetanks", "34"), _box(150, 30, 230, 116), "copy",
         "copy", _box(122, 154, 200, 238)),
    Edit("copy: lake", NAIP, [(182, 395), (300, 392), (304, 455), (250, 462), (188, 450)], "copy",
         "copy", [(342, 500), (398, 500), (400, 560), (396, 602), (350, 604), (340, 560)]),
    Edit("copy: court", UCM.format("tenniscourt", "09"), _box(160, 120, 204, 208), "copy", "copy",
         _box(74, 116, 120, 208)),
    Edit("copy: car", UCM.format("parkinglot", "06"), _box(206, 70, 228, 104), "copy", "copy",
         _box(204, 131, 228, 167)),
)  # fmt: skip


def edits() -> list[Edit]:
    """All sixty."""
    return [*removed(), *filled(), *said(), *COPIES]


def made(edit: Edit, folder: Path) -> tuple[np.ndarray, np.ndarray, str]:
    """Before and after (3, H, W), and what the product said of it."""
    path = cases.DATA / edit.image
    with rasterio.open(path) as source:
        placed, transform = source.crs is not None, source.transform
        before = source.read([1, 2, 3])

    def shape(ring: Ring) -> dict[str, Any]:
        corners = [list(transform @ at) if placed else list(at) for at in [*ring, ring[0]]]
        geometry = {"type": "Polygon", "coordinates": [corners]}
        return {"geometry": geometry, "crs": "" if placed else "pixels"}

    body: dict[str, Any] = {
        "raster": {"path": str(path)},
        "polygons": shape(edit.ring),
        "prompt": edit.prompt,
        "seed": 1,
        "output": {"area": "layer"},
    }
    if edit.exemplar:
        body["exemplar"] = {"polygons": shape(edit.exemplar)}
    job = Job(EditRequest.from_json(body), edit.editor, Rasters(path))
    try:
        manifest = edit_well(job, cases.EDITORS, folder, lambda *a: None)
    except ServerError as error:
        return before, before, f"refused: {error}"
    assert manifest.gate.pixels_outside_different == 0
    with rasterio.open(folder / "result.tif") as source:
        return before, source.read([1, 2, 3]), " ".join(manifest.notes)


def view_of(edit: Edit, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Columns and rows that are shown: the polygon and as much around it."""
    corners = np.array(edit.ring)
    low, high = corners.min(axis=0), corners.max(axis=0)
    half = max(1.0 * float((high - low).max()), 60.0)
    half = min(half, min(shape[1:]) / 2)
    middle = [
        float(np.clip(at, half, side - half))
        for at, side in zip((low + high) / 2, shape[:0:-1], strict=True)
    ]
    left, top = (round(at - half) for at in middle)
    right, bottom = (round(at + half) for at in middle)
    return left, top, right, bottom


def main() -> None:
    """The sheet, and where a folder is named the pairs."""
    warnings.filterwarnings("ignore", category=rasterio.errors.NotGeoreferencedWarning)
    pairs = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    every = edits()
    sheet = Image.new("RGB", (SIDE * 12, SIDE * ((len(every) + 5) // 6)), "white")
    with tempfile.TemporaryDirectory() as folder:
        for number, edit in enumerate(every):
            before, after, notes = made(edit, Path(folder))
            print(f"{edit.title:32} {Path(edit.image).stem:28} {notes}", flush=True)
            view = view_of(edit, before.shape)
            row, col = number // 6, 2 * (number % 6)
            sheet.paste(tile(before, view, "before", edit.ring), (col * SIDE, row * SIDE))
            sheet.paste(tile(after, view, edit.title), ((col + 1) * SIDE, row * SIDE))
            if pairs:
                save_pair((before, after), view, pairs / f"{number + 1:02}.png")
    target = Path(__file__).resolve().parents[1] / "docs" / "edits.jpg"
    sheet.save(target, quality=84)
    print(target.name, target.stat().st_size)


if __name__ == "__main__":
    main()
