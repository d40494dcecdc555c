"""The learned single-image model against the published network's numbers, and what training and
sampling promise."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
import torch
from landbrush.server.contract.requests import EditRequest
from landbrush.server.editing.path import Job, edit
from landbrush.server.editors.base import Scene
from landbrush.server.ground.errors import Dismissed, WeightsMissing
from landbrush.server.models import sinddm_sampler, weights
from landbrush.server.models.noise import AnchoredNoise
from landbrush.server.models.sinddm import (
    REACH,
    Diffusion,
    Pyramid,
    scale_sizes,
    working_size,
)
from landbrush.server.models.sinddm_network import SinDDMNet, sinusoids
from landbrush.server.models.sinddm_sampler import Known, sample
from landbrush.server.raster.rasters import Rasters
from landbrush.server.training.sinddm import Recipe, Trainer, network_of

from tests.server.conftest import RGB, in_type, inputs, scene, square, write
from tests.server.test_matrix import compare

pytestmark = pytest.mark.slow

TINY = Recipe(steps=6, width=8)


def picture(height=72, width=80, bands=3):
    return np.clip(scene(bands, height, width) * 2 - 1, -1, 1).astype(np.float32)


@pytest.fixture
def folder(models):
    return models.folder.folder


def test_the_published_network():
    net = SinDDMNet()
    assert sum(p.numel() for p in net.parameters()) == 1_106_772
    parts = {name: sum(p.numel() for p in part.parameters()) for name, part in net.named_children()}
    assert parts == {
        "time_mlp": 12_448,
        "l1": 61_473,
        "l2": 364_656,
        "l3": 471_616,
        "l4": 196_336,
        "final_conv": 243,
    }
    names = {key.rpartition(".")[0] for key in net.state_dict()}
    block = ("mlp.1", "time_reshape", "ds_conv", "net.0", "net.2", "res_conv")
    wanted = {f"l{n}.{part}" for n in range(1, 5) for part in block} - {"l3.res_conv"}
    assert names == wanted | {"time_mlp.0", "time_mlp.2", "final_conv.0"}


def test_the_embedding_is_sines_then_cosines():
    found = sinusoids(torch.tensor([0, 7]))
    assert found.shape == (2, 32) and (found[0, :16] == 0).all() and (found[0, 16:] == 1).all()
    assert found[1, 0] == pytest.approx(np.sin(7)) and found[1, 31] == pytest.approx(
        np.cos(7 / 10_000)
    )


def test_the_network_sees_33_pixels():
    torch.manual_seed(0)
    net = SinDDMNet(2, 16).eval().double()
    x, t = torch.randn(1, 2, 70, 70, dtype=torch.float64), torch.tensor([10])
    other = x.clone()
    other[..., 35, 35] += 1
    with torch.no_grad():
        moved = (net(x, t, t) - net(other, t, t)).abs().amax(dim=(0, 1)) > 0
    rows, cols = torch.nonzero(moved, as_tuple=True)
    assert REACH == 16 and rows.min() == 35 - 16 and rows.max() == 35 + 16 and cols.max() == 35 + 16


@pytest.mark.parametrize(
    ("size", "wanted"),
    [
        ((167, 250), [(46, 69), (63, 95), (88, 131), (121, 181), (167, 250)]),
        ((160, 160), [(55, 55), (79, 79), (112, 112), (160, 160)]),
        ((224, 224), [(55, 55), (78, 78), (111, 111), (157, 157), (223, 223)]),
    ],
)
def test_the_pyramid_of_the_released_code(size, wanted):
    assert scale_sizes(*working_size(*size)) == wanted


def test_where_scales_begin():
    """With constants: the ranges seen on twenty images. As released, on wrapped bytes: near them,
    also on a made picture."""
    for as_released, slack in ((False, 0), (True, 3)):
        first = Pyramid.of(picture(167, 250), as_released).first_levels(Diffusion.cosine())
        assert first[0] == 100
        for found, (low, high) in zip(
            first[1:], ((48, 57), (37, 46), (27, 35), (19, 26)), strict=True
        ):
            assert low - slack <= found <= high + slack


def test_the_schedule():
    bars = Diffusion.cosine().alphas_bar
    assert len(bars) == 100 and bars[0] > 0.999 and bars[-1] < 1e-6 and (np.diff(bars) < 0).all()
    assert bars[49] == pytest.approx(
        np.cos((0.5 + 0.008) / 1.008 * np.pi / 2) ** 2 / np.cos(0.008 / 1.008 * np.pi / 2) ** 2
    )


def test_steps_against_numpy():
    rng = np.random.default_rng(0)
    x, eps, up = (rng.standard_normal((1, 2, 5, 5)).astype(np.float32) * 0.3 for _ in range(3))
    diffusion, level = Diffusion.cosine(), 20
    bar, before = diffusion.alphas_bar[level], diffusion.alphas_bar[level - 1]
    gamma = np.full(100, 0.3)
    gamma[level - 1] = 0.2
    mixed = np.clip((x - np.sqrt(1 - bar) * eps) / np.sqrt(bar), -1, 1)
    clean = (mixed - 0.3 * up) / 0.7
    less = np.clip(0.2 * up + 0.8 * clean, -1, 1)
    wanted = np.sqrt(before) * less + np.sqrt(1 - before) * (x - np.sqrt(bar) * mixed) / np.sqrt(
        1 - bar
    )
    step = sinddm_sampler._Step(torch.from_numpy(eps), torch.from_numpy(up), level, gamma)
    found = sinddm_sampler._deterministic(torch.from_numpy(x), step, diffusion)
    assert np.allclose(found.numpy(), wanted, atol=1e-5)
    beta = 1 - bar / before
    clean = np.clip((x - np.sqrt(1 - bar) * eps) / np.sqrt(bar), -1, 1)
    mean = (np.sqrt(before) * beta * clean + np.sqrt(bar / before) * (1 - before) * x) / (1 - bar)
    assert np.allclose(
        sinddm_sampler._clean(torch.from_numpy(x), torch.from_numpy(eps), diffusion, level),
        clean,
        atol=1e-5,
    )
    fresh = torch.randn(x.shape, generator=torch.Generator().manual_seed(1)).numpy()
    wanted = mean + np.sqrt(beta * (1 - before) / (1 - bar)) * fresh
    found = sinddm_sampler._ancestral(
        torch.from_numpy(x),
        torch.from_numpy(clean),
        diffusion,
        level,
        torch.Generator().manual_seed(1),
    )
    assert np.allclose(found.numpy(), wanted, atol=1e-5)


def test_training_learns_and_takes_few_pixels():
    pyramid = Pyramid.of(picture(96, 96))
    trainer = Trainer(pyramid, Recipe(steps=120, width=16, rate=4e-3))
    trainer.run()
    assert trainer.loss < 0.75, "noise alone would be 0.8"
    assert trainer.pixels <= 120 * 112 * 112 * 1.05


def test_a_stopped_training_goes_on_as_if_it_had_not(folder):
    pyramid, path = Pyramid.of(picture()), folder / "a.safetensors"
    whole = Trainer(pyramid, TINY)
    whole.run()

    def stop(step, steps, loss):
        if step == 3:
            raise Dismissed

    first = Trainer(pyramid, TINY)
    with pytest.raises(Dismissed):
        first.run(path, stop)
    again = Trainer(pyramid, TINY)
    assert again.resume(path) and again.step == 3
    again.run(path)
    for name, kept in whole.mean.state_dict().items():
        assert torch.equal(kept, again.mean.state_dict()[name]), name
    assert not Trainer(pyramid, Recipe(steps=7, width=8)).resume(path), "another recipe starts anew"
    assert [p.name for p in folder.iterdir()] == ["a.safetensors"]


def test_crops_count_where_the_network_sees_everything():
    pyramid = Pyramid.of(picture(240, 250))
    trainer = Trainer(pyramid, TINY)
    finest = len(pyramid) - 1
    rng = np.random.default_rng(0)
    for _ in range(5):
        noisy, noise, levels, counted = trainer.batch(finest, rng)
        assert (
            noisy.shape == noise.shape == (1, 3, 112, 112) and levels.max() < trainer.levels[finest]
        )
        assert 0.4 < counted.mean() < 1
    noisy, _, levels, counted = trainer.batch(0, rng)
    assert counted.all() and noisy.shape[0] > 1 and noisy.shape[2:] == pyramid.images[0].shape[1:]


def test_checkpoints_of_the_reference_load(tmp_path):
    net = SinDDMNet(3, 16)
    state = {f"denoise_fn.{k}": v for k, v in net.state_dict().items()} | {
        "betas": torch.zeros(100)
    }
    path = tmp_path / "model-12.pt"
    torch.save(
        {"step": 120_000, "model": state, "ema": state, "sched": {}, "running_loss": [0.1]}, path
    )
    loaded = network_of(path)
    assert all(torch.equal(v, loaded.state_dict()[k]) for k, v in net.state_dict().items())
    trainer = Trainer(Pyramid.of(picture()), TINY)
    trainer.save(tmp_path / "ours.safetensors")
    assert network_of(tmp_path / "ours.safetensors").final_conv[0].weight.shape == (3, 4, 1, 1)

    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "made"), "w"))

    torch.save({"ema": Evil()}, tmp_path / "evil.pt")
    with pytest.raises(WeightsMissing, match="more than tensors"):
        network_of(tmp_path / "evil.pt")
    assert not (tmp_path / "made").exists()
    torch.save({"something": torch.zeros(3)}, tmp_path / "other.pt")
    with pytest.raises(WeightsMissing, match="no SinDDM network"):
        network_of(tmp_path / "other.pt")
    with pytest.raises(WeightsMissing, match="no weights at"):
        network_of(tmp_path / "none.safetensors")


def test_samples_keep_what_is_known_and_follow_their_seed():
    image = picture()
    pyramid = Pyramid.of(image)
    torch.manual_seed(0)
    net = SinDDMNet(3, 8)
    hole = np.zeros(image.shape[1:], bool)
    hole[20:50, 20:60] = True
    from landbrush.server.editors.learned import _holes

    known = Known(pyramid, tuple(_holes(hole, pyramid)))
    steps = []
    first = sample(net, known, AnchoredNoise(1), lambda step, total: steps.append((step, total)))
    assert (first[:, ~hole] == image[:, ~hole]).all() and np.isfinite(first).all()
    assert steps[-1] == (len(steps) - 1, len(steps)) and len(steps) == sinddm_sampler.count_steps(
        pyramid
    )
    assert (first == sample(net, known, AnchoredNoise(1))).all()
    assert (first != sample(net, known, AnchoredNoise(2)))[:, hole].mean() > 0.9


@pytest.mark.parametrize("bands", [1, 3, 4])
def test_through_the_main_path(editors, tmp_path, folder, bands):
    path = write(
        tmp_path / "a.tif",
        in_type(scene(bands, 160, 160), "uint16"),
        **({"colorinterp": RGB} if bands == 3 else {}),
    )
    body = inputs(path, square(60, 60, 100, 100), options={"steps": 3, "width": "32"})
    request, out = EditRequest.from_json(body), tmp_path / "out"
    out.mkdir()
    stages = []
    report = edit(
        Job(request, "sinddm", Rasters(path)), editors, out, lambda *a: stages.append(a)
    ).to_json()
    compare(path, out / "result.tif", report)
    first = (out / "result.tif").read_bytes()
    assert len(list(folder.iterdir())) == 1 and report["gate"]["pixels_inside_changed"] > 1000
    trained = len([s for s in stages if s[0] == "editing"])
    stages.clear()
    edit(Job(request, "sinddm", Rasters(path)), editors, out, lambda *a: stages.append(a))
    assert (out / "result.tif").read_bytes() == first
    assert len([s for s in stages if s[0] == "editing"]) == trained - 3, (
        "what was learned is not learned again"
    )
    assert json.loads((out / "manifest.json").read_text())["engine"].startswith("SinDDM")


def test_training_shows_its_loss_and_a_preview(client, app, tmp_path, monkeypatch):
    """While it runs the job has a link to an unfinished picture; dismissed, it keeps what it
    learned."""
    monkeypatch.setattr("landbrush.server.editors.learned.PREVIEW_EVERY", 2)
    path = write(tmp_path / "a.tif", in_type(scene(3, 160, 160), "uint8"), colorinterp=RGB)
    body = inputs(path, square(60, 60, 100, 100), options={"steps": 100_000, "width": "32"})
    job = client.post("/processes/sinddm/execution", json={"inputs": body}).get_json()["jobID"]
    while True:
        info = client.get(f"/jobs/{job}?wait=2").get_json()
        assert info["status"] in ("accepted", "running"), info
        if any(link["rel"] == "preview" for link in info["links"]):
            break
    assert info["message"].startswith("training, loss") and info["status"] == "running"
    answer = client.get(f"/jobs/{job}/results/preview.png")
    assert answer.status_code == 200 and answer.data[:4] == b"\x89PNG"
    assert client.get(f"/jobs/{job}/results/result.tif").status_code == 404
    client.delete(f"/jobs/{job}")
    models = app.extensions["landbrush"].settings.home / "models" / "learned"
    while not list(models.glob("sinddm-*.safetensors")):
        time.sleep(0.05)
    tensors, about = weights.load(next(models.glob("sinddm-*.safetensors")))
    assert int(about["step"]) >= 2 and "ema.denoise_fn.l1.ds_conv.weight" in tensors


@pytest.mark.parametrize("steps", [200, 1000, 30_000])
def test_a_training_shows_its_first_picture_within_its_first_percent(editors, folder, steps):
    """Counted in steps, as the editor tells them."""
    editor, told = editors.get("sinddm"), []
    image = scene(3, 96, 96).astype(np.float32)
    mask = np.zeros((96, 96), bool)
    mask[30:66, 30:66] = True
    options = editor.parse({"steps": steps, "width": "32"})

    class Seen(Exception):
        pass

    def on_step(step, total, picture=None, *rest):
        told.append(step)
        if picture is not None:
            raise Seen

    with pytest.raises(Seen):
        editor.edit(
            Scene(image, np.ones_like(mask), mask, ("red", "green", "blue"), 0.5),
            "",
            options,
            0,
            on_step,
        )
    assert 1 <= told[-1] <= steps // 100
