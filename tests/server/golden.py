"""Requests whose results are kept as hashes, so that a change of structure is seen to change no
pixel.

`python -m tests.server.golden` writes golden.json anew; a commit that does says in its message why
pixels moved.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
from pathlib import Path

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # as in workers; before numpy

import numpy as np
import rasterio
import torch
from affine import Affine
from landbrush.server.ground.settings import Settings
from landbrush.server.web.app import create_app

from tests.server.conftest import RGB, TOKEN, finished, in_type, inputs, ring, square, write

KEPT = Path(__file__).with_name("golden.json")
CELLS = 4
"""A side of the grid of block means that is kept beside a hash, for machines that round
otherwise."""

A, B, C = square(40, 40, 90, 96), square(70, 70, 120, 124), [(20, 110), (70, 118), (44, 150)]


def land(height: int, width: int, seed: int = 3, lake: float = 0.15) -> np.ndarray:
    """Reflectances of red, green, blue and near infrared (4, H, W): meadow, wood, a lake, a road
    and roofs."""
    rng = np.random.default_rng(seed)
    rows, cols = np.mgrid[:height, :width]
    grain = rng.standard_normal((height, width))
    meadow = (
        np.array([0.30, 0.38, 0.24, 0.62])[:, None, None]
        + 0.03 * grain
        + 0.03 * np.sin(rows / 6) * np.cos(cols / 9)
    )
    wood = np.array([0.14, 0.22, 0.13, 0.50])[:, None, None] + 0.05 * rng.standard_normal(
        (height, width)
    )
    image = np.where(cols > width * 0.66, wood, meadow)
    water = (rows - height * 0.2) ** 2 + (cols - width * 0.22) ** 2 < (
        min(height, width) * lake
    ) ** 2
    image[:, water] = np.array([0.08, 0.12, 0.16, 0.03])[:, None] + 0.005 * grain[water]
    image[:, abs(rows - height // 2 - cols // 8) < 4] = 0.45
    for row, col in ((110, 60), (130, 90), (30, 100), (60, 70)):
        image[:, row : row + 12, col : col + 14] = np.array([0.75, 0.55, 0.5, 0.6])[:, None, None]
    return np.clip(image, 0.01, 0.98)


def rasters(folder: Path) -> dict[str, Path]:
    """The layers that the requests are for, one of each kind."""
    folder.mkdir(parents=True, exist_ok=True)
    seen = land(168, 176)
    nodata = in_type(seen, "uint16")
    nodata[:, :30, 150:] = 0
    heights = (20 + np.mgrid[:180, :190][1] * 0.15 + np.mgrid[:180, :190][0] * 0.05).astype(
        np.float32
    )[None]
    radar = np.stack([-11 + 4 * np.log(seen[3]), -18 + 4 * np.log(seen[3])]).astype(np.float32)
    return {
        "rgb": write(folder / "rgb.tif", in_type(seen[:3], "uint8"), colorinterp=RGB),
        "four": write(
            folder / "four.tif", nodata, descriptions=("red", "green", "blue", "nir"), nodata=0
        ),
        "floats": write(
            folder / "floats.tif",
            in_type(seen, "float32"),
            descriptions=("red", "green", "blue", "nir"),
            transform=Affine(0.43, 0.25, 400000, 0.25, -0.43, 3285000),
        ),
        "grey": write(folder / "grey.tif", in_type(seen[1:2], "uint8")),
        "degrees": write(
            folder / "degrees.tif",
            in_type(seen[:3], "uint8"),
            colorinterp=RGB,
            crs="EPSG:4326",
            transform=Affine(6e-6, 0, -81.3, 0, -5e-6, 29.1),
        ),
        "nir": write(folder / "nir.tif", in_type(seen[3:], "uint8"), descriptions=("nir",)),
        "radar": write(folder / "radar.tif", radar, descriptions=("VV", "VH")),
        "lakes": write(
            folder / "lakes.tif",
            in_type(land(300, 320, 5, 0.4), "uint16"),
            nodata=0,
            descriptions=("red", "green", "blue", "nir"),
        ),
        "coarse": write(
            folder / "coarse.tif",
            in_type(land(168, 176, 5, 0.4), "uint16"),
            transform=Affine(10, 0, 4e5, 0, -10, 3285000),
            descriptions=("red", "green", "blue", "nir"),
        ),
        "heights": write(
            folder / "heights.tif", heights, transform=Affine(0.5, 0, 399998, 0, -0.5, 3285002)
        ),
    }


def requests(there: dict[str, Path]) -> dict[str, tuple[str, dict]]:
    """name -> (process, inputs); every weight-free editor, both areas, words, exemplars, heights,
    protected ground, odd grids."""

    def of(raster: str, pixels=A, **more) -> dict:
        return inputs(there[raster], pixels, seed=7, **more)

    def source(of_raster: str, *pixels, **more) -> dict:
        return {"polygons": {"geometry": ring(there[of_raster], pixels)}, **more}

    def several(raster: str, *rings) -> dict:
        return {
            "geometry": {
                "type": "MultiPolygon",
                "coordinates": [ring(there[raster], r)["coordinates"] for r in rings],
            }
        }

    whole, heights = {"output": {"area": "layer"}}, {"elevation": {"path": str(there["heights"])}}
    wood, lake = source("rgb", *square(120, 10, 172, 60)), source("rgb", *square(26, 20, 50, 46))
    return {
        "remove": ("remove", of("rgb", square(58, 106, 78, 126))),
        "remove-layer-floats": ("remove", of("floats", square(58, 106, 78, 126), **whole)),
        "remove-degrees": ("remove", of("degrees", square(100, 26, 118, 46))),
        "fill-exemplar": ("fill", of("rgb", exemplar=wood)),
        "fill-word-water": (
            "fill",
            of("lakes", square(190, 170, 230, 210), prompt="water", **whole),
        ),
        "fill-objects-outline": (
            "fill",
            of(
                "rgb",
                exemplar=lake,
                options={"keep_objects": True, "outline_px": 0, "mirror": True},
            ),
        ),
        "fill-other-raster": (
            "fill",
            of(
                "four",
                exemplar=source(
                    "coarse", *square(120, 10, 126, 20), raster={"path": str(there["coarse"])}
                ),
            ),
        ),
        "copy": (
            "copy",
            of("rgb", square(20, 60, 60, 90), exemplar=source("rgb", *square(100, 30, 150, 70))),
        ),
        "copy-layer-four": (
            "copy",
            of(
                "four",
                square(20, 60, 60, 90),
                exemplar=source("four", *square(100, 50, 150, 90)),
                **whole,
            ),
        ),
        "text": ("text", of("rgb", prompt="forest", exemplar=wood)),
        "text-patches": (
            "text",
            of(
                "rgb",
                square(50, 60, 82, 92),
                prompt="forest",
                exemplar=wood,
                options={"content": "patch diffusion"},
            ),
        ),
        "variation": ("variation", of("rgb", square(50, 60, 90, 96))),
        "variation-layer": ("variation", of("grey", square(50, 60, 90, 96), **whole)),
        "harmonise": ("harmonise", of("rgb", square(50, 60, 90, 96))),
        "fog": ("fog", of("rgb")),
        "fog-valleys": ("fog", of("four", **heights)),
        "fog-like-there": ("fog", of("rgb", exemplar=source("rgb", *square(4, 4, 60, 40)))),
        "snow": ("snow", of("rgb")),
        "snow-layer-four": (
            "snow",
            of("four", options={"cover": 0.6, "keep_water": False}, **whole),
        ),
        "snow-several-protected": (
            "snow",
            {
                **of("floats"),
                "polygons": several("floats", A, B, C),
                "protect": {"geometry": ring(there["floats"], square(60, 60, 80, 80))},
            },
        ),
        "snow-soft-grown": (
            "snow",
            of("rgb", C, blend={"grow_px": 5, "beyond_px": 3, "feather_px": 9, "context_px": 20}),
        ),
        "snow-in-extent": (
            "snow",
            of("rgb", extent={"xmin": 400025, "ymin": 3284950, "xmax": 400060, "ymax": 3284975}),
        ),
        "season": ("season", of("rgb")),
        "season-low-water": ("season", of("four", options={"season": "low water"}, **whole)),
        "land-cover": ("land-cover", of("rgb", **whole)),
        "low-light": ("low-light", of("rgb")),
        "low-light-grey": ("low-light", of("grey", **whole)),
        "flood": ("flood", of("four")),
        "flood-heights": ("flood", of("four", options={"level_m": 2.0}, **heights)),
        "flood-level-zero": (
            "flood",
            of(
                "four",
                options={"level_m": 29.0, "counts_from": "the elevation model's zero"},
                **heights,
                **whole,
            ),
        ),
        "burn": ("burn", of("four")),
        "burn-nodata": ("burn", of("four", square(130, 10, 170, 60), **whole)),
        "damage": (
            "damage",
            of(
                "rgb",
                square(30, 30, 150, 150),
                options={"severity": 0.9, "cause": "hurricane", "tarpaulins": 1.0},
                known=[
                    {
                        "kind": "roof",
                        "polygons": {"geometry": ring(there["rgb"], square(40, 40, 60, 70))},
                    },
                    {
                        "kind": "roof",
                        "polygons": {"geometry": ring(there["rgb"], square(80, 60, 110, 90))},
                    },
                ],
            ),
        ),
        "near-infrared": ("near-infrared", of("rgb")),
        "near-infrared-layer": ("near-infrared", of("rgb", **whole)),
        "colours-of-infrared": ("infrared-colours", of("nir")),
        "colours-of-radar-layer": ("radar-colours", of("radar", **whole)),
        "words-snow": ("auto", of("rgb", prompt="deep snow")),
        "words-flood": ("auto", of("four", prompt="flooded 2 m deep", **heights)),
        "words-burn-layer": ("auto", of("coarse", prompt="severe burn scar", **whole)),
        "words-remove": ("auto", of("rgb", square(58, 106, 78, 126), prompt="remove the building")),
        "words-like-there": ("auto", of("rgb", prompt="like there", exemplar=wood)),
        "words-water-coarse": (
            "auto",
            of("coarse", square(110, 100, 150, 140), prompt="turn this into water"),
        ),
        "words-choice": ("auto", of("rgb", prompt="make it look bad", operation="burn")),
    }


def machine() -> dict[str, str]:
    """What decides the last bit of a float."""
    import onnxruntime
    import scipy

    return {
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "onnxruntime": onnxruntime.__version__,
        "gdal": rasterio.__gdal_version__,
        "cores": str(os.cpu_count()),
    }


def result_of(client, process: str, body: dict) -> dict:
    """Hash of a result's pixels and grid, its gate's counts, and block means of its bands; the
    sentence of one that failed."""
    answer = client.post(f"/processes/{process}/execution", json={"inputs": body})
    if answer.status_code >= 400:
        return {"refused": answer.get_json()["detail"]}
    info = finished(client, answer.get_json()["jobID"])
    if info["status"] != "successful":
        return {"failed": info["message"]}
    data = client.get(f"/jobs/{info['jobID']}/results/result.tif").data
    manifest = client.get(f"/jobs/{info['jobID']}/results/manifest.json").get_json()
    with rasterio.MemoryFile(data) as memory, memory.open() as written:
        values, valid = written.read(), written.dataset_mask()
        kept = repr(
            (
                values.shape,
                values.dtype.str,
                written.nodata,
                written.descriptions,
                tuple(written.transform),
            )
        )
    digest = hashlib.sha256(kept.encode() + values.tobytes() + valid.tobytes()).hexdigest()
    gate = manifest["gate"]
    return {
        "sha256": digest,
        "operation": manifest["operation"],
        "inside": gate["pixels_inside"],
        "changed": gate["pixels_inside_changed"],
        "outside": gate["pixels_outside_different"],
        "means": means(values),
    }


def means(values: np.ndarray) -> list[list[float]]:
    """Mean of each band (first axis) in CELLS x CELLS blocks, NaN taken for 0."""
    values = np.nan_to_num(values.astype(np.float64))
    rows, cols = (np.linspace(0, n, CELLS + 1).astype(int) for n in values.shape[1:])
    return [
        [
            round(float(band[rows[i] : rows[i + 1], cols[j] : cols[j + 1]].mean()), 5)
            for i in range(CELLS)
            for j in range(CELLS)
        ]
        for band in values
    ]


def client_of(folder: Path):
    """A server of its own and a client that may use it."""
    app = create_app(Settings(home=folder / "home", roots=(folder,), token=TOKEN))
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {TOKEN}"
    return app, client


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        there = rasters(folder / "rasters")
        _, client = client_of(folder)
        found = {}
        for key, (process, body) in requests(there).items():
            found[key] = result_of(client, process, body)
            print(
                key,
                {k: v for k, v in found[key].items() if k != "means"},
                file=sys.stderr,
                flush=True,
            )
    KEPT.write_text(
        json.dumps({"machine": machine(), "results": found}, separators=(",", ":")) + "\n",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
