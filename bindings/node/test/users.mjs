// The lab that the program in the package serves, and users who have its servers.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { beginSignIn, finishSignIn } from "mcp-startup";

/** What has to happen does, in this time. */
export const DEADLINE_MS = 30_000;
export const REDIRECT_URI = "http://127.0.0.1:8123/callback";

const PACKAGE = dirname(createRequire(import.meta.url).resolve("mcp-startup/package.json"));
/** How the program is started: a command and its first argument. */
export const PROGRAM = [process.execPath, join(PACKAGE, "bin/mcp-startup.mjs")];

// A program that never answers, ignores that its input ends, and says which process it is.
const SILENT_PROGRAM = `
const fs = require("node:fs");
fs.writeFileSync(process.argv[1] + ".new", String(process.pid));
fs.renameSync(process.argv[1] + ".new", process.argv[1]);
setInterval(() => {}, 60_000);
`;

/** Servers that behave as the rows of the atlas say, each under a URL of its own. */
export class Lab {
  static async start(context) {
    const lab = new Lab();
    lab.process = spawn(PROGRAM[0], [...PROGRAM.slice(1), "lab"], { stdio: ["ignore", "pipe", "ignore"] });
    const ended = new Promise((resolve) => lab.process.once("exit", resolve));
    context.after(async () => {
      lab.process.kill("SIGINT");
      await ended;
    });
    for await (const line of createInterface(lab.process.stdout)) {
      lab.base = line.trim().replace(/\/$/, "");
      break;
    }
    const rows = await (await fetch(`${lab.base}/`)).json();
    lab.rows = new Map(rows.map((row) => [row.name, row]));
    return lab;
  }

  url(name) {
    return `${this.base}/${name}/mcp`;
  }

  async requests(name) {
    return await (await fetch(`${this.base}/${name}/requests`)).json();
  }

  /** The tokens that came with messages to the MCP endpoint, in order, repetitions folded. */
  async tokensSent(name) {
    const sent = (await this.requests(name)).filter(({ to, method }) => to === "mcp" && method === "POST");
    return sent.map(({ token }) => token).filter((token, at, all) => at === 0 || token !== all[at - 1]);
  }

  /** The refresh tokens that came to the token endpoint. */
  async refreshes(name) {
    const sent = (await this.requests(name)).filter(({ to }) => to === "token");
    return sent.filter(({ parameters }) => parameters.grant_type === "refresh_token").map(({ token }) => token);
  }

  /** What is stored for a client of this row, as the row says. */
  record(name) {
    const { stored } = this.rows.get(name);
    if (stored == null) return null;
    const fill = (text) => text?.replace("{base}", this.base).replace("{issuer}", `${this.base}/${name}`) ?? null;
    const relative = stored.expiresInSeconds == null ? null : Date.now() + stored.expiresInSeconds * 1000;
    return {
      server_name: name,
      server_url: fill(stored.serverUrl) ?? this.url(name),
      issuer: fill(stored.issuer),
      client_id: fill(stored.clientId),
      access_token: stored.accessToken ?? null,
      expires_at: stored.expiresAt ?? relative,
      refresh_token: stored.refreshToken ?? null,
      scopes: stored.scopes ?? null,
    };
  }
}

/** Somebody with a Codex home of their own, whose servers are rows of the lab. */
export class User {
  constructor(context, lab, home = mkdtempSync(join(tmpdir(), "mcp-startup-"))) {
    context.after(() => rmSync(home, { recursive: true, force: true }));
    this.lab = lab;
    this.home = home;
    this.config = join(home, "config.toml");
    this.credentials = join(home, ".credentials.json");
    writeFileSync(this.config, 'mcp_oauth_credentials_store = "file"\n');
  }

