"""Tests the results of starts, and that no process or request is left when they end."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from lab import Lab, User, wait_for_end, wait_for_pid

import mcp_startup
from mcp_startup import (
    Check,
    ConfigurationError,
    McpServerStartupFailureReason,
    McpServerStartupState,
    McpServerStatusUpdatedNotification,
    McpStartupError,
    Options,
    Recovery,
    StartPhase,
    StartupEvent,
    StartupFailureKind,
)

STARTING, READY = McpServerStartupState.STARTING, McpServerStartupState.READY
FAILED, CANCELLED = McpServerStartupState.FAILED, McpServerStartupState.CANCELLED

# One row for each kind of server. The rows contain the expected results.
ROWS = [
    "ready", "ready-modern", "ready-stored-token", "expired-but-served", "first-sign-in", "expired-no-refresh", "bearer-ok",
    "bearer-rejected", "insufficient-scope", "access-denied", "api-key", "server-500", "html-page", "wrong-resource",
    "damaged-record", "tools-insufficient-scope", "tools-500", "unknown-protocol-version", "discovery-500", "drops", "stdio-ready", "stdio-exits-3", "stdio-junk",
]  # fmt: skip


def by_name(events: list[StartupEvent]) -> dict[str, list[StartupEvent]]:
    grouped = defaultdict(list)
    for event in events:
        grouped[event.notification.name].append(event)
    return grouped


def assert_results(user: User, events: list[StartupEvent], rows: list[str]) -> None:
    """Checks that each server has one `STARTING` event and one closing event, as its row expects."""
    grouped = by_name(events)
    assert sorted(grouped) == sorted(rows)
    for name, of_one in grouped.items():
        starting, closing = of_one
        expected = user.lab.rows[name]["expect"]
        assert starting.notification.status is STARTING and starting.failure is None
        assert closing.notification.status == expected["state"], closing
        assert closing.notification.failure_reason == expected.get("reason")
        assert closing.notification.thread_id is None
        assert closing.elapsed_ms >= starting.elapsed_ms >= 0
        if expected["state"] == "ready":
            assert closing.failure is None and closing.notification.error is None
            # A server that does not list its tools has a warning instead of their number.
            assert (closing.tools is None) == (closing.warning is not None)
        else:
            failure = closing.failure
            assert failure is not None
            assert (failure.kind, failure.recovery) == (expected["kind"], expected["recovery"])
            assert failure.message == closing.notification.error and name in failure.message
            assert failure.evidence.server == name
            assert McpServerStatusUpdatedNotification.from_failure(name, failure) == closing.notification


async def collect(check: Check) -> list[StartupEvent]:
    return [event async for event in check]


async def test_every_server_has_the_result_that_its_row_expects(user: User) -> None:
    user.has(*ROWS)
    assert_results(user, await collect(mcp_startup.check(config=user.config)), ROWS)


def test_a_blocking_check_has_the_same_results(user: User) -> None:
    user.has(*ROWS)
    assert_results(user, list(mcp_startup.check_blocking(config=user.config)), ROWS)


async def test_the_reason_is_set_for_a_sign_in_again_and_not_for_a_first_one(user: User) -> None:
    user.has("expired-no-refresh", "first-sign-in", "ready")
    events = await collect(mcp_startup.check(config=str(user.config)))
    closing = {name: of_one[-1] for name, of_one in by_name(events).items()}
    again, first, ready = closing["expired-no-refresh"], closing["first-sign-in"], closing["ready"]
    assert again.notification.failure_reason is McpServerStartupFailureReason.REAUTHENTICATION_REQUIRED
    assert again.failure is not None and again.failure.recovery is Recovery.REAUTHENTICATE
    assert first.notification.failure_reason is None
    assert first.failure is not None and first.failure.kind is StartupFailureKind.SIGN_IN_REQUIRED
    assert ready.notification.status is READY and ready.phase is StartPhase.LISTING_TOOLS


async def test_servers_can_be_passed_as_a_mapping(shared_lab: Lab) -> None:
    servers = {"one": {"url": shared_lab.url("ready")}, "two": {"url": shared_lab.url("server-500")}}
    events = by_name(await collect(mcp_startup.check(mcp_servers=servers)))
    assert [events[name][-1].notification.status for name in ("one", "two")] == [READY, FAILED]


async def test_servers_selects_the_servers_to_start(user: User) -> None:
    user.has("ready", "server-500")
    assert set(by_name(await collect(mcp_startup.check(config=user.config, servers=["ready"])))) == {"ready"}
    # An empty list is different from no list.
    assert await collect(mcp_startup.check(config=user.config, servers=[])) == []


async def test_a_check_without_servers_has_no_events(user: User) -> None:
    assert await collect(mcp_startup.check(config=user.config)) == []
    assert list(mcp_startup.check_blocking(config=user.config)) == []


async def test_events_report_whether_a_server_is_required(user: User) -> None:
    user.has("ready", "ready-sse")
    with user.config.open("a") as file:
        file.write("required = true\n")
    events = by_name(await collect(mcp_startup.check(config=user.config)))
    assert {name: of_one[-1].required for name, of_one in events.items()} == {"ready": False, "ready-sse": True}


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_concurrency_limits_the_starts_and_not_the_results(user: User, concurrency: int) -> None:
    rows = ["ready", "server-500", "first-sign-in", "stdio-ready"]
    user.has(*rows)
    events = await collect(mcp_startup.check(config=user.config, concurrency=concurrency))
    assert_results(user, events, rows)
    under_way = most = 0
    for event in events:
        under_way += 1 if event.notification.status is STARTING else -1
        most = max(most, under_way)
    assert most <= concurrency


async def test_a_start_that_exceeds_the_time_limit_fails_with_timed_out(user: User) -> None:
    user.has("hangs", "ready", timeout_s=600)
    events = by_name(await collect(mcp_startup.check(config=user.config, timeout=0.3)))
    failure = events["hangs"][-1].failure
    assert failure is not None and failure.kind is StartupFailureKind.TIMED_OUT
    assert failure.evidence.limit_ms == 300
    assert failure.evidence.elapsed_ms is not None and 300 <= failure.evidence.elapsed_ms < 30_000


async def begun(check: Check, pid_file: Any) -> int:
    """Begins the check, and waits until its silent program runs. Returns the process ID."""
    event = await check.__anext__()
    assert event.notification.status is STARTING
    return await asyncio.to_thread(wait_for_pid, pid_file)


async def ended(pid: int) -> None:
    await asyncio.to_thread(wait_for_end, pid)


async def test_leaving_the_context_ends_every_start(user: User) -> None:
    pid_file = user.has_silent_program()
    async with mcp_startup.check(config=user.config) as check:
        pid = await begun(check, pid_file)
    await ended(pid)
    assert await collect(check) == []


async def test_an_exception_in_the_context_ends_every_start(user: User) -> None:
    pid_file = user.has_silent_program()
    with pytest.raises(ZeroDivisionError):
        async with mcp_startup.check(config=user.config) as check:
            pid = await begun(check, pid_file)
            raise ZeroDivisionError
    await ended(pid)


async def test_leaving_the_loop_ends_every_start(user: User) -> None:
    pid_file = user.has_silent_program()
    async for event in mcp_startup.check(config=user.config):
        assert event.notification.status is STARTING
        pid = await asyncio.to_thread(wait_for_pid, pid_file)
        break
    await ended(pid)


@pytest.mark.parametrize("close", ["close", "aclose"])
async def test_closing_the_iterator_ends_every_start(user: User, close: str) -> None:
    check = mcp_startup.check(config=user.config)
    pid = await begun(check, user.has_silent_program())
    waiting = asyncio.ensure_future(collect(check))
    # Let the task wait for the next event, which never arrives.
    await asyncio.sleep(0)
    closing = getattr(check, close)()
    if closing is not None:
        await closing
    assert await waiting == []
    await ended(pid)


async def test_dropping_the_iterator_ends_every_start(user: User) -> None:
    check = mcp_startup.check(config=user.config)
    pid = await begun(check, user.has_silent_program())
    del check
    gc.collect()
    await ended(pid)


@pytest.mark.parametrize("begin", [mcp_startup.check, mcp_startup.watch])
async def test_cancelling_the_task_ends_every_start(user: User, begin: Any) -> None:
    check = begin(config=user.config)
    pid = await begun(check, user.has_silent_program())
    task = asyncio.create_task(collect(check))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    # The starts end although the iterator is still referenced.
    await ended(pid)
    assert await collect(check) == []


async def test_a_timeout_of_asyncio_ends_every_start(user: User) -> None:
    check = mcp_startup.check(config=user.config)
    pid = await begun(check, user.has_silent_program())
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(check.__anext__(), 0.05)
    await ended(pid)


async def test_cancel_emits_cancelled_for_each_unfinished_start(user: User) -> None:
    pid_file = user.has_silent_program()
    user.has("ready")
    check = mcp_startup.check(config=user.config)
    events = []
    async for event in check:
        events.append(event)
        if event.notification.status is READY:
            pid = await asyncio.to_thread(wait_for_pid, pid_file)
            check.cancel()
    closing = {name: of_one[-1].notification.status for name, of_one in by_name(events).items()}
    assert closing == {"ready": READY, "silent": CANCELLED}
    assert len(events) == 4
    await ended(pid)


async def test_a_check_that_is_cancelled_before_iteration_starts_nothing(user: User) -> None:
    pid_file = user.has_silent_program()
    check = mcp_startup.check(config=user.config)
    check.cancel()
    assert await collect(check) == []
    assert not pid_file.exists()


async def test_nothing_starts_until_iteration(lab: Lab, own_user: User) -> None:
    own_user.has("ready")
    check = mcp_startup.check(config=own_user.config)
    blocking = mcp_startup.check_blocking(config=own_user.config)
    check.close()
    blocking.close()
    assert await collect(check) == [] and list(blocking) == []
    assert lab.requests("ready") == []


async def test_two_checks_at_once_do_not_affect_each_other(user: User) -> None:
    rows = ["ready", "first-sign-in", "expired-no-refresh", "stdio-ready"]
    user.has(*rows)
    both = await asyncio.gather(*(collect(mcp_startup.check(config=user.config)) for _ in range(2)))
    for events in both:
        assert_results(user, events, rows)


async def test_two_tasks_can_share_one_check(user: User) -> None:
    rows = ["ready", "ready-sse", "server-500", "first-sign-in"]
    user.has(*rows)
    check = mcp_startup.check(config=user.config)
    events = []

    async def read() -> None:
        async for event in check:
            events.append(event)

    await asyncio.gather(read(), read())
    assert_results(user, events, rows)


def test_checks_in_several_threads_do_not_affect_each_other(user: User) -> None:
    rows = ["ready", "first-sign-in", "stdio-ready"]
    user.has(*rows)

    def of_a_thread(_: int) -> list[StartupEvent]:
        return asyncio.run(collect(mcp_startup.check(config=user.config)))

    with ThreadPoolExecutor(4) as pool:
        for events in pool.map(of_a_thread, range(8)):
            assert_results(user, events, rows)


def test_a_blocking_check_releases_the_gil(user: User) -> None:
    user.has("hangs", timeout_s=1)
    counted = 0
    over = threading.Event()

    def count() -> None:
        nonlocal counted
        while not over.is_set():
            counted += 1

    other = threading.Thread(target=count)
    events = mcp_startup.check_blocking(config=user.config)
    assert next(events).notification.status is STARTING
    other.start()
    before = counted
    closing = next(events)
    after = counted
    over.set()
    other.join()
    assert closing.failure is not None and closing.failure.kind is StartupFailureKind.TIMED_OUT
    # If the check held the GIL, the other thread could not count.
    assert after - before > 1000


def test_leaving_the_loop_of_a_blocking_check_ends_every_start(user: User) -> None:
    pid_file = user.has_silent_program()
    for event in mcp_startup.check_blocking(config=user.config):
        assert event.notification.status is STARTING
        pid = wait_for_pid(pid_file)
        break
    wait_for_end(pid)


@pytest.mark.parametrize(
    ("content", "kind", "line"),
    [
        (None, "notFound", None),
        ("[mcp_servers.a\n", "syntax", 1),
        (b"\xff\xfe", "notUtf8", 1),
    ],
)
async def test_an_unusable_configuration_is_reported(
    user: User, content: str | bytes | None, kind: str, line: int | None
) -> None:
    user.config.unlink()
    if content is not None:
        user.config.write_bytes(content.encode() if isinstance(content, str) else content)
    for begin in [mcp_startup.check, mcp_startup.watch]:
        check = begin(config=user.config)
        with pytest.raises(ConfigurationError) as raised:
            await check.__anext__()
        # The error ends the iteration.
        assert await collect(check) == []
        error = raised.value
        assert (error.code, error.kind, error.line) == ("configuration", kind, line)
        assert error.path == str(user.config) and str(user.config) in str(error)
    with pytest.raises(ConfigurationError):
        list(mcp_startup.check_blocking(config=user.config))


async def test_an_unknown_server_is_reported(user: User) -> None:
    user.has("ready")
    calls = [
        collect(mcp_startup.check(config=user.config, servers=["reday"])),
        mcp_startup.authorization("reday", config=user.config),
        mcp_startup.auth_status("reday", config=user.config),
        mcp_startup.begin_sign_in("reday", "http://127.0.0.1/callback", config=user.config),
        mcp_startup.sign_out("reday", config=user.config),
    ]
    for call in calls:
        with pytest.raises(ConfigurationError) as raised:
            await call
        assert raised.value.kind == "unknownServer" and "reday" in str(raised.value)


async def test_an_invalid_entry_fails_only_its_own_server(user: User) -> None:
    user.has("ready")
    with user.config.open("a") as file:
        file.write("\n[mcp_servers.odd]\nurl = 7\n")
    events = by_name(await collect(mcp_startup.check(config=user.config)))
    assert events["ready"][-1].notification.status is READY
    failure = events["odd"][-1].failure
    assert failure is not None and failure.kind is StartupFailureKind.INVALID_CONFIGURATION
    assert failure.evidence.configuration is not None and failure.evidence.configuration.line is not None
