"""The interpreter's vocabulary: land-cover words, events, and the turns of phrase that give them a
part."""

from __future__ import annotations

import re
from dataclasses import dataclass

OPERATIONS = {
    "remove": "Remove what is there",
    "fill_like": "Fill like a marked area",
    "copy": "Copy from a marked area",
    "flood": "Flood",
    "burn": "Burn scar",
    "snow": "Snow",
    "fog": "Fog",
    "night": "Low light",
    "forest": "Forest",
    "water": "Water body",
    "farmland": "Farmland",
    "residential": "Housing",
    "parking": "Parking",
    "road": "Road",
    "solar": "Solar panels",
    "grass": "Grass",
    "bare": "Bare ground",
    "industrial": "Industry or commerce",
    "damage": "Damage",
    "repair": "Repair damage",
    "variation": "Another version of the same",
    "harmonise": "Blend into the surroundings",
    "unknown": "Something else",
}
CLASSES = (
    "forest",
    "water",
    "farmland",
    "residential",
    "parking",
    "road",
    "solar",
    "grass",
    "bare",
    "industrial",
)

# Longest match first; each character of a sentence is used once.
_CLASS_WORDS = {
    "forest": r"forests?|rainforest|woods|woodlands?|trees?|copse|grove|jungle|oaks?|beech(?:es)?|pines?|spruces?|"
    r"conifers?|broadlea(?:f|ves)|deciduous|evergreens?|saplings?|poplars?|birch(?:es)?|mangroves?|"
    r"reforest\w*|afforest\w*|rewild\w*|timber|thicket|canopy|forestry|eucalyptus|orchard "
    r"trees|shelterbelt|"
    r"tree cover|tree planting|planting trees",
    "water": r"lakes?|ponds?|reservoirs?|lagoons?|rivers?|streams?|creeks?|canals?|water "
    r"body|open water|waterway|"
    r"marina|basin|harbou?r|wetlands?|marsh(?:es)?|swamps?|moat|fjord|estuary|tarn|mere|weir "
    r"pool|fish ?pond|dock basin|water(?! level)",
    "farmland": r"farmland|farms?|farm fields?|crop ?lands?|crops?|corn ?fields?|wheat(?: "
    r"?fields?)?|barley|maize|corn|rye|"
    r"potato(?:es)?|sugar beet|beets?|alfalfa|rice "
    r"paddies|paddy|paddies|rice|vineyards?|vines?|orchards?|arable(?: land)?|"
    r"fields?|plantations?|soy(?:beans?)?|rapeseed|canola|oats|cotton|vegetables|allotments?|cultivated "
    r"land|"
    r"agricultur\w+|centre-pivot\w*|center-pivot\w*|greenhouses?|hops|sunflowers?|tilled "
    r"land|ploughland|cropping|polytunnels?",
    "residential": r"houses?|housing|homes?|dwellings?|bungalows?|villas?|terraced "
    r"\w+|suburbs?|suburbia|suburban|"
    r"neighbou?rhoods?|apartments?(?: "
    r"blocks?)?|flats|cottages?|settlements?|villages?|residential \w+|residential|shacks|"
    r"housing estates?|estates?|town "
    r"?houses?|condos?|semis|semi-detached|detached|subdivisions?|favela|slum|huts|hamlets?|"
    r"residences|tenements?|trailer park|mobile homes?|maisonettes?|chalets?|high-?rise blocks",
    "parking": r"parking(?: lots?| areas?| spaces?| bays?| garages?)?|car ?parks?|park(?:ing)? "
    r"and ride(?: lot)?|p\+r|lots? for cars|"
    r"truck stop|lorry park|bays|parking deck|coach park|stalls|car lot",
    "road": r"roads?|highways?|streets?|motorways?|lanes?|avenues?|bypass|ring "
    r"road|boulevards?|tracks?|dirt tracks?|"
    r"foot ?paths?|paths?|cycle ?paths?|cycle ?ways?|bike "
    r"lanes?|drives?|driveways?|runways?|carriageways?|freeways?|"
    r"expressways?|haul road|roundabouts?|junctions?|interchange|turnpike|trails?|access "
    r"road|bridleway|alley|tarmac(?:ked)? way|"
    r"dual carriageway|airstrip|railway|rail ?roads?|tram ?lines?",
    "solar": r"solar(?: farms?| parks?| panels?| pannels?| power plants?| plants?| modules?| "
    r"arrays?| field)?|photovoltaics?|solar ?park|panels|collectors|solar \w+|"
    r"photovoltaic \w+|pv(?: arrays?| plants?| panels?| modules?| park| "
    r"farm)?|agrivoltaics?|agri-?pv|modules",
    "grass": r"grass(?:land)?|lawns?|meadows?|turf|sod|pastures?|pocket "
    r"park|parkland|parks?|green space|greenery|grazing(?: land)?|"
    r"golf course|fairways?|sports? (?:field|pitch|ground)|pitch(?:es)?|playing fields?|village "
    r"green|prairie|savannah?|hay|paddocks?|"
    r"football field|soccer pitch|urban park|garden lawn|green(?= in the)|steppe|common land",
    "bare": r"bare(?: (?:soil|ground|earth|land|dirt|rock))?|soil|raw earth|naked "
    r"soil|earth|dirt|sand|gravel(?: pit| yard)?|quarr(?:y|ies)|"
    r"dunes?|desert|rock|subsoil|dust|mud ?flats?|mudflats|scree|beach(?: "
    r"sand)?|brownfield|wasteland|open ?cast|open pit|"
    r"building site|construction site|levelled dirt|clear-?cut|clearcut|stony ground|clay "
    r"pit|borrow pit|fallow|excavation|salt pan",
    "industrial": r"industr(?:y|ial)(?: "
    r"(?:site|estate|district|park|area|zone|units?|buildings?|sheds?|plant))?|warehous\w+|"
    r"factor(?:y|ies)|refiner(?:y|ies)|steel ?works|mill works|mills?|chemical plant|power "
    r"plants?|data ?cent(?:re|er)s?|"
    r"logistics \w+|depots?|retail units?|retail park|shopping "
    r"(?:mall|cent(?:re|er))|malls?|supermarkets?|commercial \w+|"
    r"business park|hangars?|silos?|storage tanks?|tank farm|fulfilment \w+|distribution "
    r"cent(?:re|er)|works|shipyard|"
    r"container terminal|light industry|sewage works|treatment "
    r"plant|outlet|workshops?|foundry|brewery|sawmill|scrap ?yard|"
    r"manufacturing \w+|superstore|cement works|port terminal|freight terminal|gigafactory",
    "buildings": r"buildings?|sheds?|barns?|church|schools?|structures?|stadium|castle|tower|hotel|hospital|roofs?|outbuildings?|garages?",
    "vehicles": r"cars?|vehicles?|trucks?|lorry|lorries|vans?|caravans?|buses|bus|planes?|aircraft|boats?|ships?|tractors?|trains?|"
    r"trailers?|containers?|motorhomes?|jets?|automobiles?|rvs|yachts?|coach(?:es)?",
    "snow": r"snow|ice",
    "fog": r"fog|haze|mist|smog|smoke|clouds?",
    "shrub": r"shrubs?|bushes|scrub|hedges?|heather|chaparral|brush",
    "damage": r"debris|rubble|wreckage|ruins?|collapsed \w+",
}
_CLASS_PATTERN = {name: re.compile(rf"\b(?:{words})\b") for name, words in _CLASS_WORDS.items()}


