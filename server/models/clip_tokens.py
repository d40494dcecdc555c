"""CLIP's byte-pair tokens: from the files beside a model, else from the vocabulary in the package
open_clip_torch."""

from __future__ import annotations

import gzip
import importlib.util
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..ground.errors import WeightsMissing

START = "<|startoftext|>"
END = "<|endoftext|>"
MERGES = "bpe_simple_vocab_16e6.txt.gz"
MERGES_USED = 48_894
"""Of the merges in that file, so that there are 49,408 tokens."""
_PIECES = (
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
)


def tokeniser(folder: Path) -> Any:
    """The tokeniser (of the library tokenizers) for a model in that folder; raises WeightsMissing
    where no vocabulary is."""
    from tokenizers import Tokenizer

    if (folder / "tokenizer.json").is_file():
        return Tokenizer.from_file(str(folder / "tokenizer.json"))
    if (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
        vocabulary = json.loads((folder / "vocab.json").read_text("utf8"))
        lines = (folder / "merges.txt").read_text("utf8").splitlines()
        return _made(vocabulary, _pairs(line for line in lines if not line.startswith("#version")))
    for place in (folder / MERGES, _packaged()):
        if place is not None and place.is_file():
            with gzip.open(place, "rt", encoding="utf8") as stream:
                merges = _pairs(stream.read().split("\n")[1 : MERGES_USED + 1])
            return _made(_vocabulary(merges), merges)
    raise WeightsMissing(
        f"CLIP's vocabulary is neither in {folder} (tokenizer.json, vocab.json with merges.txt, "
        f"or {MERGES}) nor installed: pip install --no-deps open_clip_torch"
    )


def _pairs(lines: Iterable[str]) -> list[tuple[str, str]]:
    return [(first, second) for first, second in (line.split() for line in lines if line.strip())]


def _packaged() -> Path | None:
    """The file in the package open_clip_torch, which is found without being imported."""
    spec = importlib.util.find_spec("open_clip")
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations))) / MERGES


def _letters() -> list[str]:
    """A printable character for each byte: itself where it is one, else one from above the
    bytes."""
    plain = [
        *range(ord("!"), ord("~") + 1),
        *range(ord("\xa1"), ord("\xac") + 1),
        *range(ord("\xae"), ord("\xff") + 1),
    ]
    others = [byte for byte in range(256) if byte not in plain]
    return [chr(byte) for byte in plain] + [chr(256 + place) for place in range(len(others))]


def _vocabulary(merges: list[tuple[str, str]]) -> dict[str, int]:
    letters = _letters()
    words = (
        letters
        + [letter + "</w>" for letter in letters]
        + ["".join(merge) for merge in merges]
        + [START, END]
    )
    return {word: number for number, word in enumerate(words)}


def _made(vocabulary: dict[str, int], merges: list[tuple[str, str]]) -> Any:
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

    found = Tokenizer(models.BPE(vocabulary, merges, end_of_word_suffix="</w>", unk_token=END))
    found.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    found.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    found.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {END}",
        special_tokens=[(START, vocabulary[START]), (END, vocabulary[END])],
    )
    return found
