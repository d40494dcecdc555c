"""FILL LIKE THERE: synthesise an exemplar's land cover into a mask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from . import poisson, pyramid, rim, seams
from .cover import cover
from .features import PatchBasis, centres
from .field import Bank, Field, Search, Targets
from .pyramid import Level
from .remove import OnStage
from .repeats import repeated_share
from .scaling import Scaling
from .verdict import patches_of

PATCHES = (7, 9, 11)
ROUNDS = (1, 1, 1)
MARGIN_PX = 6
FEWEST_CENTRES = 60
GAP_PX = 12


@dataclass(frozen=True)
class FillSettings:
    """`keep_objects`: large shifts only, so that buildings and cars stay whole; `outline_px`: how
    far the new outline may wander inside the polygon; `mirror`: offer the exemplar's mirror image
    too; `occurrence`: weight against copying the same pixels again and again; `fidelity`: weight of
    the copied values against their gradients."""

    keep_objects: bool = False
    outline_px: float = 4.0
    mirror: bool = False
    occurrence: float = 0.5
    fidelity: float = 0.05


Usable = tuple[np.ndarray, np.ndarray]
"""An exemplar: image (C, h, w) and the pixels (h, w) that may be copied."""


@dataclass(frozen=True)
class Prepared:
    """A fill before it is drawn. `bank`: the exemplars on one canvas (C, h, w), scaled; it has no
    hole. `owner` (h, w): number of the exemplar that each of its pixels belongs to. `box`: rows and
    columns of the window that are drawn. `scaling`: of the window's and the exemplars' values."""

    bank: Level
    owner: np.ndarray
    box: tuple[slice, slice]
    scaling: Scaling


def prepared(around: Level, exemplars: Sequence[Usable], mirror: bool = False) -> Prepared:
    """Lay out what a fill of the hole is drawn from."""
    image = around.image
    mask = around.hole
    valid = around.usable
    canvas, usable, owner = _canvas(exemplars, mirror)
    scaling = Scaling.of(*_both(image, valid & ~mask, canvas, usable))
    rows, cols = np.nonzero(mask)
    box = (
        slice(max(0, rows.min() - MARGIN_PX), rows.max() + MARGIN_PX + 1),
        slice(max(0, cols.min() - MARGIN_PX), cols.max() + MARGIN_PX + 1),
    )
    return Prepared(
        Level(scaling.scaled(canvas), np.zeros_like(usable), usable), owner, box, scaling
    )


@dataclass(frozen=True)
class Filled:
    """A filled window. `image` (C, H, W): in its own units. `unlike`, `grain`: how what was made
    looks beside the exemplars (see verdict.py: `unlike`, `blur`). `repeated`: share of it, 0 to 1,
    that is copied from the same few pixels (see repeats.py)."""

    image: np.ndarray
    unlike: float
    grain: float
    repeated: float


def fill(
    around: Level,
    exemplars: Sequence[Usable],
    seed: int,
    settings: FillSettings = FillSettings(),
    on_stage: OnStage = lambda step, total: None,
) -> Filled:
    """The image with its hole filled with what the exemplars show; outside it nothing changes."""
    rng = np.random.default_rng(seed)
    ready = prepared(around, exemplars, settings.mirror)
    hole = around.hole[ready.box]
    synthetic, field = _synthesised(ready.bank, hole, rng, settings, on_stage)
    on_stage(3, 4)
    image = laid_into_hole(around, ready, synthetic, settings.outline_px, rng)
    unlike, grain, _ = _beside_exemplars(ready.bank, synthetic, hole)
    inside = np.zeros(field.targets.shape, bool)
    inside[: hole.shape[0], : hole.shape[1]] = hole
    return Filled(image, unlike, grain, repeated_share(field, inside))


def _beside_exemplars(
    bank: Level, synthetic: np.ndarray, hole: np.ndarray
) -> tuple[float, float, float]:
    """How a fill (C, h, w, scaled) in its `hole` (h, w) looks beside what it was copied from."""
    height = max(bank.hole.shape[0], hole.shape[0])
    parts = []
    for image, made, usable in (
        (bank.image, np.zeros_like(bank.usable), bank.usable),
        (np.zeros((len(synthetic), 1, GAP_PX), np.float32), np.zeros((1, GAP_PX), bool), None),
        (synthetic, hole, np.zeros_like(hole)),
    ):
        more = ((0, height - made.shape[0]), (0, 0))
        known = made & False if usable is None else usable
        parts.append((np.pad(image, ((0, 0), *more)), np.pad(made, more), np.pad(known, more)))
    image, made, usable = (np.concatenate(some, axis=-1) for some in zip(*parts, strict=True))
    return patches_of(image, made, usable)


def laid_into_hole(
    around: Level,
    ready: Prepared,
    synthetic: np.ndarray,
    outline_px: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """The image with `synthetic` (C, box, scaled) laid into its hole and the rim drawn from
    transitions found around it."""
    image = around.image
    mask = around.hole
    valid = around.usable
    box = ready.box
    scaled = ready.scaling.scaled(image)
    window = _window(box, mask.shape)
    depth = rim.wavy(mask[window], _amplitude(mask, outline_px), rng)
    inside = mask[window] & (depth > 0)
    laid = scaled[:, window[0], window[1]].copy()
    shift = (box[0].start - window[0].start, box[1].start - window[1].start)
    whole = np.zeros_like(laid)
    whole[:, shift[0] : shift[0] + synthetic.shape[1], shift[1] : shift[1] + synthetic.shape[2]] = (
        synthetic
    )
    laid[:, inside] = whole[:, inside]
    band = mask[window] & (depth > -4) & (depth <= _band(mask, inside))
    # Between grass and a roof there is no transition: an edge is an edge.
    apart = rim.mismatch(laid, inside, valid[window] & ~inside)
    known = valid[window] | mask[window]
    laid = rim.softened(laid, known, inside, mask[window] & (apart > rim.NO_WAY))
    band &= apart <= rim.NO_WAY
    if band.any():
        laid = rim.reinpaint(laid, band, known, rng)
    out = image.copy()
    here = np.zeros_like(mask)
    here[window] = mask[window]
    out[:, here] = ready.scaling.restored(laid)[:, mask[window]]
    return out


def _both(image: np.ndarray, known: np.ndarray, canvas: np.ndarray, usable: np.ndarray) -> Usable:
    values = np.concatenate([image[:, known], canvas[:, usable]], axis=1)[:, None]
    return values, np.ones(values.shape[1:], bool)


def _amplitude(mask: np.ndarray, outline_px: float) -> float:
    return float(min(outline_px, 0.2 * ndimage.distance_transform_edt(mask).max()))


def _band(mask: np.ndarray, inside: np.ndarray) -> float:
    """Depth of the re-inpainted band; less in a narrow polygon, so that something of the fill
    stays."""
    return float(min(rim.BAND_PX, 0.4 * ndimage.distance_transform_edt(inside).max()))


def _window(box: tuple[slice, slice], shape: tuple[int, int]) -> tuple[slice, slice]:
    reach = 48
    return (
        slice(max(0, box[0].start - reach), min(shape[0], box[0].stop + reach)),
        slice(max(0, box[1].start - reach), min(shape[1], box[1].stop + reach)),
    )


def _canvas(exemplars: Sequence[Usable], mirror: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All exemplars side by side, with gaps that cannot be copied: image, usable pixels, number of
    the exemplar."""
    parts = list(exemplars)
    if mirror:
        parts += [(picture[:, :, ::-1], usable[:, ::-1]) for picture, usable in exemplars]
    height = max(p.shape[1] for p, _ in parts)
    width = sum(p.shape[2] + GAP_PX for p, _ in parts) - GAP_PX
    canvas = np.zeros((parts[0][0].shape[0], height, width), np.float32)
    allowed = np.zeros((height, width), bool)
    owner = np.zeros((height, width), np.int32)
    col = 0
    for number, (picture, usable) in enumerate(parts):
        rows, cols = usable.shape
        canvas[:, :rows, col : col + cols] = picture
        allowed[:rows, col : col + cols] = usable
        owner[:, col : col + cols + GAP_PX] = number % len(exemplars)
        col += cols + GAP_PX
    allowed &= np.isfinite(canvas).all(axis=0)
    return np.where(allowed, canvas, 0), allowed, owner


