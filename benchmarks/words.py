"""Words on layers that nobody tuned for: how many are acted on, how many look right to a judge that
shares nothing with the search, grain, and cost.

usage: python benchmarks/words.py [FOLDER]   (FOLDER: each result as a PNG, too)

The judge knows hand-made features of colour, gradients and band energies alone (no network), and
learns from chips of UC Merced's training half that are not in the library. Results are judged in
windows of 38 m; a word is right where its kind is among the two likeliest of 21 in the mean over
the windows. It knows that other sensors have other tones and sharpness (it learns each chip in
four, and sees a layer in the mean colour and contrast of its own chips), and its own share right on
open chips of other sensors is told. Controls: the same on the place as it was before, and for
another word's result. Grain is that of the calmest ground inside and outside: more of a picture
than that shows texture, which is to differ.
"""

from __future__ import annotations

import sys
import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import cases
import numpy as np
import rasterio
from landbrush.server.contract.requests import EditRequest
from landbrush.server.editing.path import Job
from landbrush.server.editing.tries import edit_well
from landbrush.server.editors.fill import REPEATS
from landbrush.server.ground.errors import ServerError
from landbrush.server.library.chips import shipped, shipped_picture
from landbrush.server.operators.light import CALMEST, rough
from landbrush.server.raster.rasters import Rasters
from PIL import Image
from rasterio.features import rasterize
from scipy import ndimage

UCM = cases.DATA / "ucmerced_jpg"
NAIP = "exemplar_sources/naip_california_rgbn/{}.tif"
SIDE_PX = 64
GROUND_M = 0.6
SCENES = {
    NAIP.format("palm_springs_2020_78"): 0.6,
    NAIP.format("palm_springs_2020_75"): 0.6,
    NAIP.format("palm_springs_2020_45"): 0.6,
    NAIP.format("santa_monica_2020_0"): 0.6,
    NAIP.format("santa_monica_2020_40"): 0.6,
    "ucmerced_jpg/test/sparseresidential/sparseresidential06.jpg": 0.3,
    "ucmerced_jpg/test/agricultural/agricultural08.jpg": 0.3,
    "ucmerced_jpg/test/forest/forest10.jpg": 0.3,
    "ucmerced_jpg/test/chaparral/chaparral06.jpg": 0.3,
    "labels/oam_buildings/virac_philippines/OAM-443116-241595-19.png": 0.3,
    cases.JOPLIN.format(0): 0.6,
    cases.JOPLIN.format(2): 0.6,
    "exemplar_sources/massgis_leafoff/23279035_15.png": 1.0,
}
"""Rasters of places that the library does not hold, and their ground size."""
WORDS = {
    "forest": ("forest",),
    "car park": ("parkinglot",),
    "houses": ("mediumresidential", "denseresidential", "sparseresidential"),
    "dense housing": ("denseresidential", "mediumresidential", "buildings"),
    "mobile homes": ("mobilehomepark", "denseresidential"),
    "scattered houses": ("sparseresidential", "mediumresidential"),
    "warehouses": ("buildings", "storagetanks"),
    "commercial buildings": ("buildings", "denseresidential"),
    "storage tanks": ("storagetanks", "buildings"),
    "tennis courts": ("tenniscourt",),
    "golf course": ("golfcourse",),
    "baseball field": ("baseballdiamond", "golfcourse"),
    "farmland": ("agricultural",),
    "beach": ("beach",),
    "scrub": ("chaparral",),
    "motorway": ("freeway", "overpass", "runway", "intersection"),
    "airport runway": ("runway", "freeway"),
    "road crossing": ("intersection", "overpass", "freeway"),
    "marina": ("harbor",),
    "parked aircraft": ("airplane", "runway"),
    "lake": ("river", "beach", "harbor"),
    "solar farm": (),
    "meadow": ("golfcourse", "baseballdiamond", "agricultural"),
    "vineyard": ("agricultural",),
}
"""Prompts, and which of UC Merced's kinds count as right; none: it is not judged."""
ELSEWHERE = {
    "forest": ("forest",),
    "leafless forest": ("forest",),
    "parking": ("car park",),
    "houses": ("houses",),
    "housing estate": ("houses",),
    "dense housing": ("dense housing",),
    "mobile homes": ("mobile homes",),
    "warehouse": ("warehouses",),
    "farmland": ("farmland",),
    "freeway": ("motorway",),
    "golf course": ("golf course",),
    "vineyard": ("vineyard",),
    "beach": ("beach",),
}
"""Which word here says what a chip shows."""
BLOB = ((0.2, 0.4), (0.38, 0.18), (0.65, 0.15), (0.85, 0.35), (0.8, 0.65), (0.62, 0.85),
        (0.35, 0.82), (0.17, 0.62))  # fmt: skip
