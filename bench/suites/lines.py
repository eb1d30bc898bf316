"""Reads and tracks the lines of an app-server in each language, compared with the usual JSON libraries."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from .rows import Row
from .run import ROOT, TARGET, Run, last_line

# For each language and task: the key of a rate in the output of the language's benchmark, and its label. The first is mcp-startup's.
READ: dict[str, list[list[tuple[str, str]]]] = {
    "Rust": [
        [("tracker", "tracker"), ("serdeJsonFold", "serde_json and a fold")],
        [("decode", "decode"), ("serdeJson", "serde_json")],
    ],
    "Node addon": [
        [("tracker", "tracker"), ("jsonParse", "JSON.parse and a fold")],
        [("decodeLines", "decodeLines and a fold"), ("jsonParse", "JSON.parse and a fold")],
    ],
    "TypeScript": [[("decode", "decode"), ("parse", "JSON.parse")]],
    "Python": [
        [("tracker", "tracker"), ("jsonFold", "json and a fold")],
        [("decodeLines", "decode_lines, three fields read"), ("msgspec", "msgspec, three fields read")],
        [
            ("decodeLinesAtOnce", "decode_lines in one call, three fields read"),
            ("msgspecAtOnce", "msgspec in one call, three fields read"),
        ],
        [("decode", "decode"), ("json", "json and a dataclass")],
    ],
    "Swift": [
        [("tracker", "tracker"), ("jsonDecoder", "JSONDecoder and a fold")],
        [("decodeLines", "decodeLines and a fold"), ("jsonDecoder", "JSONDecoder and a fold")],
    ],
    "Kotlin": [
        [("tracker", "tracker"), ("serialization", "kotlinx.serialization and a fold")],
        [("decodeLines", "decodeLines and a fold"), ("serialization", "kotlinx.serialization and a fold")],
    ],
}


def case(language: str, side: str, lines: int) -> str:
    return f"{language}: {side}, {lines:,} lines"


def measure(run: Run) -> list[Row]:
    rows = []
    for count in [1000] if run.tiny else [100_000, 10_000_000]:
        # One round of 10 million lines is as much work as 100 rounds of 100,000.
        rounds = 1 if run.tiny or count > 1_000_000 else 5
        for language, command in commands(run, count, rounds).items():
            run.say(f"{language}, {count:,} lines")
            result = last_line(command)
            rows += of_language(language, count, result)
    return rows


def commands(run: Run, lines: int, rounds: int) -> dict[str, list[str | Path]]:
    bindings = ROOT / "bindings"
    sides: dict[str, list[str | Path]] = {
        "Rust": [TARGET / run.profile / "examples" / "throughput", str(lines), str(rounds), "1"],
        "Node addon": ["node", bindings / "node" / "bench" / "tracker.mjs", str(lines), str(rounds)],
        "Python": [
            run.python, bindings / "python" / "bench" / "decode.py", "--lines", str(lines), "--rounds", str(rounds)
        ],
    }  # fmt: skip
    if lines <= 1_000_000:
        sides["TypeScript"] = ["node", bindings / "typescript" / "bench" / "decode.mjs"]
    # Each needs its own release build.
    if not run.tiny:
        sides["Swift"] = [ROOT / "scripts" / "swift", "bench", str(lines), str(rounds)]
        if shutil.which("mvn"):
            sides["Kotlin"] = [ROOT / "scripts" / "kotlin", "bench", str(lines), str(rounds)]
    return {language: command for language, command in sides.items() if not run.languages or language in run.languages}


def of_language(language: str, lines: int, result: dict[str, Any]) -> list[Row]:
    rates = result.get("linesPerSecond") or {
        "decode": 1e9 / result["decodeNsPerLine"],
        "parse": 1e9 / result["parseNsPerLine"],
    }
    rows = []
    for sides in READ[language]:
        if sides[0][0] not in rates:
            continue
        name = case(language, sides[0][1], lines)
        for rate, side in sides:
            # The peak of the process up to the end of the tracker, which runs first.
            peak = result.get("peakKib") if rate == "tracker" else None
            memory = [peak * 1024 / 1e6] if isinstance(peak, int) else []
            rows.append(Row(name, side, "lines/s", [rates[rate]], memory=memory, is_reference=(rate, side) == sides[0]))
    return rows
