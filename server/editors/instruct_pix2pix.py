"""InstructPix2Pix and MagicBrush: the general editors by instruction that RSEdit is compared with
(Brooks et al. 2023)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from ..diffusion import recipes
from ..diffusion.drawing import Drawing
from .pretrained import Pretrained, bringable, options_for


class InstructPix2Pix(Pretrained):
    """Stable Diffusion 1.5 with the source beside the noise."""

    info = bringable(
        id="instruct_pix2pix",
        title="InstructPix2Pix, MagicBrush",
        description="General edits by a short instruction ('make it winter'). Trained on "
        "photographs. Needs a model that you "
        "bring (Models).",
        engine="InstructPix2Pix (latent diffusion, the source beside the noise)",
        native_size_px=512,
        weights=("instruct-pix2pix", "magicbrush"),
        options=options_for(image_guidance=True),
    )

    def draw(
        self, drawing: Drawing, options: Mapping[str, Any]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """With the source's latent unscaled in channels 4 to 7."""
        return recipes.instruct_unet(drawing)
