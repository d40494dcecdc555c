"""The server through Flask's test client: routes, errors, guards, uploads, results."""

from __future__ import annotations

import io
import json
from importlib.metadata import version

import numpy as np
import pytest
import rasterio
from landbrush.server.ground.settings import Settings
from landbrush.server.web.app import create_app
from rasterio.enums import ColorInterp

from tests.server.conftest import RGB, TOKEN, finished, in_type, inputs, ring, scene, square, write


def start(client, path, process="remove", key=None, **more):
    headers = {"Idempotency-Key": key} if key else {}
    return client.post(
        f"/processes/{process}/execution", json={"inputs": inputs(path, **more)}, headers=headers
    )


def test_landing_page_is_open_and_health_is_not(app, client):
    bare = app.test_client().get("/").get_json()
    assert "health" not in bare and {link["rel"] for link in bare["links"]} >= {
        "self",
        "service-desc",
    }
    health = client.get("/").get_json()["health"]
    assert health["versions"]["landbrush"] == version("landbrush") and health["queue"] == {
        "running": 0,
        "accepted": 0,
    }


@pytest.mark.parametrize(
    "authorisation",
    [None, "Bearer wrong", "Basic dGVzdA==", "Bearer", "bearer test-toke", "Bearer \u00e9"],
)
def test_wrong_tokens_are_refused(app, authorisation):
    headers = {"Authorization": authorisation.encode().decode("latin1")} if authorisation else {}
    answer = app.test_client().get("/jobs", headers=headers)
    assert answer.status_code == 401 and answer.content_type == "application/problem+json"
    assert "Bearer" in answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8765", "127.0.0.1.evil.example"])
def test_foreign_host_headers_are_refused(client, host):
    assert client.get("/jobs", headers={"Host": host}).status_code == 403
    assert client.get("/", headers={"Host": host}).status_code == 403


@pytest.mark.parametrize("host", ["localhost:1", "127.0.0.1:8765", "[::1]:8765", "localhost"])
def test_own_host_names_are_taken(client, host):
    assert client.get("/jobs", headers={"Host": host}).status_code == 200


def test_an_edit_from_request_to_result(client, rgb):
    answer = start(client, rgb)
    assert answer.status_code == 201
    job = answer.get_json()
    assert (
        answer.headers["Location"].endswith(f"/jobs/{job['jobID']}") and job["status"] == "accepted"
    )
    info = finished(client, job["jobID"])
    assert info["status"] == "successful" and info["progress"] == 100, info
    assert info["report"]["gate"]["pixels_outside_different"] == 0
    links = client.get(f"/jobs/{job['jobID']}/results").get_json()
    assert set(links) == {"result", "manifest", "preview"}
    path = "/jobs/" + links["result"]["href"].split("/jobs/")[1]
    content = client.get(path)
    with rasterio.open(io.BytesIO(content.data)) as result, rasterio.open(rgb) as source:
        assert result.crs == source.crs and result.tags()["AI_GENERATED"] == "TRUE"
    etag = content.headers["ETag"]
    assert client.get(path, headers={"If-None-Match": etag}).status_code == 304
    part = client.get(path, headers={"Range": "bytes=10-19"})
    assert part.status_code == 206 and part.data == content.data[10:20]
    manifest = client.get(f"/jobs/{job['jobID']}/results/manifest.json").get_json()
    assert manifest["seed"] == 0 and manifest["engine"].startswith("exemplar-based")
    assert client.get(f"/jobs/{job['jobID']}/results/preview.png").data[:4] == b"\x89PNG"
    assert client.get(f"/jobs/{job['jobID']}/results/status.json").status_code == 404


