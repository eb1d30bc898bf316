"""A credential store that an application writes in Python."""

from __future__ import annotations

import asyncio
import threading
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from . import _native


class CredentialStore(Protocol):
    """A place of the application's own where sign-ins are kept. A record is a text, to be kept as it is, in a place for secrets.

    Whoever refreshes a credential relies on each sentence here: `test_credential_store` holds a store to them.

    * An exception never means "nothing stored". Its text is shown to people; nothing of a record belongs in it.
    * A call may be given up at any time, and goes on to its end.
    """

    async def load(self, key: str, /) -> str | None:
        """The record under `key`; `None` where nothing is stored, and only there."""
        ...

    async def replace(self, key: str, expected: str | None, new: str | None, /) -> bool:
        """Stores `new` under `key`, or deletes what is there if `new` is `None`, if what is stored is `expected`.

        Comparing and storing are one step among all processes. `False` where something else is stored: nothing is changed then.
        `True` means that no crash takes the record away.
        """
        ...

    def lock(self, key: str, /) -> AbstractAsyncContextManager[Any]:
        """Excludes every other task and process that can reach the same record, while the context is entered. It is held for as
        long as a refresh takes, and waited for without a limit."""
        ...


class StoreBridge:
    """Runs a store on a loop of asyncio, for threads that have none."""

    def __init__(self, store: CredentialStore) -> None:
        self._store = store
        self._held: dict[str, asyncio.Event] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        try:
            self._loop = asyncio.get_running_loop()
        except RuntimeError:
            self._loop = _loop_of_its_own()

    def call(self, operation: str, arguments: list[Any], reply: _native.Reply) -> None:
        try:
            self._loop.call_soon_threadsafe(self._begin, operation, arguments, reply)
        except RuntimeError:
            # The loop was closed, with a refresh under way: what that gave is stored all the same.
            self._loop = _loop_of_its_own()
            self._loop.call_soon_threadsafe(self._begin, operation, arguments, reply)

    def release(self, token: str) -> None:
        try:
            self._loop.call_soon_threadsafe(self._released, token)
        except RuntimeError:
            # The loop was closed, and the tasks that held locks with it.
            pass

    def _begin(self, operation: str, arguments: list[Any], reply: _native.Reply) -> None:
        # A loop keeps no strong reference to its tasks.
        task = self._loop.create_task(self._run(operation, arguments, reply))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, operation: str, arguments: list[Any], reply: _native.Reply) -> None:
        try:
            if operation == "load":
                reply.ok(await self._store.load(*arguments))
            elif operation == "replace":
                reply.ok("" if await self._store.replace(*arguments) else None)
            else:
                # One task from beginning to end: not every lock can be given back by another.
                async with self._store.lock(*arguments):
                    token, event = str(id(reply)), asyncio.Event()
                    self._held[token] = event
                    try:
                        reply.ok(token)
                        await event.wait()
                    finally:
                        self._held.pop(token, None)
        except Exception as error:
            reply.error(f"{type(error).__name__}: {error}")

    def _released(self, token: str) -> None:
        event = self._held.get(token)
        if event is not None:
            event.set()


_own_loop: asyncio.AbstractEventLoop | None = None
_own_loop_lock = threading.Lock()


def _loop_of_its_own() -> asyncio.AbstractEventLoop:
    """A loop on a thread of its own, for calls that are made where none is running."""
    global _own_loop
    with _own_loop_lock:
        if _own_loop is None:
            _own_loop = asyncio.new_event_loop()
            threading.Thread(target=_own_loop.run_forever, name="mcp-startup-store", daemon=True).start()
        return _own_loop
