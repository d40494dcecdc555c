"""The Landbrush panel: what to edit, what should be there, and what came of it."""

import secrets
import time
from dataclasses import replace

from qgis.core import Qgis, QgsApplication, QgsProject
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QPixmap

from ...server.contract.editors import AUTO
from ...server.contract.jobs import PREVIEW_FILE
from .. import settings
from ..errors import PluginError
from ..local.server import INSTALLING, STARTING
from ..map.layers import add_result, source_of
from ..tasks.request import (
    located,
)
from ..tasks.task import EditTask, fetch, inputs_of
from .asking import AskingForm
from .results import done_text, progress_text

PREVIEW_EVERY_S = 4.0
PREVIEW_PX = 260


class LandbrushDock(AskingForm):
    """The panel. Long work runs in tasks; this class only starts them and shows what they say."""

    def __init__(self, iface, parent=None) -> None:
        super().__init__(iface, parent)
        self.task = None
        self.waiting: list = []  # edits that are asked for and not begun
        self.will_run = False
        self.look_again = 0.0
        self._connect()
        self._update()

    def _connect(self) -> None:
        self.words.asked.connect(self._ask_meaning)
        self.words.understood_changed.connect(self._understood)
        self.words.adjust_wanted.connect(self.take_over)
        self.editor.currentIndexChanged.connect(self._update)
        self.layer.layerChanged.connect(self._layer_changed)
        self.exemplar.source.currentIndexChanged.connect(self._update)
        for picker in (self.area, self.exemplar, self.protect):
            picker.draw_toggled.connect(lambda on, tool=picker.tool: self._use_tool(tool, on))
        self.canvas.mapToolSet.connect(self._tool_changed)
        self.dice.clicked.connect(lambda: self.seed.setValue(secrets.randbelow(2**31)))
        self.run_button.clicked.connect(self.run)
        self.cancel_button.clicked.connect(self.cancel)
        self.find.clicked.connect(self.find_examples)
        self.ensemble.asked.connect(self.propose)
        self.exemplar_tool.changed.connect(self.words.hear_again)
        self.exemplar.source.currentIndexChanged.connect(self.words.hear_again)
        self.results.layer_wanted.connect(self._zoom_to)
        self.results.job_wanted.connect(self.fetch_earlier)

    # ---- what is shown

    # ---- words

    # ---- running

    def run(self) -> None:
        """Start an edit, or as many as variants are wanted, one after the other; once server and
        words are ready."""
        if self.task is not None:
            return
        self.will_run = False
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
        seeds = [(form.seed + k) % 2**31 for k in range(self.variants.value())]
        self.waiting = [
            EditTask(replace(form, seed=seed), inputs, self.connection(), folder) for seed in seeds
        ]
        self._show_running(True)
        self.status.setText("Sending ...")
        self._next()

    def _ready(self):
        """Whether an edit can begin now; where it cannot yet, it begins by itself. Raises
        PluginError where it never will."""
        if self.connection() is None:
            self.server.start()
            if self.server.state not in (STARTING, INSTALLING):
                raise PluginError(
                    "The Landbrush server is not installed. Press 'Install server' below."
                )
            return self._later("The server is starting; the edit begins when it answers.")
        if not self.infos:
            self.load_editors()
            return self._later("The server is being asked what it can do; the edit begins then.")
        if self.editor.currentData() == AUTO:
            if self.words.pending():
                return self._later("The words are being understood; the edit begins then.")
            meaning = self.words.understood
            if meaning is not None and not meaning.sure and meaning.choices:
                raise PluginError(
                    "Choose below the prompt what is meant, or say it in other words."
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
        self.run_button.setEnabled(not running)
        self.cancel_button.setEnabled(running)

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
        task.progressed.connect(self._progressed)
        task.ended.connect(self._ended)
        self.tasks.append(task)
        QgsApplication.taskManager().addTask(task)

    def cancel(self) -> None:
        """Stop the running edit, here and on the server, or one that waits to begin."""
        if self.will_run:
            self.will_not_run()
            self.status.setText("Cancelled.")
        if self.task is not None:
            self.status.setText("Cancelling ...")
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
        picture = QPixmap()
        if self.task is not None and picture.loadFromData(content):
            side = min(self.preview.parentWidget().width(), PREVIEW_PX)
            self.preview.setPixmap(picture.scaled(side, side, Qt.AspectRatioMode.KeepAspectRatio))
            self.preview.show()
            self.scroll.ensureWidgetVisible(self.preview)

    def _ended(self, task) -> None:
        self.task = None
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
            if layer is not None and self.go_on.isChecked():
                self.layer.setLayer(layer)
        else:
            self.waiting = []
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
                else PluginError(f"The result cannot be shown: {error}")
            )
            return None
        self.forget_error()
        self.status.setText(done_text(manifest))
        notes = " ".join(manifest.notes)
        if notes:
            self.say(notes, Qgis.MessageLevel.Warning)
        self.results.add_layer(layer, manifest)
        self.ensemble.show_used(manifest)
        return layer

    def fetch_earlier(self, job_id) -> None:
        """Add a result that is still on the server as a layer."""
        try:
            folder = settings.output_folder()
        except OSError as error:
            self._fail(PluginError(str(error)))
            return
        self.status.setText("Fetching ...")
        self._ask(
            "Landbrush: fetching a result",
            lambda client: fetch(client, job_id, folder),
            lambda found: self._add(found[0], source_of(found[1]), found[1]),
        )

    def _zoom_to(self, layer) -> None:
        self.iface.setActiveLayer(layer)
        self.iface.zoomToActiveLayer()

    # ---- end

    def dispose(self) -> None:
        """Stop everything and leave no trace on the canvas."""
        self.words.listen.stop()
        self.waiting = []
        for task in self.tasks:
            # Their answers come when the widgets are gone.
            task.ended.disconnect()
            task.cancel()
        self.canvas.mapToolSet.disconnect(self._tool_changed)
        for tool in self.tools:
            self.canvas.unsetMapTool(tool)
            tool.dispose()
        self.server.blockSignals(True)
        self.server.stop(closing=True)
