"""The raster promise as a property: whatever the raster, the polygons and the editor, outside the
polygons not one bit differs, and what the raster says of itself comes back or is named.

The judge uses rasterio and NumPy alone: nothing of the product decides what is right. In the usual
run some dozens of examples are drawn; LANDBRUSH_EXAMPLES=500 draws more.
"""

from __future__ import annotations

import math
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import HealthCheck, assume, given, note, settings
from hypothesis import strategies as st
from landbrush.server.contract.requests import EditRequest
from landbrush.server.editing.path import Job, edit
from landbrush.server.editors.models import Models
from landbrush.server.editors.registry import Editors
from landbrush.server.ground.errors import ServerError
from landbrush.server.raster.rasters import Rasters
from rasterio.enums import ColorInterp

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
EXAMPLES = int(os.environ.get("LANDBRUSH_EXAMPLES", "40"))
SIDE = 96
MARGIN_PX = 1.0
"""A pixel whose centre is farther from every polygon than this is surely outside."""
EDITORS = (
    "remove",
    "snow",
    "fog",
    "low-light",
    "flood",
    "burn",
    "variation",
    "harmonise",
    "copy",
    "fill",
)
TYPES = ("uint8", "uint16", "int16", "uint32", "int32", "float32", "float64", "int8")
CODES = ("EPSG:32617", "EPSG:4326", "EPSG:3857", "EPSG:2056", None)


@st.composite
def rasters(draw):
    """What a raster is made of."""
    bands = draw(st.sampled_from((1, 2, 3, 4, 6)))
    dtype = draw(st.sampled_from(TYPES))
    invalid = draw(st.sampled_from(("none", "nodata", "mask", "alpha")))
    alpha = invalid == "alpha" and bands in (2, 4) and dtype in ("uint8", "uint16")
    return {
        "bands": bands,
        "dtype": dtype,
        "invalid": "alpha" if alpha else "nodata" if invalid == "alpha" else invalid,
        "crs": draw(st.sampled_from(CODES)),
        "turned": draw(st.sampled_from((0.0, 0.0, 17.0, -90.0))),
        "upwards": draw(st.booleans()),
        "layout": draw(st.sampled_from(("strips", "tiles", "one"))),
        "interleave": draw(st.sampled_from(("pixel", "band"))),
        "compress": draw(st.sampled_from(("none", "deflate", "lzw", "zstd", "packbits"))),
        "overviews": draw(st.booleans()),
        "scaled": draw(st.booleans()),
        "named": draw(st.booleans()),
        "rpc": draw(st.booleans()),
        "seed": draw(st.integers(0, 2**16)),
    }


@st.composite
def polygons(draw):
    """Rings in pixels: blocks, slivers, bow ties, holes, overlapping and outlying ones."""
    rings = []
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from(("block", "sliver", "triangle", "bow tie", "ring", "beyond")))
        col, row = draw(st.integers(6, 60)), draw(st.integers(6, 60))
        wide, high = draw(st.integers(8, 28)), draw(st.integers(8, 28))
        shift = draw(st.floats(0, 0.99))
        left, top = col + shift, row + shift / 2
        box = [(left, top), (left + wide, top), (left + wide, top + high), (left, top + high)]
        if kind == "sliver":
            box = [(left, top), (left + wide, top + 0.3), (left + wide, top + 0.6)]
        elif kind == "triangle":
            box = [(left, top), (left + wide, top + high / 2), (left, top + high)]
        elif kind == "bow tie":
            box = [box[0], box[2], box[1], box[3]]
        elif kind == "beyond":
            box = [(x - col - 4, y) for x, y in box]
        rings.append([[*box, box[0]]])
        if kind == "ring":
            inner = [(left + 3, top + 3), (left + 3, top + high - 3), (left + wide - 3, top + 4)]
            rings[-1].append([*inner, inner[0]])
    return rings


def values_of(spec):
    """Textured ground in the raster's type."""
    rng = np.random.default_rng(spec["seed"])
    rows, cols = np.mgrid[:SIDE, :SIDE]
    wave = 0.5 + 0.2 * np.sin(rows / 5) * np.cos(cols / 7)
    image = np.stack([wave * (0.7 + 0.1 * b) for b in range(spec["bands"])])
    image += 0.05 * rng.standard_normal(image.shape)
    kind = np.dtype(spec["dtype"])
    if kind.kind == "f":
        found = image.astype(kind)
        found[0, :3, :3] = -0.0
        return found
    top = min(np.iinfo(kind).max, 4000)
    return (np.clip(image, 0.05, 0.95) * top).astype(kind)


