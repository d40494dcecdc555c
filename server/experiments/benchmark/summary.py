"""What the records of a benchmark say: means with their spread and interval, and whether the
measures rank what they claim to.

A case's value is the mean over its seeds. The interval is the middle 95 % of the mean over
resampled cases (percentile bootstrap, Efron 1979), which says how far another set of such cases
might differ; seeds are not resampled.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...evaluation import fid
from ...evaluation.f1_damage import Counts
from .measures import EDIT, Measure
from .protocol import Protocol
from .systems import IDENTITY, NOISE, REFERENCE

RESAMPLES = 1000
MOST_NAMED = 12
FRECHET = "frechet_lite0"
HOLDS = "holds"
UNSURE = "holds in the mean, but may not with other cases"
FAILS = "does not hold"
DRAWS = 60
MOST_DRAWN = 400
"""Resamplings by which a Frechet distance is checked, and of how many cases at most."""


class _Column:
    """Sums and counts of one measure of one system, a case after the other; records of a case lie
    together."""

    def __init__(self) -> None:
        self.cases = array("l")
        self.sums = array("d")
        self.counts = array("l")

    def add(self, case: int, value: float) -> None:
        """One more value of a case."""
        if not self.cases or self.cases[-1] != case:
            self.cases.append(case)
            self.sums.append(0.0)
            self.counts.append(0)
        self.sums[-1] += value
        self.counts[-1] += 1


class Gathered:
    """The numbers of all records, without anything else of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names: dict[str, int] = {}
        self.columns: dict[tuple[str, str], _Column] = defaultdict(_Column)
        self.failures: dict[str, dict[str, int]] = defaultdict(dict)
        self.seconds: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
        self.features: dict[str, dict[int, str]] = defaultdict(dict)
        self.count: dict[str, int] = defaultdict(int)
        self.unjudged: dict[str, dict[str, int]] = defaultdict(dict)
        self.damage: dict[str, Counts] = {}
        self.damage_of_cases: dict[str, array[float]] = defaultdict(lambda: array("d"))

    def add(self, records: Iterable[dict[str, Any]]) -> Gathered:
        """Those of further records."""
        for record in records:
            system = record["system"]
            case = self.names.setdefault(record["case"], len(self.names))
            self.count[system] += 1
            if record["failure"]:
                reasons = self.failures[system]
                reasons[record["failure"]] = reasons.get(record["failure"], 0) + 1
                continue
            for reason in record.get("judged", {}).get("failures", {}).values():
                self.unjudged[system][reason] = self.unjudged[system].get(reason, 0) + 1
            if record.get("damage"):
                counts = Counts(*map(tuple, record["damage"]))
                self.damage[system] = self.damage.get(system, Counts()) + counts
                if any((*counts.hit, *counts.missed)):
                    self.damage_of_cases[system].append(counts.weighted)
            spent = self.seconds[system]
            spent[0] += record["seconds"]
            spent[1] += 1
            # The first seed alone: sets of as many pictures are compared.
            self.features[system].setdefault(case, record["features"])
            for name, value in record["values"].items():
                if value is not None and np.isfinite(value):
                    self.columns[system, name].add(case, value)
        return self

    def values(self, system: str, measure: str) -> dict[int, float]:
        """By the number of the case: its mean over seeds."""
        found = self.columns.get((system, measure))
        if found is None:
            return {}
        return {
            case: total / count
            for case, total, count in zip(found.cases, found.sums, found.counts, strict=True)
        }

    def stacked(self, system: str, cases: Sequence[int]) -> np.ndarray:
        """The features of results of a system (n, d)."""
        return np.stack(
            [
                np.load(self.folder / self.features[system][case], allow_pickle=False)
                for case in cases
            ]
        )


