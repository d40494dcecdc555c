"""REMOVE: fill a hole so that the ground around it goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from . import by_shifts, onion, poisson, pyramid, seams
from .features import PatchBasis, centres
from .field import Bank, Field, Search, Targets
from .pyramid import Level
from .repeats import SHOWS, repeated_share
from .scaling import Scaling
from .verdict import Verdict, judged

PATCHES = (7, 7, 9, 9, 9, 9)
LARGE_HOLE_PX = 256
"""The ground for a larger hole comes from half its own size around, else it repeats."""
COARSEST_HOLE_PX = 16
"""A large hole takes more levels, down to about this side, so that it is laid out as a whole
first."""
TEXTURE_WEIGHT = 6.0
GUARD_SHARE = 0.65
STRANGE = 2.0
"""Distance of a patch to the likest right around the hole, by what those have to each other, from
which on it belongs elsewhere."""
NEAR_RING = 5
FEWEST_NEAR = 20
MOST_NEAR = 1200
"""Width of that ring, in pixels of a quarter of the size, and how many of its patches are taken."""
LEAST_KEPT = 0.3
FEWEST_CENTRES = 200
FEWEST_OTHERS = 1500
OCCURRENCE = (1.0, 0.05)
"""Weight against copying the same few pixels again and again, which shows as a weave: at the
coarsest level, where it is decided, and at the finer ones, where it costs sharpness."""

PIECES_EDGE = 0.8
"""Mismatch at the rim from which whole pieces no longer bend to it: they end at edges of their
own."""
LARGE = 60_000
"""Pixels of a hole from which one try in whole pieces has to do."""
PATCHWISE_TRIES = 3
OTHER_SEED = 7919
"""Most tries patch by patch, and what lies between their seeds."""
GOOD = 0.4
"""Fault up to which nothing else is tried: of 21 results of three methods (benchmarks/removals.py)
up to it 16 were graded fit for a figure."""
SHOWING = 1.0
"""Fault of the best try from which on others are made: of 50 between the two 33 were fit, of 46
above it 13."""
PATCHWISE = "patch by patch"
PIECEWISE = "in whole pieces"

OnStage = Callable[[int, int], None]


@dataclass(frozen=True)
class RemoveSettings:
    """What may be tuned; the defaults are for objects on ground.

    `reach_px`: how far from the hole pixels are copied; `fidelity`: weight of the copied values
    against their gradients; `guard`: do not copy what looks like the object itself; `texture`:
    compare how rough the ground is too, against drift to the smoothest patches.
    """

    reach_px: int = 40
    fidelity: float = 0.02
    guard: bool = True
    texture: bool = True


@dataclass(frozen=True)
class Removed:
    """A filled window. `image` (C, H, W): in the window's own units. `repeated`: share of the fill,
    0 to 1, that is copied from the same few pixels (see repeats.py). `way`: how it was made, one of
    `PATCHWISE`, `PIECEWISE`. `verdict`: how it looks beside the ground around."""

    image: np.ndarray
    repeated: float
    way: str
    verdict: Verdict

    @property
    def shows(self) -> float:
        """How much it shows that this was filled, 0 or more: the verdict's fault, and stripes."""
        return self.verdict.fault + 2 * max(self.repeated - SHOWS, 0)