@dataclass(frozen=True)
class Mention:
    """A class word in a sentence: what it means and where it stands."""

    name: str
    start: int
    end: int


def mentions(text: str) -> list[Mention]:
    """Class words from left to right; the longest wins where several match."""
    every = [
        Mention(n, m.start(), m.end()) for n, p in _CLASS_PATTERN.items() for m in p.finditer(text)
    ]
    taken: list[Mention] = []
    for one in sorted(every, key=lambda m: (m.start - m.end, m.start)):
        if all(one.end <= other.start or one.start >= other.end for other in taken):
            taken.append(one)
    return sorted(taken, key=lambda m: m.start)


HIGH = re.compile(
    r"\b(?:sever\w+|heav(?:y|ily)|dense|thick(?:ly)?|complete(?:ly)?|total(?:ly)?|reduced "
    r"to|extreme\w*|"
    r"massive\w*|devastat\w+|catastroph\w+|entire(?:ly)?|utter\w*|intense\w*|pitch[- "
    r"]dark|blackout|"
    r"very (?:dense|heavy|thick|strong)|high "
    r"severity|worst|obliterat\w+|flattened|annihilat\w+|wiped out|crowns fully|to the ground)\b"
)
LOW = re.compile(
    r"\b(?:slight\w*|light(?!s|ing|en| industry)(?:ly)?|a "
    r"little|little|minor|thin(?:ly)?|dusting|a bit|a touch|hint|faint\w*|gentle|gently|"
    r"mild\w*|modest\w*|partial\w*|shallow|wisps?|barely|surface fire|singed|some tiles|low "
    r"severity|sparse\w*|subtle|trace|"
    r"superficial\w*|a few (?:cracks|tiles|flakes)|weak\w*|scant|patchy)\b"
)

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
    r"run (?:the )?(?:model|script)|detect|segment|vectori[sz]e|extract|buffer|clip|merge|join|turn "
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
IMPOSSIBLE = re.compile(
    r"\b(?:dragons?|unicorns?|t-?rex|dinosaurs?|chocolate|spaceships?|ufos?|aliens?|mermaids?|zombies?|godzilla|wizards?|"
    r"poem|joke|pdf|csv|ndvi|transparency|opacity|resolution|stroke width|font|more "
    r"beautiful|nicer|prettier|asdf\w*|qwert\w*|"
    r"logo|watermark|text saying|portrait|mona "
    r"lisa|purple|pink|rainbow|atlantis|population|rename|layer (?:name|order))\b"
)

