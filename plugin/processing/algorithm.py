"""What the algorithms that edit a raster have in common."""

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Optional

from qgis.core import (
    QgsGeometry,
    QgsProcessingException,
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
    QgsRectangle,
)

from ...server.contract.editors import EditorInfo
from ...server.contract.jobs import BESIDE, RESULT_FILE
from ...server.contract.requests import Blend, Output
from ..errors import Cancelled, PluginError
from ..tasks.request import Area, EditForm, area_of, band_roles_of, known_ground, located
from ..tasks.task import inputs_of, run_edit
from ..translated import tr
from .parameters import AREAS, advanced, known_layers, new_ground, polygons, whole_number
from .running import LandbrushAlgorithm, area_in, layer_of, with_server

PROMISE = (
    "Gives a new GeoTIFF on the same pixel grid; outside the polygons not one bit "
    "changes.\n\nWithout SERVER the "
    "address in the plugin's settings is used; a local server is started for the time of the run."
)


def checked_target(target, sources):
    """The path of a GeoTIFF to be written; raises PluginError where it is none, or one of the files
    that are read."""
    target = Path(target)
    if target.suffix.lower() not in (".tif", ".tiff"):
        raise PluginError(
            tr("The output must be a GeoTIFF (.tif), not '{suffix}'.", suffix=target.suffix)
        )
    for path in sources:
        if isinstance(path, Path) and target.exists() and path.exists() and path.samefile(target):
            raise PluginError(
                tr(
                    "OUTPUT is the file that is edited or copied from ({path}); choose another, so "
                    "that nothing is lost.",
                    path=path,
                )
            )
    return target


def put_at(path, target):
    """Move a result and what lies beside it, also to another disk; what lay beside an older one
    goes."""
    for old in BESIDE.values():
        target.with_name(target.name + old.removeprefix(RESULT_FILE)).unlink(missing_ok=True)
    for part in (*path.parent.glob(f"{path.name}.*"), path):
        goal = target.with_name(target.name + part.name[len(path.name) :])
        draft = goal.with_name(f".{goal.name}.part")
        try:
            shutil.move(str(part), str(draft))
            os.replace(draft, goal)
        finally:
            draft.unlink(missing_ok=True)


