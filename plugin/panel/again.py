"""The form filled from a result: the same edit once more, to be changed."""

from qgis.core import QgsProject, QgsRasterLayer

from ...server.contract.editors import AUTO
from ...server.contract.requests import PIXELS_UP
from ..errors import PluginError
from ..map.places import geometry_of
from ..map.results import SOURCE, base_of, manifest_of
from ..tasks.replay import manifest_for
from ..tasks.request import Area
from ..translated import tr
from .areas import DRAWN, NOTHING


def fill(dock, layer) -> None:
    """Put a result's request into the panel: its layer, polygons, words, editor, options, seed,
    edge and output. Raises PluginError where it is not known any more."""
    manifest = manifest_of(layer)
    if manifest is None or manifest.request is None:
        manifest = manifest_for(layer)  # too long for the project: that beside the file
    request = manifest.request
    project = QgsProject.instance()
    source = project.mapLayer(layer.customProperty(SOURCE, "")) or base_of(layer)
    if source is None:
        raise PluginError(
            tr("The layer that '{name}' was made from is not in the project.", name=layer.name())
        )
    shown = _exemplar_layer(request, source)
    drawn = (
        (dock.area, request.polygons, source),
        (dock.protect, request.protect, source),
        (dock.exemplar, request.exemplar.polygons if request.exemplar else None, shown),
    )
    for polygons in (*(one for _, one, _ in drawn), *(one.polygons for one in request.known)):
        _check(polygons, layer)
    by_words = manifest.understood is not None
    if not by_words and dock.editor.findData(manifest.process) < 0:
        dock.wake()
        raise PluginError(
            tr("The editor of '{name}' is known once the server has started.", name=layer.name())
        )
    dock.layer.setLayer(source)
    for picker, polygons, lies_in in drawn:
        _draw(picker, polygons, lies_in)
    _words(dock, manifest, request)
    dock.seed.setValue(request.seed)
    dock.bands.setText(" ".join(f"{role}={band}" for role, band in request.band_roles.items()))
    _layers(dock, request)
    for combo in dock.ground.values():
        combo.setLayer(None)
    dock.know_again(
        tuple(
            (one.kind, Area(geometry_of(one.polygons, source), source.crs()))
            for one in request.known
        )
    )
    blend, output = request.blend, request.output
    dock.grow.setValue(blend.grow_px)
    dock.beyond.setValue(blend.beyond_px)
    dock.feather.setValue(blend.feather_px)
    dock.context.setValue(blend.context_px)
    dock.match.setChecked(blend.radiometric_match)
    dock.whole.setChecked(blend.whole_objects)
    dock.write.setCurrentIndex(max(0, dock.write.findData(output.area)))
    dock.compression.setCurrentIndex(max(0, dock.compression.findData(output.compression)))
    dock.cog.setChecked(output.cog)
    dock.keep_request.setChecked(output.keep_request)


def _exemplar_layer(request, source):
    """The layer in which a request's exemplar lies; raises PluginError where it is not in the
    project."""
    raster = request.exemplar.raster if request.exemplar else None
    if raster is None:
        return source
    for layer in QgsProject.instance().mapLayers().values():
        if isinstance(layer, QgsRasterLayer) and layer.source().split("|")[0] == raster.path:
            return layer
    raise PluginError(
        tr("The layer that was copied from is not in the project: {path}", path=raster.path)
    )


def _check(polygons, layer) -> None:
    """Raises PluginError for polygons that were given in another CRS than the layer's own."""
    if polygons is not None and polygons.crs not in ("", PIXELS_UP):
        raise PluginError(
            tr(
                "The polygons of '{name}' were given in a CRS of their own, not drawn in the "
                "panel.",
                name=layer.name(),
            )
        )


def _draw(picker, polygons, source) -> None:
    """Polygons of a request as if they had been drawn."""
    if polygons is None:
        picker.tool.clear()
        if picker.source.findData(NOTHING) >= 0:
            picker.choose(NOTHING)
    else:
        picker.tool.take(geometry_of(polygons, source), source.crs())
        picker.choose(DRAWN)


def _words(dock, manifest, request) -> None:
    """The prompt and the operation that was chosen, or the editor with its options."""
    by_words = manifest.understood is not None
    dock.editor.setCurrentIndex(
        max(0, dock.editor.findData(AUTO if by_words else manifest.process))
    )
    dock.words.prompt.setPlainText(request.prompt or manifest.prompt)
    if by_words:
        dock.words.chosen = request.operation
        dock.words.parts.changed = dict(request.options)
    else:
        dock.options.reset()
        dock.options.set_values(request.options)


def _layers(dock, request) -> None:
    """Heights, and the layer that was copied from, where they are in the project."""
    by_path = {
        layer.source().split("|")[0]: layer
        for layer in QgsProject.instance().mapLayers().values()
        if isinstance(layer, QgsRasterLayer)
    }
    heights = request.elevation.path if request.elevation else ""
    copied = request.exemplar.raster if request.exemplar else None
    dock.elevation.setLayer(by_path.get(heights))
    dock.exemplar_layer.setLayer(by_path.get(copied.path if copied else ""))
