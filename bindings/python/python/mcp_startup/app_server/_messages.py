"""The objects of the protocol."""

from __future__ import annotations

import dataclasses
from typing import Any

from .._clients import ClientFile, ClientScope
from .._generated import (
    ConfigurationEvidence,
    McpAuthStatus,
    McpServerConnectionStatus,
    McpServerStartupState,
    StartPhase,
    StartupFailure,
    StartupWarning,
)
from .._native import McpServerStatusUpdatedNotification
from .._wire import WireEnum, WireObject


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class InitializeResponse(WireObject):
    """The answer of the app-server to `initialize`."""

    user_agent: str
    """The program and its version."""

    codex_home: str | None = None
    """The folder with the configuration and the sign-ins."""

    platform_family: str | None = None
    """For example `unix`."""

    platform_os: str | None = None
    """For example `linux`."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class McpServerStatus(WireObject):
    """The state of a server, with its tools and resources."""

    name: str
    """The name of the server."""

    environment_id: str | None = None
    """The environment whose configuration contains the server, or `None`."""

    runtime_status: McpServerConnectionStatus | None = None
    """The state of the connection. `None` if it is not known: Codex reports it only for a thread."""

    plugin_id: str | None = None
    """The plugin that contains the server, or `None`."""

    http_origin: str | None = None
    """The origin of the server's URL. `None` for a program."""

    server_info: dict[str, Any] | None = None
    """The name and the version of the server. `None` if it is not connected."""

    server_capabilities: Any = None
    """The capabilities of the server. `None` if it is not connected."""

    tool_list_meta: Any = None
    """The `_meta` of the first page of tools."""

    tools: dict[str, Any]
    """The tools by name, as MCP describes them (`Tool`)."""

    tools_error: str | None = None
    """Why there are no tools. `None` if they are listed."""

    resources: tuple[Any, ...] = ()
    """The resources, as MCP describes them (`Resource`)."""

    resource_templates: tuple[Any, ...] = ()
    """The templates of resources, as MCP describes them (`ResourceTemplate`)."""

    auth_status: McpAuthStatus
    """How a client is authorized at the server."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ListPage(WireObject):
    """A page of the result of `mcpServerStatus/list`."""

    data: tuple[McpServerStatus, ...]
    """The servers."""

    next_cursor: str | None = None
    """The cursor of the next page. `None` if this is the last one."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LoginResponse(WireObject):
    """The result of `mcpServer/oauth/login`."""

    authorization_url: str = dataclasses.field(repr=False)
    """The URL to open in the user's browser."""

    login_id: str | None = None
    """The ID of the sign-in. Older versions of Codex send none."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class McpServerOauthLoginCompletedNotification(WireObject):
    """The end of a sign-in."""

    name: str
    """The name of the server."""

    thread_id: str | None = None
    """The thread of the request, or `None`."""

    login_id: str | None = None
    """The ID of the sign-in. Older versions of Codex send none."""

    success: bool
    """Whether the user is signed in now."""

    error: str | None = None
    """Why the user is not signed in, or `None`."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class McpServerToolCallResponse(WireObject):
    """The result of a tool."""

    content: tuple[Any, ...]
    """The content, as MCP describes it (`ContentBlock`)."""

    structured_content: Any = None
    """The content as JSON that fits the tool's output schema, or `None`."""

    is_error: bool | None = None
    """Whether the tool failed. `content` then describes the failure."""

    meta: Any = dataclasses.field(default=None, metadata={"wire": "_meta"})
    """The `_meta` of the result."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class McpResourceReadResponse(WireObject):
    """A resource."""

    contents: tuple[Any, ...]
    """The contents, as MCP describes them (`TextResourceContents` or `BlobResourceContents`)."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StartDetails(WireObject):
    """The result of a start, beyond its notification."""

    failure: StartupFailure | None = None
    """Why the last start failed, and what to do. `None` if it did not fail."""

    warning: StartupWarning | None = None
    """What is wrong with a server that is ready, or `None`."""

    not_saved: str | None = None
    """Why a refreshed token could not be stored, or `None`."""

    configuration_warnings: tuple[ConfigurationEvidence, ...] = ()
    """Parts of the server's entry that do not have the effect that the user may expect."""

    retry_in_ms: int | None = None
    """The time until the server starts again by itself, in ms. `None` if it does so only after a change, such as a sign-in."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class FailureReadResponse(StartDetails):
    """The result of the last start of a server."""

    name: str
    """The name of the server."""

    status: McpServerStartupState | None = None
    """The state of the last start. `None` if there was none."""

    phase: StartPhase | None = None
    """The phase that the last complete start had reached."""

    elapsed_ms: int | None = None
    """How long it took, in ms."""

    required: bool = False
    """Whether the configuration marks the server as required."""

    timeline: Any = None
    """What happened in the last complete start, as `mcp-startup explain --format json` prints it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class FailureUpdatedNotification(StartDetails):
    """The details of a start have changed."""

    name: str
    """The name of the server."""

    thread_id: str | None = None
    """The thread, or `None` if the server belongs to the whole connection."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ServersUpdatedNotification(WireObject):
    """The configuration was read again, by any client: list the servers again. Codex does not send it."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ToolCallProgressNotification(WireObject):
    """The progress of a tool call. Codex does not send it."""

    request_id: int | str
    """The ID of the request. `on_progress` receives only the progress of its own call."""

    thread_id: str
    """The thread of the request."""

    server: str
    """The name of the server."""

    progress: float
    """How much is done, in a unit of the server's choice. According to MCP, it grows with each notification."""

    total: float | None = None
    """How much there is to do, in the same unit. `None` if the server does not report it."""

    message: str | None = None
    """The current step, as text for the user, of at most 1,000 characters. `None` if the server reports none."""


