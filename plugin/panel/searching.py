"""Looking through the film strip: by words, editor or date, whatever a result tells."""

import contextlib
import datetime
from pathlib import Path

from qgis.core import QgsProject
from qgis.PyQt.QtWidgets import QLineEdit

from ..map.results import manifest_of
from ..translated import tr
from .results import LAYER

FEW = 6
"""Results up to which nobody needs to search."""


class ResultSearch(QLineEdit):
    """Hides what does not hold every word that is typed. There where results are more than FEW."""

    def __init__(self, results, parent=None) -> None:
        super().__init__(parent)
        self.results = results
        self.setPlaceholderText(tr("Search the results: words, editor, date"))
        self.setAccessibleName(self.placeholderText())
        self.setClearButtonEnabled(True)
        self.textChanged.connect(self.look)
        results.filled.connect(self.look)
        self.look()

    def look(self, *_) -> None:
        """Show what fits, and this line where there is much to look through."""
        items = [self.results.item(row) for row in range(self.results.count())]
        self.setVisible(len(items) > FEW)
        words = self.text().lower().split() if len(items) > FEW else []
        for item in items:
            told = self._told(item) if words else ""
            item.setHidden(not all(word in told for word in words))

    @staticmethod
    def _told(item) -> str:
        """All that a result says of itself."""
        layer = QgsProject.instance().mapLayer(item.data(LAYER) or "")
        manifest = manifest_of(layer) if layer is not None else None
        told = [item.text(), item.toolTip()]
        if manifest is not None:
            told += [manifest.prompt, manifest.editor, manifest.operation, manifest.engine]
            with contextlib.suppress(OSError):  # its file is gone
                changed = Path(layer.source()).stat().st_mtime
                told.append(datetime.datetime.fromtimestamp(changed).strftime("%Y-%m-%d"))
        return " ".join(filter(None, told)).lower()
