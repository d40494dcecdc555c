"""The plugin as it comes out of its zip: the server it carries, the steps of an installation, the
paths in the options."""

import sys
import zipfile
from pathlib import Path

import pytest
from landbrush.plugin import settings
from landbrush.plugin.local import installer
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


@pytest.mark.parametrize("driver", [False, True])
def test_torch_for_the_processor_alone_where_no_gpu_is(monkeypatch, driver):
    monkeypatch.setattr(installer.sys, "platform", "linux")
    monkeypatch.setattr(
        installer.shutil, "which", lambda name: "/usr/bin/nvidia-smi" if driver else None
    )
    monkeypatch.setattr(installer.Path, "exists", lambda self: driver)
    steps = installer.pretrained_steps("/usr/bin/python3")
    small = [step for step in steps if installer.CPU_INDEX in step.command]
    assert bool(small) != driver and not any(step.needed for step in small)


def test_what_pretrained_models_need_is_what_the_package_says():
    if sys.version_info < (3, 11):
        pytest.skip("tomllib came with Python 3.11")
    import tomllib

    root = Path(installer.__file__).resolve().parents[2]
    told = tomllib.loads((root / "pyproject.toml").read_text("utf8"))["project"]
    assert list(installer.PRETRAINED) == told["optional-dependencies"]["pretrained"]


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
