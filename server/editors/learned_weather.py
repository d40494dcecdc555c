"""Weather and light by a network that learned them from pictures: CycleGAN (snow), TPSeNCE (low
light), as MMM-RS makes them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..contract.editors import EditorInfo, option
from ..ground.errors import CannotEdit, WeightsMissing
from ..ground.optional import best_device, installed, needed, torch, without
from .base import Editor, Given, OnStep, Scene
from .frame import Frame, Grid

FOLDER = "translation"
NATIVE_PX = 256


@dataclass(frozen=True)
class LearnedWeatherOptions:
    """Which network, and how much of its change is kept."""

    checkpoint: str = option(
        "Trained network",
        "",
        help=(
            f"Name of a file in the folder models/{FOLDER} of the server's home, .safetensors or "
            ".pth; empty: the first."
        ),
    )
    gsd_m: float = option(
        "Ground size it works at",
        0.0,
        unit="m",
        minimum=0.0,
        maximum=10_000.0,
        help="Of a pixel of the pictures it was trained on; 0: the raster's own.",
    )
    amount: float = option(
        "Amount", 1.0, minimum=0.0, maximum=1.0, help="Share of the change that is kept."
    )


class LearnedWeather(Editor[LearnedWeatherOptions]):
    """A picture translated by a generator that the user brings or trains."""

    Options = LearnedWeatherOptions

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
    )

    def context_px(self, side_px: int) -> int:
        """As much as it was trained to see."""
        return max(64, (NATIVE_PX - side_px + 1) // 2)

    def missing(self) -> str:
        """What to do where there is no network."""
        if not installed("torch"):
            return without("torch")
        return (
            ""
            if self.models.folder.files(FOLDER)
            else (
                f"No network is in {self.models.folder.folder / FOLDER}. Train one "
                "(landbrush-server train cyclegan), or put the generator's file of a trained one "
                "there."
            )
        )

    def check(self, prompt: str, options: LearnedWeatherOptions) -> None:
        """Raise NotInstalled, WeightsMissing where there is no such network."""
        needed("torch")
        if self.missing():
            raise WeightsMissing(self.missing())
        self.models.folder.named(FOLDER, options.checkpoint)

    def resolve(self, options: LearnedWeatherOptions, given: Given) -> LearnedWeatherOptions:
        """With the network's name."""
        name = self.models.folder.named(FOLDER, options.checkpoint).name
        return replace(options, checkpoint=name)

    def edit(
        self, scene: Scene, prompt: str, options: LearnedWeatherOptions, seed: int, on_step: OnStep
    ) -> np.ndarray:
        """Translate the window on a grid with pixels of the wanted ground size."""
        from ..models import translation  # its classes are PyTorch's, which not everyone has

        path = self.models.folder.named(FOLDER, options.checkpoint)
        on_step(0, 2)
        changed = path.stat().st_mtime_ns
        net = self.models.cached(
            ("translation", path, changed), lambda: translation.load(path).to(best_device())
        )
        grid = Grid(NATIVE_PX, translation.CELL_PX, asked_gsd_m=options.gsd_m or scene.gsd_m)
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
        made = shown + options.amount * (made - shown)
        about = {
            "network": path.name,
            "worked_at_m": round(frame.gsd_m, 6),
            "licence": self.info.licence,
        }
        on_step(2, 2, None, "", about)
        return np.clip(frame.back(made, shown, image), 0, 1)
