"""Processing parameters: the common ones, and those made from an editor's options."""

from qgis.core import (
    QgsProcessing,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterCrs,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
    QgsProcessingParameterVectorLayer,
)

from ...server.contract.message import bounds_of, choices_of
from ...server.contract.requests import Blend, Output
from .. import settings
from ..told import told
from ..translated import tr

AREAS = choices_of(Output, "area")
COMPRESSIONS = list(choices_of(Output, "compression"))


def polygons(name, title, optional: bool = True):
    """A parameter for a layer of polygons, or the features selected in one."""
    return QgsProcessingParameterFeatureSource(
        name, tr(title), [QgsProcessing.SourceType.TypeVectorPolygon], optional=optional
    )


def whole_number(name, title, default, highest):
    """An integer from 0."""
    return QgsProcessingParameterNumber(
        name, tr(title), defaultValue=default, minValue=0, maxValue=highest
    )


def blend_number(name, title, of_blend, default):
    """A number of the contract's Blend, with its bounds."""
    return whole_number(name, title, default, bounds_of(Blend, of_blend)[1])


def advanced():
    """What few people change, the same for all algorithms."""
    found = [
        polygons("PROTECT", "Areas inside that stay as they are"),
        QgsProcessingParameterExtent("EXTENT", tr("Edit only inside this extent"), optional=True),
        blend_number("GROW", "Enlarge the polygons by (px)", "grow_px", 0),
        blend_number("BEYOND", "Draw beyond the polygons, not kept (px)", "beyond_px", 0),
        blend_number(
            "FEATHER",
            "Soft edge inside the polygons (px)",
            "feather_px",
            settings.get("blend/feather_px"),
        ),
        blend_number(
            "CONTEXT",
            "Surroundings shown to the editor (px)",
            "context_px",
            settings.get("blend/context_px"),
        ),
        QgsProcessingParameterBoolean(
            "MATCH",
            tr("Match the tone to the ring around the polygons"),
            settings.get("blend/radiometric_match"),
        ),
        QgsProcessingParameterBoolean(
            "WHOLE", tr("Where something is removed: whole objects, with their shadows"), False
        ),
        QgsProcessingParameterString(
            "BAND_ROLES", tr("Bands, where the file does not say (nir=4 red=1)"), "", optional=True
        ),
        QgsProcessingParameterEnum(
            "AREA", tr("Write"), [tr("the edited window"), tr("the whole layer")], defaultValue=0
        ),
        QgsProcessingParameterEnum(
            "COMPRESSION", tr("Compression"), COMPRESSIONS, False, "deflate", usesStaticStrings=True
        ),
        QgsProcessingParameterBoolean("COG", tr("Cloud Optimized GeoTIFF"), False),
        QgsProcessingParameterBoolean(
            "KEEP_REQUEST", tr("Prompt and request in the file's own tags"), False
        ),
    ]
    return [*_folded(found), *server_address()]


def server_address():
    """Which server is asked; empty: that of the settings, or one that is started."""
    return _folded(
        QgsProcessingParameterString(name, tr(title), "", optional=True)
        for name, title in (("SERVER", "Server address"), ("TOKEN", "Server token"))
    )


def _folded(parameters):
    """Parameters that the form shows below *Advanced*."""
    found = list(parameters)
    for parameter in found:
        parameter.setFlags(parameter.flags() | QgsProcessingParameterDefinition.Flag.FlagAdvanced)
    return found


def new_ground():
    """Where there is no raster yet: an extent, a CRS, a ground size."""
    return [
        QgsProcessingParameterExtent(
            "EXTENT", tr("Extent of the new layer (or a raster layer and polygons)"), optional=True
        ),
        QgsProcessingParameterCrs("CRS", tr("CRS of the new layer"), "ProjectCrs", optional=True),
        QgsProcessingParameterNumber(
            "GSD",
            tr("Ground size of a pixel (m)"),
            QgsProcessingParameterNumber.Type.Double,
            0.6,
            minValue=0.01,
            maxValue=10_000.0,
        ),
    ]


def exemplar(optional):
    """What to copy from."""
    return [
        polygons("EXEMPLAR", "Exemplar polygons to copy from", optional),
        QgsProcessingParameterRasterLayer(
            "EXEMPLAR_RASTER", tr("Raster of the exemplar, if another"), optional=True
        ),
    ]


def elevation(optional):
    """A parameter for a raster of heights in metres."""
    return [
        QgsProcessingParameterRasterLayer("ELEVATION", tr("Elevation model"), optional=optional)
    ]


GROUND = {
    "roof": "KNOWN_BUILDINGS",
    "paved": "KNOWN_ROADS",
    "tree": "KNOWN_TREES",
    "water": "KNOWN_WATER",
}
"""Names of the parameters for layers that know the ground, by its kind."""


def ground():
    """Vector layers that know what the ground is."""
    kinds = [QgsProcessing.SourceType.TypeVectorPolygon, QgsProcessing.SourceType.TypeVectorLine]
    titles = (
        tr("Buildings (footprints)"),
        tr("Roads (lines or polygons)"),
        tr("Trees and woods"),
        tr("Water"),
    )
    return _folded(
        QgsProcessingParameterVectorLayer(name, title, kinds, optional=True)
        for name, title in zip(GROUND.values(), titles)
    )


def known_layers(algorithm, parameters, context):
    """The vector layers that were given for kinds of ground, by kind; None where none was."""
    return {
        kind: algorithm.parameterAsVectorLayer(parameters, name, context)
        for kind, name in GROUND.items()
        if algorithm.parameterDefinition(name) is not None
    }


def parameter_name(option):
    """Processing's name of an option: letters, digits and underscores, in capitals."""
    return "".join(c if c.isalnum() else "_" for c in option.name).upper()


def of_option(option):
    """The parameter of one option of an editor."""
    name = parameter_name(option)
    title = f"{option.title} ({option.unit})" if option.unit else option.title
    if option.type == "boolean":
        found = QgsProcessingParameterBoolean(name, title, bool(option.default))
    elif option.type == "string" and option.choices:
        found = QgsProcessingParameterEnum(
            name,
            title,
            list(option.choices),
            False,
            option.default,
            optional="" in option.choices,
            usesStaticStrings=True,
        )
    elif option.type == "string":
        found = QgsProcessingParameterString(name, title, str(option.default), optional=True)
    else:
        kinds = QgsProcessingParameterNumber.Type
        found = QgsProcessingParameterNumber(
            name, title, kinds.Integer if option.type == "integer" else kinds.Double, option.default
        )
        for limit, put in ((option.minimum, found.setMinimum), (option.maximum, found.setMaximum)):
            if limit is not None:
                put(limit)
    found.setHelp(told(option.help))
    return found


def option_value(algorithm, option, parameters, context):
    """The value given for an option, in the option's type."""
    name = parameter_name(option)
    if option.type == "boolean":
        return algorithm.parameterAsBoolean(parameters, name, context)
    if option.type == "string" and option.choices:
        return algorithm.parameterAsEnumString(parameters, name, context)
    if option.type == "string":
        return algorithm.parameterAsString(parameters, name, context)
    if option.type == "integer":
        return algorithm.parameterAsInt(parameters, name, context)
    return algorithm.parameterAsDouble(parameters, name, context)
