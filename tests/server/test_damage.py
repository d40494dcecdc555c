"""Damage: which buildings it takes, what it leaves beside them, and what it says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import rasterio
from landbrush.server.ground.errors import CannotEdit
from landbrush.server.operators import debris
from landbrush.server.operators.buildings import (
    BROKEN,
    DESTROYED,
    INTACT,
    SWEPT,
    Force,
    apart,
    buildings,
)
from landbrush.server.operators.damage import (
    CAUSES,
    EARTHQUAKE,
    HURRICANE,
    TORNADO,
    TSUNAMI,
    Damage,
    damage,
    hit_by,
)
from landbrush.server.operators.flood import Flood, flood
from landbrush.server.operators.ground import Ground
from landbrush.server.operators.rubble import walls
from scipy import ndimage

from tests.server.conftest import RGB, finished, in_type, inputs, ring, square, write
from tests.server.towns import ROLES, told, town


def street(mask=None, gsd=0.5, **more):
    """A town as operators see it, with its roofs, road and shadows."""
    image, roof, road, shadow = town()
    whole = np.ones(roof.shape, bool) if mask is None else mask
    ground = Ground(image, whole, ROLES[:3], gsd)
    parse = told(roof.shape, shadow=shadow, roof=roof, paved=road, **more)
    return replace(ground, parse=parse), roof, road, shadow


def changed(made, ground):
    return np.abs(made - ground.image).max(axis=0)


@pytest.mark.parametrize("cause", CAUSES)
def test_at_its_worst_every_building_goes_and_at_its_least_nearly_none(cause):
    ground, roof, *_ = street()
    worst = hit_by(ground, Damage(cause=cause, severity=1.0), 0)
    least = hit_by(ground, Damage(cause=cause, severity=0.05), 0)
    count = ndimage.label(roof)[1]
    assert worst.count(DESTROYED, SWEPT) == count == worst.count(INTACT, BROKEN, DESTROYED, SWEPT)
    assert least.count(DESTROYED, SWEPT) == 0 and least.count(INTACT) >= count - 2


@pytest.mark.parametrize("seed", range(4))
def test_a_building_is_hit_as_a_whole(seed):
    ground, roof, *_ = street()
    hit = hit_by(ground, Damage(severity=0.6), seed)
    change = changed(damage(ground, Damage(severity=0.6, debris=0.0), seed, hit), ground)
    assert hit.count(DESTROYED) and hit.count(INTACT, BROKEN)
    parts, count = ndimage.label(ndimage.binary_erosion(roof, iterations=4))
    for number in range(1, count + 1):
        here = parts == number
        fate = np.unique(hit.fates[hit.parts[here]])
        assert len(fate) == 1
        share = (change[here] > 0.03).mean()
        if fate[0] == DESTROYED:
            assert share > 0.8
        elif fate[0] == INTACT:
            assert share < 0.02


@pytest.mark.parametrize("severity", [0.3, 0.6, 0.9])
def test_as_many_fall_as_was_asked_for(severity):
    size = 600
    roof = np.zeros((size, size), bool)
    for row in range(10, size - 20, 30):
        for col in range(10, size - 20, 30):
            roof[row : row + 16, col : col + 16] = True
    image = np.full((3, size, size), 0.4, np.float32)
    ground = Ground(image, np.ones_like(roof), ROLES[:3], 0.5, parse=told(roof.shape, roof=roof))
    shares = [
        (hit := buildings(ground, Force(severity), seed)).count(DESTROYED)
        / hit.count(INTACT, BROKEN, DESTROYED)
        for seed in range(5)
    ]
    assert abs(np.mean(shares) - (1.3 * severity - 0.3)) < 0.12


def test_what_the_edge_cuts_through_stays_whole():
    mask = np.zeros((240, 240), bool)
    mask[:, :27] = True  # a quarter of the first houses
    mask[:, 70:] = True
    ground, roof, *_ = street(mask)
    hit = hit_by(ground, Damage(severity=1.0), 0)
    assert not hit.are(DESTROYED)[:, :60].any() and hit.are(DESTROYED)[:, 80:].any()


def test_rubble_has_no_shadow_of_the_house_that_stood_there():
    ground, roof, _, shadow = street()
    how = Damage(cause=EARTHQUAKE, severity=1.0, debris=0.0)
    made = damage(ground, how, 0, hit_by(ground, how, 0))
    far = shadow & ~ndimage.binary_dilation(roof, iterations=6)
    lit = ground.image[1][~roof & ~shadow & (ground.cover.share("low") > 0.5)].mean()
    assert ground.image[1][far].mean() < 0.5 * lit < made[1][far].mean()


def test_cleared_roads_are_free_and_others_are_not():
    ground, _, road, _ = street()
    found = []
    for cleared in (True, False):
        how = Damage(severity=1.0, debris=1.0, roads_cleared=cleared)
        made = damage(ground, how, 0, hit_by(ground, how, 0))
        found.append((changed(made, ground)[road] > 0.08).mean())
    assert found[0] < 0.05 < found[1]


def test_wind_breaks_trees_an_earthquake_does_not():
    wood = np.zeros((240, 240), bool)
    wood[70:100, 20:220] = True
    ground, *_ = street(tree=wood)
    for cause, broken in ((TORNADO, True), (TSUNAMI, True), (EARTHQUAKE, False)):
        how = Damage(cause=cause, severity=0.9, debris=0.0)
        made = damage(ground, how, 0, hit_by(ground, how, 0))
        core = ndimage.binary_erosion(wood, iterations=8)
        assert (changed(made, ground)[core].mean() > 0.05) == broken


def test_sheets_are_blue_and_lie_on_broken_roofs_alone():
    ground, *_ = street()
    how = Damage(cause=HURRICANE, severity=0.4, tarpaulins=1.0, debris=0.0)
    hit = hit_by(ground, how, 3)
    red, _, blue = damage(ground, how, 3, hit)
    sheets = blue > red + 0.3
    assert sheets.any() and not (sheets & ~hit.are(BROKEN)).any()
    bare = damage(ground, replace(how, tarpaulins=0.0), 3, hit)
    assert not (bare[2] > bare[0] + 0.3).any()


def test_a_wave_leaves_mud_on_all_that_is_low():
    ground, roof, road, _ = street()
    how = Damage(cause=TSUNAMI, severity=1.0, debris=0.0, roads_cleared=False)
    made = damage(ground, how, 0, hit_by(ground, how, 0))
    grass = ndimage.binary_erosion(~(roof | road), iterations=8)
    assert made[0][grass].mean() > made[1][grass].mean() > made[2][grass].mean()


@pytest.mark.parametrize("cause", CAUSES)
def test_the_same_seed_gives_the_same_ruins_and_another_gives_others(cause):
    ground, *_ = street()
    how = Damage(cause=cause)
    one, two, other = (damage(ground, how, s, hit_by(ground, how, s)) for s in (4, 4, 5))
    assert (one == two).all() and (one != other).any()


@pytest.mark.parametrize("at", [(0, 0), (30, 50), (100, 7)])
def test_pieces_lie_where_they_lie_whatever_window_is_looked_at(at):
    image = np.full((3, 200, 200), 0.4, np.float32)
    cover = np.full((200, 200), 0.3, np.float32)
    whole = Ground(image, cover > 0, ROLES[:3], 0.3, (1000, 2000))
    row, col = at
    rows, cols = slice(row, row + 90), slice(col, col + 90)
    part = Ground(
        image[:, rows, cols], cover[rows, cols] > 0, ROLES[:3], 0.3, (1000 + row, 2000 + col)
    )
    tones, there = debris.scattered(whole, cover, debris.HOUSE, 3)
    again, here = debris.scattered(part, cover[rows, cols], debris.HOUSE, 3)
    assert (there[rows, cols] == here).all()
    assert np.allclose(tones[:, rows, cols], again, atol=1e-6)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.4, 0.75])
@pytest.mark.parametrize("gsd", [0.1, 0.5, 2.0])
def test_pieces_cover_about_as_much_as_was_asked_for(share, gsd):
    cover = np.full((300, 300), share, np.float32)
    ground = Ground(np.full((3, 300, 300), 0.4, np.float32), cover >= 0, ROLES[:3], gsd)
    _, there = debris.scattered(ground, cover, debris.HOUSE, 0)
    assert share * 0.7 - 0.01 <= there.mean() <= share * 1.25 + 0.01


def test_debris_drifts_on_the_water_alone():
    ground, roof, *_ = street()
    plain, strewn = (flood(ground, Flood(level_m=1.5, debris=d), 0) for d in (0.0, 1.0))
    differs = np.abs(plain - strewn).max(axis=0) > 0.05
    assert differs.mean() > 0.03
    assert differs[ndimage.binary_erosion(roof, iterations=4)].mean() < 0.02


def run(client, path, corners, **more):
    wanted = inputs(path, corners, output={"area": "layer"}, **more)
    answer = client.post("/processes/damage/execution", json={"inputs": wanted})
    return finished(client, answer.get_json()["jobID"])


def test_the_promise_holds_and_the_manifest_says_what_fell(client, tmp_path):
    image, _, road, _ = town()
    path = write(tmp_path / "a.tif", in_type(image, "uint8"), colorinterp=RGB)
    houses = {
        "type": "MultiPolygon",
        "coordinates": [
            ring(path, square(20 + 60 * n, 30, 50 + 60 * n, 54))["coordinates"] for n in range(3)
        ],
    }
    known = [{"kind": "roof", "polygons": {"geometry": houses}}]
    info = run(client, path, square(10, 10, 230, 100), known=known, options={"severity": 1.0})
    assert info["status"] == "successful", info["message"]
    manifest = client.get(f"/jobs/{info['jobID']}/results/manifest.json").get_json()
    said = [note for note in manifest["notes"] if "destroyed" in note]
    assert said and "destroyed, 0 damaged" in said[0]
    data = client.get(f"/jobs/{info['jobID']}/results/result.tif").data
    with rasterio.MemoryFile(data) as memory, memory.open() as made, rasterio.open(path) as source:
        differs = (made.read() != source.read()).any(axis=0)
    assert differs[34:50, 26:44].mean() > 0.8 and not differs[101:].any()


def outlined(editors, sure=1.0, **where):
    """What the outline of a house becomes, on ground that is told by so much."""
    from landbrush.server.editors.base import Scene

    image = np.full((3, 90, 90), 0.45, np.float32)
    mask = np.zeros((90, 90), bool)
    mask[30:60, 30:60] = True
    parse = told(mask.shape, **where)
    ground = Ground(image, mask, ROLES[:3], 0.5, parse=replace(parse, shares=sure * parse.shares))
    editor = editors.get("damage")
    scene = Scene(image, np.ones_like(mask), mask, ROLES[:3], 0.5)
    made, facts = editor.made(ground, scene, editor.parse({"severity": 0.9}), 0)
    return (np.abs(made - image).max(axis=0)[mask] > 0.05).mean(), editor.summary(facts)


@pytest.mark.parametrize("kind", ["paved", "bare"])
def test_the_outline_of_one_building_is_enough(editors, kind):
    """Roofs that are missed are taken for paved or bare ground, without being sure."""
    share, said = outlined(editors, sure=0.6, **{kind: np.ones((90, 90), bool)})
    assert share > 0.6
    assert said[0].startswith("1 of 1 building destroyed") and "outline" in said[1]


@pytest.mark.parametrize("kind", ["paved", "bare", "water", "low"])
def test_an_outline_of_ground_that_is_known_is_no_building(editors, kind):
    with pytest.raises(CannotEdit, match="No building"):
        outlined(editors, **{kind: np.ones((90, 90), bool)})


def test_a_part_of_a_large_building_is_taken_and_told(editors):
    roof = np.zeros((90, 90), bool)
    roof[10:80, 10:80] = True
    share, said = outlined(editors, roof=roof)
    assert share > 0.6
    assert said[1] == "1 of them reaches out of the polygon, and breaks inside it alone."


@pytest.mark.parametrize(
    ("reaches_m", "taken"),
    [
        (0.0, "whole"),
        (0.5, "whole"),
        (1.0, "whole"),
        (2.5, "part"),
        (5.0, "part"),
        (9.0, "part"),
        (11.5, "none"),
        (14.0, "none"),
    ],
)
def test_eaves_may_reach_out_of_the_polygon_and_more_breaks_inside_it_alone(reaches_m, taken):
    """A house of 15 m, of which some lies outside of the polygon."""
    roof = np.zeros((120, 120), bool)
    roof[40:70, 40:70] = True
    mask = np.zeros_like(roof)
    mask[30:90, 30 : 70 - round(reaches_m / 0.5)] = True
    image = np.full((3, 120, 120), 0.4, np.float32)
    ground = Ground(image, mask, ROLES[:3], 0.5, parse=told(roof.shape, roof=roof))
    hit = hit_by(ground, Damage(severity=1.0), 0)
    fell = hit.are(DESTROYED, SWEPT)
    assert fell.any() == (taken != "none") and hit.cut == (taken == "none")
    assert hit.portions == (taken == "part")
    if taken == "part":
        # Up to a ragged line, not up to the polygon's.
        last = [np.flatnonzero(row).max() for row in fell[42:68]]
        line = np.flatnonzero(mask[50]).max()
        assert len(set(last)) > 2 and max(last) < line


@pytest.mark.parametrize("seed", range(3))
def test_house_by_house_as_many_fall_as_in_one_polygon(client, tmp_path, seed):
    """Polygons far apart are edited in windows of their own."""
    image = np.full((3, 200, 1400), 90, np.uint8)
    spots = [(r, c) for r in (10, 150) for c in range(20, 1380, 140)]
    for row, col in spots:
        image[:, row : row + 26, col : col + 26] = 190
    path = write(tmp_path / "a.tif", image, colorinterp=RGB)
    houses = {
        "type": "MultiPolygon",
        "coordinates": [
            ring(path, square(col, row, col + 26, row + 26))["coordinates"] for row, col in spots
        ],
    }
    wanted = inputs(path, square(0, 0, 9, 9), output={"area": "layer"}, seed=seed)
    wanted |= {
        "polygons": {"geometry": houses},
        "known": [{"kind": "roof", "polygons": {"geometry": houses}}],
        "options": {"severity": 0.6, "debris": 0.0},
    }
    answer = client.post("/processes/damage/execution", json={"inputs": wanted})
    info = finished(client, answer.get_json()["jobID"])
    assert info["status"] == "successful", info["message"]
    manifest = client.get(f"/jobs/{info['jobID']}/results/manifest.json").get_json()
    counts = manifest["editor_facts"]["counts"]
    assert counts["buildings"] == len(spots)
    assert 3 <= counts["destroyed"] <= 16 and counts["damaged"]
    assert manifest["notes"][0].startswith(
        f"{counts['destroyed']} of {len(spots)} buildings destroyed, {counts['damaged']} damaged"
    )


def test_a_wing_belongs_to_the_house_it_hangs_on_not_to_the_nearest():
    roofs = np.zeros((80, 120), bool)
    roofs[10:40, 10:40] = True
    roofs[20:23, 40:78] = True  # a wing as thin as a wall, up to
    roofs[10:40, 80:110] = True  # its neighbour
    roofs[60:62, 50:70] = True  # what has no core
    parts, count = apart(roofs, 0.5)
    assert count == 3
    assert len(np.unique(parts[10:40, 10:78][roofs[10:40, 10:78]])) == 1
    assert parts[25, 90] != parts[25, 20] != parts[60, 60] != 0
    assert ((parts > 0) == roofs).all()


@pytest.mark.parametrize("shift", [1, 40])
def test_what_stands_of_walls_is_the_same_in_whatever_window(shift):
    ground, *_ = street()
    how = Damage(cause=EARTHQUAKE, severity=1.0, debris=0.0)
    whole = walls(ground, ground.image, 0.5, hit_by(ground, how, 0), 0)
    # In a window that starts lower the first row of houses is missing or has another number.
    lower = replace(
        ground,
        image=ground.image[:, 90 + shift :],
        mask=ground.mask[90 + shift :],
        origin=(90 + shift, 0),
        parse=replace(ground.parse, shares=ground.parse.shares[:, 90 + shift :]),
    )
    part = walls(lower, lower.image, 0.5, hit_by(lower, how, 0), 0)
    here = np.abs(part - lower.image).max(axis=0) > 0.02
    there = np.abs(whole - ground.image).max(axis=0)[90 + shift :] > 0.02
    assert here[40:].any() and (here[40:] == there[40:]).mean() > 0.995


def test_pieces_at_one_side_throw_no_shadow_on_the_other():
    image = np.full((3, 40, 40), 0.5, np.float32)
    there = np.zeros((40, 40), bool)
    there[:, -1] = there[-1] = True
    made = debris.laid(image, (image * there, there), np.ones((40, 40)), 315.0)
    assert np.array_equal(made[:, :20, :20], image[:, :20, :20])


@pytest.mark.parametrize("within", [True, False])
def test_a_shadow_that_stays_outside_is_told(editors, within):
    from landbrush.server.editors.base import Scene

    ground, roof, _, shadow = street()
    mask = roof | shadow if within else roof
    ground = replace(ground, mask=mask)
    editor = editors.get("damage")
    scene = Scene(ground.image, np.ones_like(roof), mask, ROLES[:3], 0.5)
    _, facts = editor.made(ground, scene, editor.parse({"severity": 1.0}), 0)
    assert any("shadow" in note for note in facts["notes"]) != within


@pytest.mark.parametrize(
    ("gsd", "roles", "said"),
    [(10.0, ROLES[:3], "3 m or finer"), (0.5, ("pan",), "no red, green and blue")],
)
def test_where_no_building_can_be_told_it_says_so(editors, gsd, roles, said):
    from landbrush.server.editors.base import Scene

    whole = np.ones((60, 60), bool)
    scene = Scene(np.full((len(roles), 60, 60), 0.4, np.float32), whole, whole, roles, gsd)
    editor = editors.get("damage")
    with pytest.raises(CannotEdit, match=said):
        editor.edit(scene, "", editor.parse({}), 0, lambda *a: None)


def test_a_meadow_has_no_building_to_break(editors):
    from landbrush.server.editors.base import Scene

    whole = np.ones((160, 160), bool)
    image = np.full((3, 160, 160), 0.4, np.float32)
    scene = Scene(image, whole, whole, ROLES[:3], 0.5, known={"low": whole})
    editor = editors.get("damage")
    with pytest.raises(CannotEdit, match="No building is found"):
        editor.edit(scene, "", editor.parse({"cause": EARTHQUAKE}), 0, lambda *a: None)
