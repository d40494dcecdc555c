"""Models of the user's own making: used as a published one is, kept in the store's own list."""

from __future__ import annotations

import re
from dataclasses import asdict, replace

from ..ground.errors import BadRequest, NoSpace
from ..ground.files import write_json
from . import catalogue
from .catalogue import Entry
from .installed import Store

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


def remember(store: Store, entry: Entry) -> None:
    """Put an entry into the store's list."""
    _write(store, {**_listed(store), entry.id: asdict(entry)})


def remove(store: Store, entry: Entry) -> int:
    """Delete an installed model, and its entry where it is the user's own; how many bytes that
    freed."""
    freed = store.remove(entry)
    known = _listed(store)
    if known.pop(entry.id, None):
        _write(store, known)
    return freed


def _listed(store: Store) -> dict[str, dict]:
    published = catalogue.published()
    return {
        name: asdict(entry) for name, entry in store.list_all().items() if name not in published
    }


def _write(store: Store, entries: dict[str, dict]) -> None:
    try:
        write_json(store.folder / catalogue.OWN, list(entries.values()))
    except OSError as error:
        raise NoSpace(
            f"The list of models could not be written to {store.folder}: {error}."
        ) from error
