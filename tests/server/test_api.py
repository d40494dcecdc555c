"""The contract: strict in, plain out, standard library only, Python 3.9's grammar."""

from __future__ import annotations

import ast
import copy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from landbrush.server.contract import requests
from landbrush.server.contract.jobs import JobInfo
from landbrush.server.contract.message import ContractError
from landbrush.server.contract.requests import API_VERSION, EditRequest

CONTRACT = Path(requests.__file__).parent
TRIANGLE = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}
GOOD = {
    "raster": {"path": "/a.tif"},
    "polygons": {"geometry": TRIANGLE, "crs": "EPSG:4326"},
    "prompt": "forest here",
    "options": {"keep_objects": True},
    "seed": 7,
    "exemplar": {"polygons": {"geometry": TRIANGLE}, "raster": {"upload": "abc"}},
    "extent": {"xmin": 0, "ymin": 0, "xmax": 2.5, "ymax": 3},
    "band_roles": {"nir": 4},
    "blend": {"grow_px": 2, "radiometric_match": False},
    "output": {"area": "layer", "cog": True},
}


def test_round_trip():
    request = EditRequest.from_json(GOOD)
    assert EditRequest.from_json(request.to_json()) == request
    assert (
        request.extent.xmax == 2.5
        and request.blend.feather_px == 3
        and request.api_version == API_VERSION
    )


def broken(**changes):
    data = copy.deepcopy(GOOD)
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = data
        for part in parents:
            place = place[part]
        if value is None:
            del place[last]
        else:
            place[last] = value
    return data


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ([], "an object"),
        (broken(raster=None), "raster: required"),
        (broken(colour="red"), "unknown key 'colour'"),
        (broken(seed=-1), "outside"),
        (broken(seed=1.5), "whole number"),
        (broken(seed=True), "whole number"),
        (broken(prompt="x" * 5000), "too long"),
        (broken(prompt="a\x00b"), "NUL"),
        (broken(extent__xmax=0), "empty"),
        (broken(extent__xmax=float("nan")), "finite"),
        (broken(extent__xmax=float("inf")), "finite"),
        (broken(band_roles={"purple": 1}), "unknown key 'purple'"),
        (broken(band_roles={"nir": 0}), "outside"),
        (broken(blend__grow_px=1000), "outside"),
        (broken(output__area="moon"), "none of"),
        (broken(api_version="2.0"), "Update"),
        (broken(raster={"path": "a", "upload": "b"}), "upload or path"),
        (broken(raster={}), "upload or path"),
        (
            broken(polygons__geometry={"type": "Point", "coordinates": [0, 0]}),
            "Polygon or MultiPolygon",
        ),
        (
            broken(polygons__geometry={"type": "Polygon", "coordinates": []}),
            "at least one|outer ring",
        ),
        (
            broken(
                polygons__geometry={
                    "type": "Polygon",
                    "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 1]]],
                }
            ),
            "end where",
        ),
        (
            broken(
                polygons__geometry={
                    "type": "Polygon",
                    "coordinates": [[[0, 0], [1, "x"], [1, 1], [0, 0]]],
                }
            ),
            "finite",
        ),
        (
            broken(
                polygons__geometry={
                    "type": "Polygon",
                    "coordinates": [[[0, 0], [float("nan"), 1], [1, 1], [0, 0]]],
                }
            ),
            "finite",
        ),
    ],
)
def test_what_is_not_of_the_form_is_refused_with_its_place(data, words):
    with pytest.raises(ContractError, match=words):
        EditRequest.from_json(data)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(
    json_values, st.sampled_from([*GOOD, "protect", "elevation", "polygons__geometry__coordinates"])
)
def test_any_json_in_any_place_parses_or_raises_contract_error(value, place):
    data = broken(**{place: value}) if value is not None else copy.deepcopy(GOOD)
    try:
        EditRequest.from_json(data)
    except ContractError:
        pass


def test_unknown_status_is_refused():
    with pytest.raises(ContractError):
        JobInfo.from_json({"jobID": "1", "processID": "x", "status": "paused"})


def test_every_module_of_it_parses_with_the_grammar_of_python_3_9():
    modules = sorted(CONTRACT.glob("*.py"))
    assert len(modules) >= 8
    for module in modules:
        ast.parse(module.read_text("utf8"), feature_version=(3, 9))


SCRIPT = """
import json, pkgutil, importlib, sys
sys.path.insert(0, sys.argv[1])
import contract
for module in pkgutil.iter_modules(contract.__path__):
    importlib.import_module("contract." + module.name)
from contract.message import ContractError
from contract.requests import EditRequest
request = EditRequest.from_json(json.loads(sys.argv[2]))
assert EditRequest.from_json(request.to_json()) == request
try:
    EditRequest.from_json({"raster": {"path": "x"}})
except ContractError:
    pass
else:
    raise SystemExit("missing key was taken")
assert not {"numpy", "torch", "flask", "rasterio"} & set(sys.modules)
print(sys.version_info[:2])
"""


def interpreters():
    found = {f"3.{sys.version_info[1]}": sys.executable}
    for minor in range(9, 15):
        name = shutil.which(f"python3.{minor}")
        pyenv = sorted(Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/python"))
        if name or pyenv:
            found[f"3.{minor}"] = str(pyenv[-1] if pyenv else name)
    return found


@pytest.mark.parametrize("version", ["3.9", "3.10", "3.11", "3.12", "3.13", "3.14"])
def test_the_contract_works_on_every_python_there_is(version):
    import json

    found = interpreters()
    if version not in found:
        pytest.skip(f"Python {version} is not on this machine")
    done = subprocess.run(
        [found[version], "-I", "-c", SCRIPT, str(CONTRACT.parent), json.dumps(GOOD)],
        capture_output=True,
        text=True,
        check=False,
    )
    if "No such file" in done.stderr or done.returncode == 127:
        pytest.skip(f"Python {version} does not start")
    assert done.returncode == 0, done.stderr
