"""What a training tells of itself, in a file: one JSON object a line; beside it TensorBoard's
events where that is wished."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from ..ground.errors import BadRequest
from ..ground.files import write_text

METRICS = "metrics.jsonl"
EVENTS = "tensorboard"


class Journal:
    """Lines of numbers by step; what was written after the step from which a training goes on is
    dropped."""

    def __init__(self, folder: Path, step: int, tensorboard: bool = False) -> None:
        self.path = folder / METRICS
        folder.mkdir(parents=True, exist_ok=True)
        kept = [
            line
            for line in (lines(self.path) if self.path.is_file() else [])
            if line["step"] <= step
        ]
        write_text(self.path, "".join(json.dumps(line) + "\n" for line in kept))
        self.events = _writer(folder / EVENTS, step) if tensorboard else None

    def add(self, step: int, **numbers: float | None) -> None:
        """One line; numbers that are not finite are null."""
        line = {
            "step": step,
            **{
                name: value if value is not None and math.isfinite(value) else None
                for name, value in numbers.items()
            },
        }
        with self.path.open("a", encoding="utf8") as out:
            out.write(json.dumps(line) + "\n")
        if self.events is not None:
            for name, value in line.items():
                if name != "step" and value is not None:
                    self.events.add_scalar(name, value, step)
            self.events.flush()


def lines(path: Path) -> list[dict[str, Any]]:
    """All of a file; a last line that was cut off is left out."""
    found = []
    for text in path.read_text("utf8").splitlines():
        try:
            found.append(json.loads(text))
        except ValueError:
            break
    return found


def _writer(folder: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise BadRequest(
            "--tensorboard needs the package tensorboard (pip install tensorboard); metrics.jsonl "
            "is written without it."
        ) from error
    return SummaryWriter(str(folder), purge_step=step + 1)
