"""Segment Anything, which a user brings: the outline of what lies at a point of a picture.

SAM (Kirillov et al. 2023, arXiv:2304.02643) and SAM 2 (Ravi et al. 2024, arXiv:2408.00714) in the
layout of transformers. Nothing is downloaded.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..ground.errors import WeightsMissing
from ..ground.optional import best_device, functional, torch
from . import lazy, whole

MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)
"""Of ImageNet's colours, by which both were trained."""
SAM2_VIDEO = (
    "memory_",
    "mask_downsample",
    "object_pointer_proj",
    "temporal_positional_encoding_projection_layer",
    "no_memory_positional_encoding",
    "no_object_pointer",
    "occlusion_spatial_embedding_parameter",
)
"""Beginnings of the names of what published files of SAM 2 hold for films alone."""


@dataclass(frozen=True)
class Segment:
    """One answer. `mask`: its pixels (H, W), bool. `score`: how well the network says that it fits,
    as an intersection over union, about [0, 1]."""

    mask: NDArray[np.bool_]
    score: float


class Segmenter:
    """A network of the kind at work. `name`: what a user calls it."""

    def __init__(self, name: str, net: Any, device: str) -> None:
        self.name = name
        self.device = device
        self.net = net.eval().requires_grad_(False).to(device)
        self.keeps_shape = net.config.model_type == "sam"
        config = net.config.vision_config if self.keeps_shape else net.config.prompt_encoder_config
        self.side = int(config.image_size)

    def at(self, picture: NDArray[np.uint8], column: float, row: float) -> list[Segment]:
        """What may be meant by a point (pixels, from the upper left corner) of a picture (H, W, 3):
        a part, a whole, and what that belongs to; the best first, those without the point left
        out."""
        height, width = picture.shape[:2]
        wide, high = self._shown_size(width, height)
        small = Image.fromarray(picture).resize((wide, high), Image.Resampling.BILINEAR)
        shown = torch.from_numpy(np.array(small, np.float32) / 255).permute(2, 0, 1)
        mean, deviation = (torch.tensor(v)[:, None, None] for v in (MEAN, DEVIATION))
        padded = torch.zeros((1, 3, self.side, self.side))
        padded[0, :, :high, :wide] = (shown - mean) / deviation
        point = torch.tensor([[[[column * wide / width, row * high / height]]]])
        with torch.inference_mode():
            found = self.net(
                pixel_values=padded.to(self.device),
                input_points=point.to(self.device),
                input_labels=torch.ones((1, 1, 1), dtype=torch.long, device=self.device),
                multimask_output=True,
            )
            masks = self._as_pixels(found.pred_masks[0].float(), (high, wide), (height, width))
        scores = found.iou_scores[0, 0].float().cpu().numpy()
        at = min(int(row), height - 1), min(int(column), width - 1)
        segments = [Segment(m, float(s)) for m, s in zip(masks, scores, strict=True) if m[at]]
        return sorted(segments, key=lambda one: -one.score)

    def _shown_size(self, width: int, height: int) -> tuple[int, int]:
        """Columns and rows of the picture as the network sees it: SAM pads the shorter side, SAM 2
        stretches it."""
        if not self.keeps_shape:
            return self.side, self.side
        scale = self.side / max(width, height)
        return max(1, int(width * scale + 0.5)), max(1, int(height * scale + 0.5))

    def _as_pixels(
        self, logits: torch.Tensor, shown: tuple[int, int], size: tuple[int, int]
    ) -> NDArray[np.bool_]:
        """Masks (n, H, W) at the picture's own pixels, of logits (1, n, h, w)."""
        if self.keeps_shape:
            logits = _resized(logits, (self.side, self.side))[..., : shown[0], : shown[1]]
        return np.asarray((_resized(logits, size)[0] > 0).cpu().numpy())


def _resized(logits: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    return functional.interpolate(logits, size, mode="bilinear", align_corners=False)


def load(folder: Path, name: str) -> Segmenter:
    """The network in a folder (config.json, model.safetensors); raises WeightsMissing."""
    lazy.quiet_transformers()
    try:
        kind = json.loads((folder / "config.json").read_text("utf8"))["model_type"]
        if kind not in ("sam", "sam2", "sam2_video"):
            raise ValueError(f"model_type is {str(kind)[:40]}, not sam, sam2 or sam2_video")
        wanted = "SamModel" if kind == "sam" else "Sam2Model"
        with lazy.lock:
            net = whole.read(lazy.parts("transformers", wanted), folder, SAM2_VIDEO)
    except (KeyError, RuntimeError, ValueError, OSError, AttributeError, TypeError) as error:
        raise WeightsMissing(f"{name} in {folder} cannot be used: {error}") from error
    return Segmenter(name, net, best_device())
