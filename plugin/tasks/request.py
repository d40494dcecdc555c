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
    PIXELS_UP,
    Blend,
    EditRequest,
    Exemplar,
    Extent,
    Output,
    Polygons,
    RasterRef,
)
from ..errors import PluginError
from ..map.canvas import POLYGON
from ..map.layers import wkt_of


@dataclass
class Area:
    """Polygons on the map. `geometry`: of all of them. `crs`: of its coordinates. `layer`: in
    whose coordinates they are; None: in those of `crs`."""

    geometry: QgsGeometry
    crs: QgsCoordinateReferenceSystem
    layer: Any = None

    @property
    def stated(self) -> str:
        """How the server is told where the coordinates lie."""
        return wkt_of(self.crs) if self.layer is None else own_coordinates(self.layer)


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


def own_coordinates(layer):
    """How the server is told that positions are a layer's own: '', or, of a picture that has no
    place on the ground, that QGIS counts its rows downwards from 0."""
    box = layer.extent()
    shown = (box.xMinimum(), box.yMaximum(), box.width(), box.height())
    return PIXELS_UP if shown == (0, 0, layer.width(), layer.height()) else ""


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


def polygons_of(area, what: str = "area"):
    """GeoJSON polygons of an area; raises PluginError for what is none."""
    geometry = united([area.geometry])
    if geometry.isEmpty():
        raise PluginError(f"The {what} is empty. Draw a polygon, or select a polygon feature.")
    data = json.loads(geometry.asJson(17))
    data["coordinates"] = _flat(data["coordinates"])
    return Polygons({"type": data["type"], "coordinates": data["coordinates"]}, area.stated)


def geometry_of(polygons, layer):
    """The outer ring of a window of the layer that was found on the server, as a geometry of
    QGIS."""
    up = -1 if own_coordinates(layer) == PIXELS_UP else 1
    ring = ", ".join(
        f"{x:.17g} {up * y:.17g}" for x, y in (p[:2] for p in polygons.geometry["coordinates"][0])
    )
    return QgsGeometry.fromWkt(f"POLYGON (({ring}))")


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
                f"Bands: '{part}' is not of the form role=band, for instance nir=4. Roles: "
                f"{', '.join(BAND_ROLES)}."
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
    geometry = QgsGeometry(area.geometry)
    if not (area.crs.isValid() and layer.crs().isValid()) or area.crs == layer.crs():
        return geometry
    parts = geometry.asGeometryCollection()
    geometry = QgsGeometry.collectGeometry([_in_pieces(part) for part in parts])
    change = QgsCoordinateTransform(
        area.crs, layer.crs(), QgsProject.instance() if context is None else context
    )
    try:
        geometry.transform(change)
    except QgsCsException as error:
        raise PluginError(
            f"The area cannot be expressed in the CRS of the layer '{layer.name()}' "
            f"({layer.crs().authid()}).",
            str(error),
        ) from error
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


def located(form, context=None):
    """The form with its areas in the coordinates of the layers that they were drawn on, which the
    server takes as they are: so what is edited is what was seen, whatever CRS the file itself
    states. On the GUI thread, or with Processing's `context`."""
    if form.layer is None or form.gsd_m:
        return form

    def on(area, layer):
        return (
            None if area is None else Area(in_layer_crs(area, layer, context), layer.crs(), layer)
        )

    shown = form.exemplar_layer or form.layer
    return replace(
        form,
        area=on(form.area, form.layer),
        exemplar=on(form.exemplar, shown),
        protect=on(form.protect, form.layer),
        extent=on(form.extent, form.layer),
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


def build(form, raster, exemplar_raster=None, elevation=None):
    """The EditRequest of a form, once every raster has a RasterRef; raises PluginError for what
    cannot be asked."""
    try:
        return _built(form, raster, exemplar_raster, elevation)
    except ContractError as error:
        raise PluginError(f"This cannot be asked of the server. {error}") from error


def _built(form, raster, exemplar_raster, elevation):
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
        protect=polygons_of(form.protect, "protected area") if form.protect is not None else None,
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
