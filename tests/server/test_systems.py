"""What a benchmark compares: variants under names, the model's own picture beside the product's,
and pictures of kinds out of a folder."""

from __future__ import annotations

import json

import numpy as np
import pytest
from landbrush.server import __main__
from landbrush.server.editors.frame import FIT, GIVEN, SQUARE, WIDTH, Frame, Grid
from landbrush.server.experiments import benchmark, paper_tables
from landbrush.server.experiments.benchmark import Terms, folders, protocol, runs
from landbrush.server.experiments.benchmark.asked import Asked, editor_of, key_of
from landbrush.server.ground.errors import BadRequest
from landbrush.server.store.importing import Arrival, import_model
from PIL import Image

from tests.server import tiny_clip, tiny_pipelines
from tests.server.conftest import RGB, in_type, scene, write

pytestmark = [pytest.mark.usefixtures("home"), pytest.mark.filterwarnings("ignore")]
CASE = """
[[case]]
name = "one"
image = "before.tif"
prompt = "flood the houses"
polygon = [[30, 30], [66, 30], [66, 62], [30, 62]]
"""


def said(_):
    return None


def plan(folder, text, size=(120, 110)):
    write(folder / "before.tif", in_type(scene(3, *size), "uint8"), colorinterp=RGB)
    path = folder / "cases.toml"
    path.write_text(text + CASE)
    return path


def brought(models, folder, *names):
    for name in names:
        made = tiny_pipelines.build(name, folder / "published")
        import_model(models.store, Arrival(models.store.entry(name), True), made)


# ---- variants


def test_a_variant_is_a_row_of_its_own(editors, models, tmp_path):
    first, second = tiny_clip.saved(tmp_path / "a"), tiny_clip.saved(tmp_path / "b")
    models.folder.choose("image-text", str(first))
    models.folder.choose("second-image-text", str(second))
    found = protocol.read(
        plan(
            tmp_path,
            f"""
seeds = [0]
systems = ["identity", "text", "no ensembling", "other clip", "third clip"]
[[system]]
name = "no ensembling"
editor = "text"
options = {{ ensemble = "none", mode = "same layout" }}
[[system]]
name = "other clip"
editor = "text"
uses = {{ image-text = "second-image-text" }}
[[system]]
name = "third clip"
editor = "text"
uses = {{ image-text = {json.dumps(str(first))} }}
""",
        ),
        editors,
    )
    case = found.cases[0]
    assert found.systems == ("identity", "text", "no ensembling", "other clip", "third clip")
    assert editor_of(found, case, Asked("no ensembling", 0)) == (
        "text",
        {"ensemble": "none", "mode": "same layout"},
    )
    other = found.named["other clip"].editors(editors)
    assert other.models.chosen("image-text") == str(second)
    assert editors.models.chosen("image-text") == str(first)
    keys = {name: key_of(editors, found, case, Asked(name, 0)) for name in found.systems}
    assert len(set(keys.values())) == 4 and keys["text"] == keys["third clip"]


