"""Setting up the server on this computer: from an index, from wheels, stopped and gone on with."""

import base64
import hashlib
import http.server
import io
import json
import subprocess
import threading
import zipfile
from pathlib import Path

import pytest
from landbrush.plugin import settings
from landbrush.plugin.errors import PluginError
from landbrush.plugin.local import installer, pretrained, wheels
from landbrush.plugin.local.fetching import Download
from landbrush.plugin.local.server import INSTALLED, INSTALLING, LocalServer
from landbrush.plugin.local.setup import FETCHED, LARGE, Setup
from landbrush.plugin.local.wheels import Wanted, Wheel
from qgis.PyQt.QtCore import QObject, QTimer, pyqtSignal


def wheel(folder: Path, name: str, files: dict, version: str = "1.0") -> Path:
    """A wheel of pure Python with those files."""
    about = f"{name}-{version}.dist-info"
    files = {
        **files,
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    lines = []
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=")
        lines.append(f"{path},sha256={digest.decode()},{len(text.encode())}")
    files[f"{about}/RECORD"] = "\n".join([*lines, f"{about}/RECORD,,"]) + "\n"
    path = folder / f"{name}-{version}-py3-none-any.whl"
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for inside, text in files.items():
            archive.writestr(inside, text)
    return path


class Index(http.server.BaseHTTPRequestHandler):
    """An index that tells of wheels in a folder, and sends them, also from the middle on."""

    folder: Path
    asked: list
    breaks_at = 0

    def do_GET(self):
        self.asked.append((self.path, self.headers.get("Range")))
        parts = self.path.strip("/").split("/")
        if parts[0] == "pypi":
            self._send(self._about(parts[1]))
            return
        path = self.folder / parts[-1]
        if not path.is_file():
            self.send_error(404)
            return
        whole = path.read_bytes()
        begin = int((self.headers.get("Range") or "bytes=0-")[6:].partition("-")[0])
        self._send(whole[begin:], 206 if begin else 200, len(whole) - begin)

    def _about(self, name):
        found = [
            {
                "filename": path.name,
                "url": f"http://127.0.0.1:{self.server.server_port}/files/{path.name}",
                "size": path.stat().st_size,
                "digests": {"sha256": wheels.sha256_of(path)},
            }
            for path in self.folder.glob(f"{name}-*.whl")
        ]
        return json.dumps({"urls": found}).encode()

    def _send(self, body, status=200, length=None):
        self.send_response(status)
        self.send_header("Content-Length", str(length or len(body)))
        self.end_headers()
        if type(self).breaks_at and self.path.startswith("/files"):
            self.wfile.write(body[: self.breaks_at])
            type(self).breaks_at = 0
            self.connection.close()
            return
        self.wfile.write(body)

    def log_message(self, *_):
        """Keep requests out of the output of the tests."""


@pytest.fixture
def index(tmp_path, monkeypatch):
    served = type("Served", (Index,), {"folder": tmp_path / "index", "asked": [], "breaks_at": 0})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), served)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(wheels, "INDEX", f"http://127.0.0.1:{server.server_port}/pypi")
    served.url = f"http://127.0.0.1:{server.server_port}"
    yield served
    server.shutdown()
    server.server_close()


COPYING = """#!/bin/sh
# As `python -m venv --clear FOLDER`: an environment that was made once, copied.
rm -rf "$4" && exec cp -a "{template}" "$4"
"""


@pytest.fixture(scope="session")
def quick_python(tmp_path_factory):
    """What makes environments as a Python does, without unpacking pip anew for each."""
    folder = tmp_path_factory.mktemp("python")
    template = folder / "template"
    subprocess.run(["/usr/bin/python3", "-m", "venv", str(template)], check=True)
    program = folder / "python3"
    program.write_text(COPYING.format(template=template))
    program.chmod(0o755)
    return str(program)


