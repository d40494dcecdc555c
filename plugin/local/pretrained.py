"""What networks of the user's need, added to the server's environment: PyTorch in the build for
this computer, and libraries in tested versions, each file checked by its hash; and how that is
undone where it does not end well."""

import os
import shutil
import sys
from pathlib import Path

from ..translated import tr
from . import installer
from .installer import Step

TORCH = "torch>=2.4,<2.14"
PRETRAINED = (
    TORCH,
    "transformers>=4.45,<6",
    "safetensors>=0.4,<1",
    "tokenizers>=0.19,<1",
    "diffusers>=0.35,<1",
    "accelerate>=1.1,<2",
    "huggingface-hub>=0.34,<3",
    "sentencepiece>=0.2,<1",
    "protobuf>=4,<8",
)
"""As pyproject.toml has it under `pretrained`, which a test compares."""
VOCABULARY = "open_clip_torch>=2.24,<4"
LIBRARIES_LOCK = "requirements-pretrained.lock"
TORCH_LOCK = "requirements-torch.lock"
VOCABULARY_LOCK = "requirements-aside.lock"
INDEX = "https://download.pytorch.org/whl/"
CPU = ("cpu",)
CUDA = ("cu130", "cu126")
ROCM = ("rocm7.2", "rocm7.1", "rocm6.4")
"""Builds of PyTorch's own index, the newest first: for a processor alone, for NVIDIA's cards, for
AMD's."""


def lists():
    """The folder of locked lists that came with this plugin."""
    return installer.ROOT / "resources" / "server"


def builds():
    """Names of the builds of PyTorch to try for this computer; none: PyPI's is right. On Linux that
    is for NVIDIA's cards, elsewhere for the processor (on a Mac for its graphics, too)."""
    if sys.platform.startswith("linux"):
        if _has_nvidia():
            return ()
        return ROCM if Path("/dev/kfd").exists() else CPU
    return CUDA if sys.platform == "win32" and _has_nvidia() else ()


def _has_nvidia():
    """Whether NVIDIA's driver is here."""
    system = Path(os.environ.get("SYSTEMROOT", "C:/Windows"), "System32", "nvcuda.dll")
    drivers = (
        Path("/proc/driver/nvidia/version"),
        Path("/dev/nvidiactl"),
        Path("/usr/lib/wsl/lib/libcuda.so.1"),
        system,
    )
    return any(path.exists() for path in drivers) or shutil.which("nvidia-smi") is not None


KEPT = """
import importlib.metadata, json, os, sys
if os.path.exists(sys.argv[1]):
    sys.exit()
names = sorted({one.metadata["Name"].lower() for one in importlib.metadata.distributions()})
open(sys.argv[1], "w", encoding="utf8").write(json.dumps(names))
"""
"""Notes what is installed before; where an earlier try broke off, what was there before that."""
LACKING = """
import importlib.util, subprocess, sys
if importlib.util.find_spec("torch") is None:
    sys.exit(subprocess.call([sys.executable, "-m", "pip", *sys.argv[1:]]))
"""
"""Installs where no build of PyTorch has come."""
UNDO = """
import importlib.metadata, json, os, subprocess, sys
before = set(json.load(open(sys.argv[1], encoding="utf8")))
names = {one.metadata["Name"] for one in importlib.metadata.distributions()}
new = sorted(name for name in names if name.lower() not in before)
if new:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "uninstall", "--yes"]
    sys.exit(subprocess.call([*pip, *new]) or os.remove(sys.argv[1]))
os.remove(sys.argv[1])
"""
"""Takes out what came since then."""


def steps(python, before):
    """Steps that add it to the environment of `python`; `before`: the file in which what was there
    is noted."""
    program = str(python)
    quiet = "--disable-pip-version-check"
    pip = [program, "-m", "pip", quiet, "install"]
    found = [Step(tr("what is here"), [program, "-c", KEPT, str(before)])]
    for build in builds():
        # Not needed: where that index cannot be reached, the usual build does the same.
        index = ["--retries", "1", "--timeout", "20", TORCH, "--index-url", INDEX + build]
        found.append(Step(tr("PyTorch for this computer"), [*pip, *index], False))
    locks = [lists() / name for name in (TORCH_LOCK, LIBRARIES_LOCK, VOCABULARY_LOCK)]
    if installer.lock() is not None and all(path.is_file() for path in locks):
        torch, libraries, vocabulary = map(str, locks)
        listed = ("--require-hashes", "--no-deps", "-r")
        found += [
            Step("PyTorch", [program, "-c", LACKING, quiet, "install", *listed, torch]),
            Step(tr("what pretrained models need"), [*pip, *listed, libraries]),
            Step(tr("a vocabulary"), [*pip, *listed, vocabulary]),
        ]
    else:  # a checkout, or a package of the user's: as pip finds them
        found += [
            Step(tr("what pretrained models need"), [*pip, *PRETRAINED]),
            # Without what it requires, of which a vocabulary has no use.
            Step(tr("a vocabulary"), [*pip, "--no-deps", VOCABULARY]),
        ]
    return found


def undoing(python, before):
    """The command that takes out what came since `before` was noted."""
    return [str(python), "-c", UNDO, str(before)]
