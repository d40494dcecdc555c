"""How much of the server one edit passes through: modules and functions entered while it runs.

usage: python scripts/count_path.py [PROMPT]

Makes an edit of a small raster of its own ("snow" where no words are given) twice, so that what is
loaded once is not counted, and counts in the second run: every function of landbrush.server that is
entered, and the modules that they lie in.
"""

from __future__ import annotations

import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import numpy as np
import rasterio
from affine import Affine

SIDE = 256
ROOT = Path(__file__).resolve().parents[1] / "server"


def raster(path: Path) -> Path:
    rng = np.random.default_rng(0)
    values = (120 + 30 * rng.standard_normal((3, SIDE, SIDE))).clip(1, 255).astype("uint8")
    profile = {"driver": "GTiff", "width": SIDE, "height": SIDE, "count": 3, "dtype": "uint8"}
    place = {"crs": "EPSG:32617", "transform": Affine(0.5, 0, 400000, 0, -0.5, 3285000)}
    with rasterio.open(path, "w", **profile, **place) as out:
        out.write(values)
    return path


def counted(run: Callable[[], Any]) -> set[CodeType]:
    """The functions of the server that were entered, in any thread."""
    seen: set[CodeType] = set()

    def entered(frame: FrameType, event: str, _: Any) -> None:
        if event == "call":
            seen.add(frame.f_code)

    threading.setprofile(entered)
    sys.setprofile(entered)
    try:
        run()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return {code for code in seen if Path(code.co_filename).resolve().is_relative_to(ROOT)}


def edit_in(folder: Path, prompt: str) -> Callable[[], Any]:
    from landbrush.server.contract.requests import EditRequest
    from landbrush.server.editing.path import Job, edit
    from landbrush.server.editors.models import Models
    from landbrush.server.editors.registry import Editors
    from landbrush.server.raster.rasters import Rasters

    path = raster(folder / "a.tif")
    left, top, right, bottom = 400020, 3284980, 400090, 3284910
    corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
    ring = [list(corner) for corner in corners]
    geometry = {"type": "Polygon", "coordinates": [ring]}
    body = {"raster": {"path": str(path)}, "polygons": {"geometry": geometry}, "prompt": prompt}
    editors = Editors(Models(folder / "home"))
    job = Job(EditRequest.from_json(body), "auto", Rasters(path))
    return lambda: edit(job, editors, folder, lambda *_: None)


def main() -> None:
    prompt = " ".join(sys.argv[1:]) or "snow"
    with tempfile.TemporaryDirectory() as place:
        run = edit_in(Path(place), prompt)
        run()
        found = counted(run)
    modules = {str(Path(code.co_filename).resolve().relative_to(ROOT)) for code in found}
    rooms = {name.split("/")[0] for name in modules}
    named = {code for code in found if not code.co_name.startswith("<")}
    print(f"# {prompt}: {', '.join(sorted(modules))}")
    print(f"figure path_rooms {len(rooms)} rooms")
    print(f"figure path_modules {len(modules)} modules")
    print(f"figure path_functions {len(named)} functions")


if __name__ == "__main__":
    main()
