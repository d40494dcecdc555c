"""`landbrush-server evaluate generation | questionnaire`: pictures from words beside each other,
and what people think of pictures."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..editors.registry import Editors
from ..ground.errors import BadRequest
from .evaluate_folder import add_folder_and_models, new_folder, say
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
    made.add_argument(
        "--accept-cost", action="store_true", help="agree to what a service will cost"
    )
    made.set_defaults(run=_generation)
    add_folder_and_models(made)
    _add_questionnaire(kinds)


def _add_questionnaire(kinds: Any) -> None:
    parser = kinds.add_parser(
        "questionnaire",
        help="blind ratings of an evaluation's pictures by people: a page, its server, the results "
        "(Han et al., subjective score)",
    )
    steps = parser.add_subparsers(required=True, metavar="STEP")
    make = steps.add_parser("make", help="the page, one file, and the key that names the systems")
    make.add_argument(
        "results", type=Path, help="folder of 'evaluate cases' or 'evaluate generation'"
    )
    make.add_argument("--output", type=Path, required=True, help="new folder for page and key")
    make.add_argument("--most", type=int, default=0, help="cases at most, evenly taken; 0: all")
    make.add_argument("--title", default="How good are these pictures?")
    make.add_argument("--seed", type=int, default=0, help="of the pictures' names")
    make.set_defaults(run=_make)
    serve = steps.add_parser("serve", help="the page at an address, where answers come in")
    serve.add_argument("questionnaire", type=Path, help="folder of 'questionnaire make'")
    serve.add_argument(
        "--host", default="127.0.0.1", help="0.0.0.0: also for others in this network"
    )
    serve.add_argument("--port", type=int, default=5081)
    serve.set_defaults(run=_serve)
    total = steps.add_parser("sum", help="means with intervals, by system, group and case")
    total.add_argument("questionnaire", type=Path, help="folder of 'questionnaire make'")
    total.add_argument(
        "answers", type=Path, nargs="*", help="CSV files that people saved; those sent are read too"
    )
    total.set_defaults(run=_sum)
    liked = steps.add_parser(
        "preferences", help="pairs of edits, the better one first, for 'train preferences'"
    )
    liked.add_argument("questionnaire", type=Path, help="folder of 'questionnaire make'")
    liked.add_argument(
        "answers", type=Path, nargs="*", help="CSV files that people saved; those sent are read too"
    )
    liked.add_argument(
        "--results", type=Path, required=True, help="the folder that the questionnaire was made of"
    )
    liked.add_argument(
        "--output", type=Path, required=True, help="new folder for list and pictures"
    )
    liked.add_argument(
        "--margin", type=float, default=1.0, help="least difference of mean scores, 0 to 4"
    )
    liked.set_defaults(run=_preferences)


def _make(given: argparse.Namespace) -> int:
    from ..experiments.questionnaire.make import Asked, make

    if given.most < 0:
        raise BadRequest(f"--most {given.most}: not negative.")
    with new_folder(given.output) as folder:
        page = make(given.results, folder, Asked(given.most, given.seed, given.title))
    print(
        f"{page}\nOpen it in a browser, or send it; answers are saved as a file. Or: "
        f"landbrush-server evaluate questionnaire serve {given.output}\nKeep key.json to yourself: "
        "it names the systems."
    )
    return 0


def _serve(given: argparse.Namespace) -> int:
    import secrets

    from waitress import serve

    from ..experiments.questionnaire.serving import app_of

    code = secrets.token_urlsafe(12)
    app = app_of(given.questionnaire, code)
    say(f"http://{given.host}:{given.port}/{code}/   (whoever has this address may answer; Ctrl+C)")
    try:
        serve(app, host=given.host, port=given.port, threads=4)
    except OSError as error:
        raise BadRequest(f"--port {given.port} cannot be listened at: {error}.") from error
    return 0


def _sum(given: argparse.Namespace) -> int:
    from ..experiments.questionnaire.answers import key_in, summed

    key = key_in(given.questionnaire)
    path = summed(_ratings(given, key), given.questionnaire, key["title"])
    print(path.read_text("utf8"))
    return 0


def _preferences(given: argparse.Namespace) -> int:
    from ..experiments.questionnaire import preferences
    from ..experiments.questionnaire.answers import key_in

    if not 0 < given.margin <= 4:
        raise BadRequest(f"--margin {given.margin:g}: more than 0, at most 4.")
    ratings = _ratings(given, key_in(given.questionnaire))
    with new_folder(given.output) as folder:
        count = preferences.write(ratings, given.results, folder, given.margin)
    print(
        f"{count} preferences in {given.output}\nTrain: landbrush-server train preferences --data "
        f"{given.output} --output RUN --base MODEL"
    )
    return 0


def _ratings(given: argparse.Namespace, key: dict[str, Any]) -> list[Any]:
    """Of all files and all that was sent; who rated a picture twice counts once."""
    from ..experiments.questionnaire import ANSWERS
    from ..experiments.questionnaire.answers import read

    files = [*given.answers, *sorted((given.questionnaire / ANSWERS).glob("*.csv"))]
    ratings = {}
    for path in files:
        try:
            text = path.read_text("utf8")
        except (OSError, UnicodeDecodeError) as error:
            raise BadRequest(f"{path} cannot be read: {error}.") from error
        for one in read(text, key, str(path)):
            ratings[one.respondent, one.case, one.system] = one
    return list(ratings.values())


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
    terms = generation.Terms(editors, real, given.inception, given.workers, given.accept_cost)
    page = generation.run(wanted, given.output, terms, say)
    print((page.parent / "tables.md").read_text("utf8"))
    print(f"the page: {page}")
    return 0
