"""From a request to a plan: which editor, with which options, from what source; decided once."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from ..contract.editors import AUTO
from ..contract.requests import Blend, EditRequest
from ..contract.words import Interpretation
from ..editors.base import Editor, Given
from ..editors.registry import Editors
from ..ground.errors import BadRequest, CannotEdit, WeightsMissing
from ..words import land_cover, operations
from ..words.interpreter import EDITOR_OF
from ..words.land_cover import NAMES, OBJECTS

KEEPS_BY_ITSELF = {
    "flood": ("residential", "industrial", "buildings", "forest"),
    "burn": ("residential", "industrial", "buildings", "road", "parking", "water"),
}
"""What operators spare without being told where it is: what stands, or does not burn."""


@dataclass(frozen=True)
class Plan:
    """What will be done.

    `request`: as it can be asked for again, with what was chosen for the user in it. `editor`, and
    its `options`. `operation`: what the words ask for, or the editor's id. `blend`: how the edit
    meets its surroundings. `word`: the land cover to look for in the layer, where no exemplar was
    drawn. `sentences`: what an image-text model looks for instead. `understood`: what was made of
    the words, where they chose the editor.
    """

    request: EditRequest
    editor: Editor[Any]
    options: Any
    operation: str
    blend: Blend
    word: str = ""
    sentences: tuple[str, ...] = ()
    understood: Interpretation | None = None

    @property
    def values(self) -> dict[str, Any]:
        """The options by name."""
        return self.editor.values(self.options)

    @property
    def process(self) -> str:
        """The process that was asked for."""
        return AUTO if self.understood else self.editor.info.id


@dataclass(frozen=True)
class _Choice:
    """An editor that was chosen, before its options are resolved."""

    editor: Editor[Any]
    options: Any
    operation: str
    word: str = ""
    by_text: bool = False
    understood: Interpretation | None = field(default=None)


def decide(request: EditRequest, process_id: str, editors: Editors, satellite: str = "") -> Plan:
    """The plan of a request; `satellite`: what made the layer, where that is known.

    Raises, with a sentence that the user can act on, where the words do not say enough.
    """
    if process_id == AUTO:
        choice = _from_words(request, editors)
    else:
        choice = _of_process(request, process_id, editors)
    new_ground = request.raster.extent is not None
    finer = new_ground and bool(request.raster.path or request.raster.upload)
    options = choice.editor.resolve(choice.options, Given(request.prompt, finer, satellite))
    blend = request.blend
    if new_ground:
        # There is no ground around it that a rim could fade into, or a tone be taken from.
        blend = replace(blend, feather_px=0, radiometric_match=False)
    before = choice.editor.values(choice.options)
    after = choice.editor.values(options)
    chosen = {name: value for name, value in after.items() if before[name] != value}
    sentences = after.get("paraphrases", "").splitlines() if choice.by_text else ()
    return Plan(
        replace(request, options={**request.options, **_recorded(chosen)}),
        choice.editor,
        options,
        choice.operation,
        blend,
        choice.word,
        tuple(sentences),
        choice.understood,
    )


def _recorded(chosen: dict[str, Any]) -> dict[str, Any]:
    """What was chosen for the user and decides the result: which model, not what its files or the
    layer tell again the next time."""
    return {name: chosen[name] for name in ("model", "checkpoint") if name in chosen}


def _of_process(request: EditRequest, process_id: str, editors: Editors) -> _Choice:
    """The editor that the user has named."""
    if request.operation:
        raise BadRequest(
            f"operation: what was chosen for the words goes with the process '{AUTO}', not with "
            f"'{process_id}'."
        )
    editor = editors.get(process_id)
    name = editor.info.id
    options = editor.parse(request.options)
    if "prompt" in editor.info.needs and not request.prompt.strip():
        raise BadRequest(
            f"prompt: empty. {editor.info.title} needs words: say what should be there."
        )
    if request.examples and not editor.info.takes("examples"):
        raise BadRequest(
            f"examples: {editor.info.title} does not go by edits before and after; ICEdit does."
        )
    editor.check(request.prompt, options)
    if request.exemplar is not None or not editor.info.takes("exemplar"):
        return _Choice(editor, options, name)
    if not editor.searches(options):
        if "exemplar" in editor.info.needs:
            raise CannotEdit(
                f"{editor.info.title} needs a source: draw the area to copy from as the exemplar."
            )
        return _Choice(editor, options, name)
    asked = editor.values(options).get("word", "")
    if editor.reads_text and editors.models.chosen("image-text") and not asked:
        return _Choice(editor, options, name, by_text=True)
    word = asked or _word(request, editors)
    objects = True if word in OBJECTS and "keep_objects" not in request.options else None
    return _Choice(editor, editor.with_word(options, word, objects), name, word)


def _word(request: EditRequest, editors: Editors) -> str:
    """The land cover that a prompt names."""
    if land_cover.is_known(request.prompt):
        return land_cover.canonical(request.prompt)
    prompt = request.prompt
    understood = editors.models.interpret(prompt) if prompt.strip() else None
    if understood is not None and understood.own:
        return understood.own
    said = understood.options.get("word", "") if understood is not None else ""
    searchable = bool(said) or (understood is not None and understood.to_class in NAMES)
    if understood is not None and understood.sure and understood.editor and not searchable:
        raise CannotEdit(
            f"'{prompt[:80]}' is what the editor '{understood.editor}' does: choose it, or let "
            "the words choose (in the panel: Say what should be there). Here an exemplar is "
            "needed."
        )
    if understood is None or not searchable:
        raise CannotEdit(
            "This needs an exemplar, or a prompt that names a land cover which can be looked for "
            f"in the layer or a library ({', '.join(NAMES)}). Draw an exemplar area."
        )
    return said or understood.to_class


def _from_words(request: EditRequest, editors: Editors) -> _Choice:
    """The editor that the words choose."""
    if not request.prompt.strip():
        raise BadRequest("prompt: empty. Say what should be there, or choose an editor.")
    exemplar = request.exemplar is not None
    understood = editors.models.interpret(request.prompt, request.operation, exemplar)
    if understood.own:
        editor = editors.get("fill")
        options = editor.parse(request.options)
        return _Choice(editor, options, "fill_like", understood.own, understood=understood)
    if not understood.sure:
        general = editors.ready_to_instruct()
        raise CannotEdit(_not_understood(request.prompt, understood, general))
    operation = understood.operation
    if not understood.editor:
        general = editors.ready_to_instruct()
        if general is None:
            raise WeightsMissing(
                f"{operations.OPERATIONS[operation]} needs a pretrained editor, and none is "
                "installed (see Models, or 'landbrush-server models list'). Without one: draw an "
                "exemplar of how it should look and use 'Fill like there' or 'Copy'."
            )
        # A model that takes any instruction is on this machine: it gets the words as they are.
        options = general.parse(request.options)
        return _Choice(general, options, operation, understood=understood)
    _check_possible(request, understood)
    editor = editors.get(understood.editor)
    options = editor.parse(_said(editor, understood, request))
    word = ""
    named = operation in operations.CLASSES or bool(understood.options.get("word"))
    if named and not exemplar and editor.searches(options):
        word = editor.values(options).get("word", "") or operation
    if not exemplar and not word and ("exemplar" in editor.info.needs or editor.searches(options)):
        raise CannotEdit(
            f"{operations.OPERATIONS[operation]}: draw the area to copy from as the exemplar."
        )
    return _Choice(editor, options, operation, word, understood=understood)


def _not_understood(prompt: str, found: Interpretation, general: Editor[Any] | None) -> str:
    """What to say of words that were not clear."""
    able = [choice for choice in found.choices if EDITOR_OF.get(choice.operation)]
    offered = ", ".join(f"{choice.title} (operation {choice.operation})" for choice in able)
    if found.lacking:
        return found.understood
    parts = [f"'{prompt[:120]}' was not understood well enough to act on."]
    if offered:
        parts.append(f"Did you mean: {offered}?")
    if general is not None:
        parts.append(f"The editor '{general.info.id}' takes any instruction.")
    parts.append(
        "Say it in other words, choose one of the operations (on the command line: --operation "
        "NAME), or an editor."
    )
    return " ".join(parts)


def _check_possible(request: EditRequest, understood: Interpretation) -> None:
    """Raise CannotEdit for what is understood and still cannot be done as it was asked for."""
    operation = understood.operation
    if operation == "remove" and understood.from_class in ("snow", "fog"):
        raise CannotEdit(
            f"Taking {understood.from_class} off a picture needs what lies below it; remove only "
            "fills small areas from their surroundings. Choose the editor 'remove' to do that "
            "anyway."
        )
    spared = understood.protect in KEEPS_BY_ITSELF.get(operation, ())
    if understood.protect and request.protect is None and not spared:
        raise CannotEdit(
            f"You ask to leave {understood.protect} alone, which words alone cannot point at: "
            "draw those areas as protected (in the panel: Leave as it is), or leave that part of "
            "the sentence out."
        )


def _said(editor: Editor[Any], understood: Interpretation, request: EditRequest) -> dict[str, Any]:
    """The editor's options that the words give, and over them those that the request gives."""
    named = {option.name for option in editor.info.options}
    options = {name: value for name, value in understood.options.items() if name in named}
    if "level_m" in request.options:
        options.pop("counts_from", None)  # it said what the level of the words counts from
    return {**options, **request.options}
