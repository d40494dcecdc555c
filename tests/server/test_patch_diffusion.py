"""The closed-form denoiser against brute force, and what it draws."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from landbrush.server.ground.errors import CannotEdit
from landbrush.server.models import patch_denoiser
from landbrush.server.models.noise import AnchoredNoise
from landbrush.server.models.patch_denoiser import PatchDenoiser
from landbrush.server.models.patch_modes import content_copied, harmonised, layout_kept
from landbrush.server.models.patch_sampler import Draw, sample
from landbrush.server.synthesis import features
from landbrush.server.synthesis.features import PatchBasis, eroded
from landbrush.server.synthesis.pyramid import Level

from tests.server.conftest import scene


def picture(size=48):
    return (scene(3, size, size) * 2 - 1).astype(np.float32)


def brute_force(image, noisy, patch, signal, noise):
    """The posterior mean of every patch over all patches of the image, full patches, no PCA; centre
    values."""
    half = patch // 2
    cut = np.lib.stride_tricks.sliding_window_view(image, (patch, patch), axis=(1, 2))
    keys = cut.transpose(1, 2, 0, 3, 4).reshape(-1, image.shape[0] * patch * patch)
    middle = cut.transpose(1, 2, 0, 3, 4).reshape(-1, image.shape[0], patch * patch)[
        :, :, patch * patch // 2
    ]
    asked = np.lib.stride_tricks.sliding_window_view(noisy, (patch, patch), axis=(1, 2)).transpose(
        1, 2, 0, 3, 4
    )
    out = np.zeros((*asked.shape[:2], image.shape[0]))
    for r in range(asked.shape[0]):
        for c in range(asked.shape[1]):
            distance = ((asked[r, c].ravel() - signal * keys) ** 2).sum(axis=1) / (2 * noise**2)
            weight = np.exp(distance.min() - distance)
            out[r, c] = weight @ middle / weight.sum()
    return out.transpose(2, 0, 1), half


@pytest.mark.parametrize("noise", [0.3, 0.6])
def test_weights_are_the_softmax_over_all_patches(noise, monkeypatch):
    """With every component and a one-pixel centre the denoiser is the formula itself."""
    monkeypatch.setattr(patch_denoiser, "COMPONENTS", 10_000)
    monkeypatch.setattr(patch_denoiser, "CENTRE", 1)
    image = picture(24)
    rng = np.random.default_rng(0)
    noisy = ((1 - noise) * image + noise * rng.standard_normal(image.shape)).astype(np.float32)
    denoiser = PatchDenoiser(image, np.ones((24, 24), bool), patch=5)
    found = denoiser.denoise(noisy, 1 - noise, noise)
    expected, half = brute_force(image, noisy, 5, 1 - noise, noise)
    assert np.abs(found[:, half:-half, half:-half] - expected).max() < 1e-4


def test_attention_equals_the_exact_softmax():
    image = picture(32)
    denoiser = PatchDenoiser(image, np.ones((32, 32), bool), patch=7)
    noisy = (0.5 * image + 0.5 * np.random.default_rng(0).standard_normal(image.shape)).astype(
        np.float32
    )
    queries = denoiser.basis.project(noisy).reshape(-1, denoiser.keys.shape[1])
    exact, attention = denoiser._exact(queries, 0.5, 0.5), denoiser._attention(queries, 0.5, 0.5)
    assert np.abs(exact - attention).max() < 1e-4


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_attention_on_a_gpu_equals_the_cpu():
    image = picture(96)
    noisy = (0.6 * image + 0.4 * np.random.default_rng(0).standard_normal(image.shape)).astype(
        np.float32
    )
    cpu = PatchDenoiser(image, np.ones((96, 96), bool))
    gpu = PatchDenoiser(image, np.ones((96, 96), bool), "cuda")
    queries = cpu.basis.project(noisy).reshape(-1, cpu.keys.shape[1])
    assert np.abs(cpu._exact(queries, 0.6, 0.4) - gpu._attention(queries, 0.6, 0.4)).max() < 1e-2


def test_nearest_search_is_close_to_all_patches(monkeypatch):
    image = picture(96)
    denoiser = PatchDenoiser(image, np.ones((96, 96), bool))
    noisy = (0.7 * image + 0.3 * np.random.default_rng(0).standard_normal(image.shape)).astype(
        np.float32
    )
    monkeypatch.setattr(patch_denoiser, "EXACT_PATCHES", 10**9)
    exact = denoiser.denoise(noisy, 0.7, 0.3)
    monkeypatch.setattr(patch_denoiser, "EXACT_PATCHES", 0)
    near = denoiser.denoise(noisy, 0.7, 0.3)
    assert np.abs(near - exact).mean() < 0.02
    assert np.abs(near - image).mean() < 0.5 * np.abs(noisy - image).mean()


def test_without_signal_the_mean_comes_back():
    image = picture(32)
    mean = PatchDenoiser(image, np.ones((32, 32), bool)).denoise(np.zeros_like(image), 0.0, 1.0)
    assert np.allclose(mean, image.mean(axis=(1, 2))[:, None, None], atol=1e-5)


def test_samples_keep_what_is_known_and_differ_by_seed():
    image = picture(96)
    mask = np.zeros((96, 96), bool)
    mask[30:70, 30:70] = True
    usable = np.ones_like(mask)
    steps = []
    first = sample(
        Level(image, mask, usable),
        1.0,
        Draw(AnchoredNoise(0), "cpu", lambda s, n: steps.append((s, n))),
    )
    assert (first[:, ~mask] == image[:, ~mask]).all()
    assert (first == sample(Level(image, mask, usable), 1.0, Draw(AnchoredNoise(0)))).all()
    assert (first != sample(Level(image, mask, usable), 1.0, Draw(AnchoredNoise(1))))[
        :, mask
    ].mean() > 0.9
    assert [s for s, _ in steps] == list(range(steps[0][1]))
    calm = first[:, mask].std() / image[:, mask].std()
    assert 0.5 < calm < 1.6


def test_harmonise_softens_a_pasted_step():
    image = picture(96)
    image[:, 40:56, 40:56] += 0.25
    mask = np.zeros((96, 96), bool)
    mask[34:62, 34:62] = True
    out = harmonised(Level(image, mask, ~mask), 0.5, Draw(AnchoredNoise(0)))
    step = lambda i: abs(i[:, 40:56, 40:56].mean() - i[:, 60:70, 60:70].mean())
    assert step(out) < step(image)
    around = np.abs(out - image)[:, ~mask]
    assert 0 < around.mean() < 0.1, "what surrounds the hole comes back denoised, near what it was"


def test_an_image_without_a_patch_is_refused():
    with pytest.raises(CannotEdit, match="no whole patch"):
        PatchDenoiser(picture(32), np.zeros((32, 32), bool))


def test_noise_is_fixed_to_the_raster_not_the_window():
    whole = AnchoredNoise(3, (-30, 50)).normal((2, 200, 180))
    part = AnchoredNoise(3, (-30 + 41, 50 + 77)).normal((2, 90, 60))
    assert (part == whole[:, 41:131, 77:137]).all()
    assert abs(whole.mean()) < 0.02 and abs(whole.std() - 1) < 0.02
    assert (AnchoredNoise(4, (-30, 50)).normal((2, 200, 180)) != whole).mean() > 0.99
    assert (AnchoredNoise(3, (-30, 50)).normal((2, 200, 180), 1) != whole).mean() > 0.99


def test_pasted_content_stays_and_its_rim_goes_over_into_the_ground():
    image = picture(96)
    mask = np.zeros((96, 96), bool)
    mask[30:66, 30:66] = True
    pasted = image.copy()
    pasted[:, mask] = image[:, mask] + 0.35  # the ground that came along is brighter than here ...
    pasted[:, 40:56, 40:56] = 0.9  # ... and this is what was meant
    drawn = content_copied(Level(pasted, mask, np.ones_like(mask)), Draw(AnchoredNoise(0)))
    assert (drawn[:, ~mask] == pasted[:, ~mask]).all()
    assert drawn[:, 44:52, 44:52].mean() > 0.75, "the content is still there"

    def jump(picture):
        inside, outside = picture[:, 32:64, 30:32].mean(), picture[:, 32:64, 28:30].mean()
        return abs(inside - outside)

    assert jump(drawn) < 0.7 * jump(pasted)
    assert (
        drawn == content_copied(Level(pasted, mask, np.ones_like(mask)), Draw(AnchoredNoise(0)))
    ).all()


def test_many_bands_find_nearly_the_same_axes():
    """Above 1,000 values a patch the principal axes are found at random; they hold as much of the
    variance."""
    rng = np.random.default_rng(0)
    image = np.concatenate([picture(64) for _ in range(3)]) + 0.05 * rng.standard_normal(
        (9, 64, 64)
    ).astype(np.float32)
    ok = eroded(np.ones((64, 64), bool), 11)
    assert 9 * 11 * 11 > 1000
    held = []
    for most in (1000, 5000):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(features, "EXACT_VALUES", most)
            basis = PatchBasis.fit(image, ok, 11, np.random.default_rng(1), 24)
            again = PatchBasis.fit(image, ok, 11, np.random.default_rng(1), 24)
        assert (basis.kernels == again.kernels).all()
        held.append(float(basis.project(image)[ok].var(axis=0).sum()))
    assert held[0] == pytest.approx(held[1], rel=0.01)


def test_strips_and_parts_are_the_whole(monkeypatch):
    """What is denoised in strips, or gathered patch by patch, or asked for in part, is the same."""
    image = picture(80)
    noisy = (0.7 * image + 0.3 * np.random.default_rng(0).standard_normal(image.shape)).astype(
        np.float32
    )
    where = np.zeros((80, 80), bool)
    where[20:50, 30:70] = True
    whole = PatchDenoiser(image, np.ones((80, 80), bool)).denoise(noisy, 0.7, 0.3)
    part = PatchDenoiser(image, np.ones((80, 80), bool)).denoise(noisy, 0.7, 0.3, where)
    assert np.abs(part - whole)[:, where].max() < 1e-5
    monkeypatch.setattr(patch_denoiser, "STRIP_VALUES", 1)
    monkeypatch.setattr(patch_denoiser, "KEPT_VALUES", 0)
    monkeypatch.setattr(patch_denoiser, "EXACT_PATCHES", 0)
    strips = PatchDenoiser(image, np.ones((80, 80), bool)).denoise(noisy, 0.7, 0.3)
    monkeypatch.setattr(patch_denoiser, "STRIP_VALUES", 10**9)
    monkeypatch.setattr(patch_denoiser, "KEPT_VALUES", 10**9)
    assert (
        np.abs(
            strips - PatchDenoiser(image, np.ones((80, 80), bool)).denoise(noisy, 0.7, 0.3)
        ).max()
        < 1e-5
    )


@pytest.mark.parametrize("spoil", ["stripes", "speckle", "diagonal"])
def test_ragged_ground_is_drawn_from_or_refused(spoil):
    """However little of it makes whole patches, the answer is a picture or a sentence."""
    image, rng = picture(96), np.random.default_rng(0)
    usable = np.ones((96, 96), bool)
    if spoil == "stripes":
        usable[::8] = False
    elif spoil == "speckle":
        usable = rng.random((96, 96)) > 0.03
    else:
        rows, cols = np.mgrid[:96, :96]
        usable = np.abs(rows - cols) < 6
    hole = np.zeros((96, 96), bool)
    hole[40:60, 40:60] = True
    for draw in (
        lambda w: sample(w, 1.0, Draw(AnchoredNoise(0))),
        lambda w: layout_kept(w, 0.5, Draw(AnchoredNoise(0))),
        lambda w: content_copied(w, Draw(AnchoredNoise(0))),
    ):
        assert np.isfinite(draw(Level(image, hole, usable))).all()
    with pytest.raises(CannotEdit, match="patch"):
        PatchDenoiser(image, np.zeros((96, 96), bool))
    with pytest.raises(CannotEdit, match="patch"):
        PatchDenoiser(image[:, :2], np.ones((2, 96), bool))
