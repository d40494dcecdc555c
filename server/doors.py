"""What a raster file may refer to, looked at before GDAL opens it: its sources, its sidecars, and how much it asks for.

GDAL opens what a file names: other files, addresses, whatever its drivers know. So drivers that reach a network or follow names
are not registered in this process, and what the readable formats can name is read here and must be files below the folders that
may be read. What is refused here has cost nothing yet.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import struct
import xml.etree.ElementTree as ET
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO

from PIL import Image

from .errors import Forbidden, RasterUnreadable

ALLOWED = frozenset((
    "GTiff", "COG", "PNG", "JPEG", "JP2OpenJPEG", "HFA", "ENVI", "EHdr", "ERS", "AAIGrid", "SRTMHGT", "USGSDEM", "DTED", "NITF",
    "PCIDSK", "RST", "SAGA", "BMP", "GIF", "BIGGIF", "WEBP", "JPEGXL", "GPKG", "ZMap", "VRT", "MEM", "Memory"))
"""Drivers of this process: those of the formats that are read and written, and what they are made of."""
OTHERS = (
    # That reach a network or a database ...
    "HTTP,WMS,WMTS,WCS,WFS,OAPIF,OGCAPI,CSW,STACIT,STACTA,PLMOSAIC,PLSCENES,EEDA,EEDAI,DAAS,NGW,Carto,Elasticsearch,AmigoCloud,"
    "JPIPKAK,Rasdaman,PostGISRaster,PostgreSQL,MySQL,MSSQLSpatial,HANA,ODBC,MongoDBv3,GeoRaster,OCI,TileDB,SOSI,IDB,ADBC,"
    # ... that name further files, or hold whole file systems ...
    "GTI,MRF,DERIVED,Zarr,HDF4,HDF4Image,HDF5,HDF5Image,netCDF,KEA,BAG,S102,S104,S111,GRIB,TIL,ECRGTOC,RPFTOC,DIMAP,SAFE,"
    "SENTINEL2,TSX,RS2,KMLSUPEROVERLAY,LIBKML,KML,PDF,PDS,PDS4,ISIS2,ISIS3,VICAR,MBTiles,MVT,ESRIC,Rasterlite,SQLite,OSM,GNMFile,"
    "GNMDatabase,DIPEx,NSIDCbin,PRF,OZI,MAP,ADRG,SRP,JAXAPALSAR,SNAP_TIFF,OpenFileGDB,FileGDB,MIRAMON,MiraMonRaster,LIBERTIFF,"
    # ... and the many that are not read here.
    "ACE2,AIG,AVCBin,AVCE00,AirSAR,BLX,BSB,BT,BYN,CALS,CEOS,COASP,COSAR,CPG,CTG,CTable2,DOQ1,DOQ2,EIR,ELAS,ESAT,ESRI Shapefile,"
    "ESRIJSON,FAST,FIT,GFF,GRASSASCIIGrid,GS7BG,GSAG,GSBG,GSC,GTX,GXF,GenBin,GeoJSON,GeoJSONSeq,TopoJSON,HF2,ILWIS,IRIS,ISCE,ISG,"
    "JDEM,KRO,L1B,LAN,LCP,LOSLAS,Leveller,MFF,MFF2,MSGN,NDF,NGSGEOID,NOAA_B,NTv2,NWT_GRC,NWT_GRD,PAux,PCRaster,PNM,R,RIK,RMF,"
    "ROI_PAC,RRASTER,SAR_CEOS,SDTS,SGI,SIGDEM,SNODAS,TGA,Terragen,XPM,XYZ,CAD,GML,GMLAS,GPX,GeoRSS,FlatGeobuf,Parquet,Arrow,DXF,"
    "DGN,MapInfo File,CSV,XLS,XLSX,ODS,Selafin,Idrisi,VDV,S57,Geoconcept,JML,LVBAG,PGDUMP,OGR_GMT,GPSBabel,SXF,EDIGEO,ARG,WAsP,"
    "UK .NTF,JSONFG,PMTiles,VFK,MapML,OpenAir,SUA,SVG,Tiger,AIVector,REC,XODR,AVCGEN,DODS,CIETMAP,DDS,EXR,HEIF,AVIF,JPEGLS,"
    "JP2KAK,JP2ECW,JP2MrSID,JPEG2000,ECW,MrSID,MG4Lidar,FITS,BASISU,KTX2,TIFF,INGR,ARG,AeronavFAA,BNA,Segukooa,SEGY,HTF,SVGFile")
os.environ["GDAL_SKIP"] = ",".join(sorted(set(OTHERS.split(",")) - ALLOWED))  # read once, when GDAL registers its drivers
# Nor is an address opened where a file names one past all that.
os.environ["CPL_VSIL_CURL_ALLOWED_FILENAME"] = "none"
NO_NETWORK = {"CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".none", "CPL_VSIL_CURL_ALLOWED_FILENAME": "none", "GDAL_HTTP_MAX_RETRY": "0",
              "GDAL_HTTP_PROXY": "127.0.0.1:9", "GDAL_HTTPS_PROXY": "127.0.0.1:9", "GDAL_HTTP_CONNECTTIMEOUT": "1",
              "GDAL_VRT_ENABLE_PYTHON": "NO"}

LARGEST_TEXT = 20_000_000
"""Bytes of a virtual raster or of a sidecar of metadata that are read."""
MOST_ITEMS = 10_000
"""Metadata of a file: GDAL takes time that grows with their square, half a second at twice as many."""
MOST_BANDS = 4096
DEEPEST = 8
"""Virtual rasters within virtual rasters."""
_ELEMENTS = (
    "VRTDataset SRS GeoTransform GCPList GCP Metadata MDI OverviewList MaskBand VRTRasterBand Histograms HistItem HistMin "
    "HistMax BucketCount IncludeOutOfRange Approximate HistCounts ColorInterp ColorTable Entry NoDataValue HideNoDataValue "
    "Description UnitType Offset Scale CategoryNames Category SimpleSource ComplexSource AveragedSource "
    "NoDataFromMaskSource KernelFilteredSource Kernel Size Coefs SourceFilename SourceBand SourceProperties SrcRect DstRect "
    "NODATA UseMaskBand ScaleOffset ScaleRatio ColorTableComponent Exponent SrcMin SrcMax DstMin DstMax Clamp LUT "
    "MaskValueThreshold RemappedValue ByteOrder ImageOffset PixelOffset LineOffset PixelFunctionType PixelFunctionArguments "
    "SourceTransferType BlockXSize BlockYSize GDALWarpOptions WarpMemoryLimit ResampleAlg WorkingDataType Option "
    "SourceDataset Transformer ApproxTransformer MaxError BaseTransformer GenImgProjTransformer SrcGeoTransform "
    "SrcInvGeoTransform DstGeoTransform DstInvGeoTransform ReprojectTransformer ReprojectionTransformer SourceSRS TargetSRS "
    "SourceCRS TargetCRS BandList BandMapping SrcNoDataReal SrcNoDataImag DstNoDataReal DstNoDataImag SrcAlphaBand "
    "DstAlphaBand Cutline CutlineBlendDist BandCount InitDest RasterAttributeTable GDALRasterAttributeTable GDALRasterBand "
    "DatasetMetadata"
)
VIRTUAL_ELEMENTS = frozenset(name.lower() for name in _ELEMENTS.split())
"""What a virtual raster may be made of: mosaics, subsets, scaled and warped ones. Others could run code or name files here."""
VIRTUAL_NAMES = ("sourcefilename", "sourcedataset")
PLAIN_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
SIDECARS = (".ovr", ".msk", ".msk.ovr", ".ovr.msk", ".ovr.ovr", ".msk.msk")


def examine(path: Path, roots: Sequence[Path] | None = None) -> None:
    """Refuse a file that is no raster GDAL may open, or that refers to anything but such files.

    `roots`: folders that it and what it refers to must lie below; None: anywhere on this machine. Raises Forbidden where
    something lies elsewhere (RasterUnreadable without roots), RasterUnreadable with what is wrong and what to do.
    """
    with _said_for(roots):
        _examine(path, roots, 0)


@contextlib.contextmanager
def _said_for(roots: Sequence[Path] | None) -> Iterator[None]:
    """Without roots nothing is forbidden to read, only impossible."""
    try:
        yield
    except Forbidden as error:
        if roots is None:
            raise RasterUnreadable(str(error)) from error
        raise


def _examine(path: Path, roots: Sequence[Path] | None, depth: int) -> None:
    _check_place(path, path, roots)
    head = _start_of(path, 4096)
    if _is_virtual(path, head):
        for source in _sources(path):
            if depth >= DEEPEST:
                raise RasterUnreadable(f"{path.name}: more than {DEEPEST} virtual rasters lie within one another. Make a "
                                       "GeoTIFF of it.")
            _check_place(source, path, roots)
            _examine(source, roots, depth + 1)
    elif head.startswith(PLAIN_TIFF):
        _check_tiff(path)
    elif path.suffix.lower() == ".ers" or b"DatasetHeader Begin" in head:
        for name in re.findall(r'DataFile\s*=\s*"?([^"\r\n]*)', _text_of(path), re.IGNORECASE):
            _check_place(_named(name.strip(), path.parent, path), path, roots)
    for sidecar in _sidecars(path):
        _check_sidecar(sidecar, path, roots)


def check_files(files: Iterable[str], path: Path, roots: Sequence[Path] | None) -> None:
    """Refuse an open dataset that is made of files outside the roots; `files`: as GDAL lists them."""
    with _said_for(roots):
        for name in files:
            _check_place(Path(name), path, roots)


def _check_place(file: Path, of: Path, roots: Sequence[Path] | None) -> None:
    if str(file).startswith("/vsi") or ":/" in str(file)[2:]:
        if file == of:
            raise Forbidden(f"'{str(file)[:200]}' is no file of this machine; a GeoTIFF on its disk is read.")
        raise Forbidden(f"'{of.name}' reads from '{str(file)[:200]}', which is no file of this machine. Make a GeoTIFF of it "
                        "first.")
    real = Path(os.path.realpath(file))
    if roots is not None and not any(real.is_relative_to(os.path.realpath(root)) for root in roots):
        if file == of:
            raise Forbidden(f"'{str(file)[:200]}' is not below a folder this server may read. Upload the raster, or start the "
                            "server with --root FOLDER.")
        raise Forbidden(f"'{of.name}' reads from '{str(file)[:200]}', which is no file below a folder this server may read. "
                        "Make a "
                        "GeoTIFF of it first.")
    if not real.is_file():
        if file == of:
            raise RasterUnreadable(f"There is no file '{str(file)[:200]}'.")
        raise Forbidden(f"'{of.name}' reads from '{str(file)[:200]}', which is no file. Make a GeoTIFF of it first.")


def _start_of(path: Path, size: int) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(size)
    except OSError as error:
        raise RasterUnreadable(f"{path.name} cannot be read: {error.strerror or error}.") from error


def _text_of(path: Path) -> str:
    size = path.stat().st_size
    if size > LARGEST_TEXT:
        raise RasterUnreadable(f"{path.name} is too large for a text that describes a raster ({size:,} bytes).")
    return path.read_bytes().decode("utf8", "replace")


def _is_virtual(path: Path, head: bytes) -> bool:
    named = path.suffix.lower() == ".vrt"
    if not named and b"<VRTDataset" in head:
        raise RasterUnreadable(f"{path.name} holds a virtual raster (VRT) under another name; it is not read.")
    return named


def _named(name: str, folder: Path, of: Path) -> Path:
    """The file that a name in another file means, seen from `folder`; raises Forbidden for what is no plain path."""
    if not name or name.startswith(("/vsi", "\\\\", "//")) or "<" in name or re.match(r"[A-Za-z][\w+.-]+:", name):
        raise Forbidden(f"'{of.name}' reads from '{name[:200]}', which is no file below a folder this server may read. Make a "
                        "GeoTIFF of it first.")
    return Path(name) if os.path.isabs(name) else folder / name


def _sources(path: Path) -> list[Path]:
    """Files that a virtual raster reads, as GDAL would find them; raises RasterUnreadable for one of a kind that is not read."""
    try:
        text = _text_of(path)
        if "<!DOCTYPE" in text or "<!ENTITY" in text:
            raise ValueError("it declares entities")
        root = ET.fromstring(text)
    except (ValueError, ET.ParseError, RecursionError) as error:
        raise RasterUnreadable(f"{path.name} is a virtual raster of a kind that is not read: {error}.") from error
    found, counts = [], dict.fromkeys(("vrtrasterband", "mdi"), 0)
    for element in root.iter():
        name = str(element.tag).lower()
        if name not in VIRTUAL_ELEMENTS or any(str(key).lower() in VIRTUAL_NAMES for key in element.attrib):
            # GDAL takes a source's name from an attribute too, in any case of its letters; no program writes it so.
            raise RasterUnreadable(f"{path.name} is a virtual raster with <{str(element.tag)[:60]}> of a kind that is not "
                                   "read. Make "
                                   "a GeoTIFF of it first (Raster > Conversion > Translate).")
        if name in counts:
            counts[name] += 1
        if name in VIRTUAL_NAMES:
            found.append(_source(element, path))
    if counts["vrtrasterband"] > MOST_BANDS or counts["mdi"] > MOST_ITEMS:
        raise RasterUnreadable(f"{path.name} has {counts['vrtrasterband']:,} bands and {counts['mdi']:,} items of metadata; "
                               "at most "
                               f"{MOST_BANDS:,} and {MOST_ITEMS:,} are read.")
    return found


def _source(element: ET.Element, path: Path) -> Path:
    """The file of one source. A name that is not told to be relative to the virtual raster is relative to this process for "
      "GDAL."""
    flags = [str(value).strip() for key, value in element.attrib.items() if str(key).lower() == "relativetovrt"]
    name = (element.text or "").strip()
    if flags != ["1"] and not os.path.isabs(name) and not name.startswith("/vsi"):
        raise Forbidden(f"'{path.name}' reads from '{name[:200]}' without saying relativeToVRT=\"1\", which is no file below a "
                        "folder this server may read.")
    return _named(name, path.parent, path)


