"""The native module. It returns JSON strings, which `_errors.unwrap` converts."""

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias, final

from ._errors import DecodeError
from ._generated import McpServerStartupFailureReason, McpServerStartupState, StartupFailure
from ._store import StoreBridge

__all__ = [
    "Call",
    "Events",
    "InteractiveSignIn",
    "METHOD",
    "McpServerStatusUpdatedNotification",
    "Reply",
    "StartupTracker",
    "VERSION",
    "assess",
    "auth_required_reason",
    "auth_status",
    "auth_status_of",
    "authorization",
    "begin_sign_in",
    "check_options",
    "decode",
    "decode_lines",
    "discover",
    "finish",
    "finish_sign_in",
    "first_request",
    "judge",
    "not_checked",
    "open_browser",
    "program",
    "request_authorization",
    "sign_out",
    "test_credential_store",
]

# The thread, the environment and the name of a server.
_Key: TypeAlias = tuple[str | None, str | None, str]

METHOD: Final[str]
VERSION: Final[str]

@final
class McpServerStatusUpdatedNotification:
    """The params of the notification `mcpServer/startupStatus/updated`, which reports the state of one server's start."""

    __match_args__: Final = ("name", "status", "error", "failure_reason")
    @staticmethod
    def starting(name: str, *, thread_id: str | None = None) -> McpServerStatusUpdatedNotification:
        """The server `name` is starting."""
    @staticmethod
    def ready(name: str, *, thread_id: str | None = None) -> McpServerStatusUpdatedNotification:
        """The server `name` is ready to use."""
    @staticmethod
    def cancelled(name: str, *, thread_id: str | None = None) -> McpServerStatusUpdatedNotification:
        """The host cancelled the start of the server `name`."""
    @staticmethod
    def failed(name: str, error: str, *, thread_id: str | None = None) -> McpServerStatusUpdatedNotification:
        """The server `name` failed to start, and signing in again would not help. `error` is a human-readable message."""
    @staticmethod
    def reauthentication_required(
        name: str, error: str, *, thread_id: str | None = None
    ) -> McpServerStatusUpdatedNotification:
        """The server `name` failed to start because its stored credentials can no longer be used or refreshed.

        The user has to sign in again. Create it only if credentials were stored for exactly this server and the start failed because
        of them. `error` is a human-readable message.
        """
    @staticmethod
    def from_failure(
        name: str, failure: StartupFailure, *, thread_id: str | None = None
    ) -> McpServerStatusUpdatedNotification:
        """Creates the notification for a verdict: `error` is its message, and `failure_reason` is set if its kind requires it.

        The kind is judged again from the evidence, so a `StartupFailure` that was built by hand can't set a wrong reason.
        """
    @property
    def thread_id(self) -> str | None:
        """The thread that the server belongs to, or `None` if it belongs to the whole app."""
    @property
    def name(self) -> str:
        """The name of the server in the user's configuration."""
    @property
    def environment_id(self) -> str | None:
        """The environment whose configuration contains the server, or `None` if it belongs to no environment.

        Codex writes it since 0.171. Only a decoded notification has one, and it is encoded again where it was.
        """
    @property
    def status(self) -> McpServerStartupState:
        """The state of the start."""
    @property
    def error(self) -> str | None:
        """A human-readable message, if the start failed."""
    @property
    def failure_reason(self) -> McpServerStartupFailureReason | None:
        """Why the start failed, if a client can do something specific about it."""
    def encode(self) -> str:
        """Returns the whole notification as one line of JSON, without a line ending."""
    def to_dict(self) -> dict[str, Any]:
        """Returns the params as a dictionary for `json.dumps`, with the field names of the JSON form, such as `failureReason`."""
    def to_json(self) -> str:
        """Returns the params as JSON, with the field names of the JSON form, such as `failureReason`."""
    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """Lets pydantic and FastAPI accept the notification, and write it as `to_dict` does."""
    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> dict[str, Any]:
        """Describes the JSON form to pydantic and FastAPI."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __reduce__(self) -> tuple[Any, tuple[str]]: ...

def decode(line: str | bytes) -> McpServerStatusUpdatedNotification | None:
    """Decodes one line, which must hold a whole JSON-RPC message.

    Returns:
        The notification, or `None` for a blank line and for any other well-formed message (another method, a response).

    Raises:
        DecodeError: If the line is not valid JSON, if `name` or `status` is missing, or if a field has the wrong type.
    """

def decode_lines(
    data: str | bytes,
) -> tuple[tuple[McpServerStatusUpdatedNotification, ...], tuple[tuple[int, DecodeError], ...]]: ...

@final
class StartupTracker:
    def __new__(cls, limit: int | None = None) -> StartupTracker: ...
    def apply_one(self, notification: McpServerStatusUpdatedNotification) -> tuple[bool, bool]: ...
    def apply_lines(
        self, data: str | bytes
    ) -> tuple[int, tuple[_Key, ...], tuple[_Key, ...], tuple[tuple[int, DecodeError], ...]]: ...
    def servers(self) -> str: ...
    def server(self, thread_id: str | None, environment_id: str | None, name: str) -> str: ...
    def reauthentication_required(self) -> list[_Key]: ...
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
    def retry(self, name: str) -> bool: ...
    def cancel(self) -> None: ...
    def close(self) -> None: ...

@final
class InteractiveSignIn:
    def __new__(cls, options: str, store: StoreBridge | None, server: str) -> InteractiveSignIn: ...
    def begin(self) -> Call: ...
    def finish(self) -> Call: ...
    def close(self) -> None: ...

def judge(evidence: str) -> str: ...
def auth_required_reason(recovery: str) -> str: ...
def assess(facts: str, now_ms: int) -> str: ...
def first_request(worth: str | None) -> str: ...
def auth_status_of(configured: bool, stored: str | None, oauth_published: bool | None) -> str: ...
def check_options(options: str) -> str: ...
def discover(options: str) -> Call: ...
def not_checked(options: str) -> Call: ...
def authorization(
    options: str, store: StoreBridge | None, server: str, refused: tuple[int, str | None, str | None] | None
) -> Call: ...
def request_authorization(
    options: str, store: StoreBridge | None, server: str, url: str, refused: tuple[int, str | None, str | None] | None
) -> Call: ...
def auth_status(options: str, store: StoreBridge | None, server: str, online: bool) -> Call: ...
def begin_sign_in(options: str, store: StoreBridge | None, server: str, redirect_uri: str) -> Call: ...
def finish_sign_in(options: str, store: StoreBridge | None, pending: str, callback_url: str) -> Call: ...
def open_browser(url: str, program: Sequence[str]) -> Call: ...
def sign_out(options: str, store: StoreBridge | None, server: str) -> Call: ...
def test_credential_store(
    store: tuple[str, StoreBridge | None], other: tuple[str, StoreBridge | None], lapse: StoreBridge | None
) -> Call: ...
def finish() -> None: ...
def program(command: Sequence[str], arguments: Sequence[str]) -> int: ...
