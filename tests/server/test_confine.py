"""What a worker can still do, tried from inside: code of a stranger runs in it as if a file had
taken it over."""

from __future__ import annotations

import ctypes
import json
import os
import platform
import socket
import struct
import subprocess
import sys
import threading

import pytest
from landbrush.server.workers import confine as module
from landbrush.server.workers.confine import Confinement

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux")
    or ctypes.CDLL(None).syscall(module.LANDLOCK_CREATE, None, 0, 1) < 4
    or platform.machine() not in module.MACHINES,
    reason="this system cannot take files and connections from a process",
)
TRIES = """
import ctypes, json, os, socket, subprocess, sys
from landbrush.server.workers.confine import Confinement, confine
reads, writes, outside, port, parent = json.loads(sys.argv[1])
held = confine(Confinement(tuple(reads), tuple(writes), 2_000_000_000))

def tried(what):
    try:
        return what() or True
    except (OSError, MemoryError) as error:
        return type(error).__name__

def started():
    done = subprocess.run(["cat", outside], capture_output=True)
    if done.returncode:
        raise PermissionError
    return done.stdout.decode()

library = ctypes.CDLL(None, use_errno=True)

def called(*arguments):
    if library.syscall(*arguments) < 0:
        raise OSError(ctypes.get_errno(), "refused")

print(json.dumps({
    "held": held,
    "read inside": tried(lambda: open(reads[0] + "/in").read()),
    "write inside": tried(lambda: open(writes[0] + "/new", "w").write("x")),
    "write where one reads": tried(lambda: open(reads[0] + "/in", "w").write("x")),
    "remove where one reads": tried(lambda: os.unlink(reads[0] + "/in")),
    "read outside": tried(lambda: open(outside).read()),
    "list outside": tried(lambda: os.listdir(os.path.dirname(outside))),
    "read passwd": tried(lambda: open("/etc/passwd").read()),
    "link into": tried(lambda: os.symlink(outside, writes[0] + "/link")),
    "hard link into": tried(lambda: os.link(outside, writes[0] + "/hard")),
    "by another program": tried(started),
    "limits of the parent": tried(lambda: __import__("resource").prlimit(parent, 7, (9, 9))),
    "processors of the parent": tried(lambda: os.sched_setaffinity(parent, {0})),
    "rights": tried(lambda: os.chmod(outside, 0o777)),
    "maps of the parent": tried(lambda: open(f"/proc/{parent}/maps").read()),
    "fork": tried(lambda: os.fork() or os._exit(0)),
    "vfork": tried(lambda: called(58, 0) if sys.argv[2] == "x86_64" else called(221, 0, 0, 0)),
    "through proc": tried(lambda: open("/proc/self/root" + outside).read()),
    "environment of the parent": tried(lambda: open(f"/proc/{parent}/environ").read()),
    "signal the parent": tried(lambda: os.kill(parent, 0)),
    "tcp": tried(lambda: socket.create_connection(("127.0.0.1", port))),
    "udp": tried(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)),
    "unix": tried(lambda: socket.socket(socket.AF_UNIX)),
    "name": tried(lambda: socket.getaddrinfo("example.org", 80)),
    "ring": tried(lambda: called(425, 4, 0)),
    "trace": tried(lambda: called(101 if sys.argv[2] == "x86_64" else 117, 16, parent, 0, 0)),
    "memory": tried(lambda: len(bytearray(3_000_000_000)) and None),
}))
"""
ALLOWED = ("read inside", "write inside")


@pytest.fixture
def tried(tmp_path):
    for name in ("reads", "writes", "outside"):
        (tmp_path / name).mkdir()
    (tmp_path / "reads" / "in").write_text("in")
    (tmp_path / "outside" / "secret").write_text("secret")
    called = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def listen():
            try:
                called.append(server.accept())
            except OSError:
                pass

        threading.Thread(target=listen, daemon=True).start()
        given = [
            [str(tmp_path / "reads")],
            [str(tmp_path / "writes")],
            str(tmp_path / "outside" / "secret"),
            server.getsockname()[1],
            os.getpid(),
        ]
        done = subprocess.run(
            [sys.executable, "-c", TRIES, json.dumps(given), platform.machine()],
            capture_output=True,
            text=True,
            check=False,
        )
        server.shutdown(socket.SHUT_RDWR)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), called


def test_a_process_keeps_what_it_needs_and_nothing_else(tried):
    found, called = tried
    held = ["files", "connections"] if module._computes_on_graphics() else None
    assert found.pop("held") == (held or ["memory", "files", "connections"])
    assert {name: found.pop(name) for name in ALLOWED} == {"read inside": "in", "write inside": 1}
    through = {
        n: v for n, v in found.items() if not isinstance(v, str) and (n != "memory" or not held)
    }
    told = {n: v for n, v in found.items() if "secret" in str(v) or "root:" in str(v)}
    assert not through and not told and not called
    assert found["memory"] == "MemoryError" or held


def test_a_confinement_with_paths_that_are_gone_still_holds(tmp_path):
    code = (
        "from landbrush.server.workers.confine import *\n"
        f"print(confine(Confinement(('/gone', ''), ({str(tmp_path)!r}, '/gone/too'))))\n"
        "try: open('/etc/passwd')\nexcept OSError: print('refused')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert "'files'" in done and "refused" in done


def test_a_system_without_it_is_told(monkeypatch):
    """A kernel that has neither: nothing is held, and nothing breaks."""

    class Without:
        def __getattr__(self, name):
            return lambda *_: -1

    monkeypatch.setattr(module.ctypes, "CDLL", lambda *_, **__: Without())
    monkeypatch.setattr(module, "_limit_memory", lambda allowed: False)
    assert module.confine(Confinement((), ())) == ()


def answer(lines, mark, number, flags=0):
    """What a filter says to a call, its instructions followed by hand."""
    at, held = 0, 0
    while True:
        code, then, otherwise, value = struct.unpack("=HBBI", lines[at])
        if code == 0x06:
            return value
        if code == 0x20:
            held = {0: number, 4: mark, 16: flags, 24: flags}[value]
            at += 1
            continue
        met = {0x15: held == value, 0x35: held >= value, 0x45: bool(held & value)}[code]
        at += 1 + (then if met else otherwise)


def test_the_filter_sees_each_number_and_the_other_interface():
    for mark, _, column in module.MACHINES.values():
        closed = {**module.FORBIDDEN, **module.OWNERS, **module.STARTS}
        own = [(pair[column], at) for pair, at in module.OF_ITSELF.values()]
        numbers = sorted(pair[column] for pair in closed.values())
        clone = module.CLONE[column]
        lines = module._filter(mark, numbers, own, clone)
        for number in set(range(600)) - {clone, module.CLONE3}:
            wanted = module.REFUSE if number in numbers else module.ALLOW
            assert answer(lines, mark, number) == wanted
        assert answer(lines, mark, module.FOREIGN_CALLS + 1) == module.REFUSE
        assert answer(lines, mark ^ 1, 0) == module.REFUSE
        assert answer(lines, mark, clone, module.CLONE_THREAD | 0x100) == module.ALLOW
        assert answer(lines, mark, clone, 0x11) == module.REFUSE, "a process of its own"
        assert answer(lines, mark, module.CLONE3) == module.ABSENT
        for number, _ in own:
            assert answer(lines, mark, number, 0) == module.ALLOW
            assert answer(lines, mark, number, 4711) == module.REFUSE
        free = module._filter(mark, numbers, own, None)
        assert answer(free, mark, clone, 0x11) == answer(free, mark, module.CLONE3) == module.ALLOW
