"""Decoding and tracking notifications."""

from __future__ import annotations

import dataclasses
from typing import Any

from . import _native
from ._arguments import check_arguments
from ._errors import DecodeError, unwrap
from ._generated import McpServerStartupFailureReason, McpServerStartupState
from ._native import McpServerStatusUpdatedNotification
from ._wire import WireObject, from_wire


@dataclasses.dataclass(frozen=True, slots=True)
class LineError:
    """An invalid line in a batch."""

    line: int
    """The line number, starting at 1. Blank lines and other messages count."""

    error: DecodeError
    """Why the line could not be read."""


@dataclasses.dataclass(frozen=True, slots=True)
class DecodedLines:
    """The result of `decode_lines`."""

    notifications: tuple[McpServerStatusUpdatedNotification, ...]
    """The notifications, in line order."""

    errors: tuple[LineError, ...]
    """The invalid lines, in line order."""


def decode_lines(data: bytes | str) -> DecodedLines:
    """Decodes many lines.

    An invalid line is reported with its number and does not affect the other lines. Blank lines and other messages are skipped.

    Args:
        data: The lines, which end in LF or CRLF. The last line needs no line ending.
    """
    notifications, errors = _native.decode_lines(data)
    return DecodedLines(notifications, tuple(LineError(*error) for error in errors))


@dataclasses.dataclass(frozen=True, slots=True)
class ServerKey(WireObject):
    """The identity of a server in a `StartupTracker`."""

    thread_id: str | None
    """The thread that the server belongs to, or `None` if it belongs to the whole app."""

    environment_id: str | None
    """The environment whose configuration contains the server, or `None` if it belongs to no environment."""

    name: str
    """The name of the server."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TrackedServer(WireObject):
    """One server as a client shows it: the latest notification for a (thread_id, environment_id, name)."""

    thread_id: str | None
    """The thread that the server belongs to, or `None` if it belongs to the whole app."""

    environment_id: str | None
    """The environment whose configuration contains the server, or `None` if it belongs to no environment."""

    name: str
    """The name of the server."""

    status: McpServerStartupState
    """The state of the server."""

    error: str | None
    """A human-readable message, if the start failed."""

    failure_reason: McpServerStartupFailureReason | None
    """Why the start failed, if a client can do something specific about it."""


@dataclasses.dataclass(frozen=True, slots=True)
class TrackerUpdate:
    """The effect of one notification on the tracker."""

    changed: bool
    """Whether anything that a client shows has changed."""

    prompt: bool
    """Whether to ask the user now to sign in to this server again."""


@dataclasses.dataclass(frozen=True, slots=True)
class AppliedLines:
    """The effect of many lines on the tracker."""

    notifications: int
    """The number of lines that held a startup notification."""

    changed: tuple[ServerKey, ...]
    """The servers that changed, each once, in the order of their first change."""

    prompts: tuple[ServerKey, ...]
    """The servers to ask the user about now, in line order. The thread is the one whose failure led to the prompt."""

    errors: tuple[LineError, ...]
    """The invalid lines, in line order."""


class StartupTracker:
    """Tracks what a client shows: the state of each server, the servers that need the user to sign in *again*, and when to
    prompt the user.

    A server is identified by its thread, its environment and its name. The tracker prompts once per **environment and name** and
    episode, even if many threads and retries report the failure. An episode begins with the first failure whose reason is
    `REAUTHENTICATION_REQUIRED`, and ends when a server with this environment and name is ready.

    A tracker can be shared between threads.

    Args:
        limit: The maximum number of servers that the tracker keeps, by default 10,000. Past the limit, it forgets the oldest
            finished server first.
    """

    __slots__ = ("_native",)

    def __init__(self, *, limit: int | None = None) -> None:
        check_arguments(StartupTracker.__init__, locals())
        self._native = _native.StartupTracker(limit)

    def apply(self, notification: McpServerStatusUpdatedNotification) -> TrackerUpdate:
        """Applies one notification."""
        return TrackerUpdate(*self._native.apply_one(notification))

    def apply_lines(self, data: bytes | str) -> AppliedLines:
        """Applies whole lines. It skips other messages and reports invalid lines by number."""
        notifications, changed, prompts, errors = self._native.apply_lines(data)
        return AppliedLines(
            notifications,
            tuple(ServerKey(*key) for key in changed),
            tuple(ServerKey(*key) for key in prompts),
            tuple(LineError(*error) for error in errors),
        )

    def servers(self) -> list[TrackedServer]:
        """Returns every server, in the order in which the servers were first seen."""
        return [from_wire(TrackedServer, server) for server in unwrap(self._native.servers())]

    def server(
        self, name: str, *, thread_id: str | None = None, environment_id: str | None = None
    ) -> TrackedServer | None:
        """Returns one server, or `None` if the tracker does not know it."""
        check_arguments(StartupTracker.server, locals())
        found: Any = unwrap(self._native.server(thread_id, environment_id, name))
        return None if found is None else from_wire(TrackedServer, found)

    def reauthentication_required(self) -> list[ServerKey]:
        """Returns the servers that need the user to sign in again, once for each environment and name, in the order in which their
        episodes began. The thread is the one whose failure began the episode."""
        return [ServerKey(*key) for key in self._native.reauthentication_required()]

    def remove(self, thread_id: str) -> int:
        """Forgets the servers of one thread and returns how many there were. Open episodes continue."""
        check_arguments(StartupTracker.remove, locals())
        return self._native.remove(thread_id)
