"""What the files of a raster name: sources of virtual rasters, data of ERS and PCIDSK headers,
files beside that GDAL takes up.

Read here from the files themselves, before GDAL opens them; doors.py decides which of them may be
read.
"""

from __future__ import annotations

import html
import os
import re
import xml.etree.ElementTree as ET
from pathlib import Path

from ..ground.errors import Forbidden, RasterUnreadable
from .tiff_header import LARGEST_TEXT, MOST_BANDS, MOST_ITEMS, PLAIN_TIFF, check_items, check_tiff

PLAIN_OPTIONS = ("OVERVIEW_LEVEL", "NUM_THREADS", "USERPTR", "WORLDFILE", "GEOREF_SOURCES")
"""Options of opening a source that name no file."""
_ELEMENTS = (
    "Order Reversed SrcOvrLevel Options OpenOptions OOI SrcGCPTransformer SrcTPSTransformer "
    "GCPTransformer TPSTransformer SrcNoDataRealAsString VRTDataset SRS GeoTransform GCPList GCP "
    "Metadata MDI OverviewList MaskBand VRTRasterBand Histograms HistItem HistMin HistMax "
    "BucketCount IncludeOutOfRange Approximate HistCounts ColorInterp ColorTable Entry "
    "NoDataValue HideNoDataValue Description UnitType Offset Scale CategoryNames Category "
    "SimpleSource ComplexSource AveragedSource NoDataFromMaskSource KernelFilteredSource Kernel "
    "Size Coefs SourceFilename SourceBand SourceProperties SrcRect DstRect NODATA UseMaskBand "
    "ScaleOffset ScaleRatio ColorTableComponent Exponent SrcMin SrcMax DstMin DstMax Clamp LUT "
    "MaskValueThreshold RemappedValue ByteOrder ImageOffset PixelOffset LineOffset "
    "PixelFunctionType PixelFunctionArguments SourceTransferType BlockXSize BlockYSize "
    "GDALWarpOptions WarpMemoryLimit ResampleAlg WorkingDataType Option SourceDataset Transformer "
    "ApproxTransformer MaxError BaseTransformer GenImgProjTransformer SrcGeoTransform "
    "SrcInvGeoTransform DstGeoTransform DstInvGeoTransform ReprojectTransformer "
    "ReprojectionTransformer SourceSRS TargetSRS SourceCRS TargetCRS BandList BandMapping "
    "SrcNoDataReal SrcNoDataImag DstNoDataReal DstNoDataImag SrcAlphaBand DstAlphaBand Cutline "
    "CutlineBlendDist BandCount InitDest RasterAttributeTable GDALRasterAttributeTable "
    "GDALRasterBand DatasetMetadata FieldDefn Name Type Usage Row F"
)
VIRTUAL_ELEMENTS = frozenset(name.lower() for name in _ELEMENTS.split())
"""What a virtual raster may be made of: mosaics, subsets, scaled and warped ones. Others could run
code or name files here."""
VIRTUAL_NAMES = ("sourcefilename", "sourcedataset")
SIDECARS = (".ovr", ".msk", ".msk.ovr", ".ovr.msk", ".ovr.ovr", ".msk.msk")
OVERVIEW_FILE = "OVERVIEW_FILE"
HEAD_BYTES = 4096


def named_in(path: Path) -> list[Path]:
    """Files that a file names by itself, as GDAL would find them; raises RasterUnreadable,
    Forbidden for what is refused at once: kinds that are not read, names that are no plain paths,
    more metadata than is read."""
    head = _start_of(path, HEAD_BYTES)
    if _is_virtual(path, head):
        return _sources(path)
    if head.startswith(PLAIN_TIFF):
        check_tiff(path)
        return []
    if head.startswith(b"PCIDSK"):
        return _channels(path)
    # GDAL knows an ERS header in any case of its letters.
    if path.suffix.lower() == ".ers" or b"datasetheader" in head.lower():
        found = re.findall(r'DataFile\s*=\s*"?([^"\r\n]*)', _text_of(path), re.IGNORECASE)
        names = [name.strip() for name in found]
        if not names and path.suffix:  # then the data have the header's name without its ending
            names = [path.stem]
        return [_named(name, path.parent, path) for name in names]
    return []


