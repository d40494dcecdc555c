"""How alike two folders of pictures are as a whole: Frechet distance and class score, by Inception
or EfficientNet-Lite0.

The published protocol (MMM-RS, section 4) takes 500 pictures a side.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..evaluation import features, fid, inception_score
from ..evaluation.features import Extractor
from ..ground.errors import BadRequest

PUBLISHED = 500
NAMES = {
    "Inception": ("Frechet Inception distance", "Inception score"),
    "EfficientNet-Lite0": (
        "Frechet distance of EfficientNet-Lite0 features",
        "class score by EfficientNet-Lite0",
    ),
}


def run(
    folders: tuple[Path, Path],
    inception: Path | None,
    most: int,
    folder: Path,
    say: Callable[[str], None],
) -> Path:
    """Measure two folders of pictures, real and made; writes distribution.md and distribution.json,
    and returns the first.

    `inception`: weights of the user's, without which only the figures by EfficientNet-Lite0 are
    made, under their own names.
    """
    if most < 2:
        raise BadRequest(f"--images {most}: at least two a side.")
    sides = features.pictures_in(folders[0], most), features.pictures_in(folders[1], most)
    extractors = [
        features.lite0(),
        *([features.of_inception(inception)] if inception else []),
    ]
    measured = [_measured(extractor, sides, say) for extractor in extractors]
    about = {
        "real": str(folders[0]),
        "made": str(folders[1]),
        "pictures": [len(side) for side in sides],
        "figures": measured,
        "warning": measured[0]["warning"],
    }
    (folder / "distribution.json").write_text(json.dumps(about, indent=1), "utf8")
    path = folder / "distribution.md"
    path.write_text(_table(about, bool(inception)), "utf8")
    return path


def _measured(
    extractor: Extractor, sides: tuple[list[Path], list[Path]], say: Callable[[str], None]
) -> dict[str, Any]:
    """Both statistics of one network."""
    say(f"{extractor.name}: {len(sides[0])} and {len(sides[1])} pictures ...")
    (real, real_chances), (made, made_chances) = (
        features.described(extractor, side) for side in sides
    )
    found = fid.distance(real, made)
    (frechet, score) = NAMES[extractor.name]
    return {
        "distance_name": frechet,
        "distance": found.value,
        "low": found.low,
        "high": found.high,
        "warning": found.warning,
        "score_name": score,
        "score_made": inception_score.score(made_chances),
        "score_real": inception_score.score(real_chances),
    }


def _table(about: dict[str, Any], inception: bool) -> str:
    lines = [
        "# Made pictures beside real ones",
        "",
        f"- real: {about['real']} ({about['pictures'][0]} pictures)",
        f"- made: {about['made']} ({about['pictures'][1]} pictures)",
        "",
        "| | value | 95 % by bootstrap |",
        "|---|---|---|",
    ]
    for one in about["figures"]:
        lines.append(
            f"| {one['distance_name']} | {one['distance']:.4g} | {one['low']:.4g} ... "
            f"{one['high']:.4g} |"
        )
        for side in ("made", "real"):
            mean, spread = one[f"score_{side}"]
            lines.append(
                f"| {one['score_name']}, {side} | {mean:.3f} | ± {spread:.3f} over "
                f"{inception_score.SPLITS} parts |"
            )
    if about["warning"]:
        lines += ["", about["warning"]]
    if not inception:
        lines += [
            "",
            "Without --inception there is no Frechet Inception distance and no Inception score; "
            "the figures above are by another network and cannot be compared with published ones.",
        ]
    return "\n".join([*lines, ""])
