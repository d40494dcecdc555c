#!/usr/bin/env bash
# Make sure that a QGIS of at least 3.22 with its Python, a virtual screen and a
# screenshot tool are here. Nothing happens when they are.
#
# usage: install-qgis.sh [any|backports|stable]
#   any        (default) keep whatever QGIS >= 3.22 is installed; else as backports
#   backports  Debian 12's bookworm-backports (QGIS 3.40)
#   stable     the distribution's own packages (QGIS 3.22 on Debian 12)
#
# The backports suite is read from a private source list, so that the machine's
# own apt sources stay as they are.
set -euo pipefail

suite=${1:-any}
system_python=${QGIS_PYTHON:-/usr/bin/python3}
packages="qgis python3-qgis python3-venv xvfb xauth xdotool fonts-dejavu-core fonts-open-sans"

qgis_version() {
    QT_QPA_PLATFORM=offscreen "$system_python" -c \
        'from qgis.core import Qgis; print(Qgis.QGIS_VERSION_INT)' 2>/dev/null || echo 0
}

case $suite in
    backports) needed=34000 ;;
    any | stable) needed=32200 ;;
    *) echo "install-qgis.sh: '$suite' is none of any, backports, stable" >&2; exit 2 ;;
esac

if [ "$(qgis_version)" -ge "$needed" ] && command -v Xvfb xdotool qgis >/dev/null &&
    "$system_python" -c 'import ensurepip' 2>/dev/null; then
    exit 0
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "QGIS 3.22 or newer with its Python bindings, and Xvfb, are needed." >&2
    echo "On Debian or Ubuntu: sudo apt-get install $packages" >&2
    echo "Elsewhere see https://qgis.org/resources/installation-guide/, then set QGIS_PYTHON." >&2
    exit 1
fi

export DEBIAN_FRONTEND=noninteractive
codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
options=()
release=()
if [ "$suite" != stable ] && [ "$codename" = bookworm ]; then
    private=$(mktemp -d)
    trap 'rm -rf "$private"' EXIT
    chmod 755 "$private"
    mkdir -p "$private/lists/partial"
    mirror_of() {
        apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Identifier: Packages' |
            awk -v wanted="$1" '!found && $1 == wanted { print $2; found = 1 }'
    }
    mirror=${DEBIAN_URL:-$(mirror_of bookworm)}
    [ -n "$mirror" ] || { echo "set DEBIAN_URL to a Debian archive" >&2; exit 1; }
    security=${DEBIAN_SECURITY_URL:-$(mirror_of bookworm-security)}
    key=/usr/share/keyrings/debian-archive-keyring.gpg
    for name in bookworm bookworm-updates bookworm-backports; do
        echo "deb [signed-by=$key] $mirror $name main"
    done >"$private/sources.list"
    [ -z "$security" ] || echo "deb [signed-by=$key] $security bookworm-security main" >>"$private/sources.list"
    options=(-o "Dir::Etc::SourceList=$private/sources.list" -o Dir::Etc::SourceParts=/nonexistent
        -o "Dir::State::Lists=$private/lists")
    release=(-t bookworm-backports)
fi
echo "installing QGIS and a virtual screen with apt-get (a few minutes) ..."
apt-get "${options[@]}" -o Acquire::Languages=none -o Acquire::Retries=3 -qq update
# shellcheck disable=SC2086
apt-get "${options[@]}" -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 -qq -y \
    --no-install-recommends "${release[@]}" install $packages >/dev/null
QT_QPA_PLATFORM=offscreen "$system_python" -c \
    'from qgis.core import Qgis; print("QGIS", Qgis.QGIS_VERSION, "is installed")'
