"""All files of the server's small setup in one zip, for computers without a network: in the panel
"…" > From a zip of wheels.

usage: python scripts/wheelhouse.py [--platform win_amd64 ...] [--python 3.12]
(default: this computer's system and Python; platforms as pip names them, several for Linux)

Writes build/wheelhouse-SYSTEM-pyVERSION.zip. What is in it is checked against the locked list
when it is made, and again when it is installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements-core.lock"
CHOOSING = ROOT / "plugin" / "local" / "choosing.py"


def listed_for(platforms: list[str], version: str) -> str:
    """The locked list for a system and a Python, without conditions: pip would judge them by the
    Python that it runs in."""
    spec = importlib.util.spec_from_file_location("choosing", CHOOSING)
    assert spec is not None and spec.loader is not None
    choosing = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(choosing)
    other: dict[str, str] = {}
    if version:
        other |= {"python_version": version, "python_full_version": f"{version}.0"}
    if platforms:
        names = {"win": "win32", "macosx": "darwin"}
        found = (name for start, name in names.items() if platforms[0].startswith(start))
        other["sys_platform"] = next(found, "linux")
    wanted = choosing.wanted(LOCK.read_text("utf8"), other or None)
    lines = (
        f"{one['name']}=={one['version']} " + " ".join(f"--hash=sha256:{h}" for h in one["hashes"])
        for one in wanted
    )
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description="A zip of the small setup's wheels.")
    parser.add_argument("--platform", action="append", default=[])
    parser.add_argument("--python", default="")
    given = parser.parse_args()
    other = bool(given.platform or given.python)
    system = given.platform[0] if given.platform else sysconfig.get_platform().replace("-", "_")
    version = given.python or ".".join(map(str, sys.version_info[:2]))
    target = ROOT / "build" / f"wheelhouse-{system}-py{version}.zip"
    target.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder) / "listed.txt"
        listed.write_text(listed_for(given.platform, given.python), "utf8")
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
        command += ["download", "--require-hashes", "--no-deps", "--dest", folder]
        for platform in given.platform:
            command += ["--platform", platform]
        if given.python:
            command += ["--python-version", given.python]
        if other:
            command += ["--only-binary", ":all:"]
        subprocess.run([*command, "-r", str(listed)], check=True)
        wheels = sorted(Path(folder).glob("*.whl"))
        with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
            for wheel in wheels:
                archive.write(wheel, wheel.name)
    print(f"{target.relative_to(ROOT)}: {len(wheels)} files, {target.stat().st_size:,} bytes")
    print(f"figure setup_mb {target.stat().st_size / 1e6:.0f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
