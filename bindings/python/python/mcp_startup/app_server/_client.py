"""The client."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Final, Literal, TypeVar, cast

from .. import _native
from .._arguments import check_arguments
from .._clients import ClientFile
from .._engine import SignedOut
from .._native import McpServerStatusUpdatedNotification
from .._reading import read
from .._typing import Self
from ._connection import Connection, OnProgress
from ._errors import AppServerError
from ._messages import (
    CancelResponse,
    CancelStatus,
    ClientsListResponse,
    FailureReadResponse,
    FailureUpdatedNotification,
    InitializeResponse,
    ListPage,
    LoginResponse,
    McpResourceReadResponse,
    McpServerOauthLoginCompletedNotification,
    McpServerStatus,
    McpServerToolCallResponse,
    Notification,
    ServersListResponse,
    ServersUpdatedNotification,
    ToolCallProgressNotification,
)

T = TypeVar("T")

COMMAND: Final[tuple[str, ...]] = (sys.executable, "-m", "mcp_startup", "app-server")
"""The command of this package's app-server. Append arguments to it, such as `--config` and a path."""

_LOGIN_COMPLETED = "mcpServer/oauthLogin/completed"
_NOTIFICATIONS: dict[str, Any] = {
    _native.METHOD: McpServerStatusUpdatedNotification,
    _LOGIN_COMPLETED: McpServerOauthLoginCompletedNotification,
    "mcpStartup/failure/updated": FailureUpdatedNotification,
    "mcpStartup/servers/updated": ServersUpdatedNotification,
    "mcpStartup/toolCall/progress": ToolCallProgressNotification,
}
# A login may be over before the caller of `login` continues, so its end is kept for a while.
_RECENT_LOGINS = 64
_MAX_PAGES = 1000
_MAX_QUEUE_BYTES = 64 * 1024 * 1024


