"""Jobs of one server: queue, dismissal, failures, what a crash left."""

from __future__ import annotations

import os
import threading
import time

import pytest
from landbrush.server.contract.requests import EditRequest
from landbrush.server.jobs import executor
from landbrush.server.jobs.folder import load_status
from landbrush.server.jobs.store import JobStore
from landbrush.server.raster.rasters import Rasters
from landbrush.server.web.app import create_app
from landbrush.server.workers import tasks
from landbrush.server.workers.here import Here

from tests.server.conftest import (
    TOKEN,
    Held,
    closed,
    finished,
    in_type,
    inputs,
    run_here,
    scene,
    square,
    start,
    write,
)

pytestmark = pytest.mark.slow
LARGE = square(100, 100, 400, 400)


@pytest.fixture
def held(settings, editors):
    hold = Held()
    app = create_app(settings, hold, editors.models, Here(editors, settings))
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {TOKEN}"
    return hold, client


def test_queue_positions(held, rgb):
    hold, client = held
    jobs = [start(client, rgb, seed=s) for s in range(3)]
    assert [client.get(f"/jobs/{j}").get_json().get("position", 0) for j in jobs] == [0, 1, 2]
    hold.run_next()
    assert [client.get(f"/jobs/{j}").get_json().get("position", 0) for j in jobs[1:]] == [0, 1]


def test_a_queued_job_is_dismissed_and_never_runs(held, rgb, settings):
    hold, client = held
    job = start(client, rgb)
    for _ in range(2):
        answer = client.delete(f"/jobs/{job}")
        assert answer.status_code == 200 and answer.get_json()["status"] == "dismissed"
    hold.run_next()
    assert client.get(f"/jobs/{job}").get_json()["status"] == "dismissed"
    assert client.get(f"/jobs/{job}/results").status_code == 404
    assert not (settings.jobs / job / "result.tif").exists()


def test_an_ended_job_is_dismissed_and_its_files_go(held, rgb, settings):
    hold, client = held
    job = start(client, rgb)
    hold.run_next()
    assert client.get(f"/jobs/{job}").get_json()["status"] == "successful"
    assert client.delete(f"/jobs/{job}").get_json()["status"] == "dismissed"
    assert not (settings.jobs / job / "result.tif").exists()


def test_a_running_job_stops_at_its_next_step_and_the_next_starts(
    settings, editors, tmp_path, monkeypatch
):
    """Counted in the editor's own steps: none may pass after the dismissal."""
    path = write(tmp_path / "big.tif", in_type(scene(3, 500, 500), "uint8"))
    steps, dismissed_at, reached = [], [], threading.Event()
    app = create_app(settings, place=Here(editors, settings))
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {TOKEN}"
    editor = editors.get("variation")
    plain = editor.edit

    def watched(part, prompt, options, seed, on_step):
        def step(done, total, preview=None):
            steps.append(seed)
            if seed == 1 and len(steps) == 3:
                reached.set()
                while not dismissed_at:
                    time.sleep(0.01)
            on_step(done, total, preview)

        return plain(part, prompt, options, seed, step)

    monkeypatch.setattr(editor, "edit", watched)
    first = start(client, path, "variation", pixels=LARGE, seed=1)
    second = start(client, path, "snow", seed=2)
    reached.wait()
    assert client.delete(f"/jobs/{first}").get_json()["status"] == "dismissed"
    dismissed_at.append(len(steps))
    assert finished(client, second)["status"] == "successful"
    assert len([s for s in steps if s == 1]) - dismissed_at[0] == 0
    assert client.get(f"/jobs/{first}").get_json()["status"] == "dismissed"
    closed(app)


def test_an_unexpected_failure_is_a_failed_job_with_a_log(
    held, rgb, settings, editors, monkeypatch
):
    hold, client = held

    def broken(*_, **__):
        raise ZeroDivisionError("by design of this test")

    monkeypatch.setattr(editors.get("remove"), "edit", broken)
    job = start(client, rgb)
    hold.run_next()
    info = client.get(f"/jobs/{job}").get_json()
    assert info["status"] == "failed" and "please report" in info["problem"]["detail"]
    assert "ZeroDivisionError" in (settings.jobs / job / "error.log").read_text()
    assert not list((settings.jobs / job).glob("*.tif"))


