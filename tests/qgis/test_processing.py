"""The Processing algorithms, run inside QGIS."""

import json
from pathlib import Path

import pytest
from qgis.core import QgsApplication, QgsProject, QgsVectorLayer


def test_processing_algorithm_starts_its_own_server(provider, raster, polygons, helpers, tmp_path):
    import processing

    areas = QgsVectorLayer(str(polygons), "areas", "ogr")
    QgsProject.instance().addMapLayer(areas)
    output = tmp_path / "out.tif"
    found = processing.run(
        "landbrush:edit",
        {
            "INPUT": raster,
            "POLYGONS": areas,
            "PROMPT": "snow",
            "SEED": 3,
            "OPTIONS": '{"depth_cm": 40}',
            "OUTPUT": str(output),
        },
    )
    assert (
        found["OUTSIDE_DIFFERENT"] == 0
        and json.loads(found["MANIFEST"])["options"]["depth_cm"] == 40
    )
    told = helpers.compare(raster.source(), output)
    assert (
        told["same"]
        and told["outside"] == 0
        and 600 < told["inside"] <= 1024
        and told["synthetic"] == "TRUE"
    )
    assert [p.name for p in tmp_path.iterdir() if p.suffix == ".tif" or p.name.startswith(".")] == [
        "out.tif"
    ]


def test_processing_unites_polygons_takes_a_choice_and_keeps_the_request_where_asked(
    provider, raster, helpers, tmp_path
):
    """Features over one another, one of them with a spike, in another CRS than the layer's; words
    that are not clear."""
    import processing
    from qgis.core import QgsFeature, QgsGeometry, QgsProcessingException

    areas = QgsVectorLayer("Polygon?crs=EPSG:32617", "areas", "memory")
    shapes = (
        "400010 3284990, 400030 3284990, 400030 3284970, 400010 3284970, 400010 3284990",
        "400020 3284980, 400040 3284980, 400040 3284960, 400060 3284940, 400040 3284960, 400020 "
        "3284960, 400020 3284980",
    )
    for shape in shapes:
        feature = QgsFeature()
        feature.setGeometry(QgsGeometry.fromWkt(f"Polygon(({shape}))"))
        areas.dataProvider().addFeatures([feature])
    QgsProject.instance().addMapLayer(areas)
    wanted = {
        "INPUT": raster,
        "POLYGONS": areas,
        "PROMPT": "make it nicer somehow",
        "FEATHER": 0,
        "KEEP_REQUEST": True,
        "OUTPUT": str(tmp_path / "out.tif"),
    }
    with pytest.raises(QgsProcessingException, match=r"operation \w+"):
        processing.run("landbrush:edit", wanted)
    manifest = json.loads(
        processing.run("landbrush:edit", {**wanted, "OPERATION": "snow"})["MANIFEST"]
    )
    assert manifest["editor"] == "snow" and manifest["gate"]["pixels_inside"] == 2800
    script = "import sys, rasterio; print(rasterio.open(sys.argv[1]).tags()['LANDBRUSH_PROMPT'])"
    tags = helpers.server_python(script, tmp_path / "out.tif")
    assert tags.strip() == "make it nicer somehow"


def snowed(raster, polygons, folder):
    """Path of a result of the algorithm *edit*."""
    import processing

    made = folder / "edited.tif"
    wanted = {"INPUT": raster, "POLYGONS": str(polygons), "PROMPT": "snow", "OUTPUT": str(made)}
    processing.run("landbrush:edit", wanted)
    return made


def test_a_result_is_known_as_synthetic_and_where(provider, raster, polygons, tmp_path):
    import processing

    edited = snowed(raster, polygons, tmp_path)
    found = processing.run(
        "landbrush:is_synthetic", {"INPUT": str(edited), "AREAS": str(tmp_path / "areas.gpkg")}
    )
    assert found["SYNTHETIC"] == 1 and 0 < found["SHARE"] < 1 and "snow" in found["SUMMARY"]
    areas = QgsVectorLayer(found["AREAS"], "areas")
    (feature,) = areas.getFeatures()
    assert areas.crs() == raster.crs() and feature["editor"] == "snow"
    drawn = next(QgsVectorLayer(str(polygons), "drawn").getFeatures()).geometry()
    assert feature.geometry().intersects(drawn)
    assert abs(feature.geometry().area() / 256 - 1) < 0.05
    found = processing.run("landbrush:is_synthetic", {"INPUT": raster})
    assert found["SYNTHETIC"] == 0 and "SHARE" not in found and "AREAS" not in found


def test_two_layers_are_compared(provider, raster, polygons, tmp_path):
    import processing
    from qgis.core import QgsProcessingException

    edited = snowed(raster, polygons, tmp_path)
    found = processing.run(
        "landbrush:evaluate", {"BEFORE": raster, "AFTER": str(edited), "POLYGONS": str(polygons)}
    )
    assert (
        found["OUTSIDE_CHANGED"] == 0
        and found["INSIDE_CHANGED"] > 0.5
        and found["ENERGY_INSIDE"] == 1
    )
    assert (
        json.loads(found["REPORT"])["on_one_grid"]
        and "Outside the polygons nothing changed" in found["SUMMARY"]
    )
    same = processing.run("landbrush:evaluate", {"BEFORE": raster, "AFTER": raster})
    assert "Nothing changed." in same["SUMMARY"] and "INSIDE_CHANGED" not in same
    with pytest.raises(QgsProcessingException, match="AFTER"):
        processing.run(
            "landbrush:evaluate", {"BEFORE": raster, "AFTER": str(tmp_path / "none.tif")}
        )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"OPTIONS": "{"}, "not JSON"),
        ({"OPTIONS": "[1]"}, "JSON object"),
        ({"EDITOR": "nonsense"}, "no editor"),
        ({"PROMPT": ""}, "prompt: empty"),
        ({"OUTPUT": "out.png"}, "GeoTIFF"),
        ({"BAND_ROLES": "nir"}, "not of the form"),
    ],
)
def test_processing_errors_are_sentences(provider, raster, polygons, tmp_path, change, words):
    import processing
    from qgis.core import QgsProcessingException

    parameters = {
        "INPUT": raster,
        "POLYGONS": str(polygons),
        "PROMPT": "snow",
        "OUTPUT": str(tmp_path / "o.tif"),
        **change,
    }
    if "OUTPUT" in change:
        parameters["OUTPUT"] = str(tmp_path / change["OUTPUT"])
    with pytest.raises(QgsProcessingException, match=words):
        processing.run("landbrush:edit", parameters)
    assert not (tmp_path / "o.tif").exists()


