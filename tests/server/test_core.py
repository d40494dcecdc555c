"""The small setup: every editor that needs no weights of the user's works without what only such
weights need, and who lacks that is told what to do."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from landbrush.server.ground import optional
from landbrush.server.ground.errors import NotInstalled
from landbrush.server.models import sentences
from landbrush.server.models.word_pieces import WordPieces
from landbrush.server.synthesis.features import PatchBasis
from landbrush.server.synthesis.resampling import BICUBIC, BILINEAR, resized

from tests.server.conftest import RGB, UTM, in_type, ring, square, write

LEFT_OUT = (
    "torch",
    "transformers",
    "diffusers",
    "safetensors",
    "tokenizers",
    "accelerate",
    "huggingface_hub",
    "sentencepiece",
    "pyogrio",
    "efficientnet_lite_pytorch",
)
NOT_AT_THE_START = (
    "scipy.signal",
    "scipy.stats",
    "scipy.optimize",
    "scipy.interpolate",
    "onnxruntime",
)
"""Slow to import, and not what every edit uses."""
PROGRAM = """
import importlib.abc, importlib.util, json, sys, traceback
LEFT_OUT = set(json.loads(sys.argv[1]))
class Without(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in LEFT_OUT:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Without())
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: (
    None if name.partition(".")[0] in LEFT_OUT else find(name, package))
import zipfile
from pathlib import Path
from landbrush.server.contract.requests import EditRequest
from landbrush.server.editors.models import Models
from landbrush.server.editors.registry import Editors
from landbrush.server.workers.tasks import TASKS, Desk
from landbrush.server.ground.errors import ServerError
given = json.loads(sys.argv[2])
editors = Editors(Models(Path(given["home"])))
desk = Desk(editors, None, Path(given["home"]), lambda told: None)
found = {"missing": {one.id: one.missing for one in editors.described()}}
for name, (process, request) in given["edits"].items():
    folder = Path(given["home"]) / name
    folder.mkdir(parents=True)
    body = {"folder": str(folder), "process": process, "request": request,
            "raster": request["raster"]["path"], "exemplar": "", "elevation": ""}
    try:
        found[name] = TASKS["edit file"](desk, body)["gate"]["pixels_inside_changed"]
    except ServerError as error:
        found[name] = f"{type(error).__name__}: {error}"
