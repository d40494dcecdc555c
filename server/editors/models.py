"""What editors are given: the models of one home, loaded when they are first needed and kept.

One `Models` is made by a server or a command and handed down; nothing of it is process-wide, so
two of them side by side do not meet.
"""

from __future__ import annotations

import functools
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from ..contract.words import Ensemble, Interpretation
from ..diffusion.warm import WarmModels
from ..library.shelf import LIBRARY, Library
from ..models import image_text, lazy, segmenter
from ..models.image_text import ImageText
from ..models.scene_words import SceneWords
from ..models.segmenter import Segmenter
from ..models.sentences import Sentences
from ..models.weights import ModelFolder
from ..scene.network import SceneNetwork
from ..scene.parse import Understanding
from ..store.catalogue import SEGMENTER
from ..store.installed import Store
from ..words import interpreter, prompts
from ..words.prompts import Writers

T = TypeVar("T")
MOST_KEPT = 64
"""Loaded networks, and results for words and windows, that are kept; the least lately used go."""


class Models:
    """The models of a home.

    `home`: its folder. `folder`: what the user has named and what was learned here. `store`: the
    pretrained models that were brought. `warm`: those of them that are ready to draw. `elsewhere`:
    asks a service on the network for paraphrases, where this process may not.
    """

    def __init__(
        self,
        home: Path,
        given: Mapping[str, str] | None = None,
        elsewhere: Callable[[Ensemble], Ensemble] | None = None,
    ) -> None:
        self.home = home
        self._elsewhere = elsewhere
        self.folder = ModelFolder(home / "models", given)
        self.store = Store(home / "models" / "pretrained")
        self.warm = WarmModels(self.store)
        self.scene_words = SceneWords()
        self.sentences = Sentences()
        self.understanding = Understanding(SceneNetwork())
        self._kept: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process makes its own models of the same home."""
        return models_at, (self.home, tuple(self.folder.given.items()))

    def chosen(self, kind: str) -> str:
        """The path or name that the user gave for a kind of model; empty where none was given."""
        return self.folder.chosen(kind)

    def image_text(self, kind: str = "image-text") -> ImageText | None:
        """The image-text model that the user has named; None where none is. Raises WeightsMissing
        where it is not what it was named as."""
        path = self.chosen(kind)
        return self.image_text_at(Path(path)) if path else None

    def image_text_at(self, path: Path) -> ImageText:
        """The image-text model in a file or folder; raises WeightsMissing."""
        found = path.resolve()
        return self.cached(("image-text", found), lambda: image_text.load(found))

    def segmenter(self) -> Segmenter | None:
        """What outlines things at a click: the first network of its kind that was brought; None
        where none was. Raises WeightsMissing, ModelRefused where it cannot be used."""
        for entry in self.store.list_all().values():
            if entry.outlines and not self.store.missing(entry):
                self.store.check(entry)
                place = self.store.part(entry, SEGMENTER)
                key = ("segmenter", place, place.stat().st_mtime_ns)
                return self.cached(key, functools.partial(segmenter.load, place, entry.title))
        return None

    def interpret(self, prompt: str, chosen: str = "", exemplar: bool = False) -> Interpretation:
        """What words are understood to ask for, see words.interpreter; kept, so that what the
        panel has asked is not made again when the edit is."""
        key = ("interpretation", prompt, chosen, exemplar)
        scores = self.sentences.operation_scores
        found = self.cached(key, lambda: interpreter.interpret(prompt, scores, chosen, exemplar))
        if chosen or exemplar:
            return found
        return interpreter.with_own(found, self.library.own_words())

    @property
    def library(self) -> Library:
        """Exemplars of the home, and those that are shipped."""
        return Library(self.home / LIBRARY)

    def paraphrases(self, prompt: str, source: str = "templates", count: int = 6) -> Ensemble:
        """Sentences that say the same as a prompt, see words.prompts."""
        wanted = Ensemble(prompt, source, count)
        if source == "endpoint" and self._elsewhere is not None:
            return self._elsewhere(wanted)
        return prompts.ensemble(wanted, Writers(self.folder, self._language_model))

    def _language_model(self, path: str) -> tuple[Any, Any]:
        return self.cached(("language", path), lambda: prompts.load_language_model(path))

    def cached(self, key: Hashable, load: Callable[[], T]) -> T:
        """What was loaded for a key, loaded now where it was not; threads that ask meanwhile wait
        for the first, and what is here is given without waiting for other loads. A key holds all
        that the result depends on."""
        found = self._find(key)
        if found is None:
            with lazy.lock:
                found = self._find(key) or self._put(key, load())
        return found[0]

    def _find(self, key: Hashable) -> tuple[Any] | None:
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return (self._kept[key],)

    def _put(self, key: Hashable, value: Any) -> tuple[Any]:
        with self._lock:
            self._kept[key] = value
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
            return (value,)


@functools.lru_cache(maxsize=1)
def models_at(home: Path, given: tuple[tuple[str, str], ...]) -> Models:
    """The models of a home in a worker process, which keeps them from one job to the next."""
    return Models(home, dict(given))
