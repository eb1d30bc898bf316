"""The client of an app-server: with scripted peers that misbehave, and with the program in the package."""

from __future__ import annotations

import asyncio
import copy
import json
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import urllib.request
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from lab import DEADLINE_S, HOME_VARIABLES, PROGRAM, User, is_alive, wait_for_end, wait_for_pid, wait_until

from mcp_startup import (
    METHOD,
    ClientScope,
    InvalidArgumentError,
    McpAuthStatus,
    McpServerConnectionStatus,
    McpServerStatusUpdatedNotification,
    McpStartupError,
    Recovery,
    Revocation,
)
from mcp_startup.app_server import (
    COMMAND,
    AppServerClient,
    AppServerError,
    CancelStatus,
    FailureReadResponse,
    FailureUpdatedNotification,
    Login,
    McpServerOauthLoginCompletedNotification,
    McpServerStatus,
    McpServerToolCallResponse,
    Notification,
    ServersListResponse,
    ServersUpdatedNotification,
    ToolCallProgressNotification,
)
from mcp_startup._reading import read

# A peer that answers `initialize`. The code in its first argument handles every other message.
PEER = r"""
import json, os, signal, sys, time
def write(data):
    sys.stdout.buffer.write(data); sys.stdout.buffer.flush()
def send(**message):
    write(json.dumps(message).encode() + b"\n")
def answer(result):
    send(id=message["id"], result=result)
seen = []
handle = compile(sys.argv[1], "handle", "exec")
for line in sys.stdin:
    message = json.loads(line)
    method = message.get("method")
    if method == "initialize":
        answer({"userAgent": "peer", "unknown": 1})
    else:
        seen.append(message)
        exec(handle)
"""

LOGIN = {"authorizationUrl": "https://auth.example/", "loginId": "l"}
COMPLETED = "mcpServer/oauthLogin/completed"
PROGRESS = "mcpStartup/toolCall/progress"


def peer(handle: str) -> list[str]:
    return [sys.executable, "-c", PEER, textwrap.dedent("    " + handle)]


def error_of(kind: str, call: Any) -> AppServerError:
    error = call.exception() if isinstance(call, asyncio.Future) else call
    assert isinstance(error, AppServerError) and isinstance(error, McpStartupError)
    assert (error.code, error.kind) == ("appServer", kind), error
    return error


async def failure(kind: str, call: Any) -> AppServerError:
    with pytest.raises(AppServerError) as raised:
        await call
    return error_of(kind, raised.value)


async def next_of(client: AppServerClient, matches: Callable[[Notification], bool]) -> Notification:
    async for notification in client.notifications():
        if matches(notification):
            return notification
    raise AssertionError("the client was closed")


def status_of(name: str, status: str) -> Callable[[Notification], bool]:
    def matches(notification: Notification) -> bool:
        params = notification.params
        return isinstance(params, McpServerStatusUpdatedNotification) and (params.name, params.status) == (name, status)

    return matches


# Scripted peers


async def test_a_message_in_pieces_is_read_as_one() -> None:
    handle = """if method == "a":
        for byte in json.dumps({"id": message["id"], "result": {"text": "\\u20ac"}}, ensure_ascii=False).encode() + b"\\r\\n":
            write(bytes([byte])); time.sleep(0.001)
    elif method == "b":
        # Two messages at once, and no line ending after the last one.
        write(json.dumps({"method": "n"}).encode() + b"\\n" + json.dumps({"id": message["id"], "result": 2}).encode())
        sys.exit()
    """
    async with AppServerClient(peer(handle)) as client:
        assert client.server.user_agent == "peer"
        assert await client.request("a") == {"text": "€"}
        assert await client.request("b") == 2
        assert (await next_of(client, lambda notification: True)).method == "n"


async def test_what_is_no_message_is_skipped() -> None:
    handle = r"""if method == "a":
        for garbage in [b"", b"npm notice", b"\xff\xfe", b"[" * 200_000, b"[]", b"1", b'"a"', b"null", b"{}", b'{"id":null,"error":{}}',
                b'{"id":true,"result":0}', b'{"id":[1],"result":0}', b'{"id":9999,"result":0}', b'{"method":7}', b"9" * 9999]:
            write(garbage + b"\n")
        send(method="n", params=[1])
        answer(1)
    """
    async with AppServerClient(peer(handle)) as client:
        assert await client.request("a") == 1
        assert await next_of(client, lambda _: True) == Notification(method="n", params={})


async def test_deep_and_long_values_do_not_end_the_connection() -> None:
    handle = """if method == "a":
        for depth in range(500, 1100, 3):
            deep = "[" * depth + "]" * depth
            write(('{"method":"mcpServer/startupStatus/updated","params":{"name":' + deep + '}}').encode() + b"\\n")
            write(('{"id":' + deep + ',"method":"q"}').encode() + b"\\n")
        send(id="q" * 16_000_000, method="q")
        for _ in range(10): send(method="n", params={"text": "a" * 10_000_000})
        answer(1)
    """
    async with AppServerClient(peer(handle)) as client:
        assert await client.request("a") == 1
    kept = [notification async for notification in client.notifications()]
    # At most 64 MiB are kept.
    assert len(kept) == 6 and kept[0].dropped > 4


