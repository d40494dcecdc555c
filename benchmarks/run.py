"""Every figure on a line of its own: `figure NAME VALUE UNIT`.

usage: python benchmarks/run.py [part ...]     parts: overhead locality synthesis seams words
dismissal

CPU-seconds of one thread; ratios are of runs side by side, in turn, medians of several.
"""

from __future__ import annotations

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import rasterio
import torch
from affine import Affine

warnings.simplefilter("ignore")
torch.set_num_threads(1)
sys.path.insert(0, str(Path(__file__).resolve().parent))
ROOT = Path(__file__).resolve().parents[1]


def figure(name: str, value: float, unit: str) -> None:
    print(f"figure {name} {value:.4g} {unit}", flush=True)


def raster(path: Path, side: int, sparse: bool = False) -> Path:
    """An RGB byte GeoTIFF, tiled and compressed as ours; sparse: data in one corner only."""
    rng = np.random.default_rng(0)
    data = min(side, 1024)
    rows, cols = np.mgrid[:data, :data]
    ground = (
        110 + 30 * np.sin(rows / 9) * np.cos(cols / 13) + 14 * rng.standard_normal((data, data))
    )
    values = np.clip(np.stack([ground * f for f in (0.9, 1.0, 0.8)]), 1, 254).astype("uint8")
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=side,
        height=side,
        count=3,
        dtype="uint8",
        crs="EPSG:32617",
        transform=Affine(0.5, 0, 400000, 0, -0.5, 3285000),
        tiled=True,
        blockxsize=256,
        blockysize=256,
        compress="deflate",
        predictor=2,
        photometric="RGB",
        sparse_ok=True,
    ) as out:
        for r in range(0, side if not sparse else data, data):
            for c in range(0, side if not sparse else data, data):
                size = (min(data, side - r), min(data, side - c))
                out.write(
                    values[:, : size[0], : size[1]],
                    window=rasterio.windows.Window(c, r, size[1], size[0]),
                )
    return path


def request(path: Path, box: tuple[int, int, int, int], **more: object):
    from landbrush.server.contract.requests import EditRequest

    with rasterio.open(path) as dataset:
        c0, r0, c1, r1 = box
        ring = [
            list(dataset.transform @ p) for p in ((c0, r0), (c1, r0), (c1, r1), (c0, r1), (c0, r0))
        ]
    return EditRequest.from_json(
        {
            "raster": {"path": str(path)},
            "polygons": {"geometry": {"type": "Polygon", "coordinates": [ring]}},
            **more,
        }
    )


def with_identity(home: Path) -> Any:
    """The editors, and one more that costs nothing: what remains is the main path."""
    from landbrush.server.contract.editors import EditorInfo
    from landbrush.server.editors import registry
    from landbrush.server.editors.base import Editor
    from landbrush.server.editors.models import Models

    class Identity(Editor):
        info = EditorInfo("identity", "Identity", "changes nothing", "none")
        soft_edge = False

        def edit(self, scene, prompt, options, seed, on_step):
            return scene.image

    models = Models(home)
    with mock.patch.object(registry, "AFTER", (*registry.AFTER, Identity)):
        return registry.Editors(models)


def overhead() -> None:
    from landbrush.server.editing.path import Job, edit
    from landbrush.server.raster.rasters import Rasters

    with tempfile.TemporaryDirectory() as folder:
        editors = with_identity(Path(folder) / "home")
        path = raster(Path(folder) / "a.tif", 4096)
        for side, name in ((3072, "ratio"), (128, "ms")):
            box = (256, 256, 256 + side, 256 + side)
            ours = []
            bare = []
            plain = []
            for _ in range(9):
                start = time.process_time()
                job = Job(request(path, box), "identity", Rasters(path))
                manifest = edit(job, editors, Path(folder), lambda *a: None)
                ours.append(time.process_time() - start)
                col, row, width, height = manifest.window
                window = rasterio.windows.Window(col, row, width, height)
                for times, overviews in ((bare, True), (plain, False)):
                    start = time.process_time()
                    bare_copy(path, window, Path(folder) / "bare.tif", overviews)
                    times.append(time.process_time() - start)
            if name == "ratio":
                figure(
                    "overhead_ratio",
                    statistics.median(a / b for a, b in zip(ours, bare, strict=True)),
                    "x",
                )
                figure(
                    "overhead_ratio_against_no_overviews",
                    statistics.median(a / b for a, b in zip(ours, plain, strict=True)),
                    "x",
                )
            else:
                figure(
                    "overhead_ms", 1000 * (statistics.median(ours) - statistics.median(bare)), "ms"
                )


