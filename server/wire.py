"""How messages of the contract are read and written: strict parsing in, plain JSON out. Standard library alone."""

from __future__ import annotations

import math
from dataclasses import MISSING, field, fields, is_dataclass
from typing import Any, Mapping, Tuple, Type, TypeVar, Union, get_type_hints

MAX_VERTICES = 200_000

Json = Any
T = TypeVar("T", bound="Message")


class ContractError(ValueError):
    """A message that is not of the contract's form; its text starts with the JSON path."""

    def __init__(self, where: str, sentence: str) -> None:
        super().__init__(f"{where}: {sentence}")


class Message:
    """Base of everything that travels: strict parsing in, plain JSON out."""

    @classmethod
    def from_json(cls: Type[T], data: Json, where: str = "") -> T:
        """Parse a JSON object; raises ContractError when it is not of this form."""
        where = where or cls.__name__
        if not isinstance(data, dict):
            raise ContractError(where, f"an object is needed, not {_shown(data)}")
        hints = get_type_hints(cls)
        known = {f.name: f for f in fields(cls)}  # type: ignore[arg-type]
        for key in data:
            if key not in known:
                raise ContractError(where, f"unknown key {_shown(key)}; known: {', '.join(known)}")
        values = {}
        for name, spec in known.items():
            place = f"{where}.{name}"
            if name in data:
                values[name] = _parse(hints[name], data[name], place, spec.metadata)
            elif spec.default is MISSING and spec.default_factory is MISSING:
                raise ContractError(place, "required and missing")
        return cls(**values)

    def to_json(self) -> dict:
        """The JSON object of this message; None and empty defaults are left out."""
        out = {}
        for spec in fields(self):  # type: ignore[arg-type]
            value = getattr(self, spec.name)
            if value is None or (value in ({}, (), spec.default) and spec.name != "api_version"):
                continue
            out[spec.name] = _plain(value)
        return out


def _plain(value: Json) -> Json:
    if isinstance(value, Message):
        return value.to_json()
    if isinstance(value, (tuple, list)):
        return [_plain(v) for v in value]
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    return value


def _shown(value: Json) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _parse(hint: Any, value: Json, where: str, rules: Mapping[str, Any]) -> Any:
    origin: Any = getattr(hint, "__origin__", None)
    arguments: Tuple[Any, ...] = getattr(hint, "__args__", ())
    if origin is Union:
        if value is None:
            return None
        return _parse(next(a for a in arguments if a is not type(None)), value, where, rules)
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise ContractError(where, f"a list is needed, not {_shown(value)}")
        return tuple(_parse(arguments[0], v, f"{where}[{i}]", rules) for i, v in enumerate(value))
    if isinstance(hint, type) and is_dataclass(hint):
        return hint.from_json(value, where)  # type: ignore[attr-defined]
    if origin is not None and issubclass(origin, dict) or hint in (dict, Mapping):
        return _parse_object(arguments, value, where, rules)
    return value if hint is Any else _parse_scalar(hint, value, where, rules)


def _parse_object(arguments: tuple, value: Json, where: str, rules: Mapping[str, Any]) -> dict:
    if not isinstance(value, dict):
        raise ContractError(where, f"an object is needed, not {_shown(value)}")
    keys = rules.get("keys")
    for key in value:
        if not isinstance(key, str) or (keys and key not in keys):
            raise ContractError(where, f"unknown key {_shown(key)}" + (f"; known: {', '.join(keys)}" if keys else ""))
    inner = arguments[1] if len(arguments) == 2 else Any
    return {k: _parse(inner, v, f"{where}.{k}", {**rules, "keys": None}) for k, v in value.items()}


def _parse_scalar(hint: Any, value: Json, where: str, rules: Mapping[str, Any]) -> Any:
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        if abs(value) > 1e300:
            raise ContractError(where, f"{_shown(value)} is too large")
        value = float(value)
    if not isinstance(value, hint) or (hint is not bool and isinstance(value, bool)):
        raise ContractError(where, f"a {_WORDS[hint]} is needed, not {_shown(value)}")
    if hint is float and not math.isfinite(value):
        raise ContractError(where, f"{value} is not a finite number")
    low, high = rules.get("minimum"), rules.get("maximum")
    if hint in (int, float) and ((low is not None and value < low) or (high is not None and value > high)):
        raise ContractError(where, f"{value} is outside {low} ... {high}")
    if "choices" in rules and value not in rules["choices"]:
        raise ContractError(where, f"{_shown(value)} is none of {', '.join(rules['choices'])}")
    if hint is str and (len(value) > rules.get("longest", 100_000) or any(c == "\0" or "\ud800" <= c <= "\udfff" for c in value)):
        raise ContractError(where, f"text of {len(value)} characters is too long, or holds a NUL or half a character")
    return value


_WORDS = {str: "text", int: "whole number", float: "number", bool: "true or false"}


def field_of(help_text: str, default: Any = MISSING, **rules: Any) -> Any:
    """A dataclass field with its help and its rules: minimum, maximum, choices, longest, keys."""
    metadata = {"help": help_text, **rules}
    if default in (dict,):
        return field(default_factory=default, metadata=metadata)
    return field(metadata=metadata) if default is MISSING else field(default=default, metadata=metadata)


def check_geometry(geometry: Json, where: str) -> None:
    """Refuse what is not a GeoJSON Polygon or MultiPolygon with closed, finite rings."""
    if not isinstance(geometry, dict) or set(geometry) - {"type", "coordinates"}:
        raise ContractError(where, f"a GeoJSON geometry is needed, not {_shown(geometry)}")
    kind, parts = geometry.get("type"), geometry.get("coordinates")
    if kind not in ("Polygon", "MultiPolygon"):
        raise ContractError(where, f"type must be Polygon or MultiPolygon, not {_shown(kind)}")
    polygons = [parts] if kind == "Polygon" else parts
    if not isinstance(polygons, (list, tuple)) or not polygons:
        raise ContractError(where, "coordinates must hold at least one polygon")
    vertices = sum(_check_rings(rings, where) for rings in polygons)
    if vertices > MAX_VERTICES:
        raise ContractError(where, f"{vertices} vertices; at most {MAX_VERTICES} are taken")


def _check_rings(rings: Json, where: str) -> int:
    if not isinstance(rings, (list, tuple)) or not rings:
        raise ContractError(where, "a polygon needs at least an outer ring")
    for ring in rings:
        if not isinstance(ring, (list, tuple)) or len(ring) < 4:
            raise ContractError(where, f"a ring needs 4 or more positions: {_shown(ring)}")
        for position in ring:
            _check_position(position, where)
        if list(ring[0])[:2] != list(ring[-1])[:2]:
            raise ContractError(where, f"a ring must end where it starts: {_shown(ring[0])}")
    return sum(len(ring) for ring in rings)


def _check_position(position: Json, where: str) -> None:
    if not isinstance(position, (list, tuple)) or not 2 <= len(position) <= 4:
        raise ContractError(where, f"a position needs two numbers: {_shown(position)}")
    for number in position:
        if isinstance(number, bool) or not isinstance(number, (int, float)) or not abs(number) < 1e15:
            raise ContractError(where, f"a coordinate is not a finite number: {_shown(position)}")
