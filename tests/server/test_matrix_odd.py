"""The raster promise on odd files: sidecars, bits of floats, 12 bits, the date line, specks, many polygons."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from affine import Affine
from landbrush.server.api import EditRequest
from landbrush.server.edit import Files, edit
from landbrush.server.errors import RasterUnreadable

from tests.server.conftest import RGB, in_type, ring, scene, square, write
from tests.server.test_matrix import BLOCK, compare, inside_only, run


def test_sidecar_mask(tmp_path):
    """A .msk beside the file is the file's own mask."""
    path = write(tmp_path / "a.tif", in_type(scene(3, 160, 160), "uint8"), colorinterp=RGB)
    mask = np.full((160, 160), 255, "uint8")
    mask[:78] = 0
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK="NO"), rasterio.open(path, "r+") as dataset:
        dataset.write_mask(mask)
    assert (tmp_path / "a.tif.msk").exists()
    report, result = run(path, tmp_path)
    changed, *_ = compare(path, result, report)
    assert changed.any()
    with rasterio.open(result) as dataset:
        assert (dataset.dataset_mask() == 0).any()


def test_sidecar_metadata_and_world_file(tmp_path):
    from PIL import Image

    path = tmp_path / "p.png"
    Image.fromarray(in_type(scene(3, 160, 160), "uint8").transpose(1, 2, 0)).save(path)
    (tmp_path / "p.pgw").write_text("0.5\n0\n0\n-0.5\n400000.25\n3284999.75\n")
    (tmp_path / "p.png.aux.xml").write_text(
        "<PAMDataset><SRS>EPSG:32617</SRS><PAMRasterBand band='1'><Description>Red</Description><NoDataValue>7</NoDataValue>"
        "</PAMRasterBand><PAMRasterBand band='2'><NoDataValue>7</NoDataValue></PAMRasterBand>"
        "<PAMRasterBand band='3'><NoDataValue>7</NoDataValue></PAMRasterBand></PAMDataset>")
    report, result = run(path, tmp_path)
    changed, *_ = compare(path, result, report)
    inside_only(changed, report, BLOCK)
    with rasterio.open(result) as dataset:
        assert dataset.crs.to_epsg() == 32617 and dataset.nodata == 7 and dataset.descriptions[0] == "Red"
        assert dataset.transform.c == 400000 + 0.5 * report["window"][0]


@pytest.mark.parametrize("value", [np.float32(-0.0), np.frombuffer(np.uint32(0xFFC00000).tobytes(), "f4")[0]])
def test_blocks_of_odd_floats_keep_their_bits(tmp_path, value):
    values = in_type(scene(1, 700, 700), "float32")
    values[:, 300:, 300:] = value
    path = write(tmp_path / "a.tif", values)
    report, result = run(path, tmp_path, output={"area": "layer"})
    compare(path, result, report)
    assert report["gate"]["pixels_outside_different"] == 0


def test_twelve_bit_cog_and_white_is_zero(tmp_path):
    path = write(tmp_path / "a.tif", (scene(1, 160, 160) * 4000).astype("uint16"), nbits=12)
    report, result = run(path, tmp_path, output={"area": "layer", "cog": True})
    compare(path, result, report)
    path = write(tmp_path / "w.tif", in_type(scene(1, 160, 160), "uint8"), photometric="MINISWHITE")
    report, result = run(path, tmp_path)
    compare(path, result, report)


def test_polygons_across_the_date_line(tmp_path):
    """A 0 ... 360 raster, polygons in -180 ... 180."""
    path = write(tmp_path / "a.tif", in_type(scene(3, 160, 160), "uint8"), crs="EPSG:4326", colorinterp=RGB,
                 transform=Affine(0.01, 0, 299.5, 0, -0.01, 10))
    geometry = ring(path, BLOCK)
    geometry["coordinates"] = [[[x - 360, y] for x, y in geometry["coordinates"][0]]]
    for crs in ("", "EPSG:4326"):
        report, result = run(path, tmp_path, polygons={"geometry": geometry, "crs": crs})
        changed, *_ = compare(path, result, report)
        inside_only(changed, report, BLOCK)


def test_mixed_types_are_refused(tmp_path):
    path = write(tmp_path / "a.tif", in_type(scene(1, 50, 50), "uint8"))
    other = write(tmp_path / "b.tif", in_type(scene(1, 50, 50), "int16"))
    bands = "".join(f"<VRTRasterBand dataType='{kind}' band='{i}'><SimpleSource><SourceFilename>{p}</SourceFilename>"
                    "<SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>"
                    for i, (p, kind) in enumerate(((path, "Byte"), (other, "Int16")), 1))
    (tmp_path / "m.vrt").write_text(f"<VRTDataset rasterXSize='50' rasterYSize='50'>{bands}</VRTDataset>")
    with pytest.raises(RasterUnreadable, match="mixes types"):
        edit(EditRequest.from_json({"raster": {"path": "x"}, "polygons": {"geometry": ring(path, square(10, 10, 20, 20))}}),
             "remove", Files(tmp_path / "m.vrt"), tmp_path, lambda *a: None)


def test_many_polygons_take_time_in_proportion(tmp_path):
    """Counted in rasterisations, not in seconds: each region looks at its own polygons only."""
    from landbrush.server import masks

    path = write(tmp_path / "a.tif", in_type(scene(1, 1200, 1200), "uint8"))
    squares = [square(c, r, c + 2, r + 2) for c in range(5, 1195, 40) for r in range(5, 1195, 40)]
    geometry = {"type": "MultiPolygon", "coordinates": [ring(path, s)["coordinates"] for s in squares]}
    seen, plain = [], masks.burn
    masks.burn = lambda shapes, box: (seen.append(len(shapes)), plain(shapes, box))[1]
    try:
        report, result = run(path, tmp_path, "snow", polygons={"geometry": geometry}, blend={"context_px": 4})
    finally:
        masks.burn = plain
    compare(path, result, report)
    assert sum(seen) < 3 * len(squares)


def test_nodata_specks_inside_do_not_poke_through(tmp_path):
    """Saturated pixels that equal the nodata value are edited with the rest; holes are left and counted."""
    values = in_type(scene(3, 160, 160), "uint8")
    values[:, 75:77, 72:75] = 255
    values[:, 82:92, 82:92] = 255
    values[:, 20, 20] = 255
    path = write(tmp_path / "a.tif", values, nodata=255, colorinterp=RGB)
    report, result = run(path, tmp_path, output={"area": "layer"})
    with rasterio.open(result) as dataset:
        valid = dataset.dataset_mask() > 0
    assert valid[75:77, 72:75].all() and not valid[82:92, 82:92].any() and not valid[20, 20]
    assert report["pixels_left_nodata"] == 100 and report["gate"]["pixels_outside_different"] == 0
