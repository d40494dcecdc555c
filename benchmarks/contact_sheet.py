"""docs/contact-sheet.jpg: eight edits on three real images, made by the main path.

usage: python benchmarks/contact_sheet.py
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import rasterio
from PIL import Image, ImageDraw, ImageFont

sys.path.insert(0, str(Path(__file__).resolve().parent))
import cases
from landbrush.server.contract.requests import EditRequest
from landbrush.server.editing.path import Job, edit
from landbrush.server.raster.rasters import Rasters

SIDE = 250
BOX = cases._box
# image, view (columns, rows), then for each edit: title, process, prompt, polygon, exemplar,
# options
SHEET = (
    (
        cases.JOPLIN.format(2),
        (250, 430, 600, 780),
        (
            (
                "remove the house",
                "auto",
                "remove the house",
                [(386, 488), (420, 486), (442, 550), (420, 562), (398, 540)],
                None,
                {},
            ),
            ("fill like there", "fill", "", BOX(300, 640, 360, 720), BOX(396, 786, 518, 894), {}),
            ("'forest here'", "auto", "forest here", BOX(470, 480, 590, 600), None, {}),
            ("copy", "copy", "", BOX(525, 630, 575, 690), BOX(492, 520, 530, 562), {}),
            ("fog", "auto", "fog", BOX(270, 450, 580, 760), None, {"patch_m": 90}),
            ("snow", "auto", "snow", BOX(270, 450, 580, 760), None, {}),
            ("flood", "auto", "flooded to the doorsteps", BOX(290, 470, 560, 740), None, {}),
            ("burn", "auto", "a wildfire went through", BOX(290, 470, 560, 740), None, {}),
        ),
    ),
    (
        cases.NAIP,
        (40, 370, 390, 720),
        (
            (
                "remove the lake",
                "auto",
                "remove the lake",
                [(342, 500), (388, 500), (388, 560), (388, 602), (350, 604), (340, 560)],
                None,
                {},
            ),
            (
                "fill like there",
                "fill",
                "",
                BOX(62, 488, 140, 604),
                [(195, 388), (292, 384), (300, 438), (215, 446)],
                {},
            ),
            (
                "'make a lake'",
                "auto",
                "make a lake",
                [(182, 395), (300, 392), (304, 455), (250, 462), (188, 450)],
                None,
                {},
            ),
            (
                "copy",
                "copy",
                "",
                BOX(65, 520, 125, 590),
                [(440, 545), (480, 545), (482, 592), (442, 594)],
                {},
            ),
            ("fog", "auto", "mist", BOX(60, 390, 370, 700), None, {"patch_m": 700}),
            ("snow", "auto", "winter, snow", BOX(60, 390, 370, 700), None, {"drift_m": 60}),
            (
                "flood",
                "auto",
                "flooded fields",
                [
                    (196, 500),
                    (250, 462),
                    (300, 476),
                    (334, 520),
                    (326, 580),
                    (280, 612),
                    (225, 604),
                    (205, 560),
                ],
                None,
                {},
            ),
            ("burn", "auto", "burned", BOX(60, 390, 370, 700), None, {"patch_m": 220}),
        ),
    ),
    (
        cases.NEON,
        (60, 40, 380, 360),
        (
            (
                "remove the trees",
                "auto",
                "remove the trees",
                [(130, 90), (180, 80), (240, 85), (262, 110), (240, 140), (180, 150), (140, 135)],
                None,
                {},
            ),
            (
                "fill like there",
                "fill",
                "",
                [(180, 140), (240, 138), (270, 200), (190, 204)],
                [(120, 90), (250, 88), (254, 140), (130, 152)],
                {},
            ),
            (
                "'forest here'",
                "auto",
                "forest here",
                [(270, 180), (330, 170), (345, 235), (285, 250)],
                None,
                {},
            ),
            (
                "copy",
                "copy",
                "",
                BOX(190, 150, 250, 205),
                [(285, 90), (345, 80), (370, 125), (330, 155), (290, 140)],
                {},
            ),
            ("fog", "auto", "fog", BOX(80, 60, 360, 340), None, {"patch_m": 12}),
            ("snow", "auto", "snow", BOX(80, 60, 360, 340), None, {"drift_m": 2}),
            ("flood", "auto", "flooded", BOX(80, 60, 360, 340), None, {}),
            ("burn", "auto", "burned by a bushfire", BOX(80, 60, 360, 340), None, {"patch_m": 6}),
        ),
    ),
)


def made(path: Path, edit_of: tuple, folder: Path) -> np.ndarray:
    _, process, prompt, polygon, exemplar, options = edit_of
    with rasterio.open(path) as dataset:

        def shape(ring):
            return {
                "geometry": {
                    "type": "Polygon",
                    "coordinates": [[list(dataset.transform @ p) for p in [*ring, ring[0]]]],
                }
            }

        body = {
            "raster": {"path": str(path)},
            "polygons": shape(polygon),
            "prompt": prompt,
            "options": options,
            "seed": 1,
        }
        if exemplar:
            body["exemplar"] = {"polygons": shape(exemplar)}
        job = Job(EditRequest.from_json(body), process, Rasters(path))
        manifest = edit(job, cases.EDITORS, folder, lambda *a: None)
        whole = dataset.read([1, 2, 3])
    col, row, width, height = manifest.window
    with rasterio.open(folder / "result.tif") as result:
        whole[:, row : row + height, col : col + width] = result.read([1, 2, 3])
    assert manifest.gate.pixels_outside_different == 0
    print(
        f"{path.name:38} {edit_of[0]:18} {manifest.editor:10} {manifest.seconds['edit']:.2f} s",
        flush=True,
    )
    return whole


def tile(values: np.ndarray, view: tuple, title: str, ring: list | None = None) -> Image.Image:
    x0, y0, x1, y1 = view
    part = Image.fromarray(values[:, y0:y1, x0:x1].transpose(1, 2, 0))
    if ring:
        ImageDraw.Draw(part).polygon([(x - x0, y - y0) for x, y in ring], outline=(220, 30, 30))
    part = part.resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    pen = ImageDraw.Draw(part)
    pen.rectangle((0, 0, SIDE, 17), fill=(0, 0, 0))
    pen.text((4, 2), title, fill=(255, 255, 255), font=ImageFont.load_default())
    return part


def save_pair(pair: tuple[np.ndarray, np.ndarray], view: tuple, path: Path) -> None:
    """Before and after (3, H, W) side by side, the part of them that is shown, as a picture that
    one can look at closely."""
    path.parent.mkdir(parents=True, exist_ok=True)
    left, top, right, bottom = view
    both = np.concatenate([one[:, top:bottom, left:right] for one in pair], axis=2)
    image = Image.fromarray(both.transpose(1, 2, 0))
    image.resize((1400, 700), Image.Resampling.LANCZOS).save(path)


def main() -> None:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, view, edits in SHEET:
            path = cases.DATA / name
            with rasterio.open(path) as dataset:
                before = dataset.read([1, 2, 3])
            rows.append(
                [tile(before, view, f"before: {path.stem[:24]}")]
                + [tile(made(path, e, Path(folder)), view, e[0]) for e in edits]
            )
    sheet = Image.new("RGB", (SIDE * 9, SIDE * len(rows)))
    for r, row in enumerate(rows):
        for c, part in enumerate(row):
            sheet.paste(part, (c * SIDE, r * SIDE))
    target = cases.Path(__file__).resolve().parents[1] / "docs" / "contact-sheet.jpg"
    target.parent.mkdir(exist_ok=True)
    sheet.save(target, quality=88)
    print(target, target.stat().st_size)


if __name__ == "__main__":
    main()