ACROSS_M = 95.0


def figure(name: str, value: float, unit: str) -> None:
    """Print a figure, as all benchmarks do."""
    print(f"figure {name} {value:.3f} {unit}", flush=True)


def described(window: np.ndarray) -> np.ndarray:
    """Hand-made features of a picture (3, 64, 64) in [0, 1]."""
    grey = window.mean(axis=0)
    light = np.maximum(window.sum(axis=0), 1e-3)
    hue = window / light
    found = [*np.percentile(grey, (5, 25, 50, 75, 95)), grey.std()]
    found += [value for band in hue for value in (band.mean(), band.std(), *np.percentile(
        band, (5, 95)))]  # fmt: skip
    rest = grey
    for sigma in (0.8, 1.6, 3.2, 6.4):
        smooth = ndimage.gaussian_filter(grey, sigma)
        fine = rest - smooth
        found += [np.log(fine.std() + 1e-4), np.log(np.abs(fine).mean() + 1e-4),
                  float((fine**3).mean() / (fine.std() ** 3 + 1e-6))]  # fmt: skip
        rest = smooth
    for sigma in (0.7, 2.0):
        rows, cols = np.gradient(ndimage.gaussian_filter(grey, sigma))
        strength, angle = np.hypot(rows, cols), np.arctan2(rows, cols) % np.pi
        bins = np.bincount((angle / np.pi * 12).astype(int).ravel() % 12, strength.ravel(), 12)
        bins = np.sort(bins / max(bins.sum(), 1e-6))[::-1]
        found += [*bins[:6], np.log(strength.mean() + 1e-4), np.log(strength.std() + 1e-4),
                  float((strength > 0.1).mean())]  # fmt: skip
    bright, dark = grey > grey.mean() + grey.std(), grey < grey.mean() - grey.std()
    for mask in (bright, dark):
        parts, count = ndimage.label(mask)
        sizes = np.bincount(parts.ravel())[1:] if count else np.zeros(1)
        found += [np.log(count + 1), np.log(sizes.max() + 1), np.log(sizes.mean() + 1)]
    return np.asarray(found, np.float64)


