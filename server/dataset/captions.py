"""Captions by a vision-language model from a folder of the user's: BLIP-2 as in MMM-RS, or BLIP."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ..ground.errors import WeightsMissing
from ..ground.optional import best_device
from ..models import lazy, whole
from ..store import headers
from ..store.installed import config_of

CLASSES = {"blip-2": "Blip2ForConditionalGeneration", "blip": "BlipForConditionalGeneration"}
LONGEST = 30
"""Tokens of a caption."""


class Captioner:
    """Says what a picture shows. Raises WeightsMissing for a folder that holds no such model."""

    def __init__(self, folder: Path) -> None:
        if not (folder / "config.json").is_file():
            raise WeightsMissing(
                f"{folder} holds no config.json: give the folder of a BLIP-2 or BLIP model as "
                "transformers saves one (for instance a copy of Salesforce/blip2-opt-2.7b, some "
                "15 GB)."
            )
        kind = str(config_of(folder).get("model_type"))
        if kind not in CLASSES:
            raise WeightsMissing(
                f"{folder} holds a '{kind[:40]}', which is neither BLIP-2 nor BLIP."
            )
        if not headers.weight_files(folder):
            raise WeightsMissing(
                f"{folder} holds no .safetensors file; pickled weights are not read."
            )
        lazy.quiet_transformers()
        self.device = best_device()
        half = torch.float32 if str(self.device) == "cpu" else torch.float16
        try:
            with lazy.lock, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                processor, cls = lazy.parts("transformers", "AutoProcessor", CLASSES[kind])
                self.reader = processor.from_pretrained(
                    str(folder), local_files_only=True, backend="pil"
                )
                self.net = whole.read(cls, folder, dtype=half)
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, ImportError) as error:
            raise WeightsMissing(
                f"{folder} cannot be loaded as {CLASSES[kind]}: {str(error)[:300]}"
            ) from error
        self.net = self.net.to(self.device).eval()

    def of(self, pixels: np.ndarray) -> str:
        """A caption of bytes (H, W, 3), always the same for the same picture."""
        with torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            given = self.reader(images=Image.fromarray(pixels), return_tensors="pt").to(
                self.device, self.net.dtype
            )
            made = self.net.generate(**given, max_new_tokens=LONGEST, do_sample=False)
        return str(self.reader.batch_decode(made, skip_special_tokens=True)[0]).strip()
