"""Faults that people met first: polygons over one another, what a file discloses, words that point, water above the ground."""

from __future__ import annotations

import json

import numpy as np
import pytest
import rasterio
import shapely
from landbrush.server import __main__ as command
from landbrush.server import gate, masks
from landbrush.server.api import EditRequest, Polygons
from landbrush.server.edit import Files, edit
from landbrush.server.errors import BadRequest, CannotEdit, OutsideRaster, PromiseBroken
from landbrush.server.interpreter import OFFERED, interpret
from landbrush.server.masks import Region
from landbrush.server.plan import plan
from landbrush.server.raster import Box, opened, profile_of
from rasterio.features import rasterize

from tests.server.conftest import in_type, inputs, ring, scene, square, write

A, B = square(30, 30, 70, 70), square(50, 50, 90, 90)
UNION = 2800


def many(path, *rings):
    return {"type": "MultiPolygon", "coordinates": [ring(path, pixels)["coordinates"] for pixels in rings]}


def made(path, folder, process="snow", **more):
    folder.mkdir(exist_ok=True)
    body = {"raster": {"path": str(path)}, "blend": {"feather_px": 0}, **more}
    return edit(EditRequest.from_json(body), process, Files(path), folder, lambda *_: None)


# ---- polygons over one another -------------------------------------------------------------------------------


@pytest.mark.parametrize("rings", [(A, B), (B, A), (A, B, square(55, 55, 60, 60)), (A, A, B)])
def test_overlapping_polygons_are_their_union(rgb, tmp_path, rings):
    report = made(rgb, tmp_path / "out", polygons={"geometry": many(rgb, *rings)})
    assert report["gate"]["pixels_inside"] == report["gate"]["pixels_wanted"] == UNION
    assert report["gate"]["pixels_wanted_missed"] == 0


def test_a_polygon_in_the_hole_of_another_fills_it(rgb, tmp_path):
    outer, hole = ring(rgb, square(20, 20, 100, 100))["coordinates"][0], ring(rgb, square(40, 40, 80, 80))["coordinates"][0]
    island = ring(rgb, square(50, 50, 70, 70))["coordinates"]
    geometry = {"type": "MultiPolygon", "coordinates": [[outer, hole], island]}
    assert made(rgb, tmp_path / "out", polygons={"geometry": geometry})["gate"]["pixels_inside"] == 80 * 80 - 40 * 40 + 20 * 20


def test_overlapping_protected_ground_is_all_left(rgb, tmp_path):
    out = tmp_path / "out"
    made(rgb, out, polygons={"geometry": ring(rgb, square(20, 20, 120, 120))}, protect={"geometry": many(rgb, A, B)})
    with rasterio.open(rgb) as before, rasterio.open(out / "result.tif") as after:
        col, row = ~before.transform @ (after.transform @ (0, 0))
        window = rasterio.windows.Window(round(col), round(row), after.width, after.height)
        changed = (before.read(window=window) != after.read()).any(axis=0)
        kept = (
            rasterize([shapely.geometry.shape(ring(rgb, p)) for p in (A, B)], out_shape=changed.shape, transform=after.transform)
            > 0
        )
    assert kept.sum() == UNION and not (changed & kept).any() and changed.any()


def test_features_of_a_file_are_united(rgb, tmp_path):
    path = tmp_path / "two.geojson"
    path.write_text(
        json.dumps(
            {
                "type": "FeatureCollection",
                "crs": {"type": "name", "properties": {"name": "EPSG:32617"}},
                "features": [{"type": "Feature", "properties": {}, "geometry": ring(rgb, pixels)} for pixels in (A, B)],
            }
        )
    )
    output = tmp_path / "o.tif"
    assert (
        command.main(
            [
                "edit",
                str(rgb),
                "--polygons",
                str(path),
                "--editor",
                "snow",
                "--feather",
                "0",
                "--output",
                str(output),
                "--home",
                str(tmp_path / "home"),
            ]
        )
        == 0
    )
    assert json.loads(output.with_suffix(".manifest.json").read_text())["gate"]["pixels_inside"] == UNION


