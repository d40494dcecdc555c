"""The library of exemplars, with pictures: what there is, what of it the user kept, and keeping
what is drawn as the exemplar; a window of the dock."""

from qgis.PyQt.QtCore import QSize, Qt, pyqtSignal
from qgis.PyQt.QtGui import QIcon, QPixmap
from qgis.PyQt.QtWidgets import (
    QDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListView,
    QListWidget,
    QListWidgetItem,
    QMessageBox,
    QPushButton,
    QVBoxLayout,
)

from ..translated import tr

SIDE_PX = 96
AT_ONCE = 24
"""Pictures that are asked for in one go."""


class LibraryPage(QDialog):
    """Exemplars as pictures, a filter, and buttons. `ask(title, call, on_answer, on_error)` talks
    to the server; `keep(name, words, credit, on_kept, on_error)` keeps what is drawn.

    Signal `chosen(word)`: the user wants that to be there.
    """

    chosen = pyqtSignal(str)

    def __init__(self, ask, keep, parent=None) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Landbrush: library of exemplars"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, False)
        self.resize(720, 600)
        self.ask = ask
        self.keep = keep
        self.exemplars: dict = {}
        self.pictures: dict = {}
        self.asked: set = set()
        self.filter = QLineEdit()
        self.filter.setPlaceholderText(tr("Filter by a word"))
        self.filter.setClearButtonEnabled(True)
        self.list = QListWidget()
        self.list.setViewMode(QListView.ViewMode.IconMode)
        self.list.setResizeMode(QListView.ResizeMode.Adjust)
        self.list.setIconSize(QSize(SIDE_PX, SIDE_PX))
        self.list.setGridSize(QSize(SIDE_PX + 24, SIDE_PX + 44))
        self.list.setMovement(QListView.Movement.Static)
        self.list.setWordWrap(True)
        self.about = QLabel()
        self.about.setWordWrap(True)
        self.about.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.message = QLabel()
        self.message.setWordWrap(True)
        column = QVBoxLayout(self)
        column.addWidget(self.filter)
        column.addWidget(self.list, 1)
        column.addWidget(self.about)
        column.addLayout(self._buttons())
        column.addLayout(self._form())
        column.addWidget(self.message)
        self.filter.textChanged.connect(self._fill)
        self.list.currentItemChanged.connect(self._show_chosen)
        self._show_chosen()

    def _buttons(self):
        row = QHBoxLayout()
        self.use = QPushButton(tr("Say this word"))
        self.use.setToolTip(tr("Puts the word of the exemplar into the prompt"))
        self.remove = QPushButton(tr("Delete"))
        self.use.clicked.connect(self._use)
        self.remove.clicked.connect(self._remove)
        row.addWidget(self.use)
        row.addWidget(self.remove)
        row.addStretch(1)
        return row

    def _form(self):
        form = QFormLayout()
        self.name, self.words, self.credit = QLineEdit(), QLineEdit(), QLineEdit()
        self.words.setPlaceholderText(tr("what it shows, separated by commas"))
        self.credit.setPlaceholderText(tr("whose imagery it is"))
        self.keep_button = QPushButton(tr("Keep the drawn exemplar"))
        self.keep_button.setToolTip(
            tr("Draw it in the panel under 'Copy from'; it is kept for every layer")
        )
        self.keep_button.clicked.connect(self._keep)
        for title, widget in (
            (tr("Name"), self.name),
            (tr("Words"), self.words),
            (tr("Credit"), self.credit),
            ("", self.keep_button),
        ):
            form.addRow(title, widget)
        return form

    # ---- what is shown

    def look(self) -> None:
        """Ask the server what there is."""
        self.ask(
            "Landbrush: library",
            lambda client: client.exemplars(),
            self.show_exemplars,
            self._failed,
        )

    def _failed(self, error) -> None:
        self.keep_button.setEnabled(True)
        self.message.setText(error.message)

    def show_exemplars(self, found) -> None:
        """Show what the server has, as far as it passes the filter."""
        self.exemplars = {one.id: one for one in found.exemplars}
        self._fill()
        self.message.setText(tr("Exemplars: {value}", value=len(self.exemplars)))

    def _fill(self) -> None:
        text = self.filter.text().strip().lower()
        self.list.clear()
        for one in self.exemplars.values():
            if text and not any(text in word for word in (one.id.lower(), *one.words)):
                continue
            item = QListWidgetItem(one.id if one.own else one.words[0])
            item.setData(Qt.ItemDataRole.UserRole, one.id)
            item.setToolTip(one.id)
            if one.id in self.pictures:
                item.setIcon(QIcon(self.pictures[one.id]))
            self.list.addItem(item)
        self._ask_pictures()

    def shown(self) -> list:
        """Ids of what passes the filter, in order."""
        return [
            self.list.item(row).data(Qt.ItemDataRole.UserRole) for row in range(self.list.count())
        ]

    def _ask_pictures(self) -> None:
        wanted = [name for name in self.shown() if name not in self.asked][:AT_ONCE]
        if not wanted or not self.isVisible():
            return
        self.asked |= set(wanted)
        self.ask(
            "Landbrush: pictures of exemplars",
            lambda client: [(name, client.exemplar_picture(name)) for name in wanted],
            self._show_pictures,
            self._failed,
        )

    def _show_pictures(self, pictures) -> None:
        for name, data in pictures:
            picture = QPixmap()
            if picture.loadFromData(data):
                self.pictures[name] = picture
        for row in range(self.list.count()):
            item = self.list.item(row)
            name = item.data(Qt.ItemDataRole.UserRole)
            if name in self.pictures and item.icon().isNull():
                item.setIcon(QIcon(self.pictures[name]))
        self._ask_pictures()

    def current(self):
        """The chosen exemplar; None where none is."""
        item = self.list.currentItem()
        return self.exemplars.get(item.data(Qt.ItemDataRole.UserRole)) if item else None

    def _show_chosen(self, *_) -> None:
        one = self.current()
        self.use.setEnabled(one is not None)
        self.remove.setEnabled(one is not None and one.own)
        if one is None:
            self.about.setText("")
            return
        whose = ", ".join(filter(None, (one.credit, one.licence)))
        self.about.setText(
            tr(
                "{name}: {words}; {value} m a pixel. {credit}",
                name=one.id,
                words=", ".join(one.words),
                value=f"{one.gsd_m:.2f}",
                credit=whose,
            )
        )

    # ---- what is done

    def _use(self) -> None:
        one = self.current()
        if one is not None:
            self.chosen.emit(one.words[0])

    def _remove(self) -> None:
        one = self.current()
        if one is None or not self.agrees(one):
            return
        name = one.id
        self.pictures.pop(name, None)
        self.asked.discard(name)
        self.ask(
            "Landbrush: library",
            lambda client: client.forget_exemplar(name),
            self.show_exemplars,
            self._failed,
        )

    def agrees(self, one) -> bool:
        """Whether the user agrees that it is deleted."""
        return (
            QMessageBox.question(
                self, self.windowTitle(), tr("Delete the exemplar '{name}'?", name=one.id)
            )
            == QMessageBox.StandardButton.Yes
        )

    def _keep(self) -> None:
        self.keep_button.setEnabled(False)
        words = tuple(word.strip() for word in self.words.text().split(",") if word.strip())
        self.message.setText("")
        if not self.keep(
            self.name.text().strip(), words, self.credit.text().strip(), self._kept, self._failed
        ):
            self.keep_button.setEnabled(True)

    def _kept(self, one) -> None:
        self.keep_button.setEnabled(True)
        self.name.clear()
        self.message.setText(tr("Kept as '{name}'.", name=one.id))
        self.look()
