"""Credential stores that are implemented in Python."""

from __future__ import annotations

import asyncio
import inspect
import threading
import typing
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from . import _native


class CredentialStore(Protocol):
    """A custom store for OAuth credentials.

    A record is an opaque string. Store it unchanged, in a place that is safe for secrets.

    Refreshes rely on every rule of this class. `test_credential_store` checks them.

    * An exception never means "no record". Raise it if the store can't be read or written.
    * Exception messages are shown to users. They must not contain any part of a record.
    * The caller may abandon a call at any time. The call must still run to completion.
    """

    async def load(self, key: str, /) -> str | None:
        """Returns the record under `key`, or `None` if, and only if, there is no such record."""
        ...

    async def replace(self, key: str, expected: str | None, new: str | None, /) -> bool:
        """Replaces the record under `key` with `new` if the current record is `expected`. `None` means "no record" in both.

        The comparison and the write must be one atomic step across all processes.

        Returns:
            `True` if the change is durable, so that a crash can't lose it; `False`, without a change, if the current record is not
            `expected`.
        """
        ...

    def lock(self, key: str, /) -> AbstractAsyncContextManager[Any]:
        """Returns a context manager that holds the exclusive lock of `key` while it is entered.

        The lock excludes every other task and process that can reach the same record. It is held for the duration of a refresh. Wait
        for it without a time limit.

        If the lock can be lost, for example because its holder was paused, the context manager returns a `Lease`.
        `test_credential_store` has tests for stores with leases.
        """
        ...


@dataclass(frozen=True)
class PostgresStore:
    """The sign-ins of one user in PostgreSQL 13 or later, for applications with many users on several machines.

    The calls of a process share the connections to a database. The first call creates the tables, or updates them. Records are encrypted,
    and a refresh is sent by one machine at a time. The guide is `docs/many-users.md` in the repository.

    If the database can't be used when the first call connects, that call raises `CredentialStoreError`. The next call tries to connect
    again.
    """

    url: str = field(repr=False)
    """The URL, such as `postgres://app@db.example/credentials`. TLS is required unless the database is on this machine."""
    user: str = field(kw_only=True)
    """The stable ID of the user. Never use a name that someone else could get later."""
    tenant: str | None = field(default=None, kw_only=True)
    """The tenant of the user. By default, `default`."""
    keys: str | None = field(default=None, kw_only=True, repr=False)
    """The keys that encrypt the records: `ID:KEY`, separated by white space or commas.

    A key is 32 bytes in base64. The first one encrypts, and all of them decrypt. By default, the environment variable
    `MCP_STARTUP_STORE_KEYS` has them.
    """


@dataclass(frozen=True)
class LeaseState:
    """The state of a lease that was renewed."""

    remaining_ms: int
    """How long the lease lasts from the beginning of the call. At least 30,000."""
    sent_before_at_ms: int | None = None
    """When an earlier holder stored the same attempt, in ms since the Unix epoch. Such an attempt keeps its first time."""


@runtime_checkable
class Lease(Protocol):
    """A lock that ends by itself, at the latest one lease after its holder stopped. The engine renews it while it is held.

    A holder that lost its lock sends no refresh. It still saves tokens that it has received, with `replace`.
    """

    async def renew(self, attempt: str | None, /) -> LeaseState | None:
        """Extends the lease, unless the lock was lost.

        If `attempt` is a string, a refresh token that it represents is about to be sent: store it with the current time, durably and
        beyond the end of the lock.

        Returns:
            `None`, without a change, if another holder has taken the lock.
        """
        ...

    def end_attempt(self) -> None:
        """Notes that the outcome of the attempt is known, so that the release of the lock removes it."""
        ...


