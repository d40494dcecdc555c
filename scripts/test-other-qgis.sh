#!/usr/bin/env bash
# The tests inside QGIS on the QGIS of another Debian: 3.22 of bookworm, newer ones of trixie,
# forky or sid, each in a folder of its own. Needs root, debootstrap and `make install`.
#
# usage: test-other-qgis.sh SUITE [what pytest takes ...]
set -euo pipefail
cd "$(dirname "$0")/.."
here=$(pwd)
suite=${1:?usage: test-other-qgis.sh SUITE [what pytest takes ...]}
[[ $suite =~ ^[a-z]+$ ]] || { echo "test-other-qgis.sh: '$suite' is no suite of Debian" >&2; exit 2; }
root=${LANDBRUSH_DEBIANS:-build/debian}/$suite
mirror=${DEBIAN_URL:-http://deb.debian.org/debian}
packages="qgis python3-qgis python3-venv xvfb xauth xdotool fonts-dejavu-core fonts-open-sans git ca-certificates make"

if [ "$(id -u)" != 0 ] || ! command -v debootstrap >/dev/null; then
    echo "test-other-qgis.sh: root and debootstrap are needed (apt-get install debootstrap)" >&2
    exit 1
fi
# What is mounted below is seen by this process and its children alone, and ends with them.
if [ -z "${LANDBRUSH_UNSHARED:-}" ]; then
    LANDBRUSH_UNSHARED=1 exec unshare --mount --propagation private "$here/scripts/$(basename "$0")" "$@"
fi
shift
mkdir -p "$(dirname "$root")"
if [ ! -f "$root/.made" ]; then
    rm -rf "$root"
    # A debootstrap that is older than the suite makes it as it makes Debian's newest.
    steps=$suite
    [ -e "/usr/share/debootstrap/scripts/$suite" ] || steps=sid
    debootstrap --variant=minbase "$suite" "$root" "$mirror" "$steps" >"$root.log" 2>&1 ||
        { tail -n 5 "$root.log" >&2; exit 1; }
    # A mirror may hold a suite for longer than the suite says that it is valid.
    echo 'Acquire::Check-Valid-Until "false";' >"$root/etc/apt/apt.conf.d/90valid"
    touch "$root/.made"
fi
root=$(cd "$root" && pwd)

# What the server runs on: this checkout's environment, the interpreter under it, and imagery.
python_home=$("$here/.venv/bin/python" -c 'import sys; print(sys.base_prefix)')
show() { # FOLDER [ro]: the same inside, where there is one
    [ -e "$1" ] || return 0
    mkdir -p "$root$1"
    mount --bind "$1" "$root$1"
    [ -z "${2:-}" ] || mount -o remount,bind,ro "$root$1"
}
mount -t proc proc "$root/proc"
show /dev
for place in /etc/resolv.conf /etc/hosts /etc/pip.conf /etc/xdg/pip; do
    [ ! -e "$place" ] || { mkdir -p "$root$(dirname "$place")" && cp -aL "$place" "$root$(dirname "$place")/"; }
done
mkdir -p "$root/etc/ssl"
cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/of-the-machine.crt"
copy=$root$here
if [ -d "$copy/.git" ]; then
    git -C "$copy" fetch -q "$here" HEAD && git -C "$copy" checkout -q -f FETCH_HEAD
else
    mkdir -p "$(dirname "$copy")"
    git clone -q "$here" "$copy"
fi
# What is not committed yet comes along.
git -C "$copy" clean -fdq
git ls-files -z --others --exclude-standard | xargs -0r cp --parents -t "$copy"
git diff --quiet HEAD ||
    git -c color.ui=never diff --no-ext-diff --src-prefix=a/ --dst-prefix=b/ --binary HEAD | git -C "$copy" apply
[ "$python_home" = /usr ] || show "$python_home" ro
for place in "$here/.venv" "$here/../shared"; do show "$(realpath -m "$place")" ro; done

chroot "$root" env DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin sh -ec "
    python3 -c 'import qgis.core' 2>/dev/null && command -v xdotool >/dev/null && command -v git >/dev/null &&
        command -v Xvfb >/dev/null && exit 0
    apt-get -qq update
    apt-get -qq -y -o Dpkg::Use-Pty=0 --no-install-recommends install $packages >/dev/null"
cat >"$root/run-tests.sh" <<'INSIDE'
set -eu
export QT_QPA_PLATFORM=offscreen LC_ALL=C.UTF-8
/usr/bin/python3 -c 'from qgis.core import Qgis; print("QGIS", Qgis.QGIS_VERSION)'
QGIS_PYTHON=/usr/bin/python3 scripts/install-qgis-tests.sh
.venv/bin/python scripts/package.py >/dev/null
exec scripts/test-qgis.sh "$@"
INSIDE
chroot "$root" env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    SSL_CERT_FILE=/etc/ssl/of-the-machine.crt PIP_CERT=/etc/ssl/of-the-machine.crt \
    PIP_FIND_LINKS="${PIP_FIND_LINKS:-}" CI="${CI:-}" \
    bash -c "cd '$here' && exec bash /run-tests.sh \"\$@\"" tests "$@"
