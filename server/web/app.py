"""The Flask application: guards, error table, routes."""

from __future__ import annotations

import logging
from concurrent.futures import Executor

from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException

from ..contract.jobs import Problem
from ..contract.message import ContractError
from ..ground.errors import BadRequest, Forbidden, ServerError, Unauthorised
from ..ground.settings import Settings, token_of
from ..jobs.executor import Runner
from ..jobs.store import JobStore
from ..models import weights
from .model_tasks import ModelDesk
from .routes import blueprint
from .services import Services, purge_uploads

log = logging.getLogger(__name__)
OPEN_ENDPOINTS = frozenset({"landbrush.landing", "landbrush.conformance", "landbrush.api_document"})
MAX_JSON_BYTES = 16_000_000


def create_app(settings: Settings, executor: Executor | None = None) -> Flask:
    """Make the app, take up the jobs that a former process left, and start working on them."""
    if not settings.token:
        settings = Settings(**{**vars(settings), "token": token_of(settings.home)})
    store = JobStore(settings.jobs)
    store.forget_older_than(settings.keep_days)
    purge_uploads(settings, store)
    services = Services(settings, store, Runner(store, executor, settings), ModelDesk())
    app = Flask("landbrush", static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.extensions["landbrush"] = services
    app.before_request(_guard)
    weights.use_folder(settings.home / "models")
    app.register_error_handler(ServerError, _server_error)
    app.register_error_handler(ContractError, lambda error: _server_error(BadRequest(str(error))))
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _unexpected)
    app.register_blueprint(blueprint)
    recovered = services.runner.recover()
    if recovered:
        log.info("%d jobs of a former start go on", recovered)
    return app


def _guard() -> None:
    """Host and token, before any view."""
    from flask import current_app

    services: Services = current_app.extensions["landbrush"]
    host = (
        request.host.rsplit(":", 1)[0].strip("[]")
        if not request.host.endswith("]")
        else request.host.strip("[]")
    )
    if host not in services.settings.hosts:
        raise Forbidden(
            f"The Host header names '{request.host[:100]}'; this server answers to "
            f"{', '.join(sorted(services.settings.hosts))}."
        )
    if request.endpoint not in OPEN_ENDPOINTS and not services.knows(
        request.headers.get("Authorization", "")
    ):
        raise Unauthorised(
            "Send the server's token as 'Authorization: Bearer TOKEN'. It is in the file 'token' "
            "of "
            "the server's home folder, which is named when the server starts."
        )
    if request.endpoint != "landbrush.upload" and (request.content_length or 0) > MAX_JSON_BYTES:
        raise BadRequest(
            f"The body has {request.content_length:,} bytes; at most {MAX_JSON_BYTES:,} are taken."
        )


def _answer(problem: Problem) -> Response:
    response = jsonify(problem.to_json())
    response.status_code = problem.status
    response.headers["Content-Type"] = "application/problem+json"
    if problem.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _server_error(error: ServerError) -> Response:
    if error.status >= 500:
        log.warning("%s %s: %s", request.method, request.path, error)
    return _answer(error.problem(request.path))


def _http_error(error: HTTPException) -> Response:
    if error.response is not None:
        return error.response  # type: ignore[return-value]
    return _answer(
        Problem(error.name, error.code or 500, error.description or "", instance=request.path)
    )


def _unexpected(error: Exception) -> Response:
    log.exception("%s %s", request.method, request.path)
    return _answer(
        Problem("The server failed", 500, f"{type(error).__name__}: {error}", instance=request.path)
    )
