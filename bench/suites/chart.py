"""Draws the chart of the times to start 200 HTTP servers. Run it with a Python that has matplotlib.

usage: chart.py RESULTS.json CHART.svg
"""

import json
import statistics
import sys

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

OURS, OTHERS = "#2f6f4f", "#a9b4bd"
# A tiny run has only the second case.
CASES = ["200 HTTP servers, no delay", "2 HTTP servers, no delay"]


def main(results: str, chart: str) -> None:
    with open(results) as file:
        rows = json.load(file)["suites"].get("start", [])
    case = next((case for case in CASES if any(row["case"] == case for row in rows)), None)
    sides = [row for row in rows if row["case"] == case and "empty" not in row["side"]]
    if not sides:
        return
    sides.sort(key=lambda row: -statistics.median(row["samples"]))
    names = [row["side"] for row in sides]
    times = [statistics.median(row["samples"]) for row in sides]
    # Reproducible output: the same results give the same file.
    matplotlib.rcParams.update({"svg.hashsalt": "mcp-startup", "font.size": 10, "svg.fonttype": "none"})
    figure, axes = plt.subplots(figsize=(8, 0.42 * len(sides) + 1.1), layout="constrained")
    bars = axes.barh(names, times, color=[OURS if name.startswith("mcp-startup") else OTHERS for name in names])
    axes.bar_label(bars, [f"{time:.2f} s" for time in times], padding=4)
    # Start at zero, so that the lengths of the bars can be compared.
    axes.set_xlim(0, max(times) * 1.15)
    axes.set_title(f"{case}: wall time of the whole process, in seconds", loc="left", fontsize=10)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    figure.savefig(chart, metadata={"Date": None})


main(*sys.argv[1:])