def write(path, spec):
    """The raster, and which of its pixels are valid."""
    values = values_of(spec)
    valid = np.ones((SIDE, SIDE), bool)
    valid[70:80, 10:30] = spec["invalid"] == "none"
    pixel = 1e-5 if spec["crs"] == "EPSG:4326" else 0.5
    at = (8.5, 47.0) if spec["crs"] == "EPSG:4326" else (2_600_000, 1_200_000)
    at = (400_000, 3_285_000) if spec["crs"] == "EPSG:32617" else at
    transform = (
        Affine.translation(*at)
        @ Affine.rotation(spec["turned"])
        @ Affine.scale(pixel, pixel if spec["upwards"] else -pixel)
    )
    layout = {
        "strips": {},
        "tiles": {"tiled": True, "blockxsize": 32, "blockysize": 16},
        "one": {"blockysize": SIDE},
    }[spec["layout"]]
    profile = {
        "driver": "GTiff", "width": SIDE, "height": SIDE, "count": spec["bands"],
        "dtype": spec["dtype"], "crs": spec["crs"], "transform": transform,
        "interleave": spec["interleave"], **layout,
    }  # fmt: skip
    if spec["compress"] != "none":
        profile["compress"] = spec["compress"]
    if spec["invalid"] == "nodata":
        profile["nodata"] = 7
        values[:, ~valid] = 7
        values[:, valid] = np.where(values[:, valid] == 7, 8, values[:, valid])
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK="YES"), rasterio.open(path, "w", **profile) as out:
        if spec["invalid"] == "alpha":
            colours = [ColorInterp.gray] if spec["bands"] == 2 else [
                ColorInterp.red, ColorInterp.green, ColorInterp.blue
            ]  # fmt: skip
            out.colorinterp = [*colours, ColorInterp.alpha]
            values[-1] = np.where(valid, np.iinfo(spec["dtype"]).max, 0)
        out.write(values)
        if spec["invalid"] == "mask":
            out.write_mask((valid * 255).astype("uint8"))
        if spec["scaled"]:
            out.scales = [0.5] * spec["bands"]
            out.offsets = [float(b) for b in range(spec["bands"])]
            out.units = ["W/m2"] * spec["bands"]
        if spec["named"]:
            out.update_tags(FLIGHT="7")
            out.update_tags(ns="SURVEY", NOTE="x=1; <y>")
            out.update_tags(1, ns="SPECTRAL", WAVELENGTH="665")
            out.set_band_description(1, "first")
        if spec["rpc"]:
            out.rpcs = rasterio.rpc.RPC(
                err_bias=1, err_rand=1, height_off=10, height_scale=100, lat_off=47, lat_scale=1,
                line_den_coeff=[1] + [0] * 19, line_num_coeff=[0, 1] + [0] * 18, line_off=48,
                line_scale=48, long_off=8.5, long_scale=1, samp_den_coeff=[1] + [0] * 19,
                samp_num_coeff=[0, 0, 1] + [0] * 17, samp_off=48, samp_scale=48,
            )  # fmt: skip
        if spec["overviews"]:
            out.build_overviews([2, 4], rasterio.enums.Resampling.nearest)
    return transform


def distance_to(rings, cols, rows):
    """How far points lie from the nearest edge of any ring."""
    nearest = np.full(cols.shape, np.inf)
    for polygon in rings:
        for ring in polygon:
            for (x0, y0), (x1, y1) in zip(ring[:-1], ring[1:], strict=True):
                along = (x1 - x0) ** 2 + (y1 - y0) ** 2
                t = np.clip(
                    ((cols - x0) * (x1 - x0) + (rows - y0) * (y1 - y0)) / max(along, 1e-12), 0, 1
                )
                nearest = np.minimum(
                    nearest, np.hypot(cols - x0 - t * (x1 - x0), rows - y0 - t * (y1 - y0))
                )
    return nearest


def crossed(ring, cols, rows):
    """Even-odd rule, by counting edges to the right."""
    inside = np.zeros(cols.shape, bool)
    for (x0, y0), (x1, y1) in zip(ring[:-1], ring[1:], strict=True):
        spans = (y0 > rows) != (y1 > rows)
        with np.errstate(divide="ignore", invalid="ignore"):
            at = x0 + (rows - y0) * (x1 - x0) / (y1 - y0)
        inside ^= spans & (cols < at)
    return inside


