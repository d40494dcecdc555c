#!/usr/bin/env bash
# From the plugin's zip to a first edit in a fresh QGIS profile, with no setting touched: see docs/first-edit.md.
# Installs the server as the panel does, half a gigabyte, into .cache/first-edit, which is removed before and after: from a
# zip of wheels (make wheelhouse), or from the internet with FROM=internet or where no such zip can be made.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$(pwd)/.cache/first-edit
out=$(pwd)/demo/first-edit
rm -rf "$folder" && mkdir -p "$folder/profiles/fresh/QGIS" "$out"
rm -f "$out"/*
ZIP=$(pwd)/build/landbrush.zip
RASTER=$(realpath "$(scripts/sample-image.sh)")
WHEELS=
if [ "${FROM:-zip}" = zip ]; then
    # For the Python that the panel will choose (plugin/local/installer.py).
    for name in python3.12 python3.11 python3.13 python3.10 python3; do
        ! "$name" -c 'import ensurepip' 2>/dev/null || { python=$(command -v "$name"); break; }
    done
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    rm -f build/wheelhouse-*.zip
    if .venv/bin/python scripts/wheelhouse.py --python "$version"; then
        WHEELS=$(echo "$(pwd)"/build/wheelhouse-*.zip)
    fi
fi
export ZIP RASTER OUT=$out WHEELS DAY_OUT=$out DAY_SCRIPTS=$(pwd)/scripts
# The profile knows nothing of Landbrush; only QGIS's own greetings are off.
printf '[core]\nNewsFeed\\httpsfeedqgisorg\\disabled=true\n[qgis]\ncheckVersion=false\n[app]\nplugin_installer\\checkOnStart=false\n[migration]\nfileVersion=2\nsettings=true\n' \
    >"$folder/profiles/fresh/QGIS/QGIS3.ini"
unset LANDBRUSH_PYTHON LANDBRUSH_HOME LANDBRUSH_URL QT_QPA_PLATFORM
XDG_RUNTIME_DIR=$(mktemp -d)
export XDG_RUNTIME_DIR
chmod 700 "$XDG_RUNTIME_DIR"
timeout "${LIMIT_S:-3600}" xvfb-run -a -s "-screen 0 1366x768x24 -dpi 96" qgis --nologo --noversioncheck \
    --profiles-path "$folder" --profile fresh --code scripts/first_edit_in_qgis.py >"$folder/qgis.log" 2>&1 || true
[ -f "$out/steps.json" ] || { echo "QGIS ended without a word; its output:" >&2; tail -30 "$folder/qgis.log" >&2; exit 1; }
du -sm "$folder"/profiles/fresh/landbrush/environment 2>/dev/null | awk '{ print "figure setup_disk_mb " $1 " MB" }'
rm -rf "$folder"
.venv/bin/python - "$out/steps.json" <<'PY'
import json, sys
found = json.load(open(sys.argv[1]))
for row in found["steps"]:
    print(f"{row['seconds']:7.1f} s  {row['step']}")
print("figure setup_steps_by_hand", len(found.get("hands", [])), "presses")
if found.get("fetched_mb"):  # of a zip it was told already; where pip has an index of its own it fetches, and nobody knows how much
    print("figure setup_mb", found["fetched_mb"], "MB fetched")
print("figure first_edit", found["steps"][-1]["seconds"], "s")
if found["failure"]:
    sys.exit(found["failure"])
gate = found["gate"]
print(f"{found['editor']}: {gate['pixels_inside_changed']} pixels changed inside, {gate['pixels_outside_different']} of "
      f"{gate['pixels_outside']} outside")
PY
