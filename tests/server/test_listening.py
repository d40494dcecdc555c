"""The socket itself: who may send a body, how much, and how slowly."""

from __future__ import annotations

import dataclasses
import json
import socket
import threading
import time

import pytest
from landbrush.server.web import listening as module
from landbrush.server.web.listening import listening

from tests.server.conftest import TOKEN


@pytest.fixture
def server(app, settings):
    made = listening(app, dataclasses.replace(settings, port=0))
    thread = threading.Thread(target=made.run, daemon=True)
    thread.start()
    yield made
    made.task_dispatcher.shutdown()
    made.asyncore.close_all(made._map)
    thread.join()


def sent(server, head: str) -> socket.socket:
    """A connection on which that was sent, and nothing else."""
    line = socket.create_connection(("127.0.0.1", server.effective_port))
    line.sendall(head.replace("\n", "\r\n").encode())
    return line


def answer(line: socket.socket) -> tuple[int, dict]:
    """Status and JSON of what comes back, once the server has closed the connection."""
    with line:
        found = b"".join(iter(lambda: line.recv(65536), b""))
    head, _, body = found.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body) if body.startswith(b"{") else {}


def head(path="/rasters", method="POST", **fields) -> str:
    lines = {"Host": "127.0.0.1", **{k.replace("_", "-"): v for k, v in fields.items()}}
    return f"{method} {path} HTTP/1.1\n" + "".join(f"{k}: {v}\n" for k, v in lines.items()) + "\n"


GOOD = f"Bearer {TOKEN}"


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"Content_Length": "300000000"}, 401),
        ({"Content_Length": "300000000", "Authorization": "Bearer wrong"}, 401),
        ({"Content_Length": "300000000", "Expect": "100-continue"}, 401),
        ({"Transfer_Encoding": "chunked"}, 401),
        ({"Content_Length": "900000000000", "Authorization": GOOD}, 413),
        ({"Content_Length": "16000001", "Authorization": GOOD, "path": "/searches"}, 400),
        ({"Content_Length": "300000000", "path": "/"}, 401),
    ],
)
def test_a_body_that_is_not_taken_is_refused_before_it_comes(server, fields, status):
    """Nothing of the body is ever sent, so that whoever waits for it waits for ever."""
    path = fields.pop("path", "/rasters")
    got, problem = answer(sent(server, head(path, **fields)))
    assert got == status
    if status != 413:
        assert problem["status"] == status and problem["detail"]


def test_a_body_with_the_token_is_waited_for(server):
    line = sent(
        server,
        head(
            "/interpretations", Content_Length="18", Authorization=GOOD, Connection="close"
        ).replace("Host", "Content-Type: application/json\nHost"),
    )
    line.sendall(b'{"prompt": "snow"}')
    status, found = answer(line)
    assert status == 200 and found["operation"] == "snow"


def test_a_continuation_is_not_waited_for_without_a_body(server):
    status, _ = answer(sent(server, head("/", "GET", Expect="100-continue", Connection="close")))
    assert status == 200


def test_headers_have_a_largest_size(server):
    assert answer(sent(server, head("/", "GET", X="x" * 40_000)))[0] == 431


def channels(server, count=1):
    """The server's connections, once there are so many and what they sent has arrived."""
    while True:
        found = list(server.active_channels.values())
        if len(found) >= count and all(one.request is not None for one in found):
            return found
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("start", "spent", "late"),
    [
        ("GET / HTTP/1.1\nHost: 127", 10, False),
        ("GET / HTTP/1.1\nHost: 127", 21, True),
        (head(Content_Length="1000000", Authorization=GOOD), 50, False),
        (head(Content_Length="1000000", Authorization=GOOD), 61, True),
        (head(Content_Length="1000000", Authorization=GOOD) + "x" * 100_000, 100, False),
        (head(Content_Length="1000000", Authorization=GOOD) + "x" * 100_000, 120, True),
    ],
)
def test_what_comes_too_slowly_is_given_up(server, start, spent, late):
    line = sent(server, start)
    (channel,) = channels(server)
    while start.endswith("x") and channel.request.body_bytes_received < 100_000:
        time.sleep(0.01)
    assert channel.is_late(channel.begun + spent) is late
    channel.begun -= spent
    server.maintenance(time.time())
    assert bool(channel.will_close) is late
    line.close()


def test_connections_that_ask_nothing_make_place(server, monkeypatch):
    """With all places but few taken by half requests, the oldest go, and a request is answered."""
    monkeypatch.setattr(module, "MOST_CONNECTIONS", 10)
    lines = [sent(server, "GET / HTTP/1.1\n") for _ in range(12)]
    found = sorted(channels(server, 12), key=lambda one: one.creation_time)
    server.maintenance(time.time())
    assert [bool(one.will_close) for one in found] == [True] * 4 + [False] * 8
    server.pull_trigger()
    status, _ = answer(sent(server, head("/", "GET", Connection="close")))
    assert status == 200
    for line in lines:
        line.close()
