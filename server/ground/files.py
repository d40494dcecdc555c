"""Files that appear whole or not at all: a draft beside the place, made safe on the disk,
renamed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .errors import BadRequest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@contextlib.contextmanager
def whole_file(path: Path, lasting: bool = True) -> Iterator[Path]:
    """A draft to write that takes the place of `path` when the block ends without an error.

    The folder is made where it is not there. The draft has the ending of `path`, so that libraries
    which go by it write the right kind; writers at the same time do not meet, since each has a name
    of its own. `lasting`: what was written is on the disk before it gets its name; without it a
    crash of the machine may leave an older or an empty file. Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.stem}-{uuid.uuid4().hex[:8]}.part{path.suffix}")
    try:
        yield draft
        if lasting:
            _on_disk(draft)
        os.replace(draft, path)
        if lasting:
            folder_on_disk(path.parent)
    finally:
        draft.unlink(missing_ok=True)


def _on_disk(path: Path) -> None:
    """Wait until the file's content is on the disk, where the system can tell."""
    handle = os.open(path, os.O_RDWR)
    try:
        with contextlib.suppress(OSError):  # some network file systems cannot
            os.fsync(handle)
    finally:
        os.close(handle)


def folder_on_disk(folder: Path) -> None:
    """Wait until the names in a folder are on the disk, where the system can tell."""
    with contextlib.suppress(OSError):  # Windows opens no folders; some file systems cannot
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def facts_of(path: Path) -> tuple[int, str]:
    """Length in bytes, and SHA-256 in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
        return stream.tell(), digest.hexdigest()


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file; raises BadRequest where it is none."""
    try:
        return tomllib.loads(path.read_text("utf8"))
    except (OSError, ValueError) as error:
        raise BadRequest(f"{path} cannot be read as TOML: {error}") from error


def write_text(path: Path, text: str) -> None:
    """Text as UTF-8, whole or not at all."""
    with whole_file(path) as draft:
        draft.write_text(text, "utf8")


def write_json(path: Path, content: Any, lasting: bool = True) -> None:
    """A value as JSON, whole or not at all; numbers of NumPy as numbers, all else as text."""
    text = json.dumps(content, indent=1, ensure_ascii=False, default=_plain)
    with whole_file(path, lasting) as draft:
        draft.write_text(text, "utf8")


def _plain(value: Any) -> Any:
    item = getattr(value, "item", None)  # a number of NumPy
    return item() if callable(item) else str(value)
