"""The blind rating page: what it shows, what it hides, what comes back."""

from __future__ import annotations

import base64
import io
import json
import re

import pytest
from landbrush.server import __main__
from landbrush.server.experiments import questionnaire
from landbrush.server.experiments.questionnaire import answers, make, serving
from landbrush.server.ground.errors import BadRequest
from PIL import Image

COLOURS = {"sinddm, as published": (200, 0, 0), "kandinsky": (0, 200, 0), "sd": (0, 0, 200)}


@pytest.fixture
def results(tmp_path):
    """A benchmark's folder: two cases, three systems, a seed more, a failure, a reference."""
    folder = tmp_path / "results"
    (folder / "pictures").mkdir(parents=True)
    records = []
    prompts = {}
    for case, prompt in (("forest", "A fire in the </script> forest"), ("ship", "Holes on deck")):
        prompts[case] = prompt
        Image.new("RGB", (600, 400), (90, 90, 90)).save(folder / f"pictures/{case}-before.jpg")
        for system, colour in {**COLOURS, "reference": (1, 1, 1), "noise": (2, 2, 2)}.items():
            for seed in (0, 1):
                picture = f"pictures/{case}-{system}-{seed}.jpg"
                Image.new("RGB", (600, 400), colour).save(folder / picture, comment=system)
                records.append(
                    {
                        "case": case,
                        "system": system,
                        "seed": seed,
                        "picture": picture,
                        "beside": f"pictures/{case}",
                        "failure": "broke" if (case, system) == ("ship", "sd") else "",
                    }
                )
    (folder / "results.jsonl").write_text("".join(json.dumps(one) + "\n" for one in records))
    (folder / "results.json").write_text(json.dumps({"prompts": prompts}))
    return folder


def shown(page):
    text = page.read_text()
    data = re.search(r'<script id="data" type="application/json">(.*?)</script>', text, re.DOTALL)
    return text, json.loads(data.group(1))


def rows(key, marks, respondent="anna", group="expert"):
    """A CSV of the marks (fidelity, satisfaction) by system, for every picture."""
    lines = [",".join(questionnaire.COLUMNS)]
    for token, about in key["pictures"].items():
        lines.append(",".join(map(str, (respondent, group, 1, token, *marks[about["system"]]))))
    return "\n".join(lines) + "\n"


MARKS = {"sinddm, as published": (5, 4), "kandinsky": (2, 1), "sd": (3, 3)}


def test_the_page_holds_all_and_names_nobody(results, tmp_path):
    page = make.make(results, tmp_path / "q", make.Asked())
    text, data = shown(page)
    assert [case["request"] for case in data["cases"]] == [
        "A fire in the </script> forest",
        "Holes on deck",
    ]
    assert [len(case["pictures"]) for case in data["cases"]] == [3, 2]
    hidden = text.replace("reference", "").lower()
    assert not any(name in hidden for name in ("sinddm", "kandinsky", "forest-", "noise"))
    assert "http://" not in text and "https://" not in text  # nothing is fetched
    key = json.loads((tmp_path / "q" / "key.json").read_text())["pictures"]
    for case in data["cases"]:
        for picture in case["pictures"]:
            raw = base64.b64decode(picture["data"])
            assert b"sinddm" not in raw and b"kandinsky" not in raw
            with Image.open(io.BytesIO(raw)) as seen:
                assert max(seen.size) <= make.LONGEST_PX
                wanted = COLOURS[key[picture["id"]]["system"]]
                assert max(abs(a - b) for a, b in zip(seen.getpixel((9, 9)), wanted)) < 12
    orders = []
    for seed in range(6):
        made = make.make(results, tmp_path / f"q{seed}", make.Asked(seed=seed))
        told = json.loads((made.parent / "key.json").read_text())["pictures"]
        _, data = shown(made)
        orders.append(tuple(told[one["id"]]["system"] for one in data["cases"][0]["pictures"]))
    assert len(set(orders)) > 1
    assert len(shown(make.make(results, tmp_path / "few", make.Asked(most=1)))[1]["cases"]) == 1


def test_answers_are_summed_with_intervals_by_group_and_case(results, tmp_path, capsys):
    page = make.make(results, tmp_path / "q", make.Asked(title="Which is best?"))
    key = json.loads((page.parent / "key.json").read_text())
    for number in range(4):
        group = "expert" if number < 2 else "lay"
        more = {name: (min(f + number % 2, 5), s) for name, (f, s) in MARKS.items()}
        (tmp_path / f"{number}.csv").write_text(rows(key, more, f"p{number}", group))
    # Sent and saved: counted once.
    (tmp_path / "q" / "answers").mkdir()
    (tmp_path / "q" / "answers" / "x.csv").write_text(rows(key, MARKS, "p0"))
    files = [str(tmp_path / f"{number}.csv") for number in range(4)]
    assert __main__.main(["evaluate", "questionnaire", "sum", str(tmp_path / "q"), *files]) == 0
    told = capsys.readouterr().out
    found = json.loads((tmp_path / "q" / "results.json").read_text())
    assert found["ratings"] == 4 * 5 and found["respondents"] == {"expert": 2, "lay": 2}
    row = found["rows"]["kandinsky"]
    assert row["fidelity"]["mean"] == 2.5 and row["satisfaction"]["mean"] == 1
    assert row["score"]["mean"] == 1.75 and row["score"]["low"] <= 1.75 <= row["score"]["high"]
    assert row["score"]["low"] < row["score"]["high"]
    assert set(found["cases"]["kandinsky"]) == {"forest", "ship"}
    assert "by 2 experts and 2 others" in told and "| sinddm, as published | 5.00" in told


