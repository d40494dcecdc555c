"""A raster with the files beside it, sent as one zip: mask, georeference, names and nodata values
that other programs keep in files of their own."""

from __future__ import annotations

import shutil
import stat
import zipfile
from pathlib import Path, PurePosixPath

from ..contract.bundle import AREAS_END, MOST_FILES, is_beside
from ..ground.errors import BadRequest, RasterUnreadable
from .geotiff import Mosaic, WriteOptions, write_geotiff
from .metadata import metadata_of
from .raster import opened, profile_of

MARK = b"PK\x03\x04"


def is_bundle(path: Path) -> bool:
    """Whether a file is a zip."""
    with path.open("rb") as stream:
        return stream.read(4) == MARK


def as_one(archive: Path, target: Path, limit_bytes: int) -> None:
    """Make one GeoTIFF of the first raster of a zip and the files beside it, pixels bit for bit;
    what a GeoTIFF does not hold lies beside it then (KEPT_BESIDE).

    Raises BadRequest for a zip of another content, or of more than `limit_bytes` unpacked;
    RasterUnreadable.
    """
    folder = target.parent / f"{target.name}.parts"
    folder.mkdir()
    try:
        raster = _unpacked(archive, folder, limit_bytes)
        with opened(raster, (folder,)) as dataset:
            about = metadata_of(dataset)
            options = WriteOptions(compression="none", metadata=about)
            write_geotiff(dataset, Mosaic(profile_of(dataset).box), target, options)
        if about.sidecar:
            Path(f"{target}.aux.xml").write_text(about.sidecar, "utf8")
        areas = raster.with_name(raster.name + AREAS_END)
        if areas.is_file():
            areas.replace(f"{target}{AREAS_END}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unpacked(archive: Path, folder: Path, limit_bytes: int) -> Path:
    try:
        with zipfile.ZipFile(archive) as opened_archive:
            members = opened_archive.infolist()
            _check(members, limit_bytes)
            left = limit_bytes
            for member in members:
                with (
                    opened_archive.open(member) as packed,
                    (folder / member.filename).open("xb") as out,
                ):
                    while chunk := packed.read(1 << 20):
                        left -= len(chunk)
                        if left < 0:  # whatever the directory of the zip says
                            raise BadRequest(_too_large(limit_bytes))
                        out.write(chunk)
            return folder / members[0].filename
    except (
        zipfile.BadZipFile,
        NotImplementedError,
        RuntimeError,
        FileExistsError,
        EOFError,
    ) as error:
        raise RasterUnreadable(f"The zip cannot be read: {error}.") from error


def _too_large(limit_bytes: int) -> str:
    return f"Unpacked the zip has more than {limit_bytes:,} bytes."


def _check(members: list[zipfile.ZipInfo], limit_bytes: int) -> None:
    if not 1 <= len(members) <= MOST_FILES:
        raise BadRequest(
            f"The zip holds {len(members)} files; a raster and what lies beside it are at most "
            f"{MOST_FILES}."
        )
    main = members[0].filename
    for member in members:
        name = member.filename
        if "\\" in name or name.startswith(".") or PurePosixPath(name).name != name:
            raise BadRequest(f"The zip holds '{name[:80]}', which is no plain file name.")
        if stat.S_ISLNK(member.external_attr >> 16) or member.flag_bits & 1:
            raise BadRequest(f"'{name[:80]}' in the zip is a link or encrypted.")
        if name != main and not is_beside(name, main):
            raise BadRequest(
                f"The zip holds '{name[:80]}', which is not one of the files beside '{main[:80]}': "
                "put the raster first, and only what belongs to it behind."
            )
    if sum(member.file_size for member in members) > limit_bytes:
        raise BadRequest(_too_large(limit_bytes))
