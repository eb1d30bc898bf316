import { useId, useState } from "preact/hooks";
import { needsUser, REMEDY_WORDS, type Remedy, remediesFor } from "../failure.js";
import { type Place as PlaceOf, type Server, stateOf } from "../server.js";
import type { Session } from "../session.js";
import { visible } from "../visible.js";
import { Button } from "./button.js";
import { Details } from "./details.js";
import { Icon } from "./icon.js";
import { memo } from "./memo.js";
import { Message } from "./message.js";
import { Place } from "./place.js";

type Properties = { server: Server; session: Session; isConnected: boolean };

/** The ID of the heading of a server's card. */
export const cardId = (name: string) => `card-${encodeURIComponent(name)}`;

/** A server that needs attention: what happened, and what to do. */
export const Card = memo(function Card({ server, session, isConnected }: Properties) {
  const [shown, setShown] = useState<"configuration" | "details" | null>(null);
  const panel = useId();
  const { name, status, error, details, nextTryAt, origin, signIn, problem } = server;
  const { tone, label } = stateOf(server);
  const failure = details?.failure ?? null;
  const remedies: Remedy[] = failure === null ? ["tryAgain"] : remediesFor(failure);
  const message = failure?.message ?? error ?? "The connection to the server was lost.";
  const isBusy = !isConnected || status === "starting" || signIn !== null;
  const place = placeOf(server);
  const toggle = (what: typeof shown) => setShown(shown === what ? null : what);
  const press = (remedy: Remedy) => {
    if (remedy === "showConfiguration") toggle("configuration");
    else if (remedy === "tryAgain") void session.retry(name);
    else void session.signIn(name);
  };
  return (
    <li class="card" data-server={name}>
      <div class="head">
        <Icon name={tone} />
        <h3 id={cardId(name)} tabIndex={-1}>
          {visible(name)}
        </h3>
        {origin !== null && origin.owners.length > 0 && (
          <span class="quiet">{[...new Set(origin.owners.map(({ clientName }) => clientName))].join(", ")}</span>
        )}
        <span class={`state ${tone}`}>{label}</span>
      </div>
      <p class="message">
        <Message text={message} />
      </p>
      {signIn?.step === "waiting" && (
        <div class="panel" role="status">
          <p>
            Finish signing in in the new tab. If it did not open,{" "}
            <a href={signIn.url} target="_blank" rel="noopener noreferrer">
              open the sign-in page
            </a>
            .
          </p>
          <Button onPress={() => session.cancelSignIn(name)}>Cancel</Button>
        </div>
      )}
      {problem !== null && (
        <p class="problem" role="alert">
          <Message text={problem} />
        </p>
      )}
      <div class="actions">
        {remedies.map((remedy, index) => (
          <Button
            key={remedy}
            kind={index === 0 && (failure === null || needsUser(failure)) ? "primary" : "plain"}
            isBusy={isBusy && remedy !== "showConfiguration"}
            about={`(${name})`}
            onPress={() => press(remedy)}
            {...(remedy === "showConfiguration" ? { isExpanded: shown === "configuration" } : {})}
          >
            {signIn?.step === "beginning" && remedy !== "tryAgain" ? "Opening…" : REMEDY_WORDS[remedy]}
          </Button>
        ))}
        <Button kind="link" isExpanded={shown === "details"} about={`of ${name}`} onPress={() => toggle("details")}>
          Details
          <Icon name="chevron" />
        </Button>
        {nextTryAt !== null && status !== "starting" && (
          <span class="quiet next">Next try at {new Date(nextTryAt).toLocaleTimeString()}</span>
        )}
      </div>
      {shown === "configuration" && (
        <div class="panel" id={panel}>
          {place === null ? <p>The server comes from no file.</p> : <Place place={place} about={`of ${name}`} />}
          <p class="quiet">Change the file in your editor, and save it.</p>
          <Button isBusy={isBusy} about={`(${name})`} onPress={() => void session.checkAgain(name)}>
            Check again
          </Button>
        </div>
      )}
      {shown === "details" && <Details server={server} session={session} level="h4" />}
    </li>
  );
});

/** Where the user fixes the failure: the key and the line of the problem, if they are known. */
function placeOf({ origin, details }: Server): PlaceOf | null {
  const place = origin?.place ?? null;
  const evidence = details?.failure?.evidence;
  const problem = evidence?.configuration ?? evidence?.configurationWarnings?.[0];
  if (place === null || problem === undefined) return place;
  return { path: place.path, line: problem.line ?? place.line, key: problem.key ?? place.key };
}
