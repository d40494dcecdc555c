"""The model store: what is taken in, what is refused and why, and that nothing half-brought stays behind."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
import struct
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import torch
from landbrush.server import __main__
from landbrush.server.diffusion import warm
from landbrush.server.errors import (
    BadRequest,
    Conflict,
    Dismissed,
    HubUnreachable,
    LicenceNotAccepted,
    ModelNotNamed,
    ModelRefused,
    UnknownModel,
    WeightsMissing,
)
from landbrush.server.models import weights
from landbrush.server.store import bringing, catalogue, headers, hub, own, shelf
from safetensors.torch import save_file

from tests.server import tiny_pipelines

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """Tiny models as they would lie on a stick."""
    folder = tmp_path_factory.mktemp("published")
    for model_id in ("instruct-pix2pix", "sd15", "flux-fill", "icedit", "rsedit-unet-dgtrs"):
        tiny_pipelines.build(model_id, folder)
    return folder


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "_folder", tmp_path / "home" / "models")
    monkeypatch.setattr(weights, "_given", {})
    yield tmp_path / "home"
    left = [p.name for p in shelf.folder().glob(".*")] if shelf.folder().is_dir() else []
    assert not [name for name in left if not name.startswith(".download-")], "something half-brought stayed"


def copied(published, model_id, tmp_path):
    return shutil.copytree(published / model_id, tmp_path / model_id)


def bring(model_id, source, **more):
    return bringing.bring(shelf.entry(model_id), source, True, **more)


def zipped(folder, path, top=""):
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, top + file.relative_to(folder).as_posix())
    return path


def test_a_model_is_missing_until_it_is_brought(published):
    entry = shelf.entry("instruct-pix2pix")
    assert shelf.missing(entry) == list(entry.parts) and "models import instruct-pix2pix" in shelf.why_not(entry)
    told = []
    record = bring("instruct-pix2pix", published / "instruct-pix2pix", on_bytes=lambda *step: told.append(step))
    assert not shelf.missing(entry) and shelf.installed("instruct_pix2pix") == [entry]
    assert told[-1][0] == told[-1][1] == record.bytes
    unet = record.files["unet/diffusion_pytorch_model.safetensors"]
    path = published / "instruct-pix2pix" / "unet" / "diffusion_pytorch_model.safetensors"
    assert unet.sha256 == hashlib.sha256(path.read_bytes()).hexdigest() and record.accepted
    assert shelf.verify(entry) == record


@pytest.mark.parametrize("top", ["", "instruct-pix2pix/"])
def test_from_a_zip_on_a_stick(published, tmp_path, top):
    bring("instruct-pix2pix", zipped(published / "instruct-pix2pix", tmp_path / "stick.zip", top))
    assert not shelf.missing(shelf.entry("instruct-pix2pix"))


def test_the_subfolder_of_a_repository_and_a_training_run(published, tmp_path):
    bring("rsedit-unet-dgtrs", published / "rsedit-unet-dgtrs")
    assert (shelf.folder() / "rsedit-unet-dgtrs" / "unet").is_dir()
    run = tmp_path / "run"
    for step in (900, 30000):
        shutil.copytree(published / "instruct-pix2pix" / "unet", run / f"checkpoint-{step}" / "unet_ema")
    (run / "checkpoint-30000" / "unet_ema" / "mark.txt").write_text("newest")
    entry = own.described("my-editor", shelf.entry("rsedit-unet-dgtrs"), "My editor")
    with pytest.raises(LicenceNotAccepted, match="not stated"):
        bringing.bring(entry, run, False)
    bringing.bring(entry, run, True)
    own.remember(entry)
    assert (shelf.folder() / "my-editor" / "unet" / "mark.txt").is_file()
    assert [e.id for e in shelf.installed("rsedit_unet")] == ["rsedit-unet-dgtrs", "my-editor"]
    own.forget("my-editor")
    with pytest.raises(UnknownModel, match="my-editor"):
        shelf.entry("my-editor")


@pytest.mark.parametrize("name", ["instruct-pix2pix", "My Model", "..", "a", "a/b", "x" * 90, "own.json"])
def test_names_a_model_of_ones_own_cannot_have(name):
    with pytest.raises(BadRequest):
        own.described(name, shelf.entry("sd15"))


def test_the_licence_is_shown_before_anything_is_copied(published):
    with pytest.raises(LicenceNotAccepted, match="Open RAIL-M.*accept"):
        bringing.bring(shelf.entry("instruct-pix2pix"), published / "instruct-pix2pix", False)
    assert not shelf.folder().exists()


UNET = "unet/diffusion_pytorch_model.safetensors"


def test_a_truncated_file(published, tmp_path):
    folder = copied(published, "instruct-pix2pix", tmp_path)
    path = folder / UNET
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ModelRefused, match="cut off.*Copy it again"):
        bring("instruct-pix2pix", folder)
    path.write_bytes(path.read_bytes()[:5])
    with pytest.raises(ModelRefused, match="no safetensors file"):
        bring("instruct-pix2pix", folder)
    assert shelf.record("instruct-pix2pix") is None


def test_a_wrong_hash(published, monkeypatch):
    entry = shelf.entry("instruct-pix2pix")
    monkeypatch.setitem(catalogue.published(), entry.id, catalogue.Entry(**{**vars(entry), "sha256": {UNET: "0" * 64}}))
    with pytest.raises(ModelRefused, match="sha256.*not the published 0000"):
        bring("instruct-pix2pix", published / "instruct-pix2pix")


class _Harm:
    def __reduce__(self):
        return os.mkdir, ("/tmp/landbrush-was-harmed",)


def test_a_pickle_named_safetensors(published, tmp_path):
    folder = copied(published, "instruct-pix2pix", tmp_path)
    (folder / UNET).write_bytes(pickle.dumps(_Harm()) + b" " * 200)
    with pytest.raises(ModelRefused, match="pickle or zip with another name, which could run code"):
        bring("instruct-pix2pix", folder)
    torch.save({"weight": torch.zeros(3)}, folder / UNET)
    with pytest.raises(ModelRefused, match="pickle or zip"):
        bring("instruct-pix2pix", folder)
    assert not os.path.exists("/tmp/landbrush-was-harmed")


def test_weights_as_a_pickle_alone(published, tmp_path):
    folder = copied(published, "instruct-pix2pix", tmp_path)
    (folder / UNET).rename(folder / "unet" / "diffusion_pytorch_model.bin")
    with pytest.raises(ModelRefused, match=r"unet has its weights as a pickle only.*Get the \.safetensors"):
        bring("instruct-pix2pix", folder)


@pytest.mark.parametrize("name", ["../outside.json", "/etc/outside.json", "unet/../../outside.json", "C:/outside.json",
                                  "..\\outside.json"])
def test_a_zip_that_points_outside(published, tmp_path, name):
    path = zipped(published / "instruct-pix2pix", tmp_path / "evil.zip")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, "{}")
    with pytest.raises(ModelRefused, match="points outside its folder. It is not unpacked"):
        bring("instruct-pix2pix", path)
    assert not list(tmp_path.glob("**/outside.json"))


def test_a_zip_with_a_link_and_one_that_lies(published, tmp_path):
    path = zipped(published / "instruct-pix2pix", tmp_path / "link.zip")
    with zipfile.ZipFile(path, "a") as archive:
        info = zipfile.ZipInfo("unet/linked.json")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(ModelRefused, match="holds a link"):
        bring("instruct-pix2pix", path)
    broken = zipped(published / "instruct-pix2pix", tmp_path / "broken.zip")
    content = bytearray(broken.read_bytes())
    content[2000:2400] = b"\0" * 400
    broken.write_bytes(content)
    with pytest.raises(ModelRefused, match="cannot be unpacked|no JSON|cut off"):
        bring("instruct-pix2pix", broken)


def test_another_model_is_not_taken_for_it(published):
    with pytest.raises(ModelRefused, match="in_channels = 4, where InstructPix2Pix has 8: it is another model"):
        bring("instruct-pix2pix", published / "sd15")
    with pytest.raises(ModelRefused, match="holds no part of"):
        bring("instruct-pix2pix", published / "icedit")


def test_a_reader_of_another_model(published, tmp_path):
    folder = copied(published, "instruct-pix2pix", tmp_path)
    config = json.loads((folder / "text_encoder" / "config.json").read_text())
    (folder / "text_encoder" / "config.json").write_text(json.dumps({**config, "hidden_size": 1024}))
    with pytest.raises(ModelRefused, match="reads words of 32 numbers, the text encoder.*gives 1024"):
        bring("instruct-pix2pix", folder)


def test_an_adapter_for_another_base(published, tmp_path):
    from diffusers import FluxTransformer2DModel

    bring("flux-fill", published / "flux-fill")
    base = FluxTransformer2DModel.from_pretrained(published / "flux-fill" / "transformer")
    with pytest.raises(ModelRefused, match="for another base: for .* it changes 32 x 48 weights, FLUX.1 Fill .* has"):
        bring("icedit", tiny_pipelines.adapter(tmp_path / "wide", base, width=48))
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    save_file({"unet.down_blocks.0.to_q.lora_A.weight": torch.zeros(4, 32),
               "unet.down_blocks.0.to_q.lora_B.weight": torch.zeros(32, 4)}, stranger / "lora.safetensors")
    with pytest.raises(ModelRefused, match="for another base: 1 of its 1 layers are not in this one"):
        bring("icedit", stranger / "lora.safetensors")
    save_file({"weight": torch.zeros(4)}, stranger / "lora.safetensors")
    with pytest.raises(ModelRefused, match="no low-rank adapter"):
        bring("icedit", stranger)
    bring("icedit", published / "icedit" / "pytorch_lora_weights.safetensors")
    assert not shelf.missing(shelf.entry("icedit"))


def test_an_adapter_without_its_base_says_so(published):
    bring("icedit", published / "icedit")
    why = shelf.why_not(shelf.entry("icedit"))
    assert "transformer" in why and "Bring flux-fill" in why


def test_a_file_changed_after_it_was_brought(published):
    bring("instruct-pix2pix", published / "instruct-pix2pix")
    entry, path = shelf.entry("instruct-pix2pix"), shelf.folder() / "instruct-pix2pix" / UNET
    os.utime(path)
    shelf.check(entry)  # touched, but the same
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    for act in (shelf.check, shelf.verify):
        with pytest.raises(ModelRefused, match="is not the file that was brought"):
            act(entry)
    with pytest.raises(ModelRefused, match="not the file"):
        warm.held(entry, "float32", print)
    path.unlink()
    with pytest.raises(ModelRefused, match="is gone"):
        shelf.check(entry)
    assert shelf.remove(entry) > 0 and not (shelf.folder() / "instruct-pix2pix").exists()
    with pytest.raises(WeightsMissing):
        shelf.remove(entry)
    with pytest.raises(ModelNotNamed, match="is not complete on this machine"):
        warm.held(entry, "float32", print)


def test_shards_outside_their_folder_and_missing_ones(published, tmp_path):
    folder = copied(published, "instruct-pix2pix", tmp_path)
    index = folder / "unet" / "diffusion_pytorch_model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "../../secret.safetensors"}}))
    with pytest.raises(ModelRefused, match="names files outside its folder"):
        bring("instruct-pix2pix", folder)
    index.write_text(json.dumps({"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}))
    with pytest.raises(ModelRefused, match="2 of 2 files are missing"):
        bring("instruct-pix2pix", folder)


@pytest.mark.parametrize("header", [
    b"[1]", b"{", b'{"a": 3}', b'{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}',
    b'{"a": {"dtype": "X9", "shape": [1], "data_offsets": [0, 4]}}',
    b'{"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}',
    b'{"a": {"dtype": "F32", "shape": [1e999], "data_offsets": [0, 4]}}',
    b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}', b"[" * 5000])
def test_odd_headers(tmp_path, header):
    path = tmp_path / "odd.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 8)
    with pytest.raises(ModelRefused):
        headers.read(path)


def test_a_source_that_is_none(tmp_path):
    with pytest.raises(BadRequest, match="no folder or zip"):
        bring("sd15", tmp_path / "nowhere")
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(ModelRefused, match="neither a folder nor a zip"):
        bring("sd15", tmp_path / "a.txt")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelRefused, match="holds no part of Stable Diffusion 1.5. Wanted: unet"):
        bring("sd15", tmp_path / "empty")


def test_a_stopped_import_leaves_nothing(published):
    def stop(done, total, what):
        if done > total / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bring("instruct-pix2pix", published / "instruct-pix2pix", on_bytes=stop)
    assert not (shelf.folder() / "instruct-pix2pix").exists()


class Hub(ThreadingHTTPServer):
    """A hub on this machine: the two answers of the real one's protocol that a download needs."""

    def __init__(self, folder):
        self.folder, self.commit, self.asked, self.break_after, self.damaged = folder, "a" * 40, [], None, False
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
            siblings = [{"rfilename": p.relative_to(hub_.folder).as_posix(), "size": p.stat().st_size, "blobId": "b" * 40, **(
                {"lfs": {"sha256": hashlib.sha256(p.read_bytes()).hexdigest(), "size": p.stat().st_size, "pointerSize": 1}}
                if p.suffix == ".safetensors" else {})} for p in files]
            body = json.dumps({"_id": "1", "id": "x/y", "sha": hub_.commit, "siblings": siblings, "private": False,
                               "downloads": 0,
                               "tags": []}).encode()
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
            return self._send(206, part, Content_Range=f"bytes {start}-{len(content) - 1}/{len(content)}", **head)
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


