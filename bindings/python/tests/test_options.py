"""The options: refused when they are passed, and documented where a programmer looks for them."""

from __future__ import annotations

import collections
import dataclasses
import inspect
import math
import re
import types
import typing
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from lab import Lab

import mcp_startup
from mcp_startup import InvalidArgumentError, McpServerStartupState, Options, Rejected
from test_engine import collect

README = Path(__file__).parent.parent / "README.md"


class Load:
    async def load(self, key: str) -> None: ...


class EmptyStore(Load):
    async def replace(self, key: str, expected: str | None, new: str | None) -> bool:
        return True

    def lock(self, key: str) -> nullcontext[None]:
        return nullcontext()


SECONDS = "a number of seconds from 0.001 to 2592000"
STORE = "the methods `load`, `replace` and `lock` of `CredentialStore`"
LINEAR = {"linear": {"url": "http://127.0.0.1:1/mcp"}}
# Each text that must not be shown.
SECRET = "sk-secret"


@dataclasses.dataclass
class Entry:
    url: str = SECRET


# Invalid options, and the error.
OPTIONS: list[tuple[dict[str, Any], str]] = [
    ({"timeout": 0}, f"`timeout` must be {SECONDS}, not 0"),
    ({"timeout": -1}, f"`timeout` must be {SECONDS}, not -1"),
    ({"timeout": 1e-9}, f"`timeout` must be {SECONDS}, not 1e-09"),
    ({"timeout": 1e300}, f"`timeout` must be {SECONDS}, not 1e+300"),
    ({"timeout": 10**5000}, f"`timeout` must be {SECONDS}, not a number with more than 38 digits"),
    ({"timeout": "5"}, f"`timeout` must be {SECONDS}, not '5'"),
    ({"timeout": math.nan}, f"`timeout` must be {SECONDS}, not nan"),
    ({"timeout": math.inf}, f"`timeout` must be {SECONDS}, not inf"),
    ({"timeout": True}, f"`timeout` must be {SECONDS}, not True"),
    ({"concurrency": 0}, "`concurrency` must be a whole number from 1 to 1000000, not 0"),
    ({"concurrency": -1}, "`concurrency` must be a whole number from 1 to 1000000, not -1"),
    ({"concurrency": 1.5}, "`concurrency` must be a whole number, not 1.5"),
    ({"concurrency": math.nan}, "`concurrency` must be a whole number, not nan"),
    ({"concurrency": b"1"}, "`concurrency` must be a whole number, not a value of type bytes"),
    ({"servers": "ready"}, "`servers` must be a list of strings, not 'ready'"),
    ({"servers": {"ready"}}, "`servers` must be a list of strings, not a value of type set"),
    ({"servers": b"ready"}, "`servers` must be a list of strings, not a value of type bytes"),
    ({"servers": [1]}, "`servers[0]` must be a string, not 1"),
    ({"clients": b"all"}, "`clients` must be `all` or a list of client IDs, not a value of type bytes"),
    ({"clients": "cursor"}, "`clients` must be `all` or a list of client IDs, not 'cursor'"),
    ({"clients": ["cursor", None]}, "`clients[1]` must be a string, not None"),
    ({"config": 7}, "`config` must be a string or a `Path`, not 7"),
    ({"config": b"a"}, "`config` must be a string or a `Path`, not a value of type bytes"),
    ({"config": "a", "mcp_servers": {}}, "`config` and `mcp_servers` exclude each other; set only one of them"),
    ({"mcp_servers": []}, "`mcp_servers` must be a mapping, not a value of type list"),
    ({"mcp_servers": SECRET}, "`mcp_servers` must be a mapping, not a string"),
    ({"mcp_servers": {1: {}}}, "`mcp_servers` must be a mapping whose keys are strings, not one with the key 1"),
    ({"mcp_servers": {"a": Entry()}}, "`mcp_servers.a` must be a value that JSON has, not a value of type Entry"),
    (
        {"mcp_servers": {"a": {"headers": {"Authorization": {SECRET}}}}},
        "`mcp_servers.a.headers.Authorization` must be a value that JSON has, not a value of type set",
    ),
    ({"mcp_servers": {"a": {"args": [math.nan]}}}, "`mcp_servers.a.args[0]` must be a value that JSON has, not nan"),
    ({"folder": "."}, "`folder` and `trust_project` apply only with `clients`"),
    ({"trust_project": True}, "`folder` and `trust_project` apply only with `clients`"),
    ({"clients": "all", "trust_project": 1}, "`trust_project` must be `True` or `False`, not 1"),
    ({"client_metadata_url": "app"}, "`client_metadata_url` must be an https URL with a path, not `app`"),
    (
        {"client_metadata_url": f"https://me:{SECRET}@app.example/client"},
        "`client_metadata_url` must be an https URL with a path, not one with a user name or a password",
    ),
    ({"client_metadata_url": 5}, "`client_metadata_url` must be a string, not 5"),
    ({"store": Load()}, f"`store` must have {STORE}, and Load has no `replace`"),
    ({"store": EmptyStore}, "`store` must be a credential store or a `PostgresStore`, not the class `EmptyStore`"),
    ({"store": f"postgres://me:{SECRET}@db/d"}, f"`store` must have {STORE}, and str has no `load`"),
    ({"timout": 1}, "`timout` is not known; did you mean `timeout`?"),
    (
        {"verbose": True},
        "`verbose` is not known; the known ones are: config, mcp_servers, clients, folder, trust_project, servers, timeout, "
        "concurrency, client_metadata_url, store",
    ),
]


