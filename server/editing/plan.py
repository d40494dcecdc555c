"""From request and words to a plan: which editor, with which options, from what source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..contract.editors import AUTO
from ..contract.requests import EditRequest
from ..contract.words import Interpretation
from ..editors import registry
from ..editors.base import LAND_COVERS, Editor
from ..ground.errors import BadRequest, CannotEdit, WeightsMissing
from ..models import weights
from ..search import retrieval
from ..words import interpreter, lexicon

KEEPS_BY_ITSELF = ("flood", "burn")
"""Operators that spare what stands or does not burn without being told where it is."""


@dataclass(frozen=True)
class Plan:
    """What will be done. `word` is the land cover to look for in the layer, where no exemplar was
    drawn; `by_text`: an image-text model looks for the words themselves instead."""

    editor: Editor
    options: dict[str, Any]
    operation: str
    word: str = ""
    understood: Interpretation | None = None
    by_text: bool = False

    @property
    def paraphrased(self) -> bool:
        """Whether sentences that say the same as the prompt are of use."""
        return "paraphrases" in self.options and bool(weights.chosen("image-text"))


def plan(request: EditRequest, process_id: str) -> Plan:
    """Decide; raises with a sentence the user can act on when the words do not say enough."""
    if process_id == AUTO:
        return _from_words(request)
    if request.operation:
        raise BadRequest(
            f"operation: what was chosen for the words goes with the process '{AUTO}', not with "
            f"'{process_id}'."
        )
    editor = registry.editor(process_id)
    options = registry.options_of(editor.info, request.options)
    if "prompt" in editor.info.needs and not request.prompt.strip():
        raise BadRequest(
            f"prompt: empty. {editor.info.title} needs words: say what should be there."
        )
    editor.check(request.prompt, options)
    word = ""
    if editor.info.takes("exemplar") and request.exemplar is None:
        if editor.searches(options):
            if editor.reads_text and weights.chosen("image-text") and not options.get("word"):
                return Plan(editor, options, process_id, by_text=True)
            word = options.get("word", "") or _word(request)
            options |= {"word": word} if "word" in options else {}
            if (
                word in interpreter.OBJECT_CLASSES
                and "keep_objects" not in request.options
                and "keep_objects" in options
            ):
                options["keep_objects"] = True
        elif "exemplar" in editor.info.needs:
            raise CannotEdit(
                f"{editor.info.title} needs a source: draw the area to copy from as the exemplar."
            )
    return Plan(editor, options, process_id, word)


def _word(request: EditRequest) -> str:
    try:
        return retrieval.canonical(request.prompt)
    except BadRequest:
        pass
    understood = interpreter.interpret(request.prompt) if request.prompt.strip() else None
    if (
        understood is not None
        and understood.sure
        and understood.editor
        and understood.to_class not in LAND_COVERS
    ):
        raise CannotEdit(
            f"'{request.prompt[:80]}' is what the editor '{understood.editor}' does: choose it, "
            "or let the words "
            "choose (in the panel: Say what should be there). Here an exemplar is needed."
        )
    if understood is None or understood.to_class not in LAND_COVERS:
        raise CannotEdit(
            "This needs an exemplar, or a prompt that names a land cover which can be looked for "
            "in the layer "
            f"({', '.join(LAND_COVERS)}). Draw an exemplar area."
        )
    return understood.to_class


def _from_words(request: EditRequest) -> Plan:
    if not request.prompt.strip():
        raise BadRequest("prompt: empty. Say what should be there, or choose an editor.")
    understood = interpreter.interpret(
        request.prompt, request.operation, request.exemplar is not None
    )
    general = registry.ready_to_instruct()
    if not understood.sure:
        able = [
            choice for choice in understood.choices if interpreter.EDITOR_OF.get(choice.operation)
        ]
        offered = ", ".join(f"{choice.title} (operation {choice.operation})" for choice in able)
        raise CannotEdit(
            f"'{request.prompt[:120]}' was not understood well enough to act on. "
            + (f"Did you mean: {offered}? " if offered else "")
            + (f"The editor '{general}' takes any instruction. " if general else "")
            + "Say it in other words, or choose an editor instead."
        )
    operation = understood.operation
    if not understood.editor and general:
        # A model that takes any instruction is on this machine: it gets the words as they are.
        editor = registry.editor(general)
        return Plan(
            editor, registry.options_of(editor.info, request.options), operation, "", understood
        )
    if not understood.editor:
        raise WeightsMissing(
            f"{lexicon.OPERATIONS[operation]} needs a pretrained editor, and none is installed "
            "(see Models, or 'landbrush-server "
            "models list'). Without one: draw an exemplar of how it should look and use 'Fill "
            "like there' or 'Copy'."
        )
    if operation == "remove" and understood.from_class in ("snow", "fog"):
        raise CannotEdit(
            f"Taking {understood.from_class} off a picture needs what lies below it; remove only "
            "fills small areas "
            "from their surroundings. Choose the editor 'remove' to do that anyway."
        )
    if understood.protect and request.protect is None and operation not in KEEPS_BY_ITSELF:
        raise CannotEdit(
            f"You ask to leave {understood.protect} alone, which words alone cannot point at: "
            "draw those areas as protected "
            "(in the panel: Leave as it is), or leave that part of the sentence out."
        )
    if operation in lexicon.CLASSES and operation not in LAND_COVERS and request.exemplar is None:
        raise CannotEdit(
            f"{lexicon.OPERATIONS[operation]} cannot be looked for in a layer "
            f"({', '.join(LAND_COVERS)} can): draw an exemplar "
            "that shows it, in this or another layer."
        )
    editor = registry.editor(understood.editor)
    options = registry.options_of(editor.info, _said(editor, understood, request))
    word = ""
    if request.exemplar is None and operation in lexicon.CLASSES:
        word = options.get("word", "") or operation
    if (
        request.exemplar is None
        and not word
        and ("exemplar" in editor.info.needs or editor.searches(options))
    ):
        raise CannotEdit(
            f"{lexicon.OPERATIONS[operation]}: draw the area to copy from as the exemplar."
        )
    return Plan(editor, options, operation, word, understood)


def _said(editor: Editor, understood: Interpretation, request: EditRequest) -> dict[str, Any]:
    """The editor's options that the words give, and over them those that the request gives."""
    named = {option.name for option in editor.info.options}
    options = {name: value for name, value in understood.options.items() if name in named}
    if "level_m" in request.options:
        options.pop("counts_from", None)  # it said what the level of the words counts from
    return {**options, **request.options}
