"""Scenarios as prompts, by kind and grade, in the style of damage reports; in words of our own.

RSEdit's training captions are reports of what a disaster did to buildings, ground and vegetation,
in the four grades of xBD (no damage, minor, major, destroyed). Each scenario has an instruction,
for editors that are told what to change, and a description, for those that are told what to show.
"""

from __future__ import annotations

from dataclasses import dataclass

NONE = "none"
GRADES = ("minor", "major", "destroyed")


@dataclass(frozen=True)
class Scenario:
    """Sentences for minor, major and complete damage. `instructions`: what is to happen, for
    editors by instruction. `descriptions`: what is seen then, for all others."""

    instructions: tuple[str, str, str]
    descriptions: tuple[str, str, str]


SCENARIOS = {
    "flood": Scenario(
        (
            "Let shallow brown water stand on streets and low ground; buildings stay whole, with "
            "wet gardens around them.",
            "Flood the area with muddy water up to the walls of the houses; roads are under water "
            "and gardens are covered with silt.",
            "Flood the whole area up to the roofs; only roof tops and tree crowns rise from brown "
            "water, and debris floats between them.",
        ),
        (
            "satellite image of a place with shallow flood water on its streets",
            "satellite image of a flooded place, muddy water up to the houses",
            "satellite image of a place submerged in brown flood water, roof tops alone visible",
        ),
    ),
    "tsunami": Scenario(
        (
            "Let a wave have washed over the shore: wet sand and scattered debris lie on the "
            "ground nearest to the sea.",
            "Show what a tsunami left: many buildings near the shore have collapsed, mud and "
            "debris cover the ground, trees are gone.",
            "Show what a tsunami left: all buildings are swept away, bare foundations and mud "
            "remain, and the shoreline is torn.",
        ),
        (
            "satellite image of a coast after a small tsunami, debris near the shore",
            "satellite image of a coast after a tsunami, collapsed buildings, mud and debris",
            "satellite image of a coast razed by a tsunami, bare foundations and mud",
        ),
    ),
    "wildfire": Scenario(
        (
            "Let a fire have burned some grass and shrubs to dark patches; the buildings are "
            "undamaged.",
            "Show what a wildfire left: vegetation is charred black, ash covers the ground, and "
            "some houses have burned roofs.",
            "Show what a wildfire left: houses are burned to grey foundations, all vegetation is "
            "black, and ash lies everywhere.",
        ),
        (
            "satellite image with dark burned patches of grass",
            "satellite image after a wildfire, charred vegetation, burned roofs",
            "satellite image of a place burned down by a wildfire, grey foundations, black ground "
            "and ash",
        ),
    ),
    "tornado": Scenario(
        (
            "Let a storm have torn shingles off some roofs and broken branches; the houses stand.",
            "Show what a tornado left: many roofs are gone, walls have partly collapsed, debris "
            "is strewn over streets and gardens.",
            "Show what a tornado left: houses are flattened to heaps of rubble, trees are "
            "stripped and snapped, debris covers all.",
        ),
        (
            "satellite image of houses with slightly damaged roofs",
            "satellite image after a tornado, missing roofs and strewn debris",
            "satellite image of a neighbourhood flattened by a tornado, rubble and stripped trees",
        ),
    ),
    "earthquake": Scenario(
        (
            "Let an earthquake have cracked some roofs and walls; a little rubble lies beside the "
            "buildings.",
            "Show what an earthquake left: several buildings have partly collapsed, and rubble "
            "blocks the streets.",
            "Show what an earthquake left: most buildings have collapsed into heaps of rubble "
            "that cover the streets.",
        ),
        (
            "satellite image of a town with cracked roofs",
            "satellite image after an earthquake, partly collapsed buildings, rubble",
            "satellite image of a town in ruins after an earthquake, heaps of rubble",
        ),
    ),
    "volcano": Scenario(
        (
            "Let a thin layer of grey ash lie on roofs, roads and fields.",
            "Show what an eruption left: thick grey ash covers everything, some roofs have caved "
            "in, vegetation is dead.",
            "Show what an eruption left: dark lava and mud flows have buried buildings and roads; "
            "nothing green is left.",
        ),
        (
            "satellite image of a place dusted with volcanic ash",
            "satellite image of a place under thick grey volcanic ash",
            "satellite image of a place buried by lava and mud flows",
        ),
    ),
    "growth": Scenario(
        (
            "Add a few new houses with gardens along the existing roads.",
            "Turn open ground into a new residential quarter with streets, houses and gardens.",
            "Turn the area into a dense city quarter: large buildings, paved streets, parking "
            "lots, little green.",
        ),
        (
            "satellite image of farmland with a few new houses",
            "satellite image of a new residential quarter",
            "satellite image of a dense city quarter with large buildings",
        ),
    ),
    "season": Scenario(
        (
            "Make it autumn: tree crowns in brown and yellow, dry grass.",
            "Make it winter: leafless trees, brown grass, long shadows.",
            "Cover the area with deep snow: white roofs, ground and fields, bare dark trees, "
            "cleared roads.",
        ),
        (
            "satellite image in autumn, brown and yellow trees",
            "satellite image in winter, leafless trees",
            "satellite image of a snow-covered place",
        ),
    ),
}


REPORTS = {
    "report: volcano": (
        "An eruption has turned the green golf course into grey, ash-covered ground, and swollen "
        "ponds stand on its low parts. Five buildings are lightly damaged, with singed and cracked "
        "roofs and volcanic debris on them; six have largely collapsed under lava or mud; two are "
        "gone but for scorched foundations."
    ),
    "report: tornado": (
        "A tornado has razed the neighbourhood: 43 houses are wiped off their foundations, 8 have "
        "lost part of roof or walls and stand amid debris, 3 show cracked or singed fronts, and no "
        "property is untouched."
    ),
    "report: wildfire": (
        "After the wildfire three buildings are lightly damaged, with burn marks, torn roofing and "
        "scattered debris, and one is unharmed. The vegetation around them is charred and thinner, "
        "with patches of ash; thin smoke hangs over the roads, and water from the firefighting has "
        "washed out ground beside them."
    ),
    "report: hurricane": (
        "A hurricane has flooded the area up to the eaves: all six buildings stand in water to "
        "their roofs and have partly fallen walls. The plants along the shore are torn away down "
        "to bare soil and debris, and mud has cut the roads to the settlement."
    ),
    "report: earthquake without damage": (
        "After the earthquake none of the 89 buildings is damaged: roofs, walls and foundations "
        "are whole, roads and vegetation as before, and nothing has collapsed, burned or flooded."
    ),
    "report: tsunami": (
        "A tsunami has destroyed the coastal settlement: of 82 houses 66 are gone, leaving bare "
        "lots and remains of walls, 7 near the water have fallen roofs and walls with mud in them, "
        "and 9 on higher ground are unharmed. The shoreline is torn, boats and debris lie about, "
        "and brown water stands on the low ground."
    ),
}
"""The six samples of RSEdit's Table 6, in words of our own: whole reports, which grades do not
change."""


def words_for(scenario: str, grade: str, instruct: bool) -> str:
    """The prompt of a scenario or report; empty for none."""
    if scenario in REPORTS:
        return REPORTS[scenario]
    if scenario not in SCENARIOS:
        return ""
    found = SCENARIOS[scenario]
    return (found.instructions if instruct else found.descriptions)[GRADES.index(grade)]
