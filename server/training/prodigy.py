"""The optimiser that RSEdit and ICEdit were trained with."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import torch

from ..ground.errors import BadRequest


def prodigy(values: Any, rate: float, decay: float) -> torch.optim.Optimizer:
    """As RSEdit's and ICEdit's scripts set it: it finds the step size, of which `rate` is a
    multiple."""
    try:
        from prodigyopt import Prodigy
    except ImportError as error:
        raise BadRequest(
            "This training needs prodigyopt (pip install 'landbrush[train]')."
        ) from error
    with contextlib.redirect_stdout(io.StringIO()):  # it greets
        return Prodigy(
            values,
            lr=rate,
            betas=(0.9, 0.99),
            weight_decay=decay,
            d0=1e-5,
            use_bias_correction=True,
            safeguard_warmup=True,
        )
