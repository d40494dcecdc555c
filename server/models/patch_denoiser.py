"""The closed-form denoiser of a single image: a posterior mean over the image's own patches.

Noise model x_t = a y + s eps with a = 1 - s (flow-linear). For the P x P patches
y_j of the image at one pyramid level the posterior mean is
sum_j w_j y_j, w = softmax_j(-|x_t - a y_j|^2 / (2 s^2)); overlapping estimates
are folded with a Gaussian window. After Qiu, Kutulakos, Lindell, Efficient and
Training-Free Single-Image Diffusion Models, 2026. On a GPU one step is exact
attention over all patches; on a CPU the k nearest patches in a PCA space are
found with faiss and share the weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from ..ground.errors import CannotEdit
from ..ground.optional import functional, torch
from ..synthesis.features import PatchBasis, eroded

PATCH = 15
CENTRE = 7
COMPONENTS = 64
NEAREST = 5
LOGITS = 250_000_000
"""At most so many attention logits at a time on a GPU: 1 GB."""
STRIP_VALUES = 40_000_000
"""At most so many values of patch centres at a time: 160 MB, a few times."""
KEPT_VALUES = 200_000_000
"""Values of all patches' centres that are kept at most: 800 MB."""
EXACT_PATCHES = 4096
"""Up to this many patches the softmax runs over all of them on a CPU too."""


