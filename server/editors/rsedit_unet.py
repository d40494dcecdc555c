"""RSEdit's U-Net: edits by instruction, trained on disasters seen from above (channel
concatenation, RSEdit eq. 2-3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from ..diffusion import recipes
from ..diffusion.drawing import Drawing
from .pretrained import Pretrained, bringable, options_for


class RSEditUNet(Pretrained):
    """Stable Diffusion with the source beside the noise, and a text encoder that knows remote
    sensing."""

    info = bringable(
        id="rsedit_unet",
        title="RSEdit U-Net",
        description="Edits by instruction or report, long ones too: floods, fires, storms, "
        "building and seasons as satellites "
        "see them. Needs a model that you bring (Models).",
        engine="RSEdit U-Net (latent diffusion, the source beside the noise)",
        native_size_px=512,
        weights=(
            "rsedit-unet-dgtrs",
            "rsedit-unet-remoteclip",
            "rsedit-unet-openai",
            "rsedit-unet-gitrsclip",
        ),
        options=options_for(image_guidance=True),
    )

    def draw(
        self, drawing: Drawing, options: Mapping[str, Any]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """With the source's latent unscaled in channels 4 to 7."""
        return recipes.instruct_unet(drawing)
