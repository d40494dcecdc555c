"""The release script, on copies of the files that state a version."""

import importlib.util
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
spec = importlib.util.spec_from_file_location("release", ROOT / "scripts" / "release.py")
release = importlib.util.module_from_spec(spec)
spec.loader.exec_module(release)

CHANGES = "# Changes\n\n## [Unreleased]\n### Added\n- A thing.\n\n## 0.1.0 - 2026-11-21\n- First.\n"


@pytest.fixture
def copy(tmp_path):
    for name in release.STATED:
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def test_every_file_states_the_same_version():
    assert len(set(release.versions(ROOT).values())) == 1


def test_the_changelog_speaks_of_the_version():
    version = release.versions(ROOT)["pyproject.toml"]
    assert release.notes((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), version).strip()


@pytest.mark.parametrize("version", ["0.3.0", "1.0.0rc1"])
def test_a_version_is_written_everywhere(copy, version):
    before = (copy / "metadata.txt").read_text(encoding="utf-8").splitlines()
    release.set_version(copy, version)
    assert set(release.versions(copy).values()) == {version}
    after = (copy / "metadata.txt").read_text(encoding="utf-8").splitlines()
    assert [a for a, b in zip(after, before, strict=True) if a != b] == [f"version={version}"]


@pytest.mark.parametrize("version", ["1", "v0.3.0", "0.3.0-rc1", ""])
def test_a_bad_version_changes_nothing(copy, version):
    before = release.versions(copy)
    with pytest.raises(release.CannotRelease, match="is no version"):
        release.set_version(copy, version)
    assert release.versions(copy) == before


def test_what_was_unreleased_becomes_the_version():
    text = release.cut(CHANGES, "0.2.0", "2026-11-28")
    assert release.notes(text, "0.2.0") == "### Added\n- A thing.\n"
    assert release.notes(text, "0.1.0") == "- First.\n"
    with pytest.raises(release.CannotRelease, match="nothing under"):
        release.cut(text, "0.3.0", "2026-11-29")
    with pytest.raises(release.CannotRelease, match="already"):
        release.cut(CHANGES, "0.1.0", "2026-11-29")


def test_a_version_without_a_section_is_refused():
    with pytest.raises(release.CannotRelease, match="no section '## 9.9.9"):
        release.notes(CHANGES, "9.9.9")
