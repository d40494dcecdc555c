"""The one vocabulary of land cover: what words may ask for, what can be looked for in a layer, and
how its imagery is copied."""

from __future__ import annotations

from dataclasses import dataclass

from ..ground.errors import BadRequest


@dataclass(frozen=True)
class LandCover:
    """A kind of ground.

    `name`: its word. `title`: what users read where it is an operation, empty where words cannot
    ask for it. `synonyms`: other words for it in a search. `searchable`: whether it can be looked
    for in a layer. `objects`: whether it is made of objects that must be copied whole. `large`:
    whether those are larger than a good part of a search window. `grainy`: whether it has grain,
    unlike the gaps in it.
    """

    name: str
    title: str = ""
    synonyms: tuple[str, ...] = ()
    searchable: bool = True
    objects: bool = False
    large: bool = False
    grainy: bool = False


ALL = (
    LandCover("forest", "Forest", ("trees", "wood", "woods", "woodland"), grainy=True),
    LandCover("shrub", "", ("scrub",), grainy=True),
    LandCover("grass", "Grass", ("lawn", "meadow")),
    LandCover("farmland", "Farmland", ("crop", "cropland", "field")),
    LandCover("bare", "Bare ground", ("bare soil", "soil", "sand", "gravel")),
    LandCover("beach"),
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
SEARCHABLE = tuple(kind.name for kind in ALL if kind.searchable)
"""What can be looked for in a layer by its word, where no exemplar is drawn."""
OPERATIONS = {kind.name: kind.title for kind in ALL if kind.title}
"""What words can ask for, with the titles that users read."""
OBJECTS = tuple(kind.name for kind in ALL if kind.objects)
LARGE = tuple(kind.name for kind in ALL if kind.large)
GRAINY = tuple(kind.name for kind in ALL if kind.grainy)


def is_known(word: str) -> bool:
    """Whether the word, or another for it, can be looked for without an image-text model."""
    return _named(word) is not None


def canonical(word: str) -> str:
    """The word under which a kind of ground is looked for; raises BadRequest with those known."""
    found = _named(word)
    if found is None:
        raise BadRequest(
            f"'{word[:60]}' is not a word that can be looked for; known: {', '.join(SEARCHABLE)}. "
            "Draw an exemplar instead."
        )
    return found.name


def _named(word: str) -> LandCover | None:
    text = word.strip().lower()
    searchable = (kind for kind in ALL if kind.searchable)
    return next((kind for kind in searchable if text in (kind.name, *kind.synonyms)), None)
