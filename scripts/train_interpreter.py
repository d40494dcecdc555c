"""Train the interpreter's head: a linear layer on sentence embeddings that names operations.

usage: python scripts/train_interpreter.py

Reads resources/phrases*.json and the tuning and reference prompts of tests/data (never the
held-back ones), writes resources/models/interpreter_head.npz.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from landbrush.server.models import sentences
from landbrush.server.words.operations import OPERATIONS

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    phrases = json.loads((ROOT / "resources" / "phrases.json").read_text("utf8"))
    pairs = [(text, name) for name, texts in phrases.items() for text in texts]
    free = json.loads((ROOT / "resources" / "phrases_free.json").read_text("utf8"))
    pairs += [(row["prompt"], row["operation"]) for row in free]
    for name in ("prompts_tuning.json", "prompts_reference.json"):
        rows = json.loads((ROOT / "tests" / "data" / name).read_text("utf8"))
        pairs += [(row["prompt"], row["operation"]) for row in rows]
    # An operation without a phrase of its own is found by the rules alone.
    named = {name for _, name in pairs}
    names = [name for name in OPERATIONS if name in named]
    labels = torch.tensor([names.index(name) for _, name in pairs])
    vectors = torch.from_numpy(sentences.Sentences().embed([text for text, _ in pairs]))
    torch.manual_seed(0)
    head = torch.nn.Linear(vectors.shape[1], len(names))
    share = torch.bincount(labels, minlength=len(names)).float()
    balance = (share.mean() / share).sqrt()
    optimiser = torch.optim.AdamW(head.parameters(), lr=0.02, weight_decay=0.02)
    for _ in range(400):
        noisy = torch.nn.functional.normalize(vectors + 0.02 * torch.randn_like(vectors), dim=1)
        loss = torch.nn.functional.cross_entropy(
            head(8 * noisy), labels, weight=balance, label_smoothing=0.1
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        right = (head(8 * vectors).argmax(1) == labels).float().mean()
    sentences.HEAD.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        sentences.HEAD,
        names=np.array(names),
        weights=(8 * head.weight.detach().numpy()).astype(np.float16),
        bias=head.bias.detach().numpy().astype(np.float16),
    )
    print(f"{len(pairs)} phrases, training accuracy {right:.3f}, wrote {sentences.HEAD}")


if __name__ == "__main__":
    main()