class Removal:
    """A window made ready to be filled, with one seed or several."""

    def __init__(
        self,
        window: Level,
        settings: RemoveSettings = RemoveSettings(),
        barred: np.ndarray | None = None,
    ) -> None:
        """`barred` (H, W): what is not to be copied as long as there is other ground."""
        image = window.image
        hole = window.hole
        valid = window.usable
        self.window = window
        self.settings = settings
        self.barred = barred
        self.scaling = Scaling.of(image, valid & ~hole)
        usable = _usable(hole, valid, settings.reach_px)
        if barred is not None:
            others = _usable(hole, valid & ~barred, settings.reach_px)
            usable = others if others.sum() >= max(FEWEST_OTHERS, hole.sum() / 2) else usable
        self.crop = crop = _crop(hole, usable)
        level = Level(self.scaling.scaled(image[:, crop[0], crop[1]]), hole[crop], usable[crop])
        self.known = valid[crop] & ~hole[crop]
        self.level = _guarded(level, self.known) if settings.guard else level
        # Whole pieces would bring whole objects of other places along.
        self.plain = _without_strange(self.level, self.known) if settings.guard else level

    def ground(self) -> tuple[int, int]:
        """Pixels whose surroundings can be copied whole, and pixels of the hole."""
        return int(centres(self.level.usable, PATCHES[0], 0)[0].sum()), int(self.level.hole.sum())

    def filled(self, seed: int, on_stage: OnStage = lambda step, total: None) -> Removed:
        """The hole filled patch by patch; pixels that are not usable are neither copied nor leant
        on."""
        filled, repeated = _fill(
            self.level, self.known, np.random.default_rng(seed), self.settings, on_stage
        )
        return self._made(filled, repeated, PATCHWISE)

    def in_pieces(self, seed: int) -> Removed | None:
        """The hole filled by whole pieces of ground, at the shifts at which that repeats itself;
        None where it does not offer enough of them."""
        level = self.plain
        field = by_shifts.laid_out(level, self.known, np.random.default_rng(seed))
        if field is None:
            return None
        filled = poisson.blended(
            field,
            level.image,
            level.hole,
            poisson.Lean(self.settings.fidelity, PIECES_EDGE),
            self.known,
        )
        return self._made(filled, repeated_share(field, level.hole), PIECEWISE)

    def _made(self, filled: np.ndarray, repeated: float, way: str) -> Removed:
        """A filled crop (C, h, w, scaled) as a window."""
        hole = self.window.hole
        crop = self.crop
        out = self.window.image.copy()
        inside = np.zeros_like(hole)
        inside[crop] = hole[crop]
        out[:, inside] = self.scaling.restored(filled)[:, hole[crop]]
        return Removed(out, repeated, way, self.verdict(out))

    def verdict(self, image: np.ndarray) -> Verdict:
        """How a filled window (C, H, W) looks beside the ground that this removal copies from."""
        crop = self.crop
        scaled = self.scaling.scaled(image[:, crop[0], crop[1]])
        return judged(scaled, self.level.hole, self.known, self.level.usable)


def remove(
    window: Level,
    seed: int,
    settings: RemoveSettings = RemoveSettings(),
    on_stage: OnStage = lambda step, total: None,
) -> np.ndarray:
    """The window's image (C, H, W) with its hole filled once, whatever came of it."""
    return Removal(window, settings).filled(seed, on_stage).image


def chosen(
    removal: Removal, seed: int, on_stage: OnStage = lambda step, total: None
) -> tuple[Removed, int]:
    """Patch by patch and in whole pieces; where both show, pieces from twice as far; where all show
    much, patch by patch again with other seeds: that of which least shows, and how many were
    made."""
    made = [removal.filled(seed, lambda step, total: on_stage(step, total + 2))]
    far = replace(removal.settings, reach_px=2 * removal.settings.reach_px)
    for settings in (removal.settings, far):
        on_stage(len(made), len(made) + 1)  # whoever waits may have had enough
        ground = removal
        if settings is not removal.settings:
            ground = Removal(removal.window, settings, removal.barred)
        pieces = ground.in_pieces(seed)
        if pieces is not None:
            made.append(replace(pieces, verdict=removal.verdict(pieces.image)))
        if min(one.shows for one in made) <= GOOD or removal.ground()[1] > LARGE:
            break
    turn = 1
    while turn < PATCHWISE_TRIES and min(one.shows for one in made) > SHOWING:
        made.append(removal.filled((seed + turn * OTHER_SEED) % 2**31, on_stage))
        turn += 1
    return min(made, key=lambda one: one.shows), len(made)


