"""Sentence embeddings by all-MiniLM-L6-v2, and the head that names operations.

The model (Wang et al., MiniLM, 2020; sentence-transformers' fine-tuning, Apache-2.0) is shipped in
4 bits (scripts/shrink_models.py) and computed with NumPy. The head is trained by
scripts/train_interpreter.py on the project's own phrases.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy import special

from .word_pieces import WordPieces

RESOURCES = Path(__file__).resolve().parents[2] / "resources" / "models"
MODEL = RESOURCES / "sentences.npz"
HEAD = RESOURCES / "interpreter_head.npz"
WORDS = "embeddings.word_embeddings.weight"
PLACES = "embeddings.position_embeddings.weight"
GROUP = 64
"""Values that share a scale."""
LONGEST = 128
"""Pieces of a text that are read."""
LAYERS = 6
HEADS = 12
PAIRS = np.stack(np.divmod(np.arange(256), 16)[::-1], axis=1).astype(np.float32) - 8
"""The two numbers, -8 to 7, that each byte holds: the lower four bits first."""
AS_ONE = PAIRS.view(np.uint64).ravel()
"""The same, each pair as one value, which is looked up several times as fast."""
EPSILON = 1e-12
"""Of layer normalisation, as the model was trained."""


class _Network:
    """The encoder (Vaswani et al., 2017; BERT's layout), layer by layer."""

    def __init__(self, path: Path) -> None:
        with np.load(path, allow_pickle=False) as data:
            self._kept = {name: data[name] for name in data.files}
        self._wide: dict[str, np.ndarray] = {}
        self.pieces = WordPieces(bytes(self._kept.pop("vocabulary")).decode("utf8").split("\n"))

    def states(self, texts: list[str]) -> list[np.ndarray]:
        """The last states (n, 384) of each text's n pieces."""
        found = [self._begun(text) for text in texts]
        for number in range(LAYERS):
            # A layer is widened once for all texts, into buffers that the next one uses again.
            found = self._through(f"encoder.layer.{number}", found)
        return found

    def _begun(self, text: str) -> np.ndarray:
        """The states (n, 384) of a text's pieces before the first layer."""
        numbers = self.pieces.of(text, LONGEST)
        x = self._matrix(WORDS, numbers) + self._kept[PLACES][: len(numbers)].astype(np.float32)
        x = x + self._matrix("embeddings.token_type_embeddings.weight", [0])
        return self._normed(x, "embeddings.LayerNorm")

    def _through(self, layer: str, states: list[np.ndarray]) -> list[np.ndarray]:
        attention = f"{layer}.attention"
        asked = [self._linear(f"{attention}.self.{one}") for one in ("query", "key", "value")]
        told = self._linear(f"{attention}.output.dense")
        inner = self._linear(f"{layer}.intermediate.dense")
        outer = self._linear(f"{layer}.output.dense")
        found = []
        for x in states:
            heard = told(_attended(*(one(x) for one in asked)))
            x = self._normed(x + heard, f"{attention}.output.LayerNorm")
            wide = inner(x)
            x = x + outer(wide * special.ndtr(wide))  # GELU
            found.append(self._normed(x, f"{layer}.output.LayerNorm"))
        return found

    def _linear(self, name: str) -> Callable[[np.ndarray], np.ndarray]:
        weight = self._widened(f"{name}.weight").T
        bias = self._kept[f"{name}.bias"].astype(np.float32)
        return lambda x: np.asarray(x @ weight + bias)

    def _normed(self, x: np.ndarray, name: str) -> np.ndarray:
        apart = x - x.mean(axis=1, keepdims=True)
        spread = np.sqrt((apart**2).mean(axis=1, keepdims=True) + EPSILON)
        weight = self._kept[f"{name}.weight"].astype(np.float32)
        return np.asarray(apart / spread * weight + self._kept[f"{name}.bias"])

    def _matrix(self, name: str, rows: list[int] | slice) -> np.ndarray:
        """Rows of a matrix in single precision."""
        if name in self._kept:
            return np.asarray(self._kept[name][rows], np.float32)
        packed = self._kept[f"{name}/4"][rows]
        return self._scaled(AS_ONE[packed], self._kept[f"{name}/scale"][rows])

    def _widened(self, name: str) -> np.ndarray:
        """A matrix of a layer in single precision, which holds until the same one of another layer
        is asked for: memory that is there already is filled many times as fast."""
        packed = self._kept[f"{name}/4"]
        place = name.split(".", 3)[-1]
        if place not in self._wide:
            self._wide[place] = np.empty(packed.shape, AS_ONE.dtype)
        # Bytes are all there is a pair for: nothing is ever clipped.
        np.take(AS_ONE, packed, out=self._wide[place], mode="clip")
        return self._scaled(self._wide[place], self._kept[f"{name}/scale"])

    def _scaled(self, pairs: np.ndarray, scales: np.ndarray) -> np.ndarray:
        """Pairs, in place, times the scale of their group."""
        numbers = pairs.view(np.float32).reshape(*scales.shape, GROUP)
        numbers *= scales.astype(np.float32)[..., None]
        return numbers.reshape(len(pairs), -1)


def _attended(query: np.ndarray, key: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Attention in HEADS parts of the width, (n, 384)."""
    asked, keys, values = (
        part.reshape(len(part), HEADS, -1).transpose(1, 0, 2) for part in (query, key, value)
    )
    score = asked @ keys.transpose(0, 2, 1) / np.sqrt(np.float32(asked.shape[2]))
    made = special.softmax(score, axis=-1) @ values
    return np.asarray(made.transpose(1, 0, 2).reshape(query.shape))


class Sentences:
    """The sentence model and the head, loaded when they are first asked."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._network: _Network | None = None
        self._head: tuple[list[str], np.ndarray, np.ndarray] | None = None

    def embed(self, texts: list[str]) -> np.ndarray:
        """Unit vectors (n, 384): the mean of the last states, then L2 norm."""
        with self._lock:
            self._network = self._network or _Network(MODEL)
            found = np.stack([x.mean(axis=0) for x in self._network.states(texts)])
        return found / np.linalg.norm(found, axis=1, keepdims=True)

    def operation_scores(self, prompt: str) -> dict[str, float]:
        """Probability of each operation; empty where nothing is said."""
        if not prompt.strip():
            return {}
        with self._lock:
            self._head = self._head or _loaded_head()
        names, weights, bias = self._head
        logits = self.embed([prompt[:1000]])[0] @ weights.T + bias
        share = np.exp(logits - logits.max())
        return {name: float(p) for name, p in zip(names, share / share.sum(), strict=True)}


def _loaded_head() -> tuple[list[str], np.ndarray, np.ndarray]:
    with np.load(HEAD, allow_pickle=False) as data:
        names = [str(name) for name in data["names"]]
        return names, data["weights"].astype(np.float32), data["bias"].astype(np.float32)
