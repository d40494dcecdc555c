"""Water above the ground, and at heights of an elevation model, as people say it."""

from __future__ import annotations

import numpy as np
import pytest
from landbrush.server.contract.requests import EditRequest
from landbrush.server.editing.path import Job, edit
from landbrush.server.ground.errors import CannotEdit
from landbrush.server.raster.rasters import Rasters

from tests.server.conftest import MODELS, ring, square, write
from tests.server.edits import A, made, many


@pytest.fixture
def slope(tmp_path):
    """Heights that rise by 0.1 m a column from 200 m."""
    heights = np.broadcast_to(200 + 0.1 * np.arange(160, dtype=np.float32), (1, 160, 160))
    return write(tmp_path / "dem.tif", np.ascontiguousarray(heights))


def flooded(editors, rgb, slope, folder, prompt, **more):
    folder.mkdir(exist_ok=True)
    body = {
        "raster": {"path": str(rgb)},
        "prompt": prompt,
        "elevation": {"path": str(slope)},
        **more,
    }
    body.setdefault("polygons", {"geometry": ring(rgb, square(40, 40, 100, 100))})
    return edit(
        Job(EditRequest.from_json(body), "auto", Rasters(rgb, None, slope)),
        editors,
        folder,
        lambda *_: None,
    ).to_json()


def test_metres_of_water_are_above_the_lowest_ground_of_the_polygon(editors, rgb, slope, tmp_path):
    report = flooded(
        editors, rgb, slope, tmp_path / "out", "flooded 1 m", options={"keep_tall": False}
    )
    assert any(
        "1 m above the lowest ground" in note and "at 205.0 m" in note for note in report["notes"]
    ), report["notes"]
    assert (
        "1 m deep (with an elevation model: above its lowest ground)"
        in report["understood"]["understood"]
    )
    assert abs(report["gate"]["pixels_inside_changed"] - 60 * 10) < 90


def test_each_polygon_has_its_own_lowest_ground(editors, rgb, slope, tmp_path):
    apart = {"geometry": many(rgb, square(20, 40, 60, 80), square(80, 40, 120, 80))}
    report = flooded(
        editors,
        rgb,
        slope,
        tmp_path / "out",
        "flooded 1 m",
        polygons=apart,
        options={"keep_tall": False},
    )
    assert any("at 203.0 m to 209.0 m" in note for note in report["notes"]), report["notes"]
    assert abs(report["gate"]["pixels_inside_changed"] - 2 * 40 * 10) < 100


@pytest.mark.parametrize(
    "words", ["flooded to a level of 206 m", "flood, water stage 206 m", "flooded up to 206 m"]
)
def test_a_level_is_the_elevation_models(editors, rgb, slope, tmp_path, words):
    report = flooded(editors, rgb, slope, tmp_path / "out", words, options={"keep_tall": False})
    assert abs(report["gate"]["pixels_inside_changed"] - 60 * 20) < 120 and not any(
        "lowest" in note for note in report["notes"]
    )


def test_a_level_below_the_ground_says_which_would_do(editors, rgb, slope, tmp_path):
    options = {"level_m": 1.0, "counts_from": "the elevation model's zero"}
    with pytest.raises(
        CannotEdit,
        match=r"from 204.0 to 209.9 m .* for instance to 205.0 m, or let it count from the lowest",
    ):
        flooded(editors, rgb, slope, tmp_path / "out", "flooded 1 m", options=options)


def test_protected_ground_does_not_divide_a_polygon_of_water(editors, rgb, slope, tmp_path):
    road = {"geometry": ring(rgb, square(68, 40, 72, 100))}
    report = flooded(
        editors,
        rgb,
        slope,
        tmp_path / "out",
        "flooded 1 m",
        protect=road,
        options={"keep_tall": False},
    )
    assert any("at 205.0 m in" in note for note in report["notes"]), report["notes"]


@pytest.mark.parametrize(
    ("words", "metres"),
    [
        ("water level 1 m", 1.0),
        ("flooded to a height of 1 m", 1.0),
        ("flooded 100 mm", 0.1),
        ("flooded by 1 yard", 0.9144),
        ("a metre of flood water", 1.0),
        ("flooded by two feet", 0.6096),
        ("flooded half a metre", 0.5),
        ("flooded 10 inches", 0.254),
    ],
)
def test_a_small_level_stands_on_the_ground_however_it_is_said(
    editors, rgb, slope, tmp_path, words, metres
):
    report = flooded(editors, rgb, slope, tmp_path / "out", words)
    assert report["options"]["level_m"] == pytest.approx(metres)
    assert any("above the lowest ground" in note for note in report["notes"]), report["notes"]


def test_the_editors_own_default_stands_on_the_ground_too(editors, rgb, slope, tmp_path):
    (tmp_path / "out").mkdir()
    body = {
        "raster": {"path": str(rgb)},
        "polygons": {"geometry": ring(rgb, A)},
        "elevation": {"path": str(slope)},
    }
    report = edit(
        Job(EditRequest.from_json(body), "flood", Rasters(rgb, None, slope)),
        editors,
        tmp_path / "out",
        lambda *_: None,
    ).to_json()
    assert any("1.5 m above the lowest ground" in note for note in report["notes"])


@pytest.mark.parametrize("words", ["flooded to 206 m", "flooded up to 206.0 m"])
def test_a_height_to_which_is_flooded_is_the_elevation_models_where_it_lies_in_it(
    editors, rgb, slope, tmp_path, words
):
    report = flooded(editors, rgb, slope, tmp_path / "out", words)
    assert "The water stands at 206 m of the elevation model." in report["notes"]


def test_a_height_without_an_elevation_model_is_told(rgb, tmp_path):
    report = made(
        rgb, tmp_path / "out", "auto", polygons={"geometry": ring(rgb, A)}, prompt="flooded 300 m"
    )
    assert any("No elevation model is given, so 300 m" in note for note in report["notes"])


@pytest.mark.parametrize(
    ("words", "metres"),
    [
        ("flooded to 1 m deep", 1.0),
        ("flood 1 to 2 m deep", 2.0),
        ("up to 1 m above the ground under water", 1.0),
        ("a 3-metre flood", 3.0),
        ("flooded an inch", 0.0254),
    ],
)
def test_depths_stand_on_the_ground(words, metres):
    found = MODELS.interpret(words)
    assert (
        found.options["level_m"] == pytest.approx(metres)
        and found.options["counts_from"] == "the lowest ground"
    )


def test_what_an_edit_leaves_is_said_with_the_reason(editors, rgb, slope, tmp_path):
    report = flooded(editors, rgb, slope, tmp_path / "out", "flooded 1 m")
    assert any(
        "pixels changed: ground, roofs and crowns above the water stay." in note
        for note in report["notes"]
    ), report["notes"]
