"""Fixtures of the server's tests."""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from affine import Affine
from landbrush.server.contract.jobs import ENDED
from landbrush.server.diffusion.components import Model
from landbrush.server.diffusion.families import family
from landbrush.server.editors.models import Models
from landbrush.server.editors.registry import Editors
from landbrush.server.ground.settings import Settings
from landbrush.server.jobs.executor import Runner
from landbrush.server.store import own
from landbrush.server.store.importing import Arrival, import_model
from landbrush.server.web.app import create_app
from landbrush.server.workers.here import Here
from rasterio.enums import ColorInterp

from tests.conftest import DATA

torch.set_num_threads(1 if "PYTEST_XDIST_WORKER" in os.environ else 2)
TOKEN = "test-token"
MODELS = Models(Path("/nowhere"))
"""Those that come with the program, for tests that need no home."""
UTM = "EPSG:32617"


def scene(bands: int, height: int, width: int, seed: int = 0) -> np.ndarray:
    """A picture in [0, 1] with a textured ground and a bright block in the middle."""
    rng = np.random.default_rng(seed)
    rows, cols = np.mgrid[:height, :width]
    ground = (
        0.45
        + 0.12 * np.sin(rows / 5.0) * np.cos(cols / 7.0)
        + 0.06 * rng.standard_normal((height, width))
    )
    image = np.stack([ground * (0.8 + 0.4 * b / max(bands, 2)) for b in range(bands)])
    image[:, height // 2 - 8 : height // 2 + 8, width // 2 - 8 : width // 2 + 8] = 0.9
    return np.clip(image, 0.02, 0.98)


def in_type(image: np.ndarray, dtype: str) -> np.ndarray:
    if dtype.startswith("float"):
        return (image * 0.3).astype(dtype)
    if dtype == "uint8":
        return (image * 255).astype(dtype)
    return (image * 3000 + (1 if dtype == "uint16" else -500)).astype(dtype)


def write(
    path: Path,
    values: np.ndarray,
    *,
    crs=UTM,
    transform=None,
    nodata=None,
    colorinterp=None,
    descriptions=None,
    scales=None,
    offsets=None,
    mask=None,
    **profile,
) -> Path:
    transform = transform or Affine(0.5, 0, 400000, 0, -0.5, 3285000)
    bands, height, width = values.shape
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK="YES"),
        rasterio.open(
            path,
            "w",
            driver="GTiff",
            width=width,
            height=height,
            count=bands,
            dtype=values.dtype,
            crs=crs,
            transform=transform,
            nodata=nodata,
            **profile,
        ) as out,
    ):
        if colorinterp:
            out.colorinterp = colorinterp
        out.write(values)
        for index, text in enumerate(descriptions or (), 1):
            out.set_band_description(index, text)
        if scales:
            out.scales = scales
        if offsets:
            out.offsets = offsets
        if mask is not None:
            out.write_mask(mask)
    return path


RGB = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)


@pytest.fixture
def rgb(tmp_path):
    """A 160 x 160 RGB byte raster in UTM."""
    return write(tmp_path / "rgb.tif", in_type(scene(3, 160, 160), "uint8"), colorinterp=RGB)


def ring(path: Path, pixels) -> dict:
    """GeoJSON polygon of a pixel ring, in the raster's own CRS."""
    with rasterio.open(path) as dataset:
        points = [list(dataset.transform @ p) for p in [*pixels, pixels[0]]]
    return {"type": "Polygon", "coordinates": [points]}


def square(c0, r0, c1, r1):
    return [(c0, r0), (c1, r0), (c1, r1), (c0, r1)]


@pytest.fixture
def settings(tmp_path):
    return Settings(home=tmp_path / "home", roots=(tmp_path,), token=TOKEN)


@pytest.fixture
def models(settings):
    """The models of the home: an empty store, in which nothing half-brought stays."""
    models = Models(settings.home)
    yield models
    folder = models.store.folder
    left = [path.name for path in folder.glob(".*")] if folder.is_dir() else []
    gone_on = [name for name in left if not name.startswith(".download-")]
    assert not gone_on, "something half-brought stayed"


@pytest.fixture
def editors(models):
    """All editors with the models of the home."""
    return Editors(models)


@pytest.fixture
def home(models):
    """The home of those models."""
    return models.home


def model_of(models, entry, placement):
    """A model of the store, placed."""
    return Model(models.store, entry, family(entry.family), placement)


def closed(app):
    """End an app: what runs, and its workers."""
    runner = app.extensions["landbrush"].runner
    runner.close()
    runner.executor.shutdown(wait=True)


def run_here(store, editors, job_id, settings=None):
    """Run one job in this process, so that a test can reach into it."""
    Runner(store, Here(editors, settings), editors.models).run(job_id)


@pytest.fixture
def app(request, settings, models):
    """A server's app with workers; of a test marked `in_process`, which reaches into what a worker
    does, without."""
    here = request.node.get_closest_marker("in_process")
    place = Here(Editors(models), settings) if here else None
    app = create_app(settings, models=models, place=place)
    yield app
    closed(app)


