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
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from pathlib import Path

import rasterio
from rasterio._err import CPLE_BaseError
from rasterio.enums import Interleaving
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader
from rasterio.windows import Window

from .errors import Forbidden, RasterUnreadable
from .tiff_header import LARGEST_TEXT, MOST_BANDS, MOST_ITEMS, PLAIN_TIFF, check_items, check_tiff

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

FORMATS = ("GTiff", "PNG", "JPEG", "JP2OpenJPEG", "HFA", "ENVI", "EHdr", "ERS", "AAIGrid", "SRTMHGT", "USGSDEM", "DTED",
           "NITF", "PCIDSK", "RST", "SAGA", "BMP", "GIF", "WEBP", "JPEGXL", "GPKG", "ZMap")
"""Formats that are read; a VRT, which GDAL knows by its content whatever the file is called, only where the name says that it
is one. netCDF, HDF5 and KEA are not among them: their libraries follow links to other files and trust the sizes they are told."""
PICTURES = ("PNG", "JPEG", "GIF", "WEBP", "BMP")
"""Formats whose readers go on past the end of a file that was cut short, with whatever lies in memory."""
LARGEST_BLOCK = 512 << 20
"""Bytes of one block of a file, in all bands that are stored in it: GDAL reads no less at a time."""
DEEPEST = 8
"""Virtual rasters within virtual rasters."""
PLAIN_OPTIONS = ("OVERVIEW_LEVEL", "NUM_THREADS", "USERPTR", "WORLDFILE", "GEOREF_SOURCES")
"""Options of opening a source that name no file."""
_ELEMENTS = (
    "Options OpenOptions OOI SrcGCPTransformer SrcTPSTransformer GCPTransformer TPSTransformer SrcNoDataRealAsString "
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
SIDECARS = (".ovr", ".msk", ".msk.ovr", ".ovr.msk", ".ovr.ovr", ".msk.msk")


@contextlib.contextmanager
def opened(path: str | Path, roots: Sequence[Path] | None = None) -> Iterator[DatasetReader]:
    """Open a raster for reading, once it and all it refers to have been looked at.

    `roots`: folders that they must lie below (Forbidden); None: anywhere on this machine. Raises RasterUnreadable with a
    sentence where GDAL cannot read it, where it refers to what is no file of this machine, or where it costs too much.
    """
    path = Path(path)
    try:
        _examine(path, roots, 0)
        with _by_gdal(path, roots) as dataset:
            yield dataset
    except Forbidden as error:
        if roots is None:  # nothing is forbidden to read then, only impossible
            raise RasterUnreadable(str(error)) from error
        raise


@contextlib.contextmanager
def _by_gdal(path: Path, roots: Sequence[Path] | None) -> Iterator[DatasetReader]:
    formats = ["VRT"] if path.suffix.lower() == ".vrt" else list(FORMATS)
    try:
        with warnings.catch_warnings(), rasterio.Env(**NO_NETWORK):
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with DatasetReader(str(path), driver=formats) as dataset:
                _check_opened(dataset, path, roots)
                yield dataset
    except (RasterioError, CPLE_BaseError) as error:
        raise RasterUnreadable(f"{path.name} cannot be read as a raster: {error}") from error


def _check_opened(dataset: DatasetReader, path: Path, roots: Sequence[Path] | None) -> None:
    """What shows only once GDAL has read the header; nothing of the pixels has been read."""
    if "OVERVIEW_FILE" in dataset.tags(ns="OVERVIEWS"):  # looked for before anything that would make GDAL follow it
        raise RasterUnreadable(f"{path.name} names another file for its overviews (OVERVIEW_FILE), which is not followed. Export "
                               "it as a GeoTIFF.")
    if dataset.count > MOST_BANDS:
        raise RasterUnreadable(f"{path.name} has {dataset.count:,} bands; at most {MOST_BANDS:,} are read. Export those that are "
                               "wanted.")
    together = dataset.count if dataset.interleaving == Interleaving.pixel else 1
    for (height, width), dtype in zip(dataset.block_shapes, dataset.dtypes, strict=True):
        size = height * width * together * (16 if "complex" in dtype else int(re.sub(r"\D", "", dtype) or 64) // 8)
        if size > LARGEST_BLOCK:
            raise RasterUnreadable(f"{path.name} is stored in blocks of {width:,} x {height:,} pixels, {size / 1e6:,.0f} MB "
                                   f"each; at most {LARGEST_BLOCK / 1e6:,.0f} MB are read at a time. Export it as a tiled "
                                   "GeoTIFF.")
    for name in dataset.files:
        _check_place(Path(name), path, roots)
    if dataset.driver in PICTURES:
        state = path.stat()
        try:
            _check_whole(str(path), state.st_mtime_ns, state.st_size)
        except RasterioError as error:
            raise RasterUnreadable(f"{path.name} cannot be decoded whole: {error}. Fetch or export it again.") from None


ROWS_AT_ONCE = 64


@functools.lru_cache(maxsize=64)
def _check_whole(path: str, changed_ns: int, size: int) -> None:
    """Decode a picture once, from its first row to its last; raises RasterioError where its file was cut short or is damaged.
    Kept while the file is the same."""
    with rasterio.Env(GDAL_ERROR_ON_LIBJPEG_WARNING="YES"), DatasetReader(path, driver=list(PICTURES)) as dataset:
        for row in range(0, dataset.height, ROWS_AT_ONCE):
            dataset.read(window=Window(0, row, dataset.width, min(ROWS_AT_ONCE, dataset.height - row)))


def _examine(path: Path, roots: Sequence[Path] | None, depth: int) -> None:
    """Refuse a file that refers to anything but files below the roots, and look at those in the same way, innermost first: when
    GDAL opens one, all that it may open with it is known."""
    if depth > DEEPEST:
        raise RasterUnreadable(f"{path.name}: more than {DEEPEST} rasters lie within one another. Make a GeoTIFF of it.")
    _check_place(path, path, roots)
    head = _start_of(path, 4096)
    named: list[Path] = []
    if _is_virtual(path, head):
        named = _sources(path)
    elif head.startswith(PLAIN_TIFF):
        check_tiff(path)
    elif path.suffix.lower() == ".ers" or b"DatasetHeader Begin" in head:
        found = re.findall(r'DataFile\s*=\s*"?([^"\r\n]*)', _text_of(path), re.IGNORECASE)
        named = [_named(name.strip(), path.parent, path) for name in found]
    elif head.startswith(b"PCIDSK"):
        named = _channels(path)
    for file in named:
        _check_place(file, path, roots)
        _examine(file, roots, depth + 1)
        _look_inside(file, roots)
    for sidecar in _sidecars(path):
        _check_sidecar(sidecar, path, roots)


IMAGE_HEADER, BLOCK, MOST_CHANNELS = 1024, 512, 4096


def _channels(path: Path) -> list[Path]:
    """Files that hold the channels of a PCIDSK file, by its image headers; GDAL does not list all of them."""
    try:
        with path.open("rb") as stream:
            header = stream.read(BLOCK)
            first, count = int(header[336:352]), int(header[376:384])
            stream.seek((first - 1) * BLOCK)
            texts = [stream.read(IMAGE_HEADER)[64:128] for _ in range(min(count, MOST_CHANNELS))]
    except (OSError, ValueError, OverflowError) as error:
        raise RasterUnreadable(f"{path.name} has no PCIDSK header that can be read: {error}.") from error
    names = [text.decode("latin1").strip(" \0") for text in texts]
    # Tiled channels lie in the file itself; a link names its file elsewhere in it.
    return [_named(name, path.parent, path) for name in names if name and not name.startswith(("/SIS=", "<uninit"))]


def _look_inside(file: Path, roots: Sequence[Path] | None) -> None:
    """What GDAL finds in a file that another one names; what it cannot open at all is plain data of the other."""
    try:
        with _by_gdal(file, roots):
            pass
    except RasterUnreadable as error:
        if not isinstance(error.__cause__, RasterioError):
            raise


def _check_place(file: Path, of: Path, roots: Sequence[Path] | None) -> None:
    shown = f"'{of.name[:100]}' reads from '{str(file)[:200]}', which is no file"
    if "\0" in str(file) or str(file).startswith("/vsi") or ":/" in str(file)[2:]:
        raise Forbidden(f"{shown} of this machine. Make a GeoTIFF of it first." if file != of else
                        f"'{str(file)[:200]}' is no file of this machine; a GeoTIFF on its disk is read.")
    try:
        real = Path(os.path.realpath(file))
        inside = roots is None or any(real.is_relative_to(os.path.realpath(root)) for root in roots)
        there = real.is_file()
    except (OSError, ValueError) as error:  # a name too long, and the like
        raise RasterUnreadable(f"'{str(file)[:200]}' is no usable name of a file ({error.__class__.__name__}).") from error
    if not inside:
        raise Forbidden(f"{shown} below a folder this server may read. Make a GeoTIFF of it first." if file != of else
                        f"'{str(file)[:200]}' is not below a folder this server may read. Upload the raster, or start the server "
                        "with --root FOLDER.")
    if not there:
        if file == of:
            raise RasterUnreadable(f"There is no file '{str(file)[:200]}'.")
        raise Forbidden(f"{shown}. Make a GeoTIFF of it first.")


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
                                   "read. Make a GeoTIFF of it first (Raster > Conversion > Translate).")
        if name in counts:
            counts[name] += 1
        if name in VIRTUAL_NAMES:
            found.append(_source(element, path))
        if name == "ooi" and str(element.attrib.get("key", "")).upper() not in PLAIN_OPTIONS:
            raise RasterUnreadable(f"{path.name} opens a source with the option '{str(element.attrib.get('key'))[:60]}', which "
                                   "is not read. Make a GeoTIFF of it first.")
    if counts["vrtrasterband"] > MOST_BANDS or counts["mdi"] > MOST_ITEMS:
        raise RasterUnreadable(f"{path.name} has {counts['vrtrasterband']:,} bands and {counts['mdi']:,} items of metadata; at "
                               f"most {MOST_BANDS:,} and {MOST_ITEMS:,} are read.")
    return found


def _source(element: ET.Element, path: Path) -> Path:
    """The file of one source, as GDAL finds it: seen from the virtual raster where it says so, else from this process."""
    flags = [str(value).strip() for key, value in element.attrib.items() if str(key).lower() == "relativetovrt"]
    name = element.text or ""
    if name != name.strip():
        raise RasterUnreadable(f"{path.name} names a source with spaces around it ('{name[:100]}'), which programs take in "
                               "different ways. Make a GeoTIFF of it first.")
    return _named(name, path.parent if flags == ["1"] else Path.cwd(), path)


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
        check_items(_text_of(sidecar).encode(), sidecar)
        return
    if not _start_of(sidecar, 8).startswith(PLAIN_TIFF):
        raise RasterUnreadable(f"{sidecar.name}, which lies beside {path.name}, is no TIFF; take it away, or make it anew.")
    check_tiff(sidecar)
    with _by_gdal(sidecar, None) as dataset:  # it may name another file itself
        del dataset
