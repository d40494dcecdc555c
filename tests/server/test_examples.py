"""Edits as examples for ICEdit: read, shown on its canvas, learned from."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
import torch
from landbrush.server import __main__
from landbrush.server.contract.message import ContractError
from landbrush.server.contract.requests import EditRequest, ExamplePair, Polygons, RasterRef
from landbrush.server.diffusion.placement import WHOLE, Placement
from landbrush.server.editing import examples
from landbrush.server.editing.path import Job, edit
from landbrush.server.editors.registry import Editors
from landbrush.server.ground.errors import BadRequest, CannotEdit, OutsideRaster
from landbrush.server.raster.rasters import Rasters
from landbrush.server.store.importing import Arrival, import_model
from landbrush.server.training.data.pairs import EditPair
from landbrush.server.training.icedit import ICEditTrainer, Recipe
from landbrush.server.training.instruction_class import Examples, class_of
from PIL import Image

from tests.server import tiny_pipelines
from tests.server.conftest import (
    RGB,
    finished,
    in_type,
    inputs,
    model_of,
    ring,
    scene,
    square,
    write,
)

pytestmark = [pytest.mark.usefixtures("home"), pytest.mark.filterwarnings("ignore")]
PLACED = Placement("cpu", torch.float32, WHOLE, 0.0, 1.0)


@pytest.fixture
def rasters(tmp_path):
    """A raster, and an edit of other ground: before, and darker after."""
    before = in_type(scene(3, 140, 120, 5), "uint8")
    write(tmp_path / "a.tif", in_type(scene(3, 160, 160), "uint8"), colorinterp=RGB)
    write(tmp_path / "before.tif", before, colorinterp=RGB)
    write(tmp_path / "after.tif", before // 3, colorinterp=RGB)
    return tmp_path


def pair(folder, polygons=None):
    return ExamplePair(
        RasterRef(path=str(folder / "before.tif")),
        RasterRef(path=str(folder / "after.tif")),
        polygons,
    )


def test_both_are_seen_on_one_grid_by_one_stretch(rasters):
    files = [(rasters / "before.tif", rasters / "after.tif")]
    ((before, after),) = examples.read([pair(rasters)], files, None)
    assert before.shape == after.shape == (3, 140, 120)
    assert after.mean() == pytest.approx(before.mean() / 3, rel=0.1)
    around = Polygons(ring(rasters / "before.tif", square(10, 20, 50, 90)))
    ((part, _),) = examples.read([pair(rasters, around)], files, None)
    assert part.shape in ((3, 70, 40), (3, 40, 70))
    with rasterio.open(rasters / "after.tif") as source:  # the same ground on another grid
        profile = {**source.profile, "transform": source.transform * source.transform.scale(2)}
        profile |= {"width": 60, "height": 70}
        with rasterio.open(rasters / "coarse.tif", "w", **profile) as out:
            out.write(source.read(out_shape=(3, 70, 60)))
    coarse = [(rasters / "before.tif", rasters / "coarse.tif")]
    ((before, after),) = examples.read([pair(rasters)], coarse, None)
    assert after.shape == before.shape


def test_examples_that_do_not_fit_are_refused(rasters):
    files = [(rasters / "before.tif", rasters / "after.tif")]
    far = Polygons(ring(rasters / "before.tif", square(5000, 5000, 5100, 5100)))
    with pytest.raises(OutsideRaster, match="example 1"):
        examples.read([pair(rasters, far)], files, None)
    write(rasters / "one.tif", in_type(scene(1, 140, 120), "uint8"))
    with pytest.raises(CannotEdit, match="differ in their bands"):
        examples.read([pair(rasters)], [(rasters / "before.tif", rasters / "one.tif")], None)


def test_only_editors_that_go_by_examples_take_them(editors, rasters):
    body = inputs(rasters / "a.tif", prompt="snow")
    body["examples"] = [pair(rasters).to_json()]
    request = EditRequest.from_json(body)
    shown = ((rasters / "before.tif", rasters / "after.tif"),)
    (rasters / "out").mkdir()
    with pytest.raises(BadRequest, match="does not go by edits"):
        wanted = Job(request, "snow", Rasters(rasters / "a.tif", examples=shown))
        edit(wanted, editors, rasters / "out", lambda *_: None)
    with pytest.raises(ContractError, match="more than the 4"):
        EditRequest.from_json({**body, "examples": [pair(rasters).to_json()] * 5})
    assert Rasters.of(Rasters(rasters / "a.tif", examples=shown).to_json()).examples == shown


@pytest.fixture
def icedit(models, tmp_path):
    for name in ("flux-fill", "icedit"):
        made = tiny_pipelines.build(name, tmp_path / "published")
        import_model(models.store, Arrival(models.store.entry(name), True), made)


def models_editor(models):
    return Editors(models).get("icedit").info


@pytest.mark.slow
def test_over_http_an_example_changes_what_is_drawn(models, client, icedit, rasters):
    assert models_editor(models).takes("examples")
    made = []
    for shown in ([], [pair(rasters).to_json()]):
        body = inputs(rasters / "a.tif", prompt="darken", options={"steps": 2}, examples=shown)
        reply = client.post("/processes/icedit/execution", json={"inputs": body})
        assert reply.status_code == 201, reply.get_json()
        info = finished(client, reply.get_json()["jobID"])
        assert info["status"] == "successful", info["message"]
        made.append(client.get(f"/jobs/{info['jobID']}/results/result.tif").data)
    assert made[0] != made[1]


@pytest.mark.slow
def test_on_the_command_line(models, icedit, rasters, capsys):
    area = rasters / "area.geojson"
    import json

    shape = ring(rasters / "a.tif", square(60, 60, 100, 100))
    around = ring(rasters / "before.tif", square(10, 20, 50, 90))
    with rasterio.open(rasters / "a.tif") as source:
        crs = {"type": "name", "properties": {"name": source.crs.to_string()}}
    for path, geometry in ((area, shape), (rasters / "around.geojson", around)):
        feature = {"type": "Feature", "properties": {}, "geometry": geometry}
        path.write_text(
            json.dumps({"type": "FeatureCollection", "crs": crs, "features": [feature]})
        )
    given = ["edit", str(rasters / "a.tif"), "--polygons", str(area), "--editor", "icedit"]
    given += ["--prompt", "darken", "--option", "steps=1", "--home", str(rasters / "home")]
    given += ["--output", str(rasters / "out.tif"), "--example", str(rasters / "before.tif")]
    assert __main__.main(given) == 1
    assert "--example" in capsys.readouterr().err
    given += [str(rasters / "after.tif"), str(rasters / "around.geojson")]
    assert __main__.main(given) == 0, capsys.readouterr().err
    assert (rasters / "out.tif").is_file()


# ---- learning from examples


@pytest.mark.parametrize(
    "name, caption, kind",
    [
        ("joplin-tornado_00000001_post_disaster", "houses are gone", "tornado"),
        ("a", "Wildfire impacts revealed minor damage", "fire"),
        ("b", "the typhoon flooded the town", "hurricane"),
        ("c", "Add a road between the fields", "add"),
        ("d", "", ""),
    ],
)
def test_kinds_of_change(tmp_path, name, caption, kind):
    assert class_of(EditPair(tmp_path / f"{name}.png", caption, tmp_path / "x.png")) == kind


@pytest.mark.slow
def test_a_pair_is_learned_below_others_of_its_kind(models, icedit, tmp_path):
    pairs = []
    for number in range(6):
        paths = [tmp_path / f"{name}-{number}.png" for name in ("before", "after")]
        pixels = in_type(scene(3, 64, 64, number), "uint8").transpose(1, 2, 0)
        for path, shown in zip(paths, (pixels, pixels // 2), strict=True):
            Image.fromarray(shown).save(path)
        caption = "the fire spread" if number < 4 else "a flood came"
        pairs.append(EditPair(paths[1], caption, paths[0]))
    found = Examples(pairs).for_one(pairs[0], 4, np.random.default_rng(0))
    assert len(found) == 3 and pairs[0] not in found
    assert {class_of(one) for one in found} == {"fire"}
    model = model_of(models, models.store.entry("flux-fill"), PLACED)
    recipe = Recipe(steps=2, batch=1, side_px=64, save_every=2, rank=4, alpha=4, examples=2)
    trainer = ICEditTrainer(model, pairs, recipe, tmp_path / "run")
    seen = []
    inner = trainer.net.forward

    def forward(*given, **more):
        seen.append(more["hidden_states"].shape[1])
        return inner(*given, **more)

    trainer.net.forward = forward
    for seed in range(16):
        trainer.of_pair(pairs[0], pairs[0].caption, np.random.default_rng(seed))
    trainer.net.forward = inner
    assert set(seen) == {32, 64, 96}  # one, two and three rows of two panels of 4 x 4 tokens
    assert trainer.run().is_file()
