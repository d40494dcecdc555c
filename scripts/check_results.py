"""Look at the demo's results with other eyes than the server's: rasterio against the source file.

usage: python scripts/check_results.py FOLDER

Prints a line for each result, writes before/after pictures, and fails when a
result breaks the raster promise.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import rasterio
import shapely
import shapely.geometry
from PIL import Image, ImageDraw
from rasterio.features import rasterize
from rasterio.windows import Window


def window_in(source, result) -> Window:
    col, row = ~source.transform @ (result.transform.c, result.transform.f)
    if abs(col - round(col)) > 1e-6 or abs(row - round(row)) > 1e-6:
        raise SystemExit(
            f"{result.name} is not on the source's grid: it starts at pixel {col}, {row}"
        )
    return Window(round(col), round(row), result.width, result.height)


def check(entry: dict, folder: Path) -> dict:
    with (
        rasterio.open(entry["source"]) as source,
        rasterio.open(folder / entry["result"]) as result,
    ):
        manifest = json.loads((folder / f"{entry['name']}.json").read_text("utf8"))
        window = window_in(source, result)
        old = source.read(window=window)
        new = result.read()
        # Judged by what was asked for, in the layer's CRS, not by what the writer says of it.
        asked = manifest["request"]["polygons"]
        if asked.get("crs"):
            raise SystemExit(f"{entry['name']}: its polygons are not in the CRS of the layer")
        shape = shapely.geometry.shape(asked["geometry"])
        grown = manifest["request"].get("blend", {}).get("grow_px", 0)
        inside = (
            rasterize(
                [shape],
                out_shape=(result.height, result.width),
                transform=result.transform,
                all_touched=bool(grown),
            )
            > 0
        )
        different = (old != new).any(axis=0)
        row = {
            "name": entry["name"],
            "crs": source.crs == result.crs,
            "affine": tuple(rasterio.windows.transform(window, source.transform))
            == tuple(result.transform),
            "outside": int((different & ~inside).sum()),
            "inside": int((different & inside).sum()),
            "seconds": manifest["seconds"]["total"],
            "engine": manifest["engine"],
            "synthetic": result.tags().get("AI_GENERATED") == "TRUE",
        }
        picture(old, new, shape, result.transform, folder / f"{entry['name']}.png")
        return row


def picture(old: np.ndarray, new: np.ndarray, shape, transform, path: Path) -> None:
    def shown(values: np.ndarray) -> Image.Image:
        rgb = values[:3] if values.shape[0] >= 3 else np.repeat(values[:1], 3, axis=0)
        if rgb.dtype != np.uint8:
            low, high = np.nanpercentile(rgb, (1, 99))
            rgb = np.clip((np.nan_to_num(rgb) - low) / max(high - low, 1e-9) * 255, 0, 255).astype(
                np.uint8
            )
        return Image.fromarray(rgb.transpose(1, 2, 0))

    before = shown(old)
    after = shown(new)
    pen = ImageDraw.Draw(before)
    for part in shapely.get_parts(shape):
        ring = [~transform @ xy for xy in shapely.get_coordinates(part.exterior)]
        pen.line([tuple(p) for p in ring], fill=(214, 39, 40), width=2)
    factor = max(1, round(500 / max(before.size)))
    size = (before.width * factor, before.height * factor)
    sheet = Image.new("RGB", (2 * size[0] + 8, size[1]), "white")
    sheet.paste(before.resize(size, Image.Resampling.LANCZOS), (0, 0))
    sheet.paste(after.resize(size, Image.Resampling.LANCZOS), (size[0] + 8, 0))
    sheet.save(path)


def main(folder: Path) -> int:
    summary = json.loads((folder / "summary.json").read_text("utf8"))
    rows = [check(entry, folder) for entry in summary["results"]]
    print(
        f"{'result':18} {'CRS':>5} {'affine':>6} {'outside':>8} {'inside':>8} {'seconds':>8}  "
        "engine"
    )
    for r in rows:
        print(
            f"{r['name']:18} {'=' if r['crs'] else 'NO':>5} {'=' if r['affine'] else 'NO':>6} "
            f"{r['outside']:>8} "
            f"{r['inside']:>8} {r['seconds']:>8.2f}  {r['engine']}"
        )
    good = all(
        r["crs"] and r["affine"] and not r["outside"] and r["inside"] and r["synthetic"]
        for r in rows
    )
    if summary["failure"] or not rows:
        print(f"FAILED inside QGIS: {summary['failure'] or 'no result'}")
        return 1
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
