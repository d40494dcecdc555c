"""Segment Anything in the store: brought, read whole, and asked for outlines, as transformers' own
code answers."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import shapely
import torch
import transformers
from landbrush.server.editors.models import Models
from landbrush.server.ground.errors import ModelRefused, WeightsMissing
from landbrush.server.models import segmenter
from landbrush.server.raster.bands import Layer
from landbrush.server.raster.raster import opened
from landbrush.server.search.thing import thing_at
from landbrush.server.store.importing import Arrival, import_model
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers.models.sam.image_processing_pil_sam import SamImageProcessorPil

from tests.server.conftest import RGB, in_type, ring, square, write

pytestmark = pytest.mark.filterwarnings("ignore")
SIDE = 64
DECODER = {
    "hidden_size": 16,
    "mlp_dim": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "iou_head_hidden_dim": 16,
    "attention_downsample_rate": 2,
}


def sam():
    vision = {
        "hidden_size": 16,
        "output_channels": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": SIDE,
        "patch_size": 4,
        "window_size": 4,
        "global_attn_indexes": [0],
        "num_pos_feats": 8,
        "mlp_dim": 32,
    }
    prompt = {"hidden_size": 16, "image_size": SIDE, "patch_size": 4, "mask_input_channels": 4}
    return transformers.SamModel(
        transformers.SamConfig(
            vision_config=vision, prompt_encoder_config=prompt, mask_decoder_config=DECODER
        )
    )


def sam2():
    backbone = transformers.Sam2HieraDetConfig(
        hidden_size=8,
        num_attention_heads=1,
        image_size=[SIDE, SIDE],
        blocks_per_stage=[1, 1, 2, 1],
        embed_dim_per_stage=[8, 16, 32, 64],
        num_attention_heads_per_stage=[1, 2, 4, 8],
        window_size_per_stage=[4, 4, 4, 2],
        global_attention_blocks=[3],
    )
    vision = transformers.Sam2VisionConfig(
        backbone_config=backbone,
        backbone_channel_list=[64, 32, 16, 8],
        backbone_feature_sizes=[[16, 16], [8, 8], [4, 4]],
        fpn_hidden_size=32,
    )
    prompt = {"hidden_size": 32, "image_size": SIDE, "patch_size": 16, "mask_input_channels": 4}
    return transformers.Sam2Model(
        transformers.Sam2Config(
            vision_config=vision,
            prompt_encoder_config=prompt,
            mask_decoder_config={**DECODER, "hidden_size": 32},
        )
    )


KINDS = {"sam-vit-base": sam, "sam2.1-hiera-tiny": sam2}


def saved(folder, model_id):
    """A tiny one, whose weights are far enough from nothing that its masks have shapes."""
    torch.manual_seed(3)
    net = KINDS[model_id]().eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    net.save_pretrained(folder)
    return net


def photograph(height=48, width=72, seed=0):
    rng = np.random.default_rng(seed)
    picture = rng.integers(60, 90, (height, width, 3), dtype=np.uint8)
    picture[10:30, 20:50] = 210
    return picture


def wanted_by_transformers(net, picture, point):
    """Masks and scores by transformers' own processor and network."""
    height, width = picture.shape[:2]
    if net.config.model_type == "sam":
        size = {"longest_edge": SIDE}
        prepared = SamImageProcessorPil(size=size, pad_size={"height": SIDE, "width": SIDE})
        given = prepared(picture, return_tensors="pt")
        shown = given["reshaped_input_sizes"][0].tolist()
        pixels = given["pixel_values"]
    else:
        shown = [SIDE, SIDE]
        prepared = SamImageProcessorPil(do_resize=False, do_pad=False)
        small = np.array(Image.fromarray(picture).resize((SIDE, SIDE), Image.Resampling.BILINEAR))
        pixels = prepared(small, return_tensors="pt")["pixel_values"]
    at = [point[0] * shown[1] / width, point[1] * shown[0] / height]
    with torch.inference_mode():
        found = net(pixel_values=pixels, input_points=torch.tensor([[[at]]]))
    logits = found.pred_masks[0]
    if net.config.model_type == "sam":
        masks = prepared.post_process_masks(
            [logits], [(height, width)], [shown], pad_size={"height": SIDE, "width": SIDE}
        )[0][0]
    else:
        masks = torch.nn.functional.interpolate(logits, (height, width), mode="bilinear")[0] > 0
    return masks.numpy(), found.iou_scores[0, 0].numpy()