def unpinned(model_id="magicbrush", repo="x/y"):
    entry = shelf.entry(model_id)
    return catalogue.Entry(**{**vars(entry), "repo": repo, "revision": "", "base": ""})


def test_a_download_is_of_one_commit_and_checked(remote):
    entry, told = unpinned(), []
    with pytest.raises(BadRequest, match=f"not pinned.*newest commit of x/y is {remote.commit}.*--revision {remote.commit}"):
        hub.download(entry, True, endpoint=remote.url)
    with pytest.raises(BadRequest, match="'main' is no commit"):
        hub.download(entry, True, "main", endpoint=remote.url)
    record = hub.download(entry, True, remote.commit, lambda *step: told.append(step), remote.url)
    assert record.revision == remote.commit and record.source == "hub x/y" and told[-1][0] == told[-1][1]
    assert (shelf.folder() / entry.id / UNET).is_file() and not list(shelf.folder().glob(".download-*"))


def test_a_download_that_was_stopped_goes_on_where_it_was(remote, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1 << 16)

    def stop(done, total, what):
        if done > total / 2:
            raise Dismissed

    entry = unpinned()
    with pytest.raises(Dismissed):
        hub.download(entry, True, remote.commit, stop, remote.url)
    assert shelf.record(entry.id) is None
    before, told = len(remote.asked), []
    hub.download(entry, True, remote.commit, lambda *step: told.append(step[0]), remote.url)
    after = [(path, asked) for command, path, asked in remote.asked[before:] if command == "GET" and "/resolve/" in path]
    assert int(after[0][1].split("=")[1].split("-")[0]) > 1_000_000, "it began anew"
    fetched = {path for command, path, _ in remote.asked[:before] if command == "GET" and "/resolve/" in path}
    assert {path for path, _ in after} & fetched == {after[0][0]}, "what was there was fetched again"
    assert (shelf.folder() / entry.id / UNET).is_file()


