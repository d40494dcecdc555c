"""Other people's clients: OWSLib's OGC API - Processes, schemathesis against our own OpenAPI
page."""

from __future__ import annotations

import threading
import time

import pytest
import requests
import schemathesis
import waitress
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from landbrush.server.editors.registry import Editors
from landbrush.server.ground.settings import Settings
from landbrush.server.web import openapi, processes
from landbrush.server.web.app import create_app
from landbrush.server.web.resources import RESOURCES
from owslib.ogcapi.processes import Processes

from tests.server.conftest import MODELS, RGB, TOKEN, in_type, inputs, scene, write

pytestmark = pytest.mark.slow

HEADERS = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    app = create_app(Settings(home=folder / "home", roots=(folder,), token=TOKEN))
    server = waitress.create_server(app, host="127.0.0.1", port=0)
    threading.Thread(target=server.run, daemon=True).start()
    path = write(folder / "a.tif", in_type(scene(3, 160, 160), "uint8"), colorinterp=RGB)
    yield f"http://127.0.0.1:{server.effective_port}", path, app
    server.close()


def test_owslib(served):
    url, path, _ = served
    client = Processes(url, headers=dict(HEADERS))
    assert client.conformance()["conformsTo"] == list(processes.CONFORMANCE)
    assert client.api()["openapi"].startswith("3.0")
    assert "remove" in [p["id"] for p in client.processes()]
    assert client.process("snow")["outputs"]["result"]["schema"]["contentMediaType"].startswith(
        "image/tiff"
    )
    job = client.execute("snow", inputs(path), async_=True)
    assert client.response_headers["Location"].endswith(job["jobID"])
    while True:
        state = client._request(path=f"jobs/{job['jobID']}")
        if state["status"] not in ("accepted", "running"):
            break
        time.sleep(0.05)
    assert state["status"] == "successful"
    results = client._request(path=f"jobs/{job['jobID']}/results")
    assert requests.get(results["result"]["href"], headers=HEADERS).content[:2] in (b"II", b"MM")
    with pytest.raises(RuntimeError, match="no-such-process"):
        client.process("nonsense")


def test_conformance_core_and_dismiss(served):
    """What the classes claimed ask for, beyond what OWSLib looks at."""
    url, path, _ = served
    get = lambda p: requests.get(url + p, headers=HEADERS)
    rels = {link["rel"] for link in get("/").json()["links"]}
    assert {
        "http://www.opengis.net/def/rel/ogc/1.0/processes",
        "http://www.opengis.net/def/rel/ogc/1.0/conformance",
        "http://www.opengis.net/def/rel/ogc/1.0/job-list",
        "service-desc",
    } <= rels
    answer = requests.post(
        f"{url}/processes/remove/execution", json={"inputs": inputs(path)}, headers=HEADERS
    )
    assert answer.status_code == 201 and {"jobID", "status", "type", "links"} <= set(answer.json())
    job = answer.json()["jobID"]
    assert job in [entry["jobID"] for entry in get("/jobs").json()["jobs"]]
    gone = requests.delete(f"{url}/jobs/{job}", headers=HEADERS)
    assert gone.status_code == 200 and gone.json()["status"] == "dismissed"
    problem = get("/jobs/none").json()
    assert problem["type"].endswith("no-such-job") and problem["status"] == 404


ROUTES = [route for resource in RESOURCES for route in resource.routes]
INFOS = Editors(MODELS).described()
schema = schemathesis.openapi.from_dict(openapi.document("http://127.0.0.1", "test", ROUTES, INFOS))
CHECKS = (schemathesis.checks.not_a_server_error,)


@pytest.fixture(scope="module")
def fuzzed(served):
    return served


@schema.exclude(
    path="/rasters"
).parametrize()  # its body is a file; uploads have tests of their own
@settings(
    max_examples=20,
    deadline=None,
    phases=[Phase.generate],
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
def test_schemathesis_finds_no_500(case, fuzzed):
    url, *_ = fuzzed
    if "wait" in (case.query or {}):
        case.query["wait"] = 0
    case.call_and_validate(base_url=url, headers=HEADERS, checks=CHECKS)


json_value = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(max_size=6), v, max_size=3),
    max_leaves=8,
)


@given(data=st.data())
@settings(
    max_examples=400, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
def test_400_malformed_requests_give_no_500_and_leave_no_job(served, data):
    """A good request with one part broken at random, and plain rubbish."""
    _, path, app = served
    client = app.test_client()
    store = app.extensions["landbrush"].store
    before = len(list(store.root.iterdir()))
    body = {"inputs": inputs(path)}
    place = data.draw(
        st.sampled_from(
            [
                "body",
                "inputs",
                "prompt",
                "raster",
                "polygons",
                "geometry",
                "seed",
                "options",
                "extent",
                "exemplar",
                "blend",
                "output",
                "elevation",
                "protect",
                "crs",
            ]
        )
    )
    value = data.draw(json_value.filter(lambda v: v is not None))
    target = body["inputs"]
    if place == "body":
        body = value
    elif place == "inputs":
        body["inputs"] = value
    elif place == "geometry":
        target["polygons"]["geometry"] = {"type": "Polygon", "coordinates": value}
    elif place == "crs":
        target["polygons"]["crs"] = "nonsense " + str(value)
    elif place == "prompt":
        target["prompt"] = value if not isinstance(value, str) else value + "\ud812"
    elif place == "seed":
        target["seed"] = -1 if isinstance(value, int) and not isinstance(value, bool) else value
    elif place in ("options", "blend", "output"):
        target[place] = {"unheard-of": value}
    else:
        target[place] = value
    answer = client.post("/processes/remove/execution", json=body, headers=HEADERS)
    assert 400 <= answer.status_code < 500, (answer.status_code, answer.get_json())
    assert answer.content_type == "application/problem+json"
    assert len(list(store.root.iterdir())) == before
