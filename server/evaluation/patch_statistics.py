"""How alike the patches of two images are: sliced Wasserstein distance, coherence, completeness.

For samples of a single image, which should show its patches, all of them, in their proportions. No
network is involved. Values are in the images' own units; smaller is better.
"""

from __future__ import annotations

import numpy as np

from ..synthesis.pyramid import Level, halved, padded

PATCH = 7
PROJECTIONS = 256
QUANTILES = 512
LEVELS = 3
MOST_QUERIES = 20_000


def patches(image: np.ndarray, size: int = PATCH) -> np.ndarray:
    """All patches of an image (C, H, W), a row each."""
    windows = np.lib.stride_tricks.sliding_window_view(image, (size, size), axis=(1, 2))
    return np.ascontiguousarray(
        windows.transpose(1, 2, 0, 3, 4).reshape(-1, image.shape[0] * size * size), np.float32
    )


def sliced_wasserstein(sample: np.ndarray, image: np.ndarray, seed: int = 0) -> list[float]:
    """First Wasserstein distance of the patches' distributions along 256 random directions, at
    three scales, finest first.

    After Rabin, Peyre, Delon, Bernot, Wasserstein barycenter and its application to texture mixing,
    2011.
    """
    rng = np.random.default_rng(seed)
    found = []
    for level in range(LEVELS):
        if level:
            sample = _half(sample)
            image = _half(image)
        directions = rng.standard_normal((image.shape[0] * PATCH * PATCH, PROJECTIONS)).astype(
            np.float32
        )
        directions /= np.linalg.norm(directions, axis=0)
        at = (np.arange(QUANTILES) + 0.5) / QUANTILES
        first, second = (
            np.quantile(patches(one) @ directions, at, axis=0) for one in (sample, image)
        )
        found.append(float(np.abs(first - second).mean()))
    return found


def _half(image: np.ndarray) -> np.ndarray:
    none = np.zeros(image.shape[1:], bool)
    return halved(padded(Level(image, none, none), 2).image)


def nearest_distance(asked: np.ndarray, known: np.ndarray, seed: int = 0) -> float:
    """Mean squared distance per value from the patches of `asked` to their nearest ones in `known`.

    From a sample to its image it is the coherence (nothing that the image does not show), from the
    image to the sample the completeness (everything the image shows). After Simakov, Caspi,
    Shechtman, Irani, Summarizing visual data using bidirectional similarity, 2008.
    """
    import faiss

    queries = patches(asked)
    bank = patches(known)
    if len(queries) > MOST_QUERIES:
        queries = queries[
            np.random.default_rng(seed).choice(len(queries), MOST_QUERIES, replace=False)
        ]
    index = faiss.IndexFlatL2(bank.shape[1])
    index.add(bank)
    distance, _ = index.search(queries, 1)
    return float(np.maximum(distance, 0).mean() / bank.shape[1])
