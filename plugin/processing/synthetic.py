"""The Processing algorithm `landbrush:is_synthetic`: whether a raster says that it was edited,
where, and by what."""

import json

from qgis.core import (
    QgsFeature,
    QgsFeatureSink,
    QgsJsonUtils,
    QgsProcessing,
    QgsProcessingException,
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
    QgsProcessingParameterFeatureSink,
    QgsProcessingParameterRasterLayer,
    QgsWkbTypes,
)

from ...server.contract.inspection import InspectionRequest
from ..errors import Cancelled, PluginError
from ..map.sources import Wanted, file_of
from ..told import told
from ..translated import tr
from .parameters import server_address
from .running import AskingAlgorithm, layer_of

FIELDS = json.dumps(
    {
        "type": "Feature",
        "geometry": None,
        "properties": {"editor": "text", "source_type": "text"},
    }
)
"""Of the layer of edited ground, as GeoJSON: the way to name a type that all of QGIS's Qt know."""


class IsSyntheticAlgorithm(AskingAlgorithm):
    """Says what a raster discloses; runs in a worker thread and without a GUI."""

    def createInstance(self):
        """Called by QGIS for each run."""
        return IsSyntheticAlgorithm()

    def name(self) -> str:
        """Id after the provider's."""
        return "is_synthetic"

    def displayName(self) -> str:
        """Name in the toolbox."""
        return tr("Is it synthetic?")

    def tags(self):
        """Words to find it by."""
        return ["synthetic", "generated", "AI", "provenance", "IPTC", "disclosure", "fake"]

    def shortHelpString(self):
        """Help beside the form."""
        return tr(
            "Says whether a raster states that it was made or edited by a program: by the tags "
            "that Landbrush writes, and by IPTC's digital source type in its XMP, which other "
            "programs write too. Where it says where, the edited ground can be put into a layer."
            "\n\nA raster that says nothing may have been edited all the same."
        )

    def initAlgorithm(self, config=None) -> None:
        """A raster; the answer, and the edited ground."""
        self.addParameter(QgsProcessingParameterRasterLayer("INPUT", tr("Raster layer")))
        self.addParameter(
            QgsProcessingParameterFeatureSink(
                "AREAS",
                tr("Edited ground"),
                QgsProcessing.SourceType.TypeVectorPolygon,
                optional=True,
                createByDefault=False,
            )
        )
        for parameter in server_address():
            self.addParameter(parameter)
        self.addOutput(QgsProcessingOutputNumber("SYNTHETIC", tr("1: it says so, 0: it does not")))
        self.addOutput(QgsProcessingOutputNumber("SHARE", tr("Share of its pixels")))
        self.addOutput(QgsProcessingOutputString("SUMMARY", tr("What it says")))
        self.addOutput(QgsProcessingOutputString("REPORT", tr("All of it (JSON)")))

    def processAlgorithm(self, parameters, context, feedback):
        """Ask the server; the share is not among the results where the raster does not say it."""
        try:
            layer = layer_of(self, parameters, "INPUT", context)
            found = self.answer(
                parameters,
                context,
                feedback,
                [file_of(layer, Wanted())],
                lambda client, refs: client.inspect(InspectionRequest(refs[0])),
            )
        except Cancelled:
            return {}
        except PluginError as error:
            raise QgsProcessingException(error.message) from error
        for sentence in found.said:
            feedback.pushInfo(told(sentence))
        results = {
            "SYNTHETIC": int(found.synthetic),
            "SUMMARY": " ".join(map(told, found.said)),
            "REPORT": json.dumps(found.to_json()),
        }
        if found.share is not None:
            results["SHARE"] = found.share
        target = self._areas(parameters, context, found, layer.crs())
        return {**results, "AREAS": target} if target else results

    def _areas(self, parameters, context, found, crs):
        """The edited ground as a layer; '' where none is wanted."""
        fields = QgsJsonUtils.stringToFields(FIELDS)
        sink, target = self.parameterAsSink(
            parameters, "AREAS", context, fields, QgsWkbTypes.Type.MultiPolygon, crs
        )
        if sink is None:
            return ""
        if found.area is not None:
            feature = QgsFeature(fields)
            # geometryFromGeoJson is younger than the oldest QGIS that this runs in.
            area = {"type": "Feature", "geometry": found.area, "properties": {}}
            geometry = QgsJsonUtils.stringToFeatureList(json.dumps(area))[0].geometry()
            geometry.convertToMultiType()
            feature.setGeometry(geometry)
            editors = ", ".join(edit.get("editor", "?") for edit in found.edits)
            feature.setAttributes([editors, found.source_type])
            sink.addFeature(feature, QgsFeatureSink.Flag.FastInsert)
        return target
