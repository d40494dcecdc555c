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
from ...store.installed import sha256
from .protocol import Case, Protocol
from .systems import REFERENCE, REFERENCES, STEERING

DRAWN_BY = ("text-engine", "vision-language")
"""Further settings that a result may depend on: what draws for 'text', and who ranks candidates."""


@dataclass(frozen=True)
class Asked:
    """One edit. `system`: who makes it: one of REFERENCES, or a row of the protocol. `seed`: the
    same gives the same result."""

    system: str
    seed: int


def key_of(editors: Editors, protocol: Protocol, case: Case, asked: Asked) -> str:
    """The hash of all that a result depends on: pixels, words, polygons, editor, options, model,
    seed, version."""
    editor, options = editor_of(protocol, case, asked)
    models = editors.models
    if asked.system in protocol.named:
        models = protocol.named[asked.system].editors(editors).models
    model = models.store.record(options["model"]) if options.get("model") else None
    parts: list[Any] = [
        _digest(case.image),
        case.prompt,
        case.polygon,
        case.exemplar,
        editor,
        options,
        asked.seed,
        [protocol.way(asked.system), protocol.canvas_px],
        provenance.version(),
        sorted((name, kept.sha256) for name, kept in model.files.items()) if model else None,
    ]
    if asked.system not in REFERENCES:
        parts += [
            [kind, models.chosen(kind), weights.state_of(Path(models.chosen(kind)))]
            for kind in (*STEERING, *DRAWN_BY)
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


def editor_of(protocol: Protocol, case: Case, asked: Asked) -> tuple[str, dict[str, Any]]:
    """The editor of a row, and its options for a case; of REFERENCES their name and none."""
    if asked.system in REFERENCES:
        return asked.system, {}
    system = protocol.named[asked.system]
    options = {**system.options, **(case.options if system.editor == "text" else {})}
    if system.model:
        options = {"model": system.model, **options}
    if system.editor == "text" and case.polygon is None:
        options.setdefault("mode", "same layout")
    return system.editor, options
