"""What a server says is read in the user's language: whole sentences, with what differs in them."""

import json
import re

import pytest
from landbrush.plugin import told, translated

LANGUAGES = ("de", "fr", "es", "zh")


@pytest.fixture
def catalogue(tmp_path, monkeypatch):
    """A language of a few sentences."""
    known = {
        "There is no job '{0}'.": "Es gibt keinen Auftrag '{0}'.",
        "{0} of {1} places inside look like {2}.": "Wie {2} sehen {0} von {1} Stellen aus.",
        "Draw it larger.": "Zeichnen Sie es größer.",
        "{0} cannot be read: {1}": "{0} ist nicht lesbar: {1}",
        "{0} cannot be read: it is empty ({1}).": "{0} ist leer ({1}).",
        "the file is damaged": "die Datei ist beschädigt",
    }
    (tmp_path / "xx.json").write_text(json.dumps(known), "utf8")
    monkeypatch.setattr(told, "SENTENCES", tmp_path)
    told._sentences.cache_clear()
    yield lambda text: told.in_language(text, "xx")
    told._sentences.cache_clear()


def test_sentences_with_what_differs(catalogue):
    assert catalogue("There is no job 'a b.c'.") == "Es gibt keinen Auftrag 'a b.c'."
    assert catalogue("3 of 8 places inside look like water.") == (
        "Wie water sehen 3 von 8 Stellen aus."
    )
    assert catalogue("Draw it larger.") == "Zeichnen Sie es größer."


def test_several_sentences_each_by_itself(catalogue):
    both = "There is no job '7'. Nobody knows this one. Draw it larger."
    assert catalogue(both) == (
        "Es gibt keinen Auftrag '7'. Nobody knows this one. Zeichnen Sie es größer."
    )


def test_what_fills_a_place_is_translated_too_and_the_closer_sentence_wins(catalogue):
    assert catalogue("a.tif cannot be read: the file is damaged") == (
        "a.tif ist nicht lesbar: die Datei ist beschädigt"
    )
    assert catalogue("a.tif cannot be read: it is empty (0 bytes).") == "a.tif ist leer (0 bytes)."


@pytest.mark.parametrize(
    "text", ["", " ", "no sentence", "{0}", "\\ ( [", "A. B. C.", "x" * 20_000]
)
def test_what_is_not_known_stays(catalogue, text):
    assert catalogue(text) == text
    assert told.in_language(text, "nl") == text and told.in_language(text, "en") == text


def test_names_are_not_translated(catalogue, monkeypatch):
    """A job or a layer may be called as a button is."""
    monkeypatch.setattr(told, "catalogue", lambda code: {"Run": "Start"})
    told._sentences.cache_clear()
    assert catalogue("There is no job 'Run'.") == "Es gibt keinen Auftrag 'Run'."
    assert catalogue("Run") == "Start"


def test_a_place_is_filled_with_as_little_as_fits(catalogue):
    """Each piece is found once: no text takes longer than reading it a few times."""
    of = "of " * 1200
    assert told._values(f"3 {of}places", ["", " of ", " places"]) == ["3", of[3:].strip()]
    assert told._values("a of b", ["", " of ", " of ", ""]) is None
    assert told._values("ab", ["a", "b"]) == [""] and told._values("aba", ["ab", "ba"]) is None
    assert catalogue(f"1 of {of}") == f"1 of {of}"


def test_values_that_look_like_places_stay_as_they_are(catalogue):
    assert catalogue("There is no job '{1}\\2'.") == "Es gibt keinen Auftrag '{1}\\2'."


@pytest.mark.parametrize("language", LANGUAGES)
def test_real_sentences_in_every_language(language):
    """Of several rooms of the server."""
    for text in (
        "The editor cannot do this",
        "The polygons do not touch the raster or the chosen extent.",
        "Nothing there stands out from its surroundings. Click on the middle of it, or draw it.",
        "0 of 8 places inside look like water.",
    ):
        found = told.in_language(text, language)
        assert found != text and "{" not in found, (language, text, found)


NAMES = {"DDIM", "DDPM", "DPM++ 2M", "DPM++ 2M Karras", "Euler", "Euler ancestral", "PNDM"} | {
    *("flow Euler", "float32", "bfloat16", "float16", "32", "64", "96", "160", "")
}
"""Values of options that are the same in every language."""


@pytest.mark.parametrize("code", LANGUAGES)
def test_values_of_options_are_translated(code, tmp_path):
    from landbrush.server.editors.models import Models
    from landbrush.server.editors.registry import Editors

    options = [one for editor in Editors(Models(tmp_path)).described() for one in editor.options]
    words = {word for option in options for word in option.choices} - NAMES
    assert len(words) > 80
    catalogue = translated.catalogue(code)
    missing = {
        word
        for word in words
        if told.in_language(word, code) == word
        and word not in catalogue
        and word not in told._sentences(code)[0]
    }
    assert not missing


ASKED = (
    *("flooded to the doorsteps", "nieve", "überflutet bis zur Türschwelle", "洪水淹没到门口"),
    *(
        "Erdbeben",
        "30 % destroyed by an earthquake",
        "blue tarpaulins",
        "mud",
        "remove all cars",
        "spring",
    ),
    *("snow with cleared roads", "turn the pool into grass", "dense fog", "oil spill"),
    *("flooded, protect the houses", "not flooded", "vineyard", "trees every 12 m", "tarps"),
)
ENGLISH = re.compile(r"\b(?:the|with|found|about|deep|damaged|above|please|else|away|Read)\b")


@pytest.mark.parametrize("code", LANGUAGES)
def test_what_was_understood_of_words_is_read_in_the_language(code, tmp_path):
    from landbrush.server.editors.models import Models

    models = Models(tmp_path)
    for prompt in ASKED:
        understood = models.interpret(prompt).understood
        said = told.in_language(understood, code)
        quoted = re.sub(r"[„«“'‘][^„«»“”'’]*[“»”'’]", "", said)  # words of the user's stay
        assert said != understood and not ENGLISH.search(quoted), (prompt, said)
        assert not re.search(r"。(?=\S)", said), "a stop inside a sentence"


def test_several_sentences_of_joined_words(catalogue):
    """A place at the end of a sentence would swallow what follows it."""
    told._sentences("xx")[0]["water"] = "Wasser"
    told._sentences("xx")[1].append((["Perhaps: ", ""], "Vielleicht: {0}"))
    assert catalogue("Perhaps: water. Draw it larger.") == (
        "Vielleicht: Wasser. Zeichnen Sie es größer."
    )
    assert catalogue("water.") == "Wasser." and catalogue("wine.") == "wine."
