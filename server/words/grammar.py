"""The rules: what a sentence asks for, of what, and what it leaves alone.

They know direction, negation and protection, which a pooled sentence vector cannot tell.
"""

from __future__ import annotations

import re

from . import land_cover, lexicon
from .lexicon import Mention, mentions
from .operations import CLASSES

QUALIFIED = r"(?:(?!flood|snow|fire|burn|fog|damage)[a-z-]+ ){0,2}"
"""What may stand between a denial and the thing that it is of."""
BUT_ONLY = re.compile(r"[,;] ?(?:only|just|but)\b|\bbut only\b")
"""What follows is wanted instead of what was denied."""
NO_THING = re.compile(r"^\s*(?:no|without|minus|zero)\s+(?!longer)")


def protected(text: str) -> tuple[str, str]:
    """The sentence without its protecting clause, and the class that clause names."""
    clauses = re.split(
        r"(?<=[,;:.])\s|\s(?=but |although |though |while |whereas |except|apart from|just not "
        r"|leaving |sparing |keeping |excluding )",
        text,
    )
    kept = []
    protect = ""
    for number, clause in enumerate(clauses):
        found = _guarded_class(clause, first=number == 0)
        if found and not protect:
            protect, remainder = found
            if remainder.strip():
                kept.append(remainder)
        else:
            kept.append(clause)
    rest = " ".join(kept)
    return (rest, protect) if rest.strip(" ,;:.") else (text, "")


def _guarded_class(clause: str, first: bool) -> tuple[str, str] | None:
    words = mentions(clause)
    if not words or re.search(r"\bnot (?:a|an) \w+(?: \w+)?,? but\b|\bnot \w+ but\b", clause):
        return None
    before = lexicon.PROTECT_BEFORE.search(clause)
    if before and words[0].start < before.start() and not first:
        return words[0].name, ""
    after = lexicon.PROTECT_AFTER.search(clause)
    if after:
        behind = [w for w in words if w.start >= after.start()]
        if behind:
            return behind[0].name, clause[: after.start()]
    return None


_RUINS = r"(?:ruin|rubble|debris|wreck|destroyed|damaged|collapsed|bombed|crater|burnt)"
INSTEAD_OF_RUINS = re.compile(
    r"\b(?:replac|turn|convert|transform|chang|clear|swap|redevelop)\w* (?:\w+ ){0,3}?"
    rf"{_RUINS}\w*(?: \w+){{0,4}} (?:with|by|into|to|for)\b"
    r"|\b(?:build|built|plant|put|lay|creat|mak|sow|add)\w* .*"
    rf"\b(?:where|instead of|in place of|on top of|over|on) .*{_RUINS}"
    rf"|{_RUINS}\w* (?:\w+ ){{0,3}}?(?:becom|became|replaced|turned into|gives? way|cleared|laid)"
)
"""Ground takes the place of what was damaged: the damage is what was, not what is to be."""


def operation_of(text: str) -> tuple[str, str, str]:
    """Operation, target class, source class; an empty operation where the rules know nothing."""
    if lexicon.NOT_AN_EDIT.search(text.strip()) or lexicon.IMPOSSIBLE.search(text):
        return "unknown", "", ""
    corrected = re.search(
        r"\bnot (?:a |an |the )?(.+?),? (?:but|it is|it's) (?:a |an |the )?(.+)", text
    )
    if corrected:
        gone = mentions(corrected.group(1))
        come = mentions(corrected.group(2))
        if gone and come and come[0].name in CLASSES:
            return come[0].name, come[0].name, gone[0].name
    if lexicon.FORBIDDEN.search(text):
        return "unknown", "", ""
    for name, pattern in lexicon.EVENTS.items():
        if pattern.search(text) and (name != "rows" or _sets_out(text, pattern)):
            return name, "", _object(text) if name == "copy" else ""
    text = lexicon.COMPOUNDS.sub(" ", text)
    if not lexicon.UNDAMAGED.search(text) or NONE_LEFT.search(text):
        return _plainly(text)
    # What denies damage may ask for something else beside it, but puts nothing there by itself.
    other = _plainly(lexicon.UNDAMAGED.sub(" ", text))
    return other if other[0] in ("remove", *lexicon.SCENES) and other[0] != "damage" else _UNKNOWN


