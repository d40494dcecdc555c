"""Generating into empty extents of any CRS and into polygons: grid, ground size, prompt,
adapter."""

from __future__ import annotations

import math

import numpy as np
import pyproj
import pytest
import rasterio
import rasterio.shutil
import torch
from landbrush.server.contract.message import ContractError
from landbrush.server.contract.requests import Extent, RasterRef
from landbrush.server.diffusion.families import sd
from landbrush.server.diffusion.placement import WHOLE, Placement
from landbrush.server.editing.new_ground import blank, finer
from landbrush.server.editors.models import Models
from landbrush.server.editors.prompt_parts import composed, level_of
from landbrush.server.ground.errors import BadRequest
from landbrush.server.raster.raster import opened, profile_of
from landbrush.server.raster.sensor import satellite_of
from landbrush.server.raster.source_type import EDITED, MADE, source_type_of
from landbrush.server.store import own
from landbrush.server.store.importing import Arrival, import_model
from safetensors.torch import load_file

from tests.server import tiny_pipelines
from tests.server.conftest import RGB, finished, in_type, inputs, model_of, office, scene, write

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.slow]
PLACES = {
    "EPSG:32617": (400000, 3285000, 400200, 3285150),
    "EPSG:4326": (11.5, 48.1, 11.503, 48.102),
    "EPSG:3857": (1280000, 6130000, 1280300, 6130200),
    "EPSG:2056": (2600000, 1200000, 2600180, 1200120),
    "EPSG:2180": (500000, 300000, 500180, 300120),  # whose authority names north first
}


