"""Bringing a model from a folder or a zip on this machine: offline, checked, copied whole or not at
all.

Only tensors and text are taken. A pickle is never opened, under whatever name it comes.
"""

from __future__ import annotations

import datetime
import functools
import hashlib
import os
import shutil
import stat
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import IO

from ..ground.errors import BadRequest, Conflict, LicenceNotAccepted, ModelRefused, NoSpace
from . import parts
from .catalogue import Entry
from .installed import CHUNK, Kept, OnBytes, Record, Store, nothing, sha256

TAKEN = (".safetensors", ".json", ".txt", ".model", ".jinja")
SPARE_BYTES = 200_000_000
MOST_FILES = 5000
LARGEST_TEXT = 100_000_000
"""Bytes of one file beside the weights, which is read whole."""
PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Of members of a zip; others ask for memory before they give a byte."""


@dataclass(frozen=True)
class Found:
    """One file of the source. `name`: its path in the model, as unet/config.json. `size`: in bytes.
    `open`: gives its bytes as a stream. `spare`: where it may be moved from; None: it is copied."""

    name: str
    size: int
    open: Callable[[], IO[bytes]]
    spare: Path | None = None


def opener(path: Path) -> Callable[[], IO[bytes]]:
    """What opens a file of this machine."""
    return lambda: path.open("rb")


@dataclass(frozen=True)
class Arrival:
    """A model that is to come into a store.

    `entry`: which; `accept_licence`: whether the user has accepted its conditions; `revision`: the
    commit that its files are of, where that is known; `on_bytes`: who hears how far it has come.
    """

    entry: Entry
    accept_licence: bool = False
    revision: str = ""
    on_bytes: OnBytes = nothing


def import_model(store: Store, arrival: Arrival, source: Path) -> Record:
    """Copy a model from a folder or zip into the store; raises ModelRefused with what is wrong with
    it."""
    entry = arrival.entry
    check_licence(entry, arrival.accept_licence)
    if source.is_dir():
        return keep(store, arrival, list(_in_folder(entry, source)), f"folder {source}")
    if not source.is_file():
        raise BadRequest(f"There is no folder or zip at {source}.")
    if source.suffix == ".safetensors" and entry.lora:
        found = Found(f"lora/{source.name}", source.stat().st_size, opener(source))
        return keep(store, arrival, [found], f"file {source}")
    if not zipfile.is_zipfile(source):
        raise ModelRefused(
            f"{source.name} is neither a folder nor a zip"
            + (
                " nor the adapter's .safetensors file."
                if entry.lora
                else ". Unpack it, or give the folder with its parts."
            )
        )
    try:
        with zipfile.ZipFile(source) as archive:
            return keep(store, arrival, list(_in_zip(entry, archive)), f"zip {source}")
    except zipfile.BadZipFile as error:
        raise ModelRefused(f"{source.name} is a damaged zip ({error}). Copy it again.") from error


def check_licence(entry: Entry, accepted: bool) -> None:
    """Raise LicenceNotAccepted where the licence has conditions and the user has not said yes to
    them."""
    if entry.asks and not accepted:
        raise LicenceNotAccepted(
            f"{entry.title} is under '{entry.licence}'. {entry.restrictions} Read it at its "
            f"source ({entry.repo or 'where you got it'}) and accept it (--accept-licence; over "
            "HTTP accept_licence) to go on."
        )


def keep(store: Store, arrival: Arrival, found: list[Found], source: str) -> Record:
    """Copy files into a staged folder, check them, and put the model in its place; `source`: where
    they come from, in words."""
    entry = arrival.entry
    if not found:
        wanted = (
            "the adapter's .safetensors file"
            if entry.lora
            else (
                f"{', '.join(entry.parts)}, each a folder with its files, as diffusers saves a "
                "pipeline"
            )
        )
        raise ModelRefused(f"{source} holds no part of {entry.title}. Wanted: {wanted}.")
    before = store.record(entry.id)
    if before is not None:
        raise Conflict(
            f"{entry.title} is here already ({before.source}, {before.when}). Remove it first, if "
            "these files are better."
        )
    total = sum(one.size for one in found)
    with store.staging(entry.id) as stage:
        free = shutil.disk_usage(stage).free
        if sum(one.size for one in found if one.spare is None) + SPARE_BYTES > free:
            raise NoSpace(
                f"{entry.title} needs {total / 1e9:.1f} GB; {free / 1e9:.1f} GB are free in "
                f"{store.folder}."
            )
        try:
            record = _staged(store, arrival, found, stage)
        except BaseException:
            # What was downloaded goes back, so that the next try need not fetch it again.
            for one in found:
                if one.spare is not None and (stage / one.name).is_file():
                    os.replace(stage / one.name, one.spare)
            raise
        record = replace(record, source=source, revision=arrival.revision)
        store.settle(stage, record)
    return record


def _staged(store: Store, arrival: Arrival, found: list[Found], stage: Path) -> Record:
    """The files in a staged folder, hashed and checked."""
    entry = arrival.entry
    for one in found:
        if one.size > LARGEST_TEXT and not one.name.endswith(".safetensors"):
            raise ModelRefused(
                f"{one.name} has {one.size:,} bytes; of what is no weights at most "
                f"{LARGEST_TEXT:,} are taken."
            )
    kept: dict[str, Kept] = {}
    done = 0
    total = sum(one.size for one in found)
    # Configs first: what is another model shows in them, before gigabytes are copied.
    light = [one for one in found if not one.name.endswith(".safetensors")]
    for one in [*light, *(one for one in found if one not in light)]:
        if len(kept) == len(light):
            parts.check_configs(entry, stage)
        kept[one.name] = _copied(
            one, stage, functools.partial(_counted, arrival.on_bytes, done, total, one.name)
        )
        done += one.size
        known = entry.sha256.get(one.name)
        if known and known != kept[one.name].sha256:
            raise ModelRefused(
                f"{one.name}: sha256 {kept[one.name].sha256[:16]}... is not the published "
                f"{known[:16]}.... The file is damaged, or is another one."
            )
    parts.check(store, entry, stage)
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    return Record(entry.id, "", "", now, entry.licence, entry.asks, kept)


def _counted(on_bytes: OnBytes, before: int, total: int, name: str, done: int) -> None:
    on_bytes(before + done, total, name)


def _copied(one: Found, stage: Path, told: Callable[[int], None]) -> Kept:
    """Copy a file while hashing it, up to the size it claims; what may be moved is moved."""
    target = stage / one.name
    target.parent.mkdir(parents=True, exist_ok=True)
    if one.spare is not None:
        kept = Kept(one.size, sha256(one.spare, told), one.spare.stat().st_mtime_ns)
        os.replace(one.spare, target)
        return kept
    digest = hashlib.sha256()
    done = 0
    try:
        with one.open() as stream, target.open("wb") as out:
            while piece := stream.read(CHUNK):
                done += len(piece)
                if done > one.size:
                    raise ModelRefused(f"{one.name} is larger than it claims to be.")
                digest.update(piece)
                out.write(piece)
                told(done)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise ModelRefused(f"{one.name} cannot be unpacked: {error}.") from error
    except OSError as error:
        raise NoSpace(f"{one.name} could not be copied: {error}.") from error
    if done != one.size:
        raise ModelRefused(f"{one.name} is cut off: {done:,} of {one.size:,} bytes.")
    return Kept(done, digest.hexdigest(), target.stat().st_mtime_ns)


def _in_folder(entry: Entry, source: Path) -> Iterator[Found]:
    root = (
        source / entry.subfolder
        if entry.subfolder and (source / entry.subfolder).is_dir()
        else source
    )
    names = {}
    for path in sorted(root.rglob("*")):
        if path.is_file():
            names[path.relative_to(root).as_posix()] = path
        if len(names) > MOST_FILES:
            raise ModelRefused(
                f"{source} holds more than {MOST_FILES} files; give the model's own folder."
            )
    for name, origin in chosen(
        entry, {name: path.stat().st_size for name, path in names.items()}
    ).items():
        path = names[origin]
        _check_link(path, root)
        yield Found(name, path.stat().st_size, opener(path))


def _check_link(path: Path, root: Path) -> None:
    """Raise ModelRefused for a file that really lies elsewhere, but for where the hub's own cache
    keeps the files of a snapshot."""
    real, base = path.resolve(), root.resolve()
    of_cache = base.parent.name == "snapshots" or base.parent.parent.name == "snapshots"
    blobs = next((p.parent / "blobs" for p in (base, *base.parents) if p.name == "snapshots"), None)
    if real.is_relative_to(base) or (of_cache and blobs and real.parent == blobs):
        return
    raise ModelRefused(
        f"{path.relative_to(root)} is a link to {real}, which lies outside of {root}. It is not "
        "followed: copy the folder with what its links point at (cp -rL)."
    )


def _in_zip(entry: Entry, archive: zipfile.ZipFile) -> Iterator[Found]:
    named = [(_harmless(info), info) for info in archive.infolist()]
    infos = {name: info for name, info in named if not info.is_dir()}
    if len(infos) > MOST_FILES:
        raise ModelRefused(f"The zip holds {len(infos)} files; at most {MOST_FILES} are taken.")
    infos = _without_outer_folder(entry, infos)
    for name, origin in chosen(
        entry, {name: info.file_size for name, info in infos.items()}
    ).items():
        yield Found(name, infos[origin].file_size, functools.partial(archive.open, infos[origin]))


def _without_outer_folder(
    entry: Entry, infos: dict[str, zipfile.ZipInfo]
) -> dict[str, zipfile.ZipInfo]:
    """Members by their paths inside the model: without the one folder that holds everything, and
    without the subfolder of the repository in which this model lies."""
    top = {name.split("/")[0] for name in infos}
    if len(top) == 1 and all("/" in name for name in infos) and next(iter(top)) not in entry.parts:
        infos = {name.split("/", 1)[1]: info for name, info in infos.items()}
    inside = f"{entry.subfolder}/"
    if entry.subfolder and any(name.startswith(inside) for name in infos):
        infos = {
            name[len(inside) :]: info for name, info in infos.items() if name.startswith(inside)
        }
    return infos


def _harmless(info: zipfile.ZipInfo) -> str:
    """The name of a member; raises ModelRefused where it leads outside or cannot be read."""
    name = info.filename.replace("\\", "/")
    pieces = PurePosixPath(name).parts
    if name.startswith("/") or ".." in pieces or (pieces and ":" in pieces[0]):
        raise ModelRefused(
            f"The zip holds '{info.filename[:80]}', which points outside its folder. It is "
            "not unpacked."
        )
    if stat.S_ISLNK(info.external_attr >> 16):
        raise ModelRefused(f"The zip holds a link ('{info.filename[:80]}'). It is not unpacked.")
    if info.flag_bits & 1:
        raise ModelRefused("The zip is encrypted. Unpack it and give the folder.")
    if info.compress_type not in PACKINGS:
        raise ModelRefused(
            f"'{info.filename[:80]}' in the zip is packed in a way that is not read. Unpack it and "
            "give the folder."
        )
    return name


def chosen(entry: Entry, sizes: Mapping[str, int]) -> dict[str, str]:
    """Which files of a source are taken: path in the model to path in the source. Raises
    ModelRefused for pickles alone."""
    taken: dict[str, str] = {}
    for part in entry.parts:
        place = parts.place_of(part, sizes)
        if place is None:
            continue
        inside = {
            name[len(place) :]: name
            for name in sizes
            if name.startswith(place) and "/" not in name[len(place) :]
        }
        wanted = _wanted([name for name in inside if PurePosixPath(name).suffix in TAKEN])
        if part in parts.WITH_WEIGHTS:
            _check_no_pickle_alone(part, list(inside), wanted)
        taken.update({f"{part}/{name}": inside[name] for name in wanted})
    return taken


def _wanted(names: Sequence[str]) -> list[str]:
    """Of the same weights in several precisions those of the plain name, where there are such and
    no shards."""
    weighty = [name for name in names if name.endswith(".safetensors")]
    plain = [name for name in weighty if len(PurePosixPath(name).suffixes) == 1]
    shards = any(name.endswith(".safetensors.index.json") for name in names)
    if shards or not plain:
        return list(names)
    return [name for name in names if name in plain or name not in weighty]


def _check_no_pickle_alone(part: str, names: Sequence[str], wanted: Sequence[str]) -> None:
    if any(name.endswith(".safetensors") for name in wanted):
        return
    pickled = [name for name in names if name.endswith((".bin", ".pt", ".pth", ".ckpt"))]
    if pickled:
        raise ModelRefused(
            f"{part} has its weights as a pickle only ({pickled[0]}), which could run "
            "code and is not read. Get the .safetensors file of this part."
        )
