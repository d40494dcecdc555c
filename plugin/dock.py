"""The Landbrush panel: what to edit, what should be there, and what came of it."""

import secrets
import time
from dataclasses import replace

from qgis.core import Qgis, QgsApplication, QgsCoordinateReferenceSystem, QgsGeometry, QgsMessageLog, QgsProject
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QPixmap

from ..server.api import AUTO, PREVIEW_FILE, Blend, Output, RasterRef
from ..server.api_words import ENSEMBLE_SOURCES, SearchRequest
from . import settings
from .editors import remember
from .ensemble import PARAPHRASES, SOURCE
from .errors import Cancelled, PluginError, ServerUnreachable
from .form import DockForm
from .layers import add_result, source_of
from .local_server import FAILED, INSTALLING, RUNNING, STARTING, LocalServer, find_python
from .models_page import ModelsPage
from .request import Area, Wish, area_of, band_roles_of, canvas_area, geometry_of, in_layer_crs, layer_path, searched_extent
from .results import done_text, progress_text
from .task import CallTask, Connection, EditTask, fetch, inputs_of
from .widgets import NOTHING

TAG = "Landbrush"
PREVIEW_EVERY_S, PREVIEW_PX = 4.0, 260


class LandbrushDock(DockForm):
    """The panel. Long work runs in tasks; this class only starts them and shows what they say."""

    def __init__(self, iface, parent=None):
        super().__init__(iface.mapCanvas(), parent)
        self.iface = iface
        self.tasks, self.task, self.infos = [], None, {}
        self.last_error, self.waiting, self.look_again = None, [], 0.0
        self.server = LocalServer(self)
        self.server.changed.connect(self._server_changed)
        self.models = ModelsPage(self._ask, self)
        self._connect()
        self._update()

    def _connect(self):
        self.words.asked.connect(self._ask_meaning)
        self.words.understood_changed.connect(self._update)
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
        self.server_button.clicked.connect(self._server_pressed)
        self.models_button.clicked.connect(self.show_models)
        self.models.changed.connect(self.load_editors)
        self.results.layer_wanted.connect(self._zoom_to)
        self.results.job_wanted.connect(self.fetch_earlier)

    # ---- what is shown ------------------------------------------------------------------------------------

    def _show_row(self, field, visible):
        field.setVisible(visible)
        label = self.form.labelForField(field)
        if label is not None:
            label.setVisible(visible)

    def _update(self, *_):
        """Show what the chosen editor needs, and nothing else."""
        info = self.infos.get(self.editor.currentData())
        auto = self.editor.currentData() == AUTO
        layer = self.layer.currentLayer()
        self._show_row(self.resolution, layer is not None and layer_path(layer) is None)
        copies = auto or bool(info and info.takes("exemplar"))
        self._show_row(self.exemplar, copies)
        self._show_row(self.exemplar_layer, copies and self.exemplar.source.currentData() not in (NOTHING, None))
        self._show_row(self.elevation, auto or bool(info and info.takes("elevation")))
        word = self.words.sought(self.editor.currentData())
        self._show_row(self.find, bool(word) and copies)
        if not word:
            self.found.clear()
            self.found.hide()
        self.options.show_options(info.options if info else (), (PARAPHRASES,))
        self.options_box.setVisible(bool(info and info.options))
        self.missing.setText(info.missing if info else "")
        self._show_row(self.missing, bool(info and info.missing))
        self.ensemble.setVisible(bool(info) and any(option.name == PARAPHRASES for option in info.options))

    def _layer_changed(self, *_):
        layer = self.layer.currentLayer()
        if layer is not None and layer_path(layer) is None:
            width = in_layer_crs(canvas_area(self.canvas), layer).boundingBox().width()
            self.resolution.setValue(width / max(self.canvas.mapSettings().outputSize().width(), 1))
        self._update()

    def _use_tool(self, tool, on):
        if on:
            self.canvas.setMapTool(tool)
        elif self.canvas.mapTool() is tool:
            self.canvas.unsetMapTool(tool)

    def _tool_changed(self, new, *_):
        for picker in (self.area, self.exemplar, self.protect):
            picker.draw.setChecked(new is picker.tool)

    def say(self, message, level=Qgis.MessageLevel.Info, details=""):
        """Message bar, and the log with the details."""
        QgsMessageLog.logMessage(details or message, TAG, level)
        self.iface.messageBar().pushMessage(TAG, message, details if details != message else "", level, 0
                                            if level == Qgis.MessageLevel.Critical else 8)

    def _fail(self, error):
        self.last_error = error
        if isinstance(error, ServerUnreachable) and settings.get("server/local"):
            self.server.lost()
        if isinstance(error, Cancelled):
            self.status.setText("Cancelled.")
            return
        self.status.setText(error.message)
        self.say(error.message, Qgis.MessageLevel.Critical, error.details)

    # ---- server -------------------------------------------------------------------------------------------

    def connection(self):
        """Where to send requests; None while no server is known."""
        if not settings.get("server/local"):
            return Connection(settings.get("server/url"), settings.token(), shares_files=False)
        if self.server.state == RUNNING:
            return Connection(self.server.url, self.server.token)
        return None

    def _server_pressed(self):
        if self.server.state in (RUNNING, STARTING, INSTALLING):
            self.server.stop()
        elif find_python() is None:
            self.server.install()
        else:
            self.server.start()

    def _server_changed(self, state, text):
        self.server_line.setText(text)
        names = {RUNNING: "Stop server", STARTING: "Stop", INSTALLING: "Stop"}
        missing = find_python() is None
        self.server_button.setText(names.get(state, "Install server" if missing else "Start server"))
        if state == RUNNING:
            self.load_editors()
            self._ask("Landbrush: earlier results", lambda client: client.jobs(), self.results.show_jobs)
            self.words.hear()
        elif state == FAILED:
            self.say(text, Qgis.MessageLevel.Warning)

    def load_editors(self):
        """Ask the server what it can do."""
        self._ask("Landbrush: editors", lambda client: client.editors(), self._editors_known)

    def show_models(self):
        """The page on which models are brought and removed."""
        if self.connection() is None:
            self.say("Start the server first: models are kept on its machine.", Qgis.MessageLevel.Warning)
            return
        self.models.show()
        self.models.look()

    def _editors_known(self, infos):
        chosen = self.editor.currentData()
        self.infos = {info.id: info for info in infos}
        self.editor.blockSignals(True)
        self.editor.clear()
        for info in infos:
            self.editor.addItem(info.title, info.id)
            self.editor.setItemData(self.editor.count() - 1, f"{info.description}\n{info.engine}", Qt.ItemDataRole.ToolTipRole)
        self.editor.setCurrentIndex(max(0, self.editor.findData(chosen)))
        self.editor.blockSignals(False)
        provider = QgsApplication.processingRegistry().providerById("landbrush")
        if remember(infos) and provider is not None:
            provider.refreshAlgorithms()
        self._update()

    def _ask(self, title, call, on_answer, on_error=None):
        connection = self.connection()
        if connection is None:
            return
        task = CallTask(title, call, connection)

        def answered(done):
            self.tasks.remove(done)
            if done.error is None:
                on_answer(done.answer)
            else:
                (on_error or self._fail)(done.error)

        task.ended.connect(answered)
        self.tasks.append(task)
        QgsApplication.taskManager().addTask(task)

    # ---- words --------------------------------------------------------------------------------------------

    def _ask_meaning(self, text):
        self._ask("Landbrush: understanding", lambda client: client.interpret(text),
                  lambda meaning: self.words.show_meaning(meaning, self.infos))

    def take_over(self, meaning):
        """Put what was understood into the editor and its options, where every part can be changed."""
        self.editor.setCurrentIndex(self.editor.findData(meaning.editor))
        self.options.set_values(meaning.options)
        self.options_box.setCollapsed(False)

    def propose(self):
        """Ask for sentences that say the same as the prompt."""
        prompt, source = self.words.text(), self.options.values().get(SOURCE, ENSEMBLE_SOURCES[0])
        if prompt:
            self._ask("Landbrush: paraphrases", lambda client: client.ensemble(prompt, source), self.ensemble.show_proposed)
        else:
            self.say("Say what should be there first.", Qgis.MessageLevel.Warning)

    def find_examples(self):
        """Windows of the layer that look like the word, to tick."""
        layer = self.layer.currentLayer()
        path = layer_path(layer) if layer is not None else None
        if path is None:
            self.say("Examples can be found in layers that are files.", Qgis.MessageLevel.Warning)
            return
        word, bands = self.words.sought(self.editor.currentData()), self.bands.text()
        shared = getattr(self.connection(), "shares_files", False)
        extent = searched_extent(self.area.area(self.canvas, layer) or canvas_area(self.canvas), layer)

        def call(client):
            raster = RasterRef(path=str(path)) if shared else RasterRef(upload=client.upload(path))
            return client.search(SearchRequest(raster, word, extent, band_roles_of(bands)))

        self.status.setText(f"Looking for {word} in {layer.name()} ...")
        self._ask("Landbrush: looking for examples", call, self._show_found)

    def _show_found(self, result):
        self.found.show_found(result)
        self.status.setText(result.reason or f"{len(result.found)} windows look like {result.word}; untick what does not.")

    # ---- running ------------------------------------------------------------------------------------------

    def wish(self):
        """What the panel asks for; raises PluginError where something is missing."""
        layer = self.layer.currentLayer()
        if layer is None:
            raise PluginError("Choose a raster layer to edit.")
        process_id = self.editor.currentData() or AUTO
        area = area_of(self.area.area(self.canvas, layer), layer, self.infos.get(process_id),
                       "Draw a polygon on the map (Draw, left clicks, right click), or select polygon features.")
        prompt = self.words.text()
        if process_id == AUTO and not prompt:
            raise PluginError("Say what should be there, or choose an editor.")
        exemplar = self._exemplar(layer)
        return Wish(
            layer=layer,
            area=area,
            prompt=prompt,
            process_id=process_id,
            options=self.ensemble.put_into(self.options.values()),
            seed=self.seed.value(),
            exemplar=exemplar,
            exemplar_layer=self.exemplar_layer.currentLayer(),
            elevation_layer=self.elevation.currentLayer(),
            protect=self.protect.area(self.canvas, layer),
            band_roles=band_roles_of(self.bands.text()),
            blend=Blend(self.grow.value(), self.beyond.value(), self.feather.value(), self.context.value(),
                        self.match.isChecked()),
            output=Output("layer" if self.go_on.isChecked() else self.write.currentData(),
                          self.compression.currentData(), self.cog.isChecked()),
        )

    def _exemplar(self, layer):
        ticked = self.found.ticked() if self.found.isVisible() else []
        if ticked and self.exemplar.source.currentData() == NOTHING:
            parts = [geometry_of(p) for p in ticked]
            crs = QgsCoordinateReferenceSystem.fromWkt(ticked[0].crs) if ticked[0].crs else layer.crs()
            return Area(QgsGeometry.collectGeometry(parts), crs)
        return self.exemplar.area(self.canvas, layer)

    def run(self):
        """Start an edit, or as many as variants are wanted, one after the other."""
        if self.task is not None:
            return
        try:
            if self.connection() is None:
                self.server.start()
                raise PluginError("The server is starting. Press Run again when it is ready."
                                  if self.server.state == STARTING else "Start or install the Landbrush server first.")
            wish = self.wish()
            inputs = inputs_of(wish, self.resolution.value())
            folder = settings.output_folder()
        except (PluginError, OSError) as error:
            self._fail(error if isinstance(error, PluginError) else PluginError(str(error)))
            return
        seeds = [(wish.seed + k) % 2**31 for k in range(self.variants.value())]
        self.waiting = [EditTask(replace(wish, seed=seed), inputs, self.connection(), folder) for seed in seeds]
        self.run_button.setEnabled(False)
        self.cancel_button.setEnabled(True)
        self.status.setText("Sending ...")
        self._next()

    def _next(self):
        """Start the task that waits longest."""
        self.task = task = self.waiting.pop(0)
        task.progressed.connect(self._progressed)
        task.ended.connect(self._ended)
        self.tasks.append(task)
        QgsApplication.taskManager().addTask(task)

    def cancel(self):
        """Stop the running edit, here and on the server."""
        if self.task is not None:
            self.status.setText("Cancelling ...")
            self.waiting = []
            self.task.cancel()

    def _progressed(self, info):
        self.bar.setValue(info.progress)
        self.status.setText(progress_text(info))
        if any(link.get("rel") == "preview" for link in info.links) and time.monotonic() > self.look_again:
            self.look_again = time.monotonic() + PREVIEW_EVERY_S
            self._ask("Landbrush: preview", lambda client: client.result(info.jobID, PREVIEW_FILE), self._show_preview,
                      lambda error: None)  # the job has just ended

    def _show_preview(self, content):
        picture = QPixmap()
        if self.task is not None and picture.loadFromData(content):
            side = min(self.preview.parentWidget().width(), PREVIEW_PX)
            self.preview.setPixmap(picture.scaled(side, side, Qt.AspectRatioMode.KeepAspectRatio))
            self.preview.show()

    def _ended(self, task):
        self.task = None
        self.preview.hide()
        self.tasks.remove(task)
        if task.error is None:
            # The source may have been removed from the project meanwhile.
            source = task.wish.layer if task.wish.layer in QgsProject.instance().mapLayers().values() else None
            layer = self._add(task.path, source, task.manifest)
            if layer is not None and self.go_on.isChecked():
                self.layer.setLayer(layer)
        else:
            self.waiting = []
            self._fail(task.error)
        if self.waiting:
            self._next()
            return
        self.run_button.setEnabled(True)
        self.cancel_button.setEnabled(False)
        self.bar.setValue(0)

    def _add(self, path, source, manifest):
        """Show a result as a layer and in the list; returns the layer, None where that failed."""
        try:
            layer = add_result(path, source, manifest)
        except (PluginError, RuntimeError) as error:
            self._fail(error if isinstance(error, PluginError) else PluginError(str(error)))
            return None
        self.status.setText(done_text(manifest))
        notes = " ".join(manifest.get("notes", ()))
        if notes:
            self.say(notes, Qgis.MessageLevel.Warning)
        self.results.add_layer(layer, manifest)
        self.ensemble.show_used(manifest)
        return layer

    def fetch_earlier(self, job_id):
        """Add a result that is still on the server as a layer."""
        try:
            folder = settings.output_folder()
        except OSError as error:
            self._fail(PluginError(str(error)))
            return
        self.status.setText("Fetching ...")
        self._ask("Landbrush: fetching a result", lambda client: fetch(client, job_id, folder),
                  lambda found: self._add(found[0], source_of(found[1]), found[1]))

    def _zoom_to(self, layer):
        self.iface.setActiveLayer(layer)
        self.iface.zoomToActiveLayer()

    # ---- end ----------------------------------------------------------------------------------------------

    def dispose(self):
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
