"""The socket: who may send how much, before anything of a body is read, and how slowly.

waitress reads bodies whole before the application hears of a request. So the token and the sizes
are looked at as soon as the headers are there, and connections that come to nothing are closed.
"""

from __future__ import annotations

import contextlib
import json
import select
import time
from typing import Any

from flask import Flask
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.server import TcpWSGIServer
from waitress.task import ThreadedTaskDispatcher
from waitress.utilities import Error

from ..contract.jobs import Problem
from ..contract.requests import RASTERS
from ..ground.errors import ServerError
from ..ground.settings import Settings
from .services import Services, check_body, check_token

THREADS = 40
"""That answer: more than ever wait for workers or for changes at a time."""
MOST_CONNECTIONS = 1000 if hasattr(select, "poll") else 400
"""Where the system cannot poll it looks at 512 at most."""
CROWDED = 0.8
"""Of those, from which on connections that have asked nothing yet make place, the oldest first."""
LARGEST_HEADER = 32_768
HEADER_S = 20.0
"""Within which a request's headers are to be there."""
BODY_S, SLOWEST = 60.0, 2_000.0
"""Seconds that any body has to arrive, and bytes a second that a longer one has to keep."""
IDLE_S = 120
DRAINED = 64
"""Pieces of 64 KiB."""
LOOK_EVERY_S = 5
REASONS = {400: "Bad Request", 401: "Unauthorized", 413: "Content Too Large"}


class _Refused(Error):
    """A problem document as an answer of waitress."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.code = problem.status
        self.reason = REASONS.get(problem.status, "Refused")
        self.problem = problem

    def to_response(self, ident: str | None = None) -> tuple[str, list[tuple[str, str]], bytes]:
        """The answer as waitress sends it: status line, headers, body."""
        headers = [("Content-Type", "application/problem+json")]
        if self.code == 401:
            headers.append(("WWW-Authenticate", "Bearer"))
        body = json.dumps(self.problem.to_json()).encode()
        return f"{self.code} {self.reason}", headers, body


def _parser_for(services: Services) -> type[HTTPRequestParser]:
    class Parser(HTTPRequestParser):
        """Refuses a body as soon as its headers tell that it is not taken."""

        def received(self, data: bytes) -> int:
            consumed: int = super().received(data)
            known = hasattr(self, "looked_at") and not self.chunked
            if self.headers_finished and self.error is None and not known:
                self.looked_at = True
                self._look()
            return consumed

        def _look(self) -> None:
            if not (self.content_length or self.chunked):
                self.expect_continue = False  # or a body would be waited for that never comes
                return
            try:
                check_token(services, self.headers.get("AUTHORIZATION", ""))
                raw = self.command == "POST" and self.path == RASTERS.path
                check_body(services, raw, max(self.content_length, self.body_bytes_received))
            except ServerError as error:
                self.error = _Refused(error.problem(self.path))
                self.expect_continue = False
                self.connection_close = True
                self.completed = True

    return Parser


class _Channel(HTTPChannel):
    """A connection that knows since when its request has been arriving."""

    begun = 0.0

    def received(self, data: bytes) -> bool:
        """Take what has arrived."""
        if self.request is None:
            self.begun = time.monotonic()
        return bool(super().received(data))

    def handle_close(self) -> None:
        """Close it; what was sent meanwhile is thrown away first, since the system else throws away
        the answer too."""
        line = self.socket  # none where it was closed before
        with contextlib.suppress(OSError):  # nothing more has come, or nobody is there
            for _ in range(DRAINED if line is not None else 0):
                if not line.recv(65536):
                    break
        super().handle_close()

    def is_late(self, now: float) -> bool:
        """Whether what arrives comes too slowly to wait for it."""
        request = self.request
        if self.requests or request is None:
            return False
        spent = now - self.begun
        if not request.headers_finished:
            return spent > HEADER_S
        return spent > BODY_S + request.body_bytes_received / SLOWEST

    @property
    def asks_nothing(self) -> bool:
        """Whether no request of it is being answered, and none has come with its headers."""
        return not self.requests and (self.request is None or not self.request.headers_finished)


class _Listening(TcpWSGIServer):
    def maintenance(self, now: float) -> None:
        """Close connections that come to nothing."""
        super().maintenance(now)
        moment = time.monotonic()
        channels = list(self.active_channels.values())
        for channel in channels:
            if channel.is_late(moment):
                channel.will_close = True
        crowd = len(channels) - int(CROWDED * MOST_CONNECTIONS)
        idle = sorted((c for c in channels if c.asks_nothing), key=lambda c: c.creation_time)
        for channel in idle[: max(crowd, 0)]:
            channel.will_close = True


def listening(app: Flask, settings: Settings) -> Any:
    """The server of an app, bound to its address: `effective_port`, `run()`."""
    services: Services = app.extensions["landbrush"]
    adjustments = Adjustments(
        host=settings.host,
        port=settings.port,
        threads=THREADS,
        ident="landbrush",
        max_request_body_size=settings.upload_limit_mb * 1_000_000 + 1_000_000,
        max_request_header_size=LARGEST_HEADER,
        connection_limit=MOST_CONNECTIONS,
        channel_timeout=IDLE_S,
        cleanup_interval=LOOK_EVERY_S,
        asyncore_use_poll=True,
    )
    dispatcher = ThreadedTaskDispatcher()
    dispatcher.set_thread_count(adjustments.threads)
    channel = type("Channel", (_Channel,), {"parser_class": _parser_for(services)})
    kind = type("Listening", (_Listening,), {"channel_class": channel})
    connections: dict[int, Any] = {}
    # A name may stand for several addresses; with any free port there is only one.
    places = adjustments.listen if settings.port else adjustments.listen[:1]
    servers = [
        kind(app, connections, dispatcher=dispatcher, adj=adjustments, sockinfo=place)
        for place in places
    ]
    return servers[0]
