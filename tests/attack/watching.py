"""Decoys: a file that nobody may read, and a port that nobody may call. Both count."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import threading
from pathlib import Path

OPENED, READ = 0x20, 0x01


class Watched:
    """Counts how often files are read, as the system tells (inotify(7))."""

    def __init__(self, *paths: Path) -> None:
        library = ctypes.CDLL(None, use_errno=True)
        self.handle = library.inotify_init1(os.O_NONBLOCK)
        for path in paths:
            if library.inotify_add_watch(self.handle, os.fsencode(path), OPENED | READ) < 0:
                raise OSError(ctypes.get_errno(), "inotify")

    def count(self) -> int:
        """Opened or read so often since the last call."""
        found = 0
        while True:
            try:
                data = os.read(self.handle, 65536)
            except BlockingIOError:
                return found
            at = 0
            while at < len(data):
                found += 1
                at += 16 + struct.unpack_from("I", data, at + 12)[0]

    def close(self) -> None:
        """Give the watch back to the system."""
        os.close(self.handle)


class Listener:
    """Counts who connects, and answers nothing. `port`: on loopback."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.count = 0
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                line, _ = self.socket.accept()
            except OSError:
                return
            self.count += 1
            line.close()

    def close(self) -> None:
        """Free the port, which ends the thread that counts."""
        self.socket.close()
