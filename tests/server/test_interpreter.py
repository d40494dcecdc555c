"""The interpreter's regression sets, directions, negations, and what it gives to options."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from landbrush.server.contract.requests import EditRequest
from landbrush.server.editing.plan import decide
from landbrush.server.editors.models import Models
from landbrush.server.ground.errors import CannotEdit
from landbrush.server.models import sentences
from landbrush.server.words import grammar
from landbrush.server.words.operations import CLASSES, OPERATIONS

from tests.server.conftest import MODELS, inputs, ring, square

DATA = Path(__file__).resolve().parents[1] / "data"


def rows(name):
    return json.loads((DATA / f"prompts_{name}.json").read_text("utf8"))


def share(name):
    found = [MODELS.interpret(row["prompt"]).operation == row["operation"] for row in rows(name)]
    return sum(found) / len(found)


@pytest.mark.parametrize(
    ("name", "least"), [("reference", 0.98), ("tuning", 0.98), ("held_back", 0.78)]
)
def test_regression_sets(name, least):
    """Held back: written by another hand before the rules were, never looked at while tuning."""
    assert share(name) >= least


def test_rules_alone_still_answer(monkeypatch):
    monkeypatch.setattr(sentences.Sentences, "operation_scores", lambda self, prompt: {})
    models = Models(Path("/nowhere"))
    asked = rows("reference")
    right = [models.interpret(row["prompt"]).operation == row["operation"] for row in asked]
    assert sum(right) / len(right) > 0.9
    found = models.interpret("blorp the frobnicator")
    assert found.operation == "unknown" and not found.sure and not found.choices


@pytest.mark.parametrize("to", CLASSES)
@pytest.mark.parametrize(
    "template",
    [
        "turn the {a} into {b}",
        "replace the {a} with {b}",
        "{b} instead of {a}",
        "{b} where the {a} was",
        "convert {a} to {b}",
        "change {a} into {b}",
    ],
)
def test_direction(template, to):
    words = {
        "forest": "forest",
        "water": "lake",
        "farmland": "farmland",
        "residential": "housing",
        "parking": "parking lot",
        "road": "highway",
        "solar": "solar farm",
        "grass": "meadow",
        "bare": "bare soil",
        "industrial": "factory",
    }
    for source in CLASSES:
        if source == to:
            continue
        found = grammar.operation_of(" " + template.format(a=words[source], b=words[to]) + " ")
        assert found == (to, to, source), template.format(a=words[source], b=words[to])


@pytest.mark.parametrize(
    ("prompt", "operation"),
    [
        ("do not flood anything", "unknown"),
        ("not a lake but a forest", "forest"),
        ("this is not a forest, it is a lake", "water"),
        ("no snow", "remove"),
        ("I do not want snow", "unknown"),
        ("leave everything as it is", "unknown"),
        ("", "unknown"),
        ("   ", "unknown"),
        ("?", "unknown"),
        ("x" * 3000, "unknown"),
    ],
)
def test_negation_and_rubbish(prompt, operation):
    assert MODELS.interpret(prompt).operation == operation


@pytest.mark.parametrize(
    ("prompt", "option", "value"),
    [
        ("flooded by 2 m of water", "level_m", 2.0),
        ("flood, half a metre of water", "level_m", 0.5),
        ("fog, visibility 50 m", "visibility_m", 50.0),
        ("dense fog", "visibility_m", 90.0),
        ("snow, 30 cm deep", "depth_cm", 30.0),
        ("light burn", "severity", 0.4),
        ("build houses", "keep_objects", True),
    ],
)
def test_words_become_options(prompt, option, value):
    assert MODELS.interpret(prompt).options[option] == pytest.approx(value)


@pytest.mark.parametrize(
    ("prompt", "operation"),
    [
        ("tarps", "damage"),
        ("blue tarpaulins", "damage"),
        ("spring", "season"),
        ("make it spring", "season"),
        ("spring, please", "season"),
        ("please make it spring", "season"),
        ("low water in the river", "season"),
        ("under 1.5 m of water", "flood"),
        ("under two metres of water", "flood"),
    ],
)
def test_words_by_themselves_are_acted_on(prompt, operation):
    found = MODELS.interpret(prompt)
    assert found.sure and found.operation == operation


@pytest.mark.parametrize(
    ("prompt", "operations"),
    [
        ("no blue tarps", {"remove", "unknown"}),
        ("there should be no blue tarpaulins", {"remove", "unknown"}),
        ("turn the blue tarps into grass", {"grass"}),
        ("put grass on the blue tarps", {"grass"}),
        ("fill with grass, spring", {"grass"}),
        ("more houses, spring", {"residential"}),
        ("snow, spring", {"snow"}),
    ],
)
def test_words_beside_others_are_no_request(prompt, operations):
    found = MODELS.interpret(prompt)
    assert found.operation in operations or not found.sure


def test_protect_and_from():
    found = MODELS.interpret("flood the farmland but not the houses")
    assert (found.operation, found.protect) == ("flood", "residential")
    assert MODELS.interpret("remove the cars").from_class == "vehicles"


def test_unclear_words_come_with_four_choices_and_are_not_sure():
    found = MODELS.interpret("somewhere for shoppers to put their vehicles")
    assert (
        not found.sure
        and len(found.choices) == 4
        and all(c.operation in OPERATIONS for c in found.choices)
    )


def test_a_land_cover_that_can_be_found_is_an_option_to_change():
    assert MODELS.interpret("make a lake").options["word"] == "water"
    assert MODELS.interpret("solar farm").options["word"] == "solar"


@pytest.mark.parametrize(
    ("prompt", "metres"),
    [
        ("flooded to the doorsteps", 0.25),
        ("knee-deep flood water", 0.5),
        ("flood it up to the roofs", 3.0),
        ("flooded 2 m deep", 2.0),
    ],
)
def test_depths_said_by_what_they_reach(prompt, metres):
    found = MODELS.interpret(prompt)
    assert found.operation == "flood" and found.options["level_m"] == metres


def test_what_words_cannot_point_at_is_asked_for(editors, tmp_path, rgb):
    def planned(prompt, **more):
        return decide(EditRequest.from_json(inputs(rgb, prompt=prompt, **more)), "auto", editors)

    with pytest.raises(
        CannotEdit, match="leave buildings alone, which words alone cannot point at"
    ):
        planned("snow everywhere except the roofs")
    protect = {"geometry": ring(rgb, square(70, 70, 80, 80))}
    assert planned("snow everywhere except the roofs", protect=protect).operation == "snow"
    assert planned("burn it, leave the road alone").operation == "burn"
    for spared in ("roads", "grass", "fields", "car park"):
        with pytest.raises(CannotEdit, match="which words alone cannot point at"):
            planned(f"flooded, leave the {spared} alone")
    assert planned("flooded, leave the roads alone", protect=protect).operation == "flood"
    assert planned("flooded, leave the houses alone").operation == "flood"
    with pytest.raises(CannotEdit, match="leave grass alone"):
        planned("burn it, leave the grass alone")
    assert planned("solar farm here").word == "solar"


@pytest.mark.parametrize(
    ("prompt", "operation"),
    [
        ("not flooded", "unknown"),
        ("no flood here", "unknown"),
        ("nicht überflutet", "unknown"),
        ("snow in summer without snow", "unknown"),
        ("a village that was not burnt", "unknown"),
        ("it is no longer flooded", "unknown"),
        ("never really snowed in", "unknown"),
        ("flooded -2 m", "flood"),
    ],
)
def test_weather_that_is_denied_is_asked_about(prompt, operation):
    found = MODELS.interpret(prompt)
    assert not found.sure and found.operation == operation


@pytest.mark.parametrize(
    ("prompt", "operation", "options"),
    [
        ("snow but no fog", "snow", {}),
        ("not destroyed but burnt", "burn", {}),
        ("not only flooded", "flood", {}),
        ("dead trees", "season", {"season": "leafless trees"}),
        ("half of the trees dead", "season", {"season": "leafless trees", "amount": 0.5}),
        ("the pines are dying", "season", {"season": "leafless trees"}),
        ("plant trees every 12 m", "rows", {"spacing_m": 12.0}),
        ("plant trees along the street every 9 m", "rows", {"layout": "along the middle"}),
        ("deep snow with cleared roads", "snow", {"depth_cm": 40.0, "roads": "cleared"}),
        ("30 cm of deep snow", "snow", {"depth_cm": 30.0}),
        ("zugeschneit", "snow", {}),
        ("Abenddämmerung", "night", {}),
    ],
)
def test_what_else_words_say(prompt, operation, options):
    found = MODELS.interpret(prompt)
    assert found.sure and found.operation == operation
    assert options.items() <= dict(found.options).items()
    if prompt.startswith("plant trees every"):
        assert "layout" not in found.options


def test_what_was_understood_says_how_much():
    assert "30 cm deep" in MODELS.interpret("30 cm of snow").understood
    assert "mud and debris" in MODELS.interpret("tsunami").understood
    assert "2 m deep" in MODELS.interpret("flooded 2 m").understood


@pytest.mark.parametrize(
    ("prompt", "amount"),
    [("a pond of 20 m", "20 m"), ("5 ha of forest", "5 ha"), ("remove 30% of the cars", "30%")],
)
def test_amounts_that_nothing_goes_by_are_named(prompt, amount):
    assert f"'{amount}' is not gone by" in MODELS.interpret(prompt).understood


def test_a_share_of_snow_is_its_cover():
    found = MODELS.interpret("snow, 40% cover")
    assert found.options["cover"] == 0.4 and "not gone by" not in found.understood
    assert "not gone by" not in MODELS.interpret("flooded 2 m").understood


def test_what_is_denied_in_part_is_still_asked_for():
    found = MODELS.interpret("heavy damage, but not completely collapsed roofs")
    assert found.operation == "damage" or not found.sure
    assert MODELS.interpret("snow, not deep").options.get("depth_cm") != 40.0
    assert MODELS.interpret("flood 1 - 2 m deep").sure
    assert "large" not in MODELS.interpret("a lake 3 m deep").understood