def test_the_gate_misses_what_was_wanted_and_sees_what_was_protected(rgb, tmp_path):
    """It reads the polygons for itself: regions in which the overlap is a hole do not pass."""
    polygons = Polygons(many(rgb, A, B))
    whole = Box(0, 0, 160, 160)
    with opened(rgb) as source:
        profile = profile_of(source)
        wanted = masks.wanted(polygons, None, whole, profile)
        mask = masks.burn(masks.pixel_polygons(polygons, profile), whole)
        assert gate.verify(source, whole, rgb, gate.Edited([Region(whole, mask)], wanted)).pixels_wanted == UNION
        holed = mask.copy()
        holed[50:70, 50:70] = False
        with pytest.raises(PromiseBroken, match="400 pixels inside the polygons were neither drawn nor left"):
            gate.verify(source, whole, rgb, gate.Edited([Region(whole, holed)], wanted))
        # A file that changes ground which was to stay, inside a mask that says it may.
        copy = tmp_path / "copy.tif"
        values = source.read()
        values[:, 52:60, 52:60] ^= 1
        write(copy, values, colorinterp=source.colorinterp)
        spared = masks.wanted(Polygons(ring(rgb, square(20, 20, 120, 120))), polygons, whole, profile)
        everywhere = masks.burn([shapely.box(20, 20, 120, 120)], whole)
        with pytest.raises(PromiseBroken, match="64 that were to stay"):
            gate.verify(source, whole, copy, gate.Edited([Region(whole, everywhere)], spared))


def test_pixels_on_an_outline_are_in_no_doubt(rgb, tmp_path):
    """Outlines through pixel centres, and polygons that share one: burned together or each for itself, nothing is missed."""
    half = [[(c + 0.5, r + 0.5) for c, r in p] for p in (square(30, 30, 60, 60), square(60, 30, 90, 60), square(45, 45, 75, 90))]
    report = made(rgb, tmp_path / "out", polygons={"geometry": many(rgb, *half)})
    assert report["gate"]["pixels_wanted_missed"] == 0 and report["gate"]["pixels_inside"] > 2500


def test_polygons_in_another_crs_are_missed_nowhere(rgb, tmp_path):
    with rasterio.open(rgb) as dataset:
        moved = rasterio.warp.transform_geom(dataset.crs, "EPSG:4326", many(rgb, A, B), precision=-1)
    report = made(rgb, tmp_path / "out", polygons={"geometry": moved, "crs": "EPSG:4326"})
    assert report["gate"]["pixels_wanted_missed"] == 0 and abs(report["gate"]["pixels_inside"] - UNION) < 60


def test_outlines_that_cross_too_often_are_refused_before_they_cost(rgb, tmp_path):
    rng = np.random.default_rng(0)
    tangle = [(float(x), float(y)) for x, y in rng.random((3000, 2)) * 150]
    with pytest.raises(BadRequest, match="cross with itself more than 2,000 times"):
        made(rgb, tmp_path / "out", polygons={"geometry": ring(rgb, tangle)})
    spikes = [[(float(x), 0), (float(x) + 0.001, 0), (float(x) + 0.001, 150), (float(x), 150)] for x in np.linspace(1, 149, 300)]
    across = [[(y, x) for x, y in spike] for spike in spikes]
    with pytest.raises(BadRequest, match="cross with one another more than 100,000 times"):
        made(rgb, tmp_path / "out", polygons={"geometry": many(rgb, *spikes, *across)})


# ---- what a file discloses -----------------------------------------------------------------------------------


