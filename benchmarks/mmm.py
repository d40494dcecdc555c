"""What MMM-RS does, on coordinates: weather on six real scenes, a near-infrared band, generation at
three ground sizes.

usage: python benchmarks/mmm.py [part ...]     parts: weather nir colours radar generate dataset
cyclegan make demo-mmm is all of them; pictures go to demo/mmm. Real imagery comes from
LANDBRUSH_DATA (else ../shared/data); parts without it say so.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "2")

import importlib.util
import sys
import time
import zlib
from pathlib import Path
from types import ModuleType

import numpy as np
import rasterio
import torch
from PIL import Image, ImageDraw
from skimage.metrics import structural_similarity

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(Path(__file__).resolve().parent)]

import cases  # noqa: E402
from landbrush.server.contract.requests import EditRequest, Extent, RasterRef  # noqa: E402
from landbrush.server.dataset import scenes  # noqa: E402
from landbrush.server.dataset.build import DatasetConfig, build  # noqa: E402
from landbrush.server.editing.new_ground import blank, finer  # noqa: E402
from landbrush.server.editing.path import Job, edit  # noqa: E402
from landbrush.server.editors.models import Models  # noqa: E402
from landbrush.server.editors.registry import Editors  # noqa: E402
from landbrush.server.models import translation  # noqa: E402
from landbrush.server.raster.raster import opened, profile_of  # noqa: E402
from landbrush.server.raster.rasters import Rasters  # noqa: E402
from landbrush.server.store import own  # noqa: E402
from landbrush.server.store.importing import Arrival, import_model  # noqa: E402
from landbrush.server.training import cyclegan as cycle  # noqa: E402
from landbrush.server.training.cyclegan import CycleTrainer, Recipe  # noqa: E402
from pretrained import figure, scratch  # noqa: E402

from tests.server import tiny_pipelines  # noqa: E402

DATA = Path(os.environ.get("LANDBRUSH_DATA", ROOT.parent / "shared" / "data"))
OUT = ROOT / "demo" / "mmm"
SIDE = 300
NAIP = "naip_landsat_timeseries/naip/m_4709963_se_14_1_{}.tif"
SCENES = (
    ("houses, 0.6 m", cases.JOPLIN.format(0), (300, 120)),
    ("trees and streets, 0.6 m", cases.JOPLIN.format(2), (200, 500)),
    ("prairie in June, 5 m", NAIP.format("20100629"), (80, 200)),
    ("fields and lakes, 5 m", NAIP.format("20200831"), (500, 260)),
    ("scrub, 0.1 m", "small_geotiffs/OSBS_029.tif", (50, 50)),
    ("after a storm, 0.6 m", "joplin_tornado_geotiff/output/chips/post/0_post.tif", (300, 300)),
)
WEATHER = (("fog", {"visibility_m": 120.0}), ("snow", {}), ("low-light", {}))
GROUND_SIZES_M = (0.5, 2.0, 8.0)
CYCLE_STEPS = 400


def request(polygon: dict, **more) -> EditRequest:
    return EditRequest.from_json(
        {"raster": {"path": "-"}, "polygons": {"geometry": polygon}, **more}, "request"
    )


def outline(path: Path) -> dict:
    """All of a raster, in its own CRS."""
    with opened(path) as dataset:
        t = dataset.transform
        (height, width) = dataset.shape
    corners = [list(t @ at) for at in ((0, 0), (width, 0), (width, height), (0, height), (0, 0))]
    return {"type": "Polygon", "coordinates": [corners]}


def cut(name: str, corner: tuple[int, int], place: Path) -> Path:
    """A square piece of a real image, with its georeferencing."""
    target = place / f"{Path(name).stem}-{corner[0]}.tif"
    with rasterio.open(DATA / name) as source:
        window = rasterio.windows.Window(*corner, SIDE, SIDE)
        profile = {
            "driver": "GTiff",
            "count": source.count,
            "dtype": source.dtypes[0],
            "crs": source.crs,
            "width": SIDE,
            "height": SIDE,
            "transform": source.window_transform(window),
            "photometric": "RGB",
        }
        with rasterio.open(target, "w", **profile) as out:
            out.write(source.read(window=window))
    return target


def edited(
    path: Path, process: str, place: Path, editors: Editors = cases.EDITORS, **more
) -> tuple[np.ndarray, dict]:
    """Pixels after an edit of all of a raster, and its report; raises where the promise is
    broken."""
    place.mkdir(parents=True, exist_ok=True)
    job = Job(request(outline(path), output={"area": "layer"}, **more), process, Rasters(path))
    report = edit(job, editors, place, lambda *_: None).to_json()
    with rasterio.open(place / "result.tif") as dataset:
        return dataset.read(), report


def sheet(rows: list[tuple[str, list[np.ndarray]]], heads: list[str], path: Path) -> None:
    """Pictures (3, H, W) in a table."""
    side = 240
    top = 22
    left = 150
    page = Image.new("RGB", (left + side * len(heads), top + side * len(rows)), "white")
    pen = ImageDraw.Draw(page)
    for column, head in enumerate(heads):
        pen.text((left + column * side + 6, 5), head, "black")
    for row, (name, pictures) in enumerate(rows):
        pen.multiline_text((6, top + row * side + 6), name.replace(", ", ",\n"), "black")
        for column, picture in enumerate(pictures):
            shown = Image.fromarray(picture[:3].transpose(1, 2, 0).astype(np.uint8)).resize(
                (side - 4, side - 4)
            )
            page.paste(shown, (left + column * side, top + row * side))
    path.parent.mkdir(parents=True, exist_ok=True)
    page.save(path)
    print(f"# {path.relative_to(ROOT)}", flush=True)


def weather() -> None:
    """Fog, snow and low light on six real scenes."""
    if not DATA.is_dir():
        print(f"# weather: no real imagery at {DATA} (LANDBRUSH_DATA)")
        return
    place = scratch("weather")
    rows = []
    for name, image, corner in SCENES:
        path = cut(image, corner, place)
        with rasterio.open(path) as source:
            shown = [source.read()]
        for process, options in WEATHER:
            shown.append(
                edited(path, process, place / f"{path.stem}-{process}", options=options)[0]
            )
        rows.append((name, shown))
    sheet(rows, ["as it is", *(process for process, _ in WEATHER)], OUT / "weather.png")
    figure("weather_scenes", len(rows))


def script(name: str) -> ModuleType:
    """A training script as a module: its measures and baselines."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def similarity(true: np.ndarray, made: np.ndarray, columns: int) -> float:
    """Mean SSIM (Wang et al. 2004: Gaussian windows) of images (C, H, W) in 0 ... 1 east of a
    column."""
    return float(
        structural_similarity(
            true[:, :, columns:],
            np.clip(made, 0, 1)[:, :, columns:].astype(true.dtype),
            data_range=1.0,
            channel_axis=0,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
    )


def bands_of(name: str, bands: list[int], target: Path) -> Path:
    """Some bands of a real image as a file of their own."""
    with (
        rasterio.open(DATA / name) as source,
        rasterio.open(
            target,
            "w",
            driver="GTiff",
            width=source.width,
            height=source.height,
            count=len(bands),
            dtype=source.dtypes[0],
            crs=source.crs,
            transform=source.transform,
            nodata=source.nodata,
            photometric="RGB" if len(bands) == 3 else "MINISBLACK",
        ) as out,
    ):
        out.write(source.read(bands))
        out.descriptions = tuple(source.descriptions[band - 1] for band in bands)
    return target


def nir() -> None:
    """The shipped near-infrared network on a date and ground that it was not trained on, beside
    colour alone."""
    if not (DATA / "naip_landsat_timeseries").is_dir():
        print(f"# nir: no NAIP imagery at {DATA} (LANDBRUSH_DATA)")
        return
    train = script("train_near_infrared")
    dates = train.dates(DATA)
    held = max(dates)
    image = dates.pop(held)
    plain = train.per_pixel(image[:3]) @ train.baseline(
        [other[:, :, : train.WEST_PX] for other in dates.values()]
    )
    place = scratch("nir")
    made, report = edited(
        bands_of(NAIP.format(held), [1, 2, 3], place / "rgb.tif"), "near-infrared", place / "made"
    )
    valid = image.min(0) > 0
    east = valid & (np.arange(image.shape[2]) >= train.WEST_PX + train.GAP_PX)
    ours = train.scores(image, made[3] / 255, east)
    theirs = train.scores(image, plain, east)
    figure("nir_r2", ours[0])
    figure("nir_r2_baseline", theirs[0])
    figure("ndvi_mae", ours[2])
    figure("ndvi_mae_baseline", theirs[2])
    for name, band in (("", made[3] / 255), ("_baseline", plain)):
        true, guess = (
            (image[1] - one) / (image[1] + one + 1e-6) for one in (image[3], np.clip(band, 0, 1))
        )
        figure(f"ndwi_mae{name}", float(np.abs(true - guess)[east].mean()))
    figure("nir_ssim", similarity(image[3:], made[3:] / 255, train.WEST_PX + train.GAP_PX))
    figure("nir_ssim_baseline", similarity(image[3:], plain[None], train.WEST_PX + train.GAP_PX))
    figure("nir_bands_kept_bit_for_bit", int(np.array_equal(made[:3], (image[:3] * 255).round())))
    grey = [
        np.repeat(np.clip(band, 0, 1)[None] * 255, 3, 0)
        for band in (image[3], made[3] / 255, plain)
    ]
    sheet(
        [(f"{held}, held out", [image[:3] * 255, *grey])],
        ["colours", "measured", "made", "colour alone"],
        OUT / "nir.png",
    )
    assert report["gate"]["pixels_outside_different"] == 0


def colours() -> None:
    """The shipped network for colours from near infrared where it was not trained, beside
    brightness alone."""
    if not (DATA / "naip_landsat_timeseries").is_dir():
        print(f"# colours: no NAIP imagery at {DATA} (LANDBRUSH_DATA)")
        return
    sys.path.insert(0, str(ROOT / "scripts"))
    train = script("train_colours")
    place = scratch("colours")
    dates = train.dates(DATA)
    held = max(dates)
    image = dates.pop(held)
    valid = image.min(0) > 0
    east = train.east_of(image)
    known = train.baseline([other[:, :, : train.WEST_PX] for other in dates.values()])
    plain = (train.per_pixel(image[3], valid) @ known).transpose(2, 0, 1)
    made = edited(
        bands_of(NAIP.format(held), [4], place / "nir.tif"), "infrared-colours", place / "made"
    )[0] / np.float32(255)
    for name, one in (("", made), ("_baseline", plain)):
        r2, mae = train.scores(image[:3], one, east)
        figure(f"colours_r2{name}", r2)
        figure(f"colours_mae{name}", mae)
        figure(f"colours_ssim{name}", similarity(image[:3], one, train.WEST_PX + train.GAP_PX))
    shown = [np.clip(one, 0, 1) * 255 for one in (image[[3, 3, 3]], image[:3], made, plain)]
    sheet(
        [(f"{held}, held out", shown)],
        ["near infrared", "measured", "made", "brightness alone"],
        OUT / "colours.png",
    )


def radar() -> None:
    """Colours from the radar of a flooded plain, and how well its water is found, against hand
    labels."""
    folder = DATA / "sen1floods11_sample"
    if not folder.is_dir():
        print(f"# radar: no Sentinel-1 imagery at {folder} (LANDBRUSH_DATA)")
        return
    source, optical, labels = (
        next((folder / kind).glob("*.tif")) for kind in ("S1", "S2", "Labels")
    )
    made, report = edited(source, "radar-colours", scratch("radar") / "made")
    with (
        rasterio.open(source) as one,
        rasterio.open(optical) as other,
        rasterio.open(labels) as third,
    ):
        grey = np.clip((one.read(1) + 25) / 25, 0, 1)[None].repeat(3, 0) * 255
        seen = np.clip(other.read([4, 3, 2]) / 3000, 0, 1) * 255
        truth = third.read(1)
    blue = (made[2].astype(int) > made[0]) & (truth >= 0)
    figure(
        "radar_water_iou",
        (blue & (truth == 1)).sum() / (blue | (truth == 1)).sum(),
        "against hand labels of one chip",
    )
    figure("radar_pixels_outside_different", report["gate"]["pixels_outside_different"])
    sheet(
        [("flooded plain, 10 m", [np.nan_to_num(grey), made, seen])],
        ["VV", "made of VV, VH", "optical"],
        OUT / "radar.png",
    )


def generate() -> None:
    """The way from words to a new raster at three ground sizes; tiny networks with random weights
    draw noise."""
    place = scratch("generate")
    editors = Editors(Models(place))
    store = editors.models.store
    published = tiny_pipelines.build("sd15", place / "stick")
    import_model(store, Arrival(store.entry("sd15"), True), published)
    tiny = own.described("tiny", store.entry("sd15"), native_px=128)
    import_model(store, Arrival(tiny, True), published)
    own.remember(store, tiny)
    worst = 0.0
    for gsd_m in GROUND_SIZES_M:
        wanted = {
            "xmin": 11.5,
            "ymin": 48.1,
            "xmax": 11.5 + gsd_m * 0.003,
            "ymax": 48.1 + gsd_m * 0.002,
            "crs": "EPSG:4326",
        }
        path = blank(Extent(**wanted), gsd_m, place)
        made, report = edited(
            path,
            "generate",
            place / f"{gsd_m}",
            editors,
            prompt="a town beside a river",
            options={"model": "tiny", "steps": 3},
        )
        with opened(path) as dataset:
            worst = max(worst, abs(profile_of(dataset).gsd_m / gsd_m - 1))
        print(
            f"# {gsd_m:g} m: {made.shape[2]} x {made.shape[1]} px, "
            f"'{report['editor_facts']['prompt_used']}', seed {report['seed']}"
        )
    figure("generate_ground_sizes", len(GROUND_SIZES_M))
    worst = max(worst, nested(place, editors))
    figure("generate_gsd_error", worst, "relative, asked for against the affine on the ellipsoid")


def nested(place: Path, editors: Editors) -> float:
    """One place from coarse to fine, each drawn from the one before; how far the ground size is off
    at worst."""
    x = 500_000.0
    y = 5_300_000.0
    path = None
    worst = 0.0
    shown = []
    for gsd_m in sorted(GROUND_SIZES_M, reverse=True):
        half = 64 * gsd_m
        extent = Extent(x - half, y - half, x + half, y + half, "EPSG:32632")
        wished = RasterRef(path=str(path or ""), extent=extent, gsd_m=gsd_m)
        source = blank(extent, gsd_m, place) if path is None else finer(path, wished, {}, place)
        ref = {"extent": extent.to_json(), "gsd_m": gsd_m, **({"path": str(path)} if path else {})}
        target = place / f"nested-{gsd_m}"
        target.mkdir()
        wanted = EditRequest.from_json(
            {
                "raster": ref,
                "polygons": {"geometry": outline(source)},
                "prompt": "a town beside a river",
                "output": {"area": "layer"},
                "options": {"model": "tiny", "steps": 3},
            },
            "request",
        )
        job = Job(wanted, "generate", Rasters(source))
        report = edit(job, editors, target, lambda *_: None).to_json()
        path = target / "result.tif"
        with opened(path) as dataset:
            worst = max(worst, abs(profile_of(dataset).gsd_m / gsd_m - 1))
            shown.append(dataset.read())
        print(
            f"# nested {gsd_m:g} m: strength {report['editor_facts']['strength']:g}, "
            f"'{report['editor_facts']['prompt_used']}'"
        )
    sheet(
        [("one place, random weights", shown)],
        [f"{gsd_m:g} m" for gsd_m in sorted(GROUND_SIZES_M, reverse=True)],
        OUT / "nested.png",
    )
    return worst


def tiles() -> None:
    """Algorithm 1 on real rasters: ten of 1024 x 1024 pixels (4 tiles each) and six of 934 x 723 (1
    each), so 46."""
    if not DATA.is_dir():
        print(f"# dataset: no real imagery at {DATA} (LANDBRUSH_DATA)")
        return
    place = scratch("dataset")
    made = 0
    for folder in ("joplin_tornado_geotiff/input", "naip_landsat_timeseries/naip"):
        counts = build(DATA / folder, place / Path(folder).name, DatasetConfig(most_nodata=1.0))
        print(f"# {folder}: {counts.sources} sources, {counts.samples} samples")
        made += counts.samples
    figure("dataset_tiles", made, "by hand 46")


def cyclegan() -> None:
    """Clear to snow learned from unpaired pictures: a proof on small data that the training learns,
    not a product.

    The snow is the operator's, on other ground than the clear pictures; the gap of colours is
    judged on a third ground.
    """
    if not (DATA / "ucmerced_jpg").is_dir():
        print(f"# cyclegan: no UC Merced imagery at {DATA} (LANDBRUSH_DATA)")
        return
    place = scratch("cyclegan")
    heaps = {}
    every = sorted(
        p
        for kind in ("agricultural", "mediumresidential", "river")
        for p in (DATA / "ucmerced_jpg" / "train" / kind).glob("*.jpg")
    )
    for name, paths in (
        ("clear", every[0::3]),
        ("snow", every[1::3]),
        ("judged", every[2::3]),
        ("snow judged", every[2::3]),
    ):
        heaps[name] = place / name
        heaps[name].mkdir()
        for path in paths[:24]:
            pixels = np.asarray(Image.open(path).convert("RGB"))
            if name.startswith("snow"):
                pixels = scenes.render_scene(pixels, 0.3048, "snow", zlib.crc32(path.name.encode()))
            Image.fromarray(pixels).resize((72, 72)).save(heaps[name] / f"{path.stem}.png")
    recipe = Recipe(
        steps=CYCLE_STEPS, width=16, blocks=3, side_px=64, load_px=72, save_every=CYCLE_STEPS
    )
    trainer = CycleTrainer(
        cycle.pictures(heaps["clear"]), cycle.pictures(heaps["snow"]), recipe, place / "run"
    )
    start = time.process_time()
    net = translation.load(trainer.run())
    figure("cyclegan_cpu_s", time.process_time() - start, f"{CYCLE_STEPS} steps")
    cycles = [loss[1] for loss in trainer.losses]
    figure("cyclegan_cycle_loss_first", float(np.mean(cycles[:20])))
    figure("cyclegan_cycle_loss_last", float(np.mean(cycles[-20:])))
    clear, snow = (
        np.stack(
            [np.asarray(Image.open(p), np.float32) for p in cycle.pictures(heaps[name])]
        ).transpose(0, 3, 1, 2)
        for name in ("judged", "snow judged")
    )
    with torch.inference_mode():
        made = (net(torch.from_numpy(clear) / 127.5 - 1).numpy() + 1) * 127.5
    for name, shown in (("before", clear), ("after", made)):
        figure(
            f"cyclegan_colour_gap_{name}",
            float(np.abs(shown.mean((0, 2, 3)) - snow.mean((0, 2, 3))).mean()),
            "of 255",
        )
    rows = [(f"UC Merced {n}", [clear[n], made[n], snow[n]]) for n in (0, 9, 18)]
    sheet(rows, ["as it is", "CycleGAN", "operator"], OUT / "cyclegan.png")


PARTS = {
    "weather": weather,
    "nir": nir,
    "colours": colours,
    "radar": radar,
    "generate": generate,
    "dataset": tiles,
    "cyclegan": cyclegan,
}

if __name__ == "__main__":
    for name in sys.argv[1:] or PARTS:
        PARTS[name]()
