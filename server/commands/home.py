"""What commands have in common: the folder in which models are named and kept."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..editors.models import Models
from ..ground.errors import BadRequest
from ..ground.settings import default_home
from ..models.weights import KINDS


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


def models_of(given: argparse.Namespace) -> Models:
    """The models named in the home folder, and those of this command line; raises BadRequest."""
    models = Models(given.home)
    for text in getattr(given, "model", ()):
        kind, sign, value = text.partition("=")
        if not sign:
            raise BadRequest(f"--model {text}: write KIND=PATH.")
        models.folder.give(kind, value)
    return models
