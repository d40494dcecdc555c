"""MMM-RS's Table 2: systems that draw from words, by a command that may be stopped."""

from __future__ import annotations

import base64
import io
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from landbrush.server import __main__
from landbrush.server.experiments import paper_tables
from landbrush.server.experiments.generation import asked, drawing, report
from landbrush.server.ground.errors import BadRequest
from landbrush.server.store.importing import Arrival, import_model
from landbrush.server.words import endpoint
from landbrush.server.words.endpoint import Endpoint, NoAnswer, patiently
from PIL import Image

from tests.server import tiny_pipelines
from tests.server.conftest import in_type, scene

pytestmark = [pytest.mark.usefixtures("home"), pytest.mark.filterwarnings("ignore")]


class Painter(BaseHTTPRequestHandler):
    """Answers with a grey picture, or as `server.script` says: a status."""

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, body))
        if self.server.script:
            self.send_response(self.server.script.pop(0))
            self.end_headers()
            return
        coded = io.BytesIO()
        Image.fromarray(np.full((64, 64, 3), 90, np.uint8)).save(coded, "PNG")
        answer = {"data": [{"b64_json": base64.b64encode(coded.getvalue()).decode()}]}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def painter(models):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Painter)
    server.asked, server.script = [], []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    models.folder.choose("image-service", f"http://127.0.0.1:{server.server_port}/v1")
    models.folder.choose("image-service-model", "painter-3")
    yield server
    server.shutdown()
    server.server_close()


def brought(models, folder):
    for name in ("sd15", "sd20", "sdxl", "mmm-rs"):
        made = tiny_pipelines.build(name, folder / "published")
        import_model(models.store, Arrival(models.store.entry(name), True), made)


def photos(folder, count=4):
    folder.mkdir()
    for number in range(count):
        pixels = in_type(scene(3, 96, 96, number), "uint8").transpose(1, 2, 0)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


def small(folder):
    """Table 2 with two steps a picture, on canvases of its systems."""
    text = paper_tables.path_of("mmm-rs-2").read_text().replace("steps = 30", "steps = 1")
    text = text.replace('prompts = "mmm-rs-table2.txt"', 'prompts = "two.txt"')
    (folder / "two.txt").write_text("# two\nsnow, a satellite image of a town\n\nfog, a harbour\n")
    (folder / "small.toml").write_text(text.replace("each = 10", "each = 1"))
    return folder / "small.toml"


@pytest.mark.slow
def test_table_two_runs_and_goes_on(models, painter, tmp_path, monkeypatch, capsys):
    brought(models, tmp_path)
    real, elsewhere = photos(tmp_path / "real"), photos(tmp_path / "elsewhere", 2)
    table = small(tmp_path)
    more = f'\n[[system]]\nname = "by hand"\nfolder = {json.dumps(str(elsewhere))}\n'
    table.write_text(table.read_text() + more)
    given = ["evaluate", "generation", "--systems", str(table), "--real", str(real)]
    given += ["--output", str(tmp_path / "out"), "--home", str(tmp_path / "home")]
    assert __main__.main(given) == 1
    assert "--accept-cost" in capsys.readouterr().err and not painter.asked
    given.append("--accept-cost")
    monkeypatch.setattr(endpoint, "PAUSES_S", (0.0, 0.0))
    painter.script = [500] * 4
    assert __main__.main(given) == 0
    first = json.loads((tmp_path / "out" / "report.json").read_text())
    assert "500" in first["not run"]["DALL-E 3"] and first["pictures"]["DALL-E 3"] == 0
    assert all(first["pictures"][name] == 2 for name in ("SD1.5", "SD2.0", "SDXL", "MMM-RS"))
    assert (
        all(first["shown"]["SDXL"])
        and len(first["shown"]["SDXL"]) == 2
        and first["asked"][1] == "fog, a harbour"
    )
    made = {p: p.stat().st_mtime_ns for p in (tmp_path / "out" / "made").rglob("*.png")}
    assert len(made) == 8
    with Image.open(next(p for p in made if "SDXL" in str(p))) as picture:
        assert picture.size == (1024, 1024)  # its native canvas
        assert "Synthetic" in picture.text["Disclaimer"]
    capsys.readouterr()
    assert __main__.main(given) == 0
    told = capsys.readouterr().out
    found = json.loads((tmp_path / "out" / "report.json").read_text())
    assert found["not run"] == "nothing" and found["pictures"]["DALL-E 3"] == 2
    assert all(path.stat().st_mtime_ns == when for path, when in made.items())
    path, body = painter.asked[-1]
    assert path == "/v1/images/generations" and body["model"] == "painter-3"
    assert {body["prompt"] for _, body in painter.asked} == {
        "snow, a satellite image of a town",
        "fog, a harbour",
    }
    for name in ("SD1.5", "SD2.0", "SDXL", "DALL-E 3", "MMM-RS", "by hand"):
        row = found["rows"][name]
        assert row["Frechet distance of EfficientNet-Lite0 features"]["value"] >= 0
        assert f"| {name} | 2 |" in told
    page = (tmp_path / "out" / "index.html").read_text()
    assert page.count("<img ") == 12 and "snow, a satellite image of a town" in page
    assert not any("http" in part.split('"')[0] for part in page.split('src="')[1:])


