"""Durable jobs: dismissal, queue, restart, a server killed with -9, a full disk, two servers."""

from __future__ import annotations

import concurrent.futures
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest
from landbrush.server.contract.jobs import ENDED
from landbrush.server.contract.requests import EditRequest
from landbrush.server.ground.settings import Settings, lock_home
from landbrush.server.jobs import executor
from landbrush.server.jobs.executor import Worker, run_job
from landbrush.server.jobs.folder import load_status
from landbrush.server.jobs.store import JobStore
from landbrush.server.raster.rasters import Rasters
from landbrush.server.web.app import create_app

from tests.server.conftest import TOKEN, finished, in_type, inputs, scene, square, write

pytestmark = pytest.mark.slow

LARGE = square(100, 100, 400, 400)


class Held(concurrent.futures.Executor):
    """An executor that runs what it was given only when told to."""

    def __init__(self):
        self.waiting = []

    def submit(self, function, /, *arguments, **more):
        self.waiting.append((function, arguments))
        return concurrent.futures.Future()

    def run_next(self):
        function, arguments = self.waiting.pop(0)
        function(*arguments)


@pytest.fixture
def held(settings):
    hold = Held()
    app = create_app(settings, hold)
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {TOKEN}"
    return hold, client


def start(client, path, process="remove", **more):
    answer = client.post(f"/processes/{process}/execution", json={"inputs": inputs(path, **more)})
    assert answer.status_code == 201, answer.get_json()
    return answer.get_json()["jobID"]


def test_queue_positions(held, rgb):
    hold, client = held
    jobs = [start(client, rgb, seed=s) for s in range(3)]
    assert [client.get(f"/jobs/{j}").get_json().get("position", 0) for j in jobs] == [0, 1, 2]
    hold.run_next()
    assert [client.get(f"/jobs/{j}").get_json().get("position", 0) for j in jobs[1:]] == [0, 1]


def editors_of(client):
    """The editors of the server that a client asks."""
    return client.application.extensions["landbrush"].editors


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


def test_a_running_job_stops_at_its_next_step_and_the_next_starts(settings, tmp_path, monkeypatch):
    """Counted in the editor's own steps: none may pass after the dismissal."""
    path = write(tmp_path / "big.tif", in_type(scene(3, 500, 500), "uint8"))
    steps, dismissed_at, reached = [], [], threading.Event()
    app = create_app(settings)
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {TOKEN}"
    editor = app.extensions["landbrush"].editors.get("variation")
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
    app.extensions["landbrush"].runner.executor.shutdown()


def test_an_unexpected_failure_is_a_failed_job_with_a_log(held, rgb, settings, monkeypatch):
    hold, client = held

    def broken(*_, **__):
        raise ZeroDivisionError("by design of this test")

    monkeypatch.setattr(editors_of(client).get("remove"), "edit", broken)
    job = start(client, rgb)
    hold.run_next()
    info = client.get(f"/jobs/{job}").get_json()
    assert info["status"] == "failed" and "please report" in info["problem"]["detail"]
    assert "ZeroDivisionError" in (settings.jobs / job / "error.log").read_text()
    assert not list((settings.jobs / job).glob("*.tif"))


def test_no_memory_is_a_failed_job(held, rgb, monkeypatch):
    hold, client = held

    def hungry(*_, **__):
        raise MemoryError

    monkeypatch.setattr(editors_of(client).get("remove"), "edit", hungry)
    job = start(client, rgb)
    hold.run_next()
    assert "smaller polygon" in client.get(f"/jobs/{job}").get_json()["message"]


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounting a small disk needs root"
)
def test_a_full_disk_fails_the_job_and_leaves_no_half_file(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(disk)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("this machine does not allow mounting")
    try:
        values = in_type(scene(3, 700, 700), "uint16")
        path = write(tmp_path / "a.tif", values)
        client = create_app(
            Settings(home=disk / "home", roots=(tmp_path,), token=TOKEN)
        ).test_client()
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {TOKEN}"
        job = start(client, path, "snow", output={"area": "layer", "compression": "none"})
        info = finished(client, job)
        assert info["status"] == "failed" and info["problem"]["status"] == 507, info
        assert not list((disk / "home" / "jobs" / job).glob("**/*.tif"))
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)


def test_jobs_are_forgotten_after_their_time(editors, settings, rgb):
    store = JobStore(settings.jobs)
    request = EditRequest.from_json(inputs(rgb))
    info, _ = store.create("snow", request, Rasters(rgb), "key")
    run_job(str(store.folder(info.jobID)), Worker(editors))
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
    create_app(settings, Held())
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
    assert purge_uploads(settings, store) == 4
    assert sorted(p.name for p in settings.uploads.iterdir()) == ["used", "young"]


def test_status_is_written_whole_or_not_at_all(editors, settings, rgb, monkeypatch):
    store = JobStore(settings.jobs)
    info, _ = store.create("snow", EditRequest.from_json(inputs(rgb)), Rasters(rgb))
    folder = store.folder(info.jobID)
    monkeypatch.setattr(executor, "WRITE_EVERY_S", 0.0)
    stop, bad = threading.Event(), []

    def reader():
        while not stop.is_set():
            try:
                load_status(folder)
            except Exception as error:
                bad.append(error)

    thread = threading.Thread(target=reader)
    thread.start()
    run_job(str(folder), Worker(editors))
    stop.set()
    thread.join()
    assert not bad and load_status(folder).status == "successful"


