"""`landbrush-server dataset`: text-image datasets from one's own rasters and pictures."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..contract.requests import BAND_ROLES
from ..dataset import KINDS, SCENES
from ..ground.errors import BadRequest


def add_commands(commands: Any) -> None:
    """The parsers of `dataset`'s actions."""
    kinds = commands.add_parser(
        "dataset", help="build a text-to-image dataset from rasters or pictures"
    ).add_subparsers(required=True, metavar="ACTION")
    _add_build(kinds)
    _add_pairs(kinds)
    _add_bitemporal(kinds)
    _add_screen(kinds)


def _add_screen(kinds: argparse._SubParsersAction) -> None:
    screen = kinds.add_parser(
        "screen",
        help="look a built dataset over: a page on which a person keeps or rejects samples and "
        "mends categories (MMM-RS, section 3), and what comes of it",
    )
    screen.add_argument("dataset", type=Path, help="folder of 'dataset build'")
    screen.add_argument(
        "--select", type=int, default=0, help="look at so many, evenly of all kinds; 0: all"
    )
    screen.add_argument("--page", type=Path, default=Path("screening.html"), help="file to write")
    screen.add_argument("--seed", type=int, default=0, help="of the selection")
    screen.add_argument(
        "--answers", type=Path, help="screening.json that the page saved: apply it to the dataset"
    )
    screen.set_defaults(run=_screen)


def _add_build(kinds: argparse._SubParsersAction) -> None:
    build = kinds.add_parser(
        "build", help="standardise to 512 pixels with ground size, prompt and provenance (MMM-RS)"
    )
    build.add_argument(
        "--source",
        type=Path,
        required=True,
        help="folder of rasters and pictures; NAME.txt: a caption",
    )
    build.add_argument(
        "--output", type=Path, required=True, help="folder of the dataset; named again, it goes on"
    )
    build.add_argument(
        "--gsd",
        type=float,
        default=0.0,
        help="ground size of a pixel, in m, of pictures without georeferencing",
    )
    build.add_argument(
        "--nested",
        action="store_true",
        help="also nested crops: each place in several ground sizes",
    )
    build.add_argument(
        "--most-nodata", type=float, default=0.1, help="share of a sample that may be nodata"
    )
    build.add_argument("--licence", default="", help="of the sources, kept with every sample")
    _add_prompt_parts(build)
    build.add_argument(
        "--layout",
        default="plain",
        metavar="NAME",
        help="of a known dataset: mrssc2, inria, nasc-tg2, gid, whu-opt-sar, hrsc2016, "
        "tgrs-hrrsd, fmow, sen1-2, samrs, rsicd, ucm-captions, nwpu-captions, rs5m, skyscript; "
        "automatic: by its folders; plain: any folder",
    )
    build.add_argument(
        "--enlarge",
        default="automatic",
        choices=("automatic", "bicubic", "realesrgan"),
        help="what is smaller than 512 pixels; automatic: Real-ESRGAN, as published, where the "
        "extra 'enlarge' is installed",
    )
    build.add_argument(
        "--scenes",
        nargs="*",
        default=(),
        choices=SCENES,
        help="also each sample in that weather or light",
    )
    build.add_argument(
        "--scenes-by",
        nargs="*",
        default=(),
        metavar="SCENE=FILE",
        help="make a scene by a trained generator (train cyclegan, or CUT's and TPSeNCE's) instead "
        "of the operator: snow=forward.safetensors",
    )
    build.add_argument(
        "--pairs",
        default="sar",
        metavar="KINDS",
        help="other modalities of the same ground, where the dataset has them: sar, nir, or both "
        "(sar,nir); none: leave them out",
    )
    build.add_argument(
        "--both-ways",
        action="store_true",
        help="also colours as what is shown and the other modality as what is drawn",
    )
    build.add_argument(
        "--captioner", default="", metavar="FOLDER", help="BLIP-2 or BLIP, for sources without text"
    )
    build.add_argument(
        "--parquet", type=int, default=0, metavar="N", help="also Parquet files of N samples"
    )
    build.add_argument(
        "--webdataset", type=int, default=0, metavar="N", help="also tar shards of N samples"
    )
    build.set_defaults(run=_build)


