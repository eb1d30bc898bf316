"""Tests `mcp_startup.httpx` and `mcp_startup.httpx2`, and the latter with the `mcp` SDK."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import httpx2
import pytest
from lab import User, key_of
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from oidc import Oidc, needs_oidc
from stores import MemoryStore

import mcp_startup
import mcp_startup.httpx
import mcp_startup.httpx2
from mcp_startup import InsufficientScopeError, InvalidArgumentError, StartupFailedError, StartupFailureKind

# The modules have the same classes and functions.
Module = Any
BODY = {"jsonrpc": "2.0", "id": 1, "method": "ping"}


@pytest.fixture(params=["httpx", "httpx2"])
def module(request: pytest.FixtureRequest) -> Module:
    return {"httpx": httpx, "httpx2": httpx2}[request.param]


def auth_for(module: Module, server: str, **options: Any) -> Any:
    return getattr(mcp_startup, module.__name__).StartupAuth(server, **options)


async def post(module: Module, auth: Any, url: str, *, sync: bool, follow_redirects: bool = False, **body: Any) -> Any:
    """Sends a request with a `Client` in a thread, or with an `AsyncClient`."""
    if sync:

        def send() -> Any:
            with module.Client(auth=auth, follow_redirects=follow_redirects) as client:
                return client.post(url, **body)

        return await asyncio.to_thread(send)
    async with module.AsyncClient(auth=auth, follow_redirects=follow_redirects) as client:
        return await client.post(url, **body)


class Server:
    """An HTTP server that answers as the test requires, and records the `Authorization` headers that it received."""

    def __init__(self, answer: Callable[[str | None], tuple[int, dict[str, str]]]) -> None:
        received: list[str | None] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                if "chunked" not in self.headers.get("Transfer-Encoding", ""):
                    self.rfile.read(int(self.headers.get("Content-Length", 0)))
                else:
                    while size := int(self.rfile.readline(), 16):
                        self.rfile.read(size + 2)
                    self.rfile.readline()
                received.append(self.headers["Authorization"])
                status, headers = answer(self.headers["Authorization"])
                self.send_response(status)
                for name, value in {"Content-Length": "0", **headers}.items():
                    self.send_header(name, value)
                self.end_headers()

            do_GET = do_POST

            def log_message(self, format: str, *args: Any) -> None: ...

        self.received = received
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}/mcp"
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}).start()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def signed_in(self, name: str = "server") -> dict[str, Any]:
        """Options with this server, and a store with its token, which can't be refreshed."""
        store = MemoryStore()
        store.records[key_of(name, self.url)] = (
            f'{{"server_name":"{name}","server_url":"{self.url}","client_id":"client","access_token":"stored-token",'
            f'"expires_at":null,"refresh_token":null,"issuer":null,"scopes":["read"]}}'
        )
        return {"mcp_servers": {name: {"url": self.url}}, "store": store}


# --- the credentials --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sync", [False, True])
@pytest.mark.parametrize("row", ["ready", "ready-stored-token", "bearer-ok", "expired-rotates", "revoked-refreshes", "stale-clock"])
async def test_a_request_gets_the_credentials_of_a_start(own_user: User, module: Module, row: str, sync: bool) -> None:
    own_user.has(row)
    auth = auth_for(module, row, config=own_user.config)
    response = await post(module, auth, own_user.lab.url(row), sync=sync, json=BODY)
    assert response.status_code != 401
    expected = own_user.lab.rows[row]["expect"]
    assert own_user.lab.tokens_sent(row) == expected["tokensSent"]
    assert own_user.lab.refreshes(row) == (expected.get("refreshTokensSent") or [])