async def test_the_end_of_the_peer_rejects_every_pending_request_once() -> None:
    handle = f"""if method == "mcpServer/oauth/login": answer({LOGIN!r})
    elif method == "end":
        send(method="last")
        write(b'{{"id":')
        os._exit(7)
    """
    async with AppServerClient(peer(handle)) as client:
        forgotten, login = await client.login("a"), await client.login("b")
        requests = [asyncio.ensure_future(client.request(method)) for method in ["a", "b", "end"]]
        await asyncio.wait(requests)
        for request, method in zip(requests, ["a", "b", "end"]):
            text = str(error_of("ended", request))
            assert "ended with status 7" in text and f"`{method}`" in text
        assert len({id(request.exception()) for request in requests}) == 3
        await failure("ended", login.completed())
        await failure("ended", login.completed())
        await failure("ended", client.request("a"))
        with pytest.raises(AppServerError, match="status 7"):
            async for notification in client.notifications():
                assert notification.method == "last"
        del forgotten


async def test_a_peer_that_closes_its_output_has_ended(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    handle = f"if method == 'a': open({str(pid)!r}, 'w').write(str(os.getpid())); os.close(1); time.sleep(300)"
    async with AppServerClient(peer(handle), end_timeout=0.2) as client:
        await failure("ended", client.request("a"))
    wait_for_end(int(pid.read_text()))


async def test_a_request_has_a_deadline_and_is_cancelled_at_the_peer() -> None:
    handle = """if method == "slow": slow = message["id"]
    elif method == "mcpStartup/request/cancel":
        # Codex refuses this method. The late response is ignored.
        send(id=message["id"], error={"code": -32600, "message": "unknown variant"})
        send(id=slow, result="late")
    elif method == "seen": answer([one for one in seen if one["method"] == "mcpStartup/request/cancel"])
    """
    async with AppServerClient(peer(handle)) as client:
        error = await failure("timeout", client.request("slow", timeout=0.05))
        assert "`slow`" in str(error) and error.rpc_code is None
        task = asyncio.ensure_future(client.request("slow"))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        cancelled = await client.request("seen")
        # 1 is `initialize`, 2 and 4 the slow requests, 3 and 5 their cancellations.
        assert [one["params"] for one in cancelled] == [{"requestId": 2}, {"requestId": 4}]


async def test_a_peer_that_does_not_read_keeps_requests_within_their_deadline() -> None:
    async with AppServerClient(peer("if method == 'initialized': time.sleep(300)"), end_timeout=0.1) as client:
        text = "a" * 1_000_000
        requests = [client.request("a", {"text": text}, timeout=0.3) for _ in range(5)]
        for error in await asyncio.gather(*requests, return_exceptions=True):
            error_of("timeout", error)


async def test_a_full_queue_drops_the_oldest_notifications_and_counts_them() -> None:
    handle = """if method == "a":
        for number in range(100): send(method="n", params={"number": number}, emittedAtMs=number)
        answer(1)
    """
    async with AppServerClient(peer(handle), max_notifications=10) as client:
        # The response does not wait for the notifications to be read.
        assert await client.request("a") == 1
        first = await next_of(client, lambda _: True)
        assert first == Notification(method="n", params={"number": 90}, emitted_at_ms=90, dropped=90)
        assert (await next_of(client, lambda _: True)).dropped == 0
    # The rest can still be read.
    assert [notification.emitted_at_ms async for notification in client.notifications()] == list(range(92, 100))


async def test_a_message_has_at_most_16_mib() -> None:
    handle = """if method == "a":
        head, tail = b'{"id":%d,"result":"' % message["id"], b'"}'
        write(head + b"a" * (16 * 1024 * 1024 - len(head) - len(tail)) + tail + b"\\n")
    elif method == "b":
        for _ in range(17): write(b"a" * 1024 * 1024)
    """
    async with AppServerClient(peer(handle)) as client:
        assert len(await client.request("a")) > 16_000_000
        with pytest.raises(InvalidArgumentError, match="16777216"):
            await client.request("a", {"text": "a" * 16 * 1024 * 1024})
        for value in (b"", float("nan")):
            with pytest.raises(InvalidArgumentError, match=r"^`params\.text` must be a value that JSON has, not "):
                await client.request("a", {"text": value})
        assert "16 MiB" in str(await failure("ended", client.request("b")))


@pytest.mark.parametrize(
    ("error", "code", "is_unknown", "is_overloaded", "reason"),
    [
        ({"code": -32600, "message": "unknown variant `a`"}, -32600, True, False, None),
        ({"code": -32601, "message": ""}, -32601, True, False, None),
        ({"code": -32602, "message": ""}, -32602, True, False, None),
        ({"code": -32001, "message": "", "data": None}, -32001, False, True, None),
        ({"code": -32603, "message": "a\n\x1b[1m", "data": {"reason": "notConnected"}}, -32603, False, False, "notConnected"),
        ({"code": "x", "message": None, "data": {"reason": 7}}, None, False, False, None),
        ({}, None, False, False, None),
    ],
)
async def test_an_error_response_has_its_code_and_data(
    error: dict[str, Any], code: int | None, is_unknown: bool, is_overloaded: bool, reason: str | None
) -> None:
    async with AppServerClient(peer(f"if 'id' in message: send(id=message['id'], error={error!r})")) as client:
        raised = await failure("response", client.retry("a"))
    assert (raised.rpc_code, raised.data, raised.reason) == (code, error.get("data"), reason)
    assert (raised.is_unknown_method, raised.is_overloaded) == (is_unknown, is_overloaded)
    assert "`mcpStartup/retry`" in str(raised) and str(raised).isprintable()
    assert pickle.loads(pickle.dumps(raised)) == raised and hash(raised) == hash(copy.copy(raised))


async def test_a_request_of_the_peer_is_refused() -> None:
    handle = """if method == "a": asked = message["id"]; send(id="q", method="mcpServer/elicitation/request", params={})
    elif message.get("id") == "q": send(id=asked, result=message["error"]["code"])
    """
    async with AppServerClient(peer(handle)) as client:
        assert await client.request("a") == -32601


SERVER = {"name": "a", "tools": {}, "resources": [], "resourceTemplates": [], "authStatus": "oAuth"}


async def test_values_of_a_newer_peer_are_kept_and_its_fields_ignored() -> None:
    newer = {**SERVER, "runtimeStatus": "hibernating", "authStatus": "passkey", "new": {"a": 1}}
    older = {**SERVER, "runtimeStatus": "connected", "environmentId": None}
    async with AppServerClient(peer(f"if 'id' in message: answer({{'data': [{newer!r}, {older!r}]}})")) as client:
        first, second = await client.list_servers()
    assert first.runtime_status == "hibernating" and isinstance(first.runtime_status, McpServerConnectionStatus)
    assert first.auth_status == "passkey" and not first.auth_status.is_known
    assert first.to_dict() == {name: value for name, value in newer.items() if name not in ("new", "resources", "resourceTemplates")}
    for same in (pickle.loads(pickle.dumps(first)), copy.deepcopy(first)):
        assert same == first and isinstance(same.auth_status, McpAuthStatus)
    assert second.runtime_status is McpServerConnectionStatus.CONNECTED and second.auth_status is McpAuthStatus.OAUTH
    assert second.auth_status.is_known and pickle.loads(pickle.dumps(second.auth_status)) is McpAuthStatus.OAUTH


@pytest.mark.parametrize(
    ("result", "problem"),
    [
        (None, "it is not an object"),
        ({}, "`data` is missing"),
        ({"data": {}}, "`data` is not an array"),
        ({"data": [{**SERVER, "name": 7}]}, "`data[0].name` is not a string"),
        ({"data": [SERVER, {**SERVER, "authStatus": None}]}, "`data[1].authStatus` is not a string"),
        ({"data": [{**SERVER, "tools": []}]}, "`data[0].tools` is not an object"),
        ({"data": [], "nextCursor": 1}, "`nextCursor` is not a string"),
        ({"data": [], "nextCursor": "same"}, "the pages have no end"),
    ],
)
async def test_a_result_that_does_not_fit_names_the_field(result: Any, problem: str) -> None:
    async with AppServerClient(peer(f"if 'id' in message: answer({result!r})")) as client:
        assert problem in str(await failure("invalidResponse", client.list_servers()))


async def test_a_notification_that_does_not_fit_is_returned_unchanged() -> None:
    handle = f"""if method == "initialized":
        send(method={METHOD!r}, params={{"name": 7}})
        send(method={METHOD!r}, params={{"name": "a", "status": "queued", "environmentId": "e"}})
        send(method={COMPLETED!r}, params={{"name": "a"}})
    """
    async with AppServerClient(peer(handle)) as client:
        assert (await next_of(client, lambda _: True)).params == {"name": 7}
        params = (await next_of(client, lambda _: True)).params
        assert isinstance(params, McpServerStatusUpdatedNotification)
        assert (params.status, params.environment_id) == ("queued", "e")
        assert (await next_of(client, lambda _: True)).params == {"name": "a"}


@pytest.mark.parametrize("login_id", ["l", None])
@pytest.mark.parametrize("order", ["response first", "completion first", "at once"])
async def test_the_end_of_a_login_is_found_by_its_id(login_id: str | None, order: str) -> None:
    handle = f"""if method == "mcpServer/oauth/login":
        result = {{"authorizationUrl": "https://auth.example/", "loginId": {login_id!r}}}
        ends = [("b", "other", False), ("a", {login_id!r}, True)]
        ends = b"".join(json.dumps({{"method": {COMPLETED!r}, "params": {{"name": name, "loginId": id, "success": success}}}}).encode()
            + b"\\n" for name, id, success in ends)
        response = json.dumps({{"id": message["id"], "result": result}}).encode() + b"\\n"
        if {order!r} == "at once": write(response + ends)
        elif {order!r} == "completion first": write(ends + response)
        else: write(response); time.sleep(0.05); write(ends)
    """
    async with AppServerClient(peer(handle)) as client:
        # The end of the first sign-in must not be taken for that of the second.
        for _ in range(2):
            login = await client.login("a", scopes=["mcp:read"], timeout_secs=60)
            assert (login.name, login.login_id, login.authorization_url) == ("a", login_id, "https://auth.example/")
            assert (await login.completed(timeout=DEADLINE_S)).success
            assert await login.completed() == await login.completed()


async def test_waiting_for_a_login_can_end_before_the_login() -> None:
    handle = f"""if method == "mcpServer/oauth/login": answer({LOGIN!r})
    elif method == "end": send(method={COMPLETED!r}, params={{"name": "a", "loginId": "l", "success": False, "error": "no"}})
    """
    async with AppServerClient(peer(handle)) as client:
        login = await client.login("a")
        await failure("timeout", login.completed(timeout=0.01))
        waiting = asyncio.ensure_future(login.completed())
        await asyncio.sleep(0)
        waiting.cancel()
        task = asyncio.ensure_future(client.request("end"))
        ended = await login.completed()
        assert (ended.success, ended.error) == (False, "no")
        task.cancel()


# Reports progress of the last two calls, and answers them, in one chunk.
PROGRESS_OF_TWO = f"""if method == "mcpServer/tool/call" and len([one for one in seen if one["method"] == method]) == 2:
        first, second = [one["id"] for one in seen if one["method"] == method]
        def progress(id, progress, **fields):
            params = {{"requestId": id, "threadId": "t", "server": "a", "progress": progress, "total": None, "message": None, **fields}}
            return {{"method": {PROGRESS!r}, "params": params}}
        messages = [
            progress(first, 1, total=3, message="begun"), progress(second, 0.5),
            # There is no such call, or the request has ended.
            progress(99, 7), progress(-1, 7), progress(str(first), 7), progress(1, 7),
            progress(first, 2), {{"id": first, "result": {{"content": []}}}}, progress(first, 7),
            {{"id": second, "error": {{"code": -32603, "message": "no"}}}}, progress(second, 7),
        ]
        write(b"".join(json.dumps(one).encode() + b"\\n" for one in messages))
    elif method == "a": answer(1)
    """


async def test_the_progress_of_each_call_reaches_its_caller_before_the_result() -> None:
    events: list[tuple[Any, ...]] = []

    async def call(client: AppServerClient, name: str) -> None:
        def on_progress(step: ToolCallProgressNotification) -> None:
            assert isinstance(step.progress, float)
            events.append((name, step.progress, step.total, step.message))

        try:
            await client.call_tool("a", name, thread_id="t", on_progress=on_progress)
        finally:
            events.append((name, "ended"))

    async with AppServerClient(peer(PROGRESS_OF_TWO)) as client:
        calls = await asyncio.gather(call(client, "first"), call(client, "second"), return_exceptions=True)
        assert calls[0] is None and error_of("response", calls[1])
        # All messages have been read.
        assert await client.request("a") == 1
    assert events == [
        ("first", 1.0, 3.0, "begun"),
        ("second", 0.5, None, None),
        ("first", 2.0, None, None),
        ("first", "ended"),
        ("second", "ended"),
    ]
    received = [one.params async for one in client.notifications()]
    assert all(isinstance(params, ToolCallProgressNotification) for params in received)
    assert [(params.request_id, params.progress) for params in received if isinstance(params, ToolCallProgressNotification)] == [
        (2, 1.0), (3, 0.5), (99, 7.0), (-1, 7.0), ("2", 7.0), (1, 7.0), (2, 2.0), (2, 7.0), (3, 7.0)
    ]  # fmt: skip


async def test_a_call_that_is_cancelled_or_overdue_has_no_more_progress() -> None:
    handle = f"""def progress(id):
        send(method={PROGRESS!r}, params={{"requestId": id, "threadId": "t", "server": "a", "progress": id, "total": 9, "message": None}})
    if method == "mcpServer/tool/call": progress(message["id"])
    elif method == "mcpStartup/request/cancel": progress(message["params"]["requestId"])
    elif method == "a": answer(1)
    """
    async with AppServerClient(peer(handle)) as client:
        steps: list[float | None] = []
        began = asyncio.Event()

        def on_progress(step: ToolCallProgressNotification) -> None:
            steps.append(step.total)
            began.set()

        task = asyncio.ensure_future(client.call_tool("a", "b", thread_id="t", on_progress=on_progress))
        await began.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await failure("timeout", client.call_tool("a", "b", thread_id="t", timeout=0.05, on_progress=on_progress))
        before = list(steps)
        # The peer reports progress of both calls after it has received their cancellations, and before this response.
        assert await client.request("a") == 1
    assert steps == before
    assert len([one async for one in client.notifications()]) == 4


async def test_an_exception_of_on_progress_goes_to_the_event_loop_and_the_call_continues() -> None:
    contexts: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: contexts.append(context))
    seen: list[float] = []

    def on_progress(step: ToolCallProgressNotification) -> None:
        seen.append(step.progress)
        raise LookupError(step.progress) if step.progress == 1 else asyncio.CancelledError

    async with AppServerClient(peer(PROGRESS_OF_TWO)) as client:
        first, second = await asyncio.gather(
            client.call_tool("a", "first", thread_id="t", on_progress=on_progress),
            client.call_tool("a", "second", thread_id="t"),
            return_exceptions=True,
        )
    assert isinstance(first, McpServerToolCallResponse) and error_of("response", second)
    assert seen == [1.0, 2.0]
    assert [type(context["exception"]) for context in contexts] == [LookupError, asyncio.CancelledError]
    assert all("`mcpServer/tool/call`" in context["message"] for context in contexts)


