"""What a raster says of edits, on the command line."""

import json

import pytest
from landbrush.server import __main__
from landbrush.server.contract.requests import EditRequest
from landbrush.server.editing.path import Job, edit
from landbrush.server.raster import tiff_tags
from landbrush.server.raster.rasters import Rasters
from landbrush.server.raster.source_type import EDITED, MADE, with_source_type

from tests.server.conftest import ring, square


def edited(editors, path, folder, process, pixels, **output):
    folder.mkdir()
    body = {
        "raster": {"path": str(path)},
        "polygons": {"geometry": ring(path, pixels)},
        "output": {"area": "layer", **output},
        "prompt": "secret plan",
    }
    edit(Job(EditRequest.from_json(body), process, Rasters(path)), editors, folder, lambda *_: None)
    return folder / "result.tif"


def inspected(path, capsys, *more):
    code = __main__.main(["inspect", str(path), *more])
    return code, capsys.readouterr().out


def test_two_edits_are_told_with_their_place(editors, rgb, tmp_path, capsys):
    first = edited(editors, rgb, tmp_path / "a", "snow", square(20, 20, 60, 60))
    second = edited(editors, first, tmp_path / "b", "fog", square(100, 100, 140, 140))
    code, text = inspected(second, capsys)
    assert code == 0 and "is synthetic: 12.50% of its pixels" in text and "secret" not in text
    assert "edit 1: snow" in text and "edit 2: fog" in text and EDITED in text
    told = json.loads(inspected(second, capsys, "--json")[1])
    assert [one["editor"] for one in told["edits"]] == ["snow", "fog"]
    assert told["area"]["type"] == "MultiPolygon" and told["crs"] == "EPSG:32617"


def test_a_prompt_is_told_where_the_file_has_it(editors, rgb, tmp_path, capsys):
    path = edited(editors, rgb, tmp_path / "a", "snow", square(20, 20, 60, 60), keep_request=True)
    assert "prompt secret plan" in inspected(path, capsys)[1]


def test_a_raster_that_says_nothing_is_not_called_real(rgb, capsys):
    code, text = inspected(rgb, capsys)
    assert code == 3 and "does not prove" in text


@pytest.mark.parametrize("term", [EDITED, MADE])
def test_what_another_program_discloses_counts(rgb, capsys, term):
    tiff_tags.set_xmp(rgb, with_source_type("", term).encode())
    code, text = inspected(rgb, capsys)
    assert code == 0 and term in text and "does not say where" in text


def test_a_file_that_is_none_is_named(tmp_path, capsys):
    assert __main__.main(["inspect", str(tmp_path / "none.tif")]) == 1
    assert "none.tif" in capsys.readouterr().err


def test_it_is_told_over_http(client, editors, rgb, tmp_path):
    path = edited(editors, rgb, tmp_path / "a", "snow", square(20, 20, 60, 60))
    told = client.post("/inspections", json={"raster": {"path": str(path)}}).get_json()
    assert told["synthetic"] and told["edits"][0]["editor"] == "snow" and told["area"]
    told = client.post("/inspections", json={"raster": {"path": str(rgb)}}).get_json()
    assert not told["synthetic"] and "does not prove" in told["said"][0]
    assert client.post("/inspections", json={"raster": {"path": "/etc/passwd"}}).status_code == 403
