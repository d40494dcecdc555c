"""The Processing algorithm `landbrush:scenario`: an edit for each polygon of a layer, with words,
editor and seed from its fields."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsFeature,
    QgsFeatureSink,
    QgsGeometry,
    QgsProcessing,
    QgsProcessingException,
    QgsProcessingOutputNumber,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterExpression,
    QgsProcessingParameterFeatureSink,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
    QgsRectangle,
)

from ...server.contract.requests import Output
from ..errors import Cancelled, PluginError
from ..map.places import fields_of, square_metres
from ..map.sources import Wanted, file_of, layer_path
from ..tasks.request import in_layer_crs, located
from ..tasks.scenario import Journal, Scenario, held
from ..tasks.tally import Buildings, by_kind, tally_of, write_table
from ..tasks.task import inputs_of, run_edit
from ..translated import tr
from .algorithm import checked_target, put_at
from .parameters import GROUND, elevation, ground, polygons, server_address
from .running import AskingAlgorithm, layer_of, with_server
from .table import EXPRESSIONS, Table

STATUS = {
    "prompt": "snow",
    "editor": "snow",
    "seed": 1,
    "status": "done",
    "message": "why",
    "area_m2": 0.5,
    "result": "file",
    "synthetic": True,
    "kind": "snow",
    "changed_m2": 0.5,
    "buildings": 1,
    "ndvi_before": 0.5,
    "ndvi_after": 0.5,
    "ndwi_before": 0.5,
    "ndwi_after": 0.5,
}
"""Columns of the layer that says what became of each row, with a value of their type."""


COMMON = list(STATUS).index("kind")
"""Columns before those of what was changed."""


def _tally(row, done, buildings):
    """What a row changed; None where it failed."""
    if done.said:
        return None
    area = row.form.area
    count = buildings.touched(area.geometry) if buildings is not None else None
    size = square_metres(area.geometry, area.crs)
    return tally_of(done.about, size, _pixel_m2(row.form.layer, area), count)


def _pixel_m2(layer, area):
    """Ground of a raster's pixel where an area lies; None where it has no place on the ground."""
    middle = in_layer_crs(area, layer).boundingBox().center()
    across, down = layer.rasterUnitsPerPixelX(), layer.rasterUnitsPerPixelY()
    x, y = middle.x(), middle.y()
    return square_metres(
        QgsGeometry.fromRect(QgsRectangle(x, y, x + across, y + down)), layer.crs()
    )


