"""Downloading a model from the Hugging Face Hub: by the user's act alone, of one revision, checked,
resumable."""

from __future__ import annotations

import errno
import os
import re
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..ground.errors import BadRequest, Dismissed, HubUnreachable, NoSpace, ServerError
from . import importing
from .catalogue import Entry
from .importing import Arrival, Found
from .installed import OnBytes, Record, Store, sha256

DISK = (errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EDQUOT)
COMMIT = re.compile(r"^[0-9a-f]{40}$")


def download(store: Store, arrival: Arrival, endpoint: str = "") -> Record:
    """Fetch a model's files into the store; a second call goes on where the first was interrupted.

    The revision is the catalogue's, or the commit that the user names. `endpoint`: address of the
    hub, where it is another. Raises HubUnreachable, ModelRefused, NoSpace.
    """
    entry = arrival.entry
    revision = arrival.revision
    on_bytes = arrival.on_bytes
    importing.check_licence(entry, arrival.accept_licence)
    if not entry.repo:
        raise BadRequest(
            f"{entry.title} has no place to download it from. Import it from a folder or zip."
        )
    commit = revision or entry.revision
    if commit and not COMMIT.match(commit):
        raise BadRequest(
            f"revision: '{commit[:60]}' is no commit (40 hexadecimal digits). Branches move, a "
            "commit does not."
        )
    if not commit:
        raise BadRequest(
            f"{entry.title} is not pinned to a revision. {_Repository(entry, endpoint).latest()}"
        )
    repository = _Repository(entry, endpoint)
    files = repository.files(commit)
    place = store.folder / f".download-{entry.id}-{commit[:12]}"
    total = sum(size for _, size, _ in files.values())
    done = 0
    found = []
    try:
        place.mkdir(parents=True, exist_ok=True)
        there = sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
        if total - there + importing.SPARE_BYTES > shutil.disk_usage(place).free:
            raise NoSpace(
                f"{entry.title} needs {total / 1e9:.1f} GB; "
                f"{shutil.disk_usage(place).free / 1e9:.1f} GB are free."
            )
        for name, (origin, size, digest) in files.items():
            path = place / name
            repository.fetch(commit, origin, path, size, _Bar.told(on_bytes, done, total, name))
            if path.stat().st_size != size or (digest and sha256(path) != digest):
                path.unlink()
                raise HubUnreachable(
                    f"{name} arrived damaged (its sha256 is not the hub's). Download again."
                )
            done += size
            found.append(Found(name, size, importing.opener(path), path))
    except OSError as error:
        raise NoSpace(f"The download could not be written to {place}: {error}.") from error
    arrived = replace(arrival, revision=commit)
    record = importing.keep(store, arrived, found, f"hub {entry.repo}")
    shutil.rmtree(place, ignore_errors=True)
    return record


class _Bar:
    """What the hub's library calls as its progress bar."""

    @staticmethod
    def told(on_bytes: OnBytes, before: int, total: int, name: str) -> type:
        """A bar's class that tells of bytes, and by whose exception the transfer stops."""
        from tqdm.auto import tqdm

        class Bar(tqdm):
            def __init__(self, *args: Any, **given: Any) -> None:
                super().__init__(*args, **{**given, "disable": True})
                self.done = int(given.get("initial") or 0)

            def update(self, n: float | None = 1) -> None:
                self.done += int(n or 0)
                on_bytes(before + self.done, total, name)

        return Bar


