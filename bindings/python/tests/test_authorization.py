"""Tests `authorization`, `auth_status`, sign-in, sign-out and `watch` for one server."""

from __future__ import annotations

import asyncio
import json
import stat
import sys
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from lab import REDIRECT_URI, User, follow_redirect, key_of, run_python, sign_in

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
        # The token has expired, so the first request has none.
        ("stale-clock", None),
    ],
)
async def test_the_header_of_the_first_request(own_user: User, row: str, header: str | None) -> None:
    own_user.has(row)
    assert await mcp_startup.authorization(row, config=own_user.config) == header
    assert own_user.lab.requests(row) == []


async def test_an_expired_token_is_refreshed_and_stored(own_user: User) -> None:
    own_user.has("expired-rotates")
    options: mcp_startup.Options = {"config": own_user.config}
    assert await mcp_startup.authorization("expired-rotates", **options) == "Bearer fresh-token-1"
    record = own_user.record("expired-rotates")
    assert record is not None and record["access_token"] == "fresh-token-1"
    assert record["refresh_token"] == "fresh-refresh-1"
    # The next call uses the stored token and sends no request.
    assert await mcp_startup.authorization("expired-rotates", **options) == "Bearer fresh-token-1"
    assert own_user.lab.refreshes("expired-rotates") == ["good-refresh"]


async def test_concurrent_calls_send_one_refresh(own_user: User) -> None:
    own_user.has("expired-rotates")
    headers = await asyncio.gather(
        *(mcp_startup.authorization("expired-rotates", config=own_user.config) for _ in range(10))
    )
    assert headers == ["Bearer fresh-token-1"] * 10
    assert own_user.lab.refreshes("expired-rotates") == ["good-refresh"]


async def test_a_rejected_token_is_refreshed(own_user: User) -> None:
    own_user.has("revoked-refreshes")
    options: mcp_startup.Options = {"config": own_user.config}
    first = await mcp_startup.authorization("revoked-refreshes", **options)
    assert first == "Bearer revoked-token"
    rejected = Rejected(authorization=first, challenge='Bearer error="invalid_token"')
    assert await mcp_startup.authorization("revoked-refreshes", rejected, **options) == "Bearer fresh-token-1"
    # A later call with the same rejected token returns the stored token.
    assert await mcp_startup.authorization("revoked-refreshes", rejected, **options) == "Bearer fresh-token-1"
    assert own_user.lab.refreshes("revoked-refreshes") == ["good-refresh"]


async def test_after_a_rejected_request_without_a_token_the_stored_token_is_tried(own_user: User) -> None:
    own_user.has("stale-clock", "first-sign-in")
    options: mcp_startup.Options = {"config": own_user.config}
    assert await mcp_startup.authorization("stale-clock", Rejected(), **options) == "Bearer good-token"
    with pytest.raises(StartupFailedError) as raised:
        await mcp_startup.authorization("first-sign-in", Rejected(), **options)
    assert raised.value.failure.kind is StartupFailureKind.SIGN_IN_REQUIRED


async def test_the_verdict_is_raised_if_no_credential_is_left_to_try(own_user: User) -> None:
    own_user.has("expired-no-refresh")
    options: mcp_startup.Options = {"config": own_user.config}
    rejected = Rejected(authorization="Bearer expired-token")
    with pytest.raises(StartupFailedError) as raised:
        await mcp_startup.authorization("expired-no-refresh", rejected, **options)
    error, failure = raised.value, raised.value.failure
    assert error.code == "failure" and str(error) == failure.message
    assert failure.kind is StartupFailureKind.REAUTHENTICATION_REQUIRED and failure.recovery is Recovery.REAUTHENTICATE
    notification = mcp_startup.McpServerStatusUpdatedNotification.from_failure("expired-no-refresh", failure)
    assert notification.failure_reason is McpServerStartupFailureReason.REAUTHENTICATION_REQUIRED
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
async def test_auth_status_reports_the_status_and_the_worth_of_the_credentials(
    own_user: User, row: str, online: bool, status: McpAuthStatus | None, worth: CredentialWorth | None
) -> None:
    own_user.has(row)
    got = await mcp_startup.auth_status(row, online=online, config=own_user.config)
    assert (got.status, got.worth, got.store_error) == (status, worth, None)
    if not online:
        assert own_user.lab.requests(row) == []


