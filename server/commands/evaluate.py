"""`landbrush-server evaluate`: the published experiments, on the user's own data."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from ..editors.registry import Editors
from ..ground.errors import BadRequest
from ..raster.polygon_files import polygons_for
from . import evaluate_cases, evaluate_pictures
from .edit_arguments import option
from .evaluate_folder import add_folder_and_models, new_folder, say
from .home import models_of


def add_commands(commands: argparse._SubParsersAction) -> None:
    """The parsers of `evaluate`'s experiments."""
    evaluate = commands.add_parser("evaluate", help="run a published experiment on your own data")
    kinds = evaluate.add_subparsers(required=True, metavar="EXPERIMENT")
    _add_single_image(kinds)
    evaluate_cases.add_command(kinds)
    _add_change_detection(kinds)
    _add_distribution(kinds)
    _add_layers(kinds)
    evaluate_pictures.add_commands(kinds)


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
    add_folder_and_models(single)


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
    add_folder_and_models(change)


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
    add_folder_and_models(spread)


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


def _layers(given: argparse.Namespace) -> int:
    from ..experiments import compare

    polygons = polygons_for(given.polygons, given.before, given.crs) if given.polygons else None
    print(json.dumps(compare.compared(given.before, given.after, polygons).to_json(), indent=1))
    return 0


def _single_image(given: argparse.Namespace) -> int:
    from ..experiments import single_image_cases
    from ..experiments.benchmark import protocol as protocols

    editors = Editors(models_of(given))
    protocol = protocols.read(given.cases, editors)
    with new_folder(given.output) as folder:
        path = single_image_cases.run(editors, protocol, folder, say)
    print(path.read_text("utf8"))
    return 0


def _distribution(given: argparse.Namespace) -> int:
    from ..experiments import distribution

    with new_folder(given.output) as folder:
        path = distribution.run(
            (given.real, given.made), given.inception, given.images, folder, say
        )
    print(path.read_text("utf8"))
    return 0


def _change_detection(given: argparse.Namespace) -> int:
    from ..experiments import augmentation

    try:
        counts = tuple(int(number) for number in given.pairs.split(","))
    except ValueError as error:
        raise BadRequest(f"--pairs {given.pairs}: write whole numbers, as 5,10,30,50.") from error
    maker = augmentation.Maker(
        given.editor, given.prompt, dict(option(text) for text in given.option), given.generated
    )
    how = augmentation.Experiment(
        Editors(models_of(given)),
        maker,
        counts,
        given.undamaged,
        given.seeds,
        given.steps,
        (given.size, given.width, given.test_pairs),
    )
    with new_folder(given.output) as folder:
        path = augmentation.run(given.data, how, folder, say)
    print(path.read_text("utf8"))
    return 0
