"""The same request gives the same pixels as when golden.json was written, whatever the house looks
like inside."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.server import golden

KEPT = json.loads(golden.KEPT.read_text("utf-8"))
ROUNDING = 0.02
"""Of the spread of a band's block means, by which they may differ on a machine that rounds
otherwise."""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The requests, and a client of one server for them all."""
    folder = tmp_path_factory.mktemp("golden")
    wanted = golden.requests(golden.rasters(folder / "rasters"))
    app, client = golden.client_of(folder)
    yield wanted, client
    app.extensions["landbrush"].runner.executor.shutdown(wait=True, cancel_futures=True)


def test_every_request_is_kept(made):
    assert set(made[0]) == set(KEPT["results"]) and len(made[0]) >= 30
    assert not [name for name, result in KEPT["results"].items() if "sha256" not in result]


@pytest.mark.parametrize("name", sorted(KEPT["results"]))
def test_result_is_what_it_was(made, name):
    wanted, client = made
    found, kept = golden.result_of(client, *wanted[name]), KEPT["results"][name]
    if golden.machine() == KEPT["machine"]:
        assert found == kept
        return
    assert (found["operation"], found["inside"], found["outside"]) == (
        kept["operation"],
        kept["inside"],
        0,
    )
    first, second = np.array(found["means"]), np.array(kept["means"])
    assert first.shape == second.shape
    spread = np.ptp(second, axis=1, keepdims=True) + 1e-6
    assert (abs(first - second) <= ROUNDING * spread).all()
