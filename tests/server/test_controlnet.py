"""ControlNet: it steers as diffusers' does, translates layers through the main path, is trained on
pairs and loads then."""

from __future__ import annotations

import json

import numpy as np
import pytest
import rasterio
import torch
from landbrush.server import __main__
from landbrush.server.dataset.build import DatasetConfig, build
from landbrush.server.dataset.pairs import Side, pairs
from landbrush.server.diffusion.placement import WHOLE, Placement
from landbrush.server.editors.base import Given, Scene
from landbrush.server.editors.models import Models
from landbrush.server.ground.errors import BadRequest, ModelRefused
from landbrush.server.store import own
from landbrush.server.store.importing import Arrival, import_model
from landbrush.server.training import captioned
from landbrush.server.training.controlnet import ControlNetTrainer
from landbrush.server.training.latent import Recipe
from PIL import Image
from rasterio.enums import ColorInterp

from tests.conftest import DATA
from tests.server import tiny_pipelines
from tests.server.conftest import (
    RGB,
    finished,
    in_type,
    inputs,
    model_of,
    office,
    scene,
    square,
    write,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.slow,
    pytest.mark.usefixtures("home"),
]
PLACED = Placement("cpu", torch.float32, WHOLE, 0.0, 1.0)
RECIPE = Recipe(steps=20, rate=2e-3, batch=2, accumulate=2, side_px=64, dropped=0.5, save_every=5)
WAYS = ("rgb-nir", "nir-rgb", "sar-rgb", "rgb-sar")
NAIP = DATA / "naip_landsat_timeseries" / "naip"


@pytest.fixture
def base(models, published):
    import_model(models.store, Arrival(models.store.entry("sd15"), True), published / "sd15")
    return models.store.entry("sd15")


def bring(models, stick, published):
    """All four ways, tiny."""
    for way in WAYS:
        folder = tiny_pipelines.controlnet(stick / way, published / "sd15")
        import_model(models.store, Arrival(models.store.entry(f"controlnet-{way}"), True), folder)


@pytest.fixture
def brought(models, base, tmp_path, published):
    bring(models, tmp_path / "stick", published)


@pytest.fixture(scope="module")
def shared(published, tmp_path_factory):
    """A client of a server with all four, whose workers stay."""
    home = tmp_path_factory.mktemp("home")
    models = Models(home)
    import_model(models.store, Arrival(models.store.entry("sd15"), True), published / "sd15")
    bring(models, tmp_path_factory.mktemp("stick"), published)
    with office(home, tmp_path_factory.getbasetemp()) as client:
        yield client


@pytest.fixture
def found(tmp_path):
    """Pairs of colours and near infrared, from NAIP where there is any."""
    path = (
        max(NAIP.glob("*.tif"))
        if NAIP.is_dir()
        else write(
            tmp_path / "a.tif",
            in_type(scene(4, 560, 560), "uint8"),
            colorinterp=(*RGB, ColorInterp.undefined),
        )
    )
    bands = {"red": 1, "green": 2, "blue": 3, "nir": 4}
    assert (
        pairs(
            Side(path, "rgb", bands),
            Side(path, "nir", bands),
            tmp_path / "pairs",
            "prairie and lakes",
        )
        == 1
    )
    return tmp_path / "pairs"


def options(editors, way, **more):
    one = editors.get(f"controlnet-{way}")
    return one.resolve(one.parse({"steps": 3, "scheduler": "DDIM", "gsd_m": 5.0, **more}), Given())


