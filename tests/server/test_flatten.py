"""Results of several edits and their raster as one file."""

import numpy as np
import pytest
import rasterio
from affine import Affine
from landbrush.server.__main__ import main
from landbrush.server.contract.requests import EditRequest
from landbrush.server.editing import flatten as module
from landbrush.server.editing.flatten import flatten
from landbrush.server.editing.path import Job, edit
from landbrush.server.ground.errors import BadRequest, PromiseBroken
from landbrush.server.raster.inspection import inspected
from landbrush.server.raster.rasters import Rasters

from tests.server.conftest import RGB, in_type, ring, scene, square, write


def made(editors, path, pixels, folder, process, over=(), **more):
    """A result of an edit, as a file of its own."""
    folder.mkdir()
    request = EditRequest.from_json(
        {
            "raster": {"path": str(path)},
            "polygons": {"geometry": ring(path, pixels)},
            "over": [{"path": str(one)} for one in over],
            **more,
        }
    )
    edit(Job(request, process, Rasters(path, over=tuple(over))), editors, folder, lambda *a: None)
    return folder / "result.tif"


def read(path):
    with rasterio.open(path) as dataset:
        return dataset.read(), dataset.dataset_mask()


def box_of(base, result):
    with rasterio.open(base) as a, rasterio.open(result) as b:
        col, row = ~a.transform @ (b.transform.c, b.transform.f)
        return slice(round(row), round(row) + b.height), slice(round(col), round(col) + b.width)


@pytest.mark.parametrize(("dtype", "bands"), [("uint8", 3), ("int16", 4), ("float32", 2)])
def test_windows_that_overlap_keep_the_edits_of_both(editors, tmp_path, dtype, bands):
    values = in_type(scene(bands, 200, 220), dtype)
    if dtype == "float32":
        values[:, 10:14] = np.nan
    more = {"colorinterp": RGB} if bands == 3 else {}
    nodata = np.nan if dtype == "float32" else None
    base = write(tmp_path / "a.tif", values, nodata=nodata, **more)
    first = made(editors, base, square(60, 60, 100, 100), tmp_path / "1", "harmonise")
    second = made(editors, base, square(90, 90, 130, 130), tmp_path / "2", "remove")
    told = flatten(Rasters(base, over=(first, second)), tmp_path / "all.tif")

    was, _ = read(base)
    wanted = was.copy()
    for result in (first, second):
        rows, cols = box_of(base, result)
        its, _ = read(result)
        differs = ((its != was[:, rows, cols]) & ~np.isnan(its.astype(float))).any(axis=0)
        assert differs.any()
        wanted[:, rows, cols][:, differs] = its[:, differs]
    found, mask = read(tmp_path / "all.tif")
    np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(mask, read(base)[1])
    assert told["results"] == 2 and told["pixels"] > 0
    with rasterio.open(tmp_path / "all.tif") as out, rasterio.open(base) as source:
        assert out.crs == source.crs and out.transform == source.transform
        assert out.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"


def test_it_says_of_each_edit_what_its_result_said(editors, tmp_path):
    base = write(tmp_path / "a.tif", in_type(scene(3, 200, 220), "uint8"), colorinterp=RGB)
    first = made(editors, base, square(20, 20, 60, 60), tmp_path / "1", "snow")
    second = made(editors, base, square(120, 120, 160, 160), tmp_path / "2", "burn", seed=5)
    flatten(Rasters(base, over=(first, second)), tmp_path / "all.tif")
    told = inspected(tmp_path / "all.tif", None)
    assert told.synthetic and [one["editor"] for one in told.edits] == ["snow", "burn"]
    assert 0.05 < told.share < 0.09  # both polygons
    assert "PROMPT" not in str(rasterio.open(tmp_path / "all.tif").tags().keys())


def test_an_edit_that_puts_back_what_was_there_hides_the_one_below(editors, tmp_path):
    base = write(tmp_path / "a.tif", in_type(scene(3, 200, 220), "uint8"), colorinterp=RGB)
    first = made(editors, base, square(60, 60, 100, 100), tmp_path / "1", "snow")
    second = made(editors, base, square(60, 60, 100, 100), tmp_path / "2", "snow", over=(first,))
    # As an editor would that takes all of the snow away again.
    rows, cols = box_of(base, second)
    with rasterio.open(second, "r+") as out:
        out.write(read(base)[0][:, rows, cols])
    flatten(Rasters(base, over=(first, second)), tmp_path / "all.tif")
    changed = (read(tmp_path / "all.tif")[0] != read(base)[0]).any(axis=0)
    assert not changed[60:100, 60:100].any()


def test_specks_of_nodata_that_an_edit_fills_are_no_fault(editors, tmp_path):
    values = in_type(scene(3, 200, 220), "uint8")
    values[:, 80:83, 80:83] = 0
    base = write(tmp_path / "a.tif", values, nodata=0, colorinterp=RGB)
    first = made(editors, base, square(60, 60, 100, 100), tmp_path / "1", "fog")
    assert flatten(Rasters(base, over=(first,)), tmp_path / "all.tif")["pixels"] > 1000


