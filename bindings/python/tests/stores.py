"""Credential stores for tests: a correct one, and several that violate the contract."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class MemoryStore:
    """Stores records in memory, for all event loops and threads of this process."""

    def __init__(self) -> None:
        self.records: dict[str, str] = {}
        self.held: set[str] = set()
        self.waiting = 0
        self._mutex = threading.Lock()

    async def load(self, key: str) -> str | None:
        return self.records.get(key)

    async def replace(self, key: str, expected: str | None, new: str | None) -> bool:
        with self._mutex:
            if self.records.get(key) != expected:
                return False
            if new is None:
                self.records.pop(key, None)
            else:
                self.records[key] = new
            return True

    @asynccontextmanager
    async def lock(self, key: str) -> AsyncIterator[None]:
        self.waiting += 1
        try:
            while not self._take(key):
                await asyncio.sleep(0.005)
        finally:
            self.waiting -= 1
        try:
            yield
        finally:
            self.held.remove(key)

    def _take(self, key: str) -> bool:
        with self._mutex:
            if key in self.held:
                return False
            self.held.add(key)
            return True


class Forgets(MemoryStore):
    """Reports a record as stored without storing it."""

    async def replace(self, key: str, expected: str | None, new: str | None) -> bool:
        return True


class Overwrites(MemoryStore):
    """Ignores the expected record."""

    async def replace(self, key: str, expected: str | None, new: str | None) -> bool:
        return await super().replace(key, self.records.get(key), new)


class LocksNothing(MemoryStore):
    """Has a lock that excludes no one."""

    @asynccontextmanager
    async def lock(self, key: str) -> AsyncIterator[None]:
        yield


class Mixes(MemoryStore):
    """Stores one record for all keys."""

    async def load(self, key: str) -> str | None:
        return await super().load("one")

    async def replace(self, key: str, expected: str | None, new: str | None) -> bool:
        return await super().replace("one", expected, new)


class Raises(MemoryStore):
    """Can't be read."""

    async def load(self, key: str) -> str | None:
        raise PermissionError("the vault is locked")


class CannotReplace(MemoryStore):
    """Can be read, but not written."""

    async def replace(self, key: str, expected: str | None, new: str | None) -> bool:
        raise OSError("the vault is full")


class CannotLock(MemoryStore):
    """Can't be locked."""

    @asynccontextmanager
    async def lock(self, key: str) -> AsyncIterator[None]:
        raise OSError("the vault has no key")
        yield
