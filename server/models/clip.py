"""CLIP's networks under the tensor names of OpenAI and open_clip, so that their checkpoints and
RemoteCLIP's load.

After Radford et al., Learning Transferable Visual Models From Natural Language Supervision, 2021: a
text transformer, and a vision transformer or a residual network with attention pooling. Sizes are
read off the tensors.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as functional
from torch import nn

HEAD_WIDTH = 64
Tensors = Mapping[str, torch.Tensor]


class QuickGELU(nn.Module):
    """x sigmoid(1.702 x), which OpenAI's weights were trained with."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """GELU's cheap approximation, x * sigmoid(1.702 x); any shape."""
        return x * torch.sigmoid(1.702 * x)


class _Residual(nn.Module):
    def __init__(self, width: int, quick: bool) -> None:
        super().__init__()
        self.attn = nn.MultiheadAttention(width, max(1, width // HEAD_WIDTH), batch_first=True)
        self.ln_1 = nn.LayerNorm(width)
        self.ln_2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential()
        self.mlp.add_module("c_fc", nn.Linear(width, 4 * width))
        self.mlp.add_module("gelu", QuickGELU() if quick else nn.GELU())
        self.mlp.add_module("c_proj", nn.Linear(4 * width, width))

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        seen = self.ln_1(x)
        x = x + self.attn(seen, seen, seen, need_weights=False, attn_mask=mask)[0]
        return x + self.mlp(self.ln_2(x))


class _Transformer(nn.Module):
    def __init__(self, width: int, layers: int, quick: bool) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList(_Residual(width, quick) for _ in range(layers))

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        for block in self.resblocks:
            x = block(x, mask)
        return x


class VisionTransformer(nn.Module):
    """Patches and a class token; positions are interpolated for images of another size or shape
    than the native one."""

    def __init__(self, tensors: Tensors, quick: bool) -> None:
        super().__init__()
        width, _, self.patch, _ = tensors["conv1.weight"].shape
        tokens = tensors["positional_embedding"].shape[0]
        self.grid = math.isqrt(tokens - 1)
        self.size = self.grid * self.patch
        self.any_shape = True
        self.conv1 = nn.Conv2d(3, width, self.patch, self.patch, bias=False)
        self.class_embedding = nn.Parameter(torch.zeros(width))
        self.positional_embedding = nn.Parameter(torch.zeros(tokens, width))
        self.ln_pre = nn.LayerNorm(width)
        self.ln_post = nn.LayerNorm(width)
        self.transformer = _Transformer(width, _layers(tensors), quick)
        self.proj = nn.Parameter(torch.zeros(width, tensors["proj"].shape[1]))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Features (B, D) of normalised images (B, 3, H, W) whose sides are multiples of the
        patch."""
        x = self.conv1(image)
        rows, cols = x.shape[2:]
        x = x.flatten(2).transpose(1, 2)
        x = torch.cat([self.class_embedding.expand(len(x), 1, -1), x], dim=1) + self._positions(
            rows, cols
        )
        return self.ln_post(self.transformer(self.ln_pre(x))[:, 0]) @ self.proj

    def _positions(self, rows: int, cols: int) -> torch.Tensor:
        if rows == cols == self.grid:
            return self.positional_embedding
        first = self.positional_embedding[:1]
        rest = self.positional_embedding[1:]
        square = rest.T.reshape(1, -1, self.grid, self.grid)
        moved = functional.interpolate(square, (rows, cols), mode="bicubic", align_corners=False)
        return torch.cat([first, moved[0].flatten(1).T])


