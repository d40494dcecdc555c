"""`landbrush-server evaluate`: the published experiments, on the user's own data."""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from ..editors.registry import Editors
from ..ground.errors import BadRequest
from ..ground.settings import default_home
from ..raster.polygon_files import polygons_for
from .edit_arguments import option
from .home import add_models, models_of

MOST_WORKERS = 64


def add_commands(commands: argparse._SubParsersAction) -> None:
    """The parsers of `evaluate`'s experiments."""
    evaluate = commands.add_parser("evaluate", help="run a published experiment on your own data")
    kinds = evaluate.add_subparsers(required=True, metavar="EXPERIMENT")
    _add_single_image(kinds)
    _add_cases(kinds)
    _add_change_detection(kinds)
    _add_distribution(kinds)
    _add_layers(kinds)


def _add_single_image(kinds: argparse._SubParsersAction) -> None:
    single = kinds.add_parser(
        "single-image",
        help="CLIP scores of text-guided edits, with baselines (Han et al., Table I)",
    )
    single.add_argument(
        "--cases",
        type=Path,
        required=True,
        help="TOML file: images, prompts, polygons; see docs/evaluate.md",
    )
    single.set_defaults(run=_single_image)
    _add_folder_and_models(single)


def _add_cases(kinds: argparse._SubParsersAction) -> None:
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
        help="systems and settings of a paper's table, on --data: rsedit-1, rsedit-2, "
        "rsedit-3, icedit-magicbrush, han-1",
    )
    cases.add_argument(
        "--data", type=Path, help="dataset of pairs whose test part is asked (docs/evaluate.md)"
    )
    cases.add_argument(
        "--layout", default="", help="of the dataset, if it is not told from its files"
    )
    cases.add_argument("--part", default="test", choices=("train", "val", "test"))
    cases.add_argument(
        "--test-list",
        type=Path,
        help="RSCC: file with the pre_image paths of its test part, a line each",
    )
    cases.add_argument(
        "--most", type=int, default=0, help="of the dataset's cases, evenly taken; 0: all"
    )
    cases.add_argument(
        "--workers",
        type=int,
        default=1,
        help="runs at a time, in processes of their own where more than one",
    )
    cases.add_argument(
        "--judge",
        choices=("judge", "vision-language"),
        default="",
        help="also VIEScore, by the service or the "
        "model on this machine that 'models set' names so",
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
    cases.set_defaults(run=_cases)
    _add_folder_and_models(cases)


def _add_change_detection(kinds: argparse._SubParsersAction) -> None:
    change = kinds.add_parser(
        "change-detection",
        help="does augmentation with edited pairs help to find damage? (Table II)",
    )
    change.add_argument(
        "--data", type=Path, required=True, help="folder of pairs in the layout of ABCD or xBD"
    )
    change.add_argument(
        "--pairs", default="5,10,30,50", help="numbers of real damaged pairs to train on"
    )
    change.add_argument("--seeds", type=int, default=3, help="trainings a number")
    change.add_argument(
        "--undamaged", type=int, default=30, help="intact pairs in each training (published: 30)"
    )
    change.add_argument(
        "--generated", type=float, default=1.0, help="edited pairs a real damaged one"
    )
    change.add_argument(
        "--editor",
        default="text",
        help="makes the edited pairs from intact ones by the prompt, as published (text); sinddm, "
        "damage or any other; 'pasted' lays real damaged ground in, without words",
    )
    change.add_argument(
        "--prompt", default="a picture of ground after tsunami", help="the default is the paper's"
    )
    change.add_argument(
        "--option", action="append", default=[], metavar="NAME=VALUE", help="of the editor"
    )
    change.add_argument("--steps", type=int, default=150, help="of each training, 16 pairs a step")
    change.add_argument(
        "--size", type=int, default=128, help="side of a pair's pictures, in pixels"
    )
    change.add_argument(
        "--width", type=int, default=64, help="channels of the first stage: 64 is ResNet-18"
    )
    change.add_argument(
        "--test-pairs", type=int, default=400, help="at most so many pairs to test on"
    )
    change.set_defaults(run=_change_detection)
    _add_folder_and_models(change)


def _add_distribution(kinds: argparse._SubParsersAction) -> None:
    spread = kinds.add_parser("distribution", help="Frechet distance and class score (MMM-RS)")
    spread.add_argument("--real", type=Path, required=True, help="folder of real pictures")
    spread.add_argument("--made", type=Path, required=True, help="folder of pictures to judge")
    spread.add_argument(
        "--inception",
        type=Path,
        help="Inception v3 weights (pt_inception-2015-12-05): the published figures",
    )
    spread.add_argument(
        "--images",
        type=int,
        default=500,
        help="at most so many a side, at random; 500 as published",
    )
    spread.set_defaults(run=_distribution)
    _add_folder_and_models(spread)


def _add_layers(kinds: argparse._SubParsersAction) -> None:
    layers = kinds.add_parser(
        "layers", help="what changed between two rasters of one ground, inside and outside polygons"
    )
    layers.add_argument("before", type=Path)
    layers.add_argument(
        "after", type=Path, help="brought onto the grid of the first where it has another"
    )
    layers.add_argument(
        "--polygons",
        type=Path,
        help="GeoJSON file: where change was asked for; without, everywhere",
    )
    layers.add_argument(
        "--crs", default="", help="CRS of the polygons (default: the GeoJSON's, EPSG:4326)"
    )
    layers.set_defaults(run=_layers)


def _add_folder_and_models(parser: argparse.ArgumentParser) -> None:
    """What every experiment takes that writes a folder."""
    parser.add_argument(
        "--output", type=Path, required=True, help="folder for the table, pictures and settings"
    )
    parser.add_argument(
        "--home",
        type=Path,
        default=default_home(),
        help="folder in which models are named and kept",
    )
    add_models(parser)


def _layers(given: argparse.Namespace) -> int:
    from ..experiments import compare

    polygons = polygons_for(given.polygons, given.before, given.crs) if given.polygons else None
    print(json.dumps(compare.compared(given.before, given.after, polygons).to_json(), indent=1))
    return 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def _folder(path: Path) -> Iterator[Path]:
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


def _single_image(given: argparse.Namespace) -> int:
    from ..experiments import single_image_cases
    from ..experiments.benchmark import protocol as protocols

    editors = Editors(models_of(given))
    protocol = protocols.read(given.cases, editors)
    with _folder(given.output) as folder:
        path = single_image_cases.run(editors, protocol, folder, _say)
    print(path.read_text("utf8"))
    return 0


def _cases(given: argparse.Namespace) -> int:
    from ..experiments import benchmark
    from ..experiments.benchmark import protocol

    if not 1 <= given.workers <= MOST_WORKERS:
        raise BadRequest(f"--workers {given.workers}: 1 to {MOST_WORKERS} are taken.")
    terms = benchmark.Terms(
        Editors(models_of(given)),
        given.workers,
        None,
        given.judge,
        tuple(given.price) if given.price else None,
        given.accept_cost,
    )
    tables = protocol.tables()
    if given.table and given.table not in tables:
        raise BadRequest(f"--table {given.table}: there are {', '.join(tables)}.")
    if given.most < 0:
        raise BadRequest(f"--most {given.most}: not negative.")
    pairs = (
        protocol.Data(given.data, given.layout, given.part, given.most, given.test_list)
        if given.data
        else None
    )
    page = benchmark.run(
        tables[given.table] if given.table else given.cases, given.output, terms, _say, pairs
    )
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
    edited = [row for row in found["rows"] if row["system"] not in protocol.REFERENCES]
    return int(bool(edited) and all(row["failed"] == row["runs"] for row in edited))


def _distribution(given: argparse.Namespace) -> int:
    from ..experiments import distribution

    with _folder(given.output) as folder:
        path = distribution.run(
            (given.real, given.made), given.inception, given.images, folder, _say
        )
    print(path.read_text("utf8"))
    return 0


def _change_detection(given: argparse.Namespace) -> int:
    from ..experiments import augmentation

    try:
        counts = tuple(int(number) for number in given.pairs.split(","))
    except ValueError as error:
        raise BadRequest(f"--pairs {given.pairs}: write whole numbers, as 5,10,30,50.") from error
    if min(counts) < 2 or min(given.seeds, given.steps, given.undamaged) < 1:
        raise BadRequest(
            "--pairs must be at least 2 each, --seeds, --steps and --undamaged at least 1."
        )
    editors = Editors(models_of(given))
    options = dict(option(text) for text in given.option)
    maker = augmentation.Maker(given.editor, given.prompt, options, given.generated)
    if given.editor != augmentation.PASTED:
        editor = editors.get(given.editor)
        editor.check(given.prompt, editor.parse(options))
    how = augmentation.Experiment(
        editors,
        maker,
        counts,
        given.undamaged,
        given.seeds,
        given.steps,
        (given.size, given.width, given.test_pairs),
    )
    with _folder(given.output) as folder:
        path = augmentation.run(given.data, how, folder, _say)
    print(path.read_text("utf8"))
    return 0
