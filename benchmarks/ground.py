"""What the scene parser understands, and what the operators make of it, on places that neither was
tuned on.

usage: python benchmarks/ground.py [parse] [cost] [flood] [classes] [sun] [grain]   (default: all)
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cases
import numpy as np
import rasterio
from landbrush.server.operators import fire, flood, fog, low_light, snow
from landbrush.server.operators.ground import Ground
from landbrush.server.operators.light import CALM, rough
from landbrush.server.scene.classes import CLASSES
from landbrush.server.scene.network import SceneNetwork
from landbrush.server.scene.parse import understood
from PIL import Image
from rasterio.features import rasterize

LABELS = Path(__file__).resolve().parents[1] / "resources" / "training" / "ground"
ROLES = ("red", "green", "blue", "nir")
FEWEST_PX = 1500
"""Labelled pixels of a class below which its figure says nothing."""
NETWORK = SceneNetwork()


@dataclass(frozen=True)
class Chip:
    """A labelled picture. `image` (C, H, W): 0 ... 1. `truth` (H, W): number of the class, -1 where
    the label does not tell. `place`: where."""

    name: str
    place: str
    image: np.ndarray
    truth: np.ndarray
    gsd_m: float

    def ground(self, mask: np.ndarray | None = None) -> Ground:
        """As operators see it."""
        whole = np.ones(self.truth.shape, bool) if mask is None else mask
        return Ground(self.image, whole, ROLES[: len(self.image)], self.gsd_m)


def chips() -> Iterator[Chip]:
    """Those labelled by hand that were held back from training."""
    sources = json.loads((LABELS / "sources.json").read_text())
    for name, about in sorted(sources.items()):
        path = cases.DATA / about["path"]
        if not about["held"] or not path.exists():
            continue
        truth = np.asarray(Image.open(LABELS / f"{name}.png")).astype(int) - 1
        row, col, side = about.get("window", (0, 0, truth.shape[0]))
        if path.suffix == ".tif":
            with rasterio.open(path) as source:
                image = source.read()[:, row : row + side, col : col + side]
        else:
            image = np.asarray(Image.open(path).convert("RGB")).transpose(2, 0, 1)
        image = image[:, : truth.shape[0], : truth.shape[1]].astype(np.float32) / 255
        yield Chip(name, name.split("_")[0], image, truth, about["gsd_m"])


def figure(name: str, value: float, unit: str) -> None:
    """A line that tables are made of."""
    print(f"figure {name} {value:.3f} {unit}", flush=True)


def parse() -> None:
    """Intersection over union by class and place, and how far probabilities keep what they say."""
    counts: dict[tuple[str, str], np.ndarray] = {}
    sure: list[np.ndarray] = []
    right: list[np.ndarray] = []
    for chip in chips():
        found = understood(chip.ground(), NETWORK)
        best = found.shares.argmax(axis=0)
        told = chip.truth >= 0
        sure.append(found.shares.max(axis=0)[told])
        right.append((best == chip.truth)[told])
        for number, name in enumerate(CLASSES):
            truth, said = (chip.truth == number) & told, (best == number) & told
            row = np.array([(truth & said).sum(), (truth | said).sum(), truth.sum()])
            for place in (chip.place, "all"):
                counts[place, name] = counts.get((place, name), np.zeros(3)) + row
    for (place, name), (both, either, there) in sorted(counts.items()):
        if there >= FEWEST_PX:
            figure(
                f"iou_{name}" if place == "all" else f"iou_{place}_{name}", both / either, "share"
            )
    if sure:
        said, true = np.concatenate(sure), np.concatenate(right)
        figure("accuracy", float(true.mean()), "share")
        bins = np.clip((said * 10).astype(int), 0, 9)
        gaps = [
            abs(said[bins == b].mean() - true[bins == b].mean()) * (bins == b).mean()
            for b in range(10)
            if (bins == b).any()
        ]
        figure("calibration_error", float(sum(gaps)), "share")
    hazy()
    abroad()


AIR = np.array([0.72, 0.82, 0.92], np.float32)[:, None, None]
LEFT = 0.45


def hazy() -> None:
    """Intersection over union by class of every other chip, with thick haze laid over it: `LEFT` of
    the ground's light, the rest of the colour of `AIR`."""
    counts = {name: np.zeros(2) for name in CLASSES}
    for chip in list(chips())[::2]:
        image = chip.image[:3] * LEFT + AIR * (1 - LEFT)
        whole = np.ones(chip.truth.shape, bool)
        best = understood(Ground(image, whole, ROLES[:3], chip.gsd_m), NETWORK).shares.argmax(0)
        told = chip.truth >= 0
        for number, name in enumerate(CLASSES):
            truth, said = (chip.truth == number) & told, (best == number) & told
            counts[name] += (truth & said).sum(), (truth | said).sum()
    for name in ("roof", "paved", "tree", "low", "bare", "shadow"):
        figure(f"iou_hazy_{name}", counts[name][0] / max(counts[name][1], 1), "share")


