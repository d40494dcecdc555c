"""The window's robust range mapped to [-1, 1], so that thresholds mean the same on every layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Scaling:
    """A linear map of each band. `centre`, `half` (C,): the middle of its robust range and, with a
    margin, half of it, in the image's own units."""

    centre: np.ndarray
    half: np.ndarray

    @classmethod
    def of(cls, image: np.ndarray, where: np.ndarray) -> Scaling:
        """From the 1st and 99th percentile of the pixels `where`.

        A band's range counts as at least a quarter of the widest, so that the
        noise of a flat band is not blown up.
        """
        values = image[:, where] if where.any() else image.reshape(image.shape[0], -1)
        values = values[:, :: max(1, values.shape[1] // 100_000)]
        low, high = np.percentile(values, (1, 99), axis=1)
        half = (high - low) / 2
        half = np.maximum(half, max(half.max() / 4, 1e-6)) * 1.25
        return cls(((low + high) / 2).astype(np.float32), half.astype(np.float32))

    def scaled(self, image: np.ndarray) -> np.ndarray:
        """To about [-1, 1]; what is not finite becomes the centre."""
        out = (image - self.centre[:, None, None]) / self.half[:, None, None]
        return np.where(np.isfinite(out), out, 0).astype(np.float32)

    def restored(self, image: np.ndarray) -> np.ndarray:
        """Back to the image's own units."""
        return image * self.half[:, None, None] + self.centre[:, None, None]
