"""An edit that does not look like what was asked for is tried again, and told."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from landbrush.server.contract.manifest import Quality
from landbrush.server.contract.requests import EditRequest
from landbrush.server.editing import path as main_path
from landbrush.server.editing import tries
from landbrush.server.editing.path import Job
from landbrush.server.ground.errors import BadRequest, CannotEdit
from landbrush.server.raster.rasters import Rasters

from tests.server.conftest import RGB, in_type, inputs, square, write
from tests.server.towns import town


def asked(tmp_path, prompt, **more):
    image, *_ = town()
    path = write(tmp_path / "a.tif", in_type(image, "uint8"), colorinterp=RGB)
    wanted = inputs(path, square(40, 40, 220, 220), prompt=prompt, output={"area": "layer"}, **more)
    return Job(EditRequest.from_json(wanted), "auto", Rasters(path))


@pytest.mark.parametrize("shares", [(0.0, 0.4), (0.0, 0.05, 0.9), (0.1, 0.0, 0.12)])
def test_the_best_try_is_kept_and_a_bad_one_is_told(monkeypatch, editors, tmp_path, shares):
    """The judge is replaced: what it says of each try in turn."""
    said = iter(shares)
    assess = main_path.assess

    def judged(*given):
        found = assess(*given)
        return type(found)(
            found.outside_changed, found.rim_colour, found.rim_gradient, found.changed_inside,
            next(said), found.said,
        )  # fmt: skip

    monkeypatch.setattr(main_path, "assess", judged)
    folder = tmp_path / "job"
    folder.mkdir()
    heard = []
    manifest = tries.edit_well(
        asked(tmp_path, "baseball field"), editors, folder, lambda *a: heard.append(a)
    )
    best = max(shares)
    assert manifest.quality.scene_agreement == best
    assert any("hardly looks like baseball field" in note for note in manifest.notes) == (
        best < tries.LEAST
    )
    kept = {file.name for file in folder.iterdir()}
    assert "result.tif" in kept and "manifest.json" in kept and tries.AGAIN not in kept
    written = json.loads((folder / "manifest.json").read_text())
    assert written["quality"]["scene_agreement"] == best
    assert written["seed"] == manifest.seed and written["notes"] == list(manifest.notes)
    assert next(said, None) is None


@pytest.mark.parametrize("error", [CannotEdit, BadRequest, MemoryError])
def test_a_try_that_fails_leaves_the_first_result(monkeypatch, editors, tmp_path, error):
    edit = tries.edit
    made = []

    def once(*given):
        made.append(1)
        if len(made) > 1:
            raise error("no")
        return replace(edit(*given), quality=Quality(0, scene_agreement=0.0))

    monkeypatch.setattr(tries, "edit", once)
    folder = tmp_path / "job"
    folder.mkdir()
    manifest = tries.edit_well(asked(tmp_path, "baseball field"), editors, folder, lambda *a: None)
    assert len(made) == tries.TRIES and "after one try" in manifest.notes[0]
    assert (folder / "result.tif").is_file() and not (folder / tries.AGAIN).exists()


def test_what_looks_right_is_made_once(monkeypatch, editors, tmp_path):
    made = []
    edit = tries.edit
    monkeypatch.setattr(tries, "edit", lambda *given: made.append(1) or edit(*given))
    folder = tmp_path / "job"
    folder.mkdir()
    tries.edit_well(asked(tmp_path, "snow"), editors, folder, lambda *a: None)
    assert made == [1]