PROGRESS_PARAMS = {"requestId": 1, "threadId": "t", "server": "a", "progress": 1.5, "total": None, "message": None}


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"requestId": None}, "`requestId` is neither an integer nor a string"),
        ({"requestId": True}, "`requestId` is neither an integer nor a string"),
        ({"requestId": 1.0}, "`requestId` is neither an integer nor a string"),
        ({"threadId": None}, "`threadId` is not a string"),
        ({"server": 7}, "`server` is not a string"),
        ({"progress": None}, "`progress` is not a finite number"),
        ({"progress": True}, "`progress` is not a finite number"),
        ({"progress": "1"}, "`progress` is not a finite number"),
        ({"progress": 10**400}, "`progress` is not a finite number"),
        ({"progress": float("inf")}, "`progress` is not a finite number"),
        ({"total": float("nan")}, "`total` is not a finite number"),
        ({"message": 7}, "`message` is not a string"),
    ],
)
async def test_progress_that_does_not_fit_reaches_no_call(fields: dict[str, Any], problem: str) -> None:
    params = {**PROGRESS_PARAMS, **fields}
    with pytest.raises(ValueError, match=problem):
        read(ToolCallProgressNotification, params)
    id = 'message["id"]' if "requestId" not in fields else repr(fields["requestId"])
    handle = f"""if method == "mcpServer/tool/call":
        inf, nan = float("inf"), float("nan")
        send(method={PROGRESS!r}, params={{**{params!r}, "requestId": {id}}})
        answer({{"content": []}})
    """
    steps: list[ToolCallProgressNotification] = []
    async with AppServerClient(peer(handle)) as client:
        await client.call_tool("a", "b", thread_id="t", on_progress=steps.append)
        assert isinstance((await next_of(client, lambda _: True)).params, dict)
    assert steps == []


