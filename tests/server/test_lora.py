"""Training an adapter: real steps on tiny networks; it learns, goes on as if never stopped, and
draws in the editor."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from landbrush.server import __main__
from landbrush.server.diffusion.placement import WHOLE, Placement
from landbrush.server.ground.errors import BadRequest
from landbrush.server.store import own
from landbrush.server.store.importing import Arrival, import_model
from landbrush.server.training import captioned
from landbrush.server.training.lora import ADAPTER, LoraTrainer, Recipe
from PIL import Image
from safetensors.torch import load_file

from tests.conftest import DATA
from tests.server.conftest import model_of

pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.slow,
    pytest.mark.usefixtures("home"),
]
PLACED = Placement("cpu", torch.float32, WHOLE, 0.0, 1.0)
RECIPE = Recipe(
    steps=20,
    rate=3e-3,
    rank=4,
    alpha=4,
    batch=2,
    accumulate=2,
    side_px=64,
    dropped=0.0,
    save_every=5,
)


@pytest.fixture
def pictures(tmp_path):
    """Eight tiles: real aerial ones where there are any, else made ones; four captioned beside,
    four in a list."""
    folder, real = tmp_path / "data", DATA / "joplin_tornado_geotiff" / "input" / "pre"
    folder.mkdir()
    rng, lines = np.random.default_rng(0), []
    if real.is_dir():
        with Image.open(sorted(real.glob("*.tif"))[0]) as whole:
            tiles = [whole.convert("RGB").crop((x, 300, x + 96, 396)) for x in range(100, 868, 96)]
    else:
        tiles = [
            Image.fromarray(rng.integers(60, 160, (96, 96, 3)).astype(np.uint8)) for _ in range(8)
        ]
    for number, tile in enumerate(tiles):
        tile.save(folder / f"{number}.png")
        if number < 4:
            (folder / f"{number}.txt").write_text("houses and trees")
        else:
            lines.append(json.dumps({"file_name": f"{number}.png", "text": "a street"}))
    (folder / "metadata.jsonl").write_text("\n".join(lines))
    return folder


@pytest.fixture
def base(models, published):
    import_model(models.store, Arrival(models.store.entry("sd15"), True), published / "sd15")
    return models.store.entry("sd15")


def trainer(models, base, pictures, folder, recipe=RECIPE):
    return LoraTrainer(model_of(models, base, PLACED), captioned.read(pictures), recipe, folder)


def held_out(one):
    """The mean loss over fixed noise and levels, which do not depend on the step."""
    rng = np.random.default_rng(99)
    with torch.no_grad():
        return float(np.mean([float(one.loss(rng)) for _ in range(12)]))


def test_twenty_steps_lower_the_loss_and_change_the_adapter_alone(models, base, pictures, tmp_path):
    one = trainer(models, base, pictures, tmp_path / "run")
    frozen = {
        name: value.clone() for name, value in one.net.named_parameters() if not value.requires_grad
    }
    before = held_out(one)
    path = one.run()
    assert len(one.losses) == 20 and held_out(one) < before
    assert all(
        torch.equal(value, dict(one.net.named_parameters())[name]) for name, value in frozen.items()
    )
    tensors = load_file(path)
    assert tensors and all(".lora_A.weight" in name or ".lora_B.weight" in name for name in tensors)
    assert any(value.abs().max() > 0 for name, value in tensors.items() if "lora_B" in name)


def test_a_stopped_training_goes_on_with_the_same_losses(models, base, pictures, tmp_path):
    whole = trainer(models, base, pictures, tmp_path / "whole")
    whole.run()

    def stop(step, steps, loss):
        if step == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trainer(models, base, pictures, tmp_path / "parts").run(stop)
    again = trainer(models, base, pictures, tmp_path / "parts")
    assert again.resume() and again.step == 7
    again.run()
    assert again.losses == pytest.approx(whole.losses, rel=1e-5)
    first, second = (load_file(tmp_path / name / ADAPTER) for name in ("whole", "parts"))
    assert all(torch.allclose(first[name], second[name], atol=1e-6) for name in first)
    with pytest.raises(BadRequest, match="other settings or pictures"):
        trainer(
            models, base, pictures, tmp_path / "parts", Recipe(steps=20, rank=8, side_px=64)
        ).resume()


def test_the_adapter_loads_in_the_editor_and_does_what_training_saw(
    models, base, pictures, tmp_path
):
    """Merged by the store's loader the network predicts what it predicted while it was trained."""
    one = trainer(models, base, pictures, tmp_path / "run")
    path = one.run()
    entry = own.described("mine", models.store.entry("mmm-rs"), "Mine")
    import_model(models.store, Arrival(entry, True), path)
    own.remember(models.store, entry)
    assert "mine" in [e.id for e in models.store.installed("generate")]
    merged = model_of(models, entry, PLACED).part("unet")
    given = {
        "sample": torch.randn(1, 4, 8, 8),
        "timestep": torch.tensor([300]),
        "encoder_hidden_states": one.words("a street"),
    }
    with torch.no_grad():
        plain = model_of(models, base, PLACED).part("unet")(**given).sample
        assert torch.allclose(merged(**given).sample, one.net(**given).sample, atol=1e-4)
        assert not torch.allclose(merged(**given).sample, plain, atol=1e-3)


