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
    path, hole = around(tmp_path, 16, 110)
    report = made(
        path, tmp_path / "out", "remove", polygons={"geometry": hole}, options={"guard": False}
    )
    assert report["editor_facts"]["candidates"] >= 3 and report["editor_facts"]["repeated"] > 0.6
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


def test_ample_ground_is_filled_without_a_word(rgb, tmp_path):
    report = made(
        rgb, tmp_path / "out", "remove", polygons={"geometry": ring(rgb, square(64, 64, 96, 96))}
    )
    facts = report["editor_facts"]
    assert facts["repeated"] < 0.5 and facts["way"] and not report["notes"], report["notes"]


def test_of_several_tries_the_one_that_shows_least_is_taken():
    from landbrush.server.synthesis.remove import (
        GOOD,
        OTHER_SEED,
        PATCHWISE,
        SHOWING,
        Removed,
        RemoveSettings,
        chosen,
    )
    from landbrush.server.synthesis.verdict import Verdict

    def removed(mark, grain):
        return Removed(
            np.full((1, 2, 2), mark, np.float32), 0.0, PATCHWISE, Verdict(1, grain, 1, 1, 0)
        )

    class Tried:
        settings = RemoveSettings()
        asked: list

        def __init__(self, patchwise, pieces):
            self.patchwise = patchwise
            self.pieces = pieces
            self.asked = []

        def ground(self):
            return 10**6, 10**6

        def verdict(self, image):
            return Verdict(1, self.pieces, 1, 1, 0)

        def filled(self, seed, on_stage=None):
            self.asked.append(seed)
            return removed(seed, self.patchwise.get(seed, 0.01))

        def in_pieces(self, seed):
            return removed(-1, self.pieces)

    bad = 0.01
    first = Tried({0: 1.0}, bad)
    assert chosen(first, 0)[0].image[0, 0, 0] == 0 and first.asked == [0], "good enough at once"
    assert chosen(Tried({0: bad}, 1.0), 0)[0].image[0, 0, 0] == -1, "pieces show less"
    hard = Tried({0: bad, OTHER_SEED: 0.9, 2 * OTHER_SEED: bad}, bad)
    best, tries = chosen(hard, 0)
    assert best.image[0, 0, 0] == OTHER_SEED and hard.asked == [0, OTHER_SEED] and tries == 3
    assert best.shows < SHOWING and GOOD < SHOWING


def test_a_removal_is_left_off_at_whichever_stage_it_is_dismissed():
    from landbrush.server.ground.errors import Dismissed
    from landbrush.server.synthesis.pyramid import Level
    from landbrush.server.synthesis.remove import Removal, chosen

    image = scene(3, 120, 120, 1).astype(np.float32)
    hole = np.zeros((120, 120), bool)
    hole[40:80, 40:80] = True
    window = Level(image, hole, np.ones_like(hole))
    stages = []
    _, tries = chosen(Removal(window), 0, lambda *stage: stages.append(stage))
    assert tries > 1 and len(stages) > 3
    for last in (1, len(stages) // 2, len(stages)):
        heard = []

        def on_stage(step, total, last=last, heard=heard):
            heard.append(step)
            if len(heard) == last:
                raise Dismissed

        with pytest.raises(Dismissed):
            chosen(Removal(window), 0, on_stage)
        assert len(heard) == last


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
