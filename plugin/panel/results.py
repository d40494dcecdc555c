"""The film strip of results: the project's own, and what earlier sessions left on the server; with
what one does to a result."""

from dataclasses import dataclass
from functools import partial

from qgis.core import QgsProject
from qgis.PyQt.QtCore import QDateTime, QSize, Qt, pyqtSignal
from qgis.PyQt.QtGui import QIcon, QPixmap
from qgis.PyQt.QtWidgets import QListWidget, QListWidgetItem, QMenu

from ...server.contract.jobs import SUCCESSFUL
from ..map.results import (
    base_of,
    edited_area,
    family,
    is_result,
    is_shown,
    manifest_of,
    results,
    show,
    show_alone,
    show_instead,
    shown_jobs,
)
from ..map.thumbnails import SIDE_PX, Thumbnails
from ..told import told
from ..translated import localised, tr

MOST_EARLIER = 20
LAYER = Qt.ItemDataRole.UserRole
JOB = Qt.ItemDataRole.UserRole + 1
TEXT_LINES = 2


@dataclass(frozen=True)
class Action:
    """One thing to do to a result. `name`: by which it is asked for. `title`: in the menu."""

    name: str
    title: str


def actions():
    """What the menu of a result offers."""
    return (
        Action("alone", tr("Show alone")),
        Action("zoom", tr("Zoom to it")),
        Action("compare", tr("Swipe: before and after")),
        Action("again", tr("Edit again …")),
        Action("seed", tr("Another seed")),
        Action("base", tr("Use as base of the next edit")),
        Action("export", tr("Export …")),
        Action("flatten", tr("Flatten all that is shown into one file …")),
        Action("share", tr("Page with slider, for a mail …")),
        Action("sheet", tr("Sheet Before | After as PDF …")),
        Action("layout", tr("Print layout Before | After")),
        Action("areas", tr("Changed areas as a layer")),
        Action("stac", tr("STAC item beside the file")),
        Action("delete", tr("Delete with its file …")),
    )


def _when(moment) -> str:
    return (
        QDateTime.fromString(moment[:19] + "Z", Qt.DateFormat.ISODate)
        .toLocalTime()
        .toString("yyyy-MM-dd hh:mm")
    )


def _title(job) -> str:
    """What a job was, and when, in the user's own time."""
    report = job.report
    said = job.processID
    if report is not None:
        said = report.understood.prompt if report.understood else report.editor
    return f"{said}, {_when(job.finished or job.created)}"


def _about(layer, manifest) -> str:
    """What is told of a result where one points at it."""
    if manifest is None:
        return layer.name()
    options = ", ".join(f"{name} {value}" for name, value in manifest.options.items())
    lines = [layer.name(), manifest.engine, options]
    if "total" in manifest.seconds:
        lines.append(f"{localised(manifest.seconds['total'], 1)} s")
    return "\n".join(line for line in lines if line)


def _name(layer, manifest) -> str:
    """What stands below a picture: the seed first, by which variants differ."""
    return f"#{manifest.seed} {layer.name()}" if manifest is not None else layer.name()


