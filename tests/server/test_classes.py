"""Layers whose values are names of classes: found, kept, refused."""

import json

import numpy as np
import pytest
import rasterio
from landbrush.server.contract.requests import EditRequest
from landbrush.server.editing.path import Job, edit
from landbrush.server.ground.errors import CannotEdit, RasterUnreadable
from landbrush.server.raster.bands import Layer
from landbrush.server.raster.classes import classes_of
from landbrush.server.raster.raster import profile_of
from landbrush.server.raster.rasters import Rasters
from scipy import ndimage

from tests.server.conftest import in_type, ring, scene, square, write

NAMES = (1, 7, 20, 40)
WRONG = 99
COLOURS = {
    0: (0, 0, 0, 0),
    1: (30, 110, 40, 255),
    7: (60, 90, 200, 255),
    20: (200, 180, 90, 255),
    40: (150, 60, 60, 255),
    99: (255, 0, 255, 255),
}


def land_cover(side=160, names=NAMES, dtype="uint8", seed=0):
    """Patches of classes in no order of size, with a square of another one in the middle."""
    smooth = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(side, side)), 6)
    cuts = np.quantile(smooth, np.linspace(0, 1, len(names) + 1)[1:-1])
    order = np.random.default_rng(seed + 1).permutation(names)
    values = order.astype(dtype)[np.digitize(smooth, cuts)][None]
    values[0, 60:90, 60:90] = WRONG
    return values


def found_in(path):
    with rasterio.open(path) as dataset:
        return classes_of(dataset, profile_of(dataset))


def run(editors, path, folder, process, exemplar=None, other=None, **more):
    """Pixels before and after, and the manifest, of an edit of the square in the middle."""
    body = {
        "raster": {"path": str(path)},
        "polygons": {"geometry": ring(path, square(56, 56, 94, 94))},
        "output": {"area": "layer"},
        **more,
    }
    if exemplar:
        body["exemplar"] = {"polygons": {"geometry": ring(other or path, exemplar)}}
        if other:
            body["exemplar"]["raster"] = {"path": str(other)}
    folder.mkdir(exist_ok=True)
    job = Job(EditRequest.from_json(body), process, Rasters(path, other))
    manifest = edit(job, editors, folder, lambda *_: None)
    with rasterio.open(path) as before, rasterio.open(folder / "result.tif") as after:
        return before.read(), after.read(), manifest, after.profile


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32"])
@pytest.mark.parametrize("count", [2, 4, 12])
def test_maps_of_classes_are_found(tmp_path, dtype, count):
    names = tuple(range(3, 3 + 7 * count, 7))
    assert found_in(write(tmp_path / "a.tif", land_cover(names=names, dtype=dtype))) is not None


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16"])
def test_pictures_are_not(tmp_path, dtype):
    assert found_in(write(tmp_path / "a.tif", in_type(scene(1, 160, 160), dtype))) is None


def test_heights_in_whole_metres_are_not(tmp_path):
    smooth = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(300, 300)), 12)
    heights = np.rint(smooth * 900).astype("int16")[None]
    assert len(np.unique(heights)) > 16 and found_in(write(tmp_path / "a.tif", heights)) is None


@pytest.mark.parametrize("more", [{"scales": (0.1,)}, {"offsets": (5.0,)}])
def test_stored_quantities_are_not(tmp_path, more):
    assert found_in(write(tmp_path / "a.tif", land_cover(), **more)) is None


