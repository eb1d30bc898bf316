// The lab, which the program in the addon serves: MCP servers and authorization servers that fail on demand. Besides it
// what else the tests start and store.

import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";
import { createInterface } from "node:readline";
import { program } from "./places.mjs";

/** Starts a lab, and stops it after the tests of this file. */
export async function startLab(after) {
  const [command, ...words] = program;
  const lab = spawn(command, [...words, "lab"], { stdio: ["ignore", "pipe", "ignore"] });
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
    /** Rows as the option `mcpServers`. */
    servers: (...names) => Object.fromEntries(names.map((name) => [name, entry(row(name))])),
    /** What came to a row's servers. */
    requests: (name) => json(`${base}${name}/requests`),
    /** A store that holds what these rows say is stored. */
    storeOf: (...names) => new MemoryStore(Object.fromEntries(names.map((name) => recordOf(row(name))))),
  };
}

async function json(url) {
  return (await fetch(url)).json();
}

/** A row as it stands in a `.mcp.json`. */
function entry({ name, url, stdio, configured }) {
  if (stdio) {
    const [command, ...words] = program;
    return { command, args: [...words, "lab", "--stdio", name] };
  }
  return configured?.bearer ? { url, headers: { Authorization: `Bearer ${configured.bearer}` } } : { url };
}

/** The key of a record, as Codex makes it. */
export function keyOf(name, url) {
  const hash = createHash("sha256").update(`{"type":"http","url":"${url}","headers":{}}`);
  return `${name}|${hash.digest("hex").slice(0, 16)}`;
}

/** The key and the record, as a text, that a row says is stored. */
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

/** A credential store in memory, as good as one can be that is. */
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

/** `Promise.withResolvers`, which Node 20 has not. */
export function withResolvers() {
  const resolvers = {};
  resolvers.promise = new Promise((resolve, reject) => Object.assign(resolvers, { resolve, reject }));
  return resolvers;
}

/**
 * A stdio server that never answers, and ends only when it is killed: how to start it, and promises of its start and of
 * its end, which are those of a connection to this process. Another process waits for the start at `startedPort`: what it
 * connects to there is closed then.
 */
export async function silentServer(after) {
  const { promise: started, resolve: start } = withResolvers();
  const { promise: ended, resolve: end } = withResolvers();
  const server = await listen(after, (socket) => {
    socket.on("close", end);
    start();
  });
  const waiting = await listen(after, (socket) => started.then(() => socket.end()));
  const code = `require("node:net").connect(${server}, "127.0.0.1")`;
  return { entry: { command: process.execPath, args: ["-e", code] }, started, ended, startedPort: waiting };
}

/** Listens at a free port, which it gives. */
async function listen(after, connected) {
  const sockets = new Set();
  const listener = createServer((socket) => {
    sockets.add(socket);
    // Killed, it may reset the connection.
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

/** Reads events to the end. */
export async function all(events) {
  const read = [];
  for await (const event of events) read.push(event);
  return read;
}

/** An event as `NAME STATE`. */
export const words = ({ notification: { name, status } }) => `${name} ${status}`;

/** What is thrown, by a call or by its promise. */
export async function thrown(work) {
  try {
    await work();
  } catch (error) {
    return error;
  }
  throw new Error("nothing was thrown");
}