@pytest.mark.parametrize(
    "text, sentence",
    [
        ('[[system]]\nname = "a"', "either editor, or model"),
        ('[[system]]\nname = "a"\neditor = "text"\nmodel = "sd15"', "either editor, or model"),
        ('[[system]]\neditor = "text"', "needs a name"),
        ('[[system]]\nname = "snow"\neditor = "snow"', "is taken"),
        ('[[system]]\nname = "a"\neditor = "snow"\noptions = { depth = 1 }', "no such option"),
        ('[[system]]\nname = "a"\neditor = "snow"\nway = "as published"', "no published way"),
        ('[[system]]\nname = "a"\neditor = "text"\nuses = { dino = "x" }', "uses names paths"),
        ('[[system]]\nname = "a"\neditor = "text"\nuses = { language = "no" }', "there is no"),
        ('[[system]]\nname = "a"\nmodel = "kandinsky22-prior"', "no model of an editor"),
        ('systems = ["nobody"]', "no system"),
        ('ways = ["both"]', "no list of"),
        ('ways = ["product", "product"]', "no list of"),
        ('systems = ["snow"]\nsensible = "text"', "none of systems"),
        ('[baselines]\nsnow = "sd15"', "baselines.snow: the name 'snow' is taken"),
        ('[baselines]\nsd = "sd15"\n[options.ds]\nsteps = 2', "options.ds: there is no such"),
        ("[options]\nsnow = 3", "options.snow is a table"),
        ('[baselines]\nsd = "sd15"\n[options.sd]\nstep = 2', "options.sd: .*no such option"),
        ("seeds = [true]", "seeds"),
        ("seeds = [1, 1]", "different whole numbers"),
        (
            'systems = ["sd", "sd, product"]\nways = ["product", "as published"]\n[baselines]\n'
            'sd = "sd15"\n[[system]]\nname = "sd, product"\nmodel = "sd15"\nway = "product"\n',
            "two rows would be called",
        ),
    ],
)
def test_a_system_that_makes_no_sense_is_refused(editors, tmp_path, text, sentence):
    with pytest.raises(BadRequest, match=sentence):
        protocol.read(plan(tmp_path, text), editors)


# ---- the model's own picture


def test_rows_say_which_way_they_are_and_the_sensible_one_is_the_products(editors, tmp_path):
    found = protocol.read(
        plan(
            tmp_path,
            'systems = ["identity", "auto", "snow", "sd"]\nways = ["as published", "product"]\n'
            'sensible = "sd"\n[baselines]\nsd = "sd15"\n',
        ),
        editors,
    )
    # What has no paper has one row.
    assert found.systems == ("identity", "auto", "snow", "sd, as published", "sd, product")
    assert found.sensible == "sd, product"
    assert [found.way(name) for name in found.systems[3:]] == ["as published", "product"]
    assert found.of(found.cases[0]) == list(found.systems)


@pytest.mark.parametrize(
    "shape, rule, sides",
    [
        ((512, 512), FIT, (512, 512)),  # not enlarged for a model of 1024
        ((512, 512), SQUARE, (1024, 1024)),
        ((2048, 1024), FIT, (1024, 512)),
        ((1300, 1500), SQUARE, (1280, 1280)),
        ((600, 900), WIDTH, (704, 1024)),
        ((30, 40), FIT, (64, 64)),
        ((1500, 1280), GIVEN, (1472, 1280)),
    ],
)
def test_canvases_of_papers(shape, rule, sides):
    frame = Frame.published(shape, 0.5, Grid(1024, 64), rule)
    assert frame.inner == frame.outer == sides and frame.source == shape
    assert frame.gsd_m == pytest.approx(0.5 * np.sqrt(shape[0] * shape[1] / (sides[0] * sides[1])))


@pytest.mark.slow
def test_as_published_is_all_the_models_picture_and_the_product_keeps_the_rest(
    editors, models, tmp_path
):
    brought(models, tmp_path, "sd15", "instruct-pix2pix", "sd15-inpainting")
    path = plan(
        tmp_path,
        """
seeds = [0]
systems = ["identity", "redraw", "instruct", "inpaint-sd"]
ways = ["as published", "product"]
sensible = "redraw"
[baselines]
redraw = "sd15"
instruct = "instruct-pix2pix"
inpaint-sd = "sd15-inpainting"
[options.redraw]
steps = 2
[options.instruct]
steps = 2
[options.inpaint-sd]
steps = 2
""",
        (110, 128),
    )
    page = benchmark.run(path, tmp_path / "out", Terms(editors), said)
    records = {one["system"]: one for one in runs.records(page.parent / "results.jsonl")}
    assert not any(one["failure"] for one in records.values()), records
    for name in ("redraw", "instruct", "inpaint-sd"):
        assert records[f"{name}, as published"]["values"]["outside_changed"] > 0.2
        assert records[f"{name}, product"]["values"]["outside_changed"] == 0
    drawn = [Image.open(one) for one in (tmp_path / "out" / "drawn").glob("*.png")]
    assert len(drawn) == 3 and all(one.size == (128, 128) for one in drawn)  # 110 x 128 in cells
    about = json.loads((page.parent / "results.json").read_text())
    assert about["named"]["redraw, as published"]["way"] == "as published"
    assert "redraw, as published" in (page.parent / "tables.md").read_text()