def _add_prompt_parts(build: argparse.ArgumentParser) -> None:
    """What the prompts say of every sample."""
    for part, what in (
        ("modality", "first part of the prompts; automatic: satellite or SAR imagery"),
        ("weather", "of all"),
        ("category", "of all"),
        ("satellite", "of all"),
        ("dataset", "name of the source dataset in the prompts"),
    ):
        build.add_argument(
            f"--{part}", default="automatic" if part == "modality" else "", help=what
        )


def _add_pairs(kinds: argparse._SubParsersAction) -> None:
    pairs = kinds.add_parser(
        "pairs", help="pairs of one ground in two modalities, for 'train controlnet'"
    )
    for side, what in (
        ("control", "shown to the network; its grid is kept"),
        ("target", "to be drawn"),
    ):
        pairs.add_argument(f"--{side}", type=Path, required=True, help=f"raster {what}")
        pairs.add_argument(
            f"--{side}-kind", required=True, choices=KINDS, help="as what it is shown"
        )
        pairs.add_argument(
            f"--{side}-band",
            action="append",
            default=[],
            metavar="ROLE=N",
            help="band of a role, from 1",
        )
    pairs.add_argument(
        "--output",
        type=Path,
        required=True,
        help="folder of the pairs; named again, more are added",
    )
    pairs.add_argument("--caption", default="", help="what all of it shows")
    pairs.set_defaults(run=_pairs)


def _add_bitemporal(kinds: argparse._SubParsersAction) -> None:
    dates = kinds.add_parser(
        "bitemporal",
        help="co-registered tiles of one ground at two dates, for 'train rsedit' and 'icedit'",
    )
    dates.add_argument("--before", type=Path, help="raster of the earlier date; its grid is kept")
    dates.add_argument("--after", type=Path, help="raster of the later date, on any grid")
    dates.add_argument(
        "--abcd", type=Path, help="instead of both: folder of ABCD (patch-pairs/, 5fold-list/)"
    )
    dates.add_argument(
        "--output",
        type=Path,
        required=True,
        help="folder of the pairs; named again, more are added",
    )
    dates.add_argument("--caption", default="", help="what changed, in words")
    dates.add_argument(
        "--side", type=int, default=512, help="of a tile, in pixels of the earlier raster"
    )
    dates.add_argument("--val", type=float, default=0.15, help="share of the ground to validate on")
    dates.add_argument("--test", type=float, default=0.15, help="share of the ground to test on")
    dates.add_argument(
        "--no-register", action="store_true", help="do not look for a shift between the two"
    )
    dates.add_argument(
        "--band",
        action="append",
        default=[],
        metavar="ROLE=N",
        help="band of a role, from 1, in both",
    )
    dates.add_argument("--licence", default="", help="of the sources, kept with every tile")
    dates.set_defaults(run=_bitemporal)


def _build(given: argparse.Namespace) -> int:
    from ..dataset import build, shards

    if (
        not 0 <= given.gsd < float("inf")
        or not 0 <= given.most_nodata <= 1
        or min(given.webdataset, given.parquet) < 0
    ):
        raise BadRequest(
            "--gsd, --webdataset and --parquet must not be negative, --most-nodata lies between 0 "
            "and 1."
        )
    parts = {
        part: getattr(given, part)
        for part in ("modality", "weather", "category", "satellite", "dataset")
    }
    by = _generators(given.scenes_by)
    config = build.DatasetConfig(
        given.gsd,
        given.nested,
        given.most_nodata,
        given.licence,
        parts,
        given.layout,
        given.enlarge,
        tuple(dict.fromkeys([*given.scenes, *by])),
        given.captioner,
        by,
        _kinds(given.pairs),
        given.both_ways,
    )
    counts = build.build(
        given.source, given.output, config, lambda text: print(text, file=sys.stderr, flush=True)
    )
    print(
        f"{counts.sources} sources: {counts.samples} samples made, {counts.before} were there, "
        f"{counts.empty} left out for nodata, {counts.refused} sources refused, {counts.twins} "
        "copies of others."
    )
    if given.webdataset and counts.samples + counts.before:
        made = shards.tars(given.output, given.webdataset)
        print(f"{len(made)} shards, {made[0].name} ...")
    if given.parquet and counts.samples + counts.before:
        made = shards.parquet(given.output, given.parquet)
        print(f"{len(made)} Parquet files, {made[0].name} ...")
    return 0


