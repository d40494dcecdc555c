"""Jobs that lose their worker, or the room on the disk."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from landbrush.server.contract.manifest import EditReport, GateReport
from landbrush.server.contract.requests import EditRequest
from landbrush.server.editors.models import Models
from landbrush.server.ground.settings import Settings
from landbrush.server.jobs import executor
from landbrush.server.jobs import store as jobs_store
from landbrush.server.jobs.folder import load_status
from landbrush.server.jobs.store import JobStore
from landbrush.server.jobs.workplace import Lost, NotStarted
from landbrush.server.raster.rasters import Rasters
from landbrush.server.web.app import create_app

from tests.server.conftest import (
    TOKEN,
    Held,
    closed,
    finished,
    in_type,
    inputs,
    scene,
    start,
    write,
)

pytestmark = pytest.mark.slow


@pytest.fixture
def small_disk(tmp_path):
    """Mounts a disk with such options; gives the folder."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    disk = tmp_path / "disk"
    disk.mkdir()

    def mount(options):
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(disk)]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("this machine does not allow mounting")
        return disk

    yield mount
    subprocess.run(["umount", "-l", str(disk)], check=False)


def test_a_full_disk_fails_the_job_and_leaves_no_half_file(tmp_path, small_disk):
    disk = small_disk("size=400k")
    path = write(tmp_path / "a.tif", in_type(scene(3, 700, 700), "uint16"))
    app = create_app(Settings(home=disk / "home", roots=(tmp_path,), token=TOKEN))
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {TOKEN}"
    job = start(client, path, "snow", output={"area": "layer", "compression": "none"})
    info = finished(client, job)
    assert info["status"] == "failed" and info["problem"]["status"] == 507, info
    assert not list((disk / "home" / "jobs" / job).glob("**/*.tif"))
    closed(app)


def test_a_disk_without_names_left_refuses_and_heals(tmp_path, small_disk, rgb):
    """No inode is free: what is asked for is refused with a sentence, and taken once there are."""
    disk = small_disk("nr_inodes=60")
    app = create_app(Settings(home=disk / "home", roots=(tmp_path,), token=TOKEN))
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {TOKEN}"
    assert finished(client, start(client, rgb, "snow"))["status"] == "successful"
    taken = []
    with pytest.raises(OSError, match="No space"):
        for number in range(100):
            (disk / f"f{number}").touch()
            taken.append(disk / f"f{number}")
    body = {"inputs": inputs(rgb)}
    answer = client.post("/processes/snow/execution", json=body)
    assert answer.status_code == 507 and "No space" in answer.get_json()["detail"]
    for number in range(3, 8):  # enough for a job to be accepted, not for its result
        for path in taken[:number]:
            path.unlink(missing_ok=True)
        answer = client.post("/processes/snow/execution", json=body)
        if answer.status_code == 201:
            break
    assert finished(client, answer.get_json()["jobID"])["problem"]["status"] == 507
    for path in taken:
        path.unlink(missing_ok=True)
    assert finished(client, start(client, rgb, "snow"))["status"] == "successful"
    closed(app)


class Loses:
    """A workplace whose workers end in the midst of every task, for so many times."""

    def __init__(self, loss, times):
        self.loss, self.left, self.asked = loss, times, []

    def edit(self, given, told, stop):
        self.asked.append(Path(given["folder"]).name)
        if self.left:
            self.left -= 1
            raise self.loss
        return EDIT_REPORT

    def close(self):
        pass


EDIT_REPORT = EditReport(
    "snow", "none", "snow", GateReport(True, True, 1, 0, 1, 1, 1, 0, 0, 0, "", ""), (0, 0, 1, 1)
).to_json()


def lost(settings, rgb, loss, times, jobs=2):
    """Jobs whose workers are lost: the store, their ids, and the order in which they ran."""
    store = JobStore(settings.jobs)
    request = EditRequest.from_json(inputs(rgb))
    ids = [store.create("snow", request, Rasters(rgb))[0].jobID for _ in range(jobs)]
    place, hold = Loses(loss, times), Held()
    runner = executor.Runner(store, place, Models(settings.home), executor=hold)
    for job_id in ids:
        runner.submit(job_id)
    while hold.waiting:
        hold.run_next()
    return store, ids, place.asked


