"""FLUX.1 Kontext: a flow transformer that reads the source's tokens behind its own (Black Forest
Labs 2025)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from ..diffusion import recipes
from ..diffusion.drawing import Drawing
from .pretrained import Pretrained, bringable, options_for


class FluxKontext(Pretrained):
    """The strongest of the general editors RSEdit is compared with."""

    cell_px = 16
    info = bringable(
        id="flux_kontext",
        title="FLUX Kontext",
        description="General edits by instruction, long ones too (512 tokens). Non-commercial "
        "weights. Needs a model that you "
        "bring (Models).",
        engine="FLUX.1 Kontext (flow transformer, the source in its context)",
        native_size_px=1024,
        licence="of the model (FLUX.1 [dev] Non-Commercial), see Models",
        weights=("flux-kontext",),
        options=options_for(flow=True, negative=False),
    )

    def draw(
        self, drawing: Drawing, options: Mapping[str, Any]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """With the source's tokens behind its own."""
        return recipes.kontext(drawing)
