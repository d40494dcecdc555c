"""A home with damaged folders, and a long queue."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from landbrush.server.commands.reading import Files, workers_for
from landbrush.server.contract.requests import EditRequest
from landbrush.server.ground.settings import Settings
from landbrush.server.jobs.store import JobStore
from landbrush.server.models.weights import ModelFolder
from landbrush.server.raster.rasters import Rasters
from landbrush.server.workers.children import Children

from tests.server.conftest import TOKEN, Held, inputs, run_here

DAMAGE = {
    "status is not UTF-8": lambda folder: (folder / "status.json").write_bytes(b"\xff\xfe\0"),
    "status is deep": lambda folder: (folder / "status.json").write_text("[" * 100_000),
    "status is of another job": lambda folder: (folder / "status.json").write_text(
        (folder / "status.json").read_text().replace(folder.name, "0" * 32)
    ),
    "status is a folder": lambda folder: (
        (folder / "status.json").unlink(),
        (folder / "status.json").mkdir(),
    ),
    "status leads nowhere": lambda folder: (
        (folder / "status.json").unlink(),
        os.symlink("nowhere", folder / "status.json"),
    ),
    "request is not UTF-8": lambda folder: (folder / "request.json").write_bytes(b"\xff\xfe\0"),
    "request is gone": lambda folder: (folder / "request.json").unlink(),
    "request is a list": lambda folder: (folder / "request.json").write_text("[]"),
    "request has no raster": lambda folder: (folder / "request.json").write_text(
        json.dumps({**json.loads((folder / "request.json").read_text()), "files": {"raster": ""}})
    ),
    "request names its files in a list": lambda folder: (folder / "request.json").write_text(
        json.dumps({**json.loads((folder / "request.json").read_text()), "files": []})
    ),
    "request is null": lambda folder: (folder / "request.json").write_text("null"),
    "folder is a file": lambda folder: (shutil.rmtree(folder), folder.write_text("x")),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_one_damaged_job_folder_never_stops_a_start(settings, rgb, damage, app):
    from landbrush.server.web.app import create_app

    store = JobStore(settings.jobs)
    request = EditRequest.from_json(inputs(rgb))
    good, bad = (store.create("snow", request, Rasters(rgb))[0] for _ in range(2))
    DAMAGE[damage](settings.jobs / bad.jobID)
    (settings.jobs / ("key-" + "a" * 64)).mkdir()
    settings.uploads.mkdir(parents=True, exist_ok=True)
    os.symlink("nowhere", settings.uploads / ("b" * 40))
    hold = Held()
    client = create_app(
        Settings(home=settings.home, roots=settings.roots, token=TOKEN), hold
    ).test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {TOKEN}"
    listed = client.get("/jobs").get_json()["jobs"]
    assert [job["jobID"] for job in listed] == [good.jobID]
    assert client.get(f"/jobs/{bad.jobID}").status_code == 404
    while hold.waiting:
        hold.run_next()
    assert client.get(f"/jobs/{good.jobID}").get_json()["status"] == "successful"
    assert (settings.jobs / bad.jobID).exists(), "what is damaged is left for whoever can mend it"


def test_status_list_and_long_poll_read_no_other_job(editors, settings, rgb, monkeypatch):
    """Counted in files read: of 300 jobs in the queue a status reads one at most."""
    from landbrush.server.jobs import folder
    from landbrush.server.jobs import store as jobs

    store = JobStore(settings.jobs)
    request = EditRequest.from_json(inputs(rgb))
    ids = [store.create("snow", request, Rasters(rgb))[0].jobID for _ in range(300)]
    again, reads = JobStore(settings.jobs), []
    plain = folder.load_status
    monkeypatch.setattr(
        jobs, "load_status", lambda folder: reads.append(folder.name) or plain(folder)
    )
    assert again.info(ids[-1]).position == 299 and again.info(ids[0]).position == 0
    assert len(list(again.list_all())) == 300 and reads == []
    run_here(store, editors, ids[0])
    assert again.info(ids[-1]).position == 298 and again.info(ids[0]).status == "successful"
    assert reads == [ids[0]], "the one that changed, once"
    again.dismiss(ids[1])
    assert again.info(ids[-1]).position == 297
    assert [info.status for info in again.list_all()].count("accepted") == 298


def test_a_pipe_in_the_place_of_a_job_does_not_stop_a_start(settings):
    settings.jobs.mkdir(parents=True)
    os.mkfifo(settings.jobs / ("a" * 32))
    assert JobStore(settings.jobs).forget_older_than(1) == 0


def test_what_older_versions_learned_is_found_where_workers_may_write(tmp_path):
    folder = ModelFolder(tmp_path / "models")
    (tmp_path / "models").mkdir()
    path = folder.cached("sinddm", b"window")
    (tmp_path / "models" / path.name).write_bytes(b"x")
    (tmp_path / "models" / "chosen.json").write_text("{}")
    assert folder.make_learned() == path.parent
    assert path.read_bytes() == b"x" and (tmp_path / "models" / "chosen.json").exists()


def test_what_is_chosen_is_not_a_workers_to_choose(settings):
    """Of the folder of models workers for edits write what they learn, the others nothing."""
    workers = Children.of(settings, ModelFolder(settings.home / "models"))
    models = settings.home / "models"
    for pool in (workers._editors, workers._readers, workers._words):
        writes = [Path(path) for path in pool._plan().confinement.writes]
        assert all(not models.is_relative_to(path) for path in writes)
        assert all(not (models / "chosen.json").is_relative_to(path) for path in writes)
    assert workers._words._plan().confinement.writes == ()
    workers.close()
    files = Files((settings.home / "a.tif",), writes=(settings.home / "out",))
    with workers_for(settings.home, files) as made:
        assert models / "learned" in made.place.writes and models not in made.place.writes
