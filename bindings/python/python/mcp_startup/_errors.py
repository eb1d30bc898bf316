"""The exceptions, and their conversion from answers of the native module."""

from __future__ import annotations

import json
import re
from typing import Any

from ._generated import DecodeErrorKind, StartupFailure
from ._wire import from_wire


class McpStartupError(Exception):
    """The base class of every exception that this package raises.

    `code` is a stable value: `invalidArgument`, `decode`, `configuration`, `client`, `signIn`, `failure`, `credentialStore`,
    `appServer`, `forked` or `internal`.
    """

    code: str = "internal"

    def __init__(self, message: str, *details: Any) -> None:
        super().__init__(message, *details)

    def __str__(self) -> str:
        return str(self.args[0])

    def __eq__(self, other: object) -> bool:
        # Objects that hold an exception, such as `LineError`, are compared by value.
        return isinstance(other, McpStartupError) and type(self) is type(other) and self.args == other.args

    def __hash__(self) -> int:
        return hash((type(self), self.args))


class DecodeError(McpStartupError, ValueError):
    """Raised for a line that is not a well-formed JSON-RPC message, or whose notification has invalid fields."""

    code = "decode"

    @property
    def kind(self) -> DecodeErrorKind:
        """The kind of error, as a stable value."""
        return DecodeErrorKind(self.args[1])

    @property
    def field(self) -> str | None:
        """The path of the invalid field, such as `params.name`; `None` if no single field is at fault."""
        field: str | None = self.args[2]
        return field


class InvalidArgumentError(McpStartupError, ValueError, TypeError):
    """Raised for an option or an argument that can't be used. The message names it and what it takes."""

    code = "invalidArgument"


class ConfigurationError(McpStartupError):
    """Raised if the configuration does not exist, can't be read, or does not contain the server."""

    code = "configuration"

    @property
    def kind(self) -> str:
        """The cause, as a stable value: `notFound`, `notAFile`, `unreadable`, `tooLarge`, `notUtf8`, `syntax`, `notAConfiguration`
        or `unknownServer`."""
        return str(self.args[1])

    @property
    def path(self) -> str:
        """The path of the configuration file."""
        return str(self.args[2])

    @property
    def line(self) -> int | None:
        """The line number, starting at 1, or `None`."""
        line: int | None = self.args[3]
        return line

    @property
    def key(self) -> str | None:
        """The path of the key in the file, or `None`."""
        key: str | None = self.args[4]
        return key


class CredentialStoreError(McpStartupError):
    """Raised if a credential store violates the contract of `CredentialStore`, or if the database of a `PostgresStore` can't be used."""

    code = "credentialStore"


class SignInError(McpStartupError):
    """Raised if a sign-in or a sign-out failed. The stored credentials are unchanged."""

    code = "signIn"

    @property
    def kind(self) -> str:
        """The cause, as a stable value: `notOffered`, `unavailable`, `misconfigured`, `pkceNotOffered`, `noClient`, `invalidCallback`,
        `denied`, `expired`, `used`, `invalidPending`, `storeFailed` or `invalidConfiguration`."""
        return str(self.args[1])


class StartupFailedError(McpStartupError):
    """Raised if a server can't be used. `failure` is the verdict."""

    code = "failure"

    @property
    def failure(self) -> StartupFailure:
        """The verdict: why the server can't be used, how to recover, and the evidence."""
        failure: StartupFailure = self.args[1]
        return failure


class InsufficientScopeError(StartupFailedError):
    """Raised by an adapter if the server requires more scopes: 403 with `insufficient_scope` (RFC 6750, section 3.1).

    Sign in with the `challenge`, and send the request again.
    """

    @property
    def challenge(self) -> str:
        """The value of the response's `WWW-Authenticate` header, for `sign_in` or `begin_sign_in`."""
        challenge: str = self.args[2]
        return challenge


def unwrap(answer: str) -> Any:
    """Returns the result in an answer of the native module, or raises its error."""
    value = json.loads(answer)
    if "error" in value:
        raise of_json(value["error"])
    return value["ok"]


def of_answer(answer: str) -> McpStartupError:
    """Returns the exception for an answer that is an error."""
    return of_json(json.loads(answer)["error"])


def of_json(error: dict[str, Any]) -> McpStartupError:
    """Returns the exception for an error object of the native module."""
    code, message = error["code"], error["message"]
    if code == InvalidArgumentError.code:
        return InvalidArgumentError(python_names(message))
    if code == DecodeError.code:
        return DecodeError(message, error["kind"], error["field"])
    if code == ConfigurationError.code:
        return ConfigurationError(message, error["kind"], error["path"], error["line"], error["key"])
    if code == SignInError.code:
        return SignInError(message, error["kind"])
    if code == StartupFailedError.code:
        return StartupFailedError(message, from_wire(StartupFailure, error["failure"]))
    if code == CredentialStoreError.code:
        return CredentialStoreError(message)
    other = McpStartupError(message)
    other.code = code
    return other


# The names of options that differ from those in JSON.
_OPTIONS = {
    "mcpServers": "mcp_servers",
    "trustProject": "trust_project",
    "timeoutMs": "timeout",
    "clientMetadataUrl": "client_metadata_url",
    "browserTimeoutMs": "browser_timeout",
    "callbackPort": "callback_port",
    "callbackUrl": "callback_url",
}


def python_names(message: str) -> str:
    """Returns the message with the options by their names in Python, such as `mcp_servers` for `mcpServers`."""
    return re.sub("`([a-zA-Z]+)`", lambda match: f"`{_OPTIONS.get(match.group(1), match.group(1))}`", message)
