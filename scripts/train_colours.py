"""Train the network that makes colours from near infrared on NAIP (USDA, public domain), and
measure it where it was not trained.

usage: python scripts/train_colours.py DATA [--all]   (DATA holds naip_landsat_timeseries)

Held out are a whole date (the newest) and the eastern part of the scene at every date, as for the
near infrared. Writes resources/models/colours.npz; --all instead holds out each date in turn and
writes nothing.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from landbrush.server.models import colours, pixel_network

sys.path.insert(0, str(Path(__file__).resolve().parent))
from train_near_infrared import GAP_PX, WEST_PX, Fit, coarser, dates

WINDOWS = 2
SAMPLES = 40_000
FIT = Fit((48, 24), 1000, 0.5, 0.3, 0.2)


def samples(
    image: np.ndarray, whole: bool, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Described pixels of an image, or of a window of it under another exposure, and their
    colours."""
    least = min(image.shape[1:])
    side = least if whole else int(rng.integers(min(300, least), least + 1))
    row, col = (int(rng.integers(0, length - side + 1)) for length in image.shape[1:])
    part = image if whole else image[:, row : row + side, col : col + side]
    band = part[3] * np.float32(1 if whole else np.exp(rng.normal(0, 0.2)))
    valid = part.min(0) > 0
    features = colours.described(band, colours.levels(band, valid))[valid]
    taken = rng.choice(len(features), min(SAMPLES, len(features)), replace=False)
    return features[taken], part[:3, valid].T[taken]


def trained(images: list[np.ndarray], seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    parts = [samples(image, number == 0, rng) for image in images for number in range(1 + WINDOWS)]
    return FIT.learned(*(np.concatenate(part) for part in zip(*parts, strict=True)), seed)


def per_pixel(band: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """What the baseline knows of a pixel: its own brightness in the picture, to the third power,
    and its logarithm."""
    middle, spread = colours.levels(band, valid)
    tone = (band - middle) / spread
    return np.stack([np.ones_like(tone), tone, tone**2, tone**3, pixel_network.log(band)], -1)


def baseline(images: list[np.ndarray]) -> np.ndarray:
    """Ridge regression of the colours on a pixel's own brightness."""
    x = np.concatenate([per_pixel(i[3], i.min(0) > 0)[i.min(0) > 0][::7] for i in images]).astype(
        np.float64
    )
    y = np.concatenate([i[:3, i.min(0) > 0].T[::7] for i in images]).astype(np.float64)
    return np.linalg.solve(x.T @ x + 1e-3 * np.eye(x.shape[1]), x.T @ y)


def scores(true: np.ndarray, made: np.ndarray, where: np.ndarray) -> tuple[float, float]:
    """R2 over the three colours, each about its own mean, and the mean absolute error, of 0 ...
    1."""
    true = true[:, where]
    made = np.clip(made, 0, 1)[:, where]
    residual = ((true - made) ** 2).sum() / ((true - true.mean(1, keepdims=True)) ** 2).sum()
    return 1 - float(residual), float(np.abs(true - made).mean())


def east_of(image: np.ndarray) -> np.ndarray:
    return (image.min(0) > 0) & (np.arange(image.shape[2]) >= WEST_PX + GAP_PX)


def answered(image: np.ndarray, net: dict[str, np.ndarray]) -> np.ndarray:
    known = colours.levels(image[3], image.min(0) > 0)
    return pixel_network.forward(colours.described(image[3], known), net).transpose(2, 0, 1)


def main() -> None:
    torch.set_num_threads(2)
    every = dates(Path(sys.argv[1]))
    for held in list(every) if "--all" in sys.argv else [max(every)]:
        west = [image[:, :, :WEST_PX] for date, image in every.items() if date != held]
        net = trained([*west, *(coarser(image, 2) for image in west)])
        image = every[held]
        plain = baseline(west)
        theirs = (per_pixel(image[3], image.min(0) > 0) @ plain).transpose(2, 0, 1)
        where = east_of(image)
        print(
            held,
            "r2 {:.3f} mae {:.4f} | baseline {:.3f} {:.4f}".format(
                *scores(image[:3], answered(image, net), where), *scores(image[:3], theirs, where)
            ),
            flush=True,
        )
    if "--all" not in sys.argv:
        path = pixel_network.FOLDER / f"{colours.WEIGHTS}.npz"
        np.savez_compressed(path, **{name: value.astype(np.float16) for name, value in net.items()})


if __name__ == "__main__":
    main()
