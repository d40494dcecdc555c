"""What a raster says beside its pixels comes back, or is named."""

import base64
import io
import re
import struct
import subprocess
import sys

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from landbrush.server.contract.requests import EditRequest
from landbrush.server.editing.path import Job, edit
from landbrush.server.raster import tiff_tags
from landbrush.server.raster.metadata import metadata_of
from landbrush.server.raster.rasters import Rasters
from landbrush.server.raster.source_type import (
    EDITED,
    MADE,
    TERMS,
    source_type_of,
    with_source_type,
)
from PIL import Image

from tests.server.conftest import RGB, finished, in_type, inputs, ring, scene, square, write

RDF = 'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"'
PACKET = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
    f'<x:xmpmeta xmlns:x="adobe:ns:meta/">\n <rdf:RDF {RDF}>\n'
    '  <rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" '
    'dc:source="flight 7 &amp; 8"/>\n </rdf:RDF>\n</x:xmpmeta>\n<?xpacket end="w"?>'
)
ASIDE = """<PAMDataset><PAMRasterBand band="1"><CategoryNames><Category>none</Category>
<Category>water</Category></CategoryNames><GDALRasterAttributeTable tableType="thematic">
<FieldDefn index="0"><Name>Value</Name><Type>0</Type><Usage>5</Usage></FieldDefn>
<Row index="0"><F>1</F></Row></GDALRasterAttributeTable></PAMRasterBand></PAMDataset>"""


def raster(path, bands=3, **more):
    """A raster of random-looking ground."""
    colours = RGB if bands >= 3 else None
    return write(path, in_type(scene(bands, 160, 160), "uint8"), colorinterp=colours, **more)


def edited(editors, path, folder, process="snow", **more):
    """The result of an edit, and its manifest."""
    body = {
        "raster": {"path": str(path)},
        "polygons": {"geometry": ring(path, square(40, 40, 90, 90))},
        **more,
    }
    folder.mkdir(exist_ok=True)
    job = Job(EditRequest.from_json(body), process, Rasters(path))
    return folder / "result.tif", edit(job, editors, folder, lambda *_: None)


def said(path):
    with rasterio.open(path) as dataset:
        return metadata_of(dataset)


def without_source_type(packet):
    """The packet as it was before the source type was stated."""
    added = r'<rdf:Description rdf:about="" [^>]*Iptc4xmpExt:DigitalSourceType="[^"]*"/>'
    return re.sub(added, "", packet)


OUTPUTS = [{"area": "layer"}, {"area": "window"}, {"area": "layer", "cog": True}]


@pytest.mark.parametrize("output", OUTPUTS)
def test_domains_of_raster_and_bands_come_back(editors, tmp_path, output):
    path = raster(tmp_path / "a.tif")
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(ns="SURVEY", FLIGHT="7", NOTE="a=b; <c>")
        dataset.update_tags(ns="IMAGERY", CLOUDCOVER="3")
        dataset.update_tags(2, ns="SPECTRAL", WAVELENGTH="665")
    result, manifest = edited(editors, path, tmp_path / "o", output=output)
    with rasterio.open(result) as dataset:
        assert dataset.tags(ns="SURVEY") == {"FLIGHT": "7", "NOTE": "a=b; <c>"}
        assert dataset.tags(ns="IMAGERY") == {"CLOUDCOVER": "3"}
        assert dataset.tags(2, ns="SPECTRAL") == {"WAVELENGTH": "665"}
    assert not any("Not kept" in note for note in manifest.notes)


@pytest.mark.parametrize("output", OUTPUTS)
def test_an_xmp_packet_comes_back_to_the_letter(editors, tmp_path, output):
    path = raster(tmp_path / "a.tif")
    tiff_tags.set_xmp(path, PACKET.encode())
    result, manifest = edited(editors, path, tmp_path / "o", output=output)
    packet = said(result).packet
    assert without_source_type(packet) == PACKET and source_type_of(packet) == EDITED
    assert not any("Not kept" in note for note in manifest.notes)


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_result_says_how_it_came_to_be(editors, tmp_path, output):
    result, _ = edited(editors, raster(tmp_path / "a.tif"), tmp_path / "o", output=output)
    assert source_type_of(said(result).packet) == EDITED
    again, _ = edited(editors, result, tmp_path / "p", output=output)
    packet = said(again).packet
    assert source_type_of(packet) == EDITED and packet.count("DigitalSourceType=") == 1


