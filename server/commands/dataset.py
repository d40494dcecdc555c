"""`landbrush-server dataset`: text-image datasets from one's own rasters and pictures."""

from __future__ import annotations

import argparse
import sys
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
        "tgrs-hrrsd, fmow, sen1-2; "
        "automatic: by its folders; plain: any folder",
    )
    build.add_argument(
        "--enlarge",
        default="bicubic",
        choices=("bicubic", "realesrgan"),
        help="what is smaller than 512 pixels",
    )
    build.add_argument(
        "--scenes",
        nargs="*",
        default=(),
        choices=SCENES,
        help="also each sample in that weather or light",
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
    config = build.DatasetConfig(
        given.gsd,
        given.nested,
        given.most_nodata,
        given.licence,
        parts,
        given.layout,
        given.enlarge,
        tuple(given.scenes),
        given.captioner,
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
