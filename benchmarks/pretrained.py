"""The editors with pretrained networks, at tiny size: do they run over HTTP, agree with diffusers, and hide their tiles?

usage: python benchmarks/pretrained.py [part ...]     parts: editors parity seams memory speed
make demo-models is the first three.

No weights are needed: the networks are of the real classes, tiny, with random weights, saved as they are published and
brought through the store. What that proves is the way: loading, words, latents, schedules, tiles, the raster promise.
What the real weights draw is not measured.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "2")

import atexit
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import warnings
from pathlib import Path

import numpy as np
import rasterio
import torch

warnings.simplefilter("ignore")
ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(Path(__file__).resolve().parent)]

from landbrush.server.models import weights  # noqa: E402
from landbrush.server.store import bringing, catalogue, own, shelf  # noqa: E402

from tests.server import tiny_pipelines  # noqa: E402

MODELS = ("rsedit-unet-dgtrs", "rsedit-dit", "instruct-pix2pix", "magicbrush", "ultraedit-freeform", "ultraedit-mask", "sd15",
          "text2earth", "sd15-inpainting", "text2earth-inpainting", "kandinsky22-inpainting", "icedit", "flux-kontext")
BASES = ("kandinsky22-prior", "flux-fill")
STEPS = 3


def scratch(purpose: str) -> Path:
    """A folder that is gone when this process ends."""
    place = Path(tempfile.mkdtemp(prefix=f"landbrush-{purpose}-"))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    return place


def figure(name: str, value: float, unit: str = "") -> None:
    print(f"figure {name} {value:.4g} {unit}".rstrip(), flush=True)


def shelved(place: Path, models=(*BASES, *MODELS)) -> Path:
    """A home with tiny models in its store."""
    weights.use_folder(place / "home" / "models")
    for model_id in models:
        bringing.bring(shelf.entry(model_id), tiny_pipelines.build(model_id, place / "published"), True)
    return place / "home"


def aerial(path: Path, side: int = 512) -> Path:
    """A piece of a real aerial picture where there is one, else of the project's sample."""
    from tests.conftest import DATA
    from tests.server.conftest import RGB, in_type, scene, write

    real = sorted((DATA / "joplin_tornado_geotiff" / "input" / "pre").glob("*.tif"))
    if not real:
        return write(path, in_type(scene(3, side, side), "uint8"), colorinterp=RGB)
    with rasterio.open(real[0]) as source:
        window = rasterio.windows.Window(200, 200, side, side)
        profile = {k: v for k, v in source.profile.items() if k not in ("blockxsize", "blockysize", "tiled")}
        profile |= {"width": side, "height": side, "transform": source.window_transform(window)}
        with rasterio.open(path, "w", **profile) as out:
            out.write(source.read(window=window))
    return path


class Server:
    """The real server in a process of its own."""

    def __init__(self, home: Path, root: Path) -> None:
        command = [sys.executable, "-m", "landbrush.server", "serve", "--port", "0", "--home", str(home), "--root", str(root)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=root)
        about = json.loads(self.process.stdout.readline())
        self.url, self.token = about["url"], Path(about["token_file"]).read_text().strip()

    def ask(self, path: str, content=None):
        request = urllib.request.Request(self.url + path, method="POST" if content is not None else "GET")
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
    """Every editor and model through HTTP, compared bit by bit outside the polygon by this script."""
    place = scratch("models")
    home, path = shelved(place), aerial(place / "aerial.tif")
    with rasterio.open(path) as dataset:
        before = dataset.read()
        ring = [list(dataset.transform @ at) for at in ((150, 140), (370, 150), (350, 380), (160, 330), (150, 140))]
    inner = np.zeros(before.shape[1:], bool)
    inner[160:320, 170:340] = True
    outer = np.ones_like(inner)
    outer[135:385, 145:375] = False
    server, good = Server(home, place), 0
    print(f"{'editor':17s} {'model':24s} {'brought':>8s} {'draws':>6s} {'seconds':>8s}  promise")
    try:
        for model in MODELS:
            editor = catalogue.published()[model].editors[0]
            started = time.perf_counter()
            info = server.edit(editor, {
                "raster": {"path": str(path)}, "polygons": {"geometry": {"type": "Polygon", "coordinates": [ring]}},
                "prompt": "flood the houses with brown water", "options": {"model": model, "steps": STEPS},
                "output": {"area": "layer"}})
            seconds = time.perf_counter() - started
            drawn = kept = False
            if info["status"] == "successful":
                result = server.ask(f"/jobs/{info['jobID']}/results/result.tif")
                with rasterio.MemoryFile(result) as memory, memory.open() as dataset:
                    after = dataset.read()
                drawn = bool((after[:, inner] != before[:, inner]).any(axis=0).mean() > 0.5)
                kept = after.shape == before.shape and np.array_equal(after[:, outer], before[:, outer])
            good += drawn and kept
            print(f"{editor:17s} {model:24s} {shelf.record(model).bytes / 1e6:5.1f} MB {'yes' if drawn else 'NO':>6s} "
                  f"{seconds:8.1f}  "
                  + ("kept" if kept else f"BROKEN {info.get('message', '')[:60]}"), flush=True)
    finally:
        server.end()
    figure("editors_ok", good, f"of {len(MODELS)}")


