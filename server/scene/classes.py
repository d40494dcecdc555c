"""What the ground is divided into."""

from __future__ import annotations

CLASSES = ("roof", "paved", "tree", "low", "bare", "water", "shadow", "vehicle")
"""In the order of the network's outputs: roofs; asphalt, concrete and courts; crowns, leafless ones
too; grass and crops; soil, sand and gravel; open water; cast shadow so dark that it hides what lies
under it; cars, boats and planes."""

THINGS = ("roof", "tree", "water", "vehicle")
"""Classes whose pieces are things; ground of the others goes on for ever."""
UNKNOWN = len(CLASSES)
"""The number of what no class is probable enough for."""

TITLES = {
    "roof": "Roof",
    "paved": "Paved ground",
    "tree": "Tree",
    "low": "Low vegetation",
    "bare": "Bare ground",
    "water": "Water",
    "shadow": "Shadow",
    "vehicle": "Vehicle",
    "unknown": "Unknown",
}
"""For users, in the order of the numbers that a layer of classes holds, from 1; 0 is nodata."""
PALETTE = (
    (0, 0, 0, 0),
    (200, 60, 60, 255),
    (128, 128, 128, 255),
    (20, 110, 40, 255),
    (150, 200, 90, 255),
    (200, 170, 120, 255),
    (60, 120, 210, 255),
    (50, 40, 80, 255),
    (230, 220, 60, 255),
    (235, 235, 235, 255),
)
"""Colours of those numbers, with alpha."""
