"""A layer of polygons as a table of edits: words, editor, seed, options and order by field or
expression."""

import json

from qgis.core import (
    QgsExpression,
    QgsExpressionContext,
    QgsFeatureRequest,
    QgsProcessingFeatureSource,
)

from ...server.contract.editors import AUTO
from ...server.contract.requests import Blend
from .. import settings
from ..errors import PluginError
from ..tasks.request import Area, EditForm, known_ground, united
from ..tasks.scenario import Row
from ..translated import tr
from .parameters import known_layers
from .running import area_in, layer_of

EXPRESSIONS = (
    ("PROMPT", "What should be there (field or expression)", "prompt"),
    ("EDITOR", "Editor (field or expression; empty: by the words)", "editor"),
    ("SEED", "Seed (field or expression)", "seed"),
    ("OPTIONS", "Options of the editor as JSON (field or expression)", "options"),
    ("ORDER", "Order of the edits (field or expression; empty: as in the layer)", "order"),
)
"""Parameter, title, and the field that is taken where the layer has one of that name."""


class Table:
    """The rows of a scenario layer. `algorithm`, `parameters`, `context`: of Processing. `source`:
    its features."""

    def __init__(self, algorithm, parameters, context, source) -> None:
        self.algorithm = algorithm
        self.parameters = parameters
        self.context = context
        self.source = source
        self.scope = QgsExpressionContext(context.expressionContext())
        self.scope.appendScope(source.createExpressionContextScope())
        self.asked = {name: self._expression(name, field) for name, _, field in EXPRESSIONS}

    def rows(self, layer):
        """The features that have a polygon, in order, and a Row for each: an edit of `layer`.
        Raises PluginError for what cannot be read."""
        features = self._features()
        heights = layer_of(self.algorithm, self.parameters, "ELEVATION", self.context)
        keep = area_in(self.algorithm, self.parameters, "PROTECT", self.context)
        blend = Blend(
            feather_px=settings.get("blend/feather_px"),
            context_px=settings.get("blend/context_px"),
            radiometric_match=settings.get("blend/radiometric_match"),
        )
        known = known_layers(self.algorithm, self.parameters, self.context)
        rows = []
        for feature in features:
            prompt = str(self._value("PROMPT", feature) or "").strip()
            number = feature.id()
            area = Area(united([feature.geometry()]), self.source.sourceCrs())
            form = EditForm(
                layer=layer,
                area=area,
                known=known_ground(known, area, layer, self.context.transformContext()),
                prompt=prompt,
                process_id=str(self._value("EDITOR", feature) or AUTO).strip(),
                options=_options(self._value("OPTIONS", feature), number),
                seed=_seed(self._value("SEED", feature), number),
                elevation_layer=heights,
                protect=keep,
                blend=blend,
            )
            rows.append(Row(f"{number} {prompt or form.process_id}", form))
        return features, rows

    def _features(self):
        # Invalid ones are repaired later; QGIS's own check ends the program.
        skip = QgsProcessingFeatureSource.Flag.FlagSkipGeometryValidityChecks
        found = self.source.getFeatures(QgsFeatureRequest(), skip)
        features = [one for one in found if one.hasGeometry()]
        if self.asked["ORDER"] is None:
            return features
        keyed = [(self._value("ORDER", one), place) for place, one in enumerate(features)]
        try:
            keyed.sort(key=lambda row: (row[0] is None, row[0] or 0, row[1]))
        except TypeError as error:
            raise PluginError(
                tr("ORDER: numbers and words cannot be put into one order.")
            ) from error
        return [features[place] for _, place in keyed]

    def _expression(self, name, field):
        """The expression of a parameter, or of the field that stands for it; None: neither."""
        text = self.algorithm.parameterAsString(self.parameters, name, self.context)
        fields = self.source.fields()
        if not text.strip():
            if fields.lookupField(field) < 0:
                return None
            text = QgsExpression.quotedColumnRef(fields.at(fields.lookupField(field)).name())
        found = QgsExpression(text)
        if found.hasParserError():
            raise PluginError(
                tr("'{text}' is no expression: {why}", text=text, why=found.parserErrorString())
            )
        found.prepare(self.scope)
        return found

    def _value(self, name, feature):
        """What an expression gives for a feature; None: nothing."""
        expression = self.asked[name]
        if expression is None:
            return None
        self.scope.setFeature(feature)
        found = expression.evaluate(self.scope)
        if expression.hasEvalError():
            raise PluginError(
                tr(
                    "{name}, feature {id}: {why}",
                    name=name,
                    id=feature.id(),
                    why=expression.evalErrorString(),
                )
            )
        return None if found is None or str(found) == "NULL" else found


def _seed(value, number):
    try:
        found = int(value or 0)
    except (TypeError, ValueError):
        found = -1
    if not 0 <= found < 2**31:
        raise PluginError(
            tr(
                "SEED, feature {id}: '{value}' is no whole number from 0 to 2147483647.",
                id=number,
                value=value,
            )
        )
    return found


def _options(value, number):
    if value is None or value == "":
        return {}
    if isinstance(value, dict):  # a field of JSON
        return value
    try:
        found = json.loads(str(value))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise PluginError(
            tr(
                "OPTIONS, feature {id}: '{value}' is no JSON object of the form {form}.",
                id=number,
                value=value,
                form='{"severity": 0.8}',
            )
        )
    return found
