"""What commands have in common: the folder in which models are named and kept."""

from __future__ import annotations

import argparse
import functools
import json
from pathlib import Path
from typing import TYPE_CHECKING

from ..contract.editors import EditorInfo
from ..ground.errors import BadRequest
from ..ground.settings import default_home
from ..models.weights import KINDS, ModelFolder

if TYPE_CHECKING:
    from ..editors.models import Models

SHIPPED = Path(__file__).resolve().parents[2] / "resources" / "editors.json"


@functools.cache
def shipped_editors() -> tuple[EditorInfo, ...]:
    """What the editors are, without loading them: parsers of the command line need no more."""
    return tuple(EditorInfo.from_json(one) for one in json.loads(SHIPPED.read_text("utf8")))


def ids_shipped() -> tuple[str, ...]:
    """The ids of the editors."""
    return tuple(info.id for info in shipped_editors())


def add_home(parser: argparse.ArgumentParser, what: str) -> None:
    """Add the option that names the home."""
    parser.add_argument("--home", type=Path, default=default_home(), help=what)


def add_models(parser: argparse.ArgumentParser) -> None:
    """Add the option that names models for this time."""
    parser.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="KIND=PATH",
        help="use that model this time; KIND is one of " + ", ".join(KINDS),
    )


def model_folder_of(given: argparse.Namespace) -> ModelFolder:
    """What models are named in the home folder, and on this command line; raises BadRequest."""
    folder = ModelFolder(given.home / "models")
    for text in getattr(given, "model", ()):
        kind, sign, value = text.partition("=")
        if not sign:
            raise BadRequest(f"--model {text}: write KIND=PATH.")
        folder.give(kind, value)
    return folder


def models_of(given: argparse.Namespace) -> Models:
    """The models named in the home folder, and those of this command line; raises BadRequest."""
    from ..editors.models import Models

    return Models(given.home, model_folder_of(given).given)