def test_upload_and_edit_of_an_upload(tmp_path, rgb):
    client = create_app(Settings(home=tmp_path / "h", token=TOKEN)).test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {TOKEN}"
    refused = start(client, rgb)
    assert refused.status_code == 403 and "--root" in refused.get_json()["detail"]
    sent = client.post("/rasters", data=rgb.read_bytes(), content_type="image/tiff")
    again = client.post("/rasters", data=rgb.read_bytes(), content_type="image/tiff")
    assert sent.status_code == 201 and sent.get_json() == again.get_json()
    body = {"raster": sent.get_json(), "polygons": {"geometry": ring(rgb, square(60, 60, 90, 90))}}
    job = client.post("/processes/snow/execution", json={"inputs": body}).get_json()
    assert finished(client, job["jobID"])["status"] == "successful"


@pytest.mark.parametrize(
    "content", [b"", b"not a raster", b"<VRTDataset rasterXSize='1' rasterYSize='1'></VRTDataset>"]
)
def test_uploads_that_are_no_raster_are_refused_and_leave_nothing(client, settings, content):
    answer = client.post("/rasters", data=content, content_type="image/tiff")
    assert answer.status_code in (400, 422), answer.get_json()
    assert not list(settings.uploads.glob("*")) and not list(settings.uploads.glob(".part*"))


def test_the_upload_limit(tmp_path, rgb):
    app = create_app(Settings(home=tmp_path / "h", token=TOKEN, upload_limit_mb=0))
    answer = app.test_client().post(
        "/rasters", data=rgb.read_bytes(), headers={"Authorization": f"Bearer {TOKEN}"}
    )
    assert answer.status_code == 413


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../../etc/passwd", "relative.tif", "/vsicurl/http://x/y.tif", "\u0000"]
)
def test_paths_outside_the_roots_are_refused(client, rgb, path):
    body = inputs(rgb)
    body["raster"] = {"path": path}
    answer = client.post("/processes/remove/execution", json={"inputs": body})
    assert answer.status_code in (400, 403)


def test_a_link_out_of_a_root_is_refused(client, tmp_path, rgb):
    (tmp_path / "link.tif").symlink_to("/etc/hostname")
    body = inputs(rgb)
    body["raster"] = {"path": str(tmp_path / "link.tif")}
    assert client.post("/processes/remove/execution", json={"inputs": body}).status_code == 403


@pytest.mark.parametrize(
    ("process", "body", "status", "words"),
    [
        ("nonsense", {"inputs": {}}, 404, "no editor"),
        ("remove", {}, 400, "inputs"),
        ("remove", [], 400, "inputs"),
        ("remove", {"inputs": {}, "mode": "sync"}, 400, "mode"),
        ("fill", None, 422, "exemplar"),
        ("copy", None, 422, "exemplar"),
        ("auto", None, 400, "prompt: empty"),
    ],
)
def test_what_cannot_be_done_is_refused_before_the_queue(
    client, settings, rgb, process, body, status, words
):
    answer = client.post(
        f"/processes/{process}/execution", json={"inputs": inputs(rgb)} if body is None else body
    )
    assert answer.status_code == status and words in json.dumps(answer.get_json())
    assert not client.get("/jobs").get_json()["jobs"]


@pytest.mark.parametrize(
    "options",
    [{"reach_px": 1}, {"reach_px": "far"}, {"colour": 1}, {"guard": 1}, {"reach_px": 4.5}],
)
def test_wrong_options_are_refused(client, rgb, options):
    answer = start(client, rgb, options=options)
    assert answer.status_code == 400 and "options." in answer.get_json()["detail"]


def test_idempotency_key(client, rgb):
    first, second = start(client, rgb, key="k1"), start(client, rgb, key="k1")
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.get_json()["jobID"] == second.get_json()["jobID"]
    assert start(client, rgb, key="k1", seed=9).status_code == 409
    assert start(client, rgb, key="k" * 201).status_code == 400
    assert len(client.get("/jobs").get_json()["jobs"]) == 1


