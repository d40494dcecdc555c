"""The state of the machine: device, memory, disk, versions, and what is missing."""

from __future__ import annotations

import os
import shutil
from typing import Any

from ..contract.jobs import ACCEPTED, RUNNING
from ..diffusion import placement
from ..ground.optional import best_device, torch
from ..models import scene_words
from ..raster import provenance
from .services import Services


def device() -> str:
    """The compute device in words."""
    if best_device() == "cuda":
        return str(torch.cuda.get_device_name(0))
    return f"CPU, {os.cpu_count()} threads"


def free_memory_mb() -> dict[str, int | None]:
    """Free memory of this machine, and of its GPU where there is one."""
    gpu = placement.free_bytes("cuda") // 1_000_000 if best_device() == "cuda" else None
    return {"memory": placement.free_bytes("cpu") // 1_000_000, "gpu": gpu}


def health(services: Services) -> dict[str, Any]:
    """For the landing page and `doctor`."""
    home = services.settings.home
    states = [info.status for info in services.store.list_all()]
    return {
        "device": device(),
        "free_mb": free_memory_mb(),
        "free_disk_mb": shutil.disk_usage(home).free // 1_000_000 if home.exists() else None,
        "versions": provenance.versions(),
        "queue": {"running": states.count(RUNNING), "accepted": states.count(ACCEPTED)},
        "damaged_jobs": sorted(services.store.damaged),
        "roots": [str(root) for root in services.settings.roots],
        "sandbox": list(services.place.held()),
        "interpreter": "rules and sentence embedding",
        "retrieval": "ready" if scene_words.HEADS.exists() else "the heads are missing",
        "process": os.getpid(),
    }
