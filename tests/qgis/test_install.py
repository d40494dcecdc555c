"""The plugin as it comes out of its zip: the server it carries, the steps of an installation, the
paths in the options."""

import zipfile

import pytest
from landbrush.plugin import settings
from landbrush.plugin.local import installer
from landbrush.plugin.local.server import FAILED, INSTALLING


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
    assert (
        dock.server_button.text() == "Install server" and "not installed" in dock.server_line.text()
    )
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
    titles = [step.title for step in installer.install_steps("/usr/bin/python3", wanted)]
    assert titles[0] == "a Python environment" and "the server and its libraries" in titles


def test_a_wheel_that_is_not_the_one_packed_is_not_installed(unpacked, dock, monkeypatch):
    path, _ = installer.shipped_wheel()
    path.write_bytes(path.read_bytes() + b"x")
    monkeypatch.setattr(installer, "base_python", lambda: "/usr/bin/python3")
    dock.server.install()
    assert (
        dock.server.state == FAILED and "not the server that was packed" in dock.server_line.text()
    )
    assert not installer.environment_folder().exists()


@pytest.mark.parametrize("driver", [False, True])
def test_torch_for_the_processor_alone_where_no_gpu_is(monkeypatch, driver):
    monkeypatch.setattr(installer.sys, "platform", "linux")
    monkeypatch.setattr(
        installer.shutil, "which", lambda name: "/usr/bin/nvidia-smi" if driver else None
    )
    monkeypatch.setattr(installer.Path, "exists", lambda self: driver)
    steps = installer.install_steps("/usr/bin/python3", "x")
    small = [step for step in steps if installer.CPU_INDEX in step.command]
    assert bool(small) != driver and not any(step.needed for step in small)
    assert installer.TORCH in (installer.Path(__file__).parents[2] / "pyproject.toml").read_text()


def test_a_step_that_is_not_needed_may_fail_and_one_that_is_may_not(dock, helpers, monkeypatch):
    quick = [
        installer.Step("one", ["/bin/false"], needed=False),
        installer.Step("two", ["/bin/sh", "-c", "echo broken >&2; exit 3"]),
    ]
    monkeypatch.setattr(installer, "base_python", lambda: "/usr/bin/python3")
    monkeypatch.setattr(installer, "requirement", lambda: "x")
    monkeypatch.setattr(installer, "install_steps", lambda base, package: list(quick))
    said = []
    dock.server.changed.connect(lambda state, text: said.append((state, text)))
    dock.server.install()
    assert helpers.wait(lambda: dock.server.state == FAILED)
    assert [text for state, text in said if state == INSTALLING] == [
        "Installing, 1 of 2: one …",
        "Installing, 2 of 2: two …",
    ]
    assert (
        "broken" in said[-1][1]
        and installer.environment_folder().with_suffix(".incomplete").exists()
    )


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
