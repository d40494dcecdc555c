"""Files and requests made to get at what they should not: other files, addresses, a server without
a token."""

from __future__ import annotations

import http.server
import io
import json
import socket
import threading

import pytest
from landbrush.server import __main__ as command
from landbrush.server.ground.errors import RasterUnreadable
from landbrush.server.ground.settings import Settings, token_of
from landbrush.server.raster.raster import opened
from landbrush.server.web.app import create_app
from PIL import Image
from rasterio.errors import RasterioIOError

from tests.server.conftest import RGB, finished, in_type, inputs, scene, write

VRT = """<VRTDataset rasterXSize="160" rasterYSize="160">
<GeoTransform>400000, 0.5, 0, 3285000, 0, -0.5</GeoTransform>
<VRTRasterBand dataType="Byte" band="1"><SimpleSource>
<SourceFilename relativeToVRT="{relative}">{name}</SourceFilename>
<SourceProperties RasterXSize="160" RasterYSize="160" DataType="Byte" BlockXSize="160"
 BlockYSize="160"/></SimpleSource>
</VRTRasterBand></VRTDataset>"""


@pytest.fixture
def secret(tmp_path_factory):
    """A raster outside every root."""
    return write(
        tmp_path_factory.mktemp("secret") / "secret.tif", in_type(scene(1, 160, 160), "uint8")
    )


