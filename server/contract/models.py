"""Pretrained models on the server's machine, as they are shown and acted on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple

from .message import Message, declare
from .routes import Route

MODEL_STATES = ("missing", "installed", "in use", "busy", "failed")
MODEL_ACTIONS = ("", "import", "download", "verify", "remove", "unload", "stop")


@dataclass(frozen=True)
class Model(Message):
    """A pretrained model on the server's machine, or missing there; sent with an action: what to do
    with it."""

    id: str
    """By which requests name it."""
    title: str = ""
    """For the user."""
    state: str = declare("whether it is there", "missing", choices=MODEL_STATES)
    editors: Tuple[str, ...] = ()
    """Ids of the editors that can use it."""
    about: dict = declare(
        "sentences for the user: good_for, licence, restrictions, source, missing, memory", dict
    )
    progress: int = declare("of what goes on, in per cent", 0, minimum=0, maximum=100)
    message: str = ""
    """Why the last action failed, or what goes on, in a sentence."""
    action: str = declare("asked for", "", choices=MODEL_ACTIONS)
    path: str = declare("folder or zip on the server's machine to import", "", longest=4096)
    revision: str = declare("commit to download, where the server knows none", "", longest=40)
    accept_licence: bool = declare("the user has read the licence and accepts it", False)
    outlines: bool = declare("it outlines things that are clicked", False)


@dataclass(frozen=True)
class ModelList(Message):
    """All that are known. `models`: those that an editor uses directly first."""

    models: Tuple[Model, ...]


MODELS = Route(
    "GET",
    "/models",
    "pretrained models: which there are, and which are on this machine",
    answer=ModelList,
)
MODEL = Route("GET", "/models/{model_id}", "one model", answer=Model)
MODEL_ACTION = Route(
    "POST",
    "/models/{model_id}",
    "bring, check or remove a model; watch it with GET",
    request=Model,
    answer=Model,
    others=((202, "begun"),),
    fills=(("model_id", "id"),),
)
