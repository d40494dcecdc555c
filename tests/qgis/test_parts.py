"""What is understood, part by part: clicked, changed, sent; and pictures that stand for words."""

from dataclasses import replace
from pathlib import Path

import pytest
from landbrush.plugin.panel import chips
from landbrush.plugin.panel.parts import PartsLine
from landbrush.plugin.panel.words import WordsBox
from landbrush.server.contract.editors import AUTO, EditorInfo, Option
from landbrush.server.contract.words import Choice, Interpretation

FLOOD = EditorInfo(
    id="flood",
    title="Flood",
    description="",
    engine="",
    options=(
        Option("level_m", "number", 1.0, "Depth", help="how deep", unit="m", minimum=0.0),
        Option("counts_from", "string", "ground", "Counts from", choices=("ground", "sea")),
        Option("mud", "number", 0.3, "Mud", maximum=1.0),
        Option("debris", "boolean", False, "Debris"),
    ),
)


@pytest.fixture
def line(qgis_app):
    found = PartsLine()
    yield found
    found.deleteLater()


def meaning(prompt="flooded 2 m", **options):
    return Interpretation(
        prompt=prompt,
        operation="flood",
        editor="flood",
        understood="Flood 2 m deep",
        sure=True,
        options=options,
    )


def test_the_parts_that_words_name_come_first(line):
    line.show_parts(FLOOD, {"mud": 0.5})
    assert list(line.options) == ["mud", "level_m", "counts_from"]
    assert '<a href="mud"><b>0.5</b></a>' in line.text() and "<b>1 m</b>" in line.text()
    line.show_parts(None, {})
    assert not line.isVisibleTo(line.parent()) and line.text() == ""


def test_what_is_changed_by_hand_is_sent_and_goes_with_other_words(qgis_app):
    box = WordsBox()
    editors = {"flood": FLOOD}
    box.prompt.setPlainText("flooded 2 m")
    box.show_meaning(meaning(level_m=2.0), editors)
    assert box.changed() == {} and "<b>2 m</b>" in box.parts.text()
    box.parts.set_value("level_m", 1.5)
    assert box.changed() == {"level_m": 1.5} and "<b>1.5 m</b>" in box.parts.text()
    box.parts.set_value("level_m", 2.0)
    assert box.changed() == {}
    box.parts.set_value("mud", 0.9)
    box.show_meaning(meaning(level_m=2.0), editors)
    assert box.changed() == {"mud": 0.9}, "the same words again: an exemplar was drawn"
    box.prompt.setPlainText("flooded 3 m")
    assert box.changed() == {}
    box.deleteLater()


def test_a_part_is_asked_for_in_a_window_with_its_help(line, monkeypatch, helpers):
    from qgis.PyQt.QtWidgets import QDialog

    line.show_parts(FLOOD, {"level_m": 2.0})

    def answered(dialog):
        from landbrush.plugin.panel.widgets import OptionsForm

        form = dialog.findChild(OptionsForm)
        assert form.values() == {"level_m": 2.0}
        form.set_values({"level_m": 0.5})
        return 1

    monkeypatch.setattr(QDialog, "exec", answered)
    told = []
    line.changed_by_user.connect(lambda: told.append(line.value("level_m")))
    line.linkActivated.emit("level_m")
    assert told == [0.5] and line.changed == {"level_m": 0.5}
    line.linkActivated.emit("never heard of")
    assert len(told) == 1


WORDS = {name: words for name, _, words in chips.CHIPS}


@pytest.mark.parametrize("name", sorted(WORDS))
def test_a_picture_passes_its_operation(qgis_app, name):
    assert (Path(chips.ICONS) / f"op_{name}.svg").is_file()
    box = WordsBox()
    asked = []
    box.asked.connect(lambda text: asked.append((text, box.chosen)))
    box.chips.buttons[name].click()
    assert asked == [(WORDS[name], name)] and box.chips.buttons[name].isChecked()
    other = next(one for one in WORDS if one != name)
    box.chips.buttons[other].click()
    assert asked[-1] == (WORDS[other], other), "words that a picture wrote go with it"
    assert not box.chips.buttons[name].isChecked()
    box.prompt.setPlainText("as it was in 1950")
    assert not box.chips.buttons[other].isChecked()
    box.chips.buttons[name].click()
    assert asked[-1] == ("as it was in 1950", name)
    box.deleteLater()


def test_a_picture_counts_whatever_editor_was_chosen(served, helpers):
    served.editor.setCurrentIndex(served.editor.findData("flood"))
    assert not served.words.parts.isVisibleTo(served.words)
    served.words.chips.buttons["snow"].click()
    assert served.editor.currentData() == AUTO
    assert helpers.wait(lambda: served.words.understood is not None)
    assert served.words.understood.operation == "snow"
    assert served.words.parts.isVisibleTo(served.words)
    served.editor.setCurrentIndex(served.editor.findData("flood"))
    assert not served.words.parts.isVisibleTo(served.words), "they would not be sent"


def test_another_choice_can_be_taken_after_the_first(qgis_app):
    box = WordsBox()
    box.prompt.setPlainText("improve it")
    choices = (Choice("snow", "Snow", 0.4), Choice("flood", "Flood", 0.3))
    box.show_meaning(replace(meaning("improve it"), sure=False, choices=choices), {})
    assert box.choices_row.count() == 2
    box.choose(choices[1])
    box.show_meaning(meaning("improve it"), {})
    buttons = [box.choices_row.itemAt(row).widget() for row in range(box.choices_row.count())]
    assert [(one.text(), one.isEnabled()) for one in buttons] == [("Snow", True), ("Flood", False)]
    box.prompt.setPlainText("snow")
    box.show_meaning(meaning("snow"), {})
    assert not box.choices_row.count()
    box.deleteLater()


def test_a_stopped_server_is_told_where_a_picture_is_clicked(dock):
    dock.woken = True
    dock.words.chips.buttons["snow"].click()
    assert "starts when you press Run" in dock.status.text()


def test_every_picture_is_an_operation_that_can_be_chosen():
    pytest.importorskip("numpy")
    from landbrush.server.words.operations import OFFERED, OPERATIONS

    assert all(name in OFFERED and OPERATIONS[name] == title for name, title, _ in chips.CHIPS)


def test_actions_of_toolbar_and_layers_open_the_panel(dock):
    dock.hide()
    dock.draw_areas()
    assert dock.area.draw.isChecked() and not dock.isHidden()
