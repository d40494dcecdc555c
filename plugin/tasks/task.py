"""The background work: QgsTasks that talk to the server. `run` never raises and touches no
widget."""

import json
import os
import tempfile
import uuid
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Callable, Optional, Union

from qgis.core import QgsFeedback, QgsTask
from qgis.PyQt.QtCore import pyqtSignal

from ...server.contract.bundle import is_beside
from ...server.contract.jobs import DISMISSED, RESULT_FILE, SUCCESSFUL
from ...server.contract.requests import RasterRef
from ..errors import Cancelled, FileNotShared, PluginError
from ..map.results import LONGEST_IN_PROJECT, result_path
from ..map.sources import Wanted, as_path, file_of, has_pixels
from ..map.taken import Taken
from ..told import told
from ..translated import tr
from .client import EditClient
from .network import QgisTransport
from .request import EditForm, build, by_path, in_layer_crs


@dataclass
class Connection:
    """A server. `url`: without a slash at its end. `token`: that requests bear. `shares_files`:
    whether it can read this machine's paths."""

    url: str
    token: str
    shares_files: bool = True

    def client(self, feedback=None):
        """A client for one thread."""
        return EditClient(self.url, self.token, QgisTransport(feedback))


@dataclass
class Inputs:
    """Files of a form's layers, or how they are made; None: not given. `raster`: what is edited.
    `exemplar`: what is copied from. `elevation`: heights. `over`: results over the raster.
    `key`: the same makes no second job of the same request; empty: each is a new one."""

    raster: Union[Path, Taken, None] = None
    exemplar: Union[Path, Taken, None] = None
    elevation: Union[Path, Taken, None] = None
    over: tuple = ()
    key: str = ""

    @property
    def all(self):
        """In the order in which a request takes them."""
        return (self.raster, self.exemplar, self.elevation, *self.over)


def inputs_of(form, resolution=0.0, context=None):
    """Files of the form's layers, or how they are made. A web map is exported around the area, at
    that size of a pixel; without one it is refused. On the GUI thread, or with Processing's
    `context`."""

    def around(area, layer):
        return in_layer_crs(area, layer, context).boundingBox()

    found = Inputs()
    if form.layer is not None:
        whole = form.output.area == "layer" and has_pixels(form.layer)
        margin = max(form.blend.context_px, 64)
        box = None if whole else around(form.area, form.layer)
        found.raster = file_of(form.layer, Wanted(box, resolution, margin))
    other = form.exemplar_layer
    if form.exemplar is not None and other is not None and other is not form.layer:
        found.exemplar = file_of(other, Wanted(around(form.exemplar, other)))
    if form.elevation_layer is not None:
        box = around(form.area, form.elevation_layer)
        found.elevation = file_of(form.elevation_layer, Wanted(box))
    found.over = tuple(file_of(one, Wanted()) for one in form.over)
    return found


def run_edit(asked, connection, folder, feedback, on_change):
    """One edit from (form, inputs) to files; returns (path of the GeoTIFF, manifest). Blocks; any
    thread."""
    form, inputs = asked
    client = connection.client(feedback)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".landbrush-", dir=str(folder)) as scratch:
        # A copy of the layer is kept beside the result, which is compared with it; others are not.
        raster = as_path(inputs.raster, folder, feedback)
        others = [as_path(one, Path(scratch), feedback) for one in inputs.all[1:]]
        info = _submit(client, form, (raster, *others), connection, inputs.key)
        to_its_end(client, info, connection, (on_change, feedback.isCanceled))
        path, manifest = fetch(client, info.jobID, folder)
        notes = [one.note for one in inputs.all[:1] if isinstance(one, Taken) and one.note]
        moved = form.transformation or manifest.transformation
        return path, replace(manifest, notes=(*manifest.notes, *notes), transformation=moved)


def to_its_end(client, info, connection, heard):
    """Wait for a job; raises PluginError where it fails, Cancelled where it is ended. `heard`: who
    is told of each change, and says whether to stop."""
    on_change, cancelled = heard
    on_change(info)
    try:
        info = client.wait(info.jobID, on_change, cancelled)
    except Cancelled:
        connection.client().dismiss(info.jobID)
        raise
    if info.status == DISMISSED:
        raise Cancelled
    if info.status != SUCCESSFUL:
        detail = info.problem.detail if info.problem else info.message
        said = told(detail) or tr("The edit failed.")
        raise PluginError(said, f"Job {info.jobID}: {info.to_json()}")


def fetch(client, job_id, folder):
    """Files of a successful job into `folder`; returns (path of the GeoTIFF, manifest). Also long
    after it ran."""
    manifest = client.manifest(job_id)
    folder.mkdir(parents=True, exist_ok=True)
    target = result_path(folder, manifest, job_id)
    made = {one.name: one for one in manifest.files}
    with tempfile.TemporaryDirectory(prefix=".landbrush-", dir=str(folder)) as scratch:
        draft = Path(scratch) / "result.tif"
        client.download(job_id, draft, wanted=made.get(RESULT_FILE))
        for name in client.beside(job_id):
            # Names of classes, many areas: there before the layer is loaded.
            beside = Path(scratch) / name
            client.download(job_id, beside, name, made.get(name))
            os.replace(beside, target.with_name(target.name + name.removeprefix(RESULT_FILE)))
        whole = json.dumps(manifest.to_json())
        if len(whole) > LONGEST_IN_PROJECT:
            target.with_suffix(".manifest.json").write_text(whole, encoding="utf8")
        os.replace(draft, target)
    return target, manifest


