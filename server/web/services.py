"""What the views share: settings, jobs, runner, uploads, and who may read what."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from ..contract.editors import AUTO
from ..contract.jobs import JobInfo
from ..contract.requests import EditRequest, RasterRef
from ..editing import new_ground
from ..editing.plan import decide
from ..editing.region import placing_of
from ..editors.models import Models
from ..editors.registry import Editors
from ..ground.errors import BadRequest, NoSpace, RasterUnreadable, TooLarge
from ..ground.settings import Settings
from ..jobs.executor import Runner
from ..jobs.folder import REQUEST, allowed_for
from ..jobs.store import JobStore
from ..raster import bundle
from ..raster.polygons import check_crs, extent_box, pixel_polygons
from ..raster.raster import opened, profile_of
from ..raster.rasters import Rasters
from .model_tasks import ModelTasks

UPLOAD_DRIVERS = ("GTiff", "PNG", "JPEG", "JP2OpenJPEG", "HFA")
"""Formats taken as uploads; read again, they are opened as what `raster.FORMATS` allows, never as a
VRT."""
CHUNK = 1 << 20
UNFINISHED = (".part-", ".landbrush-")
"""How files and folders of a transfer begin that has not ended."""


@dataclass(frozen=True)
class Services:
    """One server's parts. `settings`: what its operator decided. `store`: its jobs. `runner`: what
    runs them. `editors`: with the models of its home. `model_tasks`: imports and downloads that go
    on."""

    settings: Settings
    store: JobStore
    runner: Runner
    editors: Editors
    model_tasks: ModelTasks

    @property
    def models(self) -> Models:
        """The models of the home."""
        return self.editors.models

    def knows(self, authorisation: str) -> bool:
        """Whether the header carries this server's token."""
        scheme, _, token = authorisation.partition(" ")
        ours = self.settings.token
        return (
            bool(ours)
            and scheme.lower() == "bearer"
            and hmac.compare_digest(token.strip().encode(), ours.encode())
        )

    def accept(self, process_id: str, request: EditRequest, key: str) -> tuple[JobInfo, bool]:
        """Check what can be checked without pixels, store the job and queue it."""
        files = self.files_of(request)
        self._check(process_id, request, files)
        info, new = self.store.create(process_id, request, files, key)
        if new:
            self.runner.submit(self.store.folder(info.jobID))
        return info, new

    def _check(self, process_id: str, request: EditRequest, files: Rasters) -> None:
        for polygons in (
            request.polygons,
            request.protect,
            request.exemplar and request.exemplar.polygons,
        ):
            if polygons:
                check_crs(polygons.crs, "polygons.crs")
        if request.extent:
            check_crs(request.extent.crs, "extent.crs")
        with opened(files.raster, files.roots) as dataset:
            profile = profile_of(dataset)
        extent_box(request.extent, profile)
        for path in (files.exemplar, files.elevation):
            if path is not None:
                with opened(path, files.roots) as dataset:
                    profile_of(dataset)
        if process_id != AUTO or not request.prompt.strip() or request.raster.extent is not None:
            plan = decide(request, process_id, self.editors)
            editor = plan.editor
            shapes = pixel_polygons(request.polygons, profile)
            placing_of(plan, profile, shapes).windows(shapes)
            if request.raster.extent is not None and "raster?" not in editor.info.needs:
                raise BadRequest(
                    f"raster.extent: {editor.info.title} works on a picture, and new ground is "
                    "empty. Name a raster, or take the process 'generate'."
                )

    def roots_of(self, path: Path) -> tuple[Path, ...]:
        """Folders below which a raster of a request must lie with all it refers to; an upload
        refers to nothing."""
        return (
            (*self.settings.roots, path)
            if path.parent == self.settings.uploads
            else self.settings.roots
        )

    def files_of(self, request: EditRequest) -> Rasters:
        """Paths of the request's rasters; raises Forbidden or RasterUnreadable."""
        exemplar = request.exemplar.raster if request.exemplar else None
        files = Rasters(
            self.path_of(request.raster, request.band_roles),
            self.path_of(exemplar) if exemplar else None,
            self.path_of(request.elevation) if request.elevation else None,
        )
        return replace(files, roots=allowed_for(files, self.settings))

    def path_of(self, ref: RasterRef, roles: Mapping[str, int] | None = None) -> Path:
        """The file of an upload, of a path below one of the roots, or of new ground, empty or of
        such a raster made finer."""
        if ref.extent is not None:
            if not (ref.upload or ref.path):
                return new_ground.blank(ref.extent, ref.gsd_m, self.settings.uploads)
            source = self.path_of(replace(ref, extent=None, gsd_m=0.0))
            return new_ground.finer(source, ref, roles or {}, self.settings.uploads)
        if ref.upload:
            path = self.settings.uploads / ref.upload
            if not ref.upload.isalnum() or not path.is_file():
                raise RasterUnreadable(
                    f"There is no upload '{ref.upload[:64]}'; send the raster to POST /rasters "
                    "first."
                )
            with opened(path, (path,)):
                return path
        try:
            path = Path(ref.path).resolve()
        except (OSError, ValueError, RuntimeError) as error:
            raise BadRequest(f"path: '{ref.path[:200]}' is not a path ({error}).") from error
        with opened(path, self.settings.roots):
            return path

    def receive(self, stream: IO[bytes], length: int | None) -> str:
        """Store an upload under the hash of its content, whole or not at all; a zip of a raster and
        the files beside it as one GeoTIFF."""
        limit = self.settings.upload_limit_mb * 1_000_000
        if length is not None and length > limit:
            raise TooLarge(f"The upload has {length:,} bytes; at most {limit:,} are taken.")
        self.settings.uploads.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        size = 0
        try:
            handle, name = tempfile.mkstemp(prefix=".part-", dir=self.settings.uploads)
            draft = Path(name)
            whole = draft.with_name(f"{draft.name}.tif")
            try:
                with os.fdopen(handle, "wb") as out:
                    while chunk := stream.read(CHUNK):
                        size += len(chunk)
                        if size > limit:
                            raise TooLarge(f"The upload has more than {limit:,} bytes.")
                        digest.update(chunk)
                        out.write(chunk)
                raster_id = digest.hexdigest()[:40]
                if size and bundle.is_bundle(draft):
                    bundle.as_one(draft, whole, limit)
                    os.replace(whole, draft)
                _check_upload(draft, size)
                target = self.settings.uploads / raster_id
                for end in bundle.KEPT_BESIDE:
                    if Path(f"{whole}{end}").is_file():
                        os.replace(f"{whole}{end}", f"{target}{end}")
                os.replace(draft, target)
            finally:
                for path in (draft, whole, *(Path(f"{whole}{end}") for end in bundle.KEPT_BESIDE)):
                    path.unlink(missing_ok=True)
        except OSError as error:
            raise NoSpace(f"The upload could not be stored: {error}.") from error
        return raster_id