def test_a_connection_that_breaks_is_taken_up_again(remote, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1 << 16)
    remote.break_after = 400_000
    hub.download(unpinned(), True, remote.commit, endpoint=remote.url)
    assert any(asked and not asked.startswith("bytes=0-") for _, _, asked in remote.asked)


def test_a_download_that_arrives_damaged(remote):
    remote.damaged = True
    with pytest.raises(HubUnreachable, match="arrived damaged"):
        hub.download(unpinned(), True, remote.commit, endpoint=remote.url)
    assert shelf.record("magicbrush") is None


def test_a_repository_that_is_gone_gated_or_silent(remote):
    with pytest.raises(HubUnreachable, match="not to be had.*Import it from a folder"):
        hub.download(unpinned(repo="x/gone"), True, remote.commit, endpoint=remote.url)
    with pytest.raises(HubUnreachable, match="accept its conditions on its page"):
        hub.download(unpinned(repo="x/gated"), True, remote.commit, endpoint=remote.url)
    remote.commit = "b" * 40
    with pytest.raises(HubUnreachable, match="instead of"):
        hub.download(unpinned(), True, "a" * 40, endpoint=remote.url)
    with pytest.raises(HubUnreachable, match="the hub cannot be reached. Is there a network"):
        hub.download(unpinned(), True, "a" * 40, endpoint="http://127.0.0.1:9")
    with pytest.raises(LicenceNotAccepted):
        hub.download(unpinned(), False, "a" * 40, endpoint=remote.url)


