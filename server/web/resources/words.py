"""Words: what they are understood to ask for, others that say the same, windows that look like
them."""

from __future__ import annotations

from ...contract.words import (
    ENSEMBLES,
    INTERPRETATIONS,
    SEARCHES,
    Ensemble,
    Interpretation,
    InterpretationRequest,
    SearchRequest,
    SearchResult,
)
from .declared import Resource, services

resource = Resource("words")


@resource.serves(INTERPRETATIONS)
def interpretation(wanted: InterpretationRequest) -> Interpretation:
    """What the words are understood to ask for; nothing is run."""
    return Interpretation.from_json(services().place.read("interpret", wanted.to_json()))


@resource.serves(ENSEMBLES)
def ensemble(wanted: Ensemble) -> Ensemble:
    """Sentences that say the same as a prompt, to look at and change before they are used."""
    if wanted.source == "endpoint":  # workers reach no network
        return services().models.paraphrases(wanted.prompt, wanted.source, wanted.count)
    return Ensemble.from_json(services().place.read("paraphrase", wanted.to_json()))


@resource.serves(SEARCHES)
def search(wanted: SearchRequest) -> SearchResult:
    """Windows of a raster that look like a word, with thumbnails to tick."""
    return SearchResult.from_json(services().place.read("search", wanted.to_json()))