def test_several_bands_are_not(tmp_path):
    assert found_in(write(tmp_path / "a.tif", land_cover().repeat(3, 0))) is None


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16"])
@pytest.mark.parametrize(
    "process, exemplar", [("remove", None), ("fill", square(10, 100, 60, 150)),
                          ("copy", square(10, 100, 60, 150))],
)  # fmt: skip
def test_no_class_comes_that_was_not_there(editors, tmp_path, dtype, process, exemplar):
    path = write(tmp_path / "a.tif", land_cover(dtype=dtype))
    blend = {"feather_px": 12, "radiometric_match": True, "beyond_px": 4}
    before, after, manifest, _ = run(editors, path, tmp_path / "o", process, exemplar, blend=blend)
    assert set(np.unique(after)) <= set(NAMES)
    assert (after[0, 60:90, 60:90] != WRONG).all()
    outside = np.ones(before.shape[1:], bool)
    outside[56:94, 56:94] = False
    assert (before == after)[0][outside].all() and manifest.quality.rim_colour is None


def test_nodata_stays_and_is_no_class(editors, tmp_path):
    values = land_cover()
    values[0, 62:75, 20:100] = 0
    path = write(tmp_path / "a.tif", values, nodata=0)
    before, after, _, _ = run(editors, path, tmp_path / "o", "remove")
    assert ((before == 0) == (after == 0)).all() and set(np.unique(after)) <= {0, *NAMES}


@pytest.mark.parametrize("cog", [False, True])
def test_a_palette_comes_back(editors, tmp_path, cog):
    path = tmp_path / "p.tif"
    values = land_cover(600)
    write(path, values, photometric="palette")
    with rasterio.open(path, "r+") as dataset:
        dataset.write_colormap(1, COLOURS)
    output = {"area": "layer", "cog": cog}
    _, after, _, _ = run(editors, path, tmp_path / "o", "remove", output=output)
    assert set(np.unique(after)) <= set(NAMES)
    with rasterio.open(path) as source, rasterio.open(tmp_path / "o" / "result.tif") as result:
        assert source.colormap(1) == result.colormap(1) and result.overviews(1)
        thinned = result.read(out_shape=(1, 150, 150))
    assert set(np.unique(thinned)) <= set(NAMES), "an overview mixed classes"


def test_an_exemplar_of_another_raster_keeps_its_classes(editors, tmp_path):
    path = write(tmp_path / "a.tif", land_cover())
    other = write(tmp_path / "b.tif", land_cover(names=(1, 7, 60), seed=5, dtype="uint16"))
    wanted = square(5, 5, 55, 55)
    _, after, _, _ = run(editors, path, tmp_path / "o", "fill", wanted, other)
    assert set(np.unique(after)) <= {*NAMES, 60}
    with rasterio.open(other) as dataset:
        if 60 in dataset.read(1)[8:52, 8:52]:
            assert 60 in after[0, 60:90, 60:90]


@pytest.mark.parametrize("process", ["snow", "fog", "low-light", "burn", "flood", "variation"])
def test_what_would_mix_them_is_refused(editors, tmp_path, process):
    path = write(tmp_path / "a.tif", land_cover())
    with pytest.raises(CannotEdit, match="classes .* would mix them"):
        run(editors, path, tmp_path / "o", process)
    assert not list((tmp_path / "o").glob("*.tif"))


def test_words_are_not_looked_for_in_them(editors, tmp_path):
    path = write(tmp_path / "a.tif", land_cover())
    with pytest.raises(CannotEdit, match="words are not found"):
        run(editors, path, tmp_path / "o", "auto", prompt="forest here")


def test_who_says_that_it_is_brightness_knows_better(editors, tmp_path):
    path = write(tmp_path / "a.tif", land_cover())
    _, after, _, _ = run(editors, path, tmp_path / "o", "snow", band_roles={"pan": 1})
    assert after.any()


def test_too_many_classes_are_refused(editors, tmp_path):
    values = np.arange(100, dtype="uint8").repeat(16)[None, None].repeat(160, 1)[..., :1600]
    path = write(tmp_path / "a.tif", values, photometric="palette")
    with rasterio.open(path, "r+") as dataset:
        dataset.write_colormap(1, {n: (n, n, n, 255) for n in range(100)})
    body = {
        "raster": {"path": str(path)},
        "polygons": {"geometry": ring(path, square(4, 20, 1590, 140))},
    }
    (tmp_path / "o").mkdir()
    with pytest.raises(CannotEdit, match="classes; at most 64"):
        job = Job(EditRequest.from_json(body), "remove", Rasters(path))
        edit(job, editors, tmp_path / "o", lambda *_: None)


