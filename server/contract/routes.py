"""How a resource of the server is declared: once, beside its messages. The view, the OpenAPI
document and the plugin's calls all come from that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Tuple, Type
from urllib.parse import quote, urlencode

from .message import Message

DEFAULT_PORT = 8765
USERS = "users"
"""In the server's home: a file for each program of this computer that uses it, named by its process
id, with when that was started; one who leaves takes its own away."""
JSON = "application/json"


@dataclass(frozen=True)
class Query:
    """A parameter behind the path. `name`: as in the address. `help`: what it asks for. `kind`: a
    type of JSON schema. `least`, `most`: bounds of a number. `choices`: words that are taken; none:
    any."""

    name: str
    help: str
    kind: str = "string"
    least: Optional[float] = None
    most: Optional[float] = None
    choices: Tuple[str, ...] = ()


@dataclass(frozen=True)
class Route:
    """One call of the server.

    `method`, `path`: with the names of its parts in braces. `summary`: what it is, for the OpenAPI
    page. `request`: the message in the body; None: it has none. `answer`: the message that comes
    back; None: JSON of another form, told by OGC. `status`: of a good answer; `others`: further
    good ones, each with what it says. `kind`: media type of the answer. `query`: parameters.
    `open`: whether it answers without the token. `body`: media type of a body that is no message.
    `fills`: parts of the path that are fields of the request too, each with the name of the field.
    """

    method: str
    path: str
    summary: str
    request: Optional[Type[Message]] = None
    answer: Optional[Type[Message]] = None
    status: int = 200
    others: Tuple[Tuple[int, str], ...] = ()
    kind: str = JSON
    query: Tuple[Query, ...] = ()
    open: bool = False
    body: str = ""
    fills: Tuple[Tuple[str, str], ...] = ()

    @property
    def parts(self) -> Tuple[str, ...]:
        """The names in braces, in their order."""
        pieces = self.path.split("/")
        return tuple(piece[1:-1] for piece in pieces if piece.startswith("{"))

    def url(self, **given: object) -> str:
        """The path with its parts filled in, and what else is given behind it."""
        filled = {name: quote(str(given.pop(name)), safe="") for name in self.parts}
        asked = urlencode({name: value for name, value in given.items() if value not in ("", None)})
        return self.path.format(**filled) + (f"?{asked}" if asked else "")
