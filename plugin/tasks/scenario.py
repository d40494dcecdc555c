"""Many edits of one raster, in order: run all, or what has changed, and go on where one was
stopped."""

import contextlib
import hashlib
import json
import os
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from qgis.core import QgsRasterLayer, QgsRectangle
from qgis.PyQt.QtCore import QLockFile

from ...server.contract.requests import MOST_OVER
from ..errors import Cancelled, PluginError
from ..map.sources import layer_path
from ..translated import tr
from .request import EditForm, in_layer_crs
from .tally import about

JOURNAL = "scenario.json"
LOCK = ".scenario.lock"
NEAR_PX = 16
"""Results that lie so near to an area are seen where it is edited, whatever the editor; what
reaches further is told by the result's own window."""
MOST_TURNS = 4
"""How often an edit is made again because it reaches results that it was made without."""


@dataclass
class Row:
    """One measure. `name`: what it is called in messages. `form`: what is asked for."""

    name: str
    form: EditForm


@dataclass
class Done:
    """What came of a row. `key`: of all that it was made of. `file`: name of its result in the
    folder; empty: none. `box`: of the result, in the layer's coordinates. `said`: why there is
    none. `again`: whether it was made anew this time. `attempt`: counts failures, so that a row
    that failed is asked for anew. `about`: what it changed, for the table."""

    key: str
    file: str = ""
    box: tuple = ()
    said: str = ""
    again: bool = True
    attempt: int = 0
    about: dict = field(default_factory=dict)

    def to_json(self):
        """As the journal keeps it: without whether it was made this time."""
        return {"key": self.key, "file": self.file, "box": list(self.box), "said": self.said,
                "attempt": self.attempt, "about": self.about}  # fmt: skip


@dataclass
class Journal:
    """What was done, in a file beside the results, written after each row: whoever is stopped goes
    on there. `folder`: of both. `rows`: a Done by the row's place."""

    folder: Path
    rows: dict = field(default_factory=dict)

    @classmethod
    def read(cls, folder):
        """That of a folder; empty where there is none, or none that can be read."""
        found = cls(Path(folder))
        try:
            told = json.loads((found.folder / JOURNAL).read_text("utf8"))
            for place, row in told["rows"].items():
                found.rows[int(place)] = Done(
                    str(row["key"]), str(row["file"]), tuple(row["box"]), str(row["said"]),
                    attempt=int(row["attempt"]), about=dict(row.get("about", {})),
                )  # fmt: skip
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            found.rows = {}
        return found

    def put(self, place, done) -> None:
        """Note what came of a row, whole or not at all."""
        self.rows[place] = done
        told = {"rows": {str(k): one.to_json() for k, one in sorted(self.rows.items())}}
        draft = self.folder / f".{JOURNAL}.part"
        draft.write_text(json.dumps(told, indent=1), encoding="utf8")
        os.replace(draft, self.folder / JOURNAL)

    def path(self, done):
        """The result of a row; None where it is not there."""
        path = self.folder / done.file if done.file else None
        return path if path is not None and path.is_file() else None


@contextlib.contextmanager
def held(folder):
    """A folder for one run alone; what one that was ended left half-done there is taken away.
    Raises PluginError where another run has it."""
    lock = QLockFile(str(Path(folder) / LOCK))
    lock.setStaleLockTime(0)  # only the end of its process frees it
    if not lock.tryLock(0):
        raise PluginError(
            tr("{folder} is in use by another run; let that end, or choose another.", folder=folder)
        )
    try:
        for left in Path(folder).glob(".landbrush-*"):
            shutil.rmtree(left, ignore_errors=True)
        yield
    finally:
        lock.unlock()