async def test_auth_status_contains_no_secrets(own_user: User) -> None:
    own_user.has("ready-stored-token")
    record = own_user.record("ready-stored-token")
    assert record is not None
    got = await mcp_startup.auth_status("ready-stored-token", config=own_user.config)
    assert (got.scopes, got.issuer, got.store) == (tuple(record["scopes"]), record["issuer"], "file")
    assert got.expires_at_ms == record["expires_at"]
    assert record["access_token"] not in repr(got)


async def test_an_unreadable_store_does_not_mean_signed_out(own_user: User) -> None:
    own_user.has("ready-stored-token")
    own_user.credentials.write_text("{")
    got = await mcp_startup.auth_status("ready-stored-token", config=own_user.config)
    assert got.status is None and got.worth is None
    assert got.store_error is not None and got.store_error.trouble is CredentialStoreTrouble.CORRUPT


# --- sign-in and sign-out ---------------------------------------------------------------------------------------------


async def closing(**options: Any) -> StartupEvent:
    return [event async for event in mcp_startup.check(**options)][-1]


async def test_a_sign_in_stores_the_credentials_and_is_single_use(own_user: User) -> None:
    own_user.has("first-sign-in")
    options: mcp_startup.Options = {"config": own_user.config}
    begun = await mcp_startup.begin_sign_in("first-sign-in", REDIRECT_URI, **options)
    assert begun.authorization_url.startswith(f"{own_user.lab.base}/first-sign-in/authorize?")
    assert "code_challenge_method=S256" in begun.authorization_url
    callback = follow_redirect(begun.authorization_url)
    assert own_user.record("first-sign-in") is None
    await mcp_startup.finish_sign_in(begun.pending, callback, **options)
    record = own_user.record("first-sign-in")
    assert record is not None and (record["access_token"], record["refresh_token"]) == ("fresh-token-1", "fresh-refresh-1")
    # On Windows, the folder of the user decides who can read the file.
    if sys.platform != "win32":
        assert stat.S_IMODE(own_user.credentials.stat().st_mode) == 0o600
    assert (await closing(**options)).notification.status is READY
    # The pending sign-in is single-use.
    with pytest.raises(SignInError):
        await mcp_startup.finish_sign_in(begun.pending, callback, **options)
    assert own_user.record("first-sign-in") == record


CHALLENGE = 'Bearer error="insufficient_scope", scope="mcp:write"'


@pytest.mark.parametrize(
    ("arguments", "requested"),
    [
        ({}, {"mcp:tools"}),
        ({"challenge": None, "scopes": ()}, {"mcp:tools"}),
        ({"challenge": CHALLENGE}, {"mcp:tools", "mcp:write"}),
        ({"scopes": ("mcp:admin",)}, {"mcp:tools", "mcp:admin"}),
        ({"challenge": CHALLENGE, "scopes": ["mcp:admin"]}, {"mcp:tools", "mcp:write", "mcp:admin"}),
    ],
)
async def test_a_sign_in_requests_the_challenged_the_passed_and_the_granted_scopes(
    own_user: User, arguments: dict[str, Any], requested: set[str]
) -> None:
    own_user.has("ready-stored-token")
    begun = await mcp_startup.begin_sign_in("ready-stored-token", REDIRECT_URI, config=own_user.config, **arguments)
    (scope,) = parse_qs(urlsplit(begun.authorization_url).query)["scope"]
    assert set(scope.split()) == requested


async def test_another_process_can_finish_a_sign_in(own_user: User) -> None:
    own_user.has("first-sign-in")
    begun = await mcp_startup.begin_sign_in("first-sign-in", REDIRECT_URI, config=own_user.config)
    code = (
        "import asyncio, sys, mcp_startup; config, pending, callback = sys.argv[1:]\n"
        "asyncio.run(mcp_startup.finish_sign_in(pending, callback, config=config))"
    )
    callback = follow_redirect(begun.authorization_url)
    await asyncio.to_thread(run_python, code, str(own_user.config), begun.pending, callback)
    assert (await closing(config=own_user.config)).notification.status is READY


