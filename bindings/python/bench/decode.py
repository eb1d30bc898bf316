"""How fast the contract is read, on the lines of Codex's app-server, beside what a Python program would use instead.

Prints one line of JSON: rates in lines a second (medians), and how many times faster. Only a release build means anything.

* `decodeLines`: all lines at once, and name, status and failure reason of each read; against `msgspec` decoding the same lines into a
  `Struct`, and the same three fields read.
* `decode`: line by line; against `json.loads` and a dataclass.

usage: python bench/decode.py [--lines N] [--rounds N]
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
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


def with_decode_lines(data: bytes) -> int:
    read = 0
    for said in mcp_startup.decode_lines(data).notifications:
        said.name, said.status, said.failure_reason  # noqa: B018
        read += 1
    return read


def with_msgspec(data: bytes) -> int:
    read = 0
    for message in msgspec.json.Decoder(Message).decode_lines(data):
        said = message.params
        said.name, said.status, said.failure_reason  # noqa: B018
        read += 1
    return read


def with_decode(lines: list[bytes]) -> int:
    read = 0
    for line in lines:
        read += mcp_startup.decode(line) is not None
    return read


def with_json(lines: list[bytes]) -> int:
    read = 0
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


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    arguments.add_argument("--lines", type=int, default=200_000, help="about so many lines (default: %(default)s)")
    arguments.add_argument("--rounds", type=int, default=5, help="the median of so many (default: %(default)s)")
    given = arguments.parse_args()

    fixture = FIXTURE.read_bytes().splitlines()
    lines = fixture * max(1, given.lines // len(fixture))
    data = b"\n".join(lines)
    runs: dict[str, tuple[Callable[[Any], int], Any]] = {
        "decodeLines": (with_decode_lines, data),
        "msgspec": (with_msgspec, data),
        "decode": (with_decode, lines),
        "json": (with_json, lines),
    }
    rates: dict[str, list[float]] = {name: [] for name in runs}
    # One after the other in each round: what slows the machine for a while slows them all.
    for _ in range(given.rounds):
        for name, (run, argument) in runs.items():
            began = time.perf_counter()
            read = run(argument)
            rates[name].append(read / (time.perf_counter() - began))
            assert read == len(lines), f"{name}: {read} of {len(lines)}"
    median = {name: statistics.median(of_one) for name, of_one in rates.items()}
    result = {
        "lines": len(lines),
        "rounds": given.rounds,
        "linesPerSecond": {name: round(rate) for name, rate in median.items()},
        "decodeLinesToMsgspec": round(median["decodeLines"] / median["msgspec"], 2),
        "decodeToJson": round(median["decode"] / median["json"], 2),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