DRIED = re.compile(
    r"\b(?:dried up|dry(?:ing)? (?:up|out)|run dry|ran dry|"
    r"(?:lakes?|ponds?|rivers?|creeks?|streams?|reservoirs?|canals?|pools?|basins?) "
    r"(?:(?:is|are|was|were|has|have|been|now|all|totally|completely) )+"
    r"filled(?: (?:in|up))?(?! with)|"
    r"fill(?:ed|ing)? in (?:the|this|that) \w+|less water|died in the drought|"
    r"only (?:naked |bare )?(?:earth|soil|sand|dirt|gravel))\b"
)
"""Water that goes."""
CLEARED = re.compile(
    r"\b(?:trees?|forests?|woods?|woodlands?|hedges?|orchards?) "
    r"(?:(?:is|are|was|were|has|have|been|got|now|all|totally|completely) )+"
    r"(?:clear-?(?:cut|felled)|felled|cut(?: down)?|logged|chopped(?: down)?|cleared|"
    r"grubbed(?: up| out)?)\b"
    r"(?! (?:(?:down|up|out) )?(?:for|to make|and|by)\b)"
)
"""Trees that went, said as what came of them."""
COLOURED = re.compile(r"\b(?:autumn|fall|autumnal) (?:colou?rs?|foliage|leaves|tones)\b")
"""Leaves that turn, wherever they hang."""
WITHOUT_CARS = re.compile(
    r"\b(?:without|free of|clear of|empty of|no) (?:any |all |the |its |parked )*"
    r"(?:cars?|vehicles?|traffic|trucks?|lorries)$"
)
"""Ground as it is, with no cars on it."""
THEN_PUT = re.compile(
    r"\b(?:and|then) (?:then )?(?:put|plant|lay|sow|seed|build|make|create|pave)\b"
)
"""What is to come after something was taken away."""
NONE_LEFT = re.compile(
    r"\b(?:none|few|no|hardly any|not (?:one|a single)|nothing|nobody)\b[^.]*"
    r"\b(?:surviv|escap|spared|withst)\w*"
)
"""Turns of phrase in which what was spared is denied."""
_UNKNOWN = ("unknown", "", "")


def _sets_out(text: str, rows: re.Pattern[str]) -> bool:
    """Whether rows of trees or panels are what is asked for, and not what something happens to."""
    said = wanted(text)
    told = said if SWAPS.search(text) else text
    scene = any(pattern.search(told) for pattern in lexicon.SCENES.values())
    happens = scene or GOES.search(told) or HAPPENS.search(told)
    return bool(rows.search(said)) and not happens and not _removal(text, mentions(text))


HAPPENS = re.compile(
    r"\b(?:repair\w*|restor\w*|destroy\w*|damag\w*|broken|hail|spring|summer|winter|replac\w*)\b"
)
"""What happens to rows that are there."""
GOES = re.compile(
    r"\b(?:felled|fallen|uprooted|gone|dead|dying|snapped|blown|bare|leafless|burn\w*|storm\w*|"
    r"autumn|without)\b"
)
"""What befell trees that stand there, and does not set new ones out."""
CUTS = re.compile(r"\b(?:remov|cut|fell|clear|delet|eras|chop|get rid)\w*")
"""Verbs by which leafless trees are to go, not leaves."""


def _plainly(text: str) -> tuple[str, str, str]:
    """The same of a text that says plainly what it wants."""
    words = mentions(text)
    if lexicon.SEASONS["leafless trees"].search(text) and not CUTS.search(text):
        return "season", "", ""
    removal = _removal(text, words)
    if removal:
        return removal
    scene = _scene(text)
    if scene is None:
        return _UNKNOWN
    if not scene or (scene == "damage" and INSTEAD_OF_RUINS.search(text)):
        return _land_cover(text, words)
    return scene, "", ""


def _scene(text: str) -> str | None:
    """The weather, light or disaster that a text asks for; empty: none; None: it denies the one
    that it names, so that the user is asked."""
    denied = " ".join(one.group() for one in lexicon.DENIED_SCENE.finditer(text))
    affirmed = lexicon.DENIED_SCENE.sub(" ", text)
    none = False
    for name, pattern in lexicon.SCENES.items():
        asked = pattern.search(affirmed)
        # "Damage, but not completely destroyed" still asks for damage.
        if pattern.search(denied) and not (asked and name == "damage"):
            none = True
        elif asked:
            return name
    return None if none else ""


