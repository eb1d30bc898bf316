"""Writes the results to the page of the documentation."""
import install

BEGIN, END = "<!-- compatibility: written by scripts/compatibility all -->", "<!-- compatibility end -->"
TRANSPORTS = {"stdio": "stdio", "http": "streamable HTTP", "sse": "HTTP+SSE"}
ERAS = {"legacy": "up to 2025-11-25", "modern": "2026-07-28"}


def span(versions):
    """The versions of a row, or the first and last one of many."""
    return ", ".join(versions) if len(versions) <= 6 else "%s … %s (%d)" % (versions[0], versions[-1], len(versions))


def name(sdk):
    package = install.PACKAGE[sdk]
    return "%s `%s`" % (install.REGISTRY[install.language(sdk)], package) if package else "strict servers of the specification"


def text(rows, results, version, day, tools):
    ready = sum(state["state"] == "ready" for state in results.values())
    yield "%s, mcp-startup %s: %d of %d combinations ready." % (day, version, ready, len(rows))
    yield ""
    yield "The servers ran with %s." % ", ".join("%s %s" % pair for pair in tools.items())
    yield ""
    yield "| SDK | transport | variant | versions | answer to the first request | era | requests | ready |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    groups = {}
    for row in rows:
        key = tuple(row[name] for name in ("sdk", "transport", "variant", "initialize", "era", "requests")) + (bool(row["reason"]),)
        groups.setdefault(key, []).append(row)
    for (sdk, transport, variant, initialize, era, requests, has_reason), group in groups.items():
        good = sum(results[row["id"]]["state"] == "ready" for row in group)
        count = "%d of %d" % (good, len(group))
        expected = ["–", "–"] if has_reason else [ERAS[era], requests]
        cells = [name(sdk), TRANSPORTS[transport], variant, span([row["version"] for row in group]), initialize, *expected,
                 count if good == len(group) else "**%s**" % count]
        yield "| %s |" % " | ".join(cells)
    yield "| **total** | | | | | | | %d of %d |" % (ready, len(rows))
    yield ""
    yield "The versions of each SDK (`+mcp1.9.4` is a dependency of the time):"
    yield ""
    yield "| SDK | versions |"
    yield "| --- | --- |"
    versions = {}
    for row in rows:
        if install.PACKAGE[row["sdk"]]:
            versions.setdefault(row["sdk"], {})[row["version"]] = None
    for sdk, found in versions.items():
        yield "| %s | %s |" % (name(sdk), ", ".join(sorted(found, key=install.number)))
    others = [row for row in rows if results[row["id"]]["state"] != "ready"]
    if others:
        yield ""
        yield "Not ready:"
        yield ""
        yield "| combination | reason |"
        yield "| --- | --- |"
        for row in others:
            result = results[row["id"]]
            reason = row["reason"] if result["state"] == "unstartable" else "; ".join(result["faults"])
            if result["state"] == "not run":
                reason = "not run: %s" % reason
            yield "| `%s` | %s |" % (row["id"], reason.replace("|", "\\|").replace("\n", " "))


def write(page, lines):
    """Replaces the part between the marks."""
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text("%s%s\n\n%s\n\n%s%s" % (before, BEGIN, "\n".join(lines), END, after))
