"""Waits for calls of the native module."""

from __future__ import annotations

import asyncio
from typing import Any

from . import _native
from ._errors import unwrap


async def answer(call: _native.Call) -> Any:
    """Waits on the event loop for the result of the call. Cancelling the wait aborts the call."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[str] = loop.create_future()

    def settle(text: str) -> None:
        if not future.done():
            future.set_result(text)

    def reply(text: str) -> None:
        try:
            loop.call_soon_threadsafe(settle, text)
        except RuntimeError:
            # The loop was closed, so no task waits for the answer.
            pass

    call.then(reply)
    try:
        return unwrap(await future)
    except asyncio.CancelledError:
        call.abort()
        raise


def wait(call: _native.Call) -> str:
    """Waits on this thread, in short intervals, so that Python can handle signals such as Ctrl-C."""
    try:
        while (text := call.wait(100)) is None:
            pass
        return text
    except BaseException:
        call.abort()
        raise
