"""Layers that are no plain file are edited on their own grid, in their own type; web maps are
exported and said to be."""

import json
import zipfile

import pytest
from driving import draw, run
from landbrush.plugin.errors import PluginError
from landbrush.plugin.map.sources import Wanted, file_of, is_painted
from landbrush.plugin.map.taken import Exported
from osgeo import gdal
from qgis.core import QgsFeedback, QgsProject, QgsRasterLayer, QgsRectangle

MAKE = """
import sys, numpy as np, rasterio
from affine import Affine
path, kind = sys.argv[1:]
rng = np.random.default_rng(0)
v = (1000 + 200 * rng.standard_normal((4, 200, 240))).astype("uint16")
if kind == "int16":
    v = (v.astype("int32") - 1100).astype("int16")
if kind == "float32":
    v = (v / 7).astype("float32")
if kind == "uint8":
    v = (v[:3] // 8).astype("uint8")
more = {} if kind == "uint8" else {"nodata": 0}
v[:, :20] = 0 if more else 3
place = {"crs": "EPSG:32617", "transform": Affine(0.5, 0, 400000.125, 0, -0.5, 3285000)}
profile = {"driver": "GTiff", "width": 240, "height": 200, "count": len(v), "dtype": kind}
if kind == "uint8":
    profile["photometric"] = "RGB"
with rasterio.open(path, "w", **profile, **more, **place) as out:
    out.write(v)
    if kind in ("uint16", "int16"):
        out.scales, out.offsets = (1e-4,) * 4, (-0.1,) * 4
    if kind != "uint8":
        for i, n in enumerate(("Blue", "Green", "Red", "NIR"), 1):
            out.set_band_description(i, n)
"""
LOOK = """
import sys, json, numpy as np, rasterio
def about(d):
    return [d.dtypes[0], d.nodata, list(d.descriptions), list(d.scales), list(d.offsets),
            d.res, d.crs.to_string(), d.count]
with rasterio.open(sys.argv[1]) as a, rasterio.open(sys.argv[2]) as b:
    col, row = ~a.transform @ (b.transform @ (0, 0))
    w = rasterio.windows.Window(round(col), round(row), b.width, b.height)
    rows, cols = np.nonzero((a.read(window=w)[:b.count] != b.read()).any(axis=0))
    print(json.dumps({"before": about(a), "after": about(b),
                      "off": max(abs(col - round(col)), abs(row - round(row))),
                      "rows": [int(rows.min() + row), int(rows.max() + row)],
                      "cols": [int(cols.min() + col), int(cols.max() + col)]}))
"""


def source_of(kind, path, folder):
    """A layer's source of that kind, made of a GeoTIFF."""
    if kind == "zip":
        with zipfile.ZipFile(folder / "s.zip", "w") as archive:
            archive.write(path, "deep/s.tif")
        return f"/vsizip/{folder}/s.zip/deep/s.tif"
    if kind == "virtual":
        return f"vrt://{path}?bands=1,2,3,4"
    if kind == "memory":
        gdal.FileFromMemBuffer("/vsimem/s.tif", path.read_bytes())
        return "/vsimem/s.tif"
    if kind == "geopackage":
        gdal.Translate(
            str(folder / "s.gpkg"),
            str(path),
            format="GPKG",
            creationOptions=["TILE_FORMAT=PNG", "RASTER_TABLE=ground"],
        )
        return f"GPKG:{folder / 's.gpkg'}:ground"
    gdal.Translate(str(folder / "s.nc"), str(path), format="netCDF", creationOptions=["FORMAT=NC4"])
    return f'NETCDF:"{folder / "s.nc"}":Band1'


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        ("zip", "uint16"),
        ("virtual", "uint16"),
        ("virtual", "int16"),
        ("memory", "float32"),
        ("geopackage", "uint8"),
        ("subdataset", "float32"),
    ],
)
def test_it_is_edited_on_its_own_pixels(served, helpers, tmp_path, kind, dtype):
    path = tmp_path / "s.tif"
    helpers.server_python(MAKE, path, dtype)
    layer = QgsRasterLayer(source_of(kind, path, tmp_path), "x")
    assert layer.isValid() and not is_painted(layer)
    QgsProject.instance().addMapLayer(layer)
    served.canvas.setDestinationCrs(layer.crs())
    served.canvas.setLayers([layer])
    # Zoomed out, so that a pixel of the map is several of the layer's.
    box = layer.extent()
    box.scale(3)
    served.canvas.setExtent(box)
    served.layer.setLayer(layer)
    assert served.resolution.isHidden()
    served.editor.setCurrentIndex(served.editor.findData("snow"))
    if kind == "subdataset":  # one band of floats is a picture for who says so
        served.bands.setText("pan=1")
    served.tool.activate()
    draw(served, layer, [(80, 60), (160, 60), (160, 140), (80, 140)])
    result = run(served, helpers)
    assert result is not None, served.status.text()
    found = json.loads(helpers.server_python(LOOK, path, result.source()))
    assert found["off"] < 1e-6
    before, after = found["before"], found["after"]
    if kind == "geopackage":  # which holds red, green and blue with what is seen through them
        before[7] = after[7] = before[2] = after[2] = None
    if kind == "subdataset":  # a variable is a layer of its own
        for about in (before, after):
            about[:] = [about[0], about[1], *about[5:7]]
    assert before == after
    # The polygon was clicked on a coarse map: to a pixel of that.
    for got, wanted in zip((*found["rows"], *found["cols"]), (60, 140, 80, 160), strict=True):
        assert abs(got - wanted) <= 6
    kept = json.loads(result.customProperty("landbrush/manifest"))
    told = " ".join(kept["notes"])
    assert ("copy of its pixels" in told) == (kind != "zip")


