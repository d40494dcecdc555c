"""Any two rasters compared on the command line: an edit, a shifted copy, another grid, what cannot
be compared."""

from __future__ import annotations

import json

import numpy as np
import pytest
import rasterio
from landbrush.server import __main__
from landbrush.server.contract.comparison import Comparison
from landbrush.server.contract.requests import Polygons
from landbrush.server.experiments import compare
from landbrush.server.experiments.compare import compared
from landbrush.server.ground.errors import BadRequest, CannotEdit
from landbrush.server.raster.grid import Grid
from scipy import ndimage

from tests.server.conftest import RGB, in_type, ring, scene, square, write


@pytest.fixture
def ground(tmp_path):
    smooth = ndimage.gaussian_filter(scene(3, 200, 220), (0, 1.5, 1.5))
    return write(tmp_path / "before.tif", in_type(smooth, "uint16"), colorinterp=RGB)


def changed(path, target, change, **more):
    with rasterio.open(path) as source:
        return write(
            target,
            change(source.read()),
            colorinterp=RGB,
            crs=source.crs,
            transform=more.get("transform", source.transform),
        )


def brighter(values):
    values = values.copy()
    values[:, 60:120, 50:150] = values[:, 60:120, 50:150] // 2
    return values


def test_an_edit_within_its_polygon(ground, tmp_path, capsys):
    after = changed(ground, tmp_path / "after.tif", brighter)
    area = tmp_path / "area.geojson"
    area.write_text(json.dumps(ring(ground, square(50, 60, 150, 120))))
    with rasterio.open(ground) as source:
        crs = source.crs.to_string()
    assert (
        __main__.main(
            ["evaluate", "layers", str(ground), str(after), "--polygons", str(area), "--crs", crs]
        )
        == 0
    )
    found = json.loads(capsys.readouterr().out)
    assert found["preservation"]["changed"] == 0 and found["localisation"]["precision"] == 1
    assert (
        found["localisation"]["recall"] > 0.95
        and found["rim"]["gradient"] > 2
        and found["on_one_grid"]
    )
    assert found["said"][1] == "Outside the polygons nothing changed that could be seen."


def test_a_change_elsewhere_and_a_shift_are_told(ground, tmp_path):
    polygons = Polygons(ring(ground, square(10, 10, 40, 40)))
    found = compared(ground, changed(ground, tmp_path / "a.tif", brighter), polygons)
    assert found.preservation["changed"] > 0.1 and found.localisation["energy_inside"] == 0
    moved = compared(
        ground,
        changed(ground, tmp_path / "b.tif", lambda values: np.roll(values, (2, -3), (1, 2))),
        polygons,
    )
    assert moved.preservation["shift_px"] == pytest.approx((2, -3), abs=0.3)
    assert any("align the layers" in text for text in moved.said)
    same = compared(ground, ground, None)
    assert same.preservation == {} == same.localisation and "Nothing changed." in same.said


def test_the_second_is_brought_onto_the_firsts_grid(ground, tmp_path):
    with rasterio.open(ground) as source:
        finer = source.transform @ rasterio.Affine.scale(0.5)
    after = changed(
        ground, tmp_path / "a.tif", lambda values: values.repeat(2, 1).repeat(2, 2), transform=finer
    )
    found = compared(ground, after, Polygons(ring(ground, square(50, 60, 150, 120))))
    assert not found.on_one_grid and found.preservation["magnitude"] < 0.01
    assert max(map(abs, found.preservation["shift_px"])) < 0.3


