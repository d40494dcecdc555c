#!/usr/bin/env bash
# The main job in the real QGIS desktop on a virtual screen: see README.
# RASTER, PROMPT and POLYGONS edit a file of yours instead of the sample.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/install-server.sh "${EXTRAS:-server}"
scripts/install-qgis.sh "${QGIS_SUITE:-any}"
out=$(pwd)/demo
mkdir -p "$out"
rm -f "$out"/*.tif "$out"/*.json "$out"/*.png "$out"/demo.log
if [ -n "${RASTER:-}" ]; then
    [ -n "${PROMPT:-}" ] && [ -f "${POLYGONS:-}" ] || { echo "give PROMPT=\"...\" and POLYGONS=file.geojson with RASTER" >&2; exit 2; }
    DEMO_RASTER=$(realpath "$RASTER")
    DEMO_POLYGONS=$(realpath "$POLYGONS")
    export DEMO_POLYGONS DEMO_PROMPT=$PROMPT
else
    DEMO_RASTER=$(realpath "$(scripts/sample-image.sh)")
fi
export DEMO_RASTER DEMO_OUT=$out
echo "editing $DEMO_RASTER inside QGIS ..."
scripts/qgis-desktop.sh .cache/demo-profile scripts/demo_in_qgis.py
[ -f "$out/summary.json" ] || { echo "QGIS ended without a summary; its output:" >&2; tail -30 .cache/demo-profile/qgis.log >&2; exit 1; }
.venv/bin/python scripts/check_results.py demo
