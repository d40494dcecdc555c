"""The Landbrush panel: what to edit, what should be there, and what came of it."""

import contextlib
import secrets
import time
from dataclasses import replace

from qgis.core import Qgis, QgsApplication, QgsGeometry, QgsProject
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QPixmap

from ...server.contract.editors import AUTO
from ...server.contract.jobs import PREVIEW_FILE
from ...server.contract.requests import Blend, Output, RasterRef
from ...server.contract.words import ENSEMBLE_SOURCES, InterpretationRequest, SearchRequest
from .. import settings
from ..errors import PluginError
from ..local.server import INSTALLING, STARTING
from ..map.layers import add_result, source_of
from ..tasks.request import (
    Area,
    Wish,
    area_of,
    band_roles_of,
    canvas_area,
    geometry_of,
    in_layer_crs,
    layer_path,
    located,
    searched_extent,
)
from ..tasks.task import EditTask, fetch, inputs_of
from .ensemble import PARAPHRASES, SOURCE
from .results import done_text, progress_text
from .serving import ServedForm
from .widgets import NOTHING

PREVIEW_EVERY_S = 4.0
PREVIEW_PX = 260


class LandbrushDock(ServedForm):
    """The panel. Long work runs in tasks; this class only starts them and shows what they say."""

    def __init__(self, iface, parent=None):
        super().__init__(iface, parent)
        self.task = None
        self.waiting = []
        self.will_run = False
        self.look_again = 0.0
        self._connect()
        self._update()

    def _connect(self):
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
    # ------------------------------------------------------------------------------------

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
        self._show_row(
            self.exemplar_layer,
            copies and self.exemplar.source.currentData() not in (NOTHING, None),
        )
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
        self.ensemble.setVisible(
            bool(info) and any(option.name == PARAPHRASES for option in info.options)
        )

    def _layer_changed(self, *_):
        layer = self.layer.currentLayer()
        if layer is not None and layer_path(layer) is None:
            with contextlib.suppress(
                PluginError
            ):  # what the map shows has no place in the layer's CRS
                width = in_layer_crs(canvas_area(self.canvas), layer).boundingBox().width()
                self.resolution.setValue(
                    width / max(self.canvas.mapSettings().outputSize().width(), 1)
                )
        self._update()

    def _use_tool(self, tool, on):
        if on:
            self.canvas.setMapTool(tool)
        elif self.canvas.mapTool() is tool:
            self.canvas.unsetMapTool(tool)

    def _tool_changed(self, new, *_):
        for picker in (self.area, self.exemplar, self.protect):
            picker.draw.setChecked(new is picker.tool)

    # ---- words
    # --------------------------------------------------------------------------------------------

    def _ask_meaning(self, text):
        wanted = InterpretationRequest(text, self.words.chosen, self._has_exemplar())
        asked = self._ask(
            "Landbrush: understanding",
            lambda client: client.interpret(wanted),
            lambda meaning: self.words.answered(text, meaning, self.infos),
            self._not_understood,
        )
        if not asked:
            self.words.give_up()

    def _has_exemplar(self):
        layer = self.layer.currentLayer()
        return layer is not None and self._exemplar(layer) is not None

    def _not_understood(self, error):
        self.words.give_up()
        self.will_not_run()
        self._fail(error)

    def _understood(self):
        self._update()
        self._go_on()

    def take_over(self, meaning):
        """Put what was understood into the editor and its options, where every part can be
        changed."""
        self.editor.setCurrentIndex(self.editor.findData(meaning.editor))
        self.options.set_values(meaning.options)
        self.options_box.setCollapsed(False)

    def propose(self):
        """Ask for sentences that say the same as the prompt."""
        prompt = self.words.text()
        source = self.options.values().get(SOURCE, ENSEMBLE_SOURCES[0])
        if prompt:
            self._ask(
                "Landbrush: paraphrases",
                lambda client: client.ensemble(prompt, source),
                self.ensemble.show_proposed,
            )
        else:
            self.say("Say what should be there first.", Qgis.MessageLevel.Warning)

    def find_examples(self):
        """Windows of the layer that look like the word, to tick."""
        layer = self.layer.currentLayer()
        path = layer_path(layer) if layer is not None else None
        if path is None:
            self.say("Examples can be found in layers that are files.", Qgis.MessageLevel.Warning)
            return
        word = self.words.sought(self.editor.currentData())
        bands = self.bands.text()
        shared = getattr(self.connection(), "shares_files", False)
        try:
            extent = searched_extent(
                self.area.area(self.canvas, layer) or canvas_area(self.canvas), layer
            )
        except PluginError as error:
            self._fail(error)
            return

        def call(client):
            raster = RasterRef(path=str(path)) if shared else RasterRef(upload=client.upload(path))
            return client.search(SearchRequest(raster, word, extent, band_roles_of(bands)))

        self.status.setText(f"Looking for {word} in {layer.name()} ...")
        self._ask("Landbrush: looking for examples", call, self._show_found)

    def _show_found(self, result):
        self.found.show_found(result)
        self.status.setText(
            result.reason
            or f"{len(result.found)} windows look like {result.word}; untick what does not."
        )

    # ---- running
    # ------------------------------------------------------------------------------------------

    def wish(self):
        """What the panel asks for; raises PluginError where something is missing."""
        layer = self.layer.currentLayer()
        if layer is None:
            raise PluginError("Choose a raster layer to edit.")
        process_id = self.editor.currentData() or AUTO
        area = area_of(
            self.area.area(self.canvas, layer),
            layer,
            self.infos.get(process_id),
            "Draw a polygon on the map (Draw, left clicks, right click), or select polygon "
            "features.",
        )
        prompt = self.words.text()
        if process_id == AUTO and not prompt:
            raise PluginError("Say what should be there, or choose an editor.")
        exemplar = self._exemplar(layer)
        return Wish(
            layer=layer,
            area=area,
            prompt=prompt,
            operation=self.words.chosen if process_id == AUTO else "",
            process_id=process_id,
            options=self.ensemble.put_into(self.options.values()),
            seed=self.seed.value(),
            exemplar=exemplar,
            exemplar_layer=self.exemplar_layer.currentLayer()
            if self.exemplar.source.currentData() != NOTHING
            else None,
            elevation_layer=self.elevation.currentLayer(),
            protect=self.protect.area(self.canvas, layer),
            band_roles=band_roles_of(self.bands.text()),
            blend=Blend(
                self.grow.value(),
                self.beyond.value(),
                self.feather.value(),
                self.context.value(),
                self.match.isChecked(),
            ),
            output=Output(
                "layer" if self.go_on.isChecked() else self.write.currentData(),
                self.compression.currentData(),
                self.cog.isChecked(),
                self.keep_request.isChecked(),
            ),
        )

    def _exemplar(self, layer):
        ticked = self.found.ticked() if self.found.isVisible() else []
        if ticked and self.exemplar.source.currentData() == NOTHING:
            parts = [geometry_of(p) for p in ticked]
            return Area(QgsGeometry.collectGeometry(parts), layer.crs())
        return self.exemplar.area(self.canvas, layer)

    def run(self):
        """Start an edit, or as many as variants are wanted, one after the other; once server and
        words are ready."""
        if self.task is not None:
            return
        self.will_run = False
        try:
            self.wish()  # what is missing is told at once
            if not self._ready():
                return
            wish = located(self.wish())
            inputs = inputs_of(wish, self.resolution.value())
            folder = settings.output_folder()
        except (PluginError, OSError) as error:
            self.will_not_run()
            self._fail(error if isinstance(error, PluginError) else PluginError(str(error)))
            return
        self.forget_error()
        seeds = [(wish.seed + k) % 2**31 for k in range(self.variants.value())]
        self.waiting = [
            EditTask(replace(wish, seed=seed), inputs, self.connection(), folder) for seed in seeds
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

    def _later(self, text):
        self.will_run = True
        self._show_running(True)
        self.status.setText(text)
        return False

    def _go_on(self):
        """Begin the edit that waited."""
        if self.will_run:
            self.run()

    def will_not_run(self):
        """An edit that waited does not begin any more."""
        if self.task is None:
            self.will_run = False
            self._show_running(False)

    def _show_running(self, running):
        self.run_button.setEnabled(not running)
        self.cancel_button.setEnabled(running)

    def editors_known(self):
        """The server has said what it can do."""
        self._update()
        self._go_on()

    def server_failed(self):
        """The server could not be started, or ended."""
        self.words.give_up()
        self.will_not_run()

    def _next(self):
        """Start the task that waits longest."""
        self.task = task = self.waiting.pop(0)
        task.progressed.connect(self._progressed)
        task.ended.connect(self._ended)
        self.tasks.append(task)
        QgsApplication.taskManager().addTask(task)

    def cancel(self):
        """Stop the running edit, here and on the server, or one that waits to begin."""
        if self.will_run:
            self.will_not_run()
            self.status.setText("Cancelled.")
        if self.task is not None:
            self.status.setText("Cancelling ...")
            self.waiting = []
            self.task.cancel()

    def _progressed(self, info):
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

    def _show_preview(self, content):
        picture = QPixmap()
        if self.task is not None and picture.loadFromData(content):
            side = min(self.preview.parentWidget().width(), PREVIEW_PX)
            self.preview.setPixmap(picture.scaled(side, side, Qt.AspectRatioMode.KeepAspectRatio))
            self.preview.show()
            self.scroll.ensureWidgetVisible(self.preview)

    def _ended(self, task):
        self.task = None
        self.preview.hide()
        self.tasks.remove(task)
        if task.error is None:
            # The source may have been removed from the project meanwhile.
            source = (
                task.wish.layer
                if task.wish.layer in QgsProject.instance().mapLayers().values()
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
        self._ask(
            "Landbrush: fetching a result",
            lambda client: fetch(client, job_id, folder),
            lambda found: self._add(found[0], source_of(found[1]), found[1]),
        )

    def _zoom_to(self, layer):
        self.iface.setActiveLayer(layer)
        self.iface.zoomToActiveLayer()

    # ---- end
    # ----------------------------------------------------------------------------------------------

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
