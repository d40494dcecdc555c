"""Train the near-infrared network on NAIP (USDA, public domain) and Sentinel-2, and measure it
where it was not trained.

usage: python scripts/train_near_infrared.py DATA [--all]   (DATA holds naip_landsat_timeseries,
bigearthnet_examples)

Held out are a whole date (the newest) and the eastern part of the scene at every date. Writes
resources/models/near_infrared.npz; --all instead holds out each date in turn and writes nothing.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import rasterio
import torch
from landbrush.server.models import near_infrared, pixel_network
from torch.nn import functional

WEST_PX = 560
GAP_PX = 20
WINDOWS = 3
SAMPLES = 15_000
BATCH = 2048


def dates(data: Path) -> dict[str, np.ndarray]:
    """Red, green, blue, near infrared of each date, bytes as 0 ... 1."""
    found = {}
    for path in sorted((data / "naip_landsat_timeseries" / "naip").glob("*.tif")):
        with rasterio.open(path) as source:
            found[path.stem.rpartition("_")[2]] = source.read().astype(np.float32) / 255
    return found


def sentinel(data: Path) -> list[np.ndarray]:
    """The same of small Sentinel-2 patches, 10 m, reflectance."""
    import io
    import tarfile

    found = []
    archive = data / "bigearthnet_examples" / "BigEarthNet-S2-Example.tar.bz2"
    with tarfile.open(archive) as tar:
        bands: dict[str, dict[str, np.ndarray]] = {}
        for member in tar:
            stem, _, band = Path(member.name).stem.rpartition("_")
            if band in ("B02", "B03", "B04", "B08") and member.name.endswith(".tif"):
                with rasterio.open(io.BytesIO(tar.extractfile(member).read())) as source:
                    bands.setdefault(stem, {})[band] = source.read(1)
    for patch in bands.values():
        stacked = np.stack([patch[name] for name in ("B04", "B03", "B02", "B08")]).astype(
            np.float32
        )
        found.append(stacked / max(float(np.percentile(stacked[:3], 99.5)), 1) * 0.8)
    return found


def coarser(image: np.ndarray, times: int) -> np.ndarray:
    height, width = (side // times * times for side in image.shape[1:])
    return (
        image[:, :height, :width]
        .reshape(len(image), height // times, times, width // times, times)
        .mean((2, 4))
    )


def samples(
    image: np.ndarray, whole: bool, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Described pixels of an image, or of a window of it under another exposure, and what the
    network should answer."""
    least = min(image.shape[1:])
    side = least if whole else int(rng.integers(min(250, least), least + 1))
    row, col = (int(rng.integers(0, length - side + 1)) for length in image.shape[1:])
    part = (
        image
        if whole
        else image[:, row : row + side, col : col + side] * np.float32(np.exp(rng.normal(0, 0.15)))
    )
    valid = part.min(0) > 0
    known = near_infrared.levels(part[:3], valid)
    features = near_infrared.described(part[:3], known)[valid]
    wanted = (part[3][valid] - known[0]) / known[1]
    taken = rng.choice(len(wanted), min(SAMPLES, len(wanted)), replace=False)
    return features[taken], wanted[taken].astype(np.float32)


class Fit(NamedTuple):
    """Of a pixel network: hidden widths, steps, noise on the standardised features, dropout, where
    the loss turns linear."""

    widths: tuple[int, int]
    steps: int
    noise: float
    dropout: float
    beta: float

    def learned(self, features: np.ndarray, wanted: np.ndarray, seed: int) -> dict[str, np.ndarray]:
        """Weights by the names of models/pixel_network.py for features (n, f) and what they should
        answer (n, outputs)."""
        torch.manual_seed(seed)
        mean = features.mean(0)
        deviation = features.std(0) + 1e-6
        x = torch.from_numpy((features - mean) / deviation)
        y = torch.from_numpy(wanted)
        first, second = self.widths
        net = torch.nn.Sequential(
            torch.nn.Linear(x.shape[1], first),
            torch.nn.SiLU(),
            torch.nn.Dropout(self.dropout),
            torch.nn.Linear(first, second),
            torch.nn.SiLU(),
            torch.nn.Linear(second, y.shape[1]),
        )
        optimiser = torch.optim.AdamW(net.parameters(), 3e-3, weight_decay=0.05)
        for step in range(self.steps):
            for group in optimiser.param_groups:
                group["lr"] = 3e-3 * (1 - step / self.steps)
            at = torch.randint(len(x), (BATCH,))
            made = net(x[at] + self.noise * torch.randn(BATCH, x.shape[1]))
            loss = functional.smooth_l1_loss(made, y[at], beta=self.beta)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        found = {"mean": mean, "deviation": deviation}
        for number, layer in enumerate((net[0], net[3], net[5]), 1):
            found[f"weight{number}"] = layer.weight.detach().numpy().T
            found[f"bias{number}"] = layer.bias.detach().numpy()
        return found