def test_a_window_lies_on_its_rasters_grid_bit_by_bit(ground, tmp_path):
    with rasterio.open(ground) as source:
        window = rasterio.windows.Window(30, 40, 120, 100)
        part = write(
            tmp_path / "part.tif",
            source.read(window=window),
            colorinterp=RGB,
            crs=source.crs,
            transform=source.window_transform(window),
        )
        whole, half = Grid.of(source), source.transform @ rasterio.Affine.translation(0.5, 0)
    found = compared(ground, part, Polygons(ring(ground, square(60, 60, 100, 100))))
    assert found.on_one_grid and found.preservation["magnitude"] == 0
    assert not whole.meets(Grid(whole.crs, half, whole.shape)) and not whole.meets(
        Grid(None, whole.transform, whole.shape)
    )
    assert not whole.meets(
        Grid(whole.crs, whole.transform @ rasterio.Affine.scale(1.001), whole.shape)
    )


def test_large_rasters_are_compared_square_by_square(tmp_path, monkeypatch):
    before = in_type(scene(3, 300, 260), "uint8")
    after = before.copy()
    after[:, 100:200, 50:90] ^= 128
    paths = [
        write(tmp_path / f"{name}.tif", values, colorinterp=RGB)
        for name, values in (("before", before), ("after", after))
    ]
    whole = compared(*paths, None)
    assert (
        whole.localisation["recall"] == pytest.approx(100 * 40 / (300 * 260))
        and whole.pixels_compared == 300 * 260
    )
    magnitude = np.abs(after / 255 - before / 255).mean()
    assert f"by {magnitude:.1%} on average" in whole.said[0]
    monkeypatch.setattr(compare, "LARGEST_PX", 10_000)
    assert compared(*paths, None) == whole
    with pytest.raises(BadRequest, match="at most 10,000"):
        compared(*paths, Polygons(ring(paths[0], square(10, 10, 250, 290))))


def test_what_cannot_be_compared_is_said(ground, tmp_path):
    five = write(tmp_path / "five.tif", in_type(scene(5, 200, 220), "uint8"))
    four = write(tmp_path / "four.tif", in_type(scene(1, 200, 220), "uint8"))
    with pytest.raises(CannotEdit, match="5 and 1 bands"):
        compared(five, four, None)
    far = changed(
        ground,
        tmp_path / "far.tif",
        lambda values: values,
        transform=rasterio.Affine(1, 0, 900_000, 0, -1, 100),
    )
    with pytest.raises(CannotEdit, match="share no ground"):
        compared(ground, far, None)
    for away in (square(5000, 5000, 5100, 5100), square(-900, -900, -800, -800)):
        with pytest.raises(BadRequest, match="do not touch before.tif|lie outside"):
            compared(ground, ground, Polygons(ring(ground, away)))
    bare = write(
        tmp_path / "bare.tif",
        in_type(scene(3, 99, 99), "uint8"),
        colorinterp=RGB,
        crs=None,
        transform=rasterio.Affine(1, 0, 0, 0, 1, 0),
    )
    with pytest.raises(BadRequest, match="not both have a CRS"):
        compared(ground, bare, None)


def test_over_http(client, ground, tmp_path):
    after = changed(ground, tmp_path / "after.tif", brighter)
    body = {
        "before": {"path": str(ground)},
        "after": {"path": str(after)},
        "polygons": {"geometry": ring(ground, square(50, 60, 150, 120))},
    }
    answer = client.post("/comparisons", json=body)
    found = Comparison.from_json(answer.get_json())
    assert (
        answer.status_code == 200
        and found.preservation["changed"] == 0
        and found.localisation["recall"] > 0.95
        and found.said
    )
    for wrong, words in (
        ({"before": {"path": str(ground)}}, "comparison.after: required"),
        ({**body, "after": {"path": "/etc/passwd"}}, "Not allowed"),
        (
            {
                **body,
                "after": {
                    "extent": {"xmin": 0, "ymin": 0, "xmax": 9, "ymax": 9, "crs": "EPSG:3857"},
                    "gsd_m": 1.0,
                },
            },
            "after.extent",
        ),
        ({**body, "more": 1}, "unknown key"),
    ):
        refused = client.post("/comparisons", json=wrong)
        assert refused.status_code >= 400 and words in str(refused.get_json()), refused.get_json()
