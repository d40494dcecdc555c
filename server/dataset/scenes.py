"""Further samples of the same ground in fog, under snow and at night, made by the project's
operators (MMM-RS, section 3.4)."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np

from ..ground.errors import BadRequest
from ..operators.fog import Fog, fog
from ..operators.ground import Ground
from ..operators.low_light import LowLight, low_light
from ..operators.snow import Snow, snow


def translated(pixels: np.ndarray, generator: Path) -> np.ndarray:
    """Bytes (H, W, 3) as a trained generator (CycleGAN, or CUT's and TPSeNCE's) translates them;
    raises WeightsMissing."""
    import torch

    from ..models import translation

    net = _generator(generator, generator.stat().st_mtime_ns if generator.is_file() else 0)
    height, width = (side // translation.CELL_PX * translation.CELL_PX for side in pixels.shape[:2])
    shown = torch.from_numpy(pixels[:height, :width].copy()).permute(2, 0, 1)[None].float()
    with torch.inference_mode():
        made = net(shown / 127.5 - 1)[0].cpu().numpy()
    out = pixels.copy()
    out[:height, :width] = ((made + 1) * 127.5).clip(0, 255).round().transpose(1, 2, 0)
    return out


@functools.lru_cache(maxsize=4)
def _generator(path: Path, changed: int) -> Any:
    from ..models import translation

    return translation.load(path).eval()


def render_scene(pixels: np.ndarray, gsd_m: float, scene: str, seed: int) -> np.ndarray:
    """Bytes (H, W, 3) of the same ground in that scene; its strength is drawn from the seed."""
    image = pixels.transpose(2, 0, 1).astype(np.float32) / 255
    ground = Ground(image, np.ones(image.shape[1:], bool), ("red", "green", "blue"), gsd_m, (0, 0))
    rng = np.random.default_rng(seed)
    if scene == "fog":
        changed = fog(
            ground,
            Fog(visibility_m=float(rng.uniform(150, 600)), patch_m=120 * max(gsd_m, 1.0)),
            seed,
        )
    elif scene == "snow":
        changed = snow(
            ground, Snow(cover=float(rng.uniform(0.7, 1)), depth_cm=float(rng.uniform(6, 25))), seed
        )
    elif scene == "night":
        changed = low_light(ground, LowLight(light=float(rng.uniform(0.05, 0.2))), seed)
    else:
        raise BadRequest(f"There is no scene '{scene[:40]}'; there are fog, snow and night.")
    return (np.clip(changed, 0, 1) * 255).round().astype(np.uint8).transpose(1, 2, 0)