@pytest.mark.parametrize(
    "spoil, sentence",
    [
        (lambda text: text.replace("respondent,", "who,"), "columns"),
        (lambda text: text.replace(",expert,", ",boss,"), "line 2: the group 'boss'"),
        (lambda text: text.replace(",5,4", ",6,4"), "fidelity: '6'"),
        (lambda text: text.replace(",5,4", ",5,"), "satisfaction: ''"),
        (lambda text: text.replace(",5,4", ",5,-1"), "satisfaction: '-1'"),
        (lambda text: text + "anna,expert,1,nobody,1,1\n", "not of this questionnaire"),
    ],
)
def test_answers_that_make_no_sense_are_refused(results, tmp_path, spoil, sentence):
    page = make.make(results, tmp_path / "q", make.Asked())
    key = answers.key_in(page.parent)
    with pytest.raises(BadRequest, match=sentence):
        answers.read(spoil(rows(key, MARKS)), key, "a.csv")


def test_folders_that_are_something_else(results, tmp_path, capsys):
    with pytest.raises(BadRequest, match="holds no pictures"):
        make.make(tmp_path, tmp_path / "q", make.Asked())
    with pytest.raises(BadRequest, match="no questionnaire"):
        answers.key_in(results)
    make.make(results, tmp_path / "q", make.Asked())
    assert __main__.main(["evaluate", "questionnaire", "sum", str(tmp_path / "q")]) == 1
    assert "Nobody has answered" in capsys.readouterr().err
    given = ["evaluate", "questionnaire", "make", str(results), "--output", str(tmp_path / "q")]
    assert __main__.main(given) == 1
    assert "not empty" in capsys.readouterr().err


def test_a_page_that_would_be_too_large_is_refused(results, tmp_path, monkeypatch):
    monkeypatch.setattr(make, "LARGEST_BYTES", 1000)
    with pytest.raises(BadRequest, match="--most"):
        make.make(results, tmp_path / "q", make.Asked())


def test_the_server_gives_the_page_alone_and_keeps_what_is_right(results, tmp_path):
    page = make.make(results, tmp_path / "q", make.Asked())
    key = answers.key_in(page.parent)
    client = serving.app_of(page.parent, "secret").test_client()
    seen = client.get("/secret/")
    assert seen.status_code == 200 and 'data-send="answers"' in seen.text
    assert "default-src 'none'" in seen.headers["Content-Security-Policy"]
    for path in ("/", "/key.json", "/secret/key.json", "/secret/../key.json", "/other/"):
        assert client.get(path).status_code == 404
    assert client.post("/secret/answers", data="a,b\n1,2\n").status_code == 400
    assert client.post("/secret/answers", data=",".join(questionnaire.COLUMNS)).status_code == 400
    assert client.post("/secret/answers", data="x" * 3_000_000).status_code == 413
    assert not (page.parent / "answers").exists()
    sent = client.post("/secret/answers", data=rows(key, MARKS))
    assert sent.status_code == 201 and sent.get_json()["thanks"] == "5 ratings"
    assert len(list((page.parent / "answers").glob("*.csv"))) == 1


def test_pictures_of_a_generation_are_asked_about_too(tmp_path):
    from pathlib import Path

    from landbrush.server.experiments.generation import _place, drawing
    from landbrush.server.experiments.generation.report import firsts

    made = tmp_path / "results" / "made"
    files: dict[str, list[Path]] = {}
    for system in ("SDXL-abcdef12", "MMM-RS-12345678"):
        for number, prompt in enumerate(("a town", "a lake")):
            path = made / system / f"{number:05d}-0000.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (64, 64)).save(path, pnginfo=drawing._about(prompt, 0))
            files.setdefault(system[:-9], []).append(path)
    # One of another maker, whose order is that of the prompts; it has one picture too few.
    Image.new("RGB", (64, 64)).save(tmp_path / "x.jpg")
    files["by hand"] = [tmp_path / "x.jpg"]
    told = {
        name: [
            _place(path, tmp_path / "results") if path else ""
            for path in firsts(tmp_path / "results", paths, 2)
        ]
        for name, paths in files.items()
    }
    assert told["by hand"] == ["../x.jpg", ""]
    assert told["SDXL"][0] == "made/SDXL-abcdef12/00000-0000.png"
    report = {"asked": ["a town", "a lake"], "shown": told}
    (tmp_path / "results" / "report.json").write_text(json.dumps(report))
    page = make.make(tmp_path / "results", tmp_path / "q", make.Asked())
    _, data = shown(page)
    assert [case["request"] for case in data["cases"]] == ["a town", "a lake"]
    assert all(case["source"] == "" for case in data["cases"])
    assert [len(case["pictures"]) for case in data["cases"]] == [3, 2]
    key = answers.key_in(page.parent)
    assert {one["system"] for one in key["pictures"].values()} == {"SDXL", "MMM-RS", "by hand"}
