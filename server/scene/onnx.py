"""A shipped network in onnxruntime, on one thread and in one order, so that the same input always
gives the same numbers."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import numpy as np


class Network:
    """One input, one output; loaded when it is first run."""

    def __init__(self, weights: Path) -> None:
        self.weights = weights
        self._lock = threading.Lock()
        self._session: Any = None

    def run(self, given: np.ndarray) -> np.ndarray:
        """What it makes of an array in single precision."""
        session = self._loaded()
        (made,) = session.run(None, {session.get_inputs()[0].name: given})
        return np.asarray(made)

    def _loaded(self) -> Any:
        with self._lock:
            if self._session is None:
                # From 1.29 on it reports to its makers on all systems, and before on Windows: the
                # project's versions are older, and what may be turned off is.
                os.environ["ORT_DISABLE_TELEMETRY"] = "1"
                import onnxruntime

                onnxruntime.disable_telemetry_events()
                how = onnxruntime.SessionOptions()
                how.intra_op_num_threads = how.inter_op_num_threads = 1
                how.log_severity_level = 3
                self._session = onnxruntime.InferenceSession(
                    str(self.weights), how, providers=["CPUExecutionProvider"]
                )
            return self._session
