"""What a raster may refer to, how much it may ask for, and that nothing of it stops the server."""

from __future__ import annotations

import json
import os
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from landbrush.server import __main__ as command
from landbrush.server import doors, memory
from landbrush.server.api import EditRequest
from landbrush.server.doors import LARGEST_BLOCK
from landbrush.server.edit import Files
from landbrush.server.errors import CannotEdit, Forbidden, RasterUnreadable
from landbrush.server.executor import run_job
from landbrush.server.jobs import JobStore, load_status
from landbrush.server.raster import opened, part_side, profile_of
from landbrush.server.settings import Settings
from PIL import Image

from tests.server.conftest import RGB, TOKEN, finished, in_type, inputs, ring, scene, square, write
from tests.server.test_hostile import VRT

CASES = Path(__file__).resolve().parents[3] / "shared" / "cases" / "hostile-files"
SECRET = 77


@pytest.fixture
def secret(tmp_path_factory):
    """A raster outside every root, all of one value."""
    return write(tmp_path_factory.mktemp("secret") / "secret.tif", np.full((1, 160, 160), SECRET, np.uint8))


@pytest.fixture
def grey(tmp_path):
    return write(tmp_path / "grey.tif", in_type(scene(1, 160, 160), "uint8"))


def refused(client, path):
    """The answer to an edit of that file, and that it says so at once."""
    geometry = {"type": "Polygon", "coordinates": [[[400030, 3284970], [400050, 3284970], [400050, 3284950], [400030, 3284970]]]}
    answer = client.post(
        "/processes/snow/execution", json={"inputs": {"raster": {"path": str(path)}, "polygons": {"geometry": geometry}}}
    )
    assert 400 <= answer.status_code < 500, answer.get_json()
    return answer.get_json()["detail"]


# ---- drivers ---------------------------------------------------------------------------------------------------


def test_no_driver_of_this_process_reaches_a_network_or_follows_names():
    with rasterio.Env() as env:
        registered = set(env.drivers())
    assert registered <= doors.ALLOWED, sorted(registered - doors.ALLOWED)
    assert {"GTiff", "VRT", "PNG", "JPEG"} <= registered


# ---- virtual rasters -------------------------------------------------------------------------------------------


def vrt(name, relative="0", source="SimpleSource", tag="SourceFilename"):
    return VRT.format(relative=relative, name=name).replace("SimpleSource", source).replace("SourceFilename", tag)


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
        '<VRTDataset rasterXSize="160" rasterYSize="160" subClass="VRTWarpedDataset"><GDALWarpOptions>'
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


# ---- sidecars and formats that name files ----------------------------------------------------------------------


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
            f'<PAMDataset><Metadata domain="OVERVIEWS"><MDI key="OVERVIEW_FILE">{secret}</MDI></Metadata></PAMDataset>'
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
    (tmp_path / "b.ers").write_text(text.replace("DatasetHeader Begin", f'DatasetHeader Begin\n\tDataFile\t= "{secret}"'))
    assert "reads from" in refused(client, tmp_path / "b.ers")


def test_hdf5_and_netcdf_whose_libraries_follow_links_are_not_opened(client, tmp_path):
    for name, head in (("a.nc", b"CDF\x01\0\0\0\0"), ("b.nc", b"\x89HDF\r\n\x1a\n"), ("c.tif", b"\x89HDF\r\n\x1a\n")):
        (tmp_path / name).write_bytes(head + bytes(4096))
        assert "cannot be read" in refused(client, tmp_path / name)


def test_a_file_swapped_for_a_link_while_its_job_waits(rgb, tmp_path, secret, settings):
    store = JobStore(settings.jobs)
    info, _ = store.create("snow", EditRequest.from_json(inputs(rgb)), Files(rgb))
    rgb.unlink()
    os.symlink(secret, rgb)
    run_job(str(store.folder(info.jobID)), settings)
    ended = load_status(settings.jobs / info.jobID)
    assert (
        ended.status == "failed"
        and "not below a folder" in ended.message
        and not list((settings.jobs / info.jobID).glob("*.tif"))
    )