def test_it_draws_what_the_pipeline_of_diffusers_draws(editors, models, brought, published):
    from diffusers import DDIMScheduler, StableDiffusionControlNetPipeline
    from landbrush.server.models.noise import AnchoredNoise

    one, rng = editors.get("controlnet-rgb-nir"), np.random.default_rng(2)
    image = rng.random((3, 512, 512), np.float32)
    seen = Scene(
        image, np.ones((512, 512), bool), np.ones((512, 512), bool), ("red", "green", "blue"), 5.0
    )
    made = one.edit(seen, "a town", options(editors, "rgb-nir"), 7, lambda *_: None)
    model = model_of(models, models.store.entry("controlnet-rgb-nir"), PLACED)
    pipe = StableDiffusionControlNetPipeline(
        vae=model.part("vae"),
        text_encoder=model.part("text_encoder"),
        unet=model.part("unet"),
        controlnet=model.part("controlnet"),
        tokenizer=tiny_pipelines.clip_tokens(),
        safety_checker=None,
        feature_extractor=None,
        scheduler=DDIMScheduler.from_config(model.scheduler("DDIM").config),
        requires_safety_checker=False,
    )
    pipe.set_progress_bar_config(disable=True)
    noise = torch.from_numpy(AnchoredNoise(7, (0, 0)).normal((4, 64, 64)))[None]
    theirs = pipe(
        "Near infrared imagery, Medium precision resolution, a town",
        torch.from_numpy(image)[None],
        num_inference_steps=3,
        guidance_scale=7.5,
        latents=noise,
        output_type="np",
    ).images[0]
    assert made.shape == (1, 512, 512) and np.abs(made[0] - theirs.mean(-1)).max() < 2e-3
    loose = one.edit(seen, "a town", options(editors, "rgb-nir", control=0.0), 7, lambda *_: None)
    other = one.edit(
        Scene(
            image[:, ::-1].copy(), *(np.ones((512, 512), bool),) * 2, ("red", "green", "blue"), 5.0
        ),
        "a town",
        options(editors, "rgb-nir", control=0.0),
        7,
        lambda *_: None,
    )
    assert np.abs(loose - made).max() > 0.01 and np.abs(loose - other).max() < 1e-5


@pytest.mark.parametrize("way", WAYS)
def test_a_layer_becomes_one_of_another_kind_on_the_same_grid(shared, tmp_path, way):
    if way == "sar-rgb":
        values = np.stack([scene(1, 90, 110)[0] * 20 - 25, scene(1, 90, 110)[0] * 20 - 32]).astype(
            np.float32
        )
        path = write(tmp_path / "a.tif", values, nodata=np.nan, descriptions=("VV", "VH"))
    elif way == "nir-rgb":
        path = write(
            tmp_path / "a.tif",
            in_type(scene(1, 90, 110), "uint16"),
            descriptions=("nir",),
            nodata=0,
        )
    else:
        path = write(tmp_path / "a.tif", in_type(scene(3, 90, 110), "uint16"), colorinterp=RGB)
    wanted = inputs(
        path, square(10, 10, 100, 80), options={"steps": 2, "gsd_m": 8.0}, output={"area": "layer"}
    )
    job = shared.post(f"/processes/controlnet-{way}/execution", json={"inputs": wanted}).get_json()
    info = finished(shared, job["jobID"])
    assert info["status"] == "successful", info["message"]
    result = shared.get(f"/jobs/{info['jobID']}/results/result.tif").data
    with (
        rasterio.MemoryFile(result) as memory,
        memory.open() as written,
        rasterio.open(path) as source,
    ):
        assert (
            written.transform == source.transform
            and written.crs == source.crs
            and written.shape == source.shape
        )
        marked = [band for band in written.indexes if "LANDBRUSH_SYNTHETIC" in written.tags(band)]
        if way == "rgb-nir":
            assert (
                np.array_equal(written.read([1, 2, 3]), source.read())
                and written.dtypes[3] == "uint16"
                and marked == [4]
            )
        elif way == "rgb-sar":
            assert (written.count, written.dtypes, written.units, marked) == (
                1,
                ("float32",),
                ("dB",),
                [1],
            )
            inside = written.read(1)[10:80, 10:100]
            assert np.isfinite(inside).all() and inside.min() >= -25 and inside.max() <= 0
            assert np.isnan(written.read(1)[:10]).all()
        else:
            assert written.colorinterp == RGB and written.nodata == 0 and marked == [1, 2, 3]