def windows(image: np.ndarray, mask: np.ndarray | None = None) -> list[np.ndarray]:
    """Windows (3, 64, 64) of a picture at 0.6 m, those alone that lie in a mask."""
    found = []
    for row in range(0, image.shape[1] - SIDE_PX + 1, SIDE_PX // 4):
        for col in range(0, image.shape[2] - SIDE_PX + 1, SIDE_PX // 4):
            here = slice(row, row + SIDE_PX), slice(col, col + SIDE_PX)
            if mask is None or mask[here].mean() > 0.8:
                found.append(image[:, here[0], here[1]])
    return found


def at_ground(image: np.ndarray, gsd_m: float) -> np.ndarray:
    """A picture (C, H, W) at 0.6 m."""
    size = [round(side * gsd_m / GROUND_M) for side in image.shape[1:]]
    return np.stack(
        [
            np.asarray(
                Image.fromarray(band.astype(np.float32)).resize(size[::-1], Image.Resampling.BOX)
            )
            for band in image
        ]
    )


class Judge:
    """A ridge classifier on random Fourier features of hand-made ones."""

    def __init__(self) -> None:
        kept = {chip.id.rsplit("-", 1)[-1] for chip in shipped()}
        kinds, features = [], []
        for folder in sorted((UCM / "train").iterdir()):
            files = [file for file in sorted(folder.glob("*.jpg")) if file.stem not in kept]
            for file in files:
                image = at_ground(_read(file), 0.3)
                for window in windows(image)[::4]:
                    for turn in range(4):
                        kinds.append(folder.name)
                        features.append(described(_elsewhere(window, turn, len(kinds))))
        self.kinds = sorted(set(kinds))
        some = [_read(file) for file in sorted((UCM / "train").glob("*/*.jpg"))[::9]]
        pixels = np.concatenate([image[:, ::8, ::8].reshape(3, -1) for image in some], axis=1)
        self.usual = pixels.mean(axis=1), pixels.std(axis=1)
        plain = np.array(features)
        self.mean, self.spread = plain.mean(axis=0), plain.std(axis=0) + 1e-6
        rng = np.random.default_rng(0)
        self.turn = rng.standard_normal((plain.shape[1], 1200)) / 7.0
        self.phase = rng.uniform(0, 2 * np.pi, 1200)
        seen = self._lifted(plain)
        wanted = np.array([[kind == one for one in self.kinds] for kind in kinds], float)
        self.weights = np.linalg.solve(
            seen.T @ seen + 3.0 * np.eye(seen.shape[1]), seen.T @ (wanted - wanted.mean(axis=0))
        )

    def _lifted(self, plain: np.ndarray) -> np.ndarray:
        standard = (plain - self.mean) / self.spread
        return np.concatenate([np.cos(standard @ self.turn + self.phase), standard], axis=1)

    def alike(self, image: np.ndarray, layer: np.ndarray) -> np.ndarray:
        """A picture (3, H, W) of a layer (3, h, w) in the mean colour and contrast of the chips the
        judge has learned from."""
        pixels = layer.reshape(3, -1)
        pixels = pixels[:, pixels.sum(axis=0) > 0]
        mean, spread = (value[:, None, None] for value in self.usual)
        here = pixels.mean(axis=1)[:, None, None], pixels.std(axis=1)[:, None, None]
        return np.clip((image - here[0]) / np.maximum(here[1], 1e-3) * spread + mean, 0, 1)

    def likeliest(self, some: list[np.ndarray]) -> list[str]:
        """The kinds of windows, likeliest first, in the mean."""
        scores = self._lifted(np.array([described(one) for one in some])) @ self.weights
        order = np.argsort(-scores.mean(axis=0))
        return [self.kinds[at] for at in order]


def _elsewhere(window: np.ndarray, turn: int, seed: int) -> np.ndarray:
    """A window (3, h, w) as another sensor in another light might have it; the first as it is."""
    if turn == 0:
        return window
    rng = np.random.default_rng(seed)
    mean = window.mean(axis=(1, 2), keepdims=True)
    contrast = rng.uniform(0.6, 1.2)
    tone = rng.normal(1, 0.08, (3, 1, 1)) * rng.uniform(0.75, 1.2)
    soft = ndimage.gaussian_filter(window, (0, *2 * [rng.uniform(0, 0.9)]))
    return np.clip(((soft - mean) * contrast + mean) * tone + rng.normal(0, 0.03, (3, 1, 1)), 0, 1)


def _read(path: Path) -> np.ndarray:
    with rasterio.open(path) as source:
        return source.read([1, 2, 3]).astype(np.float32) / 255


@dataclass(frozen=True)
class Place:
    """A polygon on a raster. `ring`: its corners in pixels. `mask`: (H, W) at 0.6 m."""

    path: Path
    gsd_m: float
    ring: list[tuple[float, float]]
    mask: np.ndarray
    before: np.ndarray


def place_of(name: str, gsd_m: float) -> Place:
    """The middle of a raster, some 95 m across or as much as there is."""
    path = cases.DATA / name
    before = _read(path)
    side = min(ACROSS_M / gsd_m, 0.92 * min(before.shape[1:]))
    left, top = (before.shape[2] - side) / 2, (before.shape[1] - side) / 2
    ring = [(left + x * side, top + y * side) for x, y in BLOB]
    shape = {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}
    mask = rasterize([(shape, 1)], out_shape=before.shape[1:]).astype(np.float32)
    coarse = at_ground(np.stack([*before, mask]), gsd_m)
    return Place(path, gsd_m, ring, coarse[3] > 0.5, coarse[:3])


@dataclass(frozen=True)
class Made:
    """A result. `picture` (3, H, W): at its own ground size. `seconds`: of the processor. `how`:
    how its exemplar was found. `stripes`: whether it is the same few pixels again and again."""

    picture: np.ndarray
    seconds: float
    how: str
    stripes: bool


def made(place: Place, word: str) -> Made:
    """What a word makes of a place; raises what the product refuses with."""
    with rasterio.open(place.path) as source:
        placed = source.crs is not None
        transform = source.transform
    corners = [list(transform @ at) if placed else list(at) for at in place.ring]
    body = {
        "raster": {"path": str(place.path)},
        "polygons": {
            "geometry": {"type": "Polygon", "coordinates": [[*corners, corners[0]]]},
            "crs": "" if placed else "pixels",
        },
        "prompt": word,
        "seed": 1,
        "output": {"area": "layer"},
    }
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        job = Job(EditRequest.from_json(body), "auto", Rasters(place.path))
        manifest = edit_well(job, cases.EDITORS, Path(folder), lambda *a: None)
        spent = time.process_time() - began
        assert manifest.gate.pixels_outside_different == 0
        how = manifest.search.rule if manifest.search else manifest.editor
        stripes = manifest.editor_facts.get("repeated", 0.0) > REPEATS
        return Made(_read(Path(folder) / "result.tif"), spent, how, stripes)


def grain_ratio(place: Place, after: np.ndarray) -> float:
    """Grain inside by that outside, at the place's own ground size."""
    shape = {"type": "Polygon", "coordinates": [[*place.ring, place.ring[0]]]}
    inside = rasterize([(shape, 1)], out_shape=after.shape[1:]) > 0
    core = ndimage.binary_erosion(inside, iterations=8)
    outside = ~ndimage.binary_dilation(inside, iterations=8)
    one, two = (_calmest(after, where) for where in (core, outside))
    return float(one / max(two, 1e-6))


def _calmest(image: np.ndarray, where: np.ndarray) -> float:
    found = []
    for band in image:
        here = rough(band)[where]
        here = here[here > 1e-7]
        found.append(np.percentile(here, CALMEST) if here.size else 0.0)
    return float(np.mean(found))


def main() -> None:
    """All words on all scenes."""
    if not cases.DATA.exists():
        print(f"skipped: {cases.DATA} is not there")
        return
    warnings.filterwarnings("ignore", category=rasterio.errors.NotGeoreferencedWarning)
    judge = Judge()
    figure("judge_right_on_test_chips", tested(judge), "share")
    figure("judge_right_on_other_sensors", tested_elsewhere(judge), "share")
    pictures = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    acted, right, was, wrong, grain, spent, stripes = [], [], [], [], [], [], []
    for name, gsd_m in SCENES.items():
        place = place_of(name, gsd_m)
        layer = place.before
        seen_before = judge.likeliest(windows(judge.alike(layer, layer), place.mask))[:2]
        for word, kinds in WORDS.items():
            try:
                result = made(place, word)
            except ServerError as error:
                acted.append(0.0)
                print(f"{word:22} {place.path.stem:26} refused: {str(error)[:110]}", flush=True)
                continue
            acted.append(1.0)
            after = result.picture
            spent.append(result.seconds)
            stripes.append(float(result.stripes))
            grain.append(grain_ratio(place, after))
            shown_at = judge.alike(at_ground(after, gsd_m), layer)
            top = judge.likeliest(windows(shown_at, place.mask))[:2]
            if kinds:
                right.append(float(bool(set(kinds) & set(top))))
                was.append(float(bool(set(kinds) & set(seen_before))))
                others = [other for other in WORDS.values() if not set(other) & set(kinds)]
                wrong.append(np.mean([bool(set(other) & set(top)) for other in others]))
            told = f"{result.how:16} {result.seconds:5.1f} s  grain {grain[-1]:.2f}  {top}"
            print(f"{word:22} {place.path.stem:26} {told}", flush=True)
            if pictures:
                shown(pictures, place, word, after)
    figure("words_acted_on", float(np.mean(acted)), "share")
    figure("words_judged_right", float(np.mean(right)), "share")
    figure("words_judged_right_before", float(np.mean(was)), "share")
    figure("words_judged_right_other_word", float(np.mean(wrong)), "share")
    figure("grain_ratio", float(np.median(grain)), "ratio")
    figure("stripes", float(np.mean(stripes)), "share")
    figure("cpu_s_median", float(np.median(spent)), "s")


def tested(judge: Judge) -> float:
    """Share of UC Merced's test chips whose kind is among the judge's two likeliest."""
    found = []
    for folder in sorted((UCM / "test").iterdir()):
        for file in sorted(folder.glob("*.jpg"))[:8]:
            found.append(folder.name in judge.likeliest(windows(at_ground(_read(file), 0.3)))[:2])
    return float(np.mean(found))


def tested_elsewhere(judge: Judge) -> float:
    """The same for chips that another sensor took and that show what a word here says."""
    found = []
    for chip in shipped():
        kinds = next((WORDS[word] for word in ELSEWHERE.get(chip.words[0], ())), ())
        if not kinds or "usgs" in chip.id:
            continue
        image = at_ground(shipped_picture(chip), chip.gsd_m)
        if min(image.shape[1:]) >= SIDE_PX:
            found.append(bool(set(kinds) & set(judge.likeliest(windows(image))[:2])))
    return float(np.mean(found))


def shown(folder: Path, place: Place, word: str, after: np.ndarray) -> None:
    """Before and after around the polygon, side by side."""
    folder.mkdir(parents=True, exist_ok=True)
    corners = np.array(place.ring)
    middle, half = corners.mean(axis=0), 0.75 * np.ptp(corners, axis=0).max()
    rows, cols = (
        slice(max(round(middle[axis] - half), 0), round(middle[axis] + half)) for axis in (1, 0)
    )
    both = np.concatenate([one[:, rows, cols] for one in (_read(place.path), after)], axis=2)
    image = Image.fromarray((255 * both).round().astype(np.uint8).transpose(1, 2, 0))
    image.resize((1200, 600), Image.Resampling.LANCZOS).save(
        folder / f"{place.path.stem}-{word.replace(' ', '-')}.png"
    )


if __name__ == "__main__":
    main()
