"""Every editor with a pretrained network: real classes at tiny size, brought through the store,
editing a real chip over HTTP."""

from __future__ import annotations

import json

import numpy as np
import pytest
import rasterio
from affine import Affine

from tests.server.conftest import (
    MODELS,
    RGB,
    finished,
    in_type,
    inputs,
    scene,
    square,
    write,
)
from tests.server.pretrained_desk import EDITORS, FIRST, RING, edited, inside, pixels_of

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.slow]
LARGE = ("qwen-image-edit",)
CASES = [
    # One model of each editor at the size that it was trained at, the others, and what was trained
    # at a megapixel, at 128 pixels.
    (editor, model if model == models[0] and model not in LARGE else f"tiny-{model}")
    for editor, models in EDITORS.items()
    for model in models
]


@pytest.mark.parametrize(("editor", "model"), CASES)
def test_an_edit_over_http_keeps_the_promise(pretrained_office, chip, editor, model):
    models = pretrained_office.application.extensions["landbrush"].editors.models
    made, manifest = edited(pretrained_office, chip, editor, model)
    before, mask = pixels_of(chip), inside(chip)
    assert (
        np.array_equal(made[:, ~mask], before[:, ~mask])
        and (made[:, mask] != before[:, mask]).any(axis=0).mean() > 0.5
    )
    assert manifest["gate"]["pixels_outside_different"] == 0
    drawn = manifest["editor_facts"]
    assert (
        drawn["model"] == model
        and drawn["steps"] == 2
        and drawn["prompt_used"].endswith("flood the houses")
    )
    assert (
        drawn["files"][model]["sha256"] and manifest["licence"] == models.store.entry(model).licence
    )
    assert min(drawn["model_grid"]) >= models.store.entry(model).native_px // 2


def test_sixteen_bits_and_a_near_infrared_band(desk, tmp_path):
    """The other bands are kept, or found for the new colours; which is recorded and said."""
    path = write(
        tmp_path / "four.tif",
        in_type(scene(4, 128, 128), "uint16"),
        nodata=0,
        descriptions=("red", "green", "blue", "nir"),
        transform=Affine(0.6, 0, 4e5, 0, -0.6, 3.2e6),
    )
    kept, manifest = edited(desk, path, "sdedit", "tiny-sd15")
    before, mask = pixels_of(path), inside(path)
    assert (
        kept.dtype == np.uint16
        and np.array_equal(kept[3], before[3])
        and not np.array_equal(kept[:3, mask], before[:3, mask])
    )
    assert any("nir: kept as before" in note for note in manifest["notes"])
    found, manifest = edited(
        desk, path, "sdedit", "tiny-sd15", options={"other_bands": "from the image"}
    )
    assert np.array_equal(found[:3], kept[:3]) and not np.array_equal(
        found[3, mask], before[3, mask]
    )
    assert np.array_equal(found[:, ~mask], before[:, ~mask])
    assert found[3][mask].min() >= before[3].min() and found[3][mask].max() <= before[3].max()
    assert manifest["options"]["other_bands"] == "from the image" and any(
        "estimate" in note for note in manifest["notes"]
    )


def test_a_single_band_is_drawn_in_grey_and_radar_is_refused(desk, tmp_path):
    path = write(tmp_path / "pan.tif", in_type(scene(1, 128, 128), "uint8"))
    made, _ = edited(desk, path, "sdedit", "tiny-sd15")
    before, mask = pixels_of(path), inside(path)
    assert np.array_equal(made[:, ~mask], before[:, ~mask]) and not np.array_equal(
        made[:, mask], before[:, mask]
    )
    radar = write(
        tmp_path / "radar.tif", in_type(scene(2, 128, 128), "float32"), descriptions=("VV", "VH")
    )
    wanted = inputs(radar, RING, prompt="flood", options={"model": "tiny-sd15", "steps": 1})
    reply = desk.post("/processes/sdedit/execution", json={"inputs": wanted})
    info = finished(desk, reply.get_json()["jobID"])
    assert info["status"] == "failed" and "this layer is radar" in info["message"]


