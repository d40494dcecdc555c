"""The interpreter's vocabulary: land-cover words, events, and the turns of phrase that give them a
part."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..ground.files import read_toml

FILE = Path(__file__).resolve().parents[2] / "resources" / "words.toml"


def _pattern(entry: Mapping[str, Any]) -> re.Pattern[str]:
    """The pattern of an entry of the file, which says what its keys mean."""
    words = "|".join(entry["words"])
    end = "" if entry.get("open") else r"\b"
    more = "".join(f"|{one}" for one in entry.get("more", ()))
    return re.compile(rf"\b{entry.get('before', '')}(?:{words}){end}{more}")


_FILE = read_toml(FILE)
EVENTS = {name: _pattern(entry) for name, entry in _FILE["events"].items()}
"""What is done to what is there, in the order in which it counts."""
SCENES = {name: _pattern(entry) for name, entry in _FILE["scenes"].items()}
"""Weather, light and disasters, in the order in which they count."""
SEASONS = {name: _pattern(entry) for name, entry in _FILE["seasons"].items()}
"""What a season is called, by the value of the editor's option."""
CAUSES = {name: _pattern(entry) for name, entry in _FILE["causes"].items()}
"""What did a damage, by the value of the editor's option; and how far it went."""
DAMAGED, UNDAMAGED, COMPOUNDS, ELSEWHERE = (
    _pattern(_FILE[name]) for name in ("damaged", "undamaged", "compounds", "elsewhere")
)
"""Damage to buildings for certain; its denial; words that only sound like it; what else may be
damaged."""
DENIED = re.compile(
    r"\b(?:no|without(?: any)?|not any|free of|never any|hardly any|don't want(?: any)?) "
    r"(?:(?:visible|blue|any|much|more) )?[a-z]+"
)
"""Things that are not to be there."""
DENIED_SCENE = re.compile(
    r"\b(?:not(?! (?:only|just|until))|no|never|without(?: any)?)\s+"
    r"(?:(?:at all|really|yet|even|any|longer|more|a|an|the|to be|be|been|being)\s+)*"
    r"(?:[a-z]+ly )?[a-z-]+"
)
"""Weather and disasters that are not to be there."""
FLOWS = re.compile(
    r"\b(?:rivers?|streams?|creeks?|brooks?|canals?|waterways?|seas?|ocean|estuary|fjord|wetlands?|"
    r"marsh(?:es)?|swamps?)\b"
)
"""Water that is no lake with a shore all around."""
FELLED, UNAVAILABLE = (_pattern(_FILE[name]) for name in ("felled", "unavailable"))
"""Trees that a storm broke; what nothing here makes by its name."""
BURNING = _pattern(_FILE["burning"])
"""Words by which a fire is not out yet."""
POOL = re.compile(
    r"(?<!tidal )(?<!rock )\b(?:swimming |paddling |outdoor )?pools?\b(?! tables?| of\b)"
)
"""Water that is built."""
THINGS = {name: _pattern(entry) for name, entry in _FILE["things"].items()}
"""What stands on the ground; longest match first, each character of a sentence is used once."""
GONE, HIGH, LOW, IMPOSSIBLE, PROTECT_BEFORE = (
    _pattern(_FILE["parts"][name])
    for name in ("gone", "high", "low", "impossible", "protected_before")
)


@dataclass(frozen=True)
class Mention:
    """A class word in a sentence. `name`: the land cover it means. `start`, `end`: where it stands,
    half-open, in characters."""

    name: str
    start: int
    end: int


def mentions(text: str) -> list[Mention]:
    """Class words from left to right; the longest wins where several match."""
    every = [Mention(n, m.start(), m.end()) for n, p in THINGS.items() for m in p.finditer(text)]
    taken: list[Mention] = []
    for one in sorted(every, key=lambda m: (m.start - m.end, m.start)):
        if all(one.end <= other.start or one.start >= other.end for other in taken):
            taken.append(one)
    return sorted(taken, key=lambda m: m.start)


