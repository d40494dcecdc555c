"""Every text that a person reads is in every catalogue, with the same places in braces."""

import importlib.util
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LANGUAGES = ("de", "fr", "es", "zh")


@pytest.fixture
def strings():
    spec = importlib.util.spec_from_file_location("strings", ROOT / "scripts" / "strings.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_catalogues_are_complete(strings):
    assert strings.faults() == []
    assert {path.stem for path in strings.CATALOGUES.glob("*.json")} == set(LANGUAGES)
    assert len(strings.all_texts()) > 400
    server = {path.stem for path in (strings.CATALOGUES / "server").glob("*.json")}
    assert server == set(LANGUAGES) and len(strings.sentences.all_sentences()) > 700


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_is_one(language):
    """Not the English text again, but for names."""
    folder = ROOT / "resources" / "i18n"
    catalogue = json.loads((folder / f"{language}.json").read_text("utf8"))
    said = json.loads((folder / "server" / f"{language}.json").read_text("utf8"))
    assert sum(text == there for text, there in said.items()) < 20
    same = [text for text, there in catalogue.items() if text == there and " " in text]
    assert len(same) < 12, same


def test_what_is_missing_is_found(strings, tmp_path, monkeypatch):
    catalogue = json.loads((strings.CATALOGUES / "de.json").read_text("utf8"))
    catalogue["{n} areas"] = "{m} Flächen"
    catalogue["nobody says this"] = "x"
    del catalogue["Run"]
    (tmp_path / "de.json").write_text(json.dumps(catalogue))
    sentences = json.loads((strings.CATALOGUES / "server" / "de.json").read_text("utf8"))
    del sentences["The editor cannot do this"]
    sentences["The disk is full of {0}."] = "Voll"
    (tmp_path / "server").mkdir()
    (tmp_path / "server" / "de.json").write_text(json.dumps(sentences))
    monkeypatch.setattr(strings, "CATALOGUES", tmp_path)
    said = "\n".join(strings.faults())
    assert "not translated: 'Run'" in said and "not used: 'nobody" in said
    assert "not translated: 'The editor cannot do this'" in said
    assert "not used: 'The disk is full of {0}.'" in said
    assert "other places in braces: '{n} areas'" in said


def test_a_text_in_another_language(monkeypatch):
    from landbrush.plugin import translated

    monkeypatch.setattr(translated, "language", lambda: "de")
    assert translated.tr("{n} areas", n=3) == "3 Flächen"
    assert translated.tr("Run") == "Start"
    assert translated.tr("not in any catalogue {x}", x=1) == "not in any catalogue 1"
    monkeypatch.setattr(translated, "language", lambda: "nl")
    assert translated.tr("Run") == "Run"
