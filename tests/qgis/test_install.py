"""The plugin as it comes out of its zip: the server it carries, the steps of an installation, the
paths in the options."""

import zipfile

import pytest
from landbrush.plugin import settings
from landbrush.plugin.local import server as local_server
from landbrush.plugin.local.server import FAILED, INSTALLING


@pytest.fixture
def unpacked(helpers, tmp_path, monkeypatch):
    """The plugin as it comes out of its zip, on a machine without a server."""
    archive = helpers.root / "build" / "landbrush.zip"
    if not archive.exists():
        pytest.skip("build/landbrush.zip is not there: make package")
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(tmp_path / "plugins")
    monkeypatch.setattr(local_server, "ROOT", tmp_path / "plugins" / "landbrush")
    monkeypatch.delenv("LANDBRUSH_PYTHON", raising=False)
    return tmp_path / "plugins" / "landbrush"


def test_the_zip_installs_its_own_server_without_a_setting(unpacked, dock):
    assert local_server.find_python() is None and not settings.get("server/package")
    dock._show_server(dock.server.state, "")
    assert (
        dock.server_button.text() == "Install server" and "not installed" in dock.server_line.text()
    )
    path, digest = local_server.shipped_wheel()
    wanted = local_server.requirement()
    assert (
        path.suffix == ".whl"
        and wanted.startswith("landbrush[server] @ file://")
        and wanted.endswith(f"#sha256={digest}")
    )
    with zipfile.ZipFile(path) as wheel:
        names = wheel.namelist()
    assert "landbrush/server/edit.py" in names and not [
        n for n in names if n.endswith((".so", ".pyd", ".dll"))
    ]
    titles = [step.title for step in local_server.install_steps("/usr/bin/python3", wanted)]
    assert titles[0] == "a Python environment" and "the server and its libraries" in titles


def test_a_wheel_that_is_not_the_one_packed_is_not_installed(unpacked, dock, monkeypatch):
    path, _ = local_server.shipped_wheel()
    path.write_bytes(path.read_bytes() + b"x")
    monkeypatch.setattr(local_server, "base_python", lambda: "/usr/bin/python3")
    dock.server.install()
    assert (
        dock.server.state == FAILED and "not the server that was packed" in dock.server_line.text()
    )
    assert not local_server.environment_folder().exists()


@pytest.mark.parametrize("driver", [False, True])
def test_torch_for_the_processor_alone_where_no_gpu_is(monkeypatch, driver):
    monkeypatch.setattr(local_server.sys, "platform", "linux")
    monkeypatch.setattr(
        local_server.shutil, "which", lambda name: "/usr/bin/nvidia-smi" if driver else None
    )
    monkeypatch.setattr(local_server.Path, "exists", lambda self: driver)
    steps = local_server.install_steps("/usr/bin/python3", "x")
    small = [step for step in steps if local_server.CPU_INDEX in step.command]
    assert bool(small) != driver and not any(step.needed for step in small)
    assert (
        local_server.TORCH
        in (local_server.Path(__file__).parents[2] / "pyproject.toml").read_text()
    )


def test_a_step_that_is_not_needed_may_fail_and_one_that_is_may_not(dock, helpers, monkeypatch):
    quick = [
        local_server.Step("one", ["/bin/false"], needed=False),
        local_server.Step("two", ["/bin/sh", "-c", "echo broken >&2; exit 3"]),
    ]
    monkeypatch.setattr(local_server, "base_python", lambda: "/usr/bin/python3")
    monkeypatch.setattr(local_server, "requirement", lambda: "x")
    monkeypatch.setattr(local_server, "install_steps", lambda base, package: list(quick))
    said = []
    dock.server.changed.connect(lambda state, text: said.append((state, text)))
    dock.server.install()
    assert helpers.wait(lambda: dock.server.state == FAILED)
    assert [text for state, text in said if state == INSTALLING] == [
        "Installing, 1 of 2: one ...",
        "Installing, 2 of 2: two ...",
    ]
    assert (
        "broken" in said[-1][1]
        and local_server.environment_folder().with_suffix(".incomplete").exists()
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
