"""The best of several drawings of a pretrained editor, by a named judge."""

from __future__ import annotations

import numpy as np
import pytest
from landbrush.server.contract.requests import EditRequest
from landbrush.server.editing.path import Job, edit
from landbrush.server.editors import ranking
from landbrush.server.editors.base import Facts
from landbrush.server.editors.candidates import APART, best_of
from landbrush.server.editors.scenario_prompts import REPORTS
from landbrush.server.ground.errors import ModelNotNamed
from landbrush.server.models import vision_language
from landbrush.server.raster.rasters import Rasters
from landbrush.server.store.importing import Arrival, import_model

from tests.server import tiny_clip, tiny_pipelines
from tests.server.conftest import RGB, in_type, inputs, scene, square, write

pytestmark = [pytest.mark.usefixtures("home"), pytest.mark.filterwarnings("ignore")]


@pytest.mark.parametrize(
    "scores, best",
    [([0.1, 0.5, 0.3], 1), ([None, None], 0), ([None, 0.0], 1), ([0.2, None, 0.2], 0)],
)
def test_the_highest_score_is_kept_and_a_missing_one_is_no_zero(scores, best):
    told = []

    def draw(seed, on_step):
        on_step(1, 2, None, "", {"prompt_used": "x", "of": seed})
        return seed

    def scored(seed):
        return scores[(seed - 5) // APART], "a judge"

    kept = best_of(draw, scored, (5, len(scores)), lambda *given: told.append(given))
    assert kept == 5 + APART * best
    facts = told[-1][4]
    assert facts == {
        "prompt_used": "x",
        "of": kept,
        "seed": kept,
        "candidates": scores,
        "ranked_by": "a judge",
    }
    steps = [(given[0], given[1]) for given in told[:-1]]
    assert steps == [(2 * n + 1, 2 * len(scores)) for n in range(len(scores))]


def test_structure_that_stays_counts_outside_the_mask():
    rng = np.random.default_rng(0)
    before = rng.random((3, 40, 40))
    mask = np.zeros((40, 40), bool)
    mask[10:30, 10:30] = True
    inside, outside = before.copy(), before.copy()
    inside[:, mask] = rng.random((3, int(mask.sum())))
    outside[:, ~mask] = rng.random((3, int((~mask).sum())))
    assert ranking.kept(before, inside, mask) > 0.8 > 0.3 > ranking.kept(before, outside, mask)
    assert ranking.kept(before, before, np.ones_like(mask)) == pytest.approx(1)
    flat = np.full((3, 40, 40), 0.5)
    assert ranking.kept(flat, flat, mask) == 1 and ranking.kept(flat, before, mask) == 0


@pytest.fixture
def pair(models, tmp_path):
    made = tiny_pipelines.build("instruct-pix2pix", tmp_path / "published")
    import_model(models.store, Arrival(models.store.entry("instruct-pix2pix"), True), made)
    return write(tmp_path / "a.tif", in_type(scene(3, 160, 160), "uint8"), colorinterp=RGB)


def run(editors, path, name, **options):
    out = path.parent / name
    out.mkdir()
    options = {"steps": 1, **options}
    body = inputs(path, square(60, 60, 100, 100), prompt="flood the houses", options=options)
    wanted = Job(EditRequest.from_json(body), "instruct-pix2pix", Rasters(path))
    report = edit(wanted, editors, out, lambda *_: None).to_json()
    return report, (out / "result.tif").read_bytes()


@pytest.mark.slow
def test_the_best_of_three_is_one_of_them(editors, models, pair, tmp_path):
    models.folder.choose("image-text", str(tiny_clip.saved(tmp_path)))
    report, _ = run(editors, pair, "three", candidates=3)
    text = str(report)
    assert "words and what stays" in text and "candidates" in text
    scores = _found(report, "candidates")
    assert len(scores) == 3 and len(set(scores)) == 3
    assert all(-2 <= score <= 1 for score in scores)


def _found(report, name):
    """The value of a name wherever it lies in a report."""
    if isinstance(report, dict):
        for key, value in report.items():
            if key == name and isinstance(value, list):
                return value
            found = _found(value, name)
            if found is not None:
                return found
    if isinstance(report, list):
        for value in report:
            found = _found(value, name)
            if found is not None:
                return found
    return None


@pytest.mark.slow
def test_a_vision_language_model_ranks_and_its_babble_is_no_score(
    editors, models, pair, tmp_path, monkeypatch
):
    (tmp_path / "eyes").mkdir()
    models.folder.choose("vision-language", str(tmp_path / "eyes"))

    class Eyes:
        asked = []

        def answer(self, question, shown, temperature=0.0):
            self.asked.append((question, len(shown)))
            good = len(self.asked) in (3, 4)  # the second candidate
            return '{"score": [8, 7]}' if good else "I like it"

    eyes = Eyes()
    monkeypatch.setattr(vision_language, "load", lambda path: eyes)
    report, _ = run(editors, pair, "eyes-out", candidates=3, ranked_by="vision-language model")
    assert _found(report, "candidates") == [None, 7.0, None]
    assert [count for _, count in eyes.asked] == [2, 1] * 3
    assert "flood the houses" in eyes.asked[0][0]


def test_a_judge_that_is_not_here_is_said_before_anything_is_drawn(editors, pair):
    editor = editors.get("instruct-pix2pix")
    for judge, kind in (("words and what stays", "image-text"), ("vision-language model", "vis")):
        options = editor.parse({"candidates": 2, "ranked_by": judge})
        with pytest.raises(ModelNotNamed, match=kind):
            editor.check("flood", options)
    editor.check("flood", editor.parse({}))


@pytest.mark.parametrize("name", sorted(REPORTS))
def test_reports_are_presets(editors, name):
    editor = editors.get("rsedit-unet")
    words = editor.worded("", editor.parse({"scenario": name}))
    assert words == REPORTS[name] and len(words.split()) > 20
    # In words of our own, not the paper's.
    for sentence in ("post-event analysis reveals", "entirely obliterated", "Level 2"):
        assert sentence not in words


def test_sentences_told_while_drawing_are_gathered():
    kept = {}
    told = Facts(kept)
    told(0, 1, None, "", {"notes": ["a"], "steps": 1})
    told(1, 1, None, "", {"notes": ["b", "a"], "steps": 2})
    assert kept == {"notes": ["a", "b"], "steps": 2}
    seen = []

    def draw(seed, on_step):
        on_step(0, 2, None, "", {"notes": [f"first of {seed}"]})
        on_step(2, 2, None, "", {"notes": ["then"]})
        return seed

    best_of(draw, lambda _: (1.0, "a judge"), (5, 2), lambda *given: seen.append(given))
    assert seen[-1][4]["notes"] == ["first of 5", "then"]
