"""One server: the header for an application's own requests, how it is authorized, signing in and out, and watching."""

from __future__ import annotations

import asyncio
import json
import stat
from pathlib import Path
from typing import Any

import pytest
from lab import REDIRECT_URI, User, come_back, key_of, run_python, sign_in

import mcp_startup
from mcp_startup import (
    AccessTokenWorth,
    CredentialStoreTrouble,
    CredentialWorth,
    McpAuthStatus,
    McpServerStartupFailureReason,
    McpServerStartupState,
    McpStartupError,
    Recovery,
    Rejected,
    Revocation,
    SignInError,
    StartupEvent,
    StartupFailedError,
    StartupFailureKind,
)

STARTING, READY, FAILED = McpServerStartupState.STARTING, McpServerStartupState.READY, McpServerStartupState.FAILED


# --- authorization ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "header"),
    [
        ("ready", None),
        ("ready-stored-token", "Bearer good-token"),
        ("bearer-ok", "Bearer good-token"),
        ("bearer-beside-record", "Bearer good-token"),
        # Rule 5: without it first, for the token has expired.
        ("stale-clock", None),
    ],
)
async def test_what_to_send_first(own_user: User, row: str, header: str | None) -> None:
    own_user.has(row)
    assert await mcp_startup.authorization(row, config=own_user.config) == header
    assert own_user.lab.requests(row) == []


async def test_an_expired_token_is_refreshed_and_kept(own_user: User) -> None:
    own_user.has("expired-rotates")
    options: mcp_startup.Options = {"config": own_user.config}
    assert await mcp_startup.authorization("expired-rotates", **options) == "Bearer fresh-token-1"
    record = own_user.record("expired-rotates")
    assert record is not None and record["access_token"] == "fresh-token-1"
    assert record["refresh_token"] == "fresh-refresh-1"
    # The next one has it, and asks nobody.
    assert await mcp_startup.authorization("expired-rotates", **options) == "Bearer fresh-token-1"
    assert own_user.lab.refreshes("expired-rotates") == ["good-refresh"]


async def test_many_at_once_refresh_once(own_user: User) -> None:
    own_user.has("expired-rotates")
    headers = await asyncio.gather(
        *(mcp_startup.authorization("expired-rotates", config=own_user.config) for _ in range(10))
    )
    assert headers == ["Bearer fresh-token-1"] * 10
    assert own_user.lab.refreshes("expired-rotates") == ["good-refresh"]


async def test_a_rejected_token_is_refreshed_and_sent_once_more(own_user: User) -> None:
    own_user.has("revoked-refreshes")
    options: mcp_startup.Options = {"config": own_user.config}
    first = await mcp_startup.authorization("revoked-refreshes", **options)
    assert first == "Bearer revoked-token"
    rejected = Rejected(authorization=first, challenge='Bearer error="invalid_token"')
    assert await mcp_startup.authorization("revoked-refreshes", rejected, **options) == "Bearer fresh-token-1"
    # Who comes later with the same rejected token gets what is there now.
    assert await mcp_startup.authorization("revoked-refreshes", rejected, **options) == "Bearer fresh-token-1"
    assert own_user.lab.refreshes("revoked-refreshes") == ["good-refresh"]


async def test_a_request_without_a_token_was_rejected(own_user: User) -> None:
    own_user.has("stale-clock", "first-sign-in")
    options: mcp_startup.Options = {"config": own_user.config}
    assert await mcp_startup.authorization("stale-clock", Rejected(), **options) == "Bearer good-token"
    with pytest.raises(StartupFailedError) as raised:
        await mcp_startup.authorization("first-sign-in", Rejected(), **options)
    assert raised.value.failure.kind is StartupFailureKind.SIGN_IN_REQUIRED


async def test_where_nothing_is_left_to_send_there_is_a_verdict(own_user: User) -> None:
    own_user.has("expired-no-refresh")
    options: mcp_startup.Options = {"config": own_user.config}
    rejected = Rejected(authorization="Bearer expired-token")
    with pytest.raises(StartupFailedError) as raised:
        await mcp_startup.authorization("expired-no-refresh", rejected, **options)
    error, failure = raised.value, raised.value.failure
    assert error.code == "failure" and str(error) == failure.message
    assert failure.kind is StartupFailureKind.REAUTHENTICATION_REQUIRED and failure.recovery is Recovery.REAUTHENTICATE
    said = mcp_startup.McpServerStatusUpdatedNotification.from_failure("expired-no-refresh", failure)
    assert said.failure_reason is McpServerStartupFailureReason.REAUTHENTICATION_REQUIRED
    assert "expired-token" not in repr(error) + str(error)