def test_the_same_edit_in_two_places_is_told_twice(editors, tmp_path):
    base = write(tmp_path / "a.tif", in_type(scene(3, 200, 220), "uint8"), colorinterp=RGB)
    first = made(editors, base, square(20, 20, 60, 60), tmp_path / "1", "snow")
    second = made(editors, base, square(120, 120, 160, 160), tmp_path / "2", "snow")
    flatten(Rasters(base, over=(first, second)), tmp_path / "all.tif")
    assert len(inspected(tmp_path / "all.tif", None).edits) == 2


def test_classes_stay_classes_in_the_overviews(editors, tmp_path):
    rng = np.random.default_rng(0)
    blocks = np.kron(rng.choice([10, 20, 90], (25, 25)), np.ones((20, 20))).astype("uint8")
    base = write(tmp_path / "a.tif", blocks[None])
    first = made(editors, base, square(60, 60, 140, 140), tmp_path / "1", "remove")
    flatten(Rasters(base, over=(first,)), tmp_path / "all.tif")
    with rasterio.open(tmp_path / "all.tif", OVERVIEW_LEVEL=0) as small:
        assert set(np.unique(small.read())) <= {10, 20, 90}


def test_what_was_made_from_another_picture_of_the_same_ground_is_refused(editors, tmp_path):
    one = write(tmp_path / "a.tif", in_type(scene(3, 200, 220), "uint8"), colorinterp=RGB)
    two = write(tmp_path / "b.tif", in_type(scene(3, 200, 220, 1), "uint8"), colorinterp=RGB)
    first = made(editors, one, square(60, 60, 100, 100), tmp_path / "1", "snow")
    with pytest.raises(BadRequest, match="was not made from this raster"):
        flatten(Rasters(two, over=(first,)), tmp_path / "all.tif")
    with pytest.raises(BadRequest, match="it is no result"):
        flatten(Rasters(two, over=(one,)), tmp_path / "all.tif")


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"transform": Affine(0.7, 0, 400000, 0, -0.7, 3285000)}, "size of a pixel"),
        ({"crs": "EPSG:32618"}, "CRS"),
        ({"dtype": "uint16"}, "type of pixels"),
        ({"transform": Affine(0.5, 0, 400000.2, 0, -0.5, 3285000)}, "grid"),
        ({"transform": Affine(0.5, 0, 300000, 0, -0.5, 3285000)}, "extent"),
    ],
)
def test_a_result_of_another_raster_is_refused(tmp_path, other, said):
    place = {"crs": "EPSG:32617", "transform": Affine(0.5, 0, 400000, 0, -0.5, 3285000)}
    values = scene(3, 90, 100)
    base = write(tmp_path / "a.tif", in_type(values, "uint8"), **place)
    dtype = other.pop("dtype", "uint8")
    result = write(tmp_path / "b.tif", in_type(values[:, :40, :40], dtype), **{**place, **other})
    with pytest.raises(BadRequest, match=said):
        flatten(Rasters(base, over=(result,)), tmp_path / "all.tif")
    assert not (tmp_path / "all.tif").exists()


def test_nothing_to_lay_over_is_refused(tmp_path):
    base = write(tmp_path / "a.tif", in_type(scene(3, 40, 40), "uint8"))
    with pytest.raises(BadRequest, match="at least one result"):
        flatten(Rasters(base), tmp_path / "all.tif")


def test_a_file_that_does_not_hold_just_that_is_thrown_away(editors, tmp_path, monkeypatch):
    base = write(tmp_path / "a.tif", in_type(scene(3, 200, 220), "uint8"), colorinterp=RGB)
    first = made(editors, base, square(60, 60, 100, 100), tmp_path / "1", "snow")
    real = module.write_geotiff

    def spoilt(source, mosaic, target, *more):
        real(source, mosaic, target, *more)
        with rasterio.open(target, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as out:
            values = out.read()
            values[1, 150, 150] ^= 1
            out.write(values)

    monkeypatch.setattr(module, "write_geotiff", spoilt)
    with pytest.raises(PromiseBroken):
        flatten(Rasters(base, over=(first,)), tmp_path / "all.tif")


def test_on_the_command_line(editors, tmp_path, capsys):
    base = write(tmp_path / "a.tif", in_type(scene(3, 200, 220), "uint8"), colorinterp=RGB)
    first = made(editors, base, square(60, 60, 100, 100), tmp_path / "1", "snow")
    target = tmp_path / "out" / "all.tif"
    order = ["flatten", str(base), str(first), "--output", str(target)]
    assert main(order) == 1 and "there is no folder" in capsys.readouterr().err
    target.parent.mkdir()
    root = ["--root", str(tmp_path)]
    assert main([*order, *root]) == 0
    assert "1 result on a.tif" in capsys.readouterr().out
    assert main([*order, *root]) == 1 and "--overwrite" in capsys.readouterr().err
    assert main([*order, *root, "--overwrite"]) == 0
    wrong = ["flatten", str(base), str(first), "--output", str(base), "--overwrite"]
    assert main(wrong) == 1 and "one of the inputs" in capsys.readouterr().err
    assert main(["flatten", str(base), str(tmp_path / "no.tif"), "--output", str(target)]) == 1
    assert "There is no file" in capsys.readouterr().err