def bare_copy(path: Path, window: rasterio.windows.Window, target: Path, overviews: bool) -> None:
    """What anyone would write by hand: read a window, write it tiled and compressed as the source
    is."""
    with rasterio.open(path) as source:
        values = source.read(window=window)
        profile = {
            **source.profile,
            "width": window.width,
            "height": window.height,
            "transform": rasterio.windows.transform(window, source.transform),
            "predictor": 2,
        }
    with rasterio.open(target, "w", **profile) as out:
        out.write(values)
    levels = [2**k for k in range(1, 12) if max(window.width, window.height) / 2**k > 128]
    if levels and overviews:
        with rasterio.open(target, "r+") as out:
            out.build_overviews(levels, rasterio.enums.Resampling.average)


ONE_EDIT = """
import sys, time, resource, json, tempfile, pathlib
sys.path.insert(0, sys.argv[1])
import run
from landbrush.server.editing.path import Job, edit
from landbrush.server.editors.models import Models
from landbrush.server.editors.registry import Editors
from landbrush.server.raster.rasters import Rasters
path = pathlib.Path(sys.argv[2])
box = (200, 200, 328, 328)
with tempfile.TemporaryDirectory() as folder:
    editors = Editors(Models(pathlib.Path(folder) / "home"))
    job = Job(run.request(path, box), "remove", Rasters(path))
    def go():
        edit(job, editors, pathlib.Path(folder), lambda *a: None)

    go()
    times = []
    for _ in range(5):
        start = time.process_time(); go(); times.append(time.process_time() - start)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"cpu": sorted(times)[2], "rss": peak}))
"""


def locality() -> None:
    with tempfile.TemporaryDirectory() as folder:
        found: dict[int, list[dict]] = {1000: [], 10000: [], 30000: []}
        paths = {
            side: raster(Path(folder) / f"{side}.tif", side, sparse=side > 10000) for side in found
        }
        for _ in range(3):
            for side, path in paths.items():
                done = subprocess.run(
                    [sys.executable, "-c", ONE_EDIT, str(ROOT / "benchmarks"), str(path)],
                    capture_output=True,
                    text=True,
                    check=True,
                )
                found[side].append(json.loads(done.stdout))
        cpu = {side: statistics.median(row["cpu"] for row in rows) for side, rows in found.items()}
        rss = {side: statistics.median(row["rss"] for row in rows) for side, rows in found.items()}
        figure("locality_time_ratio", max(cpu[10000], cpu[30000]) / cpu[1000], "x")
        figure("locality_rss_ratio", max(rss[10000], rss[30000]) / rss[1000], "x")


