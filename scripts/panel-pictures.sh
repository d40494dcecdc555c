#!/usr/bin/env bash
# Pictures of the panel in the real QGIS desktop: 1366 x 768, and the same at twice the pixels (HiDPI 2).
#
# usage: panel-pictures.sh FOLDER NAME [PLUGIN]     (PLUGIN: another checkout, to compare with)
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p "$1"
export PANEL_RASTER PANEL_OUT
PANEL_RASTER=$(realpath "$(scripts/sample-image.sh)")
for scale in 1 2; do
    PANEL_OUT=$(realpath "$1")/$2-x$scale
    SCREEN=$((1366 * scale))x$((768 * scale))x24 QT_SCALE_FACTOR=$scale LANDBRUSH_PLUGIN=${3:-$(pwd)} \
        scripts/qgis-desktop.sh ".cache/panel-profile-$2-$scale" scripts/panel_in_qgis.py
done
