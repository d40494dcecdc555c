"""Running a training at the command line: it says its steps, and a first Ctrl-C ends it with
nothing lost."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..training.kept import KeptTraining


def trained(
    trainer: KeptTraining,
    look: Callable[[int, int], None] = lambda step, steps: None,
    loud: bool = True,
) -> Path:
    """Train, or go on, and say so; `loud`: not where another process speaks."""
    tell = say if loud else lambda text: None
    if trainer.step:
        tell(f"going on after step {trainer.step}")

    asked: list[int] = []

    def wait(number: int, frame: Any) -> None:
        """The first Ctrl-C ends the training after its step; the second at once."""
        if asked:
            raise KeyboardInterrupt
        asked.append(number)
        tell("stopping after this step ...")

    def on_step(step: int, steps: int, loss: float) -> None:
        tell(f"step {step}/{steps} loss {loss:.4f}")
        if asked:
            raise KeyboardInterrupt
        look(step, steps)

    before = (
        signal.signal(signal.SIGINT, wait)
        if threading.current_thread() is threading.main_thread()
        else None
    )
    try:
        return trainer.run(on_step)
    finally:
        if before is not None:
            signal.signal(signal.SIGINT, before)


def say(text: str) -> None:
    """To the person at the terminal."""
    print(text, file=sys.stderr, flush=True)
