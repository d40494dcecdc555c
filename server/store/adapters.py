"""Low-rank adapters (LoRA) by the names and shapes of their tensors: which layer each is for, and
whether it fits it.

Read are the names of peft and diffusers (lora_A, lora_B; lora.down, lora.up) and of kohya's trainer
(lora_down, lora_up).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..ground.errors import ModelRefused

Shape = tuple[int, ...]
_DOWN = re.compile(
    r"^(?P<module>.+?)\.(?P<kind>lora_A(?:\.\w+)?\.weight|lora\.down\.weight|lora_down\.weight)$"
)
_UP = {"lora_A": "lora_B", "lora.down": "lora.up", "lora_down": "lora_up"}
_OF_WORDS = ("text_encoder.", "lora_te_", "lora_te1_")
_PREFIXES = (
    *_OF_WORDS,
    "transformer.",
    "unet.",
    "base_model.model.",
    "lora_unet_",
    "lora_transformer_",
)


@dataclass(frozen=True)
class Pair:
    """The two factors for one layer. `module`: the layer's name as the file has it. `down`, `up`:
    names of the tensors (rank, in, ...) and (out, rank, ...). `alpha`: name of the tensor that
    scales them by alpha / rank; empty: there is none."""

    module: str
    down: str
    up: str
    alpha: str = ""


def pairs_of(names: Iterable[str], of_words: bool = False) -> list[Pair]:
    """The adapter's pairs for the network that draws, or those for the text encoder. Raises
    ModelRefused for a mixture of experts."""
    names = set(names)
    found = []
    for name in sorted(names):
        match = _DOWN.match(name)
        mine = (
            name.startswith(_OF_WORDS)
            if of_words
            else not name.startswith(("text_encoder", "lora_te"))
        )
        if not match or not mine:
            continue
        kind = next(k for k in _UP if match["kind"].startswith(k))
        up = f"{match['module']}.{match['kind'].replace(kind, _UP[kind], 1)}"
        if up not in names:
            raise ModelRefused(
                f"The adapter (LoRA) is not whole: {name[:100]} has no second factor."
            )
        alpha = f"{match['module']}.alpha"
        found.append(Pair(match["module"], name, up, alpha if alpha in names else ""))
    modules = [pair.module for pair in found]
    twice = [module for module in modules if modules.count(module) > 1]
    if twice:
        raise ModelRefused(
            f"The adapter holds several for one layer ({twice[0][:80]}), as a mixture of experts "
            "does; such are not read. Get the plain one."
        )
    return found


def targets_of(pairs: Iterable[Pair], weights: Mapping[str, Shape]) -> dict[Pair, str]:
    """The weight each pair changes, by name; raises ModelRefused where a layer is not in the
    base."""
    # Libraries differ in whether a text encoder's names begin so.
    by_name = {
        name.removesuffix(".weight").replace(".", "_").removeprefix("text_model_"): name
        for name in weights
        if name.endswith(".weight")
    }
    found = {}
    lost = []
    for pair in pairs:
        module = pair.module
        for prefix in _PREFIXES:
            module = module.removeprefix(prefix)
        name = by_name.get(module.replace(".", "_").removeprefix("text_model_"))
        if name is None:
            lost.append(module)
        else:
            found[pair] = name
    if lost:
        raise ModelRefused(
            f"The adapter (LoRA) is for another base: {len(lost)} of its {len(lost) + len(found)} "
            f"layers are not in this one, for instance {lost[0][:80]}."
        )
    return found


def check_shapes(
    pairs: list[Pair], shapes: Mapping[str, Shape], weights: Mapping[str, Shape], base: str
) -> None:
    """Raise ModelRefused where an adapter does not fit the weights of a base."""
    for pair, name in targets_of(pairs, weights).items():
        down = shapes[pair.down]
        up = shapes[pair.up]
        whole = weights[name]
        if len(down) < 2 or len(up) < 2 or down[0] != up[1] or (up[0], down[1]) != whole[:2]:
            theirs, ours = (
                f"{' x '.join(map(str, size))}" for size in ((up[0], *down[1:2]), whole[:2])
            )
            raise ModelRefused(
                f"The adapter (LoRA) is for another base: for {name} it changes {theirs} weights, "
                f"{base} has {ours}."
            )
