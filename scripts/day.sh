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
DAY_SCRIPTS=$(pwd)/scripts
export DAY_RASTER DAY_OUT DAY_SHORT DAY_PROMPT DAY_SCRIPTS
in_qgis() { # name, scale, locale, script: QGIS is started for it, and left by its own way out
    SCREEN=$((1366 * $2))x$((768 * $2))x24 QT_SCALE_FACTOR=$2 DAY_LOCALE=$3 LC_ALL=C.UTF-8 \
        QGIS_LOCALE=$3 scripts/qgis-desktop.sh ".cache/day-profile-$1" "scripts/$4.py"
    starts=$((starts + 1))
    [ "$(cat ".cache/day-profile-$1/ended")" != 0 ] && { echo "$4: QGIS ended with $(cat ".cache/day-profile-$1/ended"):" >&2; tail -20 ".cache/day-profile-$1/qgis.log" >&2; } ||
        left_well=$((left_well + 1))
}
run() { # name, scale, locale, prompt, short
    DAY_OUT=$out/$1 DAY_PROMPT=$4 DAY_SHORT=$5 starts=0 left_well=0
    rm -rf "$DAY_OUT" ".cache/day-profile-$1" && mkdir -p "$DAY_OUT"
    in_qgis "$1" "$2" "$3" day_in_qgis
    [ -n "$5" ] || ! grep -q finished "$DAY_OUT/day.log" || in_qgis "$1" "$2" "$3" next_day_in_qgis
    cat "$DAY_OUT/day.log"
    echo "figure qgis_left_without_crash $left_well of $starts"
    grep -q finished "$DAY_OUT/day.log" || { echo "the day in $1 was not finished" >&2; exit 1; }
    [ -n "$5" ] || grep -q "found again" "$DAY_OUT/day.log" || { echo "the next day in $1 was not finished" >&2; exit 1; }
    # Counts of N that are not N of N, rows that were lost or made twice, questions that nobody answered.
    local wrong='batch_(lost|twice) [1-9]|asked on the way out'
    ! grep -E "$wrong" "$DAY_OUT/day.log" && ! awk '$4 == "of" && $3 != $5 { print; bad = 1 } END { exit !bad }' "$DAY_OUT/day.log" &&
        [ "$left_well" = "$starts" ] ||
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
