"""Models of the user's own making: used as a published one is, kept in the store's own list."""

from __future__ import annotations

import json
import os
import re
import tempfile
from dataclasses import asdict, replace

from ..ground.errors import BadRequest, NoSpace
from . import catalogue, shelf
from .catalogue import Entry

NAME = re.compile(r"^[a-z0-9][a-z0-9_-]{1,60}$")


def described(
    model_id: str, like: Entry, title: str = "", licence: str = "", native_px: int = 0
) -> Entry:
    """The entry of a model that works as `like` does; raises BadRequest for a name that is taken or
    odd."""
    if not NAME.match(model_id):
        raise BadRequest(
            f"'{model_id[:60]}' cannot be a model's name: use small letters, digits, '-' and '_'."
        )
    if model_id in catalogue.published():
        raise BadRequest(f"'{model_id}' is the name of a published model; choose another.")
    return replace(
        like,
        id=model_id,
        title=title or model_id,
        good_for=f"Yours; used as {like.title} is.",
        licence=licence or like.licence,
        restrictions="" if licence else like.restrictions,
        repo="",
        revision="",
        sha256={},
        base=like.id,
        native_px=native_px or like.native_px,
    )


def remember(entry: Entry) -> None:
    """Put an entry into the store's list."""
    _write({**_listed(), entry.id: asdict(entry)})


def remove(entry: Entry) -> int:
    """Delete an installed model, and its entry where it is the user's own; how many bytes that
    freed."""
    freed = shelf.remove(entry)
    known = _listed()
    if known.pop(entry.id, None):
        _write(known)
    return freed


def _listed() -> dict[str, dict]:
    published = catalogue.published()
    return {
        name: asdict(entry)
        for name, entry in catalogue.every(shelf.folder()).items()
        if name not in published
    }


def _write(entries: dict[str, dict]) -> None:
    try:
        shelf.folder().mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(prefix=".own-", dir=shelf.folder())
        with os.fdopen(handle, "w", encoding="utf8") as stream:
            json.dump(list(entries.values()), stream, indent=1)
        os.replace(draft, shelf.folder() / catalogue.OWN)
    except OSError as error:
        raise NoSpace(
            f"The list of models could not be written to {shelf.folder()}: {error}."
        ) from error
