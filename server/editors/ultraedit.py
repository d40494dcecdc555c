"""UltraEdit: Stable Diffusion 3 by instruction, free or with the polygons as its mask (Zhao et al.
2024)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from ..diffusion import recipes
from ..diffusion.drawing import Drawing
from .pretrained import Pretrained, bringable, options_for


class UltraEdit(Pretrained):
    """A flow model with the source, and perhaps the mask, in further channels."""

    cell_px = 16
    info = bringable(
        id="ultraedit",
        title="UltraEdit",
        description="General edits by instruction with Stable Diffusion 3; one of its models is "
        "told the polygons. Needs a "
        "model that you bring (Models).",
        engine="UltraEdit (Stable Diffusion 3, the source beside the noise)",
        native_size_px=512,
        weights=("ultraedit-mask", "ultraedit-freeform"),
        options=options_for(image_guidance=True, flow=True),
    )

    def draw(
        self, drawing: Drawing, options: Mapping[str, Any]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Noisy, source, mask: in this order."""
        return recipes.ultraedit(drawing)