def _sidecars(path: Path) -> list[Path]:
    """Files beside that GDAL takes for overviews, masks and metadata of this one, whatever the case of their letters."""
    name, stem = path.name.lower(), path.stem.lower()
    wanted = {*(name + end for end in (*SIDECARS, ".aux.xml")), stem + ".ovr", stem + ".aux.xml"}
    try:
        with os.scandir(path.parent) as entries:
            return [Path(entry.path) for entry in entries if entry.name.lower() in wanted and entry.name != path.name]
    except OSError:
        return []


def _check_sidecar(sidecar: Path, path: Path, roots: Sequence[Path] | None) -> None:
    _check_place(sidecar, path, roots)
    if sidecar.suffix.lower() == ".xml":
        items = _text_of(sidecar).lower().count("<mdi")
        if items > MOST_ITEMS:
            raise RasterUnreadable(f"{sidecar.name} holds {items:,} items of metadata; at most {MOST_ITEMS:,} are read.")
        return
    if not _start_of(sidecar, 8).startswith(PLAIN_TIFF):
        raise RasterUnreadable(f"{sidecar.name}, which lies beside {path.name}, is no TIFF; take it away, or make it anew.")
    _check_tiff(sidecar)


@functools.lru_cache(maxsize=64)
def check_whole(path: str, changed_ns: int, size: int) -> None:
    """Decode a picture once and strictly; raises RasterUnreadable where its file was cut short or is damaged. Kept while the
    file is the same."""
    try:
        with Image.open(path) as picture:
            picture.load()
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError) as error:
        raise RasterUnreadable(f"{Path(path).name} cannot be decoded whole: {error}. Fetch or export it again; a very large "
                               "picture "
                               "is read as a GeoTIFF.") from error


