"""`serve`: answer the QGIS plugin and other clients."""

from __future__ import annotations

import argparse
import json
import logging
import os
import socket
import sys
import time
from pathlib import Path

from ..ground.errors import BadRequest
from ..ground.settings import ADDRESS, Settings, default_home, lock_home, token_of
from .home import add_models, models_of


def add_commands(commands: argparse._SubParsersAction) -> None:
    """Add `serve` to the command line."""
    serve = commands.add_parser(
        "serve", help="answer the QGIS plugin and other OGC API - Processes clients"
    )
    serve.add_argument("--host", default="127.0.0.1")
    serve.add_argument("--port", type=int, default=Settings.port, help="0: any free one")
    serve.add_argument(
        "--home", type=Path, default=default_home(), help="folder for jobs, uploads and the token"
    )
    serve.add_argument(
        "--root",
        type=Path,
        action="append",
        default=[],
        help="folder whose rasters may be named by path",
    )
    serve.add_argument("--workers", type=int, default=1, help="jobs at a time")
    serve.add_argument("--upload-limit-mb", type=int, default=Settings.upload_limit_mb)
    serve.add_argument(
        "--allow-host", action="append", default=[], help="further name this server is reached by"
    )
    add_models(serve)
    serve.set_defaults(run=_serve)


def _serve(given: argparse.Namespace) -> int:
    import waitress

    from ..web.app import create_app

    for root in given.root:
        if not root.is_dir():
            raise BadRequest(f"--root {root}: there is no such folder.")
    settings = Settings(
        given.home,
        given.host,
        given.port,
        tuple(given.root),
        token_of(given.home),
        given.workers,
        given.upload_limit_mb,
        extra_hosts=tuple(given.allow_host),
    )
    held = lock_home(given.home)
    if held is None:
        print(_address_of_the_other(given.home), flush=True)
        print(
            f"landbrush-server: {given.home} is in use by a running server; see the address above.",
            file=sys.stderr,
        )
        return 3
    (given.home / ADDRESS).unlink(missing_ok=True)
    _check_port(given.host, given.port)
    app = create_app(settings, models=models_of(given))
    server = waitress.create_server(
        app,
        host=given.host,
        port=given.port,
        threads=16,
        ident="landbrush",
        max_request_body_size=given.upload_limit_mb * 1_000_000 + 1_000_000,
    )
    address = json.dumps(
        {
            "url": f"http://{given.host}:{server.effective_port}",
            "token_file": str(given.home / "token"),
        }
    )
    (given.home / ADDRESS).write_text(address, "utf8")
    print(address, flush=True)
    code = 1
    try:
        server.run()
        code = 0
    except Exception:
        logging.getLogger(__name__).exception("the server ended by a fault")
    finally:
        app.extensions["landbrush"].runner.close()
        (given.home / ADDRESS).unlink(missing_ok=True)
        logging.shutdown()
        # A running job starts again at the next start; waiting for it here could take long.
        os._exit(code)


def _check_port(host: str, port: int) -> None:
    """Before anything is begun: jobs of a former start would run and then be thrown away."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        raise BadRequest(
            f"{host}:{port} cannot be listened on: {error.strerror}. Choose another --port (0: "
            "any free one)."
        ) from error


def _address_of_the_other(home: Path) -> str:
    """What the server that holds the home has printed, once it has; it may still be starting."""
    for _ in range(600):
        try:
            return (home / ADDRESS).read_text("utf8")
        except OSError:
            time.sleep(0.1)
    raise BadRequest(
        f"{home} is locked by a server that does not answer. End it, or choose another --home."
    )
