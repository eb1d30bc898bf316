"""Starting servers, and signing in and out."""

from __future__ import annotations

import asyncio
import atexit
import collections
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from . import _native
from ._arguments import check_arguments, refused
from ._call import answer, wait
from ._clients import NotChecked
from ._errors import InvalidArgumentError, unwrap
from ._generated import (
    ConfigurationEvidence,
    CredentialStoreTrouble,
    CredentialWorth,
    McpAuthStatus,
    McpServerStartupState,
    StartPhase,
    StartupFailure,
    StartupWarning,
)
from ._native import McpServerStatusUpdatedNotification
from ._options import Options, document_options, native_options, strings, validate
from ._store import CredentialStore, PostgresStore, StoreBridge
from ._typing import Self
from ._wire import WireEnum, WireObject, from_wire

if TYPE_CHECKING:
    from typing_extensions import Unpack

# Before the process exits, wait until every token that an authorization server has issued is stored.
atexit.register(_native.finish)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StartupEvent(WireObject):
    """A change in the state of one server's start.

    Each start emits one event with `STARTING`, and then exactly one with `READY`, `FAILED` or `CANCELLED`.
    """

    notification: McpServerStatusUpdatedNotification
    """The notification to send to clients, unchanged."""

    phase: StartPhase
    """The phase that the start had reached. On `READY`, the last phase of the start."""

    elapsed_ms: int
    """The time since the start began, in milliseconds."""

    required: bool
    """Whether the configuration marks this server as required."""

    failure: StartupFailure | None
    """Why the start failed. Set only on `FAILED`."""

    warning: StartupWarning | None
    """What is wrong with a server that is ready. Set only on `READY`."""

    tools: int | None
    """The number of tools of a server that is ready, or `None` if it did not list them: then there is a `warning`."""

    not_saved: str | None
    """Why a token that was refreshed during this start could not be saved, or `None`."""

    configuration_warnings: tuple[ConfigurationEvidence, ...]
    """Parts of the server's entry that do not have the effect that the user may expect, such as keys that are not read.

    Empty on `STARTING`.
    """

    @property
    def name(self) -> str:
        """The name of the server."""
        return self.notification.name

    @property
    def status(self) -> McpServerStartupState:
        """The state of the start."""
        return self.notification.status


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A request that the server rejected with HTTP 401 or 403."""

    authorization: str | None = dataclasses.field(default=None, repr=False)
    """The value of the request's `Authorization` header, or `None` if it had none."""

    challenge: str | None = dataclasses.field(default=None, repr=False)
    """The value of the response's `WWW-Authenticate` header."""

    status: int = 401
    """The status of the response: 401 or 403. After 403, nothing is refreshed, and the verdict is raised unless another sign-in is
    stored: `INSUFFICIENT_SCOPE` if the challenge requires more scopes."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StoreError(WireObject):
    """Why a credential store could not be read."""

    store: str
    """The store: `file`, `keyring`, `host`, or the name that the configuration uses."""

    trouble: CredentialStoreTrouble
    """The cause, as a stable value."""

    detail: str
    """The cause, as a human-readable phrase without the name of the store."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AuthStatus(WireObject):
    """How a client is authorized at a server, and the state of the stored credentials. It contains no secret."""

    status: McpAuthStatus | None
    """The status, or `None` if it is unknown: no usable credentials are stored, and the server was not queried or did not answer."""

    worth: CredentialWorth | None
    """Whether the stored credentials can be used or refreshed; `None` if none are stored for exactly this server."""

    expires_at_ms: int | None
    """When the stored access token expires, in milliseconds since the Unix epoch; `None` if the record does not specify it."""

    scopes: tuple[str, ...]
    """The granted scopes."""

    issuer: str | None
    """The issuer identifier of the authorization server that granted the credentials."""

    store: str | None
    """Where the credentials are stored: `file`, `keyring`, `postgres`, or `host` for a custom store."""

    store_error: StoreError | None
    """Why the store could not be read, or `None`."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SignInBegun:
    """A sign-in that has begun. Both fields contain secrets, so `repr` omits them."""

    authorization_url: str = dataclasses.field(repr=False)
    """The URL to open in the user's browser."""

    pending: str = dataclasses.field(repr=False)
    """The value to pass to `finish_sign_in`, in this process or another. It is single-use and expires after 15 minutes."""


