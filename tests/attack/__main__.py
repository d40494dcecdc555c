"""All attacks, long: `make attack`. Prints `figure NAME VALUE` lines; exit status 1 where something
got through.

usage: python -m tests.attack [part ...]     parts: escapes requests rasters kills queue
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from . import escapes, fuzzing, killing, mutating, queueing

PARTS: dict[str, Callable[[Path], dict[str, float]]] = {
    "escapes": lambda folder: escapes.run(folder, 4),
    "requests": lambda folder: fuzzing.run(folder, 25_000),
    "rasters": lambda folder: mutating.run(folder, 2500),
    "kills": lambda folder: killing.run(folder, 60, 100),
    "queue": queueing.run,
}
SUMMED = ("http_500", "deaths", "slow_answers")
"""Figures that several parts have."""
NONE = ("secret_reads", "connections", *SUMMED, "lost", "twice", "given_up")
"""Figures that must be 0."""
MOST_GROWN_MB = 200
LEAST_RATIO = 0.8


def main(names: list[str]) -> int:
    """Run parts by their names, all without any."""
    found: dict[str, float] = {}
    for name in names or PARTS:
        began = time.monotonic()
        print(f"{name} ...", flush=True)
        with tempfile.TemporaryDirectory(prefix="landbrush-attack-") as folder:
            made = PARTS[name](Path(folder))
        print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)
        for key, value in made.items():
            if key in SUMMED:
                found[key] = found.get(key, 0) + value
            else:
                found[key] = max(found.get(key, 0), value)
    for key, value in found.items():
        print(f"figure {key} {value:.4g}", flush=True)
    bad = [key for key in NONE if found.get(key)]
    bad += ["grown_mb"] if found.get("grown_mb", 0) > MOST_GROWN_MB else []
    bad += ["queue_ratio"] if found.get("queue_ratio", 1) < LEAST_RATIO else []
    if bad:
        print(f"attack: got through: {', '.join(bad)}", file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