class Process:
    """A real server process."""

    def __init__(self, home, root):
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "landbrush.server",
                "serve",
                "--port",
                "0",
                "--home",
                str(home),
                "--root",
                str(root),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        address = json.loads(self.process.stdout.readline())
        self.url = address["url"]
        self.token = Path(address["token_file"]).read_text()

    def call(self, method, path, body=None):
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=json.dumps(body).encode() if body else None,
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:
            content = answer.read()
        return (
            json.loads(content)
            if answer.headers["Content-Type"].startswith("application/json")
            else content
        )

    def wait(self, job, words):
        """The job's status once it is one of the words; an end that is none of them is a
        failure."""
        while True:
            info = self.call("GET", f"/jobs/{job}")
            if info["status"] in words:
                return info
            assert info["status"] not in ENDED, info
            time.sleep(0.1)

    def stop(self, sign=signal.SIGTERM):
        self.process.send_signal(sign)
        self.process.wait()
        self.process.stdout.close()


def test_kill_9_with_one_running_and_two_queued(tmp_path):
    """After a restart all three end, with the results they would have had."""
    path = write(tmp_path / "big.tif", in_type(scene(3, 500, 500), "uint8"))
    bodies = [
        ("variation", {"inputs": inputs(path, pixels=LARGE, seed=5)}),
        ("remove", {"inputs": inputs(path, pixels=square(220, 220, 280, 280), seed=6)}),
        ("snow", {"inputs": inputs(path, seed=7)}),
    ]

    def submit(server):
        return [server.call("POST", f"/processes/{p}/execution", b)["jobID"] for p, b in bodies]

    def hashes(server, jobs):
        for job in jobs:
            assert server.wait(job, ("successful", "failed"))["status"] == "successful"
        return [
            hashlib.sha256(server.call("GET", f"/jobs/{j}/results/result.tif")).hexdigest()
            for j in jobs
        ]

    undisturbed = Process(tmp_path / "home1", tmp_path)
    expected = hashes(undisturbed, submit(undisturbed))
    undisturbed.stop()
    server = Process(tmp_path / "home2", tmp_path)
    jobs = submit(server)
    server.wait(jobs[0], ("running",))
    server.stop(signal.SIGKILL)
    states = [
        json.loads((tmp_path / "home2" / "jobs" / j / "status.json").read_text())["status"]
        for j in jobs
    ]
    assert states == ["running", "accepted", "accepted"]
    again = Process(tmp_path / "home2", tmp_path)
    assert hashes(again, jobs) == expected
    again.stop()


def test_two_servers_two_ports_and_one_home_one_server(tmp_path):
    first, second = Process(tmp_path / "a", tmp_path), Process(tmp_path / "b", tmp_path)
    try:
        assert first.url != second.url and first.token != second.token
        assert first.call("GET", "/")["title"] == second.call("GET", "/")["title"]
        assert lock_home(tmp_path / "a") is None
        third = subprocess.run(
            [
                sys.executable,
                "-m",
                "landbrush.server",
                "serve",
                "--port",
                "0",
                "--home",
                str(tmp_path / "a"),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        assert third.returncode == 3 and json.loads(third.stdout)["url"] == first.url
        assert "in use" in third.stderr
    finally:
        first.stop()
        second.stop()
    held = lock_home(tmp_path / "a")
    assert held is not None
    held.close()


def test_the_token_is_the_owners_alone(tmp_path):
    create_app(Settings(home=tmp_path / "h"))
    path = tmp_path / "h" / "token"
    assert len(path.read_text()) >= 32
    if os.name == "posix":
        assert path.stat().st_mode & 0o077 == 0


def test_a_job_that_ends_the_server_is_given_up(editors, settings, rgb):
    """Each start of a server begins it again, up to three times."""
    code = """
import os, sys, json
from pathlib import Path
from landbrush.server.editors.models import Models
from landbrush.server.editors.registry import Editors
from landbrush.server.jobs import executor
executor.edit = lambda *a: os._exit(9)
executor.run_job(sys.argv[1], executor.Worker(Editors(Models(Path("/nowhere")))))
"""
    store = JobStore(settings.jobs)
    info, _ = store.create("remove", EditRequest.from_json(inputs(rgb)), Rasters(rgb))
    folder = store.folder(info.jobID)
    for _ in range(3):
        assert (
            subprocess.run([sys.executable, "-c", code, str(folder)], check=False).returncode == 9
        )
        assert store.unfinished() == [folder]
    run_job(str(folder), Worker(editors))
    ended = load_status(folder)
    assert ended.status == "failed" and "not begun again" in ended.message


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


def test_a_server_that_ends_by_a_fault_says_so(tmp_path):
    code = """
import sys, waitress
class Broken:
    effective_port = 1
    def run(self): raise RuntimeError("by design of this test")
waitress.create_server = lambda *a, **k: Broken()
from landbrush.server.__main__ import main
main(["serve", "--port", "0", "--home", sys.argv[1]])
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "home")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1 and "by design of this test" in done.stderr
    assert not (tmp_path / "home" / "server.json").exists()
