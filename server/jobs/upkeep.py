"""What a server does for its home while it runs: states that a full disk did not take are written,
and what is older than its time goes."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from .store import JobStore

log = logging.getLogger(__name__)
EVERY_S = 5.0
CLEAN_EVERY_S = 6 * 3600.0


class Upkeep:
    """A thread that looks after a home until it is told to end.

    `store`: of the jobs. `clean`: drops what is too old.
    """

    def __init__(self, store: JobStore, clean: Callable[[], object]) -> None:
        self.store = store
        self.clean = clean
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="landbrush-upkeep", daemon=True)

    def begin(self) -> None:
        """Clean now, and look after the home from now on."""
        self.clean()
        self._thread.start()

    def end(self) -> None:
        """Stop looking after it."""
        self._end.set()

    def _run(self) -> None:
        cleaned = time.monotonic()
        while not self._end.wait(EVERY_S):
            try:
                self.store.write_what_waits()
                if time.monotonic() - cleaned > CLEAN_EVERY_S:
                    cleaned = time.monotonic()
                    self.clean()
            except Exception:  # the next round may fare better
                log.exception("looking after the home failed")
