"""Words to an operation, in parts the user sees and can change before pixels are made.

Rules first: they know direction, negation and what is to be left alone, which a
pooled sentence vector cannot tell. Where they find nothing, a linear head on
sentence embeddings (all-MiniLM-L6-v2, if it is installed) names the four most
likely operations as choices; it never runs one unasked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..contract.words import Choice, Interpretation
from ..ground.errors import BadRequest
from ..operators.lake import POOL
from . import amounts, grammar, land_cover, languages, lexicon
from .operations import CLASSES, OFFERED, OPERATIONS

EDITOR_OF = {
    "remove": "remove",
    "fill_like": "fill",
    "copy": "copy",
    "flood": "flood",
    "burn": "burn",
    "snow": "snow",
    "fog": "fog",
    "season": "season",
    "night": "low-light",
    "damage": "damage",
    "rows": "rows",
    "variation": "variation",
    "harmonise": "harmonise",
    **dict.fromkeys(CLASSES, "fill"),
    "water": "lake",
}
FILLS = re.compile(
    r"\b(?:please|make|put|place|add|build|create|fill|it|this|that|with|in|into|here|there|"
    r"the|a|an|some|more|new|our|to|be|should|want|i|we|like)\b"
)
"""Words around the name of an exemplar that ask for no more than that it be there."""
DENIES = re.compile(r"\b(?:no|not|never|without|don't|isn't|wasn't|what|which|who|how)\b")
"""Where these stand nothing is put there by its name."""
NEGATION = re.compile(r"\b(?:no|not|never|without|instead|rather|don't|isn't|wasn't)\b")
"""Where these stand, a pooled sentence vector is no witness against the rules."""
CALLED = {
    **{OPERATIONS[name].lower(): name for name in OFFERED},
    "low-light": "night",
    "fill": "fill_like",
}
"""Operations by the titles under which they are offered."""
Scores = Callable[[str], Mapping[str, float]]
NEAREST = 4
CLEAR = 0.6
UNLIKELY = 0.1


def interpret(
    prompt: str, scores_of: Scores, chosen: str = "", exemplar: bool = False
) -> Interpretation:
    """What the words ask for; `sure` is False where the user must choose.

    `scores_of`: the probability of each operation by sentence embedding, asked where the rules do
    not suffice; `chosen`: the operation of a choice that was offered for these words, which is then
    what they ask for; `exemplar`: whether one is drawn, at which words such as "like there" point.
    Raises BadRequest where what was chosen is no operation.
    """
    chosen = CALLED.get(chosen.strip().lower(), chosen)
    if chosen and chosen not in OFFERED:
        raise BadRequest(f"operation: '{chosen[:60]}' is none of {', '.join(OFFERED)}.")
    heard = _heard(prompt, exemplar)
    text, ruled = heard.text, heard.ruled
    choices: tuple[Choice, ...] = ()
    if not re.search(r"[^\W\d_]{2}", text):
        ruled = replace(ruled, operation="unknown")
    elif not (chosen or ruled.certain):
        choices = nearest(scores_of(heard.said))
    lacking = grammar.lacking(text) if _may_lack(ruled, chosen) else ""
    if lacking:
        choices = ()
    ruled = Ruled("unknown") if lacking else _weighed(ruled, text, choices, chosen)
    sure = ruled.operation not in ("", "unknown")
    ruled = _or_nearest(ruled, choices)
    operation = ruled.operation
    if sure and (heard.doubtful or not grammar.meant(operation, text)) and not chosen:
        sure, choices = False, _first_of(operation, choices)
    severity = amounts.severity_of(text) if operation in amounts.SEVERITY_OPTIONS else ""
    options = amounts.options_of(operation, severity, text) | _finer_options(ruled, chosen)
    able = tuple(choice for choice in choices if EDITOR_OF.get(choice.operation))
    found = Interpretation(
        prompt=prompt,
        operation=operation,
        editor=_editor_of(operation, exemplar or bool(lexicon.FLOWS.search(text)), ruled.word),
        understood="",
        sure=sure,
        to_class=ruled.to_class,
        from_class=ruled.from_class,
        protect="" if operation == "unknown" else heard.protect,
        severity=severity,
        options=options,
        choices=() if sure else able,
        lacking=lacking,
    )
    return replace(found, understood=heard.after(_with_amount(found, text)))


def _weighed(ruled: Ruled, text: str, choices: tuple[Choice, ...], chosen: str) -> Ruled:
    """What the rules found, against the sentence's meaning and the user's own choice."""
    if chosen:
        return _as_chosen(ruled, chosen)
    return replace(ruled, operation="") if _contradicted(ruled, text, choices) else ruled


def _may_lack(ruled: Ruled, chosen: str) -> bool:
    """Whether words that name what nothing here makes ask for that, and not for what the rules know
    of."""
    return not chosen and ruled.operation in ("", "unknown", "fill_like", *CLASSES)


def _or_nearest(ruled: Ruled, choices: tuple[Choice, ...]) -> Ruled:
    """The same, or the likeliest choice where the rules know nothing."""
    if ruled.operation:
        return ruled
    nearest_one = choices[0].operation if choices else "unknown"
    return replace(ruled, operation=nearest_one, to_class=_class_of(nearest_one), word="")


def _finer_options(ruled: Ruled, chosen: str) -> dict[str, Any]:
    """The option values of a finer kind of ground."""
    if chosen or not ruled.word:
        return {}
    return {"word": ruled.word, "keep_objects": ruled.word in land_cover.OBJECTS}


def _editor_of(operation: str, copied: bool, word: str) -> str:
    """What carries an operation out; an exemplar that is drawn, a finer kind, and water that has a
    course (`copied`) are filled with."""
    editor = EDITOR_OF.get(operation, "")
    return "fill" if operation in CLASSES and (copied or word) else editor


def with_own(found: Interpretation, own: Mapping[str, str]) -> Interpretation:
    """The same, or to fill with an exemplar of the user's own, where the words ask for that and for
    nothing else. `own`: what each of its words and names stands for."""
    rest, protect = grammar.protected(_plain(found.prompt))
    asked = FILLS.sub(" ", grammar.wanted(rest)).strip(" ,;:.!")
    word = own.get(re.sub(r"\s+", " ", asked), "")
    if not word or protect or DENIES.search(rest) or found.operation == "remove":
        return found
    return replace(
        found,
        operation="fill_like",
        editor="fill",
        understood=f"Fill with your own '{word}'",
        own=word,
        sure=True,
        to_class="",
        options={},
        choices=(),
        lacking="",
    )


def _as_chosen(ruled: Ruled, chosen: str) -> Ruled:
    """What the user chose, of what the words name."""
    from_class = ruled.from_class if ruled.from_class != chosen else ""
    return Ruled(chosen, _class_of(chosen), from_class)


def _first_of(operation: str, choices: tuple[Choice, ...]) -> tuple[Choice, ...]:
    """The choices with one more, or the same one, at their head."""
    others = (one for one in choices if one.operation != operation)
    return (Choice(operation, OPERATIONS[operation], 1.0), *others)


def _plain(prompt: str) -> str:
    """A prompt as the rules read it: lower case, one space between words and at both ends."""
    return " " + re.sub(r"\s+", " ", prompt.lower().replace("’", "'")).strip(" .!") + " "


MENDED = (
    "remove",
    "removed",
    "removing",
    "demolish",
    "demolished",
    "replace",
    "replaced",
    "flooded",
)
"""Verbs that turn a sentence round where they are not read."""
NO_SLIPS = frozenset({"remote", "removes", "remover", "removal", "replaces"})
"""Words of their own."""


WORD = re.compile(r"\b[A-Za-z]{5,10}\b")


def mended(word: str) -> str:
    """One of the verbs where a word is it but for one letter that is wrong, missing, too many or
    two that changed places; else empty."""
    if word in MENDED or word in NO_SLIPS:
        return ""
    return next((verb for verb in MENDED if _is_slip(word, verb)), "")


def _is_slip(word: str, verb: str) -> bool:
    if abs(len(word) - len(verb)) > 1 or word[0] != verb[0]:
        return False
    start = next((i for i, (a, b) in enumerate(zip(word, verb, strict=False)) if a != b), None)
    if start is None:
        return len(word) < len(verb)  # its last letter is missing: what is longer has an ending
    ours, theirs = word[start:], verb[start:]
    swapped = len(ours) > 1 and ours[0] == theirs[1:2] and ours[1] == theirs[0]
    return (
        ours[1:] == theirs[1:]
        or ours[1:] == theirs
        or ours == theirs[1:]
        or (swapped and ours[2:] == theirs[2:])
    )


def _class_of(operation: str) -> str:
    """The land cover that an operation makes; empty where it makes none."""
    return operation if operation in CLASSES else ""


@dataclass(frozen=True)
class Ruled:
    """What the rules found. `operation`: empty where they know nothing. `to_class`, `from_class`:
    the land cover that is to be there, and the one that was. `certain`: nothing else need be asked.
    `word`: a finer kind of ground, which libraries of exemplars hold.
    """

    operation: str
    to_class: str = ""
    from_class: str = ""
    certain: bool = False
    word: str = ""


@dataclass(frozen=True)
class Heard:
    """A prompt as the rules read it. `said`: in English. `text`: the same, plain. `protect`: what
    is to be left alone. `ruled`: what the rules found. `reading`: how it was read, where it is in
    another language."""

    said: str
    text: str
    protect: str
    ruled: Ruled
    reading: languages.Reading | None = None

    def after(self, said: str) -> str:
        """What was understood, and how it was read where it was in another language."""
        return f"{said.rstrip('.')}. {self.reading.told()}" if self.reading else said

    @property
    def doubtful(self) -> bool:
        """Whether there are words that were not read, which may turn the sentence round."""
        return self.reading is not None and bool(self.reading.unread)


def _heard(prompt: str, exemplar: bool) -> Heard:
    """A prompt as English, or, where it is in another language, read so; slips in what is to be
    done mended."""
    prompt = WORD.sub(lambda word: mended(word[0].lower()) or word[0], prompt)
    reading = languages.in_english(prompt)
    english = _as_said(prompt, exemplar)
    # A word or two may be of both languages: what the rules know is English.
    if reading and (reading.foreign > 1 or english.ruled.operation in ("", "unknown")):
        return replace(_as_said(reading.english, exemplar), reading=reading)
    return english


def _as_said(said: str, exemplar: bool) -> Heard:
    text = _plain(said)
    rest, protect = grammar.protected(text)
    ruled = _by_rules(text, rest, exemplar)
    return Heard(said, text, protect, ruled if exemplar else _finer(rest, ruled))


def _by_rules(text: str, rest: str, exemplar: bool) -> Ruled:
    """What the rules make of a sentence, `rest` being without its protecting clause."""
    operation, to_class, from_class = grammar.operation_of(rest)
    pointed = exemplar and bool(lexicon.POINTS_AT.search(text))
    likened = exemplar and bool(lexicon.LIKENED.search(text))
    likened = likened and operation in ("variation", "repair", "harmonise")
    denied = NEGATION.search(text) or lexicon.UNLIKE.search(text)
    if (likened or (pointed and not operation)) and not denied:
        operation = "copy" if lexicon.PUTS.search(text) else "fill_like"
        to_class = ""
    # Where the user drew what is meant, a sentence vector has no say.
    drawn = pointed and operation in ("fill_like", "copy", *CLASSES)
    certain = drawn or (bool(operation) and grammar.says_no_more(text, operation))
    # A sentence vector hears the forest, not that it is gone or turns red.
    gone = grammar.CLEARED.search(rest) or grammar.DRIED.search(rest)
    gone = gone or grammar.WITHOUT_CARS.search(rest.strip())
    coloured = operation == "season" and grammar.COLOURED.search(rest)
    certain = certain or bool(gone or coloured)
    return Ruled(operation, to_class, from_class, certain)


def _finer(text: str, ruled: Ruled) -> Ruled:
    """The same where the words name a finer kind of ground, as what is to be there."""
    text = lexicon.DENIED.sub(" ", text)
    wanted = grammar.wanted(text if grammar.SWAPS.search(text) else grammar.head(text))
    named = land_cover.finer_in(wanted)
    whole = land_cover.finer_in(text)
    if whole is not None and whole.kind.name == "solar roof":  # "on the roofs" is no place else
        named = whole
    if named is None:
        return ruled
    kind = named.kind
    # A baseball field is no field: where the words of the finer kind alone named the other one.
    others = [
        word
        for word in lexicon.mentions(wanted)
        if word.name in CLASSES and (word.end <= named.start or word.start >= named.end)
    ]
    if ruled.operation in (*CLASSES, "") and kind.parent != ruled.operation and not others:
        ruled = replace(ruled, operation=kind.parent, to_class=kind.parent)
    if kind.parent and kind.parent == ruled.operation:
        return replace(ruled, word=kind.name)
    if ruled.operation == "damage" and kind.name == "landslide" and not grammar.damaged_by(text):
        ruled = replace(ruled, operation="")
    if ruled.operation or DENIES.search(text):
        return ruled
    return Ruled("fill_like", "", ruled.from_class, True, kind.name)


def _contradicted(ruled: Ruled, text: str, choices: tuple[Choice, ...]) -> bool:
    """Whether the sentence's meaning speaks clearly against what the rules found: then the user is
    asked. Where words deny something, a pooled vector is no witness."""
    if not (choices and ruled.operation) or ruled.certain or NEGATION.search(text):
        return False
    scores = {choice.operation: choice.score for choice in choices}
    return choices[0].score >= CLEAR and scores.get(ruled.operation, 0.0) < UNLIKELY


def nearest(scores: Mapping[str, float]) -> tuple[Choice, ...]:
    """The four most likely operations; none where the sentence model is not installed."""
    best = sorted(scores.items(), key=lambda pair: -pair[1])[:NEAREST]
    return tuple(Choice(name, OPERATIONS[name], round(score, 3)) for name, score in best)


def _what(found: Interpretation) -> str:
    """What is to be done, for the user."""
    title = OPERATIONS[found.operation]
    word = str(found.options.get("word", ""))
    kind = land_cover.kind_of(word)
    if kind is not None and not kind.searchable and found.editor == "fill":
        return f"Fill with {word} (from a library of exemplars)"
    if word and word != found.operation and found.editor == "fill":
        return f"Fill with {word} (found in the layer, else in a library of exemplars)"
    if found.editor == "lake":
        water = str(found.options.get("water", ""))
        lake = f"{water} lake with a shore".strip()
        return (POOL if water == POOL else lake).capitalize()
    if found.operation in CLASSES:
        return f"Fill with {title.lower()} (found in the layer, else in a library of exemplars)"
    return title


def _with_amount(found: Interpretation, text: str) -> str:
    """What was understood, and which amount of the words is not gone by."""
    said = _sentence(found)
    amount = amounts.unread(found.operation, text) if found.sure else ""
    if not amount:
        return said
    if "%" in amount or "cent" in amount or re.search(r"\bdeep\b", text):
        return f"{said}. '{amount}' is not gone by."
    return f"{said}. '{amount}' is not gone by: draw the polygon as large as it should be."


def _sentence(found: Interpretation) -> str:
    """What was understood, for the user to read."""
    operation = found.operation
    from_class = found.from_class
    if found.lacking:
        return (
            f"Nothing here makes '{found.lacking}' by its name. Draw an exemplar of it, in this or "
            "another layer, and use 'Fill like there' or 'Copy', or keep one in your library."
        )
    if operation == "unknown":
        return "I don't know how to do that. Choose an operation, or say it in other words."
    parts = [_what(found)]
    if operation == "remove" and from_class:
        parts = [f"Remove: {from_class}"]
    elif from_class and operation != from_class:
        parts.append(("of " if operation == "copy" else "in place of ") + from_class)
    if operation == "flood":
        parts += [amounts.water_level(found.options), amounts.wave_told(found.options)]
    if operation == "snow":
        parts.append(amounts.snow_told(found.options))
    if operation == "damage":
        parts.append(amounts.damage_told(found.options))
    elif found.severity:
        parts.append(f"({found.severity} severity)")
    if found.protect:
        parts.append(f"- leave {found.protect} alone (draw it under 'Leave as it is')")
    sentence = " ".join(filter(None, parts))
    return sentence if found.sure else f"Perhaps: {sentence}. Please choose."
