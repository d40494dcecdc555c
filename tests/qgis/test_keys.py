"""The panel by keys alone, and what a screen reader says of it."""

import pytest
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QAction,
    QApplication,
    QComboBox,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
)

OF_QGIS = {"collapseButton", "mToggleButton"}
"""Parts of QGIS's own widgets, whose names are its affair."""


def seen(dock, kind):
    """Widgets of a kind that are in the panel, without the parts that others are made of."""
    found = (one for one in dock.widget().findChildren(kind) if one.isVisibleTo(dock))
    parts = (QComboBox, QAbstractSpinBox)
    return [one for one in found if not isinstance(one.parentWidget(), parts)]


def test_tab_leaves_the_prompt_and_writes_nothing(dock):
    dock.show()
    prompt = dock.words.prompt
    prompt.setPlainText("snow")
    prompt.setFocus()
    QTest.keyClick(prompt, Qt.Key.Key_Tab)
    assert prompt.toPlainText() == "snow"
    following, passed = prompt.nextInFocusChain(), set()
    while following is not prompt and following not in passed:
        passed.add(following)
        following = following.nextInFocusChain()
    assert dock.run_button in passed and dock.cancel_button in passed


@pytest.mark.parametrize("keys", ["Ctrl+Return", "Ctrl+Enter"])
def test_run_has_keys(dock, keys):
    asked = [
        action
        for action in dock.findChildren(QAction)
        if keys in [one.toString() for one in action.shortcuts()]
    ]
    assert len(asked) == 1
    asked[0].trigger()
    QApplication.processEvents()
    assert dock.last_error is not None or dock.iface.messageBar().currentItem() is not None


def test_everything_that_is_pressed_or_filled_in_has_a_name(dock):
    dock.show()
    ours = (one for one in seen(dock, QAbstractButton) if one.objectName() not in OF_QGIS)
    nameless = [one.toolTip() for one in ours if not (one.text() or one.accessibleName())]
    assert not nameless
    labelled = {label.buddy() for label in dock.findChildren(QLabel) if label.buddy()}
    fields = (*seen(dock, QComboBox), *seen(dock, QLineEdit), *seen(dock, QPlainTextEdit))
    for field in fields:
        above = field
        while above is not None and above not in labelled:
            above = above.parentWidget()
        said = field.accessibleName() or getattr(field, "placeholderText", lambda: "")()
        if above is None and not said:
            nameless.append((field.objectName(), field.toolTip()))
    assert not nameless
