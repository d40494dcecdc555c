"""The model store: what is taken in, kept, found again and removed, and the command line."""

from __future__ import annotations

import hashlib
import os
import shutil

import numpy as np
import pytest
import torch
from landbrush.server import __main__
from landbrush.server.diffusion.families import sd
from landbrush.server.ground.errors import (
    BadRequest,
    LicenceNotAccepted,
    ModelNotNamed,
    ModelRefused,
    UnknownModel,
    WeightsMissing,
)
from landbrush.server.store import catalogue, headers, hub, installed, own
from landbrush.server.store.importing import Arrival, import_model

from tests.server.stick import UNET, bring, zipped

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("home")]


def test_a_model_is_missing_until_it_is_brought(models, published):
    entry = models.store.entry("instruct-pix2pix")
    assert models.store.missing(entry) == list(
        entry.parts
    ) and "models import instruct-pix2pix" in models.store.missing_reason(entry)
    told = []
    record = bring(
        models,
        "instruct-pix2pix",
        published / "instruct-pix2pix",
        on_bytes=lambda *step: told.append(step),
    )
    assert not models.store.missing(entry) and models.store.installed("instruct-pix2pix") == [entry]
    assert told[-1][0] == told[-1][1] == record.bytes
    unet = record.files["unet/diffusion_pytorch_model.safetensors"]
    path = published / "instruct-pix2pix" / "unet" / "diffusion_pytorch_model.safetensors"
    assert unet.sha256 == hashlib.sha256(path.read_bytes()).hexdigest() and record.accepted
    assert models.store.verify(entry) == record


@pytest.mark.parametrize("top", ["", "instruct-pix2pix/"])
def test_from_a_zip_on_a_stick(models, published, tmp_path, top):
    bring(
        models,
        "instruct-pix2pix",
        zipped(published / "instruct-pix2pix", tmp_path / "stick.zip", top),
    )
    assert not models.store.missing(models.store.entry("instruct-pix2pix"))


def test_the_subfolder_of_a_repository_and_a_training_run(models, published, tmp_path):
    bring(models, "rsedit-unet-dgtrs", published / "rsedit-unet-dgtrs")
    assert (models.store.folder / "rsedit-unet-dgtrs" / "unet").is_dir()
    run = tmp_path / "run"
    for step in (900, 30000):
        shutil.copytree(
            published / "instruct-pix2pix" / "unet", run / f"checkpoint-{step}" / "unet_ema"
        )
    (run / "checkpoint-30000" / "unet_ema" / "mark.txt").write_text("newest")
    entry = own.described("my-editor", models.store.entry("rsedit-unet-dgtrs"), "My editor")
    with pytest.raises(LicenceNotAccepted, match="not stated"):
        import_model(models.store, Arrival(entry, False), run)
    import_model(models.store, Arrival(entry, True), run)
    own.remember(models.store, entry)
    assert (models.store.folder / "my-editor" / "unet" / "mark.txt").is_file()
    assert [e.id for e in models.store.installed("rsedit-unet")] == [
        "rsedit-unet-dgtrs",
        "my-editor",
    ]
    own.remove(models.store, entry)
    with pytest.raises(UnknownModel, match="my-editor"):
        models.store.entry("my-editor")


@pytest.mark.parametrize(
    "name", ["instruct-pix2pix", "My Model", "..", "a", "a/b", "x" * 90, "own.json"]
)
def test_names_a_model_of_ones_own_cannot_have(models, name):
    with pytest.raises(BadRequest):
        own.described(name, models.store.entry("sd15"))


def test_the_licence_is_shown_before_anything_is_copied(models, published):
    with pytest.raises(LicenceNotAccepted, match="Open RAIL-M.*accept"):
        import_model(
            models.store,
            Arrival(models.store.entry("instruct-pix2pix"), False),
            published / "instruct-pix2pix",
        )
    assert not models.store.folder.exists()


def test_an_adapter_without_its_base_says_so(models, published):
    bring(models, "icedit", published / "icedit")
    why = models.store.missing_reason(models.store.entry("icedit"))
    assert "transformer" in why and "Bring flux-fill" in why


def test_a_file_changed_after_it_was_brought(models, published):
    bring(models, "instruct-pix2pix", published / "instruct-pix2pix")
    entry, path = (
        models.store.entry("instruct-pix2pix"),
        models.store.folder / "instruct-pix2pix" / UNET,
    )
    os.utime(path)
    models.store.check(entry)  # touched, but the same
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    for act in (models.store.check, models.store.verify):
        with pytest.raises(ModelRefused, match="is not the file that was brought"):
            act(entry)
    with pytest.raises(ModelRefused, match="not the file"):
        models.warm.acquire(entry, "float32", print)
    path.unlink()
    with pytest.raises(ModelRefused, match="is gone"):
        models.store.check(entry)
    assert (
        models.store.remove(entry) > 0 and not (models.store.folder / "instruct-pix2pix").exists()
    )
    with pytest.raises(WeightsMissing):
        models.store.remove(entry)
    with pytest.raises(ModelNotNamed, match="is not complete on this machine"):
        models.warm.acquire(entry, "float32", print)