class AppServerClient:
    """A client of an app-server: an async context manager that runs it, and ends it.

        async with AppServerClient() as client:
            for server in await client.list_servers():
                print(server.name, server.runtime_status)

    It speaks to this package's app-server and to Codex's. Only the latter needs a thread (`start_thread`) before it sends
    notifications. Every method raises an `AppServerError` if the app-server answers with an error, does not answer in time, or ends.
    If a call is cancelled or times out, this package's app-server cancels the request, too.

    At the end of the context, the input of the app-server is closed. If it does not exit within `end_timeout`, it is asked to
    (SIGTERM), and after the same time it is killed, as it is at once if the task is cancelled while it waits. The client belongs to
    one event loop, and starts once.

    Args:
        command: The program and its arguments, such as `["codex", "app-server"]`. By default, `COMMAND`.
        cwd: The working folder of the app-server. By default, the current one.
        env: The environment of the app-server. By default, that of this process.
        stderr: The destination of its messages for people, as in `subprocess.Popen`. By default, to the stderr of this process.
        name: The name of your application.
        version: The version of your application.
        opt_out: The exact methods of notifications that are not wanted. Do not name `mcpServer/oauthLogin/completed` if you sign in,
            or `mcpStartup/toolCall/progress` if you pass `on_progress`.
        timeout: The time limit of a request, in seconds. A list may wait 60 s for servers that start.
        end_timeout: The time limit of each step of the end, in seconds.
        max_notifications: How many notifications are kept until they are read, with at most 64 MiB. If there are more, the oldest
            are dropped, and `Notification.dropped` of the next one counts them. Responses never wait for notifications to be read.
    """

    def __init__(
        self,
        command: Sequence[str] = COMMAND,
        *,
        cwd: str | os.PathLike[str] | None = None,
        env: Mapping[str, str] | None = None,
        stderr: Any = None,
        name: str = "mcp-startup-python",
        version: str = _native.VERSION,
        opt_out: Sequence[str] = (),
        timeout: float = 120.0,
        end_timeout: float = 5.0,
        max_notifications: int = 1024,
    ) -> None:
        check_arguments(AppServerClient.__init__, locals())
        self._command = list(command)
        self._process_options: dict[str, Any] = {"cwd": cwd, "env": env, "stderr": stderr}
        self._initialize_params: dict[str, Any] = {
            "clientInfo": {"name": name, "version": version},
            "capabilities": {"optOutNotificationMethods": list(opt_out)},
        }
        self._timeout = timeout
        self._end_timeout = end_timeout
        self._max_notifications = max_notifications
        self._connection: Connection | None = None
        self._server: InitializeResponse | None = None
        self._is_closed = False
        # Each with the length of its message.
        self._notifications: deque[tuple[Notification, int]] = deque()
        self._size = 0
        self._dropped = 0
        self._changed = asyncio.Event()
        self._ended_logins: deque[McpServerOauthLoginCompletedNotification] = deque(maxlen=_RECENT_LOGINS)
        self._logins: dict[Login, asyncio.Future[McpServerOauthLoginCompletedNotification]] = {}

    async def __aenter__(self) -> Self:
        if self._connection is not None or self._is_closed:
            raise RuntimeError("the client has been started before: create another one")
        # Set before the process can send anything.
        self._connection = Connection(self._command, self._receive, self._end)
        try:
            await self._connection.start(**self._process_options)
            params = self._initialize_params
            self._server = await self._ask(InitializeResponse, "initialize", params, None)
            await self._connection.notify("initialized", self._timeout)
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends the app-server, and waits until it has exited. Pending requests fail. Does nothing if it has been closed."""
        self._is_closed = True
        if self._connection is not None:
            await self._connection.close(self._end_timeout)
        self._changed.set()

    @property
    def server(self) -> InitializeResponse:
        """The answer of the app-server to `initialize`: its program, version and platform."""
        if self._server is None:
            raise RuntimeError("the client is not started: use it as an async context manager")
        return self._server

    @property
    def pid(self) -> int | None:
        """The process ID of the app-server, or `None` if it has not been started."""
        return self._started().pid

    # Requests that Codex has too

    async def start_thread(self, *, cwd: str | None = None, timeout: float | None = None) -> str:
        """Starts a thread that is not kept, and returns its ID.

        Tools need one. Codex's app-server sends notifications only for a thread, and connects it to the provider of its model.
        """
        check_arguments(AppServerClient.start_thread, locals())
        params = {"ephemeral": True, "cwd": cwd}
        result = await self._ask(dict[str, Any], "thread/start", params, timeout)
        thread = result.get("thread")
        id: object = cast("dict[str, Any]", thread).get("id") if isinstance(thread, dict) else None
        if not isinstance(id, str):
            raise _invalid("thread/start", "`thread.id` is not a string")
        return id

    async def list_servers(
        self,
        *,
        detail: Literal["full", "toolsAndAuthOnly"] = "full",
        server_name: str | None = None,
        thread_id: str | None = None,
        environment_id: str | None = None,
        page_size: int | None = None,
        timeout: float | None = None,
    ) -> list[McpServerStatus]:
        """Returns the states of all servers, from all pages.

        Args:
            detail: Whether to return resources and their templates, too, and not only tools.
            server_name: Only this server.
            thread_id: With a thread, the states are those of this moment. Without one, the response waits for servers that start.
            environment_id: The environment of the server, with Codex.
            page_size: How many servers a page has at most.
            timeout: The time limit of each page, in seconds.
        """
        check_arguments(AppServerClient.list_servers, locals())
        params = _present(
            detail=detail, serverName=server_name, threadId=thread_id, environmentId=environment_id, limit=page_size
        )
        servers: list[McpServerStatus] = []
        cursors: set[str] = set()
        while True:
            page = await self._ask(ListPage, "mcpServerStatus/list", params, timeout)
            servers += page.data
            cursor = page.next_cursor
            if cursor is None:
                return servers
            if cursor in cursors or len(cursors) == _MAX_PAGES:
                raise _invalid("mcpServerStatus/list", "the pages have no end")
            cursors.add(cursor)
            params["cursor"] = cursor

    async def login(
        self,
        name: str,
        *,
        scopes: Sequence[str] | None = None,
        timeout_secs: int | None = None,
        client_registration: Literal["auto", "cimd", "dcr"] | None = None,
        thread_id: str | None = None,
        environment_id: str | None = None,
        timeout: float | None = None,
    ) -> Login:
        """Begins a sign-in. Open its `authorization_url` in the user's browser, and await `completed()`.

        Args:
            name: The server.
            scopes: Scopes to request in addition to the configured ones.
            timeout_secs: How long the app-server waits for the browser, in seconds.
            client_registration: Where the OAuth client comes from: `cimd` is a client ID metadata document, and `dcr` a dynamic
                client registration (RFC 7591).
            thread_id: The thread, with Codex.
            environment_id: The environment of the server, with Codex.
            timeout: The time limit of the response, in seconds.
        """
        check_arguments(AppServerClient.login, locals())
        # Without an ID, the end of an earlier sign-in to the server would be taken for that of this one.
        for ended in [ended for ended in self._ended_logins if ended.name == name]:
            self._ended_logins.remove(ended)
        params = _present(
            name=name,
            scopes=None if scopes is None else list(scopes),
            timeoutSecs=timeout_secs,
            clientRegistration=client_registration,
            threadId=thread_id,
            environmentId=environment_id,
        )
        begun = await self._ask(LoginResponse, "mcpServer/oauth/login", params, timeout)
        return Login(name, begun, self._wait_for_login)

    async def reload(self, *, timeout: float | None = None) -> None:
        """Makes the app-server read its configuration again, start what is new or has changed, and end what is gone."""
        check_arguments(AppServerClient.reload, locals())
        await self._ask(object, "config/mcpServer/reload", {}, timeout)

    async def call_tool(
        self,
        server: str,
        tool: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        thread_id: str,
        environment_id: str | None = None,
        meta: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        on_progress: Callable[[ToolCallProgressNotification], None] | None = None,
    ) -> McpServerToolCallResponse:
        """Calls a tool of a connected server. If it is not connected, this package's app-server gives the `reason` `notConnected`.

        Args:
            server: The server.
            tool: The name of the tool.
            arguments: The arguments of the tool.
            thread_id: The thread, from `start_thread`.
            environment_id: The environment of the server, with Codex.
            meta: The `_meta` of the call.
            timeout: The time limit of the call, in seconds. Progress does not extend it.
            on_progress: Receives the progress of this call, in order, on the event loop, before the call returns. It must not block.
                The event loop's exception handler gets its exceptions, and the call continues. The app-server leaves some progress out
                if this program reads slowly. Codex sends none.
        """
        check_arguments(AppServerClient.call_tool, locals())
        params = _present(
            threadId=thread_id, server=server, environmentId=environment_id, tool=tool, arguments=arguments, _meta=meta
        )
        return await self._ask(McpServerToolCallResponse, "mcpServer/tool/call", params, timeout, on_progress)

    async def read_resource(
        self,
        server: str,
        uri: str,
        *,
        thread_id: str | None = None,
        environment_id: str | None = None,
        meta: Mapping[str, Any] | None = None,
        timeout: float | None = None,
    ) -> McpResourceReadResponse:
        """Reads a resource of a connected server."""
        check_arguments(AppServerClient.read_resource, locals())
        params = _present(server=server, uri=uri, threadId=thread_id, environmentId=environment_id, _meta=meta)
        return await self._ask(McpResourceReadResponse, "mcpServer/resource/read", params, timeout)

    # Requests that Codex lacks: it raises an error with `is_unknown_method`

    async def read_failure(self, name: str, *, timeout: float | None = None) -> FailureReadResponse:
        """Returns the result of the last start of a server: why it failed, and what to do. Codex lacks it."""
        check_arguments(AppServerClient.read_failure, locals())
        return await self._ask(FailureReadResponse, "mcpStartup/failure/read", {"name": name}, timeout)

    async def retry(self, name: str, *, timeout: float | None = None) -> None:
        """Starts a server again that has failed. Does nothing if it is starting or connected. Codex lacks it."""
        check_arguments(AppServerClient.retry, locals())
        await self._ask(object, "mcpStartup/retry", {"name": name}, timeout)

    async def sign_out(self, name: str, *, timeout: float | None = None) -> SignedOut:
        """Revokes the tokens, removes the sign-in, and starts the server again. Codex lacks it."""
        check_arguments(AppServerClient.sign_out, locals())
        return await self._ask(SignedOut, "mcpStartup/signOut", {"name": name}, timeout)

    async def cancel_login(self, login_id: str, *, timeout: float | None = None) -> CancelStatus:
        """Ends a sign-in that waits for the browser. Codex lacks it."""
        check_arguments(AppServerClient.cancel_login, locals())
        response = await self._ask(CancelResponse, "mcpStartup/login/cancel", {"loginId": login_id}, timeout)
        return response.status

    async def list_clients(self, *, timeout: float | None = None) -> list[ClientFile]:
        """Returns the configuration files of the MCP clients on the machine, as `discover` does. Codex lacks it."""
        check_arguments(AppServerClient.list_clients, locals())
        return list((await self._ask(ClientsListResponse, "mcpStartup/clients/list", {}, timeout)).files)

    async def list_configured_servers(self, *, timeout: float | None = None) -> ServersListResponse:
        """Returns where each server comes from, which servers are not started, and which files can't be read. Codex lacks it."""
        check_arguments(AppServerClient.list_configured_servers, locals())
        return await self._ask(ServersListResponse, "mcpStartup/servers/list", {}, timeout)

    async def request(self, method: str, params: Mapping[str, Any] | None = None, *, timeout: float | None = None) -> Any:
        """Sends any other request, and returns its result as parsed JSON."""
        check_arguments(AppServerClient.request, locals())
        return await self._send(method, params or {}, timeout)

    # Notifications

    async def notifications(self) -> AsyncIterator[Notification]:
        """Iterates over the notifications, in the order of their arrival, from the start of the app-server on.

        Each is returned once, so use one iterator. The iterator ends when the client is closed. If the app-server ends by itself,
        it raises an `AppServerError` after the last notification.
        """
        connection = self._started()
        while True:
            while self._notifications:
                # The oldest ones are dropped, so the gap is always before this one.
                dropped, self._dropped = self._dropped, 0
                yield dataclasses.replace(self._next(), dropped=dropped)
            if self._is_closed:
                return
            if (error := connection.error) is not None:
                raise error
            self._changed.clear()
            await self._changed.wait()

    # Called by the connection

    def _receive(self, message: dict[str, Any], size: int) -> None:
        method: str = message["method"]
        raw = message.get("params")
        params: Any = cast("dict[str, Any]", raw) if isinstance(raw, dict) else {}
        if method in _NOTIFICATIONS:
            try:
                params = read(_NOTIFICATIONS[method], params)
            except ValueError:
                # A newer app-server may have changed it. The application gets it unchanged.
                pass
        if isinstance(params, McpServerOauthLoginCompletedNotification):
            self._ended_logins.append(params)
            self._settle_logins()
        self._size += size
        while len(self._notifications) == self._max_notifications or (self._notifications and self._size > _MAX_QUEUE_BYTES):
            self._next()
            self._dropped += 1
        emitted = message.get("emittedAtMs")
        emitted_at_ms = emitted if type(emitted) is int else None
        self._notifications.append((Notification(method=method, params=params, emitted_at_ms=emitted_at_ms), size))
        self._changed.set()
        if isinstance(params, ToolCallProgressNotification):
            self._started().report(params)

    def _next(self) -> Notification:
        notification, size = self._notifications.popleft()
        self._size -= size
        return notification

    def _settle_logins(self) -> None:
        error = self._started().error
        for login, future in list(self._logins.items()):
            ended = next((ended for ended in self._ended_logins if login.is_ended_by(ended)), None)
            if ended is not None:
                self._ended_logins.remove(ended)
                future.set_result(ended)
            elif error is not None:
                future.set_exception(AppServerError(*error.args))
                # The application need not await every login.
                future.exception()
            else:
                continue
            del self._logins[login]

    def _end(self) -> None:
        self._settle_logins()
        self._changed.set()

    def _wait_for_login(self, login: Login) -> asyncio.Future[McpServerOauthLoginCompletedNotification]:
        future = asyncio.get_running_loop().create_future()
        self._logins[login] = future
        self._settle_logins()
        return future

    def _started(self) -> Connection:
        if self._connection is None:
            raise RuntimeError("the client is not started: use it as an async context manager")
        return self._connection

    async def _send(
        self, method: str, params: Mapping[str, Any], timeout: float | None, on_progress: OnProgress | None = None
    ) -> Any:
        limit = self._timeout if timeout is None else timeout
        return await self._started().request(method, params, limit, on_progress)

    async def _ask(
        self,
        target: type[T],
        method: str,
        params: Mapping[str, Any],
        timeout: float | None,
        on_progress: OnProgress | None = None,
    ) -> T:
        result = await self._send(method, params, timeout, on_progress)
        try:
            return read(target, result)
        except ValueError as error:
            raise _invalid(method, str(error)) from None


