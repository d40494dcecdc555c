"""Words: paraphrases, image-text retrieval, the text editor with and without a model, and models
that are named."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from landbrush.server import __main__
from landbrush.server.contract.requests import EditRequest, Output, Polygons, RasterRef
from landbrush.server.editing.path import Job, edit
from landbrush.server.editors.base import Patch, Scene
from landbrush.server.ground.errors import BadRequest, CannotEdit, NotFoundInLayer, WeightsMissing
from landbrush.server.raster.rasters import Rasters

from tests.server import tiny_clip
from tests.server.conftest import in_type, ring, scene, square, write

pytestmark = pytest.mark.slow


def options_of(editors, editor_id, **given):
    return editors.get(editor_id).parse(given)


# ---- paraphrases


def test_templates_keep_the_prompt_first_and_change_known_words(models):
    found = models.paraphrases("a flooded residential area", count=6).texts
    assert found[0] == "a flooded residential area" and len(set(found)) == 6
    assert any("inundated" in text for text in found) and not any("{" in text for text in found)


def test_any_prompt_has_paraphrases_and_one_is_enough(models):
    assert len(models.paraphrases("xyzzy", count=4).texts) == 4
    assert models.paraphrases("snow", count=1).texts == ("snow",)
    assert models.paraphrases(" snow  on\nroofs ", "none").texts == ("snow on roofs",)


@pytest.mark.parametrize("prompt, source", [("", "templates"), ("snow", "oracle")])
def test_bad_ensembles_are_refused(models, prompt, source):
    with pytest.raises(BadRequest):
        models.paraphrases(prompt, source)


def test_without_a_language_model_the_user_is_told_what_to_name(models):
    with pytest.raises(WeightsMissing, match="models set language"):
        models.paraphrases("snow", "language model")
    with pytest.raises(WeightsMissing, match="models set endpoint"):
        models.paraphrases("snow", "endpoint")


class _Answers(BaseHTTPRequestHandler):
    asked: list = []
    status = 200
    content = '1. a snowy field\n2) "snow on a field"\n- a field under snow\nHere they are:\n'

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        type(self).asked.append((self.path, self.headers.get("Authorization"), body))
        self.send_response(type(self).status)
        self.send_header("Location", "http://127.0.0.1:9/elsewhere")
        self.end_headers()
        self.wfile.write(
            json.dumps({"choices": [{"message": {"content": type(self).content}}]}).encode()
        )

    def log_message(self, *_):
        pass


@pytest.fixture
def endpoint(models):
    _Answers.asked, _Answers.status = [], 200
    server = HTTPServer(("127.0.0.1", 0), _Answers)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    models.folder.give("endpoint", f"http://127.0.0.1:{server.server_port}/v1/")
    yield _Answers
    server.shutdown()
    server.server_close()
    thread.join()


def test_an_endpoint_is_asked_with_the_key_and_its_lines_are_read(
    models, endpoint, tmp_path, monkeypatch
):
    (tmp_path / "key").write_text("s3cret\n")
    models.folder.give("endpoint-key-file", str(tmp_path / "key"))
    models.folder.give("endpoint-model", "tiny")
    found = models.paraphrases("a field with snow", "endpoint", 4)
    assert found.texts == (
        "a field with snow",
        "a snowy field",
        "snow on a field",
        "a field under snow",
    )
    path, key, body = endpoint.asked[0]
    assert path == "/v1/chat/completions" and key == "Bearer s3cret" and body["model"] == "tiny"
    assert "a field with snow" in body["messages"][0]["content"]


@pytest.mark.parametrize("status", [302, 401, 500])
def test_an_endpoint_that_fails_or_redirects_is_an_error(models, endpoint, status):
    endpoint.status = status
    with pytest.raises(CannotEdit, match=str(status)):
        models.paraphrases("snow", "endpoint")
    assert len(endpoint.asked) == 1


@pytest.mark.parametrize("url", ["ftp://x/v1", "file:///etc/passwd", "http://"])
def test_only_web_addresses_are_endpoints(models, url):
    models.folder.give("endpoint", url)
    with pytest.raises(BadRequest, match="endpoint"):
        models.paraphrases("snow", "endpoint")


def test_the_key_is_not_sent_in_the_clear(models, monkeypatch):
    monkeypatch.setenv("LANDBRUSH_ENDPOINT_KEY", "s3cret")
    models.folder.give("endpoint", "http://example.org/v1")
    with pytest.raises(BadRequest, match="https"):
        models.paraphrases("snow", "endpoint")


def test_nobody_answers(models):
    models.folder.give("endpoint", "http://127.0.0.1:9/v1")
    with pytest.raises(CannotEdit, match="templates"):
        models.paraphrases("snow", "endpoint")


def test_a_local_language_model_is_run(models, tmp_path):
    """A tiny model of a real class: what it says is noise, and is taken line by line."""
    from tokenizers import Tokenizer, pre_tokenizers, trainers
    from tokenizers.models import BPE
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    tokens = Tokenizer(BPE(unk_token="<unk>"))
    tokens.pre_tokenizer = pre_tokenizers.ByteLevel()
    tokens.train_from_iterator(
        ["snow on a field\n", "a field with snow\n"] * 5,
        trainers.BpeTrainer(
            vocab_size=300,
            special_tokens=["<unk>", "<eos>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        ),
    )
    folder = tmp_path / "language"
    PreTrainedTokenizerFast(
        tokenizer_object=tokens, unk_token="<unk>", eos_token="<eos>"
    ).save_pretrained(folder)
    torch.manual_seed(0)
    GPT2LMHeadModel(
        GPT2Config(
            vocab_size=300,
            n_positions=1024,
            n_embd=32,
            n_layer=1,
            n_head=2,
            bos_token_id=1,
            eos_token_id=1,
        )
    ).save_pretrained(folder)
    models.folder.give("language", str(folder))
    found = models.paraphrases("snow", "language model", 3)
    assert found.texts[0] == "snow" and found.source == "language model"
    models.folder.give("language", str(tmp_path / "nothing"))
    with pytest.raises(WeightsMissing):
        models.paraphrases("snow", "language model")


# ---- naming models -------------------------------------------------------------------------------


def test_models_are_named_listed_and_forgotten(models, tmp_path, capsys):
    path = tiny_clip.saved(tmp_path)
    home = ["--home", str(models.home)]
    assert __main__.main(["models", "set", "image-text", str(path), *home]) == 0
    assert models.chosen("image-text") == str(path) and "loads" in capsys.readouterr().out
    assert __main__.main(["models", *home]) == 0
    assert str(path) in capsys.readouterr().out
    assert __main__.main(["models", "set", "image-text", "", *home]) == 0
    assert models.chosen("image-text") == ""


def test_what_cannot_be_named_is_refused(tmp_path, capsys):
    home = ["--home", str(tmp_path)]
    assert __main__.main(["models", "set", "image-text", str(tmp_path / "no"), *home]) == 1
    assert __main__.main(["models", "set", "oracle", "x", *home]) == 1
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "chosen.json").write_text("{")
    assert __main__.main(["models", *home]) == 1
    assert "chosen.json" in capsys.readouterr().err


# ---- the text editor -----------------------------------------------------------------------------


def a_scene(bands=3, size=96, roles=("red", "green", "blue", "nir")):
    image = scene(bands, size, size).astype(np.float32)
    mask = np.zeros((size, size), bool)
    mask[32:64, 32:64] = True
    other = scene(bands, 64, 64, seed=5).astype(np.float32) if bands else None
    return Scene(
        image,
        np.ones((size, size), bool),
        mask,
        roles[:bands],
        0.5,
        (10, 20),
        (Patch(other, np.ones((64, 64), bool)), Patch(1 - other, np.ones((64, 64), bool), -3.0)),
    )


@pytest.mark.parametrize("content", ["exemplars", "patch diffusion"])
@pytest.mark.parametrize("bands", [1, 3, 4])
def test_new_content_without_a_model(editors, content, bands):
    given = a_scene(bands)
    editor, facts = editors.get("text"), {}
    options = options_of(editors, "text", content=content, candidates=2)

    def step(*told):
        facts.update(told[4] if len(told) > 4 else {})

    first, second = (editor.edit(given, "forest", options, 3, step) for _ in range(2))
    assert np.array_equal(first, second) and np.array_equal(
        first[:, ~given.mask], given.image[:, ~given.mask]
    )
    assert np.abs(first - given.image)[:, given.mask].mean() > 0.01 and facts["sentences"] == [
        "forest"
    ]


def test_weights_of_exemplars_choose_the_content(editors):
    """Of two exemplars the one that fits the words far better is what patch diffusion draws."""
    size = 96
    rng = np.random.default_rng(0)
    dark, bright = (
        np.clip(level + rng.normal(0, 0.03, (3, 64, 64)), 0, 1).astype(np.float32)
        for level in (0.25, 0.75)
    )
    usable = np.ones((64, 64), bool)
    image = np.full((3, size, size), 0.5, np.float32) + rng.normal(0, 0.02, (3, size, size)).astype(
        np.float32
    )
    mask = np.zeros((size, size), bool)
    mask[16:80, 16:80] = True
    options = options_of(editors, "text", content="patch diffusion", candidates=1, outline_px=0.0)

    def middle(dark_weight, bright_weight):
        given = Scene(
            image,
            np.ones_like(mask),
            mask,
            ("red", "green", "blue"),
            0.5,
            (0, 0),
            (Patch(dark, usable, dark_weight), Patch(bright, usable, bright_weight)),
        )
        return (
            editors.get("text")
            .edit(given, "x", options, 0, lambda *_: None)[:, 36:60, 36:60]
            .mean()
        )

    assert middle(0.0, -60.0) < 0.4 < 0.6 < middle(-60.0, 0.0)


@pytest.mark.parametrize("mode", ["new content", "same layout", "style"])
def test_every_mode_with_a_model(models, editors, tmp_path, mode):
    models.folder.give("image-text", str(tiny_clip.saved(tmp_path)))
    models.folder.give("second-image-text", str(tiny_clip.saved(tmp_path, "resnet", seed=4)))
    given = a_scene()
    options = options_of(
        editors,
        "text",
        mode=mode,
        content="patch diffusion",
        candidates=2,
        views=2,
        paraphrases="snow\nfresh snow",
    )
    facts = {}
    out = editors.get("text").edit(
        given, "snow", options, 0, lambda *a: facts.update(a[4] if len(a) > 4 else {})
    )
    assert (
        np.array_equal(out[:, ~given.mask], given.image[:, ~given.mask]) and np.isfinite(out).all()
    )
    assert not np.array_equal(out[:, given.mask], given.image[:, given.mask])
    assert (
        facts["image_text_model"] == "vit"
        and facts["guided_steps"] >= 3
        and facts["sentences"] == ["snow", "fresh snow"]
    )
    if mode == "new content":
        assert facts["ranked_by"] == "resnet" and len(facts["candidates"]) == 2


@pytest.mark.parametrize("mode", ["same layout", "style"])
def test_modes_that_need_a_model_say_so(editors, mode):
    given = a_scene()
    without = Scene(given.image, given.valid, given.mask, given.roles, given.gsd_m)
    with pytest.raises(WeightsMissing, match="RemoteCLIP"):
        editors.get("text").edit(
            without, "snow", options_of(editors, "text", mode=mode), 0, lambda *_: None
        )


def request_for(path, ring, prompt, **options):
    return EditRequest(
        RasterRef(path=str(path)),
        Polygons({"type": "Polygon", "coordinates": [ring]}),
        prompt=prompt,
        options=options,
        output=Output("layer"),
    )


def a_raster(tmp_path, bands=3):
    return write(tmp_path / "layer.tif", in_type(scene(bands, 400, 400), "uint8"))


def ring_in(path):
    return ring(path, square(60, 60, 150, 150))["coordinates"][0]


def test_the_whole_path_with_a_random_model_retrieves_guides_and_records(models, editors, tmp_path):
    """What the random model likes is retrieved, guides and is recorded; the promise holds."""
    path = a_raster(tmp_path)
    ran = 0
    for seed in range(4):
        models.folder.give("image-text", str(tiny_clip.saved(tmp_path / str(seed), seed=seed)))
        try:
            report = edit(
                Job(
                    request_for(
                        path,
                        ring_in(path),
                        "a flooded field",
                        content="patch diffusion",
                        candidates=1,
                        views=2,
                    ),
                    "text",
                    Rasters(path),
                ),
                editors,
                tmp_path,
                lambda *_: None,
            ).to_json()
        except NotFoundInLayer as error:
            assert "aerial photograph" in str(error)
            continue
        ran += 1
        assert (
            report["gate"]["pixels_outside_different"] == 0
            and report["gate"]["pixels_inside_changed"] > 1000
        )
        assert report["search"]["rule"] == "image-text model vit" and report["search"]["windows"]
        assert len(report["options"]["paraphrases"].splitlines()) == 6
        assert report["editor_facts"]["guided_steps"] > 0
    assert ran, "no random model found anything"


def test_words_without_a_land_cover_and_without_a_model_are_refused(editors, tmp_path):
    path = a_raster(tmp_path)
    with pytest.raises(CannotEdit, match="exemplar"):
        edit(
            Job(request_for(path, ring_in(path), "a collapsed bridge"), "text", Rasters(path)),
            editors,
            tmp_path,
            lambda *_: None,
        )
    with pytest.raises(BadRequest, match="prompt"):
        edit(
            Job(request_for(path, ring_in(path), " "), "text", Rasters(path)),
            editors,
            tmp_path,
            lambda *_: None,
        )


def test_sinddm_is_guided_by_words_and_takes_a_checkpoint(models, editors, tmp_path):
    from landbrush.server.models.sinddm_network import SinDDMNet

    models.folder.give("image-text", str(tiny_clip.saved(tmp_path)))
    folder = Path(models.folder.folder) / "sinddm"
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    net = SinDDMNet(3, 32)
    torch.save(
        {"step": 1, "ema": {f"denoise_fn.{k}": v for k, v in net.state_dict().items()}},
        folder / "model-12.pt",
    )
    given, facts = a_scene(size=96), {}
    editor = editors.get("sinddm")
    options = options_of(editors, "sinddm", checkpoint="model-12.pt", views=1, paraphrases="snow")
    guided = editor.edit(
        given, "snow", options, 0, lambda *a: facts.update((a[4] or {}) if len(a) > 4 else {})
    )
    plain = editor.edit(given, "", options, 0, lambda *_: None)
    assert facts["guided_steps"] > 0 and not np.array_equal(guided, plain)
    assert np.array_equal(guided[:, ~given.mask], given.image[:, ~given.mask])
    for name in ("../model-12.pt", "no.pt"):
        with pytest.raises(WeightsMissing, match="checkpoint"):
            editor.edit(
                given, "", options_of(editors, "sinddm", checkpoint=name), 0, lambda *_: None
            )
    with pytest.raises(CannotEdit, match="bands"):
        editor.edit(
            a_scene(4),
            "",
            options_of(editors, "sinddm", checkpoint="model-12.pt"),
            0,
            lambda *_: None,
        )


@pytest.mark.parametrize("schedule", ["", "fine", "1 -2", "1 nan"])
def test_a_schedule_that_is_none_is_refused(models, editors, tmp_path, schedule):
    models.folder.give("image-text", str(tiny_clip.saved(tmp_path)))
    options = options_of(editors, "text", content="patch diffusion", schedule=schedule)
    with pytest.raises(CannotEdit, match="schedule"):
        editors.get("text").edit(a_scene(), "snow", options, 0, lambda *_: None)


@pytest.mark.parametrize("mode", ["copied content", "finest scale"])
def test_sinddms_other_modes(models, editors, tmp_path, mode):
    from landbrush.server.models.sinddm_network import SinDDMNet

    folder = Path(models.folder.folder) / "sinddm"
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    torch.save(
        {"ema": {f"denoise_fn.{k}": v for k, v in SinDDMNet(3, 32).state_dict().items()}},
        folder / "net.pt",
    )
    given, editor = a_scene(size=96), editors.get("sinddm")
    options = options_of(editors, "sinddm", checkpoint="net.pt", mode=mode)
    out = editor.edit(given, "", options, 0, lambda *_: None)
    assert (
        np.array_equal(out[:, ~given.mask], given.image[:, ~given.mask]) and np.isfinite(out).all()
    )
    assert not np.array_equal(out, given.image)
    bare = Scene(given.image, given.valid, given.mask, given.roles, given.gsd_m, given.origin)
    if mode == "copied content":
        with pytest.raises(CannotEdit, match="source"):
            editor.edit(bare, "", options, 0, lambda *_: None)
    else:
        assert np.array_equal(editor.edit(bare, "", options, 0, lambda *_: None), out)


def test_exemplars_that_are_too_thin_are_refused(editors):
    given = a_scene()
    thin = np.zeros((64, 64), bool)
    thin[30:33] = True
    for content in ("exemplars", "patch diffusion"):
        scene_of = Scene(
            given.image,
            given.valid,
            given.mask,
            given.roles,
            given.gsd_m,
            (0, 0),
            (Patch(given.exemplars[0].image, thin),),
        )
        with pytest.raises(CannotEdit, match="thin"):
            editors.get("text").edit(
                scene_of, "x", options_of(editors, "text", content=content), 0, lambda *_: None
            )


@pytest.mark.parametrize(
    "shape, bands",
    [((6, 900), 3), ((1, 500), 3), ((200, 200), 2), ((200, 200), 5), ((3200, 3200), 3)],
)
def test_text_retrieval_ends_on_any_layer(models, tmp_path, shape, bands):
    import rasterio
    from landbrush.server.raster.bands import Layer
    from landbrush.server.raster.grid import Box
    from landbrush.server.search.find import find_sentences

    values = in_type(scene(bands, *shape), "uint8")
    if shape[0] > 1000:
        values[:, np.arange(shape[0]) % 220 < 8] = (
            0  # strips without data leave no window of twice the size
        )
    path = write(tmp_path / "layer.tif", values, nodata=0)
    model = models.image_text_at(tiny_clip.saved(tmp_path))
    with rasterio.open(path) as dataset:
        area = Box(0, 0, shape[1], shape[0])
        found = find_sentences(model, ["a forest"], Layer.of(dataset, {}), area)
    assert found.hits or found.reason


def test_the_search_route_looks_for_any_words_with_a_model(models, tmp_path, client):
    """Without one only for land covers, and says which."""
    path = a_raster(tmp_path)
    asked = {"raster": {"path": str(path)}, "word": "a collapsed bridge"}
    models.folder.give("image-text", "")
    refused = client.post("/searches", json=asked)
    assert refused.status_code == 400 and "forest" in refused.get_json()["detail"]
    models.folder.give("image-text", str(tiny_clip.saved(tmp_path)))
    found = client.post("/searches", json=asked).get_json()
    assert found["rule"].startswith("image-text model") and (found.get("found") or found["reason"])
    assert (
        client.post("/searches", json={**asked, "word": "grass"}).get_json()["rule"] == "index rule"
    )
