"""Values of the wire as Python has them: texts as enums, objects as frozen dataclasses."""

from __future__ import annotations

import dataclasses
import enum
import re
import types
import typing
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from typing_extensions import Self

T = TypeVar("T")


class WireEnum(str, enum.Enum):
    """An enum whose values are texts of the wire. A member is equal to its text."""

    def __new__(cls, value: str) -> Self:
        member = str.__new__(cls, value)
        member._value_ = value
        return member

    def __str__(self) -> str:
        return str(self.value)

    def __format__(self, spec: str) -> str:
        return format(str(self.value), spec)


class OpenWireEnum(WireEnum):
    """One of which a newer server may send more: any other text is a value too, and is equal to its text."""

    @classmethod
    def _missing_(cls, value: object) -> OpenWireEnum | None:
        if not isinstance(value, str):
            return None
        unknown = str.__new__(cls, value)
        unknown._name_ = "UNKNOWN"
        unknown._value_ = value
        return unknown

    @property
    def is_known(self) -> bool:
        """Whether this version knows the value."""
        return self._name_ in type(self).__members__


def to_wire(value: Any) -> Any:
    """What `json.dumps` makes the wire's JSON of; fields that are `None` are left out."""
    if dataclasses.is_dataclass(value):
        fields = ((field.name, getattr(value, field.name)) for field in dataclasses.fields(value))
        return {camel_case(name): to_wire(field) for name, field in fields if field is not None}
    if isinstance(value, (list, tuple)):
        return [to_wire(item) for item in typing.cast("list[Any]", value)]
    return value


def from_wire(wanted: type[T], value: Any) -> T:
    """The dataclass that an object of the wire is. Strict: the native module and this are of one version."""
    return typing.cast(T, _reader(wanted)(value))


_readers: dict[Any, Callable[[Any], Any]] = {}


def _reader(wanted: Any) -> Callable[[Any], Any]:
    read = _readers.get(wanted)
    if read is None:
        read = _readers[wanted] = _new_reader(wanted)
    return read


def _new_reader(wanted: Any) -> Callable[[Any], Any]:
    origin = typing.get_origin(wanted)
    if origin in (typing.Union, types.UnionType):
        (inner,) = (argument for argument in typing.get_args(wanted) if argument is not type(None))
        read = _reader(inner)
        return lambda value: None if value is None else read(value)
    if origin is tuple:
        read = _reader(typing.get_args(wanted)[0])
        return lambda value: tuple(read(item) for item in value)
    if dataclasses.is_dataclass(wanted):
        hints = typing.get_type_hints(wanted)
        fields = {camel_case(field.name): field.name for field in dataclasses.fields(wanted)}
        readers = {name: _reader(hints[field]) for name, field in fields.items()}
        make = typing.cast(Any, wanted)
        return lambda value: make(**{fields[name]: readers[name](item) for name, item in value.items()})
    if isinstance(wanted, type) and issubclass(wanted, enum.Enum):
        return wanted
    return lambda value: value


def camel_case(name: str) -> str:
    """`stored_issuer` as `storedIssuer`."""
    return re.sub("_([a-z])", lambda match: match.group(1).upper(), name)