@pytest.mark.parametrize(("options", "message"), OPTIONS)
def test_an_invalid_option_is_refused_when_it_is_passed(options: dict[str, Any], message: str) -> None:
    for begin in [mcp_startup.check, mcp_startup.watch, mcp_startup.check_blocking]:
        with pytest.raises(InvalidArgumentError) as raised:
            begin(**options)
        assert (raised.value.code, str(raised.value)) == ("invalidArgument", f"the options: {message}")
        assert isinstance(raised.value, ValueError) and SECRET not in message


notification = mcp_startup.McpServerStatusUpdatedNotification
tracker = mcp_startup.StartupTracker
HALF = "\ud800"
HALF_SHOWN = "a string with half of a surrogate pair"
REDIRECT = "http://127.0.0.1/callback"

# A call with an argument that it does not take, and the error.
ARGUMENTS: list[tuple[Callable[[Any], object], Any, str]] = [
    (lambda x: mcp_startup.authorization(x), None, "`server` must be a string, not None"),
    (lambda x: mcp_startup.authorization("a", x), SECRET, "`rejected` must be a `Rejected`, not a string"),
    (lambda x: mcp_startup.authorization("a", x), {}, "`rejected` must be a `Rejected`, not a value of type dict"),
    (lambda x: mcp_startup.authorization("a", Rejected(status=x)), 200, "`rejected.status` must be 401 or 403, not 200"),
    (lambda x: mcp_startup.authorization("a", Rejected(status=x)), "401", "`rejected.status` must be a whole number, not '401'"),
    (lambda x: mcp_startup.authorization("a", Rejected(challenge=x)), 1, "`rejected.challenge` must be a string, not 1"),
    (lambda x: mcp_startup.authorization_blocking(x), 5, "`server` must be a string, not 5"),
    (lambda x: mcp_startup.authorization_blocking("a", x), SECRET, "`rejected` must be a `Rejected`, not a string"),
    (lambda x: mcp_startup.authorization("a", timout=x), 1, "the options: `timout` is not known; did you mean `timeout`?"),
    (lambda x: mcp_startup.sign_in(x), 5, "`server` must be a string, not 5"),
    (lambda x: mcp_startup.sign_in("a", open_browser=x), SECRET, "`open_browser` must be a function, not a string"),
    (lambda x: mcp_startup.sign_in("a", browser_timeout=x), 0, f"`browser_timeout` must be {SECONDS}, not 0"),
    (
        lambda x: mcp_startup.sign_in("a", callback_port=x),
        -1,
        "the options: `callback_port` must be a whole number from 0 to 65535, not -1",
    ),
    (
        lambda x: mcp_startup.sign_in("a", browser_timout=x),
        5,
        "the options: `browser_timout` is not known; did you mean `browser_timeout`?",
    ),
    (lambda x: mcp_startup.sign_in_blocking(x), None, "`server` must be a string, not None"),
    (lambda x: mcp_startup.sign_in_blocking("a", challenge=x), 5, "`challenge` must be a string, not 5"),
    (lambda x: mcp_startup.begin_sign_in("a", x), 5, "`redirect_uri` must be a string, not 5"),
    (lambda x: mcp_startup.begin_sign_in("a", REDIRECT, scopes=x), {"a"}, "`scopes` must be a list of strings, not a value of type set"),
    (lambda x: mcp_startup.begin_sign_in("a", REDIRECT, timout=x), 1, "the options: `timout` is not known; did you mean `timeout`?"),
    (lambda x: mcp_startup.finish_sign_in(x, x), None, "`pending` must be a string, not None"),
    (lambda x: mcp_startup.finish_sign_in("", "", timout=x), 1, "the options: `timout` is not known; did you mean `timeout`?"),
    (lambda x: mcp_startup.sign_out(x), 5, "`server` must be a string, not 5"),
    (lambda x: mcp_startup.auth_status("a", online=x), "yes", "`online` must be `True` or `False`, not 'yes'"),
    (lambda x: mcp_startup.not_checked(servers=x), {"a"}, "the options: `servers` must be a list of strings, not a value of type set"),
    (lambda x: mcp_startup.not_checked(clients="all", folder=x), "/nope", "the options: `folder` must be a folder that exists, not `/nope`"),
    (lambda x: mcp_startup.discover(folder=x), 5, "the options: `folder` must be a string or a `Path`, not 5"),
    (lambda x: mcp_startup.discover(folder=x), "/nope", "the options: `folder` must be a folder that exists, not `/nope`"),
    (
        lambda x: mcp_startup.discover(clients=x),
        {"a"},
        "the options: `clients` must be `all` or a list of client IDs, not a value of type set",
    ),
    (lambda x: mcp_startup.watch().retry(x), 5, "`name` must be a string, not 5"),
    (lambda x: mcp_startup.check(store=mcp_startup.PostgresStore("", user=x)), 6, "`store.user` must be a string, not 6"),
    (
        lambda x: mcp_startup.test_credential_store(x),
        None,
        "`store` must be a credential store or a `PostgresStore`, not None",
    ),
    (
        lambda x: mcp_startup.test_credential_store(EmptyStore(), other=x),
        5,
        f"`other` must have {STORE}, and int has no `load`",
    ),
    (lambda x: mcp_startup.judge(x), 5, "`evidence` must be an `Evidence` or a mapping, not 5"),
    (lambda x: mcp_startup.judge({"server": x}), {1}, "`evidence.server` must be a value that JSON has, not a value of type set"),
    (lambda x: mcp_startup.judge({"server": x}), 7, "the evidence: `server` must be a string, not 7"),
    (lambda x: mcp_startup.judge({"credential": x}), [], "the evidence: `credential` must be an object, not a list"),
    (lambda x: mcp_startup.judge({"requests": [{}, x]}), [], "the evidence: `requests[1]` must be an object, not a list"),
    (lambda x: mcp_startup.assess(x), None, "`facts` must be a `CredentialFacts`, not None"),
    (lambda x: mcp_startup.first_request(x), 5, "`worth` must be a `CredentialWorth`, not 5"),
    (lambda x: mcp_startup.auth_required_reason(x), None, "`failure` must be a `StartupFailure`, not None"),
    (
        lambda x: mcp_startup.auth_status_of(configured=x, stored=None, oauth_published=None),
        1,
        "`configured` must be `True` or `False`, not 1",
    ),
    (lambda x: tracker(limit=x), -1, "`limit` must be a whole number from 1 to 1000000000, not -1"),
    (lambda x: tracker(limit=x), 0, "`limit` must be a whole number from 1 to 1000000000, not 0"),
    (lambda x: tracker(limit=x), "1", "`limit` must be a whole number from 1 to 1000000000, not '1'"),
    (
        lambda x: tracker().apply(x),
        "x",
        "`notification` must be a `McpServerStatusUpdatedNotification`, not a string",
    ),
    (lambda x: tracker().apply_lines(x), 5, "`data` must be `str` or `bytes`, not 5"),
    (lambda x: tracker().server(x), 5, "`name` must be a string, not 5"),
    (lambda x: tracker().remove(x), None, "`thread_id` must be a string, not None"),
    (lambda x: mcp_startup.decode(x), 5, "`line` must be `str` or `bytes`, not 5"),
    (lambda x: mcp_startup.decode_lines(x), 5, "`data` must be `str` or `bytes`, not 5"),
    (lambda x: notification.starting(x), 5, "`name` must be a string, not 5"),
    (lambda x: notification.starting(x), HALF, f"`name` must be a string, not {HALF_SHOWN}"),
    (lambda x: mcp_startup.decode(x), HALF, f"`line` must be `str` or `bytes`, not {HALF_SHOWN}"),
    (lambda x: tracker().server(x), HALF, f"`name` must be a string, not {HALF_SHOWN}"),
    (lambda x: mcp_startup.authorization(x), HALF, f"`server` must be a string, not {HALF_SHOWN}"),
    (lambda x: mcp_startup.check(config=x), HALF, f"the options: `config` must be a string or a `Path`, not {HALF_SHOWN}"),
    (lambda x: notification.ready("a", thread_id=x), 5, "`thread_id` must be a string, not 5"),
    (lambda x: notification.cancelled(x), None, "`name` must be a string, not None"),
    (lambda x: notification.failed("a", x), None, "`error` must be a string, not None"),
    (lambda x: notification.reauthentication_required(x, "e"), 5, "`name` must be a string, not 5"),
    (lambda x: notification.from_failure("a", x), None, "`failure` must be a `StartupFailure`, not None"),
]


