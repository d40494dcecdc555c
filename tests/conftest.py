"""Rasters made by a script, and the data folder where there is one."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest

# A bare `pytest` takes what needs no QGIS; `make test-qgis` runs the others in QGIS's own Python.
collect_ignore = [] if importlib.util.find_spec("qgis") else ["qgis"]
ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("LANDBRUSH_DATA", ROOT.parent / "shared" / "data"))


@pytest.fixture(scope="session")
def data():
    """Folder of real imagery; a newcomer has none."""
    if not DATA.is_dir():
        pytest.skip(f"no real imagery at {DATA} (set LANDBRUSH_DATA)")
    return DATA
