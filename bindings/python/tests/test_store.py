"""Credential stores written in Python: `test_credential_store`, and how the engine uses a store."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from lab import Lab, key_of, run_python, sign_in, wait_until
from stores import (
    CannotLock,
    CannotReplace,
    Forgets,
    LocksNothing,
    MemoryStore,
    Mixes,
    Overwrites,
    Raises,
)

import mcp_startup
from mcp_startup import (
    CredentialStoreError,
    CredentialStoreTrouble,
    McpAuthStatus,
    McpServerStartupState,
    Rejected,
    SignInError,
    StartupEvent,
    StartupFailedError,
    StartupFailureKind,
)

READY, FAILED = McpServerStartupState.READY, McpServerStartupState.FAILED


class Stored:
    """A row of the lab whose record is in a custom store."""

    def __init__(self, lab: Lab, name: str, store: MemoryStore) -> None:
        self.lab, self.name, self.store = lab, name, store
        self.key = key_of(name, lab.url(name))
        record = lab.record(name)
        if record is not None:
            store.records[self.key] = json.dumps(record)
        self.options: mcp_startup.Options = {"mcp_servers": {name: {"url": lab.url(name)}}, "store": store}

    def record(self) -> dict[str, Any]:
        record: dict[str, Any] = json.loads(self.store.records[self.key])
        return record


async def closing(options: mcp_startup.Options) -> StartupEvent:
    events = [event async for event in mcp_startup.check(**options)]
    assert len(events) == 2
    return events[-1]


async def test_a_correct_store_passes() -> None:
    store = MemoryStore()
    await mcp_startup.test_credential_store(store)
    assert store.held == set()


@pytest.mark.parametrize("store", [Forgets, Overwrites, LocksNothing, Mixes, Raises, CannotReplace, CannotLock])
async def test_a_broken_store_is_reported(store: type[MemoryStore]) -> None:
    with pytest.raises(CredentialStoreError) as raised:
        await mcp_startup.test_credential_store(store())
    assert raised.value.code == "credentialStore" and "the credential store failed the conformance test" in str(raised.value)


@pytest.mark.parametrize("waits", ["asyncio", "blocking"])
async def test_a_check_uses_the_stored_token(lab: Lab, waits: str) -> None:
    stored = Stored(lab, "ready-stored-token", MemoryStore())
    if waits == "asyncio":
        event = await closing(stored.options)
    else:
        events = await asyncio.to_thread(lambda: list(mcp_startup.check_blocking(**stored.options)))
        event = events[-1]
    assert event.notification.status is READY
    assert lab.tokens_sent(stored.name) == ["good-token"]
    status = await mcp_startup.auth_status(stored.name, **stored.options)
    assert (status.status, status.store) == (McpAuthStatus.OAUTH, "host")


@pytest.mark.parametrize("waits", ["asyncio", "blocking"])
async def test_a_rotated_token_is_stored(lab: Lab, waits: str) -> None:
    stored = Stored(lab, "expired-rotates", MemoryStore())
    if waits == "asyncio":
        event = await closing(stored.options)
    else:
        events = await asyncio.to_thread(lambda: list(mcp_startup.check_blocking(**stored.options)))
        event = events[-1]
    assert event.notification.status is READY and event.not_saved is None
    record = stored.record()
    assert (record["access_token"], record["refresh_token"]) == ("fresh-token-1", "fresh-refresh-1")
    assert lab.refreshes(stored.name) == ["good-refresh"]
    await asyncio.to_thread(wait_until, "the lock is released", lambda: not stored.store.held)


async def test_sign_in_and_sign_out_use_the_store(lab: Lab) -> None:
    stored = Stored(lab, "first-sign-in", MemoryStore())
    await sign_in(stored.name, **stored.options)
    assert stored.record()["access_token"] == "fresh-token-1"
    assert (await closing(stored.options)).notification.status is READY
    out = await mcp_startup.sign_out(stored.name, **stored.options)
    assert out.was_stored and stored.store.records == {}


async def test_a_store_that_raises_does_not_mean_signed_out(lab: Lab) -> None:
    stored = Stored(lab, "first-sign-in", Raises())
    event = await closing(stored.options)
    failure = event.failure
    assert failure is not None and failure.kind is StartupFailureKind.CREDENTIAL_STORE_UNAVAILABLE
    assert event.notification.failure_reason is None
    assert failure.evidence.store is not None
    assert failure.evidence.store.trouble is CredentialStoreTrouble.UNREADABLE
    assert failure.evidence.store.detail is not None and "the vault is locked" in failure.evidence.store.detail
    status = await mcp_startup.auth_status(stored.name, **stored.options)
    assert status.status is None
    assert status.store_error is not None and "the vault is locked" in status.store_error.detail
    with pytest.raises(StartupFailedError) as raised:
        await mcp_startup.authorization(stored.name, Rejected(), **stored.options)
    assert raised.value.failure.kind is StartupFailureKind.CREDENTIAL_STORE_UNAVAILABLE


async def test_no_refresh_is_sent_if_the_store_cannot_be_written(lab: Lab) -> None:
    """The store must prove that it is writable before the old refresh token is used."""
    stored = Stored(lab, "expired-rotates", CannotReplace())
    failure = (await closing(stored.options)).failure
    assert failure is not None and failure.kind is StartupFailureKind.CREDENTIAL_STORE_UNAVAILABLE
    assert lab.refreshes(stored.name) == []
    other = Stored(lab, "first-sign-in", CannotReplace())
    with pytest.raises(SignInError) as raised:
        await sign_in(other.name, **other.options)
    assert raised.value.kind == "storeFailed"


async def test_a_malformed_record_is_corrupt(lab: Lab) -> None:
    stored = Stored(lab, "ready-stored-token", MemoryStore())
    stored.store.records[stored.key] = "{"
    status = await mcp_startup.auth_status(stored.name, **stored.options)
    assert status.store_error is not None and status.store_error.trouble is CredentialStoreTrouble.CORRUPT


async def async_result(result: object) -> Any:
    return result


# A method of a store that breaks a rule, and the message.
BROKEN: list[tuple[str, Callable[..., Any], str]] = [
    ("load", lambda key: async_result(7), "`load` must return a string or `None`, not a value of type int"),
    ("load", lambda key: async_result(b"{}"), "`load` must return a string or `None`, not a value of type bytes"),
    ("load", lambda key: None, "`load` must be a coroutine function (`async def`), but returned `None`"),
    ("load", lambda key: "{}", "`load` must be a coroutine function (`async def`), but returned a value of type str"),
    ("replace", lambda key, expected, new: async_result(None), "`replace` must return `True` or `False`, not `None`"),
    ("replace", lambda key, expected, new: async_result(1), "`replace` must return `True` or `False`, not a value of type int"),
    ("replace", lambda key, expected, new: True, "`replace` must be a coroutine function (`async def`), but returned a value of type bool"),
    (
        "lock",
        lambda key: async_result(None),
        "`lock` must return an async context manager, such as that of `@asynccontextmanager`, not a value of type coroutine",
    ),
]


@pytest.mark.parametrize(("method", "broken", "message"), BROKEN)
async def test_a_store_that_breaks_a_rule_is_told_the_rule(method: str, broken: Callable[..., Any], message: str) -> None:
    store = MemoryStore()
    setattr(store, method, broken)
    with pytest.raises(CredentialStoreError) as raised:
        await mcp_startup.test_credential_store(store)
    assert message in str(raised.value)


async def test_a_store_that_is_not_empty_is_not_tested() -> None:
    store = MemoryStore()
    await mcp_startup.test_credential_store(store)
    with pytest.raises(CredentialStoreError, match="the store must be empty, but `load` returned a record under `whole|"):
        await mcp_startup.test_credential_store(store)


@pytest.mark.parametrize("raised", [asyncio.CancelledError, KeyboardInterrupt, SystemExit])
async def test_any_exception_of_a_store_ends_its_call(lab: Lab, raised: type[BaseException]) -> None:
    """Also in a check that blocks, whose store runs on a thread of its own."""
    stored = Stored(lab, "first-sign-in", MemoryStore())

    async def load(key: str) -> str | None:
        raise raised

    stored.store.load = load  # type: ignore[method-assign]
    for _ in range(2):
        *_, event = await asyncio.to_thread(lambda: list(mcp_startup.check_blocking(**stored.options, timeout=20)))
        assert event.failure is not None and event.failure.kind is StartupFailureKind.CREDENTIAL_STORE_UNAVAILABLE
        assert "the application's own credential store can't be read" in event.failure.message


async def test_a_store_that_hangs_is_named(lab: Lab) -> None:
    stored = Stored(lab, "first-sign-in", MemoryStore())

    async def load(key: str) -> str | None:
        await asyncio.Event().wait()
        return None

    stored.store.load = load  # type: ignore[method-assign]
    failure = (await closing({**stored.options, "timeout": 0.5})).failure
    assert failure is not None and failure.kind is StartupFailureKind.TIMED_OUT
    assert "because the application's own credential store did not answer" in failure.message


async def test_secrets_in_an_error_of_the_store_are_masked(lab: Lab) -> None:
    """A database quotes the statement that failed, which contains the record."""
    stored = Stored(lab, "first-sign-in", MemoryStore())

    async def replace(key: str, expected: str | None, new: str | None) -> bool:
        raise ValueError(f"INSERT INTO records VALUES ({new})")

    stored.store.replace = replace  # type: ignore[method-assign]
    with pytest.raises(SignInError) as raised:
        await sign_in(stored.name, **stored.options)
    assert "fresh-token-1" not in repr(raised.value) and "fresh-refresh-1" not in repr(raised.value)


async def test_a_check_waits_for_the_lock_and_uses_the_token_that_the_holder_stored(lab: Lab) -> None:
    stored = Stored(lab, "expired-rotates", MemoryStore())
    async with stored.store.lock(stored.key):
        task = asyncio.create_task(closing(stored.options))
        await asyncio.to_thread(wait_until, "it waits for the lock", lambda: stored.store.waiting)
        # Meanwhile, the holder of the lock refreshes the token.
        record = stored.record()
        record |= {"access_token": "good-token", "expires_at": None, "refresh_token": "theirs"}
        stored.store.records[stored.key] = json.dumps(record)
        assert not task.done() and lab.refreshes(stored.name) == []
    assert (await task).notification.status is READY
    # The check sends no refresh and uses the holder's token.
    assert lab.refreshes(stored.name) == [] and lab.tokens_sent(stored.name) == ["good-token"]
    assert stored.record()["refresh_token"] == "theirs"


async def test_a_check_that_is_cancelled_while_it_waits_for_a_lock_does_not_hold_it(lab: Lab) -> None:
    stored = Stored(lab, "expired-rotates", MemoryStore())
    async with stored.store.lock(stored.key):
        task = asyncio.create_task(closing(stored.options))
        await asyncio.to_thread(wait_until, "it waits for the lock", lambda: stored.store.waiting)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await asyncio.to_thread(
        wait_until, "the lock is free", lambda: not stored.store.waiting and not stored.store.held
    )
    assert lab.refreshes(stored.name) == []
    assert (await closing(stored.options)).notification.status is READY


async def test_a_check_that_is_cancelled_during_a_refresh_saves_the_token_and_releases_the_lock(lab: Lab) -> None:
    stored = Stored(lab, "expired-rotates", MemoryStore())
    original, sent, proceed = stored.store.replace, asyncio.Event(), asyncio.Event()

    async def replace(key: str, expected: str | None, new: str | None) -> bool:
        if lab.refreshes(stored.name):
            sent.set()
            await proceed.wait()
        return await original(key, expected, new)

    stored.store.replace = replace  # type: ignore[method-assign]
    task = asyncio.create_task(closing(stored.options))
    await sent.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert stored.store.held == {stored.key}
    proceed.set()
    await asyncio.to_thread(wait_until, "the lock is released", lambda: not stored.store.held)
    assert stored.record()["refresh_token"] == "fresh-refresh-1"


async def test_a_watch_notices_a_sign_in_through_the_store(lab: Lab) -> None:
    stored = Stored(lab, "first-sign-in", MemoryStore())
    async with mcp_startup.watch(**stored.options) as watch:
        async for event in watch:
            if event.notification.status is FAILED:
                await sign_in(stored.name, **stored.options)
            if event.notification.status is READY:
                break


async def test_several_event_loops_can_share_a_store(lab: Lab) -> None:
    stored = Stored(lab, "expired-rotates", MemoryStore())
    headers = await asyncio.gather(
        *(
            asyncio.to_thread(lambda: asyncio.run(mcp_startup.authorization(stored.name, **stored.options)))
            for _ in range(4)
        )
    )
    assert headers == ["Bearer fresh-token-1"] * 4
    assert lab.refreshes(stored.name) == ["good-refresh"]


async def test_a_lock_is_released_by_the_task_that_acquired_it(lab: Lab) -> None:
    """`asyncio.timeout`, task groups and thread locks require it."""
    stored = Stored(lab, "expired-rotates", MemoryStore())
    original, entered, left = stored.store.lock, [], []

    @contextlib.asynccontextmanager
    async def lock(key: str) -> AsyncIterator[None]:
        async with original(key):
            entered.append((asyncio.current_task(), threading.get_ident()))
            yield
            left.append((asyncio.current_task(), threading.get_ident()))

    stored.store.lock = lock  # type: ignore[method-assign]
    await closing(stored.options)
    await asyncio.to_thread(wait_until, "the lock is released", lambda: left)
    assert entered == left


# A store in a file. Its `replace` is slow once the refresh was sent, and the loop is closed in the meantime.
EXITS_DURING_A_REFRESH = """
import asyncio, json, sys, time
from contextlib import asynccontextmanager
import mcp_startup

