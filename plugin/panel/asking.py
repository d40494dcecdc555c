"""The part of the panel in which an edit takes shape: layer, polygons, words, examples."""

import contextlib
from dataclasses import replace

from qgis.core import Qgis, QgsGeometry

from ...server.contract.editors import AUTO
from ...server.contract.library import KeepRequest
from ...server.contract.requests import PIXELS_UP, Blend, Output
from ...server.contract.words import ENSEMBLE_SOURCES, InterpretationRequest
from ..errors import PluginError
from ..local.installer import find_python
from ..local.server import STOPPED
from ..map.places import geometry_of, own_coordinates, pixel_metres
from ..map.results import seen_over
from ..map.sources import Wanted, file_of, is_painted
from ..tasks.request import (
    Area,
    EditForm,
    area_of,
    band_roles_of,
    canvas_area,
    in_layer_crs,
    known_ground,
    on_layer,
    polygons_of,
)
from ..told import told
from ..translated import localised, tr
from .areas import NOTHING
from .ensemble import PARAPHRASES, SOURCE
from .finding import FindingForm
from .level import has_level

NEAR_PX = 512
"""Results that lie so near to an area, beyond its surroundings, are seen where it is edited."""


class AskingForm(FindingForm):
    """What is asked for, gathered from the form; what can be done now is shown."""

    def _show_row(self, field, visible) -> None:
        field.setVisible(visible)
        label = self.form.labelForField(field)
        if label is not None:
            label.setVisible(visible)

    def _update(self, *_) -> None:
        """Show what the chosen editor needs, and nothing else."""
        info = self.infos.get(self.editor.currentData())
        auto = self.editor.currentData() == AUTO
        layer = self.layer.currentLayer()
        self._show_row(self.resolution, layer is not None and is_painted(layer))
        copies = self._copies()
        self._show_row(self.exemplar, copies)
        self._show_row(
            self.exemplar_layer,
            copies and self.exemplar.source.currentData() not in (NOTHING, None),
        )
        self._show_row(self.elevation, auto or bool(info and info.takes("elevation")))
        self._show_row(self.level, self._has_level())
        if not self._has_level():
            self.forget_heights()
        self.ground_box.setVisible(auto or bool(info and info.takes("ground")))
        self.words.parts.setVisible(auto and bool(self.words.parts.options))
        word = self.words.sought(self.editor.currentData())
        self._show_row(self.find, bool(word) and copies)
        if not word:
            self.found.clear()
            self.found.hide()
        self.options.show_options(info.options if info else (), (PARAPHRASES,))
        self.options_box.setVisible(bool(info and info.options))
        self.missing.setText(told(info.missing) if info else "")
        self._show_row(self.missing, bool(info and info.missing))
        self.ensemble.setVisible(
            info is not None and any(option.name == PARAPHRASES for option in info.options)
        )

    def _copies(self) -> bool:
        """Whether something may be copied by what is chosen."""
        chosen = self.editor.currentData() or AUTO
        info = self.infos.get(chosen)
        return chosen == AUTO or bool(info and info.takes("exemplar"))

    def _has_level(self) -> bool:
        """Whether a level of water over a model of heights is asked for."""
        if self.elevation.currentLayer() is None:
            return False
        chosen, meaning = self.editor.currentData(), self.words.understood
        if chosen != AUTO:
            return has_level(self.infos.get(chosen))
        return meaning is not None and meaning.sure and has_level(self.infos.get(meaning.editor))

    def show_metres(self, *_) -> None:
        """Say beside each number of pixels how far that is on the ground."""
        layer = self.layer.currentLayer()
        size = pixel_metres(layer) if layer is not None else None
        for field in (self.grow, self.beyond, self.feather, self.context):
            metres = float(f"{field.value() * size:.3g}") if size else 0.0
            far = f" · {localised(metres)} m" if size else ""
            field.setSuffix(f" px{far}")

    def _layer_changed(self, *_) -> None:
        self.show_metres()
        self.know_again(())
        layer = self.layer.currentLayer()
        if layer is not None and is_painted(layer):
            with contextlib.suppress(
                PluginError
            ):  # what the map shows has no place in the layer's CRS
                width = in_layer_crs(canvas_area(self.canvas), layer).boundingBox().width()
                self.resolution.setValue(
                    width / max(self.canvas.mapSettings().outputSize().width(), 1)
                )
        self._update()

    def _use_tool(self, tool, on) -> None:
        if on:
            self.wake()
            self.canvas.setMapTool(tool)
        elif self.canvas.mapTool() is tool:
            self.canvas.unsetMapTool(tool)

    def draw_areas(self) -> None:
        """Open the panel and draw where to edit."""
        self.setUserVisible(True)
        self.area.draw.setChecked(True)

    def _tool_changed(self, new, *_) -> None:
        for picker in (self.area, self.exemplar, self.protect):
            picker.draw.setChecked(new is picker.tool)

    def _ask_meaning(self, text) -> None:
        wanted = InterpretationRequest(text, self.words.chosen, self._has_exemplar())
        asked = self._ask(
            "Landbrush: understanding",
            lambda client: client.interpret(wanted),
            lambda meaning: self.words.answered(text, meaning, self.infos),
            self._not_understood,
        )
        if not asked:
            self.words.give_up()
            self.wake()
            if self.server.state == STOPPED and find_python() is not None:
                self.status.setText(tr("The server is stopped; it starts when you press Run."))

    def _has_exemplar(self) -> bool:
        ticked = self.found.ticked() if self.found.isVisible() else []
        return self.layer.currentLayer() is not None and (bool(ticked) or self.exemplar.is_chosen())

    def _not_understood(self, error) -> None:
        self.words.give_up()
        self.will_not_run()
        self._fail(error)

    def _understood(self) -> None:
        self._update()
        self._go_on()

    def take_over(self, meaning) -> None:
        """Put what was understood into the editor and its options, where every part can be
        changed."""
        self.editor.setCurrentIndex(self.editor.findData(meaning.editor))
        self.options.set_values({**meaning.options, **self.words.changed()})
        self.options_box.setCollapsed(False)

    def propose(self) -> None:
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
            self.say(tr("Say what should be there first."), Qgis.MessageLevel.Warning)

    def keep_exemplar(self, name, words, credit, on_kept, on_error) -> bool:
        """Keep what is drawn as the exemplar in the library; False where there is none to keep."""
        layer = self.layer.currentLayer()
        of = self.exemplar_layer.currentLayer() or layer
        try:
            area = self._exemplar(layer) if layer is not None else None
            if area is None:
                self.library.message.setText(
                    tr("Draw what is to be kept: 'Copy from' in the panel, then Draw.")
                )
                return False
            there = on_layer(area, of)
            source = file_of(of, Wanted(there.geometry.boundingBox()))
            shapes = polygons_of(there)
            roles = band_roles_of(self.bands.text())
        except PluginError as error:
            on_error(error)
            return False
        return self._ask_about(
            "Landbrush: keeping an exemplar",
            source,
            lambda client, raster: client.keep_exemplar(
                KeepRequest(raster, shapes, name, words, credit, roles)
            ),
            on_kept,
            on_error,
        )

    def edit_form(self):
        """What the panel asks for; raises PluginError where something is missing."""
        layer = self.layer.currentLayer()
        if layer is None:
            raise PluginError(tr("Choose a raster layer to edit."))
        process_id = self.editor.currentData() or AUTO
        area = area_of(
            self.area.area(self.canvas, layer),
            layer,
            self.infos.get(process_id),
            tr(
                "Draw a polygon on the map (Draw, left clicks, right click), or select polygon "
                "features."
            ),
        )
        prompt = self.words.text()
        if process_id == AUTO and not prompt:
            raise PluginError(tr("Say what should be there, or choose an editor."))
        exemplar = self._exemplar(layer) if self._copies() else None
        form = EditForm(
            layer=layer,
            area=area,
            prompt=prompt,
            operation=self.words.chosen if process_id == AUTO else "",
            process_id=process_id,
            options=self.words.changed()
            if process_id == AUTO
            else self.ensemble.put_into(self.options.values()),
            seed=self.seed.value(),
            exemplar=exemplar,
            exemplar_layer=self.exemplar_layer.currentLayer()
            if self.exemplar.source.currentData() != NOTHING
            else None,
            elevation_layer=self.elevation.currentLayer(),
            known=self._known(area, layer, process_id),
            protect=self.protect.area(self.canvas, layer),
            band_roles=band_roles_of(self.bands.text()),
            blend=Blend(
                self.grow.value(),
                self.beyond.value(),
                self.feather.value(),
                self.context.value(),
                self.match.isChecked(),
                self.whole.isChecked(),
            ),
            output=Output(
                "layer" if self.go_on.isChecked() else self.write.currentData(),
                self.compression.currentData(),
                self.cog.isChecked(),
                self.keep_request.isChecked(),
            ),
        )
        return replace(form, over=self.over_of(form))

    def know_again(self, known) -> None:
        """Go by what an earlier edit knew, until a layer is chosen (an empty one too)."""
        self.known_again = known
        self.ground_box.setTitle(
            tr("Known ground: as the result was made") if known else tr("Known ground")
        )

    def _known(self, area, layer, process_id):
        """What the chosen layers tell of the ground, for an editor that goes by it."""
        info = self.infos.get(process_id)
        if process_id != AUTO and not (info and info.takes("ground")):
            return ()
        layers = {kind: combo.currentLayer() for kind, combo in self.ground.items()}
        if any(layers.values()):
            return known_ground(layers, area, layer)
        return self.known_again

    def over_of(self, form):
        """The results that are seen where a form edits: what the edit is made of beside the
        layer."""
        layer, info = form.layer, self.infos.get(form.process_id)
        if is_painted(layer) or (info is not None and info.makes):
            return ()
        # A picture without a place on the ground comes back whole.
        whole = form.output.area == "layer" or own_coordinates(layer) == PIXELS_UP
        near = (form.blend.context_px + NEAR_PX) * layer.rasterUnitsPerPixelX()
        return seen_over(layer, in_layer_crs(form.area, layer), None if whole else near)

    def _exemplar(self, layer):
        ticked = self.found.ticked() if self.found.isVisible() else []
        if ticked and self.exemplar.source.currentData() == NOTHING:
            parts = [geometry_of(p, layer) for p in ticked]
            return Area(QgsGeometry.collectGeometry(parts), layer.crs())
        return self.exemplar.area(self.canvas, layer)