def interval(values: Sequence[float], seed: int = 0) -> tuple[float, float] | None:
    """The middle 95 % of the mean over resampled values; None of fewer than two."""
    found = np.asarray(values, np.float64)
    if len(found) < 2:
        return None
    rng = np.random.default_rng(seed)
    # In parts, so that ten thousand cases take no more memory than a hundred.
    means = [
        found[rng.integers(0, len(found), (50, len(found)))].mean(axis=1)
        for _ in range(RESAMPLES // 50)
    ]
    low, high = np.percentile(np.concatenate(means), (2.5, 97.5))
    return float(low), float(high)


def summed(gathered: Gathered, protocol: Protocol, measures: Sequence[Measure]) -> dict[str, Any]:
    """Rows of the table, and the check of the measures."""
    rows = [_row(system, gathered, measures) for system in protocol.systems]
    checks = [check for measure in measures for check in _checks(measure, gathered, protocol)]
    distances = _distances(gathered, protocol)
    return {
        "rows": rows,
        "checks": checks + _of_distances(gathered, protocol),
        "frechet": distances,
    }


def _row(system: str, gathered: Gathered, measures: Sequence[Measure]) -> dict[str, Any]:
    cells = {}
    (spent, runs) = gathered.seconds[system]
    failures = gathered.failures[system]
    for measure in measures:
        found = list(gathered.values(system, measure.name).values())
        if found:
            low, high = interval(found) or (None, None)
            spread = float(np.std(found, ddof=1)) if len(found) > 1 else None
            cells[measure.name] = {
                "mean": float(np.mean(found)),
                "sd": spread,
                "low": low,
                "high": high,
                "cases": len(found),
            }
    return {
        "system": system,
        "cells": cells,
        "cases": len(gathered.features[system]),
        "runs": gathered.count[system],
        "failed": sum(failures.values()),
        "failures": failures,
        "unjudged": gathered.unjudged[system],
        "damage": _of_damage(gathered.damage.get(system), gathered.damage_of_cases.get(system, ())),
        "seconds": spent / runs if runs else None,
    }


def _of_damage(counts: Counts | None, each: Sequence[float]) -> dict[str, Any] | None:
    """F1_dam of RSEdit over all cases together, weighted F1 of the same and in the mean of the
    cases that have buildings (`each`), and the classes' own (no, minor, major damage,
    destroyed)."""
    if counts is None:
        return None
    return {
        "f1_dam": counts.harmonic,
        "f1_weighted": counts.weighted,
        "f1_weighted_of_cases": None if not each else float(np.mean(each)),
        "f1_classes": list(counts.f1),
    }


def _checks(measure: Measure, gathered: Gathered, protocol: Protocol) -> Iterable[dict[str, Any]]:
    """Of each pair that a measure claims to order: on how many cases, and in the mean, it does."""
    parts = {REFERENCE: REFERENCE, IDENTITY: IDENTITY, NOISE: NOISE, EDIT: protocol.sensible}
    names = list(gathered.names)
    for better, worse in measure.claims:
        first, second = (gathered.values(parts[part], measure.name) for part in (better, worse))
        both = [case for case in first if case in second]
        if not both:
            continue
        gaps = {case: measure.sign() * (first[case] - second[case]) for case in both}
        wrong = sorted((case for case in both if gaps[case] <= 0), key=gaps.__getitem__)
        means = [float(np.mean([side[case] for case in both])) for side in (first, second)]
        yield {
            "measure": measure.name,
            "better": better,
            "worse": worse,
            "cases": len(both),
            "held": len(both) - len(wrong),
            "means": means,
            "verdict": _verdict(list(gaps.values())),
            "wrong": [names[case] for case in wrong[:MOST_NAMED]],
        }


def _verdict(gaps: Sequence[float]) -> str:
    """Whether the mean gap is above 0, and would be with other such cases; of a single case that is
    not known."""
    between = interval(gaps)
    if float(np.mean(gaps)) <= 0:
        return FAILS
    return HOLDS if between is not None and between[0] > 0 else UNSURE


def _distances(gathered: Gathered, protocol: Protocol) -> dict[str, dict[str, Any] | None]:
    """Frechet distance of each system's features from the reference's, on the cases of both, and
    how many those are."""
    found: dict[str, dict[str, Any] | None] = {}
    for system in protocol.systems if len(gathered.features.get(REFERENCE, ())) > 1 else ():
        shared = [
            case for case in gathered.features[system] if case in gathered.features[REFERENCE]
        ]
        found[system] = (
            None
            if len(shared) < 2
            else {
                "value": fid.frechet(
                    gathered.stacked(REFERENCE, shared), gathered.stacked(system, shared)
                ),
                "cases": len(shared),
            }
        )
    return found


def _of_distances(gathered: Gathered, protocol: Protocol) -> list[dict[str, Any]]:
    """Whether the sensible edit is nearer to the reference than nothing done and noise, on the
    cases that all three have."""
    found = []
    rng = np.random.default_rng(0)
    for worse in (IDENTITY, NOISE):
        shared = [
            case
            for case in gathered.features.get(protocol.sensible, {})
            if case in gathered.features.get(worse, {})
            and case in gathered.features.get(REFERENCE, {})
        ]
        if len(shared) < 2:
            continue
        real, first, second = (
            gathered.stacked(name, shared) for name in (REFERENCE, protocol.sensible, worse)
        )
        means = [fid.frechet(real, first), fid.frechet(real, second)]
        gaps = []
        for _ in range(DRAWS if len(shared) <= MOST_DRAWN else 0):
            at = rng.integers(0, len(shared), len(shared))
            gaps.append(fid.frechet(real[at], second[at]) - fid.frechet(real[at], first[at]))
        sure = bool(gaps) and float(np.percentile(gaps, 2.5)) > 0
        verdict = FAILS if means[0] >= means[1] else HOLDS if sure else UNSURE
        found.append(
            {
                "measure": FRECHET,
                "better": EDIT,
                "worse": worse,
                "cases": len(shared),
                "held": None,
                "means": means,
                "verdict": verdict,
                "wrong": [],
            }
        )
    return found
