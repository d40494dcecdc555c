"""MMM-RS's Table 2 and its Figures 6 and 7: systems that draw pictures from the same prompts, by
how near their pictures come to real ones (Frechet Inception distance) and by the Inception score,
and side by side on a page. It may be stopped and gone on with."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from ...editors.registry import Editors
from ...evaluation import features
from ...ground.errors import BadRequest
from . import drawing, report
from .asked import Request, SystemAsked

Say = Callable[[str], None]


@dataclass(frozen=True)
class Terms:
    """How it is run. `editors`: of this server. `real`: folder of real pictures; None: nothing is
    measured. `inception`: weights of Inception v3 of 2015; None: figures by EfficientNet-Lite0
    alone. `workers`: processes that draw, each on a device of its own where there are several.
    `agreed`: whether the user has agreed to what services will cost."""

    editors: Editors
    real: Path | None = None
    inception: Path | None = None
    workers: int = 1
    agreed: bool = False


def run(wanted: Request, folder: Path, terms: Terms, say: Say) -> Path:
    """Draw what is not there yet, measure, and write tables and page; returns the page. Raises
    BadRequest where no system could draw anything."""
    folder.mkdir(parents=True, exist_ok=True)
    _agreed(wanted, folder, terms, say)
    failures = _drawn(wanted, folder, terms, say)
    there = {system.name: list(_pictures(wanted, folder, system)) for system in wanted.systems}
    if not any(there.values()):
        raise BadRequest(f"No system drew anything: {'; '.join(failures.values())}")
    shown = {
        name: report.firsts(folder, paths, len(wanted.prompts)) for name, paths in there.items()
    }
    rows = report.measured(wanted, there, (terms.real, terms.inception), say)
    facts = {
        "title": wanted.title,
        "prompts": len(wanted.prompts),
        "pictures a prompt": wanted.each,
        "seed": wanted.seed,
        "not run": failures or "nothing",
        "asked": list(wanted.prompts),
        "shown": {
            name: [_place(path, folder) if path else "" for path in paths]
            for name, paths in shown.items()
        },
        "pictures": {name: len(paths) for name, paths in there.items()},
    }
    return report.write(wanted, folder, shown, rows, facts)


def _drawn(wanted: Request, folder: Path, terms: Terms, say: Say) -> dict[str, str]:
    """Draw what is not there yet; by system, why something could not be drawn."""
    failures: dict[str, str] = {}
    with _pool(terms.workers) as pool:
        jobs = {
            pool.submit(drawing.drawn, terms.editors, wanted, folder, system, number): system
            for system in wanted.systems
            for number in range(len(wanted.prompts))
            if not isinstance(system.folder, Path)
        }
        for done, job in enumerate(as_completed(jobs), 1):
            system = jobs[job]
            why = job.result()
            if why and failures.get(system.name) != why:
                say(f"{system.name}: {why}")
                failures[system.name] = why
            elif not why:
                say(f"[{done}/{len(jobs)}] {system.name}")
    return failures


def _agreed(wanted: Request, folder: Path, terms: Terms, say: Say) -> None:
    """Say how many pictures services will be asked for; raises BadRequest where the user has not
    agreed to that."""
    for system in wanted.systems:
        named = terms.editors.models.chosen(system.service) if system.service else ""
        if not named:
            continue
        asked = sum(
            not drawing.is_of(
                drawing.path_of(folder, system, number, turn), prompt, wanted.seed + turn
            )
            for number, prompt in enumerate(wanted.prompts)
            for turn in range(wanted.each)
        )
        if not asked:
            continue
        told = f"{system.name}: {asked} pictures will be asked of {named}, which may cost money."
        say(told)
        if not terms.agreed:
            raise BadRequest(f"{told} Agree to that with --accept-cost.")


def _pictures(wanted: Request, folder: Path, system: SystemAsked) -> Iterator[Path]:
    """The pictures of a system, by prompt; of a folder made elsewhere all that lie in it."""
    if system.folder is not None:
        yield from features.pictures_in(system.folder)
        return
    for number in range(len(wanted.prompts)):
        for turn in range(wanted.each):
            path = drawing.path_of(folder, system, number, turn)
            if drawing.is_of(path, wanted.prompts[number], wanted.seed + turn):
                yield path


def _place(path: Path, folder: Path) -> str:
    """Where a picture lies from the results' folder, which may be moved; no more of the machine's
    folders is told than that takes."""
    try:
        return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
    except ValueError:  # on another drive of Windows
        return str(path.resolve())


def _pool(workers: int) -> Executor:
    """Processes, not forked, each with the next device; for one worker a thread of this process,
    which keeps its models."""
    if workers <= 1:
        return ThreadPoolExecutor(1, thread_name_prefix="landbrush-generation")
    context = multiprocessing.get_context("spawn")
    places = context.Queue()
    for number in range(workers):
        places.put(number)
    return ProcessPoolExecutor(workers, context, drawing.on_device, (places,))
