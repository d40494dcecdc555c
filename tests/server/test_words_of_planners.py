"""Sentences of people who saw the product for the first time, which it once carried out the wrong
way round."""

from __future__ import annotations

from pathlib import Path

import pytest
from landbrush.server.editors.models import Models
from landbrush.server.words.interpreter import mended

MODELS = Models(Path("/nowhere"))


def read(text):
    found = MODELS.interpret(text)
    return found.operation, found.to_class or found.from_class, found.sure


@pytest.mark.parametrize(
    "text, operation, ground",
    [
        ("remvoe the swiming pool", "remove", "water"),
        ("romove the pool", "remove", "water"),
        ("Remvoe the house", "remove", "residential"),
        ("demolsh the houses", "remove", "residential"),
        ("the forest was clear-cut", "bare", "bare"),
        ("the trees were felled", "bare", "bare"),
        ("the woods have been logged", "bare", "bare"),
        ("the forest has been cleared", "bare", "bare"),
        ("the pond has been filled in", "bare", "bare"),
        ("the lake is dry", "season", ""),
        ("the reservoir is nearly empty", "season", ""),
        ("70% of the trees die", "season", ""),
        ("the field without cars", "remove", "vehicles"),
        ("the road free of traffic", "remove", "vehicles"),
        ("clear the motorway of all traffic", "remove", "vehicles"),
        ("no flood here, only autumn colours on the trees", "season", ""),
        ("autumn colours on the trees", "season", ""),
        ("no cars", "remove", "vehicles"),
        ("no forest here, only snow", "snow", ""),
        ("not a forest but a meadow", "grass", "grass"),
        ("the trees were cut down and houses were built", "residential", "residential"),
        ("the forest was cleared for houses", "residential", "residential"),
        ("der Wald wurde gerodet", "remove", "forest"),
        ("no more parked cars", "remove", "vehicles"),
        ("a pond in the park", "water", "water"),
        ("20 cm Neuschnee, Straßen geräumt", "snow", ""),
        ("neige fraîche", "snow", ""),
        ("noche, farolas encendidas", "night", ""),
        ("talar los árboles", "remove", "forest"),
        ("Bäume fällen", "remove", "forest"),
        ("abattre les arbres", "remove", "forest"),
        ("Einfamilienhäuser", "residential", "residential"),
    ],
)
def test_it_is_done_the_right_way_round(text, operation, ground):
    assert read(text) == (operation, ground, True)


@pytest.mark.parametrize(
    "text, amount",
    [
        ("plant 12 trees", "12 trees"),
        ("a car park with 60 bays", "60 bays"),
        ("half of the car park becomes a park", "half of the car park"),
    ],
)
def test_a_number_that_nothing_goes_by_is_named(text, amount):
    assert f"'{amount}' is not gone by" in MODELS.interpret(text).understood


@pytest.mark.parametrize("text", ["Es fällt Schnee", "die Blätter fallen"])
def test_what_falls_is_not_felled(text):
    assert read(text)[0] != "remove"


def test_what_cannot_be_made_is_said():
    assert (
        "'widen the road' by its name" in MODELS.interpret("widen the road by one lane").understood
    )


def test_how_hard_it_rained_is_no_depth_and_thick_woods_are_no_disaster():
    assert MODELS.interpret("flooded after heavy rain").severity == ""
    assert MODELS.interpret("heavy flood").severity == "high"
    assert "severity" not in MODELS.interpret("dense forest").understood


def test_the_place_of_a_pond_is_not_what_it_replaces():
    for text in ("a pond in the park", "a pond with reeds in the meadow", "a lake in the garden"):
        assert MODELS.interpret(text).from_class == ""
    assert MODELS.interpret("turn the meadow into a pond").from_class == "grass"


def test_how_many_trees_die_is_gone_by():
    assert MODELS.interpret("70% of the trees die").options["amount"] == 0.7


@pytest.mark.parametrize(
    "word, meant",
    [
        ("remvoe", "remove"),
        ("romove", "remove"),
        ("remov", "remove"),
        ("removve", "remove"),
        ("emove", ""),
        ("remote", ""),
        ("remove", ""),
        ("removes", ""),
        ("replica", ""),
        ("demolition", ""),
        ("renovate", ""),
        ("replaced", ""),
        ("mover", ""),
    ],
)
def test_slips_of_the_pen(word, meant):
    assert mended(word) == meant
