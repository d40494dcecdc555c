"""Polygon files as they come."""

import json

import pytest
from landbrush.server.ground.errors import BadRequest
from landbrush.server.raster.geojson import read_polygons

RING = [[10.0, 50.0], [10.1, 50.0], [10.1, 50.1], [10.0, 50.0]]
SQUARE = {"type": "Polygon", "coordinates": [RING]}


def collection(*geometries, **more):
    features = [{"type": "Feature", "properties": {}, "geometry": one} for one in geometries]
    return {"type": "FeatureCollection", "features": features, **more}


def read(path, data, crs="", encoding="utf-8"):
    path.write_bytes(data if isinstance(data, bytes) else json.dumps(data).encode(encoding))
    return read_polygons(path, crs)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize(
    "data",
    [
        SQUARE,
        {"type": "Feature", "geometry": SQUARE},
        collection(SQUARE),
        collection(None, SQUARE, {"type": "Polygon", "coordinates": []}),
        collection({"type": "Point", "coordinates": [1, 2]}, SQUARE),
        {"type": "MultiPolygon", "coordinates": [[RING]]},
        collection({"type": "GeometryCollection", "geometries": [SQUARE]}),
        {"type": "Polygon", "coordinates": [[[*p, 120.5] for p in RING]]},
        {"type": "Polygon", "coordinates": [[[*p, 120.5, 7.0] for p in RING]]},
        {"type": "Polygon", "coordinates": [RING[:-1]]},
    ],
)
def test_what_is_a_polygon_is_read(tmp_path, data, encoding):
    found = read(tmp_path / "a.geojson", data, encoding=encoding)
    assert found.geometry == {"type": "MultiPolygon", "coordinates": [[RING]]}
    assert found.crs == "EPSG:4326"


@pytest.mark.parametrize(
    "stated, named",
    [
        ({"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::25832"}}, "EPSG::25832"),
        ({"type": "name", "properties": {"name": "EPSG:25832"}}, "EPSG:25832"),
        ({"type": "EPSG", "properties": {"code": 25832}}, "EPSG:25832"),
        ("EPSG:25832", "EPSG:25832"),
    ],
)
def test_old_members_crs_count(tmp_path, stated, named):
    assert read(tmp_path / "a.json", collection(SQUARE, crs=stated)).crs.endswith(named)
    assert read(tmp_path / "a.json", collection(SQUARE, crs=stated), "EPSG:3857").crs == "EPSG:3857"


@pytest.mark.parametrize(
    "stated",
    [None, {}, {"type": "link", "properties": {"href": "http://x/y", "type": "proj4"}}, 25832, ""],
)
def test_a_crs_that_is_not_understood_is_never_taken_for_degrees(tmp_path, stated):
    with pytest.raises(BadRequest, match="is not understood"):
        read(tmp_path / "a.json", collection(SQUARE, crs=stated))
    assert read(tmp_path / "a.json", collection(SQUARE, crs=stated), "EPSG:4326").crs


@pytest.mark.parametrize(
    "data, sentence",
    [
        (b"PK\x03\x04", "is a zip"),
        (b"<?xml version='1.0'?><kml/>", "is XML"),
        (b"\xff\x00", "cannot be read as GeoJSON"),
        (b"{", "cannot be read as GeoJSON"),
        (b"[1]", "it holds a list"),
        (b'{"type": "Topology", "objects": {}}', "is TopoJSON"),
        (json.dumps(collection()).encode(), "holds no polygon"),
        (json.dumps(collection(None)).encode(), "holds no polygon"),
        (json.dumps(collection(SQUARE, {"type": "Polygon", "coordinates": [[[1, 2]]]})).encode(),
         "feature 2 has a ring of 1 positions"),
        (json.dumps(collection(SQUARE, SQUARE, {"type": "Polygon", "coordinates": [["a"]]}))
         .encode(), "feature 3 has a position that is no pair"),
        (json.dumps(collection({"type": "Polygon", "coordinates": [[[1, None]] * 4]})).encode(),
         "feature 1 has a position"),
        (json.dumps(collection({"type": "Polygon",
                                "coordinates": [[[4e5, 3e6], [4e5, 3.1e6], [5e5, 3e6]]]})).encode(),
         "names no CRS"),
    ],
)  # fmt: skip
def test_what_is_none_is_refused_with_what_to_do(tmp_path, data, sentence):
    with pytest.raises(BadRequest, match=sentence):
        read(tmp_path / "a.geojson", data)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(BadRequest, match=r"none\.geojson cannot be read: No such file"):
        read_polygons(tmp_path / "none.geojson")