def test_progress_is_converted_to_json_and_back() -> None:
    progress = read(ToolCallProgressNotification, {**PROGRESS_PARAMS, "requestId": "x", "progress": 2, "total": 3, "new": 1})
    assert progress == ToolCallProgressNotification(request_id="x", thread_id="t", server="a", progress=2.0, total=3.0)
    assert progress.to_dict() == {"requestId": "x", "threadId": "t", "server": "a", "progress": 2.0, "total": 3.0}
    assert pickle.loads(pickle.dumps(progress)) == progress


# Processes

# Ignores the end of its input and SIGTERM, and starts a process that does, too.
STUBBORN = """
import json, os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
def write(name, pid):
    with open(name + ".new", "w") as file: file.write(str(pid))
    os.rename(name + ".new", name)
write(sys.argv[1], os.getpid()); write(sys.argv[1] + ".child", child.pid)
message = json.loads(sys.stdin.readline())
if len(sys.argv) > 2: time.sleep(300)
print(json.dumps({"id": message["id"], "result": {"userAgent": "stubborn"}}), flush=True)
time.sleep(300)
"""


def stubborn(tmp_path: Path, *more: str) -> list[str]:
    return [sys.executable, "-c", STUBBORN, str(tmp_path / "pid"), *more]


def assert_gone(tmp_path: Path) -> None:
    wait_for_end(wait_for_pid(tmp_path / "pid"))
    pid = wait_for_pid(tmp_path / "pid.child")
    wait_until(f"process {pid} has exited", lambda: not is_alive(pid) or is_zombie(pid))


