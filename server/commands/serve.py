"""`serve`: answer the QGIS plugin and other clients."""

from __future__ import annotations

import _thread
import argparse
import contextlib
import json
import logging
import multiprocessing
import os
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from ..contract.jobs import ACCEPTED, RUNNING
from ..ground import users
from ..ground.errors import BadRequest
from ..ground.settings import (
    ADDRESS,
    ENVIRONMENT_PREFIX,
    Settings,
    default_home,
    lock_home,
    token_of,
)
from .home import add_models, models_of

OPEN_FILES = 4096
"""That a server wants to have."""
LOOK_EVERY_S = 2.0
"""How often it looks whether anybody uses it."""


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
    serve.add_argument(
        "--cold",
        action="store_true",
        default=bool(os.environ.get(f"{ENVIRONMENT_PREFIX}COLD")),
        help="start a worker when it is first needed, not with the server: for a single edit "
        "(LANDBRUSH_COLD=1 says the same)",
    )
    serve.add_argument(
        "--owner",
        type=int,
        default=os.environ.get(f"{ENVIRONMENT_PREFIX}OWNER") or "0",
        metavar="PROCESS",
        help="id of the program whose server this is: when it, and every other that has found it "
        "running, has ended, the server ends, too, once no job is left (LANDBRUSH_OWNER says the "
        "same)",
    )
    add_models(serve)
    serve.set_defaults(run=_serve)


def _serve(given: argparse.Namespace) -> int:
    from ..web.app import create_app
    from ..web.listening import listening

    if given.workers < 1:
        raise BadRequest(f"--workers {given.workers}: at least one is needed.")
    if not 0 <= given.port < 65536:
        raise BadRequest(f"--port {given.port}: ports are 0 (any free one) to 65535.")
    for root in given.root:
        if not root.is_dir():
            raise BadRequest(f"--root {root}: there is no such folder.")
    _allow_connections()
    try:
        token = token_of(given.home)
        held = lock_home(given.home)
    except OSError as error:
        raise BadRequest(
            f"The home folder {given.home} cannot be used ({error.strerror}). Choose another with "
            "--home or LANDBRUSH_HOME."
        ) from error
    watched = users.add_user(given.home, given.owner)
    settings = Settings(
        given.home,
        given.host,
        given.port,
        tuple(given.root),
        token,
        given.workers,
        given.upload_limit_mb,
        extra_hosts=tuple(given.allow_host),
    )
    if held is None:
        print(_address_of_the_other(given.home), flush=True)
        print(
            f"landbrush-server: {given.home} is in use by a running server; see the address above.",
            file=sys.stderr,
        )
        return 3
    (given.home / ADDRESS).unlink(missing_ok=True)
    _check_port(given.host, given.port)
    if hasattr(os, "geteuid"):  # on Windows the user's folder is the user's alone as it is
        os.umask(0o077)
    app = create_app(settings, models=models_of(given))
    server = listening(app, settings)
    place = app.extensions["landbrush"].place
    if not given.cold:
        _in_background(place.prepare)
    address = json.dumps(
        {
            "url": f"http://{given.host}:{server.effective_port}",
            "token_file": str(given.home / "token"),
            "owner": given.owner,
        }
    )
    (given.home / ADDRESS).write_text(address, "utf8")
    print(address, flush=True)
    if watched:
        _in_background(_watch, given.home, app.extensions["landbrush"])
    _run(server, app.extensions["landbrush"], given.home / ADDRESS)
    return 0


def _in_background(work: Callable[..., None], *given: Any) -> None:
    threading.Thread(
        target=work, args=given, name=f"landbrush-{work.__name__}", daemon=True
    ).start()


def _watch(home: Path, services: Any) -> None:
    """End the server when nobody is left who uses it, and nothing is left to do."""
    while True:
        time.sleep(LOOK_EVERY_S)
        if users.has_users(home):
            continue
        if not any(job.status in (ACCEPTED, RUNNING) for job in services.store.list_all()):
            _thread.interrupt_main(signal.SIGTERM)
            return


def _run(server: Any, services: Any, address: Path) -> NoReturn:
    """Answer until one is asked to end; then nothing of it is left, and the process is over."""
    code = 1
    try:
        server.run()
        code = 0
    except Exception:
        logging.getLogger(__name__).exception("the server ended by a fault")
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it ends already
        services.runner.close()
        address.unlink(missing_ok=True)
        shutil.rmtree(_temporary(), ignore_errors=True)
        logging.shutdown()
        # A running job starts again at the next start; waiting for it here could take long.
        os._exit(code)


def _allow_connections() -> None:
    """Take as many open files as the system leaves to choose, since each connection is one."""
    with contextlib.suppress(ImportError, OSError, ValueError):  # Windows has no such limit
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != resource.RLIM_INFINITY and soft < OPEN_FILES:
            wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _temporary() -> str:
    """The folder that the library which starts workers has made, if it has; it deletes it only in
    an end that takes its time."""
    settings = getattr(multiprocessing.process.current_process(), "_config", {})
    return str(settings.get("tempdir") or "")


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
