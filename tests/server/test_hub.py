"""Downloads, from a hub on this machine that speaks the real one's protocol."""

from __future__ import annotations

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from landbrush.server.ground.errors import BadRequest, Dismissed, HubUnreachable, LicenceNotAccepted
from landbrush.server.store import catalogue, hub
from landbrush.server.store.importing import Arrival

from tests.server.stick import UNET

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("home")]


class Hub(ThreadingHTTPServer):
    """A hub on this machine: the two answers of the real one's protocol that a download needs."""

    def __init__(self, folder):
        self.folder, self.commit, self.asked, self.break_after, self.damaged = (
            folder,
            "a" * 40,
            [],
            None,
            False,
        )
        super().__init__(("127.0.0.1", 0), _HubAnswers)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class _HubAnswers(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def _send(self, status, body=b"", **head):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **head}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        hub_ = self.server
        path = self.path.split("?")[0]
        hub_.asked.append((self.command, path, self.headers.get("Range")))
        if path.startswith("/api/models/"):
            if "gone" in path:
                return self._send(404, b"{}", X_Error_Code="RepoNotFound")
            if "gated" in path:
                return self._send(403, b"{}", X_Error_Code="GatedRepo")
            files = sorted(p for p in hub_.folder.rglob("*") if p.is_file())
            siblings = [
                {
                    "rfilename": p.relative_to(hub_.folder).as_posix(),
                    "size": p.stat().st_size,
                    "blobId": "b" * 40,
                    **(
                        {
                            "lfs": {
                                "sha256": hashlib.sha256(p.read_bytes()).hexdigest(),
                                "size": p.stat().st_size,
                                "pointerSize": 1,
                            }
                        }
                        if p.suffix == ".safetensors"
                        else {}
                    ),
                }
                for p in files
            ]
            body = json.dumps(
                {
                    "_id": "1",
                    "id": "x/y",
                    "sha": hub_.commit,
                    "siblings": siblings,
                    "private": False,
                    "downloads": 0,
                    "tags": [],
                }
            ).encode()
            return self._send(200, body, Content_Type="application/json")
        file = hub_.folder / path.split(f"/resolve/{hub_.commit}/")[-1]
        content = file.read_bytes()
        if hub_.damaged and file.suffix == ".safetensors":
            content = content[:-4] + b"\1\2\3\4"
        etag = '"' + hashlib.sha256(file.read_bytes()).hexdigest() + '"'
        head = {"ETag": etag, "X_Repo_Commit": hub_.commit, "Accept_Ranges": "bytes"}
        asked = self.headers.get("Range")
        if asked:
            start = int(asked.split("=")[1].split("-")[0])
            part = content[start:]
            return self._send(
                206, part, Content_Range=f"bytes {start}-{len(content) - 1}/{len(content)}", **head
            )
        if hub_.break_after and self.command == "GET" and len(content) > hub_.break_after:
            self.send_response(200)
            for name, value in {"Content-Length": str(len(content)), **head}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(content[: hub_.break_after])
            self.wfile.flush()
            self.connection.close()
            return None
        return self._send(200, content, **head)


@pytest.fixture
def remote(published, monkeypatch):
    """The hub, with a model in it; retries do not wait."""
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
    server = Hub(published / "instruct-pix2pix")
    yield server
    server.shutdown()


def unpinned(models, model_id="magicbrush", repo="x/y"):
    entry = models.store.entry(model_id)
    return catalogue.Entry(**{**vars(entry), "repo": repo, "revision": "", "base": ""})


def test_a_download_is_of_one_commit_and_checked(models, remote):
    entry, told = unpinned(models), []
    with pytest.raises(
        BadRequest,
        match=f"not pinned.*newest commit of x/y is {remote.commit}.*--revision {remote.commit}",
    ):
        hub.download(models.store, Arrival(entry, True), remote.url)
    with pytest.raises(BadRequest, match="'main' is no commit"):
        hub.download(models.store, Arrival(entry, True, "main"), remote.url)
    record = hub.download(
        models.store,
        Arrival(entry, True, remote.commit, lambda *step: told.append(step)),
        remote.url,
    )
    assert (
        record.revision == remote.commit
        and record.source == "hub x/y"
        and told[-1][0] == told[-1][1]
    )
    assert (models.store.folder / entry.id / UNET).is_file() and not list(
        models.store.folder.glob(".download-*")
    )


def test_a_download_that_was_stopped_goes_on_where_it_was(models, remote, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1 << 16)

    def stop(done, total, what):
        if done > total / 2:
            raise Dismissed

    entry = unpinned(models)
    with pytest.raises(Dismissed):
        hub.download(models.store, Arrival(entry, True, remote.commit, stop), remote.url)
    assert models.store.record(entry.id) is None
    before, told = len(remote.asked), []
    hub.download(
        models.store,
        Arrival(entry, True, remote.commit, lambda *step: told.append(step[0])),
        remote.url,
    )
    after = [
        (path, asked)
        for command, path, asked in remote.asked[before:]
        if command == "GET" and "/resolve/" in path
    ]
    assert int(after[0][1].split("=")[1].split("-")[0]) > 1_000_000, "it began anew"
    fetched = {
        path
        for command, path, _ in remote.asked[:before]
        if command == "GET" and "/resolve/" in path
    }
    assert {path for path, _ in after} & fetched == {after[0][0]}, (
        "what was there was fetched again"
    )
    assert (models.store.folder / entry.id / UNET).is_file()


def test_a_connection_that_breaks_is_taken_up_again(models, remote, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1 << 16)
    remote.break_after = 400_000
    hub.download(models.store, Arrival(unpinned(models), True, remote.commit), remote.url)
    assert any(asked and not asked.startswith("bytes=0-") for _, _, asked in remote.asked)


def test_a_download_that_arrives_damaged(models, remote):
    remote.damaged = True
    with pytest.raises(HubUnreachable, match="arrived damaged"):
        hub.download(models.store, Arrival(unpinned(models), True, remote.commit), remote.url)
    assert models.store.record("magicbrush") is None


def test_a_repository_that_is_gone_gated_or_silent(models, remote):
    with pytest.raises(HubUnreachable, match="not to be had.*Import it from a folder"):
        hub.download(
            models.store, Arrival(unpinned(models, repo="x/gone"), True, remote.commit), remote.url
        )
    with pytest.raises(HubUnreachable, match="accept its conditions on its page"):
        hub.download(
            models.store, Arrival(unpinned(models, repo="x/gated"), True, remote.commit), remote.url
        )
    remote.commit = "b" * 40
    with pytest.raises(HubUnreachable, match="instead of"):
        hub.download(models.store, Arrival(unpinned(models), True, "a" * 40), remote.url)
    with pytest.raises(HubUnreachable, match="the hub cannot be reached. Is there a network"):
        hub.download(models.store, Arrival(unpinned(models), True, "a" * 40), "http://127.0.0.1:9")
    with pytest.raises(LicenceNotAccepted):
        hub.download(models.store, Arrival(unpinned(models), False, "a" * 40), remote.url)


def test_an_end_while_settling_keeps_what_was_downloaded(models, remote, monkeypatch):
    from landbrush.server.store import parts

    def ended(*_):
        raise Dismissed

    with monkeypatch.context() as patched:
        patched.setattr(parts, "check", ended)
        with pytest.raises(Dismissed):
            hub.download(models.store, Arrival(unpinned(models), True, remote.commit), remote.url)
    before = len(remote.asked)
    hub.download(models.store, Arrival(unpinned(models), True, remote.commit), remote.url)
    assert not [path for command, path, _ in remote.asked[before:] if "/resolve/" in path]
