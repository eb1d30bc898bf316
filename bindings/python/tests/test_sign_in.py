"""Tests the sign-in in one call, against the lab and a real authorization server."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import socket
import sys
import threading
import urllib.request
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from lab import DEADLINE_S, User, needs_browser_variable, needs_signals, python, run_python, wait_until
from oidc import Oidc, browse, needs_oidc
from stores import MemoryStore

import mcp_startup
from mcp_startup import InvalidArgumentError, SignInError

ROW = "first-sign-in"
BROWSER = Path(__file__).parent / "browser.py"


@pytest.fixture(scope="module")
def oidc() -> Iterator[Oidc]:
    with Oidc() as oidc:
        yield oidc


def visit(url: str) -> str:
    """Opens a page of the lab, which consents immediately, and follows its redirects to the last page."""
    with urllib.request.urlopen(url, timeout=DEADLINE_S) as page:
        text: str = page.read().decode()
    return text


async def visit_later(url: str) -> None:
    await asyncio.to_thread(visit, url)


def redirect_uri(authorization_url: str) -> str:
    (uri,) = parse_qs(urlsplit(authorization_url).query)["redirect_uri"]
    return uri


def is_open(uri: str) -> bool:
    port = urlsplit(uri).port
    assert port is not None
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


async def closes(uri: str) -> None:
    await asyncio.to_thread(wait_until, f"nothing listens at {uri}", lambda: not is_open(uri))


# --- with a real authorization server ---------------------------------------------------------------------------------


@needs_oidc
async def test_a_sign_in_stores_credentials_that_the_server_accepts(oidc: Oidc) -> None:
    options: mcp_startup.Options = {"mcp_servers": oidc.servers("signed-in"), "store": MemoryStore()}
    await mcp_startup.sign_in("signed-in", open_browser=lambda url: asyncio.to_thread(browse, url), **options)
    status = await mcp_startup.auth_status("signed-in", **options)
    assert status.status is mcp_startup.McpAuthStatus.OAUTH
    events = [event async for event in mcp_startup.check(**options)]
    assert events[-1].status is mcp_startup.McpServerStartupState.READY
    assert (await mcp_startup.sign_out("signed-in", **options)).revocation is mcp_startup.Revocation.REVOKED


@needs_oidc
def test_a_blocking_sign_in_stores_credentials_that_the_server_accepts(oidc: Oidc) -> None:
    store, last_page = MemoryStore(), Future[str]()

    def open_browser(url: str) -> None:
        threading.Thread(target=lambda: last_page.set_result(browse(url))).start()

    options: mcp_startup.Options = {"mcp_servers": oidc.servers("blocking"), "store": store}
    mcp_startup.sign_in_blocking("blocking", open_browser=open_browser, **options)
    assert "You are signed in" in last_page.result(DEADLINE_S)
    header = mcp_startup.authorization_blocking("blocking", **options)
    assert header is not None and header.startswith("Bearer ")


@needs_oidc
async def test_a_refusal_of_the_user_is_an_error_and_stores_nothing(oidc: Oidc) -> None:
    store = MemoryStore()
    with pytest.raises(SignInError, match="the user has said no") as raised:  # words: allow: quotes the authorization server
        await mcp_startup.sign_in(
            "denied",
            open_browser=lambda url: asyncio.to_thread(browse, url, deny=True),
            mcp_servers=oidc.servers("denied"),
            store=store,
        )
    assert raised.value.kind == "denied"
    assert store.records == {}


# --- the browser ------------------------------------------------------------------------------------------------------


@needs_browser_variable
@pytest.mark.parametrize("call", ["await mcp_startup.sign_in({})", "mcp_startup.sign_in_blocking({})"])
def test_by_default_the_default_browser_opens(own_user: User, call: str) -> None:
    own_user.has(ROW)
    code = f"""
import asyncio, sys
import mcp_startup
async def main():
    {call.format(f"{ROW!r}, config=sys.argv[1]")}
asyncio.run(main())
"""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BROWSER", shlex.join([sys.executable, str(BROWSER), "%s"]))
        # With a relative folder, the program opens the browser.
        patch.setenv("PATH", f".:{os.environ['PATH']}")
        run_python(code, str(own_user.config))
    assert own_user.record(ROW) is not None


@needs_browser_variable
@pytest.mark.parametrize("call", ["await mcp_startup.sign_in({})", "mcp_startup.sign_in_blocking({})"])
def test_without_a_browser_the_sign_in_fails(own_user: User, call: str) -> None:
    own_user.has(ROW)
    code = f"""
import asyncio, sys
import mcp_startup
async def main():
    try:
        {call.format(f"{ROW!r}, config=sys.argv[1]")}
    except mcp_startup.SignInError as error:
        print(error.kind)