class CancelStatus(WireEnum):
    """Whether there was something to cancel."""

    CANCELED = "canceled"
    """It ends now."""

    NOT_FOUND = "notFound"
    """It does not exist, or has ended."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CancelResponse(WireObject):
    """The result of `mcpStartup/login/cancel`."""

    status: CancelStatus
    """Whether there was something to cancel."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ClientsListResponse(WireObject):
    """The result of `mcpStartup/clients/list`."""

    files: tuple[ClientFile, ...]
    """The configuration files of the MCP clients on the machine."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ServerOwner(WireObject):
    """A client that has a server."""

    client: str
    """The ID of the client, for example `claude-code`."""

    client_name: str
    """The name of the client, for example `Claude Code`."""

    scope: ClientScope
    """Whose servers its file configures."""

    path: str
    """The path of its file."""

    name: str
    """The name of the server in the client."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class NotCheckedServer(ServerOwner):
    """A server of a client that is not started."""

    why: str
    """Why it is not started."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ConfiguredServer(WireObject):
    """Where a server comes from."""

    name: str
    """The name of the server."""

    enabled: bool
    """Whether it is enabled. A disabled server does not start."""

    path: str | None = None
    """The path of the file that has the entry. `None` if it comes from no file."""

    line: int | None = None
    """The line of the entry, or of the problem in it, starting at 1."""

    key: str | None = None
    """The key of the entry, or of the problem in it, for example `mcpServers.linear`."""

    owners: tuple[ServerOwner, ...] = ()
    """The clients that have the server. The entry is that of the first one."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ServersListResponse(WireObject):
    """The servers of the configuration. Nothing was started or queried for it."""

    servers: tuple[ConfiguredServer, ...]
    """The servers, in the order of the configuration."""

    not_checked: tuple[NotCheckedServer, ...] = ()
    """The servers of clients that are not started."""

    unreadable: tuple[str, ...] = ()
    """The files of clients that can't be read, each as a message that names the client and the file."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """A notification of the app-server."""

    method: str
    """The method, such as `mcpServer/startupStatus/updated`."""

    params: (
        McpServerStatusUpdatedNotification
        | McpServerOauthLoginCompletedNotification
        | FailureUpdatedNotification
        | ServersUpdatedNotification
        | ToolCallProgressNotification
        | dict[str, Any]
    )
    """The parameters. They are a dictionary if this version does not know the method, or can't read its parameters."""

    emitted_at_ms: int | None = None
    """When the app-server sent it, in ms since the Unix epoch, or `None`."""

    dropped: int = 0
    """How many notifications before this one are lost, because the queue was full. If it is not 0, list the servers again."""
