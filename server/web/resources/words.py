"""Words: what they are understood to ask for, others that say the same, windows that look like
them."""

from __future__ import annotations

from ...contract.words import (
    ENSEMBLES,
    INTERPRETATIONS,
    SEARCHES,
    Ensemble,
    Found,
    Interpretation,
    InterpretationRequest,
    SearchRequest,
    SearchResult,
)
from ...raster import display, polygons
from ...raster.bands import Layer
from ...raster.raster import opened
from ...search.find import find
from .declared import Resource, services

resource = Resource("words")


@resource.serves(INTERPRETATIONS)
def interpretation(wanted: InterpretationRequest) -> Interpretation:
    """What the words are understood to ask for; nothing is run."""
    return services().models.interpret(wanted.prompt, wanted.operation, wanted.exemplar)


@resource.serves(ENSEMBLES)
def ensemble(wanted: Ensemble) -> Ensemble:
    """Sentences that say the same as a prompt, to look at and change before they are used."""
    return services().models.paraphrases(wanted.prompt, wanted.source, wanted.count)


@resource.serves(SEARCHES)
def search(wanted: SearchRequest) -> SearchResult:
    """Windows of a raster that look like a word, with thumbnails to tick."""
    path = services().path_of(wanted.raster)
    with opened(path, services().roots_of(path)) as dataset:
        layer = Layer.of(dataset, wanted.band_roles)
        area = polygons.extent_box(wanted.extent, layer.profile)
        result = find(services().models, layer, wanted.word, area)
        found = tuple(
            Found(
                polygons.as_polygons(hit.box, layer.profile),
                round(hit.agreement, 2),
                display.thumbnail(layer, hit.box),
            )
            for hit in result.hits[: wanted.most]
        )
    return SearchResult(result.word, result.rule, found, result.reason)
