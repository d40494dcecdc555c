"""The editors with pretrained networks, at tiny size: do they run over HTTP, agree with diffusers,
and hide their tiles?

usage: python benchmarks/pretrained.py [part ...]     parts: editors parity seams
make demo-models is all of them; pretrained_cost.py measures memory and speed.

No weights are needed: the networks are of the real classes, tiny, with random weights, saved as
they are published and brought through the store. What that proves is the way: loading, words,
latents, schedules, tiles, the raster promise. What the real weights draw is not measured.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "2")

import atexit
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
import warnings
from pathlib import Path

import numpy as np
import rasterio

warnings.simplefilter("ignore")
ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(Path(__file__).resolve().parent)]

from landbrush.server.editors.models import Models  # noqa: E402
from landbrush.server.editors.registry import Editors  # noqa: E402
from landbrush.server.store import catalogue  # noqa: E402
from landbrush.server.store.importing import Arrival, import_model  # noqa: E402

from tests.server import tiny_pipelines  # noqa: E402

MODELS = (
    "rsedit-unet-dgtrs",
    "rsedit-dit",
    "instruct-pix2pix",
    "magicbrush",
    "ultraedit-freeform",
    "ultraedit-mask",
    "sd15",
    "sdxl",
    "text2earth",
    "sd15-inpainting",
    "sdxl-inpainting",
    "text2earth-inpainting",
    "kandinsky21-inpainting",
    "kandinsky22-inpainting",
    "icedit",
    "flux-kontext",
    "flux2-klein-4b",
    "qwen-image-edit",
    "mmm-rs",
)
BASES = ("kandinsky21-prior", "kandinsky22-prior", "flux-fill")
STEPS = 3


def scratch(purpose: str) -> Path:
    """A folder that is gone when this process ends."""
    place = Path(tempfile.mkdtemp(prefix=f"landbrush-{purpose}-"))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    return place


def figure(name: str, value: float, unit: str = "") -> None:
    print(f"figure {name} {value:.4g} {unit}".rstrip(), flush=True)


def shelved(place: Path, wanted=(*BASES, *MODELS)) -> Models:
    """The models of a home with tiny ones in its store."""
    models = Models(place / "home")
    for model_id in wanted:
        published = tiny_pipelines.build(model_id, place / "published")
        import_model(models.store, Arrival(models.store.entry(model_id), True), published)
    return models


def aerial(path: Path, side: int = 512) -> Path:
    """A piece of a real aerial picture where there is one, else of the project's sample."""
    from tests.conftest import DATA
    from tests.server.conftest import RGB, in_type, scene, write

    real = sorted((DATA / "joplin_tornado_geotiff" / "input" / "pre").glob("*.tif"))
    if not real:
        return write(path, in_type(scene(3, side, side), "uint8"), colorinterp=RGB)
    with rasterio.open(real[0]) as source:
        window = rasterio.windows.Window(200, 200, side, side)
        profile = {
            k: v
            for k, v in source.profile.items()
            if k not in ("blockxsize", "blockysize", "tiled")
        }
        profile |= {"width": side, "height": side, "transform": source.window_transform(window)}
        with rasterio.open(path, "w", **profile) as out:
            out.write(source.read(window=window))
    return path


class Server:
    """The real server in a process of its own."""

    def __init__(self, home: Path, root: Path) -> None:
        command = [
            sys.executable,
            "-m",
            "landbrush.server",
            "serve",
            "--port",
            "0",
            "--home",
            str(home),
            "--root",
            str(root),
        ]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=root
        )
        about = json.loads(self.process.stdout.readline())
        self.url = about["url"]
        self.token = Path(about["token_file"]).read_text().strip()

    def ask(self, path: str, content=None):
        request = urllib.request.Request(
            self.url + path, method="POST" if content is not None else "GET"
        )
        request.add_header("Authorization", f"Bearer {self.token}")
        if content is not None:
            request.add_header("Content-Type", "application/json")
            request.data = json.dumps(content).encode()
        with urllib.request.urlopen(request, timeout=60) as reply:
            body = reply.read()
        return json.loads(body) if body[:1] in (b"{", b"[") else body

    def edit(self, editor: str, inputs: dict) -> dict:
        job = self.ask(f"/processes/{editor}/execution", {"inputs": inputs})["jobID"]
        while (info := self.ask(f"/jobs/{job}?wait=5"))["status"] in ("accepted", "running"):
            pass
        return info

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(30)


