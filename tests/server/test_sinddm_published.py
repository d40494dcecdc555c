"""SinDDM as published beside the fast way: its recipe, its command, and what it copies."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import rasterio
import rasterio.windows
import torch
from landbrush.server import __main__
from landbrush.server.contract.requests import EditRequest
from landbrush.server.editing.path import Job, edit
from landbrush.server.editors.base import COLOURS, Facts, Patch, Scene
from landbrush.server.editors.learned import LearnedVariationOptions, _pasted
from landbrush.server.ground.errors import BadRequest
from landbrush.server.models.sinddm import STEPS, Pyramid
from landbrush.server.raster.rasters import Rasters
from landbrush.server.synthesis.copying import spread
from landbrush.server.training.sinddm import COPIES, PRESETS, PUBLISHED, Trainer, network_of
from scipy import ndimage

from tests.server import tiny_clip
from tests.server.conftest import RGB, in_type, inputs, ring, scene, square, write

pytestmark = pytest.mark.usefixtures("home")
SMALL = replace(PUBLISHED, steps=12, width=4)


def picture(height=80, width=90):
    return np.clip(2 * scene(3, height, width) - 1, -1, 1).astype(np.float32)


def test_the_published_recipe_trains_whole_pictures_at_every_level():
    trainer = Trainer(Pyramid.of(picture(150, 160)), SMALL)
    finest = len(trainer.pyramid) - 1
    rng = np.random.default_rng(0)
    levels = []
    for scale in (0, finest):
        noisy, noise, drawn, counted = trainer.batch(scale, rng)
        assert noisy.shape == (COPIES, 3, *trainer.pyramid.images[scale].shape[1:])
        assert counted.all() and noise.shape == noisy.shape
        levels += list(drawn)
    # Sampling uses only some of them at the finest scale; all are trained.
    assert max(levels) > trainer.levels[finest] and max(levels) < STEPS
    assert (PUBLISHED.steps, PUBLISHED.width, PUBLISHED.rate) == (120_000, 160, 1e-3)
    assert PRESETS["fast"].width == 64


@pytest.mark.parametrize(
    "step, halved", [(0, 0), (19_999, 0), (20_000, 1), (75_000, 3), (119_000, 6)]
)
def test_the_rate_halves_at_its_milestones(step, halved):
    trainer = Trainer(Pyramid.of(picture()), SMALL)
    trainer.step = step
    assert trainer.rate() == pytest.approx(1e-3 * 0.5**halved)


def test_the_mean_follows_every_tenth_step():
    trainer = Trainer(Pyramid.of(picture(64, 64)), SMALL)
    before = [value.clone() for value in trainer.mean.parameters()]
    for _ in range(9):
        trainer._one()
    assert all(torch.equal(a, b) for a, b in zip(before, trainer.mean.parameters(), strict=True))
    trainer._one()
    both = zip(trainer.net.parameters(), trainer.mean.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in both)  # a copy before step 2,000
    trainer.step = 2009
    kept = [value.clone() for value in trainer.mean.parameters()]
    trainer._one()
    moved = zip(kept, trainer.net.parameters(), trainer.mean.parameters(), strict=True)
    assert all(torch.allclose(c, a.lerp(b, 0.005), atol=1e-6) for a, b, c in moved)


def test_records_of_fast_trainings_are_as_they_were():
    assert "published" not in PRESETS["fast"].told() and PUBLISHED.told()["published"] is True


def test_a_command_trains_and_goes_on(tmp_path, capsys):
    path = write(tmp_path / "a.tif", in_type(scene(3, 90, 80), "uint8"), colorinterp=RGB)
    given = ["train", "sinddm", str(path), "--home", str(tmp_path / "home"), "--width", "32"]
    assert __main__.main([*given, "--preset", "fast", "--steps", "2"]) == 0
    told = capsys.readouterr().out
    made = tmp_path / "home" / "models" / "sinddm" / "a.safetensors"
    assert made.is_file() and "checkpoint=a.safetensors" in told
    assert network_of(made).final_conv[0].out_channels == 3
    assert __main__.main([*given, "--preset", "fast", "--steps", "3"]) == 1
    assert "another recipe" in capsys.readouterr().err
    assert __main__.main([*given, "--steps", "1", "--name", "as-published"]) == 0
    assert __main__.main([*given, "--steps", "1", "--name", "as-published"]) == 0
    assert "going on after step 1" in capsys.readouterr().err
    assert __main__.main([*given, "--name", "../a"]) == 1
    assert "without folders" in capsys.readouterr().err
    small = write(tmp_path / "s.tif", in_type(scene(3, 40, 80), "uint8"), colorinterp=RGB)
    assert __main__.main(["train", "sinddm", str(small), "--home", str(tmp_path / "home")]) == 1
    assert "at least 64 a side" in capsys.readouterr().err


# ---- the learned engine of Text edit


def run(editors, path, editor, **options):
    out = path.parent / f"out-{len(list(path.parent.iterdir()))}"
    out.mkdir()
    body = inputs(path, square(60, 60, 100, 100), prompt="a pond", options=options)
    request = EditRequest.from_json(body)
    return edit(Job(request, editor, Rasters(path)), editors, out, lambda *_: None).to_json()


@pytest.mark.slow
def test_one_setting_makes_the_learned_engine_the_default(editors, models, tmp_path, monkeypatch):
    from landbrush.server.editors import learned

    asked = []

    def drawn(self, given, prompt, options, seed, on_step):
        asked.append((prompt, options))
        return real(self, given, prompt, replace(options, steps=2, width="32"), seed, on_step)

    real = learned.Learned.edit
    monkeypatch.setattr(learned.Learned, "edit", drawn)
    models.folder.choose("image-text", str(tiny_clip.saved(tmp_path)))
    path = write(tmp_path / "a.tif", in_type(scene(3, 160, 160), "uint8"), colorinterp=RGB)
    models.folder.choose("text-engine", "learned")
    report = run(editors, path, "text", views=1, guidance=0.2)
    assert report["options"]["engine"] == "learned" and len(asked) >= 1
    assert asked[0][0] == "a pond" and asked[0][1].guidance == 0.2
    assert report["engine"]
    models.folder.choose("text-engine", "quickly")
    with pytest.raises(BadRequest, match="text-engine"):
        run(editors, path, "text", views=1)


# ---- copied objects: size, turn, number (Figures 13 and 14)


def test_objects_lie_side_by_side_whole_and_apart():
    mask = np.zeros((60, 100), bool)
    mask[5:55, 5:95] = True
    usable = np.zeros((20, 20), bool)
    usable[4:16, 5:15] = True  # 12 x 10
    for count in (1, 4, 9):
        hole, fitted = spread(mask, usable, count)
        parts, found = ndimage.label(hole, np.ones((3, 3)))
        assert found == count == fitted and not (hole & ~mask).any()
        assert set(np.bincount(parts.ravel())[1:]) == {120}
    assert 15 <= ndimage.label(spread(mask, usable, 500)[0])[1] <= (50 // 14) * (90 // 12) + 8
    for none in (np.ones((58, 20), bool), np.zeros((5, 5), bool)):  # not one fits; nothing
        hole, fitted = spread(mask, none, 3)
        assert fitted == 0 and not hole.any()


def test_each_polygon_gets_its_number_of_objects():
    mask = np.zeros((60, 140), bool)
    mask[5:55, 5:60] = mask[20:40, 80:120] = True
    usable = np.zeros((20, 20), bool)
    usable[3:13, 3:13] = usable[3, 16] = True  # in pieces: by their common rectangle, 10 x 14
    hole, fitted = spread(mask, usable, 4)
    assert ndimage.label(hole[:, :70])[1] == 4
    assert ndimage.label(hole[:, 70:])[1] == fitted < 4


@pytest.mark.parametrize("editor", ["copy", "sinddm"])
@pytest.mark.slow
def test_several_turned_copies_of_an_object(editors, tmp_path, editor):
    pixels = np.full((3, 200, 200), 90, np.uint8)
    pixels += np.random.default_rng(0).integers(0, 8, pixels.shape, dtype=np.uint8)
    pixels[:, 20:32, 20:26] = 240  # an upright bar
    path = write(tmp_path / "a.tif", pixels, colorinterp=RGB)
    options = {"count": 3, "turn_degrees": 90}
    if editor == "sinddm":
        options |= {"mode": "copied content", "steps": 2, "width": "32", "eta": 1.0}
    shown = {"polygons": {"geometry": ring(path, square(16, 16, 30, 36))}}
    body = inputs(path, square(60, 120, 140, 160), options=options, exemplar=shown)
    out = tmp_path / "out"
    out.mkdir()
    request = EditRequest.from_json(json.loads(json.dumps(body)))
    edit(Job(request, editor, Rasters(path)), editors, out, lambda *_: None)
    with rasterio.open(out / "result.tif") as made, rasterio.open(path) as source:
        part = rasterio.windows.Window(60, 120, 80, 40)
        place = made.window(*rasterio.windows.bounds(part, source.transform))
        seen = made.read(1, window=place.round())
    bright = seen > 170
    assert seen.shape == (40, 80)
    if editor == "copy":  # what a network of two steps draws is not looked at, but see below
        parts, found = ndimage.label(ndimage.binary_opening(bright))
        assert found == 3
        for box in ndimage.find_objects(parts):
            assert box[1].stop - box[1].start > box[0].stop - box[0].start  # lying now


def test_what_the_learned_editor_settles_are_the_copies():
    image = np.full((3, 60, 90), 0.2, np.float32)
    mask = np.zeros((60, 90), bool)
    mask[5:55, 30:85] = True
    bar = Patch(np.full((3, 18, 9), 0.9, np.float32), np.ones((18, 9), bool))
    given = Scene(image, np.ones_like(mask), mask, COLOURS, 0.5, exemplars=(bar,))
    options = LearnedVariationOptions(mode="copied content", turn_degrees=90, count=3)
    laid, holes = _pasted(given, options, 0, Facts({}))
    parts, found = ndimage.label(holes)
    assert found == 3 and not (holes & ~mask).any()
    for box in ndimage.find_objects(parts):
        assert box[1].stop - box[1].start > box[0].stop - box[0].start  # lying now
    assert laid[:, holes].mean() > laid[:, mask & ~holes].mean()


@pytest.mark.parametrize("editor", ["copy", "sinddm"])
@pytest.mark.slow
def test_fewer_copies_than_were_asked_for_are_said(editors, tmp_path, editor):
    path = write(tmp_path / "a.tif", in_type(scene(3, 160, 160), "uint8"), colorinterp=RGB)
    more = {"mode": "copied content", "steps": 2, "width": "32"} if editor == "sinddm" else {}
    shown = {"polygons": {"geometry": ring(path, square(20, 20, 32, 32))}}
    options = {"count": 64, **more}
    body = inputs(path, square(60, 60, 100, 100), options=options, exemplar=shown)
    out = tmp_path / "out"
    out.mkdir()
    job = Job(EditRequest.from_json(body), editor, Rasters(path))
    notes = edit(job, editors, out, lambda *_: None).to_json()["notes"]
    assert [note for note in notes if "of 64 copies fit whole into a polygon" in note]


@pytest.mark.parametrize("editor", ["copy", "sinddm"])
def test_copies_that_do_not_fit_are_refused(editors, tmp_path, editor):
    path = write(tmp_path / "a.tif", in_type(scene(3, 200, 200), "uint8"), colorinterp=RGB)
    shown = {"polygons": {"geometry": ring(path, square(20, 20, 40, 40))}}
    options = {"count": 2, "scale": 4.0}
    if editor == "sinddm":
        options["mode"] = "copied content"
    body = inputs(path, square(100, 100, 120, 120), options=options, exemplar=shown)
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(Exception, match="Not one whole copy fits"):
        edit(Job(EditRequest.from_json(body), editor, Rasters(path)), editors, out, lambda *_: None)
