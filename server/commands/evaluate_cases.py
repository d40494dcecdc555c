"""`landbrush-server evaluate cases`: a benchmark of one's own, or a paper's table, and what that
takes."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from ..editors.registry import Editors
from ..ground.errors import BadRequest
from .evaluate_folder import add_folder_and_models, new_folder, say
from .home import models_of

MOST_WORKERS = 64
DEFAULTS = {
    "inception": None,
    "layout": "",
    "part": "test",
    "test_list": None,
    "most": 0,
    "workers": 1,
    "judge": "",
    "questions": "",
    "price": None,
    "accept_cost": False,
}
"""Of options that not every kind of table takes."""
OF_PAIRS = ("layout", "part", "test_list")
OF_JUDGE = ("judge", "questions", "price")
NOT_OF = {
    "cases": ("inception",),
    "change-detection": (*OF_PAIRS, *OF_JUDGE, "inception", "most", "workers", "accept_cost"),
    "generation": (*OF_PAIRS, *OF_JUDGE),
}
"""Options that a kind of table has no use for."""


def add_command(kinds: argparse._SubParsersAction) -> None:
    """The parser of `evaluate cases`."""
    cases = kinds.add_parser(
        "cases", help="systems on cases with seeds: tables, pictures, a page; may be stopped"
    )
    what = cases.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--cases", type=Path, help="TOML file: images, prompts, polygons; see docs/evaluate.md"
    )
    what.add_argument(
        "--table",
        metavar="NAME",
        help="a paper's table, on --data: rsedit-1, rsedit-2, rsedit-3, rsedit-grades, "
        "han-1, han-2, han-8, icedit, mmm-rs-2 (docs/papers.md)",
    )
    cases.add_argument(
        "--dry-run",
        action="store_true",
        help="run nothing: say which models, networks and data a table takes, which of them are "
        "not here, how large they are, and how to get them",
    )
    cases.add_argument(
        "--data",
        type=Path,
        help="dataset of pairs whose test part is asked, or folder of pictures (docs/evaluate.md)",
    )
    cases.add_argument(
        "--inception", type=Path, help="mmm-rs-2: Inception v3 weights (pt_inception-2015-12-05)"
    )
    cases.add_argument("--layout", help="of the dataset, if it is not told from its files")
    cases.add_argument("--part", choices=("train", "val", "test"))
    cases.add_argument(
        "--test-list",
        type=Path,
        help="RSCC: file with the pre_image paths of its test part, a line each",
    )
    cases.add_argument("--most", type=int, help="of the dataset's cases, evenly taken; 0: all")
    cases.add_argument(
        "--workers",
        type=int,
        help="runs at a time, in processes of their own where more than one",
    )
    cases.add_argument(
        "--judge",
        choices=("judge", "vision-language"),
        help="also scores after VIEScore, by the service or the "
        "model on this machine that 'models set' names so",
    )
    cases.add_argument(
        "--questions",
        choices=("vie-like", "viescore-landbrush"),
        help="how the judge is asked: in VIEScore's structure and at its temperature, in other "
        "words (default), or shortly and of satellite pictures",
    )
    cases.add_argument(
        "--price",
        type=float,
        nargs=2,
        metavar=("IN", "OUT"),
        help="of a million tokens, for the estimate",
    )
    cases.add_argument(
        "--accept-cost", action="store_true", help="agree to what the service will cost"
    )
    cases.set_defaults(run=_cases, **DEFAULTS)
    add_folder_and_models(cases, required=False)


def _cases(given: argparse.Namespace) -> int:
    from ..experiments import paper_tables

    if not 1 <= given.workers <= MOST_WORKERS:
        raise BadRequest(f"--workers {given.workers}: 1 to {MOST_WORKERS} are taken.")
    if given.most < 0:
        raise BadRequest(f"--most {given.most}: not negative.")
    path = paper_tables.path_of(given.table) if given.table else given.cases
    if given.dry_run:
        return _told(given, path)
    if given.output is None:
        raise BadRequest("--output FOLDER is needed, for tables, pictures and settings.")
    run = {
        paper_tables.CASES: _benchmark,
        paper_tables.CHANGE: _change_detection,
        paper_tables.GENERATION: _generation,
    }
    kind = paper_tables.kind_of(path)
    _check_goes_with(given, path, kind)
    return run[kind](given, path)


def _check_goes_with(given: argparse.Namespace, path: Path, kind: str) -> None:
    """Raises BadRequest where an option would be passed over in silence."""
    for name in NOT_OF[kind]:
        if getattr(given, name) != DEFAULTS[name]:
            raise BadRequest(
                f"--{name.replace('_', '-')} does not go with {path.name}, which is a table of the "
                f"kind '{kind}'; leave it out."
            )


def _told(given: argparse.Namespace, path: Path) -> int:
    """What a table takes."""
    from ..experiments import paper_tables

    found = paper_tables.needs(models_of(given), path, given.data, given.inception)
    for need in found:
        print(need.sentence())
    lost = [need for need in found if not need.here]
    size = sum(need.about_gb for need in lost)
    print(
        f"{len(lost)} of {len(found)} are missing, about {size:.1f} GB where that is known; "
        "nothing was run."
        if lost
        else f"All {len(found)} are here."
    )
    return 0


def _benchmark(given: argparse.Namespace, path: Path) -> int:
    from ..experiments import benchmark
    from ..experiments.benchmark import protocol, systems

    terms = benchmark.Terms(
        Editors(models_of(given)),
        given.workers,
        None,
        given.judge,
        given.questions,
        tuple(given.price) if given.price else None,
        given.accept_cost,
    )
    pairs = (
        protocol.Data(given.data, given.layout, given.part, given.most, given.test_list)
        if given.data
        else None
    )
    page = benchmark.run(path, given.output, terms, say, pairs)
    found = json.loads((page.parent / "results.json").read_text("utf8"))
    for row in found["rows"]:
        print(
            f"{row['system']}: {row['runs'] - row['failed']} of {row['runs']} runs, on "
            f"{row['cases']} cases"
        )
    if not found["checks"]:
        print(
            "No measure could be checked: that needs a reference, or identity and noise, beside a "
            "sensible edit."
        )
    for check in found["checks"]:
        print(f"{check['measure']}, {check['better']} before {check['worse']}: {check['verdict']}")
    print(f"tables: {page.parent / 'tables.md'}\nthe page: {page}")
    edited = [row for row in found["rows"] if row["system"] not in systems.REFERENCES]
    return int(bool(edited) and all(row["failed"] == row["runs"] for row in edited))


def _change_detection(given: argparse.Namespace, path: Path) -> int:
    """Han et al.'s Table II with the table's values; 'evaluate change-detection' takes others."""
    from ..experiments import augmentation

    how = augmentation.of_table(path, Editors(models_of(given)))
    data = _data_of(given, path)
    with new_folder(given.output) as folder:
        print(augmentation.run(data, how, folder, say).read_text("utf8"))
    return 0


def _generation(given: argparse.Namespace, path: Path) -> int:
    """MMM-RS's Table 2; --most so many pictures a prompt."""
    from .evaluate_pictures import compared

    more: dict[str, Any] = {"each": given.most or None}
    real = _data_of(given, path)
    return compared(given, path, more, real)


def _data_of(given: argparse.Namespace, path: Path) -> Path:
    if given.data is None or not given.data.is_dir():
        raise BadRequest(f"{path.stem} needs --data FOLDER; --dry-run says which, and where from.")
    return Path(given.data)
