"""Files that name other files and addresses, in the way of every driver that GDAL was built with:
none may be read, none called."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine

from .serving import Serving
from .watching import Listener, Watched

SIDE = 64
NAMED = re.compile(r"n\d+\.vrt")
GRID = Affine(1, 0, 500000, 0, -1, 4000000)
DRIVERS = """
import os
os.environ.pop("GDAL_SKIP", None)
import rasterio
with rasterio.Env() as env:
    print("\\n".join(env.drivers()))
"""


@dataclass(frozen=True)
class Decoys:
    """What is to be got at. `raster`, `text`: files outside of all roots. `url`: of an address."""

    raster: Path
    text: Path
    url: str


def small(path: Path, value: int = 100) -> Path:
    """A plain raster of one value, SIDE x SIDE pixels of one band."""
    return written(path, np.full((1, SIDE, SIDE), value, np.uint8))


def written(path: Path, values: np.ndarray, **how: object) -> Path:
    """A raster of bytes (bands, rows, columns) on GRID. `how`: driver (GeoTIFF) and options."""
    bands, height, width = values.shape
    with rasterio.open(
        path,
        "w",
        width=width,
        height=height,
        count=bands,
        dtype="uint8",
        crs="EPSG:32617",
        transform=GRID,
        **{"driver": "GTiff", **how},
    ) as out:
        out.write(values)
    return path


def drivers() -> list[str]:
    """Those that this GDAL has, before any of them is taken from it."""
    done = subprocess.run(
        [sys.executable, "-c", DRIVERS], capture_output=True, text=True, check=True
    )
    return done.stdout.split("\n")[:-1]


def names(decoys: Decoys) -> Iterator[str]:
    """Names of datasets that open something else, each as a path and as a source."""
    targets = (str(decoys.raster), decoys.url + "/a.tif", f"/vsicurl/{decoys.url}/a.tif")
    for driver in drivers():
        for target in targets:
            yield f"{driver}:{target}"
            yield f'{driver}:"{target}"'
            yield f'{driver.upper()}:"{target}":band'
    for target in targets:
        yield target
        yield f"GTIFF_DIR:1:{target}"
        yield f"GTIFF_RAW:{target}"
        yield f"DERIVED_SUBDATASET:LOGAMPLITUDE:{target}"
        yield f"vrt://{target}"
        yield f"STACTA:{target}"
    for prefix in (
        "vsizip",
        "vsitar",
        "vsigzip",
        "vsisubfile/0_9999,",
        "vsicached?file=",
        "vsicrypt/key=DONT_STORE_KEY,file=",
        "vsisparse",
        "vsi7z",
        "vsicurl_streaming",
        "vsis3",
        "vsigs",
        "vsiaz",
        "vsioss",
        "vsiswift",
        "vsihdfs",
        "vsiwebhdfs",
        "vsistdin",
    ):
        yield f"/{prefix}/{decoys.raster}"
    host = decoys.url.removeprefix("http://")
    yield f"PG:host=127.0.0.1 port={host.rpartition(':')[2]} dbname=a table=a"
    yield f"MYSQL:a,host=127.0.0.1,port={host.rpartition(':')[2]}"
    yield f"rasdaman:query='select a' host='127.0.0.1' port='{host.rpartition(':')[2]}'"
    yield f"<GDAL_WMS><Service name='TMS'><ServerUrl>{decoys.url}</ServerUrl></Service></GDAL_WMS>"
    yield f"<VRTDataset rasterXSize='64' rasterYSize='64'>{_band(str(decoys.raster))}</VRTDataset>"


def _band(source: str, attributes: str = 'relativeToVRT="0"', tag: str = "SourceFilename") -> str:
    whole = f'xOff="0" yOff="0" xSize="{SIDE}" ySize="{SIDE}"'
    return (
        '<VRTRasterBand dataType="Byte" band="1"><SimpleSource>'
        f"<{tag} {attributes}>{source}</{tag}><SourceBand>1</SourceBand>"
        f"<SrcRect {whole}/><DstRect {whole}/></SimpleSource></VRTRasterBand>"
    )


def virtual(inside: str, more: str = "") -> str:
    """The text of a virtual raster: bands, and what else stands beside them."""
    return (
        f'<VRTDataset rasterXSize="{SIDE}" rasterYSize="{SIDE}"><SRS>EPSG:32617</SRS>'
        f"<GeoTransform>500000, 1, 0, 4000000, 0, -1</GeoTransform>{more}{inside}</VRTDataset>"
    )


def texts(decoys: Decoys) -> dict[str, str]:
    """Files of text that name something: names to contents."""
    here, url = str(decoys.raster), decoys.url
    ers = (
        'DatasetHeader Begin\n\tDataFile = "{0}"\n\tDataSetType = ERStorage\n\tDataType = Raster\n'
        "\tByteOrder = LSBFirst\n\tRasterInfo Begin\n\t\tCellType = Unsigned8BitInteger\n"
        "\t\tNrOfLines = 64\n\t\tNrOfCellsPerLine = 64\n\t\tNrOfBands = 1\n\tRasterInfo End\n"
        "DatasetHeader End\n"
    )
    found = {
        "lower.vrt": virtual(_band(here, tag="sourcefilename")),
        "attribute.vrt": virtual(_band("", f'SourceFilename="{here}"', "SourceFilename")),
        "raw.vrt": virtual(
            f'<VRTRasterBand dataType="Byte" band="1" subClass="VRTRawRasterBand"><SourceFilename '
            f'relativeToVRT="0">{decoys.text}</SourceFilename><ImageOffset>0</ImageOffset>'
            "</VRTRasterBand>"
        ),
        "overview.vrt": virtual(
            _band("g.tif", 'relativeToVRT="1"'),
            f'<Metadata domain="OVERVIEWS"><MDI key="OVERVIEW_FILE">{here}</MDI></Metadata>',
        ),
        "option.vrt": virtual(
            _band("g.tif", 'relativeToVRT="1"').replace(
                "<SourceBand>",
                f'<OpenOptions><OOI key="XML">{here}</OOI></OpenOptions><SourceBand>',
            )
        ),
        "warped.vrt": virtual(
            '<VRTRasterBand dataType="Byte" band="1" subClass="VRTWarpedRasterBand"/>'
            f'<GDALWarpOptions><SourceDataset relativeToVRT="0">{here}</SourceDataset>'
            "</GDALWarpOptions>"
        ),
        "python.vrt": virtual(
            '<VRTRasterBand dataType="Byte" band="1" subClass="VRTDerivedRasterBand">'
            "<PixelFunctionType>f</PixelFunctionType><PixelFunctionLanguage>Python"
            "</PixelFunctionLanguage><PixelFunctionCode>def f(i,o,*a,**k):\n open('"
            f"{decoys.text}').read()</PixelFunctionCode></VRTRasterBand>"
        ),
        "a.ers": ers.format(here),
        "url.ers": ers.format(f"/vsicurl/{url}/a"),
        "wms.xml": "<GDAL_WMS><Service name='WMS'>"
        f"<ServerUrl>{url}/?</ServerUrl></Service></GDAL_WMS>",
        "wcs.xml": f"<WCS_GDAL><ServiceURL>{url}/?</ServiceURL>"
        "<CoverageName>a</CoverageName></WCS_GDAL>",
        "wmts.xml": f"<GDAL_WMTS><GetCapabilitiesUrl>{url}/c.xml</GetCapabilitiesUrl></GDAL_WMTS>",
        "a.mrf": "<MRF_META><Raster><Size x='64' y='64' c='1'/><PageSize x='64' y='64' c='1'/>"
        f"<DataFile>{here}</DataFile><IndexFile>{decoys.text}</IndexFile></Raster>"
        f"<CachedSource><Source>{here}</Source></CachedSource></MRF_META>",
        "stacta.json": json.dumps(
            {"type": "Feature", "asset_templates": {"a": {"href": f"{url}/{{TileMatrix}}.tif"}}}
        ),
        "stac.json": json.dumps(
            {
                "type": "FeatureCollection",
                "features": [{"type": "Feature", "assets": {"a": {"href": f"{url}/a.tif"}}}],
            }
        ),
        "index.gti": "<GDALTileIndexDataset>"
        f"<IndexDataset>{here}</IndexDataset></GDALTileIndexDataset>",
        "a.til": "numTiles = 1;\nBEGIN_GROUP = TILE_1\n"
        f'\tfilename = "{here}";\nEND_GROUP = TILE_1\n',
        "a.kml": f"<kml><GroundOverlay><Icon><href>{url}/a.png</href></Icon></GroundOverlay></kml>",
        "dimap.xml": "<Dimap_Document><Data_Access><Data_File>"
        f'<DATA_FILE_PATH href="{here}"/></Data_File></Data_Access></Dimap_Document>',
        "pds4.xml": f"<Product_Observational><file_name>{here}</file_name></Product_Observational>",
        "a.lbl": f'PDS_VERSION_ID = PDS3\n^IMAGE = ("{here}",1)\nOBJECT = IMAGE\nLINES = 64\n'
        "LINE_SAMPLES = 64\nSAMPLE_BITS = 8\nEND_OBJECT = IMAGE\nEND\n",
        "a.mpr": f"[Ilwis]\nType=RasterMap\n[MapStore]\nData={here}\n",
        "a.map": f"OziExplorer Map Data File Version 2.2\na\n{here}\n",
        "a.svc": f"{url}\n",
        "a.vrt.tif": virtual(_band(here)),
        "safe.xml": f"<SENTINEL2><href>{here}</href></SENTINEL2>",
    }
    for number, name in enumerate(names(decoys)):
        if not name.startswith("<"):
            found[f"n{number}.vrt"] = virtual(_band(name.replace('"', "&quot;")))
    return found


def files(folder: Path, decoys: Decoys) -> list[Path]:
    """All that is tried as a path, made in a root."""
    small(folder / "g.tif")
    tries = []
    for name, content in texts(decoys).items():
        (folder / name).write_text(content)
        tries.append(folder / name)
    for name in ("link.tif", "link.png", "link.ers"):
        os.symlink(decoys.raster, folder / name)
        tries.append(folder / name)
    for end in (".ovr", ".msk", ".aux.xml", ".ovr.msk"):
        path = small(folder / f"beside{end.replace('.', '-')}.tif")
        os.symlink(decoys.raster, f"{path}{end}")
        tries.append(path)
        path = small(folder / f"virtual{end.replace('.', '-')}.tif")
        Path(f"{path}{end}").write_text(virtual(_band(str(decoys.raster))))
        tries.append(path)
    path = small(folder / "pam.tif")
    Path(f"{path}.aux.xml").write_text(
        f'<PAMDataset><Metadata domain="OVERVIEWS"><MDI key="OVERVIEW_FILE">{decoys.raster}</MDI>'
        "</Metadata></PAMDataset>"
    )
    tries.append(path)
    return tries + uploads(folder, decoys)


def uploads(folder: Path, decoys: Decoys) -> list[Path]:
    """Files that name something and come as what is taken for an upload."""
    found = []
    for number, target in enumerate(
        (str(decoys.raster), decoys.url + "/a.tif", f"/vsicurl/{decoys.url}/a.tif")
    ):
        path = small(folder / f"tag{number}.tif")
        with rasterio.open(path, "r+") as out:
            out.update_tags(ns="OVERVIEWS", OVERVIEW_FILE=target)
            out.update_tags(OVERVIEW_FILE=target)
        found.append(path)
        path = small(folder / f"proj{number}.tif")
        with rasterio.open(path, "r+") as out:
            out.update_tags(ns="GEOLOCATION", X_DATASET=target, Y_DATASET=target)
            out.update_tags(ns="RPC", LINE_OFF="1")
        found.append(path)
    return found


def polygons() -> dict[str, object]:
    """A square in the middle of every file here."""
    x, y = 500020, 3999980
    ring = [[x, y], [x + 20, y], [x + 20, y - 20], [x, y - 20], [x, y]]
    return {"geometry": {"type": "Polygon", "coordinates": [ring]}}


def asked(server: Serving, ref: dict[str, str]) -> None:
    """Everything that a server can be asked of a raster."""
    server.call("POST", "/inspections", {"raster": ref})
    server.call("POST", "/searches", {"raster": ref, "word": "water"})
    server.call("POST", "/comparisons", {"before": ref, "after": ref})
    body = {"inputs": {"raster": ref, "polygons": polygons(), "elevation": ref}}
    made = server.call("POST", "/processes/snow/execution", body)
    if made.status == 201:
        server.ended(made.json()["jobID"])


def run(folder: Path, every: int = 1, commands: int = 1000) -> dict[str, int]:
    """Try all of it; of the many names of drivers each `every`-th, on the command line at most
    `commands` files. Returns how often the decoys were reached."""
    root, outside = folder / "root", folder / "outside"
    root.mkdir()
    outside.mkdir()
    listener = Listener()
    decoys = Decoys(
        small(outside / "decoy.tif", 177),
        outside / "decoy.txt",
        f"http://127.0.0.1:{listener.port}",
    )
    decoys.text.write_bytes(b"secret" * 1000)
    made = files(root, decoys)
    named = [path for path in made if NAMED.fullmatch(path.name)][::every]
    tries = [path for path in made if not NAMED.fullmatch(path.name)]
    direct = list(names(decoys))[::every]
    watched = Watched(decoys.raster, decoys.text)
    server = Serving(folder / "home", root)
    watched.count()
    for path in [*tries, *named]:
        asked(server, {"path": str(path)})
    for name in direct:
        server.call("POST", "/inspections", {"raster": {"path": name}})
    for path in (path for path in tries if not path.is_symlink()):
        taken = server.call("POST", "/rasters", body=path.read_bytes())
        if taken.status == 201:
            asked(server, {"upload": taken.json()["upload"]})
    server.stop()
    for path in tries[:commands]:
        _by_command(path, folder, root)
    count = 2 * len(tries) + len(named) + len(direct) + 2 * len(tries[:commands])
    found = {"secret_reads": watched.count(), "connections": listener.count, "escapes_tried": count}
    watched.close()
    listener.close()
    return found


def _by_command(path: Path, folder: Path, root: Path) -> None:
    """The same on the command line."""
    area = folder / "area.geojson"
    crs = {"type": "name", "properties": {"name": "EPSG:32617"}}
    area.write_text(
        json.dumps(
            {
                "type": "FeatureCollection",
                "crs": crs,
                "features": [{"type": "Feature", "properties": {}, **polygons()}],
            }
        )
    )
    command = [sys.executable, "-m", "landbrush.server"]
    home = ["--home", str(folder / "home")]
    for more in (
        ["inspect", str(path)],
        ["edit", str(path), "--polygons", str(area), "--editor", "snow", "--overwrite"]
        + ["--output", str(root / "out.tif"), *home],
    ):
        subprocess.run([*command, *more], capture_output=True, check=False)