def _generators(given: Sequence[str]) -> dict[str, str]:
    """Paths of generators by scene; raises BadRequest."""
    found = {}
    for text in given:
        scene, sign, path = text.partition("=")
        if scene not in SCENES or not sign or not Path(path).is_file():
            raise BadRequest(
                f"--scenes-by {text}: SCENE=FILE is needed, SCENE one of {', '.join(SCENES)}, and "
                "a file that is there."
            )
        found[scene] = str(Path(path).resolve())
    return found


def _kinds(given: str) -> tuple[str, ...]:
    """The modalities of --pairs; raises BadRequest."""
    kinds = tuple(kind.strip() for kind in given.split(",") if kind.strip() not in ("", "none"))
    if set(kinds) - {"sar", "nir"}:
        raise BadRequest(f"--pairs {given}: sar, nir, or sar,nir.")
    return tuple(dict.fromkeys(kinds))


def _screen(given: argparse.Namespace) -> int:
    from ..dataset import screening

    if given.select < 0:
        raise BadRequest(f"--select {given.select}: not negative.")
    if given.answers is None:
        page = screening.page(given.dataset, given.page, given.select, given.seed)
        print(
            f"{page}\nOpen it in a browser, keep or reject, mend categories, save; then: "
            f"landbrush-server dataset screen {given.dataset} --answers screening.json"
        )
        return 0
    kept, rejected, mended = screening.applied(given.dataset, given.answers)
    print(f"{kept} samples kept, {rejected} rejected, {mended} categories mended.")
    return 0


def _pairs(given: argparse.Namespace) -> int:
    from ..dataset import pairs

    sides = [
        pairs.Side(
            getattr(given, side),
            getattr(given, f"{side}_kind"),
            dict(map(_band, getattr(given, f"{side}_band"))),
        )
        for side in ("control", "target")
    ]
    made = pairs.pairs(sides[0], sides[1], given.output, given.caption)
    print(f"{made} pairs in {given.output}.")
    return 0


def _bitemporal(given: argparse.Namespace) -> int:
    from ..dataset import abcd, bitemporal

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    if bool(given.abcd) == bool(given.before and given.after):
        raise BadRequest("Give --before and --after, or --abcd.")
    if given.side < 16 or min(given.val, given.test) < 0 or given.val + given.test >= 1:
        raise BadRequest(
            "--side must be at least 16, --val and --test not negative and less than 1 together."
        )
    if given.abcd:
        counts = abcd.patches(given.abcd, given.output, say)
    else:
        config = bitemporal.PairConfig(
            given.side,
            given.caption,
            (given.val, given.test),
            not given.no_register,
            given.licence,
            tuple(map(_band, given.band)),
        )
        counts = bitemporal.tiles(given.before, given.after, given.output, config, say)
    print(
        f"{given.output}: "
        + ", ".join(f"{count} to {part}" for part, count in counts.items())
        + "."
    )
    return 0


def _band(text: str) -> tuple[str, int]:
    role, _, number = text.partition("=")
    if role not in BAND_ROLES or not number.isdigit():
        raise BadRequest(f"'{text}': ROLE=N is needed, ROLE one of {', '.join(BAND_ROLES)}.")
    return role, int(number)