# ---- what a TIFF asks for --------------------------------------------------------------------------------------

_TYPES = {1: "B", 2: "c", 3: "H", 4: "I", 6: "b", 7: "c", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}
SAMPLES, GDAL_METADATA = 277, 42112
MOST_TAGS, MOST_DIRECTORIES = 4096, 1000
EXTERNAL = b"OVERVIEW_FILE"


def _check_tiff(path: Path) -> None:
    """Refuse, from its directories alone, a TIFF of too many bands or items, or that names a file for its overviews."""
    with path.open("rb") as stream:
        for tags in _directories(stream, path):
            bands = tags.get(SAMPLES, (0, 0))[1]
            if bands > MOST_BANDS:
                raise RasterUnreadable(f"{path.name} has {bands:,} bands; at most {MOST_BANDS:,} are read. Export those that "
                                       "are wanted.")
            if GDAL_METADATA not in tags:
                continue
            size, offset = tags[GDAL_METADATA]
            if size > LARGEST_TEXT:
                raise RasterUnreadable(f"{path.name} holds {size:,} bytes of metadata; at most {LARGEST_TEXT:,} are read.")
            stream.seek(offset)
            text = stream.read(size)
            if text.count(b"<Item") > MOST_ITEMS:
                raise RasterUnreadable(f"{path.name} holds {text.count(b'<Item'):,} items of metadata; at most {MOST_ITEMS:,} "
                                       "are read. "
                                       "Export it without them.")
            if EXTERNAL in text:
                raise RasterUnreadable(f"{path.name} names another file for its overviews (OVERVIEW_FILE), which is not "
                                       "followed. "
                                       "Export it as a GeoTIFF.")