class Folders:
    """What lies beside files; each folder is listed once."""

    def __init__(self) -> None:
        self.listed: dict[Path, dict[str, tuple[Path, bool]]] = {}

    def sidecars(self, path: Path) -> list[Path]:
        """Files beside that GDAL takes for overviews, masks and metadata of this one, whatever the
        case of their letters; raises RasterUnreadable where something beside it is neither file nor
        folder, since opening that may never end."""
        beside = self._of(path.parent)
        name = path.name.lower()
        stem = path.stem.lower()
        for other, (_, plain) in beside.items():
            if not plain and other.startswith(stem):
                raise RasterUnreadable(
                    f"{other}, which lies beside {path.name}, is neither a file nor a folder; "
                    "take it away."
                )
        wanted = {
            *(name + end for end in (*SIDECARS, ".aux.xml")),
            stem + ".ovr",
            stem + ".aux.xml",
        } - {name}
        return [beside[other][0] for other in sorted(wanted) if other in beside]

    def _of(self, folder: Path) -> dict[str, tuple[Path, bool]]:
        if folder not in self.listed:
            try:
                with os.scandir(folder) as entries:
                    self.listed[folder] = {
                        e.name.lower(): (Path(e.path), e.is_file() or e.is_dir()) for e in entries
                    }
            except OSError:
                self.listed[folder] = {}
        return self.listed[folder]


def check_sidecar(sidecar: Path, path: Path) -> None:
    """Refuse a file beside `path` that GDAL would follow elsewhere, or that holds more metadata
    than is read."""
    if sidecar.suffix.lower() == ".xml":
        text = _text_of(sidecar)
        check_items(text.encode(), sidecar)
        if OVERVIEW_FILE.lower() in html.unescape(text).lower():
            raise RasterUnreadable(
                f"{sidecar.name} names another file for overviews ({OVERVIEW_FILE}), which is not "
                "followed; take it away."
            )
        return
    if not _start_of(sidecar, 8).startswith(PLAIN_TIFF):
        raise RasterUnreadable(
            f"{sidecar.name}, which lies beside {path.name}, is no TIFF; take it away, or make it "
            "anew."
        )
    check_tiff(sidecar)


def _start_of(path: Path, size: int) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(size)
    except OSError as error:
        raise RasterUnreadable(f"{path.name} cannot be read: {error.strerror or error}.") from error


def _text_of(path: Path) -> str:
    size = path.stat().st_size
    if size > LARGEST_TEXT:
        raise RasterUnreadable(
            f"{path.name} is too large for a text that describes a raster ({size:,} bytes)."
        )
    return path.read_bytes().decode("utf8", "replace")


def _is_virtual(path: Path, head: bytes) -> bool:
    named = path.suffix.lower() == ".vrt"
    if not named and b"<VRTDataset" in head:
        raise RasterUnreadable(
            f"{path.name} holds a virtual raster (VRT) under another name; it is not read."
        )
    return named


def _named(name: str, folder: Path, of: Path) -> Path:
    """The file that a name in another file means, seen from `folder`; raises Forbidden for what is
    no plain path."""
    if (
        not name
        or name.startswith(("/vsi", "\\\\", "//"))
        or "<" in name
        or re.match(r"[A-Za-z][\w+.-]+:", name)
    ):
        raise Forbidden(
            f"'{of.name}' reads from '{name[:200]}', which is no file below a folder this server "
            "may read. Make a GeoTIFF of it first."
        )
    return Path(name) if os.path.isabs(name) else folder / name