def is_zombie(pid: int) -> bool:
    """Whether the process has exited, but its new parent, PID 1, has not reaped it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return False


@pytest.mark.parametrize("body", ["return", "raise", "cancel", "cancel twice"])
async def test_no_process_is_left(tmp_path: Path, body: str) -> None:
    entered = asyncio.Event()

    async def use() -> None:
        async with AppServerClient(stubborn(tmp_path), end_timeout=60 if body == "cancel twice" else 0.1) as client:
            wait_for_pid(tmp_path / "pid.child")
            entered.set()
            if body == "raise":
                raise LookupError
            if body.startswith("cancel"):
                await client.request("a")

    task = asyncio.ensure_future(use())
    await entered.wait()
    if body.startswith("cancel"):
        task.cancel()
    if body == "cancel twice":
        # The second cancellation ends the wait for the end, and kills the process at once.
        await asyncio.sleep(0.1)
        task.cancel()
    await asyncio.wait([task], timeout=DEADLINE_S)
    assert task.cancelled() if body.startswith("cancel") else isinstance(task.exception(), LookupError | None)
    assert_gone(tmp_path)


async def test_no_process_is_left_if_initialize_is_not_answered(tmp_path: Path) -> None:
    client = AppServerClient(stubborn(tmp_path, "silent"), timeout=1, end_timeout=0.1)
    await failure("timeout", client.__aenter__())
    assert_gone(tmp_path)


async def test_a_polite_peer_is_not_killed(tmp_path: Path) -> None:
    file = tmp_path / "ended"
    handle = """if method == "a":
        signal.signal(signal.SIGTERM, lambda *_: os._exit(9)); answer(1)
        rest = sys.stdin.read()
        with open(message["params"]["file"], "w") as file: file.write("ended by itself")
        os._exit(0)
    """
    async with AppServerClient(peer(handle)) as client:
        pending = asyncio.ensure_future(client.request("b"))
        assert await client.request("a", {"file": str(file)}) == 1
    assert file.read_text() == "ended by itself"
    error_of("ended", pending)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"command": "codex --token sk-secret"}, "`command` must be a list of strings, not a string"),
        ({"command": ["codex", 1]}, "`command[1]` must be a string, not 1"),
        ({"cwd": 5}, "`cwd` must be a string or a `Path`, not 5"),
        ({"env": {"A": 1}}, "`env` must be a mapping of strings to strings, not one with 1"),
        ({"name": 5}, "`name` must be a string, not 5"),
        ({"opt_out": "a"}, "`opt_out` must be a list of strings, not 'a'"),
        ({"timeout": "x"}, "`timeout` must be a number of seconds from 0.001 to 2592000, not 'x'"),
        ({"timeout": -1}, "`timeout` must be a number of seconds from 0.001 to 2592000, not -1"),
        ({"end_timeout": 0}, "`end_timeout` must be a number of seconds from 0.001 to 2592000, not 0"),
        ({"max_notifications": 0}, "`max_notifications` must be a whole number from 1 to 1000000000, not 0"),
        ({"max_notifications": "1"}, "`max_notifications` must be a whole number from 1 to 1000000000, not '1'"),
    ],
)
async def test_an_invalid_argument_is_refused_when_the_client_is_created(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        AppServerClient(**arguments)
    assert str(raised.value) == message


REQUESTS: list[tuple[Callable[[AppServerClient, Any], Awaitable[object]], Any, str]] = [
    (lambda client, x: client.list_servers(timeout=x), "x", "`timeout` must be a number of seconds from 0.001 to 2592000, not 'x'"),
    (lambda client, x: client.list_servers(detail=x), "all", "`detail` must be `full` or `toolsAndAuthOnly`, not 'all'"),
    (lambda client, x: client.retry(x), 5, "`name` must be a string, not 5"),
    (lambda client, x: client.login("a", scopes=x), "b", "`scopes` must be a list of strings, not 'b'"),
    (lambda client, x: client.start_thread(cwd=x), 5, "`cwd` must be a string, not 5"),
    (lambda client, x: client.call_tool("a", "b", x, thread_id="t"), [], "`arguments` must be a mapping, not a value of type list"),
    (lambda client, x: client.call_tool("a", "b", thread_id="t", on_progress=x), 5, "`on_progress` must be a function, not 5"),
    (lambda client, x: client.request("a", {"b": x}), {1}, "`params.b` must be a value that JSON has, not a value of type set"),
]


@pytest.mark.parametrize(("request_with", "value", "message"), REQUESTS)
async def test_an_invalid_argument_of_a_request_is_refused(
    request_with: Callable[[AppServerClient, Any], Awaitable[object]], value: Any, message: str
) -> None:
    async with AppServerClient(peer("")) as client:
        with pytest.raises(InvalidArgumentError) as raised:
            await request_with(client, value)
    assert str(raised.value) == message


async def test_the_advice_for_an_app_server_that_does_not_start_is_to_check_its_command() -> None:
    error = await failure("ended", AppServerClient([*COMMAND, "--bad"], stderr=subprocess.DEVNULL).__aenter__())
    assert "status 2" in str(error) and str(error).endswith("Check its command, and the messages that it wrote to stderr.")


async def test_a_client_reports_what_can_not_be_started(tmp_path: Path) -> None:
    error = await failure("notStarted", AppServerClient([str(tmp_path / "codex"), "app-server"]).__aenter__())
    assert "codex app-server" in str(error)
    with pytest.raises(InvalidArgumentError):
        await AppServerClient([]).__aenter__()
    await failure("ended", AppServerClient([sys.executable, "-c", ""]).__aenter__())
    unused = AppServerClient()
    with pytest.raises(RuntimeError):
        await unused.list_servers()
    await unused.close()
    with pytest.raises(RuntimeError):
        await unused.__aenter__()


# On other systems, each event loop starts processes.
if sys.platform == "win32":

    def test_an_event_loop_that_starts_no_processes_is_named() -> None:
        loop = asyncio.SelectorEventLoop()
        error = loop.run_until_complete(failure("notStarted", AppServerClient([sys.executable, "-c", ""]).__aenter__()))
        loop.close()
        assert "SelectorEventLoop" in str(error) and "ProactorEventLoop" in str(error)


def test_the_package_does_not_load_the_client() -> None:
    code = "import sys, mcp_startup; assert 'mcp_startup.app_server' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


# The program in the package


def program(user: User) -> list[str]:
    assert list(COMMAND) == [*PROGRAM, "app-server"]
    return [*COMMAND, "--config", str(user.config)]


def open_page(login: Login) -> None:
    # The page redirects to the app-server's own listener.
    urllib.request.urlopen(login.authorization_url, timeout=DEADLINE_S).close()


async def test_sign_in_and_sign_out(own_user: User) -> None:
    name = "first-sign-in"
    own_user.has("ready", name)
    async with AppServerClient(program(own_user)) as client:
        assert client.server.user_agent.startswith("mcp-startup/")
        servers = {server.name: server for server in await client.list_servers(page_size=1)}
        assert list(servers) == sorted(["ready", name])
        assert servers["ready"].runtime_status is McpServerConnectionStatus.CONNECTED
        assert set(servers["ready"].tools) == {"tool-1", "tool-2", "tool-3"}
        assert servers[name].runtime_status is McpServerConnectionStatus.AUTHENTICATION_REQUIRED
        assert servers[name].auth_status is McpAuthStatus.NOT_LOGGED_IN

        report = await client.read_failure(name)
        assert report.status == "failed" and report.failure is not None and report.timeline["entries"]
        assert report.failure.recovery is Recovery.SIGN_IN
        updated = await next_of(client, lambda one: isinstance(one.params, FailureUpdatedNotification))
        assert isinstance(updated.params, FailureUpdatedNotification) and updated.params.failure == report.failure

        login = await client.login(name)
        await asyncio.to_thread(open_page, login)
        ended = await login.completed(timeout=DEADLINE_S)
        assert ended == McpServerOauthLoginCompletedNotification(name=name, login_id=login.login_id, success=True)
        ready = await next_of(client, status_of(name, "ready"))
        assert ready.method == METHOD and ready.emitted_at_ms is not None and ready.dropped == 0
        [server] = await client.list_servers(server_name=name, detail="toolsAndAuthOnly")
        assert server.auth_status is McpAuthStatus.OAUTH
        assert (await client.read_failure(name)).failure is None

        out = await client.sign_out(name)
        assert (out.was_stored, out.revocation) == (True, Revocation.REVOKED)
        await next_of(client, status_of(name, "failed"))
        assert own_user.record(name) is None


async def test_a_login_can_be_cancelled(user: User) -> None:
    user.has("first-sign-in")
    async with AppServerClient(program(user), opt_out=["mcpStartup/failure/updated"]) as client:
        login = await client.login("first-sign-in", timeout_secs=60, client_registration="dcr")
        assert login.login_id is not None
        assert await client.cancel_login(login.login_id) is CancelStatus.CANCELED
        ended = await login.completed(timeout=DEADLINE_S)
        assert not ended.success and ended.error
        assert await client.cancel_login(login.login_id) is CancelStatus.NOT_FOUND


CODEX = os.environ.get("MCP_STARTUP_CODEX")


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(None, id="mcp-startup"),
        pytest.param(
            [str(CODEX), "app-server"],
            marks=pytest.mark.skipif(CODEX is None, reason="MCP_STARTUP_CODEX is not set to a `codex` 0.171"),
            id="codex",
        ),
    ],
)
async def test_codex_and_this_app_server_have_the_same_client(own_user: User, command: list[str] | None) -> None:
    # Nothing listens at the port of the provider, so Codex connects to no one else.
    provider = 'model = "m"\nmodel_provider = "none"\n'
    table = '[model_providers.none]\nname = "none"\nbase_url = "http://127.0.0.1:9/v1"\n'
    own_user.config.write_text(provider + own_user.config.read_text() + table)
    own_user.has("ready", "first-sign-in", "expired-no-refresh")
    env = {**os.environ, **dict.fromkeys(HOME_VARIABLES, str(own_user.home)), "CODEX_HOME": str(own_user.home)}
    async with AppServerClient(command or program(own_user), env=env, stderr=subprocess.DEVNULL) as client:
        servers = await client.list_servers(page_size=1)
        assert [server.name for server in servers] == ["expired-no-refresh", "first-sign-in", "ready"]
        assert {server.auth_status for server in servers} == {McpAuthStatus.NOT_LOGGED_IN}
        assert len(servers[2].tools) == 3

        thread = await client.start_thread(cwd=str(own_user.home))
        ended: dict[str, str | None] = {}
        async for one in client.notifications():
            if isinstance(one.params, McpServerStatusUpdatedNotification) and one.params.status != "starting":
                ended[one.params.name] = one.params.failure_reason or one.params.status
            if len(ended) == 3:
                break
        expected = {"expired-no-refresh": "reauthenticationRequired", "first-sign-in": "failed", "ready": "ready"}
        assert ended == expected
        states = {server.name: server.runtime_status for server in await client.list_servers(thread_id=thread)}
        assert states == {
            "expired-no-refresh": McpServerConnectionStatus.AUTHENTICATION_REQUIRED,
            "first-sign-in": McpServerConnectionStatus.AUTHENTICATION_REQUIRED,
            "ready": McpServerConnectionStatus.CONNECTED,
        }

        login = await client.login("first-sign-in")
        await asyncio.to_thread(open_page, login)
        assert (await login.completed(timeout=DEADLINE_S)).success
        await next_of(client, status_of("first-sign-in", "ready"))
        assert own_user.record("first-sign-in") is not None

        await client.reload()
        for call in (client.login("missing"), client.request("no/such"), client.request("thread/start", {"cwd": 7})):
            assert (await failure("response", call)).is_unknown_method


async def test_tools_resources_and_reload(user: User) -> None:
    user.has("server-500")
    env = {**os.environ, **dict.fromkeys(HOME_VARIABLES, str(user.home)), "CODEX_HOME": str(user.home)}
    async with AppServerClient(program(user), env=env, cwd=user.home) as client:
        thread = await client.start_thread()
        refused = await failure("response", client.call_tool("server-500", "echo", thread_id=thread))
        assert refused.reason == "notConnected"
        await next_of(client, status_of("server-500", "failed"))
        await client.retry("server-500")
        await next_of(client, status_of("server-500", "failed"))

        user.has_tool()
        await client.reload()
        await next_of(client, status_of("own", "ready"))
        [own] = await client.list_servers(server_name="own", thread_id=thread)
        assert isinstance(own, McpServerStatus) and own.server_info and own.server_info["name"] == "own"
        assert [resource["uri"] for resource in own.resources] == ["own://a"]
        result = await client.call_tool("own", "echo", {"a": 1}, thread_id=thread)
        assert (result.content[0]["text"], result.meta) == ("{'a': 1}", {"a": 1})
        assert result.to_dict()["_meta"] == {"a": 1}

        # Several calls at the same time: each one has its own progress.
        async def count(last: int) -> None:
            steps: list[ToolCallProgressNotification] = []
            await client.call_tool("own", "echo", {"a": last}, thread_id=thread, on_progress=steps.append)
            assert {(step.thread_id, step.server) for step in steps} == {(thread, "own")}
            assert len({step.request_id for step in steps}) == 1
            expected: list[Any] = [(number, None, None) for number in range(1, last)] + [(last, last, "last")]
            assert [(step.progress, step.total, step.message) for step in steps] == expected

        await asyncio.gather(*map(count, [1, 2, 3]))
        read = await client.read_resource("own", "own://a")
        assert read.contents[0]["text"] == "contents"

        unknown = await failure("response", client.read_failure("missing"))
        assert unknown.is_unknown_method and unknown.rpc_code == -32602
        lacking = await failure("response", client.request("no/such"))
        assert lacking.is_unknown_method and lacking.rpc_code == -32601
        assert any(file.path == str(user.config) for file in await client.list_clients())
        listed = await client.list_configured_servers()
        assert [server.name for server in listed.servers] == ["server-500", "own"]
        configured = listed.servers[1]
        assert configured.enabled and configured.path == str(user.config) and configured.line and configured.owners == ()
        assert (listed.not_checked, listed.unreadable) == ((), ())


def test_the_servers_of_clients_are_typed() -> None:
    owner = {"client": "cursor", "clientName": "Cursor", "scope": "user", "path": "/a/mcp.json", "name": "docs"}
    server = {"name": "docs", "enabled": False, "path": "/a/mcp.json", "line": 3, "key": "mcpServers.docs", "owners": [owner]}
    answer = {"servers": [server], "notChecked": [{**owner, "why": "it needs an input"}], "unreadable": ["Codex: line 1"]}
    listed = read(ServersListResponse, answer)
    assert listed.to_dict() == answer
    assert listed.servers[0].owners[0].scope is ClientScope.USER
    assert (listed.not_checked[0].why, listed.not_checked[0].client_name) == ("it needs an input", "Cursor")


OWNER = {"client": "cursor", "clientName": "Cursor", "scope": "user", "path": "/a/mcp.json", "name": "docs"}


@pytest.mark.parametrize(
    ("target", "value"),
    [
        (FailureReadResponse, {"name": "a", "status": "ready", "phase": "listingTools", "elapsedMs": 7, "required": True}),
        (FailureUpdatedNotification, {"name": "a", "retryInMs": 1000}),
        (McpServerOauthLoginCompletedNotification, {"name": "a", "success": True}),
        (McpServerStatus, SERVER),
        (ServersListResponse, {"servers": [{"name": "a", "enabled": True, "owners": [OWNER]}], "notChecked": [{**OWNER, "why": "no"}]}),
        (ServersUpdatedNotification, {}),
        (ToolCallProgressNotification, PROGRESS_PARAMS),
    ],
)
def test_pydantic_reads_and_writes_messages(target: type[Any], value: dict[str, Any]) -> None:
    adapter = pytest.importorskip("pydantic").TypeAdapter(target)
    message = read(target, value)
    assert adapter.validate_json(adapter.dump_json(message)) == message


async def test_the_servers_end_with_the_client(user: User) -> None:
    pid_file = user.has_silent_program()
    async with AppServerClient(program(user)):
        pid = await asyncio.to_thread(wait_for_pid, pid_file)
        assert is_alive(pid)
    await asyncio.to_thread(wait_for_end, pid)


async def test_a_killed_app_server_has_ended(user: User) -> None:
    user.has_silent_program()
    async with AppServerClient(program(user)) as client:
        waiting = asyncio.ensure_future(client.list_servers())
        await next_of(client, status_of("silent", "starting"))
        assert client.pid is not None
        # On Windows, this signal kills, too.
        os.kill(client.pid, signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)
        await failure("ended", waiting)