def _directories(stream: IO[bytes], path: Path) -> Iterator[dict[int, tuple[int, int]]]:
    """Of each directory the tags: number -> (count of values, or the value of SAMPLES; offset of what it holds)."""
    mark = stream.read(4)
    order = "<" if mark[:2] == b"II" else ">"
    big = mark[2:].strip(b"\0") == b"+"
    offset_at, pointer, count_form, entry = (8, "Q", "Q", 20) if big else (4, "I", "H", 12)
    seen: set[int] = set()
    try:
        stream.seek(offset_at)
        offset = struct.unpack(order + pointer, stream.read(struct.calcsize(pointer)))[0]
        while offset and offset not in seen and len(seen) < MOST_DIRECTORIES:
            seen.add(offset)
            stream.seek(offset)
            count = struct.unpack(order + count_form, stream.read(struct.calcsize(count_form)))[0]
            if count > MOST_TAGS:
                raise RasterUnreadable(f"{path.name} is no TIFF that is read: a directory with {count:,} tags.")
            block = stream.read(count * entry)
            yield dict(_entry(block[at : at + entry], order, big) for at in range(0, len(block) - entry + 1, entry))
            stream.seek(offset + struct.calcsize(count_form) + count * entry)
            offset = struct.unpack(order + pointer, stream.read(struct.calcsize(pointer)))[0]
    except struct.error:
        return  # cut short; GDAL says so


def _entry(data: bytes, order: str, big: bool) -> tuple[int, tuple[int, int]]:
    tag, kind = struct.unpack_from(order + "HH", data)
    count, where = struct.unpack_from(order + ("QQ" if big else "II"), data, 4)
    if tag == SAMPLES and kind in _TYPES:
        count = struct.unpack_from(order + _TYPES[kind], data, 12 if big else 8)[0]
    return tag, (int(count), int(where))
