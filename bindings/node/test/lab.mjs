// The lab: MCP servers and authorization servers that fail on demand, served by the program in the addon. Also a silent
// server and a credential store for tests.

import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";
import { createInterface } from "node:readline";
import { program } from "./places.mjs";

/** Starts a lab, and stops it after the tests of this file. */
export async function startLab(after) {
  const [command, ...args] = program;
  const lab = spawn(command, [...args, "lab"], { stdio: ["ignore", "pipe", "ignore"] });
  after(async () => {
    lab.kill("SIGTERM");
    if (lab.exitCode === null && lab.signalCode === null) await once(lab, "exit");
  });
  const [base] = await once(createInterface(lab.stdout), "line");
  const rows = await json(base);
  const row = (name) => {
    const found = rows.find((row) => row.name === name);
    if (!found) throw new Error(`the lab has no ${name}`);
    return found;
  };
  return {
    base,
    row,
    url: (name) => row(name).url,
    /** The rows as the option `mcpServers`. */
    servers: (...names) => Object.fromEntries(names.map((name) => [name, entry(row(name))])),
    /** The requests that a row's servers received. */
    requests: (name) => json(`${base}${name}/requests`),
    /** A store with the records of these rows. */
    storeOf: (...names) => new MemoryStore(Object.fromEntries(names.map((name) => recordOf(row(name))))),
  };
}

async function json(url) {
  return (await fetch(url)).json();
}

/** A row as a server entry of a `.mcp.json`. */
function entry({ name, url, stdio, configured }) {
  if (stdio) {
    const [command, ...args] = program;
    return { command, args: [...args, "lab", "--stdio", name] };
  }
  return configured?.bearer ? { url, headers: { Authorization: `Bearer ${configured.bearer}` } } : { url };
}

/** The key of a record, computed as Codex does. */
export function keyOf(name, url) {
  const hash = createHash("sha256").update(`{"type":"http","url":"${url}","headers":{}}`);
  return `${name}|${hash.digest("hex").slice(0, 16)}`;
}

/** The key and the text of the record that a row has stored. */
export function recordOf({ name, url, stored }) {
  const serverUrl = stored.serverUrl ?? url;
  const record = {
    server_name: name,
    server_url: serverUrl,
    issuer: stored.issuer,
    client_id: stored.clientId,
    access_token: stored.accessToken,
    expires_at: stored.expiresInSeconds === null ? stored.expiresAt : Date.now() + stored.expiresInSeconds * 1000,
    refresh_token: stored.refreshToken,
    scopes: stored.scopes,
  };
  return [keyOf(name, serverUrl), JSON.stringify(record)];
}

/** A correct credential store in memory, for one process. */
export class MemoryStore {
  #records;
  #locks = new Map();

  constructor(records = {}) {
    this.#records = new Map(Object.entries(records));
  }

  /** The records, as objects, by the names of their servers. */
  records() {
    const records = [...this.#records.values()].map((text) => JSON.parse(text));
    return Object.fromEntries(records.map((record) => [record.server_name, record]));
  }

  keys() {
    return [...this.#records.keys()];
  }

  async load(key) {
    return this.#records.get(key) ?? null;
  }

  async replace(key, expected, next) {
    if ((this.#records.get(key) ?? null) !== expected) return false;
    if (next === null) this.#records.delete(key);
    else this.#records.set(key, next);
    return true;
  }

  async lock(key) {
    const { promise, resolve } = withResolvers();
    const before = this.#locks.get(key);
    this.#locks.set(key, promise);
    await before;
    return resolve;
  }
}

/** `Promise.withResolvers`, which Node 20 does not have. */
export function withResolvers() {
  const resolvers = {};
  resolvers.promise = new Promise((resolve, reject) => Object.assign(resolvers, { resolve, reject }));
  return resolvers;
}

/**
 * A stdio server that never answers and runs until it is killed, unless the additional code ends it.
 *
 * Returns its `entry` for `mcpServers`, and promises for its start and its end. The server connects to this process, which
 * observes the connection. Another process can connect to `startedPort`: that connection is closed when the server has
 * started.
 */
export async function silentServer(after, more = "") {
  const { promise: started, resolve: start } = withResolvers();
  const { promise: ended, resolve: end } = withResolvers();
  const server = await listen(after, (socket) => {
    socket.on("close", end);
    start();
  });
  const waiting = await listen(after, (socket) => started.then(() => socket.end()));
  const code = `require("node:net").connect(${server}, "127.0.0.1"); ${more}`;
  return { entry: { command: process.execPath, args: ["-e", code] }, started, ended, startedPort: waiting };
}

/** Listens on a free port and returns it. */
async function listen(after, connected) {
  const sockets = new Set();
  const listener = createServer((socket) => {
    sockets.add(socket);
    // A server that is killed may reset the connection.
    socket.on("error", () => {}).on("close", () => sockets.delete(socket));
    socket.resume();
    connected(socket);
  });
  await once(listener.listen(0, "127.0.0.1"), "listening");
  after(() => {
    for (const socket of sockets) socket.destroy();
    listener.close();
  });
  return listener.address().port;
}

/** Returns all events. */
export async function all(events) {
  const read = [];
  for await (const event of events) read.push(event);
  return read;
}

/** An event as `NAME STATE`. */
export const summary = ({ notification: { name, status } }) => `${name} ${status}`;

/** Returns the error that a call throws, or that its promise rejects with. */
export async function thrown(work) {
  try {
    await work();
  } catch (error) {
    return error;
  }
  throw new Error("nothing was thrown");
}
