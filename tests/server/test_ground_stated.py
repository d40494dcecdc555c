"""Ground sizes that the user states; polygons without an area; holes at an edge."""

from __future__ import annotations

import numpy as np
import pytest
from landbrush.server.editing.quality import measured
from landbrush.server.ground.errors import CannotEdit
from landbrush.server.raster.bands import Stretch
from PIL import Image

from tests.server.conftest import in_type, ring, scene, square
from tests.server.edits import made


def test_a_stated_ground_size_is_taken_and_nothing_is_guessed(tmp_path):
    path = tmp_path / "p.png"
    Image.fromarray(in_type(scene(3, 128, 128, 2), "uint8").transpose(1, 2, 0)).save(path)
    body = {
        "polygons": {
            "geometry": {
                "type": "Polygon",
                "coordinates": [[[20, 20], [100, 20], [100, 100], [20, 100], [20, 20]]],
            },
            "crs": "pixels",
        },
        "prompt": "snow",
    }
    guessed = made(path, tmp_path / "guessed", "auto", **body)
    assert any("--pixel-size" in note for note in guessed["notes"])
    stated = made(path, tmp_path / "stated", "auto", **body, pixel_m=5.0)
    assert not any("do" in note and "how large" in note for note in stated["notes"])
    with pytest.raises(CannotEdit, match="5 m wide"):
        made(path, tmp_path / "rows", "rows", **body, pixel_m=5.0)


@pytest.mark.parametrize("corners", [[(20, 20), (90, 90), (20, 20)], [(30, 30)] * 4])
def test_polygons_without_an_area(rgb, tmp_path, corners):
    shape = ring(rgb, square(20, 20, 90, 90))
    whole = shape["coordinates"][0]
    shape["coordinates"] = [[whole[0], whole[2], whole[0], whole[0]]]
    if len(corners) == 4:
        shape["coordinates"] = [[whole[0]] * 4]
    with pytest.raises(CannotEdit, match="have no area"):
        made(rgb, tmp_path / "out", "auto", polygons={"geometry": shape}, prompt="snow")


def test_a_hole_is_no_edge():
    before = np.full((3, 60, 60), 0.4, np.float32)
    before += 0.01 * np.random.default_rng(0).standard_normal(before.shape).astype(np.float32)
    mask = np.zeros((60, 60), bool)
    mask[20:40, 20:40] = True
    valid = np.ones((60, 60), bool)
    valid[38:50, 10:50] = False
    after = np.where(mask, before + 0.02, before)
    stretch = Stretch((0, 1, 2), (0.0,) * 3, (1.0,) * 3)
    whole = measured(before, after, (mask, np.ones_like(valid)), stretch).rim
    holed = np.where(valid, after, -99.0).astype(np.float32)
    rim = measured(np.where(valid, before, 0), holed, (mask & valid, valid), stretch).rim
    assert rim.gradient == pytest.approx(whole.gradient, rel=0.4) and rim.colour < 0.05
