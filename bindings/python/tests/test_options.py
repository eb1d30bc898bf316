"""The options: refused when they are passed, and documented where a programmer looks for them."""

from __future__ import annotations

import asyncio
import inspect
import math
import re
import typing
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from lab import Lab

import mcp_startup
from mcp_startup import InvalidArgumentError, McpServerStartupState, Options
from test_engine import collect

README = Path(__file__).parent.parent / "README.md"


class Load:
    async def load(self, key: str) -> None: ...


class EmptyStore(Load):
    async def replace(self, key: str, expected: str | None, new: str | None) -> bool:
        return True

    def lock(self, key: str) -> nullcontext[None]:
        return nullcontext()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"timeout": 0}, "`timeout` must be a number of seconds above zero, not 0"),
        ({"timeout": -1}, "`timeout` must be a number of seconds above zero, not -1"),
        ({"timeout": "5"}, "`timeout` must be a number of seconds above zero, not '5'"),
        ({"timeout": math.nan}, "`timeout` must be a number of seconds above zero, not nan"),
        ({"timeout": math.inf}, "`timeout` must be a number of seconds above zero, not inf"),
        ({"timeout": True}, "`timeout` must be a number of seconds above zero, not True"),
        ({"concurrency": 0}, "`concurrency` must be a number of servers above zero, not 0"),
        ({"concurrency": -1}, "`concurrency` must be a whole number (0 or more), not -1"),
        ({"servers": "ready"}, '`servers` must be a list, not "ready"'),
        ({"servers": [1]}, "`servers[0]` must be a string, not 1"),
        ({"config": 7}, "`config` must be a path, as a string or a `Path`, not 7"),
        ({"config": b"a"}, "`config` must be a path, as a string or a `Path`, not a value of type bytes"),
        ({"config": "a", "mcp_servers": {}}, "`config` and `mcp_servers` exclude each other; set only one of them"),
        ({"mcp_servers": []}, "`mcp_servers` must be an object with the servers by name"),
        ({"trust_project": True}, "`folder` and `trust_project` apply only with `clients`"),
        ({"clients": "all", "trust_project": 1}, "`trust_project` must be true or false, not 1"),
        ({"client_metadata_url": "app"}, "`client_metadata_url` must be an https URL with a path, not `app`"),
        (
            {"store": Load()},
            "`store` must have the methods `load`, `replace` and `lock` of `CredentialStore`, and Load has no `replace`",
        ),
    ],
)
def test_an_invalid_option_is_refused_when_it_is_passed(options: dict[str, Any], message: str) -> None:
    for begin in [mcp_startup.check, mcp_startup.watch, mcp_startup.check_blocking]:
        with pytest.raises(InvalidArgumentError) as raised:
            begin(**options)
        assert (raised.value.code, str(raised.value)) == ("invalidArgument", f"the options: {message}")
        assert isinstance(raised.value, ValueError)


def test_a_value_that_json_does_not_have_is_refused_without_its_text() -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        mcp_startup.check(mcp_servers={"a": {"headers": {"Authorization": {"sk-secret"}}}})
    assert str(raised.value) == "the options can't be written as JSON: a value has the type set"


def test_an_unknown_option_is_rejected_immediately() -> None:
    unknown: Any = {"timout": 1}
    for begin in [mcp_startup.check, mcp_startup.watch, mcp_startup.check_blocking]:
        with pytest.raises(TypeError, match="'timout'"):
            begin(**unknown)
    for call in [
        mcp_startup.authorization("a", **unknown),
        mcp_startup.auth_status("a", **unknown),
        mcp_startup.sign_in("a", **unknown),
        mcp_startup.sign_out("a", **unknown),
        mcp_startup.begin_sign_in("a", "http://127.0.0.1/", **unknown),
        mcp_startup.finish_sign_in("", "", **unknown),
    ]:
        with pytest.raises(TypeError, match="'timout'"):
            asyncio.run(call)
    for blocking in [mcp_startup.authorization_blocking, mcp_startup.sign_in_blocking]:
        with pytest.raises(TypeError, match="'timout'"):
            blocking("a", **unknown)


def test_unknown_evidence_is_refused_and_the_right_field_suggested() -> None:
    with pytest.raises(InvalidArgumentError, match=r"`request` is not known; did you mean `requests`\?"):
        mcp_startup.judge({"request": []})


async def test_a_misspelled_key_of_an_entry_fails_its_server_and_suggests_the_right_key() -> None:
    servers = {"a": {"url": "https://mcp.example.com/mcp", "header": {}}}
    _, failed = await collect(mcp_startup.check(mcp_servers=servers))
    assert (failed.name, failed.status) == ("a", McpServerStartupState.FAILED)
    assert failed.failure is not None and "did you mean `headers`?" in failed.failure.message


async def test_no_servers_are_an_empty_check_and_not_the_configuration_of_the_user() -> None:
    assert await collect(mcp_startup.check(mcp_servers={})) == []


async def test_a_blocking_check_with_a_store_works_inside_a_running_loop(lab: Lab) -> None:
    """As in Jupyter: the loop is blocked, so the store needs another one."""
    servers = {"first-sign-in": {"url": lab.url("first-sign-in")}}
    events = list(mcp_startup.check_blocking(mcp_servers=servers, store=EmptyStore(), timeout=20))
    assert events[-1].failure is not None
    assert events[-1].failure.kind is mcp_startup.StartupFailureKind.SIGN_IN_REQUIRED


CALLS: list[Callable[..., object]] = [
    mcp_startup.check,
    mcp_startup.watch,
    mcp_startup.check_blocking,
    mcp_startup.not_checked,
    mcp_startup.authorization,
    mcp_startup.authorization_blocking,
    mcp_startup.auth_status,
    mcp_startup.begin_sign_in,
    mcp_startup.finish_sign_in,
    mcp_startup.sign_in,
    mcp_startup.sign_in_blocking,
    mcp_startup.sign_out,
]


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
def test_signature_hints_and_help_have_every_option(call: Callable[..., object]) -> None:
    options = typing.get_type_hints(Options)
    assert len(options) == 10
    hints = typing.get_type_hints(call)
    parameters = inspect.signature(call).parameters
    documentation = inspect.getdoc(call) or ""
    for name, hint in options.items():
        assert hints[name] == hint
        assert parameters[name].kind is inspect.Parameter.KEYWORD_ONLY and parameters[name].default is None
        assert f"    {name}: " in documentation
    assert "return" in hints and "options" not in parameters


def test_the_readme_has_every_option_in_the_words_of_the_documentation() -> None:
    documented = inspect.cleandoc(Options.__doc__ or "").partition("Attributes:\n")[2]
    texts = re.findall(r"^    (\w+): (.*(?:\n        .*)*)", documented, re.MULTILINE)
    rows = [f"| `{name}` | {' '.join(text.split())} |" for name, text in texts]
    assert len(rows) == 10
    table = "\n".join(["| option | meaning |", "| --- | --- |", *rows])
    assert table in README.read_text(encoding="utf-8"), f"copy this table into README.md:\n{table}"
