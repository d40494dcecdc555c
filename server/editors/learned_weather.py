"""Weather and light by a network that learned them from pictures: CycleGAN (snow), TPSeNCE (low
light), as MMM-RS makes them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..contract.editors import EditorInfo, Option
from ..ground.errors import CannotEdit, WeightsMissing
from ..models import lazy, translation, weights
from ..models.patch_denoiser import best_device
from .base import Editor, OnStep, Scene
from .frame import Frame, Grid

FOLDER = "translation"
NATIVE_PX = 256


class LearnedWeather(Editor):
    """A picture translated by a generator that the user brings or trains."""

    tile_px = 1536
    overlap_px = 256
    redraws_surroundings = True
    info = EditorInfo(
        id="learned-weather",
        title="Weather, learned",
        description="Snow, night or another look by a network that learned it from two heaps of "
        "pictures (CycleGAN, or "
        "the generator of CUT and TPSeNCE). You train it (train cyclegan) or bring it; Snow, Fog "
        "and Low light need "
        "none.",
        engine="unpaired picture translation (CycleGAN generator)",
        bands="rgb",
        licence="of the network you bring",
        options=(
            Option(
                "checkpoint",
                "string",
                "",
                "Trained network",
                help=f"Name of a file in the folder models/{FOLDER} of the server's home, "
                ".safetensors or .pth; empty: the "
                "first.",
            ),
            Option(
                "gsd_m",
                "number",
                0.0,
                "Ground size it works at",
                minimum=0.0,
                maximum=10_000.0,
                unit="m",
                help="Of a pixel of the pictures it was trained on; 0: the raster's own.",
            ),
            Option(
                "amount",
                "number",
                1.0,
                "Amount",
                minimum=0.0,
                maximum=1.0,
                help="Share of the change that is kept.",
            ),
        ),
    )

    def context_px(self, side_px: int) -> int:
        """As much as it was trained to see."""
        return max(64, (NATIVE_PX - side_px + 1) // 2)

    def missing(self) -> str:
        """What to do where there is no network."""
        return (
            ""
            if weights.files(FOLDER)
            else (
                f"No network is in {weights.folder() / FOLDER}. Train one (landbrush-server "
                "train cyclegan), or put the generator's "
                "file of a trained one there."
            )
        )

    def check(self, prompt: str, options: Mapping[str, Any]) -> None:
        """Raise WeightsMissing where there is no such network."""
        if self.missing():
            raise WeightsMissing(self.missing())
        weights.named(FOLDER, options["checkpoint"])

    def settled(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """With the network's name."""
        return {**options, "checkpoint": weights.named(FOLDER, options["checkpoint"]).name}

    def edit(
        self, scene: Scene, prompt: str, options: Mapping[str, Any], seed: int, on_step: OnStep
    ) -> np.ndarray:
        """Translate the window on a grid with pixels of the wanted ground size."""
        path = weights.named(FOLDER, options["checkpoint"])
        on_step(0, 2)
        net = _loaded(path, path.stat().st_mtime_ns)
        grid = Grid(NATIVE_PX, translation.CELL_PX, asked_gsd_m=options["gsd_m"] or scene.gsd_m)
        frame = Frame.of(scene.mask.shape, scene.gsd_m, scene.aspect, grid)
        image = scene.filled()
        shown = frame.shown(image)
        on_step(1, 2)
        with torch.inference_mode():
            made = net(shown.to(best_device())).cpu()
        if not bool(torch.isfinite(made).all()):
            raise CannotEdit(
                f"{path.name} gave no numbers: its weights are damaged, or were trained to that."
            )
        made = shown + options["amount"] * (made - shown)
        about = {
            "network": path.name,
            "worked_at_m": round(frame.gsd_m, 6),
            "licence": self.info.licence,
        }
        on_step(2, 2, None, "", about)
        return np.clip(frame.back(made, shown, image), 0, 1)


@lazy.once()
def _loaded(path: Path, changed_ns: int) -> translation.Generator:
    """The network, kept for the windows to come while its file is the same."""
    return translation.load(path).to(best_device())
