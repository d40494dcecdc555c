"""Prompts in German, French, Spanish and Chinese: read as English through a lexicon, told to the
user; English ones stay as they are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from landbrush.server.words.interpreter import interpret
from landbrush.server.words.languages import in_english

RESOURCES = Path(__file__).resolve().parents[2] / "resources"

READ = [
    # German
    ("überflutet bis 1,5 m", "flood", "", {"level_m": 1.5}),
    ("ueberflutet", "flood", "", {}),
    ("ÜBERSCHWEMMT", "flood", "", {}),
    ("Hochwasser bis zur Türschwelle", "flood", "", {"level_m": 0.25}),
    ("knietief unter Wasser", "flood", "", {"level_m": 0.5}),
    ("überflutet bis 22 m ü. NHN", "flood", "", {"level_m": 22.0}),
    ("verschneit", "snow", "", {}),
    ("dichter Nebel", "fog", "", {"visibility_m": 90.0}),
    ("nach einem Waldbrand", "burn", "", {}),
    ("Herbst", "season", "", {"season": "autumn leaves"}),
    ("Dürre", "season", "", {"season": "drought"}),
    ("vom Erdbeben zerstört", "damage", "", {"cause": "earthquake"}),
    ("detruit par une tornade", "damage", "", {"cause": "tornado"}),
    ("casas destruidas por el huracán", "damage", "", {"cause": "hurricane"}),
    ("地震摧毁", "damage", "", {"cause": "earthquake"}),
    ("Bitte den Zustand vor dem Sturm zeigen", "repair", "", {}),
    ("bei Niedrigwasser", "season", "", {"season": "low water"}),
    ("bei Nacht", "night", "", {}),
    ("Entferne den Schuppen", "remove", "", {}),
    ("das Haus soll weg: abgerissen", "remove", "", {}),
    ("hier einen Solarpark bauen", "solar", "solar", {}),
    ("Ersetze den Wald durch eine Wiese", "grass", "grass", {}),
    ("Parkplatz statt Acker", "parking", "parking", {}),
    ("hier Bäume pflanzen", "forest", "forest", {}),
    ("Neubaugebiet", "residential", "residential", {}),
    # French
    ("en automne", "season", "", {"season": "autumn leaves"}),
    ("sécheresse", "season", "", {"season": "drought"}),
    ("inondé jusqu'à 1 m", "flood", "", {"level_m": 1.0}),
    ("sous les eaux, 2 mètres de profondeur", "flood", "", {"level_m": 2.0}),
    ("enneigé", "snow", "", {}),
    ("brouillard épais", "fog", "", {"visibility_m": 90.0}),
    ("forêt brûlée", "burn", "", {}),
    ("supprimez la maison", "remove", "", {}),
    ("remplacer le parking par une forêt", "forest", "forest", {}),
    ("planter des arbres ici", "forest", "forest", {}),
    ("une ferme solaire", "solar", "solar", {}),
    ("un étang", "water", "water", {}),
    # Spanish
    ("nieve", "snow", "", {}),
    ("inundado hasta las rodillas", "flood", "", {"level_m": 0.5}),
    ("niebla densa", "fog", "", {"visibility_m": 90.0}),
    ("quemado", "burn", "", {}),
    ("eliminar la casa", "remove", "", {}),
    ("reemplazar el bosque por paneles solares", "solar", "solar", {}),
    ("plantar árboles aquí", "forest", "forest", {}),
    ("aparcamiento", "parking", "parking", {}),
    ("en otoño", "season", "", {"season": "autumn leaves"}),
    ("marea baja", "season", "", {"season": "low water"}),
    ("de noche", "night", "", {}),
    # Chinese
    ("洪水淹没1米", "flood", "", {"level_m": 1.0}),
    ("下雪", "snow", "", {}),
    ("大雾", "fog", "", {}),
    ("火灾烧毁", "burn", "", {}),
    ("删除这座房子", "remove", "", {}),
    ("把森林换成太阳能电站", "solar", "solar", {}),
    ("在这里种树", "forest", "forest", {}),
    ("停车场", "parking", "parking", {}),
    ("秋天", "season", "", {"season": "autumn leaves"}),
    ("退潮", "season", "", {"season": "low water"}),
    ("夜晚", "night", "", {}),
    # Words that turn a sentence
    ("der Wald soll weg", "remove", "", {}),
    ("Weg mit dem Haus", "remove", "", {}),
    ("Teich im Wald", "water", "water", {}),
    ("Acker wird Wald", "forest", "forest", {}),
    ("un lago en el campo", "water", "water", {}),
    ("parking dans le champ", "parking", "parking", {}),
    ("农田变森林", "forest", "forest", {}),
    ("在草地上建停车场", "parking", "parking", {}),
    ("水淹十五米", "flood", "", {"level_m": 15.0}),
    ("移除棚屋", "remove", "", {}),
]

NOT_DONE = [
    "den Schuppen nicht entfernen",
    "ne pas supprimer la maison",
    "no eliminar la casa",
    "不要删除房子",
    "schneefrei",
    "Hochwasserschutz",
]


@pytest.mark.parametrize(("prompt", "operation", "to_class", "options"), READ)
def test_what_is_said_in_another_language(prompt, operation, to_class, options):
    found = interpret(prompt, lambda text: {})
    assert (found.operation, found.to_class, found.sure) == (operation, to_class, True), (
        found.understood
    )
    assert options.items() <= found.options.items()
    assert "Read as '" in found.understood and found.prompt == prompt


@pytest.mark.parametrize("prompt", NOT_DONE)
def test_what_is_denied_is_not_done(prompt):
    found = interpret(prompt, lambda text: {})
    assert not found.sure and found.operation == "unknown", found.understood


@pytest.mark.parametrize(
    "prompt",
    [
        "lass das Haus stehen und entferne die Bäume",
        "laisser la maison, supprimer les arbres",
        "deja la casa, quita los árboles",
    ],
)
def test_what_is_to_stay_stays(prompt):
    found = interpret(prompt, lambda text: {})
    assert (found.operation, found.from_class) == ("remove", "forest"), found.understood


def test_direction_is_kept():
    there = interpret("Wiese statt Wald", lambda text: {})
    back = interpret("Wald statt Wiese", lambda text: {})
    assert (there.to_class, there.from_class) == ("grass", "forest")
    assert (back.to_class, back.from_class) == ("forest", "grass")


def words_in(data):
    if isinstance(data, str):
        yield data
    elif isinstance(data, list):
        for one in data:
            yield from words_in(one)
    elif isinstance(data, dict):
        for name, one in data.items():
            yield name
            yield from words_in(one)


FOREIGN = {"German", "French", "Spanish", "Chinese"}
KNOWN_FOREIGN = 20
"""Sentences among those that were collected, which are in other languages indeed."""


def test_english_stays_english():
    """Of nearly 3,000 sentences that people wrote, not one English one is taken for another
    language."""
    asked = [
        text
        for name in ("phrases.json", "phrases_free.json")
        for text in words_in(json.loads((RESOURCES / name).read_text("utf8")))
        if len(text) > 3
    ]
    read = {text for text in asked if "Read as '" in interpret(text, lambda words: {}).understood}
    assert len(asked) > 2500
    assert len(read) <= KNOWN_FOREIGN, sorted(read)
    for text in ("solar farm", "gravel", "industrial", "parking", "no snow", "die back of trees"):
        assert "Read as" not in interpret(text, lambda words: {}).understood


def test_what_is_not_read_is_asked_about():
    """A word that the lexicon lacks may turn the sentence round."""
    found = interpret("Entferne das Haus, ausgenommen Garage", lambda text: {"remove": 0.4})
    assert not found.sure and found.choices[0].operation == "remove"
    assert "not read: ausgenommen, garage" in found.understood
    chosen = interpret("Entferne das Haus, ausgenommen Garage", lambda text: {}, "remove")
    assert chosen.sure


@pytest.mark.parametrize(
    "prompt", ["overstroomd", "snö överallt", "снег", "雪が降る。", "12 %", "…"]
)
def test_other_languages_are_left_as_they_are(prompt):
    reading = in_english(prompt)
    assert reading is None or reading.language in FOREIGN


def test_a_long_text_is_read_in_time():
    in_english("Wald statt Wiese " * 400)
    in_english("把森林换成太阳能电站" * 400)
