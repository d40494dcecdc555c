"""Train the retrieval heads on UC Merced (public-domain USGS imagery).

usage: python scripts/train_scene_words.py FOLDER   (holding train/ and test/, one folder a class)

Writes resources/models/scene_words.npz and prints precision on test windows.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from landbrush.server.models import scene_words
from PIL import Image

WORDS = {
    "water": ("river", "beach", "harbor"),
    "forest": ("forest",),
    "residential": ("denseresidential", "mediumresidential", "sparseresidential", "mobilehomepark"),
    "parking": ("parkinglot",),
    "farmland": ("agricultural",),
    "road": ("freeway", "intersection", "overpass", "runway"),
    "beach": ("beach",),
    "industrial": ("buildings", "storagetanks"),
    "grass": ("golfcourse", "baseballdiamond"),
    "shrub": ("chaparral",),
}
# Classes that often show the word although they are not named after it.
MAY_SHOW = {
    "water": ("golfcourse",),
    "forest": ("sparseresidential", "golfcourse", "mediumresidential", "river", "denseresidential"),
    "residential": ("tenniscourt", "intersection"),
    "parking": ("buildings", "harbor", "intersection", "denseresidential", "mobilehomepark"),
    "farmland": (),
    "road": (
        "denseresidential",
        "mediumresidential",
        "mobilehomepark",
        "buildings",
        "parkinglot",
        "sparseresidential",
    ),
    "beach": (),
    "industrial": ("parkinglot", "harbor", "denseresidential", "airplane"),
    "grass": (
        "sparseresidential",
        "tenniscourt",
        "mediumresidential",
        "runway",
        "freeway",
        "overpass",
        "airplane",
    ),
    "shrub": (),
}
SHARE = {
    "water": 0.35,
    "road": 0.4,
    "industrial": 0.4,
    "residential": 0.4,
    "grass": 0.4,
    "beach": 0.35,
    "parking": 0.7,
    "forest": 0.9,
    "farmland": 0.8,
    "shrub": 0.8,
}
PER_CLASS = 60
STEPS = 600


def windows_of(path: Path, rng: np.random.Generator, augment: bool) -> np.ndarray:
    """Nine 64 px windows of an image shrunk to 0.6 m."""
    picture = np.asarray(
        Image.open(path).convert("RGB").resize((128, 128), Image.Resampling.BICUBIC), np.float32
    )
    if augment:
        picture = picture * rng.normal(1, 0.15) + rng.normal(0, 10, 3)
    picture = np.clip(picture, 0, 255).astype(np.uint8)
    return np.stack([picture[r : r + 64, c : c + 64] for r in (0, 32, 64) for c in (0, 32, 64)])


def load(folder: Path, per_class: int, augment: bool) -> tuple[np.ndarray, list[str]]:
    rng = np.random.default_rng(0)
    windows = []
    names = []
    for group in sorted(p for p in folder.iterdir() if p.is_dir()):
        for path in sorted(group.glob("*.jpg"))[:per_class]:
            windows.append(windows_of(path, rng, augment))
            names.append(group.name)
    stacked = np.concatenate(windows)
    return scene_words.SceneWords().features(stacked).reshape(len(names), 9, -1), names


def train_head(word: str, x: torch.Tensor, names: list[str]) -> torch.nn.Linear:
    positive = torch.tensor([n in WORDS[word] for n in names])
    negative = torch.tensor([n not in WORDS[word] and n not in MAY_SHOW[word] for n in names])
    torch.manual_seed(0)
    head = torch.nn.Linear(x.shape[2], 1)
    optimiser = torch.optim.AdamW(head.parameters(), lr=2e-3, weight_decay=0.05)
    best_of = max(1, round(SHARE[word] * 9))
    loss_of = torch.nn.functional.softplus
    for _ in range(STEPS):
        logits = head(torch.nn.functional.dropout(x, 0.3))[..., 0]
        best = logits[positive].topk(best_of, dim=1).values
        wrong = logits[negative]
        loss = (
            loss_of(-best).mean()
            + loss_of(wrong).mean()
            + 0.5 * loss_of(wrong.max(1).values).mean()
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return head


def main(folder: str) -> None:
    train, names = load(Path(folder) / "train", PER_CLASS, augment=True)
    test, test_names = load(Path(folder) / "test", 20, augment=False)
    mean = train.mean((0, 1))
    deviation = train.std((0, 1)) + 1e-4
    x = torch.from_numpy((train - mean) / deviation).float()
    t = torch.from_numpy((test - mean) / deviation).float()
    weights = []
    bias = []
    margin = []
    for word in WORDS:
        head = train_head(word, x, names)
        with torch.no_grad():
            scores = head(t)[..., 0].numpy()
        negative = np.array([n not in WORDS[word] and n not in MAY_SHOW[word] for n in test_names])
        positive = np.array([n in WORDS[word] for n in test_names])
        weights.append(head.weight.detach().numpy()[0])
        bias.append(head.bias.item())
        margin.append(np.quantile(scores[negative], 0.99))
        order = np.argsort(-scores[positive | negative].max(1))
        hit = positive[positive | negative][order]
        print(
            f"{word:12s} precision@5 {hit[:5].mean():.2f} @20 {hit[:20].mean():.2f} margin "
            f"{margin[-1]:.2f}",
            flush=True,
        )
    scene_words.HEADS.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        scene_words.HEADS,
        words=np.array(list(WORDS)),
        weights=np.array(weights, np.float16),
        bias=np.array(bias, np.float32),
        margin=np.array(margin, np.float32),
        mean=mean.astype(np.float32),
        deviation=deviation.astype(np.float32),
    )
    print(f"wrote {scene_words.HEADS}, {scene_words.HEADS.stat().st_size} bytes")


if __name__ == "__main__":
    main(sys.argv[1])