def run(home, *arguments):
    return __main__.main(["models", *arguments, "--home", str(home)])


def test_the_command_line(published, home, capsys):
    assert run(home, "list") == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in catalogue.published()) and "Non-Commercial" in listed and "image-text" in listed
    assert run(home, "import", "instruct-pix2pix", str(published / "instruct-pix2pix")) == 1
    assert "--accept-licence" in capsys.readouterr().err
    assert run(home, "import", "instruct-pix2pix", str(published / "instruct-pix2pix"), "--accept-licence") == 0
    assert "Ready." in capsys.readouterr().out
    assert run(home, "import", "tiny", str(published / "instruct-pix2pix"), "--like", "instruct-pix2pix", "--native-px",
               "128", "--accept-licence") == 0
    assert run(home, "verify") == 0
    assert "instruct-pix2pix: " in (out := capsys.readouterr().out) and "tiny: " in out
    assert run(home, "list") == 0 and "GB of memory are free" in capsys.readouterr().out
    assert run(home, "remove", "tiny") == 0 and run(home, "remove", "tiny") == 1
    assert run(home, "import", "nothing", "/nowhere") == 1
    assert "There is no model 'nothing'" in capsys.readouterr().err


def test_every_entry_of_the_catalogue_is_whole():
    from landbrush.server.diffusion import schedules
    from landbrush.server.registry import EDITORS

    known = catalogue.published()
    for entry in known.values():
        assert entry.title and entry.good_for and entry.licence and (not entry.base or entry.base in known)
        assert not entry.revision or hub.COMMIT.match(entry.revision)
        assert all(name in EDITORS and entry.id in EDITORS[name].info.weights for name in entry.editors)
        for how in (entry.paper, entry.fast):
            assert not entry.editors or how["scheduler"] in schedules.CLASSES and how["steps"] > 0
    for name, editor in EDITORS.items():
        assert tuple(entry.id for entry in catalogue.serving(shelf.folder(), name)) == editor.info.weights