assert not LEFT_OUT & {name.partition(".")[0] for name in sys.modules}
print("FOUND" + json.dumps(found))
"""


@pytest.mark.slow
def test_editors_without_the_libraries_of_pretrained_networks(tmp_path):
    rng = np.random.default_rng(0)
    image = rng.uniform(0.2, 0.6, (3, 150, 160))
    image[:, 60:75] = 0.8
    path = write(tmp_path / "a.tif", in_type(image, "uint8"), colorinterp=RGB)
    area = {"geometry": ring(path, square(50, 50, 90, 90))}
    there = {"geometry": ring(path, square(4, 4, 44, 44))}

    def of(process, **more):
        return process, {"raster": {"path": str(path)}, "polygons": area, **more}

    edits = {
        "remove": of("remove"),
        "fill": of("fill", exemplar={"polygons": there}),
        "copy": of("copy", exemplar={"polygons": there}),
        "variation": of("variation"),
        "harmonise": of("harmonise"),
        "text": of("text", prompt="grass", exemplar={"polygons": there}),
        **{name: of("auto", prompt=name) for name in ("snow", "fog", "dusk", "burnt")},
        "flood": of("auto", prompt="flooded"),
        "lake": of("auto", prompt="a lake"),
        "solar": of("auto", prompt="a solar farm"),
        "infrared": of("near-infrared"),
        "unclear": of("auto", prompt="make it somehow nicer for the people who live here"),
        "sinddm": of("sinddm"),
    }
    given = {"home": str(tmp_path / "home"), "edits": edits}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(LEFT_OUT), json.dumps(given)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.partition("FOUND")[2])
    missing = found.pop("missing")
    assert found.pop("sinddm").startswith("NotInstalled: This needs torch")
    assert found.pop("unclear").startswith("CannotEdit")
    refused = {name: value for name, value in found.items() if not isinstance(value, int)}
    assert not refused
    assert not [name for name, changed in found.items() if not changed]
    assert not any(missing[name] for name in ("remove", "fill", "snow", "text", "near-infrared"))
    assert "torch is not installed" in missing["sinddm"] or "needs torch" in missing["sinddm"]
    assert missing["icedit"] and missing["learned-weather"]


def test_who_lacks_a_library_is_told_how_to_get_it(monkeypatch):
    monkeypatch.setattr(optional, "installed", lambda library: False)
    with pytest.raises(NotInstalled, match=r"needs torch.*pip install 'landbrush\[pretrained\]'"):
        optional.torch.zeros(3)
    with pytest.raises(NotInstalled, match=r"needs pyogrio.*pip install 'landbrush\[files\]'"):
        optional.needed("pyogrio")


def test_a_library_that_is_here_and_broken_is_not_called_missing():
    too_old = ImportError("cannot import name 'x' from 'torch'", name="torch")
    assert optional.as_not_installed(too_old) is None
    gone = ModuleNotFoundError("No module named 'peft.x'", name="nothing_such")
    assert optional.as_not_installed(gone) is None


def test_wheels_for_another_system_are_those_that_it_needs():
    pytest.importorskip("pip")
    root = Path(optional.__file__).resolve().parents[2]
    spec = importlib.util.spec_from_file_location("wheelhouse", root / "scripts" / "wheelhouse.py")
    house = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(house)

    def names(*given):
        return {line.split(" ")[0] for line in house.listed_for(*given).splitlines()}

    windows, old = names(["win_amd64"], "3.12"), names(["manylinux_2_28_x86_64"], "3.10")
    assert {one for one in windows if one.startswith("colorama")}
    assert not {one for one in old if one.startswith("colorama")}
    assert {one for one in old if one.startswith("tomli")} and windows - old
    assert not [line for line in house.listed_for([], "").splitlines() if ";" in line]


@pytest.mark.parametrize("bands", [1, 3, 7])
@pytest.mark.parametrize("patch", [3, 7])
def test_projections_are_a_convolution(bands, patch):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(bands)
    image = rng.standard_normal((bands, 40, 39)).astype(np.float32)
    basis = PatchBasis.fit(image, np.ones(image.shape[1:], bool), patch, rng)
    half = patch // 2
    padded = np.pad(image, ((0, 0), (half, half), (half, half)), mode="reflect")
    wanted = torch.nn.functional.conv2d(
        torch.from_numpy(padded)[None], torch.from_numpy(basis.kernels)
    )[0]
    assert np.allclose(basis.project(image), wanted.permute(1, 2, 0).numpy(), atol=1e-4)


def test_principal_axes_of_many_bands_are_those_of_the_exact_way():
    rng = np.random.default_rng(5)
    scales = np.array([9, 7, 5, 4, 3, 2, *np.full(24, 0.1)])[:, None, None]
    image = (rng.standard_normal((30, 60, 60)) * scales).astype(np.float32)
    basis = PatchBasis.fit(image, np.ones((60, 60), bool), 7, rng, 6)
    assert basis.kernels[0].size > 1000
    # Nearly all that varies is in the first six bands, so the axes lie in them.
    assert (basis.kernels[:, :6] ** 2).sum() > 0.95 * (basis.kernels**2).sum()
    axes = basis.kernels.reshape(6, -1)
    assert np.allclose(axes @ axes.T, np.eye(6), atol=1e-4)


@pytest.mark.parametrize(("method", "name"), [(BICUBIC, "bicubic"), (BILINEAR, "bilinear")])
@pytest.mark.parametrize("size", [(20, 30), (13, 7), (80, 100)])
def test_resampling_is_that_of_antialiased_interpolation(method, name, size):
    torch = pytest.importorskip("torch")
    image = np.random.default_rng(1).standard_normal((2, 40, 60)).astype(np.float32)
    wanted = torch.nn.functional.interpolate(
        torch.from_numpy(image)[None], size, mode=name, antialias=True, align_corners=False
    )[0]
    assert np.allclose(resized(image, size, method), wanted.numpy(), atol=2e-3)


TEXTS = (
    "Flooded to the doorsteps, 1.5 m deep!",
    "a naïve café — “quoted” (x/y) & more",
    "solarpanels unbelievablyextraordinary",
    "Überflutet",
    "淹没 the field",
    "tabs\tand\nlines  ",
    "",
)


@pytest.fixture(scope="module")
def network():
    return sentences._Network(sentences.MODEL)


@pytest.mark.parametrize("text", TEXTS)
def test_words_become_the_pieces_that_the_published_tokeniser_makes(network, text):
    tokenizers = pytest.importorskip("tokenizers")
    numbers = dict(network.pieces._numbers)
    theirs = tokenizers.BertWordPieceTokenizer(vocab=numbers, lowercase=True).encode(text).ids
    assert network.pieces.of(text, 128) == theirs


def test_a_word_without_end_is_unknown_and_a_long_text_is_cut():
    pieces = WordPieces(["[CLS]", "[SEP]", "[UNK]", "a", "##a"])
    assert pieces.of("a" * 101, 10) == [0, 2, 1]
    assert pieces.of("a " * 500, 10) == [0, *[3] * 8, 1]


def test_the_sentence_network_is_bert_with_the_same_weights(network):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        vocab_size=len(network.pieces._numbers),
        hidden_size=384,
        num_hidden_layers=6,
        num_attention_heads=12,
        intermediate_size=1536,
        max_position_embeddings=sentences.LONGEST,
    )
    theirs = transformers.BertModel(config, add_pooling_layer=False).eval()
    names = {name.removesuffix("/4").removesuffix("/scale") for name in network._kept}
    state = {}
    for name in names:
        flat = f"{name}/4" not in network._kept and network._kept[name].ndim == 1
        values = (
            network._kept[name].astype(np.float32) if flat else network._matrix(name, slice(None))
        )
        state[name] = torch.from_numpy(np.ascontiguousarray(values))
    missing, left = theirs.load_state_dict(state, strict=False)
    assert not left and not missing
    for text in ("snow on the roofs of the village", "x"):
        numbers = torch.tensor([network.pieces.of(text, 128)])
        with torch.inference_mode():
            wanted = theirs(numbers).last_hidden_state[0].numpy()
        assert np.allclose(network.states([text])[0], wanted, atol=2e-4)


def test_every_package_of_the_server_goes_into_its_wheel():
    if sys.version_info < (3, 11):
        pytest.skip("tomllib came with Python 3.11")
    import tomllib

    root = Path(optional.__file__).resolve().parents[2]
    told = tomllib.loads((root / "pyproject.toml").read_text("utf8"))["tool"]["setuptools"]
    there = {
        ".".join(("landbrush", *path.parent.relative_to(root).parts))
        for path in (root / "server").rglob("__init__.py")
    }
    assert set(told["packages"]) == there | {"landbrush"}


@pytest.mark.slow
def test_the_server_edits_out_of_its_wheel(tmp_path):
    """What the plugin's zip brings, and not the tree that it was made from."""
    root = Path(optional.__file__).resolve().parents[2]
    spec = importlib.util.spec_from_file_location("package", root / "scripts" / "package.py")
    package = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(package)
    _, content = package.server_wheel(tmp_path)
    with zipfile.ZipFile(io.BytesIO(content)) as opened:
        opened.extractall(tmp_path / "site")
    image = np.random.default_rng(0).uniform(0.2, 0.6, (3, 150, 160))
    path = write(tmp_path / "a.tif", in_type(image, "uint8"), colorinterp=RGB)
    area = tmp_path / "a.geojson"
    area.write_text(json.dumps(ring(path, square(50, 50, 90, 90))))
    said = [sys.executable, "-m", "landbrush.server", "edit", str(path), "--polygons", str(area)]
    said += ["--crs", UTM, "--prompt", "a solar farm", "--home", str(tmp_path / "home")]
    done = subprocess.run(
        [*said, "--output", str(tmp_path / "made.tif")],
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "0 of" in done.stdout and (tmp_path / "made.tif").is_file()


def test_a_worker_does_not_begin_with_what_few_edits_use():
    """A whole edit on the command line is a second long: scipy.signal alone would be another."""
    begin = "import landbrush.server.workers.tasks, landbrush.server.editing.path, sys, json"
    program = f"{begin}\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    loaded = set(json.loads(done.stdout))
    assert "landbrush.server.editors.copy" in loaded
    assert not loaded & {*LEFT_OUT, *NOT_AT_THE_START}
