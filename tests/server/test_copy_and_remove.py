"""Copies of objects, holes with too little ground around, and fills that repeat themselves."""

from __future__ import annotations

import json

import numpy as np
import pytest
from landbrush.server import __main__ as command
from landbrush.server.ground.errors import CannotEdit, OutsideRaster

from tests.server.conftest import in_type, ring, scene, square, write
from tests.server.edits import A, made


def test_copy_keeps_the_object_by_default(editors):

    method = next(option for option in editors.get("copy").info.options if option.name == "method")
    assert method.default == "gradients" and set(method.choices) == {"gradients", "patch diffusion"}


def around(tmp_path, rim, side, seed=0):
    """An image that is a hole with a rim of textured ground, and the polygon of the hole."""
    path = write(
        tmp_path / f"rim{rim}.tif", in_type(scene(3, side + 2 * rim, side + 2 * rim, seed), "uint8")
    )
    return path, ring(path, square(rim, rim, rim + side, rim + side))


@pytest.mark.parametrize(("rim", "side"), [(12, 90), (10, 60), (14, 120)])
def test_remove_refuses_where_a_quarter_of_the_hole_is_not_there_to_copy(tmp_path, rim, side):
    path, hole = around(tmp_path, rim, side)
    with pytest.raises(
        CannotEdit, match=r"less than a quarter.*Draw a smaller polygon.*Fill like there"
    ):
        made(
            path, tmp_path / "out", "remove", polygons={"geometry": hole}, options={"guard": False}
        )


def test_a_fill_that_repeats_itself_is_tried_again_and_told(tmp_path, capsys):
    path, hole = around(tmp_path, 20, 100)
    report = made(
        path, tmp_path / "out", "remove", polygons={"geometry": hole}, options={"guard": False}
    )
    assert report["editor_facts"]["candidates"] == 3 and report["editor_facts"]["repeated"] > 0.6
    assert any("repeats itself and may show stripes" in note for note in report["notes"])
    (tmp_path / "p.geojson").write_text(json.dumps({**hole}))
    wish = [
        "--polygons",
        str(tmp_path / "p.geojson"),
        "--crs",
        "EPSG:32617",
        "--editor",
        "remove",
        "--option",
        "guard=false",
    ]
    assert (
        command.main(
            [
                "edit",
                str(path),
                *wish,
                "--output",
                str(tmp_path / "o.tif"),
                "--home",
                str(tmp_path / "home"),
            ]
        )
        == 0
    )
    assert "may show stripes" in capsys.readouterr().out


def test_ample_ground_is_filled_once_and_without_a_word(rgb, tmp_path):
    report = made(
        rgb, tmp_path / "out", "remove", polygons={"geometry": ring(rgb, square(64, 64, 96, 96))}
    )
    assert "repeated" not in report["editor_facts"] and not any(
        "stripes" in note for note in report["notes"]
    )


def test_of_several_tries_the_least_repeated_is_taken(monkeypatch):
    from landbrush.server.editors import remove as editor
    from landbrush.server.synthesis.remove import Removed

    shares = {0: 0.9, editor.OTHER_SEED: 0.7, 2 * editor.OTHER_SEED: 0.8}

    class Tried:
        def filled(self, seed, on_step):
            on_step(1, 1)
            return Removed(np.full((1, 2, 2), seed, np.float32), shares[seed])

    told = []
    picture = editor._best(Tried(), 0, lambda *a: told.append(a))
    assert picture[0, 0, 0] == editor.OTHER_SEED and "70%" in told[-1][4]["notes"][0]
    shares[editor.OTHER_SEED] = 0.3
    told.clear()
    assert editor._best(Tried(), 0, lambda *a: told.append(a))[0, 0, 0] == editor.OTHER_SEED
    assert not any(len(step) > 4 and step[4]["notes"] for step in told), (
        "it was mended, so there is nothing to say"
    )


def test_a_small_exemplar_for_much_ground_is_told(rgb, tmp_path):
    report = made(
        rgb,
        tmp_path / "out",
        "fill",
        polygons={"geometry": ring(rgb, square(40, 40, 150, 150))},
        exemplar={"polygons": {"geometry": ring(rgb, square(4, 4, 34, 34))}},
    )
    assert any("so it repeats" in note for note in report["notes"]), report["notes"]


def test_copy_says_what_its_exemplar_is(rgb, tmp_path):
    body = {
        "polygons": {"geometry": ring(rgb, A)},
        "exemplar": {"polygons": {"geometry": ring(rgb, square(10, 110, 30, 130))}},
    }
    report = made(rgb, tmp_path / "out", "copy", **body)
    assert any("smaller than the polygon" in note for note in report["notes"])
    body["exemplar"]["polygons"]["geometry"] = ring(rgb, square(35, 35, 65, 65))
    with pytest.raises((CannotEdit, OutsideRaster), match="inside the edited polygons"):
        made(rgb, tmp_path / "out", "copy", **body)
