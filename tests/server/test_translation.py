"""Unpaired translation: the published networks' shapes and names, training that learns and goes on,
the editor."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
import torch
from landbrush.server import __main__
from landbrush.server.ground.errors import BadRequest, WeightsMissing
from landbrush.server.models import translation, weights
from landbrush.server.models.translation import Discriminator, Generator, Shape
from landbrush.server.training.cyclegan import THERE, CycleTrainer, Recipe, pictures
from landbrush.server.training.kept import STATE
from PIL import Image
from safetensors.torch import load_file

from tests.server.conftest import finished, inputs, square

RECIPE = Recipe(
    steps=20, rate=2e-3, width=8, blocks=1, side_px=32, load_px=40, pool=3, save_every=7
)
pytestmark = [pytest.mark.usefixtures("home"), pytest.mark.slow]


def count(net):
    return sum(value.numel() for value in net.parameters())


@pytest.fixture
def heaps(tmp_path):
    """Dark green pictures, and bright ones with other shapes on them."""
    rng = np.random.default_rng(0)
    for name, low, high in (
        ("clear", (30, 60, 20), (90, 120, 70)),
        ("snow", (180, 185, 195), (250, 250, 255)),
    ):
        (tmp_path / name).mkdir()
        for number in range(6):
            fields = np.kron(rng.integers(low, high, (4, 4, 3)), np.ones((12, 12, 1))).astype(
                np.uint8
            )
            Image.fromarray(fields).save(tmp_path / name / f"{number}.png")
    return tmp_path / "clear", tmp_path / "snow"


def trainer(heaps, folder, recipe=RECIPE):
    return CycleTrainer(*(pictures(heap) for heap in heaps), recipe, folder)


def test_published_sizes_and_names():
    """11.378 and 2.765 million weights, as the published code prints them; names of its nine-block
    generator."""
    names = {name.rpartition(".")[0] for name, _ in Generator(Shape()).named_parameters()}
    blocks = {f"model.{block}.conv_block.{layer}" for block in range(10, 19) for layer in (1, 5)}
    assert names == blocks | {f"model.{layer}" for layer in (1, 4, 7, 19, 22, 26)}
    assert count(Generator(Shape())) == count(Generator(Shape(blurred=True))) == 11_378_179
    assert count(Discriminator()) == 2_764_737
    blurred = dict(Generator(Shape(width=4, blurred=True)).state_dict())
    assert {
        "model.7.filt",
        "model.11.filt",
        "model.21.filt",
        "model.25.filt",
        "model.12.conv_block.1.weight",
        "model.22.weight",
        "model.30.weight",
    } <= set(blurred)
    assert Discriminator(8)(torch.zeros(1, 3, 256, 256)).shape == (1, 1, 30, 30)


def test_halving_and_doubling_are_even():
    """A constant stays what it is, a ramp a ramp; sides are halved and doubled."""
    ramp = torch.arange(16.0).expand(1, 2, 12, 16)
    half, twice = translation.Halved(2)(ramp), translation.Doubled(2)(ramp)
    assert half.shape == (1, 2, 6, 8) and twice.shape == (1, 2, 24, 32)
    assert torch.allclose(half[0, 0, 2, 1:], torch.arange(2.0, 16, 2)) and torch.allclose(
        twice.diff(dim=3)[..., 4:-4], torch.tensor(0.5)
    )
    assert torch.allclose(translation.Doubled(2)(torch.ones_like(ramp)), torch.tensor(1.0))


@pytest.mark.parametrize("shape", [Shape(4, 2), Shape(4, 3, True), Shape(4, 2, False, True)])
def test_checkpoints_of_all_layouts_load(tmp_path, shape):
    net = Generator(shape).eval()
    torch.save(
        {f"module.{name}": value for name, value in net.state_dict().items()}, tmp_path / "a.pth"
    )
    found = translation.load(tmp_path / "a.pth")
    picture = torch.rand(1, 3, 32, 48)
    assert torch.equal(found(picture), net(picture)) and found(picture).shape == picture.shape


def test_what_is_no_generator_is_refused(tmp_path):
    weights.save(tmp_path / "a.safetensors", {"x": torch.zeros(3)}, {})
    with pytest.raises(WeightsMissing, match="no generator"):
        translation.load(tmp_path / "a.safetensors")
    tensors = dict(Generator(Shape(4, 2)).state_dict())
    tensors.pop("model.4.weight")
    weights.save(tmp_path / "b.safetensors", tensors, {})
    with pytest.raises(WeightsMissing, match="not whole"):
        translation.load(tmp_path / "b.safetensors")


def test_twenty_steps_learn_and_go_on_as_if_never_stopped(heaps, tmp_path):
    whole = trainer(heaps, tmp_path / "whole")
    path = whole.run()
    cycles = [loss[1] for loss in whole.losses]
    assert len(cycles) == 20 and np.mean(cycles[-5:]) < 0.8 * np.mean(cycles[:3])

    def stop(step, steps, loss):
        if step == 9:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trainer(heaps, tmp_path / "parts").run(stop)
    again = trainer(heaps, tmp_path / "parts")
    assert again.resume() and again.step == 9 and len(again.pools["there"]) == 3
    again.run()
    assert np.allclose(again.losses, whole.losses, rtol=1e-4)
    first, second = load_file(path), load_file(tmp_path / "parts" / THERE)
    assert all(torch.allclose(first[name], second[name], atol=1e-5) for name in first)
    with pytest.raises(BadRequest, match="other settings or pictures"):
        trainer(heaps, tmp_path / "parts", Recipe(steps=21)).resume()
    with pytest.raises(BadRequest, match="other settings or pictures"):
        trainer(heaps[::-1], tmp_path / "parts").resume()
    torn = trainer(heaps, tmp_path / "torn")
    pooled, calls = torn._pooled, []

    def interrupted(*args):
        calls.append(1)
        if len(calls) == 21:  # within the eleventh step, after the generators moved
            raise KeyboardInterrupt
        return pooled(*args)

    torn._pooled = interrupted
    with pytest.raises(KeyboardInterrupt):
        torn.run()
    after = trainer(heaps, tmp_path / "torn")
    assert after.resume() and after.step == 7  # what was saved last between two steps
    after.run()
    assert np.allclose(after.losses, whole.losses, rtol=1e-4)
    assert (tmp_path / "whole" / STATE).is_file() and not list((tmp_path / "whole").glob(".*"))


def test_the_editor_needs_a_network_and_keeps_the_promise(
    models, client, heaps, rgb, tmp_path, home
):
    assert "No network is in" in str(client.get("/processes/learned-weather").get_json())
    refused = client.post(
        "/processes/learned-weather/execution", json={"inputs": inputs(rgb, square(10, 10, 60, 60))}
    )
    assert refused.status_code >= 400 and "translation" in refused.get_json()["detail"]
    path = trainer(heaps, tmp_path / "run").run()
    place = models.folder.folder / "translation"
    place.mkdir(parents=True)
    (place / "snow.safetensors").write_bytes(path.read_bytes())
    wanted = inputs(rgb, square(10, 10, 60, 60), output={"area": "layer"})
    info = finished(
        client,
        client.post("/processes/learned-weather/execution", json={"inputs": wanted}).get_json()[
            "jobID"
        ],
    )
    assert info["status"] == "successful", info["message"]
    manifest = client.get(f"/jobs/{info['jobID']}/results/manifest.json").get_json()
    assert (
        manifest["editor_facts"]["network"]
        == manifest["options"]["checkpoint"]
        == "snow.safetensors"
    )
    assert manifest["gate"]["pixels_outside_different"] == 0
    with (
        rasterio.MemoryFile(client.get(f"/jobs/{info['jobID']}/results/result.tif").data) as memory,
        memory.open() as written,
        rasterio.open(rgb) as source,
    ):
        inside = np.zeros(source.shape, bool)
        inside[10:60, 10:60] = True
        assert np.array_equal(written.read()[:, ~inside], source.read()[:, ~inside])
        assert (written.read()[:, inside] != source.read()[:, inside]).mean() > 0.5
    wanted = inputs(rgb, square(10, 10, 60, 60), options={"checkpoint": "../secret"})
    refused = client.post("/processes/learned-weather/execution", json={"inputs": wanted})
    assert (
        refused.status_code >= 400 and "there are snow.safetensors" in refused.get_json()["detail"]
    )


def test_the_command(heaps, tmp_path, home, capsys):
    wanted = [
        "train",
        "cyclegan",
        "--first",
        str(heaps[0]),
        "--second",
        str(heaps[1]),
        "--output",
        str(tmp_path / "run"),
        "--steps",
        "2",
        "--width",
        "8",
        "--blocks",
        "1",
        "--side",
        "32",
        "--home",
        str(home),
    ]
    assert __main__.main(wanted) == 0
    told = capsys.readouterr()
    assert "step 2/2 loss" in told.err and "Weather, learned" in told.out
    assert (
        __main__.main([*wanted, "--side", "33"]) == 1 and "multiple of 4" in capsys.readouterr().err
    )
    assert __main__.main([*wanted[:3], str(tmp_path / "none"), *wanted[4:]]) == 1
    assert "holds no pictures" in capsys.readouterr().err
