"""The native module. Its answers are JSON texts; see `_errors.unwrap`."""

from collections.abc import Callable, Sequence
from typing import Any, Final, final

from ._errors import DecodeError
from ._generated import McpServerStartupFailureReason, McpServerStartupState, StartupFailure
from ._store import StoreBridge

__all__ = [
    "Call",
    "Events",
    "METHOD",
    "McpServerStatusUpdatedNotification",
    "Reply",
    "StartupTracker",
    "VERSION",
    "assess",
    "auth_status",
    "auth_status_of",
    "authorization",
    "begin_sign_in",
    "decode",
    "decode_lines",
    "finish",
    "finish_sign_in",
    "first_request",
    "judge",
    "program",
    "sign_out",
    "test_credential_store",
]

METHOD: Final[str]
VERSION: Final[str]

@final
class McpServerStatusUpdatedNotification:
    """The params of the notification `mcpServer/startupStatus/updated`: the state of one server's start has changed."""

    __match_args__: Final = ("name", "status", "error", "failure_reason")
    @staticmethod
    def starting(name: str, *, thread_id: str | None = None) -> McpServerStatusUpdatedNotification:
        """The start of `name` has begun."""
    @staticmethod
    def ready(name: str, *, thread_id: str | None = None) -> McpServerStatusUpdatedNotification:
        """`name` can be used."""
    @staticmethod
    def cancelled(name: str, *, thread_id: str | None = None) -> McpServerStatusUpdatedNotification:
        """The start of `name` was given up by the host."""
    @staticmethod
    def failed(name: str, error: str, *, thread_id: str | None = None) -> McpServerStatusUpdatedNotification:
        """The start of `name` failed for a reason that no new sign-in mends. `error` is a sentence for a person."""
    @staticmethod
    def reauthentication_required(
        name: str, error: str, *, thread_id: str | None = None
    ) -> McpServerStatusUpdatedNotification:
        """The start of `name` failed because what is stored for it is spent: the user has to sign in again."""
    @staticmethod
    def from_failure(
        name: str, failure: StartupFailure, *, thread_id: str | None = None
    ) -> McpServerStatusUpdatedNotification:
        """What the verdict `failure` says on the wire: its message as the error, and its reason, if it has one."""
    @property
    def thread_id(self) -> str | None:
        """The thread whose server this is; `None` where the server belongs to the whole app."""
    @property
    def name(self) -> str:
        """The name of the server, as the user configured it."""
    @property
    def status(self) -> McpServerStartupState:
        """The state that the start has come to."""
    @property
    def error(self) -> str | None:
        """A sentence for a person, on a failed start."""
    @property
    def failure_reason(self) -> McpServerStartupFailureReason | None:
        """Why the start failed, where a client can do something specific about it."""
    def encode(self) -> str:
        """The whole notification as one line of JSON, without the line's end."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __reduce__(self) -> tuple[Any, tuple[str]]: ...

def decode(line: str | bytes) -> McpServerStatusUpdatedNotification | None:
    """Reads one line. `None` for a message of another method or a blank line; `DecodeError` names what is wrong."""

def decode_lines(
    data: str | bytes,
) -> tuple[tuple[McpServerStatusUpdatedNotification, ...], tuple[tuple[int, DecodeError], ...]]: ...

@final
class StartupTracker:
    def __new__(cls, limit: int | None = None) -> StartupTracker: ...
    def apply_one(self, notification: McpServerStatusUpdatedNotification) -> tuple[bool, bool]: ...
    def apply_lines(
        self, data: str | bytes
    ) -> tuple[int, tuple[tuple[str | None, str], ...], tuple[str, ...], tuple[tuple[int, DecodeError], ...]]: ...
    def servers(self) -> str: ...
    def server(self, thread_id: str | None, name: str) -> str: ...
    def reauthentication_required(self) -> list[str]: ...
    def remove(self, thread_id: str) -> int: ...

@final
class Call:
    def then(self, reply: Callable[[str], object]) -> None: ...
    def wait(self, at_most_ms: int) -> str | None: ...
    def abort(self) -> None: ...

@final
class Reply:
    def ok(self, text: str | None) -> None: ...
    def error(self, message: str) -> None: ...

@final
class Events:
    @staticmethod
    def of_check(options: str, store: StoreBridge | None) -> Events: ...
    @staticmethod
    def of_watch(options: str, store: StoreBridge | None) -> Events: ...
    def next(self) -> Call: ...
    def retry(self, name: str) -> None: ...
    def cancel(self) -> None: ...
    def close(self) -> None: ...

def judge(evidence: str) -> str: ...
def assess(facts: str, now_ms: int) -> str: ...
def first_request(worth: str | None) -> str: ...
def auth_status_of(configured: bool, stored: str | None, oauth_published: bool | None) -> str: ...
def authorization(
    options: str,
    store: StoreBridge | None,
    server: str,
    rejected: bool,
    authorization: str | None,
    challenge: str | None,
) -> Call: ...
def auth_status(options: str, store: StoreBridge | None, server: str, online: bool) -> Call: ...
def begin_sign_in(options: str, store: StoreBridge | None, server: str, redirect_uri: str) -> Call: ...
def finish_sign_in(options: str, store: StoreBridge | None, pending: str, callback_url: str) -> Call: ...
def sign_out(options: str, store: StoreBridge | None, server: str) -> Call: ...
def test_credential_store(store: StoreBridge) -> Call: ...
def finish() -> None: ...
def program(command: Sequence[str], arguments: Sequence[str]) -> int: ...