@pytest.mark.slow
def test_a_table_may_fix_the_canvas_of_all_models(editors, models, tmp_path):
    """As RSEdit's benchmark: squares of 512, whatever the picture and the model."""
    brought(models, tmp_path, "instruct-pix2pix", "text2earth")
    head = """
canvas_px = 128
seeds = [0]
systems = ["instruct", "earth"]
ways = ["as published"]
[baselines]
instruct = "instruct-pix2pix"
earth = "text2earth"
[options.instruct]
steps = 2
[options.earth]
steps = 2
"""
    page = benchmark.run(plan(tmp_path, head), tmp_path / "out", Terms(editors), said)
    assert not any(one["failure"] for one in runs.records(page.parent / "results.jsonl"))
    drawn = [Image.open(one).size for one in (tmp_path / "out" / "drawn").glob("*.png")]
    assert drawn == [(128, 128)] * 2
    with pytest.raises(BadRequest, match="canvas_px"):
        protocol.read(plan(tmp_path, "canvas_px = -1\n" + head.split("\n", 2)[2]), editors)


def test_rsedits_tables_take_the_first_sentence_and_squares_of_512(editors, tmp_path):
    place = tmp_path / "images" / "test"
    for side in ("A", "B"):
        (place / side).mkdir(parents=True)
        for name in ("a", "b"):
            Image.new("RGB", (256, 256)).save(place / side / f"{name}.png")
    said = [{"raw": f" {text} . "} for text in ("a road is built", "there is a road", "x")]
    images = [
        {"filename": "a.png", "split": "test", "sentences": said},
        {"filename": "b.png", "split": "test", "sentences": []},
    ]
    (tmp_path / "LevirCCcaptions.json").write_text(json.dumps({"images": images}))
    found = protocol.read(paper_tables.path_of("rsedit-3"), editors, protocol.Data(tmp_path))
    assert [case.prompt for case in found.cases] == [
        "a road is built .",
        "Apply the change described in the image pair.",
    ]
    assert found.canvas_px == 512


# ---- pictures of kinds


def aid(folder):
    """AID and HRSC2016-MS as they are laid out, in small."""
    for kind in ("Forest", "Bridge", "River", "SparseResidential", "StorageTanks"):
        place = folder / "AID" / kind
        place.mkdir(parents=True)
        for number in range(3):
            pixels = in_type(scene(3, 72, 72, number), "uint8").transpose(1, 2, 0)
            Image.fromarray(pixels).save(place / f"{kind.lower()}_{number}.jpg")
    ships = folder / "HRSC2016-MS"
    (ships / "AllImages").mkdir(parents=True)
    (ships / "Annotations").mkdir()
    pixels = in_type(scene(3, 80, 96, 9), "uint8").transpose(1, 2, 0)
    Image.fromarray(pixels).save(ships / "AllImages" / "100000001.bmp")
    (ships / "Annotations" / "100000001.xml").write_text(
        "<annotation><object><name>ship</name><bndbox><xmin>20</xmin><ymin>30</ymin>"
        "<xmax>60</xmax><ymax>50</ymax></bndbox></object></annotation>"
    )
    return folder