class Revocation(WireEnum):
    """Whether the authorization server revoked the tokens at a sign-out."""

    REVOKED = "revoked"
    """The authorization server confirmed the revocation."""

    NOT_OFFERED = "notOffered"
    """The authorization server offers no revocation, or the record does not name the server. The tokens are valid until they expire."""

    FAILED = "failed"
    """The authorization server did not confirm the revocation. The tokens may be valid until they expire."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SignedOut(WireObject):
    """The result of a sign-out."""

    was_stored: bool
    """Whether credentials were stored."""

    revocation: Revocation
    """Whether the authorization server revoked the tokens."""


class Check(AsyncIterator[StartupEvent]):
    """An async iterator of startup events, and an async context manager that ends the starts.

    Nothing starts until you iterate. Closing the iterator, dropping the last reference to it, or cancelling the task that waits for
    it immediately ends every start, including its process and requests.
    """

    def __init__(self, options: Options) -> None:
        validate(check, {"options": options})
        self._options = options
        self._events: _native.Events | None = None
        self._ready: collections.deque[StartupEvent] = collections.deque()
        self._is_cancelled = False
        self._is_closed = False

    def cancel(self) -> None:
        """Cancels the starts that have not finished. Each of them emits `CANCELLED`, and then the iteration ends."""
        self._is_cancelled = True
        if self._events is not None:
            self._events.cancel()

    def close(self) -> None:
        """Immediately ends every start and the iteration."""
        self._is_closed = True
        self._ready.clear()
        if self._events is not None:
            self._events.close()

    async def aclose(self) -> None:
        """Immediately ends every start and the iteration, like `close`."""
        self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> StartupEvent:
        if not self._ready and not self._is_closed:
            try:
                self._ready.extend(_events(await answer(self._running().next())))
            except asyncio.CancelledError:
                self.close()
                raise
        if not self._ready:
            raise StopAsyncIteration
        return self._ready.popleft()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _running(self) -> _native.Events:
        if self._events is None:
            # Not in the constructor: a store runs on the event loop that iterates.
            self._events = self._begin(*native_options(self._options))
            if self._is_cancelled:
                self._events.cancel()
        return self._events

    def _begin(self, options: str, store: StoreBridge | None) -> _native.Events:
        return _native.Events.of_check(options, store)


class Watch(Check):
    """An async iterator of startup events that starts failed servers again, until you cancel or close it."""

    def retry(self, name: str) -> None:
        """Starts the named server again now if it has failed. Does nothing if it is starting or ready.

        Raises:
            InvalidArgumentError: If the watch has begun, and has no server with this name.
        """
        check_arguments(Watch.retry, locals())
        if self._events is not None and not self._events.retry(name):
            raise InvalidArgumentError(f"`name`: the watch has no server with the name {name[:40]!r}")

    def _begin(self, options: str, store: StoreBridge | None) -> _native.Events:
        return _native.Events.of_watch(options, store)


def check(**options: Unpack[Options]) -> Check:
    """Starts every enabled server, emits an event for each state, and closes each server when its start has ended.

    A server that fails to start is an event, not an exception.

    Raises:
        ConfigurationError: If the configuration can't be read. The first event raises it, not this call.
    """
    return Check(options)


def watch(**options: Unpack[Options]) -> Watch:
    """Starts every enabled server like `check`, and continues: it starts a failed server again

    * when you call `Watch.retry`;
    * when its stored credentials change, for example after a sign-in by any process;
    * automatically, if the failure's recovery is `RETRY`: after a random pause of up to 1 s, then up to 2 s, 4 s and so on
      up to 5 min.

    Raises:
        ConfigurationError: If the configuration can't be read. The first event raises it, not this call.
    """
    return Watch(options)


def check_blocking(**options: Unpack[Options]) -> Generator[StartupEvent, None, None]:
    """Starts every enabled server like `check`, and blocks the thread while it waits for events. It releases the GIL while it waits."""
    validate(check_blocking, locals())
    return _check_blocking(options)


def _check_blocking(options: Options) -> Generator[StartupEvent, None, None]:
    # A store runs on a loop of its own: this thread, which may have a running loop, is blocked.
    events = _native.Events.of_check(*native_options(options, own_loop=True))
    try:
        while batch := _events(unwrap(wait(events.next()))):
            yield from batch
    finally:
        events.close()


async def not_checked(**options: Unpack[Options]) -> list[NotChecked]:
    """Returns the servers that `check` and `watch` leave out with the same options, and why: for example because only the client knows a
    secret, or because the user has not approved a project's file.

    Starts nothing. Without the option `clients`, the list is empty. The fields are those of `notChecked` in the report of
    `mcp-startup check --format json`.

    Raises:
        McpStartupError: If an option is invalid. Its `code` is `invalidArgument`.
        ConfigurationError: If the configuration can't be read, or has no server with a name in `servers`.
    """
    check_arguments(not_checked, locals())
    text, _ = native_options(options)
    return [from_wire(NotChecked, left) for left in await answer(_native.not_checked(text))]


async def authorization(
    server: str, rejected: Rejected | None = None, **options: Unpack[Options]
) -> str | None:
    """Returns the `Authorization` header for a request that the application sends itself, for example with another SDK.

    For the first request, call it without `rejected`. If the server answers 401, call it again with the rejected request: it returns
    the header for the next attempt. It uses the same store, lock and refresh as a start.

    Returns:
        The value of the header, or `None` to send the request without one.

    Raises:
        StartupFailedError: If no credential is left to try. Its `failure` is the verdict.
    """
    check_arguments(authorization, locals())
    refusal = native_refusal(rejected)
    header: str | None = await answer(_native.authorization(*native_options(options), server, refusal))
    return header


def authorization_blocking(server: str, rejected: Rejected | None = None, **options: Unpack[Options]) -> str | None:
    """Returns the same as `authorization`, and blocks the thread while it waits. It releases the GIL while it waits.

    Returns:
        The value of the header, or `None` to send the request without one.

    Raises:
        StartupFailedError: If no credential is left to try. Its `failure` is the verdict.
    """
    check_arguments(authorization_blocking, locals())
    refusal = native_refusal(rejected)
    native = native_options(options, own_loop=True)
    header: str | None = unwrap(wait(_native.authorization(*native, server, refusal)))
    return header


def native_refusal(rejected: Rejected | None) -> tuple[int, str | None, str | None] | None:
    """Returns a rejected request as the native module takes it."""
    if rejected is None:
        return None
    fields = {field.name: getattr(rejected, field.name) for field in dataclasses.fields(rejected)}
    check_arguments(Rejected, fields, within="rejected.")
    if rejected.status not in (401, 403):
        raise refused("rejected.status", "401 or 403", rejected.status)
    return rejected.status, rejected.authorization, rejected.challenge


async def auth_status(server: str, *, online: bool = False, **options: Unpack[Options]) -> AuthStatus:
    """Returns how a client is authorized at a server, and the state of the stored credentials.

    Args:
        server: The name of the server.
        online: Whether to query the server if the stored credentials don't determine the status. By default, no request is sent.
    """
    check_arguments(auth_status, locals())
    return from_wire(AuthStatus, await answer(_native.auth_status(*native_options(options), server, online)))


async def begin_sign_in(
    server: str,
    redirect_uri: str,
    *,
    challenge: str | None = None,
    scopes: Sequence[str] | None = None,
    **options: Unpack[Options],
) -> SignInBegun:
    """Begins a sign-in. It stores nothing; `finish_sign_in` does.

    Args:
        server: The name of the server.
        redirect_uri: The URI that the browser is redirected to: `http` on loopback, `https`, or the app's custom scheme.
        challenge: The value of the `WWW-Authenticate` header of the response with which the server rejected the application's own
            request, for example a 403 with `insufficient_scope`. It can name the required scopes (RFC 6750, section 3) and the
            server's metadata (RFC 9728, section 5.1). By default, the sign-in sends a request to get a challenge.
        scopes: Scopes to request in addition. The requested scopes are the union of the configured, the granted, the challenged and
            these. By default, none.

    Raises:
        SignInError: If the sign-in can't begin.
    """
    check_arguments(begin_sign_in, locals())
    text, bridge = native_options(options, challenge=challenge, scopes=strings(scopes))
    begun = await answer(_native.begin_sign_in(text, bridge, server, redirect_uri))
    return from_wire(SignInBegun, begun)


async def finish_sign_in(pending: str, callback_url: str, **options: Unpack[Options]) -> None:
    """Finishes a sign-in and stores the granted credentials.

    Args:
        pending: The `pending` value that `begin_sign_in` returned.
        callback_url: The whole URL that the browser was redirected to.

    Raises:
        SignInError: If the sign-in failed. The stored credentials are unchanged.
    """
    check_arguments(finish_sign_in, locals())
    await answer(_native.finish_sign_in(*native_options(options), pending, callback_url))


async def sign_out(server: str, **options: Unpack[Options]) -> SignedOut:
    """Signs out: revokes the tokens if the authorization server supports it, and removes the stored credentials even if the
    revocation fails.

    Raises:
        SignInError: If the stored credentials can't be read or removed.
    """
    check_arguments(sign_out, locals())
    return from_wire(SignedOut, await answer(_native.sign_out(*native_options(options), server)))


async def test_credential_store(
    store: CredentialStore | PostgresStore,
    *,
    other: CredentialStore | PostgresStore | None = None,
    lapse: Callable[[str], Awaitable[object]] | None = None,
) -> None:
    """Checks that a credential store meets the contract of `CredentialStore`. Call it from your tests.

    With `other` and `lapse`, it also checks the locks of a store that returns a `Lease` for them.

    Args:
        store: An empty store. The check leaves test data in it.
        other: Another instance of the store, as on another host.
        lapse: Ends the lease of a key now, for example by moving its expiry into the past.

    Raises:
        CredentialStoreError: With the first violation.
    """
    check_arguments(test_credential_store, locals())
    ends_leases = None if other is None or lapse is None else StoreBridge(None, lapse=lapse)
    stores = native_options({"store": store}), native_options({"store": other})
    await answer(_native.test_credential_store(*stores, ends_leases))


# Its name looks like a test to pytest.
test_credential_store.__test__ = False  # type: ignore[attr-defined]


def _events(batch: list[dict[str, Any]]) -> list[StartupEvent]:
    return [from_wire(StartupEvent, event) for event in batch]


# Not a decorator: it would hide from `stubtest` that a function is asynchronous.
for _call in (
    check,
    watch,
    check_blocking,
    not_checked,
    authorization,
    authorization_blocking,
    auth_status,
    begin_sign_in,
    finish_sign_in,
    sign_out,
):
    document_options(_call)
del _call
