"""Processing: `landbrush:edit`, for the toolbox, models, batch and qgis_process."""

import json
import os
from pathlib import Path

from qgis.core import (
    QgsFeatureRequest,
    QgsGeometry,
    QgsProcessing,
    QgsProcessingAlgorithm,
    QgsProcessingException,
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
    QgsProcessingProvider,
)
from qgis.PyQt.QtCore import QCoreApplication
from qgis.PyQt.QtGui import QIcon

from ..server.api import AUTO, Blend, Output
from . import settings
from .errors import Cancelled, PluginError
from .local_server import ROOT, BlockingServer
from .request import Area, Wish, layer_path
from .task import Connection, Inputs, run_edit

ICON = str(ROOT / "resources" / "icons" / "landbrush.svg")
AREAS = ("window", "layer")


def tr(text):
    """Translate in the plugin's context."""
    return QCoreApplication.translate("Landbrush", text)


class LandbrushProvider(QgsProcessingProvider):
    """The provider `landbrush`."""

    def loadAlgorithms(self):
        """Called by QGIS."""
        self.addAlgorithm(EditAlgorithm())

    def id(self):
        """Stable id."""
        return "landbrush"

    def name(self):
        """Name in the toolbox."""
        return "Landbrush"

    def icon(self):
        """The plugin's icon."""
        return QIcon(ICON)


