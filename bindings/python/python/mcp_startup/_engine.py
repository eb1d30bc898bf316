"""Starting servers, and signing in and out."""

from __future__ import annotations

import asyncio
import atexit
import collections
import dataclasses
import json
import os
import typing
from collections.abc import AsyncIterator, Generator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypedDict

from . import _native
from ._errors import unwrap
from ._generated import CredentialStoreTrouble, CredentialWorth, McpAuthStatus, StartPhase, StartupFailure
from ._native import McpServerStatusUpdatedNotification
from ._store import CredentialStore, StoreBridge
from ._wire import WireEnum, from_wire

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

# A new token that an authorization server has given out is stored before the process ends.
atexit.register(_native.finish)


class Options(TypedDict, total=False):
    """Which servers, and how they are started. All of it may be left out."""

    config: str | os.PathLike[str] | None
    """The configuration: Codex's `config.toml` or an `mcpServers` JSON. `~/` is the user's folder. Codex's own, unless told otherwise."""

    mcp_servers: Mapping[str, Any] | None
    """The servers themselves, in place of a file: what stands under `mcpServers` in a `.mcp.json`."""

    servers: Sequence[str] | None
    """The names of those that are meant; those that are enabled, unless told otherwise."""

    timeout: float | None
    """How long each start may take, in seconds, over what the configuration says."""

    concurrency: int | None
    """How many servers start at once."""

    client_metadata_url: str | None
    """The URL of the application's client id metadata document, where it publishes one."""

    store: CredentialStore | None
    """A credential store of the application's own, in place of where Codex keeps credentials."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StartupEvent:
    """The state of one server's start has changed. For each start: one with `STARTING`, and then exactly one more."""

    notification: McpServerStatusUpdatedNotification
    """The notification, as it goes over the wire."""

    phase: StartPhase
    """How far the start had come; on `READY`, the last phase it went through."""

    elapsed_ms: int
    """The time since the start began, in ms."""

    required: bool
    """Whether the configuration says that the app can't do without this server."""

    failure: StartupFailure | None
    """Why it failed: on `FAILED`, and on nothing else."""

    not_saved: str | None
    """Why a token that was refreshed in this start could not be saved."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A request that a server has answered with 401."""

    authorization: str | None = dataclasses.field(default=None, repr=False)
    """The value of its `Authorization` header; `None` where it had none."""

    challenge: str | None = dataclasses.field(default=None, repr=False)
    """The `WWW-Authenticate` of the answer."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StoreError:
    """Why it can't be known what is stored."""

    store: str
    """Which store: `file`, `keyring`, or as the configuration calls it."""

    trouble: CredentialStoreTrouble
    """Why, as a stable value."""

    detail: str
    """Why, as the rest of a sentence."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AuthStatus:
    """How a client is authorized at a server, and what is stored for it. No secret is in it."""

    status: McpAuthStatus | None
    """`None` where that can't be known: nothing usable is stored, and the server was not asked or did not answer."""

    worth: CredentialWorth | None
    """What is stored is worth this; `None` where nothing is stored for exactly this server."""

    expires_at_ms: int | None
    """When the stored access token expires, in ms since the Unix epoch, where the record says."""

    scopes: tuple[str, ...]
    """The scopes that were granted."""

    issuer: str | None
    """Who granted it."""

    store: str | None
    """The place where it is stored: `file`, `keyring` or `host`."""

    store_error: StoreError | None
    """Why it can't be known what is stored."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SignInBegun:
    """A sign-in that has begun. Neither part prints: both hold secrets."""

    authorization_url: str = dataclasses.field(repr=False)
    """Where the user signs in: to be opened in their browser."""

    pending: str = dataclasses.field(repr=False)
    """What finishes it, once and within 15 minutes, in this process or another."""


class Revocation(WireEnum):
    """What became of the tokens at the authorization server."""

    REVOKED = "revoked"
    """The authorization server says that it is done."""

    NOT_OFFERED = "notOffered"
    """It offers no revocation, or the record does not say which server it was: they expire."""

    FAILED = "failed"
    """It was asked, and did not say that it is done: they may be good until they expire."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SignedOut:
    """What signing out came to."""

    was_stored: bool
    """Whether anything was stored."""

    revocation: Revocation
    """What became of the tokens at the authorization server."""


