"""CLIP score: 100 times the cosine of a picture and a sentence, by a named model (Hessel et al.,
2021, unclipped)."""

from __future__ import annotations

import numpy as np
import torch

from ..models.image_text import ImageText


def clip_score(model: ImageText, picture: np.ndarray, sentence: str) -> float:
    """Of a picture (H, W, 3) of bytes. Scores of different models cannot be compared: always name
    the model."""
    shown = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1))).float()[None] / 255
    with torch.no_grad():
        return 100 * float((model.image(shown) @ model.text([sentence]).T)[0, 0])
