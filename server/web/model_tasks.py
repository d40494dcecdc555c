"""The models page behind HTTP: what there is, and bringing, checking and removing in the
background, one act a model."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..contract.models import Model
from ..editors.models import Models
from ..ground.errors import BadRequest, Conflict, Dismissed, Forbidden, ServerError
from ..jobs.workplace import Workplace
from ..store import hub, importing, own
from ..store.catalogue import Entry
from ..store.importing import Arrival
from ..store.installed import OnBytes


@dataclass
class _Act:
    """Something that goes on with a model."""

    name: str
    stop: threading.Event = field(default_factory=threading.Event)
    progress: int = 0
    message: str = ""
    failed: bool = False
    ended: bool = False


class ModelTasks:
    """Knows the models and what goes on with each."""

    def __init__(self, models: Models, place: Workplace) -> None:
        self.store = models.store
        self.warm = models.warm
        self.place = place
        self._acts: dict[str, _Act] = {}
        self._lock = threading.Lock()

    def list_all(self) -> list[Model]:
        """All models, those that an editor uses directly first."""
        found = sorted(self.store.list_all().values(), key=lambda entry: not entry.editors)
        return [self._state(entry) for entry in found]

    def state(self, model_id: str) -> Model:
        """One model; raises UnknownModel."""
        return self._state(self.store.entry(model_id))

    def act(self, wanted: Model, roots: Sequence[Path] | None) -> Model:
        """Begin what is asked for; `roots`: folders that may be imported from (None: any).

        Raises BadRequest, Conflict, Forbidden, LicenceNotAccepted.
        """
        entry = self.store.entry(wanted.id)
        with self._lock:
            going = self._acts.get(entry.id)
            busy = going is not None and not going.ended
            if wanted.action == "stop":
                if busy and going:
                    going.stop.set()
                return self._state(entry)
            if busy and going:
                raise Conflict(
                    f"{entry.title}: '{going.name}' goes on ({going.progress} %). Wait, or stop it."
                )
            if wanted.action == "unload":
                self.place.unload(entry.id)
                return self._state(entry)
            run = self._work(entry, wanted, roots)
            act = self._acts[entry.id] = _Act(wanted.action)
        threading.Thread(
            target=_done, args=(act, run), name=f"landbrush-model-{entry.id}", daemon=True
        ).start()
        return self._state(entry)

    def _work(
        self, entry: Entry, wanted: Model, roots: Sequence[Path] | None
    ) -> Callable[[OnBytes], Any]:
        """What the action does; what can be known to be wrong is refused here."""
        arrival = Arrival(entry, wanted.accept_licence, wanted.revision)
        if wanted.action == "import":
            source = _source(wanted.path, roots)
            importing.check_licence(entry, wanted.accept_licence)
            return lambda told: importing.import_model(
                self.store, replace(arrival, on_bytes=told), source
            )
        if wanted.action == "download":
            importing.check_licence(entry, wanted.accept_licence)
            return lambda told: hub.download(self.store, replace(arrival, on_bytes=told))
        if wanted.action in ("verify", "remove") and self.store.record(entry.id) is None:
            raise BadRequest(
                f"{entry.title} is not on this machine; there is nothing to {wanted.action}."
            )
        if wanted.action == "verify":
            return lambda told: self.store.verify(entry, told)
        if wanted.action == "remove":
            self.place.unload(entry.id)
            return lambda told: own.remove(self.store, entry)
        raise BadRequest("action: none. Say import, download, verify, remove, unload or stop.")

    def _state(self, entry: Entry) -> Model:
        act = self._acts.get(entry.id)
        missing = self.store.missing_reason(entry)
        state = "missing" if missing else "in use" if entry.id in self.place.warm() else "installed"
        if act is not None and not act.ended:
            state = "busy"
        elif act is not None and act.failed and act.name == "verify":
            state = "failed"
        kept = self.store.record(entry.id)
        about = {
            "good_for": entry.good_for,
            "licence": entry.licence,
            "restrictions": entry.restrictions,
            "asks": "yes" if entry.asks else "",
            "source": f"{entry.repo} {entry.revision}".strip(),
            "missing": missing,
            "base": entry.base,
            "native_px": str(entry.native_px),
            "memory": "" if missing else self.warm.estimate(entry),
            "brought": f"{kept.when}, {kept.source}, {kept.bytes / 1e9:.2f} GB" if kept else "",
        }
        return Model(
            entry.id,
            entry.title,
            state,
            entry.editors,
            {k: v for k, v in about.items() if v},
            act.progress if act else 0,
            act.message if act else "",
            outlines=entry.outlines,
        )


def _source(path: str, roots: Sequence[Path] | None) -> Path:
    """The folder or zip to import; raises Forbidden for one outside of what may be read."""
    if not path.strip():
        raise BadRequest(
            "path: empty. Name the folder or zip with the model's files, on the server's machine."
        )
    try:
        source = Path(path).expanduser().resolve()
        there = source.exists()
    except (OSError, ValueError, RuntimeError) as error:
        raise BadRequest(f"path: '{path[:200]}' is not a path ({error}).") from error
    if roots is not None and not any(source.is_relative_to(root.resolve()) for root in roots):
        raise Forbidden(
            f"'{path[:200]}' is not below a folder this server may read. Import the model on the "
            "server's machine: landbrush-server models import."
        )
    if not there:
        raise BadRequest(f"path: there is nothing at '{path[:200]}' on the server's machine.")
    return source


def _done(act: _Act, run: Callable[[OnBytes], Any]) -> None:
    """Run an act to its end; its outcome is a sentence."""

    def told(done: int, total: int, what: str) -> None:
        if act.stop.is_set():
            raise Dismissed
        act.progress = min(int(100 * done / max(total, 1)), 99)
        act.message = what

    try:
        run(told)
        act.progress = 100
        act.message = f"{act.name}: done"
    except Dismissed:
        act.message = f"{act.name}: stopped"
    except ServerError as error:
        act.failed = True
        act.message = str(error)
    except Exception as error:  # a thread's exception would be lost
        act.failed = True
        act.message = f"{act.name} failed ({type(error).__name__}: {error})"
    finally:
        act.ended = True
