"""Random views of a picture for an image-text model to judge, differentiable: the augmentations of
Text2LIVE and SinDDM.

Crops, flips, turns, shears of perspective, jittered colours and grey, written with torch alone. A
gradient that pleases one view of the pixels is often noise; one that pleases many is less so.
"""

from __future__ import annotations

import math

import numpy as np

from ..ground.optional import functional, torch

SMALLEST_CROP = 0.6
TURN_DEGREES = 15.0
SHIFT = 0.1
PERSPECTIVE = 0.4
JITTER = 0.1
LONGEST = 380 / 224
"""A long picture keeps its shape up to this share of the side, as in Text2LIVE; more is
squeezed."""
Matrix = np.ndarray


def views(picture: torch.Tensor, count: int, size: int, rng: np.random.Generator) -> torch.Tensor:
    """`count` views (count, 3, h, w) of a picture (3, H, W) in [0, 1]; the first shows all of it,
    the shorter side is `size`.

    Each is flipped with probability 0.5, moved (15 degrees, 0.1) with 0.8, put in perspective (0.4)
    with 0.5, its colours jittered (0.1) with 0.7 and taken out with 0.15; what lies outside the
    picture is white.
    """
    scale = size / min(picture.shape[1:])
    shape = tuple(
        min(max(1, round(side * scale)), round(LONGEST * size)) for side in picture.shape[1:]
    )
    base = functional.interpolate(
        picture[None], shape, mode="bicubic", antialias=scale < 1, align_corners=False
    )
    matrices = np.stack([_placement(number > 0, rng) for number in range(count)])
    turned = _sampled(base, torch.from_numpy(matrices).to(picture))
    return torch.stack([_coloured(view, rng) for view in turned]).clamp(0, 1)


def _placement(cropped: bool, rng: np.random.Generator) -> Matrix:
    """The map (3, 3) from a view's coordinates in [-1, 1] to the picture's."""
    found = np.eye(3)
    if cropped:
        side = rng.uniform(SMALLEST_CROP, 1)
        found = np.array(
            [
                [side, 0, rng.uniform(side - 1, 1 - side)],
                [0, side, rng.uniform(side - 1, 1 - side)],
                [0, 0, 1.0],
            ]
        )
    if rng.random() < 0.5:
        found = found @ np.diag([-1.0, 1.0, 1.0])
    if rng.random() < 0.8:
        angle = math.radians(rng.uniform(-TURN_DEGREES, TURN_DEGREES))
        right, down = rng.uniform(-2 * SHIFT, 2 * SHIFT, 2)
        cosine = math.cos(angle)
        sine = math.sin(angle)
        found = found @ np.array([[cosine, -sine, right], [sine, cosine, down], [0, 0, 1]])
    if rng.random() < 0.5:
        found = found @ _perspective(rng)
    return found


def _perspective(rng: np.random.Generator) -> Matrix:
    """A homography that moves each corner inwards by up to 0.4 of the half side."""
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], float)
    moved = corners * (1 - PERSPECTIVE * rng.random((4, 2)))
    rows = []
    right = []
    for (x, y), (u, v) in zip(moved, corners, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        right += [u, v]
    return np.append(np.linalg.solve(np.array(rows), np.array(right)), 1.0).reshape(3, 3)


def _sampled(base: torch.Tensor, matrices: torch.Tensor) -> torch.Tensor:
    height, width = base.shape[2:]
    across = (torch.arange(width, device=base.device) * 2 + 1) / width - 1
    down = (torch.arange(height, device=base.device) * 2 + 1) / height - 1
    points = torch.stack(
        [
            across.expand(height, width),
            down[:, None].expand(height, width),
            torch.ones(height, width, device=base.device),
        ],
        dim=-1,
    )
    moved = torch.einsum("nij,hwj->nhwi", matrices, points.to(matrices))
    grid = moved[..., :2] / moved[..., 2:].clamp(min=1e-3)
    white = functional.grid_sample(
        base.expand(len(matrices), -1, -1, -1) - 1, grid, align_corners=False
    )
    return white + 1


_LUMINANCE = (0.299, 0.587, 0.114)


def _coloured(view: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    weights = torch.tensor(_LUMINANCE, device=view.device)[:, None, None]
    if rng.random() < 0.7:
        bright, contrast, colour = rng.uniform(1 - JITTER, 1 + JITTER, 3)
        view = view * bright
        view = (view - (view * weights).sum(0).mean()) * contrast + (view * weights).sum(0).mean()
        grey = (view * weights).sum(0)
        view = torch.einsum(
            "ij,jhw->ihw",
            _hue(rng.uniform(-JITTER, JITTER)).to(view),
            grey + (view - grey) * colour,
        )
    if rng.random() < 0.15:
        view = (view * weights).sum(0).expand_as(view)
    return view


def _hue(turns: float) -> torch.Tensor:
    """A turn of the colour circle as a matrix (3, 3): around the grey axis, in YIQ."""
    to_yiq = torch.tensor(
        [_LUMINANCE, (0.596, -0.274, -0.322), (0.211, -0.523, 0.312)], dtype=torch.float64
    )
    angle = 2 * math.pi * turns
    turn = torch.tensor(
        [[1, 0, 0], [0, math.cos(angle), -math.sin(angle)], [0, math.sin(angle), math.cos(angle)]],
        dtype=torch.float64,
    )
    return (torch.linalg.inv(to_yiq) @ turn @ to_yiq).float()