def test_a_job_that_fails_says_why(client, rgb):
    given = {"process": "fill", "prompt": "a parking lot here", "options": {"look_in": "layer"}}
    job = start(client, rgb, **given).get_json()
    info = finished(client, job["jobID"])
    assert info["status"] == "failed" and info["problem"]["status"] == 422
    assert "not found in this layer" in info["problem"]["detail"]
    assert client.get(f"/jobs/{job['jobID']}/results").status_code == 422


@pytest.mark.parametrize("job_id", ["x", "0" * 32, "..%2f..%2fetc", "A" * 32])
def test_unknown_jobs(client, job_id):
    for answer in (
        client.get(f"/jobs/{job_id}"),
        client.delete(f"/jobs/{job_id}"),
        client.get(f"/jobs/{job_id}/results"),
    ):
        assert answer.status_code == 404


def test_waiting_for_a_change(client, rgb):
    job = start(client, rgb).get_json()["jobID"]
    while client.get(f"/jobs/{job}?wait=5").get_json()["status"] not in ("successful", "failed"):
        pass
    for wrong in ("-1", "31", "x", "nan"):
        assert client.get(f"/jobs/{job}?wait={wrong}").status_code == 400


def test_interpretation(client):
    found = client.post(
        "/interpretations", json={"prompt": "replace the forest by a lake"}
    ).get_json()
    assert (found["operation"], found["from_class"], found["sure"]) == ("water", "forest", True)
    assert client.post("/interpretations", json={"prompt": 1}).status_code == 400
    assert client.post("/interpretations", data="x").status_code == 400


def test_search_by_index_rule(client, tmp_path):
    image = scene(4, 200, 200)
    image[3] = 0.7
    image[:, :100, :100] = np.array([0.1, 0.25, 0.2, 0.02])[:, None, None]
    path = write(
        tmp_path / "nir.tif", in_type(image, "uint8"), colorinterp=(*RGB, ColorInterp.undefined)
    )
    body = {"raster": {"path": str(path)}, "word": "lake"}
    found = client.post("/searches", json=body).get_json()
    assert (
        found["word"] == "water"
        and found["rule"] == "index rule"
        and found["found"][0]["thumbnail_png"]
    )
    assert client.post("/searches", json={**body, "word": "unicorn"}).status_code == 400


def test_process_descriptions_drive_forms(client):
    listed = client.get("/processes").get_json()["processes"]
    assert {p["id"] for p in listed} >= {
        "auto",
        "remove",
        "fill",
        "copy",
        "variation",
        "harmonise",
        "fog",
        "snow",
        "low-light",
        "flood",
        "burn",
    }
    for entry in listed:
        full = client.get(f"/processes/{entry['id']}").get_json()
        assert (
            full["jobControlOptions"] == ["async-execute", "dismiss"]
            and full["inputs"]["raster"]["minOccurs"] == 1
        )
        for option in full["landbrush"].get("options", []):
            assert option["name"] in full["inputs"]["options"]["schema"]["properties"]


def test_fill_from_another_layer_of_another_gsd(client, rgb, tmp_path):
    from affine import Affine

    other = write(
        tmp_path / "o.tif",
        in_type(scene(3, 200, 200, 5), "uint8"),
        transform=Affine(0.25, 0, 5e5, 0, -0.25, 4e6),
    )
    exemplar = {
        "polygons": {"geometry": ring(other, square(10, 10, 150, 150))},
        "raster": {"path": str(other)},
    }
    job = start(client, rgb, process="fill", exemplar=exemplar).get_json()
    assert finished(client, job["jobID"])["status"] == "successful"
    four = write(tmp_path / "four.tif", in_type(scene(4, 100, 100), "int16"))
    exemplar = {
        "polygons": {"geometry": ring(four, square(10, 10, 90, 90))},
        "raster": {"path": str(four)},
    }
    job = start(client, rgb, process="fill", exemplar=exemplar).get_json()
    assert "bands" in finished(client, job["jobID"])["message"]


