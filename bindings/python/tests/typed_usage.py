"""Type-checked but never run: the types of the main calls."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from typing_extensions import assert_type

import httpx
import httpx2

import mcp_startup
import mcp_startup.httpx
import mcp_startup.httpx2
from mcp_startup import (
    AppliedLines,
    AuthStatus,
    Check,
    ClientFile,
    ClientFileProblem,
    ClientScope,
    ClientServer,
    ClientTransport,
    CredentialWorth,
    DecodedLines,
    DecodeErrorKind,
    Evidence,
    FirstRequest,
    McpAuthRequiredReason,
    McpAuthStatus,
    McpServerStartupFailureReason,
    McpServerStartupState,
    McpServerStatusUpdatedNotification,
    NotChecked,
    Options,
    Recovery,
    Rejected,
    Revocation,
    SignedOut,
    ServerKey,
    SignInBegun,
    StartupEvent,
    StartupFailure,
    StartupFailureKind,
    StartupTracker,
    TrackedServer,
    TrackerUpdate,
    Watch,
)
from mcp_startup.app_server import (
    AppServerClient,
    AppServerError,
    CancelStatus,
    FailureReadResponse,
    FailureUpdatedNotification,
    Login,
    McpServerOauthLoginCompletedNotification,
    McpServerStatus,
    McpServerToolCallResponse,
    ToolCallProgressNotification,
)


def reading(line: str, data: bytes) -> None:
    notification = mcp_startup.decode(line)
    assert_type(notification, McpServerStatusUpdatedNotification | None)
    assert_type(mcp_startup.decode(data), McpServerStatusUpdatedNotification | None)
    if notification is None:
        return
    assert_type(notification.name, str)
    assert_type(notification.thread_id, str | None)
    assert_type(notification.status, McpServerStartupState)
    assert_type(notification.error, str | None)
    assert_type(notification.failure_reason, McpServerStartupFailureReason | None)
    assert_type(notification.encode(), str)
    decoded = mcp_startup.decode_lines(data)
    assert_type(decoded, DecodedLines)
    assert_type(decoded.notifications, tuple[McpServerStatusUpdatedNotification, ...])
    for bad in decoded.errors:
        assert_type(bad.line, int)
        assert_type(bad.error.kind, DecodeErrorKind)
        assert_type(bad.error.field, str | None)
    assert_type(McpServerStatusUpdatedNotification.ready("a", thread_id="t"), McpServerStatusUpdatedNotification)
    # A state is also a string.
    text: str = notification.status
    assert_type(mcp_startup.METHOD, str)
    assert_type(mcp_startup.__version__, str)
    del text


def matching(notification: McpServerStatusUpdatedNotification) -> str:
    match notification:
        case McpServerStatusUpdatedNotification(name, McpServerStartupState.READY):
            assert_type(name, str)
            return name
        case McpServerStatusUpdatedNotification(error=str(error)):
            return error
        case _:
            return ""


def following(tracker: StartupTracker, notification: McpServerStatusUpdatedNotification, data: bytes) -> None:
    assert_type(tracker.apply(notification), TrackerUpdate)
    applied = tracker.apply_lines(data)
    assert_type(applied, AppliedLines)
    assert_type(notification.environment_id, str | None)
    assert_type(applied.changed, tuple[ServerKey, ...])
    assert_type(applied.prompts, tuple[ServerKey, ...])
    assert_type(tracker.servers(), list[TrackedServer])
    assert_type(tracker.server("a", thread_id="t", environment_id="e"), TrackedServer | None)
    assert_type(tracker.reauthentication_required(), list[ServerKey])
    assert_type(tracker.remove("t"), int)


def judging(evidence: Evidence) -> None:
    failure = mcp_startup.judge(evidence)
    assert_type(failure, StartupFailure)
    assert_type(mcp_startup.judge({"server": "a"}), StartupFailure)
    assert_type(failure.kind, StartupFailureKind)
    assert_type(failure.recovery, Recovery)
    assert_type(mcp_startup.auth_required_reason(failure), McpAuthRequiredReason | None)
    worth = mcp_startup.assess(mcp_startup.CredentialFacts(access_token=True), now_ms=1)
    assert_type(worth, CredentialWorth)
    assert_type(mcp_startup.first_request(worth), FirstRequest)
    status = mcp_startup.auth_status_of(configured=False, stored=worth, oauth_published=None)
    assert_type(status, McpAuthStatus | None)


class Store:
    """A store. Its parameter names can differ from those of `CredentialStore`."""

    async def load(self, record_key: str) -> str | None:
        return None

    async def replace(self, record_key: str, old: str | None, new: str | None) -> bool:
        return False

    def lock(self, record_key: str) -> AbstractAsyncContextManager[None]:
        raise NotImplementedError


async def starting() -> None:
    check = mcp_startup.check(config="~/.codex/config.toml", timeout=2.5, servers=("a",), concurrency=2)
    assert_type(check, Check)
    async for event in check:
        assert_type(event, StartupEvent)
        assert_type(event.failure, StartupFailure | None)
    async with mcp_startup.watch(config=Path("config.toml"), store=Store()) as watch:
        assert_type(watch, Watch)
        assert_type(watch.retry("a"), None)
        async for event in watch:
            assert_type(event, StartupEvent)
    for event in mcp_startup.check_blocking(mcp_servers={"a": {"command": "a"}}):
        assert_type(event, StartupEvent)
    mcp_startup.check(timout=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    mcp_startup.check(timeout="1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    mcp_startup.check(store=object())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def discovering() -> None:
    files = await mcp_startup.discover(folder=Path("."), clients=["cursor"])
    assert_type(files, list[ClientFile])
    assert_type(await mcp_startup.not_checked(clients="all", servers=["docs"]), list[NotChecked])
    assert_type(files[0].scope, ClientScope)
    assert_type(files[0].error, ClientFileProblem | None)
    for server in files[0].servers:
        assert_type(server, ClientServer)
        assert_type(server.transport, ClientTransport)
    mcp_startup.check(clients="all", folder=".", trust_project=True)
    mcp_startup.check(clients=("cursor", "vscode"))
    await mcp_startup.discover(clients=7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await mcp_startup.discover(".")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


async def authorizing(**options: Any) -> None:
    one: Options = {"config": "config.toml", "client_metadata_url": "https://app.example/client.json"}
    assert_type(await mcp_startup.authorization("a", Rejected(authorization="Bearer t"), **one), str | None)
    assert_type(mcp_startup.authorization_blocking("a", Rejected(status=403), **one), str | None)
    assert_type(await mcp_startup.sign_in("a", open_browser=print, callback_port=1, **one), None)
    assert_type(mcp_startup.sign_in_blocking("a", browser_timeout=2.5, scopes=("b",), **one), None)
    assert_type(httpx.AsyncClient(auth=mcp_startup.httpx.StartupAuth("a", **one)), httpx.AsyncClient)
    assert_type(httpx2.Client(auth=mcp_startup.httpx2.StartupAuth("a", **one)), httpx2.Client)
    assert_type(await mcp_startup.auth_status("a", online=True, **one), AuthStatus)
    begun = await mcp_startup.begin_sign_in("a", "http://127.0.0.1/callback", **one)
    assert_type(begun, SignInBegun)
    more = await mcp_startup.begin_sign_in("a", "app:/callback", challenge="Bearer", scopes=("mcp:write",), **one)
    assert_type(more, SignInBegun)
    assert_type(await mcp_startup.finish_sign_in(begun.pending, "http://127.0.0.1/callback?code=c", **one), None)
    out = await mcp_startup.sign_out("a", **one)
    assert_type(out, SignedOut)
    assert_type(out.revocation, Revocation)
    assert_type(await mcp_startup.test_credential_store(Store()), None)


async def using_an_app_server() -> None:
    async with AppServerClient(["codex", "app-server"], timeout=1) as client:
        assert_type(client, AppServerClient)
        assert_type(await client.list_servers(), list[McpServerStatus])
        login = await client.login("a", scopes=("b",), client_registration="dcr")
        assert_type(login, Login)
        assert_type(await login.completed(), McpServerOauthLoginCompletedNotification)
        thread = await client.start_thread()
        assert_type(await client.call_tool("a", "b", {}, thread_id=thread), McpServerToolCallResponse)
        steps: list[ToolCallProgressNotification] = []
        await client.call_tool("a", "b", thread_id=thread, on_progress=steps.append)
        assert_type(steps[0].request_id, int | str)
        assert_type(steps[0].progress, float)
        assert_type(steps[0].total, float | None)
        assert_type(await client.read_failure("a"), FailureReadResponse)
        assert_type(await client.sign_out("a"), SignedOut)
        assert_type(await client.cancel_login("l"), CancelStatus)
        async for notification in client.notifications():
            match notification.params:
                case McpServerStatusUpdatedNotification() as started:
                    assert_type(started, McpServerStatusUpdatedNotification)
                case FailureUpdatedNotification(failure=failure):
                    assert_type(failure, StartupFailure | None)
                case ToolCallProgressNotification(message=message):
                    assert_type(message, str | None)
                case _:
                    pass
        await client.login("a", client_registration="x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

        async def on_progress(_: ToolCallProgressNotification) -> None: ...

        # A coroutine function would never run.
        await client.call_tool("a", "b", thread_id=thread, on_progress=on_progress)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        await client.call_tool("a", "b")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def failing(line: str) -> None:
    try:
        mcp_startup.decode(line)
    except mcp_startup.DecodeError as error:
        value_error: ValueError = error
        assert_type(error.code, str)
        del value_error
    except AppServerError as error:
        assert_type(error.code, str)
        assert_type(error.rpc_code, int | None)
    except mcp_startup.InsufficientScopeError as error:
        assert_type(error.challenge, str)
    except mcp_startup.StartupFailedError as error:
        assert_type(error.failure, StartupFailure)
    except mcp_startup.ConfigurationError as error:
        assert_type(error.line, int | None)
