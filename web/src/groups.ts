// The servers by client.

import type { NotCheckedServer } from "@mcp-startup/protocol/app-server";
import type { Server } from "./server.js";

/** A server in the list of one client. `id` is that of its row, and is unique on the page. */
export type Member = { id: string; name: string; server: Server };

/** A client with its servers. */
export type Group = { id: string; title: string; paths: string[]; members: Member[]; notChecked: NotCheckedServer[] };

/** The ID of the row of a server in the list of its first client. */
export const rowId = (name: string) => `row-${encodeURIComponent(name)}`;

/** The clients, each with its servers. A server that several clients have is in the list of each one. */
export function groupsOf(servers: readonly Server[], notChecked: readonly NotCheckedServer[]): Group[] {
  const groups = new Map<string, Group>();
  const group = (id: string, title: string, path: string | null) => {
    let found = groups.get(id);
    if (found === undefined) groups.set(id, (found = { id, title, paths: [], members: [], notChecked: [] }));
    if (path !== null && !found.paths.includes(path)) found.paths.push(path);
    return found;
  };
  for (const server of servers) {
    const { name, origin } = server;
    if (origin === null || origin.owners.length === 0) {
      const path = origin?.place?.path ?? null;
      group(`file:${path}`, path?.split(/[\\/]/).pop() ?? "Servers", path).members.push({ id: rowId(name), name, server });
      continue;
    }
    origin.owners.forEach((owner, index) => {
      const { members } = group(owner.client, owner.clientName, owner.path);
      members.push({ id: index === 0 ? rowId(name) : `${rowId(name)}-${index}`, name: owner.name, server });
    });
  }
  for (const left of notChecked) group(left.client, left.clientName, left.path).notChecked.push(left);
  return [...groups.values()];
}