def test_a_stopped_import_leaves_nothing(models, published):
    def stop(done, total, what):
        if done > total / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bring(models, "instruct-pix2pix", published / "instruct-pix2pix", on_bytes=stop)
    assert not (models.store.folder / "instruct-pix2pix").exists()


def run(home, *arguments):
    return __main__.main(["models", *arguments, "--home", str(home)])


def test_the_command_line(published, home, capsys):
    assert run(home, "list") == 0
    listed = capsys.readouterr().out
    assert (
        all(name in listed for name in catalogue.published())
        and "Non-Commercial" in listed
        and "image-text" in listed
    )
    assert run(home, "import", "instruct-pix2pix", str(published / "instruct-pix2pix")) == 1
    assert "--accept-licence" in capsys.readouterr().err
    assert (
        run(
            home,
            "import",
            "instruct-pix2pix",
            str(published / "instruct-pix2pix"),
            "--accept-licence",
        )
        == 0
    )
    assert "Ready." in capsys.readouterr().out
    assert (
        run(
            home,
            "import",
            "tiny",
            str(published / "instruct-pix2pix"),
            "--like",
            "instruct-pix2pix",
            "--native-px",
            "128",
            "--accept-licence",
        )
        == 0
    )
    assert run(home, "verify") == 0
    assert "instruct-pix2pix: " in (out := capsys.readouterr().out) and "tiny: " in out
    assert run(home, "list") == 0 and "GB of memory are free" in capsys.readouterr().out
    assert run(home, "remove", "tiny") == 0 and run(home, "remove", "tiny") == 1
    assert run(home, "import", "nothing", "/nowhere") == 1
    assert "There is no model 'nothing'" in capsys.readouterr().err


def test_every_entry_of_the_catalogue_is_whole(editors, models):
    from landbrush.server.diffusion import schedules

    known = catalogue.published()
    for entry in known.values():
        assert (
            entry.title
            and entry.good_for
            and entry.licence
            and (not entry.base or entry.base in known)
        )
        assert not entry.revision or hub.COMMIT.match(entry.revision)
        assert all(
            name in editors.ids and entry.id in editors.get(name).info.weights
            for name in entry.editors
        )
        for how in (entry.paper, entry.fast):
            assert not entry.editors or how["scheduler"] in schedules.CLASSES and how["steps"] > 0
    for editor in editors:
        serving = models.store.serving(editor.info.id)
        assert tuple(entry.id for entry in serving) == editor.info.weights


def test_headers_tell_what_loading_gives(published):
    folder = published / "instruct-pix2pix" / "unet"
    from landbrush.server.diffusion.components import loaded

    shapes = {name: tensor.shape for name, tensor in headers.of_part(folder).items()}
    assert shapes == {
        name: tuple(weight.shape)
        for name, weight in loaded(folder, torch.float32, sd.FAMILY.classes).state_dict().items()
    }
    assert np.prod(shapes["conv_in.weight"]) == 32 * 8 * 9


def test_a_touched_file_is_hashed_once(models, published, monkeypatch):
    bring(models, "instruct-pix2pix", published / "instruct-pix2pix")
    entry, path = (
        models.store.entry("instruct-pix2pix"),
        models.store.folder / "instruct-pix2pix" / UNET,
    )
    os.utime(path)
    hashed, real = [], installed.sha256
    monkeypatch.setattr(installed, "sha256", lambda path: hashed.append(path) or real(path))
    models.store.check(entry)
    models.store.check(entry)
    assert hashed == [path]


def test_a_model_built_on_one_that_was_removed_takes_nothing_with_it(models, published):
    for name, like in (("mine-one", "sd15"), ("mine-two", "mine-one")):
        entry = own.described(name, models.store.entry(like))
        import_model(models.store, Arrival(entry, True), published / "sd15")
        own.remember(models.store, entry)
    own.remove(models.store, models.store.entry("mine-one"))
    assert [e.id for e in models.store.installed("sdedit")] == ["mine-two"]
    (models.store.folder / catalogue.OWN).write_text('[{"a": 1}]')
    with pytest.raises(BadRequest, match="Mend or delete it"):
        models.store.installed("sdedit")


def test_verify_goes_on_after_a_bad_model_and_remove_names_what_loses_its_base(
    models, published, home, capsys
):
    for model_id in ("instruct-pix2pix", "flux-fill", "icedit"):
        bring(models, model_id, published / model_id)
    path = models.store.folder / "instruct-pix2pix" / UNET
    path.write_bytes(path.read_bytes()[:-4] + b"abcd")
    assert run(home, "verify") == 1
    out = capsys.readouterr()
    assert (
        "icedit: 1 files are as they were brought" in out.out and "1 of 3 models are not" in out.err
    )
    assert (
        run(home, "remove", "instruct-pix2pix") == 0
        and "built on it" not in capsys.readouterr().out
    )
    assert (
        run(home, "remove", "flux-fill") == 0
        and "icedit was built on it" in capsys.readouterr().out
    )
