// Starts `mcp-startup open`, the lab and the authorization server, for users whose home is a new folder.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";

const need = (name) => {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set: run scripts/page`);
  return value;
};
const PROGRAM = need("MCP_STARTUP_PROGRAM");
const E2E = process.env.MCP_STARTUP_E2E;

/** Starts a program, and returns the first line of its stdout and how to end it. */
async function start(context, command, args, { signal = "SIGINT", ...options } = {}) {
  // Some programs end when their stdin ends.
  const child = spawn(command, args, { ...options, stdio: ["pipe", "pipe", "ignore"] });
  const ended = once(child, "exit");
  const end = async () => {
    child.kill(signal);
    await ended;
  };
  context.after(end);
  const line = await Promise.race([once(createInterface(child.stdout), "line"), ended.then(() => null)]);
  if (line === null) throw new Error(`${command} ${args.join(" ")} has ended`);
  return { line: line[0], end };
}

/** A home folder with the configuration of Codex, which keeps its sign-ins in a file. */
export class User {
  constructor(context) {
    this.home = mkdtempSync(join(tmpdir(), "mcp-startup-page-"));
    context.after(() => rmSync(this.home, { recursive: true, force: true }));
    this.config = join(this.home, "config.toml");
    this.environment = { PATH: "/usr/bin:/bin", HOME: this.home, CODEX_HOME: this.home };
  }

  /** Writes the servers: a URL, or a command with its arguments, by name. */
  configure(servers) {
    const tables = Object.entries(servers).map(([name, server]) => {
      const keys = Array.isArray(server) ? { command: server[0], args: server.slice(1) } : { url: server };
      const lines = Object.entries(keys).map(([key, value]) => `${key} = ${JSON.stringify(value)}\n`);
      return `[mcp_servers.${JSON.stringify(name)}]\n${lines.join("")}`;
    });
    writeFileSync(this.config, `mcp_oauth_credentials_store = "file"\n\n${tables.join("\n")}`);
  }

  /** Writes a file below the home folder: a text, or JSON. */
  write(path, content) {
    const file = join(this.home, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, typeof content === "string" ? content : JSON.stringify(content, null, 2));
  }

  /** The records of the sign-ins. */
  signIns() {
    return Object.values(JSON.parse(readFileSync(join(this.home, ".credentials.json"), "utf8")));
  }

  /** Starts `mcp-startup open`, for these servers. */
  open(context) {
    return startPage(context, this, ["--config", this.config]);
  }
}

/** Starts `mcp-startup open` in the home folder of a user. Returns the address with the token. */
export async function startPage(context, { home, environment }, options) {
  const { line, end } = await start(context, PROGRAM, ["open", "--no-browser", ...options], { cwd: home, env: environment });
  return { url: line, end };
}

/** Starts the lab. Returns the URL of a row. */
export async function startLab(context) {
  const { line } = await start(context, PROGRAM, ["lab"]);
  return (name) => new URL(`${name}/mcp`, line).href;
}

/** A server of the lab that is a program. */
export const labProgram = (name) => [PROGRAM, "lab", "--stdio", name];

/** The test is skipped if the end-to-end servers are not installed. */
export const withoutServers = E2E === undefined ? "the servers of scripts/setup are not installed" : false;

/** Starts `oidc-provider` with its MCP server. */
export async function startAuthorizationServer(context) {
  const { line } = await start(context, join(E2E, "bin/node"), [join(E2E, "npm/oidc.mjs")], { signal: "SIGTERM" });
  const issuer = line.replace("listening ", "");
  return {
    url: (name) => `${issuer}/${name}/mcp`,
    /** Calls one of its endpoints for tests. */
    test: async (what, body) => (await fetch(`${issuer}/test/${what}`, { method: "POST", body: JSON.stringify(body) })).json(),
  };
}