  /** Configures these rows, and stores what they say is stored. */
  has(...names) {
    for (const name of names) {
      const row = this.lab.rows.get(name);
      const entry = row.stdio
        ? { command: PROGRAM[0], args: [...PROGRAM.slice(1), "lab", "--stdio", name] }
        : { url: this.lab.url(name) };
      // A text, or an array of texts, is the same in JSON and in TOML.
      const lines = Object.entries(entry).map(([key, value]) => `${key} = ${JSON.stringify(value)}\n`);
      if (row.startupTimeoutSec) lines.push(`startup_timeout_sec = ${row.startupTimeoutSec}\n`);
      const bearer = row.configured?.bearer;
      if (bearer) lines.push(`http_headers = { Authorization = "Bearer ${bearer}" }\n`);
      this.configure(`\n[mcp_servers.${JSON.stringify(name)}]\n${lines.join("")}`);
      const record = this.lab.record(name);
      if (record !== null) this.store(record);
    }
    return this;
  }

  /** Configures a program that never answers. Returns the file into which it writes its process id. */
  hasSilentProgram(name = "silent") {
    const pidFile = join(this.home, `${name}.pid`);
    const args = JSON.stringify(["-e", SILENT_PROGRAM, pidFile]);
    this.configure(
      `\n[mcp_servers.${name}]\ncommand = ${JSON.stringify(process.execPath)}\nargs = ${args}\nstartup_timeout_sec = 600\n`,
    );
    return pidFile;
  }

  configure(text) {
    writeFileSync(this.config, text, { flag: "a" });
  }

  /** Writes a record, as another process would. */
  store(record) {
    const records = existsSync(this.credentials) ? JSON.parse(readFileSync(this.credentials, "utf8")) : {};
    records[keyOf(record.server_name, record.server_url)] = record;
    writeFileSync(`${this.credentials}.new`, JSON.stringify(records), { mode: 0o600 });
    renameSync(`${this.credentials}.new`, this.credentials);
  }

  /** What is stored for a row. */
  record(name) {
    if (!existsSync(this.credentials)) return undefined;
    return JSON.parse(readFileSync(this.credentials, "utf8"))[keyOf(name, this.lab.url(name))];
  }
}

/** The key of a record, as Codex makes it. */
export function keyOf(name, url) {
  const hashed = JSON.stringify({ type: "http", url, headers: {} });
  return `${name}|${createHash("sha256").update(hashed).digest("hex").slice(0, 16)}`;
}

/** Opens the page of an authorization server whose user consents at once. Returns where the browser is sent back to. */
export async function comeBack(authorizationUrl) {
  const page = await fetch(authorizationUrl, { redirect: "manual" });
  assert.equal(page.status, 302);
  return page.headers.get("location");
}

/** Signs in as a user with a browser does. */
export async function signIn(server, options) {
  const begun = await beginSignIn(server, REDIRECT_URI, options);
  await finishSignIn(begun.pending, await comeBack(begun.authorizationUrl), options);
}

/** Waits until something holds, and returns what it came to. */
export async function until(what, holds) {
  const deadline = Date.now() + DEADLINE_MS;
  for (;;) {
    const found = await holds();
    if (found) return found;
    assert.ok(Date.now() < deadline, `not within ${DEADLINE_MS} ms: ${what}`);
    await pause(10);
  }
}

/** The process id that a silent program has written. */
export async function pidIn(file) {
  await until(`${file} is written`, () => existsSync(file));
  return Number(readFileSync(file, "utf8"));
}

/** Waits until the process has ended. */
export async function ended(pid) {
  await until(`process ${pid} has ended`, () => !isAlive(pid));
}

/** Whether it is among the system's processes: one that has ended is not, once it was waited for. */
function isAlive(pid) {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** Runs a command in a process of its own, which ends in time. */
export async function run(command, words, options = {}) {
  const child = spawn(command, words, { stdio: ["ignore", "pipe", "pipe"], timeout: DEADLINE_MS, ...options });
  let [out, err] = ["", ""];
  child.stdout?.setEncoding("utf8").on("data", (text) => (out += text));
  child.stderr?.setEncoding("utf8").on("data", (text) => (err += text));
  options.started?.(child);
  const [status, signal] = await new Promise((resolve) => child.once("close", (...ending) => resolve(ending)));
  return { status, signal, out, err };
}

/** The same for the text of a module, with `mcp-startup` in sight. */
export function runModule(text, words = [], flags = []) {
  return run(process.execPath, [...flags, "--input-type=module", "-e", text, ...words], { cwd: import.meta.dirname });
}
