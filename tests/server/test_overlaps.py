"""Polygons over one another, thin, tangled, far: what is wanted, and what the gate makes of it."""

from __future__ import annotations

import json

import numpy as np
import pytest
import rasterio
import shapely
from landbrush.server import __main__ as command
from landbrush.server.ground.errors import BadRequest, CannotEdit, OutsideRaster
from landbrush.server.raster.grid import Box
from rasterio.features import rasterize

from tests.server.conftest import in_type, ring, scene, square, write
from tests.server.edits import UNION, A, B, made, many


@pytest.mark.parametrize("rings", [(A, B), (B, A), (A, B, square(55, 55, 60, 60)), (A, A, B)])
def test_overlapping_polygons_are_their_union(rgb, tmp_path, rings):
    report = made(rgb, tmp_path / "out", polygons={"geometry": many(rgb, *rings)})
    assert report["gate"]["pixels_inside"] == report["gate"]["pixels_wanted"] == UNION
    assert report["gate"]["pixels_wanted_missed"] == 0


def test_a_polygon_in_the_hole_of_another_fills_it(rgb, tmp_path):
    outer, hole = (
        ring(rgb, square(20, 20, 100, 100))["coordinates"][0],
        ring(rgb, square(40, 40, 80, 80))["coordinates"][0],
    )
    island = ring(rgb, square(50, 50, 70, 70))["coordinates"]
    geometry = {"type": "MultiPolygon", "coordinates": [[outer, hole], island]}
    assert (
        made(rgb, tmp_path / "out", polygons={"geometry": geometry})["gate"]["pixels_inside"]
        == 80 * 80 - 40 * 40 + 20 * 20
    )


