"""Models as a user has them on a stick, and the ways they are brought into the store."""

from __future__ import annotations

import shutil
import zipfile

from landbrush.server.store.importing import Arrival, import_model

UNET = "unet/diffusion_pytorch_model.safetensors"


def copied(published, model_id, tmp_path):
    return shutil.copytree(published / model_id, tmp_path / model_id)


def bring(models, model_id, source, **more):
    return import_model(models.store, Arrival(models.store.entry(model_id), True, **more), source)


def zipped(folder, path, top=""):
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, top + file.relative_to(folder).as_posix())
    return path