class Login:
    """A sign-in that has begun."""

    def __init__(
        self,
        name: str,
        begun: LoginResponse,
        wait: Callable[[Login], asyncio.Future[McpServerOauthLoginCompletedNotification]],
    ) -> None:
        self._name = name
        self._begun = begun
        self._end = wait(self)

    @property
    def name(self) -> str:
        """The name of the server."""
        return self._name

    @property
    def authorization_url(self) -> str:
        """The URL to open in the user's browser."""
        return self._begun.authorization_url

    @property
    def login_id(self) -> str | None:
        """The ID of the sign-in, for `cancel_login`. Older versions of Codex send none."""
        return self._begun.login_id

    async def completed(self, *, timeout: float | None = None) -> McpServerOauthLoginCompletedNotification:
        """Waits for the end of the sign-in. `success` is whether the user is signed in now, and `error` is why not.

        Args:
            timeout: The time limit, in seconds. By default, that of the app-server. The sign-in continues after it.

        Raises:
            AppServerError: If the app-server ends before, or the time is over.
        """
        check_arguments(Login.completed, locals())
        await asyncio.wait([self._end], timeout=timeout)
        if not self._end.done():
            raise AppServerError(
                f"the sign-in to `{self._name}` is not complete after {timeout} s. Wait longer, or cancel it.", "timeout"
            )
        error = self._end.exception()
        if error is not None:
            raise AppServerError(*error.args)
        return self._end.result()

    def is_ended_by(self, ended: McpServerOauthLoginCompletedNotification) -> bool:
        """Whether the notification is about this sign-in."""
        if self.login_id is None:
            return ended.name == self._name
        return ended.login_id == self.login_id


def _present(**params: Any) -> dict[str, Any]:
    """Returns the parameters that have a value."""
    return {name: value for name, value in params.items() if value is not None}


def _invalid(method: str, problem: str) -> AppServerError:
    return AppServerError(
        f"the result of `{method}` does not fit the protocol: {problem}. Check that the command is an app-server.",
        "invalidResponse",
    )
