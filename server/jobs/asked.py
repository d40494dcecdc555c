"""What a worker may not do itself and asks for: services on the network that the user has named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..contract.message import ContractError
from ..contract.words import Ensemble
from ..ground.errors import BadRequest, ServerError

if TYPE_CHECKING:
    from ..editors.models import Models


def answer(models: Models, asked: dict[str, Any]) -> dict[str, Any]:
    """The answer to a worker, or the error as it reads it; nothing but paraphrases is asked for
    it. `models`: of the home, with what the user has named."""
    try:
        wanted = Ensemble.from_json(asked["given"])
        if asked["ask"] != "paraphrases" or wanted.source != "endpoint":
            raise BadRequest("Only paraphrases are asked for a worker.")
        found = models.paraphrases(wanted.prompt, wanted.source, wanted.count)
        return {"done": found.to_json()}
    except (ServerError, ContractError) as error:
        return {"error": type(error).__name__, "said": str(error)}
