"""Copies at any angle and size, and objects cut out of their ground."""

from __future__ import annotations

import numpy as np
import pytest
from landbrush.server.synthesis.copying import OwnShadow, Source, copy, size_that_fits
from landbrush.server.synthesis.cut_out import Hints, object_in, whole_object
from landbrush.server.synthesis.pyramid import Level
from scipy import ndimage

from tests.server.conftest import in_type, ring, scene, square, write
from tests.server.edits import made


def drawn(side=60, bright=(0.9, 0.85, 0.8), seed=0):
    """A bright L on rough ground (3, side, side), and where it is."""
    rng = np.random.default_rng(seed)
    ground = ndimage.gaussian_filter(rng.standard_normal((3, side, side)), (0, 1, 1)) * 0.12 + 0.35
    there = np.zeros((side, side), bool)
    there[15:45, 18:28] = True
    there[35:45, 18:44] = True
    image = np.where(there, np.array(bright)[:, None, None], ground)
    return image.astype(np.float32), there


@pytest.mark.parametrize("bright", [(0.9, 0.85, 0.8), (0.05, 0.06, 0.1), (0.7, 0.2, 0.2)])
def test_an_object_is_cut_out_along_its_edges(bright):
    image, there = drawn(bright=bright)
    alpha = object_in(image, np.ones_like(there), Hints.none(there.shape)).alpha
    found = alpha > 0.5
    assert (found & there).sum() / (found | there).sum() > 0.93
    assert alpha[~ndimage.binary_dilation(there, iterations=3)].max() < 0.1