def test_headers_tell_what_loading_gives(published):
    folder = published / "instruct-pix2pix" / "unet"
    from landbrush.server.diffusion.components import loaded

    shapes = {name: tensor.shape for name, tensor in headers.of_part(folder).items()}
    assert shapes == {name: tuple(weight.shape) for name, weight in loaded(folder, torch.float32).state_dict().items()}
    assert np.prod(shapes["conv_in.weight"]) == 32 * 8 * 9


def test_a_file_that_lacks_weights_is_not_filled_with_random_ones(published, tmp_path):
    """The libraries would do that, and only log it."""
    from landbrush.server.diffusion.components import loaded

    for part, name in (("unet", "diffusion_pytorch_model"), ("text_encoder", "model")):
        folder = shutil.copytree(published / "instruct-pix2pix" / part, tmp_path / part)
        path = folder / f"{name}.safetensors"
        tensors, about = weights.load(path)
        tensors.pop(sorted(tensors)[-1])
        save_file(tensors, path, metadata=about or {"format": "pt"})
        with pytest.raises(ModelRefused, match="lacks 1 of the weights|cannot be loaded"):
            loaded(folder, torch.float32)


def test_shards_without_their_list(published, tmp_path):
    folder = copied(published, "instruct-pix2pix", tmp_path)
    (folder / UNET).rename(folder / "unet" / "diffusion_pytorch_model-00001-of-00002.safetensors")
    with pytest.raises(ModelRefused, match="shards without their list"):
        bring("instruct-pix2pix", folder)


def test_a_file_that_was_put_beside_a_model_is_refused(published):
    bring("instruct-pix2pix", published / "instruct-pix2pix")
    entry, place = shelf.entry("instruct-pix2pix"), shelf.folder() / "instruct-pix2pix" / "unet"
    shutil.copy(place / "diffusion_pytorch_model.safetensors", place / "evil.safetensors")
    for act in (shelf.check, shelf.verify):
        with pytest.raises(ModelRefused, match="evil.safetensors was not brought with it"):
            act(entry)


