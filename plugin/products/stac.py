"""A STAC item (SpatioTemporal Asset Catalog, 1.0.0) beside a result, for catalogues."""

import datetime
import json
from pathlib import Path
from urllib.parse import quote

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCsException,
    QgsGeometry,
    QgsProject,
)

from ..errors import PluginError
from ..map.results import base_of, edited_area, file_of_result, manifest_of
from ..translated import tr

VERSION = "1.0.0"
EXTENSIONS = [
    "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
    "https://stac-extensions.github.io/processing/v1.2.0/schema.json",
    "https://stac-extensions.github.io/file/v2.1.0/schema.json",
]
GEOTIFF = "image/tiff; application=geotiff"
GEODETIC = "EPSG:4326"
DIGITS = 7


def _on_the_globe(geometry, crs):
    """A geometry in longitude and latitude; raises PluginError where it has no place there."""
    if not crs.isValid():
        raise PluginError(tr("A catalogue needs a place on the ground, which this layer has not."))
    found = type(geometry)(geometry)
    geodetic = QgsCoordinateReferenceSystem(GEODETIC)
    try:
        found.transform(QgsCoordinateTransform(crs, geodetic, QgsProject.instance()))
    except QgsCsException as error:
        raise PluginError(tr("The layer has no place in longitude and latitude.")) from error
    return found


def item_of(layer):
    """The item of a result, as JSON; neither its prompt nor a folder is in it. Raises
    PluginError."""
    path = file_of_result(layer)
    manifest = manifest_of(layer)
    shape = _on_the_globe(QgsGeometry.fromRect(layer.extent()), layer.crs())
    base = base_of(layer)
    edited = None if base is None else _on_the_globe(edited_area(layer), base.crs())
    box = shape.boundingBox()
    changed = datetime.datetime.fromtimestamp(path.stat().st_mtime, datetime.timezone.utc)
    made = changed.strftime("%Y-%m-%dT%H:%M:%SZ")
    properties = {
        "datetime": made,
        "created": made,
        "title": path.name,
        "description": "Synthetic: edited by Landbrush, no survey data.",
        "gsd": manifest.gsd_m if manifest else None,
        "proj:code": layer.crs().authid() or None,
        "proj:shape": [layer.height(), layer.width()],
        "processing:software": dict(manifest.versions) if manifest else {},
        "processing:facility": None,
        "landbrush:synthetic": True,
        "landbrush:editor": manifest.editor if manifest else None,
        "landbrush:engine": manifest.engine if manifest else None,
        "landbrush:seed": manifest.seed if manifest else None,
    }
    if edited is not None:
        properties["landbrush:edited"] = json.loads(edited.asJson(DIGITS))
    asset = {"href": f"./{quote(path.name)}", "type": GEOTIFF, "roles": ["data"]}
    asset["file:size"] = path.stat().st_size
    return {
        "type": "Feature",
        "stac_version": VERSION,
        "stac_extensions": EXTENSIONS,
        "id": path.stem,
        "geometry": json.loads(shape.asJson(DIGITS)),
        "bbox": [
            round(value, DIGITS)
            for value in (box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum())
        ],
        "properties": {name: value for name, value in properties.items() if value is not None},
        "assets": {"data": asset},
        "links": [],
    }


def write_item(layer) -> Path:
    """Write the item beside the result's file; returns its path. Raises PluginError, OSError."""
    path = file_of_result(layer).with_suffix(".stac.json")
    text = json.dumps(item_of(layer), indent=1, ensure_ascii=False) + "\n"
    draft = path.with_name(path.name + ".part")
    draft.write_text(text, "utf8")
    draft.replace(path)
    return path
