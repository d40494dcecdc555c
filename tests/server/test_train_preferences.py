"""Preference tuning, and losses by CLIP and DINO beside the noise's: steps on tiny networks."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import transformers
from landbrush.server import __main__
from landbrush.server.diffusion.codec import Codec
from landbrush.server.diffusion.placement import WHOLE, Placement
from landbrush.server.experiments.questionnaire.answers import Rating
from landbrush.server.experiments.questionnaire.preferences import write
from landbrush.server.ground.errors import BadRequest, ModelNotNamed
from landbrush.server.store.importing import Arrival, import_model
from landbrush.server.training.data.pairs import EditPair
from landbrush.server.training.perceptual import Perceptual, Weights
from landbrush.server.training.preferences import Preference, PreferenceTrainer, Recipe, read
from landbrush.server.training.rsedit import Recipe as EditorRecipe
from landbrush.server.training.rsedit import UNetTrainer
from PIL import Image

from tests.server import tiny_clip, tiny_pipelines
from tests.server.conftest import in_type, model_of, scene
from tests.server.test_questionnaire import COLOURS, results  # noqa: F401  (a fixture)

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("home")]
PLACED = Placement("cpu", torch.float32, WHOLE, 0.0, 1.0)
SMALL = Recipe(steps=30, batch=2, accumulate=1, side_px=64, save_every=10, rate=3e-4, beta=50.0)


def picture(seed=0, side=64):
    return in_type(scene(3, side, side, seed), "uint8").transpose(1, 2, 0)


@pytest.fixture
def editor(models, tmp_path):
    made = tiny_pipelines.build("instruct-pix2pix", tmp_path / "published")
    import_model(models.store, Arrival(models.store.entry("instruct-pix2pix"), True), made)
    return model_of(models, models.store.entry("instruct-pix2pix"), PLACED)


@pytest.fixture
def liked(tmp_path):
    """Six preferences: the darker edit is the better one."""
    folder = tmp_path / "liked"
    folder.mkdir()
    lines = []
    for number in range(6):
        before = picture(number)
        files = {
            "before": before,
            "better": (before * 0.4).astype(np.uint8),
            "worse": (255 - before * 0.2).astype(np.uint8),
        }
        for name, pixels in files.items():
            Image.fromarray(pixels).save(folder / f"{name}-{number}.png")
        one = {name: f"{name}-{number}.png" for name in files}
        lines.append({**one, "caption": "darken", "part": "val" if number == 5 else "train"})
    (folder / "preferences.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


@pytest.mark.slow
def test_the_better_edit_becomes_the_likelier(editor, liked, tmp_path):
    pairs = read(liked)
    held = [pair for pair in pairs if pair.part == "val"]
    trainer = PreferenceTrainer(editor, pairs[:5], SMALL, tmp_path / "run", held)
    first = [float(trainer.of_pair(pair, np.random.default_rng(3))) for pair in pairs]
    # As it was: no gap, so that the loss is log 2 whatever the pair.
    assert first == pytest.approx([np.log(2)] * 6, abs=1e-5)
    path = trainer.run()
    rngs = [np.random.default_rng((9, number)) for number in range(12)]
    after = [float(trainer.of_pair(pairs[0], rng)) for rng in rngs]
    assert np.mean(after) < 0.98 * np.log(2)
    assert not any(value.requires_grad for value in trainer.before.parameters())
    assert (path / "unet" / "diffusion_pytorch_model.safetensors").is_file()
    assert trainer.validated() is not None


@pytest.mark.slow
def test_the_command_trains_and_its_model_is_an_editor(models, editor, liked, tmp_path, capsys):
    given = ["train", "preferences", "--data", str(liked), "--base", "instruct-pix2pix"]
    given += ["--output", str(tmp_path / "run"), "--home", str(tmp_path / "home")]
    how = ["--steps", "2", "--batch", "1", "--accumulate", "1", "--side", "64"]
    assert __main__.main([*given, *how]) == 0
    told = capsys.readouterr()
    assert "5 preferences to train, 1 to val" in told.err and "models import my-editor" in told.out
    assert __main__.main([*given, "--beta", "0"]) == 1
    assert "--beta" in capsys.readouterr().err


@pytest.mark.slow
def test_what_is_no_editor_is_refused(models, liked, tmp_path):
    made = tiny_pipelines.build("sd15", tmp_path / "published")
    import_model(models.store, Arrival(models.store.entry("sd15"), True), made)
    model = model_of(models, models.store.entry("sd15"), PLACED)
    with pytest.raises(BadRequest, match="no editor by instruction"):
        PreferenceTrainer(model, read(liked), SMALL, tmp_path / "run")


@pytest.mark.parametrize(
    "line, sentence",
    [
        ("{}", "'better'"),
        ('{"better": "no.png", "worse": "a", "before": "b", "caption": ""}', "is not there"),
        ("nonsense", "no list"),
        ("", "lists nothing"),
    ],
)
def test_a_list_that_is_wrong_is_named(tmp_path, line, sentence):
    (tmp_path / "preferences.jsonl").write_text(line)
    with pytest.raises(BadRequest, match=sentence):
        read(tmp_path)


def ratings(marks):
    return [
        Rating(person, "lay", case, system, score, score)
        for person in ("a", "b")
        for case in ("forest", "ship")
        for system, score in marks.items()
    ]


def test_ratings_become_preferences(results, tmp_path):  # noqa: F811
    marks = dict(zip(COLOURS, (5, 2, 2), strict=True))
    count = write(ratings(marks), results, tmp_path / "liked", 1.0)
    found = read(tmp_path / "liked")
    # Of the forest the first before either other; of the ship "sd" failed.
    assert count == len(found) == 3
    assert {pair.caption for pair in found} == {"A fire in the </script> forest", "Holes on deck"}
    for pair in found:
        assert isinstance(pair, Preference) and "sinddm" in pair.path.name
        assert "before" in pair.control.name and "sinddm" not in pair.worse.name
    with pytest.raises(BadRequest, match="No two edits"):
        write(ratings(dict.fromkeys(COLOURS, 3)), results, tmp_path / "none", 1.0)


def test_ratings_become_preferences_by_a_command(results, tmp_path, capsys):  # noqa: F811
    from landbrush.server.experiments.questionnaire import make

    from tests.server.test_questionnaire import MARKS, rows

    page = make.make(results, tmp_path / "q", make.Asked())
    key = json.loads((page.parent / "key.json").read_text())
    (tmp_path / "a.csv").write_text(rows(key, MARKS))
    given = [
        "evaluate",
        "questionnaire",
        "preferences",
        str(tmp_path / "q"),
        str(tmp_path / "a.csv"),
    ]
    given += ["--results", str(results), "--output", str(tmp_path / "liked")]
    assert __main__.main(given) == 0
    assert "4 preferences" in capsys.readouterr().out and len(read(tmp_path / "liked")) == 4
    assert __main__.main([*given[:-1], str(tmp_path / "more"), "--margin", "5"]) == 1


# ---- CLIP and DINO beside the noise


@pytest.fixture
def tiny_dino(tmp_path):
    torch.manual_seed(0)
    config = transformers.Dinov2Config(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=224, patch_size=14
    )
    transformers.Dinov2Model(config).save_pretrained(tmp_path / "dino")
    return tmp_path / "dino"


@pytest.mark.slow
def test_losses_by_clip_and_dino_reach_the_latents(models, editor, tiny_dino, tmp_path):
    weights = Weights(0.5, 0.5, str(tiny_clip.saved(tmp_path)), str(tiny_dino))
    both = Perceptual(weights, torch.device("cpu"))
    vae = editor.part("vae")
    clean = torch.randn(2, 4, 8, 8, requires_grad=True)
    pictures = torch.rand(2, 3, 64, 64) * 2 - 1
    share = torch.tensor([0.9, 0.01])
    found = both.loss(Codec(vae, 64), clean, share, (["a", "b"], pictures))
    found.backward()
    assert clean.grad[0].abs().sum() > 0 and not clean.grad[1].any()  # too noisy to say anything
    assert all(value.grad is None for value in vae.parameters())
    alone = Perceptual(Weights(clip=0.5, clip_path=weights.clip_path), torch.device("cpu"))
    less = alone.loss(Codec(vae, 64), clean.detach(), share, (["a", "b"], pictures))
    assert 0 < float(less) < float(found)


@pytest.mark.slow
def test_an_editor_trains_with_them_and_the_loss_is_larger_by_them(
    models, editor, tiny_dino, tmp_path
):
    pairs = []
    for number in range(4):
        paths = [tmp_path / f"{name}-{number}.png" for name in ("before", "after")]
        for path, pixels in zip(paths, (picture(number), picture(number) // 2), strict=True):
            Image.fromarray(pixels).save(path)
        pairs.append(EditPair(paths[1], "darken", paths[0]))
    plain = EditorRecipe(steps=3, batch=2, side_px=64, save_every=3)
    weights = Weights(1.0, 1.0, str(tiny_clip.saved(tmp_path)), str(tiny_dino))
    more = EditorRecipe(steps=3, batch=2, side_px=64, save_every=3, beside=weights)
    trainers = [
        UNetTrainer(editor, pairs, recipe, tmp_path / name)
        for recipe, name in ((plain, "plain"), (more, "more"))
    ]
    losses = [float(one.loss(np.random.default_rng(0))) for one in trainers]
    assert losses[1] > losses[0] + 0.05
    assert trainers[1].run().is_dir()


def test_a_loss_needs_its_network(models, tmp_path, capsys):
    from landbrush.server.commands.train_editors import _beside

    class Given:
        clip_loss, dino_loss, home, model = 0.0, 1.0, tmp_path / "home", []

    with pytest.raises(ModelNotNamed, match="dino"):
        _beside(Given)
    Given.dino_loss = -1.0
    with pytest.raises(BadRequest, match="not negative"):
        _beside(Given)
