"""VIEScore by a service or a model on this machine: answers, and every way in which a judge
fails."""

from __future__ import annotations

import base64
import io
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import transformers
from landbrush.server import __main__
from landbrush.server.experiments import benchmark
from landbrush.server.experiments.benchmark import Terms, judge, runs
from landbrush.server.ground.errors import BadRequest, ModelNotNamed, WeightsMissing
from landbrush.server.models import vision_language
from landbrush.server.words import endpoint
from PIL import Image

from tests.server import tiny_pipelines
from tests.server.conftest import RGB, in_type, scene, write

CASES = """
seeds = [0]
systems = ["identity", "noise", "snow"]
[[case]]
name = "one"
image = "before.tif"
prompt = "let it snow"
polygon = [[30, 30], [66, 30], [66, 62], [30, 62]]
"""


class Service(BaseHTTPRequestHandler):
    """Answers as `server.script` says: text, a status, or a time to wait; by default good
    scores."""

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.headers.get("Authorization"), body))
        said = (
            self.server.script.pop(0)
            if self.server.script
            else '{"score": [8, 6], "reasoning": "fine"}'
        )
        if isinstance(said, float):
            time.sleep(said)
            said = "too late"
        if isinstance(said, int):
            self.send_response(said)
            self.end_headers()
            self.wfile.write(b"no")
            return
        message = (
            {"role": "assistant", "content": said}
            if said is not None
            else {"role": "assistant", "refusal": "I cannot"}
        )
        content = json.dumps(
            {
                "choices": [{"message": message}],
                "usage": {"prompt_tokens": 900, "completion_tokens": 30},
            }
        )
        if said == "cut off":
            self.wfile.write(b"nonsense\r\n\r\n")
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(content.encode() if said != "broken" else b"<html>")

    def log_message(self, *_):
        pass


@pytest.fixture
def service(models, monkeypatch, tmp_path):
    monkeypatch.setattr(endpoint, "PAUSES_S", (0.0, 0.0, 0.0))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    server.asked, server.script = [], []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    server.url = f"http://127.0.0.1:{server.server_port}/v1"
    models.folder.give("judge", server.url)
    models.folder.give("judge-model", "eyes")
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def plan(tmp_path):
    write(tmp_path / "before.tif", in_type(scene(3, 120, 110), "uint8"), colorinterp=RGB)
    path = tmp_path / "cases.toml"
    path.write_text(CASES)
    return path


def run(editors, plan, folder, **terms):
    page = benchmark.run(
        plan, folder, Terms(editors, judge=judge.SERVICE, agreed=True, **terms), lambda text: None
    )
    found = json.loads((page.parent / "results.json").read_text())
    return {row["system"]: row for row in found["rows"]}, page


def test_a_judge_sees_both_pictures_and_its_scores_are_viescores(editors, service, plan, tmp_path):
    rows, _ = run(editors, plan, tmp_path / "out")
    assert rows["snow"]["cells"]["vie_sc"]["mean"] == rows["snow"]["cells"]["vie_pq"]["mean"] == 6
    assert rows["snow"]["cells"]["vie_o"]["mean"] == pytest.approx(6) and len(service.asked) == 6
    contents = [body["messages"][0]["content"] for _, body in service.asked]
    assert sorted(len(content) for content in contents) == [2, 2, 2, 3, 3, 3]
    # In VIEScore's structure and at its temperature: role and form first, the instruction last.
    assert all(body["model"] == "eyes" and body["temperature"] == 1 for _, body in service.asked)
    texts = [content[-1]["text"] for content in contents]
    assert all(text.startswith("Act as") and '{"score": [' in text for text in texts)
    assert sum(text.endswith("let it snow") for text in texts) == 3
    first = base64.b64decode(contents[0][0]["image_url"]["url"].split(",")[1])
    with Image.open(io.BytesIO(first)) as picture:
        assert picture.format == "JPEG" and min(picture.size) > 80


def test_a_score_is_named_by_how_it_was_asked(editors, service, plan, tmp_path):
    """Never VIEScore: that is its authors' sentences. Another wording is another judge."""
    rows, page = run(editors, plan, tmp_path / "out")
    measures = json.loads((page.parent / "results.json").read_text())["measures"]
    assert "structure in other words" in measures["vie_sc"]["source"]
    assert not measures["vie_sc"]["title"].startswith("VIEScore")
    asked = len(service.asked)
    _, page = run(editors, plan, tmp_path / "out", questions="viescore-landbrush")
    assert len(service.asked) == 2 * asked and service.asked[-1][1]["temperature"] == 0
    measures = json.loads((page.parent / "results.json").read_text())["measures"]
    assert "Landbrush" in measures["vie_sc"]["source"]
    with pytest.raises(BadRequest, match="vie-like"):
        run(editors, plan, tmp_path / "other", questions="nicely")


