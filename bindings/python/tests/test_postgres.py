"""The option `store=PostgresStore(…)` with PostgreSQL, which scripts/with-postgres starts, and a real authorization server."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import itertools
import json
import os
import subprocess
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lab import DEADLINE_S, run_python
from oidc import INSTALLED, Oidc, browse, needs_oidc

import mcp_startup
from mcp_startup import CredentialStoreError, InvalidArgumentError, PostgresStore

POSTGRES = os.environ.get("MCP_STARTUP_TEST_POSTGRES", "")
# The file `index.mjs` of the built npm package.
NODE_PACKAGE = os.environ.get("MCP_STARTUP_TEST_NODE_PACKAGE", "")
needs_postgres = pytest.mark.skipif(not POSTGRES, reason="run it with scripts/with-postgres")

CANARY = "canary-password"
LAPSE = "update mcp_startup_lease set expires_at = clock_timestamp() - interval '1 ms' where holder is not null"
# Makes the release of each lock take 0.5 s, so that a process could end before it.
SLOW_RELEASE = """
    create function slow_release() returns trigger language plpgsql as $$ begin
        if new.holder is null then perform pg_sleep(0.5); end if; return new; end $$;
    create trigger slow_release before update on mcp_startup_lease for each row execute function slow_release()
"""
users = itertools.count()


def key(byte: int) -> str:
    return base64.b64encode(bytes([byte]) * 32).decode()


KEYS = f"k1:{key(1)}"


def new_user() -> PostgresStore:
    """A store of a new user. Each test has its own."""
    return PostgresStore(POSTGRES, tenant="acme", user=f"python-{os.getpid()}-{next(users)}", keys=KEYS)


@pytest.fixture(scope="module")
def oidc() -> Iterator[Oidc]:
    with Oidc() as oidc:
        yield oidc


async def sign_in(oidc: Oidc, name: str, store: PostgresStore) -> mcp_startup.Options:
    options: mcp_startup.Options = {"mcp_servers": oidc.servers(name), "store": store}
    await mcp_startup.sign_in(name, open_browser=lambda url: asyncio.to_thread(browse, url), **options)
    return options


async def expired(oidc: Oidc, name: str, options: mcp_startup.Options) -> str:
    """Ends the stored access token at the authorization server, and returns the header that it rejects now."""
    header = await mcp_startup.authorization(name, **options)
    assert header is not None
    oidc.post("expire", accessToken=header.removeprefix("Bearer "))
    return header


@needs_postgres
async def test_the_store_passes_both_halves_of_the_conformance_suite() -> None:
    import asyncpg

    store = new_user()
    await mcp_startup.test_credential_store(store)
    leasing = new_user()
    # Another order of the keys, as on a host on which the key is being changed: with a connection pool of its own.
    other = dataclasses.replace(leasing, keys=f"{KEYS} k2:{key(2)}")
    pool = await asyncpg.create_pool(POSTGRES, min_size=1)
    await mcp_startup.test_credential_store(leasing, other=other, lapse=lambda _key: pool.execute(LAPSE))
    await pool.close()


@needs_postgres
@needs_oidc
async def test_a_sign_in_belongs_to_its_user_and_tenant(oidc: Oidc) -> None:
    ann, bob = new_user(), new_user()
    options = await sign_in(oidc, "notes", ann)
    events = [event async for event in mcp_startup.check(**options)]
    assert events[-1].status is mcp_startup.McpServerStartupState.READY
    status = await mcp_startup.auth_status("notes", **options)
    assert (status.status, status.store) == (mcp_startup.McpAuthStatus.OAUTH, "postgres")
    for stranger in (bob, dataclasses.replace(ann, tenant="other"), dataclasses.replace(ann, tenant=None)):
        status = await mcp_startup.auth_status("notes", mcp_servers=oidc.servers("notes"), store=stranger)
        assert (status.worth, status.store_error) == (None, None)
    options_of_bob = await sign_in(oidc, "notes", bob)
    assert (await mcp_startup.sign_out("notes", **options)).revocation is mcp_startup.Revocation.REVOKED
    header = await mcp_startup.authorization("notes", **options_of_bob)
    assert header is not None


@needs_postgres
@needs_oidc
async def test_a_wrong_or_missing_key_is_an_error_of_the_record_and_the_record_stays(oidc: Oidc) -> None:
    options = await sign_in(oidc, "notes", ann := new_user())
    for keys, reason in (
        (f"k1:{key(9)}", "is not the key that encrypts the record"),
        (f"k2:{key(2)}", "the key `k1`, which encrypts the record, is missing"),
    ):
        wrong: mcp_startup.Options = {**options, "store": dataclasses.replace(ann, keys=keys)}
        status = await mcp_startup.auth_status("notes", **wrong)
        assert status.store_error is not None and reason in status.store_error.detail
        failures = [event.failure async for event in mcp_startup.check(**wrong) if event.failure is not None]
        assert [failure.kind for failure in failures] == [mcp_startup.StartupFailureKind.CREDENTIAL_STORE_UNAVAILABLE]
    rotating = dataclasses.replace(ann, keys=f"k2:{key(2)} {KEYS}")
    status = await mcp_startup.auth_status("notes", mcp_servers=oidc.servers("notes"), store=rotating)
    assert status.status is mcp_startup.McpAuthStatus.OAUTH


@needs_postgres
@needs_oidc
def test_a_process_that_ends_right_after_a_refresh_leaves_no_lock_behind(oidc: Oidc) -> None:
    import asyncpg

    async def begin() -> tuple[mcp_startup.Options, str]:
        options = await sign_in(oidc, "ended", new_user())
        return options, await expired(oidc, "ended", options)

    async def execute(sql: str) -> Any:
        connection = await asyncpg.connect(POSTGRES)
        try:
            return await (connection.fetchval if sql.startswith("select") else connection.execute)(sql)
        finally:
            await connection.close()

    options, header = asyncio.run(begin())
    store = options["store"]
    assert isinstance(store, PostgresStore)
    code = f"""
        import mcp_startup
        store = mcp_startup.PostgresStore({store.url!r}, user={store.user!r}, tenant={store.tenant!r}, keys={store.keys!r})
        servers = {options["mcp_servers"]!r}
        print(mcp_startup.authorization_blocking("ended", mcp_startup.Rejected(authorization={header!r}), mcp_servers=servers, store=store))
    """
    asyncio.run(execute(SLOW_RELEASE))
    try:
        assert run_python(textwrap.dedent(code)).startswith("Bearer ")
        assert asyncio.run(execute("select count(*) from mcp_startup_lease where holder is not null")) == 0
    finally:
        asyncio.run(execute("drop function slow_release cascade"))


@needs_postgres
@needs_oidc
@pytest.mark.skipif(not NODE_PACKAGE, reason="MCP_STARTUP_TEST_NODE_PACKAGE is not the file index.mjs of the built npm package")
async def test_processes_in_python_and_node_refresh_a_shared_token_once(oidc: Oidc) -> None:
    for at in range(5):
        # A new sign-in each time: a token that is rejected right after a refresh is not refreshed again.
        name, store = f"shared-{at}", new_user()
        options = await sign_in(oidc, name, store)
        header = await expired(oidc, name, options)
        before = oidc.stats()
        described = {"postgres": store.url, "user": store.user, "tenant": store.tenant, "keys": store.keys}
        code = f"""
            import {{ authorization }} from {json.dumps(Path(NODE_PACKAGE).as_uri())};
            const options = {{ mcpServers: {json.dumps(oidc.servers(name))}, store: {json.dumps(described)} }};
            const rejected = {{ authorization: {json.dumps(header)} }};
            console.log("ready");
            for await (const _ of process.stdin);
            const calls = Array.from({{ length: 8 }}, () => authorization("{name}", rejected, options));
            console.log((await Promise.all(calls)).join("\\n"));
        """
        command = [str(INSTALLED / "bin/node"), "--input-type=module", "-e", code]
        node = await asyncio.create_subprocess_exec(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert node.stdin is not None and node.stdout is not None
        assert await node.stdout.readline() == b"ready\n"
        # Both processes begin now.
        node.stdin.close()
        rejected = mcp_startup.Rejected(authorization=header)
        calls = [mcp_startup.authorization(name, rejected, **options) for _ in range(8)]
        headers = await asyncio.gather(*calls)
        output = await asyncio.wait_for(node.stdout.read(), DEADLINE_S)
        assert await node.wait() == 0
        after = oidc.stats()
        assert (after["refreshes"] - before["refreshes"], after["reuses"] - before["reuses"]) == (1, 0)
        assert {*headers, *output.decode().splitlines()} == {headers[0]}
        assert headers[0] != header


@needs_postgres
async def test_a_database_that_cannot_be_used_is_an_error_without_the_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MCP_STARTUP_STORE_KEYS", raising=False)
    servers: dict[str, Any] = {"s": {"url": "http://127.0.0.1:1/mcp"}}
    for store, reason in (
        (PostgresStore(POSTGRES, user="ann"), "MCP_STARTUP_STORE_KEYS is not set"),
        (PostgresStore(POSTGRES, user="ann", keys=f"k1:{CANARY}"), "key 1 is not 32 bytes in base64"),
        (PostgresStore(f"postgres://app:{CANARY}@127.0.0.1:1/d", user="ann", keys=KEYS), "the database at 127.0.0.1:1 failed"),
        (PostgresStore(POSTGRES, user="", keys=KEYS), "the name of the user must have 1 to 255 bytes"),
    ):
        with pytest.raises(CredentialStoreError, match=reason) as raised:
            await mcp_startup.auth_status("s", mcp_servers=servers, store=store)
        assert CANARY not in str(raised.value) and "os error" not in str(raised.value)
    # The next call tries again, with keys that are set meanwhile.
    monkeypatch.setenv("MCP_STARTUP_STORE_KEYS", KEYS)
    status = await mcp_startup.auth_status("s", mcp_servers=servers, store=PostgresStore(POSTGRES, user="ann"))
    assert status.worth is None


def test_a_description_of_a_store_shows_no_secret() -> None:
    store = PostgresStore(f"postgres://app:{CANARY}@db.example/d", user="ann", keys=f"k1:{CANARY}")
    assert CANARY not in repr(store)


def test_an_invalid_description_of_a_store_is_refused_when_it_is_passed() -> None:
    wrong: Any = 5
    with pytest.raises(InvalidArgumentError, match=r"`store\.user` must be a string, not 5"):
        mcp_startup.check(mcp_servers={}, store=PostgresStore("postgres://localhost/d", user=wrong))