class Check(AsyncIterator[StartupEvent]):
    """Starts under way: an async iterator of events, and an async context manager that ends them.

    Nothing begins before the first event is asked for. When the iterator is closed or forgotten, or the task that waits for it is cancelled, every start
    ends at once; no program and no request is left.
    """

    def __init__(self, options: Options) -> None:
        _refuse_unknown(options)
        self._options = options
        self._events: _native.Events | None = None
        self._ready: collections.deque[StartupEvent] = collections.deque()
        self._is_cancelled = False
        self._is_closed = False

    def cancel(self) -> None:
        """Gives up what is still starting: each such start says `CANCELLED`, and there are no events after that."""
        self._is_cancelled = True
        if self._events is not None:
            self._events.cancel()

    def close(self) -> None:
        """Ends every start at once. There are no more events."""
        self._is_closed = True
        self._ready.clear()
        if self._events is not None:
            self._events.close()

    async def aclose(self) -> None:
        """The same, as an async iterator has it."""
        self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> StartupEvent:
        if not self._ready and not self._is_closed:
            try:
                self._ready.extend(_events(await _answer(self._running().next())))
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
            # Not before: a store runs on the loop that asks.
            self._events = self._begin(*_native_options(self._options))
            if self._is_cancelled:
                self._events.cancel()
        return self._events

    def _begin(self, options: str, store: StoreBridge | None) -> _native.Events:
        return _native.Events.of_check(options, store)


class Watch(Check):
    """Starts that go on: a server that failed is started again when that may help. It ends when it is cancelled or closed."""

    def retry(self, name: str) -> None:
        """Starts the server of this name again now, if it has failed. Does nothing if it is starting or ready."""
        if self._events is not None:
            self._events.retry(name)

    def _begin(self, options: str, store: StoreBridge | None) -> _native.Events:
        return _native.Events.of_watch(options, store)


def check(**options: Unpack[Options]) -> Check:
    """Starts every enabled server, says what each start came to, and closes each when its state is known.

    The first event raises `ConfigurationError` where there is no such configuration.
    """
    return Check(options)


def watch(**options: Unpack[Options]) -> Watch:
    """The same, and goes on: a server that failed is started again

    * when `Watch.retry` asks for it;
    * when what is stored for it has changed: a sign-in by any process;
    * by itself, where the failure's recovery is `RETRY`: after 1 s, then 2 s, 4 s and so on up to 5 min.
    """
    return Watch(options)


def check_blocking(**options: Unpack[Options]) -> Generator[StartupEvent, None, None]:
    """The same as `check`, for a thread that may wait. The GIL is free meanwhile."""
    _refuse_unknown(options)
    return _check_blocking(options)


def _check_blocking(options: Options) -> Generator[StartupEvent, None, None]:
    events = _native.Events.of_check(*_native_options(options))
    try:
        while batch := _events(unwrap(_wait(events.next()))):
            yield from batch
    finally:
        events.close()


async def authorization(
    server: str, rejected: Rejected | None = None, **options: Unpack[Options]
) -> str | None:
    """The `Authorization` header for a request that the application makes itself, with another SDK; `None` where it is to have none.

    Asked without `rejected`, it is what to send first. Where the server answers 401 all the same, what was sent goes in as `rejected`,
    and out comes what to send once more: through the same store, lock and refresh as that of a start.

    Raises `StartupFailedError`, with the verdict, where nothing is left to send.
    """
    was_rejected = rejected is not None
    rejected = rejected or Rejected()
    header: str | None = await _answer(
        _native.authorization(
            *_native_options(options), server, was_rejected, rejected.authorization, rejected.challenge
        )
    )
    return header


