"""Words to windows of the user's own layer that look like them, by the best way that there is.

Index rules where near infrared is there, the ground size is coarse, or a rule beats the network;
else small linear heads on network features of 38 m windows; and for sentences an image-text model
that the user has named. The best window must agree by a margin, or nothing was found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from shapely.geometry.base import BaseGeometry

from ..editors.models import Models
from ..models.image_text import ImageText
from ..operators.ground import Ground
from ..raster.bands import COLOURS, Layer, stretch_of
from ..raster.grid import Box
from ..raster.raster import read_window
from ..scene.network import COARSEST_M
from ..words import land_cover
from .heads import by_heads
from .image_text import by_image_text
from .rules import FINEST_NETWORK_GSD_M, by_rule, rule_for
from .windows import ELSEWHERE, Hit, Method, Search, view_of

AROUND_PX = 24
LEAST_WATER = 0.3
"""Surroundings of a window by which its ground is told, and the share of it that is to be water."""
MOST_OF_RULE = 4
"""Windows of an index rule that are copied from."""


def find_word(
    models: Models, layer: Layer, word: str, area: Box, avoid: Sequence[BaseGeometry] = ()
) -> Search:
    """Windows inside `area` that look like a land cover and do not touch the shapes to `avoid`
    (in pixels of the layer).

    Of a large area only the middle is searched, so that time and memory do not follow the layer's
    size. Raises BadRequest for a word that is not known.
    """
    name = land_cover.canonical(word)
    view = view_of(layer, area, avoid)
    gsd_m = layer.profile.gsd_m
    rule = rule_for(name, layer.roles, gsd_m)
    if rule is not None:
        return _voted(models, layer, by_rule(name, rule, view))
    if gsd_m > FINEST_NETWORK_GSD_M:
        without = "" if layer.roles.index("nir") is not None else " without a near-infrared band"
        reason = f"At {gsd_m:.3g} m a pixel '{name}' cannot be told apart{without}. {ELSEWHERE}"
        return Search(name, Method.NONE, reason=reason)
    if name not in models.scene_words.words:
        reason = f"There is no detector for '{name}' on this layer. {ELSEWHERE}"
        return Search(name, Method.NONE, reason=reason)
    return by_heads(models, name, view)


def _voted(models: Models, layer: Layer, found: Search) -> Search:
    """Without windows of water in which the scene parser sees none: near infrared is dark over
    some dry ground too."""
    colours = [layer.roles.index(role) for role in COLOURS]
    known = all(at is not None for at in colours)
    if found.word != "water" or not known or layer.profile.gsd_m > COARSEST_M:
        return found
    kept = []
    for hit in found.hits:
        box = hit.box.grown(AROUND_PX, layer.profile.box)
        block = read_window(layer.dataset, box)
        shown = stretch_of(layer.profile, layer.roles, block).normalise(block.values)
        rgb = np.stack([shown[at] for at in colours if at is not None])
        ground = Ground(rgb, block.valid, COLOURS, layer.profile.gsd_m)
        rows, cols = hit.box.relative_to(box).slices
        share = models.understanding.of(ground, {}).share("water")[rows, cols]
        if share.mean() >= LEAST_WATER:
            kept.append(hit)
    if kept or not found.hits:
        return replace(found, hits=tuple(kept))
    reason = f"What is dark in near infrared here does not look like water. {ELSEWHERE}"
    return replace(found, hits=(), reason=reason)


def find_sentences(
    model: ImageText,
    texts: Sequence[str],
    layer: Layer,
    area: Box,
    avoid: Sequence[BaseGeometry] = (),
) -> Search:
    """Windows inside `area` that sentences describe, to an image-text model."""
    return by_image_text(model, texts, view_of(layer, area, avoid))


def find(models: Models, layer: Layer, text: str, area: Box) -> Search:
    """What a text asks for: by the image-text model where one is named and the text is no word for
    a known land cover."""
    model = models.image_text()
    if model is None or land_cover.is_known(text):
        return find_word(models, layer, text, area)
    return find_sentences(model, models.paraphrases(text).texts, layer, area)


def sources(found: Search) -> tuple[Hit, ...]:
    """The windows worth copying from: not far behind the best."""
    if not found.hits:
        return ()
    best = found.hits[0].agreement
    if found.method is Method.RULE:
        return found.hits[:MOST_OF_RULE]
    if found.method is Method.IMAGE_TEXT:
        return tuple(hit for hit in found.hits if hit.agreement >= best - 3)
    return tuple(hit for hit in found.hits if hit.agreement >= best - 1.5)
