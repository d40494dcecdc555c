"""Where published datasets keep their pairs: folders, lists, captions and parts, as their authors
describe them.

ABCD's files hold both dates in six bands; `dataset bitemporal --abcd` makes pictures of them first.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...ground.errors import BadRequest
from . import rscc
from .pairs import PARTS, TEST, TRAIN, VAL, EditPair

LOG = logging.getLogger(__name__)
OURS = "pairs.jsonl"
XBD_PARTS = {"train": TRAIN, "tier1": TRAIN, "tier3": TRAIN, "hold": VAL, "test": TEST}
DAMAGES = (
    ("destroyed", "destroyed"),
    ("major-damage", "severely damaged"),
    ("minor-damage", "slightly damaged"),
    ("no-damage", "unharmed"),
)
UNTOLD = "Apply the change described in the image pair."
"""The instruction that RSEdit's benchmark takes for a pair without a sentence."""
PICTURES = (".png", ".tif", ".tiff", ".jpg", ".jpeg")


def read(folder: Path, layout: str = "", test_list: Path | None = None) -> list[EditPair]:
    """The pairs below a folder, in a stable order; those whose pictures are missing are left out
    and counted in the log. Raises BadRequest where there are none.

    `layout`: one of LAYOUTS; empty: told from what lies there. `test_list`: file with the
    `pre_image` paths or names, a line each, that are RSCC's test part; None: its test_set.txt,
    where that lies there.
    """
    name = told(folder, layout)
    try:
        found = list(LAYOUTS[name][1](folder))
    except (
        ValueError,
        KeyError,
        TypeError,
        IndexError,
        AttributeError,
        UnicodeDecodeError,
    ) as error:
        raise BadRequest(
            f"{folder} is not laid out as {name}: {type(error).__name__} {error}."
        ) from error
    if test_list is None and name == "rscc" and (folder / rscc.TEST_LIST).is_file():
        test_list = folder / rscc.TEST_LIST
    if test_list is not None:
        found = _by_list(found, folder, test_list)
    if not found:
        raise BadRequest(f"{folder} holds no pair in the layout {name}.")
    return _there(found, folder)


def told(folder: Path, layout: str = "") -> str:
    """The layout of a folder, as it is named or by what lies there; raises BadRequest."""
    if not folder.is_dir():
        raise BadRequest(f"{folder} is no folder.")
    name = layout or next((name for name, (fits, _) in LAYOUTS.items() if fits(folder)), "")
    if name not in LAYOUTS:
        raise BadRequest(
            f"{folder} is laid out as none of {', '.join(LAYOUTS)}"
            + (f" ('{name[:40]}')." if name else ".")
            + " 'dataset bitemporal' makes pairs of two rasters."
        )
    return name


def _there(found: list[EditPair], folder: Path) -> list[EditPair]:
    """The pairs whose pictures are there; what is missing is told and left out. Raises BadRequest
    where none is."""
    lacking = [
        next((path for path in (pair.control, pair.path) if not path.is_file()), None)
        for pair in found
    ]
    gone = [path for path in lacking if path is not None]
    if len(gone) == len(found):
        raise BadRequest(
            f"{folder}: none of its {len(found)} pairs is there; {gone[0]} is listed and missing."
        )
    if gone:
        LOG.warning(
            "%s: %d of %d pairs are left out, since a picture is listed and not there (%s ...).",
            folder, len(gone), len(found), gone[0],
        )  # fmt: skip
    there = [pair for pair, path in zip(found, lacking, strict=True) if path is None]
    bare = [pair for pair in there if pair.labels is not None and not pair.labels.is_file()]
    if bare:
        LOG.warning(
            "%s: the labels of %d pairs are listed and not there (%s ...).",
            folder, len(bare), bare[0].labels,
        )  # fmt: skip
    return [
        replace(pair, labels=None) if pair.labels and not pair.labels.is_file() else pair
        for pair in there
    ]


def _lines(path: Path) -> Iterator[Mapping[str, Any]]:
    with path.open(encoding="utf8") as stream:
        for line in stream:
            if line.strip():
                yield json.loads(line)


def _ours(folder: Path) -> Iterator[EditPair]:
    for line in _lines(folder / OURS):
        if line["part"] not in PARTS:
            raise ValueError(f"part '{line['part']}'")
        yield EditPair(
            folder / line["after"], str(line["caption"]), folder / line["before"], part=line["part"]
        )


def _by_list(pairs: list[EditPair], folder: Path, test_list: Path) -> list[EditPair]:
    try:
        wanted = {line.strip() for line in test_list.read_text("utf8").splitlines() if line.strip()}
    except (OSError, UnicodeDecodeError) as error:
        raise BadRequest(f"{test_list} cannot be read: {error}.") from error
    meant, unknown = rscc.named(wanted, pairs, folder)
    if unknown:
        raise BadRequest(
            f"{test_list}: {len(unknown)} of {len(wanted)} pictures are not in the dataset "
            f"({min(unknown)} ...)."
        )
    return [
        replace(pair, part=TEST) if tested else pair
        for pair, tested in zip(pairs, meant, strict=True)
    ]