async def test_an_invalid_callback_is_rejected_and_does_not_end_the_sign_in(own_user: User) -> None:
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
    # The valid callback still works.
    await mcp_startup.finish_sign_in(begun.pending, follow_redirect(begun.authorization_url), **options)


async def test_a_denied_sign_in_is_reported(own_user: User) -> None:
    own_user.has("first-sign-in")
    options: mcp_startup.Options = {"config": own_user.config}
    begun = await mcp_startup.begin_sign_in("first-sign-in", REDIRECT_URI, **options)
    state = dict(part.split("=", 1) for part in begun.authorization_url.split("?", 1)[1].split("&"))["state"]
    denied = f"{REDIRECT_URI}?error=access_denied&state={state}"
    # A server that sends `iss` in its responses also sends it in this one.
    if "iss=" in follow_redirect(begun.authorization_url):
        denied += f"&iss={own_user.lab.base}/first-sign-in"
    with pytest.raises(SignInError) as raised:
        await mcp_startup.finish_sign_in(begun.pending, denied, **options)
    assert raised.value.kind == "denied"


async def test_sign_in_errors_contain_no_secrets(own_user: User) -> None:
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
async def test_an_invalid_redirect_uri_is_rejected(own_user: User, redirect_uri: str) -> None:
    own_user.has("first-sign-in")
    with pytest.raises(SignInError):
        await mcp_startup.begin_sign_in("first-sign-in", redirect_uri, config=own_user.config)


async def test_a_server_without_oauth_offers_no_sign_in(own_user: User) -> None:
    own_user.has("api-key", "stdio-ready")
    for name, kind in [("api-key", "notOffered"), ("stdio-ready", "invalidConfiguration")]:
        with pytest.raises(SignInError) as raised:
            await mcp_startup.begin_sign_in(name, REDIRECT_URI, config=own_user.config)
        assert raised.value.kind == kind


async def test_a_sign_out_revokes_and_removes_the_credentials(own_user: User) -> None:
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
SIGN_IN = """
import asyncio, sys
sys.path.insert(0, sys.argv[1])
from lab import sign_in
asyncio.run(sign_in("expired-no-refresh", config=sys.argv[2]))
"""


async def next_closing(watch: mcp_startup.Watch) -> StartupEvent:
    """Returns the next event other than `STARTING`."""
    async for event in watch:
        if event.notification.status is not STARTING:
            return event
    raise AssertionError("the watch has ended")


@pytest.mark.parametrize("who", ["this process", "another process"])
async def test_a_watch_starts_a_server_again_after_a_sign_in(own_user: User, who: str) -> None:
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
                assert [server.name for server in tracker.reauthentication_required()] == ["expired-no-refresh"]
                if who == "this process":
                    await sign_in("expired-no-refresh", **options)
                else:
                    await asyncio.to_thread(run_python, SIGN_IN, HERE, str(own_user.config))
    assert prompts == 1 and tracker.reauthentication_required() == []


async def test_a_watch_starts_a_server_again_on_retry(own_user: User) -> None:
    own_user.has("first-sign-in")
    async with mcp_startup.watch(config=own_user.config) as watch:
        # Before the first event, a retry does nothing.
        watch.retry("first-sign-in")
        for _ in range(3):
            event = await next_closing(watch)
            assert event.failure is not None and event.failure.kind is StartupFailureKind.SIGN_IN_REQUIRED
            watch.retry("first-sign-in")
        assert (await watch.__anext__()).notification.status is STARTING


async def test_cancelling_a_watch_ends_it(own_user: User) -> None:
    own_user.has("first-sign-in", "ready")
    watch = mcp_startup.watch(config=own_user.config)
    closed = [await next_closing(watch), await next_closing(watch)]
    assert {event.notification.name for event in closed} == {"first-sign-in", "ready"}
    watch.cancel()
    assert [event async for event in watch] == []
    watch.retry("first-sign-in")
    assert [event async for event in watch] == []


def test_the_key_of_a_record_is_that_of_codex(own_user: User) -> None:
    """The tests write records under the same keys as the engine."""
    own_user.has("first-sign-in")
    asyncio.run(sign_in("first-sign-in", config=own_user.config))
    (key,) = json.loads(own_user.credentials.read_text())
    assert key == key_of("first-sign-in", own_user.lab.url("first-sign-in"))