def _synthesised(
    bank_level: Level,
    mask: np.ndarray,
    rng: np.random.Generator,
    settings: FillSettings,
    on_stage: OnStage,
) -> tuple[np.ndarray, Field]:
    """What is laid into `mask` (h, w), scaled, and where each of its pixels comes from."""
    height, width = mask.shape
    side = min(height, width, _thickness(bank_level.usable))
    count = pyramid.count_levels(side, 16, len(PATCHES))
    multiple = 2 ** (count - 1)
    banks = pyramid.build(pyramid.padded(bank_level, multiple), count)
    target = pyramid.padded(
        Level(
            np.zeros((bank_level.image.shape[0], height, width), np.float32),
            np.ones((height, width), bool),
            mask,
        ),
        multiple,
    )
    target = Level(target.image, np.ones(target.hole.shape, bool), target.usable)
    targets = pyramid.build(target, count)
    field: Field | None = None
    for number in range(count - 1, -1, -1):
        on_stage(count - 1 - number, 4)
        here = banks[number]
        ok, patch = centres(here.usable, PATCHES[number], FEWEST_CENTRES)
        if not ok.any():
            ok = here.usable
        basis = PatchBasis.fit(here.image, ok, patch, rng)
        bank = Bank(here.image, ok, basis.project(here.image))
        grid = Targets(targets[number].hole)
        if field is None:
            rows, cols = _first_shifts(banks, ok, number, target, rng)
            field = Field(grid, bank, rows.ravel(), cols.ravel())
        else:
            field = field.upsampled(grid, bank)
        image = field.copied(targets[number].image, targets[number].hole)
        for _ in range(0 if settings.keep_objects else ROUNDS[number]):
            field.look(basis.project(image))
            field.sweep(Search(occurrence=settings.occurrence), rng)
            image = field.vote(image, targets[number].hole, 2)
        field.look(basis.project(image))
    assert field is not None
    seams.assign(field, targets[0].image, targets[0].hole, rim=False)
    lean = poisson.Lean(settings.fidelity)
    drawn = poisson.blended(field, targets[0].image, targets[0].hole, lean, None)
    return drawn[:, :height, :width], field


def _thickness(usable: np.ndarray) -> int:
    """Twice the greatest depth of the usable area: the side of what fits into it."""
    return int(2 * ndimage.distance_transform_edt(np.pad(usable, 1)).max())


def _first_shifts(
    banks: list[Level], coarse_ok: np.ndarray, number: int, target: Level, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Cover at full size with sources that are valid at the coarsest level, then taken down to
    it."""
    factor = 2**number
    admitted = np.kron(coarse_ok, np.ones((factor, factor), bool))
    mask = target.usable
    outline = mask & ~ndimage.binary_erosion(mask, iterations=3)
    rows, cols = cover(banks[0].image, admitted, outline, rng)
    at = slice(factor // 2, None, factor)
    return rows[at, at] // factor, cols[at, at] // factor
