"""What a raster may refer to: nothing outside the folders that may be read, by no way."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from landbrush.server import __main__ as command
from landbrush.server.contract.requests import EditRequest
from landbrush.server.ground.errors import Forbidden, RasterUnreadable
from landbrush.server.jobs.folder import load_status
from landbrush.server.jobs.store import JobStore
from landbrush.server.raster import doors
from landbrush.server.raster.raster import opened
from landbrush.server.raster.rasters import Rasters

from tests.server.conftest import in_type, inputs, ring, run_here, scene, square, write
from tests.server.test_hostile import VRT

SECRET = 77


@pytest.fixture
def secret(tmp_path_factory):
    """A raster outside every root, all of one value."""
    return write(
        tmp_path_factory.mktemp("secret") / "secret.tif", np.full((1, 160, 160), SECRET, np.uint8)
    )


def refused(client, path):
    """The answer to an edit of that file, and that it says so at once."""
    geometry = {
        "type": "Polygon",
        "coordinates": [
            [[400030, 3284970], [400050, 3284970], [400050, 3284950], [400030, 3284970]]
        ],
    }
    answer = client.post(
        "/processes/snow/execution",
        json={"inputs": {"raster": {"path": str(path)}, "polygons": {"geometry": geometry}}},
    )
    assert 400 <= answer.status_code < 500, answer.get_json()
    return answer.get_json()["detail"]


def test_no_driver_of_this_process_reaches_a_network_or_follows_names():
    with rasterio.Env() as env:
        registered = set(env.drivers())
    assert registered <= doors.ALLOWED, sorted(registered - doors.ALLOWED)
    assert {"GTiff", "VRT", "PNG", "JPEG"} <= registered


def vrt(name, relative="0", source="SimpleSource", tag="SourceFilename"):
    return (
        VRT.format(relative=relative, name=name)
        .replace("SimpleSource", source)
        .replace("SourceFilename", tag)
    )


def nested(folder, secret):
    (folder / "inner.vrt").write_text(vrt(secret))
    return vrt("inner.vrt", "1")


def hidden(folder, secret):
    (folder / "inner.tif").write_text(vrt(secret))
    return vrt("inner.tif", "1")


def linked(folder, secret, relative="1"):
    os.symlink(secret, folder / "link.tif")
    return vrt("link.tif", relative)


def in_an_attribute(folder, secret):
    return vrt("a.tif", "1").replace("<SimpleSource>", f'<SimpleSource SourceFilename="{secret}">')


def computed(folder, secret):
    python = "<PixelFunctionLanguage>Python</PixelFunctionLanguage>"
    return vrt(secret).replace('band="1">', f'band="1" subClass="VRTDerivedRasterBand">{python}')


def warped(folder, secret):
    return (
        '<VRTDataset rasterXSize="160" rasterYSize="160" '
        'subClass="VRTWarpedDataset"><GDALWarpOptions>'
        f"<SourceDataset>{secret}</SourceDataset></GDALWarpOptions></VRTDataset>"
    )


def flagged_in_capitals(folder, secret):
    return vrt(os.path.relpath(secret, folder), "1").replace("relativeToVRT", "RELATIVETOVRT")


WAYS_OUT = {
    "nested": nested,
    "hidden": hidden,
    "linked": linked,
    "not relative": lambda folder, secret: linked(folder, secret, "0"),
    "lower case": lambda folder, secret: vrt(secret, tag="sourcefilename"),
    "attribute": in_an_attribute,
    "pixel function": computed,
    "warped": warped,
    "entity": lambda folder, secret: f'<!DOCTYPE a [<!ENTITY s "{secret}">]>' + vrt("&s;"),
    "climbing": lambda folder, secret: vrt(os.path.relpath(secret, folder), "1"),
    "flag in capitals": flagged_in_capitals,
}


@pytest.mark.parametrize("way", WAYS_OUT)
def test_a_vrt_escapes_by_no_way(client, tmp_path, secret, way):
    path = tmp_path / "a.vrt"
    path.write_text(WAYS_OUT[way](tmp_path, secret))
    said = refused(client, path)
    assert "Landbrush" not in said and ("reads from" in said or "not read" in said), said


def test_a_vrt_as_programs_write_it_is_read(tmp_path, grey):
    import rasterio.shutil

    with opened(grey) as source:
        rasterio.shutil.copy(source, tmp_path / "copy.vrt", driver="VRT")
    with opened(tmp_path / "copy.vrt", (tmp_path,)) as dataset, opened(grey) as source:
        assert (dataset.read() == source.read()).all()
    (tmp_path / "outer.vrt").write_text(VRT.format(relative=1, name="copy.vrt"))
    with opened(tmp_path / "outer.vrt", (tmp_path,)) as dataset:
        assert dataset.read().any()


@pytest.mark.parametrize("end", [".ovr", ".msk", ".OVR", ".msk.ovr"])
def test_a_sidecar_that_is_a_vrt_is_refused(client, tmp_path, grey, secret, end):
    Path(f"{grey}{end}").write_text(vrt(secret))
    assert "no TIFF" in refused(client, grey)


def test_a_sidecar_that_leads_elsewhere_is_refused(client, grey, secret):
    os.symlink(secret, f"{grey}.msk")
    assert "reads from" in refused(client, grey)


def test_overviews_in_a_plain_file_beside_are_taken(tmp_path):
    path = write(tmp_path / "large.tif", in_type(scene(1, 600, 600), "uint8"))
    with rasterio.Env(TIFF_USE_OVR="YES"), rasterio.open(path, "r+") as dataset:
        dataset.build_overviews([2, 4])
    assert Path(f"{path}.ovr").is_file()
    with opened(path, (tmp_path,)) as dataset:
        assert dataset.overviews(1) == [2, 4] and dataset.read(1, out_shape=(150, 150)).any()


@pytest.mark.parametrize("how", ["tag", "sidecar"])
def test_a_named_overview_file_is_not_followed(client, grey, secret, how):
    """A thumbnail of another file came back through it."""
    if how == "tag":
        with rasterio.open(grey, "r+") as dataset:
            dataset.update_tags(ns="OVERVIEWS", OVERVIEW_FILE=str(secret))
    else:
        Path(f"{grey}.aux.xml").write_text(
            '<PAMDataset><Metadata domain="OVERVIEWS"><MDI '
            f'key="OVERVIEW_FILE">{secret}</MDI></Metadata></PAMDataset>'
        )
    assert "OVERVIEW_FILE" in refused(client, grey)
    answer = client.post("/searches", json={"raster": {"path": str(grey)}, "word": "forest"})
    assert answer.status_code == 422 and "OVERVIEW_FILE" in answer.get_json()["detail"]
    if how == "tag":
        answer = client.post("/rasters", data=grey.read_bytes())
        assert answer.status_code == 422 and "OVERVIEW_FILE" in answer.get_json()["detail"]


def test_the_command_line_follows_no_name_either(grey, secret, tmp_path, capsys):
    with rasterio.open(grey, "r+") as dataset:
        dataset.update_tags(ns="OVERVIEWS", OVERVIEW_FILE=str(secret))
    (tmp_path / "p.geojson").write_text(json.dumps(ring(grey, square(20, 20, 60, 60))))
    assert (
        command.main(
            [
                "edit",
                str(grey),
                "--polygons",
                str(tmp_path / "p.geojson"),
                "--crs",
                "EPSG:32617",
                "--editor",
                "remove",
                "--output",
                str(tmp_path / "o.tif"),
                "--home",
                str(tmp_path / "home"),
            ]
        )
        == 1
    )
    assert "OVERVIEW_FILE" in capsys.readouterr().err and not (tmp_path / "o.tif").exists()


def test_an_ers_header_reads_from_the_roots_alone(client, tmp_path, secret):
    values = in_type(scene(1, 160, 160), "uint8")
    with rasterio.open(
        tmp_path / "a.ers",
        "w",
        driver="ERS",
        width=160,
        height=160,
        count=1,
        dtype="uint8",
        crs="EPSG:32617",
        transform=Affine(0.5, 0, 400000, 0, -0.5, 3285000),
    ) as out:
        out.write(values)
    with opened(tmp_path / "a.ers", (tmp_path,)) as dataset:
        assert (dataset.read() == values).all()
    text = (tmp_path / "a.ers").read_text()
    (tmp_path / "b.ers").write_text(
        text.replace("DatasetHeader Begin", f'DatasetHeader Begin\n\tDataFile\t= "{secret}"')
    )
    assert "reads from" in refused(client, tmp_path / "b.ers")


def test_hdf5_and_netcdf_whose_libraries_follow_links_are_not_opened(client, tmp_path):
    for name, head in (
        ("a.nc", b"CDF\x01\0\0\0\0"),
        ("b.nc", b"\x89HDF\r\n\x1a\n"),
        ("c.tif", b"\x89HDF\r\n\x1a\n"),
    ):
        (tmp_path / name).write_bytes(head + bytes(4096))
        assert "cannot be read" in refused(client, tmp_path / name)


def test_a_file_swapped_for_a_link_while_its_job_waits(editors, rgb, tmp_path, secret, settings):
    store = JobStore(settings.jobs)
    info, _ = store.create("snow", EditRequest.from_json(inputs(rgb)), Rasters(rgb))
    rgb.unlink()
    os.symlink(secret, rgb)
    run_here(store, editors, info.jobID, settings)
    ended = load_status(settings.jobs / info.jobID)
    assert (
        ended.status == "failed"
        and "not below a folder" in ended.message
        and not list((settings.jobs / info.jobID).glob("*.tif"))
    )


def test_forbidden_is_what_lies_outside_and_unreadable_what_is_no_file(tmp_path, secret):
    with pytest.raises(Forbidden, match="not below a folder"), opened(secret, (tmp_path,)):
        pass
    for name in (
        tmp_path / "none.tif",
        tmp_path / ("n" * 300),
        "/vsicurl/http://127.0.0.1/a.tif",
        "nul\0.tif",
    ):
        with pytest.raises(RasterUnreadable), opened(name):
            pass


def beside(path, text):
    Path(f"{path}.aux.xml").write_text(text)


def a_pcidsk_channel(folder, secret):
    with rasterio.open(
        folder / "c.pix",
        "w",
        driver="PCIDSK",
        width=160,
        height=160,
        count=1,
        dtype="uint8",
        INTERLEAVING="FILE",
    ) as out:
        out.write(np.ones((1, 160, 160), np.uint8))
    channel = next(
        p for p in folder.iterdir() if p.name.startswith("c") and p.suffix not in (".pix", ".xml")
    )
    channel.unlink()
    os.symlink(secret, channel)
    return "c.pix"


def an_ers_in_a_chain(folder, secret):
    (folder / "deep.vrt").write_text(vrt(secret))
    (folder / "inner.vrt").write_text(vrt("deep.vrt", "1"))
    with rasterio.open(
        folder / "e.ers", "w", driver="ERS", width=160, height=160, count=1, dtype="uint8"
    ) as out:
        out.write(np.ones((1, 160, 160), np.uint8))
    text = (folder / "e.ers").read_text()
    (folder / "e.ers").write_text(
        text.replace(
            "DatasetHeader Begin",
            'DatasetHeader Begin\n\tDataSetType\t= Translated\n\tDataFile\t= "inner.vrt"',
        )
    )
    return "e.ers"


def a_raw_file_that_is_a_link(folder, secret):
    with rasterio.open(
        folder / "e.ers", "w", driver="ERS", width=160, height=160, count=1, dtype="uint8"
    ) as out:
        out.write(np.ones((1, 160, 160), np.uint8))
    (folder / "e").unlink()
    os.symlink(secret, folder / "e")
    return "e.ers"


def an_overview_in_a_sidecar(folder, secret, key="OVERVIEW_FILE"):
    write(folder / "g.tif", np.ones((1, 160, 160), np.uint8))
    beside(
        folder / "g.tif",
        '<PAMDataset><Metadata domain="OVERVIEWS"><MDI '
        f'key="{key}">{secret}</MDI></Metadata></PAMDataset>',
    )
    return "g.tif"


def an_overview_in_a_vrt(folder, secret):
    write(folder / "g.tif", np.ones((1, 160, 160), np.uint8))
    inner = vrt("g.tif", "1").replace(
        "<VRTRasterBand",
        '<Metadata domain="OVERVIEWS"><MDI '
        f'key="OVERVIEW_FILE">{secret}</MDI></Metadata><VRTRasterBand',
    )
    (folder / "inner.vrt").write_text(inner)
    return "inner.vrt"


def a_name_with_a_space(folder, secret):
    write(folder / "g.tif", np.ones((1, 160, 160), np.uint8))
    os.symlink(secret, folder / "g.tif ")
    (folder / "inner.vrt").write_text(vrt("g.tif ", "1"))
    return "inner.vrt"


NAMED = {
    "PCIDSK channel": a_pcidsk_channel,
    "ERS chain": an_ers_in_a_chain,
    "raw file": a_raw_file_that_is_a_link,
    "overview beside": an_overview_in_a_sidecar,
    "overview beside, as an entity": lambda folder, secret: an_overview_in_a_sidecar(
        folder, secret, "OVERVIEW&#95;FILE"
    ),
    "overview in a VRT": an_overview_in_a_vrt,
    "space": a_name_with_a_space,
}


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("way", NAMED)
def test_nothing_is_reached_by_what_a_named_file_names(client, tmp_path, secret, way, deep):
    name = NAMED[way](tmp_path, secret)
    if deep:
        (tmp_path / "outer.vrt").write_text(vrt(name, "1"))
        name = "outer.vrt"
    refused(client, tmp_path / name)
    with (
        pytest.raises((Forbidden, RasterUnreadable)),
        opened(tmp_path / name, (tmp_path,)) as dataset,
    ):
        dataset.read(out_shape=(1, 40, 40))


def test_virtual_rasters_of_gdals_programs_are_read(tmp_path, grey, monkeypatch):
    import rasterio.shutil
    from rasterio.vrt import WarpedVRT

    with (
        rasterio.open(grey) as source,
        WarpedVRT(source, crs="EPSG:3857", add_alpha=True) as warped,
    ):
        rasterio.shutil.copy(warped, tmp_path / "warped.vrt", driver="VRT")
    with opened(tmp_path / "warped.vrt", (tmp_path,)) as dataset:
        assert dataset.read().any() and dataset.crs.to_epsg() == 3857
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "plain.vrt").write_text(VRT.format(relative=0, name="grey.tif"))
    monkeypatch.chdir(tmp_path)  # from where such a name counts
    with opened(tmp_path / "below" / "plain.vrt") as dataset:
        assert dataset.read().any()


def ones(path, driver, **more):
    with rasterio.open(
        path, "w", driver=driver, width=160, height=160, count=1, dtype="uint8", **more
    ) as out:
        out.write(np.ones((1, 160, 160), np.uint8))


def a_pcidsk_that_python_reads_otherwise(folder, secret):
    ones(folder / "c.pix", "PCIDSK", INTERLEAVING="BAND")
    data = bytearray((folder / "c.pix").read_bytes())
    data[336:352] = b"2_0".rjust(16)
    (folder / "c.pix").write_bytes(data)
    return "c.pix"


def a_pcidsk_name(text):
    def make(folder, secret):
        ones(folder / "c.pix", "PCIDSK", INTERLEAVING="FILE")
        data = bytearray((folder / "c.pix").read_bytes())
        at = (int(data[336:352]) - 1) * 512 + 64
        data[at : at + 64] = text.format(secret=secret).encode().ljust(64)[:64]
        (folder / "c.pix").write_bytes(data)
        return "c.pix"

    return make


def an_ers_in_disguise(folder, secret):
    (folder / "mask.vrt").write_text(vrt(secret))
    ones(folder / "e.ers", "ERS")
    begin = 'datasetheader begin\n\tDataSetType = Translated\n\tDataFile = "mask.vrt"'
    (folder / "em.dat").write_text(
        (folder / "e.ers").read_text().replace("DatasetHeader Begin", begin)
    )
    return "em.dat"


NAMES = ("<uninit/../../x.tif", " /SIS=/../../x.tif", "LNK=0001", "/etc/passwd", "{secret}")


DISGUISES = [a_pcidsk_that_python_reads_otherwise, an_ers_in_disguise, *map(a_pcidsk_name, NAMES)]


@pytest.mark.parametrize("make", DISGUISES)
def test_headers_in_disguise_are_looked_through(tmp_path, secret, make):
    name = make(tmp_path, secret)
    with pytest.raises((Forbidden, RasterUnreadable)), opened(tmp_path / name, (tmp_path,)):
        pass
