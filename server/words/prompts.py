"""Prompt ensembling: sentences that say the same as a prompt, whose embeddings are averaged.

After Han et al., who let a language model write them. By choice from built-in templates and
synonyms, a local instruction model, or an OpenAI-compatible endpoint that the user has named. What
was used is shown and recorded.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..contract.words import ENSEMBLE_SOURCES, Ensemble
from ..ground.errors import BadRequest, CannotEdit, ModelNotNamed, WeightsMissing
from ..models import lazy, whole
from ..models.weights import ModelFolder
from .endpoint import Endpoint, NoAnswer

TEMPLATES = (
    "an aerial photograph of {}",
    "a satellite image of {}",
    "{} seen from above",
    "remote sensing imagery showing {}",
    "a top-down view of {}",
    "an orthophoto of {}",
    "overhead imagery of {}",
    "a bird's-eye photograph of {}",
)
SYNONYMS = (
    ("flooded", "inundated", "submerged", "flood-covered", "under water"),
    ("flood", "inundation", "high water", "flood water"),
    ("snow", "fresh snow", "snow cover", "deep snow"),
    ("burned", "burnt", "charred", "blackened"),
    ("fire", "wildfire", "blaze"),
    ("forest", "woodland", "wood"),
    ("solar farm", "photovoltaic power plant", "field of solar panels", "solar park"),
    ("solar panels", "photovoltaic panels", "solar modules"),
    ("houses", "homes", "residential buildings", "dwellings"),
    ("residential area", "housing estate", "suburb", "housing area"),
    ("collapsed", "destroyed", "fallen", "ruined"),
    ("damaged", "broken", "partly destroyed", "wrecked"),
    ("bridge", "river crossing", "road bridge"),
    ("river", "stream", "watercourse"),
    ("lake", "pond", "body of water"),
    ("parking lot", "car park", "parking area"),
    ("farmland", "cropland", "agricultural fields", "ploughed fields"),
    ("storage tank", "oil tank", "round tank"),
    ("cracked", "split", "ruptured"),
    ("desert", "arid land", "dry sandy ground"),
    ("drought", "dry spell", "lack of rain"),
    ("road", "street", "paved road"),
    ("industrial area", "factory site", "industrial estate"),
)
"""Words of the scenarios and others for them; the first of each line is replaced too."""
MOST_TEXT = 300
TEMPERATURE = 0.7


@dataclass(frozen=True)
class Writers:
    """Who may write sentences beside the built-in templates. `folder`: where the user has named
    services and models. `load`: tokeniser and language model from a folder."""

    folder: ModelFolder
    load: Callable[[str], tuple[Any, Any]]


def ensemble(wanted: Ensemble, writers: Writers) -> Ensemble:
    """At most `wanted.count` sentences that say the same as its prompt, the prompt first; fewer
    where no more can be made. Raises BadRequest, CannotEdit, ModelNotNamed."""
    text = " ".join(wanted.prompt.split())
    source = wanted.source
    count = wanted.count
    if not text:
        raise BadRequest("prompt: empty. Say what should be there.")
    made: Iterable[str] = ()
    if source not in ENSEMBLE_SOURCES:
        raise BadRequest(f"source: '{source[:60]}' is none of {', '.join(ENSEMBLE_SOURCES)}.")
    if count > 1 and source == "templates":
        made = from_templates(text, count - 1)
    elif count > 1 and source == "language model":
        made = _from_language_model(writers, text, count - 1)
    elif count > 1 and source == "endpoint":
        made = _from_endpoint(writers.folder, text, count - 1)
    texts = dict.fromkeys([text, *(" ".join(one.split())[:MOST_TEXT] for one in made)])
    return replace(wanted, texts=tuple(texts)[:count])


def from_templates(text: str, count: int) -> Iterable[str]:
    """The prompt with other words for its own, in the same syntax, each in the next template."""
    subject = re.sub(
        r"^(?:an?|the)\s+(?:aerial|satellite|overhead)\s+"
        r"(?:photo(?:graph)?|image|picture|view)\s+of\s+",
        "",
        text,
        flags=re.IGNORECASE,
    )
    variants = list(itertools.islice(_reworded(subject), max(count, 1)))
    for number in range(count):
        yield TEMPLATES[number % len(TEMPLATES)].format(variants[number % len(variants)])


def _reworded(text: str) -> Iterable[str]:
    """The text itself, then with one known word after another replaced, then with two, and so
    on."""
    lines: list[tuple[str, tuple[str, ...]]] = []
    covered = text.lower()
    for line in sorted(SYNONYMS, key=lambda words: -len(words[0])):
        for word in sorted(line, key=len, reverse=True):
            found = re.search(rf"\b{re.escape(word)}\b", covered)
            if found:
                lines.append((word, tuple(other for other in line if other != word)))
                covered = covered.replace(word, " " * len(word))
                break
    yield text
    for turn in range(8):
        for many in (lines[n : n + 1] for n in range(len(lines))):
            yield from _replaced(text, many, turn)
        yield from _replaced(text, lines if len(lines) > 1 else [], turn)


def _replaced(text: str, lines: list[tuple[str, tuple[str, ...]]], turn: int) -> Iterable[str]:
    if not lines or any(turn >= len(others) for _, others in lines):
        return
    new = {word: others[turn] for word, others in lines}
    pattern = "|".join(
        rf"\b{re.escape(word)}\b" for word in new
    )  # all at once, so that no new word is replaced again
    yield re.sub(pattern, lambda found: new[found.group().lower()], text, flags=re.IGNORECASE)


def _question(text: str, count: int) -> str:
    """What a language model is asked: Han et al.'s task in our own words."""
    return (
        f"Write {count} sentences that each describe, as seen in an aerial or satellite image, "
        "exactly what this describes: "
        f'"{text}". Keep its grammatical form, change only the wording, add nothing that is not '
        "said, use at most 20 words "
        "each. Answer with one sentence a line, without numbers, quotes or explanations."
    )


