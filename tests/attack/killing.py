"""A batch of jobs whose server and workers are killed all the time: every job ends once, with the
result it would have had."""

from __future__ import annotations

import hashlib
import json
import random
import threading
import time
import uuid
from pathlib import Path

import numpy as np
import psutil
import rasterio

from .escapes import polygons, written
from .serving import ENDED, Serving

SIDE = 400


def raster(path: Path) -> Path:
    """A picture that takes some tenths of a second to edit."""
    dice = np.random.default_rng(1)
    return written(path, dice.integers(40, 200, (3, SIDE, SIDE)).astype(np.uint8))


def submit(server: Serving, path: Path, seed: int, key: str) -> str:
    """A job, asked for again with the same key until the server has answered."""
    process = ("snow", "variation", "remove")[seed % 3]
    body = {"inputs": {"raster": {"path": str(path)}, "polygons": polygons(), "seed": seed}}
    while True:
        made = server.call(
            "POST", f"/processes/{process}/execution", body, **{"Idempotency-Key": key}
        )
        if made.status in (200, 201):
            return str(made.json()["jobID"])
        if made.status not in (0, 503):
            raise AssertionError(made)
        time.sleep(0.2)


def states(home: Path) -> dict[str, str]:
    """The states of all jobs, as their folders have them."""
    found = {}
    for folder in (home / "jobs").iterdir():
        if (folder / "status.json").is_file():
            found[folder.name] = json.loads((folder / "status.json").read_text())["status"]
    return found


def run(folder: Path, jobs: int, kills: int, seed: int = 0) -> dict[str, float]:
    """A batch with so many kills -9, half of them of the server itself."""
    dice = random.Random(seed)
    root = folder / "root"
    root.mkdir()
    path = raster(root / "a.tif")
    server = Serving(folder / "home", root)
    done, twice, lost, given_up, rounds = 0, 0, 0, 0, 0
    expected: dict[int, str] = {}
    while done < kills:
        rounds += 1
        keys = [uuid.uuid4().hex for _ in range(jobs)]
        ids: dict[int, str] = {}

        def ask(keys: list[str] = keys, ids: dict[int, str] = ids) -> None:
            for number, key in enumerate(keys):
                ids[number] = submit(server, path, number, key)

        asking = threading.Thread(target=ask)
        asking.start()
        while asking.is_alive() or any(
            state not in ENDED for job, state in states(server.home).items() if job in ids.values()
        ):
            time.sleep(dice.uniform(0.05, 0.6))
            if done < kills:
                done += _killed(server, dice)
        asking.join()
        known = states(server.home)
        twice += len(known) - jobs * rounds
        for number, job in ids.items():
            given_up += known.get(job) == "failed"
            lost += known.get(job) not in ("successful", "failed")
            made = server.home / "jobs" / job / "result.tif"
            if made.is_file():
                digest = hashlib.sha256(_pixels(made)).hexdigest()
                lost += expected.setdefault(number, digest) != digest
    server.stop()
    return {"kills": done, "lost": lost, "twice": twice, "given_up": given_up, "rounds": rounds}


def _killed(server: Serving, dice: random.Random) -> int:
    """Kill the server, or one of its workers; returns how many were."""
    if dice.random() < 0.5:
        with server.lock:
            server.kill()
            server.start()
        return 1
    workers = server.workers()
    if not workers:
        return 0
    try:
        dice.choice(workers).kill()
    except psutil.Error:
        return 0
    return 1


def _pixels(path: Path) -> bytes:
    with rasterio.open(path) as made:
        return bytes(made.read().tobytes())