def surely_outside(rings, window):
    """Pixels of a window, (H, W), that no reading of the polygons could mean."""
    rows, cols = np.mgrid[: window.height, : window.width].astype(float) + 0.5
    rows, cols = rows + window.row_off, cols + window.col_off
    meant = np.zeros(cols.shape, bool)
    for outer, *_ in rings:  # a hole that is not kept is a fault too, but of another kind
        meant |= crossed(outer, cols, rows)
    for _, *holes in rings:
        for hole in holes:
            alone = crossed(hole, cols, rows)
            others = np.zeros(cols.shape, bool)
            for outer, *theirs in rings:
                if hole not in theirs:
                    others |= crossed(outer, cols, rows)
            meant &= ~(alone & ~others)
    return ~meant & (distance_to(rings, cols, rows) > MARGIN_PX)


def bits(values):
    return np.ascontiguousarray(values).view(f"u{values.dtype.itemsize}")


KEPT = (
    "count", "dtypes", "crs", "nodata", "scales", "offsets", "units", "descriptions", "colorinterp",
)  # fmt: skip
OTHERWISE = {"IMAGE_STRUCTURE", "DERIVED_SUBDATASETS", "RPC"}


def of_profile(old, new):
    """What the result is that the source is not."""
    pairs = [(name, getattr(old, name), getattr(new, name)) for name in KEPT]
    return [f"{name}: {ours} became {theirs}" for name, ours, theirs in pairs if ours != theirs]


def of_tags(old, new, told):
    """What the source says and the result does not, and nobody says that it is gone."""
    faults = []
    for band in (0, *old.indexes):
        for ns in {"", *old.tag_namespaces(band)} - OTHERWISE:
            kept = new.tags(band, ns=ns or None)
            gone = [k for k, v in old.tags(band, ns=ns or None).items() if kept.get(k) != v]
            if gone and f"metadata {ns}" not in told:
                faults.append(f"tags {ns}:{gone} of band {band} are gone")
    return faults


def of_camera(old, new, window):
    """Whether the camera model is the source's, counted from the window's corner."""
    if old.rpcs is None:
        return [] if new.rpcs is None else ["a camera model that was not there"]
    ours = old.rpcs.to_dict()
    ours["line_off"] -= window.row_off
    ours["samp_off"] -= window.col_off
    return [] if new.rpcs and ours == new.rpcs.to_dict() else ["another camera model"]


def judge(path, result, rings, notes):
    """Every way in which the promise is broken, in words."""
    with rasterio.open(path) as old, rasterio.open(result) as new:
        col, row = ~old.transform @ (new.transform @ (0, 0))
        window = rasterio.windows.Window(round(col), round(row), new.width, new.height)
        faults = []
        if math.hypot(col - round(col), row - round(row)) > 1e-6:
            faults.append(f"not on the grid: begins at {col}, {row}")
        wanted = tuple(rasterio.windows.transform(window, old.transform))[:6]
        if not np.allclose(tuple(new.transform)[:6], wanted, rtol=0, atol=1e-9):
            faults.append("another transform")
        before, after = old.read(window=window), new.read()
        outside = surely_outside(rings, window)
        different = (bits(before) != bits(after)).any(axis=0) & outside
        if different.any():
            faults.append(f"{different.sum()} pixels outside differ")
        masks = old.dataset_mask(window=window) > 0, new.dataset_mask() > 0
        if ((masks[0] != masks[1]) & outside).any() or (masks[0] & ~masks[1]).any():
            faults.append("validity differs")
        faults += of_profile(old, new) + of_tags(old, new, " ".join(notes))
        faults += of_camera(old, new, window)
        if new.tags().get("AI_GENERATED") != "TRUE" or "DigitalSourceType" not in str(
            new.tags(ns="xml:XMP")
        ):
            faults.append("it does not say that it is synthetic")
        return faults


