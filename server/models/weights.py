"""Weight files: found, read and written in one place. Only tensors are read, never pickled
objects."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..ground.errors import BadRequest, NoSpace, WeightsMissing
from ..ground.files import whole_file

if TYPE_CHECKING:
    import torch

KINDS = {
    "image-text": "CLIP or RemoteCLIP: a folder of transformers, or a file of open_clip (RN50, "
    "ViT-B-32, ViT-L-14)",
    "second-image-text": "another one, which shares nothing with the first, to rank candidates",
    "dino": "folder of DINO or DINOv2 as transformers saves it, for DINO-I",
    "lpips": "folder with AlexNet's weights and those of LPIPS 0.1",
    "damage": "ChangeStar's checkpoint for building damage (xView2, s1c5, ViT-B), for F1 of damage",
    "vision-language": "folder of a vision-language model that transformers reads, to judge "
    "edits (after VIEScore)",
    "judge": "URL of an OpenAI-compatible service that sees pictures, to judge edits "
    "(after VIEScore)",
    "judge-model": "name of the model there",
    "judge-key-file": "file with the key for it (or the environment's LANDBRUSH_JUDGE_KEY)",
    "image-service": "URL of an OpenAI-compatible service that draws pictures from words, to "
    "compare with (MMM-RS, Table 2)",
    "image-service-model": "name of the model there",
    "image-service-key-file": "file with the key for it (or the environment's "
    "LANDBRUSH_IMAGE_SERVICE_KEY)",
    "text-engine": "what draws for 'text' where its option 'engine' is automatic: closed form (as "
    "delivered), or learned (SinDDM, trained on each window)",
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
    "image-service-key-file",
    "language",
    "endpoint-key-file",
)
CHOSEN = "chosen.json"
LEARNED = "learned"
"""Folder of what edits learned, in which alone a worker may write: what is chosen must not be its
to choose."""
SUFFIXES = (".safetensors", ".pth", ".pt", ".ckpt")


def state_of(path: Path) -> list[list[str | int]]:
    """Names, sizes and times of a file or of a folder's files: by which a change is seen without
    reading them."""
    found = sorted(path.rglob("*")) if path.is_dir() else [path]
    return [[p.name, p.stat().st_size, p.stat().st_mtime_ns] for p in found if p.is_file()]


class ModelFolder:
    """The folder of a home for models: what the user has named, and what was learned here.

    `folder`: the home's `models`. `given`: values by kind that count in this object only, over
    those that are kept in the folder.
    """

    def __init__(self, folder: Path, given: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.given = {_known(kind): value for kind, value in (given or {}).items()}

    def chosen(self, kind: str) -> str:
        """The path or name that the user gave for a kind; empty where none was given."""
        return self.given[kind] if kind in self.given else self._stored().get(kind, "")

    def give(self, kind: str, value: str) -> None:
        """Use that value in this object only; raises BadRequest for an unknown kind."""
        self.given[_known(kind)] = value

    def choose(self, kind: str, value: str) -> None:
        """Keep that value in the folder, for this and later processes; empty forgets it."""
        values = {**self._stored(), _known(kind): value}
        text = json.dumps({key: text for key, text in values.items() if text}, indent=1)
        try:
            with whole_file(self.folder / CHOSEN) as draft:
                draft.write_text(text, "utf8")
        except OSError as error:
            raise NoSpace(f"The choice could not be written to {self.folder}: {error}.") from error

    def _stored(self) -> dict[str, str]:
        path = self.folder / CHOSEN
        try:
            found = json.loads(path.read_text("utf8")) if path.is_file() else {}
        except (OSError, ValueError) as error:
            raise BadRequest(f"{path} cannot be read ({error}). Mend or delete it.") from error
        if not isinstance(found, dict):
            return {}
        return {str(key): str(value) for key, value in found.items()}

    def files(self, kind: str) -> list[Path]:
        """The user's files of weights in the folder of a kind, by name."""
        place = self.folder / kind
        found = place.iterdir() if place.is_dir() else ()
        return sorted(
            p for p in found if p.is_file() and p.suffix in SUFFIXES and not p.name.startswith(".")
        )

    def named(self, kind: str, name: str) -> Path:
        """One of them, the first without a name; raises WeightsMissing with those there are."""
        there = self.files(kind)
        found = next((path for path in there if path.name == name or not name), None)
        if found is None:
            names = ", ".join(path.name for path in there)
            raise WeightsMissing(
                f"checkpoint: no file '{name[:80]}' in {self.folder / kind}"
                + (f"; there are {names}." if there else ".")
            )
        return found

    def cached(self, kind: str, *contents: bytes) -> Path:
        """The file for weights that were learned from those contents."""
        digest = hashlib.sha256(b"\0".join(contents)).hexdigest()[:32]
        return self.learned / f"{kind}-{digest}.safetensors"

    @property
    def learned(self) -> Path:
        """Folder of what was learned here."""
        return self.folder / LEARNED

    def make_learned(self) -> Path:
        """That folder, made where it is not there; what older versions kept one folder above is
        moved into it. Raises OSError."""
        self.learned.mkdir(parents=True, exist_ok=True, mode=0o700)
        for older in self.folder.glob("*.safetensors"):
            older.replace(self.learned / older.name)
        return self.learned


def _known(kind: str) -> str:
    if kind not in KINDS:
        raise BadRequest(f"'{kind[:60]}' is no kind of model; there are {', '.join(KINDS)}.")
    return kind


def save(path: Path, tensors: dict[str, torch.Tensor], about: dict[str, str]) -> None:
    """Write a safetensors file, whole or not at all."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    whole = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    try:
        with whole_file(path) as draft:
            save_file(whole, draft, metadata=about)
    except (OSError, SafetensorError) as error:
        raise NoSpace(f"The weights could not be written to {path}: {error}.") from error


def load(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file, or tensors of a PyTorch checkpoint without code
    in it."""
    import torch
    from safetensors import safe_open

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
