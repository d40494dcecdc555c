"""What the model store refuses and why: files that are broken, dangerous, or of another model."""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import shutil
import struct
import zipfile

import pytest
import torch
from landbrush.server.ground.errors import BadRequest, Conflict, ModelRefused
from landbrush.server.models import weights
from landbrush.server.store import catalogue, headers
from safetensors.torch import save_file

from tests.server import tiny_pipelines
from tests.server.stick import UNET, bring, copied, zipped

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("home")]


def test_a_truncated_file(models, published, tmp_path):
    folder = copied(published, "instruct-pix2pix", tmp_path)
    path = folder / UNET
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ModelRefused, match="cut off.*Copy it again"):
        bring(models, "instruct-pix2pix", folder)
    path.write_bytes(path.read_bytes()[:5])
    with pytest.raises(ModelRefused, match="no safetensors file"):
        bring(models, "instruct-pix2pix", folder)
    assert models.store.record("instruct-pix2pix") is None


def test_a_wrong_hash(models, published, monkeypatch):
    entry = models.store.entry("instruct-pix2pix")
    wrong = dataclasses.replace(entry, sha256={UNET: "0" * 64})
    monkeypatch.setattr(catalogue, "published", lambda: {entry.id: wrong})
    with pytest.raises(ModelRefused, match="sha256.*not the published 0000"):
        bring(models, "instruct-pix2pix", published / "instruct-pix2pix")


class _Harm:
    def __reduce__(self):
        return os.mkdir, ("/tmp/landbrush-was-harmed",)


def test_a_pickle_named_safetensors(models, published, tmp_path):
    folder = copied(published, "instruct-pix2pix", tmp_path)
    (folder / UNET).write_bytes(pickle.dumps(_Harm()) + b" " * 200)
    with pytest.raises(ModelRefused, match="pickle or zip with another name, which could run code"):
        bring(models, "instruct-pix2pix", folder)
    torch.save({"weight": torch.zeros(3)}, folder / UNET)
    with pytest.raises(ModelRefused, match="pickle or zip"):
        bring(models, "instruct-pix2pix", folder)
    assert not os.path.exists("/tmp/landbrush-was-harmed")


def test_weights_as_a_pickle_alone(models, published, tmp_path):
    folder = copied(published, "instruct-pix2pix", tmp_path)
    (folder / UNET).rename(folder / "unet" / "diffusion_pytorch_model.bin")
    with pytest.raises(
        ModelRefused, match=r"unet has its weights as a pickle only.*Get the \.safetensors"
    ):
        bring(models, "instruct-pix2pix", folder)


@pytest.mark.parametrize(
    "name",
    [
        "../outside.json",
        "/etc/outside.json",
        "unet/../../outside.json",
        "C:/outside.json",
        "..\\outside.json",
    ],
)
def test_a_zip_that_points_outside(models, published, tmp_path, name):
    path = zipped(published / "instruct-pix2pix", tmp_path / "evil.zip")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, "{}")
    with pytest.raises(ModelRefused, match="points outside its folder. It is not unpacked"):
        bring(models, "instruct-pix2pix", path)
    assert not list(tmp_path.glob("**/outside.json"))


def test_a_zip_with_a_link_and_one_that_lies(models, published, tmp_path):
    path = zipped(published / "instruct-pix2pix", tmp_path / "link.zip")
    with zipfile.ZipFile(path, "a") as archive:
        info = zipfile.ZipInfo("unet/linked.json")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(ModelRefused, match="holds a link"):
        bring(models, "instruct-pix2pix", path)
    broken = zipped(published / "instruct-pix2pix", tmp_path / "broken.zip")
    content = bytearray(broken.read_bytes())
    content[2000:2400] = b"\0" * 400
    broken.write_bytes(content)
    with pytest.raises(ModelRefused, match="cannot be unpacked|no JSON|cut off"):
        bring(models, "instruct-pix2pix", broken)


def test_another_model_is_not_taken_for_it(models, published):
    with pytest.raises(
        ModelRefused, match="in_channels = 4, where InstructPix2Pix has 8: it is another model"
    ):
        bring(models, "instruct-pix2pix", published / "sd15")
    with pytest.raises(ModelRefused, match="holds no part of"):
        bring(models, "instruct-pix2pix", published / "icedit")


