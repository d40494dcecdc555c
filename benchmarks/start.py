"""What it costs to begin: a whole edit on the command line, a server until it listens, the first
edit of a server beside the second, and a refusal.

usage: python benchmarks/start.py [PYTHON]     (Linux; the interpreter that has the server)

Processor time and memory are of the whole tree of processes: memory as proportional shares (PSS),
so that what processes share counts once, at the highest seen.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import from_origin

ROOT = Path(__file__).resolve().parents[1]
BECOMES_PARENT = 36
"""PR_SET_CHILD_SUBREAPER of prctl(2): orphans below come here, so that all time is counted."""
LOOK_EVERY_S = 0.03
RUNS = 5
SIDE_PX = 1000
POLYGON_PX = (400, 528)
GSD_M = 0.6
CRS = "EPSG:32615"
CORNER = (364_000.0, 4_102_000.0)


def figure(name: str, value: float, unit: str) -> None:
    print(f"figure {name} {value:.4g} {unit}", flush=True)


def raster(path: Path) -> Path:
    """Meadow, a wood, roofs and a road, 600 m a side."""
    rng = np.random.default_rng(0)
    rows, cols = np.mgrid[:SIDE_PX, :SIDE_PX]
    image = np.array([92, 108, 70])[:, None, None] + 8 * rng.standard_normal((3, SIDE_PX, SIDE_PX))
    wood = (cols > 620) & (rows < 500)
    image[:, wood] = np.array([48, 66, 44])[:, None] + 14 * rng.standard_normal((3, wood.sum()))
    image[:, abs(rows - 540 - cols // 9) < 8] = 150
    for row, col in ((420, 430), (470, 480), (600, 300), (700, 520), (300, 250)):
        image[:, row : row + 22, col : col + 28] = np.array([176, 150, 138])[:, None, None]
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=SIDE_PX,
        height=SIDE_PX,
        count=3,
        dtype="uint8",
        crs=CRS,
        transform=from_origin(*CORNER, GSD_M, GSD_M),
        tiled=True,
        compress="deflate",
    ) as dataset:
        dataset.write(image.clip(0, 255).astype(np.uint8))
    return path


def ring(east_px: int = 0) -> list[list[float]]:
    """The polygon's corners in the layer's CRS, so many pixels to the east."""
    low, high = (CORNER[0] + GSD_M * (at + east_px) for at in POLYGON_PX)
    top, bottom = (CORNER[1] - GSD_M * at for at in POLYGON_PX)
    return [[low, top], [high, top], [high, bottom], [low, bottom], [low, top]]


def shared_kb(root: int) -> int:
    """Proportional memory of all processes below one."""
    below: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError, ValueError):
            continue
        below.setdefault(parent, []).append(int(stat.parent.name))
    total, left = 0, [root]
    while left:
        for child in below.get(left.pop(), ()):
            left.append(child)
            try:
                lines = Path(f"/proc/{child}/smaps_rollup").read_text().splitlines()
            except OSError:
                continue
            total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total


def used_s() -> float:
    """Processor time of all children that have ended."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def run(command: Sequence[str]) -> tuple[float, float, int]:
    """CPU-seconds, megabytes and exit status of a command with all below it."""
    before, peak, ended = used_s(), [0], threading.Event()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def look() -> None:
        while not ended.wait(LOOK_EVERY_S):
            peak[0] = max(peak[0], shared_kb(os.getpid()))

    watch = threading.Thread(target=look)
    watch.start()
    status = process.wait()
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            break
    ended.set()
    watch.join()
    return used_s() - before, peak[0] / 1000, status


