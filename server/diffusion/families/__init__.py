"""The families of pretrained networks, one module each."""

from __future__ import annotations

from ...ground.errors import BadRequest
from . import flux, flux2, kandinsky, kandinsky21, pixart, qwen, sd, sd3, sdxl
from .family import Family, Recipe

FAMILIES: dict[str, Family] = {
    one.FAMILY.id: one.FAMILY
    for one in (sd, sdxl, kandinsky, kandinsky21, pixart, sd3, flux, flux2, qwen)
}


def family(name: str) -> Family:
    """The family of that id; raises BadRequest."""
    if name not in FAMILIES:
        raise BadRequest(
            f"'{name[:60]}' is no family of networks; there are {', '.join(FAMILIES)}."
        )
    return FAMILIES[name]


__all__ = ["FAMILIES", "Family", "Recipe", "family"]