def test_twenty_steps_lower_the_loss_go_on_and_load(editors, models, base, found, tmp_path):
    def trainer(folder):
        return ControlNetTrainer(
            model_of(models, base, PLACED), captioned.read_pairs(found), RECIPE, folder
        )

    def held_out(one):
        rng = np.random.default_rng(99)
        with torch.no_grad():
            return float(np.mean([float(one.loss(rng)) for _ in range(12)]))

    whole = trainer(tmp_path / "whole")
    frozen = {name: value.clone() for name, value in whole.net.named_parameters()}
    before = held_out(whole)
    path = whole.run()
    assert len(whole.losses) == 20 and held_out(whole) < before
    assert all(
        torch.equal(value, dict(whole.net.named_parameters())[name])
        for name, value in frozen.items()
    )

    def stop(step, steps, loss):
        if step == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trainer(tmp_path / "parts").run(stop)
    again = trainer(tmp_path / "parts")
    assert again.resume() and again.step == 7
    again.run()
    assert again.losses == pytest.approx(whole.losses, rel=1e-5)

    entry = own.described("mine", models.store.entry("controlnet-rgb-nir"))
    import_model(models.store, Arrival(entry, True), path)
    own.remember(models.store, entry)
    loaded = model_of(models, entry, PLACED).part("controlnet")
    assert all(
        torch.equal(value, whole.tensors()[name]) for name, value in loaded.named_parameters()
    )
    seen = Scene(
        np.random.default_rng(0).random((3, 64, 64), np.float32),
        *(np.ones((64, 64), bool),) * 2,
        RGB,
        5.0,
    )
    made = editors.get("controlnet-rgb-nir").edit(
        seen, "", options(editors, "rgb-nir", model="mine"), 0, lambda *_: None
    )
    assert made.shape == (1, 64, 64) and np.isfinite(made).all()


def test_the_commands(base, found, tmp_path, home, capsys):
    wanted = [
        "train",
        "controlnet",
        "--data",
        str(found),
        "--output",
        str(tmp_path / "run"),
        "--steps",
        "2",
        "--side",
        "64",
        "--batch",
        "1",
        "--home",
        str(home),
    ]
    assert __main__.main(wanted) == 0
    told = capsys.readouterr()
    assert "step 2/2 loss" in told.err and "--like controlnet-rgb-nir" in told.out
    assert (
        __main__.main([*wanted, "--dropped", "2"]) == 1
        and "between 0 and 1" in capsys.readouterr().err
    )
    assert (
        __main__.main([*wanted, "--base", "instruct-pix2pix"]) == 1
        and "Stable Diffusion" in capsys.readouterr().err
    )
    path = write(tmp_path / "b.tif", in_type(scene(3, 520, 520), "uint8"), colorinterp=RGB)
    radar = write(
        tmp_path / "r.tif", np.float32(scene(2, 300, 300) * 20 - 25), descriptions=("VV", "VH")
    )
    command = [
        "dataset",
        "pairs",
        "--control",
        str(radar),
        "--control-kind",
        "radar",
        "--target",
        str(path),
        "--target-kind",
        "rgb",
        "--output",
        str(tmp_path / "more"),
        "--caption",
        "fields",
    ]
    assert __main__.main(command) == 0 and "1 pairs" in capsys.readouterr().out
    line = json.loads((tmp_path / "more" / "metadata.jsonl").read_text())
    assert (
        line["text"].startswith("Satellite imagery, ")
        and "fields" in line["text"]
        and line["control"] == "radar"
    )
    assert (
        __main__.main(command) == 0
        and len((tmp_path / "more" / "metadata.jsonl").read_text().splitlines()) == 1
    )
    assert (
        __main__.main([*command, "--control-band", "x=1"]) == 1
        and "ROLE=N" in capsys.readouterr().err
    )