def parity() -> None:
    """Our loop beside diffusers' pipelines, or short references where it has none."""
    from tests.server import parity as cases

    place = scratch("parity")
    weights.use_folder(place / "home")
    worst = 0.0
    for case in cases.CASES:
        gap = case(place / "published")
        print(f"# {case.__name__:24s} {gap:.2e}")
        worst = max(worst, gap)
    figure("parity_max_abs", worst)


SEAM_MODELS = ("rsedit-unet-dgtrs", "rsedit-dit", "ultraedit-freeform", "sd15", "icedit")
EXTENT, SEEDS = (1100, 1500), 1


def seams() -> None:
    """Gradient at tile borders over elsewhere, of an extent in tiles of 512, against the same drawn in one piece."""
    from landbrush.server import registry

    place = scratch("seams")
    shelved(place, ("flux-fill", *SEAM_MODELS))
    worst = 0.0
    for model in SEAM_MODELS:
        ratios = [seam(registry, model, seed) for seed in range(SEEDS)]
        print(f"# seam at tile borders, {model}: {statistics.mean(ratios):.3f}", flush=True)
        worst = max(worst, statistics.mean(ratios))
    figure("seam_tile", worst, "x")
    for toned in ("blended", "side by side"):
        print(f"# tiles made to disagree, {toned}: {seam(registry, SEAM_MODELS[0], 0, toned=toned):.3f}", flush=True)


TONES = (-0.4, 0.4)
"""Added to the predictions of neighbouring tiles where that is asked for: tiny networks draw nearly the same in each."""
RUN = 32