asyncio.run(main())
"""
    with pytest.MonkeyPatch.context() as patch:
        for name in ["BROWSER", "DISPLAY", "WAYLAND_DISPLAY"]:
            patch.delenv(name, raising=False)
        patch.setenv("PATH", "/nonexistent")
        assert run_python(code, str(own_user.config)) == "unavailable\n"


async def test_the_error_of_the_function_ends_the_sign_in(own_user: User) -> None:
    own_user.has(ROW)
    seen: list[str] = []

    def open_browser(url: str) -> None:
        seen.append(redirect_uri(url))
        raise ConnectionError("no window")

    with pytest.raises(ConnectionError, match="no window"):
        await mcp_startup.sign_in(ROW, open_browser=open_browser, config=own_user.config)
    await closes(seen[0])
    with pytest.raises(ConnectionError, match="no window"):
        await asyncio.to_thread(mcp_startup.sign_in_blocking, ROW, open_browser=open_browser, config=own_user.config)
    await closes(seen[1])
    assert own_user.record(ROW) is None


async def test_a_function_that_does_not_return_does_not_hold_up_the_sign_in(own_user: User) -> None:
    own_user.has(ROW)
    cancelled = asyncio.Event()

    async def open_browser(url: str) -> None:
        # The sign-in can end before the visit returns.
        try:
            await visit_later(url)
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    await mcp_startup.sign_in(ROW, open_browser=open_browser, config=own_user.config)
    assert cancelled.is_set()
    assert own_user.record(ROW) is not None


# --- the end of the wait ----------------------------------------------------------------------------------------------


async def test_cancelling_the_task_closes_the_listener_and_changes_nothing(own_user: User) -> None:
    own_user.has(ROW)
    shown: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    task = asyncio.ensure_future(mcp_startup.sign_in(ROW, open_browser=shown.set_result, config=own_user.config))
    uri = redirect_uri(await shown)
    assert is_open(uri)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await closes(uri)
    assert own_user.record(ROW) is None
    # Nothing remains of it, so the next one succeeds.
    await mcp_startup.sign_in(ROW, open_browser=visit_later, config=own_user.config)


async def test_the_wait_has_a_time_limit(own_user: User) -> None:
    own_user.has(ROW)
    shown: list[str] = []
    for call in [mcp_startup.sign_in, _blocking]:
        with pytest.raises(SignInError) as raised:
            await call(ROW, open_browser=shown.append, browser_timeout=0.05, config=own_user.config)
        assert raised.value.kind == "expired"
    for url in shown:
        await closes(redirect_uri(url))
    assert own_user.record(ROW) is None


async def _blocking(*arguments: Any, **options: Any) -> None:
    await asyncio.to_thread(mcp_startup.sign_in_blocking, *arguments, **options)


@needs_signals
def test_ctrl_c_interrupts_a_blocking_sign_in(own_user: User) -> None:
    own_user.has(ROW)
    code = f"""
import sys
import mcp_startup
try:
    mcp_startup.sign_in_blocking({ROW!r}, open_browser=lambda url: print("shown", flush=True), config=sys.argv[1])
except KeyboardInterrupt:
    print("interrupted")
"""
    with python(code, str(own_user.config)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "shown\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, out, err) == (0, "interrupted\n", "")
    assert own_user.record(ROW) is None


# --- the options ------------------------------------------------------------------------------------------------------


async def test_the_port_the_scopes_and_the_challenge_are_those_of_the_call(own_user: User) -> None:
    own_user.has(ROW)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    seen: list[str] = []

    async def open_browser(url: str) -> None:
        seen.append(url)
        await visit_later(url)

    challenge = 'Bearer error="insufficient_scope", scope="mcp:write"'
    await mcp_startup.sign_in(
        ROW,
        open_browser=open_browser,
        callback_port=port,
        challenge=challenge,
        scopes=["mcp:admin"],
        config=own_user.config,
    )
    assert redirect_uri(seen[0]) == f"http://127.0.0.1:{port}/callback"
    (scope,) = parse_qs(urlsplit(seen[0]).query)["scope"]
    assert {"mcp:write", "mcp:admin"} <= set(scope.split())


async def test_a_port_that_is_in_use_is_an_error_that_names_it(own_user: User) -> None:
    own_user.has(ROW)
    with socket.socket() as used:
        used.bind(("127.0.0.1", 0))
        used.listen()
        port = used.getsockname()[1]
        with pytest.raises(SignInError, match=str(port)) as raised:
            await mcp_startup.sign_in(ROW, open_browser=visit, callback_port=port, config=own_user.config)
    assert raised.value.kind == "invalidConfiguration"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"browser_timeout": 0}, "`browser_timeout` must be a number of seconds from 0.001 to 2592000, not 0"),
        ({"callback_port": 65_536}, "`callback_port` must be"),
        ({"callback_url": 7}, "`callback_url` must be a string, not 7"),
    ],
)
async def test_an_invalid_argument_is_refused(arguments: dict[str, Any], message: str) -> None:
    for call in [mcp_startup.sign_in, _blocking]:
        with pytest.raises(InvalidArgumentError) as raised:
            await call(ROW, open_browser=visit, mcp_servers={}, **arguments)
        assert message in str(raised.value)