def synthesis() -> None:
    import cases
    from landbrush.server.synthesis.fill import fill
    from landbrush.server.synthesis.pyramid import Level
    from landbrush.server.synthesis.remove import Removal, chosen

    def remove(window: Level, seed: int) -> object:
        """As the product removes: the better of two ways."""
        return chosen(Removal(window), seed)[0].image

    if not cases.DATA.is_dir():
        print(f"# synthesis: no imagery at {cases.DATA} (set LANDBRUSH_DATA)")
        return
    whole = cases.picture(cases.Case("", cases.JOPLIN.format(0), []))
    for side in (256, 512, 1024):
        image = whole[:, :side, :side]
        middle = side // 2
        mask = np.zeros((side, side), bool)
        mask[middle - 64 : middle + 64, middle - 64 : middle + 64] = True
        valid = np.ones_like(mask)
        exemplar = (whole[:, 480:620, 660:800], np.ones((140, 140), bool))
        start = time.process_time()
        remove(Level(image, mask, valid), 0)
        removed = time.process_time()
        fill(Level(image, mask, valid), [exemplar], 0)
        figure(f"remove_cpu_s_{side}", removed - start, "CPU-s")
        figure(f"fill_cpu_s_{side}", time.process_time() - removed, "CPU-s")
    for kind, rows in (("remove", cases.REMOVE), ("fill", cases.FILL)):
        edges = []
        sharps = []
        held_edges = []
        held_sharps = []
        for case in rows:
            sharp, edge = judged(case, kind, remove, fill)
            print(
                f"# {kind}: {case.name}{' (held out)' if case.held_out else ''}: sharp "
                f"{sharp:.2f}, rim {edge:.2f}"
            )
            edges.append(edge)
            sharps.append(sharp)
            if case.held_out:
                held_edges.append(edge)
                held_sharps.append(sharp)
        figure(f"rim_{kind}", statistics.mean(edges), "x")
        figure(f"rim_{kind}_held_out", statistics.mean(held_edges), "x")
        figure(f"sharp_{kind}", statistics.mean(sharps), "x")
        figure(f"sharp_{kind}_median", statistics.median(sharps), "x")
        figure(f"sharp_{kind}_held_out", statistics.mean(held_sharps), "x")


def judged(case, kind, remove, fill) -> tuple[float, float]:
    import cases
    from landbrush.server.synthesis.pyramid import Level

    image = cases.picture(case)
    mask = cases.mask_of(case.target, image.shape[1:])
    window = cases.window_of(mask, 96 if kind == "remove" else 64)
    here = image[:, window[0], window[1]]
    hole = mask[window]
    valid = np.ones_like(hole)
    if kind == "remove":
        out = remove(Level(here, hole, valid), 0)
        return cases.sharpness(out, hole, cases.ring_around(hole)), cases.rim(out, hole)
    exemplar = cases.mask_of(case.exemplar, image.shape[1:])
    cut = cases.window_of(exemplar, 0)
    out = fill(
        Level(here, hole, valid), [(image[:, cut[0], cut[1]], (exemplar & ~mask)[cut])], 0
    ).image
    return cases.sharpness(out, hole, exemplar, of=image), cases.rim(out, hole)


def seams() -> None:
    """Gradient at tile borders over gradient elsewhere, against the same of the picture drawn in
    one piece.

    Any few rows and columns of a picture are a little rougher or smoother than the rest by chance;
    the same edit without tiles has the same chance in it, so the quotient leaves what tiling did.
    Tiles are far smaller than in use, so that there are many borders; mean of several grounds and
    seeds.
    """
    from landbrush.server.editing import tiling
    from landbrush.server.editors.base import Scene
    from landbrush.server.editors.models import Models
    from landbrush.server.editors.registry import Editors

    height = 448
    width = 640
    tile = 256
    mask = np.ones((height, width), bool)
    rows, cols = np.mgrid[:height, :width]
    worst = 0.0
    editors = Editors(Models(Path("/nowhere")))
    for name in ("variation", "harmonise", "fog", "snow", "burn"):
        editor = editors.get(name)
        options = editor.parse({})
        ratios = []
        for seed in range(3):
            rng = np.random.default_rng(seed)
            ground = (
                0.45
                + 0.1 * np.sin(rows / 9) * np.cos(cols / 13)
                + 0.05 * rng.standard_normal((height, width))
            )
            image = np.stack([ground * f for f in (0.9, 1.0, 0.8)]).astype(np.float32)
            scene = Scene(image, mask, mask, ("red", "green", "blue"), 0.5)
            tiles = tiling.cut(scene, tile, editor.overlap_px)

            def drawn(part, e=editor, o=options, s=seed):
                return e.edit(part, "", o, s, lambda *a: None)

            tiled = tiling.merge(scene, tiles, editor.overlap_px, lambda i, part, d=drawn: d(part))
            ratios.append(at_borders(tiled, tiles) / at_borders(drawn(scene), tiles))
        print(f"# seam at tile borders, {name}: {statistics.mean(ratios):.3f}")
        worst = max(worst, statistics.mean(ratios))
    figure("seam_tile", worst, "x")