def _lines(answer: str, count: int) -> list[str]:
    """Sentences of an answer, one a line, without the numbers and quotes that models add."""
    found = [
        re.sub(r"^\s*(?:[-*•]|\d+[.):])\s*", "", line).strip().strip("\"'“”")
        for line in answer.splitlines()
    ]
    return [line for line in found if line and not line.endswith(":")][:count]


def _from_language_model(writers: Writers, text: str, count: int) -> Iterable[str]:
    path = writers.folder.chosen("language")
    if not path:
        raise ModelNotNamed(
            "No language model is named. Put one that transformers reads on this machine and name "
            "its folder: landbrush-server models set language FOLDER; or use the built-in "
            "templates."
        )
    tokenizer, model = writers.load(path)
    import torch

    asked: Any = _question(text, count)
    if getattr(tokenizer, "chat_template", None):
        asked = tokenizer.apply_chat_template(
            [{"role": "user", "content": asked}], tokenize=False, add_generation_prompt=True
        )
    tokens = tokenizer(asked, return_tensors="pt")
    with torch.inference_mode():
        made = model.generate(
            **tokens,
            max_new_tokens=40 * count,
            do_sample=False,
            pad_token_id=tokenizer.pad_token_id or tokenizer.eos_token_id,
        )
    return _lines(
        tokenizer.decode(made[0, tokens["input_ids"].shape[1] :], skip_special_tokens=True), count
    )


def load_language_model(path: str) -> tuple[Any, Any]:
    """Tokeniser and model of a folder; raises WeightsMissing."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    tokens, causal = lazy.parts("transformers", "AutoTokenizer", "AutoModelForCausalLM")
    lazy.quiet_transformers()
    if not Path(path).is_dir():
        raise WeightsMissing(f"There is no language model at {path}.")
    try:
        tokenizer = tokens.from_pretrained(path, local_files_only=True)
        model = whole.read(causal, path)
    except (OSError, ValueError, KeyError) as error:
        raise WeightsMissing(
            f"{path} holds no language model that transformers reads: {error}"
        ) from error
    return tokenizer, model.eval()


def _from_endpoint(folder: ModelFolder, text: str, count: int) -> Iterable[str]:
    endpoint = Endpoint.named(folder, "endpoint")
    if endpoint is None:
        raise ModelNotNamed(
            "No endpoint is named: landbrush-server models set endpoint URL; or use the built-in "
            "templates."
        )
    try:
        answer = endpoint.complete(
            [{"role": "user", "content": _question(text, count)}], TEMPERATURE
        )
    except NoAnswer as error:
        raise CannotEdit(f"{error} Use the built-in templates, or mend it.") from error
    return _lines(answer.text, count)