def test_a_file_tells_neither_prompt_nor_folders_unless_asked(rgb, tmp_path):
    out = tmp_path / "out"
    body = {"polygons": {"geometry": ring(rgb, A)}, "prompt": "snow on the mayor's garden"}
    report = made(rgb, out, **body)
    with rasterio.open(out / "result.tif") as dataset:
        told = str(dataset.tags()) + "".join(str(dataset.tags(band)) for band in dataset.indexes)
    assert "mayor" not in told and str(tmp_path) not in told and "AI_GENERATED" in told
    assert report["prompt"] == body["prompt"] and report["request"]["raster"]["path"] == str(rgb)
    made(rgb, out, **body, output={"keep_request": True})
    with rasterio.open(out / "result.tif") as dataset:
        tags = dataset.tags()
    assert tags["LANDBRUSH_PROMPT"] == body["prompt"] and str(tmp_path) not in str(tags)
    assert json.loads(tags["LANDBRUSH_REQUEST"])["raster"]["path"] == "rgb.tif"


@pytest.mark.parametrize("keep", [False, True])
def test_a_second_edit_keeps_the_disclosure_of_the_first(rgb, tmp_path, keep):
    first, second, third = tmp_path / "1", tmp_path / "2", tmp_path / "3"
    output = {"area": "layer", "keep_request": keep}
    made(rgb, first, "snow", polygons={"geometry": ring(rgb, square(10, 10, 40, 40))}, prompt="snow", output=output)
    made(
        first / "result.tif",
        second,
        "burn",
        polygons={"geometry": ring(rgb, square(100, 100, 140, 140))},
        prompt="burned",
        output=output,
    )
    made(second / "result.tif", third, "fog", polygons={"geometry": ring(rgb, square(100, 20, 120, 40))}, output=output)
    with rasterio.open(third / "result.tif") as dataset, rasterio.open(rgb) as source:
        tags = dataset.tags()
        told = rasterize([shapely.from_wkb(tags["LANDBRUSH_MASK_WKB"])], out_shape=dataset.shape, transform=dataset.transform) > 0
        assert not ((dataset.read() != source.read()).any(axis=0) & ~told).any()
    history = json.loads(tags["LANDBRUSH_HISTORY"])
    assert [record["editor"] for record in history] == ["snow", "burn"] and tags["LANDBRUSH_EDITOR"] == "fog"
    assert [record.get("prompt", "") for record in history] == (["snow", "burned"] if keep else ["", ""])
    assert str(tmp_path) not in str(tags)


# ---- choices and words that point ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        "fill it like the marked area",
        "extend the parking lot, like there",
        "as marked",
        "more of this",
        "should look like this",
        "like over there",
        "the same as in the drawn polygon",
    ],
)
def test_words_that_point_at_a_drawn_exemplar_fill_like_it(rgb, words):
    pointed = interpret(words, exemplar=True)
    assert pointed.sure and pointed.editor == "fill", pointed
    body = inputs(rgb, prompt=words, exemplar={"polygons": {"geometry": ring(rgb, square(5, 5, 45, 45))}})
    assert plan(EditRequest.from_json(body), "auto").editor.info.id == "fill"


@pytest.mark.parametrize(
    ("words", "operation"),
    [
        ("remove this", "remove"),
        ("this flooded", "flood"),
        ("copy this", "copy"),
        ("do not touch this", "unknown"),
        ("not like this", "unknown"),
    ],
)
def test_what_is_clear_stays_what_it_was(words, operation):
    found = interpret(words, exemplar=True)
    assert found.operation == operation or (operation == "unknown" and not found.sure), found


@pytest.mark.parametrize("operation", OFFERED)
def test_a_choice_is_carried_out_as_it_is(operation):
    found = interpret("make it nicer somehow", operation)
    assert found.sure and found.operation == operation and not found.choices and not found.understood.startswith("Perhaps")


def test_what_was_chosen_runs_and_something_else_is_not_offered(rgb, tmp_path):
    unclear = interpret("make it nicer somehow")
    assert not unclear.sure and unclear.choices and "unknown" not in [c.operation for c in unclear.choices]
    report = made(
        rgb, tmp_path / "out", "auto", polygons={"geometry": ring(rgb, A)}, prompt="make it nicer somehow", operation="snow"
    )
    assert report["editor"] == "snow" and report["understood"]["sure"]
    with pytest.raises(BadRequest, match="none of"):
        interpret("anything", "unknown")
    with pytest.raises(BadRequest, match="goes with the process 'auto'"):
        plan(EditRequest.from_json(inputs(rgb, operation="snow")), "snow")


