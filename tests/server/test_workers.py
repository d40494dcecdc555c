"""Workers from the server's side: kept warm, watched, ended, and never trusted."""

from __future__ import annotations

import dataclasses
import faulthandler
import os
import signal
import struct
import threading
import time

import psutil
import pytest
from landbrush.server.contract.message import ContractError
from landbrush.server.ground import memory
from landbrush.server.ground.errors import (
    BadRequest,
    Busy,
    CannotEdit,
    Dismissed,
    Forbidden,
    RasterUnreadable,
    ServerError,
)
from landbrush.server.jobs.workplace import Fault, Lost
from landbrush.server.models.weights import ModelFolder
from landbrush.server.workers import children as module
from landbrush.server.workers import messages, process
from landbrush.server.workers.children import Children

from tests.server.conftest import finished, in_type, inputs, scene, square, write

pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork")
posix = pytest.mark.skipif(os.name != "posix", reason="signals")


@pytest.fixture
def workers(settings):
    made = Children.of(settings, ModelFolder(settings.home / "models"))
    yield made
    made.close()


def test_a_worker_is_kept_and_confined(workers, rgb, tmp_path):
    first = workers.read("process", {})
    assert first != os.getpid() and workers.read("process", {}) == first
    outside = tmp_path.parent / f"{tmp_path.name}-outside.tif"
    outside.write_bytes(rgb.read_bytes())
    try:
        with pytest.raises(Forbidden):
            workers.read("inspect file", {"raster": str(outside)})
    finally:
        outside.unlink()


def test_what_is_prepared_is_confined_edits_and_leaves_nothing(workers):
    workers.prepare()
    (editor,) = workers.editing()
    assert editor.living
    left = [path for path in workers.scratch.rglob("*") if path.is_file()]
    assert not left, "the made-up ground is deleted"
    assert workers.read("process", {}) not in (os.getpid(), editor._pid), "a reader is there too"


