"""A print layout: before and after side by side, with scale bar and what they are."""

from qgis.core import (
    QgsLayoutItemLabel,
    QgsLayoutItemMap,
    QgsLayoutItemScaleBar,
    QgsLayoutPoint,
    QgsLayoutSize,
    QgsPrintLayout,
    QgsProject,
    QgsRectangle,
    QgsUnitTypes,
)
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QColor, QFont

from ..map.results import SYNTHETIC, base_of
from ..translated import tr
from .pictures import layers_of

PAGE_MM = (297.0, 210.0)
MARGIN_MM, GAP_MM = 12.0, 6.0
TITLE_MM, FOOT_MM, LABEL_MM = 12.0, 28.0, 8.0
MM = QgsUnitTypes.LayoutUnit.LayoutMillimeters


def _put(layout, item, box):
    left, top, width, height = box
    layout.addLayoutItem(item)
    item.attemptMove(QgsLayoutPoint(left, top, MM))
    item.attemptResize(QgsLayoutSize(width, height, MM))


def _label(layout, text, box, size, bold=False):
    item = QgsLayoutItemLabel(layout)
    item.setText(text)
    font = QFont()
    font.setPointSizeF(size)
    font.setBold(bold)
    item.setFont(font)
    item.setVAlign(Qt.AlignmentFlag.AlignVCenter)
    _put(layout, item, box)
    return item


def _into(box, whole):
    """A box moved so that it shows no more beside `whole` than it must."""
    if whole is None:
        return box
    x = y = 0.0
    if box.width() <= whole.width():
        x = max(whole.xMinimum() - box.xMinimum(), 0) + min(whole.xMaximum() - box.xMaximum(), 0)
    if box.height() <= whole.height():
        y = max(whole.yMinimum() - box.yMinimum(), 0) + min(whole.yMaximum() - box.yMaximum(), 0)
    return QgsRectangle(
        box.xMinimum() + x, box.yMinimum() + y, box.xMaximum() + x, box.yMaximum() + y
    )


def _free_name(manager, wanted):
    taken = {layout.name() for layout in manager.layouts()}
    name, number = wanted, 2
    while name in taken:
        name, number = f"{wanted} {number}", number + 1
    return name


def make_layout(layer, box, crs):
    """A layout of a result beside what was there, on A4; kept in the project. `box`, `crs`: the
    ground that is shown."""
    project = QgsProject.instance()
    base = base_of(layer) or layer
    layout = QgsPrintLayout(project)
    layout.initializeDefaults()
    title = tr("Before | After: {name}", name=base.name())
    layout.setName(_free_name(project.layoutManager(), title))
    width = (PAGE_MM[0] - 2 * MARGIN_MM - GAP_MM) / 2
    top = MARGIN_MM + TITLE_MM + LABEL_MM
    height = PAGE_MM[1] - top - MARGIN_MM - FOOT_MM
    _label(layout, title, (MARGIN_MM, MARGIN_MM, PAGE_MM[0] - 2 * MARGIN_MM, TITLE_MM), 16, True)
    maps = []
    for number, (name, layers) in enumerate(
        zip((tr("Before"), tr("After · synthetic")), layers_of(layer))
    ):
        left = MARGIN_MM + number * (width + GAP_MM)
        _label(layout, name, (left, top - LABEL_MM, width, LABEL_MM), 11, True)
        item = QgsLayoutItemMap(layout)
        item.setId("before" if number == 0 else "after")
        item.setFrameEnabled(True)
        item.setBackgroundColor(QColor("white"))
        _put(layout, item, (left, top, width, height))
        item.setCrs(crs)
        item.setLayers(layers)
        item.setKeepLayerSet(True)
        item.zoomToExtent(box)
        item.setExtent(_into(item.extent(), base.extent() if base.crs() == crs else None))
        maps.append(item)
    foot = top + height + 3
    bar = QgsLayoutItemScaleBar(layout)
    bar.setStyle("Single Box")
    bar.setLinkedMap(maps[1])
    bar.applyDefaultSize()
    _put(layout, bar, (MARGIN_MM, foot, 70, 12))
    said = tr(SYNTHETIC).replace("'", "''")
    # The rights of all layers that are shown, in which each result says what it is.
    credits = f"[% coalesce(nullif(array_to_string(map_credits('after'), ' '), ''), '{said}') %]"
    _label(layout, credits, (MARGIN_MM + 80, foot, PAGE_MM[0] - 2 * MARGIN_MM - 80, FOOT_MM - 4), 8)
    project.layoutManager().addLayout(layout)
    return layout
