"""The plugin as it comes out of its zip: the server it carries, the steps of an installation, the
paths in the options."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from landbrush.plugin import settings
from landbrush.plugin.local import installer, pretrained
from landbrush.plugin.local.server import FAILED, INSTALLING
from landbrush.plugin.panel.options_page import LandbrushOptionsPage


@pytest.fixture
def unpacked(helpers, tmp_path, monkeypatch):
    """The plugin as it comes out of its zip, on a machine without a server."""
    archive = helpers.root / "build" / "landbrush.zip"
    if not archive.exists():
        pytest.skip("build/landbrush.zip is not there: make package")
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(tmp_path / "plugins")
    monkeypatch.setattr(installer, "ROOT", tmp_path / "plugins" / "landbrush")
    monkeypatch.delenv("LANDBRUSH_PYTHON", raising=False)
    return tmp_path / "plugins" / "landbrush"


def test_the_zip_installs_its_own_server_without_a_setting(unpacked, dock):
    assert installer.find_python() is None and not settings.get("server/package")
    dock._show_server(dock.server.state, "")
    card = dock.setup_card
    assert card.isVisibleTo(dock) and not dock.server_row.isVisibleTo(dock)
    assert card.button.text() == "Set up" and "One-time setup: about 150 MB" in card.said.text()
    path, digest = installer.shipped_wheel()
    wanted = installer.requirement()
    assert (
        path.suffix == ".whl"
        and wanted.startswith("landbrush @ file://")
        and wanted.endswith(f"#sha256={digest}")
    )
    with zipfile.ZipFile(path) as wheel:
        names = wheel.namelist()
    assert "landbrush/server/editing/path.py" in names and not [
        n for n in names if n.endswith((".so", ".pyd", ".dll"))
    ]
    lock = installer.lock()
    assert lock is not None and "rasterio==" in lock.read_text() and "torch" not in lock.read_text()


def test_a_wheel_that_is_not_the_one_packed_is_not_installed(unpacked, dock, monkeypatch):
    path, _ = installer.shipped_wheel()
    path.write_bytes(path.read_bytes() + b"x")
    monkeypatch.setattr(installer, "base_python", lambda home=None: "/usr/bin/python3")
    dock.server.install()
    assert dock.server.state == FAILED
    assert "not the server that was packed" in dock.setup_card.said.text()
    assert not installer.environment_folder().exists()


@pytest.mark.parametrize(
    ("system", "there", "builds"),
    [
        ("linux", "", ("cpu",)),
        ("linux", "/dev/nvidiactl", ()),
        ("linux", "nvidia-smi", ()),
        ("win32", "", ()),
        ("win32", "nvidia-smi", pretrained.CUDA),
        ("win32", "nvcuda.dll", pretrained.CUDA),
        ("darwin", "", ()),
    ],
)
def test_torch_for_what_this_computer_computes_on(monkeypatch, system, there, builds):
    monkeypatch.setattr(pretrained.sys, "platform", system)
    monkeypatch.setattr(pretrained.shutil, "which", lambda name: name if name == there else None)
    monkeypatch.setattr(
        pretrained.Path, "exists", lambda self: bool(there) and str(self).endswith(there)
    )
    assert pretrained.builds() == builds
    steps = pretrained.steps("/usr/bin/python3", "/e/pretrained-1")
    from_there = [step for step in steps if "--index-url" in step.command]
    assert [step.command[-1].rsplit("/", 1)[1] for step in from_there] == list(builds)
    assert not any(step.needed for step in from_there)


def test_the_libraries_are_those_of_a_locked_list(unpacked, monkeypatch):
    steps = pretrained.steps("/usr/bin/python3", "/e/pretrained-1")
    listed = [step for step in steps if "--require-hashes" in step.command]
    names = [Path(step.command[-1]).name for step in listed]
    assert names == [
        pretrained.TORCH_LOCK,
        pretrained.LIBRARIES_LOCK,
        pretrained.VOCABULARY_LOCK,
    ]
    assert not [
        step for step in steps if step.needed and "install" in step.command and step not in listed
    ]
    named = {
        path.name: {line.split("==")[0] for line in path.read_text().splitlines() if "==" in line}
        for path in (installer.lock(), *(pretrained.lists() / name for name in names))
    }
    core, torch, libraries, vocabulary = named.values()
    assert not core & (torch | libraries) and not torch & libraries
    assert "torch" in torch and {"transformers", "diffusers"} <= libraries
    assert not [name for name in libraries if name.startswith(("torch", "nvidia", "triton"))]
    assert vocabulary == {"open-clip-torch"}


@pytest.mark.parametrize(
    ("chip", "builds"),
    [("110000", pretrained.ROCM), ("90012", pretrained.CPU), ("0", pretrained.CPU)],
)
def test_graphics_inside_of_a_processor_are_no_card(tmp_path, monkeypatch, chip, builds):
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "properties").write_text(f"simd_count 8\ngfx_target_version {chip}\n")
    monkeypatch.setattr(pretrained.sys, "platform", "linux")
    monkeypatch.setattr(pretrained, "GPUS", tmp_path)
    monkeypatch.setattr(pretrained, "_has_nvidia", lambda: False)
    assert pretrained.builds() == builds
    assert pretrained.needed_mb() > 10_000 if builds == pretrained.ROCM else 6000


@pytest.fixture
def environment(tmp_path):
    """A real environment, and the folder of a first try in it."""
    folder = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    return folder / "bin" / "python", folder / "pretrained-1"


NETWORKS = ("torch", "transformers", "diffusers")


def put(folder, *names, whole=True):
    """Packages as pip unpacks them into a folder; not `whole`: without what it writes last."""
    library = folder / "lib" / "python3" / "site-packages"
    for name in names:
        (library / name).mkdir(parents=True, exist_ok=True)
        (library / name / "__init__.py").write_text(f"AT = {str(folder)!r}\n")
        about = library / f"{name}-2.6.dist-info"
        about.mkdir(exist_ok=True)
        if whole:
            (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 2.6\n")
            (about / "RECORD").write_text(f"{name}/__init__.py,,\n{name}-2.6.dist-info/RECORD,,\n")


def where(python):
    """From where an environment loads PyTorch; empty: it has none."""
    code = "import importlib.util as u; print(u.find_spec('torch') and u.find_spec('torch').origin)"
    said = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout
    return "" if said.strip() == "None" else said.strip()


def test_what_came_counts_once_all_of_it_can_be_loaded(environment):
    python, first = environment
    put(first, "torch")
    assert where(python) == ""
    loads, links, _ = (step.command for step in pretrained.last_steps(python, first, "json"))
    assert subprocess.run(loads, capture_output=True).returncode, "diffusers is not there"
    put(first, *NETWORKS)
    subprocess.run(loads, check=True)
    assert where(python) == "", "not before it was linked"
    subprocess.run(links, check=True)
    assert where(python).startswith(str(first))
    second = first.with_name("pretrained-2")
    put(second, *NETWORKS)
    begin = pretrained.steps(python, first.with_name("pretrained-3"))[0].command
    subprocess.run(begin, check=True)
    assert not second.exists() and where(python).startswith(str(first)), "that of a broken try goes"
    put(second, *NETWORKS)
    links, clears = pretrained.last_steps(python, second, "json")[1:]
    subprocess.run(links.command, check=True)
    assert where(python).startswith(str(second)) and first.exists()
    assert pretrained.counts(second) and not pretrained.counts(first)
    subprocess.run(clears.command, check=True)
    assert where(python).startswith(str(second)) and not first.exists()


@pytest.mark.parametrize(("whole", "installs"), [(True, False), (False, True)])
def test_a_stump_of_pytorch_is_not_taken_for_it(environment, whole, installs):
    """A try that was stopped while files came left them without what pip writes last."""
    python, folder = environment
    put(folder, "torch", whole=whole)
    step = next(s for s in pretrained.steps(python, folder) if pretrained.LACKING in s.command)
    ended = subprocess.run(step.command, capture_output=True, text=True)
    assert ("No module named pip" in ended.stderr) == installs, ended.stderr
    assert (ended.returncode != 0) == installs


def test_what_pretrained_models_need_is_what_the_package_says():
    if sys.version_info < (3, 11):
        pytest.skip("tomllib came with Python 3.11")
    import tomllib

    root = Path(installer.__file__).resolve().parents[2]
    told = tomllib.loads((root / "pyproject.toml").read_text("utf8"))["project"]
    assert list(pretrained.PRETRAINED) == told["optional-dependencies"]["pretrained"]


def test_pressing_the_card_sets_up_and_a_failure_is_told_there(dock, helpers, monkeypatch):
    broken = installer.Step("one", ["/bin/sh", "-c", "echo broken >&2; exit 3"])
    monkeypatch.setattr(installer, "find_python", lambda: None)
    monkeypatch.setattr(installer, "base_python", lambda home=None: "/usr/bin/python3")
    monkeypatch.setattr(installer, "requirement", lambda: "x")
    monkeypatch.setattr(installer, "lock", lambda: None)
    monkeypatch.setattr(installer, "package_step", lambda package: broken)
    dock._show_server(dock.server.state, "")
    card = dock.setup_card
    said = []
    dock.server.changed.connect(lambda state, text: said.append((state, text)))
    card.button.click()
    assert dock.server.state == INSTALLING and card.button.text() == "Stop"
    assert card.bar.isVisibleTo(card) and not card.more.isVisibleTo(card)
    assert helpers.wait(lambda: dock.server.state == FAILED)
    assert any(text == "Installing one …" for state, text in said if state == INSTALLING)
    assert "Installing failed: broken" in card.said.text() and card.button.text() == "Set up"
    assert not installer.environment_folder().exists()


def test_the_bar_shows_bytes_and_the_menu_other_ways(dock, tmp_path, monkeypatch):
    card = dock.setup_card
    card.go_on("Fetching …")
    assert card.bar.maximum() == 0
    card.show_progress(40e6, 160e6)
    assert card.bar.value() == card.bar.maximum() // 4 and card.bar.format() == "40 / 160 MB"
    card.rest()
    began = []
    card.wanted.disconnect()
    card.wanted.connect(lambda: began.append(settings.get("server/wheels")))
    picked = "landbrush.plugin.panel.setup_card.QFileDialog.getExistingDirectory"
    monkeypatch.setattr(picked, lambda *_: str(tmp_path))
    card.from_folder.trigger()
    assert began == [str(tmp_path)]
    settings.put("server/wheels", "")
    monkeypatch.setattr(picked, lambda *_: "")
    card.from_folder.trigger()
    assert len(began) == 1


@pytest.mark.parametrize("accepted", [False, True])
def test_an_office_server_is_named_in_the_options_or_nothing_changes(dock, monkeypatch, accepted):
    opened = []

    def options(parent, page):
        opened.append((page, settings.get("server/local")))
        if accepted:
            LandbrushOptionsPage().apply()

    monkeypatch.setattr(dock.iface, "showOptionsDialog", options, raising=False)
    settings.put("server/token", "of an office")  # that was used before
    dock.setup_card.office.trigger()
    assert opened == [("LandbrushOptions", False)]
    assert settings.get("server/local") is not accepted
    settings.put("server/local", True)
    settings.put("server/token", "")


def test_paths_in_the_options_are_files_or_folders(qgis_app, tmp_path, monkeypatch):
    from landbrush.plugin.panel import options_page

    page = options_page.LandbrushOptionsPage()
    monkeypatch.setattr(
        options_page.QFileDialog, "getOpenFileName", lambda *_: (str(tmp_path / "a.whl"), "")
    )
    monkeypatch.setattr(options_page.QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path))
    page.package.pick_file.trigger()
    assert page.package.text() == str(tmp_path / "a.whl")
    page.package.pick_folder.trigger()
    assert page.package.text() == str(tmp_path)
    page.models["image-text"].pick_folder.trigger()
    assert page.models["image-text"].text() == str(tmp_path)
