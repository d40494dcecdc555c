"""ICEdit: FLUX Fill completes a diptych whose left half is the source (Zhang et al. 2025), with an
adapter of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from ..diffusion import recipes
from ..diffusion.drawing import Drawing
from .pretrained import Pretrained, bringable, options_for


class ICEdit(Pretrained):
    """The instruction says how the right picture differs from the left."""

    cell_px = 16
    info = bringable(
        id="icedit",
        title="ICEdit",
        description="General edits by instruction with FLUX Fill: the model draws the right half "
        "of a pair. Non-commercial "
        "weights. Fails at times; another seed helps. Needs a model that you bring (Models).",
        engine="ICEdit (FLUX.1 Fill, diptych, low-rank adapter)",
        native_size_px=512,
        licence="of the model (FLUX.1 [dev] Non-Commercial), see Models",
        weights=("icedit",),
        options=options_for(flow=True, negative=False),
    )

    def draw(
        self, drawing: Drawing, options: Mapping[str, Any]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Both halves are drawn, of which the right is kept."""
        return recipes.diptych(drawing)
