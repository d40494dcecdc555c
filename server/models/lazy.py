"""Libraries whose parts load when they are first asked for, and models that are loaded once.

transformers, diffusers and peft import their parts on first use and change torch for the time of a
load; two threads that do so at once get errors such as "cannot import name 'AutoModel'". Everything
of that kind goes through the one lock here.
"""

from __future__ import annotations

import functools
import importlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
lock = threading.RLock()
"""Held while parts of such a library are imported and while a model is loaded with it."""


def parts(library: str, *names: str) -> Any:
    """Members of a library: one for one name, else a tuple."""
    with lock:
        module = importlib.import_module(library)
        found = tuple(getattr(module, name) for name in names)
    return found[0] if len(found) == 1 else found


def quiet_transformers() -> None:
    """No progress bars and warnings of transformers."""
    logging = parts("transformers", "logging")
    logging.set_verbosity_error()
    logging.disable_progress_bar()


class once:  # noqa: N801 - a decorator
    """`@once(most)`: a loader whose results are kept, the last `most` of them; threads that ask
    meanwhile wait for the first."""

    def __init__(self, most: int = 1) -> None:
        self.most = most
        self.kept: OrderedDict[tuple[Any, ...], Any] = OrderedDict()

    def __call__(self, load: Callable[P, T]) -> Callable[P, T]:
        """The loader with its results kept by its positional arguments, and a `cache_clear` that
        forgets them."""

        @functools.wraps(load)
        def loaded(*arguments: P.args, **named: P.kwargs) -> T:
            assert not named, "arguments are told apart by their place"
            try:
                return self.kept[arguments]  # what is here is given without waiting for other loads
            except KeyError:
                pass
            with lock:
                if arguments not in self.kept:
                    self.kept[arguments] = load(*arguments, **named)
                    while len(self.kept) > self.most:
                        self.kept.popitem(last=False)
                return self.kept[arguments]

        loaded.cache_clear = self.kept.clear  # type: ignore[attr-defined]
        return loaded
