"""A vision-language model from a folder of the user's that transformers reads, asked about
pictures."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from ..ground.errors import WeightsMissing
from ..ground.optional import best_device
from . import lazy, whole

LONGEST = 200
"""Tokens of an answer."""
WHERE = (
    "Put a model for pictures and text that transformers reads (for instance "
    "Qwen/Qwen2.5-VL-3B-Instruct, its licence permitting) into a folder and name it: "
    "landbrush-server models set vision-language FOLDER."
)


class VisionLanguage:
    """Raises WeightsMissing for a folder that holds no such model."""

    def __init__(self, folder: Path) -> None:
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
        lazy.quiet_transformers()
        processor, model = lazy.parts(
            "transformers", "AutoProcessor", "AutoModelForImageTextToText"
        )
        if not (folder / "config.json").is_file():
            raise WeightsMissing(f"{folder} holds no config.json. {WHERE}")
        self.device = best_device()
        kind = torch.bfloat16 if self.device == "cuda" else torch.float32
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self.reader: Any = processor.from_pretrained(
                    str(folder), local_files_only=True, backend="pil"
                )
                self.net: Any = whole.read(model, folder, dtype=kind)
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, ImportError) as error:
            raise WeightsMissing(
                f"{folder} cannot be loaded ({str(error)[:200]}). {WHERE}"
            ) from error
        self.net = self.net.to(self.device).eval()

    def answer(self, question: str, pictures: Sequence[bytes], temperature: float = 0.0) -> str:
        """To a question about pictures (JPEG), always the same to the same; at a temperature above
        0 a sample, whose seed is fixed."""
        shown = [Image.open(io.BytesIO(one)).convert("RGB") for one in pictures]
        content = [*({"type": "image"} for _ in shown), {"type": "text", "text": question}]
        text = self.reader.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True
        )
        with torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            given = self.reader(images=shown, text=text, return_tensors="pt").to(self.device)
            how: dict[str, Any] = {"do_sample": False}
            if temperature > 0:
                torch.manual_seed(0)
                how = {"do_sample": True, "temperature": temperature}
            made = self.net.generate(**given, max_new_tokens=LONGEST, **how)
        said = made[:, given["input_ids"].shape[1] :]
        return str(self.reader.batch_decode(said, skip_special_tokens=True)[0]).strip()


def load(path: str) -> VisionLanguage:
    """From a folder; raises WeightsMissing."""
    return VisionLanguage(Path(path))