@pytest.mark.parametrize("model_id", KINDS)
@pytest.mark.parametrize("shape", [(48, 72), (80, 40), (64, 64)])
def test_masks_are_those_of_transformers_own(tmp_path, model_id, shape):
    net = saved(tmp_path, model_id)
    ours = segmenter.load(tmp_path, "tiny")
    assert ours.side == SIDE
    seen = 0
    picture = photograph(*shape)
    for point in ((10.5, 8.5), (30.5, 20.5), (35.0, 40.0)):
        masks, scores = wanted_by_transformers(net, picture, point)
        through = [i for i in range(3) if masks[i][int(point[1]), int(point[0])]]
        found = ours.at(picture, *point)
        wanted = sorted(scores[through].tolist(), reverse=True)
        assert [one.score for one in found] == pytest.approx(wanted, abs=1e-4)
        for one in found:
            number = int(np.abs(scores - one.score).argmin())
            assert (one.mask == masks[number]).mean() > 0.999
        seen += len(found)
    assert seen >= 1


def brought(home, folder, model_id):
    models = Models(home)
    entry = models.store.entry(model_id)
    assert not entry.asks
    import_model(models.store, Arrival(entry), folder)
    return models


@pytest.mark.parametrize("model_id", KINDS)
def test_what_was_brought_is_used(tmp_path, model_id):
    assert Models(tmp_path / "home").segmenter() is None
    saved(tmp_path / "own", model_id)
    models = brought(tmp_path / "home", tmp_path / "own", model_id)
    found = models.segmenter()
    assert found.name == models.store.entry(model_id).title
    assert models.segmenter() is found
    models.store.remove(models.store.entry(model_id))
    assert models.segmenter() is None


def test_the_parts_for_films_are_left_and_nothing_else(tmp_path):
    saved(tmp_path, "sam2.1-hiera-tiny")
    path = tmp_path / "model.safetensors"
    tensors = load_file(path)
    config = json.loads((tmp_path / "config.json").read_text("utf8"))
    (tmp_path / "config.json").write_text(json.dumps({**config, "model_type": "sam2"}))
    save_file({**tensors, "memory_encoder.x": torch.zeros(2)}, path, {"format": "pt"})
    assert segmenter.load(tmp_path, "films").side == SIDE
    save_file({**tensors, "stranger.x": torch.zeros(2)}, path, {"format": "pt"})
    with pytest.raises(WeightsMissing, match="left over"):
        segmenter.load(tmp_path, "stranger")
    name = next(key for key in tensors if key.startswith("mask_decoder"))
    save_file({k: v for k, v in tensors.items() if k != name}, path, {"format": "pt"})
    with pytest.raises(WeightsMissing, match="missing"):
        segmenter.load(tmp_path, "cut")
    (tmp_path / "config.json").write_text('{"model_type": "vit"}')
    with pytest.raises(WeightsMissing, match="vit, not sam"):
        segmenter.load(tmp_path, "other")


def test_another_network_is_refused_by_the_store(tmp_path):
    net = transformers.ViTModel(
        transformers.ViTConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2)
    )
    net.save_pretrained(tmp_path / "own")
    with pytest.raises(ModelRefused, match="model_type"):
        brought(tmp_path / "home", tmp_path / "own", "sam-vit-base")


def scene_with_a_block(tmp_path, kind="uint8"):
    rng = np.random.default_rng(0)
    image = 0.35 + 0.01 * rng.standard_normal((3, 300, 300))
    image[:, 90:150, 120:200] = 0.8
    image[:, 100:120, 130:160] = 0.74
    return write(tmp_path / f"{kind}.tif", in_type(image, kind), colorinterp=RGB)


BLOCK = shapely.box(120, 90, 200, 150)


def likeness(found, wanted=BLOCK):
    return found.intersection(wanted).area / found.union(wanted).area


