"""What layers tell of the ground, and the land cover as a layer, through the server."""

from __future__ import annotations

import json

import numpy as np
import pytest
import rasterio
from landbrush.server.contract.message import ContractError
from landbrush.server.contract.requests import EditRequest
from landbrush.server.operators.ground import Ground
from landbrush.server.scene.classes import CLASSES, PALETTE, TITLES
from landbrush.server.scene.parse import understood
from scipy import ndimage

from tests.server.conftest import RGB, finished, in_type, inputs, ring, scene, square, write
from tests.server.towns import NETWORK, ROLES, town


def _run(client, process, wanted):
    answer = client.post(f"/processes/{process}/execution", json={"inputs": wanted})
    return finished(client, answer.get_json()["jobID"])


def test_land_cover_is_a_layer_of_named_classes(client, tmp_path):
    image, roof, road, _ = town()
    path = write(tmp_path / "a.tif", in_type(image, "uint8"), colorinterp=RGB)
    houses = [square(20 + 60 * n, 30, 50 + 60 * n, 54) for n in range(2)]
    known = [{"kind": "roof", "polygons": {"geometry": ring(path, house)}} for house in houses]
    info = _run(
        client,
        "land-cover",
        inputs(path, square(0, 0, 240, 240), known=known, output={"area": "layer"}),
    )
    assert info["status"] == "successful", info["message"]
    results = f"/jobs/{info['jobID']}/results"
    made = tmp_path / "cover.tif"
    made.write_bytes(client.get(f"{results}/result.tif").data)
    names = client.get(f"{results}/result.tif.aux.xml").get_data(as_text=True)
    with rasterio.open(made) as found, rasterio.open(path) as source:
        numbers = found.read(1)
        assert found.count == 1 and found.nodata == 0 and found.transform == source.transform
        assert found.colormap(1)[1] == PALETTE[1]
        assert "AI_GENERATED" in found.tags()
    assert (numbers[34:50, 24:46] == 1).mean() > 0.9
    assert set(np.unique(numbers)) <= set(range(1, len(CLASSES) + 2))
    assert all(title in names for title in TITLES.values())
    manifest = client.get(f"{results}/manifest.json").get_json()
    assert "layers of the user" in json.dumps(manifest)


def test_land_cover_of_radar_is_refused(editors):
    from landbrush.server.editors.base import Scene
    from landbrush.server.ground.errors import CannotEdit

    editor = editors.get("land-cover")
    whole = np.ones((40, 40), bool)
    radar = Scene(np.zeros((2, 40, 40), np.float32), whole, whole, ("vv", "vh"), 10.0)
    with pytest.raises(CannotEdit, match="radar"):
        editor.edit(radar, "", editor.parse({}), 0, lambda *a: None)


def test_known_ground_changes_the_flood_and_stays_outside_the_promise(client, tmp_path):
    # Even ground: in noise the parser sees roofs of its own.
    even = 0.4 + 0.02 * np.random.default_rng(0).standard_normal((3, 160, 160))
    path = write(tmp_path / "a.tif", in_type(even, "uint8"), colorinterp=RGB)
    results = []
    for known in (
        [],
        [{"kind": "roof", "polygons": {"geometry": ring(path, square(60, 60, 100, 90))}}],
    ):
        wanted = inputs(
            path,
            square(20, 20, 140, 140),
            known=known,
            output={"area": "layer"},
            options={"level_m": 1.0},
        )
        info = _run(client, "flood", wanted)
        assert info["status"] == "successful", info["message"]
        data = client.get(f"/jobs/{info['jobID']}/results/result.tif").data
        with rasterio.MemoryFile(data) as memory, memory.open() as made:
            results.append(made.read().astype(int))
    with rasterio.open(path) as source:
        plain = source.read().astype(int)
    roof = (slice(None), slice(66, 84), slice(66, 94))
    assert np.abs(results[1] - plain)[roof].mean() < 3 < np.abs(results[0] - plain)[roof].mean()
    outside = np.ones((160, 160), bool)
    outside[20:140, 20:140] = False
    assert (results[1][:, outside] == plain[:, outside]).all()


def test_known_ground_that_lies_elsewhere_tells_nothing(client, tmp_path):
    path = write(tmp_path / "a.tif", in_type(scene(3, 120, 120), "uint8"), colorinterp=RGB)
    far = [{"kind": "roof", "polygons": {"geometry": ring(path, square(5000, 60, 5100, 90))}}]
    info = _run(client, "snow", inputs(path, square(20, 20, 100, 100), known=far))
    assert info["status"] == "successful", info["message"]


