"""What a queue of 200 and of 2,000 waiting jobs costs: CPU of one status call, of one page of the
list and of the whole list, and the status files read for them.

.venv/bin/python benchmarks/long_queue.py
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from landbrush.server.contract.jobs import JobInfo
from landbrush.server.contract.requests import EditRequest
from landbrush.server.jobs import store as jobs
from landbrush.server.raster.rasters import Rasters

CALLS = 200
PAGE = 100


def figure(name: str, value: float, unit: str) -> None:
    print(f"figure {name} {value:.4g} {unit}")


def measured(count: int, root: Path) -> None:
    store = jobs.JobStore(root)
    ring = [[0, 0], [1, 0], [1, 1], [0, 0]]
    polygons = {"geometry": {"type": "Polygon", "coordinates": [ring]}}
    request = EditRequest.from_json({"raster": {"path": "/a.tif"}, "polygons": polygons})
    ids = [store.create("snow", request, Rasters(Path("/a.tif")))[0].jobID for _ in range(count)]
    began = time.process_time()
    store = jobs.JobStore(root)
    figure(f"queue_start_{count}", time.process_time() - began, "CPU-s")
    reads: list[Path] = []
    plain = jobs.load_status

    def counted(folder: Path) -> JobInfo:
        reads.append(folder)
        return plain(folder)

    jobs.load_status = counted
    try:
        began = time.process_time()
        for number in range(CALLS):
            assert store.info(ids[-1 - number % 10]).position == count - 1 - number % 10
        figure(f"queue_status_{count}", (time.process_time() - began) / CALLS * 1000, "CPU-ms")
        figure(f"queue_status_files_{count}", len(reads) / CALLS, "files")
        began = time.process_time()
        assert len(list(store.list_all())) == count
        figure(f"queue_list_{count}", (time.process_time() - began) * 1000, "CPU-ms")
        began = time.process_time()
        for _ in range(CALLS // 10):
            assert len(store.page(PAGE)[0]) == PAGE
        figure(
            f"queue_page_{count}", (time.process_time() - began) / (CALLS // 10) * 1000, "CPU-ms"
        )
    finally:
        jobs.load_status = plain


def main() -> None:
    for count in (200, 2000):
        with tempfile.TemporaryDirectory(prefix="landbrush-queue-") as folder:
            measured(count, Path(folder))


if __name__ == "__main__":
    main()