@pytest.fixture
def listener():
    """An HTTP server that notes who asks."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1], asked
    server.shutdown()
    server.server_close()


def jpeg_and_vrt(name):
    """A JPEG whose comment is a VRT: GDAL knows a VRT by its first kilobyte."""
    picture = io.BytesIO()
    Image.fromarray(in_type(scene(3, 160, 160), "uint8").transpose(1, 2, 0)).save(picture, "JPEG")
    vrt = VRT.format(relative=0, name=name).encode() + b"\0"
    return b"\xff\xd8\xff\xfe" + (len(vrt) + 2).to_bytes(2, "big") + vrt + picture.getvalue()[2:]


def test_an_upload_is_never_opened_as_a_vrt(client, secret, settings):
    """Neither a VRT, nor a JPEG that is one too: GDAL would follow it where a virtual raster names
    it as its source."""
    for content in (jpeg_and_vrt(secret), VRT.format(relative=0, name=secret).encode()):
        answer = client.post("/rasters", data=content)
        assert answer.status_code == 422 and "under another name" in answer.get_json()["detail"]
    path = settings.home / "both.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(jpeg_and_vrt(secret))
    with pytest.raises(RasterUnreadable, match="under another name"), opened(path):
        pass


@pytest.mark.parametrize(
    "name",
    [
        "{secret}",
        "/vsicurl/http://127.0.0.1:{port}/a.tif",
        "http://127.0.0.1:{port}/a.tif",
        "../{above}",
        "missing.tif",
    ],
)
def test_a_vrt_reads_from_the_roots_alone(client, tmp_path, secret, listener, name):
    port, asked = listener
    vrt = tmp_path / "a.vrt"
    vrt.write_text(
        VRT.format(relative=1, name=name.format(secret=secret, port=port, above=secret.name))
    )
    answer = client.post(
        "/processes/snow/execution",
        json={
            "inputs": {
                "raster": {"path": str(vrt)},
                "polygons": {
                    "geometry": {
                        "type": "Polygon",
                        "coordinates": [
                            [
                                [400030, 3284970],
                                [400050, 3284970],
                                [400050, 3284950],
                                [400030, 3284970],
                            ]
                        ],
                    }
                },
            }
        },
    )
    assert answer.status_code == 403 and "reads from" in answer.get_json()["detail"]
    assert asked == []


def test_a_vrt_of_files_in_the_roots_is_edited(client, tmp_path):
    write(tmp_path / "part.tif", in_type(scene(1, 160, 160), "uint8"))
    vrt = tmp_path / "mosaic.vrt"
    vrt.write_text(VRT.format(relative=1, name="part.tif"))
    job = client.post("/processes/remove/execution", json={"inputs": inputs(vrt)}).get_json()
    info = finished(client, job["jobID"])
    assert (
        info["status"] == "successful" and info["report"]["gate"]["pixels_outside_different"] == 0
    )


def test_gdal_opens_no_address(tmp_path, listener):
    port, asked = listener
    for name, content in (
        ("a.vrt", VRT.format(relative=0, name=f"/vsicurl/http://127.0.0.1:{port}/a.tif")),
        (
            "b.xml",
            f"<GDAL_WMS><Service name='TMS'><ServerUrl>http://127.0.0.1:{port}/</ServerUrl>"
            "</Service>"
            "<DataWindow><SizeX>10</SizeX><SizeY>10</SizeY></DataWindow></GDAL_WMS>",
        ),
    ):
        (tmp_path / name).write_text(content)
        with pytest.raises((RasterUnreadable, RasterioIOError)), opened(tmp_path / name) as dataset:
            dataset.read()
    with pytest.raises(RasterUnreadable), opened(f"/vsicurl/http://127.0.0.1:{port}/a.tif"):
        pass
    assert asked == []


def test_an_empty_token_opens_nothing(tmp_path):
    (tmp_path / "token").write_text("")
    token = token_of(tmp_path)
    assert len(token) > 30 and token_of(tmp_path) == token
    assert (tmp_path / "token").stat().st_mode & 0o077 == 0
    app = create_app(Settings(home=tmp_path / "home", token=""))
    for header in ("Bearer ", "Bearer", ""):
        assert app.test_client().get("/jobs", headers={"Authorization": header}).status_code == 401


def test_files_without_a_raster_or_a_place_are_no_fault_of_the_server(client, tmp_path):
    import rasterio

    container = tmp_path / "two.gpkg"
    for table in ("a", "b"):
        with rasterio.open(
            container,
            "w",
            driver="GPKG",
            width=64,
            height=64,
            count=3,
            dtype="uint8",
            crs="EPSG:32617",
            transform=rasterio.Affine(0.5, 0, 400000, 0, -0.5, 3285000),
            RASTER_TABLE=table,
            APPEND_SUBDATASET="YES" if table == "b" else "NO",
        ) as out:
            out.write(in_type(scene(3, 64, 64), "uint8"))
    answer = client.post(
        "/processes/snow/execution",
        json={
            "inputs": {
                "raster": {"path": str(container)},
                "polygons": {
                    "geometry": {
                        "type": "Polygon",
                        "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]],
                    }
                },
            }
        },
    )
    assert answer.status_code == 422 and "no raster of its own" in answer.get_json()["detail"]
    local = 'LOCAL_CS["site",UNIT["metre",1]]'
    path = write(
        tmp_path / "local.tif", in_type(scene(3, 160, 160), "uint8"), crs=local, colorinterp=RGB
    )
    answer = client.post("/searches", json={"raster": {"path": str(path)}, "word": "forest"})
    assert answer.status_code == 200
    job = client.post("/processes/snow/execution", json={"inputs": inputs(path)}).get_json()
    assert finished(client, job["jobID"])["status"] == "successful"


def test_a_port_in_use_is_told_before_anything_begins(tmp_path, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert command.main(["serve", "--home", str(tmp_path / "h"), "--port", str(port)]) == 1
    assert f":{port} cannot be listened on" in capsys.readouterr().err
    assert (
        command.main(["serve", "--home", str(tmp_path / "h"), "--root", str(tmp_path / "none")])
        == 1
    )
    assert "no such folder" in capsys.readouterr().err


MARS = (
    'PROJCS["Mars",GEOGCS["GCS_Mars",DATUM["D_Mars",SPHEROID["Mars",3396190,169.8944472236118]],'
    'PRIMEM["Reference_Meridian",0],UNIT["degree",0.0174532925199433]],'
    'PROJECTION["Equirectangular"],PARAMETER["standard_parallel_1",0],'
    'PARAMETER["central_meridian",0],PARAMETER["false_easting",0],PARAMETER["false_northing",0],'
    'UNIT["metre",1]]'
)


@pytest.mark.parametrize("ground", ["EPSG:32617", MARS], ids=["Earth", "Mars"])
@pytest.mark.parametrize(
    "crs",
    [
        "EPSG:5701",
        "EPSG:4978",
        'LOCAL_CS["x",UNIT["m",1]]',
        'TIMECRS["a",TDATUM["b"],CS[TemporalDateTime,1],AXIS["time (T)",future]]',
    ],
    ids=["heights", "geocentric", "local", "time"],
)
def test_positions_in_a_crs_of_no_place_are_refused(client, tmp_path, ground, crs):
    """A raster of Mars with polygons in heights was once edited whole."""
    path = write(tmp_path / "a.tif", in_type(scene(3, 160, 160), "uint8"), crs=ground)
    wanted = inputs(path)
    wanted["polygons"]["crs"] = crs
    said = refusal(client, wanted)
    assert "tells of no place on the ground" in said
    area = {"xmin": 0, "ymin": 0, "xmax": 9, "ymax": 9, "crs": crs}
    assert "no place on the ground" in refusal(client, {**inputs(path), "extent": area})


def test_there_is_no_way_from_one_planet_to_another(client, tmp_path, rgb):
    path = write(tmp_path / "mars.tif", in_type(scene(3, 160, 160), "uint8"), crs=MARS)
    for raster, crs in ((path, "EPSG:4326"), (rgb, "IAU_2015:49900"), (rgb, MARS)):
        wanted = inputs(raster)
        wanted["polygons"]["crs"] = crs
        assert "PROJ knows no way from" in refusal(client, wanted)
    ended = finished(client, started(client, inputs(path)))
    assert ended["status"] == "successful", "in its own coordinates it is a raster like others"


def test_positions_of_mixed_lengths_are_read_by_their_first_two(client, rgb):
    plain = inputs(rgb)
    mixed = inputs(rgb)
    ring = mixed["polygons"]["geometry"]["coordinates"][0]
    ring[1] += [7.5]
    ring[2] += [7.5, 1]
    found = [
        finished(client, started(client, wanted))["report"]["gate"]["sha256_result"]
        for wanted in (plain, mixed)
    ]
    assert found[0] == found[1]


DEEP = json.loads("[" * 900 + "]" * 900)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"options": {"depth_cm": DEEP}}, "nested too deeply"),
        ({"extent": {"xmin": -1e308, "ymin": 0, "xmax": 1e308, "ymax": 1}}, "no coordinate"),
        ({"extent": {"xmin": -9e14, "ymin": 9e13, "xmax": 9e14, "ymax": 9e14}}, "does not touch"),
        ({"band_roles": {"red": 2**70}}, "band_roles"),
        ({"seed": -(2**70)}, "seed"),
    ],
)
def test_odd_values_are_refused_with_a_sentence(client, rgb, change, said):
    assert said in refusal(client, {**inputs(rgb), **change})


def started(client, wanted):
    answer = client.post("/processes/snow/execution", json={"inputs": wanted})
    assert answer.status_code == 201, answer.get_json()
    return answer.get_json()["jobID"]


def refusal(client, wanted):
    answer = client.post("/processes/snow/execution", json={"inputs": wanted})
    assert 400 <= answer.status_code < 500, answer.get_json()
    return answer.get_json()["detail"]
