"""Files copied in the background, each whole or not at all."""

import os
import shutil

from ..errors import Cancelled
from .task import BackgroundTask

PIECE = 1 << 22


class CopyTask(BackgroundTask):
    """Copies files. `pairs`: (from, to). Signal `ended(task)`; then `error` may be set."""

    def __init__(self, title: str, pairs) -> None:
        super().__init__(title)
        self.pairs = pairs

    def work(self) -> None:
        """Copy; the first file last, since it is the one that counts."""
        for source, target in reversed(self.pairs):
            draft = target.with_name(f".{target.name}.part")
            try:
                with source.open("rb") as read, draft.open("wb") as written:
                    while piece := read.read(PIECE):
                        if self.feedback.isCanceled():
                            raise Cancelled
                        written.write(piece)
                shutil.copystat(source, draft)
                os.replace(draft, target)
            finally:
                draft.unlink(missing_ok=True)
