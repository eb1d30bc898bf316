// Makes the pictures of the page in the README, light and dark, with servers of the lab in the files of three clients. Run it with
// `scripts/page picture`.

import { createHash } from "node:crypto";
import { statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { startLab, startPage, User } from "../test/program.mjs";

const LIMIT_BYTES = 200_000;
const WINDOW = { width: 820, height: 900 };

/** The home folder of a picture is a temporary one. Runs in the page, and shows it as `~`. */
function shortenPaths(home) {
  for (const path of document.querySelectorAll(".path")) path.textContent = path.textContent.replace(home, "~");
}

const ends = [];
const context = { after: (end) => ends.unshift(end) };
try {
  const lab = await startLab(context);
  const user = new User(context);
  const [linear, github, docs, tracker] = ["expired-no-refresh", "first-sign-in", "ready", "server-500"].map(lab);
  user.write(".claude.json", { mcpServers: { linear: { type: "http", url: linear }, github: { type: "http", url: github }, docs: { type: "http", url: docs } } });
  user.write(".cursor/mcp.json", { mcpServers: { search: { command: "uvx", args: ["mcp-search"] }, playwright: { url: lab("ready-modern") } } });
  user.write(".config/Code/User/mcp.json", { servers: { tracker: { type: "http", url: tracker }, figma: { type: "http", url: lab("ready-sse") } } });
  // A sign-in that has expired, as Codex stores it.
  user.configure({});
  const server = createHash("sha256").update(`{"type":"http","url":"${linear}","headers":{}}`).digest("hex");
  user.write(".credentials.json", { [`linear|${server.slice(0, 16)}`]: { access_token: "old", expires_at: 1, server_name: "linear" } });

  const { url } = await startPage(context, user, ["--yes"]);
  const browser = await chromium.launch({
    executablePath: process.env.MCP_STARTUP_CHROMIUM,
    args: process.getuid?.() === 0 ? ["--no-sandbox"] : [],
  });
  context.after(() => browser.close());
  for (const [colorScheme, name] of [["light", "page.png"], ["dark", "page-dark.png"]]) {
    const tab = await (await browser.newContext({ colorScheme, viewport: WINDOW, deviceScaleFactor: 1.5 })).newPage();
    await tab.goto(url);
    await tab.locator(".summary").getByText("4 need attention · 3 of 7 ready").waitFor({ timeout: 30_000 });
    await tab.evaluate(shortenPaths, user.home);
    const path = fileURLToPath(new URL(`../../docs/${name}`, import.meta.url));
    await tab.screenshot({ path });
    const { size } = statSync(path);
    console.log(`docs/${name}: ${size} bytes`);
    if (size >= LIMIT_BYTES) throw new Error(`docs/${name} is larger than ${LIMIT_BYTES} bytes`);
  }
} finally {
  for (const end of ends) await end();
}