# Not an edit of what the picture shows.
NOT_AN_EDIT = re.compile(
    r"^(?:please |pls |can you |could you |hey |ok "
    r")*(?:count|write|export|print|open|save|zoom|pan|measure|classif\w+|"
    r"calculate|compute|compare|download|upload|rename|set |who(?! needs)|which|what(?: is|'s| "
    r"are| time| was| does| kind)|how (?!would|will|does the|might|could)|when |where "
    r"(?:is|are|can)|"
    r"why |is (?!it possible)|are |does |do you|did "
    r"|tell|translate|sharpen|rotate|flip|crop|digiti[sz]e|georeference|reproject|resample|"
    r"load|import (?!the piece)|install (?!a |the |some |solar|panel|pv)|delete (?:this |the "
    r")?(?:layer|file|project)|undo$|help|hello|hi\b|thanks|thank you|label|style|"
    r"change the (?:colou?rs? of|symbol|projection|crs|font)|increase the "
    r"(?:resolution|transparency|contrast)|email|send|share|"
    r"show (?:me )?the (?:attribute|legend|metadata|histogram)|add (?:a )?(?:legend|north "
    r"arrow|scale ?bar|label|column|field to)|"
    r"run (?:the )?(?:model|script)|detect|segment|vectori[sz]e|extract|buffer|clip|"
    r"merge|join|turn "
    r"(?:on|off) the layer)"
)
FORBIDDEN = re.compile(
    r"\b(?:do not|don't|dont|never|must not|may not|mustn't|shall not|no need "
    r"to|stop)\s+(?!touch|damage|affect)\w+|"
    r"\b(?:not permitted|not allowed|is forbidden|is prohibited|don't want|do not want|nobody "
    r"may|no one may|"
    r"not decided|under no circumstances|forget the|precisely as is|(?:leave|leaving) "
    r"(?:it|everything|all|this|the \w+)(?: exactly)? as (?:it|they|is)|keep everything|nothing "
    r"(?:should|must) change|without any changes?)"
)

# At what was drawn as the exemplar: likened to it, or pointed at.
LIKENED = re.compile(
    r"(?<!different )\b(?:like|as|same as|similar "
    r"to|from|matching)\s+(?:(?:it|is|in|on|at|the|that|what|i|over|my|an|a)\s+){0,3}"
    r"(?:\w+\s+){0,2}?(?:there|here|this|that|these|"
    r"those|marked|drew|drawn|selected|selection|outlined|shown|exemplar|example|sample|"
    r"source|area|polygon|place|patch|one|box|rectangle|square|shape|layer)\b|"
    r"\bdo the same\b|\bthe same here\b"
)
POINTS_AT = re.compile(
    LIKENED.pattern
    + r"|\b(?:this|that|these|those|there)\b|\b(?:marked|outlined|highlighted|drawn|selected)\b"
)

UNLIKE = re.compile(r"\b(?:different|unlike|other than)\b")
PUTS = re.compile(r"\b(?:put|place|set|drop|move|stamp|bring)\b")
DEPTH = re.compile(
    r"\bdeep\b|\bdepths?\b|\babove (?:the |its |their "
    r")?(?:lowest|ground|surface|streets?|floors?|road|terrain|bank)"
)

# A level of water that counts from the elevation model's zero and not from the ground.
ELEVATION = re.compile(
    r"(?<!\d )(?<!\dm )\bto (?:about |around "
    r")?\d|\b(?:level|stage|elevation|altitude|height)s?\s*(?:of|at|is|to|=|:)?\s*(?:about "
    r"|around )?\d|\babove (?:mean )?sea|\ba\.?\s?m?\.?s\.?l\b|"
    r"\b(?:datum|contour|nhn|navd\w*|nap|odn)\b"
)

