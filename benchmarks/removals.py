"""Remove beside what others have: 39 objects in aerial images, ours, OpenCV's shift-map and Telea,
PatchMatch; `figure NAME VALUE UNIT` lines and a sheet of pictures.

usage: python benchmarks/removals.py [sheet.png [key.txt]]

OpenCV (opencv-contrib-python-headless) and pypatchmatch are installed by `make bench-remove` into a
folder of their own. Each sheet's row has the methods in an order of its own, so that they can be
looked at blind; the key says which is which.
"""

from __future__ import annotations

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

warnings.simplefilter("ignore")
torch.set_num_threads(1)
sys.path.insert(0, str(Path(__file__).resolve().parent))

import cases  # noqa: E402 - beside this file
from cases import Case, Ring  # noqa: E402
from landbrush.server.synthesis.pyramid import Level  # noqa: E402
from landbrush.server.synthesis.remove import Removal  # noqa: E402
from PIL import Image, ImageDraw  # noqa: E402
from run import figure  # noqa: E402
from scipy import ndimage  # noqa: E402

LEVEL = 0.05
"""Difference of two verdicts' faults within which they count as level."""
CONTEXT_PX = 96
SHOWN = 240
CALIFORNIA = "exemplar_sources/naip_california_rgbn/{}.tif"
NOTO = "exemplar_sources/gsi_noto_2024_pairs/{}.png"


def _ring(*numbers: int) -> Ring:
    """A box of four numbers (left, top, right, bottom), or a polygon of pairs."""
    if len(numbers) == 4:
        left, top, right, bottom = numbers
        return [(left, top), (right, top), (right, bottom), (left, bottom)]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def _ucm(name: str, folder: str, number: str, *ring: int) -> Case:
    return Case(name, cases.UCM.format(folder, number), _ring(*ring))


CASES = (
    *cases.REMOVE,
    _ucm("car in a car park", "parkinglot", "06", 206, 133, 226, 165),
    _ucm("cars in bays", "parkinglot", "40", 84, 70, 96, 62, 150, 118, 138, 128),
    _ucm("three boats", "harbor", "18", 128, 88, 184, 150),
    _ucm("boat at a pier", "harbor", "60", 40, 160, 90, 190),
    _ucm("plane", "airplane", "17", 62, 130, 85, 60, 120, 45, 170, 40, 175, 100, 165, 165, 75, 172),
    _ucm("middle plane", "airplane", "34", 96, 110, 108, 108, 158, 140, 155, 162, 110, 165),
    _ucm("court", "tenniscourt", "09", 76, 118, 118, 205),
    _ucm("touchdown mark", "runway", "28", 100, 30, 125, 14, 230, 124, 205, 145),
    _ucm("lorry", "freeway", "30", 38, 112, 60, 108, 116, 140, 110, 152, 90, 150, 40, 124),
    _ucm("two cars on lanes", "freeway", "55", 106, 52, 136, 110),
    _ucm("lorry below a bridge", "overpass", "10", 28, 154, 90, 182),
    _ucm("red car on a bridge", "overpass", "10", 142, 50, 158, 74),
    _ucm("mobile home", "mobilehomepark", "08", 134, 42, 186, 26, 192, 48, 140, 66),
    _ucm("queue of cars", "intersection", "17", 80, 148, 134, 194),
    _ucm("pitcher's mound", "baseballdiamond", "25", 88, 142, 122, 178),
    _ucm("car at a kerb", "mediumresidential", "34", 168, 222, 196, 240),
    _ucm("cars in a yard", "buildings", "11", 54, 60, 80, 98),
    _ucm("shrubs", "chaparral", "20", 100, 90, 160, 150),
    _ucm("white tank", "storagetanks", "26", 62, 120, 110, 116, 118, 165, 80, 180, 62, 160),
    _ucm("tree with shadow", "golfcourse", "46", 174, 150, 240, 232),
    _ucm("crowns", "forest", "20", 96, 96, 160, 160),
    _ucm("edge of two crops", "agricultural", "29", 60, 120, 130, 190),
    _ucm("car in a wood", "river", "04", 202, 132, 232, 156),
    _ucm("pool at the edge", "denseresidential", "24", 0, 130, 36, 176),
    Case("cars on a motorway", CALIFORNIA.format("claremont_2020_24"), _ring(88, 118, 112, 140)),
    Case("house in a row", CALIFORNIA.format("chico_2020_50"), _ring(112, 80, 146, 112)),
    Case("home in a row", CALIFORNIA.format("long_beach_2020_3"), _ring(96, 34, 116, 66)),
    Case("white hall in haze", NOTO.format("post_18_230757_101675"), _ring(140, 116, 192, 178)),
)


