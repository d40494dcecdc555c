"""The contract's third room: words, what is understood of them, and what looks like them. The
standard library alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Tuple

from .message import Message, declare
from .requests import BAND_ROLES, MAX_PROMPT_CHARS, Extent, Polygons, RasterRef
from .routes import Route

ENSEMBLE_SOURCES = ("templates", "language model", "endpoint", "none")


@dataclass(frozen=True)
class InterpretationRequest(Message):
    """Words to be understood, what was chosen of the choices offered for them, and whether an
    exemplar is drawn."""

    prompt: str = declare("what should be there", longest=MAX_PROMPT_CHARS)
    operation: str = declare(
        "the operation of a choice, which is then what is meant", "", longest=40
    )
    exemplar: bool = declare(
        "whether there is a drawn exemplar, which words such as 'like there' point at", False
    )


@dataclass(frozen=True)
class Choice(Message):
    """An operation offered to the user when the words were not clear. `operation`: its id, which a
    request may carry. `title`: for the user. `score`: how likely it is meant, 0 to 1."""

    operation: str
    title: str
    score: float


@dataclass(frozen=True)
class Interpretation(Message):
    """What was understood of a prompt, in parts that the user can change.

    `prompt`: as it was asked. `operation`: id of what is to be done, as in a request; 'unknown'
    where that is not clear. `editor`: id of what does it; empty: nothing can. `understood`: a
    sentence for the user. `sure`: whether it may run without asking. `to_class`, `from_class`,
    `protect`: land cover that is to be there, to go, to stay; empty: none is named. `severity`: low
    or high; empty: not said. `choices`: what else may be meant, best first, where the words are not
    clear. `lacking`: what is asked for that nothing here makes by its name; empty: nothing.
    `own`: the word of an exemplar of the user's own that is filled with; empty: none is.
    """

    prompt: str
    operation: str
    editor: str
    understood: str
    sure: bool = False
    to_class: str = ""
    from_class: str = ""
    protect: str = ""
    severity: str = ""
    options: dict = declare("option values that the words give", dict)
    choices: Tuple[Choice, ...] = ()
    lacking: str = ""
    own: str = ""


@dataclass(frozen=True)
class Ensemble(Message):
    """Sentences that say the same as a prompt, the prompt first; asked for without `texts`."""

    prompt: str = declare("what should be there", longest=MAX_PROMPT_CHARS)
    source: str = declare("who writes them", "templates", choices=ENSEMBLE_SOURCES)
    count: int = declare("how many sentences, the prompt among them", 6, minimum=1, maximum=32)
    texts: Tuple[str, ...] = ()


@dataclass(frozen=True)
class SearchRequest(Message):
    """Look for windows of a raster that look like a word. `raster`: where. `extent`: only in this
    rectangle; None: all of it."""

    raster: RasterRef
    word: str = declare("a land-cover word", longest=200)
    extent: Optional[Extent] = None
    band_roles: dict[str, int] = declare(
        "band of a role, from 1", dict, keys=BAND_ROLES, minimum=1, maximum=4096
    )
    most: int = declare("how many windows", 5, minimum=1, maximum=20)


@dataclass(frozen=True)
class Found(Message):
    """One window. `polygons`: its outline in the raster's CRS. `agreement`: how well it agrees,
    higher is better."""

    polygons: Polygons
    agreement: float
    thumbnail_png: str = declare("base64", "")


@dataclass(frozen=True)
class SearchResult(Message):
    """What was found. `word`: that was looked for. `rule`: how. `found`: best first. `reason`: a
    sentence where nothing agrees enough."""

    word: str
    rule: str
    found: Tuple[Found, ...] = ()
    reason: str = ""


INTERPRETATIONS = Route(
    "POST",
    "/interpretations",
    "what a prompt is understood to ask for",
    request=InterpretationRequest,
    answer=Interpretation,
)
ENSEMBLES = Route(
    "POST",
    "/ensembles",
    "sentences that say the same as a prompt",
    request=Ensemble,
    answer=Ensemble,
)
SEARCHES = Route(
    "POST",
    "/searches",
    "windows of a raster that look like a word",
    request=SearchRequest,
    answer=SearchResult,
)
