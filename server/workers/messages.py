"""What is said between the server and its workers: JSON, so that neither side runs what the other
sends.

A worker that reads a hostile file is not trusted: lengths are bounded, and errors come as names and
sentences.
"""

from __future__ import annotations

import json
from multiprocessing.connection import Connection
from typing import Any

from ..contract.message import ContractError
from ..ground import errors
from ..ground.errors import Dismissed, ServerError, as_no_space
from ..jobs.workplace import Fault

LONGEST = 64_000_000
"""Bytes of one message."""
LONGEST_SENTENCE = 4000
TOO_DEEP = "Something in the request is nested too deeply to be read."


def send(line: Connection, message: dict[str, Any]) -> None:
    """Send one message; raises OSError where nobody hears it."""
    line.send_bytes(json.dumps(message, separators=(",", ":")).encode())


def receive(line: Connection) -> dict[str, Any]:
    """Wait for one message; raises EOFError where the other side has ended, ValueError for what is
    no message."""
    found = json.loads(line.recv_bytes(LONGEST))
    if not isinstance(found, dict):
        raise ValueError("no message")
    return found


def as_message(error: Exception, trace: str) -> dict[str, Any]:
    """An error as a message. `trace`: told only of what is a fault of the program."""
    error = as_no_space(error) or error
    said = str(error)[:LONGEST_SENTENCE]
    if isinstance(error, Dismissed):
        return {"dismissed": True}
    if isinstance(error, MemoryError):
        return {"memory": True}
    if isinstance(error, RecursionError):
        return {"error": "BadRequest", "said": TOO_DEEP}
    if isinstance(error, ContractError):
        return {"error": "ContractError", "said": said}
    if isinstance(error, ServerError):
        return {
            "error": type(error).__name__,
            "said": said,
            "status": error.status,
            "title": error.title,
        }
    return {"fault": f"{type(error).__name__}: {said}", "trace": trace[-20_000:]}


def as_error(message: dict[str, Any]) -> Exception | None:
    """The error that a message tells of; None: of none."""
    if message.get("dismissed"):
        return Dismissed()
    if message.get("memory"):
        return MemoryError()
    said = str(message.get("said", ""))[:LONGEST_SENTENCE]
    name = message.get("error")
    if name == "ContractError":
        return ContractError(*said.split(": ", 1)) if ": " in said else ContractError("", said)
    if name:
        return _server_error(str(name), said, message)
    if "fault" in message:
        fault = str(message["fault"])[:LONGEST_SENTENCE]
        return Fault(fault, str(message.get("trace", ""))[:20_000])
    return None


def _server_error(name: str, said: str, message: dict[str, Any]) -> ServerError:
    kind = getattr(errors, name, None)
    if isinstance(kind, type) and issubclass(kind, ServerError):
        return kind(said)
    error = ServerError(said)  # a kind of one module's own
    status = message.get("status")
    error.status = status if isinstance(status, int) and 400 <= status < 600 else 500
    error.title = str(message.get("title", ""))[:200] or error.title
    return error