class _Bottleneck(nn.Module):
    def __init__(self, inner: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inner, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.pool = nn.AvgPool2d(stride) if stride > 1 else nn.Identity()
        self.downsample: nn.Module = nn.Identity()
        if stride > 1 or inner != 4 * width:
            self.downsample = nn.Sequential()
            self.downsample.add_module("-1", nn.AvgPool2d(stride))
            self.downsample.add_module("0", nn.Conv2d(inner, 4 * width, 1, bias=False))
            self.downsample.add_module("1", nn.BatchNorm2d(4 * width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = functional.relu(self.bn1(self.conv1(x)))
        out = self.pool(functional.relu(self.bn2(self.conv2(out))))
        return functional.relu(self.bn3(self.conv3(out)) + self.downsample(x))


class _AttentionPool(nn.Module):
    def __init__(self, tokens: int, width: int, out: int) -> None:
        super().__init__()
        self.grid = math.isqrt(tokens - 1)
        self.heads = max(1, width // HEAD_WIDTH)
        self.positional_embedding = nn.Parameter(torch.zeros(tokens, width))
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(width, width) for _ in range(3))
        self.c_proj = nn.Linear(width, out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.flatten(2).transpose(1, 2)
        x = torch.cat([x.mean(dim=1, keepdim=True), x], dim=1) + self.positional_embedding
        parts = (self.q_proj(x[:, :1]), self.k_proj(x), self.v_proj(x))
        q, k, v = (p.reshape(len(x), p.shape[1], self.heads, -1).transpose(1, 2) for p in parts)
        pooled = functional.scaled_dot_product_attention(q, k, v)
        return self.c_proj(pooled.transpose(1, 2).flatten(1))


class ModifiedResNet(nn.Module):
    """CLIP's RN50: three stem convolutions, average pooling instead of strides, attention pooling
    at the end."""

    def __init__(self, tensors: Tensors) -> None:
        super().__init__()
        width = tensors["layer1.0.conv1.weight"].shape[0]
        stem = tensors["conv1.weight"].shape[0]
        self.conv1 = nn.Conv2d(3, stem, 3, 2, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(stem)
        self.conv2 = nn.Conv2d(stem, stem, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(stem)
        self.conv3 = nn.Conv2d(stem, width, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)
        inner = width
        for stage in range(1, 5):
            here = width * 2 ** (stage - 1)
            blocks = []
            for block in range(
                len({key.split(".")[1] for key in tensors if key.startswith(f"layer{stage}.")})
            ):
                blocks.append(_Bottleneck(inner, here, 2 if stage > 1 and block == 0 else 1))
                inner = 4 * here
            self.add_module(f"layer{stage}", nn.Sequential(*blocks))
        tokens, pooled = tensors["attnpool.positional_embedding"].shape
        self.attnpool = _AttentionPool(tokens, pooled, tensors["attnpool.c_proj.weight"].shape[0])
        self.size = self.attnpool.grid * 32
        self.any_shape = False
        self.patch = 32

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Features (B, D) of normalised images (B, 3, size, size)."""
        x = functional.relu(self.bn1(self.conv1(image)))
        x = functional.relu(self.bn2(self.conv2(x)))
        x = functional.avg_pool2d(functional.relu(self.bn3(self.conv3(x))), 2)
        for stage in range(1, 5):
            x = self.get_submodule(f"layer{stage}")(x)
        return self.attnpool(x)


class Clip(nn.Module):
    """Both towers. Raises KeyError or RuntimeError where the tensors are of another
    architecture."""

    def __init__(self, tensors: Tensors, quick: bool) -> None:
        super().__init__()
        visual = {
            key.removeprefix("visual."): value
            for key, value in tensors.items()
            if key.startswith("visual.")
        }
        self.visual = (
            VisionTransformer(visual, quick) if "proj" in visual else ModifiedResNet(visual)
        )
        words, width = tensors["token_embedding.weight"].shape
        self.context = tensors["positional_embedding"].shape[0]
        self.token_embedding = nn.Embedding(words, width)
        self.positional_embedding = nn.Parameter(torch.zeros(self.context, width))
        self.transformer = _Transformer(width, _layers(tensors), quick)
        self.ln_final = nn.LayerNorm(width)
        self.text_projection = nn.Parameter(torch.zeros(width, tensors["text_projection"].shape[1]))
        self.logit_scale = nn.Parameter(torch.zeros(()))
        self.load_state_dict(
            {key: value.float() for key, value in tensors.items() if value.is_floating_point()},
            strict=False,
        )
        missing = set(self.state_dict()) - set(tensors) - {"logit_scale"}
        missing = {key for key in missing if not key.endswith("num_batches_tracked")}
        if missing:
            raise KeyError(f"no tensor {sorted(missing)[0]} (and {len(missing) - 1} more)")

    def text(self, tokens: torch.Tensor) -> torch.Tensor:
        """Features (B, D) of token ids (B, context), taken at the end-of-text token, which has the
        largest id."""
        length = tokens.shape[1]
        mask = torch.full((length, length), -torch.inf, device=tokens.device).triu(1)
        x = self.transformer(
            self.token_embedding(tokens) + self.positional_embedding[:length], mask
        )
        x = self.ln_final(x)[torch.arange(len(x)), tokens.argmax(dim=1)]
        return x @ self.text_projection


def _layers(tensors: Tensors) -> int:
    return len({key.split(".")[2] for key in tensors if key.startswith("transformer.resblocks.")})
