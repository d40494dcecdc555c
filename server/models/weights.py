"""Weight files: found, read and written in one place. Only tensors are read, never pickled
objects."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from ..ground.errors import BadRequest, NoSpace, WeightsMissing
from ..ground.settings import default_home

KINDS = {
    "image-text": "CLIP or RemoteCLIP: a folder of transformers, or a file of open_clip (RN50, "
    "ViT-B-32, ViT-L-14)",
    "second-image-text": "another one, which shares nothing with the first, to rank candidates",
    "dino": "folder of DINO ViT-S/16 as transformers saves it, for DINO-I",
    "lpips": "folder with AlexNet's weights and those of LPIPS 0.1",
    "damage": "ChangeStar's checkpoint for building damage (xView2, s1c5, ViT-B), for F1 of damage",
    "vision-language": "folder of a vision-language model that transformers reads, to judge "
    "edits (VIEScore)",
    "judge": "URL of an OpenAI-compatible service that sees pictures, to judge edits (VIEScore)",
    "judge-model": "name of the model there",
    "judge-key-file": "file with the key for it (or the environment's LANDBRUSH_JUDGE_KEY)",
    "language": "folder of an instruction model that transformers reads, to paraphrase prompts",
    "endpoint": "URL of an OpenAI-compatible service, to paraphrase prompts "
    "(http://127.0.0.1:11434/v1)",
    "endpoint-model": "name of the model there",
    "endpoint-key-file": "file with the key for it (or the environment's LANDBRUSH_ENDPOINT_KEY)",
}
"""What the user may point to. Nothing of it is needed for an edit without words' guidance, and
nothing is downloaded."""
PATHS = (
    "image-text",
    "second-image-text",
    "dino",
    "lpips",
    "damage",
    "vision-language",
    "judge-key-file",
    "language",
    "endpoint-key-file",
)
CHOSEN = "chosen.json"
SUFFIXES = (".safetensors", ".pth", ".pt", ".ckpt")

_folder: Path | None = None
_given: dict[str, str] = {}


def use_folder(folder: Path) -> None:
    """Keep what is learned in that folder (the server's own; else below the default home)."""
    global _folder
    _folder = folder


def folder() -> Path:
    """Where learned weights are kept."""
    return _folder or default_home() / "models"


def chosen(kind: str) -> str:
    """The path or name that the user gave for a kind; empty where none was given."""
    if kind in _given:
        return _given[kind]
    return _stored().get(kind, "")


def given() -> dict[str, str]:
    """What was given in this process only, for others that are to work alike."""
    return dict(_given)


def state_of(path: Path) -> list[list[str | int]]:
    """Names, sizes and times of a file or of a folder's files: by which a change is seen without
    reading them."""
    found = sorted(path.rglob("*")) if path.is_dir() else [path]
    return [[p.name, p.stat().st_size, p.stat().st_mtime_ns] for p in found if p.is_file()]


def give(kind: str, value: str) -> None:
    """Use that value in this process only; raises BadRequest for an unknown kind."""
    _given[_known(kind)] = value


def choose(kind: str, value: str) -> None:
    """Keep that value in the folder, for this and later processes; empty forgets it."""
    values = {**_stored(), _known(kind): value}
    try:
        folder().mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(prefix=".chosen-", dir=folder())
        with os.fdopen(handle, "w", encoding="utf8") as stream:
            json.dump({key: text for key, text in values.items() if text}, stream, indent=1)
        os.replace(draft, folder() / CHOSEN)
    except OSError as error:
        raise NoSpace(f"The choice could not be written to {folder()}: {error}.") from error


def _known(kind: str) -> str:
    if kind not in KINDS:
        raise BadRequest(f"'{kind[:60]}' is no kind of model; there are {', '.join(KINDS)}.")
    return kind


def _stored() -> dict[str, str]:
    path = folder() / CHOSEN
    try:
        found = json.loads(path.read_text("utf8")) if path.is_file() else {}
    except (OSError, ValueError) as error:
        raise BadRequest(f"{path} cannot be read ({error}). Mend or delete it.") from error
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}


def files(kind: str) -> list[Path]:
    """The user's files of weights in the folder of a kind, by name."""
    place = folder() / kind
    found = place.iterdir() if place.is_dir() else ()
    return sorted(
        p for p in found if p.is_file() and p.suffix in SUFFIXES and not p.name.startswith(".")
    )


def named(kind: str, name: str) -> Path:
    """One of them, the first without a name; raises WeightsMissing with those there are."""
    there = files(kind)
    found = next((path for path in there if path.name == name or not name), None)
    if found is None:
        raise WeightsMissing(
            f"checkpoint: no file '{name[:80]}' in {folder() / kind}"
            + (f"; there are {', '.join(path.name for path in there)}." if there else ".")
        )
    return found


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
            save_file(
                {k: v.detach().cpu().contiguous() for k, v in tensors.items()},
                draft,
                metadata=about,
            )
            os.replace(draft, path)
        finally:
            Path(draft).unlink(missing_ok=True)
    except (OSError, SafetensorError) as error:
        raise NoSpace(f"The weights could not be written to {path}: {error}.") from error


def load(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file, or tensors of a PyTorch checkpoint without code
    in it."""
    if not path.is_file():
        raise WeightsMissing(f"There are no weights at {path}.")
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, "pt") as stream:
                names = list(stream.keys())
                tensors = {name: stream.get_tensor(name) for name in names}
                return tensors, dict(stream.metadata() or {})
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the libraries' own sentences advise to run what is in the file
        raise WeightsMissing(
            f"{path} is no file of weights, or holds more than tensors, which is not read "
            f"({type(error).__name__})."
        ) from error
    if not isinstance(found, dict):
        raise WeightsMissing(f"{path} holds no table of weights but a {type(found).__name__}.")
    return found, {}
