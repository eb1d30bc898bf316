import type { Connection } from "../session.js";
import { visible } from "../visible.js";
import { Button } from "./button.js";

/** What to do if the page has no connection. */
export function Notice({ connection, onConnect }: { connection: Connection; onConnect: () => void }) {
  if (connection.state === "connecting" || connection.state === "open") return null;
  return (
    <div class="notice" role="alert">
      {connection.state === "withoutToken" && (
        <>
          <h2>This page has no access yet</h2>
          <p>
            Run <code>mcp-startup open</code> in a terminal. It opens this page with a token, which keeps other programs and pages out.
          </p>
        </>
      )}
      {connection.state === "refused" && (
        <>
          <h2>mcp-startup refused this page</h2>
          <p>{visible(connection.why)}</p>
          <p>
            Run <code>mcp-startup open</code> again in a terminal. It opens a new page.
          </p>
        </>
      )}
      {connection.state === "lost" && (
        <>
          <h2>The connection to mcp-startup has ended</h2>
          <p>
            If the program has ended, run <code>mcp-startup open</code> again in a terminal: it opens a new page. If it still runs, connect
            again. The states below are from before.
          </p>
          <Button onPress={onConnect}>Connect again</Button>
          <p class="quiet">{visible(connection.why)}</p>
        </>
      )}
    </div>
  );
}
