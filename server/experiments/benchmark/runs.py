"""Running a benchmark: every system on every case with every seed, resumable, on the workers of an
executor.

A folder holds `drawn/` (results by the hash of all they depend on), `measured/` (their numbers),
`pictures/` and, when all is done, `results.jsonl`. What lies there is not made again. Memory does
not grow with the number of cases: records go to the disk, and at most a few runs a worker are under
config.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ...editors.registry import Editors
from ...ground.files import whole_file, write_json
from ...models import weights
from ...raster import display
from . import drawing, measures, networks
from .asked import Asked, key_of
from .protocol import Case, Protocol, plain
from .seen import Seen
from .systems import REFERENCE

RESULTS = "results.jsonl"
AHEAD = 4
"""Runs a worker that are handed out before the first is done."""
LONGEST_PX = 640
"""Of a picture on the page."""
Say = Callable[[str], None]


@dataclass(frozen=True)
class Task:
    """One run, complete: it may go to another process. `protocol`: without its cases. `case`: what
    is edited. `asked`: by which system, with which seed. `folder`: of the benchmark. `networks`:
    kind and path of those named by the user. `editors`: with the models of a home. `judge`: a
    judge.Judge; None: nobody judges."""

    protocol: Protocol
    case: Case
    asked: Asked
    folder: Path
    networks: tuple[tuple[str, str], ...]
    editors: Editors
    judge: Any = None

    @property
    def stem(self) -> str:
        """What a person calls this run."""
        return f"{plain(self.case.name)}-{plain(self.asked.system)}-{self.asked.seed}"


@dataclass(frozen=True)
class RunConfig:
    """On what it runs. `editors`: with the models they use. `executor`: takes the runs; None:
    threads of this process. `workers`: how many runs at a time. `judge`: a judge.Judge for the
    pictures; None: nobody judges."""

    editors: Editors
    executor: Executor | None = None
    workers: int = 1
    judge: Any = None


def tasks(editors: Editors, protocol: Protocol, folder: Path, judge: Any = None) -> Iterator[Task]:
    """All runs, case by case."""
    found = tuple(networks.named(editors.models).items())
    bare = replace(protocol, cases=())
    for case in protocol.cases:
        for system in protocol.of(case):
            for seed in protocol.seeds_of(system):
                yield Task(bare, case, Asked(system, seed), folder, found, editors, judge)


def run(protocol: Protocol, folder: Path, say: Say, config: RunConfig) -> Path:
    """Make and measure what is not there yet; returns the list of all records. A run that fails is
    a record with its reason."""
    own = config.executor is None
    executor = config.executor or ThreadPoolExecutor(
        config.workers, thread_name_prefix="landbrush-benchmark"
    )
    waiting: deque[tuple[Task, Future]] = deque()
    draft = folder / f".{RESULTS}"
    total = sum(1 for _ in tasks(config.editors, protocol, folder))
    done = 0
    kept = 0
    told: set[tuple[str, str]] = set()
    try:
        with draft.open("w", encoding="utf8") as out:

            def settle() -> None:
                nonlocal done, kept
                task, future = waiting.popleft()
                record = future.result()
                done = done + 1
                kept = kept + record["kept"]
                out.write(json.dumps(record) + "\n")
                if record["failure"] and (task.asked.system, record["failure"]) not in told:
                    told.add(
                        (task.asked.system, record["failure"])
                    )  # the same reason is said once a system
                    say(
                        f"[{done}/{total}] {task.case.name}: {task.asked.system}: "
                        f"{record['failure']}"
                    )
                elif not record["failure"] and not record["kept"]:
                    say(
                        f"[{done}/{total}] {task.case.name}: {task.asked.system}, seed "
                        f"{task.asked.seed}: {record['seconds']:.1f} s"
                    )

            for task in tasks(config.editors, protocol, folder, config.judge):
                waiting.append((task, executor.submit(measured, task)))
                if len(waiting) >= AHEAD * config.workers:
                    settle()
            while waiting:
                settle()
        if kept:
            say(f"{kept} of {total} results were there already.")
    finally:
        if own:
            executor.shutdown(wait=False, cancel_futures=True)
    os.replace(draft, folder / RESULTS)
    return folder / RESULTS


def records(path: Path) -> Iterator[dict[str, Any]]:
    """The records of a list, one after the other."""
    with path.open(encoding="utf8") as stream:
        for line in stream:
            yield json.loads(line)


def measured(task: Task) -> dict[str, Any]:
    """The record of a run, from the folder where its numbers lie there; `kept` says whether they
    did."""
    base = {
        "case": task.case.name,
        "system": task.asked.system,
        "seed": task.asked.seed,
        "picture": "",
        "beside": "",
        "values": {},
        "seconds": None,
        "features": "",
        "notes": [],
        "failure": "",
        "kept": False,
    }
    try:
        key = _key(task)
        path = task.folder / "measured" / f"{key}.json"
        if path.is_file():
            kept = json.loads(path.read_text("utf8"))
            needed = kept["picture"], kept["features"], f"{kept['beside']}-before.jpg"
            if all((task.folder / name).is_file() for name in needed):
                return {**base, **kept, "kept": True}
        found = _taken(task, path)
    except Exception as error:  # a system that breaks must not take the others' results with it
        return {**base, "failure": f"{type(error).__name__}: {' '.join(str(error).split())}"}
    if not found.get("judged", {}).get("failures"):
        write_json(path, found)  # else what the judge failed at is asked again in the next run
    return {**base, **found}


def _key(task: Task) -> str:
    """By which numbers are known again: the result's hash, and what it is compared with."""
    case = task.case
    files = [(kind, path, weights.state_of(Path(path))) for kind, path in task.networks]
    reference = (
        key_of(task.editors, task.protocol, case, Asked(REFERENCE, 0)) if case.reference else ""
    )
    judge = task.judge.identity() if task.judge else ""
    parts = [
        case.name,
        task.asked.system,
        key_of(task.editors, task.protocol, case, task.asked),
        reference,
        case.caption,
        case.land_cover,
        files,
        judge,
        weights.state_of(case.labels) if case.labels else "",
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def _taken(task: Task, path: Path) -> dict[str, Any]:
    """Draw, measure, and keep pictures and features."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made = drawing.draw_case(
        task.editors, task.protocol, task.case, task.asked, task.folder / "drawn"
    )
    seen = drawing.read_beside(task.case, made)
    shot = measures.Shot(task.case, made, seen)
    models = task.editors.models
    key = ("takers", task.networks)
    takers = models.cached(key, lambda: networks.takers(models, dict(task.networks)))
    features, likeness = networks.lite0(models, shot)
    values = {**measures.measured(shot, takers), **likeness}
    found: dict[str, Any] = {
        "values": values,
        "seconds": made.seconds,
        "notes": made.report.get("notes", []),
        "engine": made.report.get("engine", ""),
        "features": f"measured/{path.stem}.npy",
    }
    counts = networks.damage(models, dict(task.networks), shot)
    if counts:
        found["damage"] = counts
    if task.judge:
        found["judged"] = task.judge.judged(models, shot)
        values.update(found["judged"]["values"])
    found["values"] = {
        name: value if value is not None and np.isfinite(value) else None
        for name, value in values.items()
    }
    _keep(features, path.with_suffix(".npy"))
    found["picture"], found["beside"] = _pictures(task, seen, path.stem)
    return found


def _keep(features: np.ndarray, path: Path) -> None:
    with whole_file(path, lasting=False) as draft:
        np.save(draft, features.astype(np.float32))


def _pictures(task: Task, seen: Seen, key: str) -> tuple[str, str]:
    """What the page shows: the result, and once a case the source, the reference and the polygon's
    outline; the names of the first and, up to their endings, of the others. Each is called by what
    it depends on, so that none is another's."""
    folder = task.folder / "pictures"
    folder.mkdir(exist_ok=True)
    mine = f"{task.stem[:80]}-{key[:10]}.jpg"
    _picture(seen.after, seen, folder / mine)
    digest = hashlib.sha256(
        b"".join(
            part.tobytes() for part in (seen.before, seen.mask, seen.reference) if part is not None
        )
    )
    beside = f"{plain(task.case.name)[:60]}-{digest.hexdigest()[:10]}"
    for name, image in (("before", seen.before), ("reference", seen.reference)):
        path = folder / f"{beside}-{name}.jpg"
        if image is not None and not path.is_file():
            _picture(image, seen, path)
    outline = folder / f"{beside}-outline.png"
    if not outline.is_file():
        _outline(seen.mask, outline)
    return f"pictures/{mine}", f"pictures/{beside}"


def _picture(image: np.ndarray, seen: Seen, path: Path) -> None:
    shown = Image.fromarray(display.picture(image, seen.roles.names))
    with whole_file(path, lasting=False) as draft:
        _sized(shown).save(draft, "JPEG", quality=90)


def _outline(mask: np.ndarray, path: Path) -> None:
    """The polygon's edge in yellow on nothing."""
    inner = mask.copy()
    inner[1:-1, 1:-1] &= mask[2:, 1:-1] & mask[:-2, 1:-1] & mask[1:-1, 2:] & mask[1:-1, :-2]
    pixels = np.zeros((*mask.shape, 4), np.uint8)
    edge = mask & (
        ~inner
        | np.pad(np.zeros((mask.shape[0] - 2, mask.shape[1] - 2), bool), 1, constant_values=True)
    )
    pixels[edge] = (255, 215, 0, 255)
    with whole_file(path, lasting=False) as draft:
        _sized(Image.fromarray(pixels), Image.Resampling.NEAREST).save(draft, "PNG")


def _sized(picture: Image.Image, how: Image.Resampling = Image.Resampling.BICUBIC) -> Image.Image:
    """Large ones shrunk, small ones enlarged by a whole factor, so that a page shows all alike."""
    longest = max(picture.size)
    if longest > LONGEST_PX:
        picture.thumbnail((LONGEST_PX, LONGEST_PX), how)
        return picture
    factor = max(1, LONGEST_PX // longest)
    return picture.resize((picture.width * factor, picture.height * factor), how)