def purge_uploads(settings: Settings, store: JobStore) -> int:
    """Delete uploads that no job kept names and that are older than jobs are kept, and what broken
    transfers left."""
    if not settings.uploads.is_dir():
        return 0
    text = "".join(_request_text(store.root / info.jobID / REQUEST) for info in store.list_all())
    count = 0
    limit = time.time() - settings.keep_days * 86400
    for path in settings.uploads.iterdir():
        with contextlib.suppress(OSError):  # a link to nowhere, a folder: not one that was uploaded
            if path.is_dir() and path.name.startswith(UNFINISHED):
                shutil.rmtree(path)
                count += 1
            elif path.name.startswith(UNFINISHED) or (
                path.lstat().st_mtime < limit and path.name.partition(".")[0] not in text
            ):
                path.unlink(missing_ok=True)
                count += 1
    return count


def _request_text(path: Path) -> str:
    try:
        return path.read_text("utf8", "replace")
    except OSError:
        return ""


def _check_upload(path: Path, size: int) -> None:
    if not size:
        raise BadRequest("The upload is empty.")
    with opened(path, (path,)) as dataset:
        if dataset.driver not in UPLOAD_DRIVERS:
            raise RasterUnreadable(
                "The upload is not a raster of a kind that is taken "
                f"({', '.join(UPLOAD_DRIVERS)}), but {dataset.driver}."
            )
        profile_of(dataset)
