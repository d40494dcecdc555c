"""Float rasters whose nodata is NaN, with four bands: every operator reads the ground beside."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio

from tests.server.conftest import ring, scene, square, write
from tests.server.edits import made


@pytest.fixture(scope="module")
def gaps(tmp_path_factory):
    """Four bands of float32 with a corner and a hole of NaN."""
    values = (scene(4, 128, 128, 3) * 900 + 200).astype(np.float32)
    values[:, :24, :24] = values[:, 70:80, 70:80] = np.nan
    return write(tmp_path_factory.mktemp("nan") / "gaps.tif", values, nodata=np.nan)


@pytest.mark.parametrize("where", [(30, 30, 60, 60), (50, 50, 100, 100)], ids=["beside", "around"])
@pytest.mark.parametrize(
    ("editor", "prompt"),
    [
        ("snow", "snow"),
        ("flood", "flooded"),
        ("burn", "burnt"),
        ("season", "autumn"),
        ("low-light", "dusk"),
        ("damage", "destroyed by a tornado"),
        ("fog", "fog"),
    ],
)
def test_every_operator_works_beside_and_around_it(gaps, tmp_path, editor, prompt, where):
    body = {"polygons": {"geometry": ring(gaps, square(*where))}, "prompt": prompt}
    made(gaps, tmp_path, editor, **body, output={"area": "layer"})
    with rasterio.open(gaps) as before, rasterio.open(tmp_path / "result.tif") as after:
        there, here = before.read(), after.read()
    assert np.array_equal(np.isnan(there), np.isnan(here))
    assert not np.array_equal(np.nan_to_num(there), np.nan_to_num(here))
