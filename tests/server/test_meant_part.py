"""Words that name a thing in the polygon mean that, and not all of the polygon."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from landbrush.server.contract.requests import EditRequest
from landbrush.server.editing.meant_part import named_class, part_of, parts_of
from landbrush.server.editing.plan import decide
from landbrush.server.ground.errors import CannotEdit

from tests.conftest import DATA
from tests.server.conftest import in_type, ring, scene, square, write
from tests.server.edits import made, many
from tests.server.towns import told

SHAPE = (120, 120)
PARK = DATA / "labels" / "urban_trees_naip" / "images" / "chico_2018_81.tif"


def planned(editors, tmp_path, prompt):
    path = write(tmp_path / "p.tif", in_type(scene(3, 64, 64, 1), "uint8"))
    body = {"raster": {"path": str(path)}, "prompt": prompt,
            "polygons": {"geometry": ring(path, square(10, 10, 50, 50))}}  # fmt: skip
    return decide(EditRequest.from_json(body), "auto", editors)


@pytest.mark.parametrize(
    ("prompt", "named"),
    [
        ("remove all cars", "vehicles"),
        ("turn the pool into grass", "water"),
        ("remove the trees and put grass there", "forest"),
        ("replace the lawn with solar panels", "grass"),
        ("replace the houses with a car park", ""),  # with their plots
        ("grass", ""),
        ("flooded", ""),
    ],
)
def test_what_words_name_as_what_goes(editors, tmp_path, prompt, named):
    plan = planned(editors, tmp_path, prompt)
    assert named_class(plan, 0.5, ("red", "green", "blue")) == named
    assert named_class(plan, 10.0, ("red", "green", "blue")) == ""
    assert named_class(plan, 0.5, ("pan",)) == ""


def trees(*boxes):
    there = np.zeros(SHAPE, bool)
    for top, left, bottom, right in boxes:
        there[top:bottom, left:right] = True
    return there


def test_the_part_with_its_edge_and_its_shadow():
    crown, shade = trees((40, 40, 60, 60)), trees((60, 40, 68, 60))
    far = trees((100, 100, 110, 110))
    mask = trees((10, 10, 115, 115))
    parse = told(SHAPE, tree=crown, shadow=shade | far)
    part, said = part_of(mask, parse, "forest", 0.5)
    assert part[crown].all() and part[shade].mean() > 0.9
    assert not part[far].any() and part.mean() < 0.1 and "trees" in said


def test_all_of_it_where_most_is_that_and_a_refusal_where_nothing_is():
    mask = trees((20, 20, 100, 100))
    part, said = part_of(mask, told(SHAPE, tree=trees((20, 20, 90, 100))), "forest", 0.5)
    assert np.array_equal(part, mask) and not said
    part, said = part_of(mask, told(SHAPE), "vehicles", 0.5)
    assert not part.any() and "No vehicles can be made out" in said
    car = trees((20, 20, 30, 26))
    part, said = part_of(car, told(SHAPE), "vehicles", 0.5)
    assert np.array_equal(part, car) and not said, "drawn around the car itself"


def test_polygons_without_such_a_thing_stay_as_they_are(tmp_path):
    rng = np.random.default_rng(3)
    values = np.array([0.3, 0.4, 0.24])[:, None, None] + 0.01 * rng.standard_normal((3, 600, 200))
    path = write(tmp_path / "meadow.tif", in_type(values, "uint8"))
    one = ring(path, square(40, 40, 160, 160))
    with pytest.raises(CannotEdit, match="nothing else was to go"):
        made(path, tmp_path / "one", "auto", prompt="remove all cars", polygons={"geometry": one})
    two = many(path, square(40, 40, 160, 160), square(40, 440, 160, 560))
    report = made(
        path, tmp_path / "two", "auto", prompt="remove all cars", polygons={"geometry": two}
    )
    assert report["gate"]["pixels_inside_changed"] == 0
    assert any("nothing else was to go" in note for note in report["notes"])


def test_each_polygon_is_decided_by_itself():
    numbers = np.zeros(SHAPE, int)
    numbers[5:60, 5:60], numbers[5:60, 60:115], numbers[80:86, 80:86] = 1, 2, 3
    crown = trees((20, 20, 30, 30), (5, 60, 60, 115))
    part, said = parts_of(numbers > 0, numbers, told(SHAPE, tree=crown), ("forest", 0.5))
    assert 0.02 < part[numbers == 1].mean() < 0.15, "a garden with a tree"
    assert part[numbers == 2].all() and part[numbers == 3].all(), "a wood; one drawn by itself"
    assert len(said) == 1


def test_a_part_of_the_polygon_is_not_judged_by_all_of_it(tmp_path):
    """Trees among houses that became grass leave houses, which look like no meadow."""
    rng = np.random.default_rng(3)
    values = np.array([0.3, 0.42, 0.24])[:, None, None] + 0.01 * rng.standard_normal((3, 200, 200))
    values[:, 90:104, 90:104] = np.array([0.12, 0.18, 0.1])[:, None, None]
    path = write(tmp_path / "one.tif", in_type(values, "uint8"))
    body = {"polygons": {"geometry": ring(path, square(85, 85, 109, 109))}}
    named = made(path, tmp_path / "named", "auto", prompt="turn the trees into grass", **body)
    assert named["quality"]["scene_agreement"] is None


@pytest.mark.skipif(not PARK.is_file(), reason=f"needs {PARK}")
def test_cars_go_and_the_trees_between_them_stay(tmp_path):
    body = {"polygons": {"geometry": ring(PARK, square(60, 60, 200, 200))}}
    report = made(PARK, tmp_path / "out", "auto", prompt="remove all cars", **body)
    assert any("vehicles in the polygon" in note for note in report["notes"])
    share = report["gate"]["pixels_inside_changed"] / report["gate"]["pixels_inside"]
    assert 0.01 < share < 0.5
    with rasterio.open(tmp_path / "out" / "result.tif") as source:
        assert source.count == 4
