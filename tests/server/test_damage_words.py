"""Damage by words: what did it, how far it went, and what only sounds like it."""

from __future__ import annotations

import pytest
from landbrush.server.words.interpreter import interpret


@pytest.mark.parametrize(
    ("words", "editor", "options"),
    [
        ("destroyed by a tornado", "damage", {"cause": "tornado"}),
        ("earthquake, all houses collapsed", "damage", {"cause": "earthquake", "severity": 1.0}),
        ("blue tarpaulins on the roofs", "damage", {"severity": 0.3, "tarpaulins": 0.85}),
        ("roof holes after the hurricane", "damage", {"cause": "hurricane", "severity": 0.3}),
        ("slight storm damage", "damage", {"cause": "hurricane", "severity": 0.25}),
        ("bombed", "damage", {"cause": "explosion"}),
        ("houses destroyed by the tsunami", "damage", {"cause": "tsunami"}),
        ("tsunami", "flood", {"mud": 0.95, "debris": 0.5}),
        ("flooded knee-deep", "flood", {"level_m": 0.5}),
        ("clear the rubble", "remove", {}),
        ("half of the houses destroyed", "damage", {"severity": 0.62}),
        ("30 % of the buildings damaged", "damage", {"severity": 0.18}),
        ("every house collapsed", "damage", {"severity": 1.0, "cause": "earthquake"}),
        ("explosion destroyed the wind farm", "damage", {"cause": "explosion"}),
        ("houses destroyed by the storm, debris on the roads", "damage", {"roads_cleared": False}),
        ("a third of the town destroyed", "damage", {"severity": 0.48}),
        ("some walls left, all houses destroyed", "damage", {"severity": 1.0}),
        ("all of the houses destroyed, a few cars", "damage", {"severity": 1.0}),
        ("half-timbered houses completely destroyed", "damage", {"severity": 1.0}),
        ("half timbered houses levelled", "damage", {"severity": 1.0}),
        ("severely damaged houses, some trees left", "damage", {"severity": 1.0}),
        ("most of the houses collapsed", "damage", {"severity": 0.81}),
        ("severe roof damage by hail", "damage", {"cause": "hurricane", "severity": 0.5}),
        ("slight roof damage", "damage", {"severity": 0.2}),
        ("destroyed houses, no debris", "damage", {"debris": 0.0}),
        ("destroyed houses with little debris", "damage", {"debris": 0.2}),
        ("destroyed houses, debris everywhere", "damage", {"debris": 1.0}),
        ("ef4 tornado", "damage", {"cause": "tornado"}),
        ("EF5 damage", "damage", {"cause": "tornado", "severity": 1.0}),
        ("post-tsunami", "damage", {"cause": "tsunami"}),
        ("ground after tsunami", "damage", {"cause": "tsunami"}),
        ("tsunami-hit town", "damage", {"cause": "tsunami"}),
        ("coast hit by tsunami", "damage", {"cause": "tsunami"}),
        ("debris of the tsunami", "damage", {"cause": "tsunami"}),
        ("houses with wave damage", "damage", {"cause": "tsunami"}),
        ("blast wave destroyed the houses", "damage", {"cause": "explosion"}),
        ("Sturmflut", "flood", {"mud": 0.95}),
        ("海啸", "flood", {"mud": 0.95}),
        ("tormenta de arena", "fog", {}),
        ("replace the ruins with a park", "fill", {"word": "grass"}),
        ("turn the rubble into a meadow", "fill", {"word": "grass"}),
        ("burned forest without smoke", "burn", {}),
    ],
)
def test_words_say_what_did_it_and_how_far(words, editor, options):
    found = interpret(words, lambda said: {})
    assert found.editor == editor and found.sure
    assert options.items() <= found.options.items()
    assert "smoke" not in found.options or "smok" in words.replace("without smoke", "")
    assert "debris" not in found.options or editor == "damage" or "mud" in found.options


@pytest.mark.parametrize(
    "words",
    [
        "no damage",
        "houses not damaged",
        "don't damage the trees",
        "blast furnace",
        "lava field",
        "meteorite crater",
        "damaged road",
        "beetle damage",
        "crushed gravel",
        "put a tarpaulin here",
        "bomb shelter",
        "avalanche barriers",
        "nothing destroyed",
        "nothing is damaged here",
        "hardly any damage",
        "prevent damage to the houses",
        "avoid any destruction",
        "the houses survived the earthquake",
        "they escaped the tornado without damage",
        "earthquake-proof houses",
        "tornado shelter",
        "hurricane shutters",
        "cyclone fence",
        "damage assessment",
        "destroyers in the harbour",
        "collapsible roofs",
        "earthquake drill",
        "houses without any visible damage",
        "undamaged houses",
        "0 % of the houses destroyed",
        "build new houses where the old ones collapsed",
        "replace the ruins with a park",
        "rubble becomes meadow",
    ],
)
def test_words_that_do_not_mean_broken_buildings_run_nothing(words):
    found = interpret(words, lambda said: {})
    assert not (found.editor == "damage" and found.sure)


def test_tarpaulins_that_are_denied_are_not_laid():
    found = interpret("destroyed houses, no tarpaulins", lambda said: {})
    assert found.editor == "damage" and "tarpaulins" not in found.options
