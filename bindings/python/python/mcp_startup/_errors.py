"""The exceptions, and what the native module answers."""

from __future__ import annotations

import json
from typing import Any

from ._generated import DecodeErrorKind, StartupFailure
from ._wire import from_wire


class McpStartupError(Exception):
    """Anything that this package raises. `code` is stable: `invalidArgument`, `decode`, `configuration`, `client`, `signIn`,
    `failure`, `credentialStore`, `forked` or `internal`."""

    code: str = "internal"

    def __init__(self, message: str, *details: Any) -> None:
        super().__init__(message, *details)

    def __str__(self) -> str:
        return str(self.args[0])

    def __eq__(self, other: object) -> bool:
        # What holds an error, such as a bad line among many, is a value.
        return isinstance(other, McpStartupError) and type(self) is type(other) and self.args == other.args

    def __hash__(self) -> int:
        return hash((type(self), self.args))


class DecodeError(McpStartupError, ValueError):
    """A line is no message of ours and no other well-formed message either."""

    code = "decode"

    @property
    def kind(self) -> DecodeErrorKind:
        """What is wrong, as a stable value."""
        return DecodeErrorKind(self.args[1])

    @property
    def field(self) -> str | None:
        """The field it is about, as a path such as `params.name`."""
        field: str | None = self.args[2]
        return field


class ConfigurationError(McpStartupError):
    """There is no such configuration, it can't be read, or it has no such server."""

    code = "configuration"

    @property
    def kind(self) -> str:
        """`notFound`, `notAFile`, `unreadable`, `tooLarge`, `notUtf8`, `syntax`, `notAConfiguration` or `unknownServer`."""
        return str(self.args[1])

    @property
    def path(self) -> str:
        """The file."""
        return str(self.args[2])

    @property
    def line(self) -> int | None:
        """The line, from 1."""
        line: int | None = self.args[3]
        return line

    @property
    def key(self) -> str | None:
        """The key, as a path in the file."""
        key: str | None = self.args[4]
        return key


class CredentialStoreError(McpStartupError):
    """A credential store does not do what it must."""

    code = "credentialStore"


class SignInError(McpStartupError):
    """A sign-in or a sign-out failed. What was stored before is stored still."""

    code = "signIn"

    @property
    def kind(self) -> str:
        """Why, as a stable value: `notOffered`, `unavailable`, `misconfigured`, `pkceNotOffered`, `noClient`, `invalidCallback`,
        `denied`, `expired`, `used`, `invalidPending`, `storeFailed` or `invalidConfiguration`."""
        return str(self.args[1])


class StartupFailedError(McpStartupError):
    """A server can't be used: `failure` is the verdict."""

    code = "failure"

    @property
    def failure(self) -> StartupFailure:
        """Why, what mends it, and on what evidence."""
        failure: StartupFailure = self.args[1]
        return failure


def unwrap(answer: str) -> Any:
    """What the native module answers, or its error as an exception."""
    value = json.loads(answer)
    if "error" in value:
        raise of_json(value["error"])
    return value["ok"]


def of_answer(answer: str) -> McpStartupError:
    """The exception of an answer that is an error."""
    return of_json(json.loads(answer)["error"])


def of_json(error: dict[str, Any]) -> McpStartupError:
    code, message = error["code"], error["message"]
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