def test_the_preview_shows_the_palettes_colours(editors, tmp_path):
    from PIL import Image

    path = write(tmp_path / "p.tif", land_cover(), photometric="palette")
    with rasterio.open(path, "r+") as dataset:
        dataset.write_colormap(1, COLOURS)
    run(editors, path, tmp_path / "o", "remove")
    seen = np.asarray(Image.open(tmp_path / "o" / "preview.png")).reshape(-1, 3)
    assert {tuple(c) for c in np.unique(seen, axis=0)} <= {c[:3] for c in COLOURS.values()}
    assert json.loads((tmp_path / "o" / "manifest.json").read_text())["synthetic"]


def test_what_looks_at_brightness_refuses_a_palette(tmp_path):
    path = write(tmp_path / "p.tif", land_cover(), photometric="palette")
    with rasterio.open(path, "r+") as dataset:
        dataset.write_colormap(1, COLOURS)
    with rasterio.open(path) as dataset, pytest.raises(RasterUnreadable, match="not brightness"):
        Layer.of(dataset, {})


def test_a_palette_beside_other_bands_is_refused(tmp_path):
    with (
        pytest.raises(RasterUnreadable, match="a single band"),
        rasterio.open(virtual_with_palette(tmp_path)) as dataset,
    ):
        profile_of(dataset)


def virtual_with_palette(folder):
    """A VRT of two bands, the first with a palette, which no TIFF can hold."""
    path = write(folder / "a.tif", land_cover().repeat(2, 0))
    bands = "".join(
        f"""<VRTRasterBand dataType="Byte" band="{n}"><ColorInterp>{kind}</ColorInterp>{table}
        <SimpleSource><SourceFilename relativeToVRT="1">{path.name}</SourceFilename>
        <SourceBand>{n}</SourceBand></SimpleSource></VRTRasterBand>"""
        for n, kind, table in (
            (1, "Palette", '<ColorTable><Entry c1="1" c2="2" c3="3" c4="255"/></ColorTable>'),
            (2, "Gray", ""),
        )
    )
    vrt = folder / "a.vrt"
    vrt.write_text(f'<VRTDataset rasterXSize="160" rasterYSize="160">{bands}</VRTDataset>')
    return vrt


@pytest.mark.parametrize("names", [(1, 300), (7, 65_000)])
def test_a_class_that_the_layer_cannot_hold_is_refused(editors, tmp_path, names):
    path = write(tmp_path / "a.tif", land_cover())
    other = write(tmp_path / "b.tif", land_cover(names=names, seed=5, dtype="uint16"))
    with pytest.raises(CannotEdit, match=f"the class {names[1]}, which"):
        run(editors, path, tmp_path / "o", "fill", square(5, 5, 55, 55), other)


def test_brightness_is_not_copied_into_classes(editors, tmp_path):
    path = write(tmp_path / "a.tif", land_cover())
    other = write(tmp_path / "b.tif", in_type(scene(1, 160, 160), "float32"))
    with pytest.raises(CannotEdit, match="holds float32 numbers"):
        run(editors, path, tmp_path / "o", "fill", square(5, 5, 55, 55), other)


@pytest.mark.parametrize("nodata", [7, 20])
def test_what_is_nodata_here_is_not_copied(editors, tmp_path, nodata):
    path = write(tmp_path / "a.tif", land_cover(names=(1, 40)), nodata=nodata)
    other = write(tmp_path / "b.tif", land_cover(names=(1, nodata, 60), seed=5))
    _, after, _, _ = run(editors, path, tmp_path / "o", "fill", square(5, 5, 55, 55), other)
    assert set(np.unique(after)) <= {1, 40, 60}
