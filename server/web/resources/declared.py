"""From a declared route to a view: the request is parsed, the answer written as it declares."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Blueprint, Response, current_app, jsonify, request

from ...contract.message import Message
from ...contract.routes import JSON, Query, Route
from ...ground.errors import BadRequest
from ..services import Services

Answer = Message | dict[str, Any] | Response | tuple[Message | dict[str, Any] | Response, int]
View = TypeVar("View", bound=Callable[..., Answer])


class Resource:
    """The views of one subject.

    `name`: of its blueprint. A view is registered with `serves`; it gets the parts of the path and,
    where the route declares a request, the parsed message, and returns the answer, perhaps with a
    status.
    """

    def __init__(self, name: str) -> None:
        self.blueprint = Blueprint(name, __name__)
        self.routes: list[Route] = []
        self.open_endpoints: set[str] = set()
        self.raw_endpoints: set[str] = set()

    def serves(self, route: Route) -> Callable[[View], View]:
        """Register a view for a route."""

        def register(view: View) -> View:
            def answered(**parts: str) -> Any:
                message = (_parsed(route),) if route.request else ()
                return _written(route, view(*message, **parts))

            endpoint = f"{self.blueprint.name}.{view.__name__}"
            path = route.path.replace("{", "<").replace("}", ">")
            self.blueprint.add_url_rule(path, view.__name__, answered, methods=[route.method])
            self.routes.append(route)
            if route.open:
                self.open_endpoints.add(endpoint)
            if route.body:
                self.raw_endpoints.add(endpoint)
            return view

        return register


def services() -> Services:
    """The parts of the server that answers."""
    return current_app.extensions["landbrush"]


def base_url() -> str:
    """The address by which the client has reached this server."""
    return request.host_url.rstrip("/")


def link(rel: str, path: str, kind: str = JSON) -> dict[str, str]:
    """A link as OGC has it."""
    return {"rel": rel, "type": kind, "href": f"{base_url()}{path}"}


def json_body() -> Any:
    """The body as JSON; raises BadRequest."""
    try:
        data = request.get_json(silent=True)
    except RecursionError:
        data = None
    if data is None:
        raise BadRequest("The body is not JSON, or its Content-Type is not application/json.")
    return data


def query_value(query: Query, default: Any) -> Any:
    """A parameter behind the path, checked as it is declared; raises BadRequest."""
    text = request.args.get(query.name)
    if text is None:
        return default
    if query.kind == "string":
        if query.choices and text not in query.choices:
            raise BadRequest(f"{query.name}: '{text[:40]}' is none of {', '.join(query.choices)}.")
        return text
    try:
        number = float(text) if query.kind == "number" else int(text)
    except ValueError:
        number = float("nan")
    least = float("-inf") if query.least is None else query.least
    most = float("inf") if query.most is None else query.most
    if not least <= number <= most:
        raise BadRequest(f"{query.name}: '{text[:40]}' is not a number from {least:g} to {most:g}.")
    return number


def _parsed(route: Route) -> Message:
    """The body as the message that the route declares; raises BadRequest, ContractError."""
    assert route.request is not None
    body = json_body()
    if isinstance(body, dict):
        prompt = body.get("prompt")
        if isinstance(prompt, str):
            # Typed text may end in half a character, and is understood without it.
            body = {**body, "prompt": prompt.encode("utf8", "replace").decode()}
        given = request.view_args or {}
        body = {**{name: given[part] for part, name in route.fills}, **body}
    where = route.request.__name__.removesuffix("Request").lower()
    return route.request.from_json(body, where)


def _written(route: Route, made: Answer) -> Any:
    content, status = made if isinstance(made, tuple) else (made, route.status)
    if isinstance(content, Response):
        content.status_code = status if status != route.status else content.status_code
        return content
    response = jsonify(content.to_json() if isinstance(content, Message) else content)
    response.status_code = status
    if route.kind != JSON:
        response.headers["Content-Type"] = route.kind
    return response
