"""The library of exemplars."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from flask import Response
from PIL import Image

from ...contract.library import (
    EXEMPLAR_FORGET,
    EXEMPLAR_KEEP,
    EXEMPLAR_PICTURE,
    EXEMPLARS,
    ExemplarInfo,
    ExemplarList,
    KeepRequest,
)
from ...ground.errors import UnknownExemplar
from ...library.chips import shipped_picture
from ...library.own import remove
from .declared import Resource, services

resource = Resource("library")
LONGEST_PX = 256
"""Side of a picture."""
LARGEST_BYTES = 8_000_000
LONGEST_SIDE = 2048
"""Of a picture that lies in the user's folder."""


@resource.serves(EXEMPLARS)
def exemplars() -> ExemplarList:
    """All, the user's own first."""
    library = services().library
    found = tuple(ExemplarInfo.from_json(chip.to_json()) for chip in library.chips())
    return ExemplarList(found, library.words())


@resource.serves(EXEMPLAR_KEEP)
def keep(wanted: KeepRequest) -> ExemplarInfo:
    """Keep a part of a raster."""
    return services().keep_exemplar(wanted)


@resource.serves(EXEMPLAR_PICTURE)
def picture(exemplar_id: str) -> Response:
    """An exemplar, at most 256 pixels a side."""
    chip = next((one for one in services().library.chips() if one.id == exemplar_id), None)
    if chip is None:
        raise UnknownExemplar(f"There is no exemplar '{exemplar_id[:60]}'.")
    if chip.own:
        shown = _own_picture(chip.path.with_suffix(".png"))
    else:
        rgb = (255 * shipped_picture(chip)).round().astype(np.uint8)
        shown = Image.fromarray(rgb.transpose(1, 2, 0))
    shown.thumbnail((LONGEST_PX, LONGEST_PX))
    out = io.BytesIO()
    shown.save(out, "PNG")
    return Response(out.getvalue(), mimetype="image/png")


def _own_picture(path: Path) -> Image.Image:
    """A picture that lies beside an exemplar, perhaps from somebody else: a PNG or nothing."""
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > LARGEST_BYTES:
            raise OSError
        with Image.open(path, formats=("PNG",)) as image:
            if max(image.size) > LONGEST_SIDE:
                raise OSError
            return image.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise UnknownExemplar(f"The exemplar '{path.stem[:60]}' has no picture.") from None


@resource.serves(EXEMPLAR_FORGET)
def forget(exemplar_id: str) -> ExemplarList:
    """Delete one of the user's own; answers what is left."""
    remove(services().library.folder, exemplar_id)
    return exemplars()
