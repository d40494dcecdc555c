"""Where what reads rasters is done: the seam between the server, which never does it itself, and
its workers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

Told = Callable[[dict[str, Any]], None]
"""Hears what a task tells while it runs."""
Stop = Callable[[], bool]
"""Whether a task is no longer wanted."""


class Lost(Exception):
    """A worker ended in the midst of a task.

    `caused`: whether the task is why: it took too much, or what it read broke the worker; else the
    worker was ended from outside. `final`: whether a second try would end in the same way.
    """

    def __init__(self, said: str, caused: bool, final: bool = False) -> None:
        super().__init__(said)
        self.caused = caused
        self.final = final


class NotStarted(Lost):
    """There was no worker to begin with."""

    def __init__(self, said: str) -> None:
        super().__init__(said, caused=False)


class Fault(Exception):
    """Something that is a fault of the program failed in a worker. `trace`: where."""

    def __init__(self, said: str, trace: str = "") -> None:
        super().__init__(said)
        self.trace = trace


class Workplace(Protocol):
    """Does tasks by their names."""

    def edit(self, given: dict[str, Any], told: Told, stop: Stop) -> dict[str, Any]:
        """Edit a job's raster; one after the other for each device. Raises ServerError, Dismissed,
        MemoryError, Lost, Fault."""

    def read(self, task: str, given: dict[str, Any]) -> Any:
        """A short task that reads files, beside the edits. Raises ServerError, Busy."""

    def unload(self, model_id: str) -> None:
        """Let a pretrained model go, once no edit uses it."""

    def warm(self) -> tuple[str, ...]:
        """Pretrained models that are ready to draw."""

    def held(self) -> tuple[str, ...]:
        """What the system takes from what is done here: memory, files, connections; empty: nothing,
        or nothing has been done yet."""

    def close(self) -> None:
        """End whatever is being done, without waiting for it; nothing is done here afterwards."""
