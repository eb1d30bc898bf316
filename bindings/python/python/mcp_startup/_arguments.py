"""Checks the arguments and options of every call. The type hints of the call define the values that it takes."""

from __future__ import annotations

import collections.abc
import difflib
import enum
import functools
import inspect
import math
import os
import sys
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from ._errors import InvalidArgumentError
from ._store import CredentialStore

# The longest text, key or number of the caller in a message, in characters.
_MAX_SHOWN_CHARS = 40
# The deepest nesting of values that become JSON.
_MAX_DEPTH = 100
# A time limit is at least one millisecond and at most 30 days. The native module has the same limits.
_SECONDS = (0.001, 30 * 24 * 60 * 60)
# The whole numbers that arguments take. The native module checks those that are missing here.
_RANGES = {
    "limit": (1, 1_000_000_000),
    "max_notifications": (1, 1_000_000_000),
    "now_ms": (-(2**53) + 1, 2**53 - 1),
}
# The beginning of a message about an option.
OPTIONS = "the options: "
_FUNCTION = typing.get_origin(Callable[..., object])
_STORE_METHODS = ("load", "replace", "lock")


def check_arguments(call: Callable[..., object], given: Mapping[str, object], *, within: str = "") -> None:
    """Raises an error if an argument or an option has a value that the call does not take.

    Args:
        call: The function, or the dataclass. Its type hints are what it takes.
        given: The arguments by name, as `locals()` at the beginning of the function. `options` has its keyword options.
        within: The beginning of the names in messages, such as `store.` for the fields of a store.
    """
    kinds = _kinds(call)
    options = typing.cast("dict[str, object]", given.get("options", {}))
    for name in options:
        if name not in kinds:
            raise _not_known(OPTIONS, name, _names(call))
    for prefix, values in ("", given), (OPTIONS, options):
        for name, value in values.items():
            if name in kinds and (error := kinds[name].check(f"{prefix}`{within}{name}", value)) is not None:
                raise error


def refused(name: str, takes: str, value: object, *, shows_text: bool = False) -> InvalidArgumentError:
    """Returns the error for an argument that must be `takes`."""
    return _refused(f"`{name}", takes, value, shows_text=shows_text)


def to_json_value(name: str, value: object, *, prefix: str = "") -> Any:
    """Returns a value as `json.dumps` takes it. A mapping becomes a dictionary, and a path a string.

    Raises:
        InvalidArgumentError: If JSON has no such value. It names the place, such as `mcp_servers.linear.headers`, after the prefix.
    """
    return _to_json_value(f"{prefix}`{name}", value, 0)


def milliseconds(seconds: float | None) -> int | None:
    """Returns a time limit that has been checked, in milliseconds."""
    return None if seconds is None else max(1, round(seconds * 1000))


class _Kind(NamedTuple):
    takes: str
    check: Callable[[str, Any], InvalidArgumentError | None]
    """Returns the error of a value. The first argument is the beginning of the message, up to the name.

    It raises nothing: an exception that has been caught keeps the frames of its callers alive, and with them their arguments."""


_kinds_of_calls: dict[Callable[..., object], dict[str, _Kind]] = {}


def _kinds(call: Callable[..., object]) -> dict[str, _Kind]:
    kinds = _kinds_of_calls.get(call)
    if kinds is None:
        hints = typing.get_type_hints(call)
        parameters = inspect.signature(call).parameters
        kinds = _kinds_of_calls[call] = {name: _kind(name, hints[name]) for name in parameters if name in hints}
    return kinds


def _kind(name: str, hint: Any) -> _Kind:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return _union(name, arguments)
    if origin is typing.Literal:
        return _simple(" or ".join(f"`{value}`" for value in arguments), lambda value: value in arguments, shows_text=True)
    if origin is collections.abc.Sequence:
        return _list(name)
    if origin is collections.abc.Mapping:
        return _mapping(of_strings=arguments[1] is str)
    if origin is _FUNCTION:
        return _simple("a function", callable)
    if hint in (Any, object):
        return _Kind("any value", _accept)
    if hint is bool:
        return _simple("`True` or `False`", lambda value: isinstance(value, bool), shows_text=True)
    if hint is int:
        least, most = _RANGES.get(name, (-math.inf, math.inf))
        takes = f"a whole number from {least} to {most}" if name in _RANGES else "a whole number"
        return _simple(
            takes,
            lambda value: isinstance(value, int) and not isinstance(value, bool) and least <= value <= most,
            shows_text=True,
        )
    if hint is float:
        return _simple(f"a number of seconds from {_SECONDS[0]} to {_SECONDS[1]}", _are_seconds, shows_text=True)
    if hint is str:
        return _simple("a string", _is_text)
    if hint is CredentialStore:
        return _Kind("a credential store", _check_store)
    class_ = origin or hint
    if class_ is os.PathLike:
        return _simple("a `Path`", lambda value: _is_text(_fspath(value)))
    article = "an" if class_.__name__[0] in "AEIOU" else "a"
    return _simple(f"{article} `{class_.__name__}`", lambda value: isinstance(value, class_))


