"""The training of editors by instruction: real steps on tiny networks."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from landbrush.server import __main__
from landbrush.server.diffusion.placement import WHOLE, Placement
from landbrush.server.ground.errors import BadRequest, CannotEdit
from landbrush.server.store import own
from landbrush.server.store.importing import Arrival, import_model
from landbrush.server.training import journal
from landbrush.server.training.data.pairs import EditPair
from landbrush.server.training.icedit import ICEditTrainer
from landbrush.server.training.icedit import Recipe as ICEditRecipe
from landbrush.server.training.other_words import WithWords
from landbrush.server.training.rsedit import DiTTrainer, Recipe, UNetTrainer
from PIL import Image
from safetensors.torch import load_file

from tests.server import tiny_pipelines
from tests.server.conftest import finished, in_type, inputs, model_of, scene

pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.usefixtures("home"),
    pytest.mark.slow,
]
PLACED = Placement("cpu", torch.float32, WHOLE, 0.0, 1.0)
RECIPE = Recipe(steps=12, batch=2, side_px=64, save_every=4)


def picture(seed=0, side=64):
    return in_type(scene(3, side, side, seed), "uint8").transpose(1, 2, 0)


@pytest.fixture
def pairs(tmp_path):
    """Eight pairs: each later picture is the earlier one, redder and darker."""
    found = []
    for number in range(8):
        before = picture(number)
        after = (before * np.array([0.9, 0.4, 0.4])).astype(np.uint8)
        paths = [tmp_path / f"{name}-{number}.png" for name in ("before", "after")]
        for path, pixels in zip(paths, (before, after), strict=True):
            Image.fromarray(pixels).save(path)
        found.append(
            EditPair(paths[1], "the ground burned", paths[0], part="train" if number < 6 else "val")
        )
    return found


# ---- RSEdit


@pytest.fixture
def brought(models, published):
    def bring(name):
        folder = published / name
        import_model(
            models.store,
            Arrival(models.store.entry(name), True),
            folder if folder.is_dir() else tiny_pipelines.build(name, published),
        )
        return model_of(models, models.store.entry(name), PLACED)

    return bring


def trainer(cls, model, pairs, folder, recipe=RECIPE):
    return cls(
        model,
        [pair for pair in pairs if pair.part == "train"],
        recipe,
        folder,
        [p for p in pairs if p.part == "val"],
    )


@pytest.mark.slow
def test_the_unet_is_widened_and_begins_as_it_was(models, brought, pairs, tmp_path):
    model = brought("sd15")
    old = model.part("unet").conv_in
    weight, bias = old.weight.clone(), old.bias.clone()
    one = trainer(UNetTrainer, model, pairs, tmp_path / "run")
    assert one.net.conv_in.weight.shape[1] == 8 and torch.equal(
        one.net.conv_in.weight[:, :4], weight
    )
    assert not one.net.conv_in.weight[:, 4:].any() and torch.equal(one.net.conv_in.bias, bias)
    noisy, source = torch.randn(1, 4, 8, 8), torch.randn(1, 4, 8, 8)
    with torch.no_grad():
        words = one.words("x")
        first, second = (
            one.predicted(noisy, torch.tensor([300]), words, shown)
            for shown in (source, 0 * source)
        )
    assert torch.allclose(first, second, atol=1e-6)
    slipped = trainer(
        UNetTrainer,
        model_of(models, models.store.entry("sd15"), PLACED),
        pairs,
        tmp_path / "slip",
        Recipe(steps=1, batch=1, side_px=64, slip=True),
    )
    assert not torch.equal(slipped.net.conv_in.bias, bias) and torch.equal(
        slipped.net.conv_in.weight[:, :4], weight
    )


@pytest.mark.slow
@pytest.mark.parametrize("cls, base", [(UNetTrainer, "sd15"), (DiTTrainer, "rsedit-dit")])
def test_training_lowers_the_loss_goes_on_and_edits_at_once(
    models, client, brought, pairs, tmp_path, rgb, cls, base
):
    whole = trainer(
        cls,
        brought(base),
        pairs,
        tmp_path / "whole",
        Recipe(steps=80, batch=4, side_px=64, save_every=40),
    )
    before = whole.validated()
    path = whole.run()
    assert len(whole.losses) == 80 and whole.validated() < 0.9 * before

    def stop(step, steps, loss):
        if step == 7:
            raise KeyboardInterrupt

    recipe = Recipe(steps=14, batch=2, side_px=64, save_every=10)
    straight = trainer(
        cls,
        model_of(models, models.store.entry(base), PLACED),
        pairs,
        tmp_path / "straight",
        recipe,
    )
    straight.run()
    with pytest.raises(KeyboardInterrupt):
        trainer(
            cls,
            model_of(models, models.store.entry(base), PLACED),
            pairs,
            tmp_path / "parts",
            recipe,
        ).run(stop)
    again = trainer(
        cls, model_of(models, models.store.entry(base), PLACED), pairs, tmp_path / "parts", recipe
    )
    assert again.resume() and again.step == 7
    again.run()
    assert again.losses == pytest.approx(straight.losses, rel=1e-4)
    assert again.optimisers[0].param_groups[0]["d"] == pytest.approx(
        straight.optimisers[0].param_groups[0]["d"], rel=1e-4
    )
    with pytest.raises(BadRequest, match="other settings or pictures"):
        trainer(
            cls,
            model_of(models, models.store.entry(base), PLACED),
            pairs[:3],
            tmp_path / "parts",
            recipe,
        ).resume()

    like = "rsedit-unet-openai" if cls is UNetTrainer else "rsedit-dit"
    entry = own.described("mine", models.store.entry(like), "Mine")
    import_model(models.store, Arrival(entry, True), path)
    own.remember(models.store, entry)
    drawn = model_of(models, models.store.entry("mine"), PLACED).part(cls.network).state_dict()
    assert all(
        torch.equal(value, whole.average[name])
        for name, value in drawn.items()
        if name in whole.average
    )
    editor = "rsedit-unet" if cls is UNetTrainer else "rsedit-dit"
    job = client.post(
        f"/processes/{editor}/execution",
        json={
            "inputs": inputs(rgb, prompt="the ground burned", options={"model": "mine", "steps": 2})
        },
    )
    info = finished(client, job.get_json()["jobID"])
    assert info["status"] == "successful", info


@pytest.mark.slow
def test_what_is_left_out_follows_the_published_shares(brought, pairs, tmp_path):
    one = trainer(UNetTrainer, brought("sd15"), pairs, tmp_path / "run")
    empty, said = one.words(""), one.words("the ground burned")
    one.latent = lambda picture, scaled=True: torch.ones(
        1, 4, 8, 8
    )  # what it is does not matter here
    counts = {"words": 0, "source": 0, "both": 0, "none": 0}
    rng = np.random.default_rng(0)
    for _ in range(200):
        words, shown = one.conditions(pairs[:6], torch.zeros(6, 3, 64, 64), rng)
        for number in range(6):
            no_words, no_source = torch.equal(words[number], empty[0]), not shown[number].any()
            assert no_words or torch.equal(words[number], said[0])
            counts[
                "both"
                if no_words and no_source
                else "words"
                if no_words
                else "source"
                if no_source
                else "none"
            ] += 1
    assert all(40 <= counts[name] <= 82 for name in ("words", "source", "both")), (
        counts
    )  # of 1200, 60 expected


@pytest.mark.slow
def test_another_models_words_are_read_and_exported(models, brought, pairs, tmp_path):
    words = brought("rsedit-unet-dgtrs")
    one = trainer(
        UNetTrainer,
        WithWords(brought("sd15"), words),
        pairs,
        tmp_path / "run",
        Recipe(steps=1, batch=1, side_px=64),
    )
    assert one.words("a").shape[1] == 248
    path = one.run()
    entry = own.described("long", models.store.entry("rsedit-unet-dgtrs"), "Long")
    import_model(models.store, Arrival(entry, True), path)
    assert one.identity()["words"] == "rsedit-unet-dgtrs"


@pytest.mark.slow
def test_no_memory_is_said_with_what_to_do(brought, pairs, tmp_path, monkeypatch):
    one = trainer(UNetTrainer, brought("sd15"), pairs, tmp_path / "run")

    def full(rng):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(one, "loss", full)
    with pytest.raises(CannotEdit, match="half the --batch and twice the --accumulate"):
        one.run()


@pytest.mark.slow
def test_icedits_adapter_learns_goes_on_and_loads(models, brought, pairs, tmp_path):
    model = brought("flux-fill")
    recipe = ICEditRecipe(steps=30, batch=2, side_px=64, save_every=10, rank=4, alpha=4)
    one = trainer(ICEditTrainer, model, pairs, tmp_path / "run", recipe)
    layers = {name.rsplit(".lora_", 1)[0] for name in one.learned}
    assert {
        "transformer.x_embedder",
        "transformer.transformer_blocks.0.norm1.linear",
        "transformer.transformer_blocks.0.ff.net.2",
        "transformer.transformer_blocks.0.attn.to_out.0",
        "transformer.single_transformer_blocks.0.norm.linear",
        "transformer.single_transformer_blocks.0.proj_mlp",
        "transformer.single_transformer_blocks.0.attn.to_v",
    } <= layers
    assert not any("norm_out" in name or "context" in name or "add_" in name for name in layers)
    before = one.validated()
    path = one.run()
    assert one.validated() < before
    entry = own.described("mine", models.store.entry("icedit"), "Mine")
    import_model(models.store, Arrival(entry, True), path)
    own.remember(models.store, entry)
    merged = model_of(models, models.store.entry("mine"), PLACED).part("transformer")
    plain = model_of(models, models.store.entry("flux-fill"), PLACED).part("transformer")
    assert not torch.equal(merged.x_embedder.weight, plain.x_embedder.weight)
    assert "mine" in [found.id for found in models.store.installed("icedit")]


@pytest.mark.slow
def test_the_command_keeps_a_journal_and_sheets(brought, pairs, tmp_path, home, capsys):
    brought("sd15")
    lines = [
        {"before": p.control.name, "after": p.path.name, "caption": p.caption, "part": p.part}
        for p in pairs
    ]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    listed = tmp_path / "list.toml"
    listed.write_text(
        '[[run]]\nname = "a"\nkind = "rsedit"\nbatch = 1\nsteps = 4\nside = 64\nlook-every = 2\n'
    )
    wanted = [
        "train",
        "list",
        str(listed),
        "--data",
        str(tmp_path),
        "--output",
        str(tmp_path / "runs"),
        "--home",
        str(home),
    ]
    assert __main__.main(wanted) == 0
    told = capsys.readouterr()
    assert (
        "6 pairs to train, 2 pairs to val, 0 pairs to test" in told.err
        and "--like rsedit-unet-openai" in told.out
    )
    found = journal.lines(tmp_path / "runs" / "a" / "metrics.jsonl")
    assert (
        [line["step"] for line in found] == [1, 2, 3, 4]
        and found[1]["validation"] > 0
        and "validation" not in found[0]
    )
    with Image.open(tmp_path / "runs" / "a" / "sheet-000004.png") as sheet:
        assert sheet.size == (3 * 64, 2 * 64)
    assert __main__.main(wanted) == 0 and "going on after step 4" in capsys.readouterr().err
    listed.write_text('[[run]]\nname = "a"\nkind = "rsedit"\nsteps = "many"\n')
    assert (
        __main__.main(wanted) == 1
        and "run 'a': its options are not understood" in capsys.readouterr().err
    )
    for options, sentence in (
        (["--dropped", "0.5"], "--dropped"),
        (["--side", "65"], "multiple of 64"),
        (["--steps", "0"], "--steps"),
        (["--base", "sd21"], "sd21"),
        (["--network", "dit", "--base", "sd15"], "no transformer"),
    ):
        assert (
            __main__.main(
                [
                    "train",
                    "rsedit",
                    "--data",
                    str(tmp_path),
                    "--output",
                    str(tmp_path / "new"),
                    "--home",
                    str(home),
                    *options,
                ]
            )
            == 1
        )
        assert sentence in capsys.readouterr().err


@pytest.mark.slow
def test_two_processes_take_the_steps_of_one(brought, pairs, tmp_path, home):
    """Two processes with half the batches give the losses of one process with all."""
    brought("sd15")
    lines = [
        {"before": p.control.name, "after": p.path.name, "caption": p.caption, "part": p.part}
        for p in pairs
    ]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    wanted = [
        "train",
        "rsedit",
        "--data",
        str(tmp_path),
        "--home",
        str(home),
        "--steps",
        "3",
        "--batch",
        "1",
        "--side",
        "64",
        "--look-every",
        "0",
    ]
    assert __main__.main([*wanted, "--accumulate", "2", "--output", str(tmp_path / "one")]) == 0
    launched = subprocess.run(
        [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--standalone",
            "--nproc_per_node",
            "2",
            "-m",
            "landbrush.server",
            *wanted,
            "--output",
            str(tmp_path / "two"),
        ],
        capture_output=True,
        text=True,
    )
    assert launched.returncode == 0, launched.stderr[-2000:]
    first, second = (
        [line["loss"] for line in journal.lines(tmp_path / name / "metrics.jsonl")]
        for name in ("one", "two")
    )
    assert len(first) == 3 and second == pytest.approx(first, rel=1e-4)
    one, two = (
        load_file(tmp_path / name / "model" / "unet" / "diffusion_pytorch_model.safetensors")
        for name in ("one", "two")
    )
    assert all(torch.allclose(one[key], two[key], atol=1e-5) for key in one)


def test_a_journal_forgets_what_came_after_the_step_it_goes_on_from(tmp_path):
    first = journal.Journal(tmp_path, 0)
    for step in (1, 2, 3):
        first.add(step, loss=float(step), odd=float("nan"))
    with (tmp_path / "metrics.jsonl").open("a") as out:
        out.write('{"step": 4, "lo')
    again = journal.Journal(tmp_path, 2)
    again.add(3, loss=9.0)
    assert [(line["step"], line["loss"]) for line in journal.lines(again.path)] == [
        (1, 1.0),
        (2, 2.0),
        (3, 9.0),
    ]
    assert journal.lines(again.path)[0]["odd"] is None