# --- auth_status ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "online", "status", "worth"),
    [
        ("ready-stored-token", False, McpAuthStatus.OAUTH, CredentialWorth(access_token=AccessTokenWorth.GOOD)),
        ("expired-no-refresh", False, None, CredentialWorth(access_token=AccessTokenWorth.EXPIRED)),
        ("expired-no-refresh", True, McpAuthStatus.NOT_LOGGED_IN, CredentialWorth(access_token=AccessTokenWorth.EXPIRED)),
        ("first-sign-in", False, None, None),
        ("first-sign-in", True, McpAuthStatus.NOT_LOGGED_IN, None),
        ("api-key", True, McpAuthStatus.UNSUPPORTED, None),
        ("stdio-ready", True, McpAuthStatus.UNSUPPORTED, None),
        ("bearer-ok", False, McpAuthStatus.BEARER_TOKEN, None),
    ],
)  # fmt: skip
async def test_how_a_client_is_authorized(
    own_user: User, row: str, online: bool, status: McpAuthStatus | None, worth: CredentialWorth | None
) -> None:
    own_user.has(row)
    got = await mcp_startup.auth_status(row, online=online, config=own_user.config)
    assert (got.status, got.worth, got.store_error) == (status, worth, None)
    if not online:
        assert own_user.lab.requests(row) == []


async def test_what_is_stored_is_said_without_its_secrets(own_user: User) -> None:
    own_user.has("ready-stored-token")
    record = own_user.record("ready-stored-token")
    assert record is not None
    got = await mcp_startup.auth_status("ready-stored-token", config=own_user.config)
    assert (got.scopes, got.issuer, got.store) == (tuple(record["scopes"]), record["issuer"], "file")
    assert got.expires_at_ms == record["expires_at"]
    assert record["access_token"] not in repr(got)


async def test_a_store_that_cannot_be_read_is_not_signed_out(own_user: User) -> None:
    own_user.has("ready-stored-token")
    own_user.credentials.write_text("{")
    got = await mcp_startup.auth_status("ready-stored-token", config=own_user.config)
    assert got.status is None and got.worth is None
    assert got.store_error is not None and got.store_error.trouble is CredentialStoreTrouble.CORRUPT


# --- signing in and out -----------------------------------------------------------------------------------------------


async def closing(**options: Any) -> StartupEvent:
    return [event async for event in mcp_startup.check(**options)][-1]


async def test_a_first_sign_in(own_user: User) -> None:
    own_user.has("first-sign-in")
    options: mcp_startup.Options = {"config": own_user.config}
    begun = await mcp_startup.begin_sign_in("first-sign-in", REDIRECT_URI, **options)
    assert begun.authorization_url.startswith(f"{own_user.lab.base}/first-sign-in/authorize?")
    assert "code_challenge_method=S256" in begun.authorization_url
    callback = come_back(begun.authorization_url)
    assert own_user.record("first-sign-in") is None
    await mcp_startup.finish_sign_in(begun.pending, callback, **options)
    record = own_user.record("first-sign-in")
    assert record is not None and (record["access_token"], record["refresh_token"]) == ("fresh-token-1", "fresh-refresh-1")
    assert stat.S_IMODE(own_user.credentials.stat().st_mode) == 0o600
    assert (await closing(**options)).notification.status is READY
    # It was good once.
    with pytest.raises(SignInError):
        await mcp_startup.finish_sign_in(begun.pending, callback, **options)
    assert own_user.record("first-sign-in") == record


async def test_another_process_may_finish_it(own_user: User) -> None:
    own_user.has("first-sign-in")
    begun = await mcp_startup.begin_sign_in("first-sign-in", REDIRECT_URI, config=own_user.config)
    code = (
        "import asyncio, sys, mcp_startup; config, pending, callback = sys.argv[1:]\n"
        "asyncio.run(mcp_startup.finish_sign_in(pending, callback, config=config))"
    )
    callback = come_back(begun.authorization_url)
    await asyncio.to_thread(run_python, code, str(own_user.config), begun.pending, callback)
    assert (await closing(config=own_user.config)).notification.status is READY


async def test_what_comes_back_must_be_the_answer(own_user: User) -> None:
    own_user.has("first-sign-in")
    options: mcp_startup.Options = {"config": own_user.config}
    begun = await mcp_startup.begin_sign_in("first-sign-in", REDIRECT_URI, **options)
    for callback, kind in [
        ("no URL", "invalidCallback"),
        (REDIRECT_URI + "?code=fresh-code-1&state=forged", "invalidCallback"),
    ]:
        with pytest.raises(SignInError) as raised:
            await mcp_startup.finish_sign_in(begun.pending, callback, **options)
        assert (raised.value.code, raised.value.kind) == ("signIn", kind)
    assert own_user.record("first-sign-in") is None
    # The right one may still come.
    await mcp_startup.finish_sign_in(begun.pending, come_back(begun.authorization_url), **options)


async def test_a_user_may_say_no(own_user: User) -> None:
    own_user.has("first-sign-in")
    options: mcp_startup.Options = {"config": own_user.config}
    begun = await mcp_startup.begin_sign_in("first-sign-in", REDIRECT_URI, **options)
    state = dict(part.split("=", 1) for part in begun.authorization_url.split("?", 1)[1].split("&"))["state"]
    denied = f"{REDIRECT_URI}?error=access_denied&state={state}"
    # A server that names itself in its answers names itself in this one too.
    if "iss=" in come_back(begun.authorization_url):
        denied += f"&iss={own_user.lab.base}/first-sign-in"
    with pytest.raises(SignInError) as raised:
        await mcp_startup.finish_sign_in(begun.pending, denied, **options)
    assert raised.value.kind == "denied"


