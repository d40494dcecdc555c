"""Models kept ready between edits, and let go when memory is needed for another."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

from ..ground.errors import CannotEdit, ModelNotNamed, ServerError
from ..store import shelf
from ..store.catalogue import Entry
from . import placement
from .components import Model, release
from .placement import Placement

_held: OrderedDict[tuple[str, str, str], Model] = OrderedDict()
_lock = threading.RLock()
WITHOUT_WEIGHTS = (
    "tokenizer",
    "tokenizer_2",
    "tokenizer_3",
    "scheduler",
    "image_processor",
    "lora",
)


def held(entry: Entry, precision: str, tell: Callable[[str], None]) -> Model:
    """The model, kept from before or prepared now; others that are not in use are let go where it
    would not fit beside them.

    Raises ModelNotNamed, ModelRefused, CannotEdit.
    """
    why = shelf.why_not(entry)
    if why:
        raise ModelNotNamed(why)
    shelf.check(entry)
    brought = "".join(kept.when for one in shelf.lineage(entry) if (kept := shelf.record(one.id)))
    key = (str(shelf.folder() / entry.id), precision, brought)
    with _lock:
        if key in _held:
            _held.move_to_end(key)
            return _held[key]
        for other in [k for k in _held if k[0] == key[0] and k[2] != key[2]]:
            _drop(other)
        plan = placed(entry, precision)
        tell(f"{entry.title} {plan.sentence}")
        _held[key] = Model(entry, plan)
        return _held[key]


def estimate(entry: Entry) -> str:
    """What an installed model would need now, for the user."""
    try:
        return placement.planned(entry.title, _numbers(entry), entry.work_gb, "automatic").sentence
    except ServerError as error:
        return str(error)
    except OSError:  # its files are going away
        return ""


def _numbers(entry: Entry) -> dict[str, int]:
    """How many weights each part has."""
    names = dict.fromkeys(
        name for one in shelf.lineage(entry) for name in one.parts if name not in WITHOUT_WEIGHTS
    )
    return {name: placement.numbers_in(shelf.part(entry, name)) for name in names}


def placed(entry: Entry, precision: str) -> Placement:
    """The best placement now, after letting idle models go if that makes it better."""
    numbers = _numbers(entry)
    while True:
        try:
            plan = placement.planned(entry.title, numbers, entry.work_gb, precision)
        except CannotEdit:
            if not _drop_oldest():
                raise
            continue
        if plan.strategy == placement.WHOLE and plan.together or not _drop_oldest():
            return plan


def ease() -> None:
    """After a drawing: let idle models go while the machine is short of memory, so that nothing
    else starves for them."""
    with _lock:
        while placement.short_of_memory() and _drop_oldest():
            pass


def _drop_oldest() -> bool:
    idle = next((key for key, model in _held.items() if _is_idle(model)), None)
    if idle is None:
        return False
    _drop(idle)
    return True


def _is_idle(model: Model) -> bool:
    free = model.lock.acquire(blocking=False)
    if free:
        model.lock.release()
    return free


def _drop(key: tuple[str, str, str]) -> None:
    _held.pop(key, None)
    release()


def drop(model_id: str) -> bool:
    """Let a model go by its name; whether it was held."""
    with _lock:
        keys = [key for key, model in _held.items() if model.entry.id == model_id]
        for key in keys:
            _drop(key)
        return bool(keys)


def names() -> list[str]:
    """The models that are ready."""
    with _lock:
        return [model.entry.id for model in _held.values()]
