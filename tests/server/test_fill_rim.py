"""The rim of a fill: a transition where there is one, an edge where there is none."""

from __future__ import annotations

import numpy as np
from landbrush.server.synthesis import rim


def halves(apart):
    """A dark field beside a brighter one, in [-1, 1]."""
    image = np.full((3, 60, 60), -0.3, np.float32)
    image[:, :, 30:] += apart
    inside = np.zeros((60, 60), bool)
    inside[:, 30:] = True
    return image, inside


def test_the_mismatch_is_that_of_the_colours_on_both_sides_and_near_the_rim_alone():
    for apart in (0.1, 0.6, 1.1):
        image, inside = halves(apart)
        found = rim.mismatch(image, inside, ~inside)
        assert abs(found[30, 30] - apart) < 0.02 and found[30, 2] == found[30, 57] == 0
    assert rim.mismatch(image, inside, np.zeros_like(inside)).max() == 0


def test_an_edge_is_softened_within_a_pixel_and_where_it_is_asked_for():
    image, inside = halves(1.0)
    top = np.zeros_like(inside)
    top[:30] = True
    known = np.ones_like(inside)
    soft = rim.softened(image, known, inside, top)
    changed = (soft != image).any(axis=0)
    assert changed[:29, 29:31].all() and not changed[30:].any()
    assert not changed[:, :28].any() and not changed[:, 32:].any()
    assert -0.3 < soft[0, 10, 29] < soft[0, 10, 30] < 0.7
    known[8:13, :28] = False
    image[:, ~known] = -40.0  # nodata
    soft = rim.softened(image, known, inside, top)
    assert soft[:, known].min() >= -0.301
