"""A client of an app-server: the states of the user's MCP servers, sign-in and tools, over JSON-RPC with a process.

    async with AppServerClient() as client:
        for server in await client.list_servers():
            print(server.name, server.runtime_status)

It runs this package's `mcp-startup app-server`, or Codex's. `import mcp_startup` does not load this module.
"""

from __future__ import annotations

from .. import _arguments
from ._client import COMMAND, AppServerClient, Login
from ._errors import AppServerError
from ._messages import (
    CancelStatus,
    ConfiguredServer,
    FailureReadResponse,
    FailureUpdatedNotification,
    InitializeResponse,
    McpResourceReadResponse,
    McpServerOauthLoginCompletedNotification,
    McpServerStatus,
    McpServerToolCallResponse,
    NotCheckedServer,
    Notification,
    ServerOwner,
    ServersListResponse,
    ServersUpdatedNotification,
    StartDetails,
    ToolCallProgressNotification,
)

__all__ = [
    "AppServerClient",
    "AppServerError",
    "COMMAND",
    "CancelStatus",
    "ConfiguredServer",
    "FailureReadResponse",
    "FailureUpdatedNotification",
    "InitializeResponse",
    "Login",
    "McpResourceReadResponse",
    "McpServerOauthLoginCompletedNotification",
    "McpServerStatus",
    "McpServerToolCallResponse",
    "NotCheckedServer",
    "Notification",
    "ServerOwner",
    "ServersListResponse",
    "ServersUpdatedNotification",
    "StartDetails",
    "ToolCallProgressNotification",
]


_arguments.publish(globals(), __all__, resolve=True)
