"""Requests that are almost right, thousands of them: none may be a fault of the server, end it, or
keep others waiting."""

from __future__ import annotations

import copy
import json
import random
import socket
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from .escapes import polygons, small
from .serving import Prober, Serving

ODD: list[Any] = [
    None,
    True,
    0,
    -1,
    1e308,
    -1e308,
    5e-324,
    2**70,
    -(2**70),
    "",
    "\\u0000",
    "\ud800",
    "x" * 5000,
    "../../etc/passwd",
    "/vsicurl/http://127.0.0.1:9/a.tif",
    [],
    {},
    [[]],
    {"a": {"b": {"c": []}}},
    "EPSG:5701",
    "EPSG:4979",
    "EPSG:9999999",
    "IAU_2015:49900",
    "+proj=utm +zone=99",
    "🙂",
    "NaN",
]
DEEP = "[" * 3000 + "]" * 3000
PATHS = (
    "/",
    "/conformance",
    "/api",
    "/processes",
    "/processes/snow",
    "/jobs",
    "/jobs/0",
    "/jobs?limit=2&status=failed",
    "/models",
    "/models/sd15",
    "/interpretations",
    "/ensembles",
    "/searches",
    "/comparisons",
    "/inspections",
    "/rasters",
    "/processes/snow/execution",
)
METHODS = ("GET", "POST", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS", "BREW")
HEADERS = {
    "Range": ("bytes=0-", "bytes=5-1", "bytes=-0", "bytes=a-b", "bytes=" + "0-1," * 500, "lines=1"),
    "If-None-Match": ("*", '"' + "x" * 300 + '"', "\xff"),
    "Content-Type": ("application/json; charset=utf-99", "text/plain", "", "multipart/form-data"),
    "Host": ("evil.example", "127.0.0.1:99999", "[::1", "", "localhost:abc"),
    "Origin": ("http://evil.example", "null"),
    "Authorization": ("", "Bearer", "Basic YTpi", "Bearer " + "x" * 1000, "bearer \xff"),
    "Accept": ("text/html", "*/*;q=x"),
    "Idempotency-Key": ("", "k" * 500, "\xff"),
    "Content-Encoding": ("gzip",),
    "Expect": ("100-continue", "banana"),
}


def bodies(raster: str) -> dict[str, Any]:
    """One good body for each path that takes one."""
    ref = {"path": raster}
    extent = {"xmin": 500000, "ymin": 3999940, "xmax": 500060, "ymax": 4000000, "crs": "EPSG:32617"}
    return {
        "/processes/snow/execution": {
            "inputs": {
                "raster": ref,
                "polygons": polygons(),
                "prompt": "snow",
                "options": {"depth_cm": 20},
                "seed": 3,
                "blend": {"grow_px": 1, "feather_px": 2},
                "band_roles": {"red": 1},
                "extent": extent,
                "protect": polygons(),
                "elevation": ref,
                "output": {"area": "window", "compression": "deflate", "cog": False},
            }
        },
        "/processes/fill/execution": {
            "inputs": {
                "raster": ref,
                "polygons": polygons(),
                "exemplar": {"polygons": polygons(), "raster": ref},
            }
        },
        "/processes/auto/execution": {
            "inputs": {"raster": ref, "polygons": polygons(), "prompt": "flood to the doorsteps"}
        },
        "/processes/generate/execution": {
            "inputs": {
                "raster": {"extent": extent, "gsd_m": 1.0},
                "polygons": polygons(),
                "prompt": "a lake",
            }
        },
        "/interpretations": {"prompt": "snow on the fields", "operation": "", "exemplar": False},
        "/ensembles": {"prompt": "a lake", "source": "templates", "count": 4},
        "/searches": {"raster": ref, "word": "water", "extent": extent, "most": 3},
        "/comparisons": {"before": ref, "after": ref, "polygons": polygons()},
        "/inspections": {"raster": ref},
        "/models/sd15": {"action": "verify"},
    }


def places(value: Any, here: tuple = ()) -> list[tuple]:
    """Where something stands in a JSON value."""
    found = [here]
    if isinstance(value, dict):
        for key, inner in value.items():
            found += places(inner, (*here, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            found += places(inner, (*here, index))
    return found


def changed(value: Any, dice: random.Random) -> Any:
    """The same with something odd in one to three places."""
    value = copy.deepcopy(value)
    for _ in range(dice.choice((1, 1, 1, 2, 3))):
        where = dice.choice(places(value))
        if not where:
            continue
        holder = value
        for step in where[:-1]:
            holder = holder[step]
        how = dice.random()
        if how < 0.2 and isinstance(holder, dict):
            holder[dice.choice(("extra", "__class__", "x" * 300))] = dice.choice(ODD)
        elif how < 0.35:
            del holder[where[-1]]
        elif how < 0.5 and isinstance(holder[where[-1]], list) and holder[where[-1]]:
            holder[where[-1]] = holder[where[-1]] * dice.choice((2, 50))
        else:
            holder[where[-1]] = copy.deepcopy(dice.choice(ODD))
    return value


def text_of(body: Any, dice: random.Random) -> bytes:
    """As JSON, sometimes a broken one, or far too deep."""
    text = json.dumps(body)
    how = dice.random()
    if how < 0.03:
        text = text[: dice.randrange(len(text) or 1)]
    elif how < 0.06:
        text = text.replace('"EPSG:32617"', DEEP, 1)
    elif how < 0.08:
        text = text.replace("3999980", dice.choice(("NaN", "Infinity", "1e999", "9" * 500)), 1)
    elif how < 0.09:
        text = DEEP
    return text.encode("utf8", dice.choice(("surrogatepass", "replace")))


def one(server: Serving, good: dict[str, Any], number: int) -> tuple[int, str]:
    """One odd request: the answer's status, and what it was."""
    dice = random.Random(number)
    if dice.random() < 0.02:
        return raw(server, dice), "raw"
    head: dict[str, str] = {}
    for name in dice.sample(sorted(HEADERS), dice.choice((0, 0, 0, 1, 2))):
        head[name] = dice.choice(HEADERS[name]).encode("utf8", "replace").decode("latin1")
    if dice.random() < 0.8:
        method, path = "POST", dice.choice(sorted(good))
        body = text_of(changed(good[path], dice), dice)
        head.setdefault("Content-Type", "application/json")
    else:
        method = dice.choice(METHODS)
        path = dice.choice(PATHS) + dice.choice(
            ("", "", "?wait=x", "?limit=-1", "/%00", "/../..", "?%ff")
        )
        body = dice.choice((b"", b"{}", b"\xff\xfe", b"x" * 20_000))
    answer = server.call(method, path, body=body, **head)
    what = f"{number}: {method} {path} {head} {body[:300]!r} -> {answer.body[:300]!r}"
    job = answer.json() if answer.status == 201 else None
    if job and dice.random() < 0.5:
        server.call("DELETE", f"/jobs/{job['jobID']}")
    return answer.status, what


def raw(server: Serving, dice: random.Random) -> int:
    """Bytes that are hardly HTTP; the connection may be closed without an answer."""
    text = dice.choice(
        (
            b"GET / HTTP/9.9\r\n\r\n",
            b"\x00" * 100,
            b"GET " + b"/" * 40_000 + b" HTTP/1.1\r\n\r\n",
            b"POST /searches HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
            b"POST /searches HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
            b"POST /rasters HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 5000 + b"\r\n",
            b"GET / HTTP/1.1\nHost: 127.0.0.1\n\n",
        )
    )
    try:
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as line:
            line.sendall(text)
            line.shutdown(socket.SHUT_WR)
            found = line.recv(200)
    except OSError:
        return 0
    return int(found.split()[1]) if found.startswith(b"HTTP/") else 0


def run(folder: Path, count: int, first: int = 0) -> dict[str, float]:
    """So many odd requests; returns what came of them."""
    root = folder / "root"
    root.mkdir()
    good = bodies(str(small(root / "a.tif")))
    server = Serving(folder / "home", root)
    idle_mb = server.resident_mb()
    statuses: Counter[int] = Counter()
    bad = []
    with Prober(server) as prober, ThreadPoolExecutor(4) as pool:
        for status, what in pool.map(lambda n: one(server, good, n), range(first, first + count)):
            statuses[status] += 1
            if status >= 500 and status not in (503, 507):
                bad.append(what)
    for what in bad[:20]:
        print("5xx", what)
    server.stop()
    print("statuses", dict(sorted(statuses.items())))
    return {
        "requests": count,
        "http_500": len(bad),
        "deaths": server.deaths,
        "slow_answers": prober.slow,
        "slowest_answer_s": prober.slowest_s,
        "grown_mb": prober.most_mb - idle_mb,
    }