# ---- what it may cost ------------------------------------------------------------------------------------------


def huge_tile(path):
    """A GeoTIFF of a few kilobytes whose one tile holds 4 GB."""
    write(path, np.ones((1, 64, 64), np.uint8), tiled=True, blockxsize=64, blockysize=64)
    data = bytearray(path.read_bytes())
    offset = struct.unpack_from("<I", data, 4)[0]
    for entry in range(struct.unpack_from("<H", data, offset)[0]):
        at = offset + 2 + 12 * entry
        tag, kind = struct.unpack_from("<HH", data, at)
        if tag in (322, 323):
            struct.pack_into("<HI" if kind == 3 else "<HI", data, at + 2, 4, 1)
            struct.pack_into("<I", data, at + 8, 65536)
    path.write_bytes(data)
    return path


def test_a_block_of_gigabytes_is_refused_before_it_is_read(client, tmp_path):
    path = huge_tile(tmp_path / "tile.tif")
    assert "blocks of 65,536 x 65,536" in refused(client, path) and LARGEST_BLOCK < 1 << 30
    assert client.post("/rasters", data=path.read_bytes()).status_code == 422


@pytest.mark.parametrize(("count", "place"), [(20_000, "tag"), (20_000, "sidecar")])
def test_a_multitude_of_metadata_is_refused(client, grey, count, place):
    if place == "tag":
        with rasterio.open(grey, "r+") as dataset:
            dataset.update_tags(**{f"K{n}": "v" for n in range(count)})
    else:
        items = "".join(f'<MDI key="K{n}">v</MDI>' for n in range(count))
        Path(f"{grey}.aux.xml").write_text(f"<PAMDataset><Metadata>{items}</Metadata></PAMDataset>")
    assert "items of metadata" in refused(client, grey)


def test_a_multitude_of_bands_is_refused(client, tmp_path):
    path = tmp_path / "bands.tif"
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=8,
        height=8,
        count=6000,
        dtype="uint8",
        sparse_ok=True,
        crs="EPSG:32617",
        transform=Affine(0.5, 0, 400000, 0, -0.5, 3285000),
    ):
        pass
    assert "6,000 bands" in refused(client, path)


def test_many_bands_are_copied_in_small_squares(tmp_path):
    path = write(tmp_path / "many.tif", np.ones((420, 8, 8), np.uint16))
    with opened(path) as dataset:
        assert part_side(dataset) == 256


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_picture_that_was_cut_short_is_refused_every_time(client, tmp_path, suffix):
    path = tmp_path / f"picture.{suffix}"
    Image.fromarray(in_type(scene(3, 160, 160), "uint8").transpose(1, 2, 0)).save(path)
    (tmp_path / f"picture.{'pgw' if suffix == 'png' else 'jgw'}").write_text("0.5\n0\n0\n-0.5\n400000.25\n3284999.75\n")
    with opened(path) as dataset:
        assert dataset.count == 3
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    for _ in range(3):
        assert "cannot be decoded whole" in refused(client, path)
    assert client.post("/rasters", data=path.read_bytes()).status_code == 422


@pytest.mark.parametrize(
    "change",
    [
        {"transform": Affine(0, 0, 0, 0, 0, 0)},
        {"transform": Affine(float("nan"), 0, 0, 0, -1, 0)},
        {"transform": Affine(1, 1, 0, 1, 1, 0)},
        {"scales": (float("nan"),)},
        {"offsets": (float("inf"),)},
    ],
)
def test_numbers_that_make_no_grid_are_told(tmp_path, change):
    path = write(tmp_path / "n.tif", in_type(scene(1, 64, 64), "uint8"), **change)
    with opened(path) as dataset:
        if dataset.transform == Affine.identity() and dataset.scales == (1.0,) and dataset.offsets == (0.0,):
            pytest.skip("GDAL wrote another number")
        with pytest.raises(RasterUnreadable, match=r"pixel grid|scale|offset"):
            profile_of(dataset)


