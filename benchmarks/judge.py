"""A judge of land cover that shares nothing with retrieval: hand-made features, an ensemble of
trees, other images.

Retrieval ranks windows by a network's features and heads that were trained on the first 60 images
of each of UC Merced's classes in `train`, with margins set on `test`. The judge sees colours and
energies of texture alone, of other images: 61 to 75.
"""

from __future__ import annotations

import functools
from pathlib import Path

import cases
import numpy as np
from PIL import Image
from scipy import ndimage

SIDE = 64
CLASSES = {
    "forest": ("forest",),
    "residential": ("denseresidential", "mediumresidential", "sparseresidential", "mobilehomepark"),
    "parking": ("parkinglot",),
    "farmland": ("agricultural",),
    "grass": ("golfcourse", "baseballdiamond"),
    "road": ("freeway", "overpass", "intersection", "runway"),
    "water": ("river", "harbor"),
    "industrial": ("buildings", "storagetanks"),
}
IMAGES = slice(60, 75)
WINDOWS = 16
TREES = 400


def features(window: np.ndarray) -> np.ndarray:
    """Of one window (64, 64, 3) of bytes: colours, their spread, energy of texture in four bands,
    its direction."""
    image = window.astype(np.float32)
    grey = image.mean(axis=2)
    total = image.sum(axis=2) + 1
    ratios = [
        image[..., 0] / total,
        image[..., 1] / total,
        (2 * image[..., 1] - image[..., 0] - image[..., 2]) / total,
    ]
    saturation = (image.max(axis=2) - image.min(axis=2)) / (image.max(axis=2) + 1)
    found = [part.mean() for part in (*ratios, saturation)] + [
        part.std() for part in (*ratios, saturation)
    ]
    found += [
        *image.mean(axis=(0, 1)),
        *image.std(axis=(0, 1)),
        *np.percentile(grey, (5, 25, 50, 75, 95)),
    ]
    blurred = [grey, *(ndimage.gaussian_filter(grey, sigma) for sigma in (1, 2, 4, 8))]
    for fine, coarse in zip(blurred[:-1], blurred[1:], strict=True):
        band = np.abs(fine - coarse)
        found += [band.mean(), np.percentile(band, 95), band.std()]
    down, across = np.gradient(blurred[1])
    strength = np.hypot(down, across)
    angle = np.arctan2(down, across) % np.pi
    share, _ = np.histogram(angle, 12, (0, np.pi), weights=strength)
    share = share / (share.sum() + 1e-6)
    found += [
        share.max(),
        -(share * np.log(share + 1e-9)).sum(),
        (strength > 20).mean(),
        (grey > 200).mean(),
        (grey < 50).mean(),
    ]
    return np.array(found, np.float32)


def _training() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    seen = []
    named = []
    for number, folders in enumerate(CLASSES.values()):
        for folder in folders:
            for path in sorted(
                (Path(cases.DATA) / "ucmerced_jpg" / "train" / folder).glob("*.jpg")
            )[IMAGES]:
                image = np.asarray(
                    Image.open(path).convert("RGB").resize((128, 128), Image.Resampling.BOX)
                )
                for _ in range(WINDOWS):
                    row, col = rng.integers(0, 128 - SIDE + 1, 2)
                    cut = image[row : row + SIDE, col : col + SIDE].astype(np.float32)
                    # Other sensors have other light and colours.
                    cut = cut * rng.normal(1, 0.15) + rng.normal(0, 10, 3)
                    seen.append(features(np.clip(cut, 0, 255).astype(np.uint8)))
                    named.append(number)
    return np.stack(seen), np.array(named)


@functools.lru_cache(maxsize=1)
def _trees():
    from sklearn.ensemble import ExtraTreesClassifier

    return ExtraTreesClassifier(TREES, random_state=0, class_weight="balanced", n_jobs=1).fit(
        *_training()
    )


@functools.lru_cache(maxsize=1)
def _usual() -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of the training images' colours."""
    paths = sorted((Path(cases.DATA) / "ucmerced_jpg" / "train").glob("*/*.jpg"))[::9]
    pixels = np.concatenate(
        [np.asarray(Image.open(p).convert("RGB"))[::8, ::8].reshape(-1, 3) for p in paths]
    )
    return pixels.mean(axis=0), pixels.std(axis=0)


def alike(image: np.ndarray, layer: np.ndarray) -> np.ndarray:
    """An image (H, W, 3) of a layer (h, w, 3) with the training images' mean colour and contrast
    over the layer."""
    mean, deviation = _usual()
    pixels = layer[layer.sum(axis=2) > 0]
    return np.clip(
        (image - pixels.mean(axis=0)) / pixels.std(axis=0) * deviation + mean, 0, 255
    ).astype(np.uint8)


def named(image: np.ndarray) -> str:
    """The class of an area (H, W, 3) of bytes at 0.6 m: the mean vote of its windows."""
    height, width = image.shape[:2]
    rows, cols = ({0, max(0, (n - SIDE) // 2), max(0, n - SIDE)} for n in (height, width))
    votes = _trees().predict_proba(
        np.stack([features(image[r : r + SIDE, c : c + SIDE]) for r in rows for c in cols])
    )
    return list(CLASSES)[int(votes.mean(axis=0).argmax())]
