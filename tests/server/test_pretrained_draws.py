"""What pretrained editors draw, reached into: what changes it, in half precision, in tiles, and
where it goes wrong."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from affine import Affine
from landbrush.server.diffusion.families import sd
from landbrush.server.store import own
from landbrush.server.store.importing import Arrival, import_model

from tests.server import tiny_pipelines
from tests.server.conftest import (
    RGB,
    finished,
    in_type,
    inputs,
    scene,
    square,
    write,
)
from tests.server.pretrained_desk import EDITORS, RING, edited, inside, pixels_of

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.slow]


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
        in_type(scene(3, 128, 128), "uint8"),
        colorinterp=RGB,
        transform=Affine(2, 0, 4e5, 0, -2, 3.2e6),
    )
    edited(desk, path, "sdedit", "tiny-text2earth")
    assert seen == {(16.0, 0.0)}


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
