"""What a drawing with a pretrained network costs: memory by extent and tile, and speed beside a
plain loop.

usage: python benchmarks/pretrained_cost.py [part ...]     parts: memory speed

Networks have random weights: tiny ones for memory, so that the picture's own arrays show, real
sizes for speed.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "2")

import contextlib
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from landbrush.server.editors.models import Models
from landbrush.server.editors.registry import Editors
from landbrush.server.store import own
from landbrush.server.store.importing import Arrival, import_model
from pretrained import figure, ground, scratch, shelved


def memory() -> None:
    """Peak memory of a drawing over what the process had before, by extent and by tile."""
    sizes = ((512, 512, 512), (1100, 1500, 512), (2200, 3000, 512), (1100, 1500, 1024))
    peaks = {}
    for height, width, native in sizes:
        command = [sys.executable, __file__, "--one", str(height), str(width), str(native)]
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        peaks[height, width, native] = float(out.split()[-1])
        print(
            f"# {width} x {height} px in tiles of {native}: {peaks[height, width, native]:.0f} "
            "MB above the start",
            flush=True,
        )
    figure(
        "memory_extent",
        peaks[1100, 1500, 512] / peaks[512, 512, 512],
        "x, 6.3 times the ground at the same tile",
    )
    figure(
        "memory_tile",
        peaks[1100, 1500, 1024] / peaks[1100, 1500, 512],
        "x, a tile of 4 times the ground",
    )


def one(height: int, width: int, native: int) -> None:
    """One drawing in this process; prints its peak in MB."""
    torch.set_num_threads(1)
    place = scratch("memory")
    models = shelved(place, ("sd15",))
    entry = own.described("tiny", models.store.entry("sd15"), native_px=native)
    import_model(models.store, Arrival(entry, True), place / "published" / "sd15")
    own.remember(models.store, entry)
    editor = Editors(models).get("sdedit")
    options = editor.parse({"model": "tiny", "steps": 2})
    small = editor.parse({"model": "sd15", "steps": 2, "gsd_m": 100.0})
    editor.edit(ground(0, (64, 64)), "snow", small, 0, lambda *a: None)
    scene = ground(0, (height, width))
    with _peak() as rise:
        editor.edit(scene, "snow", options, 0, lambda *a: None)
    print(rise())


def speed() -> None:
    """Our way beside diffusers' pipeline at real size with random weights, in turn; on a GPU 100
    steps, else 1.

    Stable Diffusion 1.5 with eight channels, and PixArt's transformer, both at 512 pixels. Images a
    second, peak memory.
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
    from landbrush.server.diffusion.families import family
    from landbrush.server.diffusion.placement import WHOLE, Placement, best_device

    device = best_device()
    kind = torch.bfloat16 if device == "cuda" else torch.float32
    torch.set_default_dtype(kind)
    with torch.device(device):
        vae = AutoencoderKL(
            block_out_channels=(128, 256, 512, 512),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            latent_channels=4,
            layers_per_block=2,
            sample_size=512,
        )
        if name == "unet":
            net = UNet2DConditionModel(
                sample_size=64, in_channels=8, out_channels=4, cross_attention_dim=768
            )
            made = "unet"
            scheduler = PNDMScheduler(
                skip_prk_steps=True,
                beta_schedule="scaled_linear",
                beta_start=0.00085,
                beta_end=0.012,
                steps_offset=1,
            )
        else:
            net = PixArtTransformer2DModel(
                sample_size=64,
                num_layers=28,
                patch_size=2,
                attention_head_dim=72,
                num_attention_heads=16,
                in_channels=4,
                out_channels=8,
                caption_channels=4096,
                cross_attention_dim=1152,
                use_additional_conditions=False,
            )
            made = "transformer"
            scheduler = DPMSolverMultistepScheduler()
    torch.set_default_dtype(torch.float32)
    store = Models(scratch("speed")).store
    entry = store.entry("rsedit-unet-dgtrs" if name == "unet" else "rsedit-dit")
    placed = Placement(device, kind, WHOLE, 0.0, 0.0)
    model = Model(store, entry, family(entry.family), placed)
    model._parts.update(
        {"vae": vae.eval().requires_grad_(False), made: net.eval().requires_grad_(False)}
    )
    return model, scheduler


