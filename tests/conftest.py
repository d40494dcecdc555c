"""Rasters made by a script, and the data folder where there is one."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

# As in workers, before numpy: sums in one order give the same bytes on any number of cores.
os.environ["OPENBLAS_NUM_THREADS"] = "1"
# Beside other workers (pytest -n) further threads of each would only wait for a core.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"

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


def pytest_runtest_logreport(report):
    """On a build machine a failure is told at once: a run that is ended early has no summary."""
    if report.failed and os.environ.get("CI") and "PYTEST_XDIST_WORKER" not in os.environ:
        crash = getattr(report.longrepr, "reprcrash", None)
        said = (crash.message if crash else str(report.longrepr)).strip().splitlines()
        print(f"\nFAILED in {report.when}: {report.nodeid}: {said[0] if said else ''}", flush=True)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers():
    """One more than there are cores: tests of servers wait for them a good part of the time."""
    asked = os.environ.get("PYTEST_XDIST_AUTO_NUM_WORKERS")
    if asked:
        return int(asked)
    ours = getattr(os, "sched_getaffinity", None)
    return (len(ours(0)) if ours else os.cpu_count() or 1) + 1
