"""What can be asked for, by name."""

from __future__ import annotations

from . import land_cover

OPERATIONS = {
    "remove": "Remove what is there",
    "fill_like": "Fill like a marked area",
    "copy": "Copy from a marked area",
    "flood": "Flood",
    "burn": "Burn scar",
    "snow": "Snow",
    "fog": "Fog",
    "season": "Season and drought",
    "night": "Low light",
    **land_cover.OPERATIONS,
    "rows": "Set out in rows",
    "damage": "Damage",
    "repair": "Repair damage",
    "variation": "Another version of the same",
    "harmonise": "Blend into the surroundings",
    "unknown": "Something else",
}
CLASSES = tuple(land_cover.OPERATIONS)
"""Operations that put a kind of ground in place of another."""
OFFERED = tuple(name for name in OPERATIONS if name != "unknown")
"""What can be chosen, as an operation to carry out."""