def timed(name: str, way: str) -> None:
    """One way of drawing in this process: seconds (GPU) or CPU-seconds, and the peak of memory
    above the weights."""
    from landbrush.server.diffusion import drawing, guidance, schedules
    from landbrush.server.diffusion.branches import Words
    from landbrush.server.diffusion.families import pixart, sd

    model, scheduler = _real(name)
    device = model.placement.device
    kind = model.placement.kind
    gpu = device == "cuda"
    steps = (20 if way == "fast" else 100) if gpu else 1
    size = (77, 768) if name == "unet" else (120, 4096)
    full, none = (torch.randn(1, *size, device=device, dtype=kind) for _ in range(2))
    picture = torch.rand(1, 3, 512, 512) * 2 - 1
    net = model._parts["unet" if name == "unet" else "transformer"]
    solver = "DPM++ 2M Karras" if way == "fast" else "Euler" if name == "unet" else "DPM++ 2M"

    def ours() -> None:
        free = guidance.FreeGuidance(7.5, 1.5)
        work = drawing.Drawing(
            model, "", picture, None, drawing.Settings(solver, steps, free, 0), 64
        )
        raw = work.encoded()
        source = raw if name == "unet" else work.latent
        shown = {"full": source, "image": source, "none": torch.zeros_like(source)}
        branches = work.branches({"full": Words(full), "none": Words(none)}, shown)
        denoise = (
            sd.UNetDenoiser(net, branches, free)
            if name == "unet"
            else pixart.PixArtDenoiser(net, branches, free, masked=False)
        )
        work.decoded(work.sampled(denoise, schedules.make_scheduler(solver, scheduler.config)))

    def plain() -> None:
        """The loop of InstructPix2Pix's pipeline, or the same written out for the transformer,
        which has none."""
        own_schedule = schedules.make_scheduler(solver, scheduler.config)
        own_schedule.set_timesteps(steps)
        vae = model._parts["vae"]
        raw = vae.encode(picture.to(device, kind)).latent_dist.mode()
        source = raw if name == "unet" else raw * vae.config.scaling_factor
        beside = torch.cat([source, source, torch.zeros_like(source)])
        words = torch.cat([full, none, none])
        latents = (
            torch.randn(1, 4, 64, 64, device=device, dtype=kind) * own_schedule.init_noise_sigma
        )
        for t in own_schedule.timesteps.to(device):
            seen = own_schedule.scale_model_input(torch.cat([latents] * 3), t)
            if name == "unet":
                made = net(
                    torch.cat([seen, beside], 1), t, encoder_hidden_states=words, return_dict=False
                )[0]
            else:
                made = net(
                    torch.cat([beside, seen], 3),
                    encoder_hidden_states=words,
                    timestep=t.expand(3),
                    added_cond_kwargs={"resolution": None, "aspect_ratio": None},
                    return_dict=False,
                )[0][:, :4, :, 64:]
            text, image, nothing = made.chunk(3)
            latents = own_schedule.step(
                nothing + 7.5 * (text - image) + 1.5 * (image - nothing),
                t,
                latents,
                return_dict=False,
            )[0]
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
            print(
                f"{steps} steps {1 / seconds:.3f} images/s, peak "
                f"{torch.cuda.max_memory_allocated() / 1e9:.2f} GB"
            )
            return
        torch.set_num_threads(1)
        before = _resident()
        with _peak() as rise:
            started = time.process_time()
            draw()
            seconds = time.process_time() - started
        print(
            f"{steps} steps {seconds:.1f} CPU-s, weights {before:.0f} MB, {rise():.0f} MB beside "
            "them"
        )


@contextlib.contextmanager
def _peak() -> Iterator[Callable[[], float]]:
    """Watch this process's memory: how many MB it rose at most above what it had at first."""
    before = _resident()
    most = [0.0]
    end = threading.Event()

    def watch() -> None:
        while not end.wait(0.002):
            most[0] = max(most[0], _resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield lambda: max(most[0] - before, 0.0)
    finally:
        end.set()
        watcher.join()


def _resident() -> float:
    """Resident memory in MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


PARTS = {"memory": memory, "speed": speed}

if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        one(*(int(n) for n in sys.argv[2:5]))
    elif sys.argv[1:2] == ["--speed"]:
        timed(*sys.argv[2:4])
    else:
        for name in sys.argv[1:] or PARTS:
            PARTS[name]()