def test_the_ground_size_is_the_models_and_can_be_overruled(desk, tmp_path):
    """A raster of ten centimetres is drawn at what the model was trained on, unless the user says
    otherwise."""
    path = write(
        tmp_path / "fine.tif",
        in_type(scene(3, 420, 420), "uint8"),
        colorinterp=RGB,
        transform=Affine(0.1, 0, 4e5, 0, -0.1, 3.2e6),
    )
    ring = square(100, 100, 320, 320)
    _, manifest = edited(desk, path, "rsedit-unet", "tiny-rsedit-unet-dgtrs", ring=ring)
    drawn = manifest["editor_facts"]
    assert drawn["worked_at_m"] == pytest.approx(0.3, rel=0.02) and drawn[
        "raster_gsd_m"
    ] == pytest.approx(0.1, rel=0.01)
    assert any("trained at 0.3 to 2 m" in note for note in manifest["notes"])
    _, manifest = edited(
        desk, path, "rsedit-unet", "tiny-rsedit-unet-dgtrs", ring=ring, options={"gsd_m": 0.15}
    )
    assert manifest["editor_facts"]["worked_at_m"] == pytest.approx(0.15, rel=0.02)
    coarse = write(
        tmp_path / "coarse.tif",
        in_type(scene(3, 128, 128), "uint8"),
        colorinterp=RGB,
        transform=Affine(10, 0, 4e5, 0, -10, 3.2e6),
    )
    _, manifest = edited(desk, coarse, "rsedit-unet", "tiny-rsedit-unet-dgtrs")
    assert any("may draw the wrong things" in note for note in manifest["notes"])


def test_scenarios_are_words_too(desk, chip):
    made, manifest = edited(
        desk,
        chip,
        "instruct-pix2pix",
        "tiny-instruct-pix2pix",
        prompt="",
        options={"scenario": "earthquake", "grade": "destroyed"},
    )
    assert "collapsed into heaps of rubble" in manifest["editor_facts"]["prompt_used"]
    other, manifest = edited(
        desk,
        chip,
        "sdedit",
        "tiny-sd15",
        prompt="at dusk",
        options={"scenario": "flood", "grade": "minor"},
    )
    assert manifest["editor_facts"]["prompt_used"].startswith("satellite image") and manifest[
        "editor_facts"
    ]["prompt_used"].endswith("at dusk")
    assert not np.array_equal(made, other)


def test_what_of_a_long_prompt_was_cut_is_said(desk, chip):
    _, manifest = edited(
        desk, chip, "instruct-pix2pix", "tiny-instruct-pix2pix", prompt="flood " * 90 + "the bridge"
    )
    assert any("reads (77 tokens)" in note and "the bridge" in note for note in manifest["notes"])
    _, manifest = edited(
        desk, chip, "rsedit-unet", "tiny-rsedit-unet-dgtrs", prompt="flood " * 90 + "the bridge"
    )
    assert not any("tokens" in note for note in manifest["notes"])


def refusal(client, path, editor, **more):
    reply = client.post(
        f"/processes/{editor}/execution", json={"inputs": inputs(path, RING, **more)}
    )
    return reply.status_code, reply.get_json()["detail"]


def test_what_is_wrong_is_said_before_the_queue(desk, chip):
    status, detail = refusal(desk, chip, "sdedit", options={"model": "tiny-sd15"})
    assert status == 400 and "needs words, or a scenario" in detail
    status, detail = refusal(desk, chip, "sdedit", prompt="snow", options={"model": "nothing"})
    assert status == 404 and "There is no model 'nothing'" in detail
    status, detail = refusal(desk, chip, "sdedit", prompt="snow", options={"model": "flux-kontext"})
    assert status == 400 and "is not for SDEdit" in detail
    status, detail = refusal(
        desk, chip, "sdedit", prompt="snow", options={"scheduler": "flow Euler"}
    )
    assert status == 400 and "is none of" in detail


def test_an_editor_without_a_model_says_how_to_get_one(client, chip):
    status, detail = refusal(client, chip, "rsedit-unet", prompt="flood")
    assert status == 422 and "landbrush-server models import rsedit-unet-dgtrs" in detail
    info = client.get("/processes/rsedit_unet").get_json()["landbrush"]
    assert "See Models" in info["missing"]
    found = {model["id"]: model for model in client.get("/models").get_json()["models"]}
    assert found["rsedit-unet-dgtrs"].get("state", "missing") == "missing"
    assert "models download" in found["rsedit-unet-dgtrs"]["about"]["missing"]


def test_the_models_that_can_be_chosen_are_those_that_are_there(desk):
    info = desk.get("/processes/sdedit").get_json()["landbrush"]
    model = next(option for option in info["options"] if option["name"] == "model")
    assert {"", "sd15", "text2earth", "tiny-sd15"} <= set(model["choices"]) and "sd21" not in model[
        "choices"
    ]
    assert "missing" not in info


