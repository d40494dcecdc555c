"""resources/editors.json: what the editors are, so that QGIS knows them before a server has run.

A test compares the file with the registry.
"""

from __future__ import annotations

import json
from pathlib import Path

from landbrush.server.editors.models import Models
from landbrush.server.editors.registry import Editors

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "resources" / "editors.json"


def text() -> str:
    """The file's content."""
    return (
        json.dumps(
            [editor.info.to_json() for editor in Editors(Models(ROOT / ".cache"))],
            indent=1,
            ensure_ascii=False,
        )
        + "\n"
    )


if __name__ == "__main__":
    TARGET.write_text(text(), "utf8")
    print(TARGET, TARGET.stat().st_size)
