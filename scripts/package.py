"""Build the plugin: build/landbrush/ and build/landbrush.zip, in the form plugins.qgis.org asks for.

Of the server only its contract is inside. The same commit gives the same bytes.
"""

from __future__ import annotations

import shutil
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FILES = ("__init__.py", "metadata.txt", "LICENSE", "server/__init__.py", "server/api.py",
         "server/api_compare.py", "resources/editors.json")
FOLDERS = {"plugin": (".py",), "resources": (".svg", ".ui", ".qm", ".qml")}
LARGEST = 25_000_000


def main() -> int:
    build = ROOT / "build"
    target = build / "landbrush"
    shutil.rmtree(target, ignore_errors=True)
    names = list(FILES)
    for folder, kinds in FOLDERS.items():
        found = sorted(p for p in (ROOT / folder).rglob("*") if p.suffix in kinds and "__pycache__" not in p.parts)
        names += [p.relative_to(ROOT).as_posix() for p in found]
    archive = build / "landbrush.zip"
    build.mkdir(exist_ok=True)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        for name in names:
            content = (ROOT / name).read_bytes()
            copy = target / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(content)
            entry = zipfile.ZipInfo(f"landbrush/{name}", (1980, 1, 1, 0, 0, 0))
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            out.writestr(entry, content)
    size = archive.stat().st_size
    print(f"{archive.relative_to(ROOT)}: {len(names)} files, {size:,} bytes")
    return 0 if size <= LARGEST else 1


if __name__ == "__main__":
    sys.exit(main())
