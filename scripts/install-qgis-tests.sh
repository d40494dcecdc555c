#!/usr/bin/env bash
# Make .venv-qgis: QGIS's own Python with pytest-qgis, for the tests that run inside real QGIS.
set -euo pipefail
cd "$(dirname "$0")/.."
stamp=.venv-qgis/.installed
[ -f "$stamp" ] && [ "$stamp" -nt "$0" ] && exit 0
python=${QGIS_PYTHON:-/usr/bin/python3}
"$python" -m venv --system-site-packages .venv-qgis
# gdal_array needs the numpy that QGIS came with; never a PyQt wheel beside QGIS's own PyQt.
numpy=$("$python" -c 'import numpy; print("numpy==" + numpy.__version__)' 2>/dev/null || echo 'numpy<2')
.venv-qgis/bin/python -m pip --disable-pip-version-check --quiet install \
    "$numpy" 'attrs>=23.1' 'pytest>=8,<10' 'pytest-xdist>=3.6,<4' 'pytest-qgis==5.0.2' 'pytest-qt==4.5.0'
touch "$stamp"
