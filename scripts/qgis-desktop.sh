#!/usr/bin/env bash
# Run a Python script inside the real QGIS desktop with the plugin loaded, in a profile of its own.
#
# usage: qgis-desktop.sh FOLDER [SCRIPT]
#   FOLDER  for the profile, QGIS's output (qgis.log) and the status that it ended with (ended)
#   SCRIPT  run with --code on a virtual screen; without it QGIS opens on yours
set -euo pipefail
cd "$(dirname "$0")/.."
here=$(pwd)
mkdir -p "$1"
folder=$(cd "$1" && pwd)
plugin=${LANDBRUSH_PLUGIN:-$here}
profile=$folder/profiles/landbrush
mkdir -p "$profile/python/plugins" "$profile/QGIS"
rm -f "$profile/python/plugins/landbrush"
ln -sfn "$plugin" "$profile/python/plugins/landbrush"
if [ ! -f "$profile/QGIS/QGIS3.ini" ]; then
    cat >"$profile/QGIS/QGIS3.ini" <<'INI'
[PythonPlugins]
landbrush=true
[core]
NewsFeed\httpsfeedqgisorg\disabled=true
[qgis]
checkVersion=false
newProjectDefault=false
[app]
plugin_installer\checkOnStart=false
ask-to-delete-memory-layers=false
[migration]
fileVersion=2
settings=true
INI
    # A look other than the default: "Night Mapping" is QGIS's dark one.
    [ -z "${QGIS_THEME:-}" ] || printf '[UI]\nUITheme=%s\n' "$QGIS_THEME" >>"$profile/QGIS/QGIS3.ini"
fi
export LANDBRUSH_PYTHON=${LANDBRUSH_PYTHON:-$here/.venv/bin/python}
export LANDBRUSH_HOME=${LANDBRUSH_HOME:-$folder/home}
arguments=(--nologo --profiles-path "$folder" --profile landbrush)
[ -z "${QGIS_LOCALE:-}" ] || arguments+=(--lang "$QGIS_LOCALE")
# Debian's 3.22 wrapper adds --noversioncheck itself and does not take it twice.
grep -qs noversioncheck /etc/default/qgis && [ "$(command -v qgis)" = /usr/bin/qgis ] &&
    grep -qs QGIS_OPTS "$(command -v qgis)" || arguments+=(--noversioncheck)
if [ -z "${2:-}" ]; then
    exec qgis "${arguments[@]}"
fi
runtime=$(mktemp -d)
trap 'rm -rf "$runtime"' EXIT
export XDG_RUNTIME_DIR=$runtime
unset QT_QPA_PLATFORM
ended=0
timeout "${LIMIT_S:-600}" xvfb-run -a -s "-screen 0 ${SCREEN:-1440x900x24} -dpi 96" \
    qgis "${arguments[@]}" --code "$2" >"$folder/qgis.log" 2>&1 || ended=$?
echo "$ended" >"$folder/ended"
