import { REMEDY_WORDS, remediesFor } from "../failure.js";
import { attentionOf, stateOf } from "../server.js";
import type { Session, Snapshot } from "../session.js";

export function Page({ session, connection, servers }: Snapshot & { session: Session }) {
  return (
    <main>
      <h1>MCP servers</h1>
      {connection.state !== "open" && <p role="alert">{connection.state}</p>}
      <ul>
        {attentionOf(servers).map(({ name, details, error }) => (
          <li key={name}>
            <h2>{name}</h2>
            <p>{error}</p>
            {details?.failure &&
              remediesFor(details.failure).map((remedy) => (
                <button key={remedy} type="button" onClick={() => void (remedy.startsWith("sign") ? session.signIn(name) : session.retry(name))}>
                  {REMEDY_WORDS[remedy]}
                </button>
              ))}
          </li>
        ))}
      </ul>
      <ul>
        {servers.map((server) => (
          <li key={server.name}>
            {server.name}: {stateOf(server).label}
          </li>
        ))}
      </ul>
    </main>
  );
}
