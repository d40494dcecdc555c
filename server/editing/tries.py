"""An edit that is judged by its own numbers: what does not look like what was asked for is tried
again from other exemplars, a few times, and the best is kept with a plain word."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..contract.editors import AUTO
from ..contract.jobs import BESIDE, MANIFEST_FILE
from ..contract.manifest import Manifest
from ..editors.fill import EITHER, LAYER, LIBRARY, REPEATS, REPEATS_FROM, Fill
from ..editors.registry import Editors
from ..ground.errors import CannotEdit, NotFoundInLayer, ServerError
from ..ground.files import write_json
from ..operators.plots import HOUSES, PARKING, VINES
from ..operators.rows import PANELS
from ..words import land_cover
from .growing import grown
from .meant_part import NAMED
from .path import Job, Progress, edit

LEAST = 0.15
"""Share of the places inside that have to look like the word."""
TRIES = 3
FURTHER = 7919
"""What lies between the seeds of tries."""
AGAIN = "again"
FILL = Fill.info.id
SAID_TOO = {"word", "keep_objects"}
PLANNED: dict[str, tuple[str, dict[str, str]]] = {
    "parking": ("plots", {"thing": PARKING}),
    "residential": ("plots", {"thing": HOUSES}),
    "vineyard": ("plots", {"thing": VINES}),
    "solar": ("rows", {"thing": PANELS}),
}
"""What is made by a plan, by its word: the editor and its options."""


def edit_well(job: Job, editors: Editors, folder: Path, progress: Progress) -> Manifest:
    """The same as `path.edit`, again from other exemplars where the result does not look like the
    word that was asked for."""
    whole = grown(job, editors, folder, progress)
    laid_out = _by_plan(whole.job, editors, folder, progress)
    if laid_out is not None:
        return _noted(laid_out, folder, *whole.notes) if whole.notes else laid_out
    best = edit(whole.job, editors, folder, progress)
    if whole.notes:
        best = _noted(best, folder, *whole.notes)
    if not _failed(best):
        return best
    tried = 1
    for other in itertools.islice(_others(job, best), TRIES - 1):
        beside = folder / AGAIN
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir()
        try:
            made = edit(other, editors, beside, progress)
        except (ServerError, MemoryError):  # there is a result already
            continue
        else:
            tried += 1
            if _better(made, best):
                _take(beside, folder)
                best = made
        finally:
            shutil.rmtree(beside, ignore_errors=True)
        if not _failed(best):
            return best
    return _told(best, tried, folder)


def _by_plan(job: Job, editors: Editors, folder: Path, progress: Progress) -> Manifest | None:
    """What words ask for that has a plan, laid out where the layer shows nothing of the kind; None
    where they ask for something else, or it would not show."""
    request = job.request
    if job.process_id != AUTO or request.exemplar is not None or set(request.options) - SAID_TOO:
        return None
    found = editors.models.interpret(request.prompt, request.operation)
    word = str(found.options.get("word") or found.operation)
    if not found.sure or found.own or found.editor != FILL or word not in PLANNED:
        return None
    # Of a polygon whose lawns alone are meant, or whose houses stay, no plan knows.
    if found.protect or found.from_class in NAMED:
        return None
    title = editors.get(PLANNED[word][0]).info.title
    note = f"'{word}' was laid out by plan ({title})."
    if word in land_cover.SEARCHABLE:
        options = {**request.options, "look_in": LAYER}
        try:
            made = edit(replace(job, request=replace(request, options=options)), editors, folder,
                        progress)  # fmt: skip
        except NotFoundInLayer:
            note = (
                f"The layer shows no '{word}' to copy from near the polygon, so it was laid out by "
                f"plan ({title})."
            )
        else:
            if not _failed(made):
                return made
            note = (
                f"What the layer shows of '{word}' gave no good fill, so it was laid out by plan "
                f"({title})."
            )
    editor, options = PLANNED[word]
    planned = replace(request, options=dict(options), operation="")
    try:
        made = edit(replace(job, request=planned, process_id=editor), editors, folder, progress)
    except CannotEdit:
        return None
    more = "For exemplars of the library choose Fill like there (option look_in)."
    return _noted(made, folder, f"{note} {more}")


def _share(manifest: Manifest) -> float:
    found = manifest.quality.scene_agreement if manifest.quality else None
    return 1.0 if found is None else found


def _failed(manifest: Manifest) -> bool:
    """Whether the result does not look like the word that it was copied for, or is the same few
    pixels again and again."""
    searched = manifest.editor == FILL and manifest.search is not None
    if not searched:
        return False
    return _share(manifest) < LEAST or (_repeated(manifest) > REPEATS and _ample(manifest))


def _ample(manifest: Manifest) -> bool:
    """Whether there is enough to copy from that other exemplars might not repeat themselves."""
    found = manifest.search
    assert found is not None
    return found.pixels * REPEATS_FROM > manifest.gate.pixels_inside


def _repeated(manifest: Manifest) -> float:
    return float(manifest.editor_facts.get("repeated", 0.0))


def _better(one: Manifest, other: Manifest) -> bool:
    """Whether one result is better than another: looks like its word, then does not repeat."""
    if (_share(one) < LEAST) != (_share(other) < LEAST):
        return _share(one) >= LEAST
    if _share(one) >= LEAST:
        return _repeated(one) < _repeated(other)
    return _share(one) > _share(other)


def _others(job: Job, first: Manifest) -> Iterator[Job]:
    """The same from the library, where the layer gave no good exemplar, then from other chips."""
    request = job.request
    options: dict[str, Any] = {**request.options}
    of_layer = first.search is not None and not first.search.chips
    if of_layer and options.get("look_in", EITHER) == EITHER:
        options["look_in"] = LIBRARY
        yield replace(job, request=replace(request, options=options))
    for turn in range(1, TRIES):
        seed = (request.seed + turn * FURTHER) % 2**31
        yield replace(job, request=replace(request, options=options, seed=seed))


def _take(beside: Path, folder: Path) -> None:
    """The files of a better try in place of those that are there."""
    made = {new.name for new in beside.iterdir() if new.is_file()}
    for name in made:
        (beside / name).replace(folder / name)
    for name in set(BESIDE.values()) - made:
        (folder / name).unlink(missing_ok=True)


def _told(manifest: Manifest, tried: int, folder: Path) -> Manifest:
    """The best of all tries, with a plain word."""
    assert manifest.search is not None
    if _share(manifest) >= LEAST:
        return manifest  # it says by itself that it repeats
    tries = "one try" if tried == 1 else f"{tried} tries, of which this is the best"
    note = (
        f"It hardly looks like {manifest.search.word}, by its own measure, after {tries}. Look at "
        "it before you use it; draw an exemplar, or try another seed."
    )
    return _noted(manifest, folder, note)


def _noted(manifest: Manifest, folder: Path, *notes: str) -> Manifest:
    """A result's manifest with more to tell, first."""
    told = replace(manifest, notes=(*notes, *manifest.notes))
    write_json(folder / MANIFEST_FILE, told.to_json())
    return told