@pytest.fixture(scope="module")
def stick(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stick")
    return [tiny_pipelines.build(model_id, folder) for model_id in ("sd15", "text2earth", "mmm-rs")]


def brought(models, stick):
    """Have the models, the first also as one that is trained at 128 pixels."""
    for folder in stick:
        import_model(models.store, Arrival(models.store.entry(folder.name), True), folder)
    tiny = own.described("tiny", models.store.entry("sd15"), native_px=128)
    import_model(models.store, Arrival(tiny, True), stick[0])
    own.remember(models.store, tiny)


@pytest.fixture(scope="module")
def shared(stick, tmp_path_factory):
    """A client of a server with the models, whose workers stay."""
    home = tmp_path_factory.mktemp("home")
    brought(Models(home), stick)
    with office(home, tmp_path_factory.getbasetemp()) as client:
        yield client


@pytest.fixture
def ready(request, stick):
    """A client of a server with the models: one of its own for a test that reaches into it."""
    if not request.node.get_closest_marker("in_process"):
        return request.getfixturevalue("shared")
    brought(request.getfixturevalue("models"), stick)
    return request.getfixturevalue("client")


def request(crs, gsd_m, **more):
    xmin, ymin, xmax, ymax = more.pop("place", PLACES.get(crs))
    ring = [[xmin, ymin], [xmax, ymin], [xmax, ymax], [xmin, ymax], [xmin, ymin]]
    return {
        "raster": {
            "extent": {"xmin": xmin, "ymin": ymin, "xmax": xmax, "ymax": ymax, "crs": crs},
            "gsd_m": gsd_m,
        },
        "polygons": {"geometry": {"type": "Polygon", "coordinates": [ring]}},
        "prompt": "a town with many roofs",
        "options": {"model": "tiny", "steps": 2, **more.pop("options", {})},
        **more,
    }


def drawn(client, wanted):
    reply = client.post("/processes/generate/execution", json={"inputs": wanted})
    assert reply.status_code == 201, reply.get_json()
    info = finished(client, reply.get_json()["jobID"])
    assert info["status"] == "successful", info["message"]
    return client.get(f"/jobs/{info['jobID']}/results/result.tif").data, client.get(
        f"/jobs/{info['jobID']}/results/manifest.json"
    ).get_json()


@pytest.mark.parametrize("crs", PLACES)
@pytest.mark.parametrize("gsd_m", [0.6, 2.5])
def test_a_new_raster_has_the_crs_extent_and_ground_size_that_were_asked_for(ready, crs, gsd_m):
    result, manifest = drawn(ready, request(crs, gsd_m))
    xmin, _, xmax, ymax = PLACES[crs]
    with rasterio.MemoryFile(result) as memory, memory.open() as written:
        profile = profile_of(written)
        assert pyproj.CRS.from_wkt(written.crs.to_wkt()) == pyproj.CRS.from_user_input(crs)
        assert (written.transform.c, written.transform.f) == (xmin, ymax)
        assert (
            written.bounds.right - xmax < written.transform.a
            and written.bounds.right >= xmax - 1e-9
        )
        assert profile.gsd_m == pytest.approx(gsd_m, rel=2e-3) and profile.aspect == pytest.approx(
            1, rel=2e-3
        )
        assert written.count == 3 and written.dtypes[0] == "uint8"
        pixels = written.read()
        assert min(pixels.any(0).any(0).all(), pixels.any(0).any(1).all()), (
            "a row or column is empty"
        )
        assert 40 < pixels.mean() < 215 and manifest["gate"]["pixels_outside"] == 0
        assert [c.name for c in written.colorinterp] == ["red", "green", "blue"] and written.tags()[
            "AI_GENERATED"
        ] == "TRUE"
    assert manifest["gsd_m"] == pytest.approx(gsd_m, rel=2e-3)
    assert (
        manifest["editor_facts"]["prompt_used"]
        == f"Satellite imagery, {level_of(gsd_m)}, a town with many roofs"
    )


def test_the_prompt_is_composed_of_parts():
    parts = {
        "modality": "Satellite imagery",
        "gsd_level": "automatic",
        "weather": "night",
        "category": "built-up",
        "satellite": "GF2",
        "dataset": "GID",
    }
    assert composed("a city", parts, 0.3) == (
        "Satellite imagery, Ultra-high precision resolution, night, built-up, a city, GF2, GID"
    )
    assert composed("a city", {**dict.fromkeys(parts, ""), "gsd_level": "none"}, 0.3) == "a city"
    assert composed("a", {**parts, "gsd_level": "Low precision resolution"}, 0.3).startswith(
        "Satellite imagery, Low precision"
    )
    assert [level_of(gsd) for gsd in (0.5001, 0.52, 9, 100)] == [
        "Ultra-high precision resolution",
        "High precision resolution",
        "Medium precision resolution",
        "Low precision resolution",
    ]


def test_published_settings_and_what_changes_the_picture(ready):
    wanted = request("EPSG:32617", 1.5, place=(0, 0, 192, 192))
    first, manifest = drawn(ready, wanted)
    assert (
        manifest["editor_facts"]["scheduler"] == "DPM++ 2M Karras"
        and manifest["editor_facts"]["guidance_scale"] == 7.5
    )
    assert manifest["editor_facts"]["strength"] == 1.0
    pixels = [first]
    for change in (
        {"seed": 4},
        {"prompt": "a lake"},
        {"options": {"weather": "snow"}},
        {"options": {"guidance_scale": 2.0}},
        {"options": {"model": "mmm-rs", "gsd_m": 3.0}},
    ):
        pixels.append(
            drawn(
                ready,
                {**wanted, **change, "options": {**wanted["options"], **change.get("options", {})}},
            )[0]
        )
    assert drawn(ready, wanted)[0] == first and len(set(pixels)) == len(pixels)


@pytest.mark.in_process
def test_text2earth_is_told_the_level(ready, monkeypatch):

    seen = []
    level = sd.level_of
    monkeypatch.setattr(sd, "level_of", lambda gsd: seen.append(level(gsd)) or seen[-1])
    _, manifest = drawn(
        ready, request("EPSG:32617", 2.0, place=(0, 0, 512, 512), options={"model": "text2earth"})
    )
    assert (
        seen == [16]
        and manifest["editor_facts"]["scheduler"] == "Euler"
        and manifest["editor_facts"]["guidance_scale"] == 4.0
    )


def test_larger_than_the_model_it_is_tiled(ready):
    result, manifest = drawn(ready, request("EPSG:32617", 1.0, place=(0, 0, 300, 200)))
    assert manifest["editor_facts"]["model_grid"] == [256, 320]
    with rasterio.MemoryFile(result) as memory, memory.open() as written:
        assert written.shape == (200, 300)


def test_into_polygons_of_a_layer(ready, rgb):
    from tests.server.conftest import inputs

    wanted = inputs(
        rgb, prompt="a lake", options={"model": "tiny", "steps": 2}, output={"area": "layer"}
    )
    result, _ = drawn(ready, wanted)
    with (
        rasterio.MemoryFile(result) as memory,
        memory.open() as written,
        rasterio.open(rgb) as source,
    ):
        changed = (written.read() != source.read()).any(0)
        assert changed[60:100, 60:100].mean() > 0.5
        changed[60:100, 60:100] = False
        assert not changed.any()


def test_the_adapter_changes_network_and_text_encoder_by_its_factors(models, stick):
    """W + alpha / rank * up @ down, in both, under kohya's names."""
    brought(models, stick)
    place = Placement("cpu", torch.float32, WHOLE, 0.0, 1.0)
    plain, adapted = (
        model_of(models, models.store.entry("sd15"), place),
        model_of(models, models.store.entry("mmm-rs"), place),
    )
    factors = load_file(next(stick[2].glob("*.safetensors")))
    for part, prefix in (("unet", "lora_unet_"), ("text_encoder", "lora_te_text_model_")):
        before, after, touched = (
            dict(plain.part(part).named_parameters()),
            dict(adapted.part(part).named_parameters()),
            0,
        )
        for name, weight in before.items():
            module = prefix + name.removesuffix(".weight").removeprefix("text_model.").replace(
                ".", "_"
            )
            if f"{module}.lora_up.weight" in factors:
                change = (
                    2.0
                    * factors[f"{module}.lora_up.weight"]
                    @ factors[f"{module}.lora_down.weight"]
                )
                assert torch.allclose(after[name], weight + change, atol=1e-5)
                touched += 1
            else:
                assert torch.equal(after[name], weight)
        assert touched >= 4


def test_what_cannot_be_made_is_said(client, tmp_path):
    with pytest.raises(ContractError, match="an extent with crs and gsd_m"):
        RasterRef(extent=Extent(0, 0, 1, 1))
    with pytest.raises(ContractError, match="give upload or path"):
        RasterRef(path="a", upload="b", extent=Extent(0, 0, 1, 1, "EPSG:4326"), gsd_m=1)
    with pytest.raises(BadRequest, match="is not a CRS"):
        blank(Extent(0, 0, 1, 1, "EPSG:nothing"), 1.0, tmp_path)
    with pytest.raises(BadRequest, match="neither projected nor geographic"):
        blank(Extent(0, 0, 10, 10, "EPSG:4978"), 1.0, tmp_path)
    with pytest.raises(BadRequest, match="at least 0.001 m"):
        blank(Extent(0, 0, 10, 10, "EPSG:4326"), 1e-300, tmp_path)
    with pytest.raises(BadRequest, match="at most 100,000 a side"):
        blank(Extent(-9e14, 0, 9e14, 10, "EPSG:32617"), 1.0, tmp_path)
    with pytest.raises(ContractError, match="is no coordinate"):
        Extent(-1.7e308, 0, 1.7e308, 10, "EPSG:32617")
    with pytest.raises(BadRequest, match="at most 100,000 a side"):
        blank(Extent(0, 0, 10, 10, "EPSG:4326"), 0.1, tmp_path)
    with pytest.raises(BadRequest, match="is no place of|measures no ground"):
        blank(Extent(1e9, 1e9, 1e9 + 10, 1e9 + 10, "EPSG:32617"), 1.0, tmp_path)
    assert not list(tmp_path.glob("*blank*"))
    reply = client.post(
        "/processes/generate/execution", json={"inputs": request("EPSG:32617", 1.0)}
    )
    assert reply.status_code in (404, 422) and "tiny" in reply.get_json()["detail"]
    reply = client.post(
        "/processes/snow/execution", json={"inputs": {**request("EPSG:32617", 1.0), "options": {}}}
    )
    assert reply.status_code == 400 and "new ground is empty" in reply.get_json()["detail"]
    wanted = {**request("EPSG:32617", 1.0), "options": {}}
    reply = client.post("/processes/generate/execution", json={"inputs": wanted})
    assert reply.status_code == 422 and "models import" in reply.get_json()["detail"]


def test_empty_ground_is_the_same_file_for_the_same_wish(tmp_path):
    extent = Extent(11.5, 48.1, 11.51, 48.105, "EPSG:4326")
    first = blank(extent, 1.0, tmp_path)
    assert blank(extent, 1.0, tmp_path) == first and len(list(tmp_path.iterdir())) == 1
    with opened(first) as dataset:
        assert not dataset.read().any() and (dataset.dataset_mask() == 255).all()
        assert dataset.width == math.ceil(0.01 / dataset.transform.a - 1e-6)
        assert np.isclose(profile_of(dataset).gsd_m, 1.0, rtol=1e-3)


def test_the_same_ground_finer(ready, tmp_path):
    """Coarse first, then its middle drawn finer: on its own grid, from what is there, with the
    ground size in words."""
    xmin, ymin, xmax, ymax = PLACES["EPSG:32617"]
    coarse, about = drawn(
        ready, request("EPSG:32617", 4.0, place=(xmin - 300, ymin - 300, xmax + 300, ymax + 300))
    )
    assert "Medium precision" in about["editor_facts"]["prompt_used"]
    (tmp_path / "coarse.tif").write_bytes(coarse)
    with rasterio.open(tmp_path / "coarse.tif") as source:
        assert source_type_of(str(source.tags(ns="xml:XMP"))) == MADE
    with rasterio.open(tmp_path / "coarse.tif") as source:
        other = source.read()[:, ::-1, ::-1]
        with rasterio.open(tmp_path / "other.tif", "w", **source.profile) as out:
            out.write(other)
    results = {}
    for name in ("coarse", "other"):
        for strength in (0.0, 1.0):
            wanted = request("EPSG:32617", 1.0, options={"strength": strength, "steps": 4})
            wanted["raster"]["path"] = str(tmp_path / f"{name}.tif")
            result, manifest = drawn(ready, wanted)
            with rasterio.MemoryFile(result) as memory, memory.open() as written:
                assert source_type_of(str(written.tags(ns="xml:XMP"))) == EDITED
                assert abs(profile_of(written).gsd_m - 1) < 0.01 and written.shape == (151, 201)
                assert (
                    abs(written.bounds.left - xmin) < 1e-6 and abs(written.bounds.top - ymax) < 1e-6
                )
                results[name, strength] = written.read().astype(int)
            assert "High precision" in manifest["editor_facts"]["prompt_used"]
            assert manifest["editor_facts"]["strength"] == (strength or 0.6)
    led, free = (
        np.abs(results["coarse", strength] - results["other", strength]).mean()
        for strength in (0.0, 1.0)
    )
    assert led > 2 and led > 20 * free


def test_what_cannot_be_made_finer_is_said(ready, tmp_path, rgb):
    with rasterio.open(rgb) as source:
        left, bottom, right, top = source.bounds
        crs = source.crs.to_string()
    wanted = request(crs, 1.0, place=(left - 50, bottom, right, top))
    wanted["raster"]["path"] = str(rgb)
    reply = ready.post("/processes/generate/execution", json={"inputs": wanted})
    assert reply.status_code == 400 and "of the extent" in reply.get_json()["detail"]
    wanted = request(crs, 0.01, place=(left, bottom, right, top))
    wanted["raster"]["path"] = str(rgb)
    reply = ready.post("/processes/generate/execution", json={"inputs": wanted})
    assert reply.status_code == 400 and "finer at once" in reply.get_json()["detail"]
    wanted = request(crs, 1.0, place=(left, bottom, right, top))
    wanted["raster"]["path"] = "/etc/passwd"
    assert ready.post("/processes/generate/execution", json={"inputs": wanted}).status_code == 403


@pytest.mark.parametrize(
    ("name", "tags", "words"),
    [
        ("m_4709963_se_14_1_20200831.tif", {}, "NAIP"),
        ("S2A_MSIL2A_20200101T0.tif", {}, "Sentinel-2"),
        ("T32TPS_20200101_B04.jp2", {}, "Sentinel-2"),
        ("LC08_L2SP_193026.tif", {}, "Landsat 8"),
        ("GF2_PMS1__x.tif", {}, "GF2"),
        ("S1A_IW_GRDH.tif", {}, "Sentinel-1"),
        ("ortho.tif", {"platform": "Pleiades_Neo"}, "Pleiades Neo"),
        ("ortho.tif", {}, ""),
        ("ortho.tif", {"SENSOR": "x" * 60}, ""),
    ],
)
def test_the_satellite_is_told_from_tags_and_names(tmp_path, name, tags, words):
    path = write(tmp_path / "a.tif", np.zeros((3, 8, 8), np.uint8))
    with rasterio.open(path, "r+") as out:
        out.update_tags(**tags)
    with opened(path) as dataset:
        assert satellite_of(profile_of(dataset), f"/data/{name}") == words


def test_the_satellite_stands_in_the_prompt_unless_said_otherwise(ready, rgb):
    path = rgb.rename(rgb.with_name("m_4709963_se_14_1_20200831.tif"))
    for given, words in (
        ({}, ", NAIP"),
        ({"satellite": "GF2"}, ", GF2"),
        ({"satellite": ""}, "roofs"),
    ):
        wanted = inputs(path, prompt="roofs", options={"model": "tiny", "steps": 2, **given})
        _, manifest = drawn(ready, wanted)
        assert manifest["editor_facts"]["prompt_used"].endswith(words), manifest["editor_facts"]


@pytest.mark.parametrize("gsd_m", [0.7, 1.0, 2.3, 10.0])
def test_the_whole_of_a_layer_can_be_made_finer_or_coarser(tmp_path, gsd_m):
    """Its own extent, whatever whole pixels that is enlarged to."""
    path = write(tmp_path / "a.tif", in_type(scene(3, 60, 70), "uint16"), colorinterp=RGB)
    with rasterio.open(path) as source:
        extent = Extent(*source.bounds, source.crs.to_string())
    with opened(
        finer(path, RasterRef(path=str(path), extent=extent, gsd_m=gsd_m), {}, tmp_path)
    ) as made:
        assert (made.read().max(axis=0) > 0).all() and made.dtypes[0] == "uint8"


def test_finer_ground_takes_the_bands_that_are_stated(ready, tmp_path):
    values = np.zeros((5, 60, 70), np.uint8)
    values[4], values[2], values[0] = 200, 100, 50
    path = write(tmp_path / "five.tif", values)
    with rasterio.open(path) as source:
        extent = Extent(*source.bounds, source.crs.to_string())
    ref = RasterRef(path=str(path), extent=extent, gsd_m=1.0)
    with pytest.raises(BadRequest, match="names no red, green and blue"):
        finer(path, ref, {}, tmp_path)
    with opened(finer(path, ref, {"red": 5, "green": 3, "blue": 1}, tmp_path)) as made:
        assert made.read([1, 2, 3])[:, 20, 20].tolist() == [200, 100, 50]
    wanted = request(extent.crs, 1.0, place=(extent.xmin, extent.ymin, extent.xmax, extent.ymax))
    wanted["raster"]["path"] = str(path)
    drawn(ready, {**wanted, "band_roles": {"red": 5, "green": 3, "blue": 1}})


def test_finer_ground_is_made_anew_when_its_source_changed(tmp_path):
    path = write(tmp_path / "a.tif", np.full((3, 60, 70), 60, np.uint8), colorinterp=RGB)
    virtual = tmp_path / "a.vrt"
    rasterio.shutil.copy(path, virtual, driver="VRT")
    with rasterio.open(path) as source:
        ref = RasterRef(path="x", extent=Extent(*source.bounds, source.crs.to_string()), gsd_m=1.0)
    first = finer(virtual, ref, {}, tmp_path)
    assert finer(virtual, ref, {}, tmp_path) == first
    write(path, np.full((3, 60, 70), 160, np.uint8), colorinterp=RGB)
    with opened(finer(virtual, ref, {}, tmp_path)) as made:
        assert made.read(1)[20, 20] == 160
