"""The Processing algorithm `landbrush:flatten`: a raster and results of its edits as one file."""

from pathlib import Path

from qgis.core import (
    QgsProcessing,
    QgsProcessingException,
    QgsProcessingOutputNumber,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
)

from ..errors import Cancelled, PluginError
from ..tasks.flatten import file_on_disk, flattened
from ..translated import tr
from .algorithm import checked_target
from .running import LandbrushAlgorithm, layer_of


class FlattenAlgorithm(LandbrushAlgorithm):
    """Writes one file of many; runs in a worker thread and without a GUI."""

    def createInstance(self):
        """Called by QGIS for each run."""
        return FlattenAlgorithm()

    def name(self) -> str:
        """Id after the provider's."""
        return "flatten"

    def displayName(self) -> str:
        """Name in the toolbox."""
        return tr("Flatten results into one file")

    def tags(self):
        """Words to find it by."""
        return ["flatten", "mosaic", "merge", "scenario", "COG", "GeoTIFF", "combine"]

    def shortHelpString(self):
        """Help beside the form."""
        return tr(
            "Writes a raster with the edited pixels of each result on it as one cloud-optimised "
            "GeoTIFF, on the raster's own grid; where results overlap, the one that is higher in "
            "the list of layers is seen. All other pixels are the raster's, to the bit, which is "
            "checked. The file says of each edit what its result said. Raster and results have to "
            "be files on this computer, and the server has to be set up here."
        )

    def initAlgorithm(self, config=None) -> None:
        """A raster, its results; one file."""
        self.addParameter(QgsProcessingParameterRasterLayer("INPUT", tr("Raster that was edited")))
        self.addParameter(
            QgsProcessingParameterMultipleLayers(
                "RESULTS",
                tr("Results, the uppermost first"),
                QgsProcessing.SourceType.TypeRaster,
            )
        )
        self.addParameter(QgsProcessingParameterRasterDestination("OUTPUT", tr("Flattened")))
        self.addOutput(QgsProcessingOutputNumber("COUNT", tr("How many results are in it")))

    def processAlgorithm(self, parameters, context, feedback):
        """Write it; raises QgsProcessingException."""
        try:
            target = Path(self.parameterAsOutputLayer(parameters, "OUTPUT", context))
            base = file_on_disk(layer_of(self, parameters, "INPUT", context))
            layers = self.parameterAsLayerList(parameters, "RESULTS", context)
            results = [file_on_disk(layer) for layer in reversed(layers)]
            checked_target(target, [base, *results])
            feedback.pushInfo(flattened(base, results, target, feedback))
        except Cancelled:
            return {}
        except PluginError as error:
            raise QgsProcessingException(error.message) from error
        return {"OUTPUT": str(target), "COUNT": len(results)}