SQUARE = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}


@pytest.mark.parametrize(
    ("known", "said"),
    [
        ([{"kind": "roof", "polygons": {"geometry": {"type": "Point"}}}], "Polygon"),
        ([{"kind": "lava", "polygons": {"geometry": SQUARE}}], "kind"),
        ("roof", "known"),
        ([{"kind": "roof", "polygons": {"geometry": SQUARE}}] * 51, "known"),
    ],
)
def test_known_ground_is_checked(known, said):
    with pytest.raises(ContractError, match=said):
        EditRequest.from_json(
            {"raster": {"path": "a.tif"}, "polygons": {"geometry": SQUARE}, "known": known}
        )


def test_a_picture_without_a_place_gets_one_ground_size_that_is_said(client, tmp_path):
    """However many polygons there are; a raster that states its pixels' size keeps it."""
    image, *_ = town(600)
    picture = tmp_path / "photo.png"
    from PIL import Image

    Image.fromarray((image * 255).astype(np.uint8).transpose(1, 2, 0)).save(picture)
    corners = (
        [[20, 20], [80, 20], [80, 80], [20, 20]],
        [[520, 500], [580, 500], [580, 580], [520, 500]],
    )
    shape = {"type": "MultiPolygon", "coordinates": [[ring_] for ring_ in corners]}
    wanted = {
        "raster": {"path": str(picture)},
        "polygons": {"geometry": shape, "crs": "pixels"},
        "seed": 0,
    }
    info = _run(client, "snow", wanted)
    assert info["status"] == "successful", info["message"]
    manifest = client.get(f"/jobs/{info['jobID']}/results/manifest.json").get_json()
    assert len([note for note in manifest["notes"] if "does not say how large" in note]) == 1
    path = tmp_path / "plain.tif"
    write(path, in_type(image, "uint8"), colorinterp=RGB)
    info = _run(client, "snow", inputs(path, square(20, 20, 80, 80)))
    manifest = client.get(f"/jobs/{info['jobID']}/results/manifest.json").get_json()
    assert not [note for note in manifest["notes"] if "does not say how large" in note]


def test_a_crop_of_sixteen_bits_is_no_water(client, tmp_path):
    """Near infrared that is stretched by itself would say so."""
    rng = np.random.default_rng(0)
    field = np.array([500, 400, 350, 3000])[:, None, None] + rng.normal(0, 40, (4, 160, 160))
    path = write(tmp_path / "crop.tif", field.astype(np.uint16))
    roles = {"red": 1, "green": 2, "blue": 3, "nir": 4}
    for process, least in (("snow", 0.8), ("season", 0.5)):
        options = {"season": "drought"} if process == "season" else {}
        wanted = inputs(path, square(20, 20, 140, 140), band_roles=roles, options=options)
        info = _run(client, process, wanted)
        assert info["status"] == "successful", info["message"]
        gate = client.get(f"/jobs/{info['jobID']}/results/manifest.json").get_json()["gate"]
        assert gate["pixels_inside_changed"] > least * 120 * 120
    wanted = inputs(
        path, square(20, 20, 140, 140), band_roles=roles, options={"season": "low water"}
    )
    info = _run(client, "season", wanted)
    gate = client.get(f"/jobs/{info['jobID']}/results/manifest.json").get_json()["gate"]
    assert gate["pixels_inside_changed"] < 0.05 * 120 * 120


@pytest.mark.parametrize("process", ["land-cover", "season"])
def test_one_band_is_not_told_apart(client, tmp_path, process):
    rng = np.random.default_rng(0)
    path = write(tmp_path / "pan.tif", rng.integers(40, 200, (1, 120, 120)).astype(np.uint8))
    info = _run(client, process, inputs(path, square(20, 20, 100, 100)))
    assert info["status"] == "failed" and "no red, green and blue" in info["message"]


def test_layers_over_one_another_count_by_what_stands(client):
    image, roof, _, _ = town()
    ground = Ground(image, np.ones(roof.shape, bool), ROLES[:3], 0.5)
    wide = ndimage.binary_dilation(roof, iterations=12)
    for known in ({"roof": roof, "paved": wide}, {"paved": wide, "roof": roof}):
        assert understood(ground, NETWORK, known).share("roof")[roof].mean() > 0.85
