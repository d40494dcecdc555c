"""The attacks of `make attack`, short: each kind is tried, and nothing gets through."""

from __future__ import annotations

import sys

import pytest

from tests.attack import escapes, fuzzing, killing, mutating

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="watched by Linux's inotify"),
]


def test_no_file_leads_to_another_and_none_to_the_network(tmp_path):
    found = escapes.run(tmp_path, every=150, commands=4)
    assert found["secret_reads"] == found["connections"] == 0 and found["escapes_tried"] > 100


def test_the_decoys_notice_who_reaches_them(tmp_path):
    """Else the test above could not fail."""
    from urllib.request import urlopen

    from tests.attack.watching import Listener, Watched

    path = tmp_path / "decoy"
    path.write_text("x")
    watched, listener = Watched(path), Listener()
    path.read_text()
    with pytest.raises(OSError):
        urlopen(f"http://127.0.0.1:{listener.port}/")
    assert watched.count() >= 2 and listener.count == 1
    assert watched.count() == 0
    watched.close()
    listener.close()


def test_odd_requests_are_refused_with_a_sentence(tmp_path):
    found = fuzzing.run(tmp_path, 600)
    assert found["http_500"] == found["deaths"] == 0


def test_changed_rasters_end_in_a_sentence_or_an_edit(tmp_path):
    found = mutating.run(tmp_path, 90)
    assert found["http_500"] == found["deaths"] == 0


def test_kills_lose_nothing_and_do_nothing_twice(tmp_path):
    found = killing.run(tmp_path, 9, 6)
    assert found["lost"] == found["twice"] == found["given_up"] == 0 and found["kills"] >= 6