class RasterAlgorithm(LandbrushAlgorithm):
    """Edits a raster inside polygons; runs in a worker thread and without a GUI.

    Subclasses say `own_parameters` and `what`; abc cannot demand it, since QGIS's classes have a
    metaclass of their own.
    """

    info: "Optional[EditorInfo]" = None

    def tags(self):
        """Words to find it by."""
        return [
            "inpaint",
            "remove",
            "fill",
            "flood",
            "snow",
            "fog",
            "burn",
            "generative",
            "simulate",
            "scenario",
        ]

    def own_parameters(self):
        """Parameters between the polygons and the seed."""
        raise NotImplementedError

    def what(self, parameters, context):
        """Process id, prompt and options."""
        raise NotImplementedError

    def from_nothing(self) -> bool:
        """Whether it can do without a raster."""
        return self.info is not None and "raster?" in self.info.needs

    def initAlgorithm(self, config=None) -> None:
        """Declare parameters and outputs; those of the editor stand between polygons and seed."""
        empty = self.from_nothing()
        first = [
            QgsProcessingParameterRasterLayer("INPUT", tr("Raster layer"), optional=empty),
            polygons(
                "POLYGONS",
                "Polygons to edit",
                optional=empty or self.info is not None and bool(self.info.makes),
            ),
            *(new_ground() if empty else ()),
        ]
        seed = whole_number("SEED", "Seed", 0, 2**31 - 1)
        for parameter in (*first, *self.own_parameters(), seed, *advanced()):
            if self.parameterDefinition(parameter.name()) is None:
                self.addParameter(parameter)
        self.addParameter(QgsProcessingParameterRasterDestination("OUTPUT", tr("Edited raster")))
        self.addOutput(QgsProcessingOutputString("MANIFEST", tr("Manifest (JSON)")))
        self.addOutput(
            QgsProcessingOutputNumber(
                "OUTSIDE_DIFFERENT", tr("Pixels outside the polygons that differ")
            )
        )

    def processAlgorithm(self, parameters, context, feedback):
        """Run one edit and put its result at OUTPUT; raises QgsProcessingException."""
        target = Path(self.parameterAsOutputLayer(parameters, "OUTPUT", context))
        try:
            form = located(self._form(parameters, context), context.transformContext())
            inputs = inputs_of(form, context=context.transformContext())
            checked_target(target, inputs.all)
            prefix = ".landbrush-"
            with tempfile.TemporaryDirectory(prefix=prefix, dir=str(target.parent)) as folder:
                edit = (form, inputs, Path(folder))
                path, manifest = self._run(parameters, context, feedback, edit)
                put_at(path, target)
        except Cancelled:
            return {}
        except PluginError as error:
            if error.details and error.message not in error.details:
                feedback.pushDebugInfo(error.details)
            raise QgsProcessingException(error.message) from error
        gate = manifest.gate
        feedback.pushInfo(f"{manifest.editor}: {manifest.engine}")
        feedback.pushInfo(
            tr(
                "{pixels_outside_different} of {pixels_outside} pixels outside the polygons differ",
                pixels_outside_different=gate.pixels_outside_different,
                pixels_outside=gate.pixels_outside,
            )
        )
        return {
            "OUTPUT": str(target),
            "MANIFEST": json.dumps(manifest.to_json()),
            "OUTSIDE_DIFFERENT": gate.pixels_outside_different,
        }

    def _run(self, parameters, context, feedback, edit):
        form, inputs, folder = edit

        def on_change(info) -> None:
            feedback.setProgress(info.progress)
            feedback.setProgressText(
                f"{info.stage} {info.step}/{info.steps}" if info.steps else info.stage
            )

        def run(connection):
            return run_edit((form, inputs), connection, folder, feedback, on_change)

        return with_server(self, parameters, context, feedback, run)

    def _form(self, parameters, context):
        layer = layer_of(self, parameters, "INPUT", context)
        process_id, prompt, options = self.what(parameters, context)
        if layer is None or (self.from_nothing() and not parameters.get("POLYGONS")):
            return self._form_for_new_ground(
                parameters, context, (process_id, prompt, options), layer
            )
        area = area_of(
            self._area(parameters, "POLYGONS", context),
            layer,
            self.info,
            "POLYGONS holds no polygon.",
        )
        extent = None
        if parameters.get("EXTENT"):
            box = self.parameterAsExtent(parameters, "EXTENT", context, layer.crs())
            if not (box.isNull() or box.isEmpty()):
                extent = Area(QgsGeometry.fromRect(box), layer.crs())

        def number(name):
            return self.parameterAsInt(parameters, name, context)

        # Only the algorithm by words has it.
        operation = (
            self.parameterAsString(parameters, "OPERATION", context) if self.info is None else ""
        )
        return EditForm(
            layer=layer,
            area=area,
            prompt=prompt,
            operation=operation.strip(),
            process_id=process_id,
            options=options,
            seed=number("SEED"),
            exemplar=self._area(parameters, "EXEMPLAR", context),
            exemplar_layer=layer_of(self, parameters, "EXEMPLAR_RASTER", context),
            elevation_layer=layer_of(self, parameters, "ELEVATION", context),
            known=self._known(parameters, area, layer, context),
            protect=self._area(parameters, "PROTECT", context),
            extent=extent,
            band_roles=band_roles_of(self.parameterAsString(parameters, "BAND_ROLES", context)),
            blend=Blend(
                grow_px=number("GROW"),
                beyond_px=number("BEYOND"),
                feather_px=number("FEATHER"),
                context_px=number("CONTEXT"),
                radiometric_match=self.parameterAsBoolean(parameters, "MATCH", context),
                whole_objects=self.parameterAsBoolean(parameters, "WHOLE", context),
            ),
            output=self._output(parameters, context),
        )

    def _form_for_new_ground(self, parameters, context, what, layer):
        """Over an extent, where the editor can do without a raster; from one, the same ground with
        finer pixels."""
        if not self.from_nothing():
            raise PluginError(tr("INPUT: choose a raster layer."))
        crs = self.parameterAsCrs(parameters, "CRS", context)
        if not crs.isValid():
            raise PluginError(tr("CRS: choose the coordinate system of the new layer."))
        box = (
            self.parameterAsExtent(parameters, "EXTENT", context, crs)
            if parameters.get("EXTENT")
            else QgsRectangle()
        )
        if box.isNull() or box.isEmpty():
            raise PluginError(
                tr("EXTENT: choose the extent of the new layer, or a raster layer and polygons.")
            )
        process_id, prompt, options = what
        return EditForm(
            layer=layer,
            area=Area(QgsGeometry.fromRect(box), crs),
            prompt=prompt,
            process_id=process_id,
            options=options,
            seed=self.parameterAsInt(parameters, "SEED", context),
            output=self._output(parameters, context),
            band_roles=band_roles_of(self.parameterAsString(parameters, "BAND_ROLES", context))
            if layer is not None
            else {},
            gsd_m=self.parameterAsDouble(parameters, "GSD", context),
        )

    def _output(self, parameters, context):
        return Output(
            AREAS[self.parameterAsEnum(parameters, "AREA", context)],
            self.parameterAsEnumString(parameters, "COMPRESSION", context),
            self.parameterAsBoolean(parameters, "COG", context),
            self.parameterAsBoolean(parameters, "KEEP_REQUEST", context),
        )

    def _known(self, parameters, area, layer, context):
        """What the given vector layers tell of the ground near the area."""
        layers = known_layers(self, parameters, context)
        return known_ground(layers, area, layer, context.transformContext())

    def _area(self, parameters, name, context):
        return area_in(self, parameters, name, context)
