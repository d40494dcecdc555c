#!/usr/bin/env bash
# Make .venv-qgis: QGIS's own Python with pytest-qgis, for the tests that run inside real QGIS.
set -euo pipefail
cd "$(dirname "$0")/.."
stamp=.venv-qgis/.installed
[ -f "$stamp" ] && [ "$stamp" -nt "$0" ] && exit 0
"${QGIS_PYTHON:-/usr/bin/python3}" -m venv --system-site-packages .venv-qgis
# Debian's gdal_array needs numpy 1; never a PyQt wheel beside QGIS's own PyQt.
.venv-qgis/bin/python -m pip --disable-pip-version-check --quiet install \
    'numpy<2' 'attrs>=23.1' 'pytest>=8,<10' 'pytest-xdist>=3.6,<4' 'pytest-qgis==5.0.2' 'pytest-qt==4.5.0'
touch "$stamp"
