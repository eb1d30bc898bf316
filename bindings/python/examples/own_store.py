import asyncio
import fcntl
import hashlib
import sqlite3
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import mcp_startup


class SqliteStore:
    """Stores records in the application's database, for all of its processes."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        self.folder = folder
        with closing(self._open()) as database:
            database.execute("CREATE TABLE IF NOT EXISTS records (key TEXT PRIMARY KEY, record TEXT)")

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(self.folder / "credentials.db", isolation_level=None)

    async def load(self, key: str) -> str | None:
        with closing(self._open()) as database:
            return self._stored(database, key)

    async def replace(self, key: str, expected: str | None, new: str | None) -> bool:
        with closing(self._open()) as database:
            # One transaction, so that no other write happens between the comparison and the write.
            database.execute("BEGIN IMMEDIATE")
            if self._stored(database, key) != expected:
                return False
            if new is None:
                database.execute("DELETE FROM records WHERE key = ?", [key])
            else:
                database.execute("INSERT OR REPLACE INTO records VALUES (?, ?)", [key, new])
            database.execute("COMMIT")
            return True

    @asynccontextmanager
    async def lock(self, key: str) -> AsyncIterator[None]:
        # The lock is held during a refresh, so it must not block `load`. It is released if the process that holds it exits.
        name = hashlib.sha256(key.encode()).hexdigest()
        with open(self.folder / f"{name}.lock", "w") as file:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    await asyncio.sleep(0.02)
            yield

    def _stored(self, database: sqlite3.Connection, key: str) -> str | None:
        row = database.execute("SELECT record FROM records WHERE key = ?", [key]).fetchone()
        return None if row is None else str(row[0])


async def main() -> None:
    # In your tests: check that the store meets the contract.
    with tempfile.TemporaryDirectory() as empty:
        await mcp_startup.test_credential_store(SqliteStore(Path(empty)))
    async for event in mcp_startup.check(config="~/.codex/config.toml", store=SqliteStore(Path("credentials"))):
        print(event.notification.name, event.notification.status)


asyncio.run(main())
