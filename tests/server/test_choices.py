"""Choices that are carried out, and words that point at a drawn exemplar."""

from __future__ import annotations

import pytest
from landbrush.server.contract.requests import EditRequest
from landbrush.server.editing.plan import decide
from landbrush.server.ground.errors import BadRequest
from landbrush.server.words.operations import OFFERED

from tests.server.conftest import MODELS, inputs, ring, square
from tests.server.edits import A, made


@pytest.mark.parametrize(
    "words",
    [
        "fill it like the marked area",
        "extend the parking lot, like there",
        "as marked",
        "more of this",
        "should look like this",
        "like over there",
        "the same as in the drawn polygon",
    ],
)
def test_words_that_point_at_a_drawn_exemplar_fill_like_it(editors, rgb, words):
    pointed = MODELS.interpret(words, exemplar=True)
    assert pointed.sure and pointed.editor == "fill", pointed
    body = inputs(
        rgb, prompt=words, exemplar={"polygons": {"geometry": ring(rgb, square(5, 5, 45, 45))}}
    )
    assert decide(EditRequest.from_json(body), "auto", editors).editor.info.id == "fill"


@pytest.mark.parametrize(
    ("words", "operation"),
    [
        ("remove this", "remove"),
        ("this flooded", "flood"),
        ("copy this", "copy"),
        ("do not touch this", "unknown"),
        ("not like this", "unknown"),
    ],
)
def test_what_is_clear_stays_what_it_was(words, operation):
    found = MODELS.interpret(words, exemplar=True)
    assert found.operation == operation or (operation == "unknown" and not found.sure), found


@pytest.mark.parametrize("operation", OFFERED)
def test_a_choice_is_carried_out_as_it_is(operation):
    found = MODELS.interpret("make it nicer somehow", operation)
    assert (
        found.sure
        and found.operation == operation
        and not found.choices
        and not found.understood.startswith("Perhaps")
    )


def test_what_was_chosen_runs_and_something_else_is_not_offered(editors, rgb, tmp_path):
    unclear = MODELS.interpret("make it nicer somehow")
    assert (
        not unclear.sure
        and unclear.choices
        and "unknown" not in [c.operation for c in unclear.choices]
    )
    report = made(
        rgb,
        tmp_path / "out",
        "auto",
        polygons={"geometry": ring(rgb, A)},
        prompt="make it nicer somehow",
        operation="snow",
    )
    assert report["editor"] == "snow" and report["understood"]["sure"]
    with pytest.raises(BadRequest, match="none of"):
        MODELS.interpret("anything", "unknown")
    with pytest.raises(BadRequest, match="goes with the process 'auto'"):
        decide(EditRequest.from_json(inputs(rgb, operation="snow")), "snow", editors)


@pytest.mark.parametrize(
    "words",
    [
        "same kind of ground as there",
        "same kind as marked",
        "another one like this",
        "fix this like there",
        "like the yellow polygon",
        "similar to the selection",
        "from the other layer",
        "do the same here",
        "like in the box",
        "make it like the red area",
    ],
)
def test_turns_of_phrase_that_point_at_the_exemplar(words):
    assert MODELS.interpret(words, exemplar=True).editor == "fill", MODELS.interpret(
        words, exemplar=True
    )


def test_only_what_can_be_done_is_offered():
    for words in (
        "make it nicer somehow",
        "it should look better",
        "something with the houses",
        "improve the place",
        "do your thing",
    ):
        assert all(
            MODELS.interpret(words, choice.operation).editor
            for choice in MODELS.interpret(words).choices
        ), words


@pytest.mark.parametrize("name", ["Low light", "low-light", "night", "NIGHT".lower()])
def test_a_choice_may_be_named_as_it_is_shown(name):
    assert MODELS.interpret("make it nicer somehow", name).operation == "night"


@pytest.mark.parametrize(
    ("words", "operation"),
    [
        ("put this there", "copy"),
        ("place that one here", "copy"),
        ("make it different from this", ""),
    ],
)
def test_putting_is_copying_and_unlike_is_not_like(words, operation):
    found = MODELS.interpret(words, exemplar=True)
    assert (
        (found.operation == operation and found.sure)
        if operation
        else found.operation != "fill_like" or not found.sure
    ), found
