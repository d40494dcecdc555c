"""A model that reads its words with the text encoder of another."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..diffusion.components import Model
from ..diffusion.text import Reader


class WithWords(Model):
    """A model that reads with another one's text encoder (RSEdit, Table 2)."""

    SWAPPED = ("text_encoder", "tokenizer")

    def __init__(self, base: Model, words: Model) -> None:
        super().__init__(base.store, base.entry, base.family, base.placement)
        self.other = words

    def folder(self, name: str, beside: str = "") -> Path:
        """Of the other model where it reads."""
        return self.other.folder(name) if name in self.SWAPPED else super().folder(name, beside)

    def part(self, name: str, beside: str = "") -> Any:
        """Of the other model where it reads."""
        return self.other.part(name) if name in self.SWAPPED else super().part(name, beside)

    @contextlib.contextmanager
    def reader(self, encoder: str, tokens: str, limit: int = 0) -> Iterator[Reader]:
        """The text encoder of the model that stands in for this one's."""
        with self.other.reader(encoder, tokens, limit) as found:
            yield found