def outline(models, path):
    with opened(path, None) as dataset:
        return thing_at(models, Layer.of(dataset, {}), 170.5, 130.5)


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """A tiny SAM that has learned to outline what is bright, in a folder; and its network."""
    torch.manual_seed(1)
    net = sam()
    rng = np.random.default_rng(0)
    steps = torch.optim.Adam(net.parameters(), 1e-2)
    mean, deviation = (
        torch.tensor(v)[:, None, None] for v in (segmenter.MEAN, segmenter.DEVIATION)
    )
    for _ in range(45):
        pictures = (0.35 + 0.02 * rng.standard_normal((3, 1, SIDE, SIDE))).astype(np.float32)
        masks = np.zeros((3, 1, SIDE, SIDE), np.float32)
        points = []
        for picture, mask in zip(pictures, masks, strict=True):
            high, wide = rng.integers(14, 40, 2)
            top, left = rng.integers(0, SIDE - high), rng.integers(0, SIDE - wide)
            where = slice(top, top + high), slice(left, left + wide)
            picture[0][where], mask[0][where] = rng.uniform(0.65, 0.9), 1
            points.append([[[left + wide / 2, top + high / 2]]])
        given = (torch.from_numpy(pictures).expand(-1, 3, -1, -1) - mean) / deviation
        found = net(pixel_values=given, input_points=torch.tensor(points, dtype=torch.float32))
        logits = torch.nn.functional.interpolate(found.pred_masks[:, 0], (SIDE, SIDE))
        wanted = torch.from_numpy(masks).expand(-1, 3, -1, -1)
        both, either = (logits > 0) & (wanted > 0), (logits > 0) | (wanted > 0)
        fit = both.sum((2, 3)) / either.sum((2, 3)).clamp(min=1)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, wanted)
        loss = loss + ((found.iou_scores[:, 0] - fit) ** 2).mean()
        steps.zero_grad()
        loss.backward()
        steps.step()
    folder = tmp_path_factory.mktemp("learned")
    net.eval().save_pretrained(folder)
    return folder


@pytest.mark.parametrize("kind", ["uint8", "uint16"])
def test_the_outline_is_the_networks(tmp_path, learned, kind):
    models = brought(tmp_path / "home", learned, "sam-vit-base")
    found = outline(models, scene_with_a_block(tmp_path, kind))
    assert likeness(found.polygon) > 0.8 and found.by == "SAM, ViT-B"


def test_an_outline_that_the_network_doubts_is_found_without_it(tmp_path, learned):
    path = scene_with_a_block(tmp_path)
    plain = outline(Models(tmp_path / "none"), path)
    doubting = tmp_path / "doubting"
    shutil.copytree(learned, doubting)
    tensors = load_file(doubting / "model.safetensors")
    last = max(k for k in tensors if "iou_prediction_head" in k and k.endswith("bias"))
    save_file(
        {**tensors, last: tensors[last] - 1}, doubting / "model.safetensors", {"format": "pt"}
    )
    found = outline(brought(tmp_path / "home", doubting, "sam-vit-base"), path)
    assert found.by == "" and found.polygon.equals(plain.polygon)


def test_one_band(tmp_path, learned):
    models = brought(tmp_path / "home", learned, "sam-vit-base")
    image = np.full((1, 128, 128), 0.35)
    image[:, 30:80, 40:100] = 0.8
    path = write(tmp_path / "pan.tif", in_type(image, "uint8"), crs=None)
    with opened(path, None) as dataset:
        found = thing_at(models, Layer.of(dataset, {}), 70.5, 55.5)
    assert found.by and likeness(found.polygon, shapely.box(40, 30, 100, 80)) > 0.7


def test_where_a_model_cannot_be_used_the_outline_is_found_without_it(
    tmp_path, learned, monkeypatch
):
    models = brought(tmp_path / "home", learned, "sam-vit-base")
    path = scene_with_a_block(tmp_path)
    entry = models.store.entry("sam-vit-base")
    place = models.store.part(entry, "segmenter")
    kept = (place / "config.json").read_text()
    (place / "config.json").write_text("{}")
    found = outline(models, path)
    assert not found.by and found.polygon.area > 100
    assert "config.json is not the file that was brought" in found.note
    (place / "config.json").write_text(kept)

    def no_torch(folder, name):
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr(segmenter, "load", no_torch)
    found = outline(brought(tmp_path / "small", learned, "sam-vit-base"), path)
    assert not found.by and found.polygon.area > 100 and "torch" in found.note


def test_over_http(client, models, tmp_path, learned):
    path = scene_with_a_block(tmp_path)
    listed = {one["id"]: one for one in client.get("/models").get_json()["models"]}
    assert listed["sam-vit-base"]["outlines"] and not listed["sd15"].get("outlines")
    entry = models.store.entry("sam-vit-base")
    import_model(models.store, Arrival(entry), learned)
    place = {"geometry": ring(path, square(168, 128, 172, 132))}
    answer = client.post("/outlines", json={"raster": {"path": str(path)}, "place": place})
    assert answer.status_code == 200, answer.get_json()
    assert answer.get_json()["by"] == entry.title
    shape = shapely.geometry.shape(answer.get_json()["polygons"]["geometry"])
    assert likeness(shape, shapely.geometry.shape(ring(path, square(120, 90, 200, 150)))) > 0.8