def _object(text: str) -> str:
    return next(
        (
            w.name
            for w in mentions(text)
            if w.name in ("vehicles", "buildings", "residential", "industrial")
        ),
        "",
    )


def _denied(text: str, words: list[Mention]) -> tuple[str, str, str] | None:
    """What is to go, or has gone, by a turn of phrase that says that it is not there."""
    nothing = NO_THING.search(text)
    between = text[nothing.end() : words[0].start] if nothing and words else "?"
    if re.fullmatch(QUALIFIED, between) and not BUT_ONLY.search(text):
        return "remove", "", words[0].name
    if WITHOUT_CARS.search(text.strip()):
        return "remove", "", "vehicles"
    if CLEARED.search(text):
        return "bare", "bare", ""
    if DRIED.search(text):
        return "bare", "bare", next((w.name for w in words if w.name != "bare"), "")
    return None


def _removal(text: str, words: list[Mention]) -> tuple[str, str, str] | None:
    denied = _denied(text, words)
    if denied:
        return denied
    gone = lexicon.GONE.search(text)
    if not gone:
        return None
    others = {w.name for w in words if w.name in CLASSES}
    comes = lexicon.FROM_FIRST.search(text, gone.end()) or re.search(
        r"\b(?:and|now|only)\b", text[gone.end() :]
    )
    after = [w for w in words if w.start > gone.end() and w.name in CLASSES]
    if len(others) >= 2 and comes and after:
        first = words[0].name
        return (after[-1].name, after[-1].name, first) if after[-1].name != first else None
    if re.search(r"\b(?:snow|fog|haze|mist|smog|clouds?)\b", text) and not re.search(
        r"dense|heavy", text
    ):
        first = next((w.name for w in words if w.name in ("snow", "fog")), "")
        return "remove", "", first
    if after and THEN_PUT.search(text, gone.end()):
        return after[-1].name, after[-1].name, words[0].name
    return "remove", "", _nearest(words, gone)


def _nearest(words: list[Mention], gone: re.Match[str]) -> str:
    """What is to go, of what is named: what stands nearest to the word for it, things first."""
    near = sorted(
        words,
        key=lambda w: (
            w.name not in ("vehicles", "damage"),
            min(abs(w.start - gone.end()), abs(gone.start() - w.end)),
        ),
    )
    return near[0].name if near else ""


def _of_one(only: str, verb: str) -> tuple[str, str, str]:
    """The same of a text that names one class, or none (empty)."""
    if only in CLASSES and verb in ("", only):
        return only, only, ""
    return (verb, verb, only) if verb else ("", "", "")


def _land_cover(text: str, words: list[Mention]) -> tuple[str, str, str]:
    """Direction from the turn of phrase; a class without an operation as the target is unknown."""
    classes = [
        w
        for w in words
        if w.name in CLASSES or w.name in ("buildings", "shrub", "damage", "vehicles")
    ]
    verb = next((name for name, pattern in lexicon.VERBS_TO if pattern.search(text)), "")
    names = list(dict.fromkeys(w.name for w in classes))
    if len(names) < 2:
        return _of_one("".join(names), verb)
    if verb in names:
        return verb, verb, next(n for n in names if n != verb)
    first = classes[0]
    second = next(w for w in classes if w.name != classes[0].name)
    between = text[first.end : second.start]
    to, source = _directed(text, first, second, between)
    if to in CLASSES:
        return to, to, source
    return "", "", ""


def _directed(text: str, first: Mention, second: Mention, between: str) -> tuple[str, str]:
    lead = text[: first.start]
    if first.name == "water" and IN_GREEN.fullmatch(between) and second.name in GREEN:
        return first.name, ""  # a pond in the park lies there, and does not take all of it
    if re.search(
        r"\b(?:from|replac\w+|swap\w*|turn\w*|convert\w*|chang\w+|transform\w*|no "
        r"longer|formerly|was|were|used to be|make|instead of|rather than|in place "
        r"of|where|on|cover\w*|fill|pave|clad|this \w+ of|dig up|rezone)\s+(?:out |over |up "
        r")?(?:the |this |that |all |these |those |our |my |a |an |of )*(?:\w+ ){0,2}$",
        lead,
    ):
        if re.search(r"\b(?:replac\w+|swap\w*)\b", lead) and re.search(
            r"\bwith\b|\bby\b|\bfor\b", between
        ):
            return second.name, first.name
        if not re.search(r"\b(?:put|add|build|want\w*|see)\b", lead) or lexicon.FROM_FIRST.search(
            between
        ):
            return second.name, first.name
    if re.search(r"\bto\s+(?:the )?$", lead) and re.search(r"\bfrom\b", between):
        return first.name, second.name
    if lexicon.TO_FIRST.search(between) and not re.search(
        r"\b(?:into|become\w*|is now|with|but(?! not))\b", between
    ):
        return first.name, second.name
    if lexicon.FROM_FIRST.search(between):
        return second.name, first.name
    if re.search(r"\b(?:for|as)\b", between):
        return second.name, first.name
    return first.name, ""


