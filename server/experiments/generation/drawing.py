"""One prompt's pictures by one system, each a file that is there whole or not at all."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ...editors.base import COLOURS, Scene
from ...editors.registry import Editors
from ...ground.errors import ServerError
from ...ground.files import whole_file
from ...ground.optional import torch
from ...words.endpoint import Endpoint, NoAnswer, patiently
from ..benchmark.protocol import plain
from .asked import EDITOR, Request, SystemAsked

GSD_M = 1.0
"""Of the blank ground that is drawn on; prompts say the ground size themselves."""
AS_WRITTEN = {"modality": "", "gsd_level": "none", "satellite": ""}
"""Options by which nothing is put around a prompt."""
LARGEST_SIDE = 8192


def path_of(folder: Path, system: SystemAsked, number: int, turn: int) -> Path:
    """Where a picture of a prompt lies; a folder for each way in which a system is asked, and for
    each state of who draws."""
    parts = [system.model, dict(system.options), system.service, system.identity]
    asked = json.dumps(parts, sort_keys=True)
    key = hashlib.sha256(asked.encode()).hexdigest()[:8]
    return folder / "made" / f"{plain(system.name)}-{key}" / f"{number:05d}-{turn:04d}.png"


def on_device(places: Any) -> None:
    """A worker process takes the next device, where there are several."""
    number = places.get()
    if torch.cuda.is_available():
        torch.cuda.set_device(number % torch.cuda.device_count())


def drawn(editors: Editors, wanted: Request, folder: Path, system: SystemAsked, number: int) -> str:
    """Draw the pictures of a prompt that are not there; why it could not, empty where it could."""
    prompt = wanted.prompts[number]
    for turn in range(wanted.each):
        path = path_of(folder, system, number, turn)
        if is_of(path, prompt, wanted.seed + turn):
            continue
        try:
            picture = (
                _by_service(editors, system, prompt)
                if system.service
                else _by_model(editors, system, prompt, wanted.seed + turn)
            )
        except (ServerError, OSError) as error:
            return " ".join(str(error).split())
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path, lasting=False) as draft:
            picture.save(draft, "PNG", pnginfo=_about(prompt, wanted.seed + turn))
    return ""


def _about(prompt: str, seed: int) -> Any:
    from PIL.PngImagePlugin import PngInfo

    found = PngInfo()
    found.add_itxt("landbrush:prompt", prompt)
    found.add_text("landbrush:seed", str(seed))
    found.add_text("Disclaimer", "Synthetic: drawn by a program.")
    return found


def is_of(path: Path, prompt: str, seed: int) -> bool:
    """Whether the file there is that prompt's: another list may have been drawn here before."""
    if not path.is_file():
        return False
    with Image.open(path) as picture:
        told = getattr(picture, "text", {})
    return told.get("landbrush:prompt") == prompt and told.get("landbrush:seed") == str(seed)


def _by_model(editors: Editors, system: SystemAsked, prompt: str, seed: int) -> Image.Image:
    editor = editors.get(EDITOR)
    side = editors.models.store.entry(system.model).native_px
    options = editor.parse({**AS_WRITTEN, **system.options, "model": system.model})
    whole = np.ones((side, side), bool)
    blank = Scene(np.full((3, side, side), 0.5, np.float32), whole, whole, COLOURS, GSD_M)
    editor.check(prompt, options)
    made = editor.own_picture(blank, prompt, options, seed).picture
    return Image.fromarray((made * 255).round().astype(np.uint8).transpose(1, 2, 0))


def _by_service(editors: Editors, system: SystemAsked, prompt: str) -> Image.Image:
    named = Endpoint.named(editors.models.folder, system.service)
    if named is None:
        raise NoAnswer(
            f"No {system.service} is named: landbrush-server models set {system.service} URL, and "
            f"{system.service}-model NAME."
        )
    try:
        with Image.open(io.BytesIO(patiently(lambda: named.picture(prompt)))) as picture:
            if max(picture.size) > LARGEST_SIDE:
                raise NoAnswer(f"{system.name} gave a picture of {picture.size} pixels.")
            return picture.convert("RGB")
    except (OSError, Image.DecompressionBombError) as error:
        raise NoAnswer(f"{system.name} gave no picture that can be read: {error}") from error