# ---- water above the ground ----------------------------------------------------------------------------------


@pytest.fixture
def slope(tmp_path):
    """Heights that rise by 0.1 m a column from 200 m."""
    heights = np.broadcast_to(200 + 0.1 * np.arange(160, dtype=np.float32), (1, 160, 160))
    return write(tmp_path / "dem.tif", np.ascontiguousarray(heights))


def flooded(rgb, slope, folder, prompt, **more):
    folder.mkdir(exist_ok=True)
    body = {"raster": {"path": str(rgb)}, "prompt": prompt, "elevation": {"path": str(slope)}, **more}
    body.setdefault("polygons", {"geometry": ring(rgb, square(40, 40, 100, 100))})
    return edit(EditRequest.from_json(body), "auto", Files(rgb, None, slope), folder, lambda *_: None)


def test_metres_of_water_are_above_the_lowest_ground_of_the_polygon(rgb, slope, tmp_path):
    report = flooded(rgb, slope, tmp_path / "out", "flooded 1 m", options={"keep_tall": False})
    assert any("1 m above the lowest ground" in note and "at 205.0 m" in note for note in report["notes"]), report["notes"]
    assert "1 m above the lowest ground" in report["understood"]["understood"]
    assert abs(report["gate"]["pixels_inside_changed"] - 60 * 10) < 90


def test_each_polygon_has_its_own_lowest_ground(rgb, slope, tmp_path):
    apart = {"geometry": many(rgb, square(20, 40, 60, 80), square(80, 40, 120, 80))}
    report = flooded(rgb, slope, tmp_path / "out", "flooded 1 m", polygons=apart, options={"keep_tall": False})
    assert any("at 203.0 m to 209.0 m" in note for note in report["notes"]), report["notes"]
    assert abs(report["gate"]["pixels_inside_changed"] - 2 * 40 * 10) < 100


@pytest.mark.parametrize("words", ["flooded to a level of 206 m", "flood, water stage 206 m", "flooded up to 206 m"])
def test_a_level_is_the_elevation_models(rgb, slope, tmp_path, words):
    report = flooded(rgb, slope, tmp_path / "out", words, options={"keep_tall": False})
    assert abs(report["gate"]["pixels_inside_changed"] - 60 * 20) < 120 and not any("lowest" in note for note in report["notes"])


def test_a_level_below_the_ground_says_which_would_do(rgb, slope, tmp_path):
    options = {"level_m": 1.0, "counts_from": "the elevation model's zero"}
    with pytest.raises(CannotEdit, match=r"from 204.0 to 209.9 m .* for instance to 205.0 m, or let it count from the lowest"):
        flooded(rgb, slope, tmp_path / "out", "flooded 1 m", options=options)


# ---- copy and remove -------------------------------------------------------------------------------------------


def test_copy_keeps_the_object_by_default():
    from landbrush.server.registry import EDITORS

    method = next(option for option in EDITORS["copy"].info.options if option.name == "method")
    assert method.default == "gradients" and set(method.choices) == {"gradients", "patch diffusion"}


def around(tmp_path, rim, side, seed=0):
    """An image that is a hole with a rim of textured ground, and the polygon of the hole."""
    path = write(tmp_path / f"rim{rim}.tif", in_type(scene(3, side + 2 * rim, side + 2 * rim, seed), "uint8"))
    return path, ring(path, square(rim, rim, rim + side, rim + side))


@pytest.mark.parametrize(("rim", "side"), [(12, 90), (10, 60), (14, 120)])
def test_remove_refuses_where_a_quarter_of_the_hole_is_not_there_to_copy(tmp_path, rim, side):
    path, hole = around(tmp_path, rim, side)
    with pytest.raises(CannotEdit, match=r"less than a quarter.*Draw a smaller polygon.*Fill like there"):
        made(path, tmp_path / "out", "remove", polygons={"geometry": hole}, options={"guard": False})


