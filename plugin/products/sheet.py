"""A sheet for a report: before and after side by side on A4, as PDF, with a scale bar and what they
are. Drawn of pictures that are there, so that it can be written in any thread."""

import html
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from qgis.core import QgsCoordinateReferenceSystem, QgsCsException, QgsPointXY
from qgis.PyQt.QtCore import QByteArray, QMarginsF, QRectF, Qt
from qgis.PyQt.QtGui import (
    QColor,
    QFont,
    QPageLayout,
    QPageSize,
    QPainter,
    QPdfWriter,
    QPen,
    QTextOption,
)

from ...server.contract.inspection import SOURCE_EDITED, SOURCE_TERMS
from ..map.places import measure_on
from ..tasks.task import BackgroundTask
from ..translated import tr

DPI = 300
MM = DPI / 25.4
PAGE_MM = (297.0, 210.0)
MARGIN_MM, GAP_MM, TITLE_MM, NAME_MM, FOOT_MM = 12.0, 6.0, 12.0, 7.0, 26.0
BAR_MM = 50.0
"""Longest scale bar."""
INK = QColor("#1c1c1a")
XMP = """<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
 xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""
 xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">{title}</rdf:li></rdf:Alt></dc:title>
<dc:rights><rdf:Alt><rdf:li xml:lang="x-default">{rights}</rdf:li></rdf:Alt></dc:rights>
<Iptc4xmpExt:DigitalSourceType>{source_type}</Iptc4xmpExt:DigitalSourceType>
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>"""
"""What the file says of itself to programs: IPTC Photo Metadata, Digital Source Type."""


@dataclass(frozen=True)
class Sheet:
    """What stands on it. `title`: at its top. `rights`: what the pictures are, and whose. `about`:
    CRS and extent. `wide_m`: width of the ground that a picture shows, in metres in its middle;
    None: it has no place on the ground, and there is no scale bar."""

    title: str
    rights: str
    about: str
    wide_m: Optional[float] = None


def rights_of(layers):
    """What layers say of their rights, each once, in their order."""
    said = [one for layer in layers for one in layer.metadata().rights() if one]
    return " ".join(dict.fromkeys(said))


def width_m(box, crs):
    """Width of a box in its middle, in metres on the ellipsoid; None where that is not known."""
    if not crs.isValid() or not isinstance(crs, QgsCoordinateReferenceSystem):
        return None
    y = box.center().y()
    ends = [QgsPointXY(x, y) for x in (box.xMinimum(), box.xMaximum())]
    try:
        found = measure_on(crs).measureLine(*ends)
    except QgsCsException:
        return None
    return found if 0 < found < float("inf") else None


def bar_of(wide_m, wide_mm):
    """(length in metres, in millimetres) of a scale bar: the longest of 1, 2 or 5 times a power of
    ten that fits."""
    per_mm = wide_m / wide_mm
    power = 10.0**12
    while power > 1e-6:
        for digit in (5, 2, 1):
            if digit * power <= BAR_MM * per_mm:
                return digit * power, digit * power / per_mm
        power /= 10
    return None


def _told(metres) -> str:
    if metres >= 1000:
        return f"{metres / 1000:g} km"
    return f"{metres:g} m" if metres >= 1 else f"{metres * 100:g} cm"


def _write(painter, box_mm, text, style) -> None:
    """A text at the top of a box; `style`: (points, bold)."""
    font = QFont("sans-serif")
    font.setPointSizeF(style[0])
    font.setBold(style[1])
    painter.setFont(font)
    painter.setPen(INK)
    place = QTextOption(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)  # it wraps
    painter.drawText(_rect(box_mm), text, place)


def _rect(box_mm):
    return QRectF(*(value * MM for value in box_mm))