class ResultList(QListWidget):
    """A click shows a result instead of others of the same place, a double click goes there, or
    fetches what is still on the server; Space held down shows the original. Signals:
    `job_wanted(id)`,
    `listed(layer)` for every result, `filled(whether there is anything)`,
    `wanted(name of an Action, layer)`."""

    job_wanted = pyqtSignal(str)
    listed = pyqtSignal(object)
    filled = pyqtSignal(bool)
    wanted = pyqtSignal(str, object)

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self.setViewMode(QListWidget.ViewMode.IconMode)
        self.setFlow(QListWidget.Flow.LeftToRight)
        self.setWrapping(False)
        self.setMovement(QListWidget.Movement.Static)
        self.setIconSize(QSize(SIDE_PX, SIDE_PX))
        self.setSpacing(2)
        self.setWordWrap(True)
        self.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.cell = QSize(SIDE_PX + 12, SIDE_PX + TEXT_LINES * self.fontMetrics().height() + 8)
        self.setFixedHeight(self.cell.height() + self.horizontalScrollBar().sizeHint().height() + 8)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.setAccessibleName(tr("Results"))
        self.held: list = []  # layers that are hidden while the original is held up
        self.watched: dict = {}  # (layer, what follows its name) by id
        self.pictures = Thumbnails(self)
        self.pictures.made.connect(self._picture_made)
        self.itemClicked.connect(self._show)
        self.itemDoubleClicked.connect(self._open)
        self.customContextMenuRequested.connect(self._menu)
        project = QgsProject.instance()
        self.project_signals = (
            (project.layersRemoved, self._layers_removed),
            (project.readProject, self.rebuild),
            (project.layersAdded, self._layers_added),
        )
        for signal, slot in self.project_signals:
            signal.connect(slot)
        model = self.model()
        for signal in (model.rowsInserted, model.rowsRemoved, model.modelReset):
            signal.connect(self._tell_filled)
        self.rebuild()

    # ---- what is listed

    def rebuild(self, *_) -> None:
        """List the project's results anew, the newest first; what is on the server stays."""
        for row in reversed(range(self.count())):
            if self.item(row).data(LAYER):
                self.takeItem(row)
        for layer in reversed(results()):
            self.add_layer(layer, manifest_of(layer))

    def add_layer(self, layer, manifest) -> None:
        """Put a result first."""
        self._drop(manifest.job if manifest is not None else None)
        if self.item_of(layer.id()) is not None:
            return
        item = self._new_item(_name(layer, manifest), _about(layer, manifest))
        item.setData(LAYER, layer.id())
        self.insertItem(0, item)
        if layer.id() not in self.watched:
            slot = partial(self._renamed, layer.id())
            self.watched[layer.id()] = (layer, slot)
            layer.nameChanged.connect(slot)
        self.listed.emit(layer)
        if layer.isValid():
            self.pictures.ask(layer, base_of(layer), edited_area(layer).boundingBox())

    def _tell_filled(self, *_) -> None:
        self.filled.emit(self.count() > 0)

    def _new_item(self, text, told):
        item = QListWidgetItem(text)
        item.setToolTip(told)
        item.setSizeHint(self.cell)
        blank = QPixmap(SIDE_PX, SIDE_PX)
        blank.fill(self.palette().midlight().color())
        item.setIcon(QIcon(blank))
        return item

    def show_jobs(self, jobs) -> None:
        """Successful jobs of the server that are not layers of the project, after the others."""
        self._drop(None)
        shown = shown_jobs()
        earlier = [job for job in jobs if job.status == SUCCESSFUL and job.jobID not in shown]
        for job in earlier[:MOST_EARLIER]:
            item = self._new_item(
                tr("Earlier: {what}", what=_title(job)),
                tr("{what}\nStill on the server. Double-click to add it as a layer.",
                   what=_title(job)),
            )  # fmt: skip
            item.setForeground(self.palette().placeholderText())
            item.setData(JOB, job.jobID)
            self.addItem(item)

    def _drop(self, job_id) -> None:
        """Remove the item of a job; of all jobs where it is None."""
        for row in reversed(range(self.count())):
            here = self.item(row).data(JOB)
            if here and job_id in (None, here):
                self.takeItem(row)

    def item_of(self, layer_id):
        """The item of a layer; None where it is not listed."""
        for row in range(self.count()):
            if self.item(row).data(LAYER) == layer_id:
                return self.item(row)
        return None

    def _picture_made(self, layer_id, image) -> None:
        item = self.item_of(layer_id)
        if item is not None:
            item.setIcon(QIcon(QPixmap.fromImage(image)))

    def _renamed(self, layer_id) -> None:
        layer, item = QgsProject.instance().mapLayer(layer_id), self.item_of(layer_id)
        if layer is not None and item is not None:
            manifest = manifest_of(layer)
            item.setText(_name(layer, manifest))
            item.setToolTip(_about(layer, manifest))

    def _layers_removed(self, ids) -> None:
        for layer_id in ids:
            self.watched.pop(layer_id, None)
            item = self.item_of(layer_id)
            if item is not None:
                self.takeItem(self.row(item))

    def _layers_added(self, layers) -> None:
        """A result that somebody else added: pasted, or of another window's project."""
        for layer in layers:
            if is_result(layer) and self.item_of(layer.id()) is None:
                self.add_layer(layer, manifest_of(layer))

    # ---- what is done

    def layer_of(self, item):
        """The layer of an item; None for what is on the server alone."""
        return QgsProject.instance().mapLayer(item.data(LAYER)) if item is not None else None

    def chosen(self):
        """The result that is looked at: the item that is selected, else the newest that is shown;
        None where there is none."""
        layer = self.layer_of(self.currentItem()) if self.selectedItems() else None
        return layer or next((one for one in results() if is_shown(one)), None)

    def _show(self, item) -> None:
        layer = self.layer_of(item)
        if layer is not None:
            self.held = []  # the click says what is to be shown from now on
            show_instead(layer)

    def _open(self, item) -> None:
        if item.data(JOB):
            self.job_wanted.emit(item.data(JOB))
        elif self.layer_of(item) is not None:
            self.wanted.emit("zoom", self.layer_of(item))

    def hold(self, on) -> None:
        """Show the original as long as it is held up, then what was shown before."""
        if on and not self.held:
            shown = [layer for layer in results() if is_shown(layer)]
            self.held = [layer.id() for layer in shown]
            for layer in shown:
                show(layer, False)
        elif not on:
            held, self.held = self.held, []
            for layer_id in held:
                layer = QgsProject.instance().mapLayer(layer_id)
                if layer is not None:
                    show(layer)

    def compared(self):
        """(results that "before" is without, the layer below them) for the swipe tool; None where
        no result is shown."""
        layer = self.chosen()
        if layer is None:
            return None
        show(layer)
        return family(layer), base_of(layer)

    def _menu(self, place) -> None:
        item = self.itemAt(place)
        layer = self.layer_of(item)
        menu = QMenu(self)
        if layer is not None:
            for action in actions():
                menu.addAction(action.title).setData(action.name)
        elif item is not None and item.data(JOB):
            menu.addAction(tr("Add as a layer")).setData("fetch")
        chosen = menu.exec(self.mapToGlobal(place)) if menu.actions() else None
        if chosen is not None and chosen.data() == "fetch":
            self.job_wanted.emit(item.data(JOB))
        elif chosen is not None:
            self.do(chosen.data(), layer)

    def do(self, name, layer) -> None:
        """Do to a result what an Action of that name says."""
        if name == "alone":
            show_alone(layer)
        else:
            self.wanted.emit(name, layer)

    def keyPressEvent(self, event) -> None:
        """Space: the original while held. Return: as a double click. Delete: with its file."""
        layer = self.layer_of(self.currentItem())
        if event.key() == Qt.Key.Key_Space:
            if not event.isAutoRepeat():
                self.hold(True)
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and not event.modifiers():
            if self.currentItem() is not None:
                self._open(self.currentItem())
        elif event.key() == Qt.Key.Key_Delete and layer is not None:
            self.wanted.emit("delete", layer)
        elif event.key() == Qt.Key.Key_S and layer is not None:
            self.wanted.emit("compare", layer)
        else:
            super().keyPressEvent(event)
            if self.layer_of(self.currentItem()) not in (None, layer):
                self._show(self.currentItem())  # gone to by the arrow keys

    def keyReleaseEvent(self, event) -> None:
        """Space let go: what was shown before."""
        if event.key() == Qt.Key.Key_Space:
            if not event.isAutoRepeat():
                self.hold(False)
        else:
            super().keyReleaseEvent(event)

    def dispose(self) -> None:
        """Follow the project no more."""
        self.pictures.dispose()
        for signal, slot in self.project_signals:
            signal.disconnect(slot)
        for layer, slot in self.watched.values():
            layer.nameChanged.disconnect(slot)