def test_flood_by_elevation(client, rgb, tmp_path):
    from affine import Affine

    heights = np.tile(np.linspace(0, 10, 40, dtype="float32"), (1, 40, 1))
    model = write(
        tmp_path / "dem.tif", heights, transform=Affine(2, 0, 400000, 0, -2, 3285000), nodata=-9999
    )
    more = {"elevation": {"path": str(model)}, "options": {"level_m": 5.0, "keep_tall": False}}
    job = start(client, rgb, process="flood", pixels=square(20, 20, 140, 140), **more).get_json()
    info = finished(client, job["jobID"])
    assert info["status"] == "successful", info
    content = client.get(f"/jobs/{job['jobID']}/results/result.tif").data
    with rasterio.open(io.BytesIO(content)) as result, rasterio.open(rgb) as source:
        col, row, width, height = info["report"]["window"]
        old = source.read(window=rasterio.windows.Window(col, row, width, height))
        changed = (old != result.read()).any(axis=0)
    assert changed[:, : 70 - col].mean() > 0.5 and not changed[:, 90 - col :].any()
    more["options"]["level_m"] = -3.0
    job = start(client, rgb, process="flood", **more).get_json()
    assert "Raise the level" in finished(client, job["jobID"])["message"]


def test_non_ascii_paths(tmp_path):
    folder = tmp_path / "Gelände Übersicht 地図"
    folder.mkdir()
    path = write(folder / "Bild größer.tif", in_type(scene(3, 160, 160), "uint8"))
    client = create_app(
        Settings(home=folder / "home", roots=(tmp_path,), token=TOKEN)
    ).test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {TOKEN}"
    job = start(client, path, prompt="entferne das").get_json()
    assert finished(client, job["jobID"])["status"] == "successful"


@pytest.mark.parametrize("where", ["prompt", "crs", "nested", "interpretation"])
def test_text_that_cannot_be_stored_is_refused_and_leaves_nothing(client, rgb, settings, where):
    body = {"inputs": inputs(rgb)}
    if where == "prompt":
        body["inputs"]["prompt"] = "a\ud800b"
    elif where == "crs":
        body["inputs"]["polygons"]["crs"] = "EPSG:4326\udfff"
    text = (
        json.dumps(body)
        if where != "nested"
        else '{"inputs": ' + "[" * 100_000 + "]" * 100_000 + "}"
    )
    if where == "interpretation":
        assert client.post("/interpretations", json={"prompt": "snow \ud800"}).status_code == 200
        return
    answer = client.post("/processes/snow/execution", data=text, content_type="application/json")
    assert answer.status_code == 400, answer.get_json()
    assert not list(settings.jobs.iterdir())


def test_elevation_and_extent_are_checked_before_the_queue(client, rgb, tmp_path, settings):
    (tmp_path / "dem.txt").write_text("no raster")
    assert (
        start(
            client, rgb, process="flood", elevation={"path": str(tmp_path / "dem.txt")}
        ).status_code
        == 422
    )
    assert (
        start(client, rgb, extent={"xmin": 0, "ymin": 0, "xmax": 1, "ymax": 1}).status_code == 422
    )
    assert not list(settings.jobs.iterdir())


def test_inputs_may_say_what_they_are(client, rgb):
    """OGC 18-062r2, 7.11.2.2: a value with its media type."""
    plain = inputs(rgb, seed=7, prompt="snow")
    wrapped = {name: {"value": value} for name, value in plain.items()}
    wrapped["polygons"]["mediaType"] = "application/geo+json"
    started = client.post("/processes/snow/execution", json={"inputs": wrapped})
    assert started.status_code == 201, started.get_json()
    job = finished(client, started.get_json()["jobID"])
    told = client.get(f"/jobs/{job['jobID']}/results/manifest.json").get_json()
    assert told["seed"] == 7 and told["prompt"] == "snow"
