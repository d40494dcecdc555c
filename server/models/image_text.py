"""Image-text models behind one interface: pictures and sentences to unit vectors of one space.

From the user's own path: OpenAI's CLIP and RemoteCLIP, as a folder in the layout of transformers or
a file in that of open_clip (RN50, ViT-B-32, ViT-L-14). Nothing is downloaded.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..ground.errors import WeightsMissing
from ..ground.optional import best_device, functional, torch
from . import lazy, weights, whole
from .clip_tokens import tokeniser
from .views import LONGEST

MEAN = (0.48145466, 0.4578275, 0.40821073)
DEVIATION = (0.26862954, 0.26130258, 0.27577711)
WHERE = (
    "Put CLIP (openai/clip-vit-base-patch32, MIT) or RemoteCLIP (chendelong/RemoteCLIP, "
    "Apache-2.0) on this machine and name it: landbrush-server models set image-text PATH, or in "
    "QGIS under Settings, Options, Landbrush."
)


class ImageText(ABC):
    """An image-text model. `name` is what results and tables call it; `any_shape`: takes pictures
    that are not square."""

    name: str
    size: int
    patch: int
    any_shape: bool

    def __init__(self, name: str, device: str) -> None:
        self.name = name
        self.device = device

    @abstractmethod
    def _text(self, texts: list[str]) -> torch.Tensor: ...

    @abstractmethod
    def _image(self, pictures: torch.Tensor) -> torch.Tensor: ...

    def text(self, texts: Sequence[str]) -> torch.Tensor:
        """Unit vectors (n, D) of sentences; what is longer than the model reads is cut."""
        with torch.no_grad():
            return functional.normalize(self._text(list(texts)).float(), dim=1)

    def mean_text(self, texts: Sequence[str]) -> torch.Tensor:
        """The unit vector (D,) of several sentences that say the same: averaged, then normalised
        (Han et al.)."""
        return functional.normalize(self.text(texts).mean(0), dim=0)

    def image(self, pictures: torch.Tensor) -> torch.Tensor:
        """Unit vectors (n, D) of pictures (n, 3, H, W) in [0, 1]; differentiable."""
        size = self._fitting(pictures.shape[2], pictures.shape[3])
        pictures = pictures.to(self.device)
        if tuple(pictures.shape[2:]) != size:
            pictures = functional.interpolate(
                pictures, size, mode="bicubic", antialias=True, align_corners=False
            )
        mean, deviation = (
            torch.tensor(v, device=self.device)[:, None, None] for v in (MEAN, DEVIATION)
        )
        return functional.normalize(self._image((pictures - mean) / deviation).float(), dim=1)

    def _fitting(self, height: int, width: int) -> tuple[int, int]:
        """The size a picture is shown at: square, or its own shape in whole patches where the model
        takes that."""
        if not self.any_shape:
            return self.size, self.size
        longer = min(max(height, width) / min(height, width), LONGEST)
        side = max(self.patch, round(self.size * longer / self.patch) * self.patch)
        return (side, self.size) if height > width else (self.size, side)


class _OpenClip(ImageText):
    """A state dict with OpenAI's tensor names."""

    def __init__(self, path: Path, tensors: dict[str, torch.Tensor], device: str) -> None:
        super().__init__(path.stem, device)
        from .clip import Clip  # its classes are PyTorch's, which not everyone has

        self.net = Clip(tensors, _is_quick(path)).eval().requires_grad_(False).to(device)
        self.size = self.net.visual.size
        self.patch = self.net.visual.patch
        # RemoteCLIP was trained on squares only, and what it makes of moved positions is unknown.
        self.any_shape = self.net.visual.any_shape and "remote" not in path.stem.lower()
        self.tokens = tokeniser(path.parent)

    def _text(self, texts: list[str]) -> torch.Tensor:
        return self.net.text(_padded(self.tokens, texts, self.net.context).to(self.device))

    def _image(self, pictures: torch.Tensor) -> torch.Tensor:
        return self.net.visual(pictures)


class _Transformers(ImageText):
    """A folder with config.json and model.safetensors, read by transformers."""

    def __init__(self, path: Path, device: str) -> None:
        super().__init__(path.name, device)
        lazy.quiet_transformers()
        net = whole.read(lazy.parts("transformers", "CLIPModel"), path)
        self.net: Any = net.eval().requires_grad_(False).to(device)
        vision = net.config.vision_config
        self.size = vision.image_size
        self.patch = vision.patch_size
        self.any_shape = "remote" not in path.name.lower()
        self.context = net.config.text_config.max_position_embeddings
        self.tokens = tokeniser(path)

    def _text(self, texts: list[str]) -> torch.Tensor:
        return _vectors(
            self.net.get_text_features(
                input_ids=_padded(self.tokens, texts, self.context).to(self.device)
            )
        )

    def _image(self, pictures: torch.Tensor) -> torch.Tensor:
        return _vectors(
            self.net.get_image_features(
                pixel_values=pictures, interpolate_pos_encoding=self.any_shape
            )
        )


def _vectors(found: Any) -> torch.Tensor:
    """Features of transformers 4 (a tensor) and 5 (in a table)."""
    return found if isinstance(found, torch.Tensor) else found.pooler_output


def _padded(tokens: Any, texts: list[str], context: int) -> torch.Tensor:
    out = torch.zeros((len(texts), context), dtype=torch.long)
    for row, encoded in enumerate(tokens.encode_batch(texts)):
        ids = encoded.ids[:context]
        ids[-1] = encoded.ids[-1]  # the end-of-text token stays where a sentence is cut
        out[row, : len(ids)] = torch.tensor(ids)
    return out


def _is_quick(path: Path) -> bool:
    """Whether the weights go with QuickGELU: as open_clip_config.json beside them says, else
    OpenAI's own do."""
    config = path.parent / "open_clip_config.json"
    if config.is_file():
        return bool(
            json.loads(config.read_text("utf8")).get("model_cfg", {}).get("quick_gelu", False)
        )
    return any(word in str(path).lower() for word in ("openai", "quickgelu"))


def load(path: Path) -> ImageText:
    """The model at that path; raises WeightsMissing with what to put where."""
    device = best_device()
    if not path.exists():
        raise WeightsMissing(f"There is no image-text model at {path}. {WHERE}")
    try:
        if path.is_dir() and (path / "config.json").is_file():
            return _Transformers(path, device)
        file = _file_in(path) if path.is_dir() else path
        tensors, _ = weights.load(file)
        return _OpenClip(file, _flat(tensors), device)
    except (KeyError, RuntimeError, ValueError, OSError, AttributeError, IndexError) as error:
        raise WeightsMissing(
            f"{path} holds no CLIP in the layout of transformers or open_clip: {error}"
        ) from error


def _file_in(folder: Path) -> Path:
    found = sorted(
        p for p in folder.iterdir() if p.suffix in (".safetensors", ".pt", ".pth", ".bin")
    )
    if not found:
        raise WeightsMissing(
            f"{folder} holds no weights (.safetensors, .pt, .bin) and no config.json. {WHERE}"
        )
    return found[0]


def _flat(tensors: dict[str, Any]) -> dict[str, torch.Tensor]:
    """The state dict itself, out of a training checkpoint where it is in one, without the prefix of
    parallel training."""
    inner = tensors.get("state_dict", tensors)
    inner = inner if isinstance(inner, dict) else tensors
    return {
        key.removeprefix("module."): value
        for key, value in inner.items()
        if isinstance(value, torch.Tensor)
    }
