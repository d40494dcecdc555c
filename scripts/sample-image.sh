#!/usr/bin/env bash
# Print the path of the sample image: a 0.1 m aerial GeoTIFF of the NEON site OSBS,
# taken out of the package deepforest (MIT) without installing it.
set -euo pipefail
cd "$(dirname "$0")/.."
target=.cache/sample/OSBS_029.tif
if [ ! -f "$target" ]; then
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    .venv/bin/python -m pip --disable-pip-version-check --quiet download --no-deps --no-binary :none: \
        -d "$folder" deepforest==2.1.0 >&2
    mkdir -p .cache/sample
    .venv/bin/python - "$folder" "$target" <<'PY'
import pathlib, sys, zipfile
wheel = next(pathlib.Path(sys.argv[1]).glob("*.whl"))
with zipfile.ZipFile(wheel) as archive:
    name = next(n for n in archive.namelist() if n.endswith("OSBS_029.tif"))
    part = pathlib.Path(sys.argv[2] + ".part")
    part.write_bytes(archive.read(name))
    part.replace(sys.argv[2])
PY
fi
echo "$target"
