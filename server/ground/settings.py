"""What the operator decides, declared once; read from the command line or the environment."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from ..contract.routes import DEFAULT_PORT, USERS

ENVIRONMENT_PREFIX = "LANDBRUSH_"
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def default_home() -> Path:
    """Where jobs, uploads and the token live: LANDBRUSH_HOME, else the user's data folder."""
    given = os.environ.get(f"{ENVIRONMENT_PREFIX}HOME")
    if given:
        return Path(given)
    if os.name == "nt":
        return Path(os.environ.get("LOCALAPPDATA", Path.home())) / "landbrush"
    return Path(os.environ.get("XDG_DATA_HOME", Path.home() / ".local" / "share")) / "landbrush"


@dataclass(frozen=True)
class Settings:
    """What the operator of one server decided.

    `home`: folder of jobs, models and token. `host`, `port`: where it listens. `roots`: folders
    whose rasters may be named by path; none: uploads only. `token`: what requests must bear; empty:
    one is made. `workers`: edits at a time. `upload_limit_mb`: of one upload. `keep_days`: after
    which results are deleted. `extra_hosts`: names it may be called by beside its own.
    """

    home: Path = field(default_factory=default_home)
    host: str = LOOPBACK[0]
    port: int = DEFAULT_PORT
    roots: tuple[Path, ...] = ()
    token: str = ""
    workers: int = 1
    upload_limit_mb: int = 4096
    keep_days: float = 14.0
    extra_hosts: tuple[str, ...] = ()

    @property
    def jobs(self) -> Path:
        """One folder a job."""
        return self.home / "jobs"

    @property
    def uploads(self) -> Path:
        """Uploaded rasters, named by content."""
        return self.home / "uploads"

    @property
    def hosts(self) -> frozenset[str]:
        """Host names that a request may carry, so that a web page cannot reach the server under its
        own name."""
        own = () if self.host in ("0.0.0.0", "::") else (self.host,)
        return frozenset((*LOOPBACK, *own, *self.extra_hosts))


SHORTEST_TOKEN = 16


def token_of(home: Path) -> str:
    """The server's token, made at first start and readable by its owner only."""
    path = home / "token"
    token = path.read_text("ascii").strip() if path.exists() else ""
    if len(token) >= SHORTEST_TOKEN:
        return token
    home.mkdir(parents=True, exist_ok=True)
    token = secrets.token_urlsafe(32)
    handle, draft = tempfile.mkstemp(prefix=".token-", dir=home)  # readable by its owner only
    with os.fdopen(handle, "w") as stream:
        stream.write(token)
    os.replace(draft, path)
    return token


def make_home(home: Path) -> None:
    """Make the home folder, and see that it is its owner's alone, since jobs hold what people drew
    and wrote; a folder that holds other things too is left as it is."""
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with contextlib.suppress(OSError):  # a file system without permissions, another's folder
        mode = home.stat().st_mode
        open_to_others = os.name == "posix" and mode & 0o077 and not mode & stat.S_ISVTX
        if open_to_others and all(_is_ours(path.name) for path in home.iterdir()):
            home.chmod(0o700)


def _is_ours(name: str) -> bool:
    return name.startswith(".") or name in (
        "token",
        "lock",
        ADDRESS,
        "jobs",
        "uploads",
        "models",
        "scratch",
        USERS,
    )


ADDRESS = "server.json"
"""In the home folder: where the running server answers."""


def lock_home(home: Path) -> IO[str] | None:
    """Hold the home folder for this process; None where another server holds it.

    Two servers on one home would run the same jobs twice. The operating system
    gives the lock back when the process ends, however it ends.
    """
    make_home(home)
    # Held until the process ends.
    stream = open(home / "lock", "a+", encoding="ascii")  # noqa: SIM115
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        else:
            import fcntl

            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        stream.close()
        return None
    return stream
