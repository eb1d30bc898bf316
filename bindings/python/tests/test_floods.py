"""Ten servers that flood a check take bounded memory and affect no other server. `tests/attacks/flood.py` has the servers, and
`flood.json` the floods. The package keeps no live servers."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from lab import run_python

ATTACKS = Path(__file__).parents[3] / "tests/attacks"
FLOOD = str(ATTACKS / "flood.py")
FLOODS: list[dict[str, Any]] = json.loads((ATTACKS / "flood.json").read_text())
QUIET = {"flood": "quiet", "when": "list"}
HOSTILE = 10
# Above the same check of servers that are quiet.
MAX_PEAK_KB = 80_000

# The host: a process that checks the servers, and prints how each start ended and its own peak memory.
HOST = """
import asyncio, json, re, sys, mcp_startup
from pathlib import Path
async def main():
    ends = {}
    async for event in mcp_startup.check(mcp_servers=json.loads(sys.argv[1])):
        if event.notification.status != "starting":
            ends[event.notification.name] = event.failure.kind if event.failure else event.notification.status
    peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())
    print(json.dumps({"ends": ends, "peak_kb": int(peak[1])}))
asyncio.run(main())
"""


@pytest.fixture
def base() -> Iterator[str]:
    """The base URL of the servers over HTTP. They end with their input."""
    with subprocess.Popen(
        [sys.executable, FLOOD, "http"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as servers:
        assert servers.stdout is not None
        yield servers.stdout.readline().strip()
        servers.kill()


def host_of(transport: str, base: str, row: dict[str, Any]) -> dict[str, Any]:
    def entry(flood: str, when: str) -> dict[str, object]:
        if transport == "stdio":
            return {"command": sys.executable, "args": [FLOOD, "stdio", flood, when]}
        return {"type": "http", "url": f"{base}{flood}/{when}"}

    servers = {f"hostile-{n}": entry(row["flood"], row["when"]) for n in range(HOSTILE)}
    host: dict[str, Any] = json.loads(run_python(HOST, json.dumps({**servers, "working": entry(**QUIET)})))
    return host


def check_floods(transport: str, base: str) -> None:
    quiet = host_of(transport, base, QUIET)
    assert set(quiet["ends"].values()) == {"ready"}
    for row in FLOODS:
        if transport not in row["over"]:
            continue
        host = host_of(transport, base, row)
        shown = f"{transport} {row['flood']} {row['when']}"
        print(f"{shown}: {host['peak_kb']} kB, with quiet servers {quiet['peak_kb']} kB")
        assert host["ends"].pop("working") == "ready", shown
        assert len(host["ends"]) == HOSTILE, shown
        assert set(host["ends"].values()) <= set(row["ends"]), shown
        assert host["peak_kb"] <= quiet["peak_kb"] + MAX_PEAK_KB, shown


@pytest.mark.skipif(sys.platform != "linux", reason="the peak memory of a process is read from /proc")
def test_floods_take_bounded_memory_and_affect_no_other_server(base: str) -> None:
    with ThreadPoolExecutor() as threads:
        # Raises the failure of each.
        list(threads.map(check_floods, ["stdio", "http"], [base, base]))
