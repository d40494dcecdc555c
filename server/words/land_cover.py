"""The one vocabulary of land cover: what words may ask for, what can be looked for in a layer, and
how its imagery is copied."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..ground.errors import BadRequest


@dataclass(frozen=True)
class LandCover:
    """A kind of ground.

    `name`: its word. `title`: what users read where it is an operation, empty where words cannot
    ask for it. `synonyms`: other words for it in a search. `searchable`: whether it can be looked
    for in a layer; else in a library of exemplars alone. `objects`: whether it is made of objects
    that must be copied whole. `large`: whether those are larger than a good part of a search
    window. `grainy`: whether it has grain, unlike the gaps in it. `parent`: the kind that this is a
    finer one of. `said`: by which words, as a regular expression, where they are more than its
    name.
    """

    name: str
    title: str = ""
    synonyms: tuple[str, ...] = ()
    searchable: bool = True
    objects: bool = False
    large: bool = False
    grainy: bool = False
    parent: str = ""
    said: str = ""


ALL = (
    LandCover("forest", "Forest", ("trees", "wood", "woods", "woodland"), grainy=True),
    LandCover(
        "shrub",
        "",
        ("scrub",),
        grainy=True,
        said=r"scrub(?: ?land)?|shrubs?|shrubbery|bushes|chaparral|heath(?: ?land)?|maquis",
    ),  # fmt: skip
    LandCover("grass", "Grass", ("lawn", "meadow")),
    LandCover("farmland", "Farmland", ("crop", "cropland", "field")),
    LandCover("bare", "Bare ground", ("bare soil", "soil", "sand", "gravel")),
    LandCover("beach", parent="bare", said=r"beach(?:es)?"),
    LandCover("water", "Water body", ("lake", "pond", "river", "reservoir")),
    LandCover("residential", "Housing", ("housing", "houses"), objects=True, large=True),
    LandCover(
        "industrial",
        "Industry or commerce",
        ("commercial", "warehouse"),
        objects=True,
        large=True,
    ),
    LandCover("parking", "Parking", ("car park", "parking lot"), objects=True),
    LandCover("asphalt"),
    LandCover("road", "Road", ("street", "highway"), objects=True),
    LandCover("solar", "Solar panels", searchable=False, objects=True),
)
"""Every kind of ground that is known."""
FINER = tuple(
    LandCover(name, searchable=False, objects=objects, large=objects, parent=parent, said=said)
    for name, parent, objects, said in (
        ("orchard", "farmland", True, r"orchards?|fruit trees|olive (?:groves?|trees)"),
        ("vineyard", "farmland", False, r"vineyards?|vines"),
        ("golf course", "grass", True, r"golf(?: courses?| greens?)?|fairways?"),
        ("baseball field", "grass", True, r"baseball(?: fields?| diamonds?| pitch(?:es)?)?"),
        ("tennis court", "", True, r"tennis(?: courts?)?"),
        ("sports pitch", "grass", True,
         r"(?:sports?|playing|football|soccer) (?:fields?|pitch(?:es)?|grounds?)"
         r"|pitch(?:es)?(?! black| dark)"),
        ("dense housing", "residential", True,
         r"(?:dense|terraced|row) (?:housing|houses|homes)|apartments?(?: blocks?)?"),
        ("scattered houses", "residential", True,
         r"(?:scattered|single|isolated|detached) (?:houses|homes)|villas|farm ?houses"),
        ("mobile homes", "residential", True,
         r"mobile homes?(?: park)?|trailer parks?|caravan park"),
        ("housing estate", "residential", True,
         r"(?:new )?(?:housing|building) estates?|subdivisions?|new (?:houses|homes|housing)"),
        ("warehouse", "industrial", True,
         r"warehous\w+|logistics \w+|distribution cent(?:re|er)s?"),
        ("commercial buildings", "industrial", True,
         r"commercial \w+|downtown|city cent(?:re|er)|office (?:buildings?|blocks?|park)"),
        ("storage tanks", "industrial", True,
         r"(?:storage|oil|fuel|gas) tanks?|tank ?farms?|silos?"),
        ("aircraft", "", True,
         r"aircraft|air ?planes?|planes(?! trees?)"
         r"|(?:a|parked|passenger) (?:plane|jet)(?! trees?| of)"
         r"|jets(?! of)|airliners?"),
        ("marina", "water", True,
         r"marinas?|harbou?rs?|yacht harbou?rs?|jett(?:y|ies)|moorings?|dock basin"),
        ("desert", "bare", False, r"deserts?"),
        ("construction site", "bare", False, r"(?:construction|building) sites?"),
        ("landslide", "", False, r"land ?slides?|landslips?|mud ?slides?"),
        ("freeway", "road", True,
         r"freeways?|motorways?|highways?|expressways?|dual carriageways?"),
        ("overpass", "road", True, r"overpass(?:es)?|flyovers?|interchanges?"),
        ("road crossing", "road", True,
         r"(?:road |street )?(?:crossings?|intersections?|junctions?)|cross ?roads"),
        ("runway", "road", True, r"runways?|airstrips?|taxiways?"),
        ("solar roof", "solar", True,
         r"(?:roof ?top solar|solar roofs?|(?:solar|pv)(?: panels)? on (?:the |their )?roofs?)"),
        ("rubble", "", False, ""),
    )
)  # fmt: skip
"""Kinds that are looked for in libraries of exemplars alone, and the kind each belongs to; without
one, words can ask for no more than to fill with it."""
SEARCHABLE = tuple(kind.name for kind in ALL if kind.searchable)
"""What can be looked for in a layer by its word, where no exemplar is drawn."""
NAMES = tuple(kind.name for kind in (*ALL, *FINER))
"""What can be filled with by its word: found in the layer, or in a library."""
OPERATIONS = {kind.name: kind.title for kind in ALL if kind.title}
"""What words can ask for, with the titles that users read."""
OBJECTS = tuple(kind.name for kind in (*ALL, *FINER) if kind.objects)
LARGE = tuple(kind.name for kind in (*ALL, *FINER) if kind.large)
GRAINY = tuple(kind.name for kind in ALL if kind.grainy)


def is_known(word: str) -> bool:
    """Whether the word, or another for it, can be looked for without an image-text model."""
    return _named(word) is not None


def canonical(word: str) -> str:
    """The word under which a kind of ground is looked for; raises BadRequest with those known."""
    found = _named(word)
    if found is None:
        raise BadRequest(
            f"'{word[:60]}' is not a word that can be looked for; known: {', '.join(NAMES)}. "
            "Draw an exemplar instead."
        )
    return found.name


def _named(word: str) -> LandCover | None:
    text = word.strip().lower()
    every = (*ALL, *FINER)
    return next((kind for kind in every if text in (kind.name, *kind.synonyms)), None)


def kind_of(word: str) -> LandCover | None:
    """The kind of a name."""
    return next((kind for kind in (*ALL, *FINER) if kind.name == word), None)


_SAID = tuple((kind, re.compile(rf"\b(?:{kind.said})\b")) for kind in (*ALL, *FINER) if kind.said)


@dataclass(frozen=True)
class Named:
    """A finer `kind` that a text names, from `start` to `end`: half-open, in characters."""

    kind: LandCover
    start: int
    end: int


def finer_in(text: str) -> Named | None:
    """The finer kind that a text in lower case names by the most letters; None where it names
    none."""
    found = [Named(kind, *match.span()) for kind, said in _SAID for match in said.finditer(text)]
    return max(found, key=lambda named: named.end - named.start) if found else None