def _draw_bar(painter, sheet, place_mm, wide_mm) -> None:
    found = bar_of(sheet.wide_m, wide_mm)
    if found is None:
        return
    metres, length = found
    left, top = place_mm
    painter.setPen(QPen(INK, 0.3 * MM))
    for part, colour in ((0, INK), (1, QColor("white"))):
        painter.setBrush(colour)
        painter.drawRect(_rect((left + part * length / 2, top, length / 2, 1.6)))
    _write(painter, (left, top + 2, length + 30, 5), _told(metres), (8, False))


def _draw(painter, sheet, pictures) -> None:
    across = PAGE_MM[0] - 2 * MARGIN_MM
    begin = MARGIN_MM + TITLE_MM
    down = PAGE_MM[1] - begin - MARGIN_MM - FOOT_MM
    _write(painter, (MARGIN_MM, MARGIN_MM - 3, across, TITLE_MM), sheet.title, (16, True))
    image = pictures[1]
    # Side by side, or a wide one below the other: as they are larger.
    beside = ((across - GAP_MM) / 2, down - NAME_MM)
    below = (across, (down - GAP_MM) / 2 - NAME_MM)
    scale, (wide, high) = max(
        (min(cell[0] / image.width(), cell[1] / image.height()), cell) for cell in (beside, below)
    )
    shown, tall = image.width() * scale, image.height() * scale
    for number, (name, image) in enumerate(zip((tr("Before"), tr("After · synthetic")), pictures)):
        left = MARGIN_MM + (number * (wide + GAP_MM) if wide < across else 0)
        top = begin + NAME_MM + (number * (high + NAME_MM + GAP_MM) if wide == across else 0)
        _write(painter, (left, top - NAME_MM, wide, NAME_MM), name, (11, True))
        box = _rect((left, top, shown, tall))
        painter.drawImage(box, image)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(INK, 0.2 * MM))
        painter.drawRect(box)
    foot = PAGE_MM[1] - MARGIN_MM - FOOT_MM + 3
    if sheet.wide_m:
        _draw_bar(painter, sheet, (MARGIN_MM, foot + 2), shown)
    told = f"{sheet.rights}\n{sheet.about}"
    _write(painter, (MARGIN_MM + 80, foot, across - 80, FOOT_MM - 3), told, (8, False))


def write_sheet(path, sheet, pictures) -> None:
    """Write the PDF, whole or not at all. `pictures`: QImage before and after. Raises OSError."""
    draft = Path(f"{path}.part")
    try:
        with draft.open("wb"):
            pass  # what keeps it from being written is told as the system tells it
        writer = QPdfWriter(str(draft))
        writer.setResolution(DPI)
        writer.setPageSize(QPageSize(QPageSize.PageSizeId.A4))
        writer.setPageOrientation(QPageLayout.Orientation.Landscape)
        writer.setPageMargins(QMarginsF(0, 0, 0, 0))
        writer.setTitle(sheet.title)
        writer.setCreator("Landbrush")
        if hasattr(writer, "setDocumentXmpMetadata"):  # from Qt 5.15
            said = {
                "title": sheet.title,
                "rights": sheet.rights,
                "source_type": SOURCE_TERMS + SOURCE_EDITED,
            }
            packet = XMP.format(**{name: html.escape(text) for name, text in said.items()})
            writer.setDocumentXmpMetadata(QByteArray(packet.encode("utf8")))
        painter = QPainter()
        if not painter.begin(writer):
            raise OSError(f"{path} cannot be written")
        try:
            _draw(painter, sheet, pictures)
        finally:
            painter.end()
        del painter, writer  # which write the end of the file
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


class SheetTask(BackgroundTask):
    """Writes a sheet in a worker thread. Signal `ended(task)`; then `error` may be set."""

    def __init__(self, path, sheet: Sheet, pictures: Any) -> None:
        super().__init__(tr("Landbrush: writing a sheet"))
        self.path, self.sheet, self.pictures = path, sheet, pictures

    def work(self) -> None:
        """Called in a worker thread."""
        write_sheet(self.path, self.sheet, self.pictures)