def test_a_reader_of_another_model(models, published, tmp_path):
    folder = copied(published, "instruct-pix2pix", tmp_path)
    config = json.loads((folder / "text_encoder" / "config.json").read_text())
    (folder / "text_encoder" / "config.json").write_text(
        json.dumps({**config, "hidden_size": 1024})
    )
    with pytest.raises(
        ModelRefused, match="reads words of 32 numbers, the text encoder.*gives 1024"
    ):
        bring(models, "instruct-pix2pix", folder)


def test_an_adapter_for_another_base(models, published, tmp_path):
    from diffusers import FluxTransformer2DModel

    bring(models, "flux-fill", published / "flux-fill")
    base = FluxTransformer2DModel.from_pretrained(published / "flux-fill" / "transformer")
    with pytest.raises(
        ModelRefused,
        match="for another base: for .* it changes 32 x 48 weights, FLUX.1 Fill .* has",
    ):
        bring(models, "icedit", tiny_pipelines.adapter(tmp_path / "wide", base, width=48))
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    save_file(
        {
            "unet.down_blocks.0.to_q.lora_A.weight": torch.zeros(4, 32),
            "unet.down_blocks.0.to_q.lora_B.weight": torch.zeros(32, 4),
        },
        stranger / "lora.safetensors",
    )
    with pytest.raises(
        ModelRefused, match="for another base: 1 of its 1 layers are not in this one"
    ):
        bring(models, "icedit", stranger / "lora.safetensors")
    save_file({"weight": torch.zeros(4)}, stranger / "lora.safetensors")
    with pytest.raises(ModelRefused, match="no low-rank adapter"):
        bring(models, "icedit", stranger)
    bring(models, "icedit", published / "icedit" / "pytorch_lora_weights.safetensors")
    assert not models.store.missing(models.store.entry("icedit"))


