"""The panel's talk with its server: started and asked in the background, and what comes of it told
to the user."""

from typing import Optional

from qgis.core import Qgis, QgsApplication, QgsMessageLog
from qgis.PyQt.QtCore import QDateTime, Qt
from qgis.PyQt.QtWidgets import QPushButton

from ...server.contract.editors import EditorInfo
from ...server.contract.jobs import ACCEPTED as JOB_ACCEPTED
from ...server.contract.jobs import RUNNING as JOB_RUNNING
from .. import servers, settings
from ..errors import Cancelled, ServerUnreachable
from ..local import installer
from ..local.server import FAILED, INSTALLED, INSTALLING, RUNNING, STARTING, STOPPED, LocalServer
from ..local.setup import LARGE
from ..processing.editors import remember
from ..tasks.task import CallTask, Connection
from ..told import told
from ..translated import tr
from .diagnostics import Diagnostics, report
from .form import DockForm
from .help import Help
from .library_page import LibraryPage
from .models_page import ModelsPage
from .options_page import PAGE, LandbrushOptionsPage

TAG = "Landbrush"


class ServedForm(DockForm):
    """The form with a server behind it. Subclasses say what happens when its editors are known
    (`editors_known`)."""

    def __init__(self, iface, parent=None) -> None:
        super().__init__(iface.mapCanvas(), parent)
        self.iface = iface
        self.tasks: list = []  # that run
        self.asked = 0  # how often another server was chosen
        self.help: Optional[Help] = None  # until it is asked for
        self.infos: dict[str, EditorInfo] = {}
        self.last_error = self.error_item = self.left_item = None
        self.known_since = ""  # when the server began to answer, as it writes times
        self.woken = False
        self.server = LocalServer(self)
        self.server.changed.connect(self._server_changed)
        self.models = ModelsPage(self._ask, self)
        self.models.changed.connect(self.load_editors)
        self.models.libraries_wanted.connect(self._set_up_pretrained)
        self.library = LibraryPage(self._ask, self.keep_exemplar, self)
        self.library_button.clicked.connect(self.show_library)
        self.server_button.clicked.connect(self._server_pressed)
        self.server.progressed.connect(self.setup_card.show_progress)
        self.setup_card.wanted.connect(self._set_up)
        self.setup_card.stopped.connect(self.server.stop)
        self.setup_card.office_wanted.connect(self._use_office_server)
        self.models_button.clicked.connect(self.show_models)
        self.servers_button.menu().aboutToShow.connect(self._list_servers)
        self._show_server(self.server.state, "")
        if not settings.get("server/local"):
            self.load_editors()

    def editors_known(self) -> None:
        """The server has said what it can do."""

    def show_jobs(self) -> None:
        """Open the queue of the server's jobs."""

    def server_failed(self) -> None:
        """The server could not be started, ended, was stopped, or does not say what it can do."""

    def say(self, message, level=Qgis.MessageLevel.Info, details: str = "") -> None:
        """Message bar, and the log with the details."""
        QgsMessageLog.logMessage(details or message, TAG, level)
        self.iface.messageBar().pushMessage(
            TAG,
            message,
            details if details != message else "",
            level,
            0 if level == Qgis.MessageLevel.Critical else 8,
        )

    def offer(self, message, title, call):
        """A message with a button that does what would come next; returns its item of the bar."""
        bar = self.iface.messageBar()
        widget = bar.createMessage(TAG, message)
        button = QPushButton(title)

        def pressed() -> None:
            bar.popWidget(widget)
            call()

        button.clicked.connect(pressed)
        widget.layout().addWidget(button)
        return bar.pushWidget(widget, Qgis.MessageLevel.Info)

    def _start_task(self, task) -> None:
        self.tasks.append(task)
        QgsApplication.taskManager().addTask(task)

    def _fail(self, error) -> None:
        self.forget_error()
        self.last_error = error
        if isinstance(error, ServerUnreachable) and settings.get("server/local"):
            self.server.lost()
        if isinstance(error, Cancelled):
            self.status.setText(tr("Cancelled."))
            return
        self.status.setText(error.message)
        self.say(error.message, Qgis.MessageLevel.Critical, error.details)
        self.error_item = next(
            (item for item in self.iface.messageBar().items() if item.text() == error.message), None
        )

    def forget_error(self) -> None:
        """Take a former error away, here and from the message bar: what it spoke of is over."""
        if self.last_error is not None and self.status.text() == self.last_error.message:
            self.status.clear()
        if self.error_item is not None and self.error_item in self.iface.messageBar().items():
            self.iface.messageBar().popWidget(self.error_item)
        self.last_error = self.error_item = None

    def connection(self):
        """Where to send requests; None while no server is known."""
        if not settings.get("server/local"):
            return Connection(settings.get("server/url"), settings.token(), shares_files=False)
        if self.server.state == RUNNING and self.server.token:
            return Connection(self.server.url, self.server.token)
        return None

    def _server_pressed(self) -> None:
        self.woken = True  # from now on the user says when
        if self.server.state in (RUNNING, STARTING, INSTALLING):
            self.server.stop()
        else:
            self.server.start()

    def _set_up(self) -> None:
        self.woken = True
        self.server.install(own_python=self.server.lacks_python)

    def _set_up_pretrained(self) -> None:
        self.models.hide()
        self.server.install(LARGE)

    def _list_servers(self) -> None:
        """Servers by name, the one that works ticked; made anew each time it is opened."""
        menu, used = self.servers_button.menu(), servers.current()
        menu.clear()
        menu.setToolTipsVisible(True)
        named = servers.profiles()
        if used is not None and used not in named:
            named = [one for one in named if one.name != used.name] + [used]
        for profile in (None, *named):
            action = menu.addAction(tr("This computer") if profile is None else profile.title)
            action.setCheckable(True)
            action.setChecked(profile == used)
            action.setToolTip("" if profile is None else profile.url)
            action.triggered.connect(lambda _=False, profile=profile: self.use_server(profile))
        menu.addSeparator()
        menu.addAction(tr("Add or change servers …")).triggered.connect(self._change_servers)
        menu.addAction(tr("Diagnostics of this one …")).triggered.connect(self.show_diagnostics)

    def use_server(self, profile) -> None:
        """Work with another server from now on; what runs goes on where it was begun."""
        servers.use(profile)
        self.asked += 1  # what the other one still answers is no answer of this one
        self.results.show_jobs([])
        self._forget_left()
        self.forget_error()
        self._show_server(self.server.state, "")
        if self.connection() is not None:
            self.load_editors()
            self._ask("Landbrush: earlier results", lambda client: client.jobs(), self._jobs_known)
            self.words.hear_again()
        elif profile is None:
            self.wake()

    def _jobs_known(self, jobs) -> None:
        """Results of former sessions, and what such a session has left running on this computer: a
        new edit would wait for it without a reason that one sees."""
        self.results.show_jobs(jobs)
        self._forget_left()
        left = [
            job
            for job in jobs
            if job.status in (JOB_ACCEPTED, JOB_RUNNING) and job.created[:19] < self.known_since
        ]
        if left and settings.get("server/local"):
            self.left_item = self.offer(
                tr("Edits that were asked for earlier still run or wait: {n}.", n=len(left)),
                tr("Queue …"),
                self.show_jobs,
            )

    def _forget_left(self) -> None:
        """Take away what was said of edits left running: it may be over, or another server's."""
        if self.left_item is not None and self.left_item in self.iface.messageBar().items():
            self.iface.messageBar().popWidget(self.left_item)
        self.left_item = None

    def _change_servers(self) -> None:
        before = LandbrushOptionsPage.applied
        self.iface.showOptionsDialog(self.iface.mainWindow(), PAGE)
        if LandbrushOptionsPage.applied != before:
            self.use_server(servers.current())

    def _use_office_server(self) -> None:
        settings.put("server/local", False)  # as the page will show it
        before = LandbrushOptionsPage.applied
        self.iface.showOptionsDialog(self.iface.mainWindow(), PAGE)
        if LandbrushOptionsPage.applied == before:
            settings.put("server/local", True)  # it was left without a word
        self._show_server(self.server.state, "")
        if not settings.get("server/local"):
            self.load_editors()

    def _show_server(self, state, text) -> None:
        if not settings.get("server/local"):
            self.server_line.setText(tr("Server: {url}", url=servers.current().title))
            self.server_line.setToolTip(settings.get("server/url"))
            self.server_button.hide()
            self.setup_card.hide()
            self.server_row.show()
            return
        self.server_button.show()
        self.server_line.setToolTip("")
        self.server_line.setText(text or tr("Server not started"))
        names = {RUNNING: tr("Stop server"), STARTING: tr("Stop"), INSTALLING: tr("Stop")}
        self.server_button.setText(names.get(state, tr("Start server")))
        self._show_card(state, text)

    def _show_card(self, state, text) -> None:
        """The card stands above the rest until there is a server to start."""
        missing = installer.find_python() is None
        if state == INSTALLING:
            self.setup_card.go_on(text)
        elif missing:
            self.setup_card.rest(text if state == FAILED else "")
        self.setup_card.setVisible(state == INSTALLING or missing)
        self.server_row.setVisible(state != INSTALLING and not missing)

    def _server_changed(self, state, text) -> None:
        self._show_server(state, text)
        if state == RUNNING:
            now = QDateTime.currentDateTimeUtc()
            self.known_since = now.toString("yyyy-MM-ddTHH:mm:ss")
            self.forget_error()
            self.load_editors()
            self._ask("Landbrush: earlier results", lambda client: client.jobs(), self._jobs_known)
            self.words.hear_again()
        elif state == FAILED:
            self.say(text, Qgis.MessageLevel.Warning)
            self.server_failed()
        elif state == STOPPED and text != INSTALLED:
            self.server_failed()

    def wake(self) -> None:
        """Start this machine's server where it is installed and was not started or stopped yet:
        somebody begins to draw or to write, and will want it."""
        idle = self.server.state == STOPPED and not self.woken
        if idle and settings.get("server/local") and installer.find_python() is not None:
            self.woken = True
            self.server.start()

    def load_editors(self) -> None:
        """Ask the server what it can do."""
        self._ask(
            "Landbrush: editors",
            lambda client: client.editors(),
            self._editors_known,
            self._editors_unknown,
        )

    def _editors_unknown(self, error) -> None:
        self.server_failed()
        self._fail(error)

    def show_models(self) -> None:
        """The page on which models are brought and removed."""
        if self.connection() is None:
            self.say(
                tr("Start the server first: models are kept on its machine."),
                Qgis.MessageLevel.Warning,
            )
            return
        self.models.show()
        self.models.look()

    def show_help(self) -> None:
        """The guide and the tutorial, which need no network."""
        if self.help is None:
            self.help = Help(self.iface, self._run_to_its_end, self)
        self.help.show()
        self.help.raise_()

    def _run_to_its_end(self, task, then) -> None:
        """Run a task; say what went wrong, and tell whether nothing did."""

        def ended(done) -> None:
            self.tasks.remove(done)
            if done.error is not None:
                self._fail(done.error)
            then(done.error is None)

        task.ended.connect(ended)
        self._start_task(task)

    def show_diagnostics(self) -> None:
        """What somebody who helps needs to know."""

        def told(health) -> None:
            self.diagnostics = Diagnostics(report(self.server, health), self)
            self.diagnostics.show()

        if not self._ask(
            "Landbrush: diagnostics",
            lambda client: client.health(),
            lambda answer: told(answer.get("health")),
            lambda error: told(None),
        ):
            told(None)

    def show_library(self) -> None:
        """The page of exemplars."""
        if self.connection() is None:
            self.say(
                tr("Start the server first: the library is on its machine."),
                Qgis.MessageLevel.Warning,
            )
            return
        self.library.show()
        self.library.look()

    def _editors_known(self, infos) -> None:
        chosen = self.editor.currentData()
        self.infos = {info.id: info for info in infos}
        self.editor.blockSignals(True)
        self.editor.clear()
        for info in infos:
            self.editor.addItem(tr(info.title), info.id)
            self.editor.setItemData(
                self.editor.count() - 1,
                f"{told(info.description)}\n{told(info.engine)}",
                Qt.ItemDataRole.ToolTipRole,
            )
        self.editor.setCurrentIndex(max(0, self.editor.findData(chosen)))
        self.editor.blockSignals(False)
        provider = QgsApplication.processingRegistry().providerById("landbrush")
        if remember(infos) and provider is not None:
            provider.refreshAlgorithms()
        self.editors_known()

    def _ask(self, title, call, on_answer, on_error=None) -> bool:
        """Put a question to the server in the background; False where none is known."""
        connection = self.connection()
        if connection is None:
            return False
        task = CallTask(title, call, connection)
        asked = self.asked

        def answered(done) -> None:
            self.tasks.remove(done)
            if asked != self.asked:
                return  # of a server that is not used any more
            if done.error is None:
                if isinstance(self.last_error, ServerUnreachable):
                    self.forget_error()
                on_answer(done.answer)
            else:
                (on_error or self._fail)(done.error)

        task.ended.connect(answered)
        self._start_task(task)
        return True
