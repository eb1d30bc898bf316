"""The goals, and whether the results meet them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from . import credentials, lines, start
from .rows import Row, find


@dataclass
class Goal:
    what: str
    # Returns the result, or `None` if it was not measured.
    reached: Callable[[list[Row]], float | None]
    limit: float
    unit: str
    at_most: bool

    def line(self, rows: list[Row]) -> str | None:
        reached = self.reached(rows)
        if reached is None:
            return None
        is_met = reached <= self.limit if self.at_most else reached >= self.limit
        bound = "at most" if self.at_most else "at least"
        return f"| {self.what} | {bound} {self.limit:g} {self.unit} | {reached:.3g} {self.unit} | {'yes' if is_met else '**no**'} |"


def ratio(case: str, side: str, over: str, less: str | None = None) -> Callable[[list[Row]], float | None]:
    """The median of `side` divided by that of `over`. The median of `less`, if given, is subtracted from `side` first."""

    def of(rows: list[Row]) -> float | None:
        one, other = find(rows, case, side), find(rows, case, over)
        if one is None or other is None:
            return None
        without = find(rows, case, less) if less else None
        return (one.median - (without.median if without else 0)) / other.median

    return of


def of_row(case: str, side: str, of: Callable[[Row], float]) -> Callable[[list[Row]], float | None]:
    def found(rows: list[Row]) -> float | None:
        row = find(rows, case, side)
        return of(row) if row else None

    return found


def growth(rows: list[Row]) -> float | None:
    """The time for each of 1,000 servers, divided by the time for each of 200."""
    many, few = (find(rows, start.http(count, 50), start.PROGRAM) for count in (1000, 200))
    return (many.median / 1000) / (few.median / 200) if many and few else None


def refreshes(rows: list[Row]) -> float | None:
    """The time without that of the synced writes, divided by the lower bound."""
    sides = (credentials.OURS, credentials.ROUNDS, credentials.SYNCS)
    ours, rounds, syncs = (find(rows, credentials.refreshes(200), side) for side in sides)
    return (ours.median - syncs.median) / rounds.median if ours and rounds and syncs else None


def million_lines(language: str, ours: str) -> Callable[[list[Row]], float | None]:
    return millions(lines.case(language, ours, 100_000), ours)


def millions(case: str, side: str) -> Callable[[list[Row]], float | None]:
    return of_row(case, side, lambda row: row.median / 1e6)


def memory_growth(language: str) -> Callable[[list[Row]], float | None]:
    """The peak memory for 10 million lines, divided by that for 100,000."""

    def of(rows: list[Row]) -> float | None:
        few, many = (find(rows, lines.case(language, "tracker", count), "tracker") for count in (100_000, 10_000_000))
        return many.memory[0] / few.memory[0] if few and many and few.memory and many.memory else None

    return of


BUSY = start.http(200, 0)
TIMES = "×"
GOALS = [
    Goal("200 HTTP servers, no delay: time relative to bare rmcp", ratio(BUSY, start.PROGRAM, start.BARE), 1.25, TIMES, True),
    Goal("200 HTTP servers, no delay: time of Codex's app-server relative to mcp-startup", ratio(BUSY, start.CODEX, start.PROGRAM), 20, TIMES, False),
    Goal("200 HTTP servers, no delay: peak memory", of_row(BUSY, start.PROGRAM, lambda row: max(row.memory)), 32, "MB", True),
    Goal("1,000 HTTP servers, 50 ms delay: time for each server relative to 200 servers", growth, 1.3, TIMES, True),
    Goal("200 HTTPS servers: time relative to bare rmcp with TLS", ratio(start.https(200), start.PROGRAM, start.BARE_TLS), 1.25, TIMES, True),
    Goal("50 stdio servers: time relative to bare rmcp", ratio(start.stdio(50), start.PROGRAM, start.BARE), 1.25, TIMES, True),
    Goal(
        "200 HTTP servers, no delay: Node addon without Node's startup, relative to the program",
        ratio(BUSY, start.NODE, start.PROGRAM, start.NODE_ALONE), 1.5, TIMES, True,
    ),
    Goal(
        "200 HTTP servers, no delay: Python module without Python's startup, relative to the program",
        ratio(BUSY, start.PYTHON, start.PROGRAM, start.PYTHON_ALONE), 1.5, TIMES, True,
    ),
    Goal("`mcp-startup --version`", of_row(start.VERSION, start.PROGRAM, lambda row: row.median * 1000), 10, "ms", True),
    Goal("`decode`, Rust", million_lines("Rust", "decode"), 3, "M lines/s", False),
    *(
        Goal(f"Tracker over bytes, {language}", million_lines(language, "tracker"), 3, "M lines/s", False)
        for language in ["Rust", "Node addon", "Python", "Swift", "Kotlin"]
    ),
    *(
        Goal(f"Tracker over bytes, {language}: memory for 10 million lines relative to 100,000", memory_growth(language), 1.2, TIMES, True)
        for language in ["Rust", "Node addon", "Python", "Swift", "Kotlin"]
    ),
    *(
        Goal(
            f"Python `decode_lines`, three fields read, {name}: rate relative to msgspec",
            ratio(
                lines.case("Python", f"decode_lines{of}, three fields read", 100_000),
                f"decode_lines{of}, three fields read", f"msgspec{of}, three fields read",
            ), 2, TIMES, False,
        )
        for name, of in [("100,000 lines in one call", " in one call"), ("in chunks of 1 MiB", "")]
    ),
    Goal(
        "Node tracker over a `Buffer`: rate relative to `JSON.parse` and a fold",
        ratio(lines.case("Node addon", "tracker", 100_000), "tracker", "JSON.parse and a fold"), 3, TIMES, False,
    ),
    Goal("`assess`", millions("assess, 1,000,000 calls", credentials.OURS), 20, "M/s", False),
    Goal("`judge`", millions("judge, 1,000,000 calls", credentials.OURS), 2, "M/s", False),
    Goal(
        f"{credentials.refreshes(200)}: without the synced writes, relative to the lower bound", refreshes, 1.2, TIMES, True,
    ),
]  # fmt: skip
