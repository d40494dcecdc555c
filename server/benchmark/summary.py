"""What the records of a benchmark say: means with their spread and interval, and whether the measures rank what they claim to.

A case's value is the mean over its seeds. The interval is the middle 95 % of the mean over resampled cases (percentile bootstrap,
Efron 1979), which says how far another set of such cases might differ; seeds are not resampled.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..evaluation import fid
from ..evaluation.f1_damage import Counts
from .measures import EDIT, Measure
from .protocol import IDENTITY, NOISE, REFERENCE, Protocol

RESAMPLES = 1000
MOST_NAMED = 12
FRECHET = "frechet_lite0"
HOLDS, UNSURE, FAILS = "holds", "holds in the mean, but may not with other cases", "does not hold"
Values = dict[str, dict[str, dict[str, float]]]
"""System, measure, case: its mean over seeds."""


class Gathered:
    """The numbers of all records, without anything else of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sums: dict[tuple[str, str, str], list[float]] = {}
        self.failures: dict[str, dict[str, int]] = defaultdict(dict)
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.features: dict[str, list[str]] = defaultdict(list)
        self.count: dict[str, int] = defaultdict(int)
        self.unjudged: dict[str, dict[str, int]] = defaultdict(dict)
        self.damage: dict[str, Counts] = {}

    def add(self, records: Iterable[dict[str, Any]]) -> Gathered:
        """Those of further records."""
        for record in records:
            system = record["system"]
            self.count[system] += 1
            if record["failure"]:
                reasons = self.failures[system]
                reasons[record["failure"]] = reasons.get(record["failure"], 0) + 1
                continue
            for reason in record.get("judged", {}).get("failures", {}).values():
                self.unjudged[system][reason] = self.unjudged[system].get(reason, 0) + 1
            if record.get("damage"):
                self.damage[system] = self.damage.get(system, Counts()) + Counts(*map(tuple, record["damage"]))
            self.seconds[system].append(record["seconds"])
            self.features[system].append(record["features"])
            for name, value in record["values"].items():
                if value is not None and np.isfinite(value):
                    found = self.sums.setdefault((system, name, record["case"]), [0.0, 0.0])
                    found[0] += value
                    found[1] += 1
        return self

    def values(self) -> Values:
        """By system, measure and case."""
        found: Values = defaultdict(lambda: defaultdict(dict))
        for (system, name, case), (total, count) in self.sums.items():
            found[system][name][case] = total / count
        return found

    def stacked(self, system: str) -> np.ndarray:
        """The features of all results of a system (n, d)."""
        return np.stack([np.load(self.folder / path, allow_pickle=False) for path in self.features[system]])


def interval(values: Sequence[float], seed: int = 0) -> tuple[float, float] | None:
    """The middle 95 % of the mean over resampled values; None of fewer than two."""
    found = np.asarray(values, np.float64)
    if len(found) < 2:
        return None
    rng = np.random.default_rng(seed)
    # In parts, so that ten thousand cases take no more memory than a hundred.
    means = [found[rng.integers(0, len(found), (50, len(found)))].mean(axis=1) for _ in range(RESAMPLES // 50)]
    low, high = np.percentile(np.concatenate(means), (2.5, 97.5))
    return float(low), float(high)


def summed(gathered: Gathered, protocol: Protocol, measures: Sequence[Measure]) -> dict[str, Any]:
    """Rows of the table, and the check of the measures."""
    values = gathered.values()
    rows = [_row(system, gathered, values[system], measures) for system in protocol.systems]
    checks = [check for measure in measures for check in _checks(measure, values, protocol)]
    distances = _distances(gathered, protocol)
    return {"rows": rows, "checks": checks + _of_distances(distances, protocol), "frechet": distances}


def _row(system: str, gathered: Gathered, values: dict[str, dict[str, float]], measures: Sequence[Measure]) -> dict[str, Any]:
    cells, spent, failures = {}, gathered.seconds[system], gathered.failures[system]
    for measure in measures:
        found = list(values[measure.name].values())
        if found:
            low, high = interval(found) or (None, None)
            spread = float(np.std(found, ddof=1)) if len(found) > 1 else None
            cells[measure.name] = {"mean": float(np.mean(found)), "sd": spread, "low": low, "high": high, "cases": len(found)}
    return {"system": system, "cells": cells, "cases": len({case for of in values.values() for case in of}),
            "runs": gathered.count[system], "failed": sum(failures.values()), "failures": failures,
            "unjudged": gathered.unjudged[system], "damage": _of_damage(gathered.damage.get(system)),
            "seconds": float(np.mean(spent)) if spent else None}


def _of_damage(counts: Counts | None) -> dict[str, Any] | None:
    """F1_dam of RSEdit over all cases together, weighted F1, and the classes' own (no, minor, major damage, destroyed)."""
    if counts is None:
        return None
    return {"f1_dam": counts.harmonic, "f1_weighted": counts.weighted, "f1_classes": list(counts.f1)}


def _checks(measure: Measure, values: Values, protocol: Protocol) -> Iterable[dict[str, Any]]:
    """Of each pair that a measure claims to order: on how many cases, and in the mean, it does."""
    parts = {REFERENCE: REFERENCE, IDENTITY: IDENTITY, NOISE: NOISE, EDIT: protocol.sensible}
    for better, worse in measure.claims:
        first, second = (values[parts[part]][measure.name] for part in (better, worse))
        both = [case for case in first if case in second]
        if not both:
            continue
        gaps = {case: measure.sign() * (first[case] - second[case]) for case in both}
        wrong = sorted((case for case in both if gaps[case] <= 0), key=gaps.__getitem__)
        means = [float(np.mean([side[case] for case in both])) for side in (first, second)]
        yield {"measure": measure.name, "better": better, "worse": worse, "cases": len(both), "held": len(both) - len(wrong),
               "means": means, "verdict": _verdict(list(gaps.values())), "wrong": wrong[:MOST_NAMED]}


def _verdict(gaps: Sequence[float]) -> str:
    """Whether the mean gap is above 0, and would be with other such cases."""
    between = interval(gaps)
    if float(np.mean(gaps)) <= 0:
        return FAILS
    return HOLDS if between is None or between[0] > 0 else UNSURE


def _distances(gathered: Gathered, protocol: Protocol) -> dict[str, float | None]:
    """Frechet distance of each system's features from the reference's; None where there are too few."""
    if len(gathered.features.get(REFERENCE, ())) < 2:
        return {}
    real = gathered.stacked(REFERENCE)
    return {system: fid.frechet(real, gathered.stacked(system)) if len(gathered.features[system]) > 1 else None
            for system in protocol.systems}


def _of_distances(distances: dict[str, float | None], protocol: Protocol) -> list[dict[str, Any]]:
    found, parts = [], {IDENTITY: IDENTITY, NOISE: NOISE, EDIT: protocol.sensible}
    for better, worse in ((EDIT, IDENTITY), (EDIT, NOISE)):
        first, second = distances.get(parts[better]), distances.get(parts[worse])
        if first is not None and second is not None:
            found.append({"measure": FRECHET, "better": better, "worse": worse, "cases": 1, "held": int(first < second),
                          "means": [first, second], "verdict": HOLDS if first < second else FAILS, "wrong": []})
    return found
