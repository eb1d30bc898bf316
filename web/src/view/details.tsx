import type { FailureReadResponse, McpServerStatus } from "@mcp-startup/protocol/app-server";
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { reportOf } from "../report.js";
import type { Server } from "../server.js";
import type { Session } from "../session.js";
import { visible } from "../visible.js";
import { Button, CopyButton } from "./button.js";
import { Message } from "./message.js";
import { Place } from "./place.js";

/** How many tools are named. */
const TOOLS_SHOWN = 60;

/** The level of the headings, below that of the server or of its client. */
type Level = "h3" | "h4";

/** The last start of a server step by step, and what else is known about it. */
export function Details({ server, session, level }: { server: Server; session: Session; level: Level }) {
  const { name, status, details, origin } = server;
  const [last, setLast] = useState<FailureReadResponse | null>(null);
  const [offers, setOffers] = useState<McpServerStatus | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  useEffect(() => {
    let isCurrent = true;
    const load = async () => {
      const found = await session.lastStart(name);
      if (isCurrent) setLast(found);
      const offered = status === "ready" ? await session.offers(name) : null;
      if (isCurrent) setOffers(offered);
    };
    load().catch((error: unknown) => {
      if (isCurrent) setProblem(error instanceof Error ? error.message : String(error));
    });
    return () => {
      isCurrent = false;
    };
  }, [session, name, status, details]);

  const tools = Object.keys(offers?.tools ?? {});
  const warnings = [last?.warning?.message, last?.notSaved].filter((text) => typeof text === "string");
  return (
    <div class="details">
      {problem !== null && <p class="problem">{visible(problem)}</p>}
      {warnings.map((text) => (
        <p key={text} class="warning">
          <Message text={text} />
        </p>
      ))}
      {last !== null && last.timeline !== null && (
        <Part level={level} title={`What happened${last.elapsedMs === null ? "" : `, in ${duration(last.elapsedMs)}`}`}>
          <ol class="timeline">
            {last.timeline.entries.map(({ atMs, step, text }, index) => (
              <li key={index} class={step === "phase" ? "phase" : undefined}>
                <span class="time">
                  {atMs}
                  <span> ms</span>
                </span> <span class="step">{visible(text)}</span>
              </li>
            ))}
          </ol>
          {last.timeline.omitted > 0 && <p>{last.timeline.omitted} more steps are left out.</p>}
        </Part>
      )}
      {offers !== null && (
        <Part level={level} title={tools.length === 1 ? "1 tool" : `${tools.length} tools`}>
          {offers.toolsError !== null && offers.toolsError !== last?.warning?.message && <p>{visible(offers.toolsError)}</p>}
          <ul class="tools">
            {tools.slice(0, TOOLS_SHOWN).map((tool) => (
              <li key={tool}>
                <code>{visible(tool)}</code>
              </li>
            ))}
            {tools.length > TOOLS_SHOWN && <li>and {tools.length - TOOLS_SHOWN} more</li>}
          </ul>
        </Part>
      )}
      {last !== null && last.configurationWarnings.length > 0 && (
        <Part level={level} title="In the configuration">
          <ul class="notes">
            {last.configurationWarnings.map(({ key, line, problem }, index) => (
              <li key={index}>
                {key !== undefined && <code>{visible(key)}</code>}
                {line !== undefined && ` (line ${line})`}
                {problem !== undefined && (
                  <>
                    : <Message text={problem} />
                  </>
                )}
              </li>
            ))}
          </ul>
        </Part>
      )}
      {origin?.place && (
        <Part level={level} title="Configuration">
          <Place place={origin.place} about={`of ${name}`} />
        </Part>
      )}
      {last !== null && last.failure !== null && (
        <p class="quiet">
          Kind <code>{last.failure.kind}</code>, recovery <code>{last.failure.recovery}</code>
        </p>
      )}
      <div class="actions">
        <CopyButton about={`on ${name}`} text={async () => visibleLines(reportOf(await session.lastStart(name), session.program))}>
          Copy report
        </CopyButton>
        {offers?.authStatus === "oAuth" && (
          <Button about={`of ${name}`} onPress={() => void session.signOut(name)}>
            Sign out
          </Button>
        )}
      </div>
    </div>
  );
}

function Part({ level, title, children }: { level: Level; title: string; children: ComponentChildren }) {
  const Heading = level;
  return (
    <section>
      <Heading>{title}</Heading>
      {children}
    </section>
  );
}

function duration(ms: number): string {
  return ms < 1000 ? `${ms} ms` : `${(ms / 1000).toFixed(1)} s`;
}

function visibleLines(text: string): string {
  return text.split("\n").map(visible).join("\n");
}
