"""A training's steps and the state that is kept of them, so that one that was stopped goes on as if
it had not been."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import MISSING, asdict, fields, is_dataclass
from pathlib import Path
from typing import Any

import torch

from ..ground.errors import BadRequest, CannotEdit
from ..models import weights

STATE = "training.safetensors"
OnStep = Callable[[int, int, float], None]
"""Called as on_step(step, steps, loss) after each; may raise to stop, after which the work so far
is kept."""


class KeptTraining(ABC):
    """One training in a folder. Subclasses set `recipe` (a dataclass with steps and save_every),
    `folder` and `optimisers`, do a step, and say what is kept. `free`: settings of the recipe that
    may differ when it goes on."""

    recipe: Any
    folder: Path
    optimisers: list[torch.optim.Optimizer]
    free: tuple[str, ...] = ("save_every",)

    def __init__(self) -> None:
        self.step = 0
        self.losses: list[Any] = []
        self._moving = False

    @abstractmethod
    def train_step(self) -> Any:
        """One step; its losses. Calls `moves` before the first weight changes."""

    @abstractmethod
    def tensors(self) -> dict[str, torch.Tensor]:
        """What is kept beside the optimisers' moments, by name."""

    @abstractmethod
    def load_state(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Put what `tensors` gave back in its place."""

    @abstractmethod
    def identity(self) -> dict[str, str]:
        """What must be the same when it goes on, beside the recipe: the base, the pictures."""

    @abstractmethod
    def export(self, about: dict[str, str]) -> None:
        """Write what was learned, as `exported`."""

    @property
    @abstractmethod
    def exported(self) -> Path:
        """The file or folder in the form that editors load."""

    def reported_loss(self, losses: Any) -> float:
        """The one of a step's losses that is shown."""
        return float(losses)

    def moves(self) -> None:
        """From here to the step's end weights are ahead of the count: a state of that moment is not
        kept."""
        self._moving = True

    def run(self, on_step: OnStep = lambda step, steps, loss: None) -> Path:
        """Train to the last step, or on from where it was stopped; returns `exported`."""
        self._moving = False
        try:
            while self.step < self.recipe.steps:
                losses = self._afforded()
                self.losses.append(losses)
                self.step += 1
                self._moving = False
                if self.step % self.recipe.save_every == 0:
                    self.save()
                on_step(self.step, self.recipe.steps, self.reported_loss(losses))
        finally:
            if not self._moving:
                self.save()
        return self.exported

    def _afforded(self) -> Any:
        """A step; raises CannotEdit with what to do where it does not fit into memory."""
        try:
            return self.train_step()
        except RuntimeError as error:
            if isinstance(error, torch.OutOfMemoryError) or "allocate memory" in str(error):
                raise CannotEdit(
                    "A step does not fit into memory. Begin in another folder with half the "
                    "--batch and twice the --accumulate, which trains the same; recompute instead "
                    "of keeping (--saving, where there is one); or take a smaller --side."
                ) from error
            raise

    def save(self) -> None:
        """What was learned, and all that is needed to go on."""
        about = {**self.identity(), "step": str(self.step)}
        self.export(about)
        moments = {
            f"moment.{which}.{number}.{key}": torch.as_tensor(value)
            for which, optimiser in enumerate(self.optimisers)
            for number, state in optimiser.state_dict()["state"].items()
            for key, value in state.items()
        }
        groups = [
            [
                {name: value for name, value in group.items() if isinstance(value, (int, float))}
                for group in optimiser.param_groups
            ]
            for optimiser in self.optimisers
        ]
        weights.save(
            self.folder / STATE,
            {**self.tensors(), **moments},
            {
                **about,
                "recipe": json.dumps(asdict(self.recipe)),
                "losses": json.dumps(self.losses),
                "groups": json.dumps(groups),
            },
        )

    def resume(self) -> bool:
        """Go on from what `save` kept; False where there is nothing. Raises BadRequest where that
        was another training."""
        path = self.folder / STATE
        if not path.is_file():
            return False
        tensors, about = weights.load(path)
        free = dict.fromkeys(self.free)
        mine = self.identity()
        # A setting that there was not yet when the training began was as it is by default.
        before = {**_defaults(self.recipe), **json.loads(about["recipe"])}
        same = {**before, **free} == {**asdict(self.recipe), **free}
        if not same or {name: about.get(name) for name in mine} != mine:
            raise BadRequest(
                f"{self.folder} holds a training with other settings or pictures ({about['recipe']}"
                + (f", base {about['base']}" if "base" in about else "")
                + "). Choose another folder, or the same settings and pictures."
            )
        states: list[dict[int, dict[str, torch.Tensor]]] = [{} for _ in self.optimisers]
        for key in [key for key in tensors if key.startswith("moment.")]:
            _, which, number, name = key.split(".", 3)
            states[int(which)].setdefault(int(number), {})[name] = tensors.pop(key)
        # Prodigy keeps its estimate of the step size among the settings of its groups.
        for optimiser, state, groups in zip(
            self.optimisers, states, json.loads(about["groups"]), strict=True
        ):
            optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
            for group, numbers in zip(optimiser.param_groups, groups, strict=True):
                group.update(numbers)
        self.load_state(tensors)
        self.step = int(about["step"])
        self.losses = json.loads(about["losses"])
        return True


def _defaults(recipe: Any) -> dict[str, Any]:
    """The settings of a recipe's class that have a default, as `asdict` gives them."""
    found = {one.name: one.default for one in fields(recipe) if one.default is not MISSING}
    return {
        name: asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
        for name, value in found.items()
    }