def test_a_large_layer_is_copied_around_the_area(tmp_path, qgis_app):
    path = tmp_path / "large.tif"
    made = gdal.GetDriverByName("GTiff").Create(
        str(path), 9000, 7000, 1, gdal.GDT_Byte, ["COMPRESS=DEFLATE", "SPARSE_OK=TRUE"]
    )
    made.SetGeoTransform((400000, 2, 0, 3285000, 0, -2))
    made.GetRasterBand(1).WriteRaster(4500, 3500, 3, 1, bytes([1, 2, 3]))
    made = None
    layer = QgsRasterLayer(f"vrt://{path}?bands=1", "large")
    at = QgsRectangle(409000, 3277990, 409010, 3278000)
    copied = file_of(layer, Wanted(at))
    assert copied.width < 4200 and copied.height < 4200
    made = gdal.Open(str(copied.file(tmp_path, QgsFeedback())))
    left, size, _, top, _, _ = made.GetGeoTransform()
    col, row = round((409000 - left) / size), round((top - 3278000) / size)
    assert (left - 400000) % 2 == 0 and size == 2
    assert made.GetRasterBand(1).ReadRaster(col, row, 3, 1) == bytes([1, 2, 3])


def test_a_large_layer_that_is_turned_is_copied_whole(tmp_path, qgis_app):
    path = tmp_path / "turned.tif"
    made = gdal.GetDriverByName("GTiff").Create(
        str(path), 3000, 2500, 1, gdal.GDT_Byte, ["COMPRESS=DEFLATE", "SPARSE_OK=TRUE"]
    )
    grid = (400000, 2, 0.5, 3285000, 0.5, -2)
    made.SetGeoTransform(grid)
    made.GetRasterBand(1).WriteRaster(1500, 1200, 3, 1, bytes([1, 2, 3]))
    made = None
    layer = QgsRasterLayer(f"vrt://{path}?bands=1", "turned")
    assert layer.width() * layer.height() > 4_000_000
    middle = layer.extent().center()
    at = QgsRectangle(middle.x(), middle.y(), middle.x() + 10, middle.y() + 10)
    copied = file_of(layer, Wanted(at))
    made = gdal.Open(str(copied.file(tmp_path, QgsFeedback())))
    assert made.GetGeoTransform() == grid
    assert made.GetRasterBand(1).ReadRaster(1500, 1200, 3, 1) == bytes([1, 2, 3])


def test_what_has_no_pixels_is_refused_or_exported(raster, tmp_path, monkeypatch, qgis_app):
    from landbrush.plugin.map import sources

    monkeypatch.setattr(sources, "has_pixels", lambda layer: False)
    monkeypatch.setattr(sources, "layer_path", lambda layer: None)
    with pytest.raises(PluginError, match="no pixels of its own"):
        file_of(raster, Wanted(raster.extent()))
    made = file_of(raster, Wanted(raster.extent(), 0.25))
    assert isinstance(made, Exported) and "0.25 map units a pixel" in made.note


def test_a_copy_that_is_not_the_layer_is_refused(tmp_path, helpers, monkeypatch, qgis_app):
    path = tmp_path / "s.tif"
    helpers.server_python(MAKE, path, "uint16")
    layer = QgsRasterLayer(f"vrt://{path}?bands=2", "x")
    copied = file_of(layer, Wanted())
    copied.source = f"vrt://{path}?bands=3"
    with pytest.raises(PluginError, match="cannot be copied without loss"):
        copied.file(tmp_path, QgsFeedback())
    assert not list(tmp_path.glob("*landbrush*"))
