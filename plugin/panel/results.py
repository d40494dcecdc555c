"""The list of results: layers of this session, and what earlier sessions left on the server."""

from qgis.core import QgsProject
from qgis.PyQt.QtCore import QDateTime, Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QListWidget, QListWidgetItem

from ...server.contract.jobs import SUCCESSFUL
from ..map.layers import shown_jobs

MOST_EARLIER = 20
LAYER = Qt.ItemDataRole.UserRole
JOB = Qt.ItemDataRole.UserRole + 1


def _title(job) -> str:
    """What a job was, and when, in the user's own time."""
    report = job.report
    said = job.processID
    if report is not None:
        said = report.understood.prompt if report.understood else report.editor
    ended = QDateTime.fromString(
        (job.finished or job.created)[:19] + "Z", Qt.DateFormat.ISODate
    ).toLocalTime()
    return f"{said}, {ended.toString('yyyy-MM-dd hh:mm')}"


class ResultList(QListWidget):
    """Double-click: go to the layer, or fetch the job's result."""

    layer_wanted = pyqtSignal(object)
    job_wanted = pyqtSignal(str)

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self.setMaximumHeight(110)
        self.itemDoubleClicked.connect(self._open)

    def add_layer(self, layer, manifest) -> None:
        """Put a result on top."""
        self._drop(manifest.job)
        item = QListWidgetItem(layer.name())
        options = ", ".join(f"{name} {value}" for name, value in manifest.options.items())
        item.setToolTip(f"{manifest.engine}\n{options}\n{manifest.seconds['total']:.1f} s")
        item.setData(LAYER, layer.id())
        self.insertItem(0, item)

    def show_jobs(self, jobs) -> None:
        """Successful jobs of the server that are not layers of the project, below the others."""
        self._drop(None)
        shown = shown_jobs()
        earlier = [job for job in jobs if job.status == SUCCESSFUL and job.jobID not in shown]
        for job in earlier[:MOST_EARLIER]:
            item = QListWidgetItem(f"Earlier: {_title(job)}")
            item.setToolTip("Still on the server. Double-click to add it as a layer.")
            item.setForeground(self.palette().placeholderText())
            item.setData(JOB, job.jobID)
            self.addItem(item)

    def _drop(self, job_id) -> None:
        """Remove the row of a job; of all jobs where it is None."""
        for row in reversed(range(self.count())):
            here = self.item(row).data(JOB)
            if here and job_id in (None, here):
                self.takeItem(row)

    def _open(self, item) -> None:
        if item.data(JOB):
            self.job_wanted.emit(item.data(JOB))
            return
        layer = QgsProject.instance().mapLayer(item.data(LAYER))
        if layer is not None:
            self.layer_wanted.emit(layer)


def progress_text(info):
    """A job's state in words."""
    if info.position:
        return f"waiting, {info.position} ahead"
    text = f"{info.stage}: {info.message}" if info.message else info.stage
    if info.steps > 1:
        text += f" - step {info.step} of {info.steps}"
    return text + (f", about {info.eta_s:.0f} s left" if info.eta_s else "")


def done_text(manifest) -> str:
    """What came of an edit, in words."""
    gate = manifest.gate
    rest = " ".join(
        (
            *(manifest.quality.said if manifest.quality else ()),
            *manifest.notes,
            f"{manifest.engine}.",
        )
    )
    return (
        f"Done in {manifest.seconds['total']:.1f} s: {gate.pixels_inside_changed:,} pixels "
        f"changed inside, {gate.pixels_outside_different} of the window's {gate.pixels_outside:,} "
        f"outside. {rest}"
    )
