"""The part of the panel that finds ground: windows that look like a word, the outline of what is
clicked, values of a raster."""

from typing import Any

from qgis.core import Qgis, QgsGeometry

from ...server.contract.editors import AUTO, LEVEL, LEVEL_FROM, LOWEST_GROUND, MODEL_ZERO
from ...server.contract.heights import HeightUnitRequest
from ...server.contract.outlines import OutlineRequest
from ...server.contract.words import SearchRequest
from ..errors import PluginError
from ..map.flooded import MOST_M, Heights
from ..map.places import geometry_of
from ..map.sources import Wanted, file_of
from ..map.values import ValuedGround, ranges_of
from ..tasks.request import (
    Area,
    band_roles_of,
    canvas_area,
    in_crs,
    in_layer_crs,
    on_layer,
    polygons_of,
    searched_extent,
    united,
)
from ..tasks.task import asked_about
from ..tasks.values import ValuesTask
from ..told import told
from ..translated import localised, tr
from .areas import CANVAS, DRAWN, VALUES
from .level import HeightsTask
from .serving import ServedForm

KINDS = {
    "Roof": tr("Roof"),
    "Tree": tr("Tree"),
    "Water": tr("Water"),
    "Vehicle": tr("Vehicle"),
}
"""What an outline may be of, as the server calls it."""
OBJECT_PX = 450
"""Around a click, in which its object is looked for."""


MOST_PARTS = 3_000
"""Found polygons that are taken as if they were drawn."""


