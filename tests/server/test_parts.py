"""Blend, tiling, bands and the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from landbrush.server import __main__ as command
from landbrush.server.editing import blend, tiling
from landbrush.server.editors.base import Scene
from landbrush.server.editors.registry import Editors
from landbrush.server.ground.errors import BadRequest
from landbrush.server.raster import bands
from landbrush.server.raster.raster import opened, profile_of, read_window

from tests.server.conftest import MODELS, RGB, in_type, ring, scene, square, write

ROOT = Path(__file__).resolve().parents[2]


def disk(size, radius):
    rows, cols = np.mgrid[:size, :size] - size // 2
    return rows**2 + cols**2 <= radius**2


def test_feather_stays_inside_and_reaches_one():
    mask = disk(101, 30)
    opacity = blend.feather(mask, 8)
    assert (opacity[~mask] == 0).all() and opacity[50, 50] == 1 and 0 < opacity[mask].min() < 0.2
    small = disk(21, 2)
    assert blend.feather(small, 50)[10, 10] == 1
    assert (blend.feather(mask, 0) == mask).all()
    assert (blend.feather(np.ones((9, 9), bool), 5) == 1).all()


def test_composite_is_exact_outside_and_where_solid():
    rng = np.random.default_rng(0)
    source, edited = (rng.integers(0, 65535, (3, 40, 40), dtype=np.uint16) for _ in range(2))
    mask = disk(40, 12)
    opacity = blend.feather(mask, 3)
    out = blend.composite(source, edited, opacity, mask)
    assert (out[:, ~mask] == source[:, ~mask]).all() and (
        out[:, opacity == 1] == edited[:, opacity == 1]
    ).all()
    soft = mask & (opacity < 1)
    assert (np.minimum(source, edited)[:, soft] <= out[:, soft]).all() and (
        out <= np.maximum(source, edited)
    ).all()


def test_ring_match_takes_out_a_drift_in_tone():
    rng = np.random.default_rng(0)
    source = rng.random((3, 60, 60)).astype(np.float32)
    mask, valid = disk(60, 14), np.ones((60, 60), bool)
    drift = np.array([0.1, -0.05, 0.02], np.float32)[:, None, None]
    assert np.allclose(blend.match_ring(source + drift, source, mask, valid), source, atol=1e-6)


@pytest.mark.parametrize(
    ("length", "tile", "overlap"), [(100, 100, 10), (101, 100, 10), (1500, 512, 64), (513, 512, 64)]
)
def test_tiles_cover_everything_and_overlap(length, tile, overlap):
    starts = tiling.starts(length, tile, overlap)
    assert starts[0] == 0 and starts[-1] == max(0, length - tile)
    assert all(b - a <= tile - overlap for a, b in zip(starts, starts[1:], strict=False))


def test_merged_tiles_of_a_faithful_editor_are_the_image():
    image = np.random.default_rng(0).random((2, 150, 230)).astype(np.float32)
    mask = np.ones((150, 230), bool)
    s = Scene(image, mask, mask, ("red", "nir"), 1.0)
    tiles = tiling.cut(s, 96, 24)
    assert len(tiles) == 6
    assert np.allclose(tiling.merge(s, tiles, 24, lambda i, part: part.image), image, atol=1e-5)
    origins = []
    tiling.merge(s, tiles, 24, lambda i, part: (origins.append(part.origin), part.image)[1])
    assert origins[-1] == (150 - 96, 230 - 96)


def test_only_tiles_with_something_to_edit_are_cut():
    mask = np.zeros((300, 300), bool)
    mask[10:20, 10:20] = True
    s = Scene(np.zeros((1, 300, 300), np.float32), ~mask | mask, mask, ("pan",), 1.0)
    assert len(tiling.cut(s, 128, 16)) == 1


@pytest.mark.parametrize(
    "dtype", ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64"]
)
def test_the_way_to_the_editor_and_back_is_exact(tmp_path, dtype):
    if dtype.startswith("float"):
        values = in_type(scene(3, 50, 50), dtype)
    else:
        info = np.iinfo(dtype)
        values = (
            np.random.default_rng(0)
            .integers(max(info.min, -60000), min(info.max, 60000), (3, 50, 50))
            .astype(dtype)
        )
    path = write(tmp_path / "a.tif", values)
    with opened(path) as dataset:
        profile = profile_of(dataset)
        block = read_window(dataset, profile.box)
        stretch = bands.stretch_of(profile, bands.roles_of(profile, {}), block)
        back = bands.write_back(stretch.normalise(block.values), stretch, block, profile)
    if dtype.startswith("float"):
        assert np.allclose(back, values, rtol=1e-5, atol=1e-6)
    else:
        assert (back == values).all()


def test_roles(tmp_path):
    def found(count, dtype="int16", given=None, **more):
        path = write(tmp_path / f"{count}.tif", in_type(scene(count, 20, 20), dtype), **more)
        with opened(path) as dataset:
            return bands.roles_of(profile_of(dataset), given or {})

    assert found(13).index("nir") == 7 and found(13).index("swir1") == 11
    assert found(6).names == ("blue", "green", "red", "nir", "swir1", "swir2")
    assert found(3, "uint8", colorinterp=tuple(reversed(RGB))).names == ("blue", "green", "red")
    assert found(4, given={"nir": 1, "red": 2}).names == ("nir", "red", "", "")
    with pytest.raises(BadRequest, match="band 9"):
        found(4, given={"nir": 9})


def test_command_line_edit(tmp_path, rgb, capsys):
    areas = tmp_path / "areas.geojson"
    areas.write_text(
        json.dumps(
            {
                "type": "FeatureCollection",
                "features": [
                    {
                        "type": "Feature",
                        "properties": {},
                        "geometry": ring(rgb, square(60, 60, 100, 100)),
                    }
                ],
            }
        )
    )
    out = tmp_path / "new" / "out.tif"
    out.parent.mkdir()
    code = command.main(
        [
            "edit",
            str(rgb),
            "--polygons",
            str(areas),
            "--crs",
            "EPSG:32617",
            "--prompt",
            "snow",
            "--option",
            "depth_cm=40",
            "--seed",
            "3",
            "--output",
            str(out),
        ]
    )
    assert code == 0 and "0 of" in capsys.readouterr().out
    assert json.loads(out.with_suffix(".manifest.json").read_text())["options"]["depth_cm"] == 40
    with rasterio.open(out) as dataset:
        assert dataset.tags()["LANDBRUSH_SEED"] == "3"
    assert sorted(p.name for p in out.parent.iterdir()) == ["out.manifest.json", "out.tif"]
    for wrong in (
        ["--option", "depth_cm"],
        ["--option", "depth_cm=x"],
        ["--editor", "nonsense"],
        ["--crs", "EPSG:0"],
    ):
        assert (
            command.main(
                [
                    "edit",
                    str(rgb),
                    "--polygons",
                    str(areas),
                    "--prompt",
                    "snow",
                    "--output",
                    str(out),
                    "--overwrite",
                    *wrong,
                ]
            )
            == 1
        )
    (tmp_path / "bad.geojson").write_text("{")
    assert (
        command.main(
            [
                "edit",
                str(rgb),
                "--polygons",
                str(tmp_path / "bad.geojson"),
                "--output",
                str(out),
                "--overwrite",
            ]
        )
        == 1
    )
    assert "cannot be read as GeoJSON" in capsys.readouterr().err
    for strange in (
        "[1]",
        '{"type": "FeatureCollection", "features": 3}',
        '{"type": "MultiPolygon", "coordinates": 1}',
        "null",
    ):
        (tmp_path / "bad.geojson").write_text(strange)
        assert (
            command.main(
                [
                    "edit",
                    str(rgb),
                    "--polygons",
                    str(tmp_path / "bad.geojson"),
                    "--output",
                    str(out),
                    "--overwrite",
                ]
            )
            == 1
        )
        assert "bad.geojson" in capsys.readouterr().err


def test_the_command_line_never_writes_over_its_inputs(tmp_path, rgb, capsys):
    areas = tmp_path / "areas.manifest.json"
    areas.write_text(json.dumps(ring(rgb, square(60, 60, 100, 100))))
    link = tmp_path / "link.tif"
    link.symlink_to(rgb)
    before = rgb.read_bytes(), areas.read_bytes()

    def run(output, *more):
        code = command.main(
            [
                "edit",
                str(rgb),
                "--polygons",
                str(areas),
                "--crs",
                "EPSG:32617",
                "--prompt",
                "snow",
                "--output",
                str(output),
                *more,
            ]
        )
        return code, capsys.readouterr().err

    for target in (rgb, link, tmp_path / "areas.tif"):
        code, told = run(target, "--overwrite")
        assert code == 1 and "one of the inputs" in told
    assert run(tmp_path / "fine.tif")[0] == 0
    code, told = run(tmp_path / "fine.tif")
    assert code == 1 and "already there" in told
    assert run(tmp_path / "fine.tif", "--overwrite")[0] == 0
    assert (
        "suffix .tif" in run(tmp_path / "fine.png")[1]
        and "no folder" in run(tmp_path / "none" / "fine.tif")[1]
    )
    assert "grow_px" in run(tmp_path / "grown.tif", "--grow", "-5")[1]
    assert (rgb.read_bytes(), areas.read_bytes()) == before


def test_doctor(tmp_path, capsys):
    assert command.main(["doctor", "--home", str(tmp_path / "h")]) == 0
    assert "retrieval: ready" in capsys.readouterr().out
    (tmp_path / "file").write_text("")
    assert command.main(["doctor", "--home", str(tmp_path / "file" / "h")]) == 1
    assert "PROBLEM" in capsys.readouterr().out


def test_the_version_is_one():
    done = subprocess.run(
        [sys.executable, "-m", "landbrush.server", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    from importlib.metadata import version

    assert done.stdout.strip() == version("landbrush")


def test_importing_the_server_package_pulls_in_nothing():
    script = (
        "import sys, landbrush.server.contract.jobs; "
        "assert not {'numpy', 'torch', 'flask', 'qgis'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_what_qgis_knows_of_the_editors_is_true():
    """resources/editors.json is what scripts/write_editors.py makes of the registry."""
    shipped = json.loads((ROOT / "resources" / "editors.json").read_text("utf8"))
    assert shipped == [editor.info.to_json() for editor in Editors(MODELS)]
