"""Who waits for a job to change."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
MOST_WAITERS = 16
"""Requests that wait for a change at a time, so that there are always threads that answer."""


class Waiters:
    """Those who wait for changes of jobs; each is woken by its own job alone. `lock`: held by
    whoever changes a job."""

    def __init__(self, lock: threading.RLock) -> None:
        self.lock = lock
        self._count = 0
        self._of: dict[str, threading.Condition] = {}

    def tell(self, job_id: str) -> None:
        """Wake those that wait for a job; the lock is held."""
        waiting = self._of.get(job_id)
        if waiting is not None:
            waiting.notify_all()

    def wait(self, job_id: str, wait_s: float, look: Callable[[], tuple[T, bool]]) -> T:
        """What `look` sees once it says that this was waited for, or after that time; at once where
        very many wait already."""
        until = time.monotonic() + wait_s
        with self.lock:
            seen, done = look()
            if done or self._count >= MOST_WAITERS:
                return seen
            self._count += 1
            waiting = self._of.setdefault(job_id, threading.Condition(self.lock))
            try:
                while not done and (left := until - time.monotonic()) > 0:
                    waiting.wait(left)
                    seen, done = look()
                return seen
            finally:
                self._count -= 1
                if not self._count:
                    self._of.clear()
