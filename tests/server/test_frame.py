"""The way to the model's grid and back, tiles, memory, further bands: the parts under the
pretrained editors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from affine import Affine
from diffusers.configuration_utils import FrozenDict
from landbrush.server.diffusion import placement, schedules
from landbrush.server.diffusion.codec import Codec
from landbrush.server.diffusion.placement import LAYERS, PARTS, WHOLE
from landbrush.server.diffusion.sampler import Known, Run, sample
from landbrush.server.diffusion.tiles import Tile, Tiling
from landbrush.server.editing.views import Colours as View
from landbrush.server.editors import scenario_prompts
from landbrush.server.editors.frame import Frame, Grid, widened
from landbrush.server.ground.errors import BadRequest, CannotEdit
from landbrush.server.raster.raster import profile_of
from landbrush.server.synthesis.spectral import Where, carried

from tests.server import tiny_pipelines
from tests.server.conftest import model_of, scene, write

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:diffusers")
GRID = Grid(512, 64)


@pytest.fixture(autouse=True)
def nothing_held(models):
    for name in models.warm.names():
        models.warm.drop(name)


@pytest.mark.parametrize(
    ("shape", "gsd", "inner"),
    [
        ((512, 512), 0.5, (512, 512)),  # as it is
        ((1100, 1500), 0.5, (1100, 1500)),  # larger: tiles, not squashed
        (
            (200, 300),
            0.4,
            (267, 400),
        ),  # smaller: enlarged, its aspect kept, as far as the model knows
        ((300, 420), 0.5, (366, 512)),  # ... to the native size
        ((300, 300), 0.1, (100, 100)),  # finer and small: at 0.3 m, the rest is mirrored
        ((4000, 6000), 0.1, (1333, 2000)),  # finer than trained on: at 0.3 m
    ],
)
def test_the_aspect_is_kept_and_the_ground_size_is_the_models(shape, gsd, inner):
    frame = Frame.of(shape, gsd, 1.0, Grid(512, 64, (0.3, 2.0)))
    assert frame.inner == inner and all(side % 64 == 0 for side in frame.outer)
    assert frame.gsd_m == pytest.approx(gsd * shape[0] / inner[0], rel=0.01)


def test_the_users_ground_size_is_taken_as_it_is():
    for gsd in (0.2, 0.5, 3.0):
        assert Frame.of(
            (300, 300), 0.1, 1.0, Grid(512, 64, (0.3, 2.0), asked_gsd_m=gsd)
        ).gsd_m == pytest.approx(gsd, rel=0.03)
    frame = Frame.of((300, 300), 0.1, 1.0, Grid(512, 64, (0.3, 2.0), asked_gsd_m=0.5))
    assert frame.inner == (60, 60) and frame.outer == (256, 256)
    with pytest.raises(CannotEdit, match="Choose a larger 'Ground size it works at'"):
        Frame.of((600, 600), 10.0, 1.0, Grid(512, 64, asked_gsd_m=1e-5))


def test_pixels_that_are_not_square_are_made_so():
    """At 60 degrees a pixel of degrees is half as wide as tall."""
    frame = Frame.of((600, 1200), 0.5, 2.0, GRID)
    assert frame.inner[0] == pytest.approx(frame.inner[1], rel=0.01)


def test_the_aspect_of_a_pixel_on_the_ground(tmp_path):
    import rasterio

    path = write(
        tmp_path / "a.tif",
        np.ones((1, 50, 50), np.uint8),
        crs="EPSG:4326",
        transform=Affine(1e-5, 0, 10, 0, -1e-5, 60),
    )
    with rasterio.open(path) as dataset:
        assert profile_of(dataset).aspect == pytest.approx(2.0, rel=0.01)
    path = write(
        tmp_path / "b.tif",
        np.ones((1, 50, 50), np.uint8),
        transform=Affine(0.6, 0, 4e5, 0, -0.674, 3.3e6),
    )
    with rasterio.open(path) as dataset:
        assert profile_of(dataset).aspect == pytest.approx(0.674 / 0.6, rel=0.01)


def test_tiles_are_whole_squares_for_a_transformer():
    assert Frame.of((100, 700), 0.5, 1.0, Grid(512, 16, square=True)).outer == (512, 704)
    assert Frame.of((100, 700), 0.5, 1.0, Grid(512, 16)).outer == (256, 704)


@pytest.mark.parametrize("shape", [(512, 512), (300, 420), (700, 530)])
def test_what_a_model_leaves_alone_comes_back_in_the_rasters_own_detail(shape):
    image = scene(3, *shape).astype(np.float32)
    image[0, 10, 10] = 1.7  # beyond what is shown, as of a stretched raster
    frame = Frame.of(shape, 0.1, 1.0, Grid(512, 64, (0.3, 2.0)))
    seen = frame.shown(image)
    assert float(seen.min()) >= -1 and float(seen.max()) <= 1 and seen.shape[2:] == frame.outer
    rough = torch.nn.functional.avg_pool2d(seen, 5, 1, 2)  # an autoencoder that loses detail
    assert np.abs(frame.back(rough, rough, image) - image).max() < 1e-5
    darker = frame.back(rough - 0.02, rough, image)
    assert (
        np.abs(darker - (image - 0.01)).mean() < 2e-3
        and np.abs(darker - (image - 0.01)).max() < 0.04
    )
    other = torch.full_like(rough, 0.5)
    assert np.abs(frame.back(other, rough, image) - 0.75)[:, 20:-20, 20:-20].max() < 0.15
    assert np.abs(frame.back(other, None, image) - 0.75).max() < 1e-5


def test_strips_are_the_same_as_the_whole():
    from landbrush.server.editors import frame as module

    image = scene(3, 700, 520).astype(np.float32)
    frame = Frame.of((700, 520), 0.5, 1.0, GRID)
    seen = frame.shown(image)
    made = seen + 0.2 * torch.randn(seen.shape, generator=torch.Generator().manual_seed(0))
    whole = module._laid(made[..., :700, :520], seen[..., :700, :520], image, (700, 520))
    assert np.abs(frame.back(made, seen, image) - whole).max() < 1e-6


def test_no_pixel_of_the_mask_is_lost_on_the_latents_grid():
    mask = np.zeros((700, 900), bool)
    mask[350, 450] = mask[0, 0] = mask[699, 899] = True
    frame = Frame.of(mask.shape, 0.1, 1.0, Grid(512, 64, (0.3, 2.0)))
    cells = widened(frame.mask(mask), 8)
    assert cells.shape[2:] == (frame.outer[0] // 8, frame.outer[1] // 8) and 4 <= cells.sum() <= 27
    assert cells[0, 0, 0, 0] == 1 and not widened(torch.zeros(1, 1, 64, 64), 8).any()


def test_tiles_cover_and_average_to_what_they_agree_on():
    tiling = Tiling.of(138, 188, 64, 24)
    canvas = torch.randn(1, 4, 138, 188)
    assert max(t.height for t in tiling.tiles) == 64 and len(tiling.tiles) == 15
    assert torch.allclose(tiling.blended(lambda tile: tile.of(canvas)), canvas, atol=1e-5)
    wide = tiling.blended(
        lambda tile: tile.of(canvas).repeat_interleave(8, 2).repeat_interleave(8, 3), 8
    )
    assert torch.allclose(wide[..., ::8, ::8], canvas, atol=1e-5)
    wanted = torch.zeros(138, 188, dtype=torch.bool)
    wanted[5, 5] = True
    assert Tiling.of(138, 188, 64, 24, wanted).tiles == (Tile(0, 0, 64, 64),)


def test_a_network_sees_a_tile_at_a_time_whatever_the_extent():
    """What memory grows with."""
    seen = []

    def denoise(noisy, t, tile):
        seen.append(tuple(noisy.shape[2:]))
        return torch.zeros_like(noisy)

    for height, width in ((64, 64), (138, 188), (300, 400)):
        scheduler = schedules.make_scheduler("Euler", tiny_pipelines.SD_BETAS)
        steps = schedules.timesteps_of(scheduler, 2)
        sample(
            denoise,
            Run(
                scheduler, steps, torch.randn(1, 4, height, width), Tiling.of(height, width, 64, 24)
            ),
        )
    assert max(h * w for h, w in seen) == 64 * 64

    class Net(torch.nn.Module):
        config = FrozenDict(latent_channels=4, block_out_channels=(1, 1, 1, 1), scaling_factor=1.0)
        dtype, device = torch.float32, "cpu"

        def encode(self, picture):
            seen.append(tuple(picture.shape[2:]))
            made = torch.nn.functional.avg_pool2d(picture, 8).repeat(1, 2, 1, 1)[:, :4]
            return type(
                "Encoded", (), {"latent_dist": type("Dist", (), {"mode": lambda self: made})()}
            )

    seen.clear()
    codec = Codec(Net(), 64)
    picture = torch.rand(1, 3, 1104, 1504)
    assert codec.encoded(picture).shape == (1, 4, 138, 188) and set(seen) == {(512, 512)}


def test_the_ground_outside_the_mask_is_the_source():
    source, noise = torch.randn(1, 4, 32, 32), torch.randn(1, 4, 32, 32)
    drawn = torch.zeros(1, 1, 32, 32)
    drawn[..., 8:20, 8:20] = 1
    for name in ("Euler", "DPM++ 2M Karras", "PNDM", "DDIM", "Euler ancestral"):
        scheduler = schedules.make_scheduler(name, tiny_pipelines.SD_BETAS)
        steps = schedules.timesteps_of(scheduler, 5)
        run = Run(
            scheduler,
            steps,
            noise * scheduler.init_noise_sigma,
            Tiling.of(32, 32, 64, 24),
            Known(source, noise, drawn),
            torch.Generator().manual_seed(0),
        )
        made = sample(lambda noisy, t, tile: 0.1 * noisy, run)
        assert torch.equal(made[(drawn == 0).expand_as(made)], source[(drawn == 0).expand_as(made)])
        assert not torch.allclose(
            made[(drawn > 0).expand_as(made)], source[(drawn > 0).expand_as(made)]
        )


def test_schedules_say_what_they_do_not_know():
    with pytest.raises(BadRequest, match="is none of Euler"):
        schedules.make_scheduler("Heun", {})
    scheduler = schedules.make_scheduler("Euler", tiny_pipelines.SD_BETAS)
    with pytest.raises(BadRequest, match="leaves none to take"):
        schedules.timesteps_of(scheduler, 2, 0.1)
    assert (
        len(
            schedules.timesteps_of(
                schedules.make_scheduler("Euler", tiny_pipelines.SD_BETAS), 100, 0.75
            )
        )
        == 75
    )


GB = int(1e9)


@pytest.mark.parametrize(
    ("free", "strategy", "together"), [(40, WHOLE, True), (10, PARTS, True), (3, LAYERS, False)]
)
def test_placement_by_memory_on_a_gpu(monkeypatch, free, strategy, together):
    monkeypatch.setattr(placement, "best_device", lambda: "cuda")
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation: not including_emulation
    )
    plan = placement.planned(
        "FLUX",
        {"transformer": 3 * GB, "text_encoder_2": 2 * GB, "vae": GB // 10},
        1.5,
        "automatic",
        free * GB,
    )
    assert (
        plan.kind == torch.bfloat16
        and plan.strategy == strategy
        and plan.batched_guidance == together
    )
    assert f"needs about {plan.needs_gb:.1f} GB, {free:.1f} GB of the GPU are free" in plan.sentence
    assert ("offloading" in plan.sentence) == (strategy != WHOLE)


def test_placement_that_cannot_be(monkeypatch):
    with pytest.raises(CannotEdit, match=r"needs about 13\.\d GB of memory, and 4\.0 GB are free"):
        placement.planned("FLUX", {"transformer": 6 * GB}, 1.5, "bfloat16", 4 * GB)
    plan = placement.planned("SD", {"unet": GB}, 1.0, "automatic", 4 * GB)
    assert plan.kind == torch.bfloat16, "half the memory where whole precision does not fit"
    monkeypatch.setattr(placement, "best_device", lambda: "cuda")
    with pytest.raises(CannotEdit, match="even when offloading"):
        placement.planned("FLUX", {"transformer": 6 * GB}, 3, "bfloat16", 2 * GB)


def test_guidance_makes_the_predictions_it_needs():
    from landbrush.server.diffusion.guidance import FreeGuidance

    full, image, none = (torch.full((1,), value) for value in (5.0, 3.0, 1.0))
    assert FreeGuidance(7.5).branches == ("full", "none") and FreeGuidance(1.0).branches == (
        "full",
    )
    assert FreeGuidance(7.5, 7.5).branches == ("full", "none"), "one scale for both needs two"
    for text, picture in ((7.5, 1.5), (7.5, 0.5), (1.0, 2.0), (3.0, 3.0)):
        free = FreeGuidance(text, picture)
        made = {"full": full, "image": image, "none": none}
        wanted = 1 + text * (5 - 3) + picture * (3 - 1)
        assert free.combined(*(made[name] for name in free.branches)) == pytest.approx(wanted)


def test_schedules_never_clip_latents():
    for name in ("DDIM", "DDPM"):
        assert not schedules.make_scheduler(name, {"beta_schedule": "linear"}).config.clip_sample
    scheduler = schedules.make_scheduler("PNDM", {"beta_schedule": "linear"})
    steps = schedules.timesteps_of(scheduler, 2)
    run = Run(scheduler, steps, torch.randn(1, 4, 8, 8), Tiling.of(8, 8, 64, 24))
    assert torch.isfinite(sample(lambda noisy, t, tile: noisy, run)).all()


def test_a_model_in_use_is_not_let_go(models):

    plan = placement.Placement("cpu", torch.float32, WHOLE, 0, 1)
    for name in ("sd15", "sd21"):
        models.warm._held[name, "", ""] = model_of(models, models.store.entry(name), plan)
    import threading

    held, go = threading.Event(), threading.Event()

    def work():
        with models.warm._held["sd15", "", ""].lock:
            held.set()
            go.wait(10)

    worker = threading.Thread(target=work)
    worker.start()
    held.wait(10)
    assert (
        models.warm._drop_oldest()
        and models.warm.names() == ["sd15"]
        and not models.warm._drop_oldest()
    )
    go.set()
    worker.join()
    assert models.warm.drop("sd15") and not models.warm.names()


def test_idle_models_go_when_the_machine_is_short_of_memory(models, monkeypatch):

    plan = placement.Placement("cpu", torch.float32, WHOLE, 0, 1)
    for name in ("sd15", "sd21"):
        models.warm._held[name, "", ""] = model_of(models, models.store.entry(name), plan)
    models.warm.evict_idle()
    kept = models.warm.names()
    monkeypatch.setattr(placement, "short_of_memory", lambda: len(models.warm.names()) > 1)
    models.warm.evict_idle()
    assert len(kept) == 2 and models.warm.names() == ["sd21"] and models.warm.drop("sd21")


def test_other_bands_follow_the_new_colours():
    """Near infrared that is a function of colour is found again where the colours are another
    part's."""
    image = scene(3, 90, 120).astype(np.float32)
    image[:, :, 60:] = image[:, :, 60:] * 0.5 + np.array([0.0, 0.3, 0.0], np.float32)[:, None, None]
    infrared = (0.2 + 0.9 * image[1] - 0.3 * image[0])[None].astype(np.float32)
    after, mask = image.copy(), np.zeros((90, 120), bool)
    mask[20:60, 10:50] = True
    after[:, 20:60, 10:50] = image[:, 20:60, 70:110]
    valid = np.ones_like(mask)
    found = carried(image, infrared, after, Where(mask, valid))
    wanted = (0.2 + 0.9 * after[1] - 0.3 * after[0])[None]
    assert np.array_equal(found[:, ~mask], infrared[:, ~mask])
    assert np.abs(found - wanted)[:, mask].mean() < 0.25 * np.abs(infrared - wanted)[:, mask].mean()
    assert np.array_equal(carried(image, infrared, image, Where(mask, valid)), infrared)
    image[:, :, :9], infrared[:, :, :9], valid[:, :9] = 0, 0, False
    after[:, mask] = 0.01  # as dark as what is nodata
    assert (
        carried(image, infrared, after, Where(mask, valid))[:, mask].min()
        >= infrared[:, valid].min()
    )
    seen = []
    carried(image, infrared, after, Where(mask, valid), lambda *step: seen.append(step))
    assert seen == [(0, int(mask.sum()))]


@pytest.mark.parametrize(
    ("names", "colours"),
    [
        (("red", "green", "blue"), (0, 1, 2)),
        (("blue", "green", "red", "nir"), (2, 1, 0)),
        (("pan",), (0, 0, 0)),
        (("",), (0, 0, 0)),
    ],
)
def test_which_bands_are_shown(names, colours):
    from landbrush.server.raster.bands import Roles

    assert View.of(Roles(names, "test"), "SDEdit").colours == colours


@pytest.mark.parametrize("names", [("vv", "vh"), ("", "", "", "", ""), ("nir", "red", "green")])
def test_layers_without_colours_are_refused(names):
    from landbrush.server.raster.bands import Roles

    with pytest.raises(CannotEdit):
        View.of(Roles(names, "test"), "SDEdit")


def test_every_scenario_has_words_for_every_severity():
    for name, found in scenario_prompts.SCENARIOS.items():
        words = {
            scenario_prompts.words_for(name, severity, instruct)
            for severity in scenario_prompts.GRADES
            for instruct in (True, False)
        }
        assert (
            len(words) == 6
            and all(len(text.split()) > 5 for text in words)
            and len(found.instructions) == 3
        )
    assert scenario_prompts.words_for("none", "major", True) == ""