def client_of(app):
    """Who may ask an app."""
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {TOKEN}"
    return client


@pytest.fixture
def client(app):
    return client_of(app)


@contextlib.contextmanager
def office(home, root):
    """A client of a server with workers that the tests of a file share and leave as it was, so
    that PyTorch is loaded once. `home`: with the models in it; `root`: of what it may read."""
    settings = Settings(home=home, roots=(root,), token=TOKEN)
    app = create_app(settings, models=Models(home))
    try:
        yield client_of(app)
    finally:
        closed(app)


def inputs(path: Path, pixels=None, **more) -> dict:
    """Inputs of an execution on a file."""
    return {
        "raster": {"path": str(path)},
        "polygons": {"geometry": ring(path, pixels or square(60, 60, 100, 100))},
        **more,
    }


def finished(client, job_id: str) -> dict:
    """The job's status once it has ended, however long a busy machine takes."""
    while True:
        info = client.get(f"/jobs/{job_id}").get_json()
        if info["status"] in ENDED:
            return info
        time.sleep(0.05)


@pytest.fixture(scope="session")
def published(tmp_path_factory):
    """Tiny models as they would lie on a stick."""
    from tests.server import tiny_pipelines

    folder = tmp_path_factory.mktemp("published")
    for model_id in ("instruct-pix2pix", "sd15", "flux-fill", "icedit", "rsedit-unet-dgtrs"):
        tiny_pipelines.build(model_id, folder)
    return folder


@pytest.fixture
def grey(tmp_path):
    """A small raster of one band."""
    return write(tmp_path / "grey.tif", in_type(scene(1, 160, 160), "uint8"))


class Held(concurrent.futures.Executor):
    """An executor that runs what it was given only when told to."""

    def __init__(self):
        self.waiting = []

    def submit(self, function, /, *arguments, **more):
        self.waiting.append((function, arguments))
        return concurrent.futures.Future()

    def run_next(self):
        function, arguments = self.waiting.pop(0)
        function(*arguments)


def start(client, path, process="remove", **more):
    answer = client.post(f"/processes/{process}/execution", json={"inputs": inputs(path, **more)})
    assert answer.status_code == 201, answer.get_json()
    return answer.get_json()["jobID"]


# ---- pretrained editors at tiny size


@pytest.fixture(scope="session")
def shelved(tmp_path_factory):
    """A store with all tiny models in it, each also as a model of one's own that is trained at 128
    pixels."""
    from tests.server import tiny_pipelines
    from tests.server.pretrained_desk import BASES, EDITORS

    place = tmp_path_factory.mktemp("shelved")
    models = Models(place)
    for model_id in [*BASES, *(model for models in EDITORS.values() for model in models)]:
        folder = tiny_pipelines.build(model_id, place / "published")
        import_model(models.store, Arrival(models.store.entry(model_id), True), folder)
        if model_id not in BASES:
            entry = own.described(f"tiny-{model_id}", models.store.entry(model_id), native_px=128)
            import_model(models.store, Arrival(entry, True), folder)
            own.remember(models.store, entry)
    shutil.rmtree(place / "published")
    return place / "models"


def with_models(home, shelved):
    """A home that holds that store."""
    (home / "models").mkdir(parents=True, exist_ok=True)
    (home / "models" / "pretrained").symlink_to(shelved / "pretrained")
    return home


@pytest.fixture(scope="module")
def pretrained_office(shelved, tmp_path_factory):
    """A client of a server with that store, whose workers stay."""
    home = with_models(tmp_path_factory.mktemp("home"), shelved)
    with office(home, tmp_path_factory.getbasetemp()) as client:
        yield client


@pytest.fixture
def own_desk(models, shelved, settings, client):
    """A client of a server with that store that a test has for itself."""
    with_models(settings.home, shelved)
    yield client
    for name in models.warm.names():
        models.warm.drop(name)


@pytest.fixture
def desk(request):
    """A client of a server with that store: one of its own for a test that reaches into it."""
    own_one = request.node.get_closest_marker("in_process")
    return request.getfixturevalue("own_desk" if own_one else "pretrained_office")


@pytest.fixture
def chip(tmp_path):
    """A piece of a real aerial picture where there is one, else of a made one; 128 x 128 pixels,
    0.6 m: as large as what the tiny models draw at once."""
    real = DATA / "joplin_tornado_geotiff" / "input" / "pre"
    path = tmp_path / "chip.tif"
    if real.is_dir():
        with rasterio.open(sorted(real.glob("*.tif"))[0]) as source:
            window = rasterio.windows.Window(300, 400, 128, 128)
            profile = {
                **source.profile,
                "width": 128,
                "height": 128,
                "transform": source.window_transform(window),
            }
            with rasterio.open(
                path,
                "w",
                **{
                    k: v
                    for k, v in profile.items()
                    if k not in ("blockxsize", "blockysize", "tiled")
                },
            ) as out:
                out.write(source.read(window=window))
        return path
    return write(
        path,
        in_type(scene(3, 128, 128), "uint8"),
        colorinterp=RGB,
        transform=Affine(0.6, 0, 4e5, 0, -0.6, 3.2e6),
    )
