"""Texts as the pretrained models read them, how much of a long one fits, and what was cut.

CLIP reads 77 tokens; DGTRS-CLIP 248 (20 positions of CLIP's kept, the others stretched fourfold:
(77 - 20) * 4 + 20); PixArt's T5 120, Stable Diffusion 3's 256, FLUX's 512.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..ground.errors import WeightsMissing
from ..ground.optional import torch
from ..models import lazy
from .branches import Words

T5_TOKENS = {"pixart": 120, "sd3": 256, "flux": 512}
KEPT_POSITIONS = 20


@dataclass(frozen=True)
class Reader:
    """A text encoder with its tokens. `net`: transformers' encoder. `tokens`: its tokeniser.
    `limit`: the most tokens that are read; it counts begin and end signs too."""

    net: Any
    tokens: Any
    limit: int

    def ids(self, text: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Token ids and their mask (1, limit); what is longer is cut."""
        found = self.tokens(
            text,
            padding="max_length",
            max_length=self.limit,
            truncation=True,
            return_tensors="pt",
            return_attention_mask=True,
        )
        return found.input_ids.to(self.net.device), found.attention_mask.to(self.net.device)

    def cut(self, text: str) -> str:
        """The words of a text that do not fit."""
        whole = self.tokens(text, truncation=False, verbose=False, return_offsets_mapping=True)
        if len(whole.input_ids) <= self.limit:
            return ""
        # Its last place is taken by the end sign.
        return text[whole.offset_mapping[self.limit - 1][0] :].strip()


def clip_words(reader: Reader, text: str) -> Words:
    """As Stable Diffusion reads: the last hidden state, after the final normalisation."""
    ids, mask = reader.ids(text)
    masked = mask if getattr(reader.net.config, "use_attention_mask", False) else None
    return Words(reader.net(ids, attention_mask=masked).last_hidden_state)


def t5_words(reader: Reader, text: str, masked: bool) -> Words:
    """As PixArt reads: T5's last hidden state, with the mask where the model is to have it."""
    ids, mask = reader.ids(text)
    states = reader.net(ids, attention_mask=mask if masked else None)[0]
    return Words(states, mask if masked else None)


def tokens_in(folder: Path, limit: int) -> Any:
    """The tokeniser in a folder; raises WeightsMissing."""
    try:
        with lazy.lock:
            any_kind, clip = lazy.parts("transformers", "AutoTokenizer", "CLIPTokenizer")
            if (folder / "tokenizer_config.json").is_file():
                found = any_kind.from_pretrained(
                    str(folder), local_files_only=True, trust_remote_code=False
                )
            else:
                found = clip.from_pretrained(str(folder), local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError, ImportError) as error:
        raise WeightsMissing(
            f"The tokeniser in {folder} cannot be read: {str(error)[:300]}"
        ) from error
    found.model_max_length = limit
    return found


def clip_of(tensors: Mapping[str, torch.Tensor], quick: bool = True) -> Any:
    """transformers' CLIPTextModel from the text half of an open_clip or Long-CLIP state dict.

    Long-CLIP and DGTRS-CLIP hold two position tables of 248 rows; rows below 20 are of the first,
    the others of `positional_embedding_res`. They become one.
    """
    wanted, model = lazy.parts("transformers", "CLIPTextConfig", "CLIPTextModel")
    width = tensors["ln_final.weight"].shape[0]
    deep = len({key.split(".")[2] for key in tensors if key.startswith("transformer.resblocks.")})
    table = tensors["positional_embedding"].clone()
    if "positional_embedding_res" in tensors:
        table[KEPT_POSITIONS:] = tensors["positional_embedding_res"][KEPT_POSITIONS:]
    config = wanted(
        vocab_size=tensors["token_embedding.weight"].shape[0],
        hidden_size=width,
        num_hidden_layers=deep,
        intermediate_size=tensors["transformer.resblocks.0.mlp.c_fc.weight"].shape[0],
        num_attention_heads=max(width // 64, 1),
        max_position_embeddings=len(table),
        hidden_act="quick_gelu" if quick else "gelu",
        bos_token_id=tensors["token_embedding.weight"].shape[0] - 2,
        eos_token_id=tensors["token_embedding.weight"].shape[0] - 1,
    )
    net = model(config)
    net.load_state_dict(_renamed(tensors, table, deep, set(net.state_dict())), strict=True)
    return net.eval()


def _renamed(
    tensors: Mapping[str, torch.Tensor], table: torch.Tensor, deep: int, wanted: set[str]
) -> dict[str, torch.Tensor]:
    prefix = "text_model." if any(name.startswith("text_model.") for name in wanted) else ""
    out = {
        f"{prefix}embeddings.token_embedding.weight": tensors["token_embedding.weight"],
        f"{prefix}embeddings.position_embedding.weight": table,
    }
    for end in ("weight", "bias"):
        out[f"{prefix}final_layer_norm.{end}"] = tensors[f"ln_final.{end}"]
        for layer in range(deep):
            theirs = f"transformer.resblocks.{layer}"
            ours = f"{prefix}encoder.layers.{layer}"
            for letter, piece in zip(
                "qkv", tensors[f"{theirs}.attn.in_proj_{end}"].chunk(3), strict=True
            ):
                out[f"{ours}.self_attn.{letter}_proj.{end}"] = piece
            for here, there in (
                ("self_attn.out_proj", "attn.out_proj"),
                ("layer_norm1", "ln_1"),
                ("layer_norm2", "ln_2"),
                ("mlp.fc1", "mlp.c_fc"),
                ("mlp.fc2", "mlp.c_proj"),
            ):
                out[f"{ours}.{here}.{end}"] = tensors[f"{theirs}.{there}.{end}"]
    for name in wanted - set(out):
        if name.endswith("position_ids"):
            out[name] = torch.arange(len(table))[None]
    return {
        name: value.float() if value.is_floating_point() else value for name, value in out.items()
    }
