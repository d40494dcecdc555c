"""Systems on cases with seeds: results, numbers, tables and a page in one folder, which may be
stopped and gone on with."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ...editors.registry import Editors
from ...ground.errors import BadRequest
from ...store.installed import Store
from . import judge, networks, protocol, report, runs, summary
from .judge import Judge
from .measures import CHANGES
from .protocol import Data, Protocol
from .runs import RunConfig


@dataclass(frozen=True)
class Terms:
    """How it is run. `editors`: of this server, with its models. `workers`: runs at a time, each in
    a process of its own where there are more than one. `executor`: what runs them in place of
    those; None: there is none. `judge`: judge.SERVICE or judge.HERE; empty: nobody judges.
    `questions`: how it is asked, of viescore.QUESTIONS; empty: in VIEScore's structure. `prices`:
    of a million tokens in and out; None: not given. `agreed`: whether the user has agreed to what
    the judge will cost."""

    editors: Editors
    workers: int = 1
    executor: Executor | None = None
    judge: str = ""
    questions: str = ""
    prices: tuple[float, float] | None = None
    agreed: bool = False


def run(
    cases: Path, folder: Path, terms: Terms, say: Callable[[str], None], pairs: Data | None = None
) -> Path:
    """A benchmark as a TOML file says it; returns the page. Raises BadRequest, WeightsMissing
    before anything is run."""
    return carried_out(protocol.read(cases, terms.editors, pairs), folder, terms, say)


def lacking(store: Store, wanted: Protocol) -> list[str]:
    """The systems whose models are not here, in a sentence: their runs will fail, and go on once
    the models are brought."""
    gone = [
        name
        for name, system in wanted.named.items()
        if system.model and store.missing_reason(store.entry(system.model))
    ]
    if not gone:
        return []
    models = ", ".join(dict.fromkeys(wanted.named[name].model for name in gone))
    return [
        f"{len(gone)} of {len(wanted.systems)} systems have no model here ({', '.join(gone)}); "
        f"their runs will fail. Bring {models} ('landbrush-server models list') and run this "
        "again: what is done is kept."
    ]


def carried_out(wanted: Protocol, folder: Path, terms: Terms, say: Callable[[str], None]) -> Path:
    """A benchmark; returns the page."""
    models = terms.editors.models
    named = networks.named(models)
    networks.takers(models, named)
    if not any(wanted.of(case) for case in wanted.cases):
        raise BadRequest("No case asks any system: 'reference' needs a case with a reference.")
    for sentence in lacking(models.store, wanted):
        say(sentence)
    asked = (
        Judge.named(models, terms.judge, folder / "judged", terms.questions)
        if terms.judge
        else None
    )
    if asked:
        judge.agreed(
            sum(1 for _ in runs.tasks(terms.editors, wanted, folder)),
            terms.prices,
            terms.agreed or terms.judge == judge.HERE,
            say,
        )
    folder.mkdir(parents=True, exist_ok=True)
    if terms.executor is None and terms.workers > 1:
        # Not forked: the libraries' threads would be copied in the middle of their work.
        with ProcessPoolExecutor(terms.workers, multiprocessing.get_context("spawn")) as pool:
            listed = runs.run(
                wanted, folder, say, RunConfig(terms.editors, pool, terms.workers, asked)
            )
    else:
        listed = runs.run(
            wanted, folder, say, RunConfig(terms.editors, terms.executor, terms.workers, asked)
        )
    found = summary.Gathered(folder).add(runs.records(listed))
    measures = (*CHANGES, *networks.measures_of(named), *(asked.measures() if asked else ()))
    return report.write(
        folder, wanted, measures, summary.summed(found, wanted, measures), runs.records(listed)
    )
