"""The JSON Schema of the classes of this package, for pydantic and FastAPI."""

from __future__ import annotations

import dataclasses
import enum
import inspect
import types
import typing
from typing import Any

from ._generated import McpServerStartupFailureReason, McpServerStartupState
from ._native import McpServerStatusUpdatedNotification
from ._wire import OpenWireEnum, hints_of, wire_name

_TYPES: dict[Any, str] = {bool: "boolean", int: "integer", float: "number", str: "string"}

# The fields of the notification, which is a class of the native module.
_NOTIFICATION: dict[str, Any] = {
    "threadId": str | None,
    "name": str,
    "environmentId": str | None,
    "status": McpServerStartupState,
    "error": str | None,
    "failureReason": McpServerStartupFailureReason | None,
}


def schema_of(target: Any) -> dict[str, Any]:
    """Returns the schema of a type."""
    origin, arguments = typing.get_origin(target), typing.get_args(target)
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [schema_of(argument) for argument in arguments]}
    if origin is tuple:
        return {"type": "array", "items": schema_of(arguments[0])}
    if target is type(None):
        return {"type": "null"}
    if target in _TYPES:
        return {"type": _TYPES[target]}
    if target is McpServerStatusUpdatedNotification:
        return _object(target, _NOTIFICATION, ["name", "status"])
    if dataclasses.is_dataclass(target):
        fields = dataclasses.fields(target)
        hints = hints_of(target)
        required = [wire_name(field) for field in fields if field.default is dataclasses.MISSING]
        return _object(target, {wire_name(field): hints[field.name] for field in fields}, required)
    if isinstance(target, type) and issubclass(target, enum.Enum):
        values = [member.value for member in target]
        # A newer program may send another value of an open enum.
        known = {"examples": values} if issubclass(target, OpenWireEnum) else {"enum": values}
        return {"type": "string", "title": target.__name__, "description": inspect.getdoc(target), **known}
    return {}


def _object(target: Any, fields: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {
        "type": "object",
        "title": target.__name__,
        "description": inspect.getdoc(target),
        "properties": {name: schema_of(hint) for name, hint in fields.items()},
        "required": required,
    }
