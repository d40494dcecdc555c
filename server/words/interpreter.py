"""Words to an operation, in parts the user sees and can change before pixels are made.

Rules first: they know direction, negation and what is to be left alone, which a
pooled sentence vector cannot tell. Where they find nothing, a linear head on
sentence embeddings (all-MiniLM-L6-v2, if it is installed) names the four most
likely operations as choices; it never runs one unasked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..contract.words import Choice, Interpretation
from ..editors.base import LAND_COVERS
from ..editors.operators import LOWEST
from ..ground.errors import BadRequest
from ..models import sentences
from . import lexicon
from .lexicon import (
    CLASSES,
    FROM_FIRST,
    OPERATIONS,
    PROTECT_AFTER,
    PROTECT_BEFORE,
    TO_FIRST,
    Mention,
    mentions,
)

EVENTS: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "copy",
        re.compile(
            r"\b(?<!carbon "
            r")(?:cop(?:y|ies)(?:-?paste)?|paste|duplicat\w*|clon\w+|replica|twin|stamp|reuse|transplant|"
            r"put another (?:one )?like|repeat the (?:marked|selected)|same object again|one "
            r"more of (?:the|those)|another one of those|replicat\w+|second time|set it "
            r"down|carry the (?:outlined|marked|selected|boxed)|one more (?:exemplar|of "
            r"the)|from the other polygon)\b"
        ),
    ),
    (
        "harmonise",
        re.compile(
            r"\b(?:harmoni[sz]\w*|feather(?:ed|ing)?|seams?|seamless\w*|blend\w*|soften|equali[sz]e|smooth(?:en)? "
            r"(?:out )?(?:the )?(?:transition|edge|border|seam|join)|"
            r"hard (?:line|edge|border)|colou?r[- ]?match\w*|match (?:the "
            r")?(?:colou?rs?|tone|brightness|hue)|do(?:es)? not fit|does ?n't fit|sticks? out like|"
            r"tone (?:it|the)|brightness (?:between|difference|jump)|colou?r "
            r"(?:cast|jump|step|difference)|looks? pasted|cut-?out|visible "
            r"(?:edge|border|join)|stitch\w*|fit in better|tint|stuck on|halo|mosaic line|into "
            r"the background|edges? visible|(?:adapt|match|fix) (?:the "
            r")?(?:lighting|light|shadows?)|shadows? (?:on|of) the "
            r"(?:inserted|copied|pasted)|odd one out|collage)\b"
        ),
    ),
    (
        "variation",
        re.compile(
            r"\b(?:variation|variant|re-?roll|another "
            r"(?:take|version|try|go|arrangement|layout|one like)|different "
            r"(?:version|take|arrangement|layout|pattern)|"
            r"shuffle|reshuffle|rearrange\w*|remix|alternative|try again|once more|same (?:\w+ "
            r"){0,3}but|same kind|again but|"
            r"mix (?:it|them|things) up|(?:laid out|arranged|distributed) "
            r"(?:otherwise|differently|some other way)|some other way|different rows|what else "
            r"could|layout bores|otherwise arranged|redo (?:it|this)|new seed|regenerate)\b"
        ),
    ),
    (
        "repair",
        re.compile(
            r"\b(?:repair\w*|rebuil[dt]\w*|restor\w+|fix(?:ed|ing)?\b|undo (?:the |all "
            r")?\w*|mend\w*|heal|re-?roof|revert (?:the )?(?:destruction|damage)|pre-war|"
            r"before the (?:storm|quake|earthquake|fire|flood|disaster|war|tornado|hurricane|tsunami|bomb\w*|attack)|never "
            r"(?:happened|hit|struck)|good as new|"
            r"reconstruct\w*|reinstat\w+|un-?collapse|undamage|back (?:from ruin|on its feet|to "
            r"normal)|missed (?:this|the|our)|(?:is|be) undone|never (?:have )?come|nothing "
            r"(?:collapsed|burned|happened)|"
            r"stands? green again|close the gap|un-?do\b|patch up|fill in the craters|as if "
            r"(?:nothing|no \w+) |as though (?:nothing|the \w+ had never)|intact again|as it "
            r"(?:was|looked|used to be)(?: \w+){0,4} before|put it back|undamaged|prior to "
            r"the|patched up|made whole|renovat\w+)"
        ),
    ),
    (
        "fill_like",
        re.compile(
            r"\b(?:same (?:stuff|surface|texture|ground|cover|material|pattern|as|land "
            r"?cover|vegetation)|texture of|texture from|like (?:the "
            r")?(?:area|surroundings|sample|zone|polygon|there|that|over "
            r"there|next|neighbou?r\w*|adjacent)|"
            r"look like (?:its|the) (?:surround\w*|area|neighbou?r\w*)|extend the|continu\w+ "
            r"(?:of|the)|identical ground|what surrounds|sample (?:the|zone|area)|match the "
            r"(?:ground|land|area|field|surrounding)|"
            r"like over there|adjoining|adjacent (?:land|area|ground|field)|next to "
            r"it|surrounding (?:ground|land|pattern|texture|vegetation)|spread it over|"
            r"exemplar|reference (?:area|polygon|patch)|as the (?:marked|selected|other)|fill "
            r"(?:it|this|in|the (?:gap|hole|void)) (?:with|using|from) (?:the "
            r")?(?:sample|surround\w*|neighbou?r\w*|adjac\w*|marked|same))"
        ),
    ),
)

SCENES: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "night",
        re.compile(
            r"\b(?:(?<!last )(?<!over)night(?!marish)(?:-?time|fall)?|dusk|dark(?:ness|en)?(?! "
            r"green| patch)|twilight|moonl\w+|evening|nocturnal|blackout|low light|poor light|"
            r"sun(?:set| has set| is down| gone)|after sundown|dawn|midnight|daylight "
            r"(?:off|gone|fading)|lights? out|gloom\w*|street ?lamps|dim(?:med|ly)?\b|"
            r"before sunrise|no sunlight|underexposed)\b"
        ),
    ),
    (
        "snow",
        re.compile(
            r"\b(?:snow\w*|wint(?:er|ry)\w*|blizzard|frost\w*|frozen|ski|powder|flakes|icy|ice-?cover\w*|whiten|sleet|january "
            r"in the alps|white christmas|hoar|white blanket|flurries|christmas|plough "
            r"hasn't|sledg\w+|avalanche-prone|drifts)\b"
        ),
    ),
    (
        "fog",
        re.compile(
            r"\b(?:fog\w*|haz[ey]\w*|mist\w*|smog\w*|low "
            r"(?:visibility|cloud)|visibility|murk(?!y water)|clouds?|overcast|dust in the "
            r"air|sandstorm|dust storm|vapou?r|"
            r"washed out|pea-?soup\w*|can'?t see (?:further|farther|more)|smoke "
            r"(?:over|drift\w*|plume|hangs?)|milky|gauze|steam rising|(?:can )?barely make "
            r"out|fumes|dust hanging|bank of white|grey veil|soup)\b"
        ),
    ),
    (
        "burn",
        re.compile(
            r"\b(?:burn(?:s|t|ed|ing)?(?! "
            r"off)|fires?|wild-?fires?|bush-?fires?|char(?:red|coal)?|scorch\w*|singed|torched|ablaze|flames?|ash(?:es)?|"
            r"blackened|incinerat\w+|arson|cinders?|embers?|smoulder\w*|lightning strike|went up "
            r"in smoke|blaze|gone up like|inferno)\b"
        ),
    ),
    (
        "flood",
        re.compile(
            r"\b(?:flood\w*|inundat\w*|submerg\w*|under ?water|tsunami|storm surge|surge|dam "
            r"(?:gave way|break|failure|burst)|dyke|dike|levee|burst its banks|"
            r"over its banks|overflow\w*|waterlogg\w*|(?:ankle|knee|waist|chest)-deep|water "
            r"(?:standing|level|rises|rising|stands|up to)|murky water|brown water|"
            r"1-in-\d+|100-year|sea level rise|high tide|river rises|under (?:a |one |two |\d+ "
            r")?(?:metres?|meters?|feet|m) of water|metres? of water|swamped|deluge|"
            r"rainstorm|cloudburst|spring tide|wade|standing water|drown\w*|overtopp\w*|under "
            r"the sea|melt ?water|backed up|peaked at|muddy sheet|kerb level|canoe|bursting|high "
            r"water|water ?logging|boats? instead of cars|freshet)\b|rise[sn]? by (?:\w+ "
            r")?(?:metre|meter|m\b|feet)"
        ),
    ),
    (
        "damage",
        re.compile(
            r"\b(?:damag\w*|destroy\w*|destruct\w*|collaps\w*|rubble|ruin(?:s|ed)?|quake\w*|earthquake|tornado\w*|hurricane|cyclone|typhoon|landslide|shell(?:ing|ed)|bomb\w*|"
            r"crater\w*|wreck\w*|caved in|torn off|tore (?:the )?roofs?|explo\w+|blast\w*|air "
            r"?strike|drone strike|missile\w*|levelled by|demolished by|half fallen|"
            r"unsound|blew (?:some )?tiles|twister|debris (?:everywhere|field|all over)|war(?: "
            r"zone|-torn)|crush\w*|smash\w*|mudslide|landslip|tornade|direct hit|dropped "
            r"into|carried away|EF\d|mortar|strafed|quak|hail\w*|storm "
            r"hit|roofless|toppled|sinkhole|avalanche|eruption|lava)\b"
        ),
    ),
)

GONE = re.compile(
    r"\b(?:remov\w*|eras\w*|delet\w*|get rid of|got rid of|take (?:\w+ ){1,3}away|take "
    r"(?:out|away)|wip(?:e|ed) out|vanish\w*|disappear\w*(?! for good beneath)|gone(?! dark| up| "
    r"through)|go away|"
    r"clean(?:ed)? up|cleared?(?! (?:for|last)| air| kept)(?: away| of| out)|haul\w* "
    r"off|should(?: not|n't) be there|not be there|pull(?:ed)? down|tor?(?:e|n) "
    r"down|knock(?:ed)? down|demolish\w*(?! by)|"
    r"dismantl\w+|scrap(?:ped)?\b|without (?:it|them|the|any)|no longer "
    r"(?:there|here|exist\w*)|with no|free of|melt\w*|thaw\w*|lift(?:s|ed)|burn "
    r"off|drain\w*|chop\w*|cut (?:them )?down(?! for)|"
    r"fell(?:ed)? (?:the|all|these|those)|raz(?:e|ed)\b(?! and)|tow(?:ed)? away|evict\w*|strip "
    r"(?:away|out)|towed|driven off|moved away|sold|clear the|declutter|omit|drop the|lose "
    r"the|make .* invisible|edit (?:it|them|that|this)? ?out|whisk\w*|retouch\w*|hide|minus "
    r"the|(?:not|n't|nt) want to see|never (?:erected|built|been there)|as if it had never|bye "
    r"bye|off the picture|get rid off|take it off|photoshop (?:it|them)? ?out)\b"
)
NO_THING = re.compile(r"^\s*(?:no|without|minus|zero)\s+(?!longer)")
EDITOR_OF = {
    "remove": "remove",
    "fill_like": "fill",
    "copy": "copy",
    "flood": "flood",
    "burn": "burn",
    "snow": "snow",
    "fog": "fog",
    "night": "low-light",
    "variation": "variation",
    "harmonise": "harmonise",
    **dict.fromkeys(CLASSES, "fill"),
}
NEGATION = re.compile(r"\b(?:no|not|never|without|instead|rather|don't|isn't|wasn't)\b")
"""Where these stand, a pooled sentence vector is no witness against the rules."""
OFFERED = tuple(name for name in OPERATIONS if name != "unknown")
"""What can be chosen, as an operation to carry out."""
CALLED = {
    **{OPERATIONS[name].lower(): name for name in OFFERED},
    "low-light": "night",
    "fill": "fill_like",
}
"""Operations by the titles under which they are offered."""
DEEPEST_M = 30.0
HIGHEST_M = 9000.0
"""Metres of water that are a depth; more of them are a height in the elevation model."""
NEAREST = 4
CLEAR = 0.6
UNLIKELY = 0.1
SEVERITY_OPTIONS: dict[str, dict[str, dict[str, float]]] = {
    "burn": {"low": {"severity": 0.4}, "high": {"severity": 0.95}},
    "snow": {"low": {"cover": 0.55, "depth_cm": 2.0}, "high": {"cover": 1.0, "depth_cm": 40.0}},
    "fog": {"low": {"visibility_m": 900.0}, "high": {"visibility_m": 90.0, "patchiness": 0.3}},
    "flood": {"low": {"level_m": 0.4}, "high": {"level_m": 3.5}},
    "night": {"low": {"light": 0.35}, "high": {"light": 0.06}},
}
OBJECT_CLASSES = ("residential", "parking", "road", "industrial", "solar")
_NUMBER = (
    r"(?<![\w.,])(\d+(?:[.,]\d+)?|one|two|three|four|five|half an?|ten|fifty|a "
    r"hundred|an?(?= met| foot| yard| inch))[\s-]*"
)
_METRES = re.compile(
    _NUMBER
    + r"(km|kilomet\w+|mm|millimet\w+|m|metres?|meters?|cm|centimet\w+|ft|feet|foot|inch(?:es)?|yards?)\b"
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


def interpret(prompt: str, chosen: str = "", exemplar: bool = False) -> Interpretation:
    """What the words ask for; `sure` is False where the user must choose.

    `chosen`: the operation of a choice that was offered for these words, which is then what they
    ask for; `exemplar`: whether one is drawn, at which words such as "like there" point. Raises
    BadRequest where what was chosen is no operation.
    """
    chosen = CALLED.get(chosen.strip().lower(), chosen)
    if chosen and chosen not in OFFERED:
        raise BadRequest(f"operation: '{chosen[:60]}' is none of {', '.join(OFFERED)}.")
    text = " " + re.sub(r"\s+", " ", prompt.lower().replace("’", "'")).strip(" .!") + " "
    rest, protect = _protected(text)
    operation, to_class, from_class = _operation(rest)
    choices = nearest(prompt)
    if not re.search(r"[^\W\d_]{2}", text):
        operation = "unknown"
        choices = ()
    pointed = exemplar and bool(lexicon.POINTS_AT.search(text))
    likened = (
        exemplar
        and bool(lexicon.LIKENED.search(text))
        and operation in ("variation", "repair", "harmonise")
    )
    if (pointed and not operation or likened) and not (
        NEGATION.search(text) or lexicon.UNLIKE.search(text)
    ):
        operation = "copy" if lexicon.PUTS.search(text) else "fill_like"
        to_class = ""
    # Where the user drew what is meant, or chose it, a sentence vector has no say.
    drawn = pointed and operation in ("fill_like", "copy", *CLASSES)
    if (
        choices
        and operation
        and not drawn
        and not NEGATION.search(text)
        and _contradicted(operation, choices)
    ):
        operation = ""
    if chosen:
        operation = chosen
        to_class = chosen if chosen in CLASSES else ""
        from_class = from_class if from_class != chosen else ""
    sure = operation not in ("", "unknown")
    if not operation:
        operation = choices[0].operation if choices else "unknown"
        to_class = operation if operation in CLASSES else ""
    severity = _severity(text)
    if operation == "unknown":
        protect = ""
    found = Interpretation(
        prompt=prompt,
        operation=operation,
        editor=EDITOR_OF.get(operation, ""),
        understood="",
        sure=sure,
        to_class=to_class,
        from_class=from_class,
        protect=protect,
        severity=severity,
        options=_options(operation, severity, text),
        choices=()
        if sure
        else tuple(choice for choice in choices if EDITOR_OF.get(choice.operation)),
    )
    return replace(found, understood=_sentence(found))


def _contradicted(operation: str, choices: tuple[Choice, ...]) -> bool:
    """Whether the sentence's meaning speaks clearly against what the rules found: then the user is
    asked."""
    scores = {c.operation: c.score for c in choices}
    return choices[0].score >= CLEAR and scores.get(operation, 0.0) < UNLIKELY


def nearest(prompt: str) -> tuple[Choice, ...]:
    """The four most likely operations by sentence embedding; none where the model is not
    installed."""
    scores = sentences.operation_scores(prompt)
    best = sorted(scores.items(), key=lambda pair: -pair[1])[:NEAREST]
    return tuple(Choice(name, OPERATIONS[name], round(score, 3)) for name, score in best)


def _severity(text: str) -> str:
    if lexicon.LOW.search(text):
        return "low"
    return "high" if lexicon.HIGH.search(text) else ""


def _protected(text: str) -> tuple[str, str]:
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
    before = PROTECT_BEFORE.search(clause)
    if before and words[0].start < before.start() and not first:
        return words[0].name, ""
    after = PROTECT_AFTER.search(clause)
    if after:
        behind = [w for w in words if w.start >= after.start()]
        if behind:
            return behind[0].name, clause[: after.start()]
    return None


def _operation(text: str) -> tuple[str, str, str]:
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
    for name, pattern in EVENTS:
        if pattern.search(text):
            return name, "", _object(text) if name == "copy" else ""
    words = mentions(text)
    removal = _removal(text, words)
    if removal:
        return removal
    scene = next((name for name, pattern in SCENES if pattern.search(text)), "")
    if scene and not (
        scene == "damage" and re.search(r"rubble cleared|debris cleared|laid\b", text)
    ):
        return scene, "", ""
    return _land_cover(text, words)


def _object(text: str) -> str:
    return next(
        (
            w.name
            for w in mentions(text)
            if w.name in ("vehicles", "buildings", "residential", "industrial")
        ),
        "",
    )


def _removal(text: str, words: list[Mention]) -> tuple[str, str, str] | None:
    if NO_THING.search(text) and words:
        return "remove", "", words[0].name
    if re.search(
        r"\b(?:dried up|run dry|ran dry|died in the drought|only (?:naked |bare "
        r")?(?:earth|soil|sand|dirt|gravel))\b",
        text,
    ):
        return "bare", "bare", next((w.name for w in words if w.name != "bare"), "")
    gone = GONE.search(text)
    if not gone:
        return None
    others = {w.name for w in words if w.name in CLASSES}
    comes = FROM_FIRST.search(text, gone.end()) or re.search(
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
    near = sorted(
        words,
        key=lambda w: (
            w.name not in ("vehicles", "damage"),
            min(abs(w.start - gone.end()), abs(gone.start() - w.end)),
        ),
    )
    return "remove", "", near[0].name if near else ""


def _land_cover(text: str, words: list[Mention]) -> tuple[str, str, str]:
    """Direction from the turn of phrase; a class without an operation as the target is unknown."""
    classes = [
        w
        for w in words
        if w.name in CLASSES or w.name in ("buildings", "shrub", "damage", "vehicles")
    ]
    verb = next((name for name, pattern in lexicon.VERBS_TO if pattern.search(text)), "")
    if not classes:
        return (verb, verb, "") if verb else ("", "", "")
    names = list(dict.fromkeys(w.name for w in classes))
    if len(names) == 1:
        only = names[0]
        if only in CLASSES:
            return (verb, verb, only) if verb and verb != only else (only, only, "")
        return (verb, verb, only) if verb else ("", "", "")
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
        if not re.search(r"\b(?:put|add|build|want\w*|see)\b", lead) or FROM_FIRST.search(between):
            return second.name, first.name
    if re.search(r"\bto\s+(?:the )?$", lead) and re.search(r"\bfrom\b", between):
        return first.name, second.name
    if TO_FIRST.search(between) and not re.search(
        r"\b(?:into|become\w*|is now|with|but(?! not))\b", between
    ):
        return first.name, second.name
    if FROM_FIRST.search(between):
        return second.name, first.name
    if re.search(r"\b(?:for|as)\b", between):
        return second.name, first.name
    return first.name, ""


def _options(operation: str, severity: str, text: str) -> dict[str, Any]:
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
    if operation in OBJECT_CLASSES:
        options["keep_objects"] = True
    if operation in LAND_COVERS:
        options["word"] = operation
    return options


def _sentence(found: Interpretation) -> str:
    """What was understood, for the user to read."""
    operation = found.operation
    from_class = found.from_class
    if operation == "unknown":
        return "I don't know how to do that. Choose an operation, or say it in other words."
    land_cover = operation in CLASSES
    parts = [
        f"Fill with {OPERATIONS[operation].lower()} (found in the layer, or copied from an "
        "exemplar)"
        if land_cover
        else OPERATIONS[operation]
    ]
    if operation == "remove" and from_class:
        parts = [f"Remove: {from_class}"]
    elif from_class and operation != from_class:
        parts.append(("of " if operation == "copy" else "in place of ") + from_class)
    if operation == "flood":
        parts.append(_water_level(found.options))
    if found.severity:
        parts.append(f"({found.severity} severity)")
    if found.protect:
        parts.append(f"- leave {found.protect} alone (draw it under 'Leave as it is')")
    sentence = " ".join(filter(None, parts))
    return sentence if found.sure else f"Perhaps: {sentence}. Please choose."


def _water_level(options: Mapping[str, Any]) -> str:
    """How high the water stands, as far as the words say it."""
    if "level_m" not in options:
        return ""
    level = f"{options['level_m']:g} m"
    if options.get("counts_from") == LOWEST:
        return f"{level} above the lowest ground (by an elevation model; without one {level} deep)"
    return (
        f"up to {level} of the elevation model (a small level below all the ground counts "
        "from the lowest)"
    )
