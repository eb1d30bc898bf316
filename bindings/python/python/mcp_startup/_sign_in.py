"""Signing in with one call, in the user's browser."""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from . import _native
from ._arguments import check_arguments, milliseconds
from ._call import answer, wait
from ._errors import unwrap
from ._options import Options, document_options, native_options, strings

if TYPE_CHECKING:
    from typing_extensions import Unpack


async def sign_in(
    server: str,
    *,
    open_browser: Callable[[str], object] | None = None,
    browser_timeout: float | None = None,
    callback_port: int | None = None,
    callback_url: str | None = None,
    challenge: str | None = None,
    scopes: Sequence[str] | None = None,
    **options: Unpack[Options],
) -> None:
    """Signs in to a server in the user's browser: opens the sign-in page, waits on loopback until the browser returns, and stores the
    granted credentials.

    Cancelling the task ends the wait, and changes nothing. If the browser has already returned, the tokens are still stored, before the
    process exits.

    Args:
        server: The name of the server.
        open_browser: A function that receives the URL of the sign-in page, instead of opening the user's default browser. It can be a
            coroutine function. The URL contains secrets. If the function raises an exception, the sign-in ends with it.
        browser_timeout: How long to wait for the browser, in seconds. By default, 300.
        callback_port: The port on loopback that the browser returns to. By default, the configured one, or a free one.
        callback_url: The redirect URI. By default, the configured one, or `http://127.0.0.1:PORT/callback`. One that is not on loopback
            must lead to the port, for example through a proxy.
        challenge: The challenge of a response of the server, as for `begin_sign_in`.
        scopes: Scopes to request in addition, as for `begin_sign_in`.

    Raises:
        SignInError: If the sign-in failed. The stored credentials are unchanged. Its `kind` is `expired` if the browser did not return in
            time, and `unavailable` if no browser could be opened.
    """
    check_arguments(sign_in, locals())
    text, store = native_options(
        options,
        browserTimeoutMs=milliseconds(browser_timeout),
        callbackPort=callback_port,
        callbackUrl=callback_url,
        challenge=challenge,
        scopes=strings(scopes),
    )
    signing_in = _native.InteractiveSignIn(text, store, server)
    tasks: list[asyncio.Task[Any]] = []
    try:
        url = (await answer(signing_in.begin()))["authorizationUrl"]
        # The user can complete the sign-in before the browser, or the function, has returned.
        finished = asyncio.ensure_future(answer(signing_in.finish()))
        shown = asyncio.ensure_future(_show(url, open_browser))
        tasks = [finished, shown]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if shown.done() and not finished.done():
            await shown
        await finished
    finally:
        signing_in.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def sign_in_blocking(
    server: str,
    *,
    open_browser: Callable[[str], object] | None = None,
    browser_timeout: float | None = None,
    callback_port: int | None = None,
    callback_url: str | None = None,
    challenge: str | None = None,
    scopes: Sequence[str] | None = None,
    **options: Unpack[Options],
) -> None:
    """Signs in to a server like `sign_in`, and blocks the thread while it waits. It releases the GIL while it waits, and Ctrl-C interrupts it.

    Args:
        server: The name of the server.
        open_browser: A function that receives the URL of the sign-in page, instead of opening the user's default browser. The URL contains
            secrets.
        browser_timeout: How long to wait for the browser, in seconds. By default, 300.
        callback_port: The port on loopback that the browser returns to. By default, the configured one, or a free one.
        callback_url: The redirect URI. By default, the configured one, or `http://127.0.0.1:PORT/callback`.
        challenge: The challenge of a response of the server, as for `begin_sign_in`.
        scopes: Scopes to request in addition, as for `begin_sign_in`.

    Raises:
        SignInError: If the sign-in failed, as for `sign_in`.
    """
    check_arguments(sign_in_blocking, locals())
    text, store = native_options(
        options,
        own_loop=True,
        browserTimeoutMs=milliseconds(browser_timeout),
        callbackPort=callback_port,
        callbackUrl=callback_url,
        challenge=challenge,
        scopes=strings(scopes),
    )
    signing_in = _native.InteractiveSignIn(text, store, server)
    calls: list[_native.Call] = []
    try:
        url = unwrap(wait(signing_in.begin()))["authorizationUrl"]
        finished = signing_in.finish()
        calls.append(finished)
        opening = None
        if open_browser is None:
            opening = _native.open_browser(url, _program())
            calls.append(opening)
        else:
            open_browser(url)
        while (text_of_answer := finished.wait(100)) is None:
            if opening is not None and (opened := opening.wait(0)) is not None:
                unwrap(opened)
                opening = None
        unwrap(text_of_answer)
    finally:
        signing_in.close()
        for call in calls:
            call.abort()


async def _show(url: str, open_browser: Callable[[str], object] | None) -> None:
    if open_browser is None:
        await answer(_native.open_browser(url, _program()))
    elif inspect.isawaitable(shown := open_browser(url)):
        await shown


def _program() -> list[str]:
    """The command of the program `mcp-startup`, which opens the browser if a variable such as `PATH` has a relative folder."""
    # The executable of a frozen application is the application.
    if getattr(sys, "frozen", False) or not sys.executable:
        return []
    # Without `-I`, Python would search the current folder for modules.
    return [sys.executable, "-I", "-m", "mcp_startup"]


for _call in (sign_in, sign_in_blocking):
    document_options(_call)
del _call
