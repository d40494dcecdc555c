"""The Flask application: guards, error table, routes."""

from __future__ import annotations

import functools
import logging
import time
from concurrent.futures import Executor
from dataclasses import replace

from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException

from ..contract.jobs import Problem
from ..contract.message import ContractError
from ..editors.models import Models
from ..editors.registry import Editors
from ..ground.errors import BadRequest, Forbidden, ServerError
from ..ground.settings import Settings, token_of
from ..jobs.executor import Runner
from ..jobs.store import JobStore
from ..jobs.upkeep import Upkeep
from ..jobs.workplace import Workplace
from ..workers.children import Children
from ..workers.messages import TOO_DEEP
from .model_tasks import ModelTasks
from .resources import RESOURCES
from .services import Services, check_body, check_token, clean

log = logging.getLogger(__name__)


def create_app(
    settings: Settings,
    executor: Executor | None = None,
    models: Models | None = None,
    place: Workplace | None = None,
) -> Flask:
    """Make the app, take up the jobs that a former process left, and start working on them.

    `executor`: of the threads that wait for workers; none: as many as the settings have workers.
    `models`: those of the home; none: made here. `place`: where rasters are read; none: in
    processes of their own.
    """
    if not settings.token:
        settings = replace(settings, token=token_of(settings.home))
    models = models or Models(settings.home)
    editors = Editors(models)
    store = JobStore(settings.jobs)
    place = place or Children.of(settings, models.folder)
    runner = Runner(store, place, models, settings.workers, executor)
    runner.upkeep = Upkeep(store, functools.partial(clean, settings, store, time.time()))
    runner.upkeep.begin()
    app = Flask("landbrush", static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.extensions["landbrush"] = Services(
        settings, store, runner, place, editors, ModelTasks(models, place)
    )
    app.extensions["landbrush-routes"] = tuple(
        route for resource in RESOURCES for route in resource.routes
    )
    app.before_request(_guard)
    app.register_error_handler(ServerError, _server_error)
    app.register_error_handler(ContractError, lambda error: _server_error(BadRequest(str(error))))
    app.register_error_handler(RecursionError, lambda error: _server_error(BadRequest(TOO_DEEP)))
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _unexpected)
    for resource in RESOURCES:
        app.register_blueprint(resource.blueprint)
    recovered = runner.recover()
    if recovered:
        log.info("%d jobs of a former start go on", recovered)
    return app


OPEN_ENDPOINTS = frozenset(name for one in RESOURCES for name in one.open_endpoints)
RAW_ENDPOINTS = frozenset(name for one in RESOURCES for name in one.raw_endpoints)


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
    if request.endpoint not in OPEN_ENDPOINTS:
        check_token(services, request.headers.get("Authorization", ""))
    if request.endpoint not in RAW_ENDPOINTS:
        check_body(services, False, request.content_length or 0)


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