@pytest.fixture(scope="module")
def all_editors(tmp_path_factory):
    return Editors(Models(tmp_path_factory.mktemp("home")))


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="LANDBRUSH_EXAMPLES" not in os.environ,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    spec=rasters(),
    rings=polygons(),
    process=st.sampled_from(EDITORS),
    area=st.sampled_from(("window", "layer")),
    cog=st.booleans(),
    feather=st.integers(0, 6),
    grow=st.sampled_from((0, 0, 3)),
)
def test_outside_not_one_bit(all_editors, spec, rings, process, area, cog, feather, grow):
    with tempfile.TemporaryDirectory() as place:
        path, folder = Path(place) / "a.tif", Path(place) / "o"
        folder.mkdir()
        transform = write(path, spec)
        on_ground = [[[list(transform @ p) for p in ring] for ring in shape] for shape in rings]
        body = {
            "raster": {"path": str(path)},
            "polygons": {"geometry": {"type": "MultiPolygon", "coordinates": on_ground}},
            "output": {"area": area, "cog": cog},
            "blend": {"feather_px": feather, "grow_px": grow},
        }
        if process in ("copy", "fill"):
            corners = [(8, 8), (40, 8), (40, 40), (8, 40), (8, 8)]
            ring = [list(transform @ p) for p in corners]
            body["exemplar"] = {
                "polygons": {"geometry": {"type": "Polygon", "coordinates": [ring]}}
            }
        job = Job(EditRequest.from_json(body), process, Rasters(path))
        try:
            manifest = edit(job, all_editors, folder, lambda *_: None)
        except ServerError as error:
            # Refused with a sentence: nothing may be left. That the promise broke is no refusal.
            assert "promise" not in type(error).__name__.lower(), error
            assert not (folder / "result.tif").exists() and str(error).endswith((".", ")", "?"))
            note(f"refused: {error}")
            assume(False)
            return
        meant = grown(rings, grow) if grow else rings
        faults = judge(path, folder / "result.tif", meant, manifest.notes)
        assert faults == []


def grown(rings, by):
    """Everything within a square around the rings, as one ring each: a larger meaning than grown
    polygons can have."""
    found = []
    for outer, *_ in rings:
        xs, ys = zip(*outer, strict=True)
        left, right, top, bottom = min(xs) - by, max(xs) + by, min(ys) - by, max(ys) + by
        found.append([[(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]])
    return found


SPEC = {
    "bands": 3, "dtype": "uint16", "invalid": "mask", "crs": "EPSG:32617", "turned": 0.0,
    "upwards": False, "layout": "tiles", "interleave": "pixel", "compress": "deflate",
    "overviews": False, "scaled": True, "named": True, "rpc": True, "seed": 1,
}  # fmt: skip
BLOCK = [[[(40, 40), (60, 40), (60, 60), (40, 60), (40, 40)]]]


def one_pixel(dataset):
    values = dataset.read()
    values[1, 5, 5] += 1
    dataset.write(values)


def a_valid_pixel(dataset):
    mask = dataset.dataset_mask()
    mask[5, 5] = 0
    dataset.write_mask(mask)


@pytest.mark.parametrize(
    "spoil, fault",
    [
        (one_pixel, "1 pixels outside differ"),
        (a_valid_pixel, "validity differs"),
        (lambda d: setattr(d, "scales", (1.0,) * 3), "scales"),
        (lambda d: setattr(d, "units", ("K",) * 3), "units"),
        (lambda d: setattr(d, "nodata", 3), "nodata"),
        (lambda d: d.set_band_description(1, "other"), "descriptions"),
        (lambda d: d.update_tags(ns="SURVEY", NOTE="other"), "SURVEY"),
        (lambda d: d.update_tags(AI_GENERATED=""), "does not say that it is synthetic"),
        (lambda d: setattr(d, "transform", d.transform @ Affine.translation(0.3, 0)), "grid"),
        (lambda d: setattr(d, "crs", "EPSG:32618"), "crs"),
    ],
)
def test_the_judge_is_not_blind(all_editors, tmp_path, spoil, fault):
    path = tmp_path / "a.tif"
    transform = write(path, SPEC)
    ring = [list(transform @ p) for p in BLOCK[0][0]]
    body = {
        "raster": {"path": str(path)},
        "polygons": {"geometry": {"type": "Polygon", "coordinates": [ring]}},
        "output": {"area": "layer"},
    }
    job = Job(EditRequest.from_json(body), "snow", Rasters(path))
    manifest = edit(job, all_editors, tmp_path, lambda *_: None)
    result = tmp_path / "result.tif"
    assert judge(path, result, BLOCK, manifest.notes) == []
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK="YES"), rasterio.open(result, "r+") as dataset:
        spoil(dataset)
    assert any(fault in one for one in judge(path, result, BLOCK, manifest.notes))
