"""Measures how fast lines recorded from Codex's app-server are decoded and tracked, compared with the alternatives in Python.

Prints one line of JSON: rates in lines per second (medians), the speedup, and the peak resident memory after the tracker's first run.
Use a release build. The input is chunks of 1 MiB of whole lines, like the buffers of a reader of a long stream, and, up to a million
lines, also one large chunk, like a whole file (`AtOnce`).

* `tracker`: `StartupTracker.apply_lines`, compared with `json.loads` for each line and the same tracking (`jsonFold`).
* `decodeLines`: decodes all lines of a chunk at once and reads the name, status and failure reason of each, compared with `msgspec`
  decoding the same lines into a `Struct` and reading the same three fields.
* `decode`: decodes line by line, compared with `json.loads` and a dataclass (`json`).

usage: python bench/decode.py [--lines N] [--rounds N]
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

import mcp_startup

FIXTURE = Path(__file__).parents[3] / "tests/fixtures/codex-app-server-0.169.0.jsonl"


class Params(msgspec.Struct, rename="camel"):
    name: str
    status: str
    thread_id: str | None = None
    error: str | None = None
    failure_reason: str | None = None


class Message(msgspec.Struct):
    method: str
    params: Params


@dataclasses.dataclass(frozen=True)
class Notification:
    thread_id: str | None
    name: str
    status: str
    error: str | None
    failure_reason: str | None


def with_tracker(chunk: bytes, _: list[bytes], chunks: int) -> int:
    tracker = mcp_startup.StartupTracker()
    return sum(tracker.apply_lines(chunk).notifications for _ in range(chunks))


def with_json_fold(chunk: bytes, _: list[bytes], chunks: int) -> int:
    """Tracks the state of each (threadId, name), the changed servers, and one prompt for each name and episode."""
    servers: dict[tuple[str | None, str], dict[str, Any]] = {}
    changed: set[tuple[str | None, str]] = set()
    episodes: set[str] = set()
    prompts: list[str] = []
    read = 0
    for _ in range(chunks):
        for line in chunk.splitlines():
            message = json.loads(line)
            if message["method"] != "mcpServer/startupStatus/updated":
                continue
            read += 1
            params = message["params"]
            name, status = params["name"], params["status"]
            key = (params["threadId"], name)
            if servers.get(key) != params:
                servers[key] = params
                changed.add(key)
            if status == "failed" and params["failureReason"] == "reauthenticationRequired" and name not in episodes:
                episodes.add(name)
                prompts.append(name)
            if status == "ready":
                episodes.discard(name)
    return read


def with_decode_lines(chunk: bytes, _: list[bytes], chunks: int) -> int:
    read = 0
    for _ in range(chunks):
        for notification in mcp_startup.decode_lines(chunk).notifications:
            notification.name, notification.status, notification.failure_reason  # noqa: B018
            read += 1
    return read


def with_msgspec(chunk: bytes, _: list[bytes], chunks: int) -> int:
    read = 0
    decoder = msgspec.json.Decoder(Message)
    for _ in range(chunks):
        for message in decoder.decode_lines(chunk):
            params = message.params
            params.name, params.status, params.failure_reason  # noqa: B018
            read += 1
    return read


def with_decode(_: bytes, lines: list[bytes], chunks: int) -> int:
    read = 0
    for _ in range(chunks):
        for line in lines:
            read += mcp_startup.decode(line) is not None
    return read


def with_json(_: bytes, lines: list[bytes], chunks: int) -> int:
    read = 0
    for _ in range(chunks):
        for line in lines:
            params = json.loads(line)["params"]
            Notification(
                thread_id=params["threadId"],
                name=params["name"],
                status=params["status"],
                error=params["error"],
                failure_reason=params["failureReason"],
            )
            read += 1
    return read


SIDES: dict[str, Callable[[bytes, list[bytes], int], int]] = {
    "tracker": with_tracker,
    "jsonFold": with_json_fold,
    "decodeLines": with_decode_lines,
    "msgspec": with_msgspec,
    "decode": with_decode,
    "json": with_json,
}


def at_once(run: Callable[[bytes, list[bytes], int], int]) -> Callable[[bytes, list[bytes], int], int]:
    def read(chunk: bytes, lines: list[bytes], chunks: int) -> int:
        return run(whole(chunk, chunks), lines, 1)

    return read


@functools.cache
def whole(chunk: bytes, chunks: int) -> bytes:
    return chunk * chunks


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    arguments.add_argument("--lines", type=int, default=100_000, help="approximate number of lines (default: %(default)s)")
    arguments.add_argument("--rounds", type=int, default=5, help="number of rounds, of which the median is taken (default: %(default)s)")
    options = arguments.parse_args()

    fixture = FIXTURE.read_bytes()
    chunk = fixture * (2**20 // len(fixture))
    lines = chunk.splitlines()
    chunks = -(-options.lines // len(lines))
    sides = dict(SIDES)
    if options.lines <= 1_000_000:
        sides |= {f"{name}AtOnce": at_once(SIDES[name]) for name in ["decodeLines", "msgspec"]}
    rates: dict[str, list[float]] = {name: [] for name in sides}
    peak: int | None = None
    # Each round runs every side, so that a busy machine slows all of them equally. The first round is a warm-up.
    for turn in range(options.rounds + 1):
        for name, run in sides.items():
            began = time.perf_counter()
            read = run(chunk, lines, chunks)
            if turn > 0:
                rates[name].append(read / (time.perf_counter() - began))
            assert read == len(lines) * chunks, f"{name}: {read} of {len(lines) * chunks}"
            peak = peak or peak_kib()
    median = {name: statistics.median(of_one) for name, of_one in rates.items()}
    result = {
        "lines": len(lines) * chunks,
        "rounds": options.rounds,
        "linesPerSecond": {name: round(rate) for name, rate in median.items()},
        "trackerToJson": round(median["tracker"] / median["jsonFold"], 2),
        "decodeLinesToMsgspec": round(median["decodeLines"] / median["msgspec"], 2),
        "decodeToJson": round(median["decode"] / median["json"], 2),
        "peakKib": peak,
    }
    print(json.dumps(result))


def peak_kib() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // 1024 if sys.platform == "darwin" else peak


if __name__ == "__main__":
    main()