def test_processing_never_writes_over_its_input(provider, raster, polygons):
    import processing
    from qgis.core import QgsProcessingException

    before = Path(raster.source()).read_bytes()
    with pytest.raises(QgsProcessingException, match="nothing is lost"):
        processing.run(
            "landbrush:edit",
            {
                "INPUT": raster,
                "POLYGONS": str(polygons),
                "PROMPT": "snow",
                "OUTPUT": raster.source(),
            },
        )
    assert Path(raster.source()).read_bytes() == before


def test_every_editor_is_an_algorithm_with_its_options(
    provider, raster, polygons, tmp_path, helpers
):
    import processing
    from landbrush.plugin.processing import editors
    from landbrush.plugin.processing.algorithms import KEPT_NAMES
    from qgis.core import QgsProcessingException, QgsProcessingParameterDefinition

    registry = QgsApplication.processingRegistry()
    known = editors.known_editors()
    assert len(known) >= 10
    for info in known:
        found = registry.algorithmById(f"landbrush:{KEPT_NAMES.get(info.id, info.id)}")
        names = {definition.name(): definition for definition in found.parameterDefinitions()}
        assert {option.name.upper() for option in info.options} <= set(names)
        assert ("EXEMPLAR" in names) == info.takes("exemplar") and (
            "ELEVATION" in names
        ) == info.takes("elevation")
        if "exemplar" in info.needs:
            assert (
                not names["EXEMPLAR"].flags() & QgsProcessingParameterDefinition.Flag.FlagOptional
            )
    output = tmp_path / "burned.tif"
    found = processing.run(
        "landbrush:burn",
        {
            "INPUT": raster,
            "POLYGONS": str(polygons),
            "SEVERITY": 0.4,
            "FEATHER": 0,
            "COMPRESSION": "zstd",
            "COG": True,
            "OUTPUT": str(output),
        },
    )
    manifest = json.loads(found["MANIFEST"])
    assert manifest["options"]["severity"] == 0.4 and manifest["request"]["output"] == {
        "compression": "zstd",
        "cog": True,
    }
    assert (
        found["OUTSIDE_DIFFERENT"] == 0 and helpers.compare(raster.source(), output)["outside"] == 0
    )
    extent = raster.extent()
    part = (
        f"{extent.xMinimum()},{extent.xMinimum() + 60},{extent.yMinimum()},{extent.yMaximum()} "
        "[EPSG:32617]"
    )
    found = processing.run(
        "landbrush:snow",
        {
            "INPUT": raster,
            "POLYGONS": str(polygons),
            "EXTENT": part,
            "OUTPUT": str(tmp_path / "part.tif"),
        },
    )
    assert json.loads(found["MANIFEST"])["gate"]["pixels_inside"] == 16 * 32, (
        "half of the polygon lies in the extent"
    )
    with pytest.raises(QgsProcessingException, match="wholly protected"):
        processing.run(
            "landbrush:snow",
            {
                "INPUT": raster,
                "POLYGONS": str(polygons),
                "PROTECT": str(polygons),
                "OUTPUT": str(tmp_path / "none.tif"),
            },
        )


CLASSES = """
import sys, numpy as np, rasterio
from affine import Affine
values = np.repeat(np.arange(1, 5, dtype="uint8"), 50 * 240).reshape(1, 200, 240)
place = {"crs": "EPSG:32617", "transform": Affine(0.5, 0, 400000, 0, -0.5, 3285000)}
with rasterio.open(sys.argv[1], "w", driver="GTiff", width=240, height=200, count=1,
                   dtype="uint8", **place) as out:
    out.write(values)
names = "".join(f"<Category>{n}</Category>" for n in ("none", "wood", "water", "road", "roof"))
open(sys.argv[1] + ".aux.xml", "w").write(
    f"<PAMDataset><PAMRasterBand band='1'><CategoryNames>{names}</CategoryNames></PAMRasterBand>"
    "</PAMDataset>")
"""


def test_what_lies_beside_a_result_comes_to_the_output(provider, polygons, helpers, tmp_path):
    import processing

    helpers.server_python(CLASSES, tmp_path / "classes.tif")
    out = tmp_path / "out" / "edited.tif"
    out.parent.mkdir()
    processing.run(
        "landbrush:remove",
        {"INPUT": str(tmp_path / "classes.tif"), "POLYGONS": str(polygons), "OUTPUT": str(out)},
    )
    assert sorted(p.name for p in out.parent.iterdir()) == ["edited.tif", "edited.tif.aux.xml"]
    assert "water" in (out.parent / "edited.tif.aux.xml").read_text()