async def auth_status(server: str, *, online: bool = False, **options: Unpack[Options]) -> AuthStatus:
    """How a client is authorized at a server, and what is stored for it. Without `online` nothing is sent."""
    return from_wire(AuthStatus, await _answer(_native.auth_status(*_native_options(options), server, online)))


async def begin_sign_in(server: str, redirect_uri: str, **options: Unpack[Options]) -> SignInBegun:
    """Begins a sign-in: gives the URL to open in the user's browser, and what finishes it. `redirect_uri` is where they come back to:
    `http` on loopback, `https`, or a scheme of the app's own.

    Nothing is stored before it is finished. Raises `SignInError`.
    """
    begun = await _answer(_native.begin_sign_in(*_native_options(options), server, redirect_uri))
    return from_wire(SignInBegun, begun)


async def finish_sign_in(pending: str, callback_url: str, **options: Unpack[Options]) -> None:
    """Finishes a sign-in with the whole URL that the browser came back with, and stores what is granted. Raises `SignInError`."""
    await _answer(_native.finish_sign_in(*_native_options(options), pending, callback_url))


async def sign_out(server: str, **options: Unpack[Options]) -> SignedOut:
    """Signs out: what was granted is revoked where that is offered, and what is stored is removed, whatever came of that.

    Raises `SignInError` where what is stored can't be read or removed.
    """
    return from_wire(SignedOut, await _answer(_native.sign_out(*_native_options(options), server)))


async def test_credential_store(store: CredentialStore) -> None:
    """Holds a store to what every store must do. It is to be empty, and what is left in it afterwards is rubbish.

    Raises `CredentialStoreError` with the first thing that it does not do.
    """
    await _answer(_native.test_credential_store(StoreBridge(store)))


# pytest is not to take it for a test.
test_credential_store.__test__ = False  # type: ignore[attr-defined]


def _refuse_unknown(options: Options) -> None:
    unknown = options.keys() - Options.__annotations__.keys()
    if unknown:
        raise TypeError(f"there is no option {', '.join(map(repr, sorted(unknown)))}")


def _native_options(options: Options) -> tuple[str, StoreBridge | None]:
    """The options as JSON, and the store."""
    _refuse_unknown(options)
    store, timeout, config = options.get("store"), options.get("timeout"), options.get("config")
    wire = {
        "config": None if config is None else os.fspath(config),
        "mcpServers": options.get("mcp_servers"),
        "servers": options.get("servers"),
        "timeoutMs": None if timeout is None else round(timeout * 1000),
        "concurrency": options.get("concurrency"),
        "clientMetadataUrl": options.get("client_metadata_url"),
    }
    return json.dumps(wire), None if store is None else StoreBridge(store)


async def _answer(call: _native.Call) -> Any:
    """Waits on the loop for what the call comes to; cancelled, it gives the call up."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[str] = loop.create_future()

    def settle(answer: str) -> None:
        if not future.done():
            future.set_result(answer)

    def reply(answer: str) -> None:
        try:
            loop.call_soon_threadsafe(settle, answer)
        except RuntimeError:
            # The loop was closed, and nobody waits any more.
            pass

    call.then(reply)
    try:
        return unwrap(await future)
    except asyncio.CancelledError:
        call.abort()
        raise


def _wait(call: _native.Call) -> str:
    """Waits on this thread. In between Python looks for signals, Ctrl-C among them."""
    try:
        while (answer := call.wait(100)) is None:
            pass
        return answer
    except BaseException:
        call.abort()
        raise


def _events(batch: list[dict[str, Any]]) -> list[StartupEvent]:
    return [_event(event) for event in batch]


def _event(event: dict[str, Any]) -> StartupEvent:
    line = json.dumps({"method": _native.METHOD, "params": event["notification"]})
    failure = event["failure"]
    return StartupEvent(
        notification=typing.cast(McpServerStatusUpdatedNotification, _native.decode(line)),
        phase=StartPhase(event["phase"]),
        elapsed_ms=event["elapsedMs"],
        required=event["required"],
        failure=None if failure is None else from_wire(StartupFailure, failure),
        not_saved=event["notSaved"],
    )
