"""Parts of libraries and models that load when first asked for, by several threads at once."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from landbrush.server.editors.models import MOST_KEPT, Models
from landbrush.server.models import lazy

pytestmark = pytest.mark.slow

FIRST_MINUTE = """
import sys, threading, time
from landbrush.server.web import app  # what a server has imported when it starts to answer
from landbrush.server.editors.models import Models
models = Models(__import__("pathlib").Path("/nowhere"))
failed = []
start = threading.Barrier(8)
def interpretation():
    start.wait()
    try:
        models.sentences.embed(["flooded fields"])
    except BaseException as error:
        failed.append(error)
def drawing(name):
    start.wait()
    try:
        from landbrush.server.models import lazy
        lazy.parts("transformers", name)
    except BaseException as error:
        failed.append(error)
threads = [threading.Thread(target=interpretation) for _ in range(4)]
names = ("CLIPTextModel", "AutoTokenizer", "T5EncoderModel", "CLIPModel")
threads += [threading.Thread(target=drawing, args=(name,)) for name in names]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(failed)
sys.exit(bool(failed))
"""


def test_an_interpretation_and_a_job_in_the_first_second_of_a_server():
    done = subprocess.run(
        [sys.executable, "-c", FIRST_MINUTE], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]


def test_threads_that_ask_at_once_get_one_model():
    inside, loads, gate = [], [], threading.Barrier(6)

    models = Models(Path("/nowhere"))

    def loaded(name):
        inside.append(1)
        assert len(inside) == 1, "two loads at a time"
        loads.append(name)
        inside.pop()
        return object()

    def load(name):
        return models.cached(name, lambda: loaded(name))

    found = []

    def ask():
        gate.wait()
        found.append(load("a"))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, found))) == 1 and loads == ["a"]
    assert load("b") is load("b") and loads == ["a", "b"]
    for number in range(MOST_KEPT):
        load(number)
    assert load("a") is not found[0], "the least lately used has gone"


def test_what_is_loaded_is_given_while_another_load_goes_on():
    models = Models(Path("/nowhere"))

    def quick():
        return models.cached("quick", lambda: "here")

    assert quick() == "here"
    held, done = threading.Event(), threading.Event()

    def slow():
        with lazy.lock:
            held.set()
            done.wait()

    thread = threading.Thread(target=slow)
    thread.start()
    held.wait()
    try:
        assert quick() == "here"
    finally:
        done.set()
        thread.join()


def test_a_load_that_fails_is_tried_again():
    tries = []

    models = Models(Path("/nowhere"))

    def loaded():
        tries.append(1)
        if len(tries) == 1:
            raise OSError("not yet")
        return "now"

    def load():
        return models.cached("it", loaded)

    with pytest.raises(OSError):
        load()
    assert load() == "now"


def test_no_module_imports_such_a_library_past_the_lock():
    from pathlib import Path

    import landbrush.server

    root = Path(landbrush.server.__file__).parent
    for path in root.rglob("*.py"):
        for line in path.read_text("utf8").splitlines():
            words = line.split()
            imports = words[:1] in (["import"], ["from"])
            assert not imports or words[1].split(".")[0] not in (
                "transformers",
                "diffusers",
                "peft",
            ), path