def editors() -> None:
    """Every editor and model through HTTP, compared bit by bit outside the polygon by this
    script."""
    place = scratch("models")
    models = shelved(place)
    path = aerial(place / "aerial.tif")
    with rasterio.open(path) as dataset:
        before = dataset.read()
        ring = [
            list(dataset.transform @ at)
            for at in ((150, 140), (370, 150), (350, 380), (160, 330), (150, 140))
        ]
    inner = np.zeros(before.shape[1:], bool)
    inner[160:320, 170:340] = True
    outer = np.ones_like(inner)
    outer[135:385, 145:375] = False
    server = Server(models.home, place)
    good = 0
    print(f"{'editor':17s} {'model':24s} {'brought':>8s} {'draws':>6s} {'seconds':>8s}  promise")
    try:
        for model in MODELS:
            editor = catalogue.published()[model].editors[0]
            started = time.perf_counter()
            info = server.edit(
                editor,
                {
                    "raster": {"path": str(path)},
                    "polygons": {"geometry": {"type": "Polygon", "coordinates": [ring]}},
                    "prompt": "flood the houses with brown water",
                    "options": {"model": model, "steps": STEPS},
                    "output": {"area": "layer"},
                },
            )
            seconds = time.perf_counter() - started
            drawn = kept = False
            if info["status"] == "successful":
                result = server.ask(f"/jobs/{info['jobID']}/results/result.tif")
                with rasterio.MemoryFile(result) as memory, memory.open() as dataset:
                    after = dataset.read()
                drawn = bool((after[:, inner] != before[:, inner]).any(axis=0).mean() > 0.5)
                kept = after.shape == before.shape and np.array_equal(
                    after[:, outer], before[:, outer]
                )
            good += drawn and kept
            print(
                f"{editor:17s} {model:24s} {models.store.record(model).bytes / 1e6:5.1f} MB "
                f"{'yes' if drawn else 'NO':>6s} "
                f"{seconds:8.1f}  "
                + ("kept" if kept else f"BROKEN {info.get('message', '')[:60]}"),
                flush=True,
            )
    finally:
        server.end()
    figure("editors_ok", good, f"of {len(MODELS)}")


def parity() -> None:
    """Our loop beside diffusers' pipelines, or short references where it has none."""
    from tests.server import parity as cases

    place = scratch("parity")
    models = Models(place / "home")
    worst = 0.0
    for case in cases.CASES:
        gap = case(models, place / "published")
        print(f"# {case.__name__:24s} {gap:.2e}")
        worst = max(worst, gap)
    figure("parity_max_abs", worst)


SEAM_MODELS = ("rsedit-unet-dgtrs", "rsedit-dit", "ultraedit-freeform", "sd15", "icedit")
EXTENT = (1100, 1500)
SEEDS = 1


def seams() -> None:
    """Gradient at tile borders over elsewhere, of an extent in tiles of 512, against the same drawn
    in one piece."""
    place = scratch("seams")
    editors = Editors(shelved(place, ("flux-fill", *SEAM_MODELS)))
    worst = 0.0
    for model in SEAM_MODELS:
        ratios = [seam(editors, model, ground(seed)) for seed in range(SEEDS)]
        print(f"# seam at tile borders, {model}: {statistics.mean(ratios):.3f}", flush=True)
        worst = max(worst, statistics.mean(ratios))
    figure("seam_tile", worst, "x")
    for toned in ("blended", "side by side"):
        print(
            f"# tiles made to disagree, {toned}: "
            f"{seam(editors, SEAM_MODELS[0], ground(0), toned=toned):.3f}",
            flush=True,
        )


TONES = (-0.4, 0.4)
"""Added to the predictions of neighbouring tiles where that is asked for: tiny networks draw nearly
the same in each."""
RUN = 32