class StoreBridge:
    """Runs the calls of a store on an asyncio event loop, on behalf of threads that have none.

    The loop is the running one. With `own_loop`, or without a running loop, it runs on a background thread.
    """

    def __init__(
        self,
        store: CredentialStore | None,
        *,
        own_loop: bool = False,
        lapse: Callable[[str], Awaitable[object]] | None = None,
    ) -> None:
        # `None` if the bridge only ends leases.
        self._store: Any = store
        self._lapse = lapse
        self._held: dict[str, tuple[asyncio.Event, Lease | None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        try:
            self._loop = _background_loop() if own_loop else asyncio.get_running_loop()
        except RuntimeError:
            self._loop = _background_loop()

    def call(self, operation: str, arguments: list[Any], reply: _native.Reply) -> None:
        try:
            self._loop.call_soon_threadsafe(self._begin, operation, arguments, reply)
        except RuntimeError:
            # The loop was closed during a refresh. The new token must still be stored.
            self._loop = _background_loop()
            self._loop.call_soon_threadsafe(self._begin, operation, arguments, reply)

    def release(self, token: str, attempt_has_ended: bool) -> None:
        try:
            self._loop.call_soon_threadsafe(self._released, token, attempt_has_ended)
        except RuntimeError:
            # The loop was closed, which ended the tasks that held locks.
            pass

    def _begin(self, operation: str, arguments: list[Any], reply: _native.Reply) -> None:
        # The event loop keeps only weak references to its tasks.
        task = self._loop.create_task(self._run(operation, arguments, reply))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, operation: str, arguments: list[Any], reply: _native.Reply) -> None:
        try:
            if operation == "load":
                record = await _awaited("load", self._store.load(*arguments))
                reply.ok(_required("load", "a string or `None`", record, record is None or isinstance(record, str)))
            elif operation == "replace":
                replaced = await _awaited("replace", self._store.replace(*arguments))
                is_replaced = _required("replace", "`True` or `False`", replaced, isinstance(replaced, bool))
                reply.ok("" if is_replaced else None)
            elif operation == "renew":
                reply.ok(await self._renew(*arguments))
            elif operation == "lapse" and self._lapse is not None:
                await _awaited("lapse", self._lapse(*arguments))
                reply.ok(None)
            else:
                # Enter and exit in one task: some locks can't be released by another task.
                async with _lock(self._store.lock(*arguments)) as lock:
                    lease = lock if isinstance(lock, Lease) else None
                    token, event = f"{'lease ' if lease else ''}{id(reply)}", asyncio.Event()
                    self._held[token] = event, lease
                    try:
                        reply.ok(token)
                        await event.wait()
                    finally:
                        self._held.pop(token, None)
        except _BrokenRule as error:
            reply.error(str(error))
        except Exception as error:
            reply.error(f"{type(error).__name__}: {error}")
        except BaseException as error:
            # Without an answer, the caller would wait until its time limit.
            reply.error(f"{type(error).__name__}: {error}")
            # An exception such as `KeyboardInterrupt` would end the thread of the other stores.
            if self._loop is not _shared_loop:
                raise

    async def _renew(self, token: str, attempt: str | None) -> str | None:
        _, lease = self._held.get(token, (None, None))
        state = None if lease is None else await _awaited("renew", lease.renew(attempt))
        if state is None:
            return None
        _required("renew", "a `LeaseState` or `None`", state, isinstance(state, LeaseState))
        sent = state.sent_before_at_ms
        return str(state.remaining_ms) if sent is None else f"{state.remaining_ms} {sent}"

    def _released(self, token: str, attempt_has_ended: bool) -> None:
        event, lease = self._held.get(token, (None, None))
        if lease is not None and attempt_has_ended:
            lease.end_attempt()
        if event is not None:
            event.set()


class _BrokenRule(Exception):
    """A call of a store that breaks a rule of `CredentialStore`. The message names the call and the rule."""


async def _awaited(operation: str, started: Any) -> Any:
    if not inspect.isawaitable(started):
        raise _BrokenRule(f"`{operation}` must be a coroutine function (`async def`), but returned {_type_of(started)}")
    return await started


def _required(operation: str, rule: str, result: Any, is_met: bool) -> Any:
    if not is_met:
        raise _BrokenRule(f"`{operation}` must return {rule}, not {_type_of(result)}")
    return result


def _lock(lock: object) -> AbstractAsyncContextManager[Any]:
    if hasattr(type(lock), "__aenter__"):
        return typing.cast("AbstractAsyncContextManager[Any]", lock)
    if inspect.iscoroutine(lock):
        lock.close()
    raise _BrokenRule(f"`lock` must return an async context manager, such as that of `@asynccontextmanager`, not {_type_of(lock)}")


def _type_of(value: Any) -> str:
    # The value may be a record, which is secret.
    return "`None`" if value is None else f"a value of type {type(value).__name__}"


_shared_loop: asyncio.AbstractEventLoop | None = None
_shared_loop_lock = threading.Lock()


def _background_loop() -> asyncio.AbstractEventLoop:
    """Returns the event loop that runs on a background thread, for callers without a running loop."""
    global _shared_loop
    with _shared_loop_lock:
        if _shared_loop is None:
            _shared_loop = asyncio.new_event_loop()
            threading.Thread(target=_shared_loop.run_forever, name="mcp-startup-store", daemon=True).start()
        return _shared_loop