def test_a_fill_that_repeats_itself_is_tried_again_and_told(tmp_path, capsys):
    path, hole = around(tmp_path, 20, 100)
    report = made(path, tmp_path / "out", "remove", polygons={"geometry": hole}, options={"guard": False})
    assert report["drawn"]["candidates"] == 3 and report["drawn"]["repeated"] > 0.6
    assert any("repeats itself and may show stripes" in note for note in report["notes"])
    (tmp_path / "p.geojson").write_text(json.dumps({**hole}))
    wish = ["--polygons", str(tmp_path / "p.geojson"), "--crs", "EPSG:32617", "--editor", "remove", "--option", "guard=false"]
    assert command.main(["edit", str(path), *wish, "--output", str(tmp_path / "o.tif"), "--home", str(tmp_path / "home")]) == 0
    assert "may show stripes" in capsys.readouterr().out


def test_ample_ground_is_filled_once_and_without_a_word(rgb, tmp_path):
    report = made(rgb, tmp_path / "out", "remove", polygons={"geometry": ring(rgb, square(64, 64, 96, 96))})
    assert "repeated" not in report["drawn"] and not any("stripes" in note for note in report["notes"])


def test_of_several_tries_the_least_repeated_is_taken(monkeypatch):
    from landbrush.server.editors import remove as editor
    from landbrush.server.synthesis.remove import Removed

    shares = {0: 0.9, editor.OTHER_SEED: 0.7, 2 * editor.OTHER_SEED: 0.8}

    class Tried:
        def filled(self, seed, on_step):
            on_step(1, 1)
            return Removed(np.full((1, 2, 2), seed, np.float32), shares[seed])

    told = []
    picture = editor._best(Tried(), 0, lambda *a: told.append(a))
    assert picture[0, 0, 0] == editor.OTHER_SEED and "70%" in told[-1][4]["notes"][0]
    shares[editor.OTHER_SEED] = 0.3
    told.clear()
    assert editor._best(Tried(), 0, lambda *a: told.append(a))[0, 0, 0] == editor.OTHER_SEED
    assert not any(len(step) > 4 and step[4]["notes"] for step in told), "it was mended, so there is nothing to say"


def test_a_small_exemplar_for_much_ground_is_told(rgb, tmp_path):
    report = made(
        rgb,
        tmp_path / "out",
        "fill",
        polygons={"geometry": ring(rgb, square(40, 40, 150, 150))},
        exemplar={"polygons": {"geometry": ring(rgb, square(4, 4, 34, 34))}},
    )
    assert any("so it repeats" in note for note in report["notes"]), report["notes"]


def test_thin_protected_ground_is_kept_and_the_gate_knows(rgb, tmp_path):
    strip = [(100.1, 20), (100.3, 20), (100.3, 140), (100.1, 140)]
    report = made(
        rgb, tmp_path / "out", polygons={"geometry": ring(rgb, square(60, 20, 140, 140))}, protect={"geometry": ring(rgb, strip)}
    )
    assert report["gate"]["pixels_inside"] == 80 * 120 - 120 and report["gate"]["pixels_wanted_missed"] == 0


@pytest.mark.parametrize(
    "words",
    [
        "same kind of ground as there",
        "same kind as marked",
        "another one like this",
        "fix this like there",
        "like the yellow polygon",
        "similar to the selection",
        "from the other layer",
        "do the same here",
        "like in the box",
        "make it like the red area",
    ],
)
def test_turns_of_phrase_that_point_at_the_exemplar(words):
    assert interpret(words, exemplar=True).editor == "fill", interpret(words, exemplar=True)


def test_only_what_can_be_done_is_offered():
    for words in (
        "make it nicer somehow",
        "it should look better",
        "something with the houses",
        "improve the place",
        "do your thing",
    ):
        assert all(interpret(words, choice.operation).editor for choice in interpret(words).choices), words


