"""A workplace in this process, for programs that hold all of Landbrush: benchmarks, tests of one
part, other software. Nothing is confined, and nothing can be ended by force."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..editors.registry import Editors
from ..ground.settings import Settings
from ..jobs.workplace import Stop, Told
from .tasks import TASKS, Desk


class Here:
    """Does tasks where it is (jobs.workplace.Workplace).

    `editors`: that do them. `settings`: of the server whose files are read; None: any files.
    """

    def __init__(self, editors: Editors, settings: Settings | None = None) -> None:
        self.editors = editors
        self.roots = None if settings is None else settings.roots
        self.uploads = editors.models.home / "uploads" if settings is None else settings.uploads

    def edit(self, given: dict[str, Any], told: Told, stop: Stop) -> dict[str, Any]:
        """Edit in this thread; `stop` is not looked at, the job's own mark is."""
        made: dict[str, Any] = TASKS["edit"](self._desk(told), given)
        return made

    def read(self, task: str, given: dict[str, Any]) -> Any:
        """Do a short task in this thread; its errors come as they are raised."""
        return TASKS[task](self._desk(lambda told: None), given)

    def unload(self, model_id: str) -> None:
        """Drop a model, unless it draws just now."""
        self.editors.models.warm.drop(model_id)

    def warm(self) -> tuple[str, ...]:
        """Models that this process holds."""
        return tuple(self.editors.models.warm.names())

    def held(self) -> tuple[str, ...]:
        """Nothing: this process is not confined."""
        return ()

    def close(self) -> None:
        """Nothing was started, so that nothing is to be ended."""

    def _desk(self, told: Told) -> Desk:
        roots = None if self.roots is None else tuple(map(Path, self.roots))
        return Desk(self.editors, roots, self.uploads, told)
