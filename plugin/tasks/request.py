"""From QGIS's layers and geometries to the contract's EditRequest."""

import json
from dataclasses import dataclass, field, replace
from typing import Any, Optional

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCsException,
    QgsGeometry,
    QgsProject,
)

from ...server.contract.editors import AUTO
from ...server.contract.message import ContractError
from ...server.contract.requests import (
    BAND_ROLES,
    Blend,
    EditRequest,
    Exemplar,
    Extent,
    KnownGround,
    Output,
    Polygons,
    RasterRef,
)
from ..errors import PluginError
from ..map.canvas import POLYGON
from ..map.known import KnownLayer, box_around
from ..map.layers import wkt_of
from ..map.places import own_coordinates
from ..translated import tr


@dataclass
class Area:
    """Polygons on the map. `geometry`: of all of them. `crs`: of its coordinates. `own`: how the
    server is told that they are a layer's own; None: they are in `crs`."""

    geometry: QgsGeometry
    crs: QgsCoordinateReferenceSystem
    own: Optional[str] = None

    @property
    def stated(self) -> str:
        """How the server is told where the coordinates lie."""
        return wkt_of(self.crs) if self.own is None else self.own


@dataclass
class EditForm:
    """What the user asks for, before it is known how the server gets the raster."""

    layer: Any
    """QgsRasterLayer that is edited; None: new ground."""
    area: Area
    """Where."""
    gsd_m: float = 0.0
    """Ground size in metres of a new raster over the area; 0: the layer itself is edited."""
    prompt: str = ""
    """What should be there."""
    operation: str = ""
    """What was chosen of the choices offered for the prompt."""
    process_id: str = AUTO
    """Id of the editor; AUTO: by the words."""
    options: dict = field(default_factory=dict)
    """The editor's, by name."""
    seed: int = 0
    """The same gives the same result."""
    exemplar: Optional[Area] = None
    """What to copy from; None: nothing was drawn."""
    exemplar_layer: Any = None
    """Layer in which it lies; None: the edited one."""
    elevation_layer: Any = None
    """Heights; None: none."""
    known: tuple = ()
    """What the user's layers tell of the ground: pairs of a kind and an Area or KnownLayer."""
    over: tuple = ()
    """Layers of earlier results that lie over the edited one, the lowest first."""
    protect: Optional[Area] = None
    """What stays as it is."""
    extent: Optional[Area] = None
    """Edit only inside the rectangle around it; None: everywhere."""
    band_roles: dict = field(default_factory=dict)
    """Band, from 1, by role, where the user says it."""
    blend: Blend = Blend()
    """How the edit meets its surroundings."""
    output: Output = Output()
    """How the result is written."""
    transformation: str = ""
    """By which QGIS moved the area to the layer's CRS; empty: it was drawn in that."""


def key_of(form):
    """What two forms that differ in their seed alone have in common."""

    def shape(area):
        return area and (area.geometry.asWkt(6), area.crs.authid())

    def name(layer):
        return layer and layer.id()

    return (
        *map(name, (form.layer, form.exemplar_layer, form.elevation_layer, *form.over)),
        *map(shape, (form.area, form.exemplar, form.protect, form.extent)),
        *(
            (kind, area.key if isinstance(area, KnownLayer) else shape(area))
            for kind, area in form.known
        ),
        (form.gsd_m, form.prompt, form.operation, form.process_id),
        json.dumps([form.options, form.band_roles], sort_keys=True),
        (form.blend, form.output),
    )


def canvas_area(canvas):
    """What the map canvas shows."""
    return Area(QgsGeometry.fromRect(canvas.extent()), canvas.mapSettings().destinationCrs())


def area_of(area, layer, info, advice):
    """The area to edit: what was drawn, else all of the layer for an editor that makes bands;
    raises PluginError."""
    if area is None and info is not None and info.makes:
        area = Area(QgsGeometry.fromRect(layer.extent()), layer.crs())
    if area is None:
        raise PluginError(advice)
    return area


