"""Results as papers make them: the editor's own picture on its canvas, and what is compared with it
on that canvas. The product's way is in drawing.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import shapely
from PIL import Image

from ...editors.base import COLOURS, Given, Scene
from ...editors.frame import GIVEN
from ...editors.registry import Editors
from ...ground.errors import BadRequest, ServerError
from ...ground.files import whole_file
from ...raster import bands, display, masks, polygons
from ...raster.bands import Layer, Roles
from ...raster.grid import Box, Grid, onto
from ...raster.raster import opened, read_window
from .asked import Asked, editor_of
from .protocol import Case, Protocol
from .seen import Drawn, Place, Seen, asked_polygons

ROLES = Roles(COLOURS, "as shown")


def draw(editors: Editors, protocol: Protocol, case: Case, asked: Asked, path: Path) -> dict:
    """Draw a case so, as a PNG at the path; its report."""
    editor_id, options = editor_of(protocol, case, asked)
    editor = protocol.named[asked.system].editors(editors).get(editor_id)
    with opened(case.image) as dataset:
        layer = Layer.of(dataset, {})
        picture = _shown(layer)
        shapes = polygons.pixel_polygons(asked_polygons(case, layer), layer.profile)
        mask = masks.draw_mask(shapes, layer.profile.box)
        gsd_m = layer.profile.gsd_m
    if not mask.any():
        raise BadRequest(f"case {case.name}: its polygon covers no pixel of {case.image.name}.")
    canvas = ""
    if protocol.canvas_px:
        picture, mask = _squared(picture, mask, max(min(mask.shape), protocol.canvas_px))
        canvas = GIVEN
    scene = Scene(_planes(picture), np.ones_like(mask), mask, COLOURS, gsd_m)
    chosen = editor.parse(options)
    editor.check(case.prompt, chosen)
    chosen = editor.resolve(chosen, Given(case.prompt))
    made = editor.own_picture(scene, case.prompt, chosen, asked.seed, canvas)
    pixels = (made.picture[:3] * 255).round().astype(np.uint8).transpose(1, 2, 0)
    with whole_file(path) as draft:
        Image.fromarray(pixels).save(draft, "PNG")
    height, width = pixels.shape[:2]
    facts: dict[str, Any] = dict(made.facts)
    return {
        "editor": editor_id,
        "engine": editor.info.engine,
        "notes": [str(note) for note in facts.get("notes", [])],
        "window": [0, 0, width, height],
        "facts": {key: value for key, value in facts.items() if key != "notes"},
    }


def beside(case: Case, made: Drawn) -> Seen:
    """The source, the result and the reference on the result's canvas: the picture is all the
    model's, so that what it changed outside the polygon counts."""
    with Image.open(made.path) as picture:
        after = _planes(np.asarray(picture.convert("RGB")))
    height, width = after.shape[1:]
    with opened(case.image) as dataset:
        layer = Layer.of(dataset, {})
        before = _sized(_shown(layer), (width, height))
        factor = np.array([width / dataset.width, height / dataset.height])
        shapes = polygons.pixel_polygons(asked_polygons(case, layer), layer.profile)
        reference = _referred(case, layer, (width, height))
    scaled = [shapely.transform(shape, lambda xy: xy * factor) for shape in shapes]
    box = Box(0, 0, width, height)
    mask = masks.draw_mask(scaled, box)
    return Seen(
        Place(box, mask, scaled),
        (width, height),
        before,
        after,
        reference,
        mask,
        np.ones_like(mask),
        ROLES,
    )


def _shown(layer: Layer) -> np.ndarray:
    """All of a layer for the eye (H, W, 3), as its editors see it."""
    block = read_window(layer.dataset, layer.profile.box)
    stretch = bands.stretch_of(layer.profile, layer.roles, block)
    return display.picture(stretch.normalise(block.values), layer.roles.names)


def _referred(case: Case, layer: Layer, size: tuple[int, int]) -> np.ndarray | None:
    """The reference by the source's stretch, on the canvas; None where there is none, or one that
    cannot be laid beside."""
    if case.reference is None:
        return None
    block = read_window(layer.dataset, layer.profile.box)
    stretch = bands.stretch_of(layer.profile, layer.roles, block)
    try:
        with opened(case.reference) as second, onto(second, Grid.of(layer.dataset)) as brought:
            values = read_window(brought, layer.profile.box).values
    except ServerError:
        return None
    if len(values) < len(block.values):
        return None
    seen = stretch.normalise(values[: len(block.values)])
    return _sized(display.picture(seen, layer.roles.names), size)


def _squared(picture: np.ndarray, mask: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """A picture and its mask squashed to a square, as RSEdit's benchmark does it."""
    resample = Image.Resampling
    small = Image.fromarray(picture).resize((side, side), resample.BICUBIC)
    where = Image.fromarray(mask).resize((side, side), resample.NEAREST)
    return np.asarray(small), np.asarray(where)


def _sized(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    resized = Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC)
    return _planes(np.asarray(resized))


def _planes(picture: np.ndarray) -> np.ndarray:
    """Bytes (H, W, 3) as (3, H, W) in [0, 1]."""
    return np.ascontiguousarray(picture.transpose(2, 0, 1), np.float32) / 255
