"""The sign-ins of many users on many hosts, in PostgreSQL, over SQLAlchemy. Copy it and adapt it to your schema.

    engine = create_async_engine("postgresql+asyncpg://app@db.example/app")
    async with engine.begin() as connection:
        await connection.run_sync(METADATA.create_all)
    store = SqlStore(engine, tenant="acme", user="user-1", keys={"2026-11": key})
    async for event in mcp_startup.check(mcp_servers=servers, store=store): ...

The lock of a record is a lease on the clock of the database, so the clocks of hosts do not matter. No connection is held while a host
waits: each call is one or two transactions with one statement.
"""

import asyncio
import json
import random
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from os import urandom
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from mcp_startup import LeaseState
from sqlalchemy import BigInteger, Column, DateTime, LargeBinary, MetaData, Table, Text, Uuid, bindparam, text
from sqlalchemy.ext.asyncio import AsyncEngine

METADATA = MetaData()


def names() -> list[Column[str]]:
    return [Column(name, Text, primary_key=True) for name in ("tenant", "user_id", "key")]


RECORDS = Table(
    "mcp_credential",
    METADATA,
    *names(),
    Column("record", LargeBinary, nullable=False),
    # The ID of the key that encrypts the record.
    Column("key_id", Text, nullable=False),
    # New at each save, for the compare-and-swap.
    Column("revision", Uuid, nullable=False),
)
LEASES = Table(
    "mcp_credential_lease",
    METADATA,
    *names(),
    # One UUID for each acquisition; null if the lock is free.
    Column("holder", Uuid),
    # How often the lock was acquired.
    Column("epoch", BigInteger, nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    # The last refresh whose outcome is not known.
    Column("attempt", Text),
    Column("attempt_at", DateTime(timezone=True)),
    Column("attempt_epoch", BigInteger),
)

# Longer than a refresh may take. A host that was killed excludes others for this long.
LEASE_MS = 60_000
EXPIRY = f"clock_timestamp() + interval '{LEASE_MS} ms'"
THIS = "tenant = :tenant and user_id = :user_id and key = :key"

# The condition on the selection makes a failed attempt a read, so that hosts that wait do not write.
ACQUIRE = f"""
    insert into mcp_credential_lease as lease (tenant, user_id, key, holder, epoch, expires_at)
    select cast(:tenant as text), cast(:user_id as text), cast(:key as text), cast(:holder as uuid), 1, {EXPIRY}
    where not exists (select from mcp_credential_lease where {THIS} and holder is not null and expires_at >= clock_timestamp())
    on conflict (tenant, user_id, key) do update
    set holder = excluded.holder, epoch = lease.epoch + 1, expires_at = {EXPIRY}
    where lease.holder is null or lease.expires_at < clock_timestamp()
    returning epoch"""

# A lease that ended and that no other host took still belongs to its holder. An earlier attempt with the same token keeps its time.
RENEW = f"""
    with earlier as (select attempt, attempt_at, attempt_epoch from mcp_credential_lease where {THIS}),
    new as (select cast(:attempt as text) as attempt)
    update mcp_credential_lease as lease set
        expires_at = {EXPIRY},
        attempt = coalesce(new.attempt, lease.attempt),
        attempt_at = case when coalesce(new.attempt, lease.attempt) = lease.attempt then lease.attempt_at else clock_timestamp() end,
        attempt_epoch = case when coalesce(new.attempt, lease.attempt) = lease.attempt then lease.attempt_epoch else lease.epoch end
    from earlier, new where {THIS} and holder = :holder
    returning case when earlier.attempt = new.attempt and earlier.attempt_epoch <> lease.epoch
        then cast(extract(epoch from earlier.attempt_at) * 1000 as bigint) end as sent_before"""

RELEASE = f"""
    update mcp_credential_lease set holder = null, attempt = case when :ended then null else attempt end
    where {THIS} and holder = :holder returning epoch"""


class Lease:
    """The lock of a record."""

    def __init__(self, store: "SqlStore", key: str) -> None:
        # A new holder for each acquisition, so that two tasks of a process are two holders.
        self.store, self.key, self.holder, self.attempt_has_ended = store, key, uuid.uuid4(), False

    async def renew(self, attempt: str | None, /) -> LeaseState | None:
        row = await self.store.row(RENEW, self.key, holder=self.holder, attempt=attempt)
        return None if row is None else LeaseState(LEASE_MS, row.sent_before)

    def end_attempt(self) -> None:
        self.attempt_has_ended = True


class SqlStore:
    """The records of one user. `keys` has keys of 32 bytes by their ID. The first one encrypts, and all of them decrypt."""

    def __init__(self, engine: AsyncEngine, *, tenant: str, user: str, keys: dict[str, bytes]) -> None:
        self.engine, self.place, self.keys = engine, {"tenant": tenant, "user_id": user}, keys

    async def load(self, key: str, /) -> str | None:
        return (await self._stored(key))[0]

    async def replace(self, key: str, expected: str | None, new: str | None, /) -> bool:
        text, seen = await self._stored(key)
        if text != expected:
            return False
        if new is None:
            delete = f"delete from mcp_credential where {THIS} and revision = :seen returning true"
            return seen is None or await self.row(delete, key, seen=seen) is not None
        key_id = next(iter(self.keys))
        columns = {"record": self._encrypt(key, key_id, new), "key_id": key_id, "revision": uuid.uuid4()}
        if seen is None:
            insert = "insert into mcp_credential values (:tenant, :user_id, :key, :record, :key_id, :revision)"
            return await self.row(f"{insert} on conflict do nothing returning true", key, **columns) is not None
        update = "update mcp_credential set record = :record, key_id = :key_id, revision = :revision"
        return await self.row(f"{update} where {THIS} and revision = :seen returning true", key, **columns, seen=seen) is not None

    @asynccontextmanager
    async def lock(self, key: str, /) -> AsyncIterator[Lease]:
        lease = Lease(self, key)
        while await self.row(ACQUIRE, key, holder=lease.holder) is None:
            await asyncio.sleep(random.uniform(0.05, 0.25))
        try:
            yield lease
        finally:
            await self.row(RELEASE, key, holder=lease.holder, ended=lease.attempt_has_ended)

    async def row(self, sql: str, key: str, **values: object) -> Any:
        # The revisions and holders are UUIDs, which the driver needs to know.
        uuids = [bindparam(name, type_=Uuid) for name in ("holder", "revision", "seen") if name in values]
        async with self.engine.begin() as connection:
            result = await connection.execute(text(sql).bindparams(*uuids), {**self.place, "key": key, **values})
            return result.first()

    async def _stored(self, key: str) -> tuple[str | None, uuid.UUID | None]:
        row = await self.row(f"select record, key_id, revision as stored from mcp_credential where {THIS}", key)
        return (None, None) if row is None else (self._decrypt(key, row.key_id, row.record), row.stored)

    def _cipher(self, key: str, key_id: str) -> tuple[AESGCM, bytes]:
        """The cipher of one record, and the identity that it authenticates: a row can't be moved to another user."""
        if key_id not in self.keys:
            raise LookupError(f"the key {key_id!r} that encrypts the record is missing")
        identity = json.dumps([*self.place.values(), key, key_id]).encode()
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
