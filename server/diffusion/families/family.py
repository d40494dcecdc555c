"""What a family of pretrained networks is: which networks, how they are shown the source, and what
an editor may choose."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from ...ground.optional import functional, torch
from ..codec import Codec
from ..drawing import Drawing

Pictures: TypeAlias = "tuple[torch.Tensor, torch.Tensor]"
"""The drawn picture, and the source after the same way through the autoencoder."""


@dataclass(frozen=True)
class Recipe:
    """One way to draw with the networks of a family.

    `draw`: gives the pictures of a drawing. `takes`: options beyond those that all have, by name.
    `instructs`: whether it reads what to change, or what to show. `cell_px`: what the sides of its
    pictures are multiples of. `square`: whether tiles must have the native shape. `puts_back`:
    whether its published code puts the source back at every step where nothing is drawn.
    `by_example`: whether it goes by edits before and after that it is shown.
    """

    draw: Callable[[Drawing], Pictures]
    takes: tuple[str, ...] = ()
    instructs: bool = False
    cell_px: int = 64
    square: bool = False
    puts_back: bool = False
    by_example: bool = False


@dataclass(frozen=True)
class Family:
    """Networks that are trained and drawn with alike.

    `id`: by which the catalogue names it. `classes`: the networks by the names of their classes,
    with the library that has each; nothing else is loaded for its models. `recipes`: the ways to
    draw, by name. `solvers`: names of schedules that fit (schedules.CLASSES). `codec`: the part
    that makes latents of pictures; `codec_class`: how it does.
    """

    id: str
    classes: Mapping[str, str]
    recipes: Mapping[str, Recipe]
    solvers: tuple[str, ...]
    codec: str = "vae"
    codec_class: type[Codec] = Codec


def pictures_of(
    drawing: Drawing, made: torch.Tensor, name: str = "vae", shifted: bool = True
) -> Pictures:
    """The pictures of drawn latents and of the source's."""
    assert drawing.latent is not None
    return drawing.decoded(made, name, shifted), drawing.decoded(drawing.latent, name, shifted)


def hole_of(drawing: Drawing) -> torch.Tensor:
    """The mask in whole cells at the picture's resolution (1, 1, H, W): 1 where new ground is
    drawn."""
    if drawing.drawn is None:
        return torch.ones_like(drawing.picture[:, :1])
    return functional.interpolate(drawing.drawn, drawing.picture.shape[2:], mode="nearest")