@pytest.mark.parametrize(
    "claim",
    [
        f'Iptc4xmpExt:DigitalSourceType="{TERMS}digitalCapture"/>',
        f"><Iptc4xmpExt:DigitalSourceType>{TERMS}digitalCapture"
        "</Iptc4xmpExt:DigitalSourceType></rdf:Description>",
    ],
)
def test_what_claimed_to_be_a_photograph_is_none_any_more(claim):
    packet = PACKET.replace('8"/>', f'8" xmlns:Iptc4xmpExt="x" {claim}')
    assert source_type_of(packet) == "digitalCapture"
    assert source_type_of(with_source_type(packet, EDITED)) == EDITED


def test_what_is_no_xmp_stays_as_it_is():
    text = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><y/></x:xmpmeta>'
    assert with_source_type(text, MADE) == text and source_type_of(text) == ""


@pytest.mark.parametrize("output", OUTPUTS)
def test_an_icc_profile_comes_back(editors, tmp_path, output):
    cms = pytest.importorskip("PIL.ImageCms")
    profile = base64.b64encode(cms.ImageCmsProfile(cms.createProfile("sRGB")).tobytes())
    path = raster(tmp_path / "a.tif", source_icc_profile=profile.decode())
    assert said(path).profile
    result, manifest = edited(editors, path, tmp_path / "o", output=output)
    assert said(result).profile == said(path).profile
    assert not any("Not kept" in note for note in manifest.notes)


@pytest.mark.parametrize("more", [{}, {"bigtiff": "YES"}, {"endianness": "BIG"}])
@pytest.mark.parametrize("output", OUTPUTS)
def test_the_epoch_of_coordinates_comes_back(editors, tmp_path, more, output):
    path = raster(tmp_path / "a.tif", **more)
    tiff_tags.set_epoch(path, 2021.3)
    assert float(said(path).epoch) == pytest.approx(2021.3)
    result, manifest = edited(editors, path, tmp_path / "o", output=output)
    assert said(result).epoch == said(path).epoch
    assert not any("Not kept" in note for note in manifest.notes)


def test_an_epoch_needs_a_crs(tmp_path):
    path = raster(tmp_path / "a.tif", crs=None, transform=rasterio.Affine.identity())
    before = path.read_bytes()
    with pytest.raises(ValueError, match="no CRS"):
        tiff_tags.set_epoch(path, 2020)
    assert path.read_bytes() == before


def with_table(folder):
    path = raster(folder / "a.tif", 1)
    (folder / "a.tif.aux.xml").write_text(ASIDE)
    return path


def test_names_of_classes_and_tables_lie_beside_the_result(editors, tmp_path):
    result, manifest = edited(editors, with_table(tmp_path), tmp_path / "o")
    assert said(result).beside == (
        "the names of classes of band 1",
        "the attribute table of band 1",
    )
    assert not any("Not kept" in note for note in manifest.notes)


def test_a_raster_without_them_gets_no_sidecar(editors, tmp_path):
    result, _ = edited(editors, raster(tmp_path / "a.tif"), tmp_path / "o")
    assert not result.with_name("result.tif.aux.xml").exists() and not said(result).beside


def test_the_server_hands_the_sidecar_out(client, tmp_path):
    for path, there in ((with_table(tmp_path), True), (raster(tmp_path / "b.tif"), False)):
        wanted = {"inputs": inputs(path)}
        started = client.post("/processes/snow/execution", json=wanted).get_json()
        job = f"/jobs/{finished(client, started['jobID'])['jobID']}"
        assert ("sidecar" in client.get(f"{job}/results").get_json()) is there
        answer = client.get(f"{job}/results/result.tif.aux.xml")
        assert answer.status_code == (200 if there else 404)
        if there:
            assert b"water" in answer.data
        else:
            assert "has no" in answer.get_json()["detail"]


