"""Every family's loop gives what another computation of the same drawing gives, to 1e-4 in fp32."""

from __future__ import annotations

import pytest
import torch
from landbrush.server.diffusion import text
from landbrush.server.diffusion.families import sd
from landbrush.server.editors.models import Models
from landbrush.server.models import weights

from tests.server import parity, tiny_clip
from tests.server.conftest import model_of

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.slow]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("parity")
    return place / "published"


@pytest.fixture(scope="module")
def models(folder):
    """One store for all cases."""
    return Models(folder.parent / "home")


@pytest.mark.parametrize("case", parity.CASES, ids=lambda case: case.__name__)
def test_the_loop_agrees(models, folder, case):
    assert case(models, folder) < 1e-4


def test_another_guidance_would_be_seen(models, folder, monkeypatch):
    """The comparison is not blind: one hundredth more guidance fails it."""
    ours = parity.drawing
    monkeypatch.setattr(
        parity,
        "drawing",
        lambda model, scheduler, text, *more, **given: ours(
            model, scheduler, text * 1.01, *more, **given
        ),
    )
    assert parity.instruct_pix2pix(models, folder) > 1e-4


@torch.no_grad()
def test_positions_of_the_in_context_transformer(models, folder):
    """Rows 0, 1, 2 ...; columns at half steps over both halves, as one square table: the source
    first, the drawing behind it."""
    net = parity.brought(models, folder, "rsedit-dit").part("transformer")
    embed, side = net.pos_embed, net.config.sample_size // net.config.patch_size
    width = embed.pos_embed.shape[-1]
    assert side == 8
    tokens = torch.zeros(1, 4, 2 * side, 4 * side)
    nothing = embed.proj(tokens[..., :2, :2])[0, :, 0, 0]
    seen = (embed(tokens)[0] - nothing).reshape(side, 2 * side, width)
    rows = torch.arange(side, dtype=torch.float64)
    halves = torch.arange(2 * side, dtype=torch.float64) / 2
    for place, frequencies in (
        (rows, seen[:, 0, width // 2 :]),
        (halves, seen[0, :, : width // 2]),
    ):
        quarter = width // 4
        omega = 1 / 10_000 ** (torch.arange(quarter, dtype=torch.float64) / quarter)
        wanted = torch.cat(
            [torch.sin(place[:, None] * omega), torch.cos(place[:, None] * omega)], 1
        )
        assert torch.allclose(frequencies.double(), wanted, atol=1e-4)


def dgtrs(seed=0):
    """A text half in the layout of DGTRS-CLIP: two position tables of 248 rows."""
    tensors = {k: v for k, v in tiny_clip.tensors(seed=seed).items() if not k.startswith("visual.")}
    generator = torch.Generator().manual_seed(seed)
    tensors["positional_embedding"] = torch.randn(248, 64, generator=generator)
    tensors["positional_embedding_res"] = torch.randn(248, 64, generator=generator)
    return tensors


@torch.no_grad()
def test_the_248_row_table_is_made_of_two():
    """Beside the reader of open_clip's layout, given the sum of both tables under their masks."""
    tensors = dgtrs()
    net = text.clip_of(tensors)
    ids = torch.randint(1, 400, (1, 248), generator=torch.Generator().manual_seed(1))
    ours = net(ids).last_hidden_state
    first = (torch.arange(248) < 20)[:, None].float()
    table = tensors["positional_embedding"] * first + tensors["positional_embedding_res"] * (
        1 - first
    )
    hidden = tensors["token_embedding.weight"][ids] + table
    hidden = _block(hidden, tensors, "transformer.resblocks.0")
    theirs = torch.nn.functional.layer_norm(
        hidden, (64,), tensors["ln_final.weight"], tensors["ln_final.bias"]
    )
    assert float((ours - theirs).abs().max()) < 1e-4


def _block(x, tensors, at):
    norm = torch.nn.functional.layer_norm
    width = x.shape[-1]
    seen = norm(x, (width,), tensors[f"{at}.ln_1.weight"], tensors[f"{at}.ln_1.bias"])
    q, k, v = (
        seen @ tensors[f"{at}.attn.in_proj_weight"].T + tensors[f"{at}.attn.in_proj_bias"]
    ).chunk(3, -1)
    later = torch.full((x.shape[1], x.shape[1]), float("-inf")).triu(1)
    mixed = ((q @ k.transpose(1, 2)) / width**0.5 + later).softmax(-1) @ v
    x = x + mixed @ tensors[f"{at}.attn.out_proj.weight"].T + tensors[f"{at}.attn.out_proj.bias"]
    seen = norm(x, (width,), tensors[f"{at}.ln_2.weight"], tensors[f"{at}.ln_2.bias"])
    wide = seen @ tensors[f"{at}.mlp.c_fc.weight"].T + tensors[f"{at}.mlp.c_fc.bias"]
    return (
        x
        + (wide * torch.sigmoid(1.702 * wide)) @ tensors[f"{at}.mlp.c_proj.weight"].T
        + tensors[f"{at}.mlp.c_proj.bias"]
    )


def test_long_words_reach_248_tokens_and_the_rest_is_told(models, folder):
    model = parity.brought(models, folder, "rsedit-unet-dgtrs")
    with model.reader("text_encoder", "tokenizer") as reader:
        assert reader.limit == 248 and not reader.cut("flood " * 200)
        assert reader.cut("flood " * 246 + "the last words").endswith("the last words")
    short = parity.brought(models, folder, "instruct-pix2pix")
    with short.reader("text_encoder", "tokenizer") as reader:
        assert reader.limit == 77 and reader.cut("flood " * 75 + "snow on roofs") == "snow on roofs"


@torch.no_grad()
def test_an_adapter_changes_the_weights_by_its_product(models, folder):
    base = parity.brought(models, folder, "flux-fill").part("transformer")
    changed = parity.brought(models, folder, "flux-fill", "icedit").part("transformer")
    before, after = dict(base.named_parameters()), dict(changed.named_parameters())
    adapter, _ = weights.load(next((folder / "icedit").glob("*.safetensors")))
    touched = {
        k.removeprefix("transformer.").removesuffix(".lora_A.weight")
        for k in adapter
        if k.endswith("lora_A.weight")
    }
    assert touched
    for name, weight in before.items():
        module = name.removesuffix(".weight")
        wanted = weight
        if module in touched:
            wanted = (
                weight
                + adapter[f"transformer.{module}.lora_B.weight"]
                @ adapter[f"transformer.{module}.lora_A.weight"]
            )
        assert torch.allclose(after[name], wanted, atol=1e-6)


def test_one_prediction_after_the_other_is_the_same(models, folder):
    """What memory decides does not change the drawing."""
    import dataclasses

    model = parity.brought(models, folder, "instruct-pix2pix")
    one_by_one = dataclasses.replace(parity.PLACED, batched_guidance=False)
    alone = model_of(models, model.entry, one_by_one)
    with torch.no_grad():
        first, _ = sd.instruct_unet(parity.drawing(model, "Euler", 7.5, 1.5))
        second, _ = sd.instruct_unet(parity.drawing(alone, "Euler", 7.5, 1.5))
    assert float((first - second).abs().max()) < 1e-4
