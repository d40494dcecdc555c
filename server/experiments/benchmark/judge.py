"""Scores by a vision-language model (evaluation.viescore): an OpenAI-compatible service that the
user has named, or a model on this machine.

What the judge fails at (no answer, no score in it, a refusal) is a missing value with its reason,
never a 0 and never a guess. Answers are kept by what was asked, so that a run that goes on asks
nothing twice and costs nothing twice.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ...editors.models import Models
from ...evaluation import pictures, viescore
from ...ground.errors import BadRequest, ModelNotNamed
from ...ground.files import write_json
from ...models import vision_language, weights
from ...raster import display
from ...words.endpoint import Answer, Endpoint, NoAnswer, key_of, patiently
from .measures import EDIT, HIGHER, Measure, Shot
from .systems import IDENTITY, NOISE, REFERENCE

SERVICE = "judge"
HERE = "vision-language"
PICTURE_TOKENS = 800
TEXT_TOKENS = 260
SAID_TOKENS = 120
"""About, of a picture of 768 pixels, a question, an answer: for the estimate."""
MEASURES = (
    Measure(
        "vie_sc",
        "VIE-like, semantic consistency",
        HIGHER,
        0,
        10,
        "lower of: instruction followed, rest kept, as a vision-language model says; after "
        "VIEScore (Ku et al. 2024)",
        ((REFERENCE, IDENTITY), (EDIT, IDENTITY), (EDIT, NOISE)),
    ),
    Measure(
        "vie_pq",
        "VIE-like, perceptual quality",
        HIGHER,
        0,
        10,
        "lower of: natural, free of artefacts, as a vision-language model says; after VIEScore "
        "(Ku et al. 2024)",
        ((REFERENCE, NOISE), (EDIT, NOISE)),
    ),
    Measure(
        "vie_o",
        "VIE-like, overall",
        HIGHER,
        0,
        10,
        "root of consistency times quality; after VIEScore (Ku et al. 2024)",
        ((REFERENCE, EDIT), (EDIT, IDENTITY), (EDIT, NOISE)),
    ),
)


@dataclass(frozen=True)
class Cost:
    """What a run will ask. `questions`: at most, two a result. `asked_tokens`, `said_tokens`: in
    and out of the model, about. `price`: in the currency of the prices given; None: none were."""

    questions: int
    asked_tokens: int
    said_tokens: int
    price: float | None

    def sentence(self) -> str:
        """For the user, before anything is asked."""
        money = (
            ""
            if self.price is None
            else f", about {self.price:.2f} of the currency of the prices given"
        )
        return (
            f"The judge will be asked at most {self.questions:,} questions: about "
            f"{self.asked_tokens:,} tokens in, {self.said_tokens:,} out{money}. What was answered "
            "before is not asked again."
        )


def estimated(runs: int, prices: tuple[float, float] | None) -> Cost:
    """Of so many results; `prices` of a million tokens in and out."""
    asked = runs * (2 * TEXT_TOKENS + 3 * PICTURE_TOKENS)
    said = runs * 2 * SAID_TOKENS
    price = None if prices is None else (asked * prices[0] + said * prices[1]) / 1e6
    return Cost(2 * runs, asked, said, price)


def agreed(
    runs: int, prices: tuple[float, float] | None, yes: bool, say: Callable[[str], None]
) -> None:
    """Say what it will cost; raises BadRequest where the user has not agreed to it."""
    told = estimated(runs, prices).sentence()
    say(told)
    if not yes:
        raise BadRequest(f"{told} Agree to that with --accept-cost.")


@dataclass(frozen=True)
class Judge:
    """Who judges. `folder`: keeps the answers. `endpoint`: a service, without its key, which does
    not travel to workers; None: a model of this machine. `path`: that model's folder; empty with a
    service. `asked`: how, an id of viescore.QUESTIONS."""

    folder: Path
    endpoint: Endpoint | None = None
    path: str = ""
    asked: str = viescore.VIE_LIKE.id

    @classmethod
    def named(cls, models: Models, kind: str, folder: Path, asked: str = "") -> Judge:
        """Raises ModelNotNamed, WeightsMissing, BadRequest."""
        asked = asked or viescore.VIE_LIKE.id
        if asked not in viescore.QUESTIONS:
            raise BadRequest(f"--questions {asked}: there are {', '.join(viescore.QUESTIONS)}.")
        if kind == HERE:
            path = models.chosen(HERE)
            if not path:
                raise ModelNotNamed(
                    "No vision-language model is named: landbrush-server models set "
                    "vision-language FOLDER."
                )
            _vision_language(models, path)
            return cls(folder, path=path, asked=asked)
        endpoint = Endpoint.named(models.folder, SERVICE)
        if endpoint is None:
            raise ModelNotNamed(
                "No judge is named: landbrush-server models set judge URL, set judge-model NAME "
                "and, if it needs one, set judge-key-file FILE."
            )
        return cls(folder, replace(endpoint, key=""), asked=asked)

    def identity(self) -> str:
        """By which its numbers are known again."""
        if self.endpoint is not None:
            return f"{self.endpoint.model} at {self.endpoint.url}, {self.asked}"
        return f"{self.path} {weights.state_of(Path(self.path))}, {self.asked}"

    @property
    def temperature(self) -> float:
        """At which its model answers."""
        named = self.endpoint.model if self.endpoint else Path(self.path).name
        return viescore.temperature_of(viescore.QUESTIONS[self.asked], named)

    def measures(self) -> tuple[Measure, ...]:
        """What it measures, with how it was asked."""
        title = viescore.QUESTIONS[self.asked].title
        return tuple(
            replace(one, source=f"{title}, temperature {self.temperature:g}: {one.source}")
            for one in MEASURES
        )

    def judged(self, models: Models, shot: Shot) -> dict[str, Any]:
        """Scores of a result (those there are), and why others are missing."""
        before, after = (
            pictures.jpeg(display.picture(image, shot.seen.roles.names))
            for image in (shot.seen.before, shot.seen.after)
        )
        questions = viescore.QUESTIONS[self.asked]
        found: dict[str, float] = {}
        failures = {}
        for name, question, shown in (
            ("vie_sc", questions.followed.format(shot.case.prompt), (before, after)),
            ("vie_pq", questions.looks, (after,)),
        ):
            try:
                found[name] = viescore.read(self._answered(models, question, shown))
            except (NoAnswer, viescore.Unreadable) as error:
                failures[name] = str(error)
        overall = viescore.Score(found.get("vie_sc"), found.get("vie_pq")).overall
        if overall is not None:
            found["vie_o"] = overall
        return {"values": found, "failures": failures}

    def _answered(self, models: Models, question: str, shown: tuple[bytes, ...]) -> str:
        """From what is kept, else asked; only what can be read is kept, so that a failure is tried
        again in the next run."""
        digest = hashlib.sha256(
            b"\0".join([self.identity().encode(), question.encode(), *shown])
        ).hexdigest()[:32]
        path = self.folder / f"{digest}.json"
        if path.is_file():
            return str(json.loads(path.read_text("utf8"))["text"])
        answer = self._asked(models, question, shown)
        viescore.read(answer.text)
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(path, {**asdict(answer), "judge": self.identity()})
        return answer.text

    def _asked(self, models: Models, question: str, shown: tuple[bytes, ...]) -> Answer:
        temperature = self.temperature
        if self.endpoint is None:
            here = _vision_language(models, self.path)
            return Answer(here.answer(question, shown, temperature))
        messages = [
            {
                "role": "user",
                "content": [*map(pictures.part, shown), {"type": "text", "text": question}],
            }
        ]
        endpoint = replace(self.endpoint, key=key_of(models.folder, SERVICE))
        return patiently(lambda: endpoint.complete(messages, temperature))


def _vision_language(models: Models, path: str) -> vision_language.VisionLanguage:
    return models.cached(("vision-language", path), lambda: vision_language.load(path))
