"""Words that name finer kinds of ground, or exemplars of one's own."""

from __future__ import annotations

import pytest
from landbrush.server.words import land_cover
from landbrush.server.words.interpreter import interpret, with_own


@pytest.mark.parametrize(
    ("words", "word"),
    [
        ("tennis courts", "tennis court"),
        ("put a marina here", "marina"),
        ("storage tanks", "storage tanks"),
        ("turn the meadow into a golf course", "golf course"),
        ("a vineyard instead of the forest", "vineyard"),
        ("build warehouses", "warehouse"),
        ("new housing estate", "housing estate"),
        ("mobile homes", "mobile homes"),
        ("airport runway", "runway"),
        ("parked aircraft", "aircraft"),
        ("landslide", "landslide"),
        ("construction site", "construction site"),
        ("rooftop solar", "solar roof"),
        ("solar farm", "solar"),
        ("motorway", "freeway"),
    ],
)
def test_words_name_finer_kinds_of_ground(words, word):
    found = interpret(words, lambda said: {})
    assert found.sure and found.editor == "fill"
    assert found.options["word"] == word
    assert word.split()[0] in found.understood.lower()


@pytest.mark.parametrize(
    "words",
    ["remove the tennis court", "turn the golf course into a forest", "no runway",
     "flood the marina", "demolish the warehouses"],
)  # fmt: skip
def test_a_finer_kind_that_goes_is_not_put_there(words):
    finer = {kind.name for kind in land_cover.FINER}
    assert interpret(words, lambda said: {}).options.get("word") not in finer


@pytest.mark.parametrize(
    "words",
    ["replace the houses with forest", "forest instead of houses", "plant trees around the houses",
     "houses spared by the storm", "do not touch the zork quarter", "what is a zork quarter?",
     "remove the zork quarter", "turn the zork quarter into a lake"],
)  # fmt: skip
def test_ones_own_words_are_filled_with_only_where_nothing_else_is_asked(words):
    mine = {"houses": "houses", "zork quarter": "zork quarter", "a": "houses"}
    found = with_own(interpret(words, lambda said: {}), mine)
    assert "your own" not in found.understood


@pytest.mark.parametrize(
    "words",
    ["a zork quarter", "Zork quarter, please", "put a zork quarter here",
     "turn the meadow into a zork quarter", "replace the car park with a zork quarter"],
)  # fmt: skip
def test_ones_own_words_are_known(words):
    found = with_own(interpret(words, lambda said: {}), {"zork quarter": "zork quarter"})
    assert found.sure and found.editor == "fill" and "zork quarter" in found.understood


@pytest.mark.parametrize(
    ("words", "word"),
    [
        ("lake without boats", "water"),
        ("grass, no golf", "grass"),
        ("replace the car park with tennis courts", "tennis court"),
        ("tennis courts instead of a car park", "tennis court"),
        ("replace the meadow with a vineyard", "vineyard"),
        ("replace the houses with warehouses", "warehouse"),
        ("solar panels on the roofs", "solar roof"),
        ("scrub", "shrub"),
        ("baseball field", "baseball field"),
    ],
)
def test_what_is_denied_or_goes_is_not_put_there(words, word):
    assert interpret(words, lambda said: {}).options["word"] == word


@pytest.mark.parametrize(
    "words",
    ["plane trees along the street", "plane the surface", "jet of water", "jets of smoke",
     "jet black roofs", "military tanks", "pitch black roofs", "pool table", "tidal pool",
     "hedge along the highway", "cycle path next to the highway"],
)  # fmt: skip
def test_words_that_only_sound_like_it_put_nothing_there(words):
    found = interpret(words, lambda said: {})
    finer = {kind.name for kind in land_cover.FINER}
    assert found.options.get("word") not in finer and found.editor != "lake"