def test_words_that_no_built_in_editor_knows_go_to_a_pretrained_one(editors, own_desk, chip):
    from landbrush.server.contract.requests import EditRequest
    from landbrush.server.editing import plan

    wanted = EditRequest.from_json(inputs(chip, RING, prompt="repair the damaged houses"))
    understood = MODELS.interpret(wanted.prompt)
    assert understood.sure and not understood.editor, (
        "choose words that the built-in editors cannot do"
    )
    found = plan.decide(wanted, "auto", editors)
    assert found.editor.info.id == "rsedit-unet" and found.understood == understood


def test_a_model_is_kept_ready_and_let_go(models, own_desk, chip):
    edited(own_desk, chip, "sdedit", "tiny-sd15")
    assert own_desk.get("/models/tiny-sd15").get_json()["state"] == "in use"
    first = {worker: worker.warm for worker in _workers(own_desk)}
    assert list(first.values()) == [("tiny-sd15",)]
    edited(own_desk, chip, "sdedit", "tiny-sd15")
    assert list(_workers(own_desk)) == list(first), "the second edit found the worker warm"
    assert (
        own_desk.post("/models/tiny-sd15", json={"action": "unload"}).get_json()["state"]
        == "installed"
    )
    assert [worker.warm for worker in _workers(own_desk)] == [()]


def _workers(desk):
    """The processes that edit for a client's server."""
    return desk.application.extensions["landbrush"].place.editing()


def test_a_dismissed_drawing_stops_within_a_step(desk, chip):
    wanted = inputs(chip, RING, prompt="snow", options={"model": "sd15", "steps": 900})
    job = desk.post("/processes/sdedit/execution", json={"inputs": wanted}).get_json()["jobID"]
    import time

    while desk.get(f"/jobs/{job}").get_json().get("step", 0) < 2:
        time.sleep(0.05)
    desk.delete(f"/jobs/{job}")
    assert finished(desk, job)["status"] == "dismissed"


def test_the_manifest_is_enough_to_do_it_again(desk, chip):
    first, manifest = edited(desk, chip, "icedit", "tiny-icedit", seed=11)
    wanted = json.loads(json.dumps(manifest["request"]))
    reply = desk.post(f"/processes/{manifest['process']}/execution", json={"inputs": wanted})
    info = finished(desk, reply.get_json()["jobID"])
    result = desk.get(f"/jobs/{info['jobID']}/results/result.tif")
    with rasterio.MemoryFile(result.data) as memory, memory.open() as dataset:
        assert np.array_equal(dataset.read(), first)


@pytest.mark.parametrize(("editor", "model"), FIRST.items())
def test_without_a_name_the_preferred_model_is_taken(editors, own_desk, editor, model):

    found = editors.get(editor)
    assert found.model_of(found.parse({})).id in (model, f"tiny-{model}")


def test_a_kandinsky_of_ones_own(desk, chip):
    made, manifest = edited(
        desk, chip, "inpaint", "tiny-kandinsky22-inpainting", prompt="flood " * 100 + "the bridge"
    )
    assert manifest["gate"]["pixels_inside_changed"] and any(
        "the bridge" in note for note in manifest["notes"]
    )


def test_a_request_without_a_model_is_recorded_with_the_one_that_drew(desk, chip):
    wanted = inputs(chip, RING, prompt="make it winter", options={"steps": 1, "gsd_m": 4.0})
    info = finished(
        desk,
        desk.post("/processes/instruct_pix2pix/execution", json={"inputs": wanted}).get_json()[
            "jobID"
        ],
    )
    manifest = desk.get(f"/jobs/{info['jobID']}/results/manifest.json").get_json()
    assert (
        manifest["request"]["options"]["model"]
        == manifest["editor_facts"]["model"]
        == "instruct-pix2pix"
    )
    assert set(manifest["editor_facts"]["files"]) == {"instruct-pix2pix"}


def test_a_broken_list_of_own_models_leaves_the_other_editors(client, settings):
    place = settings.home / "models" / "pretrained"
    place.mkdir(parents=True)
    (place / "own.json").write_text("[{")
    assert "cannot be read" in client.get("/processes/sdedit").get_json()["landbrush"]["missing"]
    assert len(client.get("/processes").get_json()["processes"]) > 12
    assert client.get("/models").status_code == 400
