// The report of one server, for a bug report. Its facts are those of the app-server, which masks secrets.

import type { FailureReadResponse, StartTimeline } from "@mcp-startup/protocol/app-server";

/** The report as text. `program` is the name and the version of the program. */
export function reportOf(last: FailureReadResponse, program: string | null): string {
  const { name, status, phase, elapsedMs, failure, warning, configurationWarnings, timeline } = last;
  const problem = failure ?? warning;
  const facts: [string, string | null][] = [
    ["Program", program],
    ["Server", name],
    ["State", status],
    ["Kind", problem?.kind ?? null],
    ["Message", problem?.message ?? null],
    ["Recovery", failure && [failure.recovery, failure.fallback].filter((one) => one !== null).join(", or ")],
    ["Phase", phase],
    ["Duration", elapsedMs === null ? null : `${elapsedMs} ms`],
  ];
  const lines = facts.filter(([, value]) => value !== null).map(([title, value]) => `${title}: ${value}`);
  for (const { key, line, problem } of configurationWarnings) {
    lines.push(`Configuration: ${[key, line && `line ${line}`, problem].filter(Boolean).join(", ")}`);
  }
  if (timeline !== null) lines.push("", "Timeline:", ...linesOf(timeline));
  if (failure !== null) lines.push("", "Evidence:", JSON.stringify(failure.evidence, null, 2));
  return `${lines.join("\n")}\n`;
}

function linesOf({ entries, omitted }: StartTimeline): string[] {
  const lines = entries.map(({ atMs, text }) => `${String(atMs).padStart(7)} ms  ${text}`);
  return omitted === 0 ? lines : [...lines, `            ${omitted} more steps left out`];
}
