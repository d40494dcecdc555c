"""The benchmark of editors on real imagery: fifteen cases with what really came as the reference,
and a page to look at.

usage: python benchmarks/evaluate.py [part ...]     parts: benchmark training flat
make demo-evaluate is the first two; it leaves demo/evaluate/index.html, and sheets of samples in
demo/evaluate/training. Real imagery comes from LANDBRUSH_DATA (else ../shared/data).

References: houses of Joplin before the tornado of 2011 and the same ground after it; lakes of a
North Dakota prairie that came and went between 2010 and 2020; places of UC Merced's pictures over
which lawn was laid, with the picture itself as the reference. The networks of the pretrained
editors are tiny and random: they prove the way, and must not win.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "2")

import functools
import json
import resource
import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import rasterio
import shapely
import torch
from diffusers import AutoencoderKL
from PIL import Image
from rasterio.features import shapes
from scipy import ndimage

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(Path(__file__).resolve().parent)]

import cases  # noqa: E402
from landbrush.server.dataset import bitemporal  # noqa: E402
from landbrush.server.diffusion.components import Model  # noqa: E402
from landbrush.server.diffusion.drawing import Settings  # noqa: E402
from landbrush.server.diffusion.families import family, pixart, sd  # noqa: E402
from landbrush.server.diffusion.guidance import FreeGuidance  # noqa: E402
from landbrush.server.diffusion.placement import WHOLE, Placement  # noqa: E402
from landbrush.server.editors.models import Models  # noqa: E402
from landbrush.server.editors.registry import Editors  # noqa: E402
from landbrush.server.experiments import benchmark  # noqa: E402
from landbrush.server.experiments.benchmark import protocol, runs, summary  # noqa: E402
from landbrush.server.experiments.benchmark.systems import IDENTITY, NOISE, REFERENCE  # noqa: E402
from landbrush.server.store import own  # noqa: E402
from landbrush.server.store.importing import Arrival, import_model  # noqa: E402
from landbrush.server.training import samples  # noqa: E402
from landbrush.server.training.data import layouts  # noqa: E402
from landbrush.server.training.rsedit import DiTTrainer, Recipe, UNetTrainer  # noqa: E402
from pretrained import Server, figure, scratch, shelved  # noqa: E402

from tests.server import tiny_pipelines  # noqa: E402

OUT = ROOT / "demo" / "evaluate"
NAIP = "naip_landsat_timeseries/naip/m_4709963_se_14_1_{}.tif"
BEFORE = "20100629"
AFTER = "20200831"
HOUSES = (
    (2, [(386, 488), (420, 486), (442, 550), (420, 562), (398, 540)]),
    (2, cases._box(490, 518, 532, 564)),
    (2, cases._box(356, 636, 398, 702)),
    (2, cases._box(596, 474, 638, 522)),
    (0, cases._box(466, 870, 542, 914)),
)
PLACES = (
    ("forest", "20", "forest"),
    ("parkinglot", "06", "parking"),
    ("agricultural", "13", "farmland"),
    ("chaparral", "15", "shrub"),
)
TINY = {
    "rsedit-unet": "rsedit-unet-dgtrs",
    "rsedit-dit": "rsedit-dit",
    "instruct-pix2pix": "instruct-pix2pix",
    "ultraedit": "ultraedit-freeform",
    "sdedit": "sd15",
    "sd-inpainting": "sd15-inpainting",
}
EDITORS = ("auto", "remove", "fill", "variation", "flood", "snow")
LAKES = 3
FLAT_CASES = 500
TILE = 128
TRAINED_STEPS = 200
CODEC_STEPS = 250
TORN = "a tornado destroyed the houses and left debris"
RISEN = "years later the lakes have risen and the fields are green"
PLACED = Placement("cpu", torch.float32, WHOLE, 0.0, 1.0)
SETTINGS = Settings("DPM++ 2M Karras", 20, FreeGuidance(1.5, 1.0), 0)


def naip(date: str) -> Path:
    return cases.DATA / NAIP.format(date)


def water(date: str, shape: tuple[int, int]) -> np.ndarray:
    """Where green is brighter than near infrared (NDWI above 0, McFeeters 1996), on the first
    date's grid to a pixel."""
    with rasterio.open(naip(date)) as dataset:
        green, infrared = dataset.read([2, 4])[:, : shape[0], : shape[1]].astype(float)
    return ndimage.binary_opening(green > infrared, iterations=2)


