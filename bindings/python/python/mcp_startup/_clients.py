"""The files and servers of the MCP clients on this machine."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Sequence
from typing import Literal

from . import _native
from ._arguments import check_arguments
from ._call import answer
from ._options import path, strings
from ._wire import WireEnum, WireObject, from_wire


class ClientScope(WireEnum):
    """Whose servers a file of a client configures."""

    USER = "user"
    """The user, in every folder."""

    LOCAL = "local"
    """The user, in the current folder. The file is the user's own."""

    PROJECT = "project"
    """The project in the current folder. The file may be part of someone else's repository."""

    MANAGED = "managed"
    """The administrator, who decides which servers are used."""

    PLUGIN = "plugin"
    """An extension of the client."""

    SYSTEM = "system"
    """All users of the machine."""


class ClientTransport(WireEnum):
    """The transport that a client uses for a server."""

    STDIO = "stdio"
    """A program, over its standard input and output."""

    HTTP = "http"
    """Streamable HTTP."""

    SSE = "sse"
    """HTTP+SSE of MCP 2024-11-05."""

    UNKNOWN = "unknown"
    """The entry names no transport, or one that is not known here."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ClientFileProblem(WireObject):
    """Why a file of a client can't be used, or a warning about it."""

    line: int | None
    """The line number, starting at 1, or `None`."""

    column: int | None
    """The column in characters, starting at 1, or `None`."""

    message: str
    """A human-readable message that names the file."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ClientServer(WireObject):
    """A server in a configuration file of an MCP client."""

    name: str
    """The name of the server in the client."""

    transport: ClientTransport
    """The transport that the client uses."""

    enabled: bool
    """Whether the server is enabled in the client."""

    checkable: bool
    """Whether `check` can start the server: it has no problem, and everything that it needs is known."""

    why: str | None
    """Why `check` can't start the server, or `None`."""

    approved: bool | None
    """Whether the user has approved the server in the client; `None` if that is not known or not needed."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ClientFile(WireObject):
    """One configuration file of an MCP client."""

    client: str
    """The ID of the client, such as `claude-code`."""

    scope: ClientScope
    """Whose servers the file configures."""

    path: str
    """The path of the file."""

    format: str
    """The syntax of the file: `json`, `jsonc`, `toml`, `yaml` or `script`."""

    approved: bool | None
    """Whether the user has approved the file in the client; `None` if that is not known or not needed."""

    error: ClientFileProblem | None
    """Why the file can't be used, or `None`."""

    not_read: str | None
    """Why the file is not read, even though the client uses it: it is a script. Otherwise `None`."""

    warnings: tuple[ClientFileProblem, ...]
    """The warnings about the file as a whole, for example about servers below a key that the client does not read."""

    servers: tuple[ClientServer, ...]
    """The servers, in the order of the file. Empty if the file can't be used."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NotChecked(WireObject):
    """A server of an MCP client that `check` leaves out."""

    client: str
    """The ID of the client, such as `claude-code`."""

    scope: ClientScope
    """Whose servers the client's file configures."""

    path: str
    """The path of the client's file."""

    name: str
    """The name of the server in the client."""

    why: str
    """Why the server is left out."""

    needs_approval: bool
    """Whether `check` starts the server with the option `trust_project`."""


async def discover(
    *, folder: str | os.PathLike[str] | None = None, clients: Literal["all"] | Sequence[str] | None = None
) -> list[ClientFile]:
    """Finds the configuration files of the MCP clients on this machine, and reads each as its client does. Starts nothing.

    Files that do not exist are left out. A file that can't be read is part of the result, with its `error`. The result is the same as
    that of `mcp-startup clients --format json`.

    Args:
        folder: The folder whose project files are read too. A leading `~/` is the user's home folder. By default, the current folder.
        clients: The clients whose files are read: `"all"`, or the IDs of clients, such as `["claude-code", "cursor"]`. By default,
            all.

    Raises:
        McpStartupError: If an argument is invalid. Its `code` is `invalidArgument`.
    """
    check_arguments(discover, {"options": {"folder": folder, "clients": clients}})
    options = json.dumps({"folder": path(folder), "clients": strings(clients)})
    return [from_wire(ClientFile, file) for file in await answer(_native.discover(options))]
