"""The name that `plugin.local.server` had in 0.1, for scripts that import it; it goes with 0.3."""

from .local.server import FAILED, RUNNING, BlockingServer, LocalServer

__all__ = ("FAILED", "RUNNING", "BlockingServer", "LocalServer")