def test_nothing_is_asked_twice_and_keys_go_nowhere_else(
    editors, service, plan, tmp_path, monkeypatch
):
    monkeypatch.setenv("LANDBRUSH_JUDGE_KEY", "secret")
    run(editors, plan, tmp_path / "out")
    assert {key for key, _ in service.asked} == {"Bearer secret"}
    for path in (tmp_path / "out" / "measured").glob("*.json"):
        path.unlink()
    run(editors, plan, tmp_path / "out")
    assert len(service.asked) == 6
    assert not any(
        "secret" in path.read_text("utf8", "replace")
        for path in (tmp_path / "out").rglob("*.json*")
    )


@pytest.mark.parametrize(
    "script, reason, asked",
    [
        (["I like it: 8 out of 10."] * 6, "no two scores", 6),
        ([None] * 6, "refused", 6),
        (['{"score": [11, 5]}'] * 6, "no two scores", 6),
        (["broken"] * 6, "no answer that can be read", 6),
        (["cut off"] * 18, "cannot be reached", 18),
        ([401] * 6, "answered 401", 6),
        ([503] * 18, "answered 503", 18),
    ],
)
def test_failures_are_missing_values_with_reasons(
    editors, service, plan, tmp_path, script, reason, asked
):
    service.script = list(script)
    rows, page = run(editors, plan, tmp_path / "out")
    assert len(service.asked) == asked
    for row in rows.values():
        assert not {"vie_sc", "vie_pq", "vie_o"} & set(row["cells"]) and row["failed"] == 0
        assert sum(row["unjudged"].values()) == 2 and reason in next(iter(row["unjudged"]))
    assert "Questions that the judge failed at" in (page.parent / "tables.md").read_text()
    # The next run asks again, and what is answered then counts.
    rows, _ = run(editors, plan, tmp_path / "out")
    assert rows["snow"]["cells"]["vie_o"]["cases"] == 1 and not rows["snow"]["unjudged"]


def test_a_judge_that_is_too_slow_or_busy_is_tried_again(
    editors, service, plan, tmp_path, monkeypatch
):
    monkeypatch.setattr(endpoint.Endpoint.complete, "__defaults__", (0.3,))
    service.script = [1.0, 429, '{"score": [9, 9], "reasoning": ""}']
    rows, _ = run(editors, plan, tmp_path / "out")
    assert rows["identity"]["cells"]["vie_sc"]["mean"] == 9 and not rows["identity"]["unjudged"]
    assert len(service.asked) == 6 + 2


def test_one_score_of_two_is_kept_and_no_overall_is_made_up(editors, service, plan, tmp_path):
    service.script = ['{"score": [7, 9]}', "nothing"]
    rows, _ = run(editors, plan, tmp_path / "out")
    assert rows["identity"]["cells"]["vie_sc"]["mean"] == 7
    assert "vie_pq" not in rows["identity"]["cells"] and "vie_o" not in rows["identity"]["cells"]


def test_the_cost_is_said_first_and_agreed_to(service, plan, tmp_path, capsys):
    wanted = [
        "evaluate",
        "cases",
        "--cases",
        str(plan),
        "--output",
        str(tmp_path / "out"),
        "--home",
        str(tmp_path / "home"),
        "--judge",
        "judge",
        "--price",
        "1",
        "10",
    ]
    for kind, value in (("judge", service.url), ("judge-model", "eyes")):
        assert __main__.main(["models", "set", kind, value, "--home", str(tmp_path / "home")]) == 0
    capsys.readouterr()
    assert __main__.main(wanted) == 1
    told = capsys.readouterr().err
    assert "at most 6 questions" in told and "--accept-cost" in told and service.asked == []
    assert not (tmp_path / "out").exists() or not any((tmp_path / "out").iterdir())
    assert __main__.main([*wanted, "--accept-cost"]) == 0 and len(service.asked) == 6
    cost = judge.estimated(1000, (1.0, 10.0))
    assert cost.questions == 2000 and cost.price == pytest.approx(
        (cost.asked_tokens * 1 + cost.said_tokens * 10) / 1e6
    )