@pytest.mark.parametrize(
    "error",
    [
        Fault("ImportError", "a trace"),
        MemoryError(),
        CannotEdit("too little memory"),
        Lost("gone", False),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_worker_that_cannot_be_prepared_is_told_and_asked_all_the_same(
    workers, monkeypatch, caplog, error
):
    plain = process.Process.ask
    failed = []

    def ask(self, task, *given):
        if task == "warm up":
            failed.append(task)
            raise error
        return plain(self, task, *given)

    monkeypatch.setattr(process.Process, "ask", ask)
    workers.prepare()
    assert len(failed) == 3, "each kind is tried, whatever happened to the one before"
    assert caplog.text.count("could not be prepared") == 3
    assert workers.read("process", {}) != os.getpid()


@posix
def test_a_reader_that_is_killed_is_replaced_without_a_word(workers):
    first = workers.read("process", {})
    os.kill(first, signal.SIGKILL)
    assert workers.read("process", {}) != first


def _ends(number):
    def task(desk, given):
        faulthandler.disable()  # of the tests, which would tell of it at length
        os.kill(os.getpid(), number)
        signal.pause()

    return task


def _fills(desk, given):
    held = []
    while True:
        held.append(bytearray(50_000_000))


def _spins(desk, given):
    while True:
        pass


def _stays(desk, given):
    desk.tell({"stage": "reading", "step": 0, "steps": 1})
    while True:
        time.sleep(1)


def _tells(desk, given):
    desk.tell({"stage": "reading", "step": 0, "steps": 1})
    return "told"


def _half(desk, given):
    """The head of a message of a thousand bytes, and nothing behind it."""
    os.write(desk.tell.__closure__[0].cell_contents.fileno(), struct.pack("!i", 1000))
    signal.pause()


def _asks(desk, given):

    return desk.editors.models.paraphrases("a lake", "endpoint", 3).texts[-1]


BAD = {
    "breaks": _ends(signal.SIGSEGV),
    "killed": _ends(signal.SIGKILL),
    "fills": _fills,
    "spins": _spins,
    "stays": _stays,
    "asks": _asks,
    "tells": _tells,
    "half": _half,
}


@pytest.fixture
def bad(workers, monkeypatch):
    """A worker that has tasks as a hostile file would make of good ones, in a process of its
    own."""
    import multiprocessing

    from landbrush.server.workers import child, tasks

    monkeypatch.setattr(process, "_context", lambda: multiprocessing.get_context("fork"))
    monkeypatch.setattr(tasks, "TASKS", {**tasks.TASKS, **BAD})
    assert tasks.__name__ == child.TASKS
    return workers


@posix
@pytest.mark.parametrize(
    ("task", "told", "said", "caused"),
    [
        ("breaks", RasterUnreadable, "broke .signal 11.*damaged", True),
        ("killed", Busy, "ended from outside", False),
    ],
)
def test_whose_fault_a_lost_worker_is(bad, task, told, said, caused):
    with pytest.raises(told, match=said):
        bad.read(task, {})
    with pytest.raises(Lost) as lost:
        bad.edit_by(task, {}, lambda told: None)
    assert lost.value.caused is caused and not lost.value.final


@posix
def test_the_end_of_what_workers_are_forked_from_is_no_files_fault(workers, rgb):
    """It takes its workers with it; the next question is answered by new ones."""
    first = workers.read("process", {})
    worker = psutil.Process(first)
    os.kill(worker.ppid(), signal.SIGKILL)
    while worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    assert workers.read("process", {}) != first


def test_a_model_that_is_unwanted_goes_from_every_worker(bad):
    """Two workers hold it: the idle one lets it go now, the busy one when its edit has ended."""
    bad._editors._most = 2
    bad._editors._free.release()
    unloaded = []
    with bad._editors.taken(None) as busy, bad._editors.taken(None) as idle:
        for worker in (busy, idle):
            worker.warm = ("a",)
    with bad._editors.taken(None) as busy:
        plain = {worker: worker.ask for worker in (busy, *bad._editors._idle)}
        for worker in plain:
            worker.ask = lambda task, given, *_, worker=worker: unloaded.append((worker, task))
        bad.unload("a")
        (other,) = [worker for worker in plain if worker is not busy]
        assert unloaded == [(other, "unload")]
        bad._unload_from(busy)
    assert unloaded == [(other, "unload"), (busy, "unload")]


def test_the_pool_never_grows(bad):
    """While an idle worker is taken aside to drop a model, an edit begins one of its own."""
    with bad._editors.taken(None):
        pass
    aside = bad._editors.idle()
    with bad._editors.taken(None) as other:
        assert other not in aside
    for worker in aside:
        bad._editors.back(worker)
    assert len(bad._editors.all()) == 1 and sum(w.living for w in (*aside, other)) == 1


@posix
def test_what_the_hearer_raises_ends_the_worker(bad):
    """Else its later words would be the answer to the next question."""

    def hear(message):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        bad.edit_by("tells", {}, hear)
    assert bad.edit_by("process", {}, hear) != "told"


@posix
def test_half_a_message_keeps_nobody_for_ever(bad, monkeypatch):
    monkeypatch.setattr(process, "HALF_S", 1)
    with pytest.raises(Lost):
        bad.edit_by("half", {}, lambda told: None)


@posix
def test_memory_has_an_end(bad, monkeypatch):
    # The worker is a fork of this process here, and begins with all that other tests have left.
    mine = getattr(psutil.Process().memory_info(), "data", 0)
    monkeypatch.setattr(memory, "hard_limit_bytes", lambda: mine + 1_000_000_000)
    with pytest.raises(RasterUnreadable, match="memory"):
        bad.read("fills", {})


@posix
def test_what_goes_on_for_ever_is_ended_by_what_it_spends(bad, monkeypatch):
    monkeypatch.setattr(process, "WITHOUT_PROGRESS_S", 0.5)
    with pytest.raises(Lost, match="without coming any further") as lost:
        bad.edit_by("spins", {}, lambda told: None)
    assert lost.value.caused and lost.value.final


@posix
def test_a_dismissal_reaches_what_does_not_listen(bad, monkeypatch):
    monkeypatch.setattr(process, "SHORT_GRACE_S", 0.0)
    told, stop = [], threading.Event()

    def hear(message):
        told.append(message["stage"])
        stop.set()

    with pytest.raises(Dismissed):
        bad.edit_by("stays", {}, hear, stop.is_set)
    assert told == ["reading"]
    assert bad.read("process", {})


@posix
def test_a_service_on_the_network_is_asked_by_the_server(bad):
    def hear(message):
        assert message["ask"] == "paraphrases"
        wanted = {**message["given"], "texts": ["a lake", "a pond"]}
        message["reply"].update({"done": wanted})

    assert bad.edit_by("asks", {}, hear) == "a pond"

    def refuse(message):
        message["reply"].update({"error": "CannotEdit", "said": "it did not answer"})

    with pytest.raises(CannotEdit, match="did not answer"):
        bad.edit_by("asks", {}, refuse)


@posix
def test_readers_that_are_all_busy_are_said_to_be(bad, monkeypatch):
    """With both readers and all places to wait taken the next is told to come again."""
    monkeypatch.setattr(module, "WAIT_S", 0.0)
    monkeypatch.setattr(process, "SHORT_GRACE_S", 0.0)
    threads = [
        threading.Thread(target=lambda: pytest.raises(ServerError, bad.read, "stays", {}))
        for _ in range(module.READERS)
    ]
    for thread in threads:
        thread.start()
    while len(bad._readers.all()) < module.READERS:
        time.sleep(0.01)
    with pytest.raises(Busy, match="Ask again"):
        bad.read("process", {})
    while any(thread.is_alive() for thread in threads):
        for worker in bad._readers.all():
            worker._process.kill()
        time.sleep(0.05)


def test_roots_and_models_that_change_take_another_worker(workers, settings, tmp_path):
    first = workers.read("process", {})
    ModelFolder(settings.home / "models").choose("image-text", str(tmp_path / "clip"))
    assert workers.read("process", {}) != first


ERRORS = [
    BadRequest("a"),
    Forbidden("b"),
    RasterUnreadable("c"),
    ContractError("where", "what"),
    Dismissed(),
    MemoryError(),
    RecursionError("deep"),
    ZeroDivisionError("d"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_errors_come_over_as_what_they_are(error):
    found = messages.as_error(messages.as_message(error, "a trace"))
    if isinstance(error, RecursionError):
        assert isinstance(found, BadRequest)
    elif isinstance(error, ZeroDivisionError):
        assert isinstance(found, Fault) and found.trace == "a trace"
    else:
        assert type(found) is type(error) and str(found) == str(error)


@pytest.mark.parametrize(
    "message",
    [
        {"error": "Settings", "said": "x"},
        {"error": "ServerError", "said": "x", "status": 200},
        {"error": "__class__", "said": "x" * 10_000, "status": "500", "title": {}},
        {"error": "os.system", "said": "x"},
        {"error": {"a": 1}, "said": ["x"]},
        {"fault": ["x"], "trace": {"y": 1}},
    ],
)
def test_a_worker_is_not_trusted_with_its_errors(message):
    """Only errors come of it, with statuses of errors and sentences of a length."""
    found = messages.as_error(message)
    assert isinstance(found, ServerError | Fault) and len(str(found)) <= messages.LONGEST_SENTENCE
    if isinstance(found, ServerError):
        assert 400 <= found.status < 600


@posix
def test_an_edit_whose_worker_is_killed_is_begun_again(client, tmp_path):
    path = write(tmp_path / "big.tif", in_type(scene(3, 500, 500), "uint8"))
    wanted = inputs(path, square(100, 100, 400, 400))
    job = client.post("/processes/variation/execution", json={"inputs": wanted}).get_json()["jobID"]
    place = client.application.extensions["landbrush"].place
    while client.get(f"/jobs/{job}").get_json().get("stage") != "editing":
        time.sleep(0.01)
    (worker,) = place.editing()
    os.kill(worker._pid, signal.SIGKILL)
    assert finished(client, job)["status"] == "successful"
    assert place.editing() != (worker,)


def test_a_dismissed_job_leaves_its_state_alone(client, rgb, settings):
    job = client.post("/processes/snow/execution", json={"inputs": inputs(rgb)}).get_json()["jobID"]
    finished(client, job)
    assert (settings.jobs / job / "result.tif").exists()
    client.delete(f"/jobs/{job}")
    assert {p.name for p in (settings.jobs / job).iterdir()} == {"status.json", "dismissed"}
    assert client.get(f"/jobs/{job}").get_json()["status"] == "dismissed"


def test_a_result_that_was_replaced_by_a_link_is_not_given(client, rgb, settings, tmp_path):
    job = client.post("/processes/snow/execution", json={"inputs": inputs(rgb)}).get_json()["jobID"]
    finished(client, job)
    (tmp_path / "secret").write_text("secret")
    (settings.jobs / job / "result.tif").unlink()
    (settings.jobs / job / "result.tif").symlink_to(tmp_path / "secret")
    assert client.get(f"/jobs/{job}/results/result.tif").status_code == 404


@posix
def test_a_home_is_its_owners_alone(settings, tmp_path):
    from landbrush.server.ground.settings import make_home

    home = tmp_path / "home2"
    home.mkdir(mode=0o755)
    (home / "token").touch()
    make_home(home)
    assert home.stat().st_mode & 0o077 == 0
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o755)
    (shared / "report.pdf").touch()
    make_home(shared)
    assert shared.stat().st_mode & 0o055 == 0o055, "what holds other things stays as it is"


def test_a_job_of_another_version_is_told_as_one(settings, rgb):
    import json

    from landbrush.server.contract.requests import EditRequest
    from landbrush.server.jobs.store import JobStore
    from landbrush.server.raster.rasters import Rasters

    store = JobStore(settings.jobs)
    request = EditRequest.from_json(inputs(rgb))
    waiting, ended = (store.create("snow", request, Rasters(rgb))[0].jobID for _ in range(2))
    store.put(dataclasses.replace(store.info(ended), status="successful", position=0))
    for job in (waiting, ended):
        path = settings.jobs / job / "request.json"
        body = json.loads(path.read_text())
        path.write_text(json.dumps({**body, "request": {**body["request"], "old": 1}}))
    again = JobStore(settings.jobs)
    assert again.unfinished() == [] and not again.damaged
    assert again.info(ended).status == "successful", "its result is still given"
    told = again.info(waiting)
    assert told.status == "failed" and "another version" in told.message and "old" in told.message