def _submit(client, form, paths, connection, key):
    def submit(refs):
        return client.submit(form.process_id, build(form, *refs), key or uuid.uuid4().hex)

    return referring(client, connection, paths, submit)


def asked_about(connection, feedback, sources, ask):
    """The answer of `ask(client, refs)`, the files being named as the server can read them.
    `sources`: what `file_of` gave. Blocks; any thread."""
    client = connection.client(feedback)
    with tempfile.TemporaryDirectory(prefix="landbrush-") as folder:
        paths = [as_path(one, Path(folder), feedback) for one in sources]
        return referring(client, connection, paths, lambda refs: ask(client, refs))


def referring(client, connection, paths, ask):
    """`ask(refs)`: files by path where the server may read them, else uploaded."""
    if connection.shares_files:
        try:
            return ask([None if p is None else by_path(p) for p in paths])
        except FileNotShared:
            pass  # sent instead
    return ask([None if p is None else _uploaded(client, p) for p in paths])


def _uploaded(client, path):
    """A reference to a raster that was sent; with the files beside it, which say where it lies and
    which pixels are valid, as one zip."""
    beside = sorted(
        one for one in path.parent.iterdir() if one.is_file() and is_beside(one.name, path.name)
    )
    if not beside:
        return RasterRef(upload=client.upload(path))
    with tempfile.TemporaryDirectory(prefix="landbrush-") as folder:
        archive = Path(folder) / "raster.zip"
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as packed:
            for one in (path, *beside):  # the raster first
                packed.write(one, one.name)
        return RasterRef(upload=client.upload(archive))


class BackgroundTask(QgsTask):
    """Work in a thread. Subclasses say what in `work` (abc cannot demand it: QGIS's classes have a
    metaclass of their own); signal `ended(task)` comes on the GUI thread."""

    ended = pyqtSignal(object)

    def __init__(self, title: str, quiet: bool = False) -> None:
        flags = QgsTask.Flag.CanCancel
        if quiet:  # QGIS says nothing of its end; older ones have no such flag
            flags |= getattr(QgsTask.Flag, "Silent", QgsTask.Flag.CanCancel)
            flags |= getattr(QgsTask.Flag, "Hidden", QgsTask.Flag.CanCancel)
        super().__init__(title, flags)
        self.feedback = QgsFeedback()
        self.error: Optional[PluginError] = None

    def work(self):
        """What is done, in a worker thread; may raise."""
        raise NotImplementedError

    def run(self) -> bool:
        """Called by QGIS in a worker thread. A task that raises takes QGIS down, so this never
        does."""
        try:
            self.work()
            return True
        except PluginError as error:
            self.error = error
        except OSError as error:
            self.error = PluginError(
                tr("A file could not be written or read: {error}", error=error)
            )
        except Exception as error:
            self.error = PluginError(
                tr("Landbrush failed unexpectedly; please report it."),
                f"{type(error).__name__}: {error}",
            )
        return False

    def cancel(self) -> None:
        """Stop at the next chance; the server is told by the task itself."""
        self.feedback.cancel()
        super().cancel()

    def finished(self, result) -> None:
        """On the GUI thread."""
        if not result and self.error is None:
            self.error = Cancelled()
        self.ended.emit(self)


class EditTask(BackgroundTask):
    """One edit. Signals: `progressed(JobInfo)`, `ended(task)`; then `path` and `manifest`, or
    `error`, are set.

    Cancelled, the job on the server is dismissed.
    """

    progressed = pyqtSignal(object)

    def __init__(
        self, form: EditForm, inputs: Inputs, connection: Connection, folder: Path
    ) -> None:
        super().__init__(f"Landbrush: {form.prompt or form.process_id}")
        self.form = form
        self.inputs = inputs
        self.connection = connection
        self.folder = folder
        self.batch = form  # the form that was run, of which this may be one of several variants
        self.key: Any = None  # what the variants have in common
        self.path = None
        self.manifest = None

    def work(self) -> None:
        """Edit on the server and bring the result home: `path`, `manifest`."""
        self.path, self.manifest = run_edit(
            (self.form, self.inputs), self.connection, self.folder, self.feedback, self._changed
        )

    def _changed(self, info) -> None:
        self.setProgress(float(info.progress))
        self.progressed.emit(info)


class CallTask(BackgroundTask):
    """One question to the server. Signal `ended(task)`; then `answer` or `error` is set."""

    def __init__(
        self, title: str, call: Callable[[EditClient], Any], connection: Connection
    ) -> None:
        super().__init__(title, quiet=True)
        self.call = call
        self.connection = connection
        self.answer = None

    def work(self) -> None:
        """Ask the server; what it says is `answer`."""
        self.answer = self.call(self.connection.client(self.feedback))
