"""A server that cannot read this machine's files gets rasters whole: with what lies beside them."""

import json

from landbrush.plugin.tasks.request import Area, EditForm, located
from landbrush.plugin.tasks.task import Connection, Inputs, run_edit
from qgis.core import QgsFeedback, QgsGeometry, QgsProject, QgsRasterLayer, QgsRectangle

MAKE = """
import sys, numpy as np, rasterio
from pathlib import Path
from PIL import Image
folder = Path(sys.argv[1])
rng = np.random.default_rng(0)
values = rng.integers(40, 200, (160, 160, 3)).astype("uint8")
Image.fromarray(values).save(folder / "p.png")
(folder / "p.pgw").write_text("0.5\\n0\\n0\\n-0.5\\n400000.25\\n3284999.75\\n")
(folder / "p.png.aux.xml").write_text("<PAMDataset><SRS>EPSG:32617</SRS></PAMDataset>")
"""
TELL = """
import sys, json, rasterio
with rasterio.open(sys.argv[1]) as found:
    print(json.dumps([found.crs.to_string(), tuple(found.transform)[:6], found.shape]))
"""


def test_a_picture_with_a_world_file_is_edited_where_it_lies(served, helpers, tmp_path):
    folder = tmp_path / "from"
    folder.mkdir()
    helpers.server_python(MAKE, folder)
    layer = QgsRasterLayer(str(folder / "p.png"), "picture")
    QgsProject.instance().addMapLayer(layer)
    assert layer.crs().authid() == "EPSG:32617"
    area = Area(QgsGeometry.fromRect(QgsRectangle(400020, 3284940, 400050, 3284980)), layer.crs())
    form = located(EditForm(layer=layer, area=area, process_id="snow"))
    away = Connection(served.server.url, served.server.token, shares_files=False)
    inputs = Inputs(folder / "p.png")
    path, manifest = run_edit((form, inputs), away, tmp_path / "to", QgsFeedback(), lambda _: None)
    assert manifest.gate.pixels_outside_different == 0 and manifest.gate.pixels_inside_changed
    crs, transform, shape = json.loads(helpers.server_python(TELL, path))
    assert crs == "EPSG:32617" and transform[0] == 0.5 and tuple(shape) != (0, 0)
    assert not list((tmp_path / "from").glob("*.zip"))
