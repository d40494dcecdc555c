"""Layers of colours made from near infrared or radar: a new layer on the same grid, empty outside
the polygons."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import rasterio
from affine import Affine
from landbrush.server.models import colours, pixel_network
from landbrush.server.operators import radar
from rasterio.enums import ColorInterp

from tests.conftest import DATA, ROOT
from tests.server.conftest import RGB, finished, in_type, inputs, scene, square, write

ROTATED = Affine(8, 3, 500_000, 2, -9, 4_000_000)


def run(client, process, path, **more):
    """The job's last state, and the result's bytes where there is one."""
    with rasterio.open(path) as source:
        wanted = inputs(path, more.pop("ring", square(0, 0, source.width, source.height)), **more)
    info = finished(
        client,
        client.post(f"/processes/{process}/execution", json={"inputs": wanted}).get_json()["jobID"],
    )
    return info, client.get(f"/jobs/{info['jobID']}/results/result.tif").data


def backscatter(height=90, width=110):
    """VV and VH in dB: a lake in the middle of fields."""
    rng = np.random.default_rng(3)
    vv, vh = -9 + rng.normal(0, 1, (height, width)), -16 + rng.normal(0, 1, (height, width))
    vv[30:60, 40:80] -= 13
    vh[30:60, 40:80] -= 13
    return np.stack([vv, vh]).astype(np.float32)


@pytest.mark.parametrize("transform", [None, ROTATED])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_colours_from_the_near_infrared_band_of_a_layer(client, tmp_path, dtype, transform):
    path = write(
        tmp_path / "a.tif",
        in_type(scene(4, 90, 110), dtype),
        transform=transform,
        nodata=0,
        colorinterp=(*RGB, ColorInterp.undefined),
        descriptions=("red", "green", "blue", "nir"),
    )
    info, result = run(
        client, "infrared-colours", path, ring=square(20, 30, 70, 80), output={"area": "layer"}
    )
    assert info["status"] == "successful", info["message"]
    with (
        rasterio.MemoryFile(result) as memory,
        memory.open() as written,
        rasterio.open(path) as source,
    ):
        assert (written.count, written.dtypes[0], written.nodata, written.colorinterp) == (
            3,
            "uint8",
            0,
            RGB,
        )
        assert (
            written.crs == source.crs
            and written.transform == source.transform
            and written.shape == source.shape
        )
        assert written.descriptions == ("red (synthetic)", "green (synthetic)", "blue (synthetic)")
        assert all("LANDBRUSH_SYNTHETIC" in written.tags(band) for band in (1, 2, 3))
        valid = written.dataset_mask() > 0
        assert valid[30:80, 20:70].all() and valid.sum() == 50 * 50


@pytest.mark.parametrize("kind", ["dB", "power", "bytes", "VV alone", "VH alone"])
def test_colours_from_radar_show_its_water(client, tmp_path, kind):
    values, names = backscatter(), ("VV", "VH")
    if kind == "power":
        values = 10 ** (values / 10)
    if kind == "bytes":
        values = np.clip((values[:1] + 25) / 25 * 255, 0, 255).astype(np.uint8)
        names = ("VV",)
    if "alone" in kind:
        values, names = (values[:1], ("VV",)) if kind[:2] == "VV" else (values[1:], ("VH",))
    if values.dtype.kind == "f":
        values[:, :5] = np.nan
    path = write(
        tmp_path / "a.tif",
        values,
        nodata=np.nan if values.dtype.kind == "f" else None,
        descriptions=names,
    )
    info, result = run(client, "radar-colours", path)
    assert info["status"] == "successful", info["message"]
    notes = client.get(f"/jobs/{info['jobID']}/results/manifest.json").get_json()["notes"]
    assert any("radar measures none" in note for note in notes)
    assert any("power" in note for note in notes) == (kind == "power") and any(
        "bytes" in n for n in notes
    ) == (kind == "bytes")
    with rasterio.MemoryFile(result) as memory, memory.open() as written:
        made, valid = written.read().astype(int), written.dataset_mask() > 0
        assert valid[5:].all() and (kind == "bytes" or not valid[:5].any())
        lake, field = made[:, 35:55, 45:75].mean((1, 2)), made[:, 65:85].mean((1, 2))
        assert lake.sum() < 150 < field.sum() and lake[2] > lake[0] and field[2] < field[0]


@pytest.mark.parametrize(
    ("process", "words"),
    [("radar-colours", "needs radar bands"), ("infrared-colours", "near-infrared band")],
)
def test_a_layer_without_that_band_is_refused(client, rgb, process, words):
    info, _ = run(client, process, rgb)
    assert (
        info["status"] == "failed"
        and words in info["message"]
        and "red, green, blue" in info["message"]
    )


def test_every_changed_band_is_marked_and_no_other(client, tmp_path):
    values = in_type(scene(4, 90, 110), "uint8")
    values[3] = 255
    path = write(tmp_path / "a.tif", values, colorinterp=(*RGB, ColorInterp.alpha))
    info, result = run(client, "snow", path, ring=square(20, 30, 70, 80))
    assert info["status"] == "successful"
    with rasterio.MemoryFile(result) as memory, memory.open() as written:
        marked = [
            "inside the polygons" in written.tags(band).get("LANDBRUSH_SYNTHETIC", "")
            for band in (1, 2, 3, 4)
        ]
    assert marked == [True, True, True, False]


@pytest.mark.parametrize(
    ("values", "wanted", "words"),
    [
        ([-3.0, -10, -20], [-3, -10, -20], "taken for dB"),
        ([1.0, 0.1, 0.01], [0, -10, -20], "linear power"),
        (np.array([0, 51, 255], np.uint8), [-25, -20, 0], "bytes"),
        (np.array([100, 1000, 10], np.uint16), [-11, 9, -31], "amplitudes"),
        (np.array([-1234, -500, 100], np.int16), [-12.34, -5, 1], "hundredths"),
    ],
)
def test_decibels(values, wanted, words):
    values = np.asarray(values)
    unit = radar.Unit.of(values[None])
    assert np.allclose(unit.decibels(values), wanted, atol=1e-4) and words in unit.said


def test_one_odd_pixel_does_not_turn_power_into_decibels(client, tmp_path):
    """And what the numbers are is told once for a layer, not for each window."""
    values = 10 ** (backscatter() / 10)
    values[0, 3, 3] = -1e-5
    path = write(tmp_path / "a.tif", values, descriptions=("VV", "VH"))
    whole, _ = made_colours(client, path)
    amplitudes = write(
        tmp_path / "b.tif",
        (1000 * np.sqrt(np.maximum(values, 0))).astype(np.uint16),
        descriptions=("VV", "VH"),
    )
    lake, _ = made_colours(
        client, amplitudes, ring=square(45, 35, 75, 55), output={"area": "layer"}
    )
    assert whole[:, 35:55, 45:75].mean((1, 2)).sum() < 150 < whole[:, 65:85].mean((1, 2)).sum()
    assert lake[:, 36:54, 46:74].mean((1, 2)).sum() < 150


def made_colours(client, path, **more):
    info, result = run(client, "radar-colours", path, **more)
    assert info["status"] == "successful", info["message"]
    with rasterio.MemoryFile(result) as memory, memory.open() as written:
        return written.read().astype(int), info


def test_speckle_goes_and_edges_stay():
    rng = np.random.default_rng(0)
    clean = np.where(np.arange(200) < 100, -20.0, -5.0)[None].repeat(200, 0)
    noisy = clean + 10 * np.log10(rng.gamma(4.4, 1 / 4.4, clean.shape))
    calm = radar.without_speckle(noisy)
    assert calm[:, :95].std() < 0.5 * noisy[:, :95].std()
    assert calm[20:-20, 103].mean() - calm[20:-20, 96].mean() > 12


def test_strips_do_not_show(monkeypatch):
    band, valid = scene(1, 300, 120)[0].astype(np.float32), np.ones((300, 120), bool)
    whole = colours.colours(band, valid)
    monkeypatch.setattr(pixel_network, "STRIP", 64)
    assert np.allclose(colours.colours(band, valid), whole, atol=1e-4)


@pytest.mark.skipif(
    not (DATA / "naip_landsat_timeseries").is_dir(), reason="needs NAIP imagery (LANDBRUSH_DATA)"
)
def test_the_shipped_weights_beat_brightness_alone_where_they_were_not_trained(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    spec = importlib.util.spec_from_file_location(
        "train_colours", ROOT / "scripts" / "train_colours.py"
    )
    train = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(train)
    dates = train.dates(DATA)
    image = dates.pop(max(dates))
    valid, where = image.min(0) > 0, train.east_of(image)
    plain = train.per_pixel(image[3], valid) @ train.baseline(
        [other[:, :, : train.WEST_PX] for other in dates.values()]
    )
    ours = train.scores(image[:3], colours.colours(image[3], valid), where)
    theirs = train.scores(image[:3], plain.transpose(2, 0, 1), where)
    assert ours[0] > theirs[0] and ours[1] < theirs[1], (ours, theirs)
