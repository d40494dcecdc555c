"""Pretrained models: which there are, and what is done with them."""

from __future__ import annotations

from ...contract.models import MODEL, MODEL_ACTION, MODELS, Model, ModelList
from ...ground.errors import BadRequest
from ...ground.settings import LOOPBACK
from .declared import Answer, Resource, services

resource = Resource("models")


@resource.serves(MODELS)
def models() -> ModelList:
    """The pretrained models, and which of them are here."""
    return ModelList(tuple(services().model_tasks.list_all()))


@resource.serves(MODEL)
def model(model_id: str) -> Model:
    """One model, and how far what was asked of it has come."""
    return services().model_tasks.state(model_id)


@resource.serves(MODEL_ACTION)
def model_action(wanted: Model, model_id: str) -> Answer:
    """Import, download, verify, remove, unload or stop."""
    if wanted.id != model_id:
        raise BadRequest(f"id: '{wanted.id[:80]}' is not the model of the path, '{model_id[:80]}'.")
    settings = services().settings
    near = settings.host in LOOPBACK and not settings.extra_hosts
    state = services().model_tasks.act(wanted, None if near else settings.roots)
    return state, 202 if state.state == "busy" else 200