class ScenarioAlgorithm(AskingAlgorithm):
    """Runs a table of edits; in a worker thread and without a GUI."""

    def createInstance(self):
        """Called by QGIS for each run."""
        return ScenarioAlgorithm()

    def name(self) -> str:
        """Id after the provider's."""
        return "scenario"

    def displayName(self) -> str:
        """Name in the toolbox."""
        return tr("Run a scenario layer")

    def tags(self):
        """Words to find it by."""
        return ["scenario", "batch", "many", "measures", "plan", "table"]

    def shortHelpString(self):
        """Help beside the form."""
        return tr(
            "Edits a raster once for each polygon of a layer, in order, each on what those before "
            "it made. The words, and if you like editor, seed and options, come from fields "
            "(prompt, editor, seed, options, order) or expressions, for instance "
            "'flooded ' || level || ' m'.\n\n"
            "FOLDER keeps a result for each polygon and a journal. Run it again with the same "
            "folder, and only what has changed, or was not done yet, is made: also after QGIS or "
            "the server was ended half-way. A polygon that cannot be edited is told in STATUS and "
            "does not keep the others.\n\n"
            "OUTPUT is one layer with all of them, on the same pixel grid; outside the polygons "
            "not one bit changes.\n\n"
            "STATUS and TABLE say what was changed: area, buildings of the layer of buildings "
            "that a polygon touches (one that two touch counts for both), and the mean NDVI and "
            "NDWI before and after where the raster has a band of near infrared; TABLE adds up all "
            "of a kind."
        )

    def initAlgorithm(self, config=None) -> None:
        """A raster and a layer of polygons; results, a flat layer, and what became of each."""
        self.addParameter(QgsProcessingParameterRasterLayer("INPUT", tr("Raster layer")))
        self.addParameter(polygons("LAYER", "Scenario layer (polygons)", optional=False))
        for name, title, _ in EXPRESSIONS:
            self.addParameter(
                QgsProcessingParameterExpression(name, tr(title), "", "LAYER", optional=True)
            )
        for parameter in (*elevation(optional=True), *ground()):
            self.addParameter(parameter)
        self.addParameter(polygons("PROTECT", "Areas inside that stay as they are"))
        self.addParameter(QgsProcessingParameterBoolean("COG", tr("Cloud Optimized GeoTIFF"), True))
        for parameter in server_address():
            self.addParameter(parameter)
        self.addParameter(
            QgsProcessingParameterFolderDestination("FOLDER", tr("Folder of results and journal"))
        )
        self.addParameter(
            QgsProcessingParameterRasterDestination(
                "OUTPUT", tr("All edits in one layer"), optional=True, createByDefault=True
            )
        )
        self.addParameter(
            QgsProcessingParameterFeatureSink(
                "STATUS",
                tr("What became of each"),
                QgsProcessing.SourceType.TypeVectorPolygon,
                optional=True,
                createByDefault=True,
            )
        )
        self.addParameter(
            QgsProcessingParameterFileDestination(
                "TABLE",
                tr("What was changed, by kind"),
                "CSV (*.csv)",
                optional=True,
                createByDefault=False,
            )
        )
        for name, title in (
            ("DONE", "Polygons that were edited"),
            ("FAILED", "Polygons that could not be edited"),
            ("MADE", "Edits that were made anew this time"),
        ):
            self.addOutput(QgsProcessingOutputNumber(name, tr(title)))

    def processAlgorithm(self, parameters, context, feedback):
        """Run the rows; raises QgsProcessingException where none of them can be."""
        try:
            return self._process(parameters, context, feedback)
        except Cancelled:
            feedback.pushInfo(tr("Stopped. Run it again with the same folder to go on."))
            return {}
        except PluginError as error:
            raise QgsProcessingException(error.message) from error
        except OSError as error:
            raise QgsProcessingException(
                tr("A file could not be read or written: {why}", why=error)
            ) from error

    def _process(self, parameters, context, feedback):
        layer = layer_of(self, parameters, "INPUT", context)
        if layer is None:
            raise PluginError(tr("INPUT: choose a raster layer."))
        folder = Path(self.parameterAsString(parameters, "FOLDER", context))
        folder.mkdir(parents=True, exist_ok=True)
        source = self.parameterAsSource(parameters, "LAYER", context)
        if source is None:
            raise PluginError(tr("LAYER: choose a layer of polygons."))
        table = Table(self, parameters, context, source)
        features, rows = table.rows(layer)
        if not rows:
            raise PluginError(tr("LAYER holds no polygon."))
        running = _Running(rows, folder, context.transformContext(), feedback)
        target = self.parameterAsOutputLayer(parameters, "OUTPUT", context)
        whole = Output("layer", "deflate", self.parameterAsBoolean(parameters, "COG", context))

        def run(connection):
            return running.run(connection, Path(target) if target else None, whole)

        dones, flat = with_server(self, parameters, context, feedback, run)
        tallies = self._tallies(parameters, context, feedback, list(zip(rows, dones)))
        told = zip(features, rows, dones, tallies)
        status = self._status(parameters, context, told, folder)
        listed = self._table(parameters, context, feedback, tallies)
        failed = sum(bool(one.said) for one in dones)
        if failed == len(dones):
            raise PluginError(
                tr("No polygon could be edited. The first one: {why}", why=dones[0].said)
            )
        return {
            "FOLDER": str(folder),
            **({"OUTPUT": target} if flat else {}),
            **({"STATUS": status} if status else {}),
            **({"TABLE": listed} if listed else {}),
            "DONE": len(dones) - failed,
            "FAILED": failed,
            "MADE": sum(one.again and not one.said for one in dones),
        }

    # ---- what became of them

    def _tallies(self, parameters, context, feedback, done):
        """What each of pairs of a Row and its Done changed; None of each where nobody asks."""
        if not (parameters.get("STATUS") or parameters.get("TABLE")):
            return [None] * len(done)
        known = self.parameterAsVectorLayer(parameters, GROUND["roof"], context)
        crs, counted = done[0][0].form.area.crs, None
        if known is not None:
            counted = Buildings(known, crs, context.transformContext(), feedback)
        return [_tally(row, one, counted) for row, one in done]

    def _table(self, parameters, context, feedback, tallies):
        """The path of the table by kind; '' where none is wanted, or it cannot be written, which
        must not lose the edits."""
        listed = self.parameterAsFileOutput(parameters, "TABLE", context)
        try:
            if listed:
                write_table(listed, by_kind(one for one in tallies if one is not None))
        except OSError as error:
            feedback.reportError(tr("A file could not be written: {why}", why=error))
            return ""
        return listed

    def _status(self, parameters, context, told, folder):
        """A layer of what became of each; `told`: its feature, Row, Done and Tally."""
        fields, told = fields_of(STATUS), list(told)
        feature, row, *_ = told[0]
        crs = row.form.area.crs
        sink, target = self.parameterAsSink(
            parameters, "STATUS", context, fields, feature.geometry().wkbType(), crs
        )
        if sink is None:
            return ""
        for feature, row, done, tally in told:
            one = QgsFeature(fields)
            changed = tally.values() if tally is not None else {}
            one.setGeometry(feature.geometry())
            one.setAttributes(
                [
                    row.form.prompt,
                    row.form.process_id,
                    row.form.seed,
                    "failed" if done.said else "done",
                    done.said,
                    square_metres(row.form.area.geometry, crs),
                    str(folder / done.file) if done.file else "",
                    not done.said,
                    *(changed.get(name) for name in list(STATUS)[COMMON:]),
                ]
            )
            sink.addFeature(one, QgsFeatureSink.Flag.FastInsert)
        return target


