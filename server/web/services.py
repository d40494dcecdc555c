"""What the views share: settings, jobs, runner, uploads, and who may read what."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ..contract.bundle import KEPT_BESIDE
from ..contract.jobs import JobInfo
from ..contract.library import ExemplarInfo, KeepRequest
from ..contract.requests import EditRequest
from ..editors.models import Models
from ..editors.registry import Editors
from ..ground.errors import BadRequest, NoSpace, ServerError, TooLarge, Unauthorised
from ..ground.files import folder_on_disk
from ..ground.settings import Settings
from ..jobs.executor import Runner
from ..jobs.folder import REQUEST
from ..jobs.store import JobStore
from ..jobs.workplace import Workplace
from ..library import own
from ..library.shelf import Library
from ..raster.rasters import Rasters
from .model_tasks import ModelTasks

CHUNK = 1 << 20
UNFINISHED = (".part-", ".landbrush-")
"""How files and folders of a transfer begin that has not ended."""


@dataclass(frozen=True)
class Services:
    """One server's parts. `settings`: what its operator decided. `store`: its jobs. `runner`: what
    runs them. `place`: where rasters are read. `editors`: with the models of its home.
    `model_tasks`: imports and downloads that go on."""

    settings: Settings
    store: JobStore
    runner: Runner
    place: Workplace
    editors: Editors
    model_tasks: ModelTasks

    @property
    def models(self) -> Models:
        """The models of the home."""
        return self.editors.models

    @property
    def library(self) -> Library:
        """The exemplars of the home, and those that are shipped."""
        return self.models.library

    def keep_exemplar(self, wanted: KeepRequest) -> ExemplarInfo:
        """Keep a part of a raster in the library; a worker reads it."""
        self.settings.uploads.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(prefix=".landbrush-", dir=self.settings.uploads) as drafts:
            about = {"wanted": wanted.to_json(), "folder": drafts}
            told = self.place.read("keep", about)
            chip = own.moved(str(told["id"]), Path(drafts), self.library.folder)
        return ExemplarInfo.from_json(chip.to_json())

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
        found = self.place.read("admit", {"process": process_id, "request": request.to_json()})
        files = Rasters.of(found)
        info, new = self.store.create(process_id, request, files, key)
        if new:
            self.runner.submit(info.jobID)
        return info, new

    def receive(self, stream: IO[bytes], length: int | None) -> str:
        """Store an upload under the hash of its content, whole or not at all; a zip of a raster and
        the files beside it as one GeoTIFF."""
        limit = self.settings.upload_limit_mb * 1_000_000
        if length is not None and length > limit:
            raise TooLarge(f"The upload has {length:,} bytes; at most {limit:,} are taken.")
        digest = hashlib.sha256()
        size = 0
        try:
            self.settings.uploads.mkdir(parents=True, exist_ok=True, mode=0o700)
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
                    out.flush()
                    os.fsync(out.fileno())
                raster_id = digest.hexdigest()[:40]
                self._keep(draft, whole, self.settings.uploads / raster_id, limit)
            finally:
                for path in (draft, whole, *(Path(f"{whole}{end}") for end in KEPT_BESIDE)):
                    path.unlink(missing_ok=True)
                shutil.rmtree(f"{whole}.parts", ignore_errors=True)  # of a worker that was ended
        except OSError as error:
            raise NoSpace(f"The upload could not be stored: {error}.") from error
        return raster_id

    def _keep(self, draft: Path, whole: Path, target: Path, limit: int) -> None:
        """Give what was sent its name, once a worker has looked through it; of a zip the GeoTIFF
        that it made, with what lies beside."""
        given = {"draft": str(draft), "whole": str(whole), "limit": limit}
        try:
            made = self.place.read("receive", given)
        except ServerError as error:  # its own name says nothing to who sent it
            said = str(error)
            for name in (str(whole), str(draft), whole.name, draft.name):
                said = said.replace(name, "the upload")
            error.args = (said[:1].upper() + said[1:],)
            raise
        kept = whole if made["kept"] == str(whole) else draft
        for end in KEPT_BESIDE:
            beside = Path(f"{whole}{end}")
            if kept is whole and beside.is_file() and not beside.is_symlink():
                os.replace(beside, f"{target}{end}")
        os.replace(kept, target)
        folder_on_disk(target.parent)


MAX_JSON_BYTES = 16_000_000


def check_token(services: Services, authorisation: str) -> None:
    """Raise Unauthorised for a request without the server's token."""
    if not services.knows(authorisation):
        raise Unauthorised(
            "Send the server's token as 'Authorization: Bearer TOKEN'. It is in the file 'token' "
            "of the server's home folder, which is named when the server starts."
        )


def check_body(services: Services, raw: bool, length: int) -> None:
    """Raise what is wrong with a body of so many bytes; `raw`: of a raster, not of a message."""
    limit = services.settings.upload_limit_mb * 1_000_000
    if raw and length > limit:
        raise TooLarge(f"The upload has {length:,} bytes; at most {limit:,} are taken.")
    if not raw and length > MAX_JSON_BYTES:
        raise BadRequest(f"The body has {length:,} bytes; at most {MAX_JSON_BYTES:,} are taken.")


def clean(settings: Settings, store: JobStore, begun: float) -> None:
    """Delete what is older than it is kept. `begun`: when the server started, in seconds since
    1970: transfers that are older have ended with a former one."""
    store.forget_older_than(settings.keep_days)
    purge_uploads(settings, store, begun)


def purge_uploads(settings: Settings, store: JobStore, begun: float) -> int:
    """Delete uploads that no job kept names and that are older than jobs are kept, and what broken
    transfers left before `begun`."""
    if not settings.uploads.is_dir():
        return 0
    kept = list(settings.uploads.iterdir())
    unnamed = {path.name.partition(".")[0] for path in kept}
    for info in store.list_all():
        text = _request_text(store.root / info.jobID / REQUEST)
        unnamed = {name for name in unnamed if name not in text}
    limit = time.time() - settings.keep_days * 86400
    count = 0
    for path in kept:
        with contextlib.suppress(OSError):  # a link to nowhere, a folder: not one that was uploaded
            written = path.lstat().st_mtime
            broken_off = path.name.startswith(UNFINISHED) and written < begun
            if broken_off and path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
                count += 1
            elif broken_off or (written < limit and path.name.partition(".")[0] in unnamed):
                path.unlink(missing_ok=True)
                count += 1
    return count


def _request_text(path: Path) -> str:
    try:
        return path.read_text("utf8", "replace")
    except OSError:
        return ""
