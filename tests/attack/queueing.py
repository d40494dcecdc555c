"""What a long queue costs while many ask how far their jobs are."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from .escapes import polygons, small
from .serving import Serving

MEASURED = 120


def _throughput(server: Serving, first: str) -> float:
    """Jobs a second over so many that end from now on."""
    began, before = time.monotonic(), _ended(server)
    while (now := _ended(server)) - before < MEASURED:
        time.sleep(0.2)
    return (now - before) / (time.monotonic() - began)


def _ended(server: Serving) -> int:
    """How many jobs have a result, counted without asking the server."""
    return sum(1 for _ in (server.home / "jobs").glob("*/manifest.json"))


def run(folder: Path, count: int = 2000, pollers: int = 12) -> dict[str, float]:
    """Jobs a second in a queue of `count`, without and with so many who wait for theirs, in turn;
    the ratio is of the sums."""
    root = folder / "root"
    root.mkdir()
    path = small(root / "a.tif")
    server = Serving(folder / "home", root)
    body = {"inputs": {"raster": {"path": str(path)}, "polygons": polygons()}}
    ids = []
    for _ in range(count):
        ids.append(server.call("POST", "/processes/snow/execution", body).json()["jobID"])
    alone, asked = 0.0, 0.0
    for _ in range(2):
        alone += _throughput(server, ids[0])
        end = threading.Event()
        threads = [
            threading.Thread(target=_poll, args=(server, ids[-1 - n], end)) for n in range(pollers)
        ]
        for thread in threads:
            thread.start()
        asked += _throughput(server, ids[0])
        end.set()
        for thread in threads:
            thread.join()
    server.kill()
    return {"queue": count, "queue_ratio": asked / alone, "queue_jobs_per_s": alone / 2}


def _poll(server: Serving, job: str, end: threading.Event) -> None:
    while not end.is_set():
        server.call("GET", f"/jobs/{job}?wait=2")
