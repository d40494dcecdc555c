"""One training on several processes (GPUs, machines), as `accelerate launch` starts them: the steps
of one, shared out."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any

import torch


class ProcessGroup:
    """This process among the others. Gradients are averaged by one sum over all, so that every
    process takes the same step."""

    @staticmethod
    def begin() -> None:
        """Before any network is loaded: gives this process its own GPU, so that "cuda" means that
        one."""
        from accelerate import PartialState

        PartialState(cpu=not torch.cuda.is_available())

    def __init__(self, device: str) -> None:
        self.cpu = device == "cpu"

    @cached_property
    def _state(self) -> Any:
        from accelerate import PartialState

        return PartialState(cpu=self.cpu)

    @property
    def rank(self) -> int:
        """The number of this process, from 0."""
        return int(self._state.process_index)

    @property
    def count(self) -> int:
        """How many there are."""
        return int(self._state.num_processes)

    @property
    def first(self) -> bool:
        """Whether it is this one that writes and speaks."""
        return self.rank == 0

    def averaged(self, values: Iterable[torch.nn.Parameter]) -> None:
        """Give the gradients of all processes their mean."""
        if self.count == 1:
            return
        learned = [value for value in values if value.requires_grad]
        for value in learned:
            if value.grad is None:
                value.grad = torch.zeros_like(value)
        grads = [value.grad for value in learned if value.grad is not None]
        flat = torch.cat([grad.flatten().float() for grad in grads])
        torch.distributed.all_reduce(flat)
        flat /= self.count
        start = 0
        for grad in grads:
            grad.copy_(flat[start : start + grad.numel()].view_as(grad))
            start += grad.numel()

    def mean(self, value: float) -> float:
        """Of a number of all processes."""
        if self.count == 1:
            return value
        found = torch.tensor([value], dtype=torch.float64, device="cpu" if self.cpu else "cuda")
        torch.distributed.all_reduce(found)
        return float(found) / self.count

    def wait(self) -> None:
        """Until all are here."""
        if self.count > 1:
            self._state.wait_for_everyone()
