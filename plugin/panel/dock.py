"""The Landbrush panel: what to edit, what should be there, and what came of it."""

import itertools
import secrets
import time
from dataclasses import replace

from qgis.core import Qgis, QgsProject, QgsRasterLayer
from qgis.PyQt.QtCore import QEvent, Qt, QTimer
from qgis.PyQt.QtGui import QKeySequence, QPixmap
from qgis.PyQt.QtWidgets import QMenu

from ...server.contract.editors import AUTO
from ...server.contract.jobs import PREVIEW_FILE
from .. import settings
from ..errors import PluginError
from ..local.server import INSTALLING, STARTING
from ..map.live import LivePicture
from ..map.results import add_result, file_of_result, is_result, source_of
from ..tasks.request import key_of, located
from ..tasks.task import EditTask, fetch, inputs_of
from ..told import told
from ..translated import tr
from .results import done_text, progress_text, told_text
from .seeing import SeeingForm

PREVIEW_EVERY_S = 4.0
PREVIEW_PX = 260


class LandbrushDock(SeeingForm):
    """The panel. Long work runs in tasks; this class only starts them and shows what they say."""

    def __init__(self, iface, parent=None) -> None:
        super().__init__(iface, parent)
        self.task = None
        self.waiting: list = []  # edits that are asked for and not begun
        self.will_run = False
        self.look_again = 0.0
        self.made: list = []  # (key of a form, seed, id of the layer) of this session
        self.told_where = False
        self.live = LivePicture(self.canvas)
        self._connect()
        self._layer_changed()

    def _connect(self) -> None:
        self.words.asked.connect(self._ask_meaning)
        self.words.understood_changed.connect(self._understood)
        self.words.adjust_wanted.connect(self.take_over)
        self.words.picked.connect(lambda: self.editor.setCurrentIndex(self.editor.findData(AUTO)))
        self.editor.currentIndexChanged.connect(self._update)
        self.layer.layerChanged.connect(self._layer_changed)
        for field in (self.grow, self.beyond, self.feather, self.context):
            field.valueChanged.connect(self.show_metres)
        self.exemplar.source.currentIndexChanged.connect(self._update)
        self.elevation.layerChanged.connect(self._update)
        self.level.wanted.connect(self.measure_heights)
        self.level.chosen.connect(self.use_level)
        for other in (
            self.elevation.layerChanged,
            self.tool.changed,
            self.area.features.changed,
            self.area.source.currentIndexChanged,
            self.canvas.destinationCrsChanged,
        ):
            other.connect(self.forget_heights)
        self.layer.layerChanged.connect(self.forget_heights)
        self.canvas.extentsChanged.connect(self.forget_seen)
        for picker in (self.area, self.exemplar, self.protect):
            picker.draw_toggled.connect(lambda on, tool=picker.tool: self._use_tool(tool, on))
            picker.values_wanted.connect(lambda picker=picker: self.find_values(picker))
        self.canvas.mapToolSet.connect(self._tool_changed)
        self.iface.currentLayerChanged.connect(self._layer_clicked)
        self._layer_clicked(self.iface.activeLayer())
        self.dice.clicked.connect(lambda: self.seed.setValue(secrets.randbelow(2**31)))
        self.run_button.clicked.connect(self.run)
        self.run_wanted.connect(self.run)
        self.cancel_button.clicked.connect(self.cancel)
        self.find.clicked.connect(self.find_examples)
        self.ensemble.asked.connect(self.propose)
        self.exemplar_tool.changed.connect(self.words.hear_again)
        for tool in self.tools:
            tool.object_wanted.connect(lambda place, tool=tool: self.outline_object(tool, place))
        self.library.chosen.connect(self.words.prompt.setPlainText)
        self.exemplar.source.currentIndexChanged.connect(self.words.hear_again)
        self.results.job_wanted.connect(self.fetch_earlier)
        self.jobs.fetch_wanted.connect(self.fetch_earlier)
        shortcut = QMenu(self).addAction("run")  # never shown: for its keys
        shortcut.setShortcuts([QKeySequence("Ctrl+Return"), QKeySequence("Ctrl+Enter")])
        shortcut.setShortcutContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        shortcut.triggered.connect(self.run)
        self.addAction(shortcut)

    def _layer_clicked(self, layer) -> None:
        """The layer that is edited follows the one that the user has clicked, until something is
        drawn on it; of a polygon layer what is selected is offered."""
        drawn = not self.tool.geometry().isEmpty()
        if isinstance(layer, QgsRasterLayer) and not (drawn or is_result(layer)):
            self.layer.setLayer(layer)
        self.area.suggest(layer)

    # ---- running

    def run(self) -> None:
        """Start an edit, or as many as variants are wanted, one after the other; once server and
        words are ready, and what was asked for before is done."""
        self.will_run = False
        self.stop_comparing()
        try:
            self.edit_form()  # what is missing is told at once
            if not self._ready():
                return
            form = located(self.edit_form())
            inputs = inputs_of(form, self.resolution.value())
            folder = settings.output_folder()
        except (PluginError, OSError) as error:
            self.will_not_run()
            self._fail(error if isinstance(error, PluginError) else PluginError(str(error)))
            return
        self.forget_error()
        for seed in self._seeds(form):
            task = EditTask(replace(form, seed=seed), inputs, self.connection(), folder)
            task.batch = form  # variants of one form end together
            task.key = key_of(replace(form, over=()))
            self.waiting.append(task)
        self.forget_heights()
        self.tool.show_fill(False)  # which would colour what comes of it
        self._show_running(True)
        if self.task is None:
            self.status.setText(tr("Sending …"))
            self._next()
        else:
            self._show_queue()

    def _seeds(self, form):
        """Seeds of the edits to run: the form's, and those that follow; of several variants none
        by which the same form has already made a layer of the project."""
        count = self.variants.value()
        layers = QgsProject.instance().mapLayers()
        made = {
            seed for asked, seed, layer in self.made if asked == key_of(form) and layer in layers
        }
        seeds = (k % 2**31 for k in itertools.count(form.seed))
        if count > 1:
            seeds = (seed for seed in seeds if seed not in made)
        return list(itertools.islice(seeds, count))

    def _show_queue(self) -> None:
        self.queue_line.setVisible(bool(self.waiting))
        self.queue_line.setText(tr("{n} more waiting", n=len(self.waiting)))

    def _ready(self):
        """Whether an edit can begin now; where it cannot yet, it begins by itself. Raises
        PluginError where it never will."""
        if self.connection() is None:
            self.server.start()
            if self.server.state not in (STARTING, INSTALLING):
                raise PluginError(
                    tr("The Landbrush server is not set up yet. Press 'Set up' above.")
                )
            return self._later(tr("The server is starting; the edit begins when it answers."))
        if not self.infos:
            self.load_editors()
            return self._later(
                tr("The server is being asked what it can do; the edit begins then.")
            )
        if self.editor.currentData() == AUTO:
            if self.words.pending():
                return self._later(tr("The words are being understood; the edit begins then."))
            meaning = self.words.understood
            if meaning is not None and not meaning.sure and meaning.choices:
                raise PluginError(
                    tr("Choose below the prompt what is meant, or say it in other words.")
                )
        return True

    def _later(self, text) -> bool:
        self.will_run = True
        self._show_running(True)
        self.status.setText(text)
        return False

    def _go_on(self) -> None:
        """Begin the edit that waited."""
        if self.will_run:
            self.run()

    def will_not_run(self) -> None:
        """An edit that waited does not begin any more."""
        if self.task is None:
            self.will_run = False
            self._show_running(False)

    def _show_running(self, running) -> None:
        self.cancel_button.setEnabled(running)
        self._show_queue()

    def editors_known(self) -> None:
        """The server has said what it can do."""
        self._update()
        self._go_on()

    def server_failed(self) -> None:
        """The server could not be started, or ended."""
        self.words.give_up()
        self.will_not_run()

    def _next(self) -> None:
        """Start the task that waits longest."""
        self.task = task = self.waiting.pop(0)
        self._look_again(task)
        task.progressed.connect(self._progressed)
        task.ended.connect(self._ended)
        self._show_queue()
        self._start_task(task)

    def _look_again(self, task) -> None:
        """What waited is made of what is shown when it begins: of what came meanwhile, too."""
        try:
            over = self.over_of(task.batch)
            task.form = replace(task.form, over=over)
            task.inputs = replace(task.inputs, over=tuple(file_of_result(one) for one in over))
        except (PluginError, RuntimeError):
            return  # its layer is not in the project any more: as it was when it was asked for

    def cancel(self) -> None:
        """Stop the running edit, here and on the server, or one that waits to begin."""
        if self.will_run:
            self.will_not_run()
            self.status.setText(tr("Cancelled."))
        if self.task is not None:
            self.status.setText(tr("Cancelling ..."))
            self.waiting = []
            self.task.cancel()

    def _progressed(self, info) -> None:
        self.bar.setValue(info.progress)
        self.status.setText(progress_text(info))
        if (
            any(link.get("rel") == "preview" for link in info.links)
            and time.monotonic() > self.look_again
        ):
            self.look_again = time.monotonic() + PREVIEW_EVERY_S
            self._ask(
                "Landbrush: preview",
                lambda client: client.result(info.jobID, PREVIEW_FILE),
                self._show_preview,
                lambda error: None,
            )  # the job has just ended

    def _show_preview(self, content) -> None:
        if self.task is None:
            return
        if self.live.show_on(content, self.task.form.layer):
            return  # in its place on the map
        picture = QPixmap()
        if picture.loadFromData(content):
            side = min(self.preview.parentWidget().width(), PREVIEW_PX)
            self.preview.setPixmap(picture.scaled(side, side, Qt.AspectRatioMode.KeepAspectRatio))
            self.preview.show()
            self.scroll.ensureWidgetVisible(self.preview)

    def _ended(self, task) -> None:
        self.task = None
        self.live.forget()
        self.preview.hide()
        self.tasks.remove(task)
        if task.error is None:
            # The source may have been removed from the project meanwhile.
            source = (
                task.form.layer
                if task.form.layer in QgsProject.instance().mapLayers().values()
                else None
            )
            layer = self._add(task.path, source, task.manifest)
            if layer is not None:
                self.made.append((task.key, task.form.seed, layer.id()))
                QTimer.singleShot(0, self._tell_where)  # the map comes first
                if self.go_on.isChecked():
                    self.layer.setLayer(layer)
        else:
            self.waiting = [one for one in self.waiting if one.batch is not task.batch]
            self._fail(task.error)
        if self.waiting:
            self._next()
            return
        self._show_running(False)
        self.bar.reset()

    def _add(self, path, source, manifest):
        """Show a result as a layer and in the list; returns the layer, None where that failed."""
        try:
            layer = add_result(path, source, manifest)
        except Exception as error:  # whatever a file or an answer holds, the panel goes on
            self._fail(
                error
                if isinstance(error, PluginError)
                else PluginError(tr("The result cannot be shown: {error}", error=error))
            )
            return None
        self.forget_error()
        self.status.setText(done_text(manifest))
        self.status.setToolTip(told_text(manifest))
        notes = " ".join(map(told, manifest.notes))
        if notes:
            self.say(notes, Qgis.MessageLevel.Warning)
        self.results.add_layer(layer, manifest)
        self.ensemble.show_used(manifest)
        return layer

    def _tell_where(self) -> None:
        """Say once where results of a project without a folder are kept."""
        if not self.told_where and settings.project_folder() is None:
            self.told_where = True
            if not settings.get("output/folder"):
                self.offer(
                    tr("The project is not saved; its results are kept in your QGIS profile."),
                    tr("Save project …"),
                    lambda: self.iface.actionSaveProject().trigger(),
                )

    def fetch_earlier(self, job_id) -> None:
        """Add a result that is still on the server as a layer."""
        try:
            folder = settings.output_folder()
        except OSError as error:
            self._fail(PluginError(str(error)))
            return
        self.status.setText(tr("Fetching ..."))
        self._ask(
            "Landbrush: fetching a result",
            lambda client: fetch(client, job_id, folder),
            lambda found: self._add(found[0], source_of(found[1]), found[1]),
        )

    # ---- end

    def event(self, event):
        """F1 anywhere in the panel is its own help, not QGIS's."""
        if event.type() == QEvent.Type.ShortcutOverride and _asks_for_help(event):
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event) -> None:
        """F1 opens the guide; other keys are left to whoever else wants them."""
        if _asks_for_help(event):
            self.show_help()
        else:
            super().keyPressEvent(event)

    def dispose(self) -> None:
        """Stop everything and leave no trace on the canvas."""
        self.words.listen.stop()
        self.waiting = []
        for task in self.tasks:
            # Their answers come when the widgets are gone.
            task.ended.disconnect()
            task.cancel()
        self.canvas.mapToolSet.disconnect(self._tool_changed)
        self.live.dispose()
        self.canvas.destinationCrsChanged.disconnect(self.forget_heights)
        self.canvas.extentsChanged.disconnect(self.forget_seen)
        self.level.preview.dispose()
        self.iface.currentLayerChanged.disconnect(self._layer_clicked)
        self.area.suggest(None)
        self.dispose_seeing()
        for tool in self.tools:
            self.canvas.unsetMapTool(tool)
            tool.dispose()
        self.server.blockSignals(True)
        self.server.stop(closing=True)


def _asks_for_help(event) -> bool:
    """Whether a key is F1 alone: Shift+F1 is QGIS's."""
    return event.key() == Qt.Key.Key_F1 and not event.modifiers()