IN_GREEN = re.compile(
    r" (?:with [a-z]+ )?in (?:the (?:middle|centre|center) of )?(?:the|this|that|a|our) "
    r"(?:\w+ )?(?:of (?:the |this |a |our )?)?"
)
"""Between water and the green that it lies in."""
GREEN = ("grass", "forest", "residential")
FILLERS = re.compile(
    r"\b(?:please|make|let|it|this|that|the|a|an|to|be|is|in|on|of|with|by|here|area|there|now|all"
    r"|half|some|deep|deeply|heavy|heavily|light|lightly|severe|severely|turn|into|metres?|meters?"
    r"|m|cm)\b"
)
"""Words that leave the meaning of others as it is."""


SWAPS = re.compile(r"\b(?:replac|swap|exchang|substitut)\w* .*?\b(?:with|by|for)\b")
"""What stands in front of what comes, in an exchange."""


def wanted(text: str) -> str:
    """The part of a sentence that says what is to be there, where a turn of phrase tells it from
    what was."""
    swapped = SWAPS.search(text)
    if swapped:
        return text[swapped.end() :]
    from_first = lexicon.FROM_FIRST.search(text)
    if from_first:
        return text[from_first.end() :]
    to_first = lexicon.TO_FIRST.search(text)
    return text[: to_first.start()] if to_first else text


def head(text: str) -> str:
    """The part of a phrase in front of where it lies: a hedge along the highway is a hedge."""
    return re.split(
        r"\b(?:along|next to|beside|besides|near|by the|to the|at the|around|behind|in front of|on "
        r"the|in the|of the|close to|towards?)\b", text, maxsplit=1,
    )[0]  # fmt: skip


def says_no_more(text: str, operation: str) -> bool:
    """Whether a sentence holds nothing but the words for an operation, amounts and fillers: then
    the rules suffice."""
    pattern = (
        lexicon.EVENTS.get(operation)
        or lexicon.SCENES.get(operation)
        or lexicon.THINGS.get(operation)
    )
    if pattern is None:
        return False
    rest = FILLERS.sub(" ", pattern.sub(" ", text))
    return not re.search(r"[^\W\d_]", rest)


BUILDINGS = re.compile(
    r"\b(?:houses?|homes?|buildings?|roofs?|town|village|city|block|church|quarter)\b"
)


def lacking(text: str) -> str:
    """What a text wants that nothing here makes by its name, said before any kind of ground: a
    bridge over the river is no river. Empty where there is no such thing."""
    asked = wanted(text)
    found = lexicon.UNAVAILABLE.search(asked)
    if not found:
        return ""
    first = next((word.start for word in mentions(asked) if word.name in CLASSES), len(asked))
    finer = land_cover.finer_in(asked)
    first = first if finer is None else min(first, finer.start)
    return found.group().strip() if found.start() <= first else ""


def damaged_by(text: str) -> bool:
    """Whether a landslide is what damages, not what is to be seen."""
    rest = re.sub(r"\b(?:land ?slides?|landslips?|mud ?slides?)\b", " ", text)
    return bool(BUILDINGS.search(rest) or lexicon.SCENES["damage"].search(rest))


BELOW_ZERO = re.compile(r"(?:^|(?<![\dm])\s)[-\u2212\u2013]\s?\d")
"""A number with a minus: neither a depth nor, most likely, a height."""


def meant(operation: str, text: str) -> bool:
    """Whether words leave no doubt that an operation is meant: damage is done to buildings, not to
    roads or crops."""
    if operation == "flood" and BELOW_ZERO.search(text):
        return False
    if operation != "damage":
        return True
    if lexicon.FELLED.search(text):
        return True
    if not lexicon.DAMAGED.search(text):
        return False
    return bool(BUILDINGS.search(text)) or not lexicon.ELSEWHERE.search(text)