def test_pairs_show_one_ground(found, tmp_path):
    """Near infrared of a file beside the colours of the same file, on another grid too."""
    one = captioned.read_pairs(found)[0]
    with Image.open(one.path) as target, Image.open(one.control) as control:
        assert target.size == control.size == (512, 512)
        assert (
            np.ptp(np.asarray(target), axis=2).max() == 0
            and np.ptp(np.asarray(control), axis=2).max() > 0
        )
    path = write(tmp_path / "fine.tif", in_type(scene(3, 600, 600), "uint8"), colorinterp=RGB)
    with rasterio.open(path) as source:
        coarse = write(
            tmp_path / "coarse.tif",
            source.read(out_shape=(3, 300, 300)),
            colorinterp=RGB,
            crs=source.crs,
            transform=source.transform @ rasterio.Affine.scale(2),
        )
    assert pairs(Side(path, "rgb", {}), Side(coarse, "rgb", {}), tmp_path / "two") == 1
    two = captioned.read_pairs(tmp_path / "two")[0]
    with Image.open(two.path) as target, Image.open(two.control) as control:
        one, other = np.asarray(target, float), np.asarray(control, float)
    like, unlike = (
        np.corrcoef(part.ravel(), other.ravel())[0, 1] for part in (one, np.roll(one, 4, 1))
    )
    assert like > 0.7 and like > unlike + 0.1


def test_what_is_no_pair_is_said(models, tmp_path, base, published):
    with pytest.raises(BadRequest, match="holds no pairs"):
        captioned.read_pairs(tmp_path)
    for name, size in (("a.png", 64), ("b.png", 65)):
        Image.new("RGB", (size, size)).save(tmp_path / name)
    (tmp_path / "metadata.jsonl").write_text(
        '{"file_name": "a.png", "conditioning_image": "b.png", "text": ""}'
    )
    with pytest.raises(BadRequest, match="one ground"):
        captioned.read_pairs(tmp_path)[0].both(64, np.random.default_rng(0))
    (tmp_path / "metadata.jsonl").write_text('{"file_name": "a.png", "text": ""}')
    with pytest.raises(BadRequest, match="holds no pairs"):
        captioned.read_pairs(tmp_path)
    with pytest.raises(ModelRefused):
        import_model(
            models.store,
            Arrival(models.store.entry("controlnet-rgb-nir"), True),
            published / "sd15" / "vae",
        )


def test_bright_plants_are_not_white_in_near_infrared(tmp_path):
    """In layers of more than bytes near infrared has its own white, far above the colours'."""
    values = np.full((4, 520, 520), 600, np.uint16)
    values[3] = np.linspace(500, 4000, 520)[None]
    path = write(tmp_path / "a.tif", values, descriptions=("red", "green", "blue", "nir"))
    assert pairs(Side(path, "rgb", {}), Side(path, "nir", {}), tmp_path / "out") == 1
    with Image.open(captioned.read_pairs(tmp_path / "out")[0].path) as picture:
        shown = np.asarray(picture)[..., 0].astype(int)
    assert (shown == 255).mean() < 0.01 and shown[:, 500].mean() > 4 * shown[:, 20].mean()


def test_pairs_that_cannot_be_made_are_said(tmp_path, found):
    here = write(tmp_path / "a.tif", in_type(scene(3, 520, 520), "uint8"), colorinterp=RGB)
    far = write(
        tmp_path / "b.tif",
        in_type(scene(3, 520, 520), "uint8"),
        colorinterp=RGB,
        transform=rasterio.Affine(1, 0, 900_000, 0, -1, 1_000_000),
    )
    unnamed = write(tmp_path / "c.tif", in_type(scene(5, 520, 520), "uint8"))
    with pytest.raises(BadRequest, match="Do they overlap"):
        pairs(Side(here, "rgb", {}), Side(far, "rgb", {}), tmp_path / "none")
    with pytest.raises(BadRequest, match="names no red"):
        pairs(Side(here, "rgb", {}), Side(unnamed, "rgb", {}), tmp_path / "none")
    with pytest.raises(BadRequest, match="of another kind"):
        pairs(Side(here, "rgb", {}), Side(here, "rgb", {}), found)
    with pytest.raises(BadRequest, match="did not make"):
        build(tmp_path, found, DatasetConfig())