@pytest.mark.parametrize("sync", [False, True])
@pytest.mark.parametrize("row", ["first-sign-in", "expired-no-refresh", "refresh-invalid-grant", "bearer-rejected"])
async def test_the_verdict_is_raised_if_no_credential_is_left(own_user: User, module: Module, row: str, sync: bool) -> None:
    own_user.has(row)
    auth = auth_for(module, row, config=own_user.config)
    with pytest.raises(StartupFailedError) as raised:
        await post(module, auth, own_user.lab.url(row), sync=sync, json=BODY)
    assert raised.value.failure.kind == own_user.lab.rows[row]["expect"]["kind"]
    assert len(own_user.lab.requests(row)) <= 12


@pytest.mark.parametrize("sync", [False, True])
async def test_concurrent_requests_share_one_refresh(own_user: User, module: Module, sync: bool) -> None:
    row = "expired-rotates"
    own_user.has(row)
    auth = auth_for(module, row, config=own_user.config)
    requests = (post(module, auth, own_user.lab.url(row), sync=sync, json=BODY) for _ in range(5))
    assert {response.status_code for response in await asyncio.gather(*requests)} != {401}
    assert own_user.lab.refreshes(row) == ["good-refresh"]


# --- the challenge for more scopes ------------------------------------------------------------------------------------

CHALLENGE = 'Bearer error="insufficient_scope", scope="write"'


@pytest.mark.parametrize("sync", [False, True])
async def test_a_request_that_needs_more_scopes_raises_an_error_with_the_challenge(module: Module, sync: bool) -> None:
    with Server(lambda _: (403, {"WWW-Authenticate": CHALLENGE})) as server:
        auth = auth_for(module, "server", **server.signed_in())
        with pytest.raises(InsufficientScopeError) as raised:
            await post(module, auth, server.url, sync=sync, json=BODY)
    assert raised.value.challenge == CHALLENGE
    assert raised.value.failure.kind is StartupFailureKind.INSUFFICIENT_SCOPE
    assert raised.value.failure.recovery is mcp_startup.Recovery.GRANT_SCOPE
    assert (raised.value.code, "stored-token" in repr(raised.value)) == ("failure", False)
    assert server.received == ["Bearer stored-token"]


@pytest.mark.parametrize("sync", [False, True])
async def test_another_403_is_a_response(module: Module, sync: bool) -> None:
    with Server(lambda _: (403, {"WWW-Authenticate": 'Bearer error="not_insufficient_scope"'})) as server:
        auth = auth_for(module, "server", **server.signed_in())
        response = await post(module, auth, server.url, sync=sync, json=BODY)
    assert (response.status_code, server.received) == (403, ["Bearer stored-token"])


# --- other origins ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sync", [False, True])
async def test_another_origin_gets_no_token(own_user: User, module: Module, sync: bool) -> None:
    own_user.has("ready-stored-token")
    auth = auth_for(module, "ready-stored-token", config=own_user.config)
    with Server(lambda _: (401, {"WWW-Authenticate": "Bearer"})) as other:
        response = await post(module, auth, other.url, sync=sync, json=BODY)
    assert (response.status_code, other.received) == (401, [None])


@pytest.mark.parametrize("sync", [False, True])
@pytest.mark.parametrize("status", [302, 307])
async def test_a_redirect_to_another_origin_carries_no_token(module: Module, status: int, sync: bool) -> None:
    with (
        Server(lambda _: (401, {"WWW-Authenticate": "Bearer"})) as other,
        Server(lambda _: (status, {"Location": other.url})) as server,
    ):
        auth = auth_for(module, "server", **server.signed_in())
        response = await post(module, auth, server.url, sync=sync, follow_redirects=True, json=BODY)
    # The other server's refusal is not about the token.
    assert (response.status_code, other.received, server.received) == (401, [None], ["Bearer stored-token"])


@pytest.mark.parametrize("sync", [False, True])
async def test_a_program_has_no_requests_to_authorize(module: Module, sync: bool) -> None:
    auth = auth_for(module, "files", mcp_servers={"files": {"command": "files"}})
    with pytest.raises(InvalidArgumentError, match="`files` is a program"):
        await post(module, auth, "http://127.0.0.1:1/", sync=sync)


