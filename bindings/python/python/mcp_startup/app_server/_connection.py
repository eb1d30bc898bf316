"""The process of an app-server, and the messages over its standard input and output."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, cast

from .._arguments import to_json_value
from .._errors import InvalidArgumentError
from ._errors import AppServerError
from ._messages import ToolCallProgressNotification
from ._process_tree import START_OPTIONS, ProcessTree

MAX_LINE_BYTES = 16 * 1024 * 1024
"""The maximum length of a message, as in Codex's app-server."""

# How long the rest of the output, or the exit status, may follow the other at the end of the process.
_REST_S = 1.0

# The maximum length of the app-server's text and of its command in an exception.
_MAX_MESSAGE_CHARS = 2000
_MAX_COMMAND_CHARS = 200
# The maximum length of the ID of a request that is refused.
_MAX_ID_CHARS = 200

_log = logging.getLogger("mcp_startup.app_server")

OnProgress = Callable[[ToolCallProgressNotification], None]
"""Receives the progress of a request."""


class _Pending(NamedTuple):
    method: str
    result: asyncio.Future[Any]
    on_progress: OnProgress | None


class Connection(asyncio.SubprocessProtocol):
    """A running app-server. Everything happens on the event loop that started it."""

    def __init__(
        self, command: Sequence[str], on_notification: Callable[[dict[str, Any], int], None], on_end: Callable[[], None]
    ) -> None:
        if not command:
            raise InvalidArgumentError("`command` is empty: it takes a program and its arguments")
        self._command = command
        self._name = _printable(shlex.join(command), _MAX_COMMAND_CHARS)
        self._on_notification = on_notification
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.SubprocessTransport | None = None
        self._tree: ProcessTree | None = None
        self._unread = bytearray()
        self._pending: dict[int, _Pending] = {}
        self._last_id = 0
        self._error: AppServerError | None = None
        self._is_output_open = True
        self._exited = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()

    async def start(
        self, *, cwd: str | os.PathLike[str] | None, env: Mapping[str, str] | None, stderr: Any
    ) -> None:
        """Starts the process."""
        try:
            await self._loop.subprocess_exec(lambda: self, *self._command, cwd=cwd, env=env, stderr=stderr, **START_OPTIONS)
        except (OSError, ValueError) as error:
            raise AppServerError(
                f"the app-server `{self._name}` could not be started: {error}. Install it or correct the command.",
                "notStarted",
            ) from error
        except NotImplementedError as error:
            # The exception has no text.
            raise AppServerError(
                f"the app-server `{self._name}` could not be started: the event loop {type(self._loop).__name__} starts no processes. "
                "Use asyncio.ProactorEventLoop, which is the default on Windows.",
                "notStarted",
            ) from error

    async def request(
        self, method: str, params: Mapping[str, Any], timeout: float, on_progress: OnProgress | None
    ) -> Any:
        """Sends a request, and returns its result. If the wait ends before, it also cancels the request at the app-server."""
        self._last_id += 1
        id = self._last_id
        message = _encode({"id": id, "method": method, "params": to_json_value("params", params)})
        result: asyncio.Future[Any] = self._loop.create_future()
        deadline = self._loop.time() + timeout
        try:
            await self._wait_until_writable(method, deadline)
            self._pending[id] = _Pending(method, result, on_progress)
            self._write(message)
            await asyncio.wait([result], timeout=deadline - self._loop.time())
        finally:
            if self._pending.pop(id, None) is not None:
                # No one waits for the response. Codex refuses this method.
                self._last_id += 1
                self._offer({"id": self._last_id, "method": "mcpStartup/request/cancel", "params": {"requestId": id}})
            elif result.done():
                # If this task was cancelled, the event loop must not report the error as forgotten.
                result.exception()
        if not result.done():
            raise self._timeout(f"has not answered `{method}`")
        return result.result()

    def report(self, progress: ToolCallProgressNotification) -> None:
        """Calls the `on_progress` of the request, if it is pending."""
        id = progress.request_id
        waiting = self._pending.get(id) if isinstance(id, int) else None
        if waiting is None or waiting.on_progress is None:
            return
        try:
            waiting.on_progress(progress)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            # As for callbacks of the event loop. The call continues.
            problem = f"Exception in `on_progress` of `{waiting.method}`"
            self._loop.call_exception_handler({"message": problem, "exception": error})

    async def notify(self, method: str, timeout: float) -> None:
        """Sends a notification without parameters."""
        await self._wait_until_writable(method, self._loop.time() + timeout)
        self._write(_encode({"method": method}))

    @property
    def pid(self) -> int | None:
        """The ID of the process, or `None` if it has not been started."""
        return None if self._transport is None else self._transport.get_pid()

    @property
    def error(self) -> AppServerError | None:
        """Why no message can follow, as a new exception; `None` if the app-server is running."""
        return None if self._error is None else AppServerError(*self._error.args)

    async def close(self, timeout: float) -> None:
        """Ends the process: closes its input, terminates it after this time, and kills it after the same time. On Windows, which has
        no signal to terminate it, kills it after this time.

        If the task is cancelled while it waits, it kills the process immediately.
        """
        self._fail("was closed")
        if self._transport is None:
            return
        try:
            stdin = self._stdin()
            if stdin is not None:
                # Bytes that the process does not read must not keep the pipe open.
                stdin.abort()
            if not await _is_set_within(self._exited, timeout) and os.name == "posix":
                self._terminate()
                await _is_set_within(self._exited, timeout)
        finally:
            await self.kill()

    async def kill(self) -> None:
        """Kills the process if it is running, and waits until it has exited."""
        self._fail("was closed")
        if self._transport is None:
            return
        if not self._exited.is_set() and self._tree is not None:
            self._tree.kill()
        # Kills the process if it is running.
        self._transport.close()
        await _is_set_within(self._exited, _REST_S)

    def _terminate(self) -> None:
        assert self._transport is not None
        try:
            self._transport.terminate()
        except (ProcessLookupError, PermissionError):
            pass

    # Writing

    async def _wait_until_writable(self, method: str, deadline: float) -> None:
        if not await _is_set_within(self._writable, deadline - self._loop.time()):
            raise self._timeout(f"does not read, so `{method}` could not be sent")
        if (error := self.error) is not None:
            raise error

    def _offer(self, message: dict[str, Any]) -> None:
        """Writes a message that may be lost. If the app-server does not read, such messages must not pile up."""
        if self._writable.is_set() and self._error is None:
            self._write(_encode(message))

    def _write(self, message: bytes) -> None:
        stdin = self._stdin()
        # The process may have closed its input. Its end follows, or the deadline.
        if stdin is not None:
            stdin.write(message)

    def _stdin(self) -> asyncio.WriteTransport | None:
        stdin = None if self._transport is None else self._transport.get_pipe_transport(0)
        return None if stdin is None or stdin.is_closing() else cast(asyncio.WriteTransport, stdin)

    def _timeout(self, problem: str) -> AppServerError:
        return AppServerError(f"the app-server `{self._name}` {problem} in time. Try again, or allow more time.", "timeout")

    # Reading

    def _read(self, line: bytes | bytearray) -> None:
        try:
            parsed: Any = json.loads(line)
        except (ValueError, RecursionError):
            parsed = None
        if not isinstance(parsed, dict):
            _log.debug("skipped %d bytes that are not a JSON-RPC message", len(line))
            return
        message = cast("dict[str, Any]", parsed)
        method, id = message.get("method"), message.get("id")
        if isinstance(method, str):
            if id is None:
                self._on_notification(message, len(line))
            elif type(id) is int or (isinstance(id, str) and len(id) <= _MAX_ID_CHARS):
                # For example a question to the user, which this client can't show.
                refusal = {"code": -32601, "message": f"This client does not answer `{method[:100]}`."}
                self._offer({"id": id, "error": refusal})
        elif type(id) is int and (waiting := self._pending.pop(id, None)) is not None:
            self._settle(waiting.method, waiting.result, message)

    def _settle(self, method: str, result: asyncio.Future[Any], message: dict[str, Any]) -> None:
        if result.done():
            return
        error: Any = message.get("error")
        if isinstance(error, dict):
            details = cast("dict[str, Any]", error)
            code = details.get("code")
            text = f"the app-server refused `{method}`: {_printable(details.get('message'), _MAX_MESSAGE_CHARS)}"
            result.set_exception(
                AppServerError(text, "response", code if isinstance(code, int) else None, details.get("data"))
            )
        else:
            result.set_result(message.get("result"))

    def _fail(self, problem: str) -> None:
        """Rejects every pending request, once."""
        if self._error is not None:
            return
        self._error = AppServerError(f"the app-server `{self._name}` {problem}.", "ended")
        pending, self._pending = self._pending, {}
        for method, result, _ in pending.values():
            if not result.done():
                # If it does not even start, starting it again does not help.
                todo = "Check its command, and the messages that it wrote to stderr." if method == "initialize" else "Start it again."
                text = f"the app-server `{self._name}` {problem} before it answered `{method}`. {todo}"
                result.set_exception(AppServerError(text, "ended"))
        self._writable.set()
        self._on_end()

    def _gone(self) -> None:
        status = self._transport.get_returncode() if self._transport else None
        self._fail("ended" if status is None else f"ended with status {status}")

    # Called by the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.SubprocessTransport, transport)
        self._tree = ProcessTree(self._transport.get_pid())

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd != 1 or self._error is not None:
            return
        *lines, rest = data.split(b"\n")
        for line in lines:
            self._unread += line
            if self._is_too_long():
                return
            self._read(self._unread)
            self._unread.clear()
        self._unread += rest
        self._is_too_long()

    def _is_too_long(self) -> bool:
        if len(self._unread) <= MAX_LINE_BYTES:
            return False
        self._unread.clear()
        self._fail(f"sent a message of more than {MAX_LINE_BYTES // 1024 // 1024} MiB")
        return True

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        if fd != 1:
            return
        self._is_output_open = False
        if self._error is None and self._unread:
            self._read(self._unread)
        if self._exited.is_set():
            self._gone()
        else:
            self._loop.call_later(_REST_S, self._gone)

    def process_exited(self) -> None:
        self._exited.set()
        if self._is_output_open:
            self._loop.call_later(_REST_S, self._gone)
        else:
            self._gone()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()


async def _is_set_within(event: asyncio.Event, timeout: float) -> bool:
    # `asyncio.wait_for` loses a cancellation that coincides with the event, before Python 3.12.
    if not event.is_set():
        waiting = asyncio.ensure_future(event.wait())
        try:
            await asyncio.wait([waiting], timeout=timeout)
        finally:
            waiting.cancel()
    return event.is_set()


def _printable(text: object, limit: int) -> str:
    shown = text[:limit] if isinstance(text, str) else "(no message)"
    return "".join(char if char.isprintable() else " " for char in shown)


def _encode(message: dict[str, Any]) -> bytes:
    line = json.dumps(message, separators=(",", ":")).encode() + b"\n"
    if len(line) > MAX_LINE_BYTES:
        raise InvalidArgumentError(f"the parameters have {len(line)} bytes of JSON, and at most {MAX_LINE_BYTES} are allowed")
    return line