def _accept(place: str, value: object) -> InvalidArgumentError | None:
    """Accepts every value."""
    return None


def _simple(takes: str, accepts: Callable[[Any], bool], *, shows_text: bool = False) -> _Kind:
    def check(place: str, value: object) -> InvalidArgumentError | None:
        return None if accepts(value) else _refused(place, takes, value, shows_text=shows_text)

    return _Kind(takes, check)


def _union(name: str, hints: Sequence[Any]) -> _Kind:
    kinds = [_kind(name, hint) for hint in hints if hint is not type(None)]
    is_optional = type(None) in hints
    if len(kinds) > 1:
        kinds = [_one_of(kinds, shows_text=any(typing.get_origin(hint) is typing.Literal for hint in hints))]
    [kind] = kinds

    def check(place: str, value: object) -> InvalidArgumentError | None:
        return None if value is None and is_optional else kind.check(place, value)

    return _Kind(kind.takes, check)


def _one_of(kinds: list[_Kind], *, shows_text: bool) -> _Kind:
    takes = " or ".join(kind.takes for kind in kinds)

    def check(place: str, value: object) -> InvalidArgumentError | None:
        errors: list[InvalidArgumentError] = []
        for kind in kinds:
            error = kind.check(place, value)
            if error is None:
                return None
            errors.append(error)
        # An error of another shape is about a part of the value, such as a missing method.
        about_a_part = [error for error in errors if not str(error).startswith(f"{place}` must be ")]
        return about_a_part[0] if about_a_part else _refused(place, takes, value, shows_text=shows_text)

    return _Kind(takes, check)


def _list(name: str) -> _Kind:
    # The command of a program can have a secret.
    shows_text = name != "command"

    takes = "a list of client IDs" if name == "clients" else "a list of strings"

    def check(place: str, value: Any) -> InvalidArgumentError | None:
        if not isinstance(value, Sequence) or isinstance(value, (str, bytes, bytearray)):
            return _refused(place, takes, value, shows_text=shows_text)
        for at, item in enumerate(typing.cast("Sequence[object]", value)):
            if not _is_text(item):
                return _refused(f"{place}[{at}]", "a string", item)
        return None

    return _Kind(takes, check)


def _mapping(*, of_strings: bool) -> _Kind:
    def check(place: str, value: object) -> InvalidArgumentError | None:
        if not isinstance(value, Mapping):
            return _refused(place, "a mapping", value)
        if of_strings:
            for key, item in typing.cast("Mapping[object, object]", value).items():
                for text in key, item:
                    if not _is_text(text):
                        return _refused(place, "a mapping of strings to strings", text, got_before="one with ")
        return None

    return _Kind("a mapping", check)


def _is_text(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        return value.isascii() or bool(value.encode())
    except UnicodeEncodeError:
        # Half of a surrogate pair, which UTF-8 does not have.
        return False


def _are_seconds(value: Any) -> bool:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and _SECONDS[0] <= value <= _SECONDS[1]


def _check_store(place: str, store: Any) -> InvalidArgumentError | None:
    takes = "an object with the methods `load`, `replace` and `lock` of `CredentialStore`"
    if isinstance(store, type) or store is None:
        return _refused(place, takes, store)
    for method in _STORE_METHODS:
        if not callable(getattr(store, method, None)):
            return InvalidArgumentError(
                f"{place}` must have the methods `load`, `replace` and `lock` of `CredentialStore`, and "
                f"{type(store).__name__} has no `{method}`"
            )
    return None


def _to_json_value(place: str, value: object, depth: int) -> Any:
    given = value
    if depth > _MAX_DEPTH:
        raise InvalidArgumentError(f"{place}` is nested more than {_MAX_DEPTH} levels deep")
    if value is None or isinstance(value, (bool, int, str)) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, Mapping):
        result: dict[str, Any] = {}
        for key, item in typing.cast("Mapping[object, object]", value).items():
            if not isinstance(key, str):
                raise _refused(place, "a mapping whose keys are strings", key, got_before="one with the key ")
            result[key] = _to_json_value(f"{place}.{_shown_key(key)}", item, depth + 1)
        return result
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray, memoryview)):
        items = typing.cast("Sequence[object]", value)
        return [_to_json_value(f"{place}[{at}]", item, depth + 1) for at, item in enumerate(items)]
    path = _fspath(value)
    if isinstance(path, str):
        return path
    raise _refused(place, "a value that JSON has", given)


def _fspath(path: Any) -> object:
    """Returns the text of a path object; `None` if it is none."""
    return typing.cast(object, os.fspath(typing.cast("os.PathLike[str]", path))) if isinstance(path, os.PathLike) else None