def lakes() -> list[dict]:
    """The largest compact places that became water, and those that ceased to be."""
    with rasterio.open(naip(BEFORE)) as dataset:
        shape = dataset.shape
    old, new = (water(date, shape) for date in (BEFORE, AFTER))
    found = []
    for kind, mask, words in (
        ("new lake", new & ~old, "make a lake"),
        ("gone lake", old & ~new, "remove the lake"),
    ):
        parts, _ = ndimage.label(ndimage.binary_opening(mask, iterations=4))
        outlines = [
            shapely.geometry.shape(one).buffer(3).simplify(3)
            for one, _ in shapes(parts.astype(np.int32), parts > 0)
        ]
        inside = shapely.box(60, 60, shape[1] - 60, shape[0] - 60)
        outlines = [one for one in outlines if one.within(inside) and one.area < 9000]
        outlines.sort(key=lambda one: -one.area * (4 * np.pi * one.area / one.length**2))
        for number, one in enumerate(outlines[:LAKES], 1):
            case = {
                "name": f"{kind} {number}",
                "image": str(naip(BEFORE)),
                "reference": str(naip(AFTER)),
                "prompt": words,
                "polygon": ring(one),
            }
            if kind == "new lake":
                case |= {
                    "exemplar": [[345, 505], [385, 505], [388, 590], [350, 592]],
                    "systems": ["auto", "fill", "flood", *TINY],
                }
            else:
                case |= {"systems": ["auto", "remove", "variation", *TINY]}
            found.append(case)
    return found


def ring(shape: shapely.Polygon) -> list[list[float]]:
    return [[round(x, 1), round(y, 1)] for x, y in shape.exterior.coords[:-1]]


def houses() -> list[dict]:
    return [
        {
            "name": f"house {number}",
            "image": str(cases.DATA / cases.JOPLIN.format(chip)),
            "reference": str(cases.DATA / cases.JOPLIN.replace("pre", "post").format(chip)),
            "prompt": "remove the house",
            "caption": "grass with debris where a house stood, from above",
            "polygon": [list(p) for p in outline],
            "systems": ["auto", "remove", "variation", "snow", *TINY],
        }
        for number, (chip, outline) in enumerate(HOUSES, 1)
    ]


def places() -> list[dict]:
    """Pictures over whose middle lawn was laid; what is asked for is what was there."""
    folder = OUT / "sources"
    folder.mkdir(parents=True, exist_ok=True)
    lawn = np.asarray(Image.open(cases.DATA / cases.UCM.format("golfcourse", "11")).convert("RGB"))[
        :80, :80
    ]
    found = []
    for name, number, cover in PLACES:
        picture = np.asarray(
            Image.open(cases.DATA / cases.UCM.format(name, number)).convert("RGB")
        ).copy()
        Image.fromarray(picture).save(folder / f"{name}.png")
        picture[20:100, 20:100] = lawn
        Image.fromarray(picture).save(folder / f"{name}-lawn.png")
        found.append(
            {
                "name": f"{cover} again",
                "image": f"sources/{name}-lawn.png",
                "reference": f"sources/{name}.png",
                "prompt": "fill it like there" if cover == "shrub" else f"{cover} here",
                "polygon": cases._box(20, 20, 100, 100),
                "land_cover": cover,
                "exemplar": cases._box(4, 112, 252, 252),
                "systems": ["auto", "fill", *TINY],
            }
        )
    return found


