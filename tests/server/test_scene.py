"""The scene parser: what it sees, what it is told, and what operators and the land-cover layer make
of it."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from importlib.metadata import version

import numpy as np
import pytest
import rasterio
from landbrush.server.contract.message import ContractError
from landbrush.server.contract.requests import EditRequest
from landbrush.server.operators.fire import Burn, burn
from landbrush.server.operators.flood import Flood, depth_of, flood
from landbrush.server.operators.ground import Ground
from landbrush.server.operators.low_light import LowLight, low_light
from landbrush.server.operators.season import (
    AUTUMN,
    DROUGHT,
    GREEN,
    LEAFLESS,
    LOW_WATER,
    Season,
    season,
)
from landbrush.server.operators.snow import CLEARED, SNOWED_IN, Snow, snow
from landbrush.server.scene import evidence
from landbrush.server.scene.classes import CLASSES, PALETTE, TITLES
from landbrush.server.scene.known import fitted
from landbrush.server.scene.network import SceneNetwork
from landbrush.server.scene.parse import Parse, Understanding, by_rules, straightened, understood
from scipy import ndimage

from tests.server.conftest import RGB, finished, in_type, inputs, ring, scene, square, write

ROLES = ("red", "green", "blue", "nir")
NETWORK = SceneNetwork()


def town(size=240, gsd=0.5, sun=225.0, seed=0):
    """A picture of houses with shadows on a meadow, a road across it, and where each of them
    is."""
    rng = np.random.default_rng(seed)
    image = np.empty((3, size, size), np.float32)
    image[:] = np.array([0.33, 0.42, 0.24])[:, None, None]
    road = np.zeros((size, size), bool)
    road[size // 2 - 6 : size // 2 + 6] = True
    image[:, road] = 0.45
    roof = np.zeros_like(road)
    for row in (30, 160):
        for col in range(20, size - 40, 60):
            roof[row : row + 24, col : col + 30] = True
    height = np.where(roof, 5.0, 0).astype(np.float32)
    shadow = (evidence.cast(height, sun, 1.0, gsd) > 0.5) & ~roof
    image[:, roof] = np.array([0.62, 0.45, 0.4])[:, None]
    image[:, shadow] *= 0.3
    image += 0.015 * rng.standard_normal(image.shape)
    return np.clip(image, 0, 1).astype(np.float32), roof, road, shadow


def told(shape, **where):
    """A parse that is sure of what it is told, and of low vegetation elsewhere."""
    shares = np.zeros((len(CLASSES), *shape), np.float32)
    shares[CLASSES.index("low")] = 1
    for name, here in where.items():
        shares[:, here] = 0
        shares[CLASSES.index(name), here] = 1
    return Parse(shares, 225.0, ("told",))


@pytest.mark.parametrize("sun", [35.0, 120.0, 225.0, 300.0])
def test_shadows_tell_where_the_sun_stands(sun):
    _, roof, _, shadow = town(sun=sun)
    found = evidence.sun_azimuth(roof.astype(np.float32), shadow.astype(np.float32), 0.5)
    assert found is not None and abs((found - sun + 180) % 360 - 180) <= 15


def test_where_nothing_throws_a_shadow_the_sun_is_not_guessed():
    _, roof, _, _ = town()
    rng = np.random.default_rng(1)
    noise = (rng.random(roof.shape) < 0.05).astype(np.float32)
    assert (
        evidence.sun_azimuth(roof.astype(np.float32), np.zeros(roof.shape, np.float32), 0.5) is None
    )
    assert evidence.sun_azimuth(np.zeros(roof.shape, np.float32), noise, 0.5) is None


@pytest.mark.parametrize(("slope", "length"), [(1.0, 6.0), (0.5, 12.0), (2.0, 3.0)])
def test_a_cast_shadow_is_as_long_as_the_sun_is_low(slope, length):
    height = np.zeros((80, 80), np.float32)
    height[40:44, 40:44] = 6
    dark = evidence.cast(height, 180.0, slope, 1.0)
    rows = np.nonzero(dark[:, 41] > 0.5)[0]
    assert rows.max() < 40 and abs((40 - rows.min()) - length) <= 1.5


@pytest.mark.parametrize("shift", [(0, 0), (5, -4), (-7, 3)])
def test_footprints_are_moved_to_where_the_picture_shows_houses(shift):
    _, roof, _, _ = town()
    off = np.roll(roof, shift, (0, 1))
    share = 0.1 + 0.7 * roof.astype(np.float32)
    found = fitted(off, share, 0.5) > 0.5
    assert (found & roof).sum() / (found | roof).sum() > 0.93


def test_what_the_picture_does_not_show_stays_where_the_layer_has_it():
    _, roof, _, _ = town()
    flat = np.full(roof.shape, 0.2, np.float32)
    assert ((fitted(roof, flat, 0.5) > 0.5) == roof).mean() > 0.99


def test_the_users_layers_win():
    image, roof, road, _ = town()
    ground = Ground(image, np.ones(roof.shape, bool), ROLES[:3], 0.5)
    found = understood(ground, NETWORK, {"roof": roof, "paved": road})
    assert found.sources[0] == "layers of the user"
    assert found.share("roof")[roof].mean() > 0.85 and found.share("paved")[road].mean() > 0.85
    assert found.share("roof")[~roof].mean() < 0.2


def test_near_infrared_tells_leaves():
    image, roof, road, _ = town()
    near = np.where(roof | road, 0.3, 0.75).astype(np.float32)
    image = np.concatenate([image, near[None]])
    found = understood(Ground(image, np.ones(roof.shape, bool), ROLES, 0.5), NETWORK)
    green = found.share("low", "tree")
    assert "near infrared" in found.sources
    assert green[~roof & ~road].mean() > 0.7 > 0.3 > green[roof].mean()


def test_the_same_picture_gives_the_same_numbers_and_tiles_leave_no_seam(monkeypatch):
    image, *_ = town(1000)
    first, second = (NETWORK.probabilities(image, 0.5) for _ in range(2))
    assert (first == second).all() and np.allclose(first.sum(axis=0), 1, atol=1e-4)
    monkeypatch.setattr("landbrush.server.scene.network.TILE_PX", 4096)
    apart = first - NETWORK.probabilities(image, 0.5)
    assert np.abs(apart).mean() < 0.02
    # What tiles change, they change gently: no jump along a row or a column.
    for axis in (1, 2):
        assert np.abs(np.diff(apart, axis=axis)).mean(axis=(0, 3 - axis)).max() < 0.04


@pytest.mark.parametrize("gsd", [5.0, 10.0, 30.0])
def test_coarse_pixels_are_told_by_rules_and_nothing_tall_is_claimed(gsd):
    image, roof, _, _ = town()
    near = np.where(roof, 0.02, 0.7).astype(np.float32)
    ground = Ground(np.concatenate([image, near[None]]), np.ones(roof.shape, bool), ROLES, gsd)
    found = understood(ground, NETWORK)
    assert found.sources == ("index rules",) and found.sun is None
    assert not found.share("roof", "tree", "vehicle").any()
    assert found.shares.sum(axis=0).max() <= 1 + 1e-5


def test_without_colours_rules_have_to_do():
    ground = Ground(np.full((1, 40, 40), 0.4, np.float32), np.ones((40, 40), bool), ("pan",), 0.5)
    assert understood(ground, NETWORK).sources == by_rules(ground).sources


def test_flood_leaves_roofs_dry_and_takes_the_road_first():
    image, roof, road, shadow = town()
    mask = np.ones(roof.shape, bool)
    mask[:10] = mask[-10:] = mask[:, :10] = mask[:, -10:] = False
    ground = Ground(image, mask, ROLES[:3], 0.5)
    ground = replace(ground, parse=told(roof.shape, roof=roof, paved=road, shadow=shadow))
    depth = depth_of(ground, Flood(level_m=0.6), 0)
    inner = np.zeros_like(mask)
    inner[60:-60, 60:-60] = True
    assert depth[road & inner].mean() > depth[~road & ~roof & inner].mean() + 0.08
    brown, clear = (flood(ground, Flood(level_m=0.6, mud=mud), 0) for mud in (0.9, 0.2))
    wet = np.abs(brown - clear).max(axis=0) > 0.04
    assert wet[road & inner].mean() > 0.98 and wet[roof & inner].mean() < 0.05
    deep = flood(ground, Flood(level_m=8.0, mud=0.9), 0)
    assert np.abs(deep - image).max(axis=0)[roof & inner].mean() > 0.1


def test_snow_goes_by_what_lies_under_it():
    image, roof, road, shadow = town()
    pond = np.zeros_like(roof)
    pond[200:230, 100:200] = True
    ground = Ground(image, np.ones(roof.shape, bool), ROLES[:3], 0.5)
    parse = told(roof.shape, roof=roof, paved=road, shadow=shadow, water=pond)
    ground = replace(ground, parse=parse)
    made = {how: snow(ground, Snow(roads=how), 0).mean(axis=0) for how in (SNOWED_IN, CLEARED)}
    open_ground = ~(roof | road | shadow | pond)
    for one in made.values():
        assert one[open_ground].mean() > 0.8 and one[roof].mean() > 0.8
        assert abs(one[pond].mean() - image.mean(axis=0)[pond].mean()) < 0.03
    assert made[SNOWED_IN][road].mean() > 0.75 > 0.6 > made[CLEARED][road].mean()
    # What lies in the shade is blue and darker, by no more than shade is.
    blue = snow(ground, Snow(), 0)
    assert blue[2][shadow].mean() > blue[0][shadow].mean() + 0.08
    assert 0.4 < blue.mean(axis=0)[shadow].mean() < 0.75


def test_fire_takes_what_burns():
    image, roof, road, _ = town()
    ground = Ground(image, np.ones(roof.shape, bool), ROLES[:3], 0.5)
    ground = replace(ground, parse=told(roof.shape, roof=roof, paved=road))
    grass = ~roof & ~road
    for severity, houses in ((0.7, False), (1.0, True)):
        change = np.abs(burn(ground, Burn(severity=severity), 0) - image).max(axis=0)
        assert change[grass].mean() > 0.15 and change[road].mean() < 0.04
        assert (change[roof].mean() > 0.1) == houses


def test_at_night_lamps_stand_along_the_road_and_no_shadow_is_cast():
    image, roof, road, shadow = town()
    ground = Ground(image, np.ones(roof.shape, bool), ROLES[:3], 0.5)
    ground = replace(ground, parse=told(roof.shape, roof=roof, paved=road, shadow=shadow))
    dark, lit = (
        low_light(ground, LowLight(light=0.02, lamps=lamps, noise_electrons=0.0), 0)
        for lamps in (0.0, 1.0)
    )
    glow = (lit - dark).mean(axis=0)
    grass = ~roof & ~road & ~shadow
    assert glow[road].mean() > 3 * glow[grass].mean() > 0
    dusk = low_light(ground, LowLight(light=0.1, lamps=0.0, noise_electrons=0.0), 0).mean(axis=0)
    before = image.mean(axis=0)
    assert (
        dusk[shadow].mean() / dusk[grass].mean()
        > 1.5 * before[shadow].mean() / before[grass].mean()
    )


@pytest.mark.parametrize("what", [AUTUMN, LEAFLESS, DROUGHT, GREEN, LOW_WATER])
def test_seasons_change_what_grows_or_flows_and_nothing_built(what):
    image, roof, road, _ = town()
    wood, pond = np.zeros_like(roof), np.zeros_like(roof)
    wood[70:100, 20:220] = True
    pond[195:235, 60:200] = True
    image[:, wood] = np.array([0.2, 0.28, 0.16])[:, None]
    image[:, pond] = np.array([0.1, 0.16, 0.2])[:, None]
    ground = Ground(image, np.ones(roof.shape, bool), ROLES[:3], 0.5)
    parse = told(roof.shape, roof=roof, paved=road, tree=wood, water=pond)
    made = season(replace(ground, parse=parse), Season(what, 0.9), 0)
    change = np.abs(made - image).max(axis=0)
    built = ndimage.binary_erosion(roof | road, iterations=3)
    grass = ndimage.binary_erosion(~(roof | road | wood | pond), iterations=3)
    assert change[built].max() < 0.02
    red, green, blue = (band[wood].mean() for band in made)
    if what == AUTUMN:
        assert red > green + 0.03 > blue
    elif what == LEAFLESS:
        assert abs(red - green) < 0.06 and abs(green - blue) < 0.08
    elif what == GREEN:
        assert made[1][grass].mean() > 1.2 * made[0][grass].mean()
    elif what == DROUGHT:
        assert made[0][grass].mean() > made[1][grass].mean() > made[2][grass].mean()
    else:
        assert change[grass].max() < 0.02 and change[pond].mean() > 0.1
        middle = ndimage.binary_erosion(pond, iterations=19)
        assert change[pond & ~ndimage.binary_erosion(pond, iterations=5)].mean() > 0.15
        assert change[middle].mean() < 0.12


def test_the_runtime_of_the_network_reports_to_nobody():
    """onnxruntime has told its makers what runs, on all systems, since 1.29."""
    assert NETWORK.session is not None and os.environ["ORT_DISABLE_TELEMETRY"] == "1"
    assert tuple(int(part) for part in version("onnxruntime").split(".")[:2]) < (1, 29)


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
    path = write(tmp_path / "a.tif", in_type(scene(3, 160, 160), "uint8"), colorinterp=RGB)
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


@pytest.mark.parametrize("level", [0.0, -1.0, -5.0])
def test_no_water_is_no_flood(level):
    image, roof, _, _ = town()
    ground = Ground(image, np.ones(roof.shape, bool), ROLES[:3], 0.5)
    assert (flood(ground, Flood(level_m=level), 0) == image).all()


def test_in_the_middle_of_a_lake_low_water_has_no_shore():
    sea = np.full((3, 120, 120), 0.15, np.float32)
    ground = Ground(sea, np.ones((120, 120), bool), ROLES[:3], 0.5)
    parse = told((120, 120), water=np.ones((120, 120), bool))
    assert (season(replace(ground, parse=parse), Season(LOW_WATER), 0) == sea).all()


def test_roofs_have_straight_sides():
    rows, cols = np.mgrid[:80, :80]
    turned = (np.abs((rows - 40) * 0.8 + (cols - 40) * 0.6) < 20) & (
        np.abs((cols - 40) * 0.8 - (rows - 40) * 0.6) < 12
    )
    rng = np.random.default_rng(0)
    ragged = turned & ~(ndimage.gaussian_filter(rng.random(turned.shape), 2) > 0.56)
    found = straightened(ndimage.binary_opening(ragged))
    assert (found & turned).sum() / (found | turned).sum() > 0.9
    bent = np.zeros((80, 80), bool)
    bent[10:70, 10:20] = bent[60:70, 10:70] = True
    assert (straightened(bent) == bent).all(), "an L keeps its shape"


def test_pixels_of_degrees_are_seen_as_they_lie():
    """At 60 degrees a pixel of degrees is twice as tall as wide."""
    image, *_ = town()
    squeezed = image[:, ::2]
    plain = NETWORK.probabilities(image, 0.5)
    found = NETWORK.probabilities(squeezed, 0.5 * 2**0.5, 2.0)
    same = found.argmax(axis=0) == plain[:, ::2].argmax(axis=0)
    assert same.mean() > 0.9


def test_a_window_is_understood_once_for_all_its_variants(monkeypatch):
    image, roof, _, _ = town()
    asked = []
    network = SceneNetwork()
    plain = network.probabilities
    monkeypatch.setattr(network, "probabilities", lambda *a: asked.append(1) or plain(*a))
    ground = Ground(image, np.ones(roof.shape, bool), ROLES[:3], 0.5)
    understanding = Understanding(network)
    first = understanding.of(ground, {})
    assert understanding.of(replace(ground), {}) is first and len(asked) == 1
    assert understanding.of(ground, {"roof": roof}) is not first
    other = replace(ground, image=image * 0.9)
    assert understanding.of(other, {}) is not first and len(asked) == 3
