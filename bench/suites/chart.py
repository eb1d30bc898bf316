"""Draws the start of 200 HTTP servers. It needs matplotlib, and so runs with the Python that has it.

usage: chart.py RESULTS.json CHART.svg
"""

import json
import statistics
import sys

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

OURS, THEIRS = "#2f6f4f", "#a9b4bd"
CASES = ["200 HTTP servers, 0 ms", "2 HTTP servers, 0 ms"]


def main(results: str, chart: str) -> None:
    with open(results) as file:
        rows = json.load(file)["suites"].get("start", [])
    # The second is that of a tiny run.
    case = next((case for case in CASES if any(row["case"] == case for row in rows)), None)
    sides = [row for row in rows if row["case"] == case and "empty" not in row["side"]]
    if not sides:
        return
    sides.sort(key=lambda row: -statistics.median(row["samples"]))
    names = [row["side"] for row in sides]
    times = [statistics.median(row["samples"]) for row in sides]
    # The same text for the same figures: nothing of chance or time in it.
    matplotlib.rcParams.update({"svg.hashsalt": "mcp-startup", "font.size": 10, "svg.fonttype": "none"})
    figure, axes = plt.subplots(figsize=(8, 0.42 * len(sides) + 1.1), layout="constrained")
    bars = axes.barh(names, times, color=[OURS if name.startswith("mcp-startup") else THEIRS for name in names])
    axes.bar_label(bars, [f"{time:.2f} s" for time in times], padding=4)
    # From zero, so that a bar is as long as its time.
    axes.set_xlim(0, max(times) * 1.15)
    axes.set_title(f"{case}: seconds from the first instruction to the last", loc="left", fontsize=10)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    figure.savefig(chart, metadata={"Date": None})


main(*sys.argv[1:])
