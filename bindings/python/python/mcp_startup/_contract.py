"""Reading the contract, and following it."""

from __future__ import annotations

import dataclasses
from typing import Any

from . import _native
from ._errors import DecodeError, unwrap
from ._generated import McpServerStartupFailureReason, McpServerStartupState
from ._native import McpServerStatusUpdatedNotification
from ._wire import from_wire


@dataclasses.dataclass(frozen=True, slots=True)
class LineError:
    """A bad line among many."""

    line: int
    """Its number, from 1; blank lines and lines of other messages count."""

    error: DecodeError
    """What is wrong with it."""


@dataclasses.dataclass(frozen=True, slots=True)
class DecodedLines:
    """What the bytes of many lines are."""

    notifications: tuple[McpServerStatusUpdatedNotification, ...]
    """The notifications, in the order of their lines."""

    errors: tuple[LineError, ...]
    """The bad lines, in order."""


def decode_lines(data: bytes | str) -> DecodedLines:
    """Reads the bytes of many lines (LF or CRLF; the last one needs no end).

    A bad line is reported with its number and the others are kept; lines of other methods are passed over.
    """
    notifications, errors = _native.decode_lines(data)
    return DecodedLines(notifications, tuple(LineError(*error) for error in errors))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TrackedServer:
    """One server as a client shows it: the latest of what was said about a (thread_id, name)."""

    thread_id: str | None
    """The thread whose server it is; `None` where it belongs to the whole app."""

    name: str
    """Its name."""

    status: McpServerStartupState
    """Its state."""

    error: str | None
    """The sentence that came with a failure."""

    failure_reason: McpServerStartupFailureReason | None
    """Why it failed, where a client can do something about it."""


@dataclasses.dataclass(frozen=True, slots=True)
class TrackerUpdate:
    """What one notification did to the tracker."""

    changed: bool
    """Something that a client shows is different now."""

    prompt: bool
    """The user is to be asked, now, to sign in again to this server."""


@dataclasses.dataclass(frozen=True, slots=True)
class AppliedLines:
    """What the bytes of many lines did to the tracker."""

    notifications: int
    """How many lines were notifications of ours."""

    changed: tuple[tuple[str | None, str], ...]
    """The servers that are different now, as (thread_id, name), each once, in the order of their first change."""

    prompts: tuple[str, ...]
    """The names of the servers to ask the user about, now, in order."""

    errors: tuple[LineError, ...]
    """The bad lines."""


class StartupTracker:
    """Folds notifications into what a client shows: the state of each server, which ones want a sign-in *again*, and when to ask
    the user.

    The user is asked once per **name** and episode, which begins at the first failure with that reason and ends at `ready`. At most
    `limit` servers are held (10,000 unless told otherwise), and the oldest finished is forgotten first. Any thread may use it.
    """

    __slots__ = ("_native",)

    def __init__(self, *, limit: int | None = None) -> None:
        self._native = _native.StartupTracker(limit)

    def apply(self, notification: McpServerStatusUpdatedNotification) -> TrackerUpdate:
        """Takes one notification."""
        return TrackerUpdate(*self._native.apply_one(notification))

    def apply_lines(self, data: bytes | str) -> AppliedLines:
        """Takes the bytes of whole lines; lines of other messages are passed over, bad ones reported by number."""
        notifications, changed, prompts, errors = self._native.apply_lines(data)
        return AppliedLines(notifications, changed, prompts, tuple(LineError(*error) for error in errors))

    def servers(self) -> list[TrackedServer]:
        """Every server, in the order in which they were first heard of."""
        return [from_wire(TrackedServer, server) for server in unwrap(self._native.servers())]

    def server(self, name: str, *, thread_id: str | None = None) -> TrackedServer | None:
        """One server."""
        found: Any = unwrap(self._native.server(thread_id, name))
        return None if found is None else from_wire(TrackedServer, found)

    def reauthentication_required(self) -> list[str]:
        """The names of the servers that want a sign-in again, in the order in which that began."""
        return self._native.reauthentication_required()

    def remove(self, thread_id: str) -> int:
        """Forgets the servers of one thread, and says how many there were. An episode goes on."""
        return self._native.remove(thread_id)