def united(geometries):
    """All ground that lies in any part of any of the geometries. Parts that lie over one another
    are repaired each for itself, since a repair of all together would make holes of what they
    share; lines and points that a repair leaves are dropped."""
    parts = []
    for geometry in geometries:
        for part in geometry.asGeometryCollection():
            sound = part if part.isGeosValid() else part.makeValid()
            parts += [
                inner
                for inner in sound.asGeometryCollection()
                if inner.type() == POLYGON and inner.area() > 0
            ]
    return QgsGeometry.unaryUnion(parts) if parts else QgsGeometry()


def known_ground(layers, area, layer, context=None):
    """What vector layers, by kind of ground, tell near an area: pairs of a kind and a KnownLayer,
    which is read once the edit begins. `context`: QgsCoordinateTransformContext."""
    if not any(layers.values()):
        return ()
    context = QgsProject.instance().transformContext() if context is None else context
    box = box_around(area.geometry, area.crs, layer, context)
    return tuple(
        (kind, KnownLayer(vector, box, layer, context))
        for kind, vector in layers.items()
        if vector is not None and box is not None
    )


def _known_polygons(known):
    """KnownGround of a form's pairs, read now; what tells nothing near the edit is left out."""
    found = []
    for kind, source in known:
        area = source
        if isinstance(source, KnownLayer):
            shape = source.read()
            area = None if shape is None else Area(shape, source.crs, source.own)
        if area is not None:
            found.append(KnownGround(polygons_of(area, "known ground"), kind))
    return tuple(found)


def polygons_of(area, what: str = "area"):
    """GeoJSON polygons of an area; raises PluginError for what is none."""
    geometry = united([area.geometry])
    if geometry.isEmpty():
        raise PluginError(
            tr("The {what} is empty. Draw a polygon, or select a polygon feature.", what=what)
        )
    data = json.loads(geometry.asJson(17))
    data["coordinates"] = _flat(data["coordinates"])
    return Polygons({"type": data["type"], "coordinates": data["coordinates"]}, area.stated)


def _flat(coordinates):
    """Coordinates of GeoJSON at any depth, without heights."""
    if coordinates and isinstance(coordinates[0], (int, float)):
        return coordinates[:2]
    return [_flat(part) for part in coordinates]


def band_roles_of(text):
    """`nir=4 red=1` as {role: 1-based band}; raises PluginError for what is not of that form."""
    found = {}
    for part in text.replace(",", " ").split():
        role, _, number = part.partition("=")
        if role not in BAND_ROLES or not number.isdigit() or not int(number):
            raise PluginError(
                tr(
                    "Bands: '{part}' is not of the form role=band, for instance nir=4. "
                    "Roles: {join}.",
                    part=part,
                    join=", ".join(BAND_ROLES),
                )
            )
        found[role] = int(number)
    return found


PIECES_PER_SIDE = 64
"""A polygon in another CRS is cut into so many pieces per extent before it is moved: long edges
bend as the map does."""


def _in_pieces(part):
    """A polygon whose long edges are cut; by its own extent, whatever lies beside it."""
    box = part.boundingBox()
    piece = max(box.width(), box.height()) / PIECES_PER_SIDE
    return part.densifyByDistance(piece) if piece > 0 else part


def in_layer_crs(area, layer, context=None):
    """The area's geometry in the layer's CRS as QGIS has it, moved as QGIS moves what the map
    shows: by the project's operations, or those of `context` (QgsCoordinateTransformContext).
    Raises PluginError where a vertex has no place there."""
    told = tr(
        "The area cannot be expressed in the CRS of the layer '{name}' ({authid}).",
        name=layer.name(),
        authid=layer.crs().authid(),
    )
    return in_crs(area, layer.crs(), told, context)


def in_crs(area, crs, told, context=None):
    """The area's geometry in a CRS; `context` as in `in_layer_crs`. Raises PluginError, which says
    `told`, where a vertex has no place there."""
    geometry = QgsGeometry(area.geometry)
    if not (area.crs.isValid() and crs.isValid()) or area.crs == crs:
        return geometry
    parts = geometry.asGeometryCollection()
    geometry = QgsGeometry.collectGeometry([_in_pieces(part) for part in parts])
    change = QgsCoordinateTransform(
        area.crs, crs, QgsProject.instance() if context is None else context
    )
    try:
        geometry.transform(change)
    except QgsCsException as error:
        raise PluginError(told, str(error)) from error
    return geometry