def seam(editors, model: str, scene, steps: int = STEPS, toned: str = "") -> float:
    """Gradient at the tiles' borders over elsewhere, against the same drawn in one piece.

    `scene`: of `ground`. `toned`: neighbouring tiles are made to disagree, and "blended" as they
    are in use or laid "side by side"; the gradients are then those of means over RUN pixels along
    the border, in which noise averages out and a step does not.
    """
    from landbrush.server.diffusion import sampler, tiles
    from landbrush.server.editors.frame import Frame

    entry = editors.models.store.entry(model)
    editor = editors.get(entry.editors[0])
    options = editor.parse({"model": model, "steps": steps, "keep_detail": False})
    side = entry.native_px // 8
    outer = Frame.of(scene.image.shape[1:], scene.gsd_m, 1.0, editor.grid(entry, options)).outer
    of = tiles.Tiling.of
    together = tiles.Tiling.blended
    predicted = sampler._predicted
    plan = of(outer[0] // 8, outer[1] // 8, side, round(side * 3 / 8))

    def draw():
        return editor.edit(scene, "flood the houses", options, 0, lambda *a: None)

    def in_tones(denoise, seen, t, told, tile):
        return (
            predicted(denoise, seen, t, told, tile)
            + TONES[(tile.top + tile.left) // (side // 2) % 2]
        )

    try:
        sampler._predicted = in_tones if toned else predicted
        tiles.Tiling.blended = side_by_side if toned == "side by side" else together
        made = draw()
        sampler._predicted = predicted
        tiles.Tiling.blended = together
        tiles.Tiling.of = in_one_piece(tiles)
        drawn = (model, scene.image.tobytes(), steps)
        if drawn not in _alone:
            _alone[drawn] = draw()
    finally:
        tiles.Tiling.of = of
        tiles.Tiling.blended = together
        sampler._predicted = predicted
    run = RUN if toned else 1
    return borders(made, plan, run) / borders(_alone[drawn], plan, run)


_alone: dict = {}


def side_by_side(tiling, each, scale: int = 1, share: float = 0.9):
    """Tiles laid over one another without blending."""
    whole = None
    for tile in tiling.tiles:
        made = each(tile)
        if whole is None:
            whole = made.new_zeros((*made.shape[:2], tiling.height * scale, tiling.width * scale))
        tile.of(whole, scale).copy_(made)
    return whole


def in_one_piece(tiles):
    """A plan of one tile, whatever the size."""
    return classmethod(
        lambda cls, height, width, side, overlap, wanted=None: cls(
            height, width, overlap, (tiles.Tile(0, 0, height, width),)
        )
    )


def ground(seed: int, shape=EXTENT):
    """A made ground of the extent's size, all of it to be drawn."""
    from landbrush.server.editors.base import Scene

    rng = np.random.default_rng(seed)
    rows, cols = np.mgrid[: shape[0], : shape[1]]
    light = 0.45 + 0.1 * np.sin(rows / 9) * np.cos(cols / 13) + 0.05 * rng.standard_normal(shape)
    image = np.stack([light * f for f in (0.9, 1.0, 0.8)]).astype(np.float32)
    mask = np.ones(shape, bool)
    return Scene(image, mask, mask, ("red", "green", "blue"), 0.5)


def borders(image: np.ndarray, plan, run: int) -> float:
    """Mean step at the tiles' edges over the mean elsewhere, of means over `run` pixels along them
    (latents are of 8 pixels)."""
    found = []
    for axis, edges in (
        (1, {t.top for t in plan.tiles} | {t.top + t.height for t in plan.tiles}),
        (2, {t.left for t in plan.tiles} | {t.left + t.width for t in plan.tiles}),
    ):
        step = (
            np.diff(image, axis=axis).mean(axis=0)
            if run > 1
            else np.abs(np.diff(image, axis=axis)).mean(axis=0)
        )
        step = step if axis == 1 else step.T
        size = np.abs(
            step[:, : step.shape[1] // run * run].reshape(len(step), -1, run).mean(axis=2)
        ).mean(axis=1)
        at = np.zeros(len(size), bool)
        for edge in edges:
            if 0 < edge * 8 < len(size):
                at[edge * 8 - 2 : edge * 8 + 2] = True
        found.append(size[at].mean() / size[~at].mean())
    return float(np.mean(found))


PARTS = {"editors": editors, "parity": parity, "seams": seams}

if __name__ == "__main__":
    for name in sys.argv[1:] or PARTS:
        PARTS[name]()
