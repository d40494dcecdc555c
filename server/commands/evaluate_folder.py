"""What the experiments' commands share: the folder they write, the models they use, their voice."""

from __future__ import annotations

import argparse
import contextlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from ..ground.errors import BadRequest
from ..ground.settings import default_home
from .home import add_models


def add_folder_and_models(parser: argparse.ArgumentParser, required: bool = True) -> None:
    """What every experiment takes that writes a folder; `required`: whether it always does."""
    parser.add_argument(
        "--output", type=Path, required=required, help="folder for the table, pictures and settings"
    )
    parser.add_argument(
        "--home",
        type=Path,
        default=default_home(),
        help="folder in which models are named and kept",
    )
    add_models(parser)


def say(text: str) -> None:
    """To the person at the terminal."""
    print(text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A new folder, which goes again if nothing came of it."""
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise BadRequest(
            f"--output {path} is there and not empty; choose a new folder, so that nothing is lost."
        )
    path.mkdir(parents=True, exist_ok=True)
    try:
        yield path
    finally:
        if not any(p.is_file() for p in path.rglob("*")):
            shutil.rmtree(path)
