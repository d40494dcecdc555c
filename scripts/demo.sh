#!/usr/bin/env bash
# The main job in the real QGIS desktop on a virtual screen: see README.
# RASTER, PROMPT and POLYGONS edit a file of yours instead of the sample; its results go to demo/own.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$(pwd)/demo
if [ -n "${RASTER:-}" ]; then
    [ -f "$RASTER" ] || { echo "RASTER=$RASTER: there is no such file" >&2; exit 2; }
    [ -n "${PROMPT:-}" ] || { echo "give PROMPT=\"what should be there\" with RASTER" >&2; exit 2; }
    [ -f "${POLYGONS:-}" ] || { echo "POLYGONS=${POLYGONS:-}: there is no such file" >&2; exit 2; }
    out=$out/own
    DEMO_RASTER=$(realpath "$RASTER")
    DEMO_POLYGONS=$(realpath "$POLYGONS")
    export DEMO_POLYGONS DEMO_PROMPT=$PROMPT
fi
scripts/install-server.sh
scripts/install-qgis.sh "${QGIS_SUITE:-any}"
[ -n "${RASTER:-}" ] || DEMO_RASTER=$(realpath "$(scripts/sample-image.sh)")
fresh=$(pwd)/.cache/demo-out
rm -rf "$fresh" && mkdir -p "$fresh" "$out"
export DEMO_RASTER DEMO_OUT=$fresh
echo "editing $DEMO_RASTER inside QGIS ..."
scripts/qgis-desktop.sh .cache/demo-profile scripts/demo_in_qgis.py
[ -f "$fresh/summary.json" ] || { echo "QGIS ended without a summary; its output:" >&2; tail -30 .cache/demo-profile/qgis.log >&2; exit 1; }
if ! .venv/bin/python scripts/check_results.py "${fresh#"$(pwd)"/}"; then
    echo "the former results in ${out#"$(pwd)"/} stay as they were; what this run left is in ${fresh#"$(pwd)"/}" >&2
    exit 1
fi
# Only now do new results take the place of old ones.
rm -f "$out"/*.tif "$out"/*.json "$out"/*.png "$out"/demo.log
mv "$fresh"/* "$out"/
echo "GeoTIFFs, manifests, pictures and QGIS screenshots are in ${out#"$(pwd)"/}/"
