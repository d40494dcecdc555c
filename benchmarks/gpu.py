"""The closed-form denoiser on a GPU: exact attention over all patches, against the CPU's result and time.

usage: python benchmarks/gpu.py      (needs a CUDA device; numpy, scipy and torch are enough)
"""

from __future__ import annotations

import time

import numpy as np
import torch
from landbrush.server.models.patch_denoiser import PatchDenoiser
from landbrush.server.models.patch_sampler import Schedule, sample


def picture(side: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    rows, cols = np.mgrid[:side, :side]
    ground = np.sin(rows / 9) * np.cos(cols / 13) + 0.3 * rng.standard_normal((side, side))
    return np.stack([ground * f * 0.5 for f in (0.9, 1.0, 0.8)]).astype(np.float32)


def main() -> None:
    print(f"# {torch.cuda.get_device_name(0)}, torch {torch.__version__}")
    image = picture(96)
    usable = np.ones((96, 96), bool)
    noisy = (0.6 * image + 0.4 * np.random.default_rng(1).standard_normal(image.shape)).astype(np.float32)
    cpu, gpu = PatchDenoiser(image, usable), PatchDenoiser(image, usable, "cuda")
    queries = cpu.basis.project(noisy).reshape(-1, cpu.keys.shape[1])
    apart = np.abs(cpu._exact(queries, 0.6, 0.4) - gpu._attention(queries, 0.6, 0.4)).max()
    print(f"figure gpu_attention_max_abs {apart:.3g} value")
    for side in (256, 512, 1024):
        image, mask = picture(side), np.ones((side, side), bool)
        for copied, name in ((1, "sample"), (0, "sample_all_levels")):
            torch.cuda.reset_peak_memory_stats()
            sample(image[:, :128, :128], mask[:128, :128], mask[:128, :128], 1.0, 0, Schedule(copied_levels=copied), "cuda")
            torch.cuda.synchronize()
            start = time.perf_counter()
            sample(image, mask, mask, 1.0, 0, Schedule(copied_levels=copied), "cuda")
            torch.cuda.synchronize()
            peak = torch.cuda.max_memory_allocated() / 1e6
            print(f"figure gpu_{name}_s_{side} {time.perf_counter() - start:.3g} s ({peak:.0f} MB)", flush=True)


if __name__ == "__main__":
    main()
