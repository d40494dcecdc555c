"""The parts of a pipeline in the layout of diffusers: where they lie in a source, and whether they
are what a model needs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..ground.errors import ModelRefused
from . import adapters, headers
from .catalogue import SEGMENTER, Entry
from .installed import Store, config_of

WITH_WEIGHTS = (
    "unet",
    "transformer",
    "vae",
    "movq",
    "prior",
    "text_encoder",
    "text_encoder_2",
    "text_encoder_3",
    "image_encoder",
    "controlnet",
    "lora",
    SEGMENTER,
)
TOKENS = ("tokenizer.json", "spiece.model", "vocab.json")
OTHER_NAMES = {"unet": ("unet_ema",), "transformer": ("transformer_ema",)}
"""What training runs call the same part."""


def place_of(part: str, names: Iterable[str]) -> str | None:
    """The folder of a part among the paths of a source, with its slash; '' for the own files of
    an adapter, a ControlNet or a segmenter."""
    names = list(names)
    for name in (part, *OTHER_NAMES.get(part, ())):
        if any(path.startswith(f"{name}/") for path in names):
            return f"{name}/"
        found = sorted(
            {m[0] for path in names if (m := re.match(rf"checkpoint-(\d+)/{name}/", path))},
            key=lambda place: int(place.split("/")[0].split("-")[1]),
        )
        if found:
            return found[-1]
    alone = part == "lora" or part in ("controlnet", SEGMENTER) and "config.json" in names
    if alone and any(path.endswith(".safetensors") and "/" not in path for path in names):
        return ""
    return None


def check(store: Store, entry: Entry, stage: Path) -> None:
    """Raise ModelRefused where a staged model lacks its own first part, or one of its parts is not
    what it should be."""
    first = entry.parts[0]
    if not (stage / first).is_dir():
        raise ModelRefused(f"The source holds no '{first}', which is what makes it {entry.title}.")
    for part in entry.parts:
        place = stage / part
        if place.is_dir():
            _check_part(store, entry, part, place)
    _check_words(store, entry, stage)
    if not entry.base:
        gone = [part for part in entry.parts if not (stage / part).is_dir()]
        if gone:
            raise ModelRefused(
                f"{entry.title} is not complete: {', '.join(gone)} missing in the source."
            )


def _check_part(store: Store, entry: Entry, part: str, place: Path) -> None:
    if part.startswith("tokenizer"):
        if not any((place / name).is_file() for name in TOKENS):
            raise ModelRefused(f"{part} holds none of {', '.join(TOKENS)}.")
        return
    if part in ("scheduler", "image_processor", "processor"):
        return
    files = headers.weight_files(place)
    if not files:
        raise ModelRefused(f"{part} holds no .safetensors file.")
    tensors = headers.of_part(place)
    if part == "lora":
        check_adapter(store, entry, place)
        return
    if part.startswith("text_encoder") and not (place / "config.json").is_file():
        if "token_embedding.weight" not in tensors:
            raise ModelRefused(f"{part} has no config.json and is no CLIP of open_clip either.")
        return
    _check_config(entry, part, config_of(place))


def check_configs(entry: Entry, stage: Path) -> None:
    """Raise ModelRefused for the config of another model, wherever a staged part has one."""
    for part in entry.parts:
        if (stage / part / "config.json").is_file():
            _check_config(entry, part, config_of(stage / part))


def _check_config(entry: Entry, part: str, config: dict[str, Any]) -> None:
    for key, wanted in entry.expects.get(part, {}).items():
        among = wanted if isinstance(wanted, list) else [wanted]
        if key in config and config[key] not in among:
            raise ModelRefused(
                f"{part} has {key} = {str(config[key])[:60]}, where {entry.title} has "
                f"{' or '.join(map(str, among))}: it is another model."
            )


def _check_words(store: Store, entry: Entry, stage: Path) -> None:
    """Raise ModelRefused where a U-Net reads words of another size than its text encoder gives."""
    if not (stage / "unet" / "config.json").is_file() or entry.family.startswith("kandinsky"):
        return  # whose decoder reads what a prior, or a projection of its own, makes of the words
    places = [stage, *(store.folder / one.id for one in store.lineage(entry)[1:])]
    reader = next(
        (place / "text_encoder" for place in places if (place / "text_encoder").is_dir()), None
    )
    if reader is None:
        return
    # Stable Diffusion XL reads two encoders' states side by side.
    readers = (reader, reader.parent / "text_encoder_2")
    widths = [_width_of(one) for one in readers if one.is_dir()]
    gives = sum(width for width in widths if width is not None) if all(widths) else None
    reads = config_of(stage / "unet").get("cross_attention_dim")
    if isinstance(gives, int) and isinstance(reads, int) and gives != reads:
        raise ModelRefused(
            f"unet reads words of {reads} numbers, the text encoder of {reader.parent.name} gives "
            f"{gives}: they are of different models."
        )


def _width_of(reader: Path) -> int | None:
    """How many numbers a text encoder gives for a token; None where that is not known."""
    if (reader / "config.json").is_file():
        config = config_of(reader)
        found = config.get("hidden_size") or config.get("text_config", {}).get("hidden_size")
        return found if isinstance(found, int) else None
    return int(headers.of_part(reader)["token_embedding.weight"].shape[1])


def check_adapter(store: Store, entry: Entry, place: Path) -> None:
    """Raise ModelRefused where adapter weights (LoRA) are of another base; what cannot be known yet
    is checked at loading."""
    shapes = {name: tensor.shape for name, tensor in headers.of_part(place).items()}
    pairs = adapters.pairs_of(shapes)
    if not pairs:
        raise ModelRefused(f"{place.name} holds no low-rank adapter (LoRA) of a kind that is read.")
    for one in store.lineage(entry)[1:]:
        base = store.folder / one.id / entry.lora
        if base.is_dir() and store.record(one.id) is not None:
            targets = {name: tensor.shape for name, tensor in headers.of_part(base).items()}
            adapters.check_shapes(pairs, shapes, targets, one.title)
