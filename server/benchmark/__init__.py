"""Systems on cases with seeds: results, numbers, tables and a page in one folder, which may be stopped and gone on with."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor
from pathlib import Path

from . import networks, protocol, report, runs, summary
from .measures import CHANGES
from .protocol import Protocol
from .runs import Way


def run(cases: Path, folder: Path, workers: int, say: Callable[[str], None]) -> Path:
    """A benchmark as a TOML file says it; returns the page. Raises BadRequest, WeightsMissing before anything is run."""
    return carried_out(protocol.read(cases), folder, workers, say)


def carried_out(
    wanted: Protocol, folder: Path, workers: int, say: Callable[[str], None], executor: Executor | None = None
) -> Path:
    """A benchmark; on `executor` where one is given, else in this process or in `workers` of their own."""
    named = networks.named()
    networks.takers(named)
    folder.mkdir(parents=True, exist_ok=True)
    if executor is None and workers > 1:
        # Not forked: the libraries' threads would be copied in the middle of their work.
        with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
            listed = runs.run(wanted, folder, say, Way(pool, workers))
    else:
        listed = runs.run(wanted, folder, say, Way(executor, workers))
    found = summary.Gathered(folder).add(runs.records(listed))
    measures = (*CHANGES, *networks.measures_of(named))
    return report.write(folder, wanted, measures, summary.summed(found, wanted, measures), runs.records(listed))