class _Running:
    """A scenario on its way. `rows`, `folder`: what is done, and where it is kept. `transforms`:
    the QgsCoordinateTransformContext. `feedback`: who hears of it."""

    def __init__(self, rows, folder, transforms, feedback) -> None:
        self.rows = rows
        self.folder = folder
        self.transforms = transforms
        self.feedback = feedback
        self.connection: Any = None

    def run(self, connection, target, whole):
        """All rows; then, where `target` is a path, one layer of them there (`whole`: its Output).
        Makes (a Done for each row, whether there is such a layer)."""
        self.connection = connection
        form = self.rows[0].form
        first = file_of(form.layer, Wanted(form.layer.extent()))
        if not isinstance(first, Path):
            raise PluginError(
                tr(
                    "INPUT: a scenario needs a raster with a file of its own. Export '{name}' "
                    "first.",
                    name=form.layer.name(),
                )
            )
        if target is not None:
            heights = form.elevation_layer
            read = [layer_path(heights)] if heights is not None else []
            checked_target(target, [first, *read])
        with held(self.folder):
            journal = Journal.read(self.folder)
            plan = Scenario(self.rows, first, journal, self._edit, self.transforms)
            dones = plan.run_all(self._hear, self.feedback.isCanceled)
            made = plan.flattened(dones, whole) if target is not None else None
            if made is not None:
                put_at(made[0], target)
        return dones, made is not None

    def _edit(self, form, over, key, place):
        asked = located(form, self.transforms)
        inputs = inputs_of(asked, context=self.transforms)
        inputs = replace(inputs, over=tuple(over), key=key)

        def on_change(info) -> None:
            self.feedback.setProgress(100 * (place + info.progress / 100) / len(self.rows))
            self.feedback.setProgressText(f"{self.rows[place].name}: {info.stage}")

        return run_edit((asked, inputs), self.connection, self.folder, self.feedback, on_change)

    def _hear(self, place, done) -> None:
        said = done.said or (tr("done") if done.again else tr("as it was"))
        report = self.feedback.reportError if done.said else self.feedback.pushInfo
        report(f"{self.rows[place].name}: {said}")
        self.feedback.setProgress(100 * (place + 1) / len(self.rows))
