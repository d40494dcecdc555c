"""Asking an OpenAI-compatible service that the user has named: paraphrases, judgements. Nothing is
asked without that.

The key goes to the named host and to no other, and not without encryption beyond this machine.
"""

from __future__ import annotations

import base64
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from ..ground.errors import BadRequest, CannotEdit
from ..ground.settings import LOOPBACK
from ..models.weights import ModelFolder

TIMEOUT_S = 60
LARGEST_ANSWER = 64_000_000
"""Bytes; a picture of 2048 pixels is 20 million as text."""
PAUSES_S = (0.0, 2.0, 8.0, 30.0)
"""Before each try of a service that may be busy."""
T = TypeVar("T")


class NoAnswer(CannotEdit):
    """The service failed. `answered`: HTTP's status; 0: there was none. `again`: whether it may
    answer the next time."""

    def __init__(self, text: str, answered: int = 0, again: bool = False) -> None:
        super().__init__(text)
        self.answered = answered
        self.again = again


def patiently(ask: Callable[[], T]) -> T:
    """What a service gives, asked again where it was busy; raises NoAnswer."""
    *before, last = PAUSES_S
    for pause in before:
        time.sleep(pause)
        try:
            return ask()
        except NoAnswer as error:
            if not error.again:
                raise
    time.sleep(last)
    return ask()


@dataclass(frozen=True)
class Answer:
    """What a language model said. `text`: its answer. `asked_tokens`, `said_tokens`: that question
    and answer took; 0: not told."""

    text: str
    asked_tokens: int = 0
    said_tokens: int = 0


@dataclass(frozen=True)
class Endpoint:
    """A service with OpenAI's interface for conversations. `name`: what the user calls it in
    settings and errors. `url`: up to the version, without a slash at its end. `model`: that
    answers. `key`: sent as a bearer token; empty: none."""

    name: str
    url: str
    model: str
    key: str = ""

    @classmethod
    def named(cls, folder: ModelFolder, kind: str) -> Endpoint | None:
        """The one that the user has named for a kind ('endpoint', 'judge'); None where there is
        none. Raises BadRequest."""
        url = folder.chosen(kind).rstrip("/")
        if not url:
            return None
        parts = urlsplit(url)
        key = key_of(folder, kind)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BadRequest(f"{kind}: '{url[:100]}' is no http or https address.")
        if parts.username or parts.password or parts.query:
            raise BadRequest(
                f"{kind}: name the address without user, password or query; a key goes into "
                f"{kind}-key-file."
            )
        if parts.scheme == "http" and parts.hostname not in LOOPBACK and key:
            raise BadRequest(
                f"{kind}: the key is not sent to {parts.hostname} without encryption; use https."
            )
        return cls(kind, url, folder.chosen(f"{kind}-model") or "default", key)

    def complete(
        self, messages: Sequence[dict[str, Any]], temperature: float, timeout_s: float = TIMEOUT_S
    ) -> Answer:
        """The answer to a conversation; raises NoAnswer."""
        body = {"model": self.model, "temperature": temperature, "messages": list(messages)}

        def read(found: Any) -> Answer:
            used = found.get("usage") or {}
            text = found["choices"][0]["message"].get("content")
            if not isinstance(text, str):
                raise NoAnswer(
                    f"The {self.name} {self.url} refused: {str(found['choices'][0])[:200]}"
                )
            return Answer(
                text, int(used.get("prompt_tokens") or 0), int(used.get("completion_tokens") or 0)
            )

        return self._asked("chat/completions", body, read, timeout_s)

    def picture(self, prompt: str, size: str = "1024x1024", timeout_s: float = 300) -> bytes:
        """A picture of a text, as the bytes of its file (/images/generations); raises NoAnswer."""
        body = {"model": self.model, "prompt": prompt, "n": 1, "size": size}

        def read(found: Any) -> bytes:
            coded = found["data"][0].get("b64_json")
            if not isinstance(coded, str):
                raise NoAnswer(
                    f"The {self.name} {self.url} gave no picture in its answer (b64_json); what "
                    "lies elsewhere is not fetched."
                )
            return base64.b64decode(coded, validate=True)

        try:
            coded = {**body, "response_format": "b64_json"}
            return self._asked("images/generations", coded, read, timeout_s)
        except NoAnswer as error:
            if error.answered != 400:
                raise
        # Some models give bytes always, and refuse to be told so.
        return self._asked("images/generations", body, read, timeout_s)

    def _asked(
        self, path: str, body: dict[str, Any], read: Callable[[Any], T], timeout_s: float
    ) -> T:
        """What is read from the answer to a body; raises NoAnswer."""
        headers = {
            "Content-Type": "application/json",
            **({"Authorization": f"Bearer {self.key}"} if self.key else {}),
        }
        request = urllib.request.Request(f"{self.url}/{path}", json.dumps(body).encode(), headers)
        try:
            with _opener(urlsplit(self.url).hostname or "").open(
                request, timeout=timeout_s
            ) as stream:
                return read(json.loads(stream.read(LARGEST_ANSWER)))
        except urllib.error.HTTPError as error:
            raise NoAnswer(
                f"The {self.name} {self.url} answered {error.code}: "
                f"{error.read(300).decode('utf8', 'replace')}",
                error.code,
                error.code == 429 or error.code >= 500,
            ) from error
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise NoAnswer(
                f"The {self.name} {self.url} gave no answer that can be read: {error}."
            ) from error
        except (OSError, HTTPException) as error:
            raise NoAnswer(
                f"The {self.name} {self.url} cannot be reached: {error}.", again=True
            ) from error


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The key goes to the named host and to no other."""

    def redirect_request(self, *_: Any) -> None:
        """Refuse: the answer's status is reported instead."""


def _opener(host: str) -> urllib.request.OpenerDirector:
    """To this machine never by a proxy, which would see the key."""
    direct = [urllib.request.ProxyHandler({})] if host in LOOPBACK else []
    return urllib.request.build_opener(_NoRedirect, *direct)


def key_of(folder: ModelFolder, kind: str) -> str:
    """The key for a kind of service, from the environment or the file that the user named; raises
    BadRequest."""
    variable = f"LANDBRUSH_{kind.upper().replace('-', '_')}_KEY"
    path = folder.chosen(f"{kind}-key-file")
    try:
        found = (os.environ.get(variable) or (Path(path).read_text("utf8") if path else "")).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadRequest(
            f"{kind}-key-file: {path} cannot be read: {type(error).__name__}."
        ) from error
    if not found.isascii() or not found.isprintable() or " " in found:
        # Never quoted: what is wrong with a key is no reason to show it.
        raise BadRequest(
            f"The key of {kind} ({variable}, or the file {path or 'that is named'}) must be one "
            "line of printable characters without blanks."
        )
    return found
