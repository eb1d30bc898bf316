// The files of the MCP clients on a machine: `discover` reports them, and `check` starts their servers.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import test, { after } from "node:test";
import { authStatus, check, discover, McpStartupError, notChecked } from "mcp-startup";
import { all, MemoryStore, recordOf, startLab, summary, thrown } from "./lab.mjs";
import { program } from "./places.mjs";

const lab = await startLab(after);
const root = mkdtempSync(join(tmpdir(), "mcp-startup-"));
after(() => rmSync(root, { recursive: true }));
const [home, folder] = [join(root, "home"), join(root, "project")];
mkdirSync(folder);

// The user of these tests. Each test file has a process of its own.
for (const name of ["CODEX_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "APPDATA", "USERPROFILE"]) delete process.env[name];
process.env.HOME = home;

const write = (path, text) => {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, typeof text === "string" ? text : JSON.stringify(text));
};
const stored = lab.row("ready-stored-token");
const [key, record] = recordOf(stored);
write(
  join(home, ".codex/config.toml"),
  `mcp_oauth_credentials_store = "file"
[mcp_servers.${stored.name}]
url = "${stored.url}"
[mcp_servers.docs]
url = "${lab.url("first-sign-in")}"
[mcp_servers.off]
url = "${lab.url("ready")}"
enabled = false
`,
);
write(join(home, ".codex/.credentials.json"), `{${JSON.stringify(key)}:${record}}`);
write(join(home, ".cursor/mcp.json"), { mcpServers: { docs: { url: lab.url("ready") }, bad: { url: "not a URL" } } });
write(join(home, ".codeium/windsurf/mcp_config.json"), '{"mcpServers": {\n');
write(join(folder, ".cursor/mcp.json"), { mcpServers: { shared: { url: lab.url("server-500") } } });

test("discover returns what the program prints", async () => {
  const files = await discover({ folder });
  const [command, ...args] = program;
  let printed;
  try {
    printed = execFileSync(command, [...args, "clients", "--format", "json"], { cwd: folder, encoding: "utf8" });
  } catch (error) {
    // The status reports the file that can't be read.
    printed = error.stdout;
  }
  assert.deepEqual(files, JSON.parse(printed));
  const found = files.map(({ client, scope, approved }) => [client, scope, approved]);
  assert.deepEqual(found, [
    ["codex", "user", null],
    ["cursor", "user", null],
    ["cursor", "project", null],
    ["windsurf", "user", null],
  ]);
  const [codex, cursor, , windsurf] = files;
  const { error, servers, ...file } = codex;
  const path = join(home, ".codex/config.toml");
  assert.deepEqual([file, error], [{ client: "codex", scope: "user", path, format: "toml", approved: null, notRead: null, warnings: [] }, null]);
  const off = { name: "off", transport: "http", enabled: false, checkable: true, why: null, approved: null };
  assert.deepEqual(servers.at(-1), off);
  const bad = cursor.servers.find(({ name }) => name === "bad");
  assert.equal(bad.checkable, false);
  assert.match(bad.why, /url/);
  assert.deepEqual([windsurf.servers, windsurf.error.line], [[], 1]);
  assert.match(windsurf.error.message, /mcp_config\.json/);
});

test("the result of discover is frozen", async () => {
  const files = await discover({ folder });
  const values = [files, ...files, ...files.flatMap(({ servers }) => [servers, ...servers]), files.at(-1).error];
  for (const value of values) assert.ok(Object.isFrozen(value));
});

test("discover reads the files of the named clients", async () => {
  const clients = async (options) => [...new Set((await discover({ folder, ...options })).map(({ client }) => client))];
  assert.deepEqual(await clients({ clients: ["windsurf", "codex"] }), ["windsurf", "codex"]);
  assert.deepEqual(await clients({ clients: "all" }), ["codex", "cursor", "windsurf"]);
  assert.deepEqual(await clients({ clients: [] }), []);
  assert.deepEqual(await discover({ clients: ["zed"] }), []);
});

test("wrong options throw an error that names the option", async () => {
  const rows = [
    [() => discover({ clients: "cursor" }), 'the options: `clients` must be "all" or a list of client IDs, not "cursor"'],
    [() => discover({ clients: [7] }), "the options: `clients[0]` must be a string, not a number"],
    [() => discover({ folder: 7 }), "the options: `folder` must be a path, as a string or a `file:` URL, not a number"],
    [() => discover({ client: [] }), "the options: `client` is not known; did you mean `clients`?"],
    [() => all(check({ clients: {} })), 'the options: `clients` must be "all" or a list of client IDs, not an object'],
    [
      () => all(check({ clients: "all", mcpServers: {} })),
      "the options: `config`, `mcpServers` and `clients` exclude each other; set only one of them",
    ],
    [
      () => all(check({ mcpServers: {}, trustProject: true })),
      "the options: `folder` and `trustProject` apply only with `clients`",
    ],
  ];
  for (const [call, message] of rows) {
    const error = await thrown(call);
    assert.ok(error instanceof McpStartupError, error.stack);
    assert.deepEqual([error.code, error.message], ["MCP_STARTUP_INVALID_ARGUMENT", message]);
  }
});

const outcomes = async (options) => {
  const events = await all(check({ clients: "all", folder, ...options }));
  return events.filter(({ notification }) => notification.status !== "starting").map(summary).sort();
};

test("check starts the servers of every client once, with names of their own", async () => {
  const expected = ["bad failed", "codex:docs failed", "cursor:docs ready", "ready-stored-token ready"];
  assert.deepEqual(await outcomes(), expected);
  assert.deepEqual(await outcomes({ clients: ["cursor"] }), ["bad failed", "docs ready"]);
  assert.deepEqual(await outcomes({ clients: [] }), []);
});

test("`trustProject` starts the servers of project files", async () => {
  assert.deepEqual(await outcomes({ clients: ["cursor"], trustProject: true }), ["bad failed", "docs ready", "shared failed"]);
  const error = await thrown(() => outcomes({ servers: ["shared"] }));
  assert.equal(error.code, "MCP_STARTUP_INVALID_ARGUMENT");
  assert.match(error.message, /`shared` can't be used: not approved in Cursor; .*`trustProject`/);
});

test("notChecked returns what the program reports", async () => {
  const left = await notChecked({ clients: "all", folder });
  const path = join(folder, ".cursor/mcp.json");
  const expected = { client: "cursor", scope: "project", path, name: "shared", why: "not approved in Cursor", needsApproval: true };
  assert.deepEqual(left, [expected]);
  const [command, ...args] = program;
  const options = ["check", "--dry-run", "--format", "json"];
  const { notChecked: reported } = JSON.parse(execFileSync(command, [...args, ...options], { cwd: folder, encoding: "utf8" }));
  // The program adds what to do there.
  const why = `${expected.why}; if you trust the project, pass \`--trust-project\``;
  assert.deepEqual(reported, [{ ...expected, why }]);
  assert.ok(Object.isFrozen(left[0]));
  assert.deepEqual(await notChecked({ clients: "all", folder, trustProject: true }), []);
  assert.deepEqual(await notChecked({ clients: "all", folder, servers: ["docs"] }), []);
  assert.deepEqual(await notChecked({ clients: "all", folder, servers: ["shared"], store: new MemoryStore() }), left);
  assert.deepEqual(await notChecked({ config: join(home, ".codex/config.toml") }), []);
  const { kind } = await thrown(() => notChecked({ clients: "all", servers: ["dosc"] }));
  assert.equal(kind, "unknownServer");
});

test("`servers` selects servers by their names, with or without the client", async () => {
  assert.deepEqual(await outcomes({ servers: ["cursor:docs", "off"] }), ["docs ready", "off ready"]);
  assert.deepEqual(await outcomes({ servers: ["docs"] }), ["codex:docs failed", "cursor:docs ready"]);
  assert.deepEqual(await outcomes({ servers: [] }), []);
  const { code, kind, message } = await thrown(() => outcomes({ servers: ["dosc"] }));
  assert.deepEqual([code, kind], ["MCP_STARTUP_CONFIGURATION", "unknownServer"]);
  assert.match(message, /^no client has a server `dosc`; did you mean `docs`\? \d+ other servers are configured\.$/);
});

test("a call for one server uses the sign-in that Codex stores", async () => {
  const { store, worth } = await authStatus(stored.name, { clients: "all" });
  assert.deepEqual([store, worth.accessToken], ["file", "good"]);
  const own = await authStatus(stored.name, { clients: "all", store: new MemoryStore() });
  assert.equal(own.worth, null);
  const { message } = await thrown(() => authStatus("docs", { clients: "all" }));
  assert.equal(message, "several clients have this server; name one of: codex:docs, cursor:docs");
});

test("if no file of the clients can be read, the loop throws the error", async () => {
  const error = await thrown(() => outcomes({ clients: ["windsurf"] }));
  assert.deepEqual([error.code, error.kind], ["MCP_STARTUP_CONFIGURATION", "syntax"]);
});
