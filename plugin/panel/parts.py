"""The parts of what was understood, each to click and change before anything runs."""

import html

from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QDialog, QDialogButtonBox, QLabel, QVBoxLayout

from ..told import told
from ..translated import localised, tr
from .wrapped import Wrapped

SHOWN = 3
"""Parts that are shown where words name fewer."""


class PartsLine(Wrapped):
    """Names and values of an editor's options: those that the words name, then the first others.
    `changed_by_user()`: one has another value now."""

    changed_by_user = pyqtSignal()

    def __init__(self, parent=None) -> None:
        super().__init__("", 0, parent)
        self.setTextFormat(Qt.TextFormat.RichText)
        self.setTextInteractionFlags(
            Qt.TextInteractionFlag.LinksAccessibleByMouse
            | Qt.TextInteractionFlag.LinksAccessibleByKeyboard
        )
        self.options: dict = {}
        self.values: dict = {}
        self.changed: dict = {}
        self.linkActivated.connect(self.change)

    def show_parts(self, info, values) -> None:
        """Those of an editor (EditorInfo; None: of none), with the values that the words give."""
        named = [one for one in info.options if one.name in values] if info else []
        others = [one for one in info.options if one.name not in values] if info else []
        others = [one for one in others if one.type in ("number", "integer") or one.choices]
        shown = [*named, *others[: max(0, SHOWN - len(named))]]
        self.options = {one.name: one for one in shown}
        self.values = dict(values)
        if info is not None:
            known = {one.name for one in info.options}
            self.changed = {n: v for n, v in self.changed.items() if n in known}
        self._tell()

    def value(self, name):
        """What will be used for an option."""
        option = self.options[name]
        return self.changed.get(name, self.values.get(name, option.default))

    def _tell(self) -> None:
        parts = []
        for name, option in self.options.items():
            value = self.value(name)
            if option.type == "boolean":
                said = tr("yes") if value else tr("no")
            elif isinstance(value, float):
                said = localised(value)
            elif option.choices and value:
                said = told(str(value))
            else:
                said = str(value) or "–"
            unit = f" {option.unit}" if option.unit else ""
            parts.append(
                f"{html.escape(tr(option.title))} "
                f'<a href="{name}"><b>{html.escape(said + unit)}</b></a>'
            )
        QLabel.setText(self, " · ".join(parts))  # as it is: a break after "/" would break its tags
        self._fit()
        self.setVisible(bool(parts))

    def change(self, name) -> None:
        """Ask for another value."""
        from .widgets import OptionsForm  # of QGIS's classes, which what only shows needs not

        option = self.options.get(name)
        if option is None:
            return
        asked = QDialog(self)
        asked.setWindowTitle(tr(option.title))
        form = OptionsForm()
        form.show_options((option,))
        form.set_values({name: self.value(name)})
        column = QVBoxLayout(asked)
        column.addWidget(form)
        about = Wrapped(told(option.help))
        column.addWidget(about)
        buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel
        )
        buttons.accepted.connect(asked.accept)
        buttons.rejected.connect(asked.reject)
        column.addWidget(buttons)
        if asked.exec():
            self.set_value(name, form.values().get(name, option.default))

    def set_value(self, name, value) -> None:
        """Use that value, whatever the words say; not where they have come to mean something
        else."""
        if name not in self.options:
            return
        if value == self.values.get(name, self.options[name].default):
            self.changed.pop(name, None)
        else:
            self.changed[name] = value
        self._tell()
        self.changed_by_user.emit()

    def take(self, values) -> None:
        """Use these values, also of options that are not shown."""
        self.changed.update(values)
        self._tell()
        self.changed_by_user.emit()

    def forget(self) -> None:
        """Nothing is changed by hand any more: other words are said."""
        self.changed = {}
