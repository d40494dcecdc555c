"""Every editor with a pretrained network: real classes at tiny size, brought through the store,
editing a real chip over HTTP."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import rasterio
from affine import Affine
from landbrush.server.diffusion.families import sd
from landbrush.server.editors.models import Models
from landbrush.server.store import own
from landbrush.server.store.importing import Arrival, import_model

from tests.conftest import DATA
from tests.server import tiny_pipelines
from tests.server.conftest import (
    MODELS,
    RGB,
    finished,
    in_type,
    inputs,
    office,
    scene,
    square,
    write,
)

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.slow]
EDITORS = {
    "rsedit-unet": ["rsedit-unet-dgtrs"],
    "rsedit-dit": ["rsedit-dit"],
    "instruct-pix2pix": ["instruct-pix2pix", "magicbrush"],
    "ultraedit": ["ultraedit-mask", "ultraedit-freeform"],
    "sdedit": ["text2earth", "sd15", "sdxl"],
    "inpaint": [
        "sd15-inpainting",
        "sdxl-inpainting",
        "text2earth-inpainting",
        "kandinsky21-inpainting",
        "kandinsky22-inpainting",
    ],
    "icedit": ["icedit"],
    "flux-kontext": ["flux-kontext"],
    "flux2-klein": ["flux2-klein-4b"],
    "qwen-image-edit": ["qwen-image-edit"],
    "generate": ["mmm-rs"],
}
BASES = ["kandinsky21-prior", "kandinsky22-prior", "flux-fill"]
FIRST = {
    "rsedit-unet": "rsedit-unet-dgtrs",
    "ultraedit": "ultraedit-mask",
    "sdedit": "text2earth",
    "icedit": "icedit",
}
"""What an editor takes where no model is named."""
CASES = [
    # One model of each editor at the size that it was trained at, the others at 128 pixels.
    (editor, model if model == models[0] else f"tiny-{model}")
    for editor, models in EDITORS.items()
    for model in models
]


@pytest.fixture(scope="session")
def shelved(tmp_path_factory):
    """A store with all tiny models in it, each also as a model of one's own that is trained at 128
    pixels."""
    place = tmp_path_factory.mktemp("shelved")
    models = Models(place)
    for model_id in [*BASES, *(model for models in EDITORS.values() for model in models)]:
        folder = tiny_pipelines.build(model_id, place / "published")
        import_model(models.store, Arrival(models.store.entry(model_id), True), folder)
        if model_id not in BASES:
            entry = own.described(f"tiny-{model_id}", models.store.entry(model_id), native_px=128)
            import_model(models.store, Arrival(entry, True), folder)
            own.remember(models.store, entry)
    shutil.rmtree(place / "published")
    return place / "models"


def with_models(home, shelved):
    """A home that holds that store."""
    (home / "models").mkdir(parents=True, exist_ok=True)
    (home / "models" / "pretrained").symlink_to(shelved / "pretrained")
    return home


@pytest.fixture(scope="module")
def shared(shelved, tmp_path_factory):
    """A client of a server with that store, whose workers stay."""
    home = with_models(tmp_path_factory.mktemp("home"), shelved)
    with office(home, tmp_path_factory.getbasetemp()) as client:
        yield client


@pytest.fixture
def own_desk(models, shelved, settings, client):
    """A client of a server with that store that a test has for itself."""
    with_models(settings.home, shelved)
    yield client
    for name in models.warm.names():
        models.warm.drop(name)


@pytest.fixture
def desk(request):
    """A client of a server with that store: one of its own for a test that reaches into it."""
    own_one = request.node.get_closest_marker("in_process")
    return request.getfixturevalue("own_desk" if own_one else "shared")


@pytest.fixture
def chip(tmp_path):
    """A piece of a real aerial picture where there is one, else of a made one; 150 x 170 pixels,
    0.6 m."""
    real = DATA / "joplin_tornado_geotiff" / "input" / "pre"
    path = tmp_path / "chip.tif"
    if real.is_dir():
        with rasterio.open(sorted(real.glob("*.tif"))[0]) as source:
            window = rasterio.windows.Window(300, 400, 150, 170)
            profile = {
                **source.profile,
                "width": 150,
                "height": 170,
                "transform": source.window_transform(window),
            }
            with rasterio.open(
                path,
                "w",
                **{
                    k: v
                    for k, v in profile.items()
                    if k not in ("blockxsize", "blockysize", "tiled")
                },
            ) as out:
                out.write(source.read(window=window))
        return path
    return write(
        path,
        in_type(scene(3, 170, 150), "uint8"),
        colorinterp=RGB,
        transform=Affine(0.6, 0, 4e5, 0, -0.6, 3.2e6),
    )


RING = square(40, 50, 110, 120)


def edited(client, path, editor, model, **more):
    """(pixels (bands, H, W) of the whole layer after an edit, manifest)."""
    options = {"model": model, "steps": 2, **more.pop("options", {})}
    wanted = inputs(
        path,
        more.pop("ring", RING),
        prompt=more.pop("prompt", "flood the houses"),
        options=options,
        output={"area": "layer"},
        **more,
    )
    reply = client.post(f"/processes/{editor}/execution", json={"inputs": wanted})
    assert reply.status_code == 201, reply.get_json()
    info = finished(client, reply.get_json()["jobID"])
    assert info["status"] == "successful", info["message"]
    result = client.get(f"/jobs/{info['jobID']}/results/result.tif")
    manifest = client.get(f"/jobs/{info['jobID']}/results/manifest.json").get_json()
    with rasterio.MemoryFile(result.data) as memory, memory.open() as dataset:
        assert (
            dataset.tags()["LANDBRUSH_MODEL"] == model and dataset.tags()["AI_GENERATED"] == "TRUE"
        )
        return dataset.read(), manifest


def pixels_of(path):
    with rasterio.open(path) as dataset:
        return dataset.read()


def inside(path, ring=RING):
    mask = np.zeros(pixels_of(path).shape[1:], bool)
    (c0, r0), (c1, r1) = ring[0], ring[2]
    mask[r0:r1, c0:c1] = True
    return mask


@pytest.mark.parametrize(("editor", "model"), CASES)
def test_an_edit_over_http_keeps_the_promise(shared, chip, editor, model):
    models = shared.application.extensions["landbrush"].editors.models
    made, manifest = edited(shared, chip, editor, model)
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


@pytest.mark.in_process  # the way through workers is tested above; each would load PyTorch anew
@pytest.mark.parametrize(("editor", "model"), [(e, m[0]) for e, m in EDITORS.items()])
def test_prompt_seed_guidance_and_mask_change_the_inside_alone(desk, chip, editor, model):
    small = f"tiny-{model}"
    first, manifest = edited(desk, chip, editor, small)
    again, _ = edited(desk, chip, editor, small)
    before, mask = pixels_of(chip), inside(chip)
    assert np.array_equal(first, again)
    others = {
        "prompt": edited(desk, chip, editor, small, prompt="snow on roofs and fields")[0],
        "seed": edited(desk, chip, editor, small, seed=5)[0],
        "guidance": edited(
            desk,
            chip,
            editor,
            small,
            options={"guidance_scale": manifest["editor_facts"]["guidance_scale"] / 2},
        )[0],
        "preset": edited(desk, chip, editor, small, options={"preset": "fast", "steps": 3})[0],
    }
    for what, made in others.items():
        assert not np.array_equal(made[:, mask], first[:, mask]), f"{what} changes nothing"
        assert np.array_equal(made[:, ~mask], before[:, ~mask]), f"{what} changes the outside"
    ring = square(20, 30, 60, 70)
    moved, _ = edited(desk, chip, editor, small, ring=ring)
    outside = ~inside(chip, ring)
    assert np.array_equal(moved[:, outside], before[:, outside]) and not np.array_equal(
        moved[:, ~outside], first[:, ~outside]
    )


def test_sixteen_bits_and_a_near_infrared_band(desk, tmp_path):
    """The other bands are kept, or found for the new colours; which is recorded and said."""
    path = write(
        tmp_path / "four.tif",
        in_type(scene(4, 150, 150), "uint16"),
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
    path = write(tmp_path / "pan.tif", in_type(scene(1, 150, 150), "uint8"))
    made, _ = edited(desk, path, "sdedit", "tiny-sd15")
    before, mask = pixels_of(path), inside(path)
    assert np.array_equal(made[:, ~mask], before[:, ~mask]) and not np.array_equal(
        made[:, mask], before[:, mask]
    )
    radar = write(
        tmp_path / "radar.tif", in_type(scene(2, 150, 150), "float32"), descriptions=("VV", "VH")
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
        in_type(scene(3, 150, 150), "uint8"),
        colorinterp=RGB,
        transform=Affine(10, 0, 4e5, 0, -10, 3.2e6),
    )
    _, manifest = edited(desk, coarse, "rsedit-unet", "tiny-rsedit-unet-dgtrs")
    assert any("may draw the wrong things" in note for note in manifest["notes"])


@pytest.mark.in_process
def test_text2earth_is_told_the_level_of_the_raster(desk, tmp_path, monkeypatch):
    from diffusers import UNet2DConditionModel

    seen, forward = set(), UNet2DConditionModel.forward

    def watched(self, *given, **more):
        seen.add(tuple(more["class_labels"].tolist()))
        return forward(self, *given, **more)

    monkeypatch.setattr(UNet2DConditionModel, "forward", watched)
    path = write(
        tmp_path / "two.tif",
        in_type(scene(3, 150, 150), "uint8"),
        colorinterp=RGB,
        transform=Affine(2, 0, 4e5, 0, -2, 3.2e6),
    )
    edited(desk, path, "sdedit", "tiny-text2earth")
    assert seen == {(16.0, 0.0)}


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


@pytest.mark.in_process
@pytest.mark.parametrize(("editor", "model"), [(e, m[0]) for e, m in EDITORS.items()])
def test_half_precision_draws_too(desk, chip, editor, model):
    made, manifest = edited(
        desk, chip, editor, f"tiny-{model}", options={"precision": "bfloat16", "steps": 2}
    )
    before, mask = pixels_of(chip), inside(chip)
    assert manifest["editor_facts"]["precision"] == "bfloat16"
    assert np.array_equal(made[:, ~mask], before[:, ~mask]) and not np.array_equal(
        made[:, mask], before[:, mask]
    )


def test_a_reader_in_the_layout_of_open_clip(
    models, own_desk, shelved, chip, tmp_path, monkeypatch
):
    """DGTRS-CLIP's own checkpoint as the text encoder: 248 tokens, two position tables."""
    from safetensors.torch import save_file

    from tests.server.test_parity import dgtrs

    folder = tiny_pipelines.stable_diffusion(tmp_path / "run", 8, cross=64)
    shutil.rmtree(folder / "text_encoder")
    (folder / "text_encoder").mkdir()
    save_file(dgtrs(), folder / "text_encoder" / "DGTRS-CLIP-ViT-L-14.safetensors")
    entry = own.described("with-dgtrs", models.store.entry("rsedit-unet-dgtrs"), native_px=128)
    import_model(models.store, Arrival(entry, True), folder)
    own.remember(models.store, entry)
    try:
        made, manifest = edited(own_desk, chip, "rsedit-unet", "with-dgtrs", prompt="flood " * 150)
        assert (
            not any("tokens" in note for note in manifest["notes"])
            and manifest["gate"]["pixels_inside_changed"]
        )
    finally:
        own.remove(models.store, entry)


