"""Build the plugin: build/landbrush/ and build/landbrush.zip, in the form plugins.qgis.org asks
for.

Of the server its contract is inside as modules, and all of it as a wheel of pure Python, which the
plugin installs into an environment of the server's own, by path and hash. The same commit gives the
same bytes.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FILES = ("__init__.py", "metadata.txt", "LICENSE", "server/__init__.py", "resources/editors.json")
SOURCES = (
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "metadata.txt",
    "__init__.py",
    "server",
    "resources",
)
WHEELS = "resources/server"
LOCK = "requirements-core.lock"
WHOLE_LOCK = "requirements-server.lock"
VOCABULARY_LOCK = "requirements-aside.lock"
TORCH_PARTS = ("torch", "triton", "nvidia-", "cuda-")
"""Beginnings of the names of what belongs to PyTorch's build for NVIDIA's cards."""
LONG_AGO = (1980, 1, 1, 0, 0, 0)
COMPILED = (".so", ".pyd", ".dll", ".dylib", ".exe", ".pyc")
FOLDERS = {
    "plugin": (".py",),
    "server/contract": (".py",),
    "resources": (".svg", ".ui", ".qm", ".qml"),
    "resources/i18n": (".json",),
}
HELP = ("docs/guide.md", "docs/tutorial.md")
"""What the panel shows as its help, with the pictures in it."""
LARGEST = 25_000_000


def zipped(contents: dict[str, bytes]) -> bytes:
    """An archive that depends on the names and contents alone."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            entry = zipfile.ZipInfo(name, LONG_AGO)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return out.getvalue()


def copied(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def server_wheel(build: Path) -> tuple[str, bytes]:
    """Name and content of the server's wheel; raises SystemExit where it holds compiled code."""
    with tempfile.TemporaryDirectory(dir=build) as folder:
        # From a copy: setuptools leaves what it built in the sources, and would pack it again when
        # it is gone there.
        source = Path(folder) / "source"
        for part in SOURCES:
            (shutil.copytree if (ROOT / part).is_dir() else copied)(ROOT / part, source / part)
        wheel = [
            sys.executable,
            "-m",
            "pip",
            "--disable-pip-version-check",
            "--quiet",
            "wheel",
            "--no-deps",
        ]
        subprocess.run([*wheel, "--wheel-dir", folder, str(source)], check=True)
        path = next(Path(folder).glob("landbrush-*-py3-none-any.whl"))
        with zipfile.ZipFile(path) as archive:
            contents = {
                name: archive.read(name)
                for name in sorted(archive.namelist())
                if not name.endswith("/")
            }
    compiled = [name for name in contents if name.endswith(COMPILED)]
    if compiled:
        raise SystemExit(f"the wheel holds compiled code: {compiled[:5]}")
    return path.name, zipped(contents)


def entries(path: Path) -> dict[str, str]:
    """The entries of a locked list, several lines each, by name and condition."""
    text = re.sub(r"(?m)^\s*#.*\n", "", path.read_text("utf8"))
    found = re.findall(r"(?m)^(\S+?==.*(?:\n[ \t]+.*)*)", text)
    return {one.split("\\")[0].strip(): one for one in found}


def pretrained_locks() -> dict[str, str]:
    """Locked lists of what networks of the user's need beside the small setup: PyTorch's build of
    PyPI, and the libraries."""
    core = {name.split("==")[0] for name in entries(ROOT / LOCK)}
    more = {k: v for k, v in entries(ROOT / WHOLE_LOCK).items() if k.split("==")[0] not in core}
    torch = {name for name in more if name.startswith(TORCH_PARTS)}
    return {
        "requirements-torch.lock": "\n".join(more[name] for name in more if name in torch) + "\n",
        "requirements-pretrained.lock": "\n".join(more[n] for n in more if n not in torch) + "\n",
    }


def main() -> int:
    build = ROOT / "build"
    target = build / "landbrush"
    shutil.rmtree(target, ignore_errors=True)
    names = list(FILES)
    for folder, kinds in FOLDERS.items():
        found = sorted(
            p
            for p in (ROOT / folder).rglob("*")
            if p.suffix in kinds and "__pycache__" not in p.parts
        )
        names += [p.relative_to(ROOT).as_posix() for p in found]
    for page in HELP:
        names.append(page)
        text = (ROOT / page).read_text("utf8")
        names += [f"docs/{picture}" for picture in re.findall(r"!\[[^\]]*\]\((\S+?)\)", text)]
    archive = build / "landbrush.zip"
    build.mkdir(exist_ok=True)
    contents = {name: (ROOT / name).read_bytes() for name in names}
    name, wheel = server_wheel(build)
    contents[f"{WHEELS}/{name}"] = wheel
    digest = hashlib.sha256(wheel).hexdigest()
    # In groups, as fingerprints are written: in one piece scanners take it for a secret.
    about = {"file": name, "sha256": " ".join(digest[at : at + 8] for at in range(0, 64, 8))}
    contents[f"{WHEELS}/wheel.json"] = (json.dumps(about, indent=1) + "\n").encode()
    contents[f"{WHEELS}/{LOCK}"] = (ROOT / LOCK).read_bytes()
    contents[f"{WHEELS}/{VOCABULARY_LOCK}"] = (ROOT / VOCABULARY_LOCK).read_bytes()
    for name, listed in pretrained_locks().items():
        contents[f"{WHEELS}/{name}"] = listed.encode()
    for name, content in contents.items():
        copy = target / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(content)
    archive.write_bytes(
        zipped({f"landbrush/{name}": content for name, content in contents.items()})
    )
    size = archive.stat().st_size
    print(
        f"{archive.relative_to(ROOT)}: {len(contents)} files, {size:,} bytes, of them "
        f"{len(wheel):,} for the server"
    )
    return 0 if size <= LARGEST else 1


if __name__ == "__main__":
    sys.exit(main())
