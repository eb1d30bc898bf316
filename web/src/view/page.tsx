import { useEffect, useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { type Group, groupsOf, rowId } from "../groups.js";
import { attentionOf, type Server, stateOf } from "../server.js";
import { type Session, type Snapshot, summaryOf } from "../session.js";
import { visible } from "../visible.js";
import { Button } from "./button.js";
import { Card } from "./card.js";
import { Icon } from "./icon.js";
import { Message } from "./message.js";
import { Notice } from "./notice.js";
import { Row } from "./row.js";

/** From how many servers on there is a filter. */
const FILTER_FROM = 12;
/** How many servers appear at once, so that a page with many servers stays responsive. */
const SERVERS_AT_ONCE = 50;

type Properties = Snapshot & { session: Session; onConnect: () => void };

export function Page({ session, connection, servers, notChecked, unreadable, isChecking, problem, announcement, program, onConnect }: Properties) {
  const [filter, setFilter] = useState("");
  const isConnected = connection.state === "open";
  const found = filter.trim() === "" ? servers : servers.filter((server) => matches(server, filter.trim().toLowerCase()));
  const attention = attentionOf(found);
  const groups = groupsOf(found, filter.trim() === "" ? notChecked : []);
  const total = attentionOf(servers).length;
  useEffect(() => {
    document.title = total === 0 ? "MCP servers" : `(${total}) MCP servers`;
  }, [total]);
  useFocusThatStays(attention);
  let budget = useBudget(filter, attention.length + groups.reduce((sum, { members }) => sum + members.length, 0));
  const take = <Item,>(items: readonly Item[]) => {
    const taken = items.slice(0, budget);
    budget -= taken.length;
    return taken;
  };
  return (
    <>
      <header>
        <div>
          <h1>MCP servers</h1>
          <p class="summary">{connection.state === "connecting" ? "Connecting…" : servers.length > 0 && summaryOf(servers)}</p>
        </div>
        {isConnected && (
          <Button isBusy={isChecking} onPress={() => void session.checkAgain()}>
            {isChecking ? "Checking…" : "Check again"}
          </Button>
        )}
      </header>
      <p class="unseen" role="status">
        {visible(announcement)}
      </p>
      <main>
        <Notice connection={connection} onConnect={onConnect} />
        {problem !== null && (
          <p class="problem" role="alert">
            <Message text={problem} />
          </p>
        )}
        {unreadable.map((message) => (
          <p key={message} class="problem">
            <Message text={message} />
          </p>
        ))}
        {servers.length >= FILTER_FROM && (
          <input
            type="search"
            aria-label="Filter the servers by name, client or state"
            placeholder="Filter by name, client or state"
            value={filter}
            onInput={({ currentTarget }) => setFilter(currentTarget.value)}
          />
        )}
        {isConnected && servers.length === 0 && notChecked.length === 0 && <Empty />}
        {filter !== "" && found.length === 0 && <p class="quiet">No server matches.</p>}
        {attention.length > 0 && (
          <section aria-labelledby="attention">
            <div class="title">
              <h2 id="attention">Needs attention</h2>
              <span class="quiet">{attention.length}</span>
            </div>
            <ul class="cards">
              {take(attention).map((server) => (
                <Card key={server.name} server={server} session={session} isConnected={isConnected} />
              ))}
            </ul>
          </section>
        )}
        {groups.map((group) => (
          <Client key={group.id} group={group} members={take(group.members)} session={session} />
        ))}
      </main>
      <footer class="quiet">{program !== null && `${visible(program)}. `}This page talks only to the program on your machine.</footer>
    </>
  );
}

function Client({ group, members, session }: { group: Group; members: Group["members"]; session: Session }) {
  const ready = group.members.filter(({ server }) => stateOf(server).label.startsWith("Ready")).length;
  const id = useId();
  return (
    <section aria-labelledby={id}>
      <div class="title">
        <h2 id={id}>{visible(group.title)}</h2>
        <span class="quiet">
          {ready} of {group.members.length} ready
        </span>
      </div>
      {group.paths.map((path) => (
        <p key={path} class="path">
          {visible(path)}
        </p>
      ))}
      <ul class="rows">
        {members.map(({ id, name, server }) => (
          <Row key={id} id={id} server={server} name={name} session={session} />
        ))}
        {group.notChecked.map(({ name, path, why }) => (
          <li key={`${path} ${name}`} class="row left">
            <Icon name="quiet" />
            <span class="name">{visible(name)}</span>
            <span class="state quiet">Not checked</span>
            <p>
              <Message text={why} />
            </p>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Empty() {
  return (
    <section class="empty">
      <h2>No servers yet</h2>
      <p>
        Add an MCP server in one of your clients, such as Claude Code, Cursor or VS Code, and check again.{" "}
        <code>mcp-startup clients</code> lists the files that are read.
      </p>
    </section>
  );
}

function matches({ name, origin, ...server }: Server, words: string): boolean {
  const clients = origin?.owners.map((owner) => `${owner.clientName} ${owner.name}`) ?? [];
  const text = [name, ...clients, stateOf({ name, origin, ...server }).label].join("\n").toLowerCase();
  return text.includes(words);
}

/** How many of `wanted` servers to show now. It grows until all of them are shown, and begins again with each filter. */
function useBudget(filter: string, wanted: number): number {
  const [grown, setGrown] = useState({ filter, budget: SERVERS_AT_ONCE });
  const budget = grown.filter === filter ? grown.budget : SERVERS_AT_ONCE;
  useEffect(() => {
    if (budget >= wanted) return;
    const timer = setTimeout(() => setGrown({ filter, budget: budget + SERVERS_AT_ONCE }), 0);
    return () => clearTimeout(timer);
  }, [filter, budget, wanted]);
  return budget;
}

/** If the card with the focus goes because its server is ready, moves the focus to the server's row. */
function useFocusThatStays(attention: readonly Server[]): void {
  const focused = useRef<string | null>(null);
  // While rendering, the card still exists.
  focused.current = document.activeElement?.closest<HTMLElement>("[data-server]")?.dataset["server"] ?? null;
  useLayoutEffect(() => {
    const gone = focused.current;
    if (gone === null || attention.some(({ name }) => name === gone)) return;
    focused.current = null;
    document.getElementById(rowId(gone))?.focus();
  });
}

