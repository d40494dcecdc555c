"""The Processing algorithm `landbrush:areas_of_values`: polygons where a raster has certain values,
to edit there."""

from qgis.core import (
    QgsFeature,
    QgsFeatureSink,
    QgsProcessing,
    QgsProcessingException,
    QgsProcessingOutputNumber,
    QgsProcessingParameterBand,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFeatureSink,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
    QgsWkbTypes,
)

from ..errors import Cancelled, PluginError
from ..map.places import fields_of, pixel_metres, square_metres
from ..map.values import ValuedGround, ranges_of
from ..translated import tr
from .running import LandbrushAlgorithm

COLUMNS = {"area_m2": 0.5}
"""Of the polygons, with a value of their type."""


class AreasOfValuesAlgorithm(LandbrushAlgorithm):
    """Polygons along the edges of pixels; asks no server."""

    def createInstance(self):
        """Called by QGIS for each run."""
        return AreasOfValuesAlgorithm()

    def name(self) -> str:
        """Id after the provider's."""
        return "areas_of_values"

    def displayName(self) -> str:
        """Name in the toolbox."""
        return tr("Areas where a raster has certain values")

    def tags(self):
        """Words to find it by."""
        return ["threshold", "classes", "land cover", "mask", "polygonize", "NDVI", "NDWI"]

    def shortHelpString(self):
        """Help beside the form."""
        return tr(
            "Polygons where a band of a raster has the values that VALUES names: classes such as "
            "3, 5; from one number to another such as 0.2 to 0.5; a threshold such as > 0.4; or "
            "several of these. They follow the edges of the pixels and can be edited there, or "
            "left as they are. Pixels without data, and transparent ones, have no value; a rotated "
            "raster is looked at as QGIS shows it, turned."
        )

    def initAlgorithm(self, config=None) -> None:
        """A raster, its band, the values; polygons."""
        self.addParameter(QgsProcessingParameterRasterLayer("INPUT", tr("Raster layer")))
        self.addParameter(QgsProcessingParameterBand("BAND", tr("Band"), 1, "INPUT", optional=True))
        self.addParameter(QgsProcessingParameterString("VALUES", tr("Values")))
        self.addParameter(
            QgsProcessingParameterExtent("EXTENT", tr("Only inside this extent"), optional=True)
        )
        self.addParameter(
            QgsProcessingParameterNumber(
                "SMALLEST",
                tr("Smallest area (m²)"),
                QgsProcessingParameterNumber.Type.Double,
                0.0,
                minValue=0.0,
            )
        )
        self.addParameter(
            QgsProcessingParameterFeatureSink(
                "OUTPUT", tr("Areas"), QgsProcessing.SourceType.TypeVectorPolygon
            )
        )
        self.addOutput(QgsProcessingOutputNumber("COUNT", tr("Number of areas")))

    def processAlgorithm(self, parameters, context, feedback):
        """Find the ground; raises QgsProcessingException where there is none."""
        try:
            return self._process(parameters, context, feedback)
        except Cancelled:
            return {}
        except PluginError as error:
            raise QgsProcessingException(error.message) from error

    def _process(self, parameters, context, feedback):
        layer = self.parameterAsRasterLayer(parameters, "INPUT", context)
        if layer is None:
            raise PluginError(tr("INPUT: choose a raster layer."))
        ranges = ranges_of(self.parameterAsString(parameters, "VALUES", context))
        box = self.parameterAsExtent(parameters, "EXTENT", context, layer.crs())
        smallest = self.parameterAsDouble(parameters, "SMALLEST", context)
        pixel = pixel_metres(layer)
        if smallest and not pixel:
            raise PluginError(
                tr("SMALLEST: '{name}' has no place on the ground, and no m².", name=layer.name())
            )
        found = ValuedGround(
            layer,
            self.parameterAsInt(parameters, "BAND", context) or 1,
            ranges,
            None if box.isEmpty() else box,
        ).read(feedback)
        areas = [(part, square_metres(part, layer.crs())) for part in found.asGeometryCollection()]
        kept = [one for one in areas if one[1] is None or one[1] >= smallest]
        fields = fields_of(COLUMNS)
        sink, target = self.parameterAsSink(
            parameters, "OUTPUT", context, fields, QgsWkbTypes.Type.Polygon, layer.crs()
        )
        for shape, size in kept:
            feature = QgsFeature(fields)
            feature.setGeometry(shape)
            feature.setAttributes([size])
            sink.addFeature(feature, QgsFeatureSink.Flag.FastInsert)
        feedback.pushInfo(
            tr(
                "Areas: {n}; smaller ones left out: {less}.",
                n=len(kept),
                less=len(areas) - len(kept),
            )
        )
        return {"OUTPUT": target, "COUNT": len(kept)}