def at_borders(image: np.ndarray, tiles: list) -> float:
    """Mean gradient across the borders of `tiles` over the mean gradient elsewhere."""
    found = []
    for axis, ends in ((2, "cols"), (1, "rows")):
        steps = np.abs(np.diff(image, axis=axis)).mean(axis=(0, 3 - axis))
        length = image.shape[axis]
        borders = {
            at
            for t in tiles
            for at in (getattr(t, ends).start, getattr(t, ends).stop)
            if 0 < at < length
        }
        near = np.zeros(len(steps), bool)
        near[[at - 1 for at in borders]] = True
        found.append(float(steps[near].mean() / steps[~near].mean()))
    return statistics.mean(found)


def words() -> None:
    from landbrush.server.editors.models import Models

    interpret = Models(Path("/nowhere")).interpret

    for name, file in (
        ("interpreter_held_back", "prompts_held_back"),
        ("interpreter_reference", "prompts_reference"),
    ):
        rows = json.loads((ROOT / "tests" / "data" / f"{file}.json").read_text("utf8"))
        found = [interpret(row["prompt"]) for row in rows]
        right = [f.operation == r["operation"] for f, r in zip(found, rows, strict=True)]
        sure = [r for r, f in zip(right, found, strict=True) if f.sure]
        offered = [
            r or w["operation"] in [c.operation for c in f.choices]
            for r, f, w in zip(right, found, rows, strict=True)
        ]
        figure(name, statistics.mean(right), "share right")
        figure(f"{name}_when_sure", statistics.mean(sure), f"of {len(sure)}")
        figure(f"{name}_right_or_offered", statistics.mean(offered), f"of {len(rows)}")


def dismissal() -> None:
    """Denoising steps that a dismissed job still takes before the next queued job starts."""
    from landbrush.server.contract.requests import EditRequest
    from landbrush.server.editors.models import Models
    from landbrush.server.editors.registry import Editors
    from landbrush.server.jobs.executor import Runner
    from landbrush.server.jobs.store import JobStore
    from landbrush.server.raster.rasters import Rasters
    from landbrush.server.workers.here import Here

    with tempfile.TemporaryDirectory() as folder:
        path = raster(Path(folder) / "a.tif", 600)
        store = JobStore(Path(folder) / "jobs")
        editors = Editors(Models(Path(folder) / "home"))
        runner = Runner(store, Here(editors), editors.models)
        editor = editors.get("variation")
        steps = []
        at = []
        plain = editor.edit

        def watched(part, prompt, options, seed, on_step):
            def step(done, total, preview=None):
                steps.append(time.monotonic())
                on_step(done, total, preview)

            return plain(part, prompt, options, seed, step)

        editor.edit = watched  # type: ignore[method-assign]
        body = request(path, (50, 50, 550, 550)).to_json()
        jobs = []
        for process in ("variation", "snow"):
            info, _ = store.create(process, EditRequest.from_json(body), Rasters(path))
            runner.submit(info.jobID)
            jobs.append(info.jobID)
        while len(steps) < 4:
            time.sleep(0.005)
        store.dismiss(jobs[0])
        at.append(time.monotonic())
        while store.info(jobs[1]).status == "accepted":
            time.sleep(0.005)
        started = time.monotonic()
        late = [s for s in steps if s > at[0]]
        # The step at which the dismissal is seen is begun but not taken.
        figure("dismiss_steps", max(0, len(late) - 1), "steps")
        figure("dismiss_wait_s", started - at[0], "s")
        runner.executor.shutdown(wait=True)
        editor.edit = plain  # type: ignore[method-assign]


PARTS = {
    "overhead": overhead,
    "locality": locality,
    "synthesis": synthesis,
    "seams": seams,
    "words": words,
    "dismissal": dismissal,
}


def main() -> None:
    for name in sys.argv[1:] or PARTS:
        PARTS[name]()
    figure("peak_rss", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "MB")


if __name__ == "__main__":
    main()
