"""Image-text models of the real classes with small random weights, in the layouts that users
have."""

from __future__ import annotations

import torch
from landbrush.server.models.clip import Clip

VOCABULARY = 49_408


def _residual(prefix, width):
    yield f"{prefix}.attn.in_proj_weight", (3 * width, width)
    yield f"{prefix}.attn.in_proj_bias", (3 * width,)
    yield f"{prefix}.attn.out_proj.weight", (width, width)
    yield f"{prefix}.attn.out_proj.bias", (width,)
    for norm in ("ln_1", "ln_2"):
        yield f"{prefix}.{norm}.weight", (width,)
        yield f"{prefix}.{norm}.bias", (width,)
    yield f"{prefix}.mlp.c_fc.weight", (4 * width, width)
    yield f"{prefix}.mlp.c_fc.bias", (4 * width,)
    yield f"{prefix}.mlp.c_proj.weight", (width, 4 * width)
    yield f"{prefix}.mlp.c_proj.bias", (width,)


def _text(width, out):
    yield "token_embedding.weight", (VOCABULARY, width)
    yield "positional_embedding", (77, width)
    yield from _residual("transformer.resblocks.0", width)
    yield "ln_final.weight", (width,)
    yield "ln_final.bias", (width,)
    yield "text_projection", (width, out)
    yield "logit_scale", ()


def _vit(width, patch, grid, out):
    yield "visual.conv1.weight", (width, 3, patch, patch)
    yield "visual.class_embedding", (width,)
    yield "visual.positional_embedding", (grid * grid + 1, width)
    yield from _residual("visual.transformer.resblocks.0", width)
    for norm in ("ln_pre", "ln_post"):
        yield f"visual.{norm}.weight", (width,)
        yield f"visual.{norm}.bias", (width,)
    yield "visual.proj", (width, out)


def _norm(prefix, width):
    for part in ("weight", "bias", "running_mean", "running_var"):
        yield f"{prefix}.{part}", (width,)


def _resnet(width, grid, out):
    stem = width // 2
    for number, (inner, outer) in enumerate(((3, stem), (stem, stem), (stem, width)), 1):
        yield f"visual.conv{number}.weight", (outer, inner, 3, 3)
        yield from _norm(f"visual.bn{number}", outer)
    inner = width
    for stage in range(1, 5):
        here = width * 2 ** (stage - 1)
        at = f"visual.layer{stage}.0"
        for number, (a, b, side) in enumerate(
            ((inner, here, 1), (here, here, 3), (here, 4 * here, 1)), 1
        ):
            yield f"{at}.conv{number}.weight", (b, a, side, side)
            yield from _norm(f"{at}.bn{number}", b)
        yield f"{at}.downsample.0.weight", (4 * here, inner, 1, 1)
        yield from _norm(f"{at}.downsample.1", 4 * here)
        inner = 4 * here
    yield "visual.attnpool.positional_embedding", (grid * grid + 1, inner)
    for part in ("q_proj", "k_proj", "v_proj"):
        yield f"visual.attnpool.{part}.weight", (inner, inner)
        yield f"visual.attnpool.{part}.bias", (inner,)
    yield "visual.attnpool.c_proj.weight", (out, inner)
    yield "visual.attnpool.c_proj.bias", (out,)


def tensors(kind="vit", seed=0):
    """A state dict with OpenAI's names: a ViT of 64 px in 16 px patches, or a residual network of
    64 px."""
    generator = torch.Generator().manual_seed(seed)
    shapes = dict([*_text(64, 32), *(_vit(64, 16, 4, 32) if kind == "vit" else _resnet(8, 2, 32))])
    made = {key: 0.05 * torch.randn(shape, generator=generator) for key, shape in shapes.items()}
    for key in made:
        if key.endswith(("running_var", "bn1.weight", "bn2.weight", "bn3.weight")) or (
            key.endswith("weight") and (".ln_" in key or key.startswith("ln_"))
        ):
            made[key] = torch.ones_like(made[key])
    return made


def saved(folder, kind="vit", layout="open_clip", seed=0):
    """A model on disk; returns its path."""
    if layout == "transformers":
        return _transformers(folder / "tiny-clip", seed)
    path = (
        folder / f"RemoteCLIP-{kind}.pt" if layout == "remote" else folder / f"{kind}.safetensors"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".pt":
        torch.save({"state_dict": {f"module.{k}": v for k, v in tensors(kind, seed).items()}}, path)
    else:
        from safetensors.torch import save_file

        save_file(tensors(kind, seed), path)
    return path


def _transformers(path, seed):
    from transformers import CLIPConfig, CLIPModel

    torch.manual_seed(seed)
    tower = {
        "hidden_size": 64,
        "intermediate_size": 256,
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
    }
    config = CLIPConfig(
        text_config={
            **tower,
            "vocab_size": VOCABULARY,
            "max_position_embeddings": 77,
            "bos_token_id": VOCABULARY - 2,
            "eos_token_id": VOCABULARY - 1,
        },
        vision_config={**tower, "image_size": 64, "patch_size": 16},
        projection_dim=32,
    )
    CLIPModel(config).save_pretrained(path)
    return path


def network(kind="vit", quick=False):
    return Clip(tensors(kind), quick)
