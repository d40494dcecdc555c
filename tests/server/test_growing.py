"""Polygons that grow to whole objects and their shadows, where that is asked for."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import rasterio
import shapely
from landbrush.server import __main__ as command
from landbrush.server.contract.requests import EditRequest
from landbrush.server.editing.growing import whole_of
from landbrush.server.editing.path import Job
from landbrush.server.editing.tries import edit_well
from landbrush.server.operators.ground import Ground
from landbrush.server.raster.rasters import Rasters
from rasterio.features import geometry_mask
from shapely.geometry import shape

from tests.conftest import DATA
from tests.server.conftest import in_type, ring, square, write
from tests.server.edits import made
from tests.server.towns import told, town

HOUSE = (slice(30, 54), slice(20, 50))
"""Where the first house of a town stands, in rows and columns."""


def ground_with(mask):
    image, roof, road, shadow = town()
    parse = told(roof.shape, roof=roof, paved=road, shadow=shadow)
    ground = Ground(image, mask, ("red", "green", "blue"), 0.5)
    return replace(ground, parse=parse), roof, shadow


def masked(rows, cols):
    mask = np.zeros((240, 240), bool)
    mask[rows, cols] = True
    return mask


def test_the_rest_of_a_house_and_its_shadow_are_added():
    # The footprint is three pixels off.
    mask = masked(slice(33, 57), slice(23, 53))
    ground, roof, shadow = ground_with(mask)
    more = whole_of(ground)
    own = masked(*HOUSE)
    assert not (more & mask).any() and (more | mask)[own].all()
    beside = shadow & masked(slice(10, 60), slice(15, 62))
    assert (more | mask)[beside].mean() > 0.9, "its shadow"
    others = roof & ~own
    assert not more[others].any() and not more[100:].any()


def test_what_is_only_touched_stays():
    mask = masked(slice(30, 54), slice(44, 70))  # a fifth of the house, and lawn
    ground, roof, _ = ground_with(mask)
    assert not whole_of(ground)[roof].any()
    lawn = masked(slice(200, 220), slice(100, 140))
    assert not whole_of(ground_with(lawn)[0]).any()


def layer(tmp_path, crs=32617):
    """A town as an 8-bit layer; its pixels are half a metre."""
    image, *_ = town()
    values = in_type(image, "uint8")
    return write(tmp_path / "town.tif", values, crs=crs)


def edit(path, tmp_path, name, whole, **more):
    body = {
        "polygons": {"geometry": ring(path, square(23, 33, 53, 57))},
        "output": {"area": "layer"},
        "blend": {"whole_objects": whole},
    }
    report = made(path, tmp_path / name, "remove", **body, **more)
    with rasterio.open(path) as one, rasterio.open(tmp_path / name / "result.tif") as two:
        return report, (one.read() != two.read()).any(axis=0)


def test_as_drawn_not_one_pixel_outside_changes(tmp_path):
    path = layer(tmp_path)
    drawn = masked(slice(33, 57), slice(23, 53))
    _, changed = edit(path, tmp_path, "drawn", False)
    assert changed.any() and not changed[~drawn].any()


@pytest.fixture
def street():
    """An aerial picture at 0.6 m, and a box that cuts a house off."""
    path = DATA / "joplin_tornado_geotiff" / "output" / "chips" / "pre" / "2_pre.tif"
    if not path.is_file():
        pytest.skip("needs imagery (LANDBRUSH_DATA)")
    with rasterio.open(path) as source:
        return path, ring(path, square(390, 492, 440, 548)), source.crs.to_string()


def test_whole_objects_are_taken_and_told_and_known_to_the_judge(editors, street, tmp_path):
    path, box, _ = street
    body = {"polygons": {"geometry": box}, "output": {"area": "layer"}}
    (tmp_path / "w").mkdir()
    request = EditRequest.from_json(
        {"raster": {"path": str(path)}, **body, "blend": {"whole_objects": True}}
    )
    job = Job(request, "remove", Rasters(path))
    report = edit_well(job, editors, tmp_path / "w", lambda *_: None).to_json()
    assert [note for note in report["notes"] if "were grown by" in note], report["notes"]
    with rasterio.open(path) as one, rasterio.open(tmp_path / "w" / "result.tif") as two:
        changed = (one.read() != two.read()).any(axis=0)
    drawn = np.zeros_like(changed)
    drawn[492:548, 390:440] = True
    assert changed[~drawn].any() and report["gate"]["pixels_outside_different"] == 0
    asked = report["request"]
    again = EditRequest.from_json(asked)
    assert not again.blend.whole_objects, "a replay takes the outline as it is now"
    outline = shape(asked["polygons"]["geometry"])
    assert shapely.covers(outline.buffer(1e-6), shape(box)) and outline.area > shape(box).area
    with rasterio.open(path) as source:
        inside = geometry_mask([outline], changed.shape, source.transform, invert=True)
    assert not changed[~inside].any()


def test_editors_that_add_something_do_not_grow(tmp_path):
    path = layer(tmp_path)
    body = {
        "polygons": {"geometry": ring(path, square(23, 33, 53, 57))},
        "output": {"area": "layer"},
        "blend": {"whole_objects": True},
    }
    made(path, tmp_path / "snow", "snow", **body)
    with rasterio.open(path) as one, rasterio.open(tmp_path / "snow" / "result.tif") as two:
        changed = (one.read() != two.read()).any(axis=0)
    assert not changed[~masked(slice(33, 57), slice(23, 53))].any()


def test_the_command_line_grows_where_it_is_asked_to(street, tmp_path, capsys):
    path, box, crs = street
    (tmp_path / "p.geojson").write_text(json.dumps(box))
    wish = ["edit", str(path), "--polygons", str(tmp_path / "p.geojson"), "--crs", crs]
    wish += ["--editor", "remove", "--home", str(tmp_path / "home")]
    assert command.main([*wish, "--output", str(tmp_path / "a.tif")]) == 0
    assert "were grown" not in capsys.readouterr().out
    assert command.main([*wish, "--whole-objects", "--output", str(tmp_path / "b.tif")]) == 0
    assert "were grown by" in capsys.readouterr().out
