"""Real server processes: killed with -9, two at a time, ended in peace or by a fault."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from landbrush.server import __main__ as command
from landbrush.server.contract.jobs import ENDED
from landbrush.server.ground.settings import Settings, lock_home
from landbrush.server.web.app import create_app

from tests.server.conftest import (
    closed,
    in_type,
    inputs,
    ring,
    scene,
    square,
    write,
)

pytestmark = pytest.mark.slow
LARGE = square(100, 100, 400, 400)


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
    path = write(tmp_path / "big.tif", in_type(scene(3, 300, 300), "uint8"))
    bodies = [
        ("variation", {"inputs": inputs(path, pixels=square(60, 60, 240, 240), seed=5)}),
        ("fog", {"inputs": inputs(path, pixels=square(120, 120, 180, 180), seed=6)}),
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
    closed(create_app(Settings(home=tmp_path / "h")))
    path = tmp_path / "h" / "token"
    assert len(path.read_text()) >= 32
    if os.name == "posix":
        assert path.stat().st_mode & 0o077 == 0


def test_a_server_that_ends_by_a_fault_says_so(tmp_path):
    code = """
import sys
from landbrush.server.web import listening
class Broken:
    effective_port = 1
    def run(self): raise RuntimeError("by design of this test")
listening.listening = lambda *a, **k: Broken()
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


@pytest.mark.parametrize("length", ["t", "t" * 200])
def test_a_server_asked_to_end_leaves_nothing(tmp_path, monkeypatch, length):
    """Neither its address nor folders of its workers, in the home or where temporary files lie."""
    temporary = tmp_path / length
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    server = Process(tmp_path / "home", tmp_path)
    try:
        assert server.call("POST", "/interpretations", {"prompt": "snow"})["operation"] == "snow"
        scratch = tmp_path / "home" / "scratch"
        while len(list(scratch.iterdir())) < 3:  # a worker of each kind is there
            assert server.process.poll() is None
            time.sleep(0.01)
    finally:
        server.stop(signal.SIGTERM)
    assert server.process.returncode == 0 and not list(temporary.iterdir())
    assert not (tmp_path / "home" / "server.json").exists()
    assert not scratch.exists()


def test_an_edit_asked_to_end_leaves_nothing(tmp_path):
    """On the command line, in the midst of it."""
    path = write(tmp_path / "big.tif", in_type(scene(3, 500, 500), "uint8"))
    area = tmp_path / "area.json"
    crs = {"type": "name", "properties": {"name": "EPSG:32617"}}
    shape = {"type": "Feature", "properties": {}, "geometry": ring(path, LARGE)}
    area.write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": [shape]}))
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    before = {one.name for one in tmp_path.iterdir()} | {"home"}
    edit = subprocess.Popen(
        [sys.executable, "-m", "landbrush.server", "edit", str(path), "--polygons", str(area)]
        + ["--editor", "variation", "--output", str(tmp_path / "out.tif")]
        + ["--home", str(tmp_path / "home")],
        stderr=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(temporary)},
        text=True,
    )
    while not list(temporary.glob("landbrush-*/worker-*")):
        assert edit.poll() is None, edit.communicate()[1]
        time.sleep(0.01)
    edit.send_signal(signal.SIGTERM)
    _, said = edit.communicate()
    assert edit.returncode == 130 and "landbrush-server: stopped.\n" in said
    assert {one.name for one in tmp_path.iterdir()} <= before and not list(temporary.iterdir())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--workers", "0"], "--workers 0: at least one is needed"),
        (["--port", "99999"], "--port 99999: ports are 0"),
        (["--home", "FILE"], "cannot be used"),
        (["--root", "nowhere"], "there is no such folder"),
    ],
)
def test_a_start_that_cannot_be_says_why(tmp_path, capsys, options, said):
    (tmp_path / "file").write_text("x")
    options = [str(tmp_path / "file") if one == "FILE" else one for one in options]
    assert command.main(["serve", "--home", str(tmp_path / "home"), *options]) == 1
    assert said in capsys.readouterr().err


def test_a_folder_where_nothing_can_be_written_is_named(tmp_path, rgb, capsys, monkeypatch):
    from landbrush.server.commands import reading

    def refuse(**_):
        raise PermissionError(13, "Permission denied", ".landbrush-x")

    monkeypatch.setattr(reading.tempfile, "TemporaryDirectory", refuse)
    wanted = ["edit", str(rgb), "--polygons", "a.json", "--output", str(tmp_path / "out.tif")]
    assert command.main(wanted) == 1
    said = capsys.readouterr().err
    assert f"nothing can be written in {tmp_path} (Permission denied)" in said


def test_a_cold_server_starts_no_worker_by_itself(tmp_path, monkeypatch):
    """As an option and as a word of the environment; what is asked for is done all the same."""
    import argparse

    from landbrush.server.commands import serve

    def given(*more):
        parser = argparse.ArgumentParser()
        serve.add_commands(parser.add_subparsers())
        return parser.parse_args(["serve", *more]).cold

    assert not given() and given("--cold")
    monkeypatch.setenv("LANDBRUSH_COLD", "1")
    assert given()
    path = write(tmp_path / "a.tif", in_type(scene(3, 160, 160), "uint8"))
    server = Process(tmp_path / "home", tmp_path)
    job = server.call("POST", "/processes/fog/execution", {"inputs": inputs(path)})["jobID"]
    assert server.wait(job, ("successful",))["status"] == "successful"
    server.stop()
