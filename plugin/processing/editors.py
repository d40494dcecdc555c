"""The editors QGIS knows of: as the last server told, else as the plugin came."""

import json
import os
import tempfile
from pathlib import Path

from ...server.contract.editors import AUTO, EditorInfo
from ...server.contract.message import ContractError
from .. import settings

SHIPPED = Path(__file__).resolve().parents[2] / "resources" / "editors.json"
FILE = "editors.json"


def known_editors():
    """EditorInfo of every editor, without the one that goes by words alone."""
    for path in (settings.home() / FILE, SHIPPED):
        try:
            return [EditorInfo.from_json(entry) for entry in json.loads(path.read_text("utf8"))]
        except (OSError, ValueError, TypeError, ContractError):
            continue
    return []


def remember(infos) -> bool:
    """Keep what a server told; returns whether it is news."""
    infos = [info for info in infos if info.id != AUTO]
    if infos == known_editors():
        return False
    folder = settings.home()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(prefix=".editors-", dir=str(folder))
        with os.fdopen(handle, "w", encoding="utf8") as out:
            json.dump([info.to_json() for info in infos], out)
        os.replace(draft, folder / FILE)
    except OSError:
        return False
    return True
