"""Conversion between JSON and Python: strings become enums, and objects become frozen dataclasses."""

from __future__ import annotations

import dataclasses
import enum
import inspect
import json
import re
import types
import typing
from collections.abc import Callable
from typing import Any, TypeVar

from . import _native
from ._native import McpServerStatusUpdatedNotification
from ._typing import Self

T = TypeVar("T")


class WireEnum(str, enum.Enum):
    """An enum of strings. A member is equal to its string."""

    def __new__(cls, value: str) -> Self:
        member = str.__new__(cls, value)
        member._value_ = value
        return member

    def __str__(self) -> str:
        return str(self.value)

    def __format__(self, spec: str) -> str:
        return format(str(self.value), spec)

    def __reduce_ex__(self, protocol: Any) -> Any:
        # A copy of a value that another program sent may be unknown.
        return type(self).of, (self._value_,)

    @property
    def is_known(self) -> bool:
        """Whether this version knows the value. Only a newer program sends another one."""
        return self._value_ in type(self)._value2member_map_

    @classmethod
    def of(cls, value: str) -> Self:
        """Returns the member with this value. If there is none, returns an unknown one, which is equal to its string."""
        member = cls._value2member_map_.get(value)
        if member is not None:
            return typing.cast("Self", member)
        unknown = str.__new__(cls, value)
        unknown._name_ = "UNKNOWN"
        unknown._value_ = value
        return unknown


class OpenWireEnum(WireEnum):
    """An enum that accepts unknown strings, because a newer server may send them. An unknown value is equal to its string."""

    @classmethod
    def _missing_(cls, value: object) -> OpenWireEnum | None:
        return cls.of(value) if isinstance(value, str) else None


class WireObject:
    """A frozen dataclass that can be converted to JSON."""

    __slots__ = ()

    def to_dict(self) -> dict[str, Any]:
        """Returns the value as a dictionary for `json.dumps`, with the field names of the JSON form, such as `failureReason`."""
        return typing.cast("dict[str, Any]", to_wire(self))

    def to_json(self) -> str:
        """Returns the value as JSON, with the field names of the JSON form, such as `failureReason`."""
        return to_json(self)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """Lets pydantic and FastAPI accept the value, and write it as `to_dict` does."""
        return pydantic_schema(cls)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> dict[str, Any]:
        return json_schema(cls)


def to_json(value: Any) -> str:
    """Returns a value as JSON."""
    return json.dumps(to_wire(value))


def pydantic_schema(target: type[Any]) -> Any:
    """Returns the schema of a class that has `to_dict`, for pydantic, which is installed if it asks for one."""
    from pydantic_core import core_schema  # pyright: ignore

    def validate(value: Any) -> Any:
        if isinstance(value, target):
            return value
        # `_reading` needs this module.
        from ._reading import read

        try:
            return read(target, value)
        except ValueError as error:
            raise ValueError(f"not the JSON form of a {target.__name__}: {error}") from None

    return core_schema.no_info_plain_validator_function(
        validate, serialization=core_schema.plain_serializer_function_ser_schema(lambda value: value.to_dict())
    )


def json_schema(target: Any) -> dict[str, Any]:
    """Returns the JSON schema of a class for pydantic."""
    from ._json_schema import schema_of

    return schema_of(target)


def to_wire(value: Any) -> Any:
    """Converts a value to objects for `json.dumps`, as Rust writes it: an optional field is left out if it has no value."""
    if dataclasses.is_dataclass(value):
        fields = [(field, getattr(value, field.name)) for field in dataclasses.fields(value)]
        return {
            wire_name(field): to_wire(item)
            for field, item in fields
            if not (item in (None, ()) and item == field.default)
        }
    if isinstance(value, McpServerStatusUpdatedNotification):
        return json.loads(value.encode())["params"]
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, (list, tuple)):
        return [to_wire(item) for item in typing.cast("list[Any]", value)]
    return value


def from_wire(target: type[T], value: Any) -> T:
    """Converts parsed JSON to the target type. It is strict, because the native module always has the same version."""
    return typing.cast(T, _reader(target)(value))


_readers: dict[Any, Callable[[Any], Any]] = {}


def _reader(target: Any) -> Callable[[Any], Any]:
    read = _readers.get(target)
    if read is None:
        read = _readers[target] = _new_reader(target)
    return read


def _new_reader(target: Any) -> Callable[[Any], Any]:
    origin = typing.get_origin(target)
    if origin in (typing.Union, types.UnionType):
        inner = [argument for argument in typing.get_args(target) if argument is not type(None)]
        if len(inner) > 1:
            # Such as `int | str`: types that JSON has, too.
            return lambda value: value
        read = _reader(inner[0])
        return lambda value: None if value is None else read(value)
    if origin is tuple:
        read = _reader(typing.get_args(target)[0])
        return lambda value: tuple(read(item) for item in value)
    if target is McpServerStatusUpdatedNotification:
        return lambda value: _native.decode(json.dumps({"method": _native.METHOD, "params": value}))
    if dataclasses.is_dataclass(target):
        make = typing.cast(Any, target)
        hints = hints_of(make)
        fields = {wire_name(field): field.name for field in dataclasses.fields(target)}
        readers = {name: _reader(hints[field]) for name, field in fields.items()}
        return lambda value: make(**{fields[name]: readers[name](item) for name, item in value.items()})
    if isinstance(target, type) and issubclass(target, enum.Enum):
        return target
    return lambda value: value


def hints_of(target: Any) -> dict[str, Any]:
    """Returns the types of the fields of a dataclass."""
    # The module that a public class names need not have the types of its fields. The one that defines it has them.
    return typing.get_type_hints(target, localns=inspect.unwrap(target.__init__).__globals__)


def wire_name(field: dataclasses.Field[Any]) -> str:
    """Returns the name of a field in JSON."""
    return typing.cast(str, field.metadata.get("wire")) or camel_case(field.name)


def camel_case(name: str) -> str:
    """Converts `stored_issuer` to `storedIssuer`."""
    return re.sub("_([a-z])", lambda match: match.group(1).upper(), name)
