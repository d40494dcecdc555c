"""A dataset as WebDataset: tar files that training reads in order."""

from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path

from .files import LISTED, lines


def tars(output: Path, samples: int) -> list[Path]:
    """The dataset as WebDataset: tar files of `samples` pictures, each with its prompt and what is known of it."""
    listed, made = lines(output / LISTED), []
    for old in output.glob("shard-*.tar"):
        old.unlink()
    for number in range(0, len(listed), samples):
        path = output / f"shard-{number // samples:05d}.tar"
        draft = path.with_name(f".{path.name}")
        with tarfile.open(draft, "w") as tar:
            for line in listed[number : number + samples]:
                stem = Path(line["file_name"]).stem
                _add(tar, f"{stem}.png", (output / line["file_name"]).read_bytes())
                _add(tar, f"{stem}.txt", line["text"].encode())
                _add(tar, f"{stem}.json", json.dumps(line).encode())
        os.replace(draft, path)
        made.append(path)
    return made


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    about = tarfile.TarInfo(name)
    about.size = len(content)
    tar.addfile(about, io.BytesIO(content))
