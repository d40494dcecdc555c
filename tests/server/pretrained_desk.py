"""Which pretrained editors and models are tried at tiny size, and an edit by them over HTTP."""

from __future__ import annotations

import numpy as np
import rasterio

from tests.server.conftest import (
    finished,
    inputs,
    square,
)

EDITORS = {
    "rsedit-unet": ["rsedit-unet-dgtrs"],
    "rsedit-dit": ["rsedit-dit"],
    "instruct-pix2pix": ["instruct-pix2pix", "magicbrush"],
    "ultraedit": ["ultraedit-mask", "ultraedit-freeform"],
    "sdedit": ["text2earth", "sd15", "sdxl"],
    "inpaint": [
        "sd15-inpainting",
        "sdxl-inpainting",
        "text2earth-inpainting",
        "kandinsky21-inpainting",
        "kandinsky22-inpainting",
    ],
    "icedit": ["icedit"],
    "flux-kontext": ["flux-kontext"],
    "flux2-klein": ["flux2-klein-4b"],
    "qwen-image-edit": ["qwen-image-edit"],
    "generate": ["mmm-rs"],
}
BASES = ["kandinsky21-prior", "kandinsky22-prior", "flux-fill"]
FIRST = {
    "rsedit-unet": "rsedit-unet-dgtrs",
    "ultraedit": "ultraedit-mask",
    "sdedit": "text2earth",
    "icedit": "icedit",
}
"""What an editor takes where no model is named."""


RING = square(30, 40, 100, 110)


def edited(client, path, editor, model, **more):
    """(pixels (bands, H, W) of the whole layer after an edit, manifest)."""
    options = {"model": model, "steps": 2, **more.pop("options", {})}
    wanted = inputs(
        path,
        more.pop("ring", RING),
        prompt=more.pop("prompt", "flood the houses"),
        options=options,
        output={"area": "layer"},
        **more,
    )
    reply = client.post(f"/processes/{editor}/execution", json={"inputs": wanted})
    assert reply.status_code == 201, reply.get_json()
    info = finished(client, reply.get_json()["jobID"])
    assert info["status"] == "successful", info["message"]
    result = client.get(f"/jobs/{info['jobID']}/results/result.tif")
    manifest = client.get(f"/jobs/{info['jobID']}/results/manifest.json").get_json()
    with rasterio.MemoryFile(result.data) as memory, memory.open() as dataset:
        assert (
            dataset.tags()["LANDBRUSH_MODEL"] == model and dataset.tags()["AI_GENERATED"] == "TRUE"
        )
        return dataset.read(), manifest


def pixels_of(path):
    with rasterio.open(path) as dataset:
        return dataset.read()


def inside(path, ring=RING):
    mask = np.zeros(pixels_of(path).shape[1:], bool)
    (c0, r0), (c1, r1) = ring[0], ring[2]
    mask[r0:r1, c0:c1] = True
    return mask