def plan() -> Path:
    """The protocol as a file, beside which the results lie: it can be run again by hand."""
    head = {
        "title": "Editors on real ground, with what really came",
        "seeds": [0, 1],
        "sensible": "auto",
        "systems": [REFERENCE, IDENTITY, NOISE, *EDITORS, *TINY],
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in head.items()]
    lines += ["[baselines]", *(f"{name} = {json.dumps(model)}" for name, model in TINY.items())]
    lines += [line for name in TINY for line in (f"[options.{name}]", "steps = 3")]
    for case in (*houses(), *lakes(), *places()):
        lines += ["[[case]]", *(f"{key} = {json.dumps(value)}" for key, value in case.items())]
    OUT.mkdir(parents=True, exist_ok=True)
    path = OUT / "cases.toml"
    path.write_text("\n".join([*lines, ""]), "utf8")
    return path


def part_benchmark() -> None:
    if not cases.DATA.is_dir():
        print(f"no imagery at {cases.DATA}: the benchmark is left out (set LANDBRUSH_DATA)")
        return
    editors = Editors(shelved(scratch("evaluate"), tuple(TINY.values())))
    path = plan()
    page = benchmark.run(
        path, OUT, benchmark.Terms(editors), lambda text: print(text, file=sys.stderr, flush=True)
    )
    found = json.loads((OUT / "results.json").read_text("utf8"))
    print(
        (OUT / "tables.md")
        .read_text("utf8")
        .split("## Do the measures")[1]
        .replace(" rank", "Do the measures rank", 1)
    )
    figure("evaluate_cases", found["cases"])
    figure("evaluate_runs", sum(row["runs"] for row in found["rows"]))
    figure("evaluate_failed", sum(row["failed"] for row in found["rows"]))
    held = sum(check["verdict"] == summary.HOLDS for check in found["checks"])
    figure("evaluate_claims_held", held, f"of {len(found['checks'])}")
    rows = {row["system"]: row["cells"] for row in found["rows"]}
    for system in (REFERENCE, "auto", IDENTITY, NOISE, "rsedit-unet"):
        figure(f"lite0_likeness_{system.replace('-', '_')}", rows[system]["lite0_likeness"]["mean"])
        figure(f"frechet_lite0_{system.replace('-', '_')}", found["frechet"][system]["value"])
    print(f"the page: {page}")


def part_flat() -> None:
    """Time and memory a case, in the first and the last fifth of many cases."""
    place = scratch("flat")
    editors = Editors(Models(place / "home"))
    rng = np.random.default_rng(0)
    listed = []
    for number in range(20):
        picture = ndimage.gaussian_filter(rng.random((256, 256, 3)), (3, 3, 0))
        Image.fromarray((255 * (picture - picture.min()) / np.ptp(picture)).astype(np.uint8)).save(
            place / f"{number}.png"
        )
    for number in range(FLAT_CASES):
        row, col = (int(v) for v in rng.integers(60, 150, 2))
        listed.append(
            protocol.Case(
                f"case {number}",
                place / f"{number % 20}.png",
                "remove the house",
                cases._box(col, row, col + 40, row + 40),
                reference=place / f"{(number + 1) % 20}.png",
            )
        )
    wanted = protocol.Protocol(
        tuple(listed), (REFERENCE, IDENTITY, "remove"), {}, (0,), sensible="remove"
    )
    marks: list[tuple[float, int]] = []

    def tell(text: str) -> None:
        marks.append(
            (
                time.process_time(),
                int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize(),
            )
        )

    benchmark.carried_out(wanted, place / "out", benchmark.Terms(editors), tell)
    fifth = len(marks) // 5
    spent = [
        marks[end][0] - marks[start][0]
        for start, end in ((1, fifth), (len(marks) - fifth, len(marks) - 1))
    ]
    figure("flat_cases", FLAT_CASES)
    figure("flat_time_ratio", spent[1] / spent[0])
    figure("flat_cpu_s_a_run", (marks[-1][0] - marks[0][0]) / len(marks))
    figure("flat_memory_mb_first_fifth", marks[fifth][1] / 2**20)
    figure("flat_memory_mb_last", marks[-1][1] / 2**20)
    lines = sum(1 for _ in runs.records(place / "out" / runs.RESULTS))
    assert lines == len(marks) == 3 * FLAT_CASES