def test_the_command(base, pictures, tmp_path, home, capsys):
    wanted = [
        "train",
        "lora",
        "--data",
        str(pictures),
        "--output",
        str(tmp_path / "run"),
        "--steps",
        "2",
        "--rank",
        "2",
        "--accumulate",
        "1",
        "--side",
        "64",
        "--sample-every",
        "2",
        "--home",
        str(home),
    ]
    assert __main__.main(wanted) == 0
    told = capsys.readouterr()
    assert "step 2/2 loss" in told.err and "models import my-lora" in told.out
    with Image.open(tmp_path / "run" / "samples-000002.png") as samples:
        assert samples.size == (4 * 64, 64)
    assert (
        __main__.main([*wanted, "--rank", "4"]) == 1 and "other settings" in capsys.readouterr().err
    )
    assert (
        __main__.main([*wanted, "--base", "instruct-pix2pix"]) == 1
        and "Stable Diffusion" in capsys.readouterr().err
    )


def test_data_without_captions_says_what_to_do(tmp_path):
    (tmp_path / "a").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "a" / "x.png")
    with pytest.raises(BadRequest, match=r"no picture with a caption \(1 without\): put NAME.txt"):
        captioned.read(tmp_path / "a")
    (tmp_path / "a" / "metadata.jsonl").write_text("{}")
    with pytest.raises(BadRequest, match="line 1: a JSON object"):
        captioned.read(tmp_path / "a")
    with pytest.raises(BadRequest, match="is no folder"):
        captioned.read(tmp_path / "none")
    (tmp_path / "a" / "metadata.jsonl").write_text('{"file_name": "x.png", "text": "a"}')
    (tmp_path / "a" / "x.png").write_bytes(b"no picture")
    with pytest.raises(BadRequest, match="cannot be read"):
        captioned.read(tmp_path / "a")
    Image.fromarray(np.full((9, 9), 40000, np.uint16)).save(tmp_path / "a" / "x.png")
    with pytest.raises(BadRequest, match="more than 8 bits"):
        captioned.read(tmp_path / "a")


def test_a_loss_that_is_no_number_keeps_what_was_learned(
    models, base, pictures, tmp_path, monkeypatch
):
    one = trainer(models, base, pictures, tmp_path / "run")
    loss = one.loss
    monkeypatch.setattr(
        one, "loss", lambda rng: loss(rng) * (float("nan") if one.step == 3 else 1.0)
    )
    with pytest.raises(BadRequest, match="The loss of step 3 is nan"):
        one.run()
    assert all(
        torch.isfinite(value).all() for value in load_file(tmp_path / "run" / ADAPTER).values()
    )