def edits(python: str, folder: Path) -> None:
    """Whole edits on the command line, and a refusal."""
    layer = raster(folder / "layer.tif")
    area = folder / "area.geojson"
    crs = {"type": "name", "properties": {"name": CRS}}
    shape = {"type": "Polygon", "coordinates": [ring()]}
    feature = {"type": "Feature", "properties": {}, "geometry": shape}
    area.write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": [feature]}))
    common = [python, "-m", "landbrush.server", "edit", "--polygons", str(area), "--overwrite"]
    common += ["--output", str(folder / "made.tif"), "--home", str(folder / "home")]
    for name, prompt in (
        ("snow", "snow"),
        ("flood", "flooded 1 m"),
        ("remove", "remove the house"),
    ):
        took = [run([*common, "--prompt", prompt, str(layer)]) for _ in range(RUNS)]
        assert not any(status for _, _, status in took), f"{prompt}: an edit failed"
        figure(f"{name}_cpu_s", statistics.median(cpu for cpu, _, _ in took), "s, all processes")
        figure(f"{name}_mb", statistics.median(mb for _, mb, _ in took), "MB, all processes")
    took = [run([*common, "--prompt", "snow", str(folder / "no.tif")]) for _ in range(RUNS)]
    assert all(status == 1 for _, _, status in took), "a file that is not there was not refused"
    figure("refusal_cpu_s", statistics.median(cpu for cpu, _, _ in took), "s")


def asked(address: dict, path: str, body: object = None) -> dict:
    """JSON of the server."""
    token = Path(address["token_file"]).read_text().strip()
    request = urllib.request.Request(
        address["url"] + path,
        None if body is None else json.dumps(body).encode(),
        {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=120) as answer:  # nosec B310: this machine's
        found: dict = json.loads(answer.read())
    return found


def below_s(root: int) -> float:
    """Processor time of the living processes below one."""
    ticks = os.sysconf("SC_CLK_TCK")
    total, left = 0.0, [root]
    parents: dict[int, list[tuple[int, float]]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parts = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        spent = (int(parts[11]) + int(parts[12])) / ticks
        parents.setdefault(int(parts[1]), []).append((int(stat.parent.name), spent))
    while left:
        for child, spent in parents.get(left.pop(), ()):
            left.append(child)
            total += spent
    return total


def server(python: str, folder: Path) -> None:
    """A server from its start to its second edit."""
    layer = raster(folder / "layer.tif")
    begun = time.monotonic()
    command = [python, "-m", "landbrush.server", "serve", "--port", "0", "--root", str(folder)]
    process = subprocess.Popen(
        [*command, "--home", str(folder / "home")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        address = json.loads(process.stdout.readline())
        figure("server_ready_s", time.monotonic() - begun, "s")
        settled = -1.0
        while below_s(os.getpid()) - settled > 0.02:  # until what it prepares is prepared
            settled = below_s(os.getpid())
            time.sleep(1)
        spent = []
        for east_px in (-160, -80, 0, 80):  # another place each time: nothing is remembered of it
            before = below_s(os.getpid())
            shape = {"type": "Polygon", "coordinates": [ring(east_px)]}
            polygons = {"crs": CRS, "geometry": shape}
            request = {"raster": {"path": str(layer)}, "polygons": polygons, "prompt": "snow"}
            inputs = {"inputs": request}
            job = asked(address, "/processes/auto/execution", inputs)["jobID"]
            while asked(address, f"/jobs/{job}")["status"] in ("accepted", "running"):
                time.sleep(0.05)
            assert asked(address, f"/jobs/{job}")["status"] == "successful"
            spent.append(below_s(os.getpid()) - before)
        figure("first_edit_cpu_s", spent[0], "s")
        figure("first_over_later", spent[0] / statistics.median(spent[1:]), "x")
    finally:
        process.terminate()
        process.wait()


def main() -> None:
    python = sys.argv[1] if len(sys.argv) > 1 else sys.executable
    ctypes.CDLL(None).prctl(BECOMES_PARENT, 1, 0, 0, 0)
    with tempfile.TemporaryDirectory() as folder:
        edits(python, Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        server(python, Path(folder))


if __name__ == "__main__":
    main()
