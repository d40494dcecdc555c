"""The queue: every job of the server, also of former sessions and of other windows."""

from qgis.PyQt.QtCore import QDateTime, Qt, QTimer, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QHBoxLayout,
    QLabel,
    QMessageBox,
    QPushButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
)

from ...server.contract.jobs import ACCEPTED, DISMISSED, RUNNING, SUCCESSFUL
from ..translated import tr

LOOK_EVERY_MS = 2000
JOB = Qt.ItemDataRole.UserRole


class JobsPage(QDialog):
    """A list of jobs with what one does to them. `ask(title, call, on_answer, on_error)` talks to
    the server. Signal `fetch_wanted(id)`: a result is to become a layer."""

    fetch_wanted = pyqtSignal(str)

    def __init__(self, ask, parent=None) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Landbrush: queue"))
        self.resize(640, 420)
        self.ask = ask
        self.asked = False  # and not answered yet
        column = QVBoxLayout(self)
        self.tree = QTreeWidget()
        self.tree.setHeaderLabels([tr("Asked"), tr("What"), tr("State")])
        self.tree.setRootIsDecorated(False)
        self.tree.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.tree.setAccessibleName(tr("Jobs of the server"))
        self.tree.setColumnWidth(0, 140)
        self.tree.setColumnWidth(1, 220)
        self.message = QLabel()
        self.message.setWordWrap(True)
        row = QHBoxLayout()
        self.fetch = QPushButton(tr("&Add as layer"))
        self.stop = QPushButton(tr("&Cancel job"))
        self.remove = QPushButton(tr("&Delete from the server"))
        self.stop.setToolTip(tr("End what waits or runs, whoever asked for it"))
        self.remove.setToolTip(
            tr("Jobs that have ended, with their results there; layers and files here stay")
        )
        for button in (self.fetch, self.stop, self.remove):
            row.addWidget(button)
        column.addWidget(self.tree)
        column.addWidget(self.message)
        column.addLayout(row)
        self.tree.itemSelectionChanged.connect(self._update)
        self.tree.itemDoubleClicked.connect(lambda *_: self._fetch())
        self.fetch.clicked.connect(self._fetch)
        self.stop.clicked.connect(lambda: self._dismiss((ACCEPTED, RUNNING)))
        self.remove.clicked.connect(self._remove)
        self.timer = QTimer(self)
        self.timer.setInterval(LOOK_EVERY_MS)
        self.timer.timeout.connect(self.look)
        self._update()

    def showEvent(self, event) -> None:
        """Look as long as one looks at it."""
        super().showEvent(event)
        self.look()
        self.timer.start()

    def hideEvent(self, event) -> None:
        """A page that is not seen asks the server nothing."""
        self.timer.stop()
        super().hideEvent(event)

    def look(self) -> None:
        """Ask for the jobs, unless an answer is still to come."""
        if self.asked:
            return
        self.asked = self.ask(
            "Landbrush: queue", lambda client: client.jobs(), self.show_jobs, self._failed
        )
        if not self.asked:
            self.message.setText(tr("The server is not started."))

    def _failed(self, error) -> None:
        self.asked = False
        self.message.setText(error.message)

    def show_jobs(self, jobs) -> None:
        """List jobs, newest first; what was selected stays so."""
        self.asked = False
        chosen = {job.jobID for job in self._selected()}
        seen = self.tree.verticalScrollBar().value()
        self.tree.clear()
        jobs = [job for job in jobs if job.status != DISMISSED]  # nothing is left of those
        for job in jobs:
            asked = QDateTime.fromString(job.created[:19] + "Z", Qt.DateFormat.ISODate)
            state = tr(job.status)
            if job.position:
                state = tr("waiting, {n} ahead", n=job.position)
            elif job.status == RUNNING:
                state = f"{job.stage or state} {job.progress} %"
            report = job.report
            said = report.understood.prompt if report and report.understood else job.processID
            item = QTreeWidgetItem([asked.toLocalTime().toString("yyyy-MM-dd hh:mm"), said, state])
            if job.problem is not None:
                item.setToolTip(2, job.problem.detail)
            item.setData(0, JOB, job)
            self.tree.addTopLevelItem(item)
            item.setSelected(job.jobID in chosen)
        self.tree.verticalScrollBar().setValue(seen)
        waiting = sum(job.status == ACCEPTED for job in jobs)
        self.message.setText(tr("Jobs: {n}, waiting: {waiting}", n=len(jobs), waiting=waiting))
        self._update()

    def _selected(self):
        return [item.data(0, JOB) for item in self.tree.selectedItems()]

    def _update(self) -> None:
        jobs = self._selected()
        running = [job for job in jobs if job.status in (ACCEPTED, RUNNING)]
        self.stop.setEnabled(bool(running))
        self.remove.setEnabled(len(jobs) > len(running))
        self.fetch.setEnabled(any(job.status == SUCCESSFUL for job in jobs))

    def _fetch(self) -> None:
        for job in self._selected():
            if job.status == SUCCESSFUL:
                self.fetch_wanted.emit(job.jobID)

    def _remove(self) -> None:
        """Delete what has ended, once the user is sure: it may be somebody else's."""
        sure = QMessageBox.question(
            self,
            tr("Delete from the server"),
            tr("Delete the selected jobs that have ended, with their results on the server?"),
        )
        if sure == QMessageBox.StandardButton.Yes:
            self._dismiss(None)

    def _dismiss(self, states) -> None:
        """End, or delete, the selected jobs in these states; None: those that have ended."""
        ids = [
            job.jobID
            for job in self._selected()
            if (job.status in states if states else job.status not in (ACCEPTED, RUNNING))
        ]

        def dismiss(client) -> None:
            for job_id in ids:
                client.dismiss(job_id)

        self.ask("Landbrush: queue", dismiss, lambda _: self.look(), self._failed)
