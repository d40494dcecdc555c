"""What a safetensors file says of itself, read without loading it: names, types, shapes, and
whether it is whole."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..ground.errors import ModelRefused

LONGEST_HEADER = 16_000_000
"""Bytes: of the largest published models it has under a million."""
MOST_TENSORS = 100_000
MOST_AXES = 8
LONGEST_AXIS = 1 << 40
BYTES = {
    "F64": 8,
    "I64": 8,
    "U64": 8,
    "F32": 4,
    "I32": 4,
    "U32": 4,
    "F16": 2,
    "BF16": 2,
    "I16": 2,
    "U16": 2,
    "F8_E4M3": 1,
    "F8_E5M2": 1,
    "I8": 1,
    "U8": 1,
    "BOOL": 1,
}
PICKLES = (b"\x80", b"PK\x03\x04", b"(", b"c")


@dataclass(frozen=True)
class Tensor:
    """One tensor of a file. `kind`: name of its type, a key of BYTES. `shape`: its length along
    each axis; empty: a single number."""

    kind: str
    shape: tuple[int, ...]

    @property
    def count(self) -> int:
        """How many numbers the tensor holds."""
        return math.prod(self.shape)


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors by name, and the file's metadata; raises ModelRefused for a file that is broken or
    something else."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        first = stream.read(8)
        length = int.from_bytes(first, "little")
        if size < 10 or length > min(size - 8, LONGEST_HEADER):
            raise ModelRefused(
                f"{path.name} is no safetensors file"
                + (
                    ": it looks like a pickle or zip with another name, which could run code. Get "
                    "the model's .safetensors files."
                    if first.startswith(PICKLES)
                    else f", or is cut off ({size:,} bytes). Copy it again."
                )
            )
        try:
            header = json.loads(stream.read(length))
            about = header.pop("__metadata__", {})
            return _checked(path, header, size - 8 - length), {
                str(k): str(v) for k, v in about.items()
            }
        except (
            ValueError,
            TypeError,
            KeyError,
            AttributeError,
            RecursionError,
            OverflowError,
        ) as error:
            raise ModelRefused(
                f"{path.name} is no safetensors file: its header cannot be read "
                f"({type(error).__name__})."
            ) from error


def _checked(path: Path, header: dict[str, Any], data_bytes: int) -> dict[str, Tensor]:
    tensors = {}
    spans = []
    if len(header) > MOST_TENSORS:
        raise ModelRefused(
            f"{path.name} tells of {len(header):,} tensors; at most {MOST_TENSORS:,} are read."
        )
    for name, about in header.items():
        start, stop = about["data_offsets"]
        if len(about["shape"]) > MOST_AXES:  # their product would take a machine's time
            raise ModelRefused(
                f"{path.name}: '{name[:80]}' has {len(about['shape']):,} axes; at most {MOST_AXES} "
                "are read."
            )
        tensor = Tensor(str(about["dtype"]), tuple(int(n) for n in about["shape"]))
        if (
            any(not 0 <= n <= LONGEST_AXIS for n in tensor.shape)
            or tensor.count * BYTES[tensor.kind] != stop - start
        ):
            raise ModelRefused(
                f"{path.name}: the size of '{name[:80]}' does not fit its shape {tensor.shape}."
            )
        tensors[name] = tensor
        spans.append((start, stop))
    end = 0
    for start, stop in sorted(spans):
        if start != end:
            raise ModelRefused(f"{path.name}: its tensors overlap or leave gaps.")
        end = stop
    if end > data_bytes:
        raise ModelRefused(
            f"{path.name} is cut off: {data_bytes:,} of {end:,} bytes of weights are there. Copy "
            "it again."
        )
    if end < data_bytes:
        raise ModelRefused(
            f"{path.name} holds {data_bytes - end:,} bytes more than its header tells of."
        )
    return tensors


def of_part(folder: Path) -> dict[str, Tensor]:
    """Tensors of all safetensors files of a pipeline's part, shards counted together."""
    found: dict[str, Tensor] = {}
    for path in weight_files(folder):
        found.update(read(path)[0])
    return found


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files that would be loaded from a part: those of its index, or all that are
    no half-precision variant."""
    indices = sorted(folder.glob("*.safetensors.index.json"))
    if indices:
        try:
            names = set(json.loads(indices[0].read_text("utf8"))["weight_map"].values())
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise ModelRefused(f"{folder.name}/{indices[0].name} is no list of shards.") from error
        odd = [n for n in names if "/" in str(n) or "\\" in str(n) or str(n).startswith(".")]
        if odd:
            raise ModelRefused(
                f"{folder.name}/{indices[0].name} names files outside its folder "
                f"({str(odd[0])[:60]})."
            )
        missing = sorted(n for n in names if not (folder / n).is_file())
        if missing:
            raise ModelRefused(
                f"{folder.name}: {len(missing)} of {len(names)} files are missing ({missing[0]} "
                "...)."
            )
        return [folder / n for n in sorted(names)]
    every = sorted(folder.glob("*.safetensors"))
    if any("-of-" in p.name for p in every):
        raise ModelRefused(
            f"{folder.name} holds shards without their list (*.safetensors.index.json). Bring "
            "that file too."
        )
    whole = [p for p in every if len(p.suffixes) == 1]
    return (whole or every)[:1]
