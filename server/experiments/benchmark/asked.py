"""What is asked of a system: its editor, its options, and the key of all its result depends on."""

from __future__ import annotations

import functools
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...editors.registry import Editors
from ...models import weights
from ...raster import provenance
from ...raster.raster import opened
from ...store.installed import Store, sha256
from .protocol import REFERENCE, REFERENCES, Case, Protocol

STEERING = ("image-text", "second-image-text", "language")
"""Kinds of models that the user names once, and that choose or guide what some editors draw."""


@dataclass(frozen=True)
class Asked:
    """One edit. `system`: who makes it: one of REFERENCES, an editor or a baseline. `seed`: the
    same gives the same result."""

    system: str
    seed: int


def key_of(editors: Editors, protocol: Protocol, case: Case, asked: Asked) -> str:
    """The hash of all that a result depends on: pixels, words, polygons, editor, options, model,
    seed, version."""
    editor, options = editor_of(editors.models.store, protocol, case, asked)
    models = editors.models
    model = models.store.record(options["model"]) if options.get("model") else None
    parts: list[Any] = [
        _digest(case.image),
        case.prompt,
        case.polygon,
        case.exemplar,
        editor,
        options,
        asked.seed,
        provenance.version(),
        sorted((name, kept.sha256) for name, kept in model.files.items()) if model else None,
    ]
    if asked.system not in REFERENCES:
        parts += [
            [kind, models.chosen(kind), weights.state_of(Path(models.chosen(kind)))]
            for kind in STEERING
            if models.chosen(kind)
        ]
    if asked.system == REFERENCE:
        parts.append(_digest(case.reference) if case.reference else None)
    return hashlib.sha256(json.dumps(parts, default=list, sort_keys=True).encode()).hexdigest()[:32]


def _digest(path: Path) -> list[str]:
    """Of all files that a raster is made of: a virtual one's sources, a picture's world file."""
    with opened(path) as dataset:
        members = [Path(name) for name in dataset.files]
    return [
        _hashed(one, one.stat().st_mtime_ns, one.stat().st_size) for one in members if one.is_file()
    ]


@functools.lru_cache(maxsize=256)  # of the file's content alone, whoever asks
def _hashed(path: Path, changed: int, size: int) -> str:
    return sha256(path)


def editor_of(
    store: Store, protocol: Protocol, case: Case, asked: Asked
) -> tuple[str, dict[str, Any]]:
    """The editor of a system, and its options for a case."""
    system = asked.system
    options = {**protocol.options.get(system, {}), **(case.options if system == "text" else {})}
    if system in protocol.baselines:
        model = protocol.baselines[system]
        return store.entry(model).editors[0], {"model": model, **options}
    if system == "text" and case.polygon is None:
        options.setdefault("mode", "same layout")
    return system, options
