"""JSON schemas of the contract's messages and of an editor's options."""

from __future__ import annotations

from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Union, get_args, get_origin, get_type_hints

from ..contract.editors import EditorInfo, Option
from ..contract.message import Message
from ..contract.requests import EditRequest

_SCALARS = {str: "string", int: "integer", float: "number", bool: "boolean"}


def schema_of(hint: Any, rules: Any = None) -> dict[str, Any]:
    """JSON schema of a type of the contract, with the rules of its field."""
    rules = rules or {}
    origin = get_origin(hint)
    inner = get_args(hint)
    if origin is Union:
        return {**schema_of(next(a for a in inner if a is not type(None)), rules), "nullable": True}
    if origin is tuple:
        return {"type": "array", "items": schema_of(inner[0], rules)}
    if is_dataclass(hint):
        return message_schema(hint)  # type: ignore[arg-type]
    if origin is dict or hint is dict:
        schema: dict[str, Any] = {"type": "object"}
        if rules.get("keys"):
            schema["properties"] = {
                k: schema_of(inner[1], {**rules, "keys": None}) for k in rules["keys"]
            }
            schema["additionalProperties"] = False
        return schema
    if hint is Any:
        return {}
    schema = {"type": _SCALARS[hint]}
    for ours, theirs in (("minimum", "minimum"), ("maximum", "maximum"), ("longest", "maxLength")):
        if rules.get(ours) is not None:
            schema[theirs] = rules[ours]
    if "choices" in rules:
        schema["enum"] = list(rules["choices"])
    return schema


def message_schema(cls: type[Message]) -> dict[str, Any]:
    """JSON schema of a message."""
    hints = get_type_hints(cls)
    properties = {}
    required = []
    for spec in fields(cls):  # type: ignore[arg-type]
        schema = schema_of(hints[spec.name], spec.metadata)
        if "help" in spec.metadata:
            schema["description"] = spec.metadata["help"]
        if spec.name == "geometry":
            schema = {
                "type": "object",
                "description": spec.metadata["help"],
                "required": ["type", "coordinates"],
                "properties": {
                    "type": {"type": "string", "enum": ["Polygon", "MultiPolygon"]},
                    "coordinates": {"type": "array", "items": {}},
                },
                "additionalProperties": False,
            }
        properties[spec.name] = schema
        if spec.default is MISSING and spec.default_factory is MISSING:
            required.append(spec.name)
    schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**schema, "required": required} if required else schema


def _option_schema(option: Option) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": option.type, "title": option.title, "default": option.default}
    for name in ("minimum", "maximum"):
        if getattr(option, name) is not None:
            schema[name] = getattr(option, name)
    if option.choices:
        schema["enum"] = list(option.choices)
    text = " ".join(
        part for part in (option.help, f"In {option.unit}." if option.unit else "") if part
    )
    return {**schema, "description": text} if text else schema


def inputs_schema(info: EditorInfo) -> dict[str, Any]:
    """Schema of an execution's inputs, with the editor's own options in place."""
    schema = message_schema(EditRequest)
    if info.options:
        schema["properties"]["options"] = {
            "type": "object",
            "additionalProperties": False,
            "properties": {o.name: _option_schema(o) for o in info.options},
        }
    return schema