def test_an_invalid_option_is_refused_by_the_constructor(module: Module) -> None:
    with pytest.raises(InvalidArgumentError, match="`timeout` must be"):
        auth_for(module, "server", timeout=0)


# --- the body ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sync", [False, True])
async def test_a_stream_is_not_sent_again_but_the_next_request_has_the_new_token(
    own_user: User, module: Module, sync: bool
) -> None:
    row = "revoked-refreshes"
    own_user.has(row)
    auth = auth_for(module, row, config=own_user.config)

    def parts() -> Iterator[bytes]:
        yield b"{}"

    async def async_parts() -> AsyncIterator[bytes]:
        yield b"{}"

    response = await post(module, auth, own_user.lab.url(row), sync=sync, content=parts() if sync else async_parts())
    assert response.status_code == 401
    assert (await post(module, auth, own_user.lab.url(row), sync=sync, json=BODY)).status_code != 401
    assert own_user.lab.tokens_sent(row) == ["revoked-token", "fresh-token-1"]


# --- with the SDK and a real authorization server ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def oidc() -> Iterator[Oidc]:
    with Oidc() as oidc:
        yield oidc


async def tools(oidc: Oidc, name: str, store: MemoryStore) -> list[str]:
    """Lists the tools with the SDK."""
    auth = mcp_startup.httpx2.StartupAuth(name, mcp_servers=oidc.servers(name), store=store)
    async with httpx2.AsyncClient(auth=auth) as http, Client(streamable_http_client(oidc.url(name), http_client=http)) as client:
        return [tool.name for tool in (await client.list_tools()).tools]


@needs_oidc
async def test_the_sdk_lists_the_tools_with_a_token_that_was_refreshed_once(oidc: Oidc) -> None:
    grant, store = oidc.grant("expired", accessTtl=0), MemoryStore()
    store.records = grant[1]
    assert await tools(oidc, "expired", store) == ["noop"]
    assert await tools(oidc, "expired", store) == ["noop"]
    assert oidc.stats()["perGrant"][grant[0]["grantId"]] == 1


@needs_oidc
async def test_the_sdk_continues_after_its_token_has_expired_at_the_server(oidc: Oidc) -> None:
    (grant, records), store = oidc.grant("ends"), MemoryStore()
    store.records = records
    auth = mcp_startup.httpx2.StartupAuth("ends", mcp_servers=oidc.servers("ends"), store=store)
    async with httpx2.AsyncClient(auth=auth) as http, Client(streamable_http_client(oidc.url("ends"), http_client=http)) as client:
        await client.list_tools()
        oidc.post("expire", accessToken=grant["accessToken"])
        assert [tool.name for tool in (await client.list_tools()).tools] == ["noop"]
    assert oidc.stats()["perGrant"][grant["grantId"]] == 1


@needs_oidc
async def test_the_sdk_raises_the_verdict_if_the_sign_in_was_revoked(oidc: Oidc) -> None:
    (grant, records), store = oidc.grant("revoked"), MemoryStore()
    store.records = records
    oidc.post("revoke", refreshToken=grant["refreshToken"])
    requests = oidc.stats()["requests"]
    with pytest.raises(BaseException) as raised:
        await tools(oidc, "revoked", store)
    failed = only_error(raised.value)
    assert isinstance(failed, StartupFailedError)
    assert failed.failure.kind is StartupFailureKind.REAUTHENTICATION_REQUIRED
    assert oidc.stats()["requests"] - requests < 20


def only_error(error: BaseException) -> BaseException:
    """Returns the error in the groups that the SDK raises."""
    while isinstance(exceptions := getattr(error, "exceptions", None), tuple):
        (error,) = exceptions
    return error


# --- the dependencies -------------------------------------------------------------------------------------------------


def test_the_package_does_not_need_the_clients() -> None:
    code = """
import sys
sys.modules["httpx"] = sys.modules["httpx2"] = None
import mcp_startup
try:
    import mcp_startup.httpx
except ImportError:
    print("needs httpx")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "needs httpx\n"
