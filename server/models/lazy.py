"""Libraries whose parts load when they are first asked for, under the one lock for them.

transformers, diffusers and peft import their parts on first use and change torch for the time of a
load; two threads that do so at once get errors such as "cannot import name 'AutoModel'". Everything
of that kind goes through the one lock here.
"""

from __future__ import annotations

import importlib
import threading
from typing import Any

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