def _refused(
    place: str, takes: str, value: object, *, shows_text: bool = False, got_before: str = ""
) -> InvalidArgumentError:
    return InvalidArgumentError(f"{place}` must be {takes}, not {got_before}{_shown(value, shows_text=shows_text)}")


def _shown(value: Any, *, shows_text: bool) -> str:
    """Describes a value. Its text may be a secret in the wrong place, so it is shown only if `shows_text` is set."""
    if isinstance(value, str):
        if not _is_text(value):
            return "a string with half of a surrogate pair"
        if not shows_text:
            return "a string"
        text = str(value)
        return repr(text) if len(text) <= _MAX_SHOWN_CHARS else f"{text[:_MAX_SHOWN_CHARS]!r}…"
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 128:
        return "a number with more than 38 digits"
    if value is None or isinstance(value, (bool, int, float)):
        return repr(value)
    if isinstance(value, type):
        return f"the class `{value.__name__}`"
    return f"a value of type {type(value).__name__}"


def _shown_key(key: str) -> str:
    shown = key if len(key) <= _MAX_SHOWN_CHARS else f"{key[:_MAX_SHOWN_CHARS]}…"
    return "".join(char if char.isprintable() else " " for char in shown)


def unknown(name: str, known: Sequence[str]) -> InvalidArgumentError:
    """Returns the error for a keyword argument that a call does not have."""
    return _not_known("", name, known)


def _not_known(prefix: str, name: str, known: Sequence[str]) -> InvalidArgumentError:
    if not known:
        return InvalidArgumentError(f"{prefix}`{_shown_key(name)}` is not known; the call takes no arguments by name")
    closest = difflib.get_close_matches(name, known, 1)
    meant = f"did you mean `{closest[0]}`?" if closest else f"the known ones are: {', '.join(known)}"
    return InvalidArgumentError(f"{prefix}`{_shown_key(name)}` is not known; {meant}")


def _names(call: Callable[..., object]) -> list[str]:
    """The names of the arguments that a call takes by keyword."""
    by_keyword = inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = inspect.signature(call).parameters.values()
    return [parameter.name for parameter in parameters if parameter.kind in by_keyword and parameter.name != "self"]


def publish(module: dict[str, Any], names: Sequence[str], *, resolve: bool = False) -> None:
    """Publishes the classes under the module that exports them, so that pickles do not depend on private modules.

    From now on, the functions and classes report an unknown keyword argument with an error of this package. Type checkers, `help` and
    `inspect` see no difference.

    Args:
        module: The contents of the module.
        names: The names that it exports.
        resolve: Whether to evaluate the types of the fields, because the module does not import all of them.
            `typing.get_type_hints` searches them there.
    """
    for name in names:
        public = module[name]
        if isinstance(public, types.FunctionType):
            module[name] = check_names(public)
            setattr(sys.modules[public.__module__], name, module[name])
        elif isinstance(public, type) and public.__module__.startswith("mcp_startup."):
            _check_names_of_calls(public)
            if resolve and "__annotations__" in vars(public):
                hints = typing.get_type_hints(public)
                public.__annotations__ = {field: hints[field] for field in public.__annotations__}
            public.__module__ = module["__name__"]


def _check_names_of_calls(public: type[Any]) -> None:
    # Callers create none of these by keywords, or implement them.
    if issubclass(public, (BaseException, enum.Enum, dict)) or getattr(public, "_is_protocol", False):
        return
    for name, member in list(vars(public).items()):
        if isinstance(member, types.FunctionType) and (name == "__init__" or not name.startswith("_")):
            setattr(public, name, check_names(member))


def check_names(function: Any) -> Any:
    """Returns the function with a check of the names of its keyword arguments before the call.

    Without it, Python raises a `TypeError` of its own for an unknown one, without a suggestion.
    """
    prefix = OPTIONS if function.__code__.co_flags & inspect.CO_VARKEYWORDS else ""
    known = _names(function)
    known_ones = frozenset(known)

    def check(given: Mapping[str, object]) -> None:
        for name in given:
            if name not in known_ones:
                raise _not_known(prefix, name, known)

    def wraps(wrapper: Any) -> Any:
        functools.update_wrapper(wrapper, function)
        # Since Python 3.14, `functools` copies the function that computes the type hints, and not hints that were assigned.
        wrapper.__annotations__ = function.__annotations__
        return wrapper

    if inspect.iscoroutinefunction(function):

        @wraps
        async def call_async(*arguments: Any, **keywords: Any) -> Any:
            if keywords:
                check(keywords)
            return await function(*arguments, **keywords)

        return call_async

    @wraps
    def call(*arguments: Any, **keywords: Any) -> Any:
        if keywords:
            check(keywords)
        return function(*arguments, **keywords)

    return call
