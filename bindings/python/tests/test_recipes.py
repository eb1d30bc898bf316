"""The stores of examples/many_users with PostgreSQL and Redis, which scripts/with-postgres starts."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import mcp_startup

POSTGRES = os.environ.get("MCP_STARTUP_TEST_POSTGRES", "")
REDIS = os.environ.get("MCP_STARTUP_TEST_REDIS", "")
pytestmark = pytest.mark.skipif(not POSTGRES, reason="run it with scripts/with-postgres")

sys.path.insert(0, str(Path(__file__).parent.parent / "examples" / "many_users"))
OWNER: Any = {"tenant": "acme", "user": "ann", "keys": {"k1": bytes(32)}}
TABLES = "mcp_credential, mcp_credential_lease, mcp_credential_attempt"
LAPSE = "update mcp_credential_lease set expires_at = clock_timestamp() - interval '1 ms' where key = $1"


@asynccontextmanager
async def new_pool() -> AsyncIterator[Any]:
    import asyncpg

    pool = await asyncpg.create_pool(POSTGRES, statement_cache_size=0, min_size=1)
    await pool.execute(f"drop table if exists {TABLES}")
    yield pool
    await pool.close()


async def passes(one: Any, other: Any, lapse: Any) -> None:
    await mcp_startup.test_credential_store(one, other=other, lapse=lapse)


async def test_asyncpg() -> None:
    from asyncpg_store import SCHEMA, PostgresStore

    async with new_pool() as pool, new_pool() as other_pool:
        await pool.execute(SCHEMA)
        one, other = PostgresStore(pool, **OWNER), PostgresStore(other_pool, **OWNER)
        await passes(one, other, lambda key: pool.execute(LAPSE, key))
        await holds_no_text(pool, one)


async def holds_no_text(pool: Any, store: Any) -> None:
    """The records are encrypted, belong to their user, and can be read after the key was changed."""
    assert await store.replace("canary", None, "canary-token")
    rows = await pool.fetch("select record from mcp_credential")
    assert rows and not any(b"token" in row["record"] for row in rows)
    stranger = type(store)(pool, **{**OWNER, "user": "bob"})
    assert await stranger.load("canary") is None
    await pool.execute("update mcp_credential set user_id = 'bob' where key = 'canary'")
    with pytest.raises(ValueError, match="was changed"):
        await stranger.load("canary")
    await pool.execute("update mcp_credential set user_id = 'ann' where key = 'canary'")
    keys = {"k2": bytes([2]) * 32, **OWNER["keys"]}
    rotated = type(store)(pool, **{**OWNER, "keys": keys})
    assert await rotated.replace("canary", "canary-token", "new")
    with pytest.raises(LookupError, match="'k2'"):
        await store.load("canary")


async def test_sqlalchemy() -> None:
    from sqlalchemy.ext.asyncio import create_async_engine
    from sqlalchemy_store import METADATA, SqlStore

    engine = create_async_engine(POSTGRES.replace("postgres://", "postgresql+asyncpg://"))
    async with new_pool() as pool:
        async with engine.begin() as connection:
            await connection.run_sync(METADATA.create_all)
        stores = [SqlStore(engine, **OWNER) for _ in range(2)]
        await passes(*stores, lambda key: pool.execute(LAPSE, key))
    await engine.dispose()


@pytest.mark.skipif(not REDIS, reason="redis-server is not installed")
async def test_redis() -> None:
    from asyncpg_store import SCHEMA
    from redis.asyncio import Redis
    from redis.exceptions import ConnectionError as RedisError
    from redis_lock import ATTEMPTS, RedisLockStore

    async with new_pool() as pool, Redis.from_url(REDIS) as redis:
        await pool.execute(SCHEMA + ATTEMPTS)
        one, other = (RedisLockStore(pool, redis, **OWNER) for _ in range(2))
        await passes(one, other, lambda key: redis.delete(one.name(key)))
    # A Redis that can't be reached is an error, and does not count as a lock that another host holds.
    async with new_pool() as pool, Redis(port=1) as redis:
        with pytest.raises(RedisError):
            async with RedisLockStore(pool, redis, **OWNER).lock("key"):
                pass


async def test_a_store_without_leases_fails_the_tests_of_leases() -> None:
    from stores import MemoryStore

    async def lapse(_key: str) -> None:
        pass

    with pytest.raises(mcp_startup.CredentialStoreError, match="a lock excludes other hosts until its lease ends"):
        await passes(MemoryStore(), MemoryStore(), lapse)
