"""What networks of the user's need, beside the server's own libraries: PyTorch in the build for
this computer, and libraries in tested versions, each file checked by its hash.

It comes into a folder of its own inside the environment, which counts once all of it can be loaded:
until then the environment is as it was, and undoing is deleting that folder.
"""

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
GPUS = Path("/sys/class/kfd/kfd/topology/nodes")
AMD_BUILT = (
    90000, 90006, 90008, 90010, 90402, 90500, 100300, 110000, 110001, 110002, 120000, 120001,
)  # fmt: skip
"""What the driver calls the AMD chips for which PyTorch is built; graphics inside of a processor
are mostly none of them."""
FOLDER = "pretrained-"
LINK = "landbrush-pretrained.pth"
"""Beginning of the name of a folder of libraries in an environment, and the file by which Python
finds the one that counts."""


def lists():
    """The folder of locked lists that came with this plugin."""
    return installer.ROOT / "resources" / "server"


def builds():
    """Names of the builds of PyTorch to try for this computer; none: PyPI's is right. On Linux that
    is for NVIDIA's cards, elsewhere for the processor (on a Mac for its graphics, too)."""
    if sys.platform.startswith("linux"):
        if _has_nvidia():
            return ()
        return ROCM if _has_amd() else CPU
    return CUDA if sys.platform == "win32" and _has_nvidia() else ()


def needed_mb():
    """Free space on the disk below which it is not begun: libraries of graphics cards are large."""
    for_cards = builds() in (CUDA, ROCM) or (sys.platform.startswith("linux") and _has_nvidia())
    return 15_000 if for_cards else 5000


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


def _has_amd():
    """Whether there is a chip of AMD's for which PyTorch is built."""
    for about in GPUS.glob("*/properties"):
        try:
            lines = [line.split() for line in about.read_text("ascii", "replace").splitlines()]
        except OSError:
            continue
        versions = [line[1] for line in lines if line[:1] == ["gfx_target_version"] and line[1:]]
        if any(version.isdigit() and int(version) in AMD_BUILT for version in versions):
            return True
    return False


_WHERE = f"""
import glob, os, shutil, subprocess, sys, sysconfig
folder = sys.argv[1]
link = os.path.join(sysconfig.get_path("purelib"), {LINK!r})
def libraries():
    here = glob.escape(folder)
    there = glob.glob(os.path.join(here, "**", "*-packages"), recursive=True)
    return [path for path in there if os.path.basename(path) in ("site-packages", "dist-packages")]
"""
BEGIN = (
    _WHERE
    + f"""
linked = open(link, encoding="utf8").read() if os.path.isfile(link) else ""
for old in glob.glob(os.path.join(glob.escape(os.path.dirname(folder)), {FOLDER!r} + "*")):
    if os.path.basename(old) not in linked:
        shutil.rmtree(old, ignore_errors=True)
"""
)
"""Deletes what does not count: what earlier tries left that broke off, or what counted before."""
LACKING = (
    _WHERE
    + """
import importlib.metadata
here = importlib.metadata.distributions(name="torch", path=libraries())
if not any(one.metadata["Version"] for one in here if one.files):
    command = [sys.executable, "-m", "pip", *sys.argv[2:]]
    if os.name == "posix":
        os.execv(command[0], command)  # so that what is stopped is pip itself
    sys.exit(subprocess.call(command))
"""
)
"""Installs where no build of PyTorch has come whole."""
TRIED = _WHERE + "sys.path += libraries()\nimport torch, transformers, diffusers\nimport "
"""Loads what came, and a module named after it."""
LINKED = (
    _WHERE
    + """
site = os.path.dirname(link)
with open(link + ".new", "w", encoding="utf8") as stream:
    stream.writelines(os.path.relpath(path, site) + "\\n" for path in libraries())
os.replace(link + ".new", link)
"""
)
"""Makes it count, in place of what counted before."""


def steps(python, folder):
    """Steps that bring it into `folder`, which lies in the environment of `python`."""
    program = str(python)
    quiet = "--disable-pip-version-check"
    # All of it comes, whatever the environment has of the same name, and nothing there is replaced.
    into = [quiet, "install", "--ignore-installed", "--no-warn-script-location", "--prefix"]
    into.append(str(folder))
    pip = [program, "-m", "pip", *into]
    found = [Step(tr("what is here"), [program, "-c", BEGIN, str(folder)])]
    for build in builds():
        # Not needed: where that index cannot be reached, the usual build does the same.
        index = ["--retries", "1", "--timeout", "20", TORCH, "--index-url", INDEX + build]
        found.append(Step(tr("PyTorch for this computer"), [*pip, *index], False))
    locks = [lists() / name for name in (TORCH_LOCK, LIBRARIES_LOCK, VOCABULARY_LOCK)]
    if installer.lock() is not None and all(path.is_file() for path in locks):
        torch, libraries, vocabulary = map(str, locks)
        listed = ("--require-hashes", "--no-deps", "-r")
        lacking = [program, "-c", LACKING, str(folder), *into]
        found += [
            Step("PyTorch", [*lacking, *listed, torch]),
            Step(tr("what pretrained models need"), [*pip, *listed, libraries]),
            Step(tr("a vocabulary"), [*pip, *listed, vocabulary]),
        ]
    else:  # a checkout, or a package of the user's: as pip finds them
        lacking = [program, "-c", LACKING, str(folder), *into]
        # What requires PyTorch would bring another build of it: without what it requires.
        lone = [one for one in PRETRAINED if one.startswith("accelerate")]
        others = [one for one in PRETRAINED if one not in (TORCH, *lone)]
        found += [
            Step("PyTorch", [*lacking, TORCH]),
            Step(tr("what pretrained models need"), [*pip, *others, "psutil"]),
            # Of what a vocabulary requires it has no use.
            Step(tr("a vocabulary"), [*pip, "--no-deps", *lone, VOCABULARY]),
        ]
    return found


def last_steps(python, folder, module):
    """Steps that load what came together with a module of the server's, and make it count."""
    return [
        Step(tr("a first start"), [str(python), "-c", TRIED + module, str(folder)]),
        Step(tr("a first start"), [str(python), "-c", LINKED, str(folder)]),
        Step(tr("what is here"), [str(python), "-c", BEGIN, str(folder)], False),
    ]


def counts(folder):
    """Whether Python finds the libraries of a folder in an environment."""
    links = [*folder.parent.glob(f"lib*/python*/*-packages/{LINK}")]
    links += folder.parent.glob(f"Lib/site-packages/{LINK}")
    return any(folder.name in link.read_text("utf8", "replace") for link in links)