def test_an_edit_above_the_limit_of_memory_is_refused_with_a_sentence(client, tmp_path, monkeypatch):
    path = write(tmp_path / "large.tif", np.zeros((3, 2400, 2400), np.uint8), colorinterp=RGB)
    monkeypatch.setenv(memory.LIMIT, "700")
    big = square(100, 100, 2300, 2300)
    for process in ("snow", "remove"):
        answer = client.post(f"/processes/{process}/execution", json={"inputs": inputs(path, big)})
        said = answer.get_json()["detail"]
        assert answer.status_code == 422 and "GB of memory" in said and "0.7 GB here" in said and "Divide" in said, said
    small = client.post("/processes/snow/execution", json={"inputs": inputs(path, square(100, 100, 300, 300))})
    assert small.status_code == 201 and finished(client, small.get_json()["jobID"])["status"] == "successful"
    monkeypatch.setenv(memory.LIMIT, "plenty")
    assert (
        "not a number of megabytes"
        in client.post("/processes/snow/execution", json={"inputs": inputs(path, big)}).get_json()["detail"]
    )


def test_what_is_allowed_follows_from_the_machine(monkeypatch):
    monkeypatch.delenv(memory.LIMIT, raising=False)
    assert 100_000_000 < memory.limit_bytes() < memory.psutil.virtual_memory().total
    with pytest.raises(CannotEdit, match="This editor needs about"):
        memory.check(memory.limit_bytes(), "This editor")


@pytest.mark.skipif(not CASES.is_dir(), reason="the collected hostile files are not on this machine")
@pytest.mark.parametrize("name", sorted(p.name for p in CASES.iterdir() if p.suffix != ".md") if CASES.is_dir() else [])
def test_collected_hostile_files_end_in_a_sentence(client, tmp_path, name):
    path = Path(shutil.copy(CASES / name, tmp_path))
    ways = [{"path": str(path)}]
    answer = client.post("/rasters", data=path.read_bytes())
    assert answer.status_code in (201, 400, 422), answer.get_json()
    if answer.status_code == 201:
        ways.append({"upload": answer.get_json()["upload"]})
    geometry = {"type": "Polygon", "coordinates": [[[10, -10], [30, -10], [30, -30], [10, -10]]]}
    for way in ways:
        answer = client.post("/processes/snow/execution", json={"inputs": {"raster": way, "polygons": {"geometry": geometry}}})
        told = answer.get_json()
        if answer.status_code == 201:
            told = finished(client, told["jobID"])
            assert told["status"] == "failed"
        assert "fault of Landbrush" not in str(told) and answer.status_code < 500, told
    assert client.get("/jobs").status_code == 200


# ---- damaged homes ---------------------------------------------------------------------------------------------

