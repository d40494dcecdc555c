"""The Processing algorithm `landbrush:replay`: an edit made once more, and whether it gives the
same."""

import json
import tempfile
from pathlib import Path

from qgis.core import (
    QgsProcessingException,
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
)

from ..errors import Cancelled, PluginError
from ..tasks.replay import manifest_for, replay
from ..translated import tr
from .algorithm import checked_target, put_at
from .parameters import server_address
from .running import AskingAlgorithm, layer_of, with_server


class ReplayAlgorithm(AskingAlgorithm):
    """Makes a result again; in a worker thread and without a GUI."""

    def createInstance(self):
        """Called by QGIS for each run."""
        return ReplayAlgorithm()

    def name(self) -> str:
        """Id after the provider's."""
        return "replay"

    def displayName(self) -> str:
        """Name in the toolbox."""
        return tr("Make a result again")

    def tags(self):
        """Words to find it by."""
        return ["replay", "reproduce", "provenance", "manifest", "again"]

    def shortHelpString(self):
        """Help beside the form."""
        return tr(
            "Makes an edit again from what its result says of itself: in the project, or in the "
            "file RESULT.manifest.json beside it. SAME is 1 where every pixel comes back, to the "
            "bit. Where the raster that was edited lies elsewhere now, name it as RASTER."
        )

    def initAlgorithm(self, config=None) -> None:
        """A result; the same again."""
        self.addParameter(QgsProcessingParameterRasterLayer("INPUT", tr("Result of Landbrush")))
        self.addParameter(
            QgsProcessingParameterRasterLayer(
                "RASTER", tr("Raster that was edited, where it has moved"), optional=True
            )
        )
        for parameter in server_address():
            self.addParameter(parameter)
        self.addParameter(QgsProcessingParameterRasterDestination("OUTPUT", tr("Made again")))
        self.addOutput(QgsProcessingOutputNumber("SAME", tr("1: every pixel is the same, 0: not")))
        self.addOutput(QgsProcessingOutputString("MANIFEST", tr("Manifest (JSON)")))

    def processAlgorithm(self, parameters, context, feedback):
        """Ask for the edit again; raises QgsProcessingException."""
        target = Path(self.parameterAsOutputLayer(parameters, "OUTPUT", context))
        try:
            manifest = manifest_for(layer_of(self, parameters, "INPUT", context))
            moved = layer_of(self, parameters, "RASTER", context)
            given = layer_of(self, parameters, "INPUT", context)
            files = [Path(one.source().split("|")[0]) for one in (given, moved) if one is not None]
            asked = manifest.request.raster.path
            checked_target(target, [*files, *([Path(asked)] if asked else [])])
            raster = moved.source().split("|")[0] if moved is not None else None

            def on_change(info) -> None:
                feedback.setProgress(info.progress)
                feedback.setProgressText(info.stage)

            prefix = ".landbrush-"
            with tempfile.TemporaryDirectory(prefix=prefix, dir=str(target.parent)) as folder:

                def run(connection):
                    return replay(manifest, raster, (connection, Path(folder)), feedback, on_change)

                path, made = with_server(self, parameters, context, feedback, run)
                put_at(path, target)
        except Cancelled:
            return {}
        except PluginError as error:
            raise QgsProcessingException(error.message) from error
        same = made.gate.sha256_result == manifest.gate.sha256_result
        feedback.pushInfo(
            tr("Every pixel is the same.") if same else tr("The pixels are not the same.")
        )
        return {
            "OUTPUT": str(target),
            "SAME": int(same),
            "MANIFEST": json.dumps(made.to_json()),
        }
