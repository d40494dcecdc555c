"""The Processing algorithm `landbrush:evaluate`: what changed between two layers, inside and
outside polygons."""

import json

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsProcessingException,
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
    QgsProcessingParameterRasterLayer,
)

from ...server.contract.comparison import ComparisonRequest
from ..errors import Cancelled, PluginError
from ..map.sources import Wanted, file_of
from ..tasks.request import Area, in_layer_crs, polygons_of
from ..told import told
from ..translated import tr
from .parameters import polygons, server_address
from .running import AskingAlgorithm, area_in, layer_of

NUMBERS = (
    (
        "OUTSIDE_CHANGED",
        "preservation",
        "changed",
        "Share of pixels outside the polygons that changed",
    ),
    ("OUTSIDE_MAGNITUDE", "preservation", "magnitude", "Mean change outside the polygons (of 1)"),
    ("INSIDE_CHANGED", "localisation", "recall", "Share of the polygons that changed"),
    (
        "ENERGY_INSIDE",
        "localisation",
        "energy_inside",
        "Share of all change that lies in the polygons",
    ),
    ("RIM_COLOUR", "rim", "colour", "Step of colour at the polygons' rim (of 1)"),
    ("RIM_GRADIENT", "rim", "gradient", "Jumps at the rim by those beside it"),
)
"""Outputs: name, measure, number in it, what it is."""


class EvaluateAlgorithm(AskingAlgorithm):
    """Compares any two rasters of one ground; nothing is written."""

    def createInstance(self):
        """A new one of its kind: QGIS makes one for each run."""
        return EvaluateAlgorithm()

    def name(self) -> str:
        """Id in the toolbox, which models and scripts are kept with."""
        return "evaluate"

    def displayName(self):
        """Name in the toolbox."""
        return tr("Compare two rasters (what changed where)")

    def tags(self):
        """Words to find it by."""
        return [
            "compare",
            "change",
            "difference",
            "evaluate",
            "quality",
            "metric",
            "preservation",
            "seam",
        ]

    def shortHelpString(self):
        """Help beside the form."""
        return tr(
            "Says what changed from one raster to another of the same ground: how much outside "
            "the polygons (0 for an edit that "
            "keeps its promise), how much of the polygons, and how the change meets its "
            "surroundings. AFTER may have another "
            "grid or CRS; it is brought onto the grid of BEFORE. Without polygons change was "
            "asked for "
            "everywhere.\n\nWithout SERVER "
            "the address in the plugin's settings is used; a local server is started for the "
            "time of the run."
        )

    def initAlgorithm(self, config=None) -> None:
        """Two rasters, an area, the report; each number is an output too."""
        self.addParameter(QgsProcessingParameterRasterLayer("BEFORE", tr("Raster before")))
        self.addParameter(QgsProcessingParameterRasterLayer("AFTER", tr("Raster after")))
        self.addParameter(polygons("POLYGONS", "Where change was asked for", optional=True))
        for parameter in server_address():
            self.addParameter(parameter)
        self.addOutput(QgsProcessingOutputString("REPORT", tr("All numbers (JSON)")))
        self.addOutput(QgsProcessingOutputString("SUMMARY", tr("What they mean")))
        for name, _, _, title in NUMBERS:
            self.addOutput(QgsProcessingOutputNumber(name, tr(title)))

    def processAlgorithm(self, parameters, context, feedback):
        """Compare; numbers that have no place to be taken at are not among the results."""
        try:
            layers = [layer_of(self, parameters, name, context) for name in ("BEFORE", "AFTER")]
            sources = [file_of(layer, Wanted()) for layer in layers]
            area = area_in(self, parameters, "POLYGONS", context)
            if area is None and parameters.get("POLYGONS"):
                raise PluginError(tr("POLYGONS holds no polygon."))
            shapes = None
            if area is not None:
                here = in_layer_crs(area, layers[0], context.transformContext())
                shapes = polygons_of(Area(here, QgsCoordinateReferenceSystem()))

            found = self.answer(
                parameters,
                context,
                feedback,
                sources,
                lambda client, refs: client.compare(
                    ComparisonRequest(refs[0], refs[1], polygons=shapes)
                ),
            )
        except Cancelled:
            return {}
        except PluginError as error:
            raise QgsProcessingException(error.message) from error
        for sentence in found.said:
            feedback.pushInfo(told(sentence))
        results = {
            "REPORT": json.dumps(found.to_json()),
            "SUMMARY": " ".join(map(told, found.said)),
        }
        for name, measure, number, _ in NUMBERS:
            value = getattr(found, measure).get(number)
            if value is not None:
                results[name] = value
        return results