def _xbd(folder: Path) -> Iterator[EditPair]:
    """xBD (xView2): PART/images/X_pre_disaster.*, X_post_disaster.*,
    PART/labels/X_post_disaster.json; captions count damage."""
    for part in [name for name in XBD_PARTS if (folder / name / "images").is_dir()] or [""]:
        images = folder / part / "images"
        for before in sorted(
            p for p in images.glob("*_pre_disaster.*") if p.suffix.lower() in PICTURES
        ):
            stem = before.name.rsplit("_pre_disaster", 1)[0]
            after = images / before.name.replace("_pre_disaster", "_post_disaster")
            labels = folder / part / "labels" / f"{stem}_post_disaster.json"
            caption = _damage(json.loads(labels.read_text("utf8"))) if labels.is_file() else ""
            yield EditPair(
                after,
                caption,
                before,
                part=XBD_PARTS.get(part, TRAIN),
                labels=labels if labels.is_file() else None,
            )


def _damage(labels: Mapping[str, Any]) -> str:
    """A sentence of xBD's labels: what happened, and to how many buildings."""
    kinds = [feature["properties"].get("subtype", "") for feature in labels["features"]["xy"]]
    event = str(labels.get("metadata", {}).get("disaster_type", "disaster")).replace("-", " ")
    counts = [(kinds.count(kind), words) for kind, words in DAMAGES]
    told = [f"{count} {words}" for count, words in counts if count]
    whole = sum(count for count, _ in counts)
    if not whole:
        return f"after the {event}: no buildings"
    return f"after the {event}: of {whole} building{'s' if whole > 1 else ''} " + ", ".join(told)


def _captioned(
    folder: Path, listed: Path, place: Callable[[Mapping[str, Any]], Path]
) -> Iterator[EditPair]:
    """A list in Karpathy's form: images[].filename, split, sentences[].raw; one pair for each
    different sentence, as it stands but for blanks at its ends. The first is the one that RSEdit's
    benchmark takes (its Table 3)."""
    for one in json.loads(listed.read_text("utf8"))["images"]:
        where = place(one)
        said: dict[str, str] = {}
        for sentence in one["sentences"]:
            raw = str(sentence["raw"]).strip()
            said.setdefault(" ".join(raw.split()).rstrip(" ."), raw)
        for sentence in said.values() or (UNTOLD,):
            yield EditPair(
                where / "B" / one["filename"],
                sentence,
                where / "A" / one["filename"],
                part={"val": VAL, "test": TEST}.get(one["split"], TRAIN),
            )


def _levir(folder: Path) -> Iterator[EditPair]:
    """LEVIR-CC: images/PART/A and B, LevirCCcaptions.json."""
    yield from _captioned(
        folder, folder / "LevirCCcaptions.json", lambda one: folder / "images" / one["split"]
    )


def _second(folder: Path) -> Iterator[EditPair]:
    """SECOND-CC: PART/rgb/A and B, SECOND-CC-AUG.json."""
    yield from _captioned(
        folder, folder / "SECOND-CC-AUG.json", lambda one: folder / one["split"] / "rgb"
    )


def _magicbrush(folder: Path) -> Iterator[EditPair]:
    """MagicBrush: PART/edit_turns.json with input, output, instruction; local_descriptions.json;
    pictures in PART/images/ID."""
    parts = {"train": TRAIN, "dev": VAL, "test": TEST}
    for part in [name for name in parts if (folder / name / "edit_turns.json").is_file()] or [""]:
        told = folder / part / "local_descriptions.json"
        local = json.loads(told.read_text("utf8")) if told.is_file() else {}
        for turn in json.loads((folder / part / "edit_turns.json").read_text("utf8")):
            number = turn["input"].split("-")[0]
            images = folder / part / "images" / number
            yield EditPair(
                images / turn["output"],
                str(turn["instruction"]),
                images / turn["input"],
                part=parts.get(part, TEST),
                outcome=str(local.get(number, {}).get(turn["output"], "")),
            )


def _is_rscc(folder: Path) -> bool:
    first = next(iter(sorted(folder.glob("*.jsonl"))), None)
    try:
        return first is not None and "change_caption" in next(rscc.lines(first), {})
    except ValueError:
        return False


CAPTIONED = ("levir-cc", "second-cc")
"""Layouts that say the same change in several sentences."""
Fits = Callable[[Path], bool]
Reads = Callable[[Path], Iterator[EditPair]]
LAYOUTS: dict[str, tuple[Fits, Reads]] = {
    "pairs": (lambda folder: (folder / OURS).is_file(), _ours),
    "rscc": (_is_rscc, rscc.pairs),
    "levir-cc": (lambda folder: (folder / "LevirCCcaptions.json").is_file(), _levir),
    "second-cc": (lambda folder: (folder / "SECOND-CC-AUG.json").is_file(), _second),
    "magicbrush": (
        lambda folder: (
            any(folder.glob("*/edit_turns.json")) or (folder / "edit_turns.json").is_file()
        ),
        _magicbrush,
    ),
    "xbd": (
        lambda folder: any((folder / part / "images").is_dir() for part in (*XBD_PARTS, "")),
        _xbd,
    ),
}
