"""docs/single-image.jpg: the scenes of Han et al.'s paper on real images, without any downloaded
weights.

usage: python benchmarks/scenario_sheet.py
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from contact_sheet import tile
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent))
import cases
from landbrush.server.contract.requests import EditRequest
from landbrush.server.editing.path import Job, edit
from landbrush.server.raster.rasters import Rasters

UCM = "ucmerced_jpg/test/{0}/{0}{1}.jpg"
POST = "joplin_tornado_geotiff/output/chips/post/0_post.tif"
SIDE = 250


@dataclass(frozen=True)
class Shot:
    """One edit: its title, image, view (columns, rows), editor, polygon; what it copies from,
    where, with what."""

    title: str
    image: str
    view: tuple[int, int, int, int]
    editor: str
    polygon: list
    prompt: str = ""
    exemplar: list | None = None
    other: str = ""
    options: dict[str, Any] = field(default_factory=dict)


WHOLE = (0, 0, 256, 256)
SHOTS = (
    Shot(
        "forest fire",
        UCM.format("forest", "46"),
        WHOLE,
        "burn",
        [(30, 60), (90, 20), (170, 30), (235, 90), (225, 180), (150, 235), (70, 210), (25, 140)],
        options={"patch_m": 22, "severity": 0.9},
    ),
    Shot(
        "flooded river",
        UCM.format("river", "51"),
        WHOLE,
        "flood",
        [
            (0, 125),
            (60, 95),
            (130, 70),
            (256, 30),
            (256, 150),
            (190, 165),
            (120, 215),
            (60, 256),
            (0, 256),
        ],
    ),
    Shot(
        "collapsed bridge",
        UCM.format("overpass", "16"),
        WHOLE,
        "remove",
        [(110, 62), (165, 62), (168, 196), (112, 196)],
    ),
    Shot(
        "damaged house, rubble of another date",
        cases.JOPLIN.format(0),
        (560, 400, 690, 530),
        "copy",
        [(605, 439), (635, 439), (635, 479), (605, 479)],
        exemplar=[(603, 436), (637, 436), (637, 482), (603, 482)],
        other=POST,
        options={"method": "gradients", "tone": 0.3},
    ),
    Shot(
        "cracked tank: a strip of ground copied in",
        UCM.format("storagetanks", "11"),
        WHOLE,
        "fill",
        [
            (52, 62),
            (82, 72),
            (96, 98),
            (120, 112),
            (148, 128),
            (146, 136),
            (116, 122),
            (90, 108),
            (74, 82),
            (50, 70),
        ],
        exemplar=[(4, 160), (40, 190), (80, 215), (60, 240), (4, 200)],
        options={"outline_px": 1.0},
    ),
    Shot(
        "an added tank",
        UCM.format("storagetanks", "34"),
        WHOLE,
        "copy",
        [(60, 20), (150, 20), (150, 112), (60, 112)],
        exemplar=[(42, 152), (112, 152), (112, 228), (42, 228)],
    ),
    Shot(
        "'forest' in the park",
        cases.JOPLIN.format(0),
        (300, 120, 620, 440),
        "text",
        [(415, 215), (480, 205), (500, 290), (430, 320)],
        prompt="forest",
    ),
    Shot(
        "'houses' on the field",
        cases.JOPLIN.format(2),
        (300, 600, 620, 920),
        "text",
        [(370, 680), (470, 670), (480, 790), (380, 800)],
        prompt="houses here",
    ),
)


def shape(path: Path, ring: list) -> dict[str, Any]:
    with rasterio.open(path) as dataset:
        return {
            "geometry": {
                "type": "Polygon",
                "coordinates": [[list(dataset.transform @ p) for p in [*ring, ring[0]]]],
            }
        }


def made(shot: Shot, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Before and after (3, H, W)."""
    path = cases.DATA / shot.image
    other = cases.DATA / shot.other if shot.other else None
    body = {
        "raster": {"path": str(path)},
        "polygons": shape(path, shot.polygon),
        "prompt": shot.prompt,
        "seed": 1,
        "options": shot.options,
        "output": {"area": "layer"},
    }
    if shot.exemplar:
        body["exemplar"] = {"polygons": shape(other or path, shot.exemplar)}
        if other:
            body["exemplar"]["raster"] = {"path": str(other)}
    job = Job(EditRequest.from_json(body), shot.editor, Rasters(path, other))
    manifest = edit(job, cases.EDITORS, folder, lambda *a: None)
    assert manifest.gate.pixels_outside_different == 0
    print(f"{shot.title:45} {manifest.editor:8} {manifest.seconds['edit']:.2f} s", flush=True)
    with rasterio.open(path) as before, rasterio.open(folder / "result.tif") as after:
        return before.read([1, 2, 3]), after.read([1, 2, 3])


def main() -> None:
    sheet = Image.new("RGB", (SIDE * 8, SIDE * ((len(SHOTS) + 3) // 4)), "white")
    with tempfile.TemporaryDirectory() as folder:
        for number, shot in enumerate(SHOTS):
            before, after = made(shot, Path(folder))
            row = number // 4
            col = 2 * (number % 4)
            sheet.paste(tile(before, shot.view, "before", shot.polygon), (col * SIDE, row * SIDE))
            sheet.paste(tile(after, shot.view, shot.title), ((col + 1) * SIDE, row * SIDE))
    target = Path(__file__).resolve().parents[1] / "docs" / "single-image.jpg"
    sheet.save(target, quality=88)
    print(target, target.stat().st_size)


if __name__ == "__main__":
    main()