def _sources(path: Path) -> list[Path]:
    """Files that a virtual raster reads, as GDAL would find them; raises RasterUnreadable for one
    of a kind that is not read."""
    try:
        text = _text_of(path)
        if "<!DOCTYPE" in text or "<!ENTITY" in text:
            raise ValueError("it declares entities")
        root = ET.fromstring(text)
    except (ValueError, ET.ParseError, RecursionError) as error:
        raise RasterUnreadable(
            f"{path.name} is a virtual raster of a kind that is not read: {error}."
        ) from error
    found = []
    counts = dict.fromkeys(("vrtrasterband", "mdi"), 0)
    for element in root.iter():
        name = str(element.tag).lower()
        if name not in VIRTUAL_ELEMENTS or any(
            str(key).lower() in VIRTUAL_NAMES for key in element.attrib
        ):
            # GDAL takes a source's name from an attribute too, in any case of its letters; no
            # program writes it so.
            raise RasterUnreadable(
                f"{path.name} is a virtual raster with <{str(element.tag)[:60]}> of a kind that "
                "is not read. Make a GeoTIFF of it first (Raster > Conversion > Translate)."
            )
        if name in counts:
            counts[name] += 1
        if name in VIRTUAL_NAMES:
            found.append(_source(element, path))
        if name == "mdi" and str(element.attrib.get("key", "")).upper().endswith(OVERVIEW_FILE):
            raise RasterUnreadable(
                f"{path.name} names another file for its overviews ({OVERVIEW_FILE}), which is "
                "not followed."
            )
        if name == "ooi" and str(element.attrib.get("key", "")).upper() not in PLAIN_OPTIONS:
            raise RasterUnreadable(
                f"{path.name} opens a source with the option "
                f"'{str(element.attrib.get('key'))[:60]}', which is not read. Make a GeoTIFF of "
                "it first."
            )
    if counts["vrtrasterband"] > MOST_BANDS or counts["mdi"] > MOST_ITEMS:
        raise RasterUnreadable(
            f"{path.name} has {counts['vrtrasterband']:,} bands and {counts['mdi']:,} items of "
            f"metadata; at most {MOST_BANDS:,} and {MOST_ITEMS:,} are read."
        )
    return found


def _source(element: ET.Element, path: Path) -> Path:
    """The file of one source, as GDAL finds it: seen from the virtual raster where it says so, else
    from this process."""
    flags = [
        str(value).strip()
        for key, value in element.attrib.items()
        if str(key).lower() == "relativetovrt"
    ]
    name = element.text or ""
    if name != name.strip():
        raise RasterUnreadable(
            f"{path.name} names a source with spaces around it ('{name[:100]}'), which programs "
            "take in different ways. Make a GeoTIFF of it first."
        )
    return _named(name, path.parent if flags == ["1"] else Path.cwd(), path)


IMAGE_HEADER = 1024
BLOCK = 512


def _channels(path: Path) -> list[Path]:
    """Files that hold the channels of a PCIDSK file, by its image headers; GDAL does not list all
    of them."""
    try:
        with path.open("rb") as stream:
            header = stream.read(BLOCK)
            first = _number(header[336:352])
            count = _number(header[376:384])
            stream.seek((first - 1) * BLOCK)
            names = [stream.read(IMAGE_HEADER)[64:128] for _ in range(min(count, MOST_BANDS))]
    except (OSError, ValueError, OverflowError) as error:
        raise RasterUnreadable(
            f"{path.name} has no PCIDSK header that can be read: {error}."
        ) from error
    # Tiled channels lie in the file itself. Whatever else is not exactly that is a path for GDAL,
    # with its spaces.
    plain = re.compile(rb"(?:/SIS=\d+|<uninitialized>|)[ \0]*")
    return [
        _named(name.rstrip(b" \0").decode("latin1"), path.parent, path)
        for name in names
        if not plain.fullmatch(name)
    ]


def _number(text: bytes) -> int:
    """A number as PCIDSK writes it; Python's own reading takes more than GDAL's does."""
    if not re.fullmatch(rb" *\d+[ \0]*", text):
        raise ValueError(f"{text!r} is no number")
    return int(text.strip(b" \0"))