def test_protected_ground_does_not_divide_a_polygon_of_water(rgb, slope, tmp_path):
    road = {"geometry": ring(rgb, square(68, 40, 72, 100))}
    report = flooded(rgb, slope, tmp_path / "out", "flooded 1 m", protect=road, options={"keep_tall": False})
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
def test_a_small_level_stands_on_the_ground_however_it_is_said(rgb, slope, tmp_path, words, metres):
    report = flooded(rgb, slope, tmp_path / "out", words)
    assert report["options"]["level_m"] == pytest.approx(metres)
    assert any("above the lowest ground" in note for note in report["notes"]), report["notes"]


def test_the_editors_own_default_stands_on_the_ground_too(rgb, slope, tmp_path):
    (tmp_path / "out").mkdir()
    body = {"raster": {"path": str(rgb)}, "polygons": {"geometry": ring(rgb, A)}, "elevation": {"path": str(slope)}}
    report = edit(EditRequest.from_json(body), "flood", Files(rgb, None, slope), tmp_path / "out", lambda *_: None)
    assert any("1.5 m above the lowest ground" in note for note in report["notes"])


def test_folders_in_what_was_asked_before_go_too(rgb, tmp_path):
    """A source of an older version held the whole request; a prompt may name a file."""
    old = {"raster": {"path": "/home/anna/secret plans/a.tif"}}
    with rasterio.open(rgb, "r+") as dataset:
        dataset.update_tags(LANDBRUSH_EDITOR="snow", LANDBRUSH_REQUEST=json.dumps(old), LANDBRUSH_PROMPT="as in /home/anna/b.tif")
    for keep in (True, False):
        made(
            rgb,
            tmp_path / "out",
            polygons={"geometry": ring(rgb, A)},
            prompt="snow as in /home/anna/x/c.tif and/or C:\\Users\\anna\\d.tif",
            output={"keep_request": keep},
        )
        with rasterio.open(tmp_path / "out" / "result.tif") as dataset:
            told = str(dataset.tags())
        assert "anna" not in told and ("c.tif and/or d.tif" in told) == keep, told


