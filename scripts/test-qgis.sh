#!/usr/bin/env bash
# The tests that need real QGIS, offscreen; those of the desktop start their own virtual screen.
set -euo pipefail
cd "$(dirname "$0")/.."
runtime=$(mktemp -d)
trap 'rm -rf "$runtime"' EXIT
chmod 700 "$runtime"
# The checkout is importable as `landbrush` whatever its folder is called.
ln -s "$(pwd)" "$runtime/landbrush"
export XDG_RUNTIME_DIR=$runtime QT_QPA_PLATFORM=offscreen PYTHONPATH=$runtime:/usr/share/qgis/python/plugins
export LANDBRUSH_PYTHON=${LANDBRUSH_PYTHON:-$(pwd)/.venv/bin/python}
# All of them on all cores; those that are named one after the other, as one looks for a fault.
[ $# -gt 0 ] || set -- -n auto --maxprocesses 4 --dist loadfile tests/qgis
timeout 3600 .venv-qgis/bin/python -m pytest -c tests/qgis/pytest.ini --rootdir tests/qgis "$@"
