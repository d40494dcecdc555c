"""What the Processing algorithms share: parameters read, and a server to ask."""

import os
from urllib.parse import urlsplit

from qgis.core import QgsFeatureRequest, QgsProcessingAlgorithm, QgsProcessingFeatureSource
from qgis.PyQt.QtGui import QIcon

from .. import settings
from ..errors import PluginError
from ..local.installer import ROOT
from ..local.server import BlockingServer
from ..tasks.request import Area, united
from ..tasks.task import Connection, asked_about
from ..translated import tr

ICON = str(ROOT / "resources" / "icons" / "landbrush.svg")
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def with_server(algorithm, parameters, context, feedback, run):
    """`run(connection)` with the server of SERVER and TOKEN, of the settings, or one that is
    started for this time."""
    url = algorithm.parameterAsString(parameters, "SERVER", context) or os.environ.get(
        "LANDBRUSH_URL", ""
    )
    token = algorithm.parameterAsString(parameters, "TOKEN", context) or os.environ.get(
        "LANDBRUSH_TOKEN", ""
    )
    if url:
        # The saved token is for the saved address alone, and only this machine can read this
        # machine's paths.
        saved = (
            settings.token() if url.rstrip("/") == settings.get("server/url").rstrip("/") else ""
        )
        return run(Connection(url, token or saved, urlsplit(url).hostname in LOOPBACK))
    if not settings.get("server/local"):
        return run(Connection(settings.get("server/url"), settings.token(), False))
    with BlockingServer(feedback.isCanceled) as (address, secret):
        return run(Connection(address, secret, True))


class LandbrushAlgorithm(QgsProcessingAlgorithm):
    """What stands under *Landbrush* in the toolbox; runs in a worker thread and without a GUI."""

    def icon(self):
        """That of the plugin, the same beside each of them."""
        return QIcon(ICON)


class AskingAlgorithm(LandbrushAlgorithm):
    """Asks the server something about rasters."""

    def answer(self, parameters, context, feedback, sources, question):
        """What the server says to `question(client, refs)`; `sources`: what `file_of` gave."""

        def run(connection):
            return asked_about(connection, feedback, sources, question)

        return with_server(self, parameters, context, feedback, run)


def layer_of(algorithm, parameters, name, context):
    """The layer of a parameter; None where the algorithm has no such parameter or it is empty."""
    if algorithm.parameterDefinition(name) is None or not parameters.get(name):
        return None
    layer = algorithm.parameterAsRasterLayer(parameters, name, context)
    if layer is None:
        raise PluginError(
            tr("{name}: '{value}' is not a raster layer.", name=name, value=parameters[name])
        )
    return layer


def area_in(algorithm, parameters, name, context):
    """All shapes of a parameter as one area; None where there are none."""
    if algorithm.parameterDefinition(name) is None:
        return None
    source = algorithm.parameterAsSource(parameters, name, context)
    if source is None:
        return None
    # Invalid ones are repaired here; QGIS's own check throws through Python's loop, which ends the
    # program.
    found = source.getFeatures(
        QgsFeatureRequest(), QgsProcessingFeatureSource.Flag.FlagSkipGeometryValidityChecks
    )
    shapes = [feature.geometry() for feature in found if feature.hasGeometry()]
    if not shapes:
        return None
    return Area(united(shapes), source.sourceCrs())
