"""Networks of transformers and diffusers, read whole: the libraries fill what is missing with
random numbers, leave out what they do not know, and go on."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

BUFFERS = ("position_ids", "rotary_emb.inv_freq", "attn.masked_bias", "attn.bias")
"""Ends of names that older files hold and that are no weights, since they are computed."""


def read(cls: Any, folder: Path | str, spare: tuple[str, ...] = (), **how: Any) -> Any:
    """`cls.from_pretrained` of a folder's safetensors, nothing missing and nothing left over.

    `spare`: beginnings of names of parts that the class can do without. Raises ValueError with what
    is wrong, and what from_pretrained raises.
    """
    net, found = cls.from_pretrained(
        str(folder), local_files_only=True, use_safetensors=True, output_loading_info=True, **how
    )
    wrong = lacking(found, spare)
    if wrong:
        raise ValueError(f"it does not hold the weights of a {type(net).__name__}: {wrong}")
    return net


def lacking(found: Any, spare: tuple[str, ...] = ()) -> str:
    """What is wrong by the report of from_pretrained, in words; empty: nothing."""
    told = []
    for key, said in (
        ("missing_keys", "missing"),
        ("mismatched_keys", "of another size"),
        ("unexpected_keys", "left over"),
    ):
        names = sorted(_weights(found.get(key) or (), spare))
        if names:
            told.append(f"{len(names)} {said} ({names[0]} ...)")
    return ", ".join(told)


def _weights(keys: Iterable[Any], spare: tuple[str, ...]) -> list[str]:
    names = (str(key[0]) if isinstance(key, (tuple, list)) else str(key) for key in keys)
    return [
        name
        for name in names
        if not name.endswith(BUFFERS) and not (spare and name.startswith(spare))
    ]