def test_overlapping_protected_ground_is_all_left(rgb, tmp_path):
    out = tmp_path / "out"
    made(
        rgb,
        out,
        polygons={"geometry": ring(rgb, square(20, 20, 120, 120))},
        protect={"geometry": many(rgb, A, B)},
    )
    with rasterio.open(rgb) as before, rasterio.open(out / "result.tif") as after:
        col, row = ~before.transform @ (after.transform @ (0, 0))
        window = rasterio.windows.Window(round(col), round(row), after.width, after.height)
        changed = (before.read(window=window) != after.read()).any(axis=0)
        kept = (
            rasterize(
                [shapely.geometry.shape(ring(rgb, p)) for p in (A, B)],
                out_shape=changed.shape,
                transform=after.transform,
            )
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
                "features": [
                    {"type": "Feature", "properties": {}, "geometry": ring(rgb, pixels)}
                    for pixels in (A, B)
                ],
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
    assert (
        json.loads(output.with_suffix(".manifest.json").read_text())["gate"]["pixels_inside"]
        == UNION
    )


def test_pixels_on_an_outline_are_in_no_doubt(rgb, tmp_path):
    """Outlines through pixel centres, and polygons that share one: burned together or each for
    itself, nothing is missed."""
    half = [
        [(c + 0.5, r + 0.5) for c, r in p]
        for p in (square(30, 30, 60, 60), square(60, 30, 90, 60), square(45, 45, 75, 90))
    ]
    report = made(rgb, tmp_path / "out", polygons={"geometry": many(rgb, *half)})
    assert report["gate"]["pixels_wanted_missed"] == 0 and report["gate"]["pixels_inside"] > 2500


def test_polygons_in_another_crs_are_missed_nowhere(rgb, tmp_path):
    with rasterio.open(rgb) as dataset:
        moved = rasterio.warp.transform_geom(
            dataset.crs, "EPSG:4326", many(rgb, A, B), precision=-1
        )
    report = made(rgb, tmp_path / "out", polygons={"geometry": moved, "crs": "EPSG:4326"})
    assert (
        report["gate"]["pixels_wanted_missed"] == 0
        and abs(report["gate"]["pixels_inside"] - UNION) < 60
    )


def test_outlines_that_cross_too_often_are_refused_before_they_cost(rgb, tmp_path):
    rng = np.random.default_rng(0)
    tangle = [(float(x), float(y)) for x, y in rng.random((3000, 2)) * 150]
    with pytest.raises(BadRequest, match="cross with itself more than 2,000 times"):
        made(rgb, tmp_path / "out", polygons={"geometry": ring(rgb, tangle)})
    spikes = [
        [(float(x), 0), (float(x) + 0.001, 0), (float(x) + 0.001, 150), (float(x), 150)]
        for x in np.linspace(1, 149, 300)
    ]
    across = [[(y, x) for x, y in spike] for spike in spikes]
    with pytest.raises(BadRequest, match="cross with one another more than 100,000 times"):
        made(rgb, tmp_path / "out", polygons={"geometry": many(rgb, *spikes, *across)})


def test_thin_protected_ground_is_kept_and_the_gate_knows(rgb, tmp_path):
    strip = [(100.1, 20), (100.3, 20), (100.3, 140), (100.1, 140)]
    report = made(
        rgb,
        tmp_path / "out",
        polygons={"geometry": ring(rgb, square(60, 20, 140, 140))},
        protect={"geometry": ring(rgb, strip)},
    )
    assert (
        report["gate"]["pixels_inside"] == 80 * 120 - 120
        and report["gate"]["pixels_wanted_missed"] == 0
    )


def test_memory_counts_all_polygons_together(rgb):
    from landbrush.server.ground import memory
    from landbrush.server.raster.placing import Placing

    shapes = [
        shapely.box(c, r, c + 50, r + 50) for c in range(0, 1000, 100) for r in range(0, 1000, 100)
    ]
    placing = Placing(
        Box(0, 0, 1000, 1000),
        (Box(0, 0, 1000, 1000),),
        bytes_kept=memory.limit_bytes() // 2500 // 50,
    )
    assert len(placing.windows(shapes[:20])) == 20
    with pytest.raises(CannotEdit, match="GB of memory"):
        placing.windows(shapes)


def test_polygons_in_metres_without_a_crs_are_told(rgb, tmp_path, capsys):
    (tmp_path / "p.geojson").write_text(json.dumps(ring(rgb, A)))
    wish = [
        "edit",
        str(rgb),
        "--polygons",
        str(tmp_path / "p.geojson"),
        "--editor",
        "snow",
        "--home",
        str(tmp_path / "home"),
    ]
    assert command.main([*wish, "--output", str(tmp_path / "o.tif")]) == 1
    assert "names no CRS" in capsys.readouterr().err
    assert command.main([*wish, "--crs", "EPSG:32617", "--output", str(tmp_path / "o.tif")]) == 0
    with pytest.raises(
        OutsideRaster, match="columns 500 to 600 and rows 500 to 600; it has columns 0 to 160"
    ):
        made(rgb, tmp_path / "out", polygons={"geometry": ring(rgb, square(500, 500, 600, 600))})


def test_polygons_on_both_sides_of_180_degrees_are_edited_where_they_lie(tmp_path):
    at = rasterio.Affine(0.1, 0, 165, 0, -0.1, 10)
    path = write(
        tmp_path / "pacific.tif",
        in_type(scene(3, 200, 300), "uint8"),
        crs="EPSG:4326",
        transform=at,
    )
    with rasterio.open(path) as dataset:
        rings = [
            ring(path, square(c, 50, c + 50, 100)) for c in (20, 125, 230)
        ]  # west of it, across it, east of it
        moved = [
            rasterio.warp.transform_geom(dataset.crs, "EPSG:3832", one, precision=-1)["coordinates"]
            for one in rings
        ]
    each = [{(20, 70)}, {(125, 175)}, {(230, 280)}]
    alone = [([one], columns) for one, columns in zip(moved, each, strict=True)]
    for wanted, columns in (*alone, (moved, set().union(*each))):
        report = made(
            path,
            tmp_path / "out",
            output={"area": "layer"},
            polygons={
                "geometry": {"type": "MultiPolygon", "coordinates": wanted},
                "crs": "EPSG:3832",
            },
        )
        with rasterio.open(path) as before, rasterio.open(tmp_path / "out" / "result.tif") as after:
            changed = (before.read() != after.read()).any(axis=0)
        spans = {
            (a, b)
            for a, b in ((20, 70), (125, 175), (230, 280))
            if changed[50:100, a:b].mean() > 0.5
        }
        assert spans == columns and abs(
            report["gate"]["pixels_inside"] - 2500 * len(wanted)
        ) < 120 * len(wanted)


@pytest.mark.parametrize("columns, share", [((120, 200), "50%"), ((140, 300), "88%")])
def test_what_lies_outside_the_raster_is_said(rgb, tmp_path, columns, share):
    outline = square(columns[0], 60, columns[1], 100)
    report = made(rgb, tmp_path / "out", polygons={"geometry": ring(rgb, outline)})
    assert any(f"{share} of the polygons' area lies outside" in note for note in report["notes"])


def test_what_lies_inside_is_not_mentioned(rgb, tmp_path):
    outline = square(40, 60, 160, 100)
    report = made(rgb, tmp_path / "out", polygons={"geometry": ring(rgb, outline)})
    assert not any("outside" in note for note in report["notes"])


@pytest.mark.parametrize("process", ["snow", "remove", "flood"])
def test_windows_that_are_too_large_together_are_divided(rgb, tmp_path, monkeypatch, process):
    """Many polygons are not one: each is edited, also where the windows of several overlap."""
    from landbrush.server.raster import placing

    squares = [square(c, r, c + 12, r + 12) for c in range(6, 150, 24) for r in range(6, 150, 24)]
    monkeypatch.setattr(placing, "MAX_REGION_VALUES", 140 * 140 * 3)
    report = made(
        rgb,
        tmp_path / "out",
        process,
        polygons={"geometry": many(rgb, *squares)},
        output={"area": "layer"},
    )
    assert report["gate"]["pixels_inside"] == 36 * 144
    with rasterio.open(rgb) as before, rasterio.open(tmp_path / "out" / "result.tif") as after:
        changed = (before.read() != after.read()).any(axis=0)
    for (left, top), _, (right, bottom), _ in squares:
        assert changed[top:bottom, left:right].mean() > 0.3


def test_one_polygon_that_is_too_large_is_refused(rgb, tmp_path, monkeypatch):
    from landbrush.server.raster import placing

    monkeypatch.setattr(placing, "MAX_REGION_VALUES", 80 * 80 * 3)
    with pytest.raises(CannotEdit, match="One polygon covers"):
        made(rgb, tmp_path / "out", polygons={"geometry": ring(rgb, square(10, 10, 140, 140))})
