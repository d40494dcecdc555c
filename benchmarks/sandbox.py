"""What workers cost beside the same edits in one process: processor time of both sides, in turn,
medians of several.

.venv/bin/python benchmarks/sandbox.py
"""

from __future__ import annotations

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent))
from run import figure, raster, request

TURNS = 15
EDITS = (("snow", 128), ("snow", 2048), ("remove", 96))
"""Editors and sides of their polygons, in pixels."""


def _spent(workers: Any) -> float:
    """Processor time of this process and of its workers."""
    total = time.process_time()
    for worker in workers.editing():
        times = psutil.Process(worker._pid).cpu_times()
        total += times.user + times.system
    return total


def main() -> None:
    from landbrush.server.editors.models import Models
    from landbrush.server.editors.registry import Editors
    from landbrush.server.models.weights import ModelFolder
    from landbrush.server.workers.children import Children, Place
    from landbrush.server.workers.here import Here

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = raster(folder / "a.tif", 4096)
        home = folder / "home"
        (home / "models").mkdir(parents=True)
        place = Place(home, reads=(folder,), writes=(folder,))
        workers = Children(place)
        here = Here(Editors(Models(home)))
        began = time.monotonic()
        workers.prepare()
        figure("worker_first_start_s", time.monotonic() - began, "s")
        ModelFolder(home / "models")
        for process, side in EDITS:
            box = (256, 256, 256 + side, 256 + side)
            given = {
                "folder": str(folder / "out"),
                "process": process,
                "request": request(path, box).to_json(),
                "raster": str(path),
                "exemplar": "",
                "elevation": "",
            }
            (folder / "out").mkdir(exist_ok=True)
            apart: list[float] = []
            together: list[float] = []
            for _ in range(TURNS):
                before = _spent(workers)
                workers.edit_by("edit file", given, lambda told: None)
                apart.append(_spent(workers) - before)
                before = time.process_time()
                here.read("edit file", given)
                together.append(time.process_time() - before)
            label = f"{process}_{side}"
            figure(f"edit_in_worker_{label}", 1000 * statistics.median(apart[1:]), "CPU-ms")
            figure(f"edit_in_one_process_{label}", 1000 * statistics.median(together[1:]), "CPU-ms")
            figure(
                f"worker_ratio_{label}",
                statistics.median(apart[1:]) / statistics.median(together[1:]),
                "second and later edits",
            )
        workers.close()


if __name__ == "__main__":
    main()
