"""Scene operators: their physics, their bands, and that the window does not matter."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from landbrush.server.editors.base import Scene
from landbrush.server.ground.errors import BadRequest, CannotEdit
from landbrush.server.operators.fire import Burn, burn
from landbrush.server.operators.flood import Flood, flood
from landbrush.server.operators.fog import AIRLIGHT, Fog, Seen, estimated, fog
from landbrush.server.operators.ground import Ground, fractal
from landbrush.server.operators.low_light import LowLight, low_light
from landbrush.server.operators.snow import Snow, snow
from landbrush.server.scene.rules import water
from scipy import ndimage

from tests.server.conftest import RGB, finished, in_type, inputs, ring, scene, square, write

ROLES = ("red", "green", "blue", "nir", "swir1", "swir2")


def ground(size=96, roles=ROLES, gsd=1.0, whole=True, origin=(0, 0)):
    image = scene(len(roles), size, size).astype(np.float32) * 0.5
    if "nir" in roles:
        image[roles.index("nir")] = 0.6
    mask = np.ones((size, size), bool)
    if not whole:
        mask[:20] = mask[-20:] = mask[:, :20] = mask[:, -20:] = False
    return Ground(image, mask, roles, gsd, origin)


def calm():
    """Ground without grain, which fog would keep."""
    g = ground()
    g.image[:] = ndimage.gaussian_filter(g.image, (0, 6, 6))
    return g


def test_fog_is_koschmieders_law():
    g = calm()
    out = fog(g, Fog(visibility_m=200, thickness_m=40, patchiness=0), 0)
    clear = np.exp(-3.912 / 200 * 40)
    seen = out[0] - g.image[0] * clear
    assert np.allclose(seen, AIRLIGHT["red"] * (1 - clear), atol=0.02)
    thick = fog(g, Fog(visibility_m=20, thickness_m=400, patchiness=0), 0)
    assert abs(thick[1].mean() - AIRLIGHT["green"]) < 0.02
    assert np.allclose(
        fog(g, Fog(visibility_m=20000, thickness_m=1, patchiness=0), 0), g.image, atol=1e-3
    )


def test_fog_lies_in_the_valleys():
    g = calm()
    heights = np.linspace(100, 200, g.mask.shape[1], dtype=np.float32)[None].repeat(
        g.mask.shape[0], 0
    )
    how = Fog(visibility_m=200, thickness_m=40, patchiness=0)
    out = fog(g, how, 0, heights)
    depth = 3.912 / 200 * np.clip(40 - (heights - np.percentile(heights[g.mask], 2)), 0, 40)
    inner = (slice(20, -20), slice(20, -20))
    clear = np.exp(-depth)[inner]
    assert np.allclose(
        out[0][inner], g.image[0][inner] * clear + AIRLIGHT["red"] * (1 - clear), atol=0.03
    )
    assert np.allclose(out[:, :, -30:], g.image[:, :, -30:])
    assert np.abs(out[:, 20:-20, :20] - g.image[:, 20:-20, :20]).mean() > 0.1


@pytest.mark.parametrize("depth", [0.3, 1.0, 2.0])
def test_a_real_fog_is_measured_and_laid_again(depth):
    """What the dark channel tells of a fog of known depth and light, and that it can be laid on
    other ground."""
    rng = np.random.default_rng(0)
    clear = np.kron(rng.random((3, 40, 40)) ** 2, np.ones((4, 4))).astype(np.float32)
    light = np.array([0.8, 0.82, 0.9])[:, None, None]
    thick = np.full((160, 160), depth)
    thick[:, :40] = 5
    found = estimated(clear * np.exp(-thick) + light * (1 - np.exp(-thick)), ROLES[:3], 1.0)
    assert abs(float(np.median(found.depth[:, 90:])) - depth) < 0.1 + 0.12 * depth
    assert np.allclose([found.airlight[role] for role in ROLES[:3]], light[:, 0, 0], atol=0.03)
    g = Ground(np.full((3, 200, 230), 0.1, np.float32), np.ones((200, 230), bool), ROLES[:3], 1.0)
    laid = fog(g, Fog(), 0, None, Seen(found.depth[:, 90:150], found.airlight))
    wanted = 0.1 * np.exp(-depth) + 0.8 * (1 - np.exp(-depth))
    assert abs(float(laid[0, 50:150, 50:150].mean()) - wanted) < 0.08


def test_fog_like_in_another_picture_through_the_server(client, tmp_path):
    path = write(tmp_path / "a.tif", in_type(scene(3, 120, 140), "uint8"), colorinterp=RGB)
    grey = write(tmp_path / "fog.tif", np.full((3, 120, 140), 200, np.uint8), colorinterp=RGB)
    with rasterio.open(path) as source:
        plain = source.read()
    results = []
    for more in (
        {},
        {
            "exemplar": {
                "polygons": {"geometry": ring(grey, square(5, 5, 100, 100))},
                "raster": {"path": str(grey)},
            }
        },
    ):
        wanted = inputs(
            path,
            square(20, 20, 120, 100),
            options={"visibility_m": 20000.0},
            output={"area": "layer"},
            **more,
        )
        info = finished(
            client,
            client.post("/processes/fog/execution", json={"inputs": wanted}).get_json()["jobID"],
        )
        assert info["status"] == "successful", info["message"]
        with (
            rasterio.MemoryFile(
                client.get(f"/jobs/{info['jobID']}/results/result.tif").data
            ) as memory,
            memory.open() as made,
        ):
            results.append(made.read())
    thin, thick = (
        np.abs(one[:, 40:80, 40:100].astype(int) - plain[:, 40:80, 40:100]).mean()
        for one in results
    )
    assert thick > 20 > thin and abs(results[1][:, 40:80, 40:100].mean() - 200) < 20


def test_low_light_darkens_by_the_light_and_adds_shot_noise():
    g = Ground(np.full((3, 200, 200), 0.5, np.float32), np.ones((200, 200), bool), ROLES[:3], 1.0)
    how = LowLight(light=0.2, blue_shift=0.0, noise_electrons=0.0, well_electrons=5000)
    out = low_light(g, how, 0)
    signal = 0.5**2.2 * 0.2
    linear = np.clip(out[0], 0, None) ** 2.2
    assert abs(linear.mean() - signal) < 0.02 * signal
    assert abs(linear.std() - np.sqrt(signal * 5000) / 5000) < 0.1 * np.sqrt(signal * 5000) / 5000


def test_snow_is_bright_in_the_visible_and_dark_in_the_shortwave_infrared():
    out = snow(ground(), Snow(cover=1.0, depth_cm=30), 0)
    bands = dict(zip(ROLES, out.mean(axis=(1, 2)), strict=True))
    assert bands["red"] > 0.75 and bands["nir"] > 0.65 and bands["swir1"] < 0.35


def test_flood_raises_ndwi_and_burn_lowers_ndvi():
    g = ground(whole=False)
    wet = flood(g, Flood(keep_tall=False), 0)
    ndwi = lambda i: (i[1] - i[3]) / (i[1] + i[3])
    core = np.zeros_like(g.mask)
    core[40:56, 40:56] = True
    assert (
        ndwi(wet)[core].mean() > 0.2 > ndwi(g.image)[core].mean()
        and ndwi(wet)[core].mean() > ndwi(wet)[~g.mask].mean()
    )
    core = np.zeros_like(g.mask)
    core[28:36, 28:68] = True
    scar = burn(g, Burn(severity=1.0), 0)
    ndvi = lambda i: (i[3] - i[0]) / (i[3] + i[0])
    assert ndvi(scar)[core].mean() < ndvi(g.image)[core].mean() - 0.1


@pytest.mark.parametrize("roles", [("nir",), ("nir", "swir1"), ("", "", ""), ("pan",)])
def test_a_flood_beside_water_is_a_number_in_whatever_bands_there_are(roles):
    rng = np.random.default_rng(0)
    image = (0.5 + 0.05 * rng.standard_normal((len(roles), 96, 96))).astype(np.float32)
    image[:, :, :40] = 0.03  # black water, a third of it
    mask = np.zeros((96, 96), bool)
    mask[20:76, 20:76] = True
    made = flood(Ground(image, mask, roles, 1.0), Flood(level_m=1.0), 3)
    assert np.isfinite(made).all() and (made != image)[:, mask].any()


def test_burn_spares_water():
    g = ground()
    g.image[:, :48] = np.array([0.08, 0.15, 0.12, 0.02, 0.01, 0.01], np.float32)[:, None, None]
    changed = np.abs(burn(g, Burn(severity=1.0), 0) - g.image).max(axis=0)
    assert changed[:40].max() < 0.02 and changed[60:].mean() > 0.1


def test_flood_by_elevation_covers_what_is_below_the_level():
    g = ground()
    heights = np.tile(np.linspace(0, 10, 96, dtype=np.float32), (96, 1))
    out = flood(g, Flood(level_m=4.0, keep_tall=False), 0, heights)
    changed = np.abs(out - g.image).max(axis=0) > 0.02
    assert changed[:, :34].mean() > 0.9 and not changed[:, 42:].any()


def test_clear_water_shows_bright_ground_and_muddy_water_hides_it():
    g = ground()
    g.image[:, :48] = 0.9
    heights = np.zeros(g.mask.shape, np.float32)
    clear = flood(g, Flood(level_m=0.5, clarity_m=50.0, mud=0.0, keep_tall=False), 0, heights)
    assert np.abs(clear[:3, 10:38] - 0.9).max() < 0.1
    muddy = flood(g, Flood(level_m=3.0, mud=1.0, keep_tall=False), 0, heights)
    apart = muddy[:3, 10:38].mean(axis=(1, 2)) - muddy[:3, 58:86].mean(axis=(1, 2))
    assert np.abs(apart).max() < 0.02


@pytest.mark.parametrize("name", ["fog", "snow", "low-light", "burn"])
def test_outside_the_mask_nothing_and_the_same_seed_the_same(editors, name):
    editor = editors.get(name)
    g = ground(whole=False, roles=ROLES[:3])
    s = Scene(g.image, np.ones_like(g.mask), g.mask, g.roles, 1.0)
    options = editor.parse({})
    run = lambda seed: editor.edit(s, "", options, seed, lambda *a: None)
    assert (run(1)[:, ~g.mask] == g.image[:, ~g.mask]).all()
    assert (run(1) == run(1)).all() and (run(1) != run(2)).any()


def test_noise_belongs_to_the_raster_not_to_the_window():
    whole = fractal((100, 120), (0, 0), 17.3, 5, 4)
    part = fractal((40, 50), (30, 60), 17.3, 5, 4)
    assert np.allclose(whole[30:70, 60:110], part)
    assert 0.4 < whole.mean() < 0.6 and whole.min() >= 0 and whole.max() <= 1


@pytest.mark.parametrize("name", ["fog", "snow", "low-light", "flood", "burn"])
def test_radar_is_refused(editors, name):
    editor = editors.get(name)
    s = Scene(
        np.zeros((2, 40, 40), np.float32),
        np.ones((40, 40), bool),
        np.ones((40, 40), bool),
        ("vv", "vh"),
        10.0,
    )
    with pytest.raises(CannotEdit, match="radar"):
        editor.edit(s, "", editor.parse({}), 0, lambda *a: None)


def test_every_option_is_described_and_its_bounds_hold(editors):
    for editor in editors:
        for option in editor.info.options:
            assert option.title
            if option.type in ("number", "integer"):
                assert option.minimum <= option.default <= option.maximum
                with pytest.raises(BadRequest, match=option.name):
                    editor.parse({option.name: option.maximum + 1})


def test_bare_fields_are_no_water_and_black_ponds_are():
    """Bytes of NAIP: a bare field's index is up to 0.11 there, a turbid lake's 0.2, a black pond's
    is noise about 0."""
    colours = {
        "field": (0.46, 0.46, 0.42, 0.39),
        "lake": (0.35, 0.45, 0.35, 0.30),
        "pond": (0.06, 0.06, 0.07, 0.06),
        "meadow": (0.3, 0.4, 0.3, 0.7),
    }
    image = np.stack([np.full((4, 12), 0.0, np.float32) for _ in range(4)])
    for place, bands in enumerate(colours.values()):
        image[:, :, 3 * place : 3 * place + 3] = np.array(bands, np.float32)[:, None, None]
    share = water(Ground(image, np.ones((4, 12), bool), ROLES[:4], 5.0))
    field, lake, pond, meadow = (share[:, 3 * place + 1].mean() for place in range(4))
    assert field < 0.25 and meadow == 0 and lake > 0.9 and pond > 0.9


@pytest.mark.parametrize("process", ["fog", "snow", "low-light", "flood", "burn"])
def test_the_largest_seed_is_taken(editors, process):
    one, image = editors.get(process), scene(3, 60, 60).astype(np.float32)
    seen = Scene(image, *(np.ones((60, 60), bool),) * 2, ROLES[:3], 1.0)
    made = one.edit(seen, "", one.parse({}), 2**31 - 1, lambda *_: None)
    assert np.isfinite(made).all() and (made != image).any()


@pytest.mark.parametrize(
    "words", ["dense fog", "snow everywhere", "at night", "flooded to the doorsteps", "burned down"]
)
def test_the_operators_go_by_words_alone(client, tmp_path, words):
    path = write(tmp_path / "a.tif", in_type(scene(3, 120, 140), "uint8"), colorinterp=RGB)
    wanted = inputs(path, square(20, 20, 120, 100), prompt=words)
    info = finished(
        client,
        client.post("/processes/auto/execution", json={"inputs": wanted}).get_json()["jobID"],
    )
    assert info["status"] == "successful", info["message"]


def test_an_exemplar_of_too_little_fog_is_refused(client, tmp_path):
    path = write(tmp_path / "a.tif", in_type(scene(3, 120, 140), "uint8"), colorinterp=RGB)
    for pixels in (square(40, 40, 80, 80), square(2, 2, 8, 100)):
        wanted = inputs(
            path, square(20, 20, 120, 100), exemplar={"polygons": {"geometry": ring(path, pixels)}}
        )
        info = finished(
            client,
            client.post("/processes/fog/execution", json={"inputs": wanted}).get_json()["jobID"],
        )
        assert info["status"] == "failed" and (
            "too little fog" in info["message"] or "exemplar" in info["message"]
        )


def test_a_tone_is_as_much_light_in_a_band_that_is_stretched_by_itself():
    rng = np.random.default_rng(3)
    even = rng.uniform(0.05, 0.4, (4, 40, 40)).astype(np.float32)
    even[3] *= 2
    image = even.copy()
    image[:3] = even[:3] * 2.5 - 0.1
    image[3] = even[3] * 1.2 - 0.05
    ground = Ground(image, np.ones((40, 40), bool), ("red", "green", "blue", "nir"), 1.0, even=even)
    # Display 0.9 in colours is 0.4 on the even scale, which is 0.43 in near infrared.
    assert ground.in_band(3, 0.9) == pytest.approx(0.43, abs=0.01)
    assert ground.in_band(0, 0.9) == 0.9
    plain = Ground(image, ground.mask, ground.roles, 1.0)
    assert plain.in_band(3, 0.9) == 0.9
    flat = even.copy()
    flat[3] = 0.2
    assert Ground(image, ground.mask, ground.roles, 1.0, even=flat).in_band(3, 0.9) == 0.9