def test_shards_outside_their_folder_and_missing_ones(models, published, tmp_path):
    folder = copied(published, "instruct-pix2pix", tmp_path)
    index = folder / "unet" / "diffusion_pytorch_model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "../../secret.safetensors"}}))
    with pytest.raises(ModelRefused, match="names files outside its folder"):
        bring(models, "instruct-pix2pix", folder)
    index.write_text(json.dumps({"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}))
    with pytest.raises(ModelRefused, match="2 of 2 files are missing"):
        bring(models, "instruct-pix2pix", folder)


@pytest.mark.parametrize(
    "header",
    [
        b"[1]",
        b"{",
        b'{"a": 3}',
        b'{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}',
        b'{"a": {"dtype": "X9", "shape": [1], "data_offsets": [0, 4]}}',
        b'{"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}',
        b'{"a": {"dtype": "F32", "shape": [1e999], "data_offsets": [0, 4]}}',
        b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}',
        b"[" * 5000,
        b'{"a": {"dtype": "F32", "shape": [' + b"9," * 1_000_000 + b'9], "data_offsets": [0, 4]}}',
        b'{"a": {"dtype": "F32", "shape": [' + b"9" * 4000 + b'], "data_offsets": [0, 4]}}',
        b"{" + b",".join(b'"%d":{}' % i for i in range(100_001)) + b"}",
    ],
)
def test_odd_headers(tmp_path, header):
    path = tmp_path / "odd.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 8)
    with pytest.raises(ModelRefused):
        headers.read(path)


def test_what_would_fill_the_memory_is_not_unpacked(models, published, tmp_path):
    """A text that is large once it is unpacked, and a packing that asks for memory by itself."""
    archive = zipped(published / "instruct-pix2pix", tmp_path / "m.zip")
    with zipfile.ZipFile(archive, "a", zipfile.ZIP_DEFLATED) as out:
        out.writestr("tokenizer/added_tokens.json", b" " * 101_000_000)
    with pytest.raises(ModelRefused, match="of what is no weights at most"):
        bring(models, "instruct-pix2pix", archive)
    archive = zipped(published / "instruct-pix2pix", tmp_path / "n.zip")
    with zipfile.ZipFile(archive, "a", zipfile.ZIP_LZMA) as out:
        out.writestr("tokenizer/added_tokens.json", b"{}")
    with pytest.raises(ModelRefused, match="packed in a way that is not read"):
        bring(models, "instruct-pix2pix", archive)
    assert models.store.record("instruct-pix2pix") is None


def test_links_are_followed_only_inside_the_cache_of_the_hub(models, published, tmp_path):
    folder = copied(published, "instruct-pix2pix", tmp_path)
    secret = tmp_path / "secret.json"
    (folder / "unet" / "config.json").rename(secret)
    (folder / "unet" / "config.json").symlink_to(secret)
    with pytest.raises(ModelRefused, match="is a link to .*cp -rL"):
        bring(models, "instruct-pix2pix", folder)
    cache = tmp_path / "models--timbrooks--instruct-pix2pix"
    (cache / "snapshots").mkdir(parents=True)
    (cache / "blobs").mkdir()
    secret.rename(cache / "blobs" / "abc")
    (folder / "unet" / "config.json").unlink()
    (folder / "unet" / "config.json").symlink_to("../../../blobs/abc")
    folder.rename(cache / "snapshots" / "f00")
    bring(models, "instruct-pix2pix", cache / "snapshots" / "f00")
    assert models.store.record("instruct-pix2pix") is not None


def test_a_source_that_is_none(models, tmp_path):
    with pytest.raises(BadRequest, match="no folder or zip"):
        bring(models, "sd15", tmp_path / "nowhere")
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(ModelRefused, match="neither a folder nor a zip"):
        bring(models, "sd15", tmp_path / "a.txt")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelRefused, match="holds no part of Stable Diffusion 1.5. Wanted: unet"):
        bring(models, "sd15", tmp_path / "empty")


def test_a_file_that_lacks_weights_is_not_filled_with_random_ones(published, tmp_path):
    """The libraries would do that, and only log it."""
    from landbrush.server.diffusion.components import loaded
    from landbrush.server.diffusion.families import sd

    for part, name in (("unet", "diffusion_pytorch_model"), ("text_encoder", "model")):
        folder = shutil.copytree(published / "instruct-pix2pix" / part, tmp_path / part)
        path = folder / f"{name}.safetensors"
        tensors, about = weights.load(path)
        tensors.pop(sorted(tensors)[-1])
        save_file(tensors, path, metadata=about or {"format": "pt"})
        with pytest.raises(ModelRefused, match="lacks 1 of the weights|cannot be loaded"):
            loaded(folder, torch.float32, sd.FAMILY.classes)


def test_shards_without_their_list(models, published, tmp_path):
    folder = copied(published, "instruct-pix2pix", tmp_path)
    (folder / UNET).rename(folder / "unet" / "diffusion_pytorch_model-00001-of-00002.safetensors")
    with pytest.raises(ModelRefused, match="shards without their list"):
        bring(models, "instruct-pix2pix", folder)


def test_a_file_that_was_put_beside_a_model_is_refused(models, published):
    bring(models, "instruct-pix2pix", published / "instruct-pix2pix")
    entry, place = (
        models.store.entry("instruct-pix2pix"),
        models.store.folder / "instruct-pix2pix" / "unet",
    )
    shutil.copy(place / "diffusion_pytorch_model.safetensors", place / "evil.safetensors")
    for act in (models.store.check, models.store.verify):
        with pytest.raises(ModelRefused, match="evil.safetensors was not brought with it"):
            act(entry)


def test_a_mixture_of_experts_and_half_an_adapter(models, published, tmp_path):
    layer = "transformer.transformer_blocks.0.attn.to_q"
    for names, sentence in (
        (("lora_A.0", "lora_A.1", "lora_B.0", "lora_B.1"), "mixture of experts"),
        (("lora_A",), "no second factor"),
    ):
        save_file(
            {
                f"{layer}.{name}.weight": torch.zeros((4, 32) if "A" in name else (32, 4))
                for name in names
            },
            tmp_path / "lora.safetensors",
        )
        with pytest.raises(ModelRefused, match=sentence):
            bring(models, "icedit", tmp_path / "lora.safetensors")


def test_a_reader_of_another_length_and_a_model_that_is_here(models, published):
    with pytest.raises(
        ModelRefused, match="max_position_embeddings = 248, where InstructPix2Pix has 77"
    ):
        bring(models, "instruct-pix2pix", published / "rsedit-unet-dgtrs" / "DGTRS-CLIP-ViT-L-14")
    bring(models, "instruct-pix2pix", published / "instruct-pix2pix")
    with pytest.raises(Conflict, match="is here already"):
        bring(models, "instruct-pix2pix", published / "instruct-pix2pix")


def test_another_model_shows_before_its_weights_are_copied(models, published):
    told = []
    with pytest.raises(ModelRefused, match="another model"):
        bring(
            models,
            "instruct-pix2pix",
            published / "sd15",
            on_bytes=lambda done, total, what: told.append(what),
        )
    assert not [name for name in told if name.endswith(".safetensors")]
