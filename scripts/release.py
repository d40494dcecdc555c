"""Make a release: one version everywhere, the changelog cut, a commit, a tag, the package.

usage: python scripts/release.py VERSION           writes, commits, tags, builds the package
       python scripts/release.py --check VERSION   exits with 1 where a file says another version
       python scripts/release.py --notes VERSION   prints what CHANGELOG.md says of that version

Nothing is pushed. To publish: `git push --follow-tags`.
"""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VERSION = re.compile(r"\d+\.\d+\.\d+((a|b|rc)\d+)?")
UNRELEASED = "## [Unreleased]\n"
STATED = {
    "pyproject.toml": re.compile(r'^version = "(.+)"$', re.M),
    "metadata.txt": re.compile(r"^version=(.+)$", re.M),
    "CITATION.cff": re.compile(r"^version: (.+)$", re.M),
}
"""The files that state the version, and how."""


class CannotRelease(Exception):
    """Why not, in a sentence."""


def versions(root: Path) -> dict[str, str]:
    """The version that each file states."""
    found = {}
    for name, pattern in STATED.items():
        match = pattern.search((root / name).read_text(encoding="utf-8"))
        if match is None:
            raise CannotRelease(f"{name} states no version.")
        found[name] = match[1]
    return found


def set_version(root: Path, version: str) -> None:
    """Write the version into every file that states it; raises CannotRelease for a bad one."""
    if not VERSION.fullmatch(version):
        raise CannotRelease(f"'{version}' is no version such as 0.2.0 or 0.2.0rc1.")
    versions(root)
    for name, pattern in STATED.items():
        path = root / name
        text = path.read_text(encoding="utf-8")
        match = pattern.search(text)
        path.write_text(text[: match.start(1)] + version + text[match.end(1) :], encoding="utf-8")


def notes(changelog: str, version: str) -> str:
    """The section of a version, without its heading; raises CannotRelease where there is none."""
    heading = re.search(rf"^## {re.escape(version)} - .*$", changelog, re.M)
    if heading is None:
        raise CannotRelease(f"CHANGELOG.md has no section '## {version} - DATE'.")
    rest = changelog[heading.end() :]
    following = re.search(r"^## ", rest, re.M)
    return rest[: following.start() if following else None].strip() + "\n"


def cut(changelog: str, version: str, day: str) -> str:
    """The changelog with what was unreleased as that version's section, and a new empty one."""
    if re.search(rf"^## {re.escape(version)} - ", changelog, re.M):
        raise CannotRelease(f"CHANGELOG.md has a section of {version} already.")
    before, heading, after = changelog.partition(UNRELEASED)
    if not heading or not re.split(r"^## ", after, maxsplit=1, flags=re.M)[0].strip():
        raise CannotRelease("CHANGELOG.md has nothing under '## [Unreleased]'.")
    return f"{before}{UNRELEASED}\n## {version} - {day}\n{after}"


def git(*words: str) -> str:
    """What git prints; raises CannotRelease with its message."""
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise CannotRelease(f"git {words[0]}: {done.stderr.strip()}")
    return done.stdout.strip()


def release(version: str) -> None:
    """Write, commit, tag and build; a working tree that is not clean is refused."""
    if git("status", "--porcelain"):
        raise CannotRelease("There are changes that are not committed.")
    changelog = ROOT / "CHANGELOG.md"
    text = cut(changelog.read_text(encoding="utf-8"), version, date.today().isoformat())
    set_version(ROOT, version)
    citation = ROOT / "CITATION.cff"
    dated = f"date-released: {date.today()}"
    cited = re.sub(r"(?m)^date-released: .*$", dated, citation.read_text(encoding="utf-8"))
    citation.write_text(cited, encoding="utf-8")
    changelog.write_text(text, encoding="utf-8")
    subprocess.run([sys.executable, "scripts/package.py"], cwd=ROOT, check=True)
    git("commit", "-am", f"Release {version}")
    git("tag", "-a", f"v{version}", "-m", f"Landbrush {version}")
    print(f"v{version} is tagged; to publish: git push --follow-tags")


def check(version: str) -> None:
    """Raise CannotRelease where a file states another version or the changelog says nothing."""
    for name, stated in versions(ROOT).items():
        if stated != version:
            raise CannotRelease(f"{name} states {stated}, not {version}.")
    notes((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), version)


def main(words: list[str]) -> int:
    try:
        if len(words) == 2 and words[0] == "--check":
            check(words[1])
        elif len(words) == 2 and words[0] == "--notes":
            print(notes((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), words[1]), end="")
        elif len(words) == 1 and not words[0].startswith("-"):
            release(words[0])
        else:
            print(__doc__)
            return 2
    except CannotRelease as error:
        print(f"release: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
