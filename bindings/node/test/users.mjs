// The lab, served by the program in the package, and users whose servers are rows of the lab.

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

/** The time limit for everything that a test waits for. */
export const DEADLINE_MS = 30_000;
export const REDIRECT_URI = "http://127.0.0.1:8123/callback";

const PACKAGE = dirname(createRequire(import.meta.url).resolve("mcp-startup/package.json"));
/** The command that starts the program, and its first argument. */
export const PROGRAM = [process.execPath, join(PACKAGE, "bin/mcp-startup.mjs")];

// A program that never answers, ignores the end of its input, and writes its process ID to a file.
const SILENT_PROGRAM = `
const fs = require("node:fs");
fs.writeFileSync(process.argv[1] + ".new", String(process.pid));
fs.renameSync(process.argv[1] + ".new", process.argv[1]);
setInterval(() => {}, 60_000);
`;

/** A running lab. Each row of the atlas is a server at its own URL. */
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

  /** The tokens of the messages that the MCP endpoint received, in order, without consecutive repetitions. */
  async tokensSent(name) {
    const sent = (await this.requests(name)).filter(({ to, method }) => to === "mcp" && method === "POST");
    return sent.map(({ token }) => token).filter((token, at, all) => at === 0 || token !== all[at - 1]);
  }

  /** The refresh tokens that the token endpoint received. */
  async refreshes(name) {
    const sent = (await this.requests(name)).filter(({ to }) => to === "token");
    return sent.filter(({ parameters }) => parameters.grant_type === "refresh_token").map(({ token }) => token);
  }

  /** The stored record of a client of this row, or `null`. */
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

/** A user with their own Codex home, whose servers are rows of the lab. */
export class User {
  constructor(context, lab, home = mkdtempSync(join(tmpdir(), "mcp-startup-"))) {
    context.after(() => rmSync(home, { recursive: true, force: true }));
    this.lab = lab;
    this.home = home;
    this.config = join(home, "config.toml");
    this.credentials = join(home, ".credentials.json");
    writeFileSync(this.config, 'mcp_oauth_credentials_store = "file"\n');
  }

  /** Configures these rows and stores their records. */
  has(...names) {
    for (const name of names) {
      const row = this.lab.rows.get(name);
      const entry = row.stdio
        ? { command: PROGRAM[0], args: [...PROGRAM.slice(1), "lab", "--stdio", name] }
        : { url: this.lab.url(name) };
      // Strings and arrays of strings have the same syntax in JSON and in TOML.
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

  /** Configures a program that never answers. Returns the file that it writes its process ID to. */
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

  /** The stored record of a row, or `undefined`. */
  record(name) {
    if (!existsSync(this.credentials)) return undefined;
    return JSON.parse(readFileSync(this.credentials, "utf8"))[keyOf(name, this.lab.url(name))];
  }
}

/** The key of a record, computed as Codex does. */
export function keyOf(name, url) {
  const hashed = JSON.stringify({ type: "http", url, headers: {} });
  return `${name}|${createHash("sha256").update(hashed).digest("hex").slice(0, 16)}`;
}

/** Opens the page of an authorization server that consents immediately. Returns the URL that it redirects the browser to. */
export async function followRedirect(authorizationUrl) {
  const page = await fetch(authorizationUrl, { redirect: "manual" });
  assert.equal(page.status, 302);
  return page.headers.get("location");
}

/** Signs in as a user with a browser does. */
export async function signIn(server, options) {
  const begun = await beginSignIn(server, REDIRECT_URI, options);
  await finishSignIn(begun.pending, await followRedirect(begun.authorizationUrl), options);
}

/** Waits until `condition` returns a truthy value, and returns it. */
export async function until(what, condition) {
  const deadline = Date.now() + DEADLINE_MS;
  for (;;) {
    const found = await condition();
    if (found) return found;
    assert.ok(Date.now() < deadline, `not within ${DEADLINE_MS} ms: ${what}`);
    await pause(10);
  }
}

/** Waits for the process ID that a silent program writes. */
export async function pidIn(file) {
  await until(`${file} is written`, () => existsSync(file));
  return Number(readFileSync(file, "utf8"));
}

/** Waits until the process has exited. */
export async function ended(pid) {
  await until(`process ${pid} has exited`, () => !isAlive(pid));
}

/** Whether the process exists. A process that has exited stops existing once its parent has reaped it. */
function isAlive(pid) {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** Runs a command with a time limit. */
export async function run(command, args, options = {}) {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], timeout: DEADLINE_MS, ...options });
  let [out, err] = ["", ""];
  child.stdout?.setEncoding("utf8").on("data", (text) => (out += text));
  child.stderr?.setEncoding("utf8").on("data", (text) => (err += text));
  options.started?.(child);
  const [status, signal] = await new Promise((resolve) => child.once("close", (...ending) => resolve(ending)));
  return { status, signal, out, err };
}

/** Runs the text of a module with a time limit. The module can import `mcp-startup`. */
export function runModule(text, args = [], flags = []) {
  return run(process.execPath, [...flags, "--input-type=module", "-e", text, ...args], { cwd: import.meta.dirname });
}
