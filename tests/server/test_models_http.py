"""The models page behind HTTP: bringing, checking and removing in the background."""

from __future__ import annotations

import dataclasses
import time

import pytest
from landbrush.server.contract.models import Model
from landbrush.server.store import own
from landbrush.server.store.importing import Arrival, import_model
from landbrush.server.web.app import create_app

pytestmark = pytest.mark.filterwarnings("ignore")


def waited(client, model_id):
    while True:
        state = Model.from_json(client.get(f"/models/{model_id}").get_json())
        if state.state != "busy":
            return state
        time.sleep(0.05)


def test_bringing_a_model_over_http(client, published, tmp_path):
    folder = published / "instruct-pix2pix"

    def act(**more):
        return client.post("/models/instruct-pix2pix", json=more)

    assert act(action="import", path=str(folder)).status_code == 403
    reply = act(action="import", path=str(folder), accept_licence=True)
    assert reply.status_code in (200, 202)
    state = waited(client, "instruct-pix2pix")
    assert state.state == "installed" and "GB" in state.about["memory"] and state.progress == 100
    assert (
        act(action="verify").status_code in (200, 202)
        and waited(client, "instruct-pix2pix").message == "verify: done"
    )
    (
        tmp_path / "home" / "models" / "pretrained" / "instruct-pix2pix" / "vae" / "config.json"
    ).write_text("{}")
    act(action="verify")
    broken = waited(client, "instruct-pix2pix")
    assert broken.state == "failed" and "is not the file that was brought" in broken.message
    act(action="remove")
    assert waited(client, "instruct-pix2pix").state == "missing"
    assert (
        act(action="import", path=str(tmp_path / "nowhere"), accept_licence=True).status_code == 400
    )
    assert act(action="import", accept_licence=True).status_code == 400
    assert act(action="remove").status_code == 400, "nothing is there"
    assert act(action="fly").status_code == 400 and act().status_code == 400
    assert client.post("/models/nothing", json={"action": "verify"}).status_code == 404
    assert client.post("/models/sd15", json=[1]).status_code == 400
    assert act(action="download", accept_licence=True, revision="main").status_code in (200, 202)
    assert "is no commit" in waited(client, "instruct-pix2pix").message


def test_a_server_for_others_imports_only_from_its_folders(settings, tmp_path):
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.mkdir()
    app = create_app(dataclasses.replace(settings, host="0.0.0.0", home=tmp_path / "other"))
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {settings.token}"
    reply = client.post(
        "/models/kandinsky22-prior", json={"action": "import", "path": str(outside)}
    )
    assert reply.status_code == 403 and "not below a folder" in reply.get_json()["detail"]
    app.extensions["landbrush"].runner.close()


def test_a_model_of_ones_own_is_gone_from_the_list_when_it_is_removed(models, client, published):
    entry = own.described("mine", models.store.entry("sd15"), "Mine")
    import_model(models.store, Arrival(entry, True), published / "sd15")
    own.remember(models.store, entry)
    assert client.get("/models/mine").get_json()["state"] == "installed"
    client.post("/models/mine", json={"action": "remove"})
    while client.get("/models/mine").status_code != 404:
        time.sleep(0.05)
    assert "mine" not in [model["id"] for model in client.get("/models").get_json()["models"]]
    assert not (models.store.folder / "mine").exists()