def test_han_1_asks_its_six_cases_of_folders(editors, tmp_path):
    table = paper_tables.path_of("han-1")
    found = protocol.read(table, editors, protocol.Data(aid(tmp_path)))
    assert [case.name for case in found.cases] == [
        f"{kind} 1" for kind in ("forest", "bridge", "river", "house", "storage", "ship")
    ]
    assert [case.prompt for case in found.cases][::5] == [
        "A fire in the forest",
        "Big holes on deck",
    ]
    assert [case.polygon is None for case in found.cases] == [True] * 3 + [False] * 3
    assert found.cases[5].polygon == [[20, 30], [60, 30], [60, 50], [20, 50]]
    assert found.cases[3].polygon[0] == pytest.approx([72 * 0.325] * 2)
    names = {one.base for one in found.named.values()}
    assert names == {"Han et al.", "text", "stable-diffusion", "kandinsky"}  # not Text2Earth
    assert found.named["kandinsky, as published"].model == "kandinsky21-inpainting"
    assert found.named["Han et al."].options["momentum"] == 0.05
    more = protocol.read(table, editors, protocol.Data(tmp_path, most=2))
    assert len(more.cases) == 11  # of one ship there is one


def test_folders_that_do_not_fit_are_refused(editors, tmp_path):
    aid(tmp_path)
    with pytest.raises(BadRequest, match="folder called Harbour"):
        folders.pictures_of(tmp_path, ["Harbour"], 1)
    path = tmp_path / "HRSC2016-MS" / "Annotations" / "100000001.xml"
    path.write_text('<!DOCTYPE x [<!ENTITY a "b">]><annotation>&a;</annotation>')
    with pytest.raises(BadRequest, match="document type"):
        protocol.read(paper_tables.path_of("han-1"), editors, protocol.Data(tmp_path))
    path.write_text("<annotation>")
    with pytest.raises(BadRequest, match="cannot be read as an annotation"):
        protocol.read(paper_tables.path_of("han-1"), editors, protocol.Data(tmp_path))
    path.write_text("<annotation><object/></annotation>")  # no box: the picture's middle
    found = protocol.read(paper_tables.path_of("han-1"), editors, protocol.Data(tmp_path))
    assert found.cases[5].polygon[0] == pytest.approx([96 * 0.325, 80 * 0.325])
    with pytest.raises(BadRequest, match="--data"):
        protocol.read(paper_tables.path_of("han-1"), editors)
    for wrong in ('"a"', "true", "0", "1.5"):
        text = paper_tables.path_of("han-1").read_text().replace("0.35", wrong)
        (tmp_path / "wrong.toml").write_text(text)
        with pytest.raises(BadRequest, match="middle = "):
            protocol.read(tmp_path / "wrong.toml", editors, protocol.Data(tmp_path))


@pytest.mark.slow
def test_han_1_runs_on_tiny_weights(models, tmp_path, capsys):
    brought(models, tmp_path, "sd15-inpainting", "kandinsky21-prior", "kandinsky21-inpainting")
    models.folder.choose("image-text", str(tiny_clip.saved(tmp_path)))
    text = paper_tables.path_of("han-1").read_text().replace("seeds = [0, 1, 2]", "seeds = [0]")
    text = text.replace(
        '"published", steps = 12000, width = "160"', '"fast", steps = 2, width = "32", views = 1'
    )
    text = text.replace('["as published", "product"]', '["as published"]')
    text = text.replace("{ steps = 50 }", "{ steps = 2 }").replace(
        "{ steps = 100 }", "{ steps = 2 }"
    )
    text = text.replace("[[case]]", "[options.text]\nviews = 1\n\n[[case]]", 1)
    (tmp_path / "small.toml").write_text(text)
    given = ["--cases", str(tmp_path / "small.toml"), "--data", str(aid(tmp_path / "data"))]
    given += ["--output", str(tmp_path / "out"), "--home", str(tmp_path / "home")]
    assert __main__.main(["evaluate", "cases", *given]) == 0
    records = list(runs.records(tmp_path / "out" / "results.jsonl"))
    made = {(one["case"], one["system"]) for one in records if not one["failure"]}
    for system in ("Han et al.", "stable-diffusion", "kandinsky"):
        assert ("ship 1", system) in made, [one for one in records if one["failure"]]
    assert all("clip_score" in one["values"] for one in records if not one["failure"])
    capsys.readouterr()