DAMAGE = {
    "status is not UTF-8": lambda folder: (folder / "status.json").write_bytes(b"\xff\xfe\0"),
    "status is deep": lambda folder: (folder / "status.json").write_text("[" * 100_000),
    "status is of another job": lambda folder: (folder / "status.json").write_text(
        (folder / "status.json").read_text().replace(folder.name, "0" * 32)
    ),
    "status is a folder": lambda folder: ((folder / "status.json").unlink(), (folder / "status.json").mkdir()),
    "status leads nowhere": lambda folder: ((folder / "status.json").unlink(), os.symlink("nowhere", folder / "status.json")),
    "request is not UTF-8": lambda folder: (folder / "request.json").write_bytes(b"\xff\xfe\0"),
    "request is gone": lambda folder: (folder / "request.json").unlink(),
    "request is a list": lambda folder: (folder / "request.json").write_text("[]"),
    "request has no raster": lambda folder: (folder / "request.json").write_text(
        json.dumps({**json.loads((folder / "request.json").read_text()), "files": {"raster": ""}})
    ),
    "request names its files in a list": lambda folder: (folder / "request.json").write_text(
        json.dumps({**json.loads((folder / "request.json").read_text()), "files": []})
    ),
    "request is null": lambda folder: (folder / "request.json").write_text("null"),
    "folder is a file": lambda folder: (shutil.rmtree(folder), folder.write_text("x")),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_one_damaged_job_folder_never_stops_a_start(settings, rgb, damage, app):
    from landbrush.server.app import create_app

    from tests.server.test_jobs import Held

    store = JobStore(settings.jobs)
    request = EditRequest.from_json(inputs(rgb))
    good, bad = (store.create("snow", request, Files(rgb))[0] for _ in range(2))
    DAMAGE[damage](settings.jobs / bad.jobID)
    (settings.jobs / ("key-" + "a" * 64)).mkdir()
    settings.uploads.mkdir(parents=True, exist_ok=True)
    os.symlink("nowhere", settings.uploads / ("b" * 40))
    hold = Held()
    client = create_app(Settings(home=settings.home, roots=settings.roots, token=TOKEN), hold).test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {TOKEN}"
    listed = client.get("/jobs").get_json()["jobs"]
    assert [job["jobID"] for job in listed] == [good.jobID]
    assert client.get(f"/jobs/{bad.jobID}").status_code == 404
    while hold.waiting:
        hold.run_next()
    assert client.get(f"/jobs/{good.jobID}").get_json()["status"] == "successful"
    assert (settings.jobs / bad.jobID).exists(), "what is damaged is left for whoever can mend it"


# ---- a queue that does not slow down ---------------------------------------------------------------------------


def test_status_list_and_long_poll_read_no_other_job(settings, rgb, monkeypatch):
    """Counted in files read: of 300 jobs in the queue a status reads one at most."""
    from landbrush.server import jobs

    store = JobStore(settings.jobs)
    request = EditRequest.from_json(inputs(rgb))
    ids = [store.create("snow", request, Files(rgb))[0].jobID for _ in range(300)]
    again, reads = JobStore(settings.jobs), []
    plain = jobs.load_status
    monkeypatch.setattr(jobs, "load_status", lambda folder: reads.append(folder.name) or plain(folder))
    assert again.info(ids[-1]).position == 299 and again.info(ids[0]).position == 0
    assert len(list(again.every())) == 300 and reads == []
    run_job(str(settings.jobs / ids[0]))
    assert again.info(ids[-1]).position == 298 and again.info(ids[0]).status == "successful"
    assert reads == [ids[0]], "the one that changed, once"
    again.dismiss(ids[1])
    assert again.info(ids[-1]).position == 297
    assert [info.status for info in again.every()].count("accepted") == 298


def test_forbidden_is_what_lies_outside_and_unreadable_what_is_no_file(tmp_path, secret):
    with pytest.raises(Forbidden, match="not below a folder"), opened(secret, (tmp_path,)):
        pass
    for name in (tmp_path / "none.tif", tmp_path / ("n" * 300), "/vsicurl/http://127.0.0.1/a.tif", "nul\0.tif"):
        with pytest.raises(RasterUnreadable), opened(name):
            pass


# ---- what is named by what is named ----------------------------------------------------------------------------


def beside(path, text):
    Path(f"{path}.aux.xml").write_text(text)


def a_pcidsk_channel(folder, secret):
    with rasterio.open(
        folder / "c.pix", "w", driver="PCIDSK", width=160, height=160, count=1, dtype="uint8", INTERLEAVING="FILE"
    ) as out:
        out.write(np.ones((1, 160, 160), np.uint8))
    channel = next(p for p in folder.iterdir() if p.name.startswith("c") and p.suffix not in (".pix", ".xml"))
    channel.unlink()
    os.symlink(secret, channel)
    return "c.pix"


def an_ers_in_a_chain(folder, secret):
    (folder / "deep.vrt").write_text(vrt(secret))
    (folder / "inner.vrt").write_text(vrt("deep.vrt", "1"))
    with rasterio.open(folder / "e.ers", "w", driver="ERS", width=160, height=160, count=1, dtype="uint8") as out:
        out.write(np.ones((1, 160, 160), np.uint8))
    text = (folder / "e.ers").read_text()
    (folder / "e.ers").write_text(
        text.replace("DatasetHeader Begin", 'DatasetHeader Begin\n\tDataSetType\t= Translated\n\tDataFile\t= "inner.vrt"')
    )
    return "e.ers"


def a_raw_file_that_is_a_link(folder, secret):
    with rasterio.open(folder / "e.ers", "w", driver="ERS", width=160, height=160, count=1, dtype="uint8") as out:
        out.write(np.ones((1, 160, 160), np.uint8))
    (folder / "e").unlink()
    os.symlink(secret, folder / "e")
    return "e.ers"


def an_overview_in_a_sidecar(folder, secret, key="OVERVIEW_FILE"):
    write(folder / "g.tif", np.ones((1, 160, 160), np.uint8))
    beside(folder / "g.tif", f'<PAMDataset><Metadata domain="OVERVIEWS"><MDI key="{key}">{secret}</MDI></Metadata></PAMDataset>')
    return "g.tif"


def an_overview_in_a_vrt(folder, secret):
    write(folder / "g.tif", np.ones((1, 160, 160), np.uint8))
    inner = vrt("g.tif", "1").replace(
        "<VRTRasterBand", f'<Metadata domain="OVERVIEWS"><MDI key="OVERVIEW_FILE">{secret}</MDI></Metadata><VRTRasterBand'
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
    "overview beside, as an entity": lambda folder, secret: an_overview_in_a_sidecar(folder, secret, "OVERVIEW&#95;FILE"),
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
    with pytest.raises((Forbidden, RasterUnreadable)), opened(tmp_path / name, (tmp_path,)) as dataset:
        dataset.read(out_shape=(1, 40, 40))


def test_virtual_rasters_of_gdals_programs_are_read(tmp_path, grey, monkeypatch):
    import rasterio.shutil
    from rasterio.vrt import WarpedVRT

    with rasterio.open(grey) as source, WarpedVRT(source, crs="EPSG:3857", add_alpha=True) as warped:
        rasterio.shutil.copy(warped, tmp_path / "warped.vrt", driver="VRT")
    with opened(tmp_path / "warped.vrt", (tmp_path,)) as dataset:
        assert dataset.read().any() and dataset.crs.to_epsg() == 3857
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "plain.vrt").write_text(VRT.format(relative=0, name="grey.tif"))
    monkeypatch.chdir(tmp_path)  # from where such a name counts
    with opened(tmp_path / "below" / "plain.vrt") as dataset:
        assert dataset.read().any()


@pytest.mark.parametrize("change", ["type of samples", "far offset", "far metadata", "cut", "endless"])
def test_headers_that_lie_end_in_a_sentence(client, tmp_path, change):
    """Of a BigTIFF, whose offsets may point anywhere."""
    path = write(tmp_path / "big.tif", np.ones((1, 64, 64), np.uint8), BIGTIFF="YES")
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(A="b")
    data = bytearray(path.read_bytes())
    first = struct.unpack_from("<Q", data, 8)[0]
    entries = {
        struct.unpack_from("<H", data, at)[0]: at
        for at in range(first + 8, first + 8 + 20 * struct.unpack_from("<Q", data, first)[0], 20)
    }
    if change == "type of samples":
        struct.pack_into("<H", data, entries[277] + 2, 2)
    elif change == "far offset":
        struct.pack_into("<Q", data, 8, 2**64 - 1)
    elif change == "far metadata":
        struct.pack_into("<Q", data, entries[42112] + 12, 2**63 - 1)
    elif change == "endless":
        struct.pack_into("<Q", data, first + 8 + 20 * len(entries), first)
    path.write_bytes(data[: len(data) // 3] if change == "cut" else data)
    answer = client.post("/rasters", data=path.read_bytes())
    assert answer.status_code in (201, 422), answer.get_json()


def ones(path, driver, **more):
    with rasterio.open(path, "w", driver=driver, width=160, height=160, count=1, dtype="uint8", **more) as out:
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
    (folder / "em.dat").write_text((folder / "e.ers").read_text().replace("DatasetHeader Begin", begin))
    return "em.dat"


NAMES = ("<uninit/../../x.tif", " /SIS=/../../x.tif", "LNK=0001", "/etc/passwd", "{secret}")
DISGUISES = [a_pcidsk_that_python_reads_otherwise, an_ers_in_disguise, *map(a_pcidsk_name, NAMES)]


@pytest.mark.parametrize("make", DISGUISES)
def test_headers_in_disguise_are_looked_through(tmp_path, secret, make):
    name = make(tmp_path, secret)
    with pytest.raises((Forbidden, RasterUnreadable)), opened(tmp_path / name, (tmp_path,)):
        pass


def test_each_file_of_a_mosaic_is_looked_at_once(tmp_path, grey, monkeypatch):
    """Six small files, each naming the next five times, are six looks and not fifteen thousand."""
    from landbrush.server import references

    looks = []
    plain = references.named_in
    monkeypatch.setattr(doors, "named_in", lambda path: looks.append(path.name) or plain(path))
    (tmp_path / "c0.vrt").write_text(vrt("grey.tif", "1"))
    for number in range(1, 6):
        text = vrt(f"c{number - 1}.vrt", "1")
        source = text[text.index("<SimpleSource>") : text.index("</SimpleSource>") + len("</SimpleSource>")]
        (tmp_path / f"c{number}.vrt").write_text(text.replace(source, source * 5))
    with opened(tmp_path / "c5.vrt", (tmp_path,)) as dataset:
        assert dataset.shape == (160, 160)
    assert sorted(looks) == ["c0.vrt", "c1.vrt", "c2.vrt", "c3.vrt", "c4.vrt", "c5.vrt", "grey.tif"]


@pytest.mark.parametrize("name", ["grey.IMD", "grey.RPB", "grey_RPC.TXT", "grey.aux", "grey.tif.aux"])
def test_what_never_ends_beside_a_raster_is_not_opened(grey, name):
    os.mkfifo(grey.parent / name)
    with pytest.raises(RasterUnreadable, match="neither a file nor a folder"), opened(grey):
        pass


def test_a_pipe_in_the_place_of_a_job_does_not_stop_a_start(settings):
    settings.jobs.mkdir(parents=True)
    os.mkfifo(settings.jobs / ("a" * 32))
    assert JobStore(settings.jobs).forget_older_than(1) == 0


def test_of_two_tags_the_first_counts_as_for_gdal(tmp_path):
    path = write(tmp_path / "two.tif", np.ones((1, 64, 64), np.uint8))
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(**{f"K{n}": "v" for n in range(20_000)})
    data = bytearray(path.read_bytes())
    first = struct.unpack_from("<I", data, 4)[0]
    count = struct.unpack_from("<H", data, first)[0]
    entries = bytes(data[first + 2 : first + 2 + 12 * count])
    at = next(n for n in range(count) if struct.unpack_from("<H", entries, 12 * n)[0] == 42112)
    extra = struct.pack("<HHII", 42112, 2, 4, 0x00006100)
    block = struct.pack("<H", count + 1) + entries[: 12 * (at + 1)] + extra + entries[12 * (at + 1) :] + bytes(4)
    struct.pack_into("<I", data, 4, len(data))
    path.write_bytes(data + block)
    with pytest.raises(RasterUnreadable, match="items of metadata"), opened(path):
        pass