def ours(here: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """The product's own way, with its choice between its candidates."""
    from landbrush.server.synthesis.remove import chosen

    return chosen(Removal(Level(here, hole, np.ones_like(hole))), 0)[0].image


def _bytes(here: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(
        np.moveaxis(np.clip(here[:3] * 255 + 0.5, 0, 255), 0, 2).astype(np.uint8)
    )


def _back(made: np.ndarray, here: np.ndarray, hole: np.ndarray) -> np.ndarray:
    out = here[:3].copy()
    out[:, hole] = (np.moveaxis(made, 2, 0).astype(np.float32) / 255)[:, hole]
    return out


def shift_map(here: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """OpenCV's xphoto (He and Sun's and Pritch's shift-map); it works in CIELab."""
    import cv2

    lab = cv2.cvtColor(_bytes(here), cv2.COLOR_RGB2Lab)
    out = np.zeros_like(lab)
    keep = np.where(hole, 0, 255).astype(np.uint8)
    cv2.xphoto.inpaint(lab, keep, out, cv2.xphoto.INPAINT_SHIFTMAP)
    return _back(cv2.cvtColor(out, cv2.COLOR_Lab2RGB), here, hole)


def telea(here: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """OpenCV's fast marching."""
    import cv2

    made = cv2.inpaint(_bytes(here), hole.astype(np.uint8) * 255, 5, cv2.INPAINT_TELEA)
    return _back(made, here, hole)


def patch_match(here: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """pypatchmatch, patches of 7 px."""
    import patchmatch

    patchmatch.set_random_seed(0)
    made = patchmatch.inpaint(_bytes(here), hole.astype(np.uint8) * 255, patch_size=7)
    return _back(np.asarray(made), here, hole)


METHODS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "ours": ours,
    "shift-map": shift_map,
    "PatchMatch": patch_match,
    "Telea": telea,
}


def main() -> None:
    """Every case by every method that is installed."""
    if not cases.DATA.is_dir():
        sys.exit(f"no imagery at {cases.DATA} (set LANDBRUSH_DATA)")
    faults: dict[str, list[float]] = {name: [] for name in METHODS}
    grains: dict[str, list[float]] = {name: [] for name in METHODS}
    costs: dict[str, list[float]] = {name: [] for name in METHODS}
    rows = []
    key = []
    for number, case in enumerate(CASES):
        image = cases.picture(case)[:3]
        mask = cases.mask_of(case.target, image.shape[1:])
        window = cases.window_of(mask, CONTEXT_PX)
        here = image[:, window[0], window[1]]
        hole = mask[window]
        made = {}
        for name, method in METHODS.items():
            start = time.process_time()
            made[name] = method(here, hole)
            costs[name].append(time.process_time() - start)
        removal = Removal(Level(here, hole, np.ones_like(hole)))
        told = []
        for name, picture in made.items():
            verdict = removal.verdict(picture)
            faults[name].append(verdict.fault)
            grains[name].append(verdict.grain)
            told.append(
                f"{name} {verdict.fault:.2f} (unlike {verdict.unlike:.2f}, grain "
                f"{verdict.grain:.2f}, blur {verdict.blur:.2f}, rim {verdict.rim:.2f}, "
                f"repeated {verdict.repeated:.2f})"
            )
        print(f"# {case.name}: " + "; ".join(told), flush=True)
        order = np.random.default_rng(number).permutation(len(made))
        rows.append(_row(here, hole, [list(made.values())[i] for i in order]))
        key.append(f"{number + 1} {case.name}: " + ", ".join(list(made)[i] for i in order))
    for name in METHODS:
        told_name = name.lower().replace("-", "_")
        figure(f"remove_grain_{told_name}", statistics.median(grains[name]), "x, median")
        figure(f"remove_fault_{told_name}", statistics.median(faults[name]), "median")
        figure(f"remove_cpu_s_{told_name}", statistics.median(costs[name]), "CPU-s, median")
    best = [
        faults["ours"][i] <= min(faults[name][i] for name in METHODS) + LEVEL
        for i in range(len(CASES))
    ]
    figure("remove_best_or_level", sum(best) / len(best), f"of {len(CASES)}")
    if len(sys.argv) > 1:
        _sheets(Path(sys.argv[1]), rows)
        if len(sys.argv) > 2:
            Path(sys.argv[2]).write_text("\n".join(key) + "\n")


def _row(here: np.ndarray, hole: np.ndarray, pictures: list[np.ndarray]) -> np.ndarray:
    """The original with the polygon's outline, then the pictures, (H, W, 3) of bytes."""
    marked = here.copy()
    marked[:, hole & ~ndimage.binary_erosion(hole, iterations=2)] = np.array([[1], [0], [0]])
    return np.concatenate([_bytes(one) for one in (marked, *pictures)], axis=1)


def _sheets(path: Path, rows: list[np.ndarray], height: int = 8) -> None:
    """Pictures of eight rows each: path-1.png and so on."""
    count = len(METHODS) + 1
    for start in range(0, len(rows), height):
        part = rows[start : start + height]
        sheet = Image.new("RGB", (SHOWN * count, SHOWN * len(part)))
        draw = ImageDraw.Draw(sheet)
        for index, row in enumerate(part):
            for column in range(count):
                width = row.shape[1] // count
                cell = Image.fromarray(row[:, column * width : (column + 1) * width])
                cell = cell.resize((SHOWN, SHOWN), Image.Resampling.BICUBIC)
                sheet.paste(cell, (SHOWN * column, SHOWN * index))
            draw.text((4, SHOWN * index + 4), str(start + index + 1), fill="yellow")
        sheet.save(path.with_name(f"{path.stem}-{start // height + 1}{path.suffix}"))


if __name__ == "__main__":
    main()
