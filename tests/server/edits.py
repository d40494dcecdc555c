"""Edits as several tests ask for them."""

from __future__ import annotations

from landbrush.server.contract.requests import EditRequest
from landbrush.server.editing.path import Job, edit
from landbrush.server.editors.models import Models
from landbrush.server.editors.registry import Editors
from landbrush.server.raster.rasters import Rasters

from tests.server.conftest import ring, square

A, B = square(30, 30, 70, 70), square(50, 50, 90, 90)


UNION = 2800


def many(path, *rings):
    return {
        "type": "MultiPolygon",
        "coordinates": [ring(path, pixels)["coordinates"] for pixels in rings],
    }


def made(path, folder, process="snow", **more):
    folder.mkdir(exist_ok=True)
    body = {"raster": {"path": str(path)}, "blend": {"feather_px": 0}, **more}
    job = Job(EditRequest.from_json(body), process, Rasters(path))
    editors = Editors(Models(folder / "home"))
    return edit(job, editors, folder, lambda *_: None).to_json()
