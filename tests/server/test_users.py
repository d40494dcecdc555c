"""Who uses a home's server, and that it ends when nobody does."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from landbrush.server.ground import users

pytestmark = pytest.mark.slow


def test_a_program_uses_it_until_it_ends(tmp_path):
    assert not users.has_users(tmp_path)
    program = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert users.add_user(tmp_path, program.pid) and users.has_users(tmp_path)
    program.kill()
    program.wait()
    assert not users.has_users(tmp_path) and not list((tmp_path / users.USERS).iterdir())


def test_another_program_of_the_same_id_is_another(tmp_path):
    assert users.add_user(tmp_path, os.getpid())
    (tmp_path / users.USERS / str(os.getpid())).write_text("1000.0")
    assert not users.has_users(tmp_path)


@pytest.mark.parametrize("process", [0, -1, 2**31 - 1, 2**40])
def test_who_is_not_there_uses_nothing(tmp_path, process):
    assert not users.add_user(tmp_path, process) and not users.has_users(tmp_path)


def test_files_that_say_nothing_are_nobody(tmp_path):
    (tmp_path / users.USERS).mkdir()
    for name, text in (("x", "1.0"), (str(os.getpid()), "soon"), (str(2**80), "1.0")):
        (tmp_path / users.USERS / name).write_text(text)
    assert not users.has_users(tmp_path)


def test_a_server_ends_with_the_last_who_uses_it(tmp_path):
    owner, second = (
        subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) for _ in "ab"
    )
    order = [sys.executable, "-m", "landbrush.server", "serve", "--port", "0"]
    order += ["--home", str(tmp_path / "home")]

    def started(user):
        environment = {**os.environ, "LANDBRUSH_OWNER": str(user.pid), "LANDBRUSH_COLD": "1"}
        return subprocess.Popen(order, stdout=subprocess.PIPE, text=True, env=environment)

    server = started(owner)
    try:
        assert json.loads(server.stdout.readline())["owner"] == owner.pid
        other = started(second)
        assert json.loads(other.stdout.readline())["owner"] == owner.pid and other.wait() == 3
        owner.kill()
        owner.wait()
        folder = tmp_path / "home" / users.USERS
        while (folder / str(owner.pid)).exists():  # until it has looked
            assert server.poll() is None
        assert server.poll() is None, "the second still uses it"
        second.kill()
        second.wait()
        assert server.wait() == 0
        assert not (tmp_path / "home" / "server.json").exists()
    finally:
        for one in (owner, second, server):
            one.kill()
            one.wait()


def test_one_without_an_owner_watches_nobody(tmp_path):
    environment = {**os.environ, "LANDBRUSH_OWNER": "", "LANDBRUSH_COLD": "1"}
    order = [sys.executable, "-m", "landbrush.server", "serve", "--port", "0"]
    order += ["--home", str(tmp_path / "home")]
    server = subprocess.Popen(order, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert json.loads(server.stdout.readline())["owner"] == 0
        assert not (tmp_path / "home" / users.USERS).exists()
    finally:
        server.terminate()
        server.wait()