@pytest.fixture
def made(index, tmp_path, monkeypatch, quick_python):
    """Two libraries on the index, a server beside the plugin, and the locked list."""
    monkeypatch.setattr(installer, "base_python", lambda home=None: quick_python)
    one = wheel(index.folder, "one", {"one.py": "x = 1\n" + "#" * 300_000})
    two = wheel(index.folder, "two", {"two.py": "import one\n"})
    files = {"landbrush/__init__.py": "", "landbrush/server/__init__.py": "import two\n"}
    files["landbrush/server/workers/__init__.py"] = ""
    files["landbrush/server/workers/tasks.py"] = "print('loaded')\n"
    server = wheel(tmp_path / "plugin", "landbrush", files)
    lines = [f"{p.name[:3]}==1.0 \\\n    --hash=sha256:{wheels.sha256_of(p)}" for p in (one, two)]
    lines.append("never==1.0 ; python_version < '3' \\\n    --hash=sha256:00")
    lock = tmp_path / "core.lock"
    lock.write_text("# locked\n" + "\n".join(lines) + "\n")
    package = f"landbrush @ {server.as_uri()}#sha256={wheels.sha256_of(server)}"
    monkeypatch.setattr(installer, "requirement", lambda: package)
    monkeypatch.setattr(installer, "lock", lambda: lock)
    settings.put("server/home", str(tmp_path / "home"))
    yield tmp_path
    settings.put("server/home", "")
    settings.put("server/wheels", "")


BASE_PYTHON = installer.base_python


def run(setup, helpers):
    """What it ended with, and what it told."""
    ends, told, bytes_seen = [], [], []
    setup.ended.connect(ends.append)
    setup.told.connect(told.append)
    setup.progressed.connect(lambda here, whole: bytes_seen.append((here, whole)))
    setup.start()
    assert helpers.wait(lambda: bool(ends))
    return ends[0], told, bytes_seen


def python(home):
    return installer.python_of(home / "home" / "environment")


@pytest.mark.skipif(BASE_PYTHON() is None, reason="no Python that the server runs on is installed")
def test_from_an_index_file_by_file_with_true_bytes(made, index, helpers, monkeypatch):
    monkeypatch.setattr(installer, "base_python", BASE_PYTHON)
    error, told, seen = run(Setup(), helpers)
    assert error == "" and python(made).is_file()
    whole = sum(path.stat().st_size for path in index.folder.glob("*.whl"))
    counted = [pair for pair in seen if pair[1]]
    assert counted[-1] == (whole, whole)
    assert [here for here, _ in counted] == sorted(here for here, _ in counted)
    assert not (made / "home" / FETCHED).exists() and not Setup().marker.exists()
    assert "/pypi/never/1.0/json" not in [path for path, _ in index.asked]
    log = (made / "home" / "setup.log").read_text()
    assert "Fetching one" in log and "loaded" in log and told[0] == "Looking for a Python …"


def test_what_breaks_off_goes_on_where_it_was(made, index, helpers):
    index.breaks_at = 100
    whole = next(index.folder.glob("one-*.whl")).read_bytes()
    first, _, _ = run(Setup(), helpers)
    part = made / "home" / FETCHED / "one-1.0-py3-none-any.whl.part"
    assert "did not come" in first and part.stat().st_size < len(whole)
    assert not (made / "home" / "environment").exists()
    begun = part.stat().st_size
    second, _, _ = run(Setup(), helpers)
    assert second == "" and python(made).is_file()
    ranges = [wanted for path, wanted in index.asked if path.endswith("one-1.0-py3-none-any.whl")]
    assert ranges[-1] == (f"bytes={begun}-" if begun else None)


def test_from_a_folder_or_a_zip_without_any_network(made, index, helpers):
    archive = made / "house.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        for path in index.folder.glob("*.whl"):
            opened.write(path, path.name)
    for given in (index.folder, archive):
        settings.put("server/wheels", str(given))
        error, _, _ = run(Setup(), helpers)
        assert error == "" and python(made).is_file() and not index.asked


def test_a_file_that_is_another_is_refused(made, index, helpers):
    settings.put("server/wheels", str(index.folder))
    wheel(index.folder, "two", {"two.py": "raise SystemExit\n"})
    error, _, _ = run(Setup(), helpers)
    assert "is not the file that this version" in error
    assert not (made / "home" / "environment").exists() and not Setup().marker.exists()


def test_an_index_that_cannot_be_reached_leaves_it_to_pip(made, monkeypatch, helpers):
    monkeypatch.setattr(wheels, "INDEX", "http://127.0.0.1:9/pypi")
    tried = []
    step = installer.Step("the libraries", ["/bin/false"])

    def locked(lock, package):
        tried.append((lock, package))
        return [step]

    monkeypatch.setattr(installer, "locked_steps", locked)
    error, _, _ = run(Setup(), helpers)
    assert tried and error.startswith("PyPI could not be reached") and "zip of wheels" in error


def test_stopped_in_the_midst_nothing_half_made_stays(made, index, helpers):
    server = LocalServer()
    said = []
    server.changed.connect(lambda state, text: said.append(state))
    server.install()
    assert helpers.wait(lambda: server.setup is not None and server.setup.marker.exists())
    setup = server.setup
    server.stop()
    assert helpers.wait(lambda: not setup.marker.exists())
    assert server.state == "stopped" and not (made / "home" / "environment").exists()


