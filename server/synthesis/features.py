"""Patch features: the leading principal components of the patches of a bank."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as functional
from scipy import ndimage

COMPONENTS = 24
SAMPLES = 4000


def eroded(usable: np.ndarray, patch: int) -> np.ndarray:
    """Centres whose whole patch is usable; outside the image nothing is."""
    return ndimage.minimum_filter(usable.astype(np.uint8), patch, mode="constant", cval=0) > 0


def centres(usable: np.ndarray, patch: int, enough: int) -> tuple[np.ndarray, int]:
    """Usable centres, and the patch size, reduced by 2 while there are fewer than `enough`."""
    while True:
        ok = eroded(usable, patch)
        if patch <= 3 or ok.sum() >= enough:
            return ok, patch
        patch -= 2


EXACT_VALUES = 1000
"""Up to so many values a patch the principal axes are exact."""


@dataclass(frozen=True)
class PatchBasis:
    """A projection of P x P patches with C bands on their principal components. `kernels` (d, C, P,
    P): the components, to convolve with. `patch`: the side P in pixels, odd."""

    kernels: np.ndarray
    patch: int

    @classmethod
    def fit(
        cls,
        image: np.ndarray,
        ok: np.ndarray,
        patch: int,
        rng: np.random.Generator,
        components: int = COMPONENTS,
    ) -> PatchBasis:
        """Fit on at most 4,000 random patches of `image` (C, H, W) with centres where `ok`."""
        bands = image.shape[0]
        rows, cols = np.nonzero(ok)
        if len(rows) > SAMPLES:
            chosen = rng.choice(len(rows), SAMPLES, replace=False)
            rows = rows[chosen]
            cols = cols[chosen]
        half = patch // 2
        windows = np.lib.stride_tricks.sliding_window_view(
            _reflected(image, half), (patch, patch), axis=(1, 2)
        )
        samples = windows[:, rows, cols].transpose(1, 0, 2, 3).reshape(len(rows), -1)
        samples = samples - samples.mean(axis=0)
        top = _principal(samples, min(components, samples.shape[1]))
        return cls(
            np.ascontiguousarray(top.T.reshape(-1, bands, patch, patch), dtype=np.float32), patch
        )

    def project(self, image: np.ndarray) -> np.ndarray:
        """Features (H, W, d) of every pixel of `image` (C, H, W); borders are reflected."""
        half = self.patch // 2
        tensor = torch.from_numpy(np.ascontiguousarray(_reflected(image, half)))[None]
        seen = functional.conv2d(tensor, torch.from_numpy(self.kernels))[0]
        return np.ascontiguousarray(seen.permute(1, 2, 0).numpy())


def _principal(samples: np.ndarray, components: int) -> np.ndarray:
    """The leading principal axes (values, components) of centred samples (n, values)."""
    if samples.shape[1] <= EXACT_VALUES:
        _, vectors = np.linalg.eigh(samples.T.astype(np.float64) @ samples)
        return vectors[:, ::-1][:, :components]
    # Many bands: the whole spectrum would take tens of seconds, and only its beginning is wanted
    # (Halko, Martinsson,
    # Tropp, Finding structure with randomness, 2011).
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        _, _, vectors = torch.pca_lowrank(
            torch.from_numpy(np.ascontiguousarray(samples)),
            min(components + 16, *samples.shape),
            center=False,
            niter=2,
        )
    return vectors[:, :components].numpy()


def _reflected(image: np.ndarray, half: int) -> np.ndarray:
    widths = ((0, 0), (half, half), (half, half))
    return (
        np.pad(image, widths, mode="reflect")
        if min(image.shape[1:]) > half
        else np.pad(image, widths, mode="edge")
    )
