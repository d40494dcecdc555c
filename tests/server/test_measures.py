"""Measures of edits against cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from affine import Affine
from landbrush.server.editing import quality
from landbrush.server.evaluation import change, f1_damage, likeness, viescore
from landbrush.server.raster.bands import Layer
from landbrush.server.raster.grid import Box
from landbrush.server.raster.raster import opened
from PIL import Image
from scipy import ndimage

from tests.conftest import DATA
from tests.server.conftest import RGB, finished, in_type, inputs, scene, square, write

MASK = np.zeros((40, 50), bool)
MASK[10:20, 10:30] = True


def ground(seed=0, shape=(3, 40, 50)):
    return ndimage.gaussian_filter(np.random.default_rng(seed).random(shape), (0, 1, 1))


def test_preservation_of_a_known_change():
    before = np.full((3, 40, 50), 0.5)
    after = before.copy()
    after[:, MASK] = 0.9
    assert change.preservation(before, after, MASK) == change.Preservation(0, 0, 0, None)
    after[0, 0, :5] = 0.6  # five of 1800 pixels, one of three bands
    found = change.preservation(before, after, MASK)
    assert found.changed == pytest.approx(5 / 1800) and found.magnitude == pytest.approx(
        0.5 / (1800 * 3)
    )
    pairs = 3 * (
        40 * 49 - 10 * 21 + 39 * 50 - 11 * 20
    )  # neighbours that both lie outside, in three bands
    assert found.gradient == pytest.approx((0.1 + 5 * 0.1) / pairs)
    assert change.preservation(before, after, np.ones_like(MASK)) is None


@pytest.mark.parametrize("moved", [(0, 0), (3, -2), (-5, 7)])
def test_a_shift_is_found(moved):
    before = ground(shape=(3, 120, 130))
    after = np.roll(before, moved, (1, 2))
    found = change.shift(before, after, np.ones((120, 130), bool))
    assert found == pytest.approx(moved, abs=0.15)


def test_a_shift_of_half_a_pixel_is_found():
    fine = ndimage.gaussian_filter(np.random.default_rng(1).random((1, 240, 240)), (0, 3, 3))
    before, after = fine[:, ::2, ::2], np.roll(fine, 1, 1)[:, ::2, ::2]
    down, across = change.shift(before, after, np.ones((120, 120), bool))
    assert abs(down - 0.5) < 0.25 and abs(across) < 0.1


def test_localisation_by_hand():
    before, after = np.zeros((1, 40, 50)), np.zeros((1, 40, 50))
    after[:, 10:20, 10:20] = 0.4  # half of the mask ...
    after[:, 30:35, 10:20] = 0.2  # ... and fifty pixels elsewhere, half as strong
    found = change.localisation(before, after, MASK)
    assert (found.precision, found.recall, found.iou) == pytest.approx((100 / 150, 0.5, 100 / 250))
    assert found.energy_inside == pytest.approx(40 / 50)
    assert (
        change.localisation(before, before, MASK) is None
        and change.localisation(before, after, ~MASK & MASK) is None
    )


def test_the_rim_of_a_patch():
    before = np.full((3, 40, 50), 0.5)
    after = before.copy()
    after[:, MASK] = 0.8
    assert change.rim(before, after, MASK).colour == pytest.approx(0.3)
    noisy = ground()
    assert change.rim(noisy, noisy, MASK).colour == 0 and change.rim(
        noisy, noisy, MASK
    ).gradient == pytest.approx(1, abs=0.35)
    seam = noisy.copy()
    seam[:, MASK] += 0.4
    assert change.rim(noisy, seam, MASK).gradient > 3 and change.rim(
        noisy, seam, MASK
    ).colour == pytest.approx(0.4, abs=0.03)
    assert change.rim(before, after, np.ones_like(MASK)) is None


def test_f1_of_damage_by_hand():
    labels = np.array([[1, 1, 1, 2, 2, 3, 4, 4, 0, 255]])
    said = np.array([[1, 1, 2, 2, 0, 3, 4, 3, 4, 1]])
    found = f1_damage.counted(labels, said)
    # 1: 2 hit, 0 wrong, 1 missed; 2: 1, 1, 1; 3: 1, 1, 0; 4: 1, 0, 1. What is labelled 0 or 255
    # does not count.
    assert (found.hit, found.wrong, found.missed) == ((2, 1, 1, 1), (0, 1, 1, 0), (1, 1, 0, 1))
    f1 = (4 / 5, 2 / 4, 2 / 3, 2 / 3)
    assert found.f1 == pytest.approx(f1)
    assert found.harmonic == pytest.approx(4 / sum(1 / (one + 1e-6) for one in f1))
    assert found.weighted == pytest.approx((3 * f1[0] + 2 * f1[1] + f1[2] + 2 * f1[3]) / 8)
    twice = found + found
    assert twice.f1 == found.f1 and twice.hit == (4, 2, 2, 2)
    assert f1_damage.counted(labels[:, :3], said[:, :3]).harmonic < 1e-4  # classes that are nowhere


def test_classes_only_where_there_is_a_building_and_no_broadcast():
    damage = np.zeros((2, 5, 2, 2))
    damage[:, 3] = 1
    building = np.array([[[0.9, 0.2], [0.5, 0.6]], [[0, 0], [0, 1]]])
    wanted = np.array([[[3, 0], [0, 3]], [[0, 0], [0, 3]]])
    assert np.array_equal(f1_damage.named(building, damage), wanted)
    assert np.array_equal(f1_damage.named(building[:, None], damage), wanted)
    with pytest.raises(ValueError, match="shape"):
        f1_damage.named(building[:1], damage)
    with pytest.raises(ValueError, match="shape"):
        f1_damage.counted(wanted, wanted[:1])


def test_likeness_by_hand():
    made, truth = np.array([[1.0, 0], [3, 4], [0, 0]]), np.array([[2.0, 0], [4, 3], [1, 1]])
    found = likeness.cosines(made, truth)
    assert found[:2] == pytest.approx([1, 24 / 25]) and np.isnan(found[2])
    assert (
        likeness.image_likeness(made, truth)
        == likeness.text_likeness(made, truth)
        == pytest.approx(0.98)
    )
    assert likeness.distances(np.array([0.0, 1]), np.array([0.5, 0.5])) == pytest.approx(
        (0.5, 0.25)
    )
    with pytest.raises(ValueError, match="no pairs"):
        likeness.cosines(made, truth[:2])


@pytest.mark.parametrize(
    ("answer", "lowest"),
    [
        ('{"score": [7, 9], "reasoning": "good"}', 7),
        ('Here you are:\n```json\n{"score": [10, 2.5]}\n```', 2.5),
        ('{"score": [0, 0]}', 0),
        ("I cannot help with that.", None),
        ('{"score": [11, 3]}', None),
        ('{"score": [7]}', None),
        ('{"score": "7 8"}', None),
        ('{"score": [true, 3]}', None),
        ("", None),
        ('{"score": [7, ', None),
        ("[7, 8]", None),
    ],
)
def test_answers_of_judges(answer, lowest):
    if lowest is None:
        with pytest.raises(viescore.Unreadable):
            viescore.read(answer)
    else:
        assert viescore.read(answer) == lowest


def test_viescore_by_hand_and_failures_are_no_scores():
    assert viescore.Score(4, 9).overall == 6 and viescore.Score(0, 9).overall == 0
    assert viescore.Score(None, 9).overall is None and viescore.Score(4, None).overall is None
    assert viescore.mean([viescore.Score(4, 9), viescore.Score(None, 9), viescore.Score(8, 8)]) == (
        7,
        1,
    )
    assert viescore.mean([viescore.Score(None, None)]) == (None, 1) and viescore.mean([]) == (
        None,
        0,
    )


def test_numbers_beside_a_result(client, tmp_path):
    path = write(tmp_path / "a.tif", in_type(scene(3, 160, 160), "uint8"), colorinterp=RGB)
    wanted = inputs(path, square(40, 40, 120, 120))
    info = finished(
        client,
        client.post("/processes/snow/execution", json={"inputs": wanted}).get_json()["jobID"],
    )
    found = client.get(f"/jobs/{info['jobID']}/results/manifest.json").get_json()["quality"]
    assert (
        found["outside_changed"] == 0
        and found["changed_inside"] > 0.5
        and 0 <= found["rim_colour"] < 0.3
    )
    assert found["scene_agreement"] is None and "The edge" in found["said"][0]


def test_what_was_filled_is_looked_at(editors, tmp_path):
    """Of windows of parking places and of fields each is told as what it is."""
    folder = DATA / "ucmerced_jpg" / "test"
    if not folder.is_dir():
        pytest.skip("needs UC Merced (LANDBRUSH_DATA)")
    for name, word in (("forest", "forest"), ("parkinglot", "parking")):
        tile = np.asarray(Image.open(sorted((folder / name).glob("*.jpg"))[0]).convert("RGB"))
        path = write(
            tmp_path / f"{name}.tif",
            tile.transpose(2, 0, 1),
            colorinterp=RGB,
            transform=Affine(0.3, 0, 5e5, 0, -0.3, 4e6),
        )
        with opened(path) as dataset:
            layer = Layer.of(dataset, {})
            here = {
                other: quality.agreement_of(
                    editors.models.scene_words,
                    layer,
                    Box(7, 9, 256, 256),
                    [shapely.box(7, 9, 263, 265)],
                    other,
                )
                for other in ("forest", "parking")
            }
            assert (
                quality.agreement_of(
                    editors.models.scene_words,
                    layer,
                    Box(0, 0, 256, 256),
                    [shapely.box(0, 0, 5, 5)],
                    word,
                )
                is None
            )
            assert (
                quality.agreement_of(
                    editors.models.scene_words,
                    layer,
                    Box(0, 0, 256, 256),
                    [shapely.box(0, 0, 256, 256)],
                    "solar farm",
                )
                is None
            )
        share = {other: found.alike / found.windows for other, found in here.items()}
        assert share[word] > 0.5 > share["parking" if word == "forest" else "forest"]