def test_stopped_and_begun_again_at_once(made, index, helpers):
    server = LocalServer()
    server.install()
    assert helpers.wait(lambda: server.setup is not None and server.setup.marker.exists())
    server.stop()
    server.install()
    ended = []
    server.changed.connect(lambda state, text: ended.append(text) if state != INSTALLING else None)
    assert helpers.wait(lambda: bool(ended))
    assert ended[0] == INSTALLED and python(made).is_file()
    server.stop(closing=True)


def test_only_one_qgis_sets_up_at_a_time(made, helpers):
    first, second = Setup(), Setup()
    ends = []
    first.ended.connect(ends.append)
    first.start()
    error, told, _ = run(second, helpers)
    assert "in another QGIS" in error and not told
    assert helpers.wait(lambda: bool(ends)) and ends == [""] and python(made).is_file()


def test_what_another_run_has_begun_is_left_alone(made, helpers):
    folder = made / "home" / "environment"
    folder.mkdir(parents=True)
    setup = Setup()
    setup.marker.write_text("of another run")
    setup._undo()
    assert folder.is_dir() and setup.marker.exists()


@pytest.mark.parametrize("answer", [{}, {"urls": [{}]}, {"urls": 3}, [], "x"])
def test_an_index_that_answers_something_else_is_told(made, monkeypatch, helpers, answer):
    class Strange(QObject):
        came = pyqtSignal(object, str)

        def __init__(self, url, parent=None):
            super().__init__(parent)
            QTimer.singleShot(0, lambda: self.came.emit(answer, ""))

    monkeypatch.setattr("landbrush.plugin.local.setup.Answer", Strange)
    error, _, _ = run(Setup(), helpers)
    assert error and not (made / "home" / "environment").exists()


def test_no_wheels_where_they_were_said_to_be(made, helpers):
    settings.put("server/wheels", str(made / "gone"))
    error, _, _ = run(Setup(), helpers)
    assert "There is no folder or zip of wheels" in error and "gone" in error


def test_settings_of_the_users_pip_do_not_count(made, index, monkeypatch, helpers):
    monkeypatch.setenv("PIP_USER", "1")
    monkeypatch.setenv("PIP_TARGET", str(made / "elsewhere"))
    error, _, _ = run(Setup(), helpers)
    assert error == "" and not (made / "elsewhere").exists()


def test_a_relative_folder_lies_in_the_profile(made):
    settings.put("server/home", "here")
    assert settings.home().is_absolute() and settings.home().name == "here"


def test_no_python_is_told_before_one_is_fetched(made, monkeypatch, helpers):
    monkeypatch.setattr(installer, "base_python", lambda home=None: None)
    setup = Setup()
    error, _, _ = run(setup, helpers)
    assert setup.lacks_python and "Landbrush can fetch one of its own" in error
    monkeypatch.setattr("landbrush.plugin.local.python.INDEX", "http://127.0.0.1:9/pypi")
    error, told, _ = run(Setup(own_python=True), helpers)
    assert "none could be fetched" in error and "Fetching a Python" in told[1]


def test_no_room_is_told_at_once(made, monkeypatch, helpers):
    class Full:
        free = 10_000_000

    monkeypatch.setattr("shutil.disk_usage", lambda folder: Full)
    error, told, _ = run(Setup(), helpers)
    assert "10 MB free; 900 MB are needed" in error and not told


def test_a_download_that_is_not_what_was_promised_is_deleted(index, tmp_path, helpers):
    path = wheel(index.folder, "one", {"one.py": ""})
    wrong = Wheel("one", path.name, "0" * 64, f"{index.url}/files/{path.name}", 0)
    ends = []
    download = Download(wrong, tmp_path)
    download.ended.connect(ends.append)
    download.start()
    assert helpers.wait(lambda: bool(ends))
    assert "damaged" in ends[0] and not list(tmp_path.glob("*.whl*"))


def test_a_disk_that_is_full_ends_a_download(index, tmp_path, monkeypatch, helpers):
    path = wheel(index.folder, "one", {"one.py": "#" * 100_000})
    good = Wheel("one", path.name, wheels.sha256_of(path), f"{index.url}/files/{path.name}")

    class Full(io.BytesIO):
        def write(self, content):
            raise OSError(28, "No space left on device")

        def close(self):
            raise OSError(28, "No space left on device")

    ends = []
    download = Download(good, tmp_path)
    download.ended.connect(ends.append)
    download.start()
    download._stream.close()
    download._stream = Full()
    assert helpers.wait(lambda: bool(ends))
    assert "No space left" in ends[0]


