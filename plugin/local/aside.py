"""Work that takes a while, in a thread of its own; what comes of it is told on the GUI thread."""

import contextlib
import threading

from qgis.PyQt.QtCore import QObject, pyqtSignal


class Aside(QObject):
    """`done(object, object)`: what the work gave, or None and the exception that it raised."""

    done = pyqtSignal(object, object)

    def __init__(self, work, then, parent=None) -> None:
        super().__init__(parent)
        self.done.connect(then)
        threading.Thread(target=self._run, args=(work,), daemon=True).start()

    def _run(self, work) -> None:
        made = failed = None
        try:
            made = work()
        except Exception as error:  # told to whoever waits
            failed = error
        with contextlib.suppress(RuntimeError):  # nobody waits any more: QGIS closes
            self.done.emit(made, failed)