file, name, url, how = sys.argv[1:]

class SlowStore:
    replaces = 0
    begun = asyncio.Event()
    async def load(self, key):
        with open(file) as opened:
            return json.load(opened).get(key)
    async def replace(self, key, expected, new):
        with open(file) as opened:
            records = json.load(opened)
        if records.get(key) != expected:
            return False
        if new is not None and "fresh-token-1" in new:
            SlowStore.replaces += 1
            self.begun.set()
            await asyncio.sleep(0.1)
        records[key] = new
        with open(file, "w") as opened:
            json.dump(records, opened)
        return True
    @asynccontextmanager
    async def lock(self, key):
        yield

async def collect(options):
    return [event async for event in mcp_startup.check(**options)]

async def main():
    store = SlowStore()
    task = asyncio.create_task(collect({"mcp_servers": {name: {"url": url}}, "store": store}))
    await store.begun.wait()
    if how == "exits":
        sys.exit(0)

asyncio.run(main())
"""


@pytest.mark.parametrize("how", ["returns", "exits"])
def test_a_refreshed_token_is_stored_although_the_loop_and_the_process_end(lab: Lab, tmp_path: Path, how: str) -> None:
    name = "expired-rotates"
    key = key_of(name, lab.url(name))
    file = tmp_path / "records.json"
    file.write_text(json.dumps({key: json.dumps(lab.record(name))}))
    run_python(EXITS_DURING_A_REFRESH, str(file), name, lab.url(name), how)
    record = json.loads(json.loads(file.read_text())[key])
    assert (record["access_token"], record["refresh_token"]) == ("fresh-token-1", "fresh-refresh-1")
