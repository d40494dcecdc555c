"""Networks are read whole, DINO in each of its versions: none is used with weights missing or left
over."""

from __future__ import annotations

import json

import pytest
import torch
import transformers
from landbrush.server.experiments.benchmark import networks
from landbrush.server.ground.errors import WeightsMissing
from landbrush.server.models import dino, whole
from safetensors.torch import load_file, save_file

SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 56,
    "patch_size": 14,
}
KINDS = {
    "vit": (transformers.ViTConfig, transformers.ViTModel, {"intermediate_size": 32}),
    "dinov2": (transformers.Dinov2Config, transformers.Dinov2Model, {"mlp_ratio": 2}),
    "dinov2_with_registers": (
        transformers.Dinov2WithRegistersConfig,
        transformers.Dinov2WithRegistersModel,
        {"mlp_ratio": 2, "num_register_tokens": 2},
    ),
}


def saved(folder, kind):
    """A tiny one whose norms and scales are no ones and zeros: what is left out shows."""
    torch.manual_seed(0)
    config, model, more = KINDS[kind]
    net = model(config(**SIZES, **more)).eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    net.save_pretrained(folder)
    return net


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", KINDS)
def test_features_are_those_of_transformers_own(tmp_path, kind):
    own = saved(tmp_path, kind)
    ours = dino.load(str(tmp_path))
    picture = torch.rand(3, 256, 256)
    middle = picture[:, 16:240, 16:240]
    mean, deviation = (torch.tensor(part)[:, None, None] for part in (dino.MEAN, dino.DEVIATION))
    more = {"interpolate_pos_encoding": True} if kind == "vit" else {}
    with torch.inference_mode():
        wanted = own(((middle - mean) / deviation)[None], **more).last_hidden_state[0, 0]
    cosine = torch.nn.functional.cosine_similarity(ours.features(picture), wanted, dim=0)
    assert float(cosine) >= 0.9999
    assert ours.name.startswith(dino.KINDS[kind][1]) and "16 features" in ours.name
    measures = {one.name: one for one in networks.measures_of({"dino": str(tmp_path)})}
    assert ours.name in measures["dino_i"].source


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_missing_left_over_or_of_another_size_is_refused(tmp_path, kind):
    saved(tmp_path, kind)
    path = tmp_path / "model.safetensors"
    whole_file = load_file(path)
    name = sorted(key for key in whole_file if "layernorm" in key or "norm1" in key)[0]
    for change, said in (
        ({}, "1 missing"),
        ({"another.weight": torch.ones(2), name: whole_file[name]}, "1 left over"),
        ({name: torch.ones(3)}, "size"),
    ):
        tensors = {key: value for key, value in whole_file.items() if key != name}
        save_file({**tensors, **change}, path, {"format": "pt"})
        with pytest.raises(WeightsMissing, match=said):
            dino.load(str(tmp_path))


def test_version_one_may_have_its_untrained_pooler_and_other_networks_are_named(tmp_path):
    saved(tmp_path, "vit")
    assert "pooler.dense.weight" in load_file(tmp_path / "model.safetensors")
    dino.load(str(tmp_path))
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "model_type": "bert"}))
    with pytest.raises(WeightsMissing, match="holds a 'bert', none of vit, dinov2"):
        dino.load(str(tmp_path))
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(WeightsMissing, match="no config.json that can be read"):
        dino.load(str(tmp_path))


def test_buffers_of_older_files_are_no_weights():
    report = {
        "missing_keys": {"text_model.embeddings.position_ids"},
        "unexpected_keys": ["h.0.attn.masked_bias"],
        "mismatched_keys": set(),
    }
    assert whole.lacking(report) == ""
    report["mismatched_keys"] = {("a.weight", (1,), (2,))}
    report["unexpected_keys"] = ["b", "c", "pooler.x"]
    assert (
        whole.lacking(report, ("pooler.",))
        == "1 of another size (a.weight ...), 2 left over (b ...)"
    )
