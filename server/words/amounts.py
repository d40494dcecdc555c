"""How much: severity, metres and depths that words say, as values of an editor's options."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..operators.damage import CAUSES, EARTHQUAKE
from ..operators.flood import LOWEST
from ..operators.lake import BROWN, CLEAN, POOL
from ..operators.rows import MIDDLE, PANELS
from ..operators.season import AUTUMN
from ..operators.snow import CLEARED, SNOWED_IN
from . import lexicon
from .land_cover import NAMES, OBJECTS

DEEPEST_M = 30.0
HIGHEST_M = 9000.0
"""Metres of water that are a depth; more of them are a height in the elevation model."""
SEVERITY_OPTIONS: dict[str, dict[str, dict[str, float]]] = {
    "burn": {"low": {"severity": 0.4}, "high": {"severity": 0.95}},
    "snow": {"low": {"cover": 0.55, "depth_cm": 2.0}, "high": {"cover": 1.0, "depth_cm": 40.0}},
    "fog": {"low": {"visibility_m": 900.0}, "high": {"visibility_m": 90.0, "patchiness": 0.3}},
    "flood": {"low": {"level_m": 0.4}, "high": {"level_m": 3.5}},
    "season": {"low": {"amount": 0.5}, "high": {"amount": 1.0}},
    "damage": {"low": {"severity": 0.25}, "high": {"severity": 1.0}},
    "night": {"low": {"light": 0.35}, "high": {"light": 0.06}},
}
_NUMBER = (
    r"(?<![\w.,])(\d+(?:[.,]\d+)?|one|two|three|four|five|half an?|ten|fifty|a "
    r"hundred|an?(?= met| foot| yard| inch))[\s-]*"
)
_METRES = re.compile(
    _NUMBER + r"(km|kilomet\w+|mm|millimet\w+|m|metres?|meters?|cm|centimet\w+|"
    r"ft|feet|foot|inch(?:es)?|yards?)\b"
)
_WORDS = {
    "one": 1,
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "half a": 0.5,
    "half an": 0.5,
    "a": 1,
    "an": 1,
    "ten": 10,
    "fifty": 50,
    "a hundred": 100,
}
_DEPTHS = {
    r"\bankle": 0.1,
    r"\bdoor ?steps?\b|\bthreshold": 0.25,
    r"\bknee": 0.5,
    r"\bwaist|\bwindow ?sills?": 1.0,
    r"\bchest|\bdoor ?handles?": 1.3,
    r"\beaves|\brooftops?\b|\broofs?\b|\bfirst floor": 3.0,
}
"""Depth of water in metres where it is said by what it reaches."""
_UNITS = {
    "k": 1000.0,
    "c": 0.01,
    "f": 0.3048,
    "i": 0.0254,
    "y": 0.9144,
    "mm": 0.001,
    "mi": 0.001,
    "m": 1.0,
}
"""Metres of a unit by its first letters, two before one."""


def severity_of(text: str) -> str:
    """low, high, or empty where the words say none; how hard it rained is no depth."""
    text = re.sub(r"\b(?:heavy|torrential|severe|strong) (?:rain\w*|downpours?)\b", " ", text)
    if lexicon.LOW.search(text):
        return "low"
    return "high" if lexicon.HIGH.search(text) else ""


def options_of(operation: str, severity: str, text: str) -> dict[str, Any]:
    """Option values that the words give: severity, and metres where they are said."""
    options: dict[str, Any] = dict(SEVERITY_OPTIONS.get(operation, {}).get(severity, {}))
    length = _METRES.search(text)
    if length:
        number = _WORDS.get(length.group(1)) or float(length.group(1).replace(",", "."))
        unit = length.group(2)
        metres = number * _UNITS.get(unit[:2], _UNITS[unit[0]])
        if operation == "flood" and 0 < metres < HIGHEST_M:
            options["level_m"] = metres
        elif operation == "fog" and 10 <= metres <= 20000:
            options["visibility_m"] = metres
        elif operation == "snow" and 0 < metres <= 3:
            options["depth_cm"] = metres * 100
    elif operation == "flood":
        options.update(
            next(
                ({"level_m": depth} for word, depth in _DEPTHS.items() if re.search(word, text)), {}
            )
        )
    if operation == "flood" and (
        lexicon.DEPTH.search(text)
        or not (lexicon.ELEVATION.search(text) or options.get("level_m", 0.0) > DEEPEST_M)
    ):
        options["counts_from"] = LOWEST
    if operation in SAID:
        options = (
            {**SAID[operation](text), **options} if length else {**options, **SAID[operation](text)}
        )
    if operation in OBJECTS:
        options["keep_objects"] = True
    if operation in NAMES:
        options["word"] = operation
    return options


def _affirmed(text: str) -> str:
    """A text without the things that it says are not to be there."""
    return lexicon.DENIED.sub(" ", text)


def _damage(text: str) -> dict[str, Any]:
    """What did it, and what it left, as far as the words say."""
    there = _affirmed(text)
    said = {name for name, pattern in lexicon.CAUSES.items() if pattern.search(there)}
    found: dict[str, Any] = {}
    cause = next((name for name in lexicon.CAUSES if name in said and name in CAUSES), "")
    if cause or "fell" in said:
        found["cause"] = cause or EARTHQUAKE
    if said & {"roofs", "sheets"}:
        # Roofs are broken, hardly any house falls, however hard it is said to be.
        found["severity"] = {"low": 0.2, "high": 0.5}.get(severity_of(text), 0.3)
    for name, options in _LEFT.items():
        found.update(options if name in said else {})
    found.update(next((amount for how, amount in _DEBRIS if re.search(how, text)), {}))
    share = 0.0 if _ALL.search(text) else _share(text)
    if share:
        # The operator's own scale: 1.3 s - 0.3 of the buildings fall, 1.7 s are hit at all.
        fall = re.search(r"destr|collaps|ruin|gone|fell|level", text)
        found["severity"] = round(min((share + 0.3) / 1.3 if fall else share / 1.7, 1.0), 2)
    elif "all" in said:
        found["severity"] = 1.0
    return found


_LEFT: dict[str, dict[str, Any]] = {
    "roofs": {"debris": 0.25},
    "sheets": {"tarpaulins": 0.85},
    "blocked": {"roads_cleared": False},
}
"""What words say of what is there afterwards."""
_PIECES = r"(?:debris|rubble|wreckage)"
_DEBRIS: tuple[tuple[str, dict[str, Any]], ...] = (
    (rf"\b(?:no|without(?: any)?|free of) {_PIECES}", {"debris": 0.0}),
    (rf"\b(?:little|hardly any|barely any|a bit of|not much) {_PIECES}", {"debris": 0.2}),
    (
        rf"\b(?:lots of|a lot of|much|heavy|dense|masses of|full of|covered (?:in|with)) {_PIECES}"
        rf"|\b{_PIECES} (?:everywhere|all over)",
        {"debris": 1.0},
    ),
)
"""How much lies about, by what is said of it."""
_BUILT = r"(?:houses?|buildings?|homes?|roofs?|structures?|blocks?)"
_ALL = re.compile(
    rf"\b(?:all|every|each)(?: of)?(?: the| these| its)? {_BUILT}\b|\ball destroyed\b"
)
_WHAT = (
    r"(?:of )?(?:the |these |those |its |their |this |it |them )?(?:(?!timbered)\w+ )?"
    rf"(?:{_BUILT}|town|village|city|quarter|neighbou?rhood|settlement|estate|damag\w*|destr\w*"
    r"|collaps\w*|ruin\w*|levelled|gone)\b"
)
_SHARES = {
    rf"\bthree quarters {_WHAT}": 0.75,
    rf"\btwo thirds {_WHAT}": 0.67,
    rf"\b(?:a |one )?(?<!three )quarter {_WHAT}": 0.25,
    rf"\b(?:a |one )?third {_WHAT}": 0.33,
    rf"\b(?<!other )half {_WHAT}": 0.5,
    rf"\bmost {_WHAT}": 0.75,
    rf"\bmany {_WHAT}": 0.6,
    rf"\b(?:a few|few|some|several|isolated|scattered|single) {_WHAT}": 0.2,
    r"\bhere and there\b": 0.2,
}


def _share(text: str) -> float:
    """Which share of the buildings, 0 where it is not said."""
    number = re.search(rf"(?<![\d.,])(\d{{1,3}}) ?(?:%|per ?cent) {_WHAT}", text)
    if number and 0 < int(number.group(1)) <= 100:
        return int(number.group(1)) / 100
    return next((share for said, share in _SHARES.items() if re.search(said, text)), 0.0)


def _season(text: str) -> dict[str, Any]:
    """Which season."""
    named = (name for name, said in lexicon.SEASONS.items() if said.search(text))
    found: dict[str, Any] = {"season": next(named, AUTUMN)}
    part = next((share for said, share in _PARTS.items() if re.search(said, text)), 0.0)
    share = re.search(r"(?<![\d.,])(\d{1,3}) ?(?:%|per ?cent)", text)
    if share and 0 < int(share.group(1)) <= 100:
        part = int(share.group(1)) / 100
    return found | ({"amount": part} if part else {})


_PARTS = {
    r"\b(?:half|some|partly|partially|50 ?%)\b": 0.5,
    r"\b(?:a third|few|a few|here and there)\b": 0.33,
}
"""How far a season has come, by what is said of how many."""


def _wave(text: str) -> dict[str, Any]:
    """What else a flood of the sea brings."""
    return {"mud": 0.95, "debris": 0.5} if lexicon.CAUSES["tsunami"].search(_affirmed(text)) else {}


def _burning(text: str) -> dict[str, Any]:
    """Whether it still burns."""
    return {"smoke": 0.6} if lexicon.BURNING.search(_affirmed(text)) else {}


def _lake(text: str) -> dict[str, Any]:
    """What the water is like."""
    if lexicon.POOL.search(text):
        return {"water": POOL}
    found = {BROWN: r"\bmuddy|\bbrown|\bsilty", CLEAN: r"\bclear\b|\bclean\b|\bblue\b"}
    return next(({"water": name} for name, said in found.items() if re.search(said, text)), {})


def _snow(text: str) -> dict[str, Any]:
    """What became of the snow on the roads."""
    deep = re.search(r"\bdeep(?:ly)?\b", lexicon.DENIED_SCENE.sub(" ", text))
    found: dict[str, Any] = {"depth_cm": 40.0} if deep else {}
    share = re.search(r"(?<![\d.,])(\d{1,3}) ?(?:%|per ?cent)", text)
    if share and 0 < int(share.group(1)) <= 100:
        found["cover"] = int(share.group(1)) / 100
    roads = r"(?:roads?|streets?|ways?|paths?)"
    for name, how in (
        (CLEARED, r"cleared|ploughed|plowed|swept|salted|free|open"),
        (SNOWED_IN, r"snowed in|covered|buried|blocked|impassable"),
    ):
        if re.search(
            rf"\b{roads} (?:are |were |have been )?(?:{how})\b|\b(?:{how}) {roads}\b", text
        ):
            return {**found, "roads": name}
    return found


_ALONG = re.compile(
    r"\b(?:along|beside|avenue|alleys?|row of|line of|street trees|tree[- ]?lined?|flank|border|"
    r"(?:either|both) sides?|with trees)\b"
)
"""One row, along what the polygon is drawn around."""


def _rows(text: str) -> dict[str, Any]:
    """What is set out, where, and how far apart."""
    found: dict[str, Any] = {}
    if re.search(r"\b(?:solar|pv|photovoltaic)\b", text):
        found["thing"] = PANELS
    elif _ALONG.search(text) and not re.search(r"\b(?:rows|lines|orchard)\b", text):
        found["layout"] = MIDDLE
    spacing = re.search(r"\bevery (\d+(?:\.\d+)?) ?(?:m|metres?|meters?)\b", text)
    if spacing:
        found["spacing_m"] = min(max(float(spacing.group(1)), 1.0), 500.0)
    return found


SAID = {
    "rows": _rows,
    "snow": _snow,
    "water": _lake,
    "flood": _wave,
    "burn": _burning,
    "season": _season,
    "damage": _damage,
}
"""What only the words of some operations tell."""


_AMOUNT = re.compile(
    r"(?<![\w.,])\d+(?:[.,]\d+)? ?(?:%|per ?cent|km|cm|mm|m|met(?:re|er)s?|ft|feet|foot|"
    r"inch(?:es)?|hectares?|ha|acres?)(?![\w%])"
)
_NUMBERED = re.compile(
    r"(?<![\w.,])\d+ (?:\w+ )?(?:trees|bays|spaces|houses|cars|panels|pitches|courts|car park)\b|"
    r"\b(?:half|a third|a quarter|two thirds) of (?:the|this|that)(?: \w+){1,2}"
    r"(?= becomes?| is| are)"
)
"""Things by number, and parts of what is there."""
_COUNTED = ("flood", "fog", "snow", "rows", "damage", "season")
"""Operations that know what a number is for."""


def unread(operation: str, text: str) -> str:
    """An amount in words that nothing here goes by, as it was said; empty: there is none."""
    found = _AMOUNT.search(text) if operation not in _COUNTED else None
    if found is None and operation not in ("rows", "damage"):
        found = _NUMBERED.search(text)
    return found.group().strip() if found else ""


def damage_told(options: Mapping[str, Any]) -> str:
    """What did a damage, and how far it goes, as far as the words say it."""
    told = [f"by {options['cause']}"] if "cause" in options else []
    if "severity" in options:
        fall = max(round(130 * options["severity"] - 30), 0)
        hit = min(round(170 * options["severity"]), 100) - fall
        told.append(f"about {fall} % of the buildings destroyed, {hit} % damaged")
    if options.get("tarpaulins"):
        told.append("with tarpaulins")
    return ", ".join(told)


def water_level(options: Mapping[str, Any]) -> str:
    """How high the water stands, as far as the words say it."""
    if "level_m" not in options:
        return ""
    level = f"{options['level_m']:.3g} m"
    if options.get("counts_from") == LOWEST:
        return f"{level} deep (with an elevation model: above its lowest ground)"
    return f"up to {level} of the elevation model, or {level} deep where that is below its ground"


def snow_told(options: Mapping[str, Any]) -> str:
    """How deep snow lies and what became of the roads, as far as the words say it."""
    told = [f"{options['depth_cm']:g} cm deep"] if "depth_cm" in options else []
    if "roads" in options:
        told.append(f"with roads {options['roads']}")
    return ", ".join(told)


def wave_told(options: Mapping[str, Any]) -> str:
    """What else water brings."""
    return "with mud and debris" if options.get("mud") and options.get("debris") else ""
