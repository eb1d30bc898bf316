"""The sign-ins of many users on many hosts, in PostgreSQL, over the driver `asyncpg`. Copy it and adapt it to your schema.

    pool = await asyncpg.create_pool(url, statement_cache_size=0)
    await pool.execute(SCHEMA)
    store = PostgresStore(pool, tenant="acme", user="user-1", keys={"2026-11": key})
    async for event in mcp_startup.check(mcp_servers=servers, store=store): ...

The lock of a record is a lease on the clock of the database, so the clocks of hosts do not matter. No connection is held while a host
waits. Each call is one or two statements. With `statement_cache_size=0`, they also work through PgBouncer in transaction mode.
"""

import asyncio
import json
import random
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from os import urandom
from typing import Any

import asyncpg
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from mcp_startup import LeaseState

SCHEMA = """
    create table if not exists mcp_credential (
        tenant text not null,
        user_id text not null,
        key text not null,
        record bytea not null,
        -- The ID of the key that encrypts the record.
        key_id text not null,
        -- New at each save, for the compare-and-swap.
        revision uuid not null,
        primary key (tenant, user_id, key)
    );
    create table if not exists mcp_credential_lease (
        tenant text not null,
        user_id text not null,
        key text not null,
        -- One UUID for each acquisition; null if the lock is free.
        holder uuid,
        -- How often the lock was acquired.
        epoch bigint not null,
        expires_at timestamptz not null,
        -- The last refresh whose outcome is not known.
        attempt text,
        attempt_at timestamptz,
        attempt_epoch bigint,
        primary key (tenant, user_id, key)
    )"""

# Longer than a refresh may take. A host that was killed excludes others for this long.
LEASE_MS = 60_000
EXPIRY = f"clock_timestamp() + interval '{LEASE_MS} ms'"
THIS = "tenant = $1 and user_id = $2 and key = $3"

# The condition on the selection makes a failed attempt a read, so that hosts that wait do not write.
ACQUIRE = f"""
    insert into mcp_credential_lease as lease (tenant, user_id, key, holder, epoch, expires_at)
    select $1, $2, $3, $4, 1, {EXPIRY}
    where not exists (select from mcp_credential_lease where {THIS} and holder is not null and expires_at >= clock_timestamp())
    on conflict (tenant, user_id, key) do update
    set holder = excluded.holder, epoch = lease.epoch + 1, expires_at = {EXPIRY}
    where lease.holder is null or lease.expires_at < clock_timestamp()
    returning epoch"""

# A lease that ended and that no other host took still belongs to its holder. An earlier attempt with the same token keeps its time.
RENEW = f"""
    with earlier as (select attempt, attempt_at, attempt_epoch from mcp_credential_lease where {THIS})
    update mcp_credential_lease as lease set
        expires_at = {EXPIRY},
        attempt = coalesce($5, lease.attempt),
        attempt_at = case when coalesce($5, lease.attempt) = lease.attempt then lease.attempt_at else clock_timestamp() end,
        attempt_epoch = case when coalesce($5, lease.attempt) = lease.attempt then lease.attempt_epoch else lease.epoch end
    from earlier where {THIS} and holder = $4
    returning case when earlier.attempt = $5 and earlier.attempt_epoch <> lease.epoch
        then (extract(epoch from earlier.attempt_at) * 1000)::bigint end as sent_before"""

RELEASE = f"""
    update mcp_credential_lease set holder = null, attempt = case when $5 then null else attempt end
    where {THIS} and holder = $4"""


class Lease:
    """The lock of a record."""

    def __init__(self, store: "PostgresStore", key: str) -> None:
        # A new holder for each acquisition, so that two tasks of a process are two holders.
        self.store, self.key, self.holder, self.attempt_has_ended = store, key, uuid.uuid4(), False

    async def renew(self, attempt: str | None, /) -> LeaseState | None:
        row = await self.store.row(RENEW, self.key, self.holder, attempt)
        return None if row is None else LeaseState(LEASE_MS, row["sent_before"])

    def end_attempt(self) -> None:
        self.attempt_has_ended = True


class PostgresStore:
    """The records of one user. `keys` has keys of 32 bytes by their ID. The first one encrypts, and all of them decrypt."""

    def __init__(self, pool: "asyncpg.Pool[Any]", *, tenant: str, user: str, keys: dict[str, bytes]) -> None:
        self.pool, self.place, self.keys = pool, (tenant, user), keys

    async def load(self, key: str, /) -> str | None:
        return (await self._stored(key))[0]

    async def replace(self, key: str, expected: str | None, new: str | None, /) -> bool:
        text, seen = await self._stored(key)
        if text != expected:
            return False
        if new is None:
            delete = f"delete from mcp_credential where {THIS} and revision = $4 returning true"
            return seen is None or await self.row(delete, key, seen) is not None
        key_id = next(iter(self.keys))
        columns = self._encrypt(key, key_id, new), key_id, uuid.uuid4()
        if seen is None:
            insert = "insert into mcp_credential (tenant, user_id, key, record, key_id, revision) values ($1, $2, $3, $4, $5, $6)"
            return await self.row(f"{insert} on conflict do nothing returning true", key, *columns) is not None
        update = f"update mcp_credential set record = $4, key_id = $5, revision = $6 where {THIS} and revision = $7 returning true"
        return await self.row(update, key, *columns, seen) is not None

    @asynccontextmanager
    async def lock(self, key: str, /) -> AsyncIterator[Lease]:
        lease = Lease(self, key)
        while await self.row(ACQUIRE, key, lease.holder) is None:
            await asyncio.sleep(random.uniform(0.05, 0.25))
        try:
            yield lease
        finally:
            await self.row(RELEASE, key, lease.holder, lease.attempt_has_ended)

    async def row(self, sql: str, key: str, *values: object) -> Any:
        return await self.pool.fetchrow(sql, *self.place, key, *values)

    async def _stored(self, key: str) -> tuple[str | None, uuid.UUID | None]:
        row = await self.row(f"select record, key_id, revision from mcp_credential where {THIS}", key)
        return (None, None) if row is None else (self._decrypt(key, row["key_id"], row["record"]), row["revision"])

    def _cipher(self, key: str, key_id: str) -> tuple[AESGCM, bytes]:
        """The cipher of one record, and the identity that it authenticates: a row can't be moved to another user."""
        if key_id not in self.keys:
            raise LookupError(f"the key {key_id!r} that encrypts the record is missing")
        identity = json.dumps([*self.place, key, key_id]).encode()
        return AESGCM(HKDF(SHA256(), 32, None, identity).derive(self.keys[key_id])), identity

    def _encrypt(self, key: str, key_id: str, text: str) -> bytes:
        cipher, identity = self._cipher(key, key_id)
        nonce = urandom(12)
        return nonce + cipher.encrypt(nonce, text.encode(), identity)

    def _decrypt(self, key: str, key_id: str, record: bytes) -> str:
        cipher, identity = self._cipher(key, key_id)
        try:
            return cipher.decrypt(record[:12], record[12:], identity).decode()
        except InvalidTag:
            raise ValueError("the record was changed after it was encrypted, or its key is another one") from None
