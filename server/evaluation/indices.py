"""Normalised difference indices of ground before and after, where the bands are there.

NDVI = (nir - red) / (nir + red): Tucker, Remote Sensing of Environment 8, 1979. NDWI = (green -
nir) / (green + nir): McFeeters, International Journal of Remote Sensing 17, 1996.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

BANDS: Mapping[str, tuple[str, str]] = {"ndvi": ("nir", "red"), "ndwi": ("green", "nir")}
"""What is divided by its sum: the first less the second."""

STRIP_ROWS = 512
"""Rows that are looked at in one go, so that it takes little memory."""


@dataclass(frozen=True)
class Change:
    """Of some pixels. `pixels`: how many. `before`, `after`: mean of an index over them, -1 to
    1."""

    pixels: int
    before: float
    after: float


def changes(
    before: np.ndarray, after: np.ndarray, mask: np.ndarray, roles: Sequence[str]
) -> dict[str, Change]:
    """Change of each index that the bands' roles allow, by its name; of native values (C, H, W) as
    the file has them, where the mask (H, W) is set and no band is below 0, before or after. Of
    reflectance that is stored with an offset the index is that of the numbers, not of the
    reflectance."""
    found = {}
    for name, pair in BANDS.items():
        if not all(role in roles for role in pair):
            continue
        first, second = (list(roles).index(role) for role in pair)
        count, sums = 0, np.zeros(2)
        for top in range(0, len(mask), STRIP_ROWS):
            rows = slice(top, top + STRIP_ROWS)
            here = mask[rows]
            old, new = (
                _index(side[first, rows][here], side[second, rows][here])
                for side in (before, after)
            )
            known = np.isfinite(old) & np.isfinite(new)
            count += int(known.sum())
            sums += [old[known].sum(dtype=np.float64), new[known].sum(dtype=np.float64)]
        if count:
            found[name] = Change(count, *(float(total) / count for total in sums))
    return found


def _index(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Not a number where there is no light, or where noise or a correction made it less than
    none."""
    one, other = first.astype(np.float32), second.astype(np.float32)
    total = one + other
    usable = (total > 0) & (one >= 0) & (other >= 0)
    return np.asarray((one - other) / np.where(usable, total, np.nan))


def together(parts: Iterable[Mapping[str, Change]]) -> dict[str, tuple[float, float]]:
    """(before, after) of each index over all parts, each weighed by its pixels."""
    sums: dict[str, list[Change]] = {}
    for part in parts:
        for name, one in part.items():
            sums.setdefault(name, []).append(one)
    found = {}
    for name, all_of in sums.items():
        count = sum(one.pixels for one in all_of)
        before, after = (
            round(sum(one.pixels * getattr(one, side) for one in all_of) / count, 4)
            for side in ("before", "after")
        )
        found[name] = (before, after)
    return found