def test_a_job_that_breaks_its_worker_is_begun_again_behind_the_others_and_then_given_up(
    settings, rgb
):
    store, (bad, good), asked = lost(settings, rgb, Lost("it broke", True), 1)
    assert asked == [bad, good, bad]
    assert [store.info(job).status for job in (bad, good)] == ["successful", "successful"]
    store, (bad,), asked = lost(settings, rgb, Lost("it broke", True), 9, jobs=1)
    ended = store.info(bad)
    assert asked == [bad, bad] and ended.status == "failed" and ended.message == "it broke"
    store, (bad,), asked = lost(settings, rgb, Lost("too large", True, final=True), 9, jobs=1)
    assert asked == [bad] and store.info(bad).problem.status == 507


def test_a_job_is_not_blamed_for_what_ends_its_worker_from_outside(settings, rgb, monkeypatch):
    monkeypatch.setattr(executor, "PAUSE_S", 0.0)
    store, (one, other), asked = lost(settings, rgb, Lost("killed", False), 20)
    assert len(asked) == 22 and {store.info(j).status for j in (one, other)} == {"successful"}


def test_a_job_is_given_up_where_no_worker_can_be_started(settings, rgb, monkeypatch):
    monkeypatch.setattr(executor, "PAUSE_S", 0.0)
    monkeypatch.setattr(executor, "MOST_UNSTARTED", 3)
    store, (job,), asked = lost(settings, rgb, NotStarted("there is none"), 99, jobs=1)
    ended = store.info(job)
    assert len(asked) == 3 and ended.status == "failed" and ended.problem.status == 503


def test_a_dismissal_at_the_last_moment_leaves_no_result(settings, rgb):
    store = JobStore(settings.jobs)
    job = store.create("snow", EditRequest.from_json(inputs(rgb)), Rasters(rgb))[0].jobID

    class Last:
        def edit(self, given, told, stop):
            store.dismiss(job)
            (Path(given["folder"]) / "result.tif").write_bytes(b"x")
            return EDIT_REPORT

    executor.Runner(store, Last(), Models(settings.home), executor=Held()).run(job)
    assert store.info(job).status == "dismissed"
    assert sorted(p.name for p in (settings.jobs / job).iterdir()) == ["dismissed", "status.json"]


def test_what_was_running_whenever_a_server_ended_waits_behind_the_others(settings, rgb):
    store = JobStore(settings.jobs)
    request = EditRequest.from_json(inputs(rgb))
    first, second, third = (store.create("snow", request, Rasters(rgb))[0].jobID for _ in range(3))
    for job, starts in ((first, "xx"), (second, "x")):
        store.put(replace(store.info(job), status="running", position=0))
        (settings.jobs / job / "starts").write_text(starts)
    again = JobStore(settings.jobs)
    assert again.unfinished() == [second, third, first]
    assert again.info(third).position == 1


def test_a_full_disk_heals_by_itself(settings, rgb, monkeypatch):
    """The last state is held in memory, told, and written once there is room."""
    store = JobStore(settings.jobs)
    job = store.create("snow", EditRequest.from_json(inputs(rgb)), Rasters(rgb))[0].jobID
    full = [True]
    plain = jobs_store.save_status

    def save(folder, info):
        if full[0]:
            raise OSError(28, "No space left on device")
        plain(folder, info)

    monkeypatch.setattr(jobs_store, "save_status", save)
    store.put(replace(store.info(job), status="failed", position=0))
    assert store.info(job).status == "failed" and store.write_what_waits() == 1
    assert load_status(settings.jobs / job).status == "accepted"
    assert [info.status for info in store.list_all()] == ["failed"]
    full[0] = False
    assert store.write_what_waits() == 0
    assert load_status(settings.jobs / job).status == "failed"