@dataclass
class Scenario:
    """Rows to be edited one after the other, each on what those before it made.

    `rows`: in order. `raster`: file of the layer that is edited (Path). `journal`: what was done
    before, and is now. `run`: one edit, called with (form, over, key, place); makes (path in the
    folder, Manifest) and raises PluginError, Cancelled. `context`: QgsCoordinateTransformContext.
    """

    rows: list
    raster: Path
    journal: Journal
    run: Any
    context: Any = None

    def __post_init__(self) -> None:
        self.known: dict = {}  # a Done by its key, of former runs

    def run_all(self, hear, cancelled):
        """Run what has not been done yet; `hear(place, Done)` after each row, `cancelled()` between
        them. A row that fails does not keep the others. Returns a Done for each row."""
        # As they were before: rows may have been put before others, or taken away.
        self.known = {one.key: one for one in self.journal.rows.values() if one.key}
        found: list = []
        for place, row in enumerate(self.rows):
            if cancelled():
                raise Cancelled
            done = self._row(place, row, found)
            found.append(done)
            hear(place, done)
        return found

    def _row(self, place, row, before):
        old = self.journal.rows.get(place)
        attempt = old.attempt if old is not None else 0
        try:
            box = self._near(row.form)
            if old is not None and old.box and QgsRectangle(*old.box).intersects(box):
                box.combineExtentWith(QgsRectangle(*old.box))
            for _ in range(MOST_TURNS):
                beneath = self._beneath(box, before)
                key = self._key(row.form, [one.key for one in beneath])
                same = self.known.get(key)  # also where rows were put before it
                if same is not None and self.journal.path(same) is not None:
                    same = replace(same, again=False)
                    self.journal.put(place, same)
                    return same
                over = [self.journal.path(one) for one in beneath]
                path, manifest = self.run(row.form, over, _job_key(key, attempt, over), place)
                made = _box_of(path)
                done = Done(key, path.name, made, attempt=attempt, about=about(manifest))
                if all(one in beneath for one in self._beneath(QgsRectangle(*made), before)):
                    break
                box = QgsRectangle(*made)  # it reaches further than was thought
        except Cancelled:  # its job has ended with it: the next time it is a new one
            self.journal.put(place, Done("", said="stopped", attempt=attempt + 1))
            raise
        except PluginError as error:
            done = Done("", said=error.message, attempt=attempt + 1)
        self.journal.put(place, done)
        return done

    def _near(self, form):
        """Where results are seen by an edit at least: around its area."""
        layer = form.layer
        box = in_layer_crs(form.area, layer, self.context).boundingBox()
        box.grow(NEAR_PX * layer.rasterUnitsPerPixelX())
        return box

    def _beneath(self, box, before):
        """What was made before and is seen in a box, the lowest first."""
        return [
            one
            for one in before
            if self.journal.path(one) is not None and QgsRectangle(*one.box).intersects(box)
        ]

    def _key(self, form, beneath):
        """What a result is made of; another key: it has to be made anew."""
        told = [
            _state(self.raster),
            form.area.geometry.asWkt(9),
            form.area.crs.toWkt(),
            [form.prompt, form.operation, form.process_id, form.options, form.seed],
            _state_of(form.elevation_layer),
            [form.protect.geometry.asWkt(9) if form.protect is not None else ""],
            [form.band_roles, form.blend.to_json(), form.output.to_json()],
            beneath,
        ]
        for kind, known in form.known:
            shape = known.read()
            told.append([kind, "" if shape is None else shape.asWkt(6)])
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()

    def flattened(self, dones, output):
        """One layer with all that was made: the last row once more, written whole (`output`) with
        the others beneath it; of very many in steps, each over the layer of the step before. Makes
        (path, Manifest); None where nothing was made."""
        made = [(p, one) for p, one in enumerate(dones) if self.journal.path(one) is not None]
        beneath: list = []  # (key, path) of what the next step lies over
        result = None
        for start in range(0, len(made), MOST_OVER - 1):
            step = made[start : start + MOST_OVER - 1]
            place, last = step[-1]
            beneath += [(one.key, self.journal.path(one)) for _, one in step[:-1]]
            form = replace(self.rows[place].form, output=output)
            key = self._key(form, [name for name, _ in beneath])
            over = [path for _, path in beneath]
            result = self.run(form, over, _job_key(key, last.attempt, over), place)
            beneath = [(key, result[0])]
        return result


def _state(path):
    """What tells that a file has changed."""
    status = path.stat()
    return [str(path), status.st_size, status.st_mtime_ns]


def _state_of(layer):
    """The same of a layer, where it has a file; None: no layer."""
    if layer is None:
        return []
    path = layer_path(layer)
    return [layer.source()] if path is None else _state(path)


def _job_key(key, attempt, over):
    """By which the server knows a job again: of the same row, with the same files beneath."""
    return hashlib.sha256(
        json.dumps([key, attempt, [str(one) for one in over]]).encode()
    ).hexdigest()


def _box_of(path):
    layer = QgsRasterLayer(str(path), "result")
    box = layer.extent()
    return (box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum())
