"""Paraphrases: the sentences whose mean the image-text model is asked for, to look at and
change."""

from qgis.gui import QgsCollapsibleGroupBox
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QHBoxLayout, QListWidget, QListWidgetItem, QPushButton, QVBoxLayout

from ..translated import tr
from .wrapped import Wrapped

PARAPHRASES = "paraphrases"
SOURCE = "ensemble"
"""Names of the editors' options that this box fills, and that says who writes the sentences."""
HEIGHT_PX = 170


class EnsembleBox(QgsCollapsibleGroupBox):
    """A list of sentences to tick and to rewrite. Signal `asked()`: propose some for the prompt."""

    asked = pyqtSignal()

    def __init__(self, parent=None) -> None:
        super().__init__(tr("Paraphrases"), parent)
        column = QVBoxLayout(self)
        self.about = Wrapped(
            tr(
                "None yet: made when the edit runs. With an image-text model the mean of them is "
                "asked for."
            )
        )
        self.lines = QListWidget()
        self.lines.setMaximumHeight(HEIGHT_PX)
        self.lines.setWordWrap(True)
        self.lines.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.lines.setToolTip(
            tr("Untick what is wrong; double-click to rewrite. The first is your prompt.")
        )
        row = QHBoxLayout()
        self.propose = QPushButton(tr("Propose"))
        self.add = QPushButton(tr("Add"))
        self.drop = QPushButton(tr("Clear"))
        for button in (self.propose, self.add, self.drop):
            button.setMinimumWidth(40)
            row.addWidget(button)
        column.addWidget(self.about)
        column.addWidget(self.lines)
        column.addLayout(row)
        self.propose.clicked.connect(self.asked)
        self.add.clicked.connect(lambda: self.lines.editItem(self._line("")))
        self.drop.clicked.connect(self.clear)
        self.setCollapsed(True)

    def _line(self, text):
        item = QListWidgetItem(text)
        item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable | Qt.ItemFlag.ItemIsEditable)
        item.setCheckState(Qt.CheckState.Checked)
        self.lines.addItem(item)
        return item

    def clear(self) -> None:
        """Leave it to the run."""
        self.lines.clear()
        self.about.setText(tr("None yet: made when the edit runs."))

    def show_proposed(self, found) -> None:
        """Show an Ensemble's sentences, all ticked."""
        self.lines.clear()
        for text in found.texts:
            self._line(text)
        self.about.setText(tr("From {source}; used when the edit runs.", source=found.source))

    def show_used(self, manifest) -> None:
        """Show which sentences a result was made with, where the user has none of their own
        here."""
        used = manifest.editor_facts.get("sentences")
        if used and not self.texts():
            self.about.setText(tr("The last result was made with: ") + " / ".join(used))

    def texts(self):
        """The sentences that are ticked, as edited, without empty ones."""
        items = [self.lines.item(row) for row in range(self.lines.count())]
        found = [
            item.text().strip() for item in items if item.checkState() == Qt.CheckState.Checked
        ]
        return [text for text in found if text]

    def put_into(self, options):
        """The options with the ticked sentences, where there are any and the editor takes them (the
        box is shown)."""
        return (
            options
            if self.isHidden() or not self.texts()
            else {**options, PARAPHRASES: "\n".join(self.texts())}
        )
