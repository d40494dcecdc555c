"""Where a model is computed and in what precision, from its size and the memory there is; said
before the run begins."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import psutil

from ..ground.errors import CannotEdit
from ..ground.optional import best_device, torch
from ..store import headers

GB = 1e9
READERS = ("text_encoder", "prior", "image_encoder")
WHOLE = "whole"
PARTS = "parts"
LAYERS = "layers"
WORDS = {
    WHOLE: "all of it stays there",
    PARTS: "its parts will take turns there (offloading)",
    LAYERS: "its layers will be brought there one after the other (offloading), which is slow",
}
PRECISIONS = ("automatic", "float32", "bfloat16", "float16")
HEADROOM = 0.9
SHORT = 0.08
"""Share of the memory below which idle models are let go."""


@dataclass(frozen=True)
class Placement:
    """Where a model is computed. `device`: by torch's name. `kind`: type of the weights.
    `strategy`: which weights are on the device at a time (WHOLE, PARTS, LAYERS). `needs_gb`: all
    weights and the memory beside them, in 10^9 bytes. `free_gb`: what the device had free, in 10^9
    bytes. `batched_guidance`: whether all predictions of a step go in one batch, which needs more
    memory."""

    device: str
    kind: torch.dtype
    strategy: str
    needs_gb: float
    free_gb: float
    batched_guidance: bool = True

    @property
    def sentence(self) -> str:
        """What it needs, what is free, and what is done about it, for the user."""
        place = "the GPU" if self.device.startswith("cuda") else "memory"
        return f"needs about {self.needs_gb:.1f} GB, {self.free_gb:.1f} GB of {place} are free" + (
            f": {WORDS[self.strategy]}" if self.device.startswith("cuda") else ""
        )


def free_bytes(device: str) -> int:
    """Memory that can still be had on a device."""
    return (
        int(torch.cuda.mem_get_info()[0])
        if device.startswith("cuda")
        else int(psutil.virtual_memory().available)
    )


def short_of_memory() -> bool:
    """Whether little of this machine's memory is left."""
    memory = psutil.virtual_memory()
    return bool(memory.available < SHORT * memory.total)


def numbers_in(folder: Path) -> int:
    """How many weights a part has, from its files' headers."""
    return sum(tensor.count for tensor in headers.of_part(folder).values())


def planned(
    title: str, numbers: dict[str, int], work_gb: float, precision: str, free: int | None = None
) -> Placement:
    """Choose; raises CannotEdit where not even offloading makes it fit. `numbers`: weights by part,
    `work_gb` beside them."""
    device = best_device()
    there = free_bytes(device) if free is None else free
    kinds = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    usual = torch.float32
    if device != "cpu":
        usual = (
            torch.bfloat16
            if torch.cuda.is_bf16_supported(including_emulation=False)
            else torch.float16
        )
    kind = kinds.get(precision, usual)
    if (
        precision == "automatic"
        and device == "cpu"
        and _needed(numbers, kind, work_gb) > there * HEADROOM
    ):
        kind = torch.bfloat16
    need = _needed(numbers, kind, work_gb)
    largest = _needed({"": _largest_turn(numbers)}, kind, work_gb)
    least = work_gb * GB + 0.05 * largest
    if need <= there * HEADROOM:
        strategy = WHOLE
    elif device == "cpu":
        raise CannotEdit(
            f"{title} needs about {need / GB:.1f} GB of memory, and {there / GB:.1f} GB are free. "
            "Close other programs, choose a smaller model, or a machine with more."
        )
    elif largest <= there * HEADROOM:
        strategy = PARTS
    elif least <= there:
        strategy = LAYERS
    else:
        raise CannotEdit(
            f"{title} needs at least {least / GB:.1f} GB on the GPU even when offloading, and "
            f"{there / GB:.1f} GB are free. Close other programs, or choose a smaller model."
        )
    held = need if strategy == WHOLE else largest if strategy == PARTS else least
    return Placement(device, kind, strategy, need / GB, there / GB, held + work_gb * GB <= there)


def _largest_turn(numbers: dict[str, int]) -> int:
    """The most weights that are on the device at a time when parts take turns: all readers of
    words, or one other part."""
    readers = sum(count for name, count in numbers.items() if name.startswith(READERS))
    return max(
        [readers, *(count for name, count in numbers.items() if not name.startswith(READERS))]
    )


def _needed(numbers: dict[str, int], kind: torch.dtype, work_gb: float) -> float:
    return sum(numbers.values()) * kind.itemsize + work_gb * GB