def test_the_command_lays_the_sidecar_beside_its_output(tmp_path):
    path = with_table(tmp_path)
    shape = tmp_path / "p.geojson"
    shape.write_text(str(ring(path, square(40, 40, 90, 90))).replace("'", '"'))
    output = tmp_path / "o" / "new.tif"
    output.parent.mkdir()
    command = [
        sys.executable,
        "-m",
        "landbrush.server",
        "edit",
        str(path),
        "--polygons",
        str(shape),
    ]
    command += ["--crs", "EPSG:32617", "--editor", "snow", "--output", str(output)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert sorted(one.name for one in output.parent.iterdir()) == [
        "new.manifest.json",
        "new.tif",
        "new.tif.aux.xml",
    ]
    assert said(output).beside


def test_what_cannot_be_kept_is_named(editors, tmp_path):
    path = raster(tmp_path / "a.tif")
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(ns="json:ISIS", **{'{"a"': "1}"})
    result, manifest = edited(editors, path, tmp_path / "o")
    assert any("Not kept in the new file: metadata json:ISIS" in note for note in manifest.notes)
    assert said(result).packet


@pytest.mark.parametrize("more", [{}, {"bigtiff": "YES"}, {"endianness": "BIG"}])
def test_tags_are_set_without_touching_pixels_or_overviews(tmp_path, more):
    path = raster(tmp_path / "a.tif", tiled=True, blockxsize=64, blockysize=64, **more)
    with rasterio.open(path, "r+") as dataset:
        dataset.build_overviews([2], rasterio.enums.Resampling.average)
        dataset.update_tags(A="1")
    with rasterio.open(path) as dataset:
        before = dataset.read(), dataset.read(out_shape=(3, 80, 80)), dataset.tags()
    for packet in (b"<a/>", b"<a>" + b"x" * 70_000 + b"</a>", b"ab"):
        tiff_tags.set_xmp(path, packet)
        with rasterio.open(path) as dataset:
            assert dataset.tags(ns="xml:XMP") == {"xml:XMP": packet.decode()}
            assert dataset.overviews(1) == [2] and dataset.tags() == before[2]
            assert np.array_equal(dataset.read(), before[0])
            assert np.array_equal(dataset.read(out_shape=(3, 80, 80)), before[1])
    assert Image.open(path).size == (160, 160)  # another reader of TIFF


@pytest.mark.parametrize("data", [b"", b"II", b"II*\0", b"II*\0\xff\xff\xff\x7f", b"GIF89a"])
def test_what_is_no_tiff_stays_as_it_is(tmp_path, data):
    path = tmp_path / "a.tif"
    path.write_bytes(data)
    with pytest.raises((ValueError, struct.error, OSError)):
        tiff_tags.set_xmp(path, b"<a/>")
    assert path.read_bytes() == data and io.BytesIO(data)


def test_a_raster_to_which_a_band_is_appended_keeps_what_it_says(client, tmp_path):
    path = raster(tmp_path / "a.tif")
    tiff_tags.set_xmp(path, PACKET.encode())
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(ns="SURVEY", FLIGHT="7")
        dataset.update_tags(2, ns="SPECTRAL", WAVELENGTH="665")
    (tmp_path / "a.tif.aux.xml").write_text(ASIDE)
    wanted = {"inputs": inputs(path)}
    started = client.post("/processes/near-infrared/execution", json=wanted).get_json()
    info = finished(client, started["jobID"])
    assert info["status"] == "successful", info["message"]
    job = f"/jobs/{info['jobID']}/results"
    for name in ("result.tif", "result.tif.aux.xml"):
        (tmp_path / name).write_bytes(client.get(f"{job}/{name}").data)
    found = said(tmp_path / "result.tif")
    assert found.domains[0, "SURVEY"] == {"FLIGHT": "7"}
    assert found.domains[2, "SPECTRAL"] == {"WAVELENGTH": "665"}
    assert without_source_type(found.packet) == PACKET and len(found.beside) == 2
    notes = client.get(f"{job}/manifest.json").get_json()["notes"]
    assert not any("Not kept" in note for note in notes)


def test_a_virtual_raster_with_an_attribute_table_is_read(editors, tmp_path):
    path = raster(tmp_path / "a.tif")
    (tmp_path / "a.tif.aux.xml").write_text(ASIDE)
    with rasterio.open(path) as dataset:
        rasterio.shutil.copy(dataset, tmp_path / "a.vrt", driver="VRT")
    text = (tmp_path / "a.vrt").read_text()
    assert "<GDALRasterAttributeTable" in text
    result, manifest = edited(editors, tmp_path / "a.vrt", tmp_path / "o")
    assert result.is_file() and not any("Not kept" in note for note in manifest.notes)
