"""Ground where a raster has certain values: classes of a land cover, an index above a threshold."""

import math
import re
from array import array
from dataclasses import dataclass, replace

from qgis.core import (
    Qgis,
    QgsGeometry,
    QgsPointXY,
    QgsRasterBlockFeedback,
    QgsRectangle,
)

from ..errors import Cancelled, PluginError
from ..translated import localised, tr

MOST_PX = 25_000_000
"""Pixels that are looked at in one go."""
MOST_PIECES = 200_000
"""Rectangles that the ground is put together of."""
STRIP_ROWS = 256
MOST_KNOWN = 4096
"""Values of which it is remembered whether they are wanted."""

try:
    ALPHA = Qgis.RasterColorInterpretation.AlphaBand
except AttributeError:  # before QGIS 3.30
    from qgis.core import QgsRaster

    ALPHA = QgsRaster.ColorInterpretation.AlphaBand

NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
ONE = re.compile(
    rf"(?P<sign>[<>]=?|≤|≥)\s*(?P<limit>{NUMBER})"
    rf"|(?P<low>{NUMBER})\s*(?:\.\.|–|to|bis|à|a|至)\s*(?P<high>{NUMBER})"
    rf"|(?P<just>{NUMBER})"
)
BETWEEN = re.compile(r"\s*(?:;\s*|,\s+|$)")
"""Between two of them; a comma between two digits may be a decimal one and is asked about."""


@dataclass(frozen=True)
class Range:
    """Values from `low` to `high`; `open`: without these two."""

    low: float
    high: float
    open: bool = False

    def holds(self, value) -> bool:
        """Whether a value lies in it."""
        if self.open:
            return self.low < value < self.high
        return self.low <= value <= self.high


def ranges_of(text):
    """`3, 5`, `0.2 to 0.5`, `> 0.4`, or several of them, as Ranges. Raises PluginError for what
    is not of that form."""
    found, at, stripped = [], 0, text.strip()
    while at < len(stripped):
        match = ONE.match(stripped, at)
        after = BETWEEN.match(stripped, match.end()) if match else None
        if match is None or after is None:
            break
        found.append(_range(match))
        at = after.end()
    if not found or at < len(stripped):
        raise PluginError(
            tr(
                "Values: '{text}' cannot be read. Write for instance 3, 5 for two classes, 0.2 to "
                "0.5, or > 0.4: a point in a number, a comma and a space between two.",
                text=text,
            )
        )
    for one in found:
        if not one.low <= one.high:
            raise PluginError(
                tr("Values: {low} to {high} holds nothing; put the smaller number first.",
                   low=f"{one.low:g}", high=f"{one.high:g}")
            )  # fmt: skip
    return tuple(found)


def _range(match):
    if match["sign"]:
        limit, below = float(match["limit"]), match["sign"] in ("<", "<=", "≤")
        ends = (-math.inf, limit) if below else (limit, math.inf)
        return Range(*ends, open=match["sign"] in "<>")
    if match["just"]:
        return Range(float(match["just"]), float(match["just"]))
    return Range(float(match["low"]), float(match["high"]))