def test_tiles_of_a_large_extent_do_not_show(editors, own_desk):
    """A picture of three tiles by three of an editor of 128 pixels (the benchmark takes one of 512
    and 1500 x 1100): gradients at the tiles' borders are those of the same drawn in one piece, also
    where neighbours are made to disagree. Laid side by side instead of blended, they show."""
    from benchmarks import pretrained

    model = "tiny-rsedit-unet-dgtrs"
    ground = pretrained.ground(0, (275, 375))
    assert pretrained.seam(editors, model, ground, 2) <= 1.02
    assert pretrained.seam(editors, model, ground, 2, "blended") <= 1.05
    assert pretrained.seam(editors, model, ground, 2, "side by side") > 1.1, "the measure is blind"


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


@pytest.mark.in_process
def test_numbers_that_overflow_are_no_result(desk, chip, monkeypatch):
    import torch

    def overflown(drawing, *_):
        bad = torch.full_like(drawing.picture, float("nan"))
        return bad, drawing.picture

    monkeypatch.setattr(sd, "redrawn", overflown)
    wanted = inputs(chip, RING, prompt="snow", options={"model": "tiny-sd15", "steps": 2})
    info = finished(
        desk, desk.post("/processes/sdedit/execution", json={"inputs": wanted}).get_json()["jobID"]
    )
    assert info["status"] == "failed" and "half precision overflows" in info["message"]


@pytest.mark.parametrize(
    "error",
    ["CUDA out of memory", "[enforce fail at alloc_cpu.cpp:117] can't allocate memory: you tried"],
)
@pytest.mark.in_process
def test_memory_that_runs_out_is_said(desk, chip, monkeypatch, error):
    import torch

    def full(*_):
        raise torch.OutOfMemoryError(error) if "CUDA" in error else RuntimeError(error)

    monkeypatch.setattr(sd, "redrawn", full)
    wanted = inputs(chip, RING, prompt="snow", options={"model": "tiny-sd15", "steps": 2})
    info = finished(
        desk, desk.post("/processes/sdedit/execution", json={"inputs": wanted}).get_json()["jobID"]
    )
    assert info["status"] == "failed" and "ran out of memory" in info["message"]


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