def _usable(hole: np.ndarray, valid: np.ndarray, reach: int) -> np.ndarray:
    """Pixels to copy from: valid, 2 px off the hole, near its box; widened where that is too
    little."""
    rows, cols = np.nonzero(hole)
    side = int(max(np.ptp(rows), np.ptp(cols))) + 1
    if side > LARGE_HOLE_PX:
        reach = max(reach, side // 2)
    free = valid & ~ndimage.binary_dilation(hole, iterations=2)
    while True:
        near = np.zeros_like(hole)
        near[
            max(0, rows.min() - reach) : rows.max() + reach + 1,
            max(0, cols.min() - reach) : cols.max() + reach + 1,
        ] = True
        usable = free & near
        if usable.sum() >= max(2000, hole.sum() // 2) or near.all():
            return usable
        reach *= 2


def _crop(hole: np.ndarray, usable: np.ndarray) -> tuple[slice, slice]:
    """The part of the window that takes part, with a rim for whole patches."""
    rows, cols = np.nonzero(hole | usable)
    rim = 10
    return (
        slice(max(0, rows.min() - rim), rows.max() + rim + 1),
        slice(max(0, cols.min() - rim), cols.max() + rim + 1),
    )


def _quarter(
    level: Level, known: np.ndarray, over: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A window at a quarter of its size: its image, where more than a share `over` of its halves is
    hole, and where something is neither hole nor true ground."""
    small = pyramid.padded(level, 4)
    inside = pyramid.area_share(pyramid.area_share(small.hole) > 0) > over
    sound = pyramid.padded(Level(level.image, ~known & ~level.hole, level.usable), 4)
    off = pyramid.area_share(pyramid.area_share(sound.hole) > 0) > 0
    return pyramid.halved(pyramid.halved(small.image)), inside, off


def _allowed(level: Level, forbidden: np.ndarray) -> np.ndarray:
    """The pixels to copy from (H, W) without those that are forbidden at a quarter of the size."""
    whole = np.kron(forbidden, np.ones((4, 4), bool))[: level.hole.shape[0], : level.hole.shape[1]]
    return level.usable & ~whole


def _guarded(level: Level, known: np.ndarray) -> Level:
    """Forbid what looks like the inside of the hole rather than like the ring around it."""
    quarter, inside, off = _quarter(level, known, 0.5)
    core = ndimage.binary_erosion(inside, border_value=1) & ~off
    distance = ndimage.distance_transform_edt(~inside)
    ring = (distance >= 2) & (distance <= 10) & ~off
    rng = np.random.default_rng(0)
    count = min(core.sum(), ring.sum(), 600)
    if count < 12:
        return level
    padded = np.pad(quarter, ((0, 0), (2, 2), (2, 2)), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (5, 5), axis=(1, 2))
    patches = windows.transpose(1, 2, 0, 3, 4).reshape(*inside.shape, -1)
    a = patches[core][rng.permutation(core.sum())[:count]]
    r = patches[ring][rng.permutation(ring.sum())[:count]]
    samples = np.concatenate([a, r])
    flat = patches.reshape(-1, patches.shape[-1])
    distance = (samples**2).sum(axis=1) - 2 * flat @ samples.T
    nearest = np.argpartition(distance, 9, axis=1)[:, :9]
    share = (nearest < count).mean(axis=1).reshape(inside.shape).astype(np.float32)
    forbidden = ndimage.uniform_filter(share, 3) > GUARD_SHARE
    usable = _allowed(level, forbidden)
    if usable.sum() < 0.1 * level.usable.size:
        return level
    return Level(level.image, level.hole, usable)


def _without_strange(level: Level, known: np.ndarray) -> Level:
    """Forbid what is like nothing right around the hole: objects of another place, which would be
    copied whole."""
    quarter, inside, off = _quarter(level, known, 0.0)
    distance = ndimage.distance_transform_edt(~inside)
    ring = np.argwhere((distance >= 2) & (distance <= NEAR_RING) & ~off)
    if len(ring) < FEWEST_NEAR:
        return level
    ring = ring[:: max(1, len(ring) // MOST_NEAR)]
    padded = np.pad(quarter, ((0, 0), (1, 1), (1, 1)), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    patches = windows.transpose(1, 2, 0, 3, 4).reshape(*inside.shape, -1)
    near = patches[ring[:, 0], ring[:, 1]]
    norms = (near**2).sum(axis=1)
    among = norms[:, None] + norms - 2 * near @ near.T
    among[np.abs(ring[:, None] - ring).max(axis=2) < 3] = np.inf
    usual = np.quantile(np.sqrt(np.maximum(among.min(axis=1), 0)), 0.75)
    flat = patches.reshape(-1, patches.shape[-1])
    apart = (flat**2).sum(axis=1) + (norms - 2 * flat @ near.T).min(axis=1)
    strange = np.sqrt(np.maximum(apart, 0)).reshape(inside.shape) > STRANGE * usual
    strange = ndimage.binary_dilation(strange & ~inside)
    usable = _allowed(level, strange)
    if usable.sum() < max(LEAST_KEPT * level.usable.sum(), level.hole.sum()):
        return level
    return Level(level.image, level.hole, usable)


def _with_texture(level: Level, known: np.ndarray) -> Level:
    """Append local gradient strength, measured on known pixels only, against drift to the smoothest
    patches."""
    grey = level.image.mean(axis=0)
    weight = ndimage.uniform_filter(known.astype(np.float32), 9, mode="nearest")
    extra = []
    for axis in (1, 0):
        steps = np.abs(np.diff(grey, axis=axis, append=np.take(grey, [-1], axis=axis))) * known
        mean = ndimage.uniform_filter(steps.astype(np.float32), 9, mode="nearest") / np.maximum(
            weight, 1e-3
        )
        extra.append(TEXTURE_WEIGHT * np.where(weight > 1e-3, mean, 0))
    return Level(
        np.concatenate([level.image, np.stack(extra).astype(np.float32)]), level.hole, level.usable
    )


def _fill(
    level: Level,
    known: np.ndarray,
    rng: np.random.Generator,
    settings: RemoveSettings,
    on_stage: OnStage,
) -> tuple[np.ndarray, float]:
    bands = level.image.shape[0]
    (height, width) = level.hole.shape
    count = _count_levels(level.hole)
    if settings.texture:
        level = _with_texture(level, known)
    level = pyramid.padded(level, 2 ** (count - 1))
    known = np.pad(known, ((0, level.hole.shape[0] - height), (0, level.hole.shape[1] - width)))
    levels = pyramid.build(level, count)
    field: Field | None = None
    for number in range(count - 1, -1, -1):
        on_stage(count - 1 - number, count + 1)
        here = levels[number]
        ok, patch = centres(here.usable, PATCHES[number], FEWEST_CENTRES)
        if not ok.any():
            ok = here.usable
        basis = PatchBasis.fit(here.image, ok, patch, rng)
        # The bank's own features are those of the unfilled image: no usable patch touches the hole.
        bank = Bank(here.image, ok, basis.project(here.image))
        targets = Targets(ndimage.binary_dilation(here.hole, iterations=min(patch // 2, 3)))
        if field is None:
            field, image = _start(
                here, Field(targets, bank, targets.rows, targets.cols), basis, known, rng
            )
        else:
            field = field.upsampled(targets, bank)
            field.cost[:] = 0
            image = field.vote(here.image, here.hole, 2)
            field.look(basis.project(image))
            field.sweep(Search(OCCURRENCE[1]), rng)
            image = field.vote(here.image, here.hole, 1)
        field.look(basis.project(image))
    assert field is not None
    on_stage(count, count + 1)
    seams.assign(field, levels[0].image, levels[0].hole)
    repeated = repeated_share(field, levels[0].hole)
    plain = field.bank.image[:bands]
    field.bank = Bank(plain, field.bank.ok, field.bank.features)
    result = poisson.blended(
        field, levels[0].image[:bands], levels[0].hole, poisson.Lean(settings.fidelity), known
    )
    return result[:, :height, :width], repeated


def _count_levels(hole: np.ndarray) -> int:
    usual = pyramid.count_levels(min(hole.shape), 28, 4)
    rows, cols = np.nonzero(hole)
    side = int(min(np.ptp(rows), np.ptp(cols))) + 1
    return max(
        usual,
        min(
            pyramid.count_levels(side, COARSEST_HOLE_PX, len(PATCHES)),
            pyramid.count_levels(min(hole.shape), 20, len(PATCHES)),
        ),
    )


def _start(
    here: Level, field: Field, basis: PatchBasis, known: np.ndarray, rng: np.random.Generator
) -> tuple[Field, np.ndarray]:
    """Onion peel, then rounds of exact search and voting, then whole pieces."""
    step = known.shape[0] // here.hole.shape[0]
    valid = (
        known.reshape(here.hole.shape[0], step, here.hole.shape[1], step).mean(axis=(1, 3)) > 0.5
    )
    image, rows, cols = onion.peel(here.image, here.hole, field.bank.ok, valid, rng)
    at = field.targets.rows, field.targets.cols
    field = Field(field.targets, field.bank, rows[at], cols[at])
    for _ in range(3):
        field.look(basis.project(image))
        field.exact(OCCURRENCE[0])
        image = field.vote(here.image, here.hole, 2)
    field.look(basis.project(image))
    # Larger pieces hang together from here on.
    seams.assign(field, here.image, here.hole)
    return field, field.vote(here.image, here.hole, 1)
