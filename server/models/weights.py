"""Weight files: found, read and written in one place. Only tensors are read, never pickled objects."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from ..errors import NoSpace, WeightsMissing
from ..settings import default_home

_folder: Path | None = None


def use_folder(folder: Path) -> None:
    """Keep what is learned in that folder (the server's own; else below the default home)."""
    global _folder
    _folder = folder


def folder() -> Path:
    """Where learned weights are kept."""
    return _folder or default_home() / "models"


def cached(kind: str, *contents: bytes) -> Path:
    """The file for weights that were learned from those contents."""
    digest = hashlib.sha256(b"\0".join(contents)).hexdigest()[:32]
    return folder() / f"{kind}-{digest}.safetensors"


def save(path: Path, tensors: dict[str, torch.Tensor], about: dict[str, str]) -> None:
    """Write a safetensors file, whole or not at all."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(prefix=".weights-", suffix=".safetensors", dir=path.parent)
        os.close(handle)
        try:
            save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, draft, metadata=about)
            os.replace(draft, path)
        finally:
            Path(draft).unlink(missing_ok=True)
    except (OSError, SafetensorError) as error:
        raise NoSpace(f"The weights could not be written to {path}: {error}.") from error


def load(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file, or tensors of a PyTorch checkpoint without code in it."""
    if not path.is_file():
        raise WeightsMissing(f"There are no weights at {path}.")
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, "pt") as stream:
                return {key: stream.get_tensor(key) for key in stream.keys()}, dict(stream.metadata() or {})  # noqa: SIM118
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise WeightsMissing(f"{path} cannot be read as weights: {type(error).__name__}: {error}") from error
    if not isinstance(found, dict):
        raise WeightsMissing(f"{path} holds no table of weights but a {type(found).__name__}.")
    return found, {}