async def test_an_error_of_a_sign_in_holds_no_secret(own_user: User) -> None:
    own_user.has("first-sign-in")
    options: mcp_startup.Options = {"config": own_user.config}
    begun = await mcp_startup.begin_sign_in("first-sign-in", REDIRECT_URI, **options)
    assert repr(begun) == "SignInBegun()"
    forged = REDIRECT_URI + "?code=s3cret-code&state=s3cret-state"
    with pytest.raises(McpStartupError) as raised:
        await mcp_startup.finish_sign_in(begun.pending, forged, **options)
    with pytest.raises(McpStartupError) as torn:
        await mcp_startup.finish_sign_in('{"codeVerifier": "s3cret', forged, **options)
    for error in [raised.value, torn.value]:
        assert "s3cret" not in repr(error) + str(error)


@pytest.mark.parametrize("redirect_uri", ["http://example.com/callback", "nothing"])
async def test_not_every_place_may_be_come_back_to(own_user: User, redirect_uri: str) -> None:
    own_user.has("first-sign-in")
    with pytest.raises(SignInError):
        await mcp_startup.begin_sign_in("first-sign-in", redirect_uri, config=own_user.config)


async def test_a_server_that_offers_no_sign_in(own_user: User) -> None:
    own_user.has("api-key", "stdio-ready")
    for name, kind in [("api-key", "notOffered"), ("stdio-ready", "invalidConfiguration")]:
        with pytest.raises(SignInError) as raised:
            await mcp_startup.begin_sign_in(name, REDIRECT_URI, config=own_user.config)
        assert raised.value.kind == kind


async def test_signing_out(own_user: User) -> None:
    own_user.has("first-sign-in")
    options: mcp_startup.Options = {"config": own_user.config}
    nothing = await mcp_startup.sign_out("first-sign-in", **options)
    assert not nothing.was_stored
    await sign_in("first-sign-in", **options)
    out = await mcp_startup.sign_out("first-sign-in", **options)
    assert (out.was_stored, out.revocation) == (True, Revocation.REVOKED)
    assert own_user.record("first-sign-in") is None
    failure = (await closing(**options)).failure
    assert failure is not None and failure.kind is StartupFailureKind.SIGN_IN_REQUIRED


# --- watch ------------------------------------------------------------------------------------------------------------


HERE = str(Path(__file__).parent)
SIGNS_IN = """
import asyncio, sys
sys.path.insert(0, sys.argv[1])
from lab import sign_in
asyncio.run(sign_in("expired-no-refresh", config=sys.argv[2]))
"""


async def next_closing(watch: mcp_startup.Watch) -> StartupEvent:
    """The next event but `starting`."""
    async for event in watch:
        if event.notification.status is not STARTING:
            return event
    raise AssertionError("the watch has ended")


@pytest.mark.parametrize("who", ["this process", "another process"])
async def test_a_server_is_ready_once_somebody_has_signed_in(own_user: User, who: str) -> None:
    own_user.has("expired-no-refresh")
    options: mcp_startup.Options = {"config": own_user.config}
    tracker = mcp_startup.StartupTracker()
    prompts = 0
    async with mcp_startup.watch(**options) as watch:
        async for event in watch:
            prompts += tracker.apply(event.notification).prompt
            if event.notification.status is READY:
                break
            if event.notification.status is FAILED:
                assert tracker.reauthentication_required() == ["expired-no-refresh"]
                if who == "this process":
                    await sign_in("expired-no-refresh", **options)
                else:
                    await asyncio.to_thread(run_python, SIGNS_IN, HERE, str(own_user.config))
    assert prompts == 1 and tracker.reauthentication_required() == []


async def test_a_server_is_started_again_when_somebody_asks(own_user: User) -> None:
    own_user.has("first-sign-in")
    async with mcp_startup.watch(config=own_user.config) as watch:
        # Nothing is under way yet.
        watch.retry("first-sign-in")
        for _ in range(3):
            event = await next_closing(watch)
            assert event.failure is not None and event.failure.kind is StartupFailureKind.SIGN_IN_REQUIRED
            watch.retry("first-sign-in")
            watch.retry("nobody")
        assert (await watch.__anext__()).notification.status is STARTING


async def test_a_watch_that_is_cancelled_ends(own_user: User) -> None:
    own_user.has("first-sign-in", "ready")
    watch = mcp_startup.watch(config=own_user.config)
    closed = [await next_closing(watch), await next_closing(watch)]
    assert {event.notification.name for event in closed} == {"first-sign-in", "ready"}
    watch.cancel()
    assert [event async for event in watch] == []
    watch.retry("first-sign-in")
    assert [event async for event in watch] == []


def test_the_record_is_codex_s(own_user: User) -> None:
    """What these tests store is what the engine stores: else they would test something else."""
    own_user.has("first-sign-in")
    asyncio.run(sign_in("first-sign-in", config=own_user.config))
    (key,) = json.loads(own_user.credentials.read_text())
    assert key == key_of("first-sign-in", own_user.lab.url("first-sign-in"))
