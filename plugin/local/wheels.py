"""Wheels of the server's libraries: which one fits, from an index or from a folder."""

import hashlib
import re
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import List, Optional

from ..errors import PluginError
from ..translated import tr

INDEX = "https://pypi.org/pypi"
"""Of an index's JSON, which tells of one version of a package (warehouse's API)."""
SLICE = 8 << 20
"""Bytes that are read at a time, so that nobody waits."""


@dataclass(frozen=True)
class Wanted:
    """A package of the locked list: its `name` and `version`. `hashes`: SHA-256 sums of the files
    that it may be."""

    name: str
    version: str
    hashes: List[str]

    @property
    def address(self) -> str:
        """Where an index tells of its files."""
        return f"{INDEX}/{self.name}/{self.version}/json"


@dataclass(frozen=True)
class Wheel:
    """A file of a `package`, by its `name`. `sha256`: its sum. `size`: in bytes; 0: not told.
    `path`: where it lies; None: it is to be fetched from `url`."""

    package: str
    name: str
    sha256: str
    url: str = ""
    size: int = 0
    path: Optional[Path] = None

    @property
    def requirement(self) -> str:
        """The line by which pip installs this file and no other; raises ValueError before it is
        here."""
        if self.path is None:
            raise ValueError(self.name)
        return f"{self.package} @ {self.path.as_uri()} --hash=sha256:{self.sha256}"


def normalised(name: str) -> str:
    """A package's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def tags_of(file: str):
    """The tags that a wheel's file name stands for (PEP 427); none where it is no wheel's."""
    parts = file[: -len(".whl")].split("-") if file.endswith(".whl") else []
    if len(parts) not in (5, 6):
        return []
    pythons, abis, platforms = (part.split(".") for part in parts[-3:])
    return [f"{p}-{a}-{s}" for p in pythons for a in abis for s in platforms]


def rank(file: str, tags) -> int:
    """How well a wheel fits, 0 the best; -1: it does not."""
    places = [tags.index(tag) for tag in tags_of(file) if tag in tags]
    return min(places) if places else -1


def of_index(wanted: Wanted, answer, tags) -> Wheel:
    """The best file of an index's answer that the locked list allows; raises PluginError."""
    fitting = [
        (rank(one["filename"], tags), one["filename"], one)
        for one in answer.get("urls", ())
        if one["digests"]["sha256"] in wanted.hashes and rank(one["filename"], tags) >= 0
    ]
    if not fitting:
        raise PluginError(_none_fits(wanted))
    best = min(fitting)[2]
    return Wheel(
        wanted.name, best["filename"], best["digests"]["sha256"], best["url"], best.get("size", 0)
    )


def of_folder(wanted: Wanted, folder: Path, tags) -> Wheel:
    """The best file of a folder; raises PluginError where there is none, or it is not what the
    locked list names."""
    start = normalised(f"{wanted.name}-{wanted.version}")
    fitting = [
        (rank(path.name, tags), path)
        for path in folder.glob("*.whl")
        if normalised("-".join(path.name.split("-")[:2])) == start and rank(path.name, tags) >= 0
    ]
    if not fitting:
        raise PluginError(_none_fits(wanted))
    path = min(fitting)[1]
    found = sha256_of(path)
    if found not in wanted.hashes:
        raise PluginError(
            tr(
                "{path} is not the file that this version of Landbrush was tested with. Make the "
                "folder of wheels anew (make wheelhouse).",
                path=path,
            ),
            f"SHA-256 {found}",
        )
    return Wheel(wanted.name, path.name, found, size=path.stat().st_size, path=path)


def _none_fits(wanted: Wanted) -> str:
    return tr(
        "There is no file of {name} {version} for this computer and its Python.",
        name=wanted.name,
        version=wanted.version,
    )


def sha256_of(path: Path) -> str:
    """The SHA-256 sum of a file."""
    found = hashlib.sha256()
    with open(path, "rb") as stream:
        for part in iter(lambda: stream.read(SLICE), b""):
            found.update(part)
    return found.hexdigest()


def unpacked(archive: Path, folder: Path) -> Path:
    """The wheels of a zip, in a folder; raises PluginError where it is none or holds none."""
    try:
        with zipfile.ZipFile(archive) as opened:
            names = [name for name in opened.namelist() if name.endswith(".whl")]
            folder.mkdir(parents=True, exist_ok=True)
            for name in names:
                (folder / Path(name).name).write_bytes(opened.read(name))
    except (OSError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise PluginError(
            tr("{path} is no zip of wheels: {error}", path=archive, error=error)
        ) from error
    if not names:
        raise PluginError(tr("There are no wheels in {path}.", path=archive))
    return folder