def test_ground_alone_has_no_object_and_shadow_is_none():
    image, there = drawn()
    plain = np.where(there, image[:, :1, :1], image)
    rough = drawn(seed=3)[0]
    rough[:, there] = (
        rough[:, 5:35, 2:12]
        .reshape(3, -1)[:, : there.sum() // 1][:, :300]
        .repeat(2, axis=1)[:, : there.sum()]
    )
    found = object_in(rough, np.ones_like(there), Hints.none(there.shape))
    assert found is None or (found.alpha > 0.5).mean() < 0.35
    assert object_in(plain[:, :8, :8], np.ones((8, 8), bool), Hints.none((8, 8))) is None
    dark = image.copy()
    shade = np.zeros_like(there)
    shade[10:15, 18:28] = True
    dark[:, shade] = 0.05
    hints = Hints(shade, np.zeros_like(shade))
    without = object_in(dark, np.ones_like(there), hints).alpha
    assert (without > 0.5)[shade].mean() < 0.1 and (without > 0.5)[there].mean() > 0.9


@pytest.mark.parametrize("quarters", range(4))
def test_quarter_turns_keep_every_pixel(quarters):
    image, there = drawn()
    turned = Source(image, there).turned(90 * quarters)
    assert np.array_equal(turned.image, np.rot90(image, quarters, (1, 2)))
    assert np.array_equal(turned.usable, np.rot90(there, quarters))


@pytest.mark.parametrize(("degrees", "scale"), [(30, 1.0), (45, 2.0), (217, 0.5), (359, 1.3)])
def test_any_angle_and_size_turn_against_the_clock_about_the_middle(degrees, scale):
    rows, cols = np.mgrid[:81, :81] - 40.0
    # A dot to the right of the middle, seen from above with rows pointing down.
    dot = np.exp(-((rows) ** 2 + (cols - 25) ** 2) / 30).astype(np.float32)
    turned = Source(dot[None], np.ones(dot.shape, bool)).turned(degrees, scale)
    height, width = turned.usable.shape
    found = np.array(np.unravel_index(turned.image[0].argmax(), turned.usable.shape))
    angle = np.deg2rad(degrees)
    wanted = np.array([height - 1, width - 1]) / 2 + 25 * scale * np.array(
        [-np.sin(angle), np.cos(angle)]
    )
    assert np.abs(found - wanted).max() <= 1.5
    whole = abs(81 * scale * np.cos(angle)) + abs(81 * scale * np.sin(angle))
    assert abs(height - whole) <= 2 and abs(width - whole) <= 2
    assert turned.usable.sum() == pytest.approx((81 * scale) ** 2, rel=0.08)


def with_object(tmp_path):
    """An 8-bit layer with one bright object on rough ground."""
    values = scene(3, 200, 200, 5)
    values = values * 0.3 + 0.3
    values[:, 40:60, 40:64] = 0.95
    return write(tmp_path / "o.tif", in_type(values, "uint8"))


def test_the_object_alone_is_copied_without_its_ground(tmp_path):
    import rasterio

    path = with_object(tmp_path)
    with rasterio.open(path) as source:
        before = source.read()
    body = {
        "polygons": {"geometry": ring(path, square(110, 110, 160, 160))},
        "exemplar": {"polygons": {"geometry": ring(path, square(34, 34, 70, 66))}},
        "output": {"area": "layer"},
    }
    options = {"take": "the object alone", "shadow": False}
    report = made(path, tmp_path / "alone", "copy", **body, options=options)
    assert not any("No object" in note for note in report["notes"]), report["notes"]
    with rasterio.open(tmp_path / "alone" / "result.tif") as source:
        after = source.read()
    changed = (after != before).any(axis=0)
    assert 400 < changed.sum() < 700, "the object, 20 x 24 px, and its soft edge"
    made(
        path,
        tmp_path / "turned",
        "copy",
        **body,
        options={**options, "turn_degrees": 40, "scale": 1.5},
    )
    with rasterio.open(tmp_path / "turned" / "result.tif") as source:
        larger = (source.read() != before).any(axis=0)
    assert larger.sum() == pytest.approx(2.25 * changed.sum(), rel=0.2)


def test_where_nothing_stands_out_all_is_copied_and_said(tmp_path):
    path = write(tmp_path / "p.tif", in_type(scene(3, 120, 120, 2), "uint8"))
    body = {
        "polygons": {"geometry": ring(path, square(70, 70, 84, 84))},
        "exemplar": {"polygons": {"geometry": ring(path, square(10, 10, 24, 24))}},
    }
    report = made(path, tmp_path / "out", "copy", **body, options={"take": "the object alone"})
    assert any("No object stands out" in note for note in report["notes"]), report["notes"]


def tree_and_neighbour():
    """A dark crown on rough ground whose box cuts it off below, a neighbour below that."""
    rng = np.random.default_rng(2)
    image = ndimage.gaussian_filter(rng.standard_normal((3, 90, 80)), (0, 1, 1)) * 0.1 + 0.55
    rows, cols = np.mgrid[:90, :80]
    crown = np.hypot(rows - 36, cols - 40) < 20
    other = np.hypot(rows - 82, cols - 40) < 14
    leaves = ndimage.gaussian_filter(rng.standard_normal((3, 90, 80)), (0, 1, 1)) * 0.1 + 0.2
    image = np.where(crown | other, leaves, image).astype(np.float32)
    drawn = (rows > 12) & (rows < 50) & (cols > 16) & (cols < 64)
    return image, crown, other, drawn


def test_what_a_box_cuts_off_is_completed_without_its_neighbour():
    image, crown, other, drawn = tree_and_neighbour()
    found = whole_object(image, drawn, ~drawn, Hints.none(drawn.shape))
    thing = found.alpha > 0.5
    assert (thing & crown).sum() / (thing | crown).sum() > 0.9
    assert not (thing & other).any()
    alone = whole_object(image, drawn, np.zeros_like(drawn), Hints.none(drawn.shape))
    assert not ((alone.alpha > 0) & ~drawn).any(), "what may not be looked at is not taken"


def test_an_object_brings_its_shadow_onto_other_ground():
    image, there = drawn()
    shade = np.zeros_like(there)
    shade[15:45, 28:32] = True
    image[:, shade] *= 0.4
    source = Source(
        image, np.ones_like(there), (there | shade).astype(np.float32),
        OwnShadow(shade.astype(np.float32), np.full(3, 0.35)),
    )  # fmt: skip
    ground = np.full((3, 90, 90), 0.7, np.float32)
    hole = np.zeros((90, 90), bool)
    hole[10:80, 10:80] = True
    laid, where = copy(Level(ground, hole, np.ones_like(hole)), source)
    dark = (laid[0] < 0.5) & where
    assert laid[0][dark].mean() == pytest.approx(0.7 * 0.4, rel=0.2), "of the ground it falls on"
    assert laid[0].max() > 0.85 and (laid[:, ~hole] == 0.7).all()


@pytest.mark.parametrize(("side", "smaller"), [(44, False), (26, True)])
def test_an_object_is_moved_or_made_smaller_to_find_room(side, smaller):
    image, there = drawn()
    source = Source(image, np.ones_like(there), there.astype(np.float32))
    hole = np.zeros((80, 80), bool)
    hole[5 : 5 + side, 20 : 20 + side] = True
    window = Level(np.full((3, 80, 80), 0.4, np.float32), hole, np.ones_like(hole))
    size = size_that_fits(window, source, 0.5)
    assert (size < 1) == smaller and size >= 0.5
    own = source.turned(0, size) if smaller else source
    laid, where = copy(window, own)
    assert where.sum() >= 0.97 * (own.alpha > 0.5).sum() and not (where & ~hole).any()


def test_a_box_that_cuts_an_object_off_and_a_polygon_too_small_are_told(tmp_path):
    path = with_object(tmp_path)
    body = {
        "polygons": {"geometry": ring(path, square(110, 110, 130, 130))},
        "exemplar": {"polygons": {"geometry": ring(path, square(34, 34, 70, 66))}},
    }
    report = made(path, tmp_path / "small", "copy", **body)
    assert any("smaller, so that the polygon has room" in note for note in report["notes"])
    body["polygons"] = {"geometry": ring(path, square(110, 110, 121, 121))}
    report = made(path, tmp_path / "tiny", "copy", **body)
    assert any("has no room in the polygon" in note for note in report["notes"])


def test_an_object_thinner_than_a_pixel_is_still_copied():
    image = np.full((3, 20, 40), 0.9, np.float32)
    alpha = np.zeros((20, 40), np.float32)
    alpha[9:12, 5:35] = 0.4
    hole = np.zeros((60, 60), bool)
    hole[10:50, 10:50] = True
    window = Level(np.full((3, 60, 60), 0.3, np.float32), hole, np.ones_like(hole))
    laid, _ = copy(window, Source(image, np.ones_like(alpha, bool), alpha))
    assert laid.max() > 0.5 and (laid[:, ~hole] == np.float32(0.3)).all()