@dataclass(frozen=True)
class _Repository:
    """A model's place on the hub."""

    entry: Entry
    endpoint: str

    def files(self, commit: str) -> dict[str, tuple[str, int, str]]:
        """Path in the model to (path in the repository, bytes, sha256 where the hub tells it)."""
        entry = self.entry
        info = self._asked(commit)
        if info.sha and info.sha != commit:
            raise HubUnreachable(
                f"{entry.repo} answered with revision {info.sha[:40]} instead of {commit}."
            )
        cut = f"{entry.subfolder}/" if entry.subfolder else ""
        there = {
            s.rfilename[len(cut) :]: s for s in info.siblings or () if s.rfilename.startswith(cut)
        }
        odd = [name for name in there if ".." in Path(name).parts or name.startswith("/")]
        if odd:
            raise HubUnreachable(
                f"{entry.repo} lists '{odd[0][:80]}', which points outside its folder."
            )
        taken = importing.chosen(
            entry, {name: sibling.size or 0 for name, sibling in there.items()}
        )
        if not taken:
            raise HubUnreachable(
                f"{entry.repo} at {commit[:12]} holds no part of {entry.title} "
                f"({', '.join(entry.parts)})."
            )
        return {
            name: (
                cut + origin,
                int(there[origin].size or 0),
                there[origin].lfs.sha256 if there[origin].lfs else "",
            )
            for name, origin in taken.items()
        }

    def latest(self) -> str:
        """What to say where no revision is pinned: the newest commit, for the user to decide on."""
        try:
            commit = self._asked(None).sha
        except HubUnreachable as error:
            return f"Name the commit you want (--revision). {error}"
        return (
            f"The newest commit of {self.entry.repo} is {commit}. Look at it, and if you trust "
            f"it: landbrush-server models download {self.entry.id} --revision {commit}"
        )

    def fetch(self, commit: str, name: str, target: Path, size: int, bar: type) -> None:
        """One file, from the byte on that a former try reached; hf_hub_download itself begins
        anew."""
        from huggingface_hub import hf_hub_url
        from huggingface_hub.file_download import http_get
        from huggingface_hub.utils import build_hf_headers

        if target.is_file():
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f"{target.name}.part")
        try:
            with part.open("ab") as out:
                if out.tell() < size:
                    url = hf_hub_url(
                        self.entry.repo, name, revision=commit, endpoint=self.endpoint or None
                    )
                    http_get(
                        url,
                        out,
                        resume_size=out.tell(),
                        headers=build_hf_headers(),
                        expected_size=size,
                        tqdm_class=bar,
                    )
            os.replace(part, target)
        except (ServerError, Dismissed):
            raise
        except Exception as error:  # the library raises its own errors and those of its transports
            if isinstance(error, OSError) and error.errno in DISK:
                raise
            raise HubUnreachable(self._why(error)) from error

    def _asked(self, revision: str | None) -> Any:
        """What the hub tells of the repository at a revision."""
        try:
            from huggingface_hub import HfApi
        except ImportError as error:
            raise HubUnreachable(
                "Downloads need the package huggingface-hub: pip install huggingface-hub"
            ) from error
        try:
            return HfApi(endpoint=self.endpoint or None).model_info(
                self.entry.repo, revision=revision, files_metadata=True, timeout=30
            )
        except Exception as error:  # the library raises its own errors and those of its transports
            raise HubUnreachable(self._why(error)) from error

    def _why(self, error: Exception) -> str:
        kind = type(error).__name__
        repo = self.entry.repo
        if kind == "GatedRepoError":
            return (
                f"{repo} asks you to accept its conditions on its page first, and then for your "
                "access token ('hf auth login', or HF_TOKEN in the environment of the server)."
            )
        if kind in ("RepositoryNotFoundError", "RevisionNotFoundError", "EntryNotFoundError"):
            return (
                f"{repo} is not to be had ({kind}): it may have been moved or removed. Import it "
                "from a folder or zip."
            )
        if kind in ("ConnectError", "ConnectTimeout", "ConnectionError", "NameResolutionError"):
            return (
                f"{repo} could not be fetched: the hub cannot be reached. Is there a network? "
                "Else import it from a folder."
            )
        if kind == "OfflineModeIsEnabled":
            return (
                "HF_HUB_OFFLINE is set in the server's environment: it may not download. Import "
                "from a folder or zip."
            )
        return (
            f"{repo} could not be fetched ({kind}: {str(error)[:200]}). What arrived is kept; try "
            "again, or import it from a folder."
        )