def dates() -> Path:
    """Tiles of Joplin before and after, and of the prairie's dates, made by the product's own
    command."""
    place = scratch("pairs")
    for chip in range(4):
        before = cases.DATA / cases.JOPLIN.format(chip)
        bitemporal.tiles(
            before,
            Path(str(before).replace("pre", "post")),
            place,
            bitemporal.PairConfig(TILE, TORN),
        )
    for first, second in (("20100629", "20170827"), ("20120731", "20200831")):
        told = bitemporal.tiles(
            naip(first), naip(second), place, bitemporal.PairConfig(TILE, RISEN)
        )
    for part, count in told.items():
        figure(f"training_pairs_{part}", count)
    return place


def velocity(folder: Path) -> None:
    """Let the base predict the velocity, as Stable Diffusion 2.1's does: of noise alone, little is
    learned of the source in 200 steps."""
    path = folder / "scheduler" / "scheduler_config.json"
    path.write_text(
        json.dumps({**json.loads(path.read_text("utf8")), "prediction_type": "v_prediction"}),
        "utf8",
    )


def learned_autoencoder(pairs: list, folder: Path) -> Path:
    """Stable Diffusion's layout, tiny, with an autoencoder that was taught these tiles, so that its
    latents mean something."""
    tiny_pipelines.stable_diffusion(folder, 4)
    velocity(folder)
    torch.manual_seed(0)
    net = AutoencoderKL(
        block_out_channels=(16, 24, 32, 32),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=4,
        layers_per_block=1,
        norm_num_groups=8,
        scaling_factor=1.0,
    )
    optimiser = torch.optim.Adam(net.parameters(), 2e-3)
    rng = np.random.default_rng(0)
    for _ in range(CODEC_STEPS):
        chosen = [pairs[int(n)] for n in rng.integers(0, len(pairs), 8)]
        pixels = torch.from_numpy(np.concatenate([np.stack(one.squares(64)) for one in chosen]))
        loss = torch.nn.functional.l1_loss(
            net.decode(net.encode(pixels).latent_dist.mode()).sample, pixels
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        spread = (
            net.encode(torch.from_numpy(np.stack([one.squares(64)[0] for one in pairs[:64]])))
            .latent_dist.mode()
            .std()
        )
    net.register_to_config(scaling_factor=1 / float(spread))
    net.save_pretrained(folder / "vae")
    figure("training_autoencoder_l1", float(loss.detach()) / 2)
    return folder


def part_training() -> None:
    """RSEdit's two networks, tiny: 200 steps on tiles of two dates; what is learned is shown,
    resumed, and edits over HTTP."""
    if not cases.DATA.is_dir():
        print(f"no imagery at {cases.DATA}: training is left out (set LANDBRUSH_DATA)")
        return
    pairs = layouts.read(dates())
    train, held = ([one for one in pairs if one.part == part] for part in ("train", "val"))
    place = scratch("training")
    published = learned_autoencoder(train, place / "published" / "sd15")
    store = Models(place / "home").store
    import_model(store, Arrival(store.entry("sd15"), True), published)
    dit = tiny_pipelines.build("rsedit-dit", place / "published")
    velocity(dit)
    shutil.rmtree(dit / "vae")
    shutil.copytree(published / "vae", dit / "vae")
    import_model(store, Arrival(store.entry("rsedit-dit"), True), dit)
    for cls, base, like in (
        (UNetTrainer, "sd15", "rsedit-unet-openai"),
        (DiTTrainer, "rsedit-dit", "rsedit-dit"),
    ):
        name = {"unet": "unet", "transformer": "dit"}[cls.network]
        recipe = Recipe(
            steps=TRAINED_STEPS, batch=8, side_px=TILE, average=0.98, save_every=TRAINED_STEPS // 2
        )
        entry = store.entry(base)
        model = Model(store, entry, family(entry.family), PLACED)
        one = cls(model, train, recipe, place / name, held[::4])
        figure(f"training_{name}_validation_before", one.validated())
        began = time.process_time()
        curve = []

        def look(step: int, steps: int, loss: float, of=one, curve=curve) -> None:
            if step % (TRAINED_STEPS // 4) == 0:
                curve.append(of.validated())

        path = one.run(look)
        for quarter, value in enumerate(curve, 1):
            figure(f"training_{name}_validation_{quarter * TRAINED_STEPS // 4}", value)
        figure(f"training_{name}_cpu_s_a_step", (time.process_time() - began) / TRAINED_STEPS)
        entry = own.described(f"trained-{name}", store.entry(like), "Trained", native_px=TILE)
        import_model(store, Arrival(entry, True), path)
        own.remember(store, entry)
        one.model.entry = replace(one.model.entry, native_px=TILE)
        samples.sheet(
            one.model,
            samples.Shown(functools.partial(drawn_by, one), SETTINGS, TILE),
            shown(held),
            OUT / "training" / f"{name}.png",
        )
    over_http(place, held)


def drawn_by(trainer, drawing):
    with trainer.averaged():
        recipe = (
            sd.instruct_unet
            if trainer.network == "unet"
            else functools.partial(pixart.in_context_dit, masked=False)
        )
        return recipe(drawing)


def shown(held: list) -> list:
    """Of each place some."""
    return [*held[1:32:10], *held[-2:]]


def over_http(place: Path, held: list) -> None:
    """The checkpoints edit held tiles at once: does the change point to what came?"""
    folder = place / "tiles"
    folder.mkdir()
    server = Server(place / "home", place)
    try:
        for editor, model in (("rsedit-unet", "trained-unet"), ("rsedit-dit", "trained-dit")):
            along = []
            for number, pair in enumerate(shown(held)):
                path = folder / f"{number}.png"
                shutil.copy(pair.control, path)
                ring = [[0, 0], [TILE, 0], [TILE, TILE], [0, TILE], [0, 0]]
                options = {
                    "model": model,
                    "steps": SETTINGS.steps,
                    "guidance_scale": SETTINGS.guidance.text,
                    "image_guidance_scale": SETTINGS.guidance.image,
                    "keep_detail": False,
                }
                info = server.edit(
                    editor,
                    {
                        "raster": {"path": str(path)},
                        "polygons": {"geometry": {"type": "Polygon", "coordinates": [ring]}},
                        "prompt": pair.caption,
                        "options": options
                        | ({"text_mask": False} if editor == "rsedit-dit" else {}),
                    },
                )
                if info["status"] != "successful":
                    raise SystemExit(f"{editor}: {info['message']}")
                result = server.ask(f"/jobs/{info['jobID']}/results/result.tif")
                with rasterio.MemoryFile(result) as memory, memory.open() as made:
                    pixels = made.read().astype(float)
                before, after = (
                    np.asarray(Image.open(one)).transpose(2, 0, 1).astype(float)
                    for one in (pair.control, pair.path)
                )
                change, wanted = ((part - before).mean(axis=(1, 2)) for part in (pixels, after))
                along.append(
                    float(
                        change @ wanted / max(np.linalg.norm(change) * np.linalg.norm(wanted), 1e-9)
                    )
                )
            figure(
                f"training_{model.split('-')[1]}_colour_change_along_truth", float(np.mean(along))
            )
    finally:
        server.end()


PARTS = {"benchmark": part_benchmark, "training": part_training, "flat": part_flat}

if __name__ == "__main__":
    for part in sys.argv[1:] or PARTS:
        print(f"== {part}")
        PARTS[part]()