def progress_text(info):
    """A job's state in words."""
    if info.position:
        return tr("waiting, {n} ahead", n=info.position)
    stage = told(info.stage)
    text = f"{stage}: {told(info.message)}" if info.message else stage
    if info.steps > 1:
        text += tr(" - step {n} of {all}", n=info.step, all=info.steps)
    return text + (tr(", about {n} s left", n=f"{info.eta_s:.0f}") if info.eta_s else "")


def done_text(manifest) -> str:
    """What came of an edit, in a line or two; `told_text` has the rest."""
    gate, quality = manifest.gate, manifest.quality
    if gate.pixels_outside_different:
        outside = tr("{n} pixels outside the areas changed.", n=gate.pixels_outside_different)
    else:
        outside = tr("Nothing outside the areas changed.")
    said = " ".join(map(told, (*(quality.said if quality else ()), *manifest.notes)))
    done = tr("✓ Done in {seconds} s.", seconds=localised(manifest.seconds["total"], 1))
    return " ".join(part for part in (done, outside, said) if part)


def told_text(manifest) -> str:
    """The numbers of an edit, and who made it."""
    gate = manifest.gate
    return (
        tr(
            "Done in {seconds} s: {inside} pixels changed inside, {outside} of the window's {all} "
            "outside.",
            seconds=localised(manifest.seconds["total"], 1),
            inside=localised(gate.pixels_inside_changed),
            outside=gate.pixels_outside_different,
            all=localised(gate.pixels_outside),
        )
        + f"\n{manifest.engine}."
    )
