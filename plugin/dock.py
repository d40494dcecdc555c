"""The Landbrush panel: what to edit, what should be there, and what came of it."""

import json
import secrets

from qgis.core import Qgis, QgsApplication, QgsCoordinateReferenceSystem, QgsGeometry, QgsMessageLog, QgsProject
from qgis.PyQt.QtCore import Qt, QTimer
from qgis.PyQt.QtWidgets import QListWidgetItem, QPushButton

from ..server.api import AUTO, Blend, Output, RasterRef, SearchRequest
from . import settings
from .errors import Cancelled, PluginError, ServerUnreachable
from .form import DockForm
from .layers import add_result, plan_export
from .local_server import FAILED, INSTALLING, RUNNING, STARTING, LocalServer, find_python
from .request import Area, Wish, in_layer_crs, layer_path
from .task import CallTask, Connection, EditTask, Inputs
from .widgets import NOTHING

TAG = "Landbrush"
LISTEN_MS = 700


class LandbrushDock(DockForm):
    """The panel. Long work runs in tasks; this class only starts them and shows what they say."""

    def __init__(self, iface, parent=None):
        super().__init__(iface.mapCanvas(), parent)
        self.iface = iface
        self.tasks, self.task, self.infos, self.understood = [], None, {}, None
        self.last_error = None
        self.server = LocalServer(self)
        self.server.changed.connect(self._server_changed)
        self.listen = QTimer(self)
        self.listen.setSingleShot(True)
        self.listen.setInterval(LISTEN_MS)
        self.listen.timeout.connect(self._ask_meaning)
        self._connect()
        self._update()

    def _connect(self):
        self.prompt.textChanged.connect(self._prompt_changed)
        self.editor.currentIndexChanged.connect(self._update)
        self.layer.layerChanged.connect(self._layer_changed)
        self.exemplar.source.currentIndexChanged.connect(self._update)
        self.area.draw_toggled.connect(lambda on: self._use_tool(self.tool, on))
        self.exemplar.draw_toggled.connect(lambda on: self._use_tool(self.exemplar_tool, on))
        self.canvas.mapToolSet.connect(self._tool_changed)
        self.dice.clicked.connect(lambda: self.seed.setValue(secrets.randbelow(2**31)))
        self.run_button.clicked.connect(self.run)
        self.cancel_button.clicked.connect(self.cancel)
        self.find.clicked.connect(self.find_examples)
        self.adjust.clicked.connect(self.take_over)
        self.server_button.clicked.connect(self._server_pressed)
        self.results.itemDoubleClicked.connect(self._zoom_to_result)

    # ---- what is shown ------------------------------------------------------------------------------------

    def _show_row(self, field, visible):
        field.setVisible(visible)
        label = self.form.labelForField(field)
        if label is not None:
            label.setVisible(visible)

    def _update(self, *_):
        """Show what the chosen editor needs, and nothing else."""
        info = self.infos.get(self.editor.currentData())
        needs = info.needs if info else ()
        auto = self.editor.currentData() == AUTO
        layer = self.layer.currentLayer()
        self._show_row(self.resolution, layer is not None and layer_path(layer) is None)
        self._show_row(self.exemplar, auto or "exemplar" in needs)
        self._show_row(self.exemplar_layer, self.exemplar.source.currentData() not in (NOTHING, None)
                       and (auto or "exemplar" in needs))
        self._show_row(self.elevation, auto or any(n.startswith("elevation") for n in needs))
        word = self.understood.to_class if self.understood is not None else ""
        self._show_row(self.find, bool(word) and (auto or "exemplar" in needs))
        if not word:
            self.found.clear()
            self.found.hide()
        self.options.show_options(info.options if info else ())
        self.options_box.setVisible(bool(info and info.options))

    def _layer_changed(self, *_):
        layer = self.layer.currentLayer()
        if layer is not None and layer_path(layer) is None:
            canvas = self.canvas.mapSettings()
            shown = Area(QgsGeometry.fromRect(self.canvas.extent()), canvas.destinationCrs())
            width = in_layer_crs(shown, layer).boundingBox().width()
            self.resolution.setValue(width / max(canvas.outputSize().width(), 1))
        self._update()

    def _use_tool(self, tool, on):
        if on:
            self.canvas.setMapTool(tool)
        elif self.canvas.mapTool() is tool:
            self.canvas.unsetMapTool(tool)

    def _tool_changed(self, new, *_):
        self.area.draw.setChecked(new is self.tool)
        self.exemplar.draw.setChecked(new is self.exemplar_tool)

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
            self._prompt_changed()
        elif state == FAILED:
            self.say(text, Qgis.MessageLevel.Warning)

    def load_editors(self):
        """Ask the server what it can do."""
        self._ask("Landbrush: editors", lambda client: client.editors(), self._editors_known)

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
        self._update()

    def _ask(self, title, call, on_answer):
        connection = self.connection()
        if connection is None:
            return
        task = CallTask(title, call, connection)

        def answered(done):
            self.tasks.remove(done)
            if done.error is None:
                on_answer(done.answer)
            else:
                self._fail(done.error)

        task.answered.connect(answered)
        self.tasks.append(task)
        QgsApplication.taskManager().addTask(task)

    # ---- words --------------------------------------------------------------------------------------------

    def _prompt_changed(self):
        self.understood = None
        self.listen.start()

    def _ask_meaning(self):
        text = self.prompt.toPlainText().strip()
        self._show_meaning(None)
        if text:
            self._ask("Landbrush: understanding", lambda client: client.interpret(text), self._show_meaning)

    def _show_meaning(self, meaning):
        """The line below the prompt, and buttons where the words were not clear."""
        if meaning is not None and meaning.prompt != self.prompt.toPlainText().strip():
            return
        self.understood = meaning
        self.meaning.setText(meaning.understood if meaning else "")
        while self.choices_row.count():
            self.choices_row.takeAt(0).widget().deleteLater()
        for choice in (meaning.choices if meaning else ())[:4]:
            button = QPushButton(choice.title)
            button.clicked.connect(lambda _=False, c=choice: self._choose(c))
            self.choices_row.addWidget(button)
        self.choices.setVisible(bool(meaning and meaning.choices))
        self.adjust.setVisible(bool(meaning and meaning.editor in self.infos))
        self._update()

    def take_over(self):
        """Put what was understood into the editor and its options, where every part can be changed."""
        meaning = self.understood
        if meaning is None or meaning.editor not in self.infos:
            return
        self.editor.setCurrentIndex(self.editor.findData(meaning.editor))
        self.options.set_values(meaning.options)
        self.options_box.setCollapsed(False)

    def _choose(self, choice):
        """The user says what was meant: put it into words that are clear."""
        self.prompt.setPlainText(choice.title)

    def find_examples(self):
        """Windows of the layer that look like the word, to tick."""
        layer = self.layer.currentLayer()
        path = layer_path(layer) if layer is not None else None
        if path is None or self.understood is None:
            self.say("Examples can be found in layers that are files.", Qgis.MessageLevel.Warning)
            return
        word, shared = self.understood.to_class, self.connection() is not None and self.connection().shares_files

        def call(client):
            raster = RasterRef(path=str(path)) if shared else RasterRef(upload=client.upload(path))
            return client.search(SearchRequest(raster, word))

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
        area = self.area.area(self.canvas, layer)
        if area is None:
            raise PluginError("Draw a polygon on the map (Draw, left clicks, right click), or select polygon features.")
        process_id = self.editor.currentData() or AUTO
        prompt = self.prompt.toPlainText().strip()
        if process_id == AUTO and not prompt:
            raise PluginError("Say what should be there, or choose an editor.")
        exemplar = self._exemplar(layer)
        return Wish(
            layer=layer,
            area=area,
            prompt=prompt,
            process_id=process_id,
            options=self.options.values(),
            seed=self.seed.value(),
            exemplar=exemplar,
            exemplar_layer=self.exemplar_layer.currentLayer(),
            elevation_layer=self.elevation.currentLayer(),
            blend=Blend(self.grow.value(), self.feather.value(), self.context.value(),
                        settings.get("blend/radiometric_match")),
            output=Output(area="layer" if self.go_on.isChecked() else self.write.currentData()),
        )

    def _exemplar(self, layer):
        ticked = self.found.ticked() if self.found.isVisible() else []
        if ticked and self.exemplar.source.currentData() == NOTHING:
            parts = [QgsGeometry.fromWkt(_wkt(p.geometry)) for p in ticked]
            crs = QgsCoordinateReferenceSystem.fromWkt(ticked[0].crs) if ticked[0].crs else layer.crs()
            return Area(QgsGeometry.collectGeometry(parts), crs)
        return self.exemplar.area(self.canvas, layer)

    def inputs(self, wish):
        """Files of the wish's layers; web layers are planned for export around the area."""
        found = Inputs(raster=layer_path(wish.layer))
        if found.raster is None:
            box = in_layer_crs(wish.area, wish.layer).boundingBox()
            margin = max(wish.blend.context_px, 64) * self.resolution.value()
            box.grow(margin)
            found.export = plan_export(wish.layer, box, self.resolution.value())
        if wish.exemplar is not None and wish.exemplar_layer is not None and wish.exemplar_layer is not wish.layer:
            found.exemplar = self._file_of(wish.exemplar_layer, "exemplar")
        if wish.elevation_layer is not None:
            found.elevation = self._file_of(wish.elevation_layer, "elevation")
        return found

    def _file_of(self, layer, what):
        path = layer_path(layer)
        if path is None:
            raise PluginError(f"The {what} layer '{layer.name()}' is not a file. Export it first.")
        return path

    def run(self):
        """Start an edit."""
        if self.task is not None:
            return
        try:
            connection = self.connection()
            if connection is None:
                self.server.start()
                raise PluginError("The server is starting. Press Run again when it is ready."
                                  if self.server.state == STARTING else "Start or install the Landbrush server first.")
            wish = self.wish()
            inputs = self.inputs(wish)
            task = EditTask(wish, inputs, connection, settings.output_folder())
        except (PluginError, OSError) as error:
            self._fail(error if isinstance(error, PluginError) else PluginError(str(error)))
            return
        task.progressed.connect(self._progressed)
        task.ended.connect(self._ended)
        self.task = task
        self.tasks.append(task)
        self.run_button.setEnabled(False)
        self.cancel_button.setEnabled(True)
        self.status.setText("Sending ...")
        QgsApplication.taskManager().addTask(task)

    def cancel(self):
        """Stop the running edit, here and on the server."""
        if self.task is not None:
            self.status.setText("Cancelling ...")
            self.task.cancel()

    def _progressed(self, info):
        self.bar.setValue(info.progress)
        text = info.stage
        if info.steps > 1:
            text += f" - step {info.step} of {info.steps}"
        if info.eta_s:
            text += f", about {info.eta_s:.0f} s left"
        if info.position:
            text = f"waiting, {info.position} ahead"
        self.status.setText(text)

    def _ended(self, task):
        self.task = None
        self.tasks.remove(task)
        self.run_button.setEnabled(True)
        self.cancel_button.setEnabled(False)
        self.bar.setValue(0)
        if task.error is not None:
            self._fail(task.error)
            return
        try:
            # The source may have been removed from the project meanwhile.
            source = task.wish.layer if task.wish.layer in QgsProject.instance().mapLayers().values() else None
            layer = add_result(task.path, source, task.wish, task.manifest)
        except (PluginError, RuntimeError) as error:
            self._fail(error if isinstance(error, PluginError) else PluginError(str(error)))
            return
        if self.go_on.isChecked():
            self.layer.setLayer(layer)
        gate = task.manifest["gate"]
        self.status.setText(
            f"Done in {task.manifest['seconds']['total']:.1f} s: {gate['pixels_inside_changed']:,} pixels changed inside, "
            f"{gate['pixels_outside_different']} of the window's {gate['pixels_outside']:,} outside. {_left(task.manifest)}"
            f"{task.manifest['engine']}.")
        item = QListWidgetItem(layer.name())
        item.setToolTip(json.dumps({k: task.manifest[k] for k in ("engine", "options", "seconds")}, indent=1))
        item.setData(Qt.ItemDataRole.UserRole, layer.id())
        self.results.insertItem(0, item)

    def _zoom_to_result(self, item):
        layer = QgsProject.instance().mapLayer(item.data(Qt.ItemDataRole.UserRole))
        if layer is not None:
            self.iface.setActiveLayer(layer)
            self.iface.zoomToActiveLayer()

    # ---- end ----------------------------------------------------------------------------------------------

    def dispose(self):
        """Stop everything and leave no trace on the canvas."""
        self.listen.stop()
        for task in self.tasks:
            # Their answers come when the widgets are gone.
            (task.ended if isinstance(task, EditTask) else task.answered).disconnect()
            task.cancel()
        self.canvas.mapToolSet.disconnect(self._tool_changed)
        for tool in (self.tool, self.exemplar_tool):
            self.canvas.unsetMapTool(tool)
            tool.dispose()
        self.server.blockSignals(True)
        self.server.stop()


def _left(manifest):
    count = manifest.get("pixels_left_nodata", 0)
    return f"{count:,} pixels inside are nodata and were left. " if count else ""


def _wkt(geometry):
    ring = ", ".join(f"{x:.17g} {y:.17g}" for x, y in (p[:2] for p in geometry["coordinates"][0]))
    return f"POLYGON (({ring}))"