FIT = Fit((96, 48), 1500, 0.2, 0.15, 0.5)


def trained(images: list[np.ndarray], seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    parts = [samples(image, number == 0, rng) for image in images for number in range(1 + WINDOWS)]
    features, wanted = (np.concatenate(part) for part in zip(*parts, strict=True))
    return FIT.learned(features, wanted[:, None], seed)


def per_pixel(rgb: np.ndarray) -> np.ndarray:
    """What the baseline knows of a pixel: colours, their products, shares and differences."""
    red, green, blue = rgb
    light = rgb.sum(0) + 1e-6
    return np.stack(
        [
            np.ones_like(red),
            *rgb,
            *rgb**2,
            red * green,
            red * blue,
            green * blue,
            red / light,
            green / light,
            (green - red) / (green + red + 1e-6),
            (green - blue) / (green + blue + 1e-6),
        ],
        -1,
    )


def baseline(images: list[np.ndarray]) -> np.ndarray:
    """Ridge regression of near infrared on a pixel's own colours."""
    x = np.concatenate([per_pixel(i[:3])[i.min(0) > 0][::7] for i in images]).astype(np.float64)
    y = np.concatenate([i[3][i.min(0) > 0][::7] for i in images]).astype(np.float64)
    return np.linalg.solve(x.T @ x + 1e-3 * np.eye(x.shape[1]), x.T @ y)


def scores(image: np.ndarray, made: np.ndarray, where: np.ndarray) -> tuple[float, float, float]:
    """R2, squared correlation, mean absolute error of NDVI."""
    true = image[3][where]
    red = image[0][where]
    made = np.clip(made, 0, 1)[where]
    residual = ((true - made) ** 2).sum() / ((true - true.mean()) ** 2).sum()
    ndvi = [(nir - red) / (nir + red + 1e-6) for nir in (true, made)]
    return (
        1 - float(residual),
        float(np.corrcoef(true, made)[0, 1] ** 2),
        float(np.abs(ndvi[0] - ndvi[1]).mean()),
    )


def judged(image: np.ndarray, net: dict[str, np.ndarray], plain: np.ndarray) -> str:
    """Both ways on the eastern part of a date."""
    valid = image.min(0) > 0
    known = near_infrared.levels(image[:3], valid)
    made = (
        near_infrared.answered(near_infrared.described(image[:3], known), net) * known[1] + known[0]
    )
    east = valid & (np.arange(image.shape[2]) >= WEST_PX + GAP_PX)
    ours = scores(image, made, east)
    theirs = scores(image, per_pixel(image[:3]) @ plain, east)
    return "r2 {:.3f} correlation2 {:.3f} ndvi_mae {:.3f} | baseline {:.3f} {:.3f} {:.3f}".format(
        *ours, *theirs
    )


def main() -> None:
    torch.set_num_threads(2)
    data = Path(sys.argv[1])
    every = dates(Path(sys.argv[1]))
    patches = sentinel(data)
    for held in list(every) if "--all" in sys.argv else [max(every)]:
        west = [image[:, :, :WEST_PX] for date, image in every.items() if date != held]
        images = [*west, *(coarser(image, 2) for image in west), *patches]
        net = trained(images)
        plain = baseline(west)
        print(held, judged(every[held], net, plain), flush=True)
    if "--all" not in sys.argv:
        path = pixel_network.FOLDER / f"{near_infrared.WEIGHTS}.npz"
        np.savez_compressed(path, **{name: value.astype(np.float16) for name, value in net.items()})


if __name__ == "__main__":
    main()