def test_pretrained_libraries_go_into_no_python_of_the_users(made, monkeypatch, helpers):
    monkeypatch.setattr(installer, "find_python", lambda: Path("/usr/bin/python3"))
    error, _, _ = run(Setup(LARGE), helpers)
    assert "a Python of yours, /usr/bin/python3" in error


def test_libraries_that_did_not_come_leave_the_environment_as_it_was(
    made, index, monkeypatch, helpers
):
    """No index can be reached for them."""
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    error, _, _ = run(Setup(), helpers)
    assert error == ""
    library = next((made / "home" / "environment").glob("lib/python*/site-packages"))
    before = sorted(path.name for path in library.iterdir())
    monkeypatch.setattr(pretrained, "needed_mb", lambda: 0)
    monkeypatch.setattr(pretrained, "builds", tuple)
    python = installer.python_of(installer.environment_folder())
    monkeypatch.setattr(installer, "find_python", lambda: python)
    setup = Setup(LARGE)
    error, _, _ = run(setup, helpers)
    assert "Installing failed" in error and setup.beside.parent == made / "home" / "environment"
    assert helpers.wait(lambda: not setup.beside.exists())
    assert sorted(path.name for path in library.iterdir()) == before


def test_what_was_put_away_is_deleted_later(made, index, helpers):
    old = made / "home" / "environment.12345678.old"
    (old / "lib").mkdir(parents=True)
    error, _, _ = run(Setup(), helpers)
    assert error == "" and helpers.wait(lambda: not old.exists())


def test_the_file_that_fits_best_is_taken_and_no_other():
    tags = ["cp311-cp311-manylinux_2_28_x86_64", "cp311-cp311-linux_x86_64", "py3-none-any"]
    names = {
        "a-1-py3-none-any.whl": "1",
        "a-1-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl": "2",
        "a-1-cp312-cp312-win_amd64.whl": "3",
        "a-1.tar.gz": "4",
    }
    urls = [{"filename": n, "url": n, "digests": {"sha256": h}} for n, h in names.items()]
    best = wheels.of_index(Wanted("a", "1", list("1234")), {"urls": urls}, tags)
    assert best.sha256 == "2"
    assert wheels.of_index(Wanted("a", "1", ["1"]), {"urls": urls}, tags).sha256 == "1"
    with pytest.raises(PluginError, match="There is no file of a 1"):
        wheels.of_index(Wanted("a", "1", list("34")), {"urls": urls}, tags)


@pytest.mark.parametrize(
    ("name", "system", "machine", "expected"),
    [
        ("uv-1-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", "linux", "x86_64", True),
        ("uv-1-py3-none-musllinux_1_1_x86_64.whl", "linux", "x86_64", False),
        ("uv-1-py3-none-win_amd64.whl", "win32", "AMD64", True),
        ("uv-1-py3-none-macosx_11_0_arm64.whl", "darwin", "arm64", True),
        ("uv-1-py3-none-macosx_10_12_x86_64.whl", "darwin", "arm64", False),
        ("uv-1-py3-none-manylinux_2_28_aarch64.whl", "linux", "aarch64", True),
        ("uv-1.tar.gz", "linux", "x86_64", False),
    ],
)
def test_uv_for_this_computer(name, system, machine, expected):
    from landbrush.plugin.local.python import fits

    assert fits(name, system, machine) is expected


def test_a_proxy_of_qgis_goes_to_what_is_started(monkeypatch):
    from qgis.core import QgsNetworkAccessManager
    from qgis.PyQt.QtNetwork import QNetworkProxy

    manager = QgsNetworkAccessManager.instance()
    before, excluded, without = (
        manager.fallbackProxy(),
        manager.excludeList(),
        manager.noProxyList(),
    )
    proxy = QNetworkProxy(QNetworkProxy.ProxyType.HttpProxy, "proxy.example", 8080, "a", "p@ss")
    manager.setFallbackProxyAndExcludes(proxy, ["inside.example"], [])
    try:
        told = installer.setup_environment()
        assert told.value("HTTPS_PROXY") == "http://a:p%40ss@proxy.example:8080"
        assert "inside.example" in told.value("NO_PROXY")
        assert "proxy.example" not in installer.child_environment().value("HTTPS_PROXY")
    finally:
        manager.setFallbackProxyAndExcludes(before, excluded, without)
