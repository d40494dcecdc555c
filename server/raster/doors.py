"""What a raster file may refer to, looked at before GDAL opens it: its sources, its sidecars, and
how much it asks for.

GDAL opens what a file names: other files, addresses, whatever its drivers know. So drivers that
reach a network or follow names are not registered in this process, and what the readable formats
can name is read here and must be files below the folders that may be read. What is refused here has
cost nothing yet.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import rasterio
from rasterio._err import CPLE_BaseError
from rasterio.enums import Interleaving
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader
from rasterio.windows import Window

from ..ground.errors import Forbidden, RasterUnreadable
from .references import Folders, check_sidecar, named_in
from .tiff_header import MOST_BANDS

FORMATS = (
    "GTiff",
    "PNG",
    "JPEG",
    "JP2OpenJPEG",
    "HFA",
    "ENVI",
    "EHdr",
    "ERS",
    "AAIGrid",
    "SRTMHGT",
    "USGSDEM",
    "DTED",
    "NITF",
    "PCIDSK",
    "RST",
    "SAGA",
    "BMP",
    "GIF",
    "WEBP",
    "JPEGXL",
    "GPKG",
    "ZMap",
)
"""Formats that are read; a VRT, which GDAL knows by its content whatever the file is called, only
where the name says that it is one. netCDF, HDF5 and KEA are not among them: their libraries follow
links to other files and trust the sizes they are told."""
ALLOWED = frozenset((*FORMATS, "COG", "BIGGIF", "VRT", "MEM", "Memory"))
"""Drivers of this process: those of the formats that are read and written, and what they are made
of."""
OTHERS = (
    # That reach a network or a database ...
    "HTTP,WMS,WMTS,WCS,WFS,OAPIF,OGCAPI,CSW,STACIT,STACTA,PLMOSAIC,PLSCENES,EEDA,EEDAI,DAAS,"
    "NGW,Carto,Elasticsearch,AmigoCloud,JPIPKAK,Rasdaman,PostGISRaster,PostgreSQL,MySQL,"
    "MSSQLSpatial,HANA,ODBC,MongoDBv3,GeoRaster,OCI,TileDB,SOSI,IDB,ADBC,"
    # ... that name further files, or hold whole file systems ...
    "GTI,MRF,DERIVED,Zarr,HDF4,HDF4Image,HDF5,HDF5Image,netCDF,KEA,BAG,S102,S104,S111,GRIB,"
    "TIL,ECRGTOC,RPFTOC,DIMAP,SAFE,SENTINEL2,TSX,RS2,KMLSUPEROVERLAY,LIBKML,KML,PDF,PDS,PDS4,"
    "ISIS2,ISIS3,VICAR,MBTiles,MVT,ESRIC,Rasterlite,SQLite,OSM,GNMFile,GNMDatabase,DIPEx,"
    "NSIDCbin,PRF,OZI,MAP,ADRG,SRP,JAXAPALSAR,SNAP_TIFF,OpenFileGDB,FileGDB,MIRAMON,"
    "MiraMonRaster,LIBERTIFF,"
    # ... and the many that are not read here.
    "ACE2,AIG,AVCBin,AVCE00,AirSAR,BLX,BSB,BT,BYN,CALS,CEOS,COASP,COSAR,CPG,CTG,CTable2,DOQ1,"
    "DOQ2,EIR,ELAS,ESAT,ESRI Shapefile,ESRIJSON,FAST,FIT,GFF,GRASSASCIIGrid,GS7BG,GSAG,GSBG,"
    "GSC,GTX,GXF,GenBin,GeoJSON,GeoJSONSeq,TopoJSON,HF2,ILWIS,IRIS,ISCE,ISG,JDEM,KRO,L1B,LAN,"
    "LCP,LOSLAS,Leveller,MFF,MFF2,MSGN,NDF,NGSGEOID,NOAA_B,NTv2,NWT_GRC,NWT_GRD,PAux,"
    "PCRaster,PNM,R,RIK,RMF,ROI_PAC,RRASTER,SAR_CEOS,SDTS,SGI,SIGDEM,SNODAS,TGA,Terragen,XPM,"
    "XYZ,CAD,GML,GMLAS,GPX,GeoRSS,FlatGeobuf,Parquet,Arrow,DXF,DGN,MapInfo File,CSV,XLS,"
    "XLSX,ODS,Selafin,Idrisi,VDV,S57,Geoconcept,JML,LVBAG,PGDUMP,OGR_GMT,GPSBabel,SXF,EDIGEO,"
    "ARG,WAsP,UK .NTF,JSONFG,PMTiles,VFK,MapML,OpenAir,SUA,SVG,Tiger,AIVector,REC,XODR,"
    "AVCGEN,DODS,CIETMAP,DDS,EXR,HEIF,AVIF,JPEGLS,JP2KAK,JP2ECW,JP2MrSID,JPEG2000,ECW,MrSID,"
    "MG4Lidar,FITS,BASISU,KTX2,TIFF,INGR,ARG,AeronavFAA,BNA,Segukooa,SEGY,HTF,SVGFile,"
)
os.environ["GDAL_SKIP"] = ",".join(
    sorted(set(OTHERS.strip(",").split(",")) - ALLOWED)
)  # read once, when GDAL registers its drivers
# Nor is an address opened where a file names one past all that.
os.environ["CPL_VSIL_CURL_ALLOWED_FILENAME"] = "none"
NO_NETWORK = {
    "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".none",
    "CPL_VSIL_CURL_ALLOWED_FILENAME": "none",
    "GDAL_HTTP_MAX_RETRY": "0",
    "GDAL_HTTP_PROXY": "127.0.0.1:9",
    "GDAL_HTTPS_PROXY": "127.0.0.1:9",
    "GDAL_HTTP_CONNECTTIMEOUT": "1",
    "GDAL_VRT_ENABLE_PYTHON": "NO",
}

PICTURES = ("PNG", "JPEG", "GIF", "WEBP", "BMP")
"""Formats whose readers go on past the end of a file that was cut short, with whatever lies in
memory."""
LARGEST_PICTURE = 600_000_000
"""Pixels times bands of a picture: decoding it takes about ten seconds."""
LARGEST_BLOCK = 512 << 20
"""Bytes of one block of a file, in all bands that are stored in it: GDAL reads no less at a
time."""
DEEPEST = 8
"""How many levels of rasters made of other rasters are followed; deeper ones are refused."""
MOST_FILES = 20_000
"""Files that a raster may be made of."""
ROWS_AT_ONCE = 64
"""Of a picture that is decoded to see whether it is whole."""


@contextlib.contextmanager
def opened(path: str | Path, roots: Sequence[Path] | None = None) -> Iterator[DatasetReader]:
    """Open a raster for reading, once it and all it refers to have been looked at.

    `roots`: folders that they must lie below (Forbidden); None: anywhere on this machine. Raises
    RasterUnreadable with a sentence where GDAL cannot read it, where it refers to what is no file
    of this machine, or where it costs too much.
    """
    path = Path(path)
    look = _Look(roots)
    try:
        look.at(path, path, 0)
        with _by_gdal(path) as dataset:
            look.at_files(_checked(dataset, path), path, 0)
            yield dataset
    except Forbidden as error:
        if roots is None:  # nothing is forbidden to read then, only impossible
            raise RasterUnreadable(str(error)) from error
        raise


class _Look:
    """Looks at a file, at what it names, and at what that names, each once and the innermost first:
    when GDAL opens one, all that it may open with it is known."""

    def __init__(self, roots: Sequence[Path] | None) -> None:
        self.roots = None if roots is None else [os.path.realpath(root) for root in roots]
        self.seen: set[str] = set()
        self.folders = Folders()

    def at(self, path: Path, of: Path, depth: int) -> None:
        """Refuse `path`, which `of` names (or which is asked for itself), where it or anything in
        it may not be read."""
        real = self._place(path, of)
        if real in self.seen:
            return
        self.seen.add(real)
        if depth > DEEPEST or len(self.seen) > MOST_FILES:
            raise RasterUnreadable(
                f"{path.name} lies more than {DEEPEST} deep, or among more than {MOST_FILES:,} "
                "files that one raster is made of. Make a GeoTIFF of it."
            )
        for file in named_in(path):
            self.at(file, path, depth + 1)
        for sidecar in self.folders.sidecars(path):
            self._place(sidecar, path)
            check_sidecar(sidecar, path)
        if path != of:
            state = path.stat()
            self.at_files(_inside(str(path), state.st_mtime_ns, state.st_size), path, depth)

    def at_files(self, files: Iterable[str], path: Path, depth: int) -> None:
        """Look at what GDAL says that a dataset is made of."""
        for name in files:
            if name != str(path):
                self.at(Path(name), path, depth + 1)

    def _place(self, file: Path, of: Path) -> str:
        """Where a file really lies; refused where that is no file, or not below the roots."""
        shown = f"'{of.name[:100]}' reads from '{str(file)[:200]}', which is no file"
        if "\0" in str(file) or str(file).startswith("/vsi") or ":/" in str(file)[2:]:
            raise Forbidden(
                f"{shown} of this machine. Make a GeoTIFF of it first."
                if file != of
                else f"'{str(file)[:200]}' is no file of this machine; a GeoTIFF on its disk is "
                "read."
            )
        try:
            real = os.path.realpath(file)
            there = os.path.isfile(real)
        except (OSError, ValueError) as error:  # a name too long, and the like
            raise RasterUnreadable(
                f"'{str(file)[:200]}' is no usable name of a file ({error.__class__.__name__})."
            ) from error
        # A file that may be read brings those that lie beside it under its name.
        if self.roots is not None and not any(
            Path(real).is_relative_to(root)
            or (real.startswith(f"{root}.") and os.path.isfile(root))
            for root in self.roots
        ):
            raise Forbidden(
                f"{shown} below a folder this server may read. Make a GeoTIFF of it first."
                if file != of
                else f"'{str(file)[:200]}' is not below a folder this server may read. Upload "
                "the raster, or start the "
                "server with --root FOLDER."
            )
        if not there:
            if file == of:
                raise RasterUnreadable(f"There is no file '{str(file)[:200]}'.")
            raise Forbidden(f"{shown}. Make a GeoTIFF of it first.")
        return real


@functools.lru_cache(maxsize=100_000)
def _inside(path: str, changed_ns: int, size: int) -> tuple[str, ...]:
    """Files that GDAL says a raster is made of, which another names; none for what it cannot open,
    which is plain data of the other. Kept while the file is the same."""
    try:
        with _by_gdal(Path(path)) as dataset:
            return tuple(_checked(dataset, Path(path)))
    except RasterUnreadable as error:
        if not isinstance(error.__cause__, RasterioError):
            raise
        return ()


@contextlib.contextmanager
def _by_gdal(path: Path) -> Iterator[DatasetReader]:
    formats = ["VRT"] if path.suffix.lower() == ".vrt" else list(FORMATS)
    try:
        with warnings.catch_warnings(), rasterio.Env(**NO_NETWORK):
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with DatasetReader(str(path), driver=formats) as dataset:
                yield dataset
    except (RasterioError, CPLE_BaseError, UnicodeDecodeError) as error:
        raise RasterUnreadable(f"{path.name} cannot be read as a raster: {error}") from error


def _checked(dataset: DatasetReader, path: Path) -> list[str]:
    """The dataset's files, once what shows only when GDAL has read the header is known; nothing of
    the pixels has been read."""
    if "OVERVIEW_FILE" in dataset.tags(
        ns="OVERVIEWS"
    ):  # looked for before anything that would make GDAL follow it
        raise RasterUnreadable(
            f"{path.name} names another file for its overviews (OVERVIEW_FILE), which is not "
            "followed. Export it as a GeoTIFF."
        )
    if dataset.count > MOST_BANDS:
        raise RasterUnreadable(
            f"{path.name} has {dataset.count:,} bands; at most {MOST_BANDS:,} are read. Export "
            "those that are wanted."
        )
    together = dataset.count if dataset.interleaving == Interleaving.pixel else 1
    for (height, width), dtype in zip(dataset.block_shapes, dataset.dtypes, strict=True):
        size = (
            height
            * width
            * together
            * (16 if "complex" in dtype else int(re.sub(r"\D", "", dtype) or 64) // 8)
        )
        if size > LARGEST_BLOCK:
            raise RasterUnreadable(
                f"{path.name} is stored in blocks of {width:,} x {height:,} pixels, "
                f"{size / 1e6:,.0f} MB each; at most {LARGEST_BLOCK / 1e6:,.0f} MB are read at a "
                "time. Export it as a tiled GeoTIFF."
            )
    if dataset.driver in PICTURES:
        values = dataset.width * dataset.height * dataset.count
        if values > LARGEST_PICTURE:
            raise RasterUnreadable(
                f"{path.name} is a picture of {dataset.width:,} x {dataset.height:,} pixels, which "
                "has to be decoded whole. Make a tiled GeoTIFF of it (Raster > Conversion > "
                "Translate)."
            )
        state = path.stat()
        try:
            _check_whole(str(path), state.st_mtime_ns, state.st_size)
        except RasterioError as error:
            raise RasterUnreadable(
                f"{path.name} cannot be decoded whole: {error}. Fetch or export it again."
            ) from None
    return list(dataset.files)


@functools.lru_cache(maxsize=64)
def _check_whole(path: str, changed_ns: int, size: int) -> None:
    """Decode a picture once, from its first row to its last; raises RasterioError where its file
    was cut short or is damaged. Kept while the file is the same."""
    with (
        rasterio.Env(GDAL_ERROR_ON_LIBJPEG_WARNING="YES"),
        DatasetReader(path, driver=list(PICTURES)) as dataset,
    ):
        for row in range(0, dataset.height, ROWS_AT_ONCE):
            dataset.read(
                window=Window(0, row, dataset.width, min(ROWS_AT_ONCE, dataset.height - row))
            )
