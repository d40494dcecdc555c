"""The prompt, what was understood of it, and choices where that is not clear."""

from typing import Any

from qgis.PyQt.QtCore import QTimer, pyqtSignal
from qgis.PyQt.QtWidgets import QPlainTextEdit, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from ..told import told
from ..translated import tr
from .chips import ChipRow
from .parts import PartsLine
from .wrapped import Wrapped

LISTEN_MS = 700


class WordsBox(QWidget):
    """Signals: `asked(text)` some time after the last key, `understood_changed()`,
    `adjust_wanted(Interpretation)`, `picked()`: a picture says what is wanted."""

    asked = pyqtSignal(str)
    understood_changed = pyqtSignal()
    adjust_wanted = pyqtSignal(object)
    picked = pyqtSignal()

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self.understood: Any = None  # Interpretation
        self.chosen = ""
        self.awaited = ""
        self.by_picture = ""  # words that a picture has written
        self.offered: tuple = ()  # choices for these words
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        self.prompt = QPlainTextEdit()
        self.prompt.setPlaceholderText(
            tr("What should be there? For instance: remove the shed - forest here - flooded - snow")
        )
        self.prompt.setMaximumHeight(54)
        self.prompt.setTabChangesFocus(True)
        self.chips = ChipRow()  # shown by the form, as wide as the panel
        self.chips.picked.connect(self.pick)
        self.meaning = Wrapped()
        self.parts = PartsLine()
        self.adjust = QPushButton(tr("Adjust …"))
        self.adjust.setToolTip(
            tr("Put it into the editor and its options, to change any part before it runs")
        )
        self.choices = QWidget()
        self.choices_row = QVBoxLayout(self.choices)
        self.choices_row.setContentsMargins(0, 0, 0, 0)
        for widget in (
            self.prompt,
            self.meaning,
            self.parts,
            self.adjust,
            self.choices,
        ):
            column.addWidget(widget)
        self.listen = QTimer(self)
        self.listen.setSingleShot(True)
        self.listen.setInterval(LISTEN_MS)
        self.listen.timeout.connect(self._ask)
        self.prompt.textChanged.connect(self.hear)
        self.adjust.clicked.connect(lambda: self.adjust_wanted.emit(self.understood))
        self.show_meaning(None)

    def text(self):
        """The prompt as typed, without space at its ends."""
        return self.prompt.toPlainText().strip()

    def sought(self, editor):
        """What examples can be looked for: the land cover understood, or, for a text edit, the
        words themselves."""
        word = self.understood.to_class if self.understood is not None else ""
        return word or (self.text() if editor == "text" else "")

    def hear(self) -> None:
        """Ask anew, once typing pauses."""
        self.chosen = ""
        self.offered = ()
        self.parts.forget()
        self.chips.mark("")
        self.hear_again()

    def hear_again(self) -> None:
        """Ask anew what the same words mean, since something that they may point at has changed."""
        self.understood = None
        self.adjust.hide()  # until there is something to adjust
        self.listen.start()

    def pending(self):
        """Whether it is still to be told what the words mean."""
        return bool(self.text()) and (self.listen.isActive() or bool(self.awaited))

    def choose(self, choice) -> None:
        """The user says what was meant: that operation is carried out, whatever the words."""
        self.chosen = choice.operation
        self.parts.forget()
        self._ask()

    def pick(self, operation, words) -> None:
        """One of the pictures was clicked: that operation is carried out. Words that the user has
        written stay, since they may say more; those of another picture do not."""
        if self.text() in ("", self.by_picture):
            self.prompt.setPlainText(words)
            self.by_picture = words
        self.listen.stop()
        self.chosen = operation
        self.offered = ()
        self.parts.forget()
        self.chips.mark(operation)
        self.picked.emit()
        self._ask()

    def changed(self):
        """Options that the user has changed by hand, over those that the words give."""
        return dict(self.parts.changed)

    def give_up(self) -> None:
        """Stop waiting for what the words mean: the server has ended or cannot answer."""
        self.awaited = ""

    def _ask(self) -> None:
        self.awaited = self.text()  # before anyone is told that nothing is understood yet
        self.show_meaning(None)
        if self.awaited:
            self.asked.emit(self.awaited)

    def answered(self, text, meaning, editors=()) -> None:
        """What the server said of a text that was asked about; of one that has changed meanwhile it
        is of no use."""
        if text == self.text():
            self.awaited = ""
            self._show(meaning, editors)

    def show_meaning(self, meaning, editors=()) -> None:
        """Show an Interpretation, unless the prompt has changed meanwhile; `editors`: ids that can
        be adjusted."""
        if meaning is None:
            self._show(None, editors)
        else:
            self.answered(meaning.prompt, meaning, editors)

    def _show(self, meaning, editors) -> None:
        self.understood = meaning
        self.meaning.setText(told(meaning.understood) if meaning else "")
        self.meaning.setVisible(meaning is not None)
        sure = meaning is not None and meaning.sure and isinstance(editors, dict)
        info = editors.get(meaning.editor) if sure else None
        self.parts.show_parts(info, meaning.options if sure else {})
        while self.choices_row.count():
            self.choices_row.takeAt(0).widget().deleteLater()
        if meaning is not None and meaning.choices:
            self.offered = meaning.choices
        # What was not meant can still be chosen, until other words are said.
        offered = self.offered[:4] if meaning else ()
        for choice in offered:
            button = QPushButton(told(choice.title))
            button.setEnabled(choice.operation != self.chosen)
            button.clicked.connect(lambda _=False, choice=choice: self.choose(choice))
            button.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            button.setToolTip(told(choice.title))
            self.choices_row.addWidget(button)
        self.choices.setVisible(bool(offered))
        self.chips.mark(meaning.operation if meaning is not None and meaning.sure else self.chosen)
        self.adjust.setVisible(bool(meaning and meaning.editor in editors))
        self.understood_changed.emit()
