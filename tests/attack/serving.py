"""A real server process, and somebody who looks all the time whether it still answers."""

from __future__ import annotations

import contextlib
import http.client
import json
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

ENDED = ("successful", "failed", "dismissed")


@dataclass
class Answer:
    """What came back. `status`: 0 where nothing did."""

    status: int
    body: bytes = b""

    def json(self) -> Any:
        """The body, parsed; none where it is no JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


class Serving:
    """A server of a home and a root; it can be killed and started again."""

    def __init__(self, home: Path, root: Path, *more: str) -> None:
        self.home, self.root, self.more = home, root, more
        self.deaths = 0
        self.lock = threading.Lock()
        self.start()

    def start(self) -> None:
        """Begin it, and wait until it answers."""
        self.log = open(self.home.parent / f"{self.home.name}.log", "ab")  # noqa: SIM115
        self.process = subprocess.Popen(
            [sys.executable, "-m", "landbrush.server", "serve", "--port", "0"]
            + ["--home", str(self.home), "--root", str(self.root), *self.more],
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
        )
        address = json.loads(self.process.stdout.readline())
        self.port = int(address["url"].rpartition(":")[2])
        self.token = Path(address["token_file"]).read_text()

    def call(
        self, method: str, path: str, content: Any = None, body: bytes = b"", **headers: str
    ) -> Answer:
        """One request on a connection of its own."""
        head = {"Authorization": f"Bearer {self.token}", "Connection": "close"}
        if content is not None:
            body = json.dumps(content).encode()
            head["Content-Type"] = "application/json"
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        try:
            line.request(method, path, body or None, {**head, **headers})
            reply = line.getresponse()
            return Answer(reply.status, reply.read())
        except (OSError, http.client.HTTPException):
            self._revive()
            return Answer(0)
        finally:
            line.close()

    def _revive(self) -> None:
        with self.lock:
            if self.process.poll() is not None:
                self.deaths += 1
                self.start()

    def ended(self, job: str) -> dict[str, Any]:
        """The state of a job that has ended."""
        while True:
            info = self.call("GET", f"/jobs/{job}?wait=5").json() or {}
            if info.get("status") in (*ENDED, None):
                return info

    def resident_mb(self) -> float:
        """Memory of the server itself, without its workers."""
        return psutil.Process(self.process.pid).memory_info().rss / 1e6

    def workers(self) -> list[psutil.Process]:
        """Processes in which rasters are read: those below the one they are forked from."""
        with contextlib.suppress(psutil.Error):
            below = psutil.Process(self.process.pid).children(recursive=True)
            return [one for one in below if one.ppid() != self.process.pid]
        return []

    def kill(self) -> None:
        """End it as a machine does that runs out of memory."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """End it in peace."""
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()
        self.log.close()


@dataclass
class Prober:
    """Asks for the landing page all the time. `slow`: answers after more than a second, or none.
    `slowest_s`, `asked`: of how many. `most_mb`: of the server's memory that was seen."""

    server: Serving
    slow: int = 0
    slowest_s: float = 0.0
    asked: int = 0
    most_mb: float = 0.0
    _end: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Prober:
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self.thread.join()

    def _run(self) -> None:
        while not self._end.wait(0.1):
            began = time.monotonic()
            status = self.server.call("GET", "/").status
            spent = time.monotonic() - began
            self.asked += 1
            self.slowest_s = max(self.slowest_s, spent)
            self.slow += spent > 1 or status != 200
            with contextlib.suppress(psutil.Error):
                self.most_mb = max(self.most_mb, self.server.resident_mb())