def abroad() -> None:
    """Roofs of Virac (Philippines), of which the training saw none."""
    import math

    folder = cases.DATA / "labels" / "oam_buildings" / "virac_philippines"
    if not folder.exists():
        return
    shapes = json.loads(next(folder.glob("*.geojson")).read_text())["features"]
    total = np.zeros(2)
    for path in sorted(folder.glob("OAM-*.png")):
        x, y, zoom = (int(part) for part in path.stem.split("-")[1:4])
        with rasterio.open(path) as source:
            image = source.read([1, 2, 3]).astype(np.float32) / 255
        size, count = image.shape[1], 2**zoom
        north, south = (
            math.degrees(math.atan(math.sinh(math.pi * (1 - 2 * (y + k) / count)))) for k in (0, 1)
        )
        place = rasterio.Affine.translation(x / count * 360 - 180, north) @ rasterio.Affine.scale(
            360 / count / size, (south - north) / size
        )
        truth = rasterize([(one["geometry"], 1) for one in shapes], (size, size), transform=place)
        gsd = 156543.03 * math.cos(math.radians(north)) / count * 256 / size
        ground = Ground(image, np.ones((size, size), bool), ROLES[:3], gsd)
        said = understood(ground, NETWORK).shares.argmax(axis=0) == 0
        total += [((truth > 0) & said).sum(), ((truth > 0) | said).sum()]
    figure("iou_virac_roof", total[0] / total[1], "share")


def cost() -> None:
    """Processor time and memory of parsing a megapixel at 0.5 m, in a process of its own."""
    script = (
        "import resource, time, numpy as np\n"
        "from landbrush.server.operators.ground import Ground\n"
        "from landbrush.server.scene.network import SceneNetwork\n"
        "from landbrush.server.scene.parse import understood\n"
        "network = SceneNetwork()\n"
        "network.probabilities(np.full((3, 64, 64), 0.4, np.float32), 0.5)\n"
        "image = np.random.default_rng(0).random((3, 1024, 1024)).astype(np.float32)\n"
        "g = Ground(image, np.ones((1024, 1024), bool), ('red', 'green', 'blue'), 0.5)\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "t = time.process_time(); understood(g, network); t = time.process_time() - t\n"
        "after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "print(t, (after - before) / 1024)\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    seconds, megabytes = (float(part) for part in told.stdout.split())
    figure("parse_cpu_1024", seconds, "s")
    figure("parse_memory_1024", megabytes, "MB")


def joplin() -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, float]]:
    """Chips of Joplin before the tornado, where xView2's winner sees houses, where there is a
    picture (H, W each), and the ground size."""
    folder = cases.DATA / "joplin_tornado_geotiff" / "output"
    for path in sorted((folder / "chips" / "pre").glob("*_pre.tif")):
        with rasterio.open(path) as source:
            image = source.read([1, 2, 3]).astype(np.float32) / 255
            gsd = abs(source.transform.a)
        with rasterio.open(folder / "loc" / path.name) as source:
            houses = source.read(1) > 0
        yield image, houses, image.sum(axis=0) > 0, gsd


def wet(ground: Ground) -> np.ndarray:
    """Where water knee to waist deep is seen (H, W, bool): what changes with the water's colour."""
    brown, clear = (flood.flood(ground, flood.Flood(level_m=0.8, mud=mud), 0) for mud in (0.9, 0.3))
    return np.abs(brown - clear).max(axis=0) > 0.04


def flooded() -> None:
    """How many roofs stay dry and how much road gets wet, knee to waist deep, in chips of Joplin
    labelled by hand; with footprints hidden, and given."""
    told = {"hidden": np.zeros(4), "given": np.zeros(4)}
    for chip in chips():
        if chip.place != "joplin":
            continue
        roof, road = chip.truth == 0, chip.truth == 1
        for how, known in (("hidden", {}), ("given", {"roof": roof, "paved": road})):
            ground = chip.ground()
            ground = replace(ground, parse=understood(ground, NETWORK, known))
            under = wet(ground)
            told[how] += [(~under & roof).sum(), roof.sum(), (under & road).sum(), road.sum()]
    for how, (dry, roofs, drowned, roads) in told.items():
        if roofs:
            end = "" if how == "hidden" else "_given"
            figure(f"flood_roofs_dry{end}", dry / roofs, "share")
            figure(f"flood_roads_wet{end}", drowned / max(roads, 1), "share")
    beside_the_winner()