@dataclass
class PatchDenoiser:
    """Denoises images of one pyramid level whose patches come from `image` (C, H, W) where `usable`
    (H, W).

    `device`: by torch's name; on "cpu" only the nearest of many patches are weighed. `patch`: the
    side P in pixels, odd; made smaller where no whole patch is usable. `seed`: of the choice of
    patches that the PCA space is fitted on. `log_prior` (H, W): how much likelier the patch around
    a pixel is than another before anything is seen; with it the softmax runs over log_prior_j -
    |x_t - a y_j|^2 / (2 s^2). By it words choose the content; None: all alike.
    """

    image: np.ndarray
    usable: np.ndarray
    device: str = "cpu"
    patch: int = PATCH
    seed: int = 0
    log_prior: np.ndarray | None = None

    def __post_init__(self) -> None:
        self.patch = max(3, min(self.patch, (min(self.usable.shape) - 1) // 2 * 2 - 1))
        ok = eroded(self.usable, self.patch)
        while not ok.any() and self.patch > 3:
            self.patch -= 2
            ok = eroded(self.usable, self.patch)
        self.rows, self.cols = np.nonzero(ok)
        if not len(self.rows):
            raise CannotEdit(
                "There is no whole patch of 3 x 3 pixels to draw from: the ground, or the "
                "exemplar, is too thin or too full of nodata. Choose a larger area."
            )
        self.centre = min(CENTRE, self.patch)
        rng = np.random.default_rng(self.seed)
        self.basis = PatchBasis.fit(self.image, ok, self.patch, rng, COMPONENTS)
        self.keys = np.ascontiguousarray(self.basis.project(self.image)[self.rows, self.cols])
        self.prior = (
            np.zeros(len(self.rows), np.float32)
            if self.log_prior is None
            else self.log_prior[self.rows, self.cols].astype(np.float32)
        )
        self._index: Any = None

    def denoise(
        self, noisy: np.ndarray, signal: float, noise: float, where: np.ndarray | None = None
    ) -> np.ndarray:
        """Posterior mean of the image (C, H, W) behind `noisy` = signal * image + noise * eps.

        `where` (H, W): only these pixels are wanted; what is given elsewhere means nothing.
        """
        if signal < 1e-3:
            share = self.usable * (
                1.0 if self.log_prior is None else np.exp(self.log_prior - self.log_prior.max())
            )
            mean = np.tensordot(self.image, share.astype(np.float32) / share.sum(), 2)
            return np.broadcast_to(mean[:, None, None], noisy.shape).astype(np.float32)
        asked: np.ndarray = np.ones(noisy.shape[1:], bool)
        if where is not None:
            asked = ndimage.binary_dilation(where, np.ones((self.centre, self.centre), bool))
        features = self.basis.project(noisy)
        half = self.centre // 2
        height = asked.shape[0]
        width = asked.shape[1]
        total = np.zeros((len(noisy), height + 2 * half, width + 2 * half), np.float32)
        norm = np.zeros(total.shape[1:], np.float32)
        # In strips, since every patch's centre is kept until it is folded: memory does not follow
        # the window.
        rows = max(16, STRIP_VALUES // (width * self.centre**2 * len(noisy)))
        for top in range(0, height, rows):
            part = asked[top : top + rows]
            if part.any():
                reach = slice(top, top + len(part) + 2 * half)
                values, weight = self._folded(
                    self._estimates(features[top : top + rows][part], signal, noise), part
                )
                total[:, reach] += values
                norm[reach] += weight
        inner = (slice(half, half + height), slice(half, half + width))
        return total[(slice(None), *inner)] / np.maximum(norm[inner], 1e-12)

    def _estimates(self, queries: np.ndarray, signal: float, noise: float) -> np.ndarray:
        """Centre windows (n, C * c * c) of the posterior means of patches with these features (n,
        d)."""
        if self.device != "cpu":
            return self._attention(queries, signal, noise)
        if len(self.keys) <= EXACT_PATCHES:
            return self._exact(queries, signal, noise)
        return self._nearest(queries, signal, noise)

    def _values(self, chosen: np.ndarray | None = None) -> np.ndarray:
        """The centre window (n, C * c * c) of every patch, or of the chosen ones (n,)."""
        half = self.centre // 2
        padded = np.pad(self.image, ((0, 0), (half, half), (half, half)), mode="edge")
        windows = np.lib.stride_tricks.sliding_window_view(
            padded, (self.centre, self.centre), axis=(1, 2)
        )
        rows, cols = (
            (self.rows, self.cols) if chosen is None else (self.rows[chosen], self.cols[chosen])
        )
        cut = windows[:, rows, cols].transpose(1, 0, 2, 3)
        return np.ascontiguousarray(cut.reshape(len(rows), -1), np.float32)

    def _nearest(self, queries: np.ndarray, signal: float, noise: float) -> np.ndarray:
        import faiss

        faiss.omp_set_num_threads(1)  # the same bytes on any number of cores
        if self._index is None:
            count, dimension = self.keys.shape
            quantiser = faiss.IndexFlatL2(dimension)
            index = faiss.IndexIVFFlat(quantiser, dimension, max(1, int(count**0.5)))
            index.cp.niter = 8
            index.cp.seed = 1234
            index.train(self.keys)
            index.add(self.keys)
            index.nprobe = 4
            # Kept where they fit; for many bands in a large window they are gathered each time.
            fits = len(self.rows) * self.image.shape[0] * self.centre**2 <= KEPT_VALUES
            self._index = index
            self._cut = self._values() if fits else None
        distance, found = self._index.search(np.ascontiguousarray(queries / signal), NEAREST)
        distance = np.where(found < 0, np.inf, distance)
        logits = self.prior[found] - distance * signal**2 / (2 * noise**2)
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        weights /= weights.sum(axis=1, keepdims=True)
        out = np.zeros((len(queries), self.image.shape[0] * self.centre**2), np.float32)
        for rank in range(NEAREST):
            values = (
                self._values(found[:, rank]) if self._cut is None else self._cut[found[:, rank]]
            )
            out += weights[:, rank, None].astype(np.float32) * values
        return out

    def _exact(self, queries: np.ndarray, signal: float, noise: float) -> np.ndarray:
        values = self._values()
        squares = (self.keys**2).sum(axis=1)
        out = np.empty((len(queries), values.shape[1]), np.float32)
        for start in range(0, len(queries), 4096):
            # In place: what is as large as all pairs is the time that it takes to go through it.
            weights = signal * queries[start : start + 4096] @ self.keys.T
            weights -= signal**2 * squares / 2
            weights /= noise**2
            weights += self.prior
            weights -= weights.max(axis=1, keepdims=True)
            np.exp(weights, out=weights)
            weights /= weights.sum(axis=1, keepdims=True)
            out[start : start + 4096] = weights @ values
        return out

    def _attention(self, queries: np.ndarray, signal: float, noise: float) -> np.ndarray:
        """softmax((a <q, y> - a^2 |y|^2 / 2) / s^2) as scaled dot-product attention, all
        patches."""
        keys = torch.from_numpy(self.keys).to(self.device)
        values = torch.from_numpy(self._values()).to(self.device)
        prior = torch.from_numpy(self.prior).to(self.device)[:, None]
        bias = noise**2 * prior - signal**2 * keys.square().sum(1, keepdim=True) / 2
        key = torch.cat([signal * keys, bias], dim=1)[None]
        asked = torch.from_numpy(np.ascontiguousarray(queries)).to(self.device)
        asked = torch.cat([asked, torch.ones_like(asked[:, :1])], dim=1)[None]
        # Memory-efficient kernels want widths in eights; without one the logits of a part are kept
        # whole.
        key, asked, shown = (
            functional.pad(t, (0, -t.shape[-1] % 8)) for t in (key, asked, values[None])
        )
        rows = max(64, LOGITS // key.shape[1])
        out = [
            functional.scaled_dot_product_attention(part, key, shown, scale=1 / noise**2)[0]
            for part in asked.split(rows, dim=1)
        ]
        return torch.cat(out)[:, : values.shape[1]].cpu().numpy()

    def _folded(self, values: np.ndarray, asked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Overlapping centre windows around the pixels asked for (H, W), weighted with a Gaussian
        of 0.2 of the half patch: their sum (C, H + c - 1, W + c - 1) and the weights' (H + c - 1, W
        + c - 1)."""
        size = self.centre
        half = self.centre // 2
        position = (np.arange(size) - half) / (self.patch / 2)
        window = np.exp(-0.5 * (position / 0.2) ** 2).astype(np.float32)
        bands = self.image.shape[0]
        (height, width) = asked.shape
        parts = values.reshape(-1, bands, size, size)
        total = np.zeros((bands, height + 2 * half, width + 2 * half), np.float32)
        norm = np.zeros(total.shape[1:], np.float32)
        laid = np.zeros((bands, height, width), np.float32)
        for row, col in np.ndindex(size, size):
            here = slice(row, row + height), slice(col, col + width)
            share = window[row] * window[col]
            laid[:, asked] = parts[:, :, row, col].T * share
            total[:, here[0], here[1]] += laid
            norm[here] += asked * share
        return total, norm