def test_a_touched_file_is_hashed_once(published, monkeypatch):
    bring("instruct-pix2pix", published / "instruct-pix2pix")
    entry, path = shelf.entry("instruct-pix2pix"), shelf.folder() / "instruct-pix2pix" / UNET
    os.utime(path)
    hashed, real = [], shelf.sha256
    monkeypatch.setattr(shelf, "sha256", lambda path: hashed.append(path) or real(path))
    shelf.check(entry)
    shelf.check(entry)
    assert hashed == [path]


def test_a_mixture_of_experts_and_half_an_adapter(published, tmp_path):
    layer = "transformer.transformer_blocks.0.attn.to_q"
    for names, sentence in ((("lora_A.0", "lora_A.1", "lora_B.0", "lora_B.1"), "mixture of experts"), (("lora_A",),
                                                                                                       "no second factor")):
        save_file({f"{layer}.{name}.weight": torch.zeros((4, 32) if "A" in name else (32, 4)) for name in names},
                  tmp_path / "lora.safetensors")
        with pytest.raises(ModelRefused, match=sentence):
            bring("icedit", tmp_path / "lora.safetensors")


def test_a_model_built_on_one_that_was_removed_takes_nothing_with_it(published):
    for name, like in (("mine-one", "sd15"), ("mine-two", "mine-one")):
        entry = own.described(name, shelf.entry(like))
        bringing.bring(entry, published / "sd15", True)
        own.remember(entry)
    shelf.remove(shelf.entry("mine-one"))
    own.forget("mine-one")
    assert [e.id for e in shelf.installed("sdedit")] == ["mine-two"]
    (shelf.folder() / catalogue.OWN).write_text('[{"a": 1}]')
    with pytest.raises(BadRequest, match="Mend or delete it"):
        shelf.installed("sdedit")


def test_an_end_while_settling_keeps_what_was_downloaded(remote, monkeypatch):
    from landbrush.server.store import parts

    def ended(*_):
        raise Dismissed

    with monkeypatch.context() as patched:
        patched.setattr(parts, "check", ended)
        with pytest.raises(Dismissed):
            hub.download(unpinned(), True, remote.commit, endpoint=remote.url)
    before = len(remote.asked)
    hub.download(unpinned(), True, remote.commit, endpoint=remote.url)
    assert not [path for command, path, _ in remote.asked[before:] if "/resolve/" in path]


def test_a_reader_of_another_length_and_a_model_that_is_here(published):
    with pytest.raises(ModelRefused, match="max_position_embeddings = 248, where InstructPix2Pix has 77"):
        bring("instruct-pix2pix", published / "rsedit-unet-dgtrs" / "DGTRS-CLIP-ViT-L-14")
    bring("instruct-pix2pix", published / "instruct-pix2pix")
    with pytest.raises(Conflict, match="is here already"):
        bring("instruct-pix2pix", published / "instruct-pix2pix")


def test_another_model_shows_before_its_weights_are_copied(published):
    told = []
    with pytest.raises(ModelRefused, match="another model"):
        bring("instruct-pix2pix", published / "sd15", on_bytes=lambda done, total, what: told.append(what))
    assert not [name for name in told if name.endswith(".safetensors")]


def test_verify_goes_on_after_a_bad_model_and_remove_names_what_loses_its_base(published, home, capsys):
    for model_id in ("instruct-pix2pix", "flux-fill", "icedit"):
        bring(model_id, published / model_id)
    path = shelf.folder() / "instruct-pix2pix" / UNET
    path.write_bytes(path.read_bytes()[:-4] + b"abcd")
    assert run(home, "verify") == 1
    out = capsys.readouterr()
    assert "icedit: 1 files are as they were brought" in out.out and "1 of 3 models are not" in out.err
    assert run(home, "remove", "instruct-pix2pix") == 0 and "built on it" not in capsys.readouterr().out
    assert run(home, "remove", "flux-fill") == 0 and "icedit was built on it" in capsys.readouterr().out