def seam(registry, model: str, seed: int, steps: int = STEPS, toned: str = "") -> float:
    """Gradient at the tiles' borders over elsewhere, against the same drawn in one piece.

    `toned`: neighbouring tiles are made to disagree, and "blended" as they are in use or laid "side by side"; the gradients
    are then those of means over RUN pixels along the border, in which noise averages out and a step does not.
    """
    from landbrush.server.diffusion import sampler, tiles
    from landbrush.server.editors.frame import Frame

    entry = catalogue.published()[model]
    editor = registry.EDITORS[entry.editors[0]]
    options = registry.options_of(editor.info, {"model": model, "steps": steps, "keep_detail": False})
    scene, side = ground(seed), entry.native_px // 8
    outer = Frame.of(EXTENT, scene.gsd_m, 1.0, editor.grid(entry, options)).outer
    of, together, predicted = tiles.Tiling.of, tiles.Tiling.blended, sampler._predicted
    plan = of(outer[0] // 8, outer[1] // 8, side, round(side * 3 / 8))

    def draw():
        return editor.edit(scene, "flood the houses", options, seed, lambda *a: None)

    def in_tones(denoise, seen, t, told, tile):
        return predicted(denoise, seen, t, told, tile) + TONES[(tile.top + tile.left) // (side // 2) % 2]

    try:
        sampler._predicted = in_tones if toned else predicted
        tiles.Tiling.blended = side_by_side if toned == "side by side" else together
        made = draw()
        sampler._predicted, tiles.Tiling.blended = predicted, together
        tiles.Tiling.of = in_one_piece(tiles)
        if (model, seed, steps) not in _alone:
            _alone[model, seed, steps] = draw()
    finally:
        tiles.Tiling.of, tiles.Tiling.blended, sampler._predicted = of, together, predicted
    run = RUN if toned else 1
    return borders(made, plan, run) / borders(_alone[model, seed, steps], plan, run)


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
    return classmethod(lambda cls, height, width, side, overlap, wanted=None: cls(
        height, width, overlap, (tiles.Tile(0, 0, height, width),)))


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
    """Mean step at the tiles' edges over the mean elsewhere, of means over `run` pixels along them (latents are of 8 pixels)."""
    found = []
    for axis, edges in ((1, {t.top for t in plan.tiles} | {t.top + t.height for t in plan.tiles}),
                        (2, {t.left for t in plan.tiles} | {t.left + t.width for t in plan.tiles})):
        step = np.diff(image, axis=axis).mean(axis=0) if run > 1 else np.abs(np.diff(image, axis=axis)).mean(axis=0)
        step = step if axis == 1 else step.T
        size = np.abs(step[:, : step.shape[1] // run * run].reshape(len(step), -1, run).mean(axis=2)).mean(axis=1)
        at = np.zeros(len(size), bool)
        for edge in edges:
            if 0 < edge * 8 < len(size):
                at[edge * 8 - 2 : edge * 8 + 2] = True
        found.append(size[at].mean() / size[~at].mean())
    return float(np.mean(found))


def memory() -> None:
    """Peak memory of a drawing over what the process had before, by extent and by tile."""
    sizes = ((512, 512, 512), (1100, 1500, 512), (2200, 3000, 512), (1100, 1500, 1024))
    peaks = {}
    for height, width, native in sizes:
        command = [sys.executable, __file__, "--one", str(height), str(width), str(native)]
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        peaks[height, width, native] = float(out.split()[-1])
        print(f"# {width} x {height} px in tiles of {native}: {peaks[height, width, native]:.0f} MB above the start", flush=True)
    figure("memory_extent", peaks[1100, 1500, 512] / peaks[512, 512, 512], "x, 6.3 times the ground at the same tile")
    figure("memory_tile", peaks[1100, 1500, 1024] / peaks[1100, 1500, 512], "x, a tile of 4 times the ground")


def one(height: int, width: int, native: int) -> None:
    """One drawing in this process; prints its peak in MB."""
    from landbrush.server import registry

    torch.set_num_threads(1)
    place = scratch("memory")
    shelved(place, ("sd15",))
    entry = own.described("tiny", shelf.entry("sd15"), native_px=native)
    bringing.bring(entry, place / "published" / "sd15", True)
    own.remember(entry)
    editor = registry.EDITORS["sdedit"]
    options = registry.options_of(editor.info, {"model": "tiny", "steps": 2})
    small = registry.options_of(editor.info, {"model": "tiny", "steps": 2})
    editor.edit(ground(0, (64, 64)), "snow", {**small, "model": "sd15", "gsd_m": 100.0}, 0, lambda *a: None)
    scene = ground(0, (height, width))
    before, peak, end = _resident(), [0.0], threading.Event()

    def watch() -> None:
        while not end.wait(0.002):
            peak[0] = max(peak[0], _resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    editor.edit(scene, "snow", options, 0, lambda *a: None)
    end.set()
    watcher.join()
    print(max(peak[0] - before, 0.0))


def speed() -> None:
    """Our way beside diffusers' pipeline at real size with random weights, in turn; on a GPU 100 steps, else 1.

    Stable Diffusion 1.5 with eight channels, and PixArt's transformer, both at 512 pixels. Images a second, peak memory.
    """
    for name in ("unet", "dit"):
        for kind in ("plain", "ours", "fast") if torch.cuda.is_available() else ("plain", "ours"):
            command = [sys.executable, __file__, "--speed", name, kind]
            out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            print(f"# {name:4s} {kind:5s} {out.splitlines()[-1]}", flush=True)


def _real(name: str):
    """A model of real size with random weights, its parts put in place without the store."""
    from diffusers import (
        AutoencoderKL,
        DPMSolverMultistepScheduler,
        PixArtTransformer2DModel,
        PNDMScheduler,
        UNet2DConditionModel,
    )
    from landbrush.server.diffusion.components import Model
    from landbrush.server.diffusion.placement import WHOLE, Placement, best_device

    device = best_device()
    kind = torch.bfloat16 if device == "cuda" else torch.float32
    torch.set_default_dtype(kind)
    with torch.device(device):
        vae = AutoencoderKL(
            block_out_channels=(128, 256, 512, 512), down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4, latent_channels=4, layers_per_block=2, sample_size=512)
        if name == "unet":
            net = UNet2DConditionModel(sample_size=64, in_channels=8, out_channels=4, cross_attention_dim=768)
            made, scheduler = "unet", PNDMScheduler(skip_prk_steps=True, beta_schedule="scaled_linear", beta_start=0.00085,
                                                    beta_end=0.012, steps_offset=1)
        else:
            net = PixArtTransformer2DModel(
                sample_size=64, num_layers=28, patch_size=2, attention_head_dim=72, num_attention_heads=16, in_channels=4,
                out_channels=8, caption_channels=4096, cross_attention_dim=1152, use_additional_conditions=False)
            made, scheduler = "transformer", DPMSolverMultistepScheduler()
    torch.set_default_dtype(torch.float32)
    entry = shelf.entry("rsedit-unet-dgtrs" if name == "unet" else "rsedit-dit")
    model = Model(entry, Placement(device, kind, WHOLE, 0.0, 0.0))
    model._parts.update({"vae": vae.eval().requires_grad_(False), made: net.eval().requires_grad_(False)})
    return model, scheduler


def timed(name: str, way: str) -> None:
    """One way of drawing in this process: seconds (GPU) or CPU-seconds, and the peak of memory above the weights."""
    from landbrush.server.diffusion import drawing, guidance, pixart, schedules, unet
    from landbrush.server.diffusion.branches import Words

    weights.use_folder(scratch("speed"))
    model, scheduler = _real(name)
    device, kind = model.placement.device, model.placement.kind
    gpu = device == "cuda"
    steps = (20 if way == "fast" else 100) if gpu else 1
    size = (77, 768) if name == "unet" else (120, 4096)
    full, none = (torch.randn(1, *size, device=device, dtype=kind) for _ in range(2))
    picture = torch.rand(1, 3, 512, 512) * 2 - 1
    net = model._parts["unet" if name == "unet" else "transformer"]
    solver = "DPM++ 2M Karras" if way == "fast" else "Euler" if name == "unet" else "DPM++ 2M"

    def ours() -> None:
        free = guidance.FreeGuidance(7.5, 1.5)
        work = drawing.Drawing(model, "", picture, None, drawing.Settings(solver, steps, free, 0), 64)
        raw = work.encoded()
        source = raw if name == "unet" else work.latent
        shown = {"full": source, "image": source, "none": torch.zeros_like(source)}
        branches = work.branches({"full": Words(full), "none": Words(none)}, shown)
        denoise = (unet.UNetDenoiser(net, branches, free) if name == "unet" else
                   pixart.PixArtDenoiser(net, branches, free, masked=False))
        work.decoded(work.sampled(denoise, schedules.made(solver, scheduler.config)))

    def plain() -> None:
        """The loop of InstructPix2Pix's pipeline, or the same written out for the transformer, which has none."""
        own_schedule = schedules.made(solver, scheduler.config)
        own_schedule.set_timesteps(steps)
        vae = model._parts["vae"]
        raw = vae.encode(picture.to(device, kind)).latent_dist.mode()
        source = raw if name == "unet" else raw * vae.config.scaling_factor
        beside = torch.cat([source, source, torch.zeros_like(source)])
        words = torch.cat([full, none, none])
        latents = torch.randn(1, 4, 64, 64, device=device, dtype=kind) * own_schedule.init_noise_sigma
        for t in own_schedule.timesteps.to(device):
            seen = own_schedule.scale_model_input(torch.cat([latents] * 3), t)
            if name == "unet":
                made = net(torch.cat([seen, beside], 1), t, encoder_hidden_states=words, return_dict=False)[0]
            else:
                made = net(torch.cat([beside, seen], 3), encoder_hidden_states=words, timestep=t.expand(3),
                           added_cond_kwargs={"resolution": None, "aspect_ratio": None}, return_dict=False)[0][:, :4, :, 64:]
            text, image, nothing = made.chunk(3)
            latents = own_schedule.step(nothing + 7.5 * (text - image) + 1.5 * (image - nothing), t, latents,
                                        return_dict=False)[0]
        vae.decode(latents.to(kind) / vae.config.scaling_factor)

    draw = plain if way == "plain" else ours
    with torch.inference_mode():
        if gpu:
            draw()
            torch.cuda.reset_peak_memory_stats()
            started = time.perf_counter()
            draw()
            torch.cuda.synchronize()
            seconds = time.perf_counter() - started
            print(f"{steps} steps {1 / seconds:.3f} images/s, peak {torch.cuda.max_memory_allocated() / 1e9:.2f} GB")
            return
        torch.set_num_threads(1)
        before, peak, end = _resident(), [0.0], threading.Event()

        def watch() -> None:
            while not end.wait(0.01):
                peak[0] = max(peak[0], _resident())

        watcher = threading.Thread(target=watch)
        watcher.start()
        started = time.process_time()
        draw()
        seconds = time.process_time() - started
        end.set()
        watcher.join()
        print(f"{steps} steps {seconds:.1f} CPU-s, weights {before:.0f} MB, {peak[0] - before:.0f} MB beside them")


def _resident() -> float:
    """Resident memory in MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


PARTS = {"editors": editors, "parity": parity, "seams": seams, "memory": memory, "speed": speed}

if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        one(*(int(n) for n in sys.argv[2:5]))
    elif sys.argv[1:2] == ["--speed"]:
        timed(*sys.argv[2:4])
    else:
        for name in sys.argv[1:] or PARTS:
            PARTS[name]()
