"""Every public function and class: its type hints, and its error for a keyword argument that it does not have."""

from __future__ import annotations

import enum
import importlib
import inspect
import pickle
import typing
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import mcp_startup
from mcp_startup import InvalidArgumentError, McpServerStatusUpdatedNotification, app_server

MODULES = [mcp_startup, app_server]
for name in ("httpx", "httpx2"):
    try:
        MODULES.append(importlib.import_module(f"mcp_startup.{name}"))
    except ImportError:
        print(f"{name} is not installed")

SPECIAL = ("__init__", "__aiter__", "__anext__", "__enter__", "__exit__", "__aenter__", "__aexit__")


def public() -> Iterator[tuple[str, Any]]:
    """Every public name with its value."""
    for module in MODULES:
        names: list[str] = getattr(module, "__all__", None) or ["StartupAuth"]
        for name in names:
            yield f"{module.__name__}.{name}", getattr(module, name)


def members(name: str, value: type[Any]) -> Iterator[tuple[str, Callable[..., object]]]:
    """The public methods and properties of a class, also those that it inherits from a class of this package."""
    for owner in value.__mro__:
        if not owner.__module__.startswith("mcp_startup"):
            continue
        for member, found in vars(owner).items():
            if member.startswith("_") and member not in SPECIAL:
                continue
            if isinstance(found, (classmethod, staticmethod)):
                found = found.__func__  # type: ignore[assignment]
            if isinstance(found, property):
                found = found.fget
            if inspect.isfunction(found):
                yield f"{name}.{member}", found


def calls() -> Iterator[tuple[str, Callable[..., object]]]:
    """Every function, class and public method that a program calls."""
    for name, value in public():
        if inspect.isroutine(value):
            yield name, value
        if not isinstance(value, type) or issubclass(value, (BaseException, enum.Enum, dict)):
            continue
        if getattr(value, "_is_protocol", False):
            continue
        if "__init__" in vars(value):
            yield name, value
        for member, found in members(name, value):
            if not member.rpartition(".")[2].startswith("_") and not isinstance(vars(value).get(member.rpartition(".")[2]), property):
                yield member, found
    for constructor in ("starting", "ready", "cancelled", "failed", "reauthentication_required", "from_failure"):
        yield constructor, getattr(McpServerStatusUpdatedNotification, constructor)


def test_every_public_name_has_type_hints() -> None:
    checked = 0
    for name, value in public():
        if isinstance(value, type) or inspect.isfunction(value):
            typing.get_type_hints(value)
            checked += 1
        if isinstance(value, type):
            for member, found in members(name, value):
                try:
                    typing.get_type_hints(found)
                except NameError as error:
                    raise AssertionError(f"{member}: {error}") from error
                checked += 1
    assert checked > 200, checked


def test_the_type_hints_of_a_class_are_types() -> None:
    hints = typing.get_type_hints(app_server.FailureReadResponse)
    assert hints["failure"] == mcp_startup.StartupFailure | None
    assert "return" in typing.get_type_hints(mcp_startup.Check.__aenter__)


def takes_keywords(name: str, call: Callable[..., object]) -> bool:
    # The options of `**options` are in `test_options.py`. The package `httpx` calls the methods of an adapter.
    parameters = inspect.signature(call).parameters
    has_options = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values())
    return not has_options and "StartupAuth." not in name and bool(parameters.keys() - {"self"})


@pytest.mark.parametrize("name, call", [row for row in calls() if takes_keywords(*row)])
async def test_an_unknown_keyword_argument_is_an_error_of_this_package(name: str, call: Callable[..., Any]) -> None:
    for keyword in ("unknown_xyz", "serve"):
        with pytest.raises(InvalidArgumentError, match=f"`{keyword}` is not known; (did you mean `|the known ones are: |the call takes)"):
            result = call(**{keyword: 1})
            if inspect.isawaitable(result):
                await result


def test_a_misspelled_argument_is_suggested() -> None:
    rows: list[tuple[Callable[..., Any], str, str]] = [
        (mcp_startup.StartupTracker, "lmit", "did you mean `limit`?"),
        (mcp_startup.StartupTracker().server, "thread", "did you mean `thread_id`?"),
        (mcp_startup.judge, "evidnce", "did you mean `evidence`?"),
        (mcp_startup.decode, "lin", "did you mean `line`?"),
        (mcp_startup.decode_lines, "dta", "did you mean `data`?"),
        (mcp_startup.Evidence, "sever", "did you mean `server`?"),
        (mcp_startup.Rejected, "stats", "did you mean `status`?"),
        (mcp_startup.PostgresStore, "usr", "did you mean `user`?"),
        (McpServerStatusUpdatedNotification.failed, "eror", "did you mean `error`?"),
        (app_server.AppServerClient, "comand", "did you mean `command`?"),
        (mcp_startup.check_blocking, "sever", "did you mean `servers`?"),
    ]
    for call, keyword, meant in rows:
        with pytest.raises(InvalidArgumentError) as raised:
            call(**{keyword: 1})
        assert f"`{keyword}` is not known; {meant}" in str(raised.value)


async def test_a_misspelled_argument_of_a_coroutine_is_suggested() -> None:
    for call, keyword, meant in [
        (mcp_startup.discover, "foldr", "did you mean `folder`?"),
        (mcp_startup.authorization, "srver", "did you mean `server`?"),
        (mcp_startup.test_credential_store, "othr", "did you mean `other`?"),
    ]:
        any_call: Any = call
        with pytest.raises(InvalidArgumentError) as raised:
            await any_call(**{keyword: 1})
        assert f"`{keyword}` is not known; {meant}" in str(raised.value)


def test_other_mistakes_of_a_call_are_errors_of_python() -> None:
    call: Any = mcp_startup.judge
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'evidence'"):
        call()


def test_public_names_can_be_pickled() -> None:
    for name, value in public():
        if inspect.isroutine(value) or isinstance(value, type):
            assert pickle.loads(pickle.dumps(value)) is value, name
            assert inspect.iscoroutinefunction(value) == inspect.iscoroutinefunction(inspect.unwrap(value)), name