class FindingForm(ServedForm):
    """Ground that is found rather than drawn."""

    outlining = False
    """Whether an outline is being looked for."""
    valuing: Any = None
    """The ValuesTask that looks at values; None: none does."""
    measuring: Any = None
    """The HeightsTask whose heights are waited for; None: none are."""

    def find_examples(self) -> None:
        """Windows of the layer that look like the word, to tick."""
        layer = self.layer.currentLayer()
        if layer is None:
            self.say(tr("Choose a raster layer first."), Qgis.MessageLevel.Warning)
            return
        word = self.words.sought(self.editor.currentData())
        try:
            area = self.area.area(self.canvas, layer) or canvas_area(self.canvas)
            extent = searched_extent(area, layer)
            source = file_of(layer, Wanted(in_layer_crs(area, layer).boundingBox()))
            roles = band_roles_of(self.bands.text())
        except PluginError as error:
            self._fail(error)
            return
        self.status.setText(tr("Looking for {word} in {name} ...", word=word, name=layer.name()))
        self._ask_about(
            "Landbrush: looking for examples",
            source,
            lambda client, raster: client.search(SearchRequest(raster, word, extent, roles)),
            self._show_found,
        )

    def _show_found(self, result) -> None:
        self.found.show_found(result)
        self.status.setText(
            told(result.reason)
            or tr(
                "Windows that look like {word}: {value}. Untick what does not.",
                value=len(result.found),
                word=result.word,
            )
        )

    def _ask_about(self, title, source, question, on_answer, on_error=None) -> bool:
        """Put a question about a raster, `question(client, RasterRef)`, to the server in the
        background; False where no server is known. `source`: as file_of has it."""
        connection = self.connection()

        def call(client):
            return asked_about(
                connection,
                client.transport.feedback,
                [source],
                lambda client, refs: question(client, refs[0]),
            )

        return self._ask(title, call, on_answer, on_error)

    def outline_object(self, tool, place) -> None:
        """Have the outline of what was clicked found, and add it to what a tool has drawn."""
        layer = self.layer.currentLayer()
        if tool is self.exemplar_tool:
            layer = self.exemplar_layer.currentLayer() or layer
        if layer is None:
            self.say(tr("Choose a raster layer first."), Qgis.MessageLevel.Warning)
            return
        if self.outlining:
            return  # one click after the other
        size = self.canvas.mapUnitsPerPixel()
        spot = Area(QgsGeometry.fromPointXY(place).buffer(size / 2, 2), tool.crs)
        try:
            here = on_layer(spot, layer)
            around = here.geometry.boundingBox()
            around.grow(OBJECT_PX * layer.rasterUnitsPerPixelX())
            source = file_of(layer, Wanted(around))
            there = polygons_of(here)
            roles = band_roles_of(self.bands.text())
        except PluginError as error:
            self._fail(error)
            return

        def found(outline) -> None:
            self.outlining = False
            tool.add(geometry_of(outline.polygons, layer), layer.crs())
            unnamed = tr("what lies there") if outline.by else tr("ground that is alike")
            kind = KINDS.get(outline.what, unnamed)
            by = f" ({outline.by})" if outline.by else ""
            said = tr("Outlined: {what}", what=kind) + by
            self.status.setText(f"{said}. {told(outline.note)}" if outline.note else said)

        def failed(error) -> None:
            self.outlining = False
            self._fail(error)

        self.outlining = self._ask_about(
            "Landbrush: outlining",
            source,
            lambda client, raster: client.outline(OutlineRequest(raster, there, roles)),
            found,
            failed,
        )
        if self.outlining:
            self.status.setText(tr("Looking for what lies there …"))
        else:
            self.wake()
            self.status.setText(tr("The server is starting; click again when it is there."))

    def find_values(self, picker) -> None:
        """Have the ground found where a raster has the values that a picker names, and add it to
        what is drawn there."""
        page = picker.values
        layer = page.raster.currentLayer()
        if layer is None:
            self.say(tr("Choose a raster layer first."), Qgis.MessageLevel.Warning)
            return
        if self.valuing is not None:
            self.status.setText(tr("One search after the other: the first one still runs."))
            return
        try:
            ranges = ranges_of(page.values.text())
            box = in_layer_crs(canvas_area(self.canvas), layer).boundingBox()
            task = ValuesTask(ValuedGround(layer, page.band.currentBand(), ranges, box))
        except PluginError as error:
            self._fail(error)
            return

        def ended(done) -> None:
            self.valuing = None
            self.tasks.remove(done)
            if done.error is None and done.parts > MOST_PARTS:
                done.error = PluginError(
                    tr(
                        "{n} areas are too many to be drawn. Look at a smaller part, or use "
                        "'Areas where a raster has certain values' in the toolbox and select "
                        "among them.",
                        n=localised(done.parts),
                    )
                )
            if done.error is not None:
                self._fail(done.error)
                return
            picker.tool.add(done.geometry, done.ground.crs)
            if picker.source.currentData() == VALUES:  # the user has not gone on meanwhile
                picker.choose(DRAWN)
            self.forget_error()
            self.status.setText(
                tr("Found in '{name}': {size}", name=done.ground.name, size=picker.size.text())
            )

        task.ended.connect(ended)
        self.valuing = task
        self.status.setText(tr("Looking at the values of '{name}' …", name=layer.name()))
        self._start_task(task)

    def measure_heights(self) -> None:
        """Have the elevation model read over the area, in the unit that the server takes it in, so
        that a level can be chosen on the map."""
        heights = self.elevation.currentLayer()
        crs = self.canvas.mapSettings().destinationCrs()
        try:
            area = self.area.area(self.canvas, self.layer.currentLayer())
            if area is None:
                raise PluginError(tr("Draw first where the water shall stand."))
            shape = united([in_crs(area, crs, tr("The area has no place in the map's CRS."))])
            source = file_of(heights, Wanted(in_layer_crs(area, heights).boundingBox()))
        except PluginError as error:
            self._no_heights(error)
            return

        def known(unit) -> None:
            if self.level.button.isChecked():
                self._read_heights(heights, shape, crs, unit)

        asked = self._ask_about(
            "Landbrush: looking at heights",
            source,
            lambda client, raster: client.height_unit(HeightUnitRequest(raster)),
            known,
            self._no_heights,
        )
        if not asked:
            self.wake()
            self._no_heights(
                PluginError(tr("The server is starting; press again when it is there."))
            )

    def _no_heights(self, error) -> None:
        self.level.forget()
        self._fail(error)

    def _read_heights(self, layer, shape, crs, unit) -> None:
        level, from_lowest = self.level_wanted()
        # One that counts from the model's zero says nothing of a depth.
        deepest = level if from_lowest or (from_lowest is None and level <= MOST_M) else 0.0
        try:
            task = HeightsTask(Heights(layer, shape, crs, unit.metres, deepest))
        except (PluginError, RuntimeError) as error:  # RuntimeError: the layer was removed
            self._no_heights(error if isinstance(error, PluginError) else PluginError(str(error)))
            return

        def ended(done) -> None:
            self.tasks.remove(done)
            if done is not self.measuring:
                return  # the area is another by now
            self.measuring = None
            if done.error is not None:
                self._no_heights(done.error)
            elif self.level.button.isChecked() and self._has_level():
                low = min(one.low for one in done.basins.all)
                level, from_lowest = self.level_wanted()
                self.level.show_basins(done.basins, _over_lowest(level, from_lowest, low))

        task.ended.connect(ended)
        self.measuring = task
        self._start_task(task)

    def level_wanted(self):
        """(level in metres, whether it counts from the lowest ground; None: by what it is) that
        would be used now."""
        chosen = self.editor.currentData()
        if chosen != AUTO:
            info, said = self.infos[chosen], self.options.values()
        else:
            meaning = self.words.understood
            info = self.infos[meaning.editor]
            said = {**meaning.options, **self.words.changed()}
        usual = {one.name: one.default for one in info.options}
        counts = said.get(LEVEL_FROM, usual[LEVEL_FROM])
        return float(said.get(LEVEL, usual[LEVEL])), {LOWEST_GROUND: True, MODEL_ZERO: False}.get(
            counts
        )

    def use_level(self, options) -> None:
        """Ask for the level that was chosen on the map."""
        if self.editor.currentData() == AUTO:
            self.words.parts.take(options)
        else:
            self.options.set_values(options)

    def forget_heights(self, *_) -> None:
        """The area is another, or the model: what was read is of no use."""
        if self.measuring is not None:
            self.measuring.cancel()
        self.measuring = None
        self.level.forget()

    def forget_seen(self) -> None:
        """The map shows other ground: what was read of it is of no use."""
        if self.area.source.currentData() == CANVAS:
            self.forget_heights()


def _over_lowest(level, from_lowest, low):
    """A level over the lowest ground, as the server counts it: where it is not said from what, a
    small one counts from there if it is below all the ground, else from the model's zero."""
    if from_lowest is None:
        from_lowest = 0 < level < low
    return level if from_lowest else level - low
