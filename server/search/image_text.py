"""Words to windows by an image-text model: whatever the sentences say, in the user's own layer.

A window's agreement is how much nearer it is to the sentences than to what any window is near to
("an aerial photograph"), in the model's own log-odds. Where no window is nearer, nothing was found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..ground.optional import torch
from ..models.image_text import ImageText
from ..raster.grid import Box
from .windows import LEAST_VALID, Hit, Method, Search, View

NEUTRAL = (
    "an aerial photograph",
    "a satellite image",
    "remote sensing imagery",
    "ground seen from above",
)
WINDOW_PX = 96
LEAST_WINDOW_PX = 16
MOST_WINDOWS = 256
MOST_HITS = 8
LOG_ODDS = 100.0
"""CLIP's learned scale of its cosines."""
BATCH = 16


def by_image_text(model: ImageText, texts: Sequence[str], view: View) -> Search:
    """The windows that the sentences describe better than any aerial photograph, best first."""
    # A small layer is searched in small windows, so that some are free of the polygons.
    side = min(WINDOW_PX, max(LEAST_WINDOW_PX, min(view.valid.shape) // 4))
    nothing = Search(texts[0], Method.IMAGE_TEXT, model=model.name)
    if side > min(view.valid.shape):
        height, width = view.valid.shape
        reason = f"The layer is too small to look in: {width} x {height} pixels"
        return replace(nothing, reason=f"{reason} at {view.gsd_m:.3g} m.")
    asked = torch.stack([model.mean_text(group) for group in (texts, NEUTRAL)])
    rgb = torch.from_numpy(np.ascontiguousarray(view.rgb.transpose(2, 0, 1), np.float32)) / 255
    judge = _Judge(model, asked, rgb)
    corners = _windows(judge, view, side)
    if not corners:
        return replace(
            nothing, reason="No window of this layer is free of nodata and of the polygons."
        )
    odds = judge.odds(corners, side)
    hits: list[Hit] = []
    places = np.array(corners)
    left = odds > 0
    while len(hits) < MOST_HITS and left.any():
        best = int(np.argmax(np.where(left, odds, -np.inf)))
        row, col = corners[best]
        hits.append(Hit(view.native(Box(col, row, side, side)), float(odds[best])))
        left &= ~(np.abs(places - places[best]) < side).all(axis=1)
    if hits:
        return replace(nothing, hits=tuple(hits))
    return replace(
        nothing,
        reason=f"No window of this layer is nearer to '{texts[0][:80]}' than to an aerial "
        "photograph of anything. Draw an exemplar, here or in another layer.",
    )


@dataclass(frozen=True)
class _Judge:
    """A model, the unit vectors of what is asked for and of any picture (2, D), and the layer as it
    sees it (3, H, W)."""

    model: ImageText
    asked: torch.Tensor
    rgb: torch.Tensor

    def odds(self, corners: list[tuple[int, int]], side: int) -> np.ndarray:
        """Agreement of the windows with these first pixels."""
        found = []
        with torch.no_grad():
            for start in range(0, len(corners), BATCH):
                cut = torch.stack(
                    [
                        self.rgb[:, r : r + side, c : c + side]
                        for r, c in corners[start : start + BATCH]
                    ]
                )
                found.append((self.model.image(cut) @ self.asked.T).cpu().numpy())
        cosines = np.concatenate(found)
        return LOG_ODDS * (cosines[:, 0] - cosines[:, 1])


def _windows(judge: _Judge, view: View, side: int) -> list[tuple[int, int]]:
    """First pixels of the windows to judge: all of them, or, in a large area, those within the best
    of larger windows."""
    fine = _grid(view, view.blocked, side, side // 2)
    if len(fine) <= MOST_WINDOWS:
        return fine
    coarse = fine
    large = side
    while len(coarse) > MOST_WINDOWS and (
        larger := _grid(view, np.zeros_like(view.blocked), 2 * large, 2 * large)
    ):
        coarse = larger
        large = 2 * large
    coarse = coarse[
        :: -(-len(coarse) // MOST_WINDOWS)
    ]  # nodata may leave no whole windows that are larger
    best = np.argsort(-judge.odds(coarse, large))[
        : max(1, MOST_WINDOWS * side**2 // (4 * large**2))
    ]
    kept = [coarse[n] for n in best]
    return [
        (r, c)
        for r, c in fine
        if any(top <= r < top + large and left <= c < left + large for top, left in kept)
    ]


def _grid(view: View, blocked: np.ndarray, side: int, stride: int) -> list[tuple[int, int]]:
    height, width = view.valid.shape
    return [
        (r, c)
        for r in range(0, height - side + 1, stride)
        for c in range(0, width - side + 1, stride)
        if view.valid[r : r + side, c : c + side].mean() > LEAST_VALID
        and not blocked[r : r + side, c : c + side].any()
    ]
