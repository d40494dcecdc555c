"""Patch features: the leading principal components of the patches of a bank."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

COMPONENTS = 24
SAMPLES = 4000
STRIP_VALUES = 2_000_000
"""Values of patches that are laid out at a time: 8 MB, which a processor's cache likes."""


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
POWER_STEPS = 2
"""Multiplications with the covariance that sharpen the range found."""


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
        count, bands, patch, _ = self.kernels.shape
        height, width = image.shape[1:]
        # Bands last, so that a row of a patch is one run of memory.
        padded = _reflected(image, patch // 2).astype(np.float32, copy=False).transpose(1, 2, 0)
        padded = np.ascontiguousarray(padded)
        step = padded.itemsize  # strides of an axis of one band may be anything
        across = step * bands
        down = across * padded.shape[1]
        patches = np.lib.stride_tricks.as_strided(
            padded, (height, width, patch, patch * bands), (down, across, down, step)
        )
        axes = self.kernels.transpose(2, 3, 1, 0).reshape(-1, count)
        out = np.empty((height, width, count), np.float32)
        rows = max(1, STRIP_VALUES // (width * len(axes)))
        for top in range(0, height, rows):
            part = patches[top : top + rows].reshape(-1, len(axes))
            out[top : top + rows] = (part @ axes).reshape(-1, width, count)
        return out


def _principal(samples: np.ndarray, components: int) -> np.ndarray:
    """The leading principal axes (values, components) of centred samples (n, values)."""
    if samples.shape[1] <= EXACT_VALUES:
        _, vectors = np.linalg.eigh(samples.T.astype(np.float64) @ samples)
        return vectors[:, ::-1][:, :components]
    # Many bands: the whole spectrum would take tens of seconds, and only its beginning is wanted
    # (Halko, Martinsson, Tropp, Finding structure with randomness, 2011, algorithm 4.4).
    asked = min(components + 16, *samples.shape)
    drawn = np.random.default_rng(0).standard_normal((samples.shape[1], asked))
    basis, _ = np.linalg.qr(samples @ drawn.astype(np.float32))
    for _ in range(POWER_STEPS):
        back, _ = np.linalg.qr(samples.T @ basis)
        basis, _ = np.linalg.qr(samples @ back)
    _, _, vectors = np.linalg.svd(basis.T @ samples, full_matrices=False)
    return np.asarray(vectors[:components].T)


def _reflected(image: np.ndarray, half: int) -> np.ndarray:
    widths = ((0, 0), (half, half), (half, half))
    return (
        np.pad(image, widths, mode="reflect")
        if min(image.shape[1:]) > half
        else np.pad(image, widths, mode="edge")
    )