@pytest.mark.parametrize("key", ["sk-SECRET\n# a comment", "sk SECRET", "sk-SECRETé"])
def test_a_key_of_another_form_is_refused_and_not_quoted(
    editors, models, service, plan, tmp_path, monkeypatch, key
):
    monkeypatch.setenv("LANDBRUSH_JUDGE_KEY", key)
    with pytest.raises(BadRequest, match="one line of printable") as refused:
        benchmark.run(
            plan,
            tmp_path / "out",
            Terms(editors, judge=judge.SERVICE, agreed=True),
            lambda text: None,
        )
    assert "SECRET" not in str(refused.value)
    monkeypatch.delenv("LANDBRUSH_JUDGE_KEY")
    models.folder.give("judge", "https://user:SECRET@example.org/v1")
    with pytest.raises(BadRequest, match="without user") as refused:
        benchmark.run(
            plan,
            tmp_path / "out",
            Terms(editors, judge=judge.SERVICE, agreed=True),
            lambda text: None,
        )
    assert "SECRET" not in str(refused.value)


def test_who_is_not_named_cannot_judge(editors, models, plan, tmp_path, monkeypatch):
    for kind in (judge.SERVICE, judge.HERE):
        with pytest.raises(ModelNotNamed, match="models set"):
            benchmark.run(plan, tmp_path / "out", Terms(editors, judge=kind), lambda text: None)
    models.folder.give("judge", "ftp://example.org")
    with pytest.raises(BadRequest, match="judge: 'ftp"):
        benchmark.run(
            plan, tmp_path / "out", Terms(editors, judge=judge.SERVICE), lambda text: None
        )
    models.folder.give("vision-language", str(tmp_path / "none"))
    with pytest.raises(WeightsMissing, match="config.json"):
        benchmark.run(plan, tmp_path / "out", Terms(editors, judge=judge.HERE), lambda text: None)


@pytest.fixture
def eyes(tmp_path):
    """A model for pictures and text of the real classes, tiny, with random weights."""
    tokens = tiny_pipelines.clip_tokens(512)
    tokens.add_special_tokens(
        {"additional_special_tokens": ["<image>"], "pad_token": "<|endoftext|>"}
    )
    vision = transformers.CLIPVisionConfig(
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=28,
        patch_size=14,
        projection_dim=16,
    )
    words = transformers.LlamaConfig(
        vocab_size=len(tokens),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=1024,
    )
    config = transformers.LlavaConfig(
        vision_config=vision,
        text_config=words,
        image_token_index=tokens.convert_tokens_to_ids("<image>"),
        image_seq_length=4,
    )
    transformers.LlavaForConditionalGeneration(config).save_pretrained(tmp_path / "eyes")
    reader = getattr(transformers, "CLIPImageProcessorPil", None) or transformers.CLIPImageProcessor
    transformers.LlavaProcessor(
        reader(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}),
        tokens,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=(
            "{% for m in messages %}{% for c in m.content %}{% if c.type == 'image' %}<image>{% "
            "else %}{{ c.text }}"
            "{% endif %}{% endfor %}{% endfor %}"
        ),
    ).save_pretrained(tmp_path / "eyes")
    return tmp_path / "eyes"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_model_on_this_machine_is_asked_and_its_babble_is_no_score(
    editors, eyes, plan, tmp_path, monkeypatch
):
    editors.models.folder.give("vision-language", str(eyes))
    monkeypatch.setattr(vision_language, "LONGEST", 5)
    page = benchmark.run(
        plan, tmp_path / "out", Terms(editors, judge=judge.HERE), lambda text: None
    )
    for record in runs.records(page.parent / "results.jsonl"):
        assert set(record["judged"]["failures"]) == {"vie_sc", "vie_pq"}
        assert all("no two scores" in reason for reason in record["judged"]["failures"].values())
    net = judge._vision_language(editors.models, str(eyes))
    monkeypatch.setattr(net, "answer", lambda question, shown, temperature: '{"score": [5, 4]}')
    page = benchmark.run(
        plan, tmp_path / "out", Terms(editors, judge=judge.HERE), lambda text: None
    )
    rows = {
        row["system"]: row for row in json.loads((page.parent / "results.json").read_text())["rows"]
    }
    assert rows["snow"]["cells"]["vie_o"]["mean"] == pytest.approx(4)