def test_no_memory_is_a_failed_job(held, rgb, editors, monkeypatch):
    hold, client = held

    def hungry(*_, **__):
        raise MemoryError

    monkeypatch.setattr(editors.get("remove"), "edit", hungry)
    job = start(client, rgb)
    hold.run_next()
    assert "smaller polygon" in client.get(f"/jobs/{job}").get_json()["message"]


def test_jobs_are_forgotten_after_their_time(editors, settings, rgb):
    store = JobStore(settings.jobs)
    request = EditRequest.from_json(inputs(rgb))
    info, _ = store.create("snow", request, Rasters(rgb), "key")
    run_here(store, editors, info.jobID)
    assert store.forget_older_than(1) == 0
    old = time.time() - 3 * 86400
    os.utime(store.folder(info.jobID) / "status.json", (old, old))
    assert store.forget_older_than(1) == 1 and not list(store.list_all())
    assert not list(settings.jobs.glob("key-*"))


def test_a_marker_that_a_full_disk_cut_short_does_not_stop_the_server(settings, rgb):
    store = JobStore(settings.jobs)
    store.create("snow", EditRequest.from_json(inputs(rgb)), Rasters(rgb), "key")
    marker = next(settings.jobs.glob("key-*"))
    marker.write_text("")
    closed(create_app(settings, Held()))
    info, new = store.create("snow", EditRequest.from_json(inputs(rgb)), Rasters(rgb), "key")
    again, newer = store.create("snow", EditRequest.from_json(inputs(rgb)), Rasters(rgb), "key")
    assert new and not newer and again.jobID == info.jobID


def test_old_uploads_and_broken_transfers_go(settings, rgb):
    from landbrush.server.web.services import purge_uploads

    settings.uploads.mkdir(parents=True)
    for name in ("used", "unused", "young", ".part-x"):
        (settings.uploads / name).write_bytes(b"x")
    for name in (".part-y.tif.parts", ".landbrush-z"):
        (settings.uploads / name).mkdir()
        (settings.uploads / name / "inside").write_bytes(b"x")
    store = JobStore(settings.jobs)
    store.create("snow", EditRequest.from_json(inputs(rgb)), Rasters(settings.uploads / "used"))
    for name in ("used", "unused"):
        os.utime(settings.uploads / name, (0, 0))
    assert purge_uploads(settings, store, time.time() + 1) == 4
    assert sorted(p.name for p in settings.uploads.iterdir()) == ["used", "young"]


def test_status_is_written_whole_or_not_at_all(editors, settings, rgb, monkeypatch):
    store = JobStore(settings.jobs)
    info, _ = store.create("snow", EditRequest.from_json(inputs(rgb)), Rasters(rgb))
    folder = store.folder(info.jobID)
    monkeypatch.setattr(executor, "WRITE_EVERY_S", 0.0)
    monkeypatch.setattr(tasks, "TELL_EVERY_S", 0.0)
    stop, bad = threading.Event(), []

    def reader():
        while not stop.is_set():
            try:
                load_status(folder)
            except Exception as error:
                bad.append(error)

    thread = threading.Thread(target=reader)
    thread.start()
    run_here(store, editors, info.jobID)
    stop.set()
    thread.join()
    assert not bad and load_status(folder).status == "successful"


def test_what_a_crash_left_half_done_is_put_right(settings, rgb):
    store = JobStore(settings.jobs)
    request = EditRequest.from_json(inputs(rgb))
    dismissed, _ = store.create("remove", request, Rasters(rgb), "first")
    (store.folder(dismissed.jobID) / "dismissed").touch()
    half, _ = store.create("remove", request, Rasters(rgb), "second")
    (store.folder(half.jobID) / "status.json").unlink()
    assert JobStore(settings.jobs).unfinished() == []
    assert store.info(dismissed.jobID).status == "dismissed"
    again, new = store.create("remove", request, Rasters(rgb), "second")
    assert new and again.jobID != half.jobID
    store.forget_older_than(14)
    assert not (settings.jobs / half.jobID).exists() and (settings.jobs / again.jobID).exists()
    same, new = store.create("remove", request, Rasters(rgb), "second")
    assert same.jobID == again.jobID and not new
