"""`doctor`: what is here, what is missing, and what to do about it."""

from __future__ import annotations

import argparse
import importlib.util
import platform
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..ground.optional import LIBRARIES, installed
from ..ground.settings import default_home
from ..models import scene_words, sentences

if TYPE_CHECKING:
    from ..editors.models import Models

NEEDED = (
    "flask",
    "waitress",
    "numpy",
    "scipy",
    "rasterio",
    "pyproj",
    "shapely",
    "PIL",
    "onnxruntime",
    "faiss",
)
TAKEN = ("memory", "files", "connections")
"""What a system may take from workers (workers.confine)."""


def examine(home: Path) -> tuple[list[str], bool]:
    """Lines for the user, and whether an edit can be made."""
    lines = [f"Python {platform.python_version()} ({sys.executable})"]
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        lines.append(
            f"MISSING packages: {', '.join(missing)}. Install the server anew: pip install ."
        )
        return lines, False
    from ..editors.models import Models

    lines += _machine()
    lines.append(_workers(home))
    lines += _words()
    lines += _extras()
    models = Models(home)
    lines += _editors(models)
    lines.append(_image_text(models))
    lines.append(
        "QGIS: "
        + (shutil.which("qgis") or "not found on this machine's PATH; the server works without it")
    )
    return _with_home(lines, home)


def _extras() -> list[str]:
    """Which sets of optional libraries are here."""
    lacking: dict[str, list[str]] = {extra: [] for extra in LIBRARIES.values()}
    for library, extra in LIBRARIES.items():
        if not installed(library):
            lacking[extra].append(library)
    here = ", ".join(extra for extra, names in lacking.items() if not names) or "none"
    return [
        f"optional libraries: {here}",
        *(
            f"  without '{extra}' ({', '.join(names)}): pip install 'landbrush[{extra}]'"
            for extra, names in lacking.items()
            if names
        ),
    ]


def _machine() -> list[str]:
    """The packages' versions, and the device with its free memory."""
    from ..raster import provenance
    from ..web.health import device, free_memory_mb

    lines = [
        f"{name} {version}" for name, version in provenance.versions().items() if name != "python"
    ]
    free = [
        f"{megabytes:,} MB of {name} free"
        for name, megabytes in free_memory_mb().items()
        if megabytes
    ]
    return [*lines, "; ".join([f"device: {device()}", *free])]


def _workers(home: Path) -> str:
    """What the system takes from workers, tried with one."""
    from ..ground.errors import ServerError
    from ..jobs.workplace import Lost
    from ..workers.children import Children, Place

    workers = Children(Place(home))
    try:
        workers.read("process", {})
        held = workers.held()
    except (ServerError, Lost, OSError) as error:
        return f"workers: PROBLEM, none can be started ({error})"
    finally:
        workers.close()
    lacking = [name for name in TAKEN if name not in held]
    said = f"workers: confined in {', '.join(held) or 'nothing'}"
    return f"{said}; this system does not confine {', '.join(lacking)}" if lacking else said


def _words() -> list[str]:
    """What interpreting and retrieving have to work with."""
    return [
        "interpreter: "
        + (
            "rules and sentence embedding"
            if sentences.MODEL.exists()
            else f"MISSING {sentences.MODEL}"
        ),
        "retrieval: " + ("ready" if scene_words.HEADS.exists() else f"MISSING {scene_words.HEADS}"),
    ]


def _editors(models: Models) -> list[str]:
    """Of each editor, whether it is ready, or which models it has."""
    from ..editors.registry import Editors

    own = [one for one in Editors(models) if not one.info.weights]
    ready = ", ".join(one.info.id for one in own if not one.missing())
    lines = [f"editors that need no weights: {ready}"]
    lines += [f"editor {one.info.id}: {one.missing()}" for one in own if one.missing()]
    for editor in Editors(models):
        if editor.info.weights:
            there = [entry.id for entry in models.store.installed(editor.info.id)]
            said = ", ".join(there) or "no model here. landbrush-server models list"
            lines.append(f"editor {editor.info.id}: {said}")
    return lines


def _image_text(models: Models) -> str:
    named = models.chosen("image-text")
    return "image-text model: " + (
        named + ("" if Path(named).exists() else " - NOT THERE")
        if named
        else "none; built-in detectors choose content. To guide by words: landbrush-server "
        "models set image-text PATH"
    )


def _with_home(lines: list[str], home: Path) -> tuple[list[str], bool]:
    try:
        home.mkdir(parents=True, exist_ok=True)
        probe = home / ".doctor"
        probe.write_text("x", "ascii")
        probe.unlink()
    except OSError as error:
        lines.append(
            f"PROBLEM home {home} cannot be written: {error}. Choose another with --home or "
            "LANDBRUSH_HOME."
        )
        return lines, False
    free = shutil.disk_usage(home).free // 1_000_000
    lines.append(
        f"home: {home}, {free:,} MB free"
        + ("" if free > 2000 else " - LITTLE SPACE, results may fail")
    )
    return lines, True


def add_commands(commands: argparse._SubParsersAction) -> None:
    """Add `doctor` to the command line."""
    parser = commands.add_parser("doctor", help="say what is here, what is missing and what to do")
    parser.add_argument("--home", type=Path, default=default_home())
    parser.set_defaults(run=_doctor)


def _doctor(given: argparse.Namespace) -> int:
    lines, healthy = examine(given.home)
    print("\n".join(lines))
    return 0 if healthy else 1
