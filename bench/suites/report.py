"""The figures as JSON, as a document and as a chart."""

from __future__ import annotations

import json
import platform
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .goals import GOALS
from .rows import Row
from .run import ROOT, Run

CHART = ROOT / "bench" / "suites" / "chart.py"


def write(folder: Path, run: Run, measured: dict[str, list[Row]]) -> Path:
    """Writes `benchmarks.json`, `.md` and `.svg`. Suites that were not measured this time keep what they had."""
    file = folder / "benchmarks.json"
    suites = json.loads(file.read_text())["suites"] if file.exists() else {}
    for name, rows in measured.items():
        # What was measured of a part only leaves the rest as it was.
        cases = {row.case for row in rows}
        kept = [row for row in suites.get(name, []) if run.languages and row["case"] not in cases]
        suites[name] = [row.to_json() for row in rows] + kept
    found = {"machine": machine(), "versions": versions(run), "runs": run.runs, "suites": suites}
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    document = file.with_suffix(".md")
    document.write_text(markdown(found))
    subprocess.run([run.python, CHART, file, file.with_suffix(".svg")], check=True)
    return document


def machine() -> dict[str, Any]:
    found: dict[str, Any] = {"system": f"{platform.system()} {platform.machine()}", "cores": 0}
    cpu = Path("/proc/cpuinfo")
    if cpu.exists():
        names = [line.partition(": ")[2] for line in cpu.read_text().splitlines() if line.startswith("model name")]
        found["cores"], found["cpu"] = len(names), names[0] if names else ""
    memory = Path("/proc/meminfo")
    if memory.exists():
        found["memory"] = f"{int(memory.read_text().split()[1]) / 2**20:.0f} GiB"
    return found


def versions(run: Run) -> dict[str, str]:
    def said(*command: str | Path) -> str:
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        return done.stdout.strip().splitlines()[0] if done.stdout else ""

    from_npm = json.loads((ROOT / "bench" / "peers" / "package.json").read_text())["dependencies"]
    python = said(run.python, "-c", "import importlib.metadata as m; print(m.version('mcp'), m.version('msgspec'))").split()
    cargo = (ROOT / "bench" / "Cargo.lock").read_text()
    return {
        "mcp-startup": said(run.program, "--version").removeprefix("mcp-startup "),
        "rmcp": cargo.partition('name = "rmcp"\nversion = "')[2].partition('"')[0],
        "Node": said("node", "--version"),
        "Python": said(run.python, "--version").removeprefix("Python "),
        "mcp (Python SDK)": python[0],
        "msgspec": python[1],
        **from_npm,
    }


def markdown(found: dict[str, Any]) -> str:
    all_rows = {suite: [Row(**row) for row in rows] for suite, rows in found["suites"].items()}
    machine = ", ".join(f"{value} cores" if key == "cores" else str(value) for key, value in found["machine"].items())
    out = [
        "# How fast it is, beside what you would pick instead",
        "",
        "Written by `scripts/bench`, which anyone can run: it installs the peers at these versions, and runs ours and theirs in turn in",
        f"one run. Of whole processes the median of {found['runs']} (of 3 where one takes longer than 8 s); they start servers that do",
        "nothing but answer and are a process of their own. Codex's app-server, as it comes, asks a keyring for each server, which takes",
        "long where there is none; told to keep credentials in a file, it does not.",
        "",
        "![Time to start 200 servers](benchmarks.svg)",
        "",
        f"{machine}. " + ", ".join(f"{name} {version}" for name, version in found["versions"].items()) + ".",
        "",
        "## Goals",
        "",
        "| what | goal | reached | met |",
        "| --- | --- | --- | --- |",
        *filter(None, (goal.line([row for rows in all_rows.values() for row in rows]) for goal in GOALS)),
        "",
    ]
    for suite, rows in all_rows.items():
        out += [f"## {suite}", ""]
        has_processes = any(row.cpu for row in rows)
        for case in dict.fromkeys(row.case for row in rows):
            out += [f"### {case}", "", *table([row for row in rows if row.case == case], has_processes), ""]
    return "\n".join(out).rstrip() + "\n"


def table(rows: list[Row], has_processes: bool) -> list[str]:
    reference = next((row for row in rows if row.is_reference), None)
    shown = figure(rows[0].unit)
    head = ["", "median", "min", "max", "to ours"] + (["CPU", "peak memory"] if has_processes else ["peak memory"])
    out = ["| " + " | ".join(head) + " |", "| --- " * len(head) + "|"]
    for row in rows:
        cells = [row.side, shown(row.median), shown(min(row.samples)), shown(max(row.samples))]
        cells.append(f"{row.median / reference.median:.2f}" if reference else "")
        if has_processes:
            cells.append(f"{sorted(row.cpu)[len(row.cpu) // 2]:.3f} s" if row.cpu else "")
        cells.append(f"{max(row.memory):.1f} MB" if row.memory else "")
        out.append("| " + " | ".join(cells) + " |")
    return out


def figure(unit: str) -> Callable[[float], str]:
    if unit == "s":
        return lambda value: f"{value:.3f} s"
    of_a_million = "M/s" if unit == "/s" else f"M {unit}"
    return lambda value: f"{value / 1e6:,.2f} {of_a_million}"
