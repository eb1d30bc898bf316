"""A lock in Redis for sign-ins in PostgreSQL, over `redis` and the store of `asyncpg_store.py`. Copy it and adapt it.

    await pool.execute(SCHEMA + ATTEMPTS)
    store = RedisLockStore(pool, redis, tenant="acme", user="user-1", keys={"2026-11": key})

Use it if your hosts already have locks in Redis. Otherwise, the lock in PostgreSQL is enough. The records and the attempts stay in
PostgreSQL: Redis can lose what it has acknowledged, and a lost lock costs less than a lost sign-in.
"""

import asyncio
import hashlib
import json
import random
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from asyncpg_store import LEASE_MS, THIS, PostgresStore
from mcp_startup import LeaseState
from redis.asyncio import Redis

ATTEMPTS = """;
    create table if not exists mcp_credential_attempt (
        tenant text not null,
        user_id text not null,
        key text not null,
        holder uuid not null,
        attempt text not null,
        sent_at timestamptz not null,
        primary key (tenant, user_id, key)
    )"""

# An earlier attempt with the same token keeps its holder and its time.
BEGIN = """
    insert into mcp_credential_attempt as stored values ($1, $2, $3, $4, $5, clock_timestamp())
    on conflict (tenant, user_id, key) do update set
        holder = case when stored.attempt = excluded.attempt then stored.holder else excluded.holder end,
        sent_at = case when stored.attempt = excluded.attempt then stored.sent_at else excluded.sent_at end,
        attempt = excluded.attempt
    returning case when holder <> $4 then (extract(epoch from sent_at) * 1000)::bigint end as sent_before"""
END = f"delete from mcp_credential_attempt where {THIS} and attempt = $4"

# Only the holder extends or releases the lock: a late holder must not free the lock of the next one.
EXTEND = "return redis.call('get', KEYS[1]) == ARGV[1] and redis.call('pexpire', KEYS[1], ARGV[2]) or 0"
RELEASE = "return redis.call('get', KEYS[1]) == ARGV[1] and redis.call('del', KEYS[1]) or 0"


class RedisLease:
    """The lock of a record."""

    def __init__(self, store: "RedisLockStore", key: str) -> None:
        # A new holder for each acquisition, so that two tasks of a process are two holders.
        self.store, self.key, self.holder = store, key, uuid.uuid4()
        self.attempt: str | None = None
        self.attempt_has_ended = False

    async def renew(self, attempt: str | None, /) -> LeaseState | None:
        name = self.store.name(self.key)
        if not await self.store.redis.eval(EXTEND, 1, name, str(self.holder), LEASE_MS):
            return None
        if attempt is None:
            return LeaseState(LEASE_MS)
        row = await self.store.row(BEGIN, self.key, self.holder, attempt)
        self.attempt = attempt
        return LeaseState(LEASE_MS, row["sent_before"])

    def end_attempt(self) -> None:
        self.attempt_has_ended = True


class RedisLockStore(PostgresStore):
    """The records of one user, with locks in Redis."""

    def __init__(self, pool: "asyncpg.Pool[Any]", redis: "Redis", *, tenant: str, user: str, keys: dict[str, bytes]) -> None:
        super().__init__(pool, tenant=tenant, user=user, keys=keys)
        self.redis = redis

    def name(self, key: str) -> str:
        """The name of the lock in Redis."""
        return "mcp-lock:" + hashlib.sha256(json.dumps([*self.place, key]).encode()).hexdigest()

    @asynccontextmanager
    async def lock(self, key: str, /) -> AsyncIterator[RedisLease]:  # type: ignore[override]
        lease = RedisLease(self, key)
        # Three answers: granted, held by another, and the error of a Redis that can't be reached, which must not count as "held".
        while not await self.redis.set(self.name(key), str(lease.holder), nx=True, px=LEASE_MS):
            await asyncio.sleep(random.uniform(0.05, 0.25))
        try:
            yield lease
        finally:
            if lease.attempt is not None and lease.attempt_has_ended:
                await self.row(END, key, lease.attempt)
            await self.redis.eval(RELEASE, 1, self.name(key), str(lease.holder))
