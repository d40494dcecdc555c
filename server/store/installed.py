"""The folder in which installed models stand: what is there, what is missing, whether it is still
what was brought.

A model is a folder named after it, with the parts of its pipeline and a record (landbrush.json) of
where its files came from and their sha256. It appears whole or not at all.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ..ground.errors import ModelRefused, NoSpace, WeightsMissing
from ..ground.files import write_json
from . import catalogue
from .catalogue import Entry

RECORD = "landbrush.json"
CHUNK = 1 << 22
OnBytes = Callable[[int, int, str], None]
"""Called as on_bytes(done, total, what); raises to stop."""


def nothing(done: int, total: int, what: str) -> None:
    """An OnBytes that tells nobody."""


@dataclass(frozen=True)
class Kept:
    """One file of a model as it was brought. `bytes`: its size. `sha256`: of its content.
    `mtime_ns`: when it was last changed, in nanoseconds since 1970; while that and the size are the
    same it is not hashed again."""

    bytes: int
    sha256: str
    mtime_ns: int


@dataclass(frozen=True)
class Record:
    """Where a model's files came from, and what they were. `id`: of the model. `source`: folder,
    zip, file or repository, in words. `revision`: the commit they are of; empty: not known. `when`:
    they were brought, in UTC (ISO 8601). `licence`: its name at that time. `accepted`: whether the
    licence had to be accepted, and was. `files`: by path in the model's folder."""

    id: str
    source: str
    revision: str
    when: str
    licence: str
    accepted: bool
    files: Mapping[str, Kept] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        """Size of all its files together."""
        return sum(kept.bytes for kept in self.files.values())

    def write(self, folder: Path) -> None:
        """Into the model's folder."""
        write_json(folder / RECORD, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> Record | None:
        """The record in a folder; None where there is none that can be read."""
        try:
            data = json.loads((folder / RECORD).read_text("utf8"))
            return cls(
                **{**data, "files": {name: Kept(**kept) for name, kept in data["files"].items()}}
            )
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None


def _changed(entry: Entry, name: str) -> str:
    return (
        f"{entry.title}: {name} is not the file that was brought (its sha256 differs). Remove the "
        f"model and bring it again: 'landbrush-server models remove {entry.id}'."
    )


def sha256(path: Path, told: Callable[[int], None] = lambda done: None) -> str:
    """Of a file, in pieces; `told`: hears of the bytes so far, and may raise Dismissed."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while piece := stream.read(CHUNK):
            digest.update(piece)
            told(stream.tell())
    return digest.hexdigest()


def config_of(place: Path) -> dict[str, Any]:
    """The config.json of a part; raises ModelRefused."""
    path = place / "config.json"
    try:
        found = json.loads(path.read_text("utf8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelRefused(f"{place.name}/config.json is missing or no JSON.") from error
    if not isinstance(found, dict):
        raise ModelRefused(f"{place.name}/config.json is no JSON object.")
    return found


class Store:
    """The installed models below one folder.

    `folder`: where they stand, one folder a model, with the user's own list beside them.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def list_all(self) -> dict[str, Entry]:
        """Every model that is known, published or the user's own, by id."""
        return catalogue.list_all(self.folder)

    def serving(self, editor_id: str) -> list[Entry]:
        """The models that an editor can use, here or not, the preferred first."""
        return catalogue.serving(self.folder, editor_id)

    def entry(self, model_id: str) -> Entry:
        """The model of that id; raises UnknownModel."""
        return catalogue.entry(self.folder, model_id)

    def lineage(self, entry: Entry) -> list[Entry]:
        """The model, its base, and the base's base ..."""
        found = [entry]
        known = self.list_all()
        while found[-1].base in known and len(found) < 8:
            found.append(known[found[-1].base])
        return found

    def record(self, model_id: str) -> Record | None:
        """The record of an installed model."""
        return Record.read(self.folder / model_id)

    def part(self, entry: Entry, name: str) -> Path:
        """The folder of a part, the model's own or its base's; raises WeightsMissing with what to
        do."""
        place = self._place(entry, name)
        if place is None:
            raise WeightsMissing(self._advice(entry, [name]))
        return place

    def _place(self, entry: Entry, name: str) -> Path | None:
        """Where a part lies; a model's first part makes it what it is, so that its base's is none
        for it."""
        among = [entry] if name == entry.parts[0] else self.lineage(entry)
        places = (self.folder / one.id / name for one in among if self.record(one.id) is not None)
        return next((place for place in places if place.is_dir()), None)

    def missing(self, entry: Entry) -> list[str]:
        """Parts that are on this machine neither for the model nor for its base."""
        wanted = dict.fromkeys(name for one in self.lineage(entry) for name in one.parts)
        return [name for name in wanted if self._place(entry, name) is None]

    def missing_reason(self, entry: Entry) -> str:
        """A sentence on what is missing and how to get it; empty where all is there."""
        gone = self.missing(entry)
        return self._advice(entry, gone) if gone else ""

    def _advice(self, entry: Entry, gone: list[str]) -> str:
        ids = [
            one.id
            for one in self.lineage(entry)
            if self.record(one.id) is None and any(name in gone for name in one.parts)
        ] or [entry.id]
        ways = " and ".join(
            f"'landbrush-server models import {one} FOLDER-OR-ZIP --accept-licence'" for one in ids
        )
        there = [name for name in ids if self.list_all()[name].repo]
        fetch = f", or 'landbrush-server models download {there[0]}'" if there else ""
        return (
            f"{entry.title} is not complete on this machine: {', '.join(gone)} missing. Bring "
            f"{' and '.join(ids)}: {ways} with files that you have{fetch} (in QGIS: Models)."
        )

    def installed(self, editor_id: str) -> list[Entry]:
        """The models of an editor that are complete here, the preferred first."""
        return [one for one in self.serving(editor_id) if not self.missing(one)]

    def check(self, entry: Entry) -> None:
        """Raise ModelRefused where a file is gone or was changed since it was brought; hashes only
        what looks touched."""
        for one in self.lineage(entry):
            kept = self.record(one.id)
            self._check_nothing_more(one, kept)
            for name, was in (kept.files if kept else {}).items():
                path = self.folder / one.id / name
                try:
                    now = path.stat()
                except OSError as error:
                    raise ModelRefused(
                        f"{one.title}: {name} is gone from {self.folder / one.id}. Bring the "
                        "model again."
                    ) from error
                touched = now.st_size != was.bytes or now.st_mtime_ns != was.mtime_ns
                if touched and (now.st_size != was.bytes or sha256(path) != was.sha256):
                    raise ModelRefused(_changed(one, name))
                if touched and kept:
                    # The same file with another date: remembered, so that it is hashed once.
                    kept = replace(
                        kept, files={**kept.files, name: replace(was, mtime_ns=now.st_mtime_ns)}
                    )
                    kept.write(self.folder / one.id)

    def _check_nothing_more(self, entry: Entry, kept: Record | None) -> None:
        """Raise ModelRefused for a file that was not brought with the model: the libraries would
        load it."""
        if kept is None:
            return
        place = self.folder / entry.id
        for path in place.rglob("*"):
            name = path.relative_to(place).as_posix()
            if path.is_file() and name not in kept.files and name != RECORD:
                raise ModelRefused(
                    f"{entry.title}: {name} was not brought with it. Take it out of {place}, or "
                    "bring the model again."
                )

    def verify(self, entry: Entry, on_bytes: OnBytes = nothing) -> Record:
        """Hash every file of a model; raises ModelRefused where one differs, WeightsMissing where
        it is not here."""
        kept = self.record(entry.id)
        if kept is None:
            raise WeightsMissing(self._advice(entry, list(entry.parts)))
        done = 0
        self._check_nothing_more(entry, kept)
        for name, was in kept.files.items():
            path = self.folder / entry.id / name
            known = entry.sha256.get(name, was.sha256)
            if not path.is_file() or sha256(path) != was.sha256 or known != was.sha256:
                raise ModelRefused(_changed(entry, name))
            done += was.bytes
            on_bytes(done, kept.bytes, name)
        return kept

    def remove(self, entry: Entry) -> int:
        """Delete an installed model; how many bytes that freed."""
        place = self.folder / entry.id
        kept = self.record(entry.id)
        if kept is None:
            raise WeightsMissing(
                f"{entry.title} is not on this machine; there is nothing to remove."
            )
        gone = Path(tempfile.mkdtemp(prefix=".gone-", dir=self.folder))
        os.replace(place, gone / entry.id)
        shutil.rmtree(gone, ignore_errors=True)
        return kept.bytes

    @contextlib.contextmanager
    def staging(self, model_id: str) -> Iterator[Path]:
        """A folder in the store in which a model is put together; gone afterwards unless it was
        moved to its place."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            place = Path(tempfile.mkdtemp(prefix=f".{model_id}-", dir=self.folder))
        except OSError as error:
            raise NoSpace(f"{self.folder} cannot be written: {error}.") from error
        try:
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def settle(self, stage: Path, record: Record) -> None:
        """Put a staged model in its place, instead of what stood there."""
        record.write(stage)
        place = self.folder / record.id
        if place.exists():
            old = Path(tempfile.mkdtemp(prefix=".old-", dir=self.folder))
            os.replace(place, old / record.id)
            os.replace(stage, place)
            shutil.rmtree(old, ignore_errors=True)
        else:
            os.replace(stage, place)