def transformation(area, layer, context=None):
    """The operation by which an area is moved to a layer's CRS, as QGIS names it; '' for none."""
    if not (area.crs.isValid() and layer.crs().isValid()) or area.crs == layer.crs():
        return ""
    change = QgsCoordinateTransform(
        area.crs, layer.crs(), QgsProject.instance() if context is None else context
    )
    details = change.instantiatedCoordinateOperationDetails()
    return f"{details.name or change.coordinateOperation()} (by QGIS)"


def on_layer(area, layer, context=None):
    """An area in a layer's own coordinates, which the server takes as they are; None stays None.
    Raises PluginError where it has no place there."""
    if area is None:
        return None
    return Area(in_layer_crs(area, layer, context), layer.crs(), own_coordinates(layer))


def located(form, context=None):
    """The form with its areas in the coordinates of the layers that they were drawn on, which the
    server takes as they are: so what is edited is what was seen, whatever CRS the file itself
    states. On the GUI thread, or with Processing's `context`."""
    if form.layer is None or form.gsd_m:
        return form

    def on(area, layer):
        return on_layer(area, layer, context)

    shown = form.exemplar_layer or form.layer
    return replace(
        form,
        area=on(form.area, form.layer),
        exemplar=on(form.exemplar, shown),
        protect=on(form.protect, form.layer),
        extent=on(form.extent, form.layer),
        known=tuple(
            (kind, area if isinstance(area, KnownLayer) else on(area, form.layer))
            for kind, area in form.known
        ),
        transformation=transformation(form.area, form.layer, context),
    )


SEARCHED_PX = 1536
"""Half of what the server searches at most: of a larger extent it takes the middle."""


def searched_extent(area, layer):
    """Where to look for examples: around the area, as a fill by word does. None: all of a layer
    that lies elsewhere."""
    box = in_layer_crs(area, layer).boundingBox()
    box.grow(SEARCHED_PX * max(layer.rasterUnitsPerPixelX(), layer.rasterUnitsPerPixelY()))
    box = box.intersect(layer.extent())
    return None if box.isEmpty() else _extent(box, own_coordinates(layer))


def _extent(box, stated):
    return Extent(box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum(), stated)


def build(form, raster, exemplar_raster=None, elevation=None, *over):
    """The EditRequest of a form, once every raster has a RasterRef; raises PluginError for what
    cannot be asked."""
    try:
        return _built(form, raster, exemplar_raster, elevation, over)
    except ContractError as error:
        raise PluginError(tr("This cannot be asked of the server. {error}", error=error)) from error


def _built(form, raster, exemplar_raster, elevation, over):
    exemplar = None
    if form.exemplar is not None:
        exemplar = Exemplar(polygons_of(form.exemplar, "exemplar"), exemplar_raster)
    extent = None
    if form.extent is not None:
        extent = _extent(form.extent.geometry.boundingBox(), form.extent.stated)
    return EditRequest(
        raster=new_ground(form, raster) if form.gsd_m else raster,
        polygons=polygons_of(form.area),
        prompt=form.prompt,
        operation=form.operation,
        options=dict(form.options),
        seed=form.seed,
        exemplar=exemplar,
        extent=extent,
        elevation=elevation,
        over=over,
        protect=polygons_of(form.protect, "protected area") if form.protect is not None else None,
        known=_known_polygons(form.known),
        band_roles=dict(form.band_roles),
        blend=form.blend,
        output=form.output,
    )


def new_ground(form, raster):
    """A RasterRef to new ground under the form's area: empty, or that of the layer with finer
    pixels."""
    extent = _extent(form.area.geometry.boundingBox(), wkt_of(form.area.crs))
    return replace(
        raster or RasterRef(extent=extent, gsd_m=form.gsd_m), extent=extent, gsd_m=form.gsd_m
    )


def by_path(path):
    """A RasterRef to a file that the server reads itself."""
    return RasterRef(path=str(path))
