"""`landbrush-server evaluate generation | questionnaire`: pictures from words beside each other,
and what people think of pictures."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..editors.registry import Editors
from ..ground.errors import BadRequest
from .evaluate_folder import add_folder_and_models, say
from .home import models_of


def add_commands(kinds: Any) -> None:
    """The parsers of both."""
    made = kinds.add_parser(
        "generation",
        help="systems that draw from words, on the same prompts: FID, Inception score, a page "
        "(MMM-RS, Table 2, Figures 6 and 7); may be stopped",
    )
    made.add_argument(
        "--systems",
        type=Path,
        help="TOML file with [[system]]: models, services, folders (default: those of mmm-rs-2)",
    )
    made.add_argument(
        "--prompts",
        help="file with a prompt a line, or one that is shipped: mmm-rs-table2.txt, "
        "mmm-rs-weather.txt, mmm-rs-ground-size.txt",
    )
    made.add_argument("--each", type=int, help="pictures a prompt")
    made.add_argument("--seed", type=int, help="of the first picture of each prompt")
    made.add_argument(
        "--real", type=Path, help="folder of real pictures; without it no Frechet distance"
    )
    made.add_argument(
        "--inception", type=Path, help="Inception v3 weights (pt_inception-2015-12-05)"
    )
    made.add_argument(
        "--workers",
        type=int,
        default=1,
        help="processes that draw; with several GPUs each takes its own",
    )
    made.set_defaults(run=_generation)
    add_folder_and_models(made)


def _generation(given: argparse.Namespace) -> int:
    from ..experiments import paper_tables

    path = given.systems or paper_tables.path_of("mmm-rs-2")
    more = {"prompts": _prompts(given.prompts), "each": given.each, "seed": given.seed}
    return compared(given, path, more, given.real)


def _prompts(given: str | None) -> str | None:
    """A file of the working folder before one that is shipped."""
    if given and Path(given).expanduser().is_file():
        return str(Path(given).expanduser().resolve())
    return given


def compared(
    given: argparse.Namespace, path: Path, more: Mapping[str, Any], real: Path | None
) -> int:
    """Draw, measure and print the table."""
    from ..experiments import generation
    from ..experiments.generation import asked

    if given.workers < 1:
        raise BadRequest(f"--workers {given.workers}: at least 1.")
    if given.inception is not None and not given.inception.is_file():
        raise BadRequest(f"--inception: there is no file {given.inception}.")
    if real is not None and not real.is_dir():
        raise BadRequest(f"There is no folder of real pictures at {real}.")
    editors = Editors(models_of(given))
    wanted = asked.read(path, editors, more)
    terms = generation.Terms(editors, real, given.inception, given.workers)
    page = generation.run(wanted, given.output, terms, say)
    print((page.parent / "tables.md").read_text("utf8"))
    print(f"the page: {page}")
    return 0
