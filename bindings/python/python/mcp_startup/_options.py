"""The options of the calls that start servers or sign in."""

from __future__ import annotations

import inspect
import json
import os
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypedDict

from . import _native
from ._arguments import OPTIONS, check_arguments, milliseconds, to_json_value
from ._errors import unwrap
from ._store import CredentialStore, PostgresStore, StoreBridge


class Options(TypedDict, total=False):
    """Selects the servers and controls how they start. Every option is optional, and `None` means the default.

    Attributes:
        config: The path of the configuration: Codex's `config.toml`, or a JSON file with `mcpServers`. A leading `~/` is the user's
            home folder. By default, the user's Codex configuration.
        mcp_servers: The servers, instead of a file: the same object as `mcpServers` in a `.mcp.json`.
        clients: The servers of the MCP clients on this machine, instead of a file: `"all"`, or the IDs of clients, such as
            `["claude-code", "cursor"]`. A server that several clients have in the same way is started once. If servers have the same
            name, their names are `CLIENT:SERVER`, as in `cursor:linear`. `discover` lists the servers, and `not_checked` those that
            are left out.
        folder: Only with `clients`: the folder whose project files are read too. A leading `~/` is the user's home folder. By
            default, the current folder.
        trust_project: Only with `clients`: whether to start the servers of project files that the user has not approved in their
            client. These files may be part of someone else's repository, and name programs to start. By default, `False`.
        servers: The names of the servers to start. By default, all enabled servers. With `clients`, a name can be `CLIENT:SERVER`.
        timeout: The time limit for each start, in seconds: at most 30 days. It overrides the configuration.
        concurrency: The maximum number of servers that start at the same time: 1 to 1,000,000.
        client_metadata_url: The URL of the application's OAuth client ID metadata document, if it publishes one.
        store: The user's sign-ins in PostgreSQL, or a custom credential store. By default, credentials are stored where Codex stores
            them.
    """

    config: str | os.PathLike[str] | None
    mcp_servers: Mapping[str, Any] | None
    clients: Literal["all"] | Sequence[str] | None
    folder: str | os.PathLike[str] | None
    trust_project: bool | None
    servers: Sequence[str] | None
    timeout: float | None
    concurrency: int | None
    client_metadata_url: str | None
    store: CredentialStore | PostgresStore | None


# The part of the documentation that lists the options, from its heading on.
_DOCUMENTATION = inspect.cleandoc(Options.__doc__ or "").partition("Attributes:\n")[2]

def document_options(function: Callable[..., object]) -> None:
    """Adds every option to the signature, the type hints and the documentation of a function that takes `**options`.

    Type checkers read `Unpack[Options]`; `help`, `inspect.signature` and `typing.get_type_hints` read what this function adds.
    """
    signature = inspect.signature(function)
    own = [parameter for name, parameter in signature.parameters.items() if name != "options"]
    hints = typing.get_type_hints(Options)
    options = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=hints[name]) for name in hints]
    documentation = inspect.cleandoc(function.__doc__ or "")
    any_function: Any = function
    any_function.__signature__ = signature.replace(parameters=[*own, *options])
    any_function.__annotations__ = {
        name: annotation for name, annotation in function.__annotations__.items() if name != "options"
    } | hints
    any_function.__doc__ = f"{documentation}\n\nOptions:\n{_DOCUMENTATION}\n"


def native_options(options: Options, *, own_loop: bool = False, **of_call: object) -> tuple[str, StoreBridge | None]:
    """Returns the options and those of one call as JSON, and the store as the native module calls it.

    The call has passed them to `check_arguments`.

    Args:
        options: The options.
        own_loop: Whether the store runs on an event loop of its own, because the caller blocks the thread.
        of_call: The options of one call, with their names in JSON.
    """
    text = json.dumps(_wire_options(options) | of_call)
    store = options.get("store")
    if store is None or isinstance(store, PostgresStore):
        return text, None
    return text, StoreBridge(store, own_loop=own_loop)


def validate(call: Callable[..., object], given: Mapping[str, object]) -> None:
    """Raises the error of invalid arguments and options now, not at the start of the servers. The arguments are those of `check_arguments`."""
    check_arguments(call, given)
    unwrap(_native.check_options(json.dumps(_wire_options(typing.cast(Options, given["options"])))))


def _wire_options(options: Options) -> dict[str, object]:
    store = options.get("store")
    return {
        "config": path(options.get("config")),
        "mcpServers": to_json_value("mcp_servers", options.get("mcp_servers"), prefix=OPTIONS),
        "clients": strings(options.get("clients")),
        "folder": path(options.get("folder")),
        "trustProject": options.get("trust_project"),
        "servers": strings(options.get("servers")),
        "timeoutMs": milliseconds(options.get("timeout")),
        "concurrency": options.get("concurrency"),
        "clientMetadataUrl": options.get("client_metadata_url"),
        "store": _database(store) if isinstance(store, PostgresStore) else None,
    }


def _database(store: PostgresStore) -> dict[str, str | None]:
    check_arguments(PostgresStore, vars(store), within="store.")
    return {"postgres": store.url, "user": store.user, "tenant": store.tenant, "keys": store.keys}


def path(value: str | os.PathLike[str] | None) -> str | None:
    """Returns a path that has been checked as a string."""
    return None if value is None else os.fspath(value)


def strings(value: str | Sequence[str] | None) -> str | list[str] | None:
    """Returns strings that have been checked as a list. A single string is unchanged, such as `"all"`."""
    return value if value is None or isinstance(value, str) else list(value)
