"""Messages that travel between the plugin and the server: strict parsing in, plain JSON out.

Frozen dataclasses of the standard library alone (Python 3.9 and newer). `from_json` is strict:
unknown or missing keys, wrong types, numbers not finite or out of range raise `ContractError`,
whose sentence names the place and the value.
"""

from __future__ import annotations

import math
from dataclasses import MISSING, field, fields, is_dataclass
from typing import Any, ClassVar, Mapping, Tuple, Type, TypeVar, Union, get_type_hints

Json = Any
_WORDS = {str: "text", int: "whole number", float: "number", bool: "true or false"}
T = TypeVar("T", bound="Message")


class ContractError(ValueError):
    """A message that is not of the contract's form; its text starts with the JSON path."""

    def __init__(self, where: str, sentence: str) -> None:
        super().__init__(f"{where}: {sentence}")


class Message:
    """Base of everything that travels: strict parsing in, plain JSON out.

    `KEEPS_ALL`: whether JSON has None and empty defaults too, for readers that look keys up.
    """

    KEEPS_ALL: ClassVar[bool] = False

    @classmethod
    def from_json(cls: Type[T], data: Json, where: str = "") -> T:
        """Parse a JSON object; raises ContractError when it is not of this form."""
        where = where or cls.__name__
        hints = get_type_hints(cls)
        known = {f.name: f for f in fields(cls)}  # type: ignore[arg-type]
        for key in _object(data, where):
            if key not in known:
                raise ContractError(
                    where, f"unknown key {shortened(key)}; known: {', '.join(known)}"
                )
        values = {}
        for name, spec in known.items():
            place = f"{where}.{name}"
            if name in data:
                values[name] = _parse(hints[name], data[name], place, spec.metadata)
            elif spec.default is MISSING and spec.default_factory is MISSING:
                raise ContractError(place, "required and missing")
        return cls(**values)

    def to_json(self) -> dict:
        """The JSON object of this message; None and empty defaults are left out, unless it keeps
        all."""
        found = {}
        for spec in fields(self):  # type: ignore[arg-type]
            value = getattr(self, spec.name)
            left_out = value is None or value in ({}, (), spec.default)
            if self.KEEPS_ALL or not left_out or spec.name == "api_version":
                found[spec.name] = _plain(value)
        return found


def _plain(value: Json) -> Json:
    if isinstance(value, Message):
        return value.to_json()
    if isinstance(value, (tuple, list)):
        return [_plain(v) for v in value]
    return {k: _plain(v) for k, v in value.items()} if isinstance(value, Mapping) else value


def _object(value: Json, where: str) -> dict:
    if not isinstance(value, dict):
        raise ContractError(where, f"an object is needed, not {shortened(value)}")
    return value


def shortened(value: Json) -> str:
    """A value as Python writes it, cut to 60 characters, for the sentence of an error."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _parse(hint: Any, value: Json, where: str, rules: Mapping[str, Any]) -> Any:
    origin = getattr(hint, "__origin__", None)
    arguments = tuple(getattr(hint, "__args__", ()))
    if origin is Union:
        return (
            None
            if value is None
            else _parse(next(a for a in arguments if a is not type(None)), value, where, rules)
        )
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise ContractError(where, f"a list is needed, not {shortened(value)}")
        return tuple(_parse(arguments[0], v, f"{where}[{i}]", rules) for i, v in enumerate(value))
    if isinstance(hint, type) and is_dataclass(hint):
        return hint.from_json(value, where)  # type: ignore[attr-defined]
    if origin is not None and issubclass(origin, dict) or hint in (dict, Mapping):
        return _parse_object(arguments, value, where, rules)
    return value if hint is Any else _parse_scalar(hint, value, where, rules)


def _parse_object(arguments: tuple, value: Json, where: str, rules: Mapping[str, Any]) -> dict:
    keys = rules.get("keys")
    for key in _object(value, where):
        if not isinstance(key, str) or (keys and key not in keys):
            raise ContractError(
                where,
                f"unknown key {shortened(key)}" + (f"; known: {', '.join(keys)}" if keys else ""),
            )
    inner = arguments[1] if len(arguments) == 2 else Any
    return {k: _parse(inner, v, f"{where}.{k}", {**rules, "keys": None}) for k, v in value.items()}


def _parse_scalar(hint: Any, value: Json, where: str, rules: Mapping[str, Any]) -> Any:
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value) if abs(value) < 1e300 else math.inf
    if not isinstance(value, hint) or (hint is not bool and isinstance(value, bool)):
        raise ContractError(where, f"a {_WORDS[hint]} is needed, not {shortened(value)}")
    if hint is float and not math.isfinite(value):
        raise ContractError(where, f"{value} is not a finite number")
    low = rules.get("minimum")
    high = rules.get("maximum")
    if hint in (int, float) and (
        (low is not None and value < low) or (high is not None and value > high)
    ):
        raise ContractError(where, f"{value} is outside {low} ... {high}")
    if "choices" in rules and value not in rules["choices"]:
        raise ContractError(
            where, f"{shortened(value)} is none of {', '.join(filter(None, rules['choices']))}"
        )
    if hint is str and (
        len(value) > rules.get("longest", 100_000)
        or any(c == "\0" or "\ud800" <= c <= "\udfff" for c in value)
    ):
        raise ContractError(
            where,
            f"text of {len(value)} characters is too long, or holds a NUL or half a character",
        )
    return value


def bounds_of(kind: type, name: str) -> Tuple[Any, Any]:
    """The least and the largest value of a declared field; None: unbounded."""
    rules = next(one for one in fields(kind) if one.name == name).metadata
    return rules.get("minimum"), rules.get("maximum")


def choices_of(kind: type, name: str) -> Tuple[str, ...]:
    """The words that a declared field takes."""
    return tuple(next(one for one in fields(kind) if one.name == name).metadata["choices"])


def declare(help_text: str, default: Any = MISSING, **rules: Any) -> Any:
    """A dataclass field with its help and its rules: minimum, maximum, choices, longest, keys."""
    kind = (
        {}
        if default is MISSING
        else {"default_factory": dict}
        if default is dict
        else {"default": default}
    )
    return field(metadata={"help": help_text, **rules}, **kind)