# At what was drawn as the exemplar: likened to it, or pointed at.
LIKENED = re.compile(
    r"(?<!different )\b(?:like|as|same as|similar "
    r"to|from|matching)\s+(?:(?:it|is|in|on|at|the|that|what|i|over|my|an|a)\s+){0,3}(?:\w+\s+){0,2}?(?:there|here|this|that|these|"
    r"those|marked|drew|drawn|selected|selection|outlined|shown|exemplar|example|sample|source|area|polygon|place|patch|one|box|rectangle|square|shape|layer)\b|"
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
    r"for\b|\bexcluding\b|\bleav(?:e|ing)\b|\bkeep(?:ing)?\b|\bspar(?:e|ing)\b|\bavoid(?:ing)?\b|\bwithout "
    r"(?:touching|harming|affecting)\b|"
    r"\bjust not\b|\bnot (?:on|in|over|across|the|those|these|my|our)\b|\bcareful "
    r"(?:w/|with)\b|\b(?:don't|do not|dont|never) (?:touch|damage|affect|alter)\b|"
    r"\bpreserv(?:e|ing)\b|\bretain(?:ing)?\b|\bprotect(?:ing)?\b|\bmind the\b|\bbar "
    r"the\b|\bmaintain(?:ing)?\b|\bminus the\b)"
)
PROTECT_BEFORE = re.compile(
    r"\b(?:must (?:remain|stay)|(?:is|are|to be|shall be|should be|were) (?:to be "
    r")?(?:retained|kept|preserved|spared|unharmed|untouched|left|protected|not "
    r"affected|unaffected|fine|ok(?:ay)?|intact)|"
    r"stays?(?: dry| put| clear| as)?|remains?(?: intact| untouched| dry| standing| in "
    r"place)|escaped|unharmed|unaffected|survive[ds]?|got away|kept (?:the \w+ "
    r")?clear|untouched|not affected)\b"
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
    r"(?:cover|fill|pave|sow|plant|seed|clad|carpet)\w* (?:\w+ ){0,4}?with|should be|shall "
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
            r"\b(?:bulldoz\w+|scraped|excavat\w+|stripped|clear-?fell\w*|logged|overgraz\w+|eroded|desertif\w+)\b"
        ),
    ),
    ("grass", re.compile(r"\b(?:mown|mowed|lawned|grazed|seeded)\b")),
    ("solar", re.compile(r"\bsun ?light into (?:power|electricity)|\bpv\b")),
    ("water", re.compile(r"\b(?:dam(?:med)? (?:the|up)|impound\w*|swim\w*|dredg\w+)\b")),
)
