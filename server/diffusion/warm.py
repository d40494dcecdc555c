"""Models kept ready between edits, and let go when memory is needed for another."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

from ..ground.errors import CannotEdit, ModelNotNamed, ServerError
from ..store.catalogue import Entry
from ..store.installed import Store
from . import placement
from .components import Model, release
from .families import family
from .placement import Placement

WITHOUT_WEIGHTS = (
    "tokenizer",
    "tokenizer_2",
    "tokenizer_3",
    "scheduler",
    "image_processor",
    "lora",
)


class WarmModels:
    """The models of a store that are ready to draw, the least lately used first."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._held: OrderedDict[tuple[str, str, str], Model] = OrderedDict()
        self._lock = threading.RLock()

    def acquire(self, entry: Entry, precision: str, tell: Callable[[str], None]) -> Model:
        """The model, kept from before or prepared now; others that are not in use are let go where
        it would not fit beside them.

        Raises ModelNotNamed, ModelRefused, CannotEdit.
        """
        why = self.store.missing_reason(entry)
        if why:
            raise ModelNotNamed(why)
        self.store.check(entry)
        brought = "".join(
            kept.when for one in self.store.lineage(entry) if (kept := self.store.record(one.id))
        )
        key = (str(self.store.folder / entry.id), precision, brought)
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key]
            for other in [k for k in self._held if k[0] == key[0] and k[2] != key[2]]:
                self._drop(other)
            plan = self.placed(entry, precision)
            tell(f"{entry.title} {plan.sentence}")
            self._held[key] = Model(self.store, entry, family(entry.family), plan)
            return self._held[key]

    def estimate(self, entry: Entry) -> str:
        """What an installed model would need now, for the user."""
        try:
            return placement.planned(
                entry.title, self._numbers(entry), entry.work_gb, "automatic"
            ).sentence
        except ServerError as error:
            return str(error)
        except OSError:  # its files are going away
            return ""

    def _numbers(self, entry: Entry) -> dict[str, int]:
        """How many weights each part has."""
        names = dict.fromkeys(
            name
            for one in self.store.lineage(entry)
            for name in one.parts
            if name not in WITHOUT_WEIGHTS
        )
        return {name: placement.numbers_in(self.store.part(entry, name)) for name in names}

    def placed(self, entry: Entry, precision: str) -> Placement:
        """The best placement now, after letting idle models go if that makes it better."""
        numbers = self._numbers(entry)
        while True:
            try:
                plan = placement.planned(entry.title, numbers, entry.work_gb, precision)
            except CannotEdit:
                if not self._drop_oldest():
                    raise
                continue
            if (
                plan.strategy == placement.WHOLE
                and plan.batched_guidance
                or not self._drop_oldest()
            ):
                return plan

    def evict_idle(self) -> None:
        """After a drawing: let idle models go while the machine is short of memory, so that nothing
        else starves for them."""
        with self._lock:
            while placement.short_of_memory() and self._drop_oldest():
                pass

    def _drop_oldest(self) -> bool:
        idle = next((key for key, model in self._held.items() if _is_idle(model)), None)
        if idle is None:
            return False
        self._drop(idle)
        return True

    def _drop(self, key: tuple[str, str, str]) -> None:
        self._held.pop(key, None)
        release()

    def drop(self, model_id: str) -> bool:
        """Let a model go by its name; whether it was held."""
        with self._lock:
            keys = [key for key, model in self._held.items() if model.entry.id == model_id]
            for key in keys:
                self._drop(key)
            return bool(keys)

    def names(self) -> list[str]:
        """The models that are ready."""
        with self._lock:
            return [model.entry.id for model in self._held.values()]


def _is_idle(model: Model) -> bool:
    free = model.lock.acquire(blocking=False)
    if free:
        model.lock.release()
    return free