def test_memory_counts_all_polygons_together(rgb):
    from landbrush.server import memory
    from landbrush.server.masks import Placing

    shapes = [shapely.box(c, r, c + 50, r + 50) for c in range(0, 1000, 100) for r in range(0, 1000, 100)]
    placing = Placing(Box(0, 0, 1000, 1000), Box(0, 0, 1000, 1000), bytes_kept=memory.limit_bytes() // 2500 // 50)
    assert len(placing.windows(shapes[:20])) == 20
    with pytest.raises(CannotEdit, match="GB of memory"):
        placing.windows(shapes)


@pytest.mark.parametrize("words", ["flooded to 206 m", "flooded up to 206.0 m"])
def test_a_height_to_which_is_flooded_is_the_elevation_models_where_it_lies_in_it(rgb, slope, tmp_path, words):
    report = flooded(rgb, slope, tmp_path / "out", words)
    assert "The water stands at 206 m of the elevation model." in report["notes"]


def test_a_height_without_an_elevation_model_is_told(rgb, tmp_path):
    report = made(rgb, tmp_path / "out", "auto", polygons={"geometry": ring(rgb, A)}, prompt="flooded 300 m")
    assert any("No elevation model is given, so 300 m" in note for note in report["notes"])


def test_polygons_in_metres_without_a_crs_are_told(rgb, tmp_path, capsys):
    (tmp_path / "p.geojson").write_text(json.dumps(ring(rgb, A)))
    wish = ["edit", str(rgb), "--polygons", str(tmp_path / "p.geojson"), "--editor", "snow", "--home", str(tmp_path / "home")]
    assert command.main([*wish, "--output", str(tmp_path / "o.tif")]) == 1
    assert "names no CRS" in capsys.readouterr().err
    assert command.main([*wish, "--crs", "EPSG:32617", "--output", str(tmp_path / "o.tif")]) == 0
    with pytest.raises(OutsideRaster, match="columns 500 to 600 and rows 500 to 600; it has columns 0 to 160"):
        made(rgb, tmp_path / "out", polygons={"geometry": ring(rgb, square(500, 500, 600, 600))})


@pytest.mark.parametrize("name", ["Low light", "low-light", "night", "NIGHT".lower()])
def test_a_choice_may_be_named_as_it_is_shown(name):
    assert interpret("make it nicer somehow", name).operation == "night"


def test_copy_says_what_its_exemplar_is(rgb, tmp_path):
    body = {"polygons": {"geometry": ring(rgb, A)}, "exemplar": {"polygons": {"geometry": ring(rgb, square(10, 110, 30, 130))}}}
    report = made(rgb, tmp_path / "out", "copy", **body)
    assert any("smaller than the polygon" in note for note in report["notes"])
    body["exemplar"]["polygons"]["geometry"] = ring(rgb, square(35, 35, 65, 65))
    with pytest.raises((CannotEdit, OutsideRaster), match="inside the edited polygons"):
        made(rgb, tmp_path / "out", "copy", **body)


@pytest.mark.parametrize(
    ("words", "operation"), [("put this there", "copy"), ("place that one here", "copy"), ("make it different from this", "")]
)
def test_putting_is_copying_and_unlike_is_not_like(words, operation):
    found = interpret(words, exemplar=True)
    assert (found.operation == operation and found.sure) if operation else found.operation != "fill_like" or not found.sure, found


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
    found = interpret(words)
    assert found.options["level_m"] == pytest.approx(metres) and found.options["counts_from"] == "the lowest ground"


@pytest.mark.parametrize(("text", "kept"), [
    ("see \\\\server\\share\\anna\\x.tif end", "see x.tif end"), ("from /home/anna/ to here", "from (a folder) to here"),
    ("http://ex.org/a/b and/or 1/2", "http://ex.org/a/b and/or 1/2"), ("/data/anna/a.tif", "a.tif")])  # fmt: skip
def test_folders_go_and_addresses_stay(text, kept):
    from landbrush.server.provenance import without_folders

    assert without_folders(text) == kept and without_folders({"a": [text]}) == {"a": [kept]}


def test_polygons_on_both_sides_of_180_degrees_are_edited_where_they_lie(tmp_path):
    at = rasterio.Affine(0.1, 0, 165, 0, -0.1, 10)
    path = write(tmp_path / "pacific.tif", in_type(scene(3, 200, 300), "uint8"), crs="EPSG:4326", transform=at)
    with rasterio.open(path) as dataset:
        rings = [ring(path, square(c, 50, c + 50, 100)) for c in (20, 125, 230)]  # west of it, across it, east of it
        moved = [rasterio.warp.transform_geom(dataset.crs, "EPSG:3832", one, precision=-1)["coordinates"] for one in rings]
    for wanted, columns in (([moved[0]], {(20, 70)}), ([moved[1]], {(125, 175)}), ([moved[2]], {(230, 280)}),
                            (moved, {(20, 70), (125, 175), (230, 280)})):  # fmt: skip
        report = made(path, tmp_path / "out", output={"area": "layer"},
                      polygons={"geometry": {"type": "MultiPolygon", "coordinates": wanted}, "crs": "EPSG:3832"})  # fmt: skip
        with rasterio.open(path) as before, rasterio.open(tmp_path / "out" / "result.tif") as after:
            changed = (before.read() != after.read()).any(axis=0)
        spans = {(a, b) for a, b in ((20, 70), (125, 175), (230, 280)) if changed[50:100, a:b].mean() > 0.5}
        assert spans == columns and abs(report["gate"]["pixels_inside"] - 2500 * len(wanted)) < 120 * len(wanted)


def test_what_an_edit_leaves_is_said_with_the_reason(rgb, slope, tmp_path):
    report = flooded(rgb, slope, tmp_path / "out", "flooded 1 m")
    assert any("pixels changed: ground, roofs and crowns above the water stay." in note for note in report["notes"]), report[
        "notes"
    ]
