"""Lines of an app-server are read and followed, in each language, beside what its users would do instead."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from .rows import Row
from .run import ROOT, TARGET, Run, last_line

# Language, and then for each kind of work: the name of a rate in what the bench prints, and what it is called. The first is ours.
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
            ("decodeLinesAtOnce", "decode_lines of all at once, three fields read"),
            ("msgspecAtOnce", "msgspec of all at once, three fields read"),
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


def case(language: str, ours: str, lines: int) -> str:
    return f"{language}: {ours}, {lines:,} lines"


def measure(run: Run) -> list[Row]:
    rows = []
    for wanted in [1000] if run.tiny else [100_000, 10_000_000]:
        # Ten million lines are as many as a hundred rounds.
        rounds = 1 if run.tiny or wanted > 1_000_000 else 5
        for language, command in commands(run, wanted, rounds).items():
            run.say(f"{language}, {wanted:,} lines")
            found = last_line(command)
            rows += of_language(language, wanted, found)
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
    # Each takes a release build of its own.
    if not run.tiny:
        sides["Swift"] = [ROOT / "scripts" / "swift", "bench", str(lines), str(rounds)]
        if shutil.which("mvn"):
            sides["Kotlin"] = [ROOT / "scripts" / "kotlin", "bench", str(lines), str(rounds)]
    return {language: command for language, command in sides.items() if not run.languages or language in run.languages}


def of_language(language: str, wanted: int, found: dict[str, Any]) -> list[Row]:
    rates = found.get("linesPerSecond") or {
        "decode": 1e9 / found["decodeNsPerLine"],
        "parse": 1e9 / found["parseNsPerLine"],
    }
    rows = []
    for sides in READ[language]:
        if sides[0][0] not in rates:
            continue
        named = case(language, sides[0][1], wanted)
        for rate, side in sides:
            # Of the whole process, so far: the tracker is the first that runs.
            peak = found.get("peakKib") if rate == "tracker" else None
            memory = [peak * 1024 / 1e6] if isinstance(peak, int) else []
            rows.append(Row(named, side, "lines/s", [rates[rate]], memory=memory, is_reference=(rate, side) == sides[0]))
    return rows