@pytest.mark.slow
def test_it_is_a_table_of_the_papers_too(models, tmp_path, monkeypatch, capsys):
    brought(models, tmp_path)
    table = small(tmp_path)
    begin, *systems = table.read_text().split("[[system]]")
    few = [one for one in systems if not any(name in one for name in ("SDXL", "SD2.0"))]
    table.write_text("[[system]]".join([begin, *few]))
    monkeypatch.setattr(paper_tables, "path_of", lambda name: table)
    given = ["--table", "mmm-rs-2", "--data", str(photos(tmp_path / "real")), "--most", "2"]
    given += ["--output", str(tmp_path / "out"), "--home", str(tmp_path / "home")]
    assert __main__.main(["evaluate", "cases", *given]) == 0
    found = json.loads((tmp_path / "out" / "report.json").read_text())
    assert found["pictures"]["MMM-RS"] == 4 and "image-service" in found["not run"]["DALL-E 3"]
    with_others = list((tmp_path / "out" / "made").rglob("00000-0001.png"))
    assert len(with_others) == 2
    capsys.readouterr()


def test_a_service_that_is_busy_or_knows_fewer_settings_is_asked_again(
    models, painter, monkeypatch
):
    monkeypatch.setattr(endpoint, "PAUSES_S", (0.0, 0.0, 0.0))
    named = Endpoint.named(models.folder, "image-service")
    painter.script = [503, 429]
    assert patiently(lambda: named.picture("a town")).startswith(b"\x89PNG")
    assert len(painter.asked) == 3
    painter.script = [400]  # its pictures are coded always: it refuses to be told so
    assert patiently(lambda: named.picture("a lake")).startswith(b"\x89PNG")
    first, second = (body for _, body in painter.asked[-2:])
    assert set(first) - set(second) == {"response_format"}
    painter.script = [401] * 9
    with pytest.raises(NoAnswer, match="401"):
        patiently(lambda: named.picture("a lake"))
    assert len(painter.script) == 8  # a refusal is not asked again


def test_another_prompt_is_drawn_anew(tmp_path):
    path = tmp_path / "a.png"
    Image.new("RGB", (8, 8)).save(path, pnginfo=drawing._about("a town", 3))
    assert drawing.is_of(path, "a town", 3)
    assert not drawing.is_of(path, "a lake", 3) and not drawing.is_of(path, "a town", 4)


@pytest.mark.parametrize(
    "text, sentence",
    [
        ("system = 3", r"needs a \[\[system\]\]"),
        ('prompts = "p.txt"', r"needs a \[\[system\]\]"),
        ('prompts = "p.txt"\n[[system]]\nname = "a"', "one of model, service, folder"),
        ('prompts = "p.txt"\n[[system]]\nname = "a"\nmodel = "sd15-inpainting"', "words alone"),
        ('prompts = "p.txt"\n[[system]]\nname = "../a"\nmodel = "sd15"', "is no name"),
        ('prompts = "p.txt"\n[[system]]\nname = "a"\nfolder = "no"', "there is no folder"),
        ('prompts = "no.txt"\n[[system]]\nname = "a"\nmodel = "sd15"', "there is no file"),
        ('[[system]]\nname = "a"\nmodel = "sd15"', "--prompts"),
        ('prompts = "latin.txt"\n[[system]]\nname = "a"\nmodel = "sd15"', "no text in UTF-8"),
        ('each = 0\nprompts = "p.txt"\n[[system]]\nname = "a"\nmodel = "sd15"', "each: 0"),
        (
            'prompts = "p.txt"\n' + '[[system]]\nname = "a"\nmodel = "sd15"\n' * 2,
            "two systems have one name",
        ),
        (
            'prompts = "p.txt"\n[[system]]\nname = "a"\nmodel = "sd15"\noptions = { x = 1 }',
            "no such option",
        ),
    ],
)
def test_a_wrong_request_is_refused_with_its_place(editors, tmp_path, text, sentence):
    (tmp_path / "p.txt").write_text("a town\n")
    (tmp_path / "latin.txt").write_bytes(b"a caf\xe9\n")
    (tmp_path / "t.toml").write_text(text)
    with pytest.raises(BadRequest, match=sentence):
        asked.read(tmp_path / "t.toml", editors, {})


@pytest.mark.parametrize("name, lines", [("table2", 50), ("weather", 16), ("ground-size", 16)])
def test_prompts_that_are_shipped(editors, name, lines):
    found = asked.read(paper_tables.path_of("mmm-rs-2"), editors, {"prompts": f"mmm-rs-{name}.txt"})
    assert len(found.prompts) == len(set(found.prompts)) == lines
    if name == "table2":
        assert len(found.prompts) * found.each == 500  # as published


def test_nothing_is_made_where_nobody_can_draw(tmp_path, capsys):
    given = ["evaluate", "generation", "--output", str(tmp_path / "out")]
    assert __main__.main([*given, "--home", str(tmp_path / "home"), "--each", "1"]) == 1
    assert "No system drew anything" in capsys.readouterr().err
    assert __main__.main([*given, "--real", str(tmp_path / "no")]) == 1
    assert "no folder of real pictures" in capsys.readouterr().err


def test_the_first_picture_of_a_prompt_is_told_by_name_or_by_place(tmp_path):
    made = [
        tmp_path / "made" / f"{name}.png" for name in ("00000-0000", "00002-0000", "00002-0001")
    ]
    assert report.firsts(tmp_path, made, 4) == [made[0], None, made[1], None]
    others = [tmp_path.parent / "by-hand" / name for name in ("b.jpg", "c.jpg")]
    assert report.firsts(tmp_path, others, 3) == [*others, None]
    assert report.firsts(tmp_path, [], 2) == [None, None]