@pytest.mark.parametrize(("call", "value", "message"), ARGUMENTS)
async def test_an_invalid_argument_is_refused_by_its_call(call: Callable[[Any], object], value: Any, message: str) -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        result = call(value)
        if inspect.isawaitable(result):
            await result
    assert str(raised.value) == message and SECRET not in message


async def test_a_retry_of_an_unknown_server_is_refused(shared_lab: Lab) -> None:
    async with mcp_startup.watch(mcp_servers={"a": {"url": shared_lab.url("ready")}}) as watch:
        await anext(watch)
        watch.retry("a")
        with pytest.raises(InvalidArgumentError, match="the watch has no server with the name 'nope'"):
            watch.retry("nope")


def test_values_of_other_types_with_the_same_meaning_are_accepted(tmp_path: Path) -> None:
    options: Any = {
        "mcp_servers": types.MappingProxyType({"a": {"command": "a", "args": (tmp_path,), "cwd": tmp_path}}),
        "servers": ("a",),
        "timeout": 1,
        "folder": None,
    }
    mcp_startup.check(**options)
    mcp_startup.check(mcp_servers={}, servers=collections.UserList(["a"]))


def test_a_problem_of_servers_in_code_names_no_line() -> None:
    [*_, failed] = mcp_startup.check_blocking(mcp_servers={"a": {"url": "ftp://x"}})
    assert failed.failure is not None
    assert "`mcpServers.a.url`" in failed.failure.message or "mcpServers.a.url" in failed.failure.message
    assert "line" not in failed.failure.message


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
