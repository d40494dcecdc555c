"""Image-text models load in every layout, and their guidance does what the mended equations say."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from landbrush.server.ground.errors import WeightsMissing
from landbrush.server.models import image_text
from landbrush.server.models.clip_tokens import tokeniser
from landbrush.server.models.guidance import (
    Shown,
    Steering,
    TextGuide,
    energetic,
    moved,
    similarity_loss,
)
from landbrush.server.models.noise import AnchoredNoise
from landbrush.server.models.patch_modes import layout_kept, restyled
from landbrush.server.models.patch_sampler import Draw, sample
from landbrush.server.models.views import views
from landbrush.server.synthesis.pyramid import Level

from tests.server import tiny_clip
from tests.server.conftest import scene

pytestmark = pytest.mark.slow


def test_tokens_are_those_of_clip(tmp_path):
    """The ids that OpenAI's own tokeniser gives (its example, and the prompt of every zero-shot
    table)."""
    tokens = tokeniser(tmp_path)
    assert tokens.encode("a diagram").ids == [49406, 320, 22697, 49407]
    assert tokens.encode("A photo of  a CAT").ids == [49406, 320, 1125, 539, 320, 2368, 49407]


LAYOUTS = [
    ("vit", "open_clip"),
    ("vit", "remote"),
    ("resnet", "open_clip"),
    ("vit", "transformers"),
]


@pytest.mark.parametrize("kind, layout", LAYOUTS)
def test_every_layout_gives_unit_vectors_and_a_gradient(tmp_path, kind, layout):
    model = image_text.load(tiny_clip.saved(tmp_path, kind, layout))
    words = model.text(["a forest", "a flooded street " * 60])
    picture = torch.rand(2, 3, 50, 90, requires_grad=True)
    seen = model.image(picture)
    assert words.shape == seen.shape == (2, 32)
    assert torch.allclose(words.norm(dim=1), torch.ones(2), atol=1e-5)
    (seen @ words.T).sum().backward()
    assert picture.grad.abs().sum() > 0


def test_a_long_picture_keeps_its_shape_where_the_model_takes_that(tmp_path):
    open_model = image_text.load(tiny_clip.saved(tmp_path / "a"))
    assert open_model._fitting(50, 75) == (64, 96) and open_model._fitting(900, 100) == (112, 64)
    assert image_text.load(tiny_clip.saved(tmp_path / "b", "resnet"))._fitting(50, 75) == (64, 64)
    assert image_text.load(tiny_clip.saved(tmp_path / "c", "vit", "remote"))._fitting(50, 75) == (
        64,
        64,
    )


def test_both_layouts_of_one_network_agree(tmp_path):
    """The tensors of a transformers model under OpenAI's names give the same vectors through our
    own network."""
    folder = tiny_clip.saved(tmp_path, layout="transformers")
    theirs = image_text.load(folder)
    state = theirs.net.state_dict()
    renamed = {
        "token_embedding.weight": state["text_model.embeddings.token_embedding.weight"],
        "positional_embedding": state["text_model.embeddings.position_embedding.weight"],
        "ln_final.weight": state["text_model.final_layer_norm.weight"],
        "ln_final.bias": state["text_model.final_layer_norm.bias"],
        "text_projection": state["text_projection.weight"].T,
        "logit_scale": state["logit_scale"],
        "visual.conv1.weight": state["vision_model.embeddings.patch_embedding.weight"],
        "visual.class_embedding": state["vision_model.embeddings.class_embedding"],
        "visual.positional_embedding": state["vision_model.embeddings.position_embedding.weight"],
        "visual.proj": state["visual_projection.weight"].T,
    }
    for ours, name in (("ln_pre", "pre_layrnorm"), ("ln_post", "post_layernorm")):
        renamed |= {
            f"visual.{ours}.{part}": state[f"vision_model.{name}.{part}"]
            for part in ("weight", "bias")
        }
    for ours, name in (
        ("transformer.resblocks.0", "text_model.encoder.layers.0"),
        ("visual.transformer.resblocks.0", "vision_model.encoder.layers.0"),
    ):
        for part in ("weight", "bias"):
            renamed[f"{ours}.attn.in_proj_{part}"] = torch.cat(
                [state[f"{name}.self_attn.{p}_proj.{part}"] for p in "qkv"]
            )
            renamed[f"{ours}.attn.out_proj.{part}"] = state[f"{name}.self_attn.out_proj.{part}"]
            for a, b in (
                ("ln_1", "layer_norm1"),
                ("ln_2", "layer_norm2"),
                ("mlp.c_fc", "mlp.fc1"),
                ("mlp.c_proj", "mlp.fc2"),
            ):
                renamed[f"{ours}.{a}.{part}"] = state[f"{name}.{b}.{part}"]
    path = tmp_path / "openai.safetensors"
    from safetensors.torch import save_file

    save_file({key: value.contiguous() for key, value in renamed.items()}, path)
    ours = image_text.load(path)
    picture = torch.rand(2, 3, 80, 64, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(
        ours.text(["snow", "a flood"]), theirs.text(["snow", "a flood"]), atol=1e-5
    )
    assert torch.allclose(ours.image(picture), theirs.image(picture), atol=1e-4)


@pytest.mark.parametrize("what", ["nothing", "empty folder", "no clip", "no weights"])
def test_what_is_no_model_is_said_with_what_to_do(tmp_path, what):
    path = tmp_path / "model"
    if what == "empty folder":
        path.mkdir()
    elif what == "no clip":
        path = tmp_path / "model.pt"
        torch.save({"weight": torch.zeros(3)}, path)
    elif what == "no weights":
        path = tmp_path / "model.safetensors"
        path.write_bytes(b"nothing")
    with pytest.raises(WeightsMissing, match="model"):
        image_text.load(path)


def test_code_in_a_checkpoint_is_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "owned"), "w"))

    torch.save({"state_dict": Evil()}, tmp_path / "model.pt")
    with pytest.raises(WeightsMissing):
        image_text.load(tmp_path / "model.pt")
    assert not (tmp_path / "owned").exists()


def test_views_are_pictures_and_carry_the_gradient():
    picture = torch.rand(3, 40, 60, requires_grad=True)
    seen = views(picture, 6, 32, np.random.default_rng(0))
    assert (
        seen.shape == (6, 3, 32, 48)
        and 0 <= float(seen.detach().min()) <= float(seen.detach().max()) <= 1
    )
    seen.sum().backward()
    assert picture.grad.abs().sum() > 0
    again = views(picture, 6, 32, np.random.default_rng(0))
    assert torch.equal(seen, again)


def test_the_first_view_shows_everything_unless_it_is_moved():
    """With a generator that never augments, a view is the picture itself."""

    class Never:
        def random(self, size=None):
            return 0.99 if size is None else np.full(size, 0.99)

    picture = torch.rand(3, 32, 32)
    assert torch.allclose(views(picture, 1, 32, Never())[0], picture, atol=1e-5)


def reference(clean, before, gradient, mask, eta, lam):
    """Eq. 12 and 13 with their signs mended, by loops over pixels."""
    out = clean.astype(float).copy()
    size = slope = 0.0
    bands, height, width = clean.shape
    for r in range(height):
        for c in range(width):
            for b in range(bands):
                mixed = (
                    mask[r, c] * ((1 - lam) * before[b, r, c] + lam * clean[b, r, c])
                    + (1 - mask[r, c]) * clean[b, r, c]
                )
                out[b, r, c] = mixed
                size += (mixed * mask[r, c]) ** 2
                slope += (gradient[b, r, c] * mask[r, c]) ** 2
    delta = (size / slope) ** 0.5
    for r in range(height):
        for c in range(width):
            if mask[r, c] > 0:
                for b in range(bands):
                    out[b, r, c] = min(
                        1, max(-1, out[b, r, c] + eta * delta * mask[r, c] * gradient[b, r, c])
                    )
    return out


def test_the_update_is_the_mended_equation():
    rng = np.random.default_rng(0)
    clean, before, gradient = (rng.normal(0, 0.5, (3, 5, 6)).astype(np.float32) for _ in range(3))
    mask = np.zeros((5, 6), np.float32)
    mask[1:4, 1:5] = rng.random((3, 4))
    found = moved(clean, before, gradient, mask, Steering(strength=0.3, momentum=0.2))
    assert np.abs(found - reference(clean, before, gradient, mask, 0.3, 0.2)).max() < 1e-5
    assert np.array_equal(found[:, mask == 0], clean[:, mask == 0])


def test_the_gradient_is_that_of_the_similarity(tmp_path):
    """Autograd through views, bands and model against finite differences, on one pixel."""
    model = image_text.load(tiny_clip.saved(tmp_path))
    shown = Shown((2, 1, 0), np.full(4, 0.5), np.full(4, 0.4))
    loss = similarity_loss(model, ["a forest"], shown, 3)
    guide = TextGuide(loss, Steering(), seed=1)
    clean = np.random.default_rng(0).normal(0, 0.3, (4, 24, 24)).astype(np.float32)
    gradient = guide._gradient(clean, np.ones(clean.shape[1:], bool))
    assert not gradient[3].any()  # a band that is not shown gets none
    step = 0.05
    for place in ((0, 10, 12), (2, 5, 7)):
        values = []
        for sign in (1, -1):
            changed = clean.copy()
            changed[place] += sign * step
            values.append(float(loss(torch.from_numpy(changed), np.random.default_rng((1, 0)))))
        slope = (values[0] - values[1]) / (2 * step)
        assert -gradient[place] == pytest.approx(slope, rel=0.15, abs=2e-7)


def test_the_mask_is_the_pixels_with_most_gradient():
    gradient = np.zeros((2, 4, 4), np.float32)
    gradient[:, :2, :2] = 3
    gradient[:, 2, 2] = 1
    mask, shrunk = energetic(gradient, np.ones((4, 4), bool), 0.25)
    assert mask.sum() == 4 and mask[:2, :2].all()
    assert (np.linalg.norm(shrunk, axis=0) <= np.linalg.norm(gradient, axis=0)).all()


def test_subsets_of_words_are_averaged_losses(tmp_path):
    model = image_text.load(tiny_clip.saved(tmp_path))
    words = ["snow", "ice", "white ground"]
    shown = Shown((0, 1, 2), np.full(3, 0.5), np.full(3, 0.5))
    picture = torch.rand(3, 32, 32) * 2 - 1
    rng = np.random.default_rng(3)
    chosen = rng.integers(
        0, 3, int(rng.integers(1, 4))
    )  # as the loss draws them; what follows draws the views
    place = rng.bit_generator.state
    singles = []
    for number in chosen:
        rng.bit_generator.state = place
        singles.append(
            float(similarity_loss(model, words[number : number + 1], shown, 2)(picture, rng))
        )
    drawn = np.random.default_rng(3)
    some = similarity_loss(model, words, shown, 2, subset=True)(picture, drawn)
    assert float(some) == pytest.approx(np.mean(singles), abs=1e-6)


def _guide(tmp_path, **how):
    model = image_text.load(tiny_clip.saved(tmp_path))
    shown = Shown((0, 1, 2), np.full(3, 0.5), np.full(3, 0.5))
    return TextGuide(similarity_loss(model, ["snow"], shown, 2), Steering(**how))


@pytest.mark.parametrize("mode", ["new", "layout", "style"])
def test_every_mode_runs_guided_and_leaves_the_outside(tmp_path, mode):
    image = (scene(3, 64, 64) * 2 - 1).astype(np.float32)
    hole = np.zeros((64, 64), bool)
    hole[16:48, 16:48] = True
    window = Level(image, hole, np.ones((64, 64), bool))

    def drawn(guided):
        guide = (
            _guide(
                tmp_path,
                strength=0.5,
                fade_from=0.3 if mode == "style" else 0.0,
                share=0.5 if mode != "new" else 1.0,
            )
            if guided
            else None
        )
        draw = Draw(AnchoredNoise(1), guide=guide)
        found = {
            "new": lambda: sample(window, 1.0, draw),
            "layout": lambda: layout_kept(window, 0.5, draw),
            "style": lambda: restyled(window, 0.3, draw),
        }[mode]()
        return found, guide

    plain, _ = drawn(False)
    first, guide = drawn(True)
    second, _ = drawn(True)
    assert np.array_equal(first[:, ~hole], image[:, ~hole]) and np.isfinite(first).all()
    assert np.array_equal(first, second) and len(guide.losses) >= 3
    assert not np.array_equal(first, plain)


def test_an_inversion_unguided_comes_back():
    image = (scene(3, 64, 64) * 2 - 1).astype(np.float32)
    hole = np.ones((64, 64), bool)
    back = layout_kept(Level(image, hole, hole), 0.5, Draw(AnchoredNoise(0)))
    assert np.abs(back - image).mean() < 0.02


def test_guidance_stops_when_it_no_longer_helps():
    guide = TextGuide(lambda x, rng: (x * 0).sum() + 1.0, Steering(patience=3))
    hole = np.ones((8, 8), bool)
    for _ in range(30):
        guide.steer(np.zeros((3, 8, 8), np.float32), hole, 0.5)
    assert 3 < len(guide.losses) < 12


def test_the_schedule_leaves_scales_alone():
    guide = TextGuide(lambda x, rng: x.square().sum(), Steering(scales=(0.0, 1.0)))
    hole, rng = np.ones((8, 8), bool), np.random.default_rng(0)
    coarse = rng.normal(0, 0.3, (3, 8, 8)).astype(np.float32)
    assert guide.steer(coarse, hole, 0.5) is coarse
    fine = rng.normal(0, 0.3, (3, 16, 16)).astype(np.float32)
    assert np.linalg.norm(guide.steer(fine, np.ones((16, 16), bool), 0.5)) < np.linalg.norm(fine)
    assert guide.steer(coarse, hole, 0.5) is coarse
