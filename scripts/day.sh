#!/usr/bin/env bash
# Zip, setup and first edit in a fresh profile; then a planner's day in the real QGIS desktop on a virtual screen of 1366 x 768, then its first edit in
# other languages, at twice the pixels (HiDPI 2) and in QGIS's dark look; pictures and figures go to demo/day.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$(pwd)/demo/day
scripts/install-server.sh
scripts/install-qgis.sh "${QGIS_SUITE:-any}"
if ! fc-list :lang=zh | grep -q . && [ "$(id -u)" = 0 ]; then
    apt-get -qq update && apt-get -qq -y --no-install-recommends install fonts-wqy-microhei >/dev/null
fi
data=${LANDBRUSH_DATA:-$(pwd)/../shared/data}
DAY_RASTER=${RASTER:-$data/joplin_tornado_geotiff/input/pre/tile_337-9136.tif}
[ -f "$DAY_RASTER" ] || DAY_RASTER=$(scripts/sample-image.sh)
DAY_RASTER=$(realpath "$DAY_RASTER")
export DAY_RASTER DAY_OUT DAY_SHORT DAY_PROMPT
run() { # name, scale, locale, prompt, short
    DAY_OUT=$out/$1 DAY_PROMPT=$4 DAY_SHORT=$5
    rm -rf "$DAY_OUT" ".cache/day-profile-$1" && mkdir -p "$DAY_OUT"
    SCREEN=$((1366 * $2))x$((768 * $2))x24 QT_SCALE_FACTOR=$2 DAY_LOCALE=$3 LC_ALL=C.UTF-8 \
        QGIS_LOCALE=$3 scripts/qgis-desktop.sh ".cache/day-profile-$1" scripts/day_in_qgis.py
    cat "$DAY_OUT/day.log"
    grep -q finished "$DAY_OUT/day.log" || { echo "the day in $1 was not finished" >&2; exit 1; }
    ! grep -E "batch_(lost|twice) [1-9]|replay_same_bytes 0|_results 0" "$DAY_OUT/day.log" ||
        { echo "the day in $1 went wrong, see above" >&2; exit 1; }
}
# From the zip through Set up, in a profile that knows nothing.
[ -n "${QUICK:-}${ONLY:-}" ] || scripts/first-edit.sh
[ -n "${ONLY:-}" ] || run english 1 en "flooded to the doorsteps" ""
if [ -z "${QUICK:-}" ]; then
    run german 1 de "überflutet bis zur Türschwelle" 1
    run chinese 1 zh "洪水淹没到门口" 1
    run hidpi 2 en "flooded to the doorsteps" 1
    QGIS_THEME="Night Mapping" run dark 1 en "flooded to the doorsteps" 1
fi
.venv/bin/python scripts/strings.py --check | grep figure
echo "pictures, a layout, a page with slider and a project are in demo/day/"