def beside_the_winner() -> None:
    """Roofs of Joplin beside the masks of xView2's first place, which are no truth: their IoU."""
    total = np.zeros(2)
    for image, houses, there, gsd in joplin():
        ground = Ground(image, there, ROLES[:3], gsd)
        said = (understood(ground, NETWORK).shares.argmax(axis=0) == 0) & there
        total += [(houses & said).sum(), ((houses | said) & there).sum()]
    if total[1]:
        figure("iou_joplin_winner_roof", total[0] / total[1], "share")


def by_class() -> None:
    """What snow and fire do to each class, on the held chips: brightness after snow, share of its
    brightness that a class keeps in a fire."""
    white: dict[str, list[float]] = {}
    kept: dict[str, list[float]] = {}
    for chip in chips():
        ground = chip.ground()
        ground = replace(ground, parse=understood(ground, NETWORK))
        light = ground.luminance
        snowed = snow.snow(ground, snow.Snow(), 0)[:3].mean(axis=0)
        burnt = fire.burn(ground, fire.Burn(severity=0.8), 0)[:3].mean(axis=0)
        for number, name in enumerate(CLASSES):
            here = chip.truth == number
            if here.sum() > 200:
                white.setdefault(name, []).append(float(snowed[here].mean()))
                kept.setdefault(name, []).append(float(burnt[here].mean() / light[here].mean()))
    for name in CLASSES:
        if name in white:
            figure(f"snow_brightness_{name}", float(np.mean(white[name])), "share")
            figure(f"burn_keeps_{name}", float(np.mean(kept[name])), "share")


def sun() -> None:
    """How far the sun's azimuth moves with a picture that is turned by a quarter, and in how many
    places of the north it stands in the south."""
    errors, south, asked, told = [], 0, 0, 0
    for chip in chips():
        first = understood(chip.ground(), NETWORK).sun
        asked += 1
        if first is None:
            continue
        told += 1
        south += 60 <= first <= 300
        turned = replace(
            chip,
            image=np.rot90(chip.image, -1, (1, 2)).copy(),
            truth=np.rot90(chip.truth, -1).copy(),
        )
        second = understood(turned.ground(), NETWORK).sun
        if second is not None:
            errors.append(abs((second - first - 90 + 180) % 360 - 180))
    if asked:
        figure("sun_told", told / asked, "share")
        figure("sun_turned_error", float(np.median(errors)) if errors else np.nan, "degrees")
        figure("sun_in_the_south", south / max(told, 1), "share")


def grained() -> None:
    """Grain inside over that of the ring, operator by operator, on the held chips: the calmest
    ground of each."""
    made = {
        "flood": lambda g: flood.flood(g, flood.Flood(level_m=1.5), 0),
        "snow": lambda g: snow.snow(g, snow.Snow(), 0),
        "burn": lambda g: fire.burn(g, fire.Burn(severity=0.9), 0),
        "fog": lambda g: fog.fog(g, fog.Fog(), 0),
        "dusk": lambda g: low_light.low_light(g, low_light.LowLight(), 0),
    }
    ratios: dict[str, list[float]] = {name: [] for name in made}
    for chip in chips():
        side = chip.truth.shape[0]
        mask = np.zeros(chip.truth.shape, bool)
        mask[side // 5 : -side // 5, side // 5 : -side // 5] = True
        ground = chip.ground(mask)
        ground = replace(ground, parse=understood(ground, NETWORK))
        core = np.zeros_like(mask)
        core[side // 3 : -side // 3, side // 3 : -side // 3] = True
        around = [np.percentile(rough(band)[~mask], CALM) for band in ground.image[:3]]
        for name, make in made.items():
            after = make(ground)
            inside = [np.percentile(rough(band)[core], CALM) for band in after[:3]]
            ratios[name].append(float(np.mean(inside) / max(np.mean(around), 1e-6)))
    for name, found in ratios.items():
        if found:
            figure(f"grain_ratio_{name}", float(np.median(found)), "ratio")


PARTS = {
    "parse": parse,
    "cost": cost,
    "flood": flooded,
    "classes": by_class,
    "sun": sun,
    "grain": grained,
}


def main() -> None:
    """The parts that are named, or all."""
    if not cases.DATA.exists():
        print(f"skipped: {cases.DATA} is not there")
        return
    warnings.filterwarnings("ignore", category=rasterio.errors.NotGeoreferencedWarning)
    began = time.process_time()
    for name in sys.argv[1:] or PARTS:
        PARTS[name]()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{time.process_time() - began:.0f} CPU-seconds, {peak:.0f} MB")


if __name__ == "__main__":
    main()
