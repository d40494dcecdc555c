"""Pictures to latents and back, in tiles, with the scaling each family trains with.

Three scalings are met: AutoencoderKL's (latent - shift) * factor, which text-to-image models draw
in; none at all, in which InstructPix2Pix, RSEdit's U-Net and UltraEdit are shown the source; and
MoVQ's, which has no factor.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..ground.optional import torch
from .tiles import Tiling

OVERLAP = 16


class Codec:
    """An AutoencoderKL or VQModel. Latents are (1, C, h, w), pictures (1, 3, H, W) in [-1, 1].

    `patch`: how many of the autoencoder's latents along a side become one.
    """

    patch = 1

    def __init__(self, net: Any, tile: int, shifted: bool = True) -> None:
        self.net = net
        self.tile = tile
        config = net.config
        self.channels: int = config.latent_channels
        self.pixels: int = self.side_of(dict(config))
        self.quantised = not hasattr(config, "scaling_factor") or type(net).__name__ == "VQModel"
        self.factor: float = 1.0 if self.quantised else config.scaling_factor
        self.shift: float = (getattr(config, "shift_factor", None) or 0.0) if shifted else 0.0

    @classmethod
    def side_of(cls, config: Mapping[str, Any]) -> int:
        """Pixels along a side of a latent, by the autoencoder's config."""
        return int(cls.patch * 2 ** (len(config["block_out_channels"]) - 1))

    @property
    def kind(self) -> torch.dtype:
        """The type it computes in."""
        return self.net.dtype

    def encoded(self, picture: torch.Tensor) -> torch.Tensor:
        """The mean latent, unscaled."""
        height = picture.shape[2] // self.pixels
        width = picture.shape[3] // self.pixels
        tiling = Tiling.of(height, width, self.tile, min(OVERLAP, self.tile // 2))
        return tiling.blended(lambda tile: self.encoded_whole(tile.of(picture, self.pixels)))

    def encoded_whole(self, picture: torch.Tensor) -> torch.Tensor:
        """The same without tiles."""
        found = self.net.encode(picture.to(self.net.device, self.kind))
        return (found.latents if self.quantised else found.latent_dist.mode()).float()

    def decoded(self, latent: torch.Tensor) -> torch.Tensor:
        """The picture of an unscaled latent, on the processor."""
        height, width = latent.shape[2:]
        tiling = Tiling.of(height, width, self.tile, min(OVERLAP, self.tile // 2))
        return tiling.blended(lambda tile: self._decoded(tile.of(latent)), self.pixels)

    def _decoded(self, latent: torch.Tensor) -> torch.Tensor:
        given = {"force_not_quantize": True} if self.quantised else {}
        return self.net.decode(latent.to(self.net.device, self.kind), **given).sample.float().cpu()

    def scaled(self, latent: torch.Tensor) -> torch.Tensor:
        """From the codec's scale to the one that the model draws in: (latent - shift) * factor."""
        return (latent - self.shift) * self.factor

    def unscaled(self, latent: torch.Tensor) -> torch.Tensor:
        """From the model's scale back to the codec's."""
        return latent / self.factor + self.shift