# ---- what a table takes


@pytest.mark.parametrize(
    "text, sentence",
    [
        ('needs = "dino"', "needs is a list"),
        ('needs = ["dinosaur"]', "'dinosaur' is no kind"),
        ("system = 3", "each system is a table"),
        ("baselines = 3", "baselines is a table"),
        ("data = 3", "data is a table"),
    ],
)
def test_a_dry_run_of_a_wrong_table_says_what_is_wrong(models, tmp_path, text, sentence):
    (tmp_path / "t.toml").write_text(text)
    with pytest.raises(BadRequest, match=sentence):
        paper_tables.needs(models, tmp_path / "t.toml", None, None)


@pytest.mark.parametrize(
    "table, option",
    [
        ("rsedit-1", ["--inception", "a.pth"]),
        ("han-2", ["--judge", "judge"]),
        ("han-2", ["--most", "3"]),
        ("mmm-rs-2", ["--part", "val"]),
        ("mmm-rs-2", ["--price", "1", "2"]),
    ],
)
def test_an_option_that_a_table_has_no_use_for_is_refused(tmp_path, capsys, table, option):
    given = ["--table", table, "--data", str(tmp_path), "--home", str(tmp_path / "home"), *option]
    assert __main__.main(["evaluate", "cases", *given, "--output", str(tmp_path / "out")]) == 1
    assert f"{option[0]} does not go with {table}.toml" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_what_goes_with_a_network_or_a_service_is_told(models, tmp_path):
    (tmp_path / "t.toml").write_text('needs = ["damage", "judge"]\n[data]\nname = "pairs"\n')
    models.folder.choose("judge", "http://127.0.0.1:9/v1")
    told = {one.what: one for one in paper_tables.needs(models, tmp_path / "t.toml", None, None)}
    assert not told["the package torchange, for F1 of damage"].here
    assert told["judge"].here and not told["judge-model"].here
    models.folder.choose("judge-model", "a-name-7b")
    found = paper_tables.needs(models, tmp_path / "t.toml", None, None)
    assert next(one for one in found if one.what == "judge-model").here


def test_cases_that_bring_their_pictures_need_no_data(models, tmp_path):
    (tmp_path / "t.toml").write_text(CASE)
    assert not any(
        "data" in one.what for one in paper_tables.needs(models, tmp_path / "t.toml", None, None)
    )


@pytest.mark.parametrize("name", sorted(paper_tables.names()))
def test_a_dry_run_says_what_is_missing_and_runs_nothing(name, tmp_path, capsys):
    given = ["--table", name, "--dry-run", "--home", str(tmp_path / "home")]
    assert __main__.main(["evaluate", "cases", *given, "--output", str(tmp_path / "out")]) == 0
    told = capsys.readouterr().out
    assert "MISSING" in told and "are missing, about" in told and "--data FOLDER" in told
    assert not (tmp_path / "out").exists()
    for line in told.splitlines():
        if line.startswith("MISSING  model"):
            assert " GB: landbrush-server models " in line, line
    assert __main__.main(["evaluate", "cases", *given[:2], "--home", str(tmp_path / "home")]) == 1
    assert "--output" in capsys.readouterr().err


@pytest.mark.slow
def test_a_dry_run_counts_what_is_here(models, tmp_path, capsys):
    brought(models, tmp_path, "sd15-inpainting", "kandinsky21-prior", "kandinsky21-inpainting")
    models.folder.choose("image-text", str(tiny_clip.saved(tmp_path / "a")))
    models.folder.choose("second-image-text", str(tiny_clip.saved(tmp_path / "b")))
    given = ["--table", "han-1", "--dry-run", "--home", str(tmp_path / "home")]
    assert __main__.main(["evaluate", "cases", *given, "--data", str(aid(tmp_path / "d"))]) == 0
    told = capsys.readouterr().out
    assert "MISSING" not in told and "All " in told
