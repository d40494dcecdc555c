"""Which satellite or camera a raster comes from, as its tags or its file's name tell, in the words
that prompts use."""

from __future__ import annotations

import re
from pathlib import Path

from .raster import Profile

TAGS = (
    "SATELLITE",
    "SATELLITEID",
    "PLATFORM",
    "PLATFORM_NAME",
    "MISSION",
    "SPACECRAFT_ID",
    "SPACECRAFT_NAME",
    "SENSOR",
    "SENSOR_ID",
)
"""Read in this order, whatever their case."""
NAMES = (
    (r"^S1[ABCD]_", "Sentinel-1"),
    (r"^(T\d{2}[A-Z]{3}_|S2[ABC]_)", "Sentinel-2"),
    (r"^L[COTEM]0?([4-9])_", "Landsat {0}"),
    (r"^HLS\.?_?([LS])30", "HLS"),
    (r"^m_\d{7}_[ns][ew]_\d{1,2}_", "NAIP"),
    (r"^GF(\d)[_-]", "GF{0}"),
    (r"^PSScene|_AnalyticMS", "PlanetScope"),
    (r"^WV0?(\d)", "WorldView-{0}"),
    (r"^(MOD|MYD)\d{2}", "MODIS"),
    (r"^PHR1|_PHR_", "Pleiades"),
    (r"^SPOT(\d)", "SPOT-{0}"),
)
"""How agencies name their files: pattern, words."""
LONGEST = 40


def satellite_of(profile: Profile, name: str) -> str:
    """Empty where nothing tells."""
    tags = {key.upper(): value.strip() for key, value in profile.tags.items()}
    for key in TAGS:
        found = re.sub(r"[\s_]+", " ", tags.get(key, ""))
        if found and len(found) <= LONGEST:
            return found
    stem = Path(name).name
    for pattern, words in NAMES:
        match = re.search(pattern, stem)
        if match:
            return words.format(*match.groups())
    return ""
