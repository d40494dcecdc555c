"""RSEdit's diffusion transformer: PixArt-alpha that sees the source to the left of what it draws
(RSEdit eq. 4-5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from ..contract.editors import Option
from ..diffusion import recipes
from ..diffusion.drawing import Drawing
from .pretrained import Pretrained, bringable, options_for


class RSEditDiT(Pretrained):
    """Tiles are whole squares: its positions are only known for those."""

    cell_px = 16
    square = True
    info = bringable(
        id="rsedit_dit",
        title="RSEdit DiT",
        description="Edits by instruction or report (120 tokens) with a transformer: as RSEdit "
        "U-Net, with finer texture. "
        "Needs a model that you bring (Models).",
        engine="RSEdit DiT (PixArt-alpha, source and drawing side by side)",
        native_size_px=512,
        weights=("rsedit-dit",),
        options=(
            *options_for(image_guidance=True),
            Option(
                "text_mask",
                "boolean",
                True,
                "Mask the text's padding",
                help="As it was released; it was trained without, which is worth a try.",
            ),
        ),
    )

    def draw(
        self, drawing: Drawing, options: Mapping[str, Any]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """With the source's latent scaled, in the left half."""
        return recipes.in_context_dit(drawing, options["text_mask"])