class EditAlgorithm(QgsProcessingAlgorithm):
    """Edit a raster inside polygons; runs in a worker thread and without a GUI."""

    def createInstance(self):
        """Called by QGIS."""
        return EditAlgorithm()

    def name(self):
        """Stable id."""
        return "edit"

    def displayName(self):
        """Name in the toolbox."""
        return tr("Edit raster inside polygons")

    def icon(self):
        """The plugin's icon."""
        return QIcon(ICON)

    def tags(self):
        """Words to find it by."""
        return ["inpaint", "remove", "fill", "flood", "snow", "fog", "burn", "generative", "simulate", "scenario"]

    def shortHelpString(self):
        """Help beside the form."""
        return tr(
            "Edits a raster layer inside polygons and gives a new GeoTIFF on the same pixel grid; outside the polygons "
            "not one bit changes. Say what should be there in PROMPT (for instance 'remove the shed', 'forest here', "
            "'flooded'), or name an EDITOR. OPTIONS are the editor's own, as JSON, for instance {\"visibility_m\": 200}."
            "\n\nWithout SERVER the address in the plugin's settings is used; if nothing answers there, a server is "
            "started for the time of the run.")

    def initAlgorithm(self, config=None):
        """Parameters and outputs."""
        add = self.addParameter
        add(QgsProcessingParameterRasterLayer("INPUT", tr("Raster layer")))
        add(QgsProcessingParameterFeatureSource("POLYGONS", tr("Polygons to edit"),
                                                [QgsProcessing.SourceType.TypeVectorPolygon]))
        add(QgsProcessingParameterString("PROMPT", tr("What should be there"), "", optional=True))
        add(QgsProcessingParameterString("EDITOR", tr("Editor (auto: from the words)"), AUTO, optional=True))
        add(QgsProcessingParameterFeatureSource("EXEMPLAR", tr("Exemplar polygons to copy from"),
                                                [QgsProcessing.SourceType.TypeVectorPolygon], optional=True))
        add(QgsProcessingParameterNumber("SEED", tr("Seed"), defaultValue=0, minValue=0, maxValue=2**31 - 1))
        advanced = (
            QgsProcessingParameterRasterLayer("EXEMPLAR_RASTER", tr("Raster of the exemplar, if another"), optional=True),
            QgsProcessingParameterRasterLayer("ELEVATION", tr("Elevation model"), optional=True),
            QgsProcessingParameterString("OPTIONS", tr("Options of the editor (JSON)"), "", optional=True, multiLine=True),
            QgsProcessingParameterNumber("GROW", tr("Enlarge the polygons by pixels"), defaultValue=0, minValue=0, maxValue=64),
            QgsProcessingParameterEnum("AREA", tr("Write"), [tr("the edited window"), tr("the whole layer")], defaultValue=0),
            QgsProcessingParameterString("SERVER", tr("Server address"), "", optional=True),
            QgsProcessingParameterString("TOKEN", tr("Server token"), "", optional=True),
        )
        for parameter in advanced:
            parameter.setFlags(parameter.flags() | QgsProcessingParameterDefinition.Flag.FlagAdvanced)
            add(parameter)
        add(QgsProcessingParameterRasterDestination("OUTPUT", tr("Edited raster")))
        self.addOutput(QgsProcessingOutputString("MANIFEST", tr("Manifest (JSON)")))
        self.addOutput(QgsProcessingOutputNumber("OUTSIDE_DIFFERENT", tr("Pixels outside the polygons that differ")))

    def processAlgorithm(self, parameters, context, feedback):
        """Run one edit."""
        target = Path(self.parameterAsOutputLayer(parameters, "OUTPUT", context))
        if target.suffix.lower() not in (".tif", ".tiff"):
            raise QgsProcessingException(f"The output must be a GeoTIFF (.tif), not '{target.suffix}'.")
        wish, inputs = self._wish(parameters, context)
        try:
            path, manifest = self._run(parameters, context, feedback, (wish, inputs, target.parent))
        except Cancelled:
            return {}
        except PluginError as error:
            raise QgsProcessingException(f"{error.message}\n{error.details}") from error
        os.replace(path, target)
        gate = manifest["gate"]
        feedback.pushInfo(f"{manifest['editor']}: {manifest['engine']}")
        feedback.pushInfo(f"{gate['pixels_outside_different']} of {gate['pixels_outside']} pixels outside the polygons differ")
        return {"OUTPUT": str(target), "MANIFEST": json.dumps(manifest),
                "OUTSIDE_DIFFERENT": gate["pixels_outside_different"]}

    def _run(self, parameters, context, feedback, edit):
        wish, inputs, folder = edit

        def on_change(info):
            feedback.setProgress(info.progress)
            feedback.setProgressText(f"{info.stage} {info.step}/{info.steps}" if info.steps else info.stage)

        def run(url, token, local):
            return run_edit(wish, inputs, Connection(url, token, local), folder, feedback, on_change)

        url = self.parameterAsString(parameters, "SERVER", context) or os.environ.get("LANDBRUSH_URL", "")
        token = self.parameterAsString(parameters, "TOKEN", context) or os.environ.get("LANDBRUSH_TOKEN", "")
        if url:
            return run(url, token or settings.token(), True)
        if not settings.get("server/local"):
            return run(settings.get("server/url"), settings.token(), False)
        with BlockingServer(feedback.isCanceled) as (address, secret):
            return run(address, secret, True)

    def _wish(self, parameters, context):
        layer = self.parameterAsRasterLayer(parameters, "INPUT", context)
        path = layer_path(layer) if layer is not None else None
        if path is None:
            raise QgsProcessingException("INPUT must be a raster file. Export web layers to a file first.")
        area = self._area(parameters, "POLYGONS", context)
        if area is None:
            raise QgsProcessingException("POLYGONS holds no polygon.")
        text = self.parameterAsString(parameters, "OPTIONS", context).strip()
        try:
            options = json.loads(text) if text else {}
        except ValueError as error:
            raise QgsProcessingException(f"OPTIONS is not JSON: {error}") from error
        if not isinstance(options, dict):
            raise QgsProcessingException('OPTIONS must be a JSON object such as {"severity": 0.8}.')
        wish = Wish(
            layer=layer,
            area=area,
            prompt=self.parameterAsString(parameters, "PROMPT", context),
            process_id=self.parameterAsString(parameters, "EDITOR", context).strip() or AUTO,
            options=options,
            seed=self.parameterAsInt(parameters, "SEED", context),
            exemplar=self._area(parameters, "EXEMPLAR", context),
            blend=Blend(grow_px=self.parameterAsInt(parameters, "GROW", context)),
            output=Output(area=AREAS[self.parameterAsEnum(parameters, "AREA", context)]),
        )
        other = self.parameterAsRasterLayer(parameters, "EXEMPLAR_RASTER", context)
        elevation = self.parameterAsRasterLayer(parameters, "ELEVATION", context)
        return wish, Inputs(path, None, layer_path(other) if other else None, layer_path(elevation) if elevation else None)

    def _area(self, parameters, name, context):
        source = self.parameterAsSource(parameters, name, context)
        if source is None:
            return None
        shapes = [f.geometry() for f in source.getFeatures(QgsFeatureRequest()) if f.hasGeometry()]
        if not shapes:
            return None
        return Area(QgsGeometry.unaryUnion([s.makeValid() for s in shapes]), source.sourceCrs())
