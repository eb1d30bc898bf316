"""Reads the JSON of another program, which may be newer than this package, or faulty."""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from collections.abc import Callable
from typing import Any, TypeVar

from . import _native
from ._errors import DecodeError
from ._wire import WireEnum, hints_of, wire_name

T = TypeVar("T")


def read(target: type[T], value: object) -> T:
    """Converts parsed JSON to the target type. Unknown fields are ignored, and unknown values of enums are kept.

    Raises:
        ValueError: If a field is missing or has another type. The message names it.
    """
    try:
        return typing.cast(T, _reader(target)(value, ""))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


# Reads a value. The text is its path, for messages.
_Read = Callable[[Any, str], Any]


_readers: dict[Any, _Read] = {}


def _reader(target: Any) -> _Read:
    found = _readers.get(target)
    if found is None:
        found = _readers[target] = _new_reader(target)
    return found


def _new_reader(target: Any) -> _Read:
    origin, arguments = typing.get_origin(target), typing.get_args(target)
    if target == int | str:
        return _request_id
    if target is float:
        return _finite_number
    if origin in (typing.Union, types.UnionType):
        (inner,) = (argument for argument in arguments if argument is not type(None))
        read_inner = _reader(inner)
        return lambda value, path: None if value is None else read_inner(value, path)
    if origin is tuple:
        read_item = _reader(arguments[0])
        return lambda value, path: tuple(
            read_item(item, f"{path}[{index}]") for index, item in enumerate(_checked(list, value, path))
        )
    if origin is dict:
        return lambda value, path: _checked(dict, value, path)
    if dataclasses.is_dataclass(target):
        return _object_reader(target)
    if target is _native.McpServerStatusUpdatedNotification:
        return _startup_notification
    if isinstance(target, type) and issubclass(target, WireEnum):
        enum = target
        return lambda value, path: enum.of(_checked(str, value, path))
    if target in (str, bool, int):
        return lambda value, path: _checked(target, value, path)
    return lambda value, path: value


def _object_reader(target: Any) -> _Read:
    hints = hints_of(target)
    fields = [
        (wire_name(field), field.name, _reader(hints[field.name]), _default(field, hints[field.name]))
        for field in dataclasses.fields(target)
    ]

    def read_object(value: Any, path: str) -> Any:
        members = _checked(dict, value, path)
        found: dict[str, Any] = {}
        for wire, name, read_field, default in fields:
            inner = f"{path}.{wire}" if path else wire
            if wire in members:
                found[name] = read_field(members[wire], inner)
            elif default is dataclasses.MISSING:
                raise ValueError(f"`{inner}` is missing")
            else:
                found[name] = default
        return target(**found)

    return read_object


def _default(field: dataclasses.Field[Any], hint: Any) -> Any:
    # A missing field is the same as null if it may be null.
    if field.default is dataclasses.MISSING and type(None) in typing.get_args(hint):
        return None
    return field.default


def _checked(expected: type, value: Any, path: str) -> Any:
    # JSON's `true` is no number.
    if not isinstance(value, expected) or (expected is int and isinstance(value, bool)):
        names = {str: "a string", bool: "a Boolean", int: "an integer", list: "an array", dict: "an object"}
        raise ValueError(f"{f'`{path}`' if path else 'it'} is not {names[expected]}")
    return value


def _request_id(value: Any, path: str) -> Any:
    if isinstance(value, str) or type(value) is int:
        return value
    raise ValueError(f"`{path}` is neither an integer nor a string")


def _finite_number(value: Any, path: str) -> Any:
    try:
        number = float(value) if type(value) in (int, float) else math.nan
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"`{path}` is not a finite number")
    return number


def _startup_notification(value: Any, path: str) -> Any:
    try:
        return _native.decode(json.dumps({"method": _native.METHOD, "params": value}))
    except DecodeError as error:
        raise ValueError(str(error)) from None