# A class in such a clause is to be left alone: before the marker, or after it.
PROTECT_AFTER = re.compile(
    r"(?:\bbut (?:not|leave|keep|spare|don't touch|do not touch|without)\b|\bexcept(?:ing)?(?: "
    r"for| on| over| in)?\b|\bapart from\b|"
    r"\bother than\b|\bsave "
    r"for\b|\bexcluding\b|\bleav(?:e|ing)\b|\bkeep(?:ing)?\b|\bspar(?:e|ing)\b|"
    r"\bavoid(?:ing)?\b|\bwithout "
    r"(?:touching|harming|affecting)\b|"
    r"\bjust not\b|\bnot (?:on|in|over|across|the|those|these|my|our)\b|\bcareful "
    r"(?:w/|with)\b|\b(?:don't|do not|dont|never) (?:touch|damage|affect|alter)\b|"
    r"\bpreserv(?:e|ing)\b|\bretain(?:ing)?\b|\bprotect(?:ing)?\b|\bmind the\b|\bbar "
    r"the\b|\bmaintain(?:ing)?\b|\bminus the\b)"
)

# Which side of a phrase is what comes (to) and what goes (from).
TO_FIRST = re.compile(
    r"\b(?:instead of|in place of|rather than|in lieu of|where (?:the |this |that |there |now "
    r")?(?:\w+ )?(?:was|were|used to|is now|stood|is a|are)?|"
    r"replacing|replaces?|takes? over(?: from)?|supersed\w+|on top of|on what (?:was|used to "
    r"be)|formerly|previously|once|which (?:was|were)|over|across|"
    r"on (?:the|this|that|these|those|a)|onto|in (?:the|this|that)|into (?:the|this) (?=\w+ "
    r"?$)|upon|not)\b"
)
FROM_FIRST = re.compile(
    r"\b(?:turn(?:s|ed|ing)? (?:\w+ )*?into|turned "
    r"to|into|become[s]?|became|becoming|(?:is|are|was|were|got|gets?) (?:being |now "
    r")*(?:redeveloped|converted|transformed|rezoned|"
    r"upgraded|made|changed|filled in|developed)(?: in| and)*(?: is now)? ?(?:into|to|as)?|is "
    r"now|are now|now|(?:replaced|swapped|exchanged|substituted) (?:by|with|for)|gives? way to|"
    r"makes? (?:way|room) for|has to (?:give way|make way|make room) (?:to|for)|cleared for|cut "
    r"down for|felled for|razed for|demolished for|dug up for|"
    r"(?:cover|fill|pave|sow|plant|seed|clad|carpet|green)\w* (?:\w+ ){0,4}?with|should be|shall "
    r"(?:be|become)|needs? to be|to be|sown with|and seeded with|up for|go(?:es)? back to|"
    r"revert(?:s|ed)? to|but(?! not)|to make (?:room|way) for|rezone \w+ to|to)\b"
)

VERBS_TO = (
    (
        "forest",
        re.compile(
            r"\b(?:plant(?!s? \w*(?:wheat|corn|crop))\w*|reforest\w*|afforest\w*|rewild\w*)\b"
        ),
    ),
    (
        "farmland",
        re.compile(
            r"\b(?:plough\w*|plow\w*|sow\w*|till(?:ed|ing)|harvest\w*|cultivat\w+|farmed|growing "
            r"crops|irrigat\w+)\b"
        ),
    ),
    (
        "parking",
        re.compile(
            r"\bpav(?:e|ed|ing)\b.*\bpark|\bleave their cars|\bcars are parked|\bfor (?:the "
            r")?cars\b|\brows of cars|\bstripe it\b|\bpark (?:their|your|the) cars?|\bplaces? to "
            r"park"
        ),
    ),
    ("road", re.compile(r"\bpav(?:e|ed|ing)\b(?!.*park)|\basphalt(?:ed)?\b|\btarmac\b")),
    (
        "bare",
        re.compile(
            r"\b(?:bulldoz\w+|scraped|excavat\w+|stripped|clear-?fell\w*|logged|overgraz\w+|"
            r"eroded|desertif\w+)\b"
        ),
    ),
    ("grass", re.compile(r"\b(?:mown|mowed|lawned|grazed|seeded)\b")),
    ("solar", re.compile(r"\bsun ?light into (?:power|electricity)|\bpv\b")),
    ("water", re.compile(r"\b(?:dam(?:med)? (?:the|up)|impound\w*|swim\w*|dredg\w+)\b")),
)