class ValuedGround:
    """Where a raster has certain values: taken on the GUI thread, where that is quick, and read on
    any other.

    `layer`: the raster. `band`: from 1. `ranges`: Ranges. `box`: where it is looked at, in the
    layer's CRS; None: everywhere. Raises PluginError where there is nothing to look at, or too
    much.
    """

    def __init__(self, layer, band, ranges, box=None) -> None:
        self.name, self.crs = layer.name(), layer.crs()
        self.band, self.ranges = band, ranges
        if not 1 <= band <= layer.bandCount():
            raise PluginError(tr("'{name}' has no band {band}.", name=self.name, band=band))
        if not (layer.width() and layer.height()):
            raise PluginError(
                tr(
                    "'{name}' has no pixels of its own whose values could be looked at.",
                    name=self.name,
                )
            )
        whole = layer.extent()
        self.size = (layer.rasterUnitsPerPixelX(), layer.rasterUnitsPerPixelY())
        self.origin = (whole.xMinimum(), whole.yMaximum())
        self.first, self.last = self._window(layer, whole if box is None else whole.intersect(box))
        self.provider = layer.dataProvider().clone()
        self.alphas = [
            one
            for one in range(1, layer.bandCount() + 1)
            if one != band and self.provider.colorInterpretation(one) == ALPHA
        ]

    def _window(self, layer, near):
        """((first column, first row), (their ends)) of the pixels in a box."""
        if near.isEmpty():
            raise PluginError(tr("'{name}' does not reach where you look.", name=self.name))
        (wide, high), (left, top) = self.size, self.origin
        first = (
            max(0, math.floor((near.xMinimum() - left) / wide + 1e-9)),
            max(0, math.floor((top - near.yMaximum()) / high + 1e-9)),
        )
        last = (
            min(layer.width(), math.ceil((near.xMaximum() - left) / wide - 1e-9)),
            min(layer.height(), math.ceil((top - near.yMinimum()) / high - 1e-9)),
        )
        count = (last[0] - first[0]) * (last[1] - first[1])
        if count > MOST_PX:
            raise PluginError(
                tr(
                    "{n} pixels of '{name}' are too many to look at (at most {most}). Zoom in, or "
                    "give a smaller extent.",
                    n=localised(count),
                    name=self.name,
                    most=localised(MOST_PX),
                )
            )
        return first, last

    def read(self, feedback):
        """The ground as polygons (QgsGeometry in the raster's CRS) along the edges of pixels.
        `feedback`: QgsFeedback, which may stop it. Raises PluginError where no pixel has such a
        value, or they lie too scattered; Cancelled."""
        strips, pieces = [], 0
        for row in range(self.first[1], self.last[1], STRIP_ROWS):
            if feedback.isCanceled():
                raise Cancelled
            rows = min(STRIP_ROWS, self.last[1] - row)
            found = _rectangles(self._mask(row, rows, feedback), self.last[0] - self.first[0])
            pieces += len(found)
            if pieces > MOST_PIECES:
                raise PluginError(
                    tr("The pixels of '{name}' with these values lie too scattered to be polygons. "
                       "Look at a smaller area, or smooth the raster first.", name=self.name)
                )  # fmt: skip
            if found:
                strips.append(QgsGeometry.unaryUnion([self._shape(one, row) for one in found]))
            feedback.setProgress(
                100 * (row + rows - self.first[1]) / (self.last[1] - self.first[1])
            )
        whole = QgsGeometry.unaryUnion(strips) if strips else QgsGeometry()
        if whole.isEmpty():
            raise PluginError(
                tr("No pixel of '{name}' has these values where you look.", name=self.name)
            )
        return whole

    def _mask(self, row, rows, feedback):
        """A byte a pixel of a strip, 1 where its value is wanted."""
        (wide, high), (left, top) = self.size, self.origin
        columns = self.last[0] - self.first[0]
        box = QgsRectangle(
            left + self.first[0] * wide,
            top - (row + rows) * high,
            left + self.last[0] * wide,
            top - row * high,
        )
        block = self._block(self.band, box, (columns, rows), feedback)
        ranges = self.ranges
        if block.dataType() == Qgis.DataType.Float32:  # its 0.4 is not quite the 0.4 of others
            ranges = [replace(one, low=_single(one.low), high=_single(one.high)) for one in ranges]
        mask = _wanted(self._numbers(block), ranges)
        if block.hasNoData():
            _drop_missing(mask, block, columns)
        for alpha in self.alphas:
            seen = self._numbers(self._block(alpha, box, (columns, rows), feedback))
            for place, value in enumerate(seen):
                mask[place] &= value > 0
        return bytes(mask)

    def _numbers(self, block):
        if not block.convert(Qgis.DataType.Float64):
            raise PluginError(tr("'{name}' could not be read.", name=self.name))
        return array("d", bytes(block.data()))

    def _block(self, band, box, size, feedback):
        stop = QgsRasterBlockFeedback()
        feedback.canceled.connect(stop.cancel)
        block = self.provider.block(band, box, *size, stop)
        if feedback.isCanceled():
            raise Cancelled
        if not block.isValid():
            raise PluginError(tr("'{name}' could not be read.", name=self.name))
        return block

    def _shape(self, piece, row):
        (wide, high), (left, top) = self.size, self.origin
        first, last, begin, end = piece
        xs = [left + (self.first[0] + one) * wide for one in (first, last)]
        ys = [top - (row + one) * high for one in (begin, end)]
        ring = [(xs[0], ys[0]), (xs[1], ys[0]), (xs[1], ys[1]), (xs[0], ys[1]), (xs[0], ys[0])]
        return QgsGeometry.fromPolygonXY([[QgsPointXY(*one) for one in ring]])


def _single(value):
    """A number as a raster of single precision holds it."""
    return array("f", [value])[0]


def _wanted(values, ranges):
    """A byte a value, 1 where it lies in one of the ranges."""
    if len(ranges) == 1 and not ranges[0].open:
        low, high = ranges[0].low, ranges[0].high
        return bytearray(low <= value <= high for value in values)
    known: dict = {}  # of classes there are few
    mask = bytearray(len(values))
    for number, value in enumerate(values):
        found = known.get(value)
        if found is None:
            found = any(one.holds(value) for one in ranges)
            if len(known) < MOST_KNOWN:
                known[value] = found
        mask[number] = found
    return mask


def _drop_missing(mask, block, columns) -> None:
    """Pixels without data have no value, whatever number stands for that."""
    at = mask.find(1)
    while at >= 0:
        if block.isNoData(at // columns, at % columns):
            mask[at] = 0
        at = mask.find(1, at + 1)


def _rectangles(mask, columns):
    """(first column, end, first row, end) of rectangles that together are a strip's mask."""
    found = []
    going: dict[tuple[int, int], int] = {}  # the row in which a run of columns began
    rows = len(mask) // columns
    for row in range(rows + 1):
        line = mask[row * columns : (row + 1) * columns]
        runs = {match.span() for match in re.finditer(b"\x01+", line)}
        for run in [one for one in going if one not in runs]:
            found.append((*run, going.pop(run), row))
        for run in runs:
            going.setdefault(run, row)
    return found
